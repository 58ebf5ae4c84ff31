//! The ratios as a plot: a row for each contestant of each program, on a logarithmic axis, with the spread as a bar.

use super::{
    results::{Measure, Ratio, Results},
    targets::is_ours,
};
use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};
use std::{error::Error, path::Path};

const ROW: i32 = 16;
const LEFT: i32 = 330;
const WIDTH: i32 = 900;
const TOP: i32 = 50;
/// The axis runs from a hundredth to ten.
const DECADES: (f64, f64) = (-2.0, 1.0);

/// A line of the plot.
enum Row {
    Program(&'static str),
    Contestant(String, Ratio),
}

fn rows(results: &Results) -> Vec<Row> {
    let mut rows = Vec::new();
    for lineup in &results.programs {
        let Some(ours) = lineup.best(Measure::Wall, is_ours) else { continue };
        rows.push(Row::Program(lineup.program.name));
        for runs in lineup.contestants.iter().filter(|it| !is_ours(&it.contestant)) {
            if let Some(ratio) = ours.ratio(runs, Measure::Wall) {
                rows.push(Row::Contestant(runs.contestant.clone(), ratio));
            }
        }
    }
    rows
}

/// Where a ratio is on the page, from the left.
fn place(ratio: f64) -> i32 {
    let share = (ratio.log10().clamp(DECADES.0, DECADES.1) - DECADES.0) / (DECADES.1 - DECADES.0);
    LEFT + ((WIDTH - LEFT - 30) as f64 * share) as i32
}

/// Writes the plot.
pub(super) fn draw(file: &Path, results: &Results) -> Result<(), Box<dyn Error>> {
    let rows = rows(results);
    let height = TOP + ROW * (rows.len() as i32 + 2);
    let area = SVGBackend::new(file, (WIDTH as u32, height as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    let text = |size: i32, color: &RGBColor, side| {
        ("sans-serif", size).into_font().color(color).pos(Pos::new(side, VPos::Center))
    };
    let title = "Wall time of graphgc's best style over each contestant's (left of 1: graphgc is faster)";
    area.draw(&Text::new(title, (WIDTH / 2, 14), text(15, &BLACK, HPos::Center)))?;
    for tick in [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0] {
        let color = if tick == 1.0 { BLACK } else { RGBColor(210, 210, 210) };
        area.draw(&PathElement::new(vec![(place(tick), TOP - 6), (place(tick), height - ROW)], color))?;
        area.draw(&Text::new(tick.to_string(), (place(tick), TOP - 16), text(12, &BLACK, HPos::Center)))?;
    }
    for (row, line) in (0..).zip(&rows) {
        let y = TOP + ROW * row + ROW / 2;
        match line {
            Row::Program(name) => area.draw(&Text::new(*name, (10, y), text(14, &BLACK, HPos::Left)))?,
            Row::Contestant(name, ratio) => {
                let color = if ratio.median <= 1.0 { RGBColor(20, 120, 60) } else { RGBColor(190, 60, 30) };
                let label = format!("{name}: {:.2}", ratio.median);
                area.draw(&Text::new(label, (LEFT - 12, y), text(12, &BLACK, HPos::Right)))?;
                area.draw(&PathElement::new(
                    vec![(place(ratio.least), y), (place(ratio.greatest), y)],
                    color.stroke_width(2),
                ))?;
                area.draw(&Circle::new((place(ratio.median), y), 4, color.filled()))?;
            }
        }
    }
    area.present()?;
    Ok(())
}
