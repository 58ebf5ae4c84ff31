//! What was measured, and ratios of it.

use super::Sample;
use graphgc_benches::programs::Program;

/// All programs of one comparison.
#[derive(Default)]
pub(super) struct Results {
    pub(super) programs: Vec<Lineup>,
}

/// The contestants of one program.
pub(super) struct Lineup {
    pub(super) program: &'static Program,
    pub(super) contestants: Vec<Runs>,
}

/// One contestant's runs of one program.
pub(super) struct Runs {
    pub(super) contestant: String,
    pub(super) samples: Vec<Sample>,
    /// Why it has no more of them.
    pub(super) out: Option<String>,
}

/// One number of a sample.
#[derive(Clone, Copy)]
pub(super) enum Measure {
    Wall,
    Cpu,
    Peak,
    Phase(&'static str),
    Value(&'static str),
}

impl Measure {
    fn of(self, sample: &Sample) -> Option<f64> {
        let named = |facts: &[(String, f64)], name| facts.iter().find(|it| it.0 == name).map(|it| it.1);
        match self {
            Measure::Wall => Some(sample.wall),
            Measure::Cpu => Some(sample.cpu),
            Measure::Peak => Some(sample.peak),
            Measure::Phase(name) => named(&sample.report.phases, name),
            Measure::Value(name) => named(&sample.report.values, name),
        }
    }
}

/// A ratio of medians, and the least and the greatest ratio of one round.
#[derive(Clone, Copy)]
pub(super) struct Ratio {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) greatest: f64,
}

impl Results {
    pub(super) fn lineup(&self, program: &str) -> Option<&Lineup> {
        self.programs.iter().find(|it| it.program.name == program)
    }
}

impl Lineup {
    pub(super) fn new(program: &'static Program, contestants: impl Iterator<Item = String>) -> Self {
        let runs = |contestant| Runs { contestant, samples: Vec::new(), out: None };
        Lineup { program, contestants: contestants.map(runs).collect() }
    }

    /// The contestant with the least median among those that `which` picks.
    pub(super) fn best(&self, measure: Measure, which: impl Fn(&str) -> bool) -> Option<&Runs> {
        let picked = self.contestants.iter().filter(|it| which(&it.contestant) && it.median(measure).is_some());
        picked.min_by(|a, b| a.median(measure).partial_cmp(&b.median(measure)).unwrap())
    }
}

impl Runs {
    pub(super) fn numbers(&self, measure: Measure) -> Vec<f64> {
        if self.out.is_some() {
            return Vec::new();
        }
        self.samples.iter().filter_map(|sample| measure.of(sample)).collect()
    }

    pub(super) fn median(&self, measure: Measure) -> Option<f64> {
        median(self.numbers(measure))
    }

    /// This over other.
    pub(super) fn ratio(&self, other: &Runs, measure: Measure) -> Option<Ratio> {
        let median = self.median(measure)? / other.median(measure)?;
        let rounds: Vec<f64> = self.numbers(measure).iter().zip(other.numbers(measure)).map(|(a, b)| a / b).collect();
        let least = rounds.iter().copied().fold(f64::INFINITY, f64::min);
        Some(Ratio { median, least, greatest: rounds.into_iter().fold(0.0, f64::max) })
    }
}

/// The number in the middle, or the mean of the two there.
pub(super) fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len().checked_sub(1)? / 2;
    Some((numbers[middle] + numbers[numbers.len() / 2]) / 2.0)
}
