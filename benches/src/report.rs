//! What a contestant says on standard output, one fact a line: `checksum N`, `phase NAME SECONDS`, `value NAME NUMBER`.

use std::time::Instant;

/// The facts that one run of a contestant reports.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Report {
    /// What the program computed; the same for every contestant.
    pub checksum: u64,
    /// Parts of the program, with the seconds that they took.
    pub phases: Vec<(String, f64)>,
    /// Other measures.
    pub values: Vec<(String, f64)>,
}

impl Report {
    /// Runs `work` and notes the time under `name`.
    pub fn phase<R>(&mut self, name: &str, work: impl FnOnce() -> R) -> R {
        let begun = Instant::now();
        let result = work();
        self.phases.push((name.into(), begun.elapsed().as_secs_f64()));
        result
    }

    /// Notes a measure that is not a time.
    pub fn value(&mut self, name: &str, value: f64) {
        self.values.push((name.into(), value));
    }

    /// Says it all.
    pub fn print(&self) {
        println!("checksum {}", self.checksum);
        for (kind, facts) in [("phase", &self.phases), ("value", &self.values)] {
            for (name, number) in facts {
                println!("{kind} {name} {number}");
            }
        }
    }

    /// Reads what [`print`](Self::print), or a contestant in another language, wrote.
    ///
    /// # Errors
    /// The line that is no fact, or what is missing.
    pub fn parse(text: &str) -> Result<Report, String> {
        let mut report = Report::default();
        let mut checksum = None;
        for line in text.lines() {
            let fault = || format!("not a fact: `{line}`");
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["checksum", sum] => checksum = Some(sum.parse().map_err(|_| fault())?),
                [kind @ ("phase" | "value"), name, number] => {
                    let facts = if kind == "phase" { &mut report.phases } else { &mut report.values };
                    facts.push((name.into(), number.parse().map_err(|_| fault())?));
                }
                _ => return Err(fault()),
            }
        }
        report.checksum = checksum.ok_or("no checksum")?;
        Ok(report)
    }
}
