//! The results as a page of Markdown.

use super::{
    results::{Lineup, Measure, Results, Runs},
    targets::{self, is_ours},
};
use std::fmt::Write;

/// Everything but the smallest programs.
pub(super) fn write(page: &mut String, results: &Results, machine: &[String], runs: usize) {
    page.push_str("# Whole programs: graphgc and its peers\n\n");
    page.push_str("Written by `cargo run --release -p graphgc-benches`. ");
    let _ = writeln!(
        page,
        "Each contestant ran {runs} times as a process of its own, in turns with the others; medians. The last column is \
        graphgc's best style over the contestant (less than 1: graphgc is faster), with the least and greatest ratio of one round. \
        [Plot](RESULTS.svg).\n"
    );
    for fact in machine {
        let _ = writeln!(page, "- {fact}");
    }
    targets::write(page, results);
    for lineup in &results.programs {
        one(page, lineup);
    }
}

fn one(page: &mut String, lineup: &Lineup) {
    let _ = writeln!(page, "\n## `{}`\n\n{}\n", lineup.program.name, lineup.program.what);
    let facts = facts(lineup);
    let names: String = facts.iter().map(|(_, name)| format!(" {name} |")).collect();
    let _ = writeln!(page, "| contestant | wall, s | CPU, s | peak, MiB |{names} graphgc / it |");
    let _ = writeln!(page, "| --- | --- | --- | --- |{} --- |", " --- |".repeat(facts.len()));
    let ours = lineup.best(Measure::Wall, is_ours);
    for runs in &lineup.contestants {
        let number =
            |measure, scale: f64| runs.median(measure).map_or(String::new(), |it| format!("{:.3}", it / scale));
        let cells: String = facts.iter().map(|(measure, _)| format!(" {} |", number(*measure, 1.0))).collect();
        let (wall, cpu) = (number(Measure::Wall, 1.0), number(Measure::Cpu, 1.0));
        let peak = runs.median(Measure::Peak).map_or(String::new(), |it| format!("{:.1}", it / f64::from(1 << 20)));
        let ratio =
            runs.out.clone().or_else(|| Some(ours?.ratio(runs, Measure::Wall)?.to_string())).unwrap_or_default();
        let _ = writeln!(page, "| {} | {wall} | {cpu} | {peak} |{cells} {ratio} |", runs.contestant);
    }
}

/// The phases and values that the contestants report, in the order of the first that does.
fn facts(lineup: &Lineup) -> Vec<(Measure, String)> {
    let sample = |runs: &Runs| runs.samples.first().cloned();
    let samples: Vec<_> = lineup.contestants.iter().filter_map(sample).collect();
    let mut facts: Vec<(Measure, String)> = Vec::new();
    for report in samples.iter().map(|it| &it.report) {
        let phases = report.phases.iter().map(|it| (Measure::Phase(name(&it.0)), format!("`{}`, s", it.0)));
        let values = report.values.iter().map(|it| (Measure::Value(name(&it.0)), format!("`{}`", it.0)));
        for fact in phases.chain(values) {
            if facts.iter().all(|it| it.1 != fact.1) {
                facts.push(fact);
            }
        }
    }
    facts
}

/// The name for as long as the process runs.
fn name(name: &str) -> &'static str {
    name.to_string().leak()
}
