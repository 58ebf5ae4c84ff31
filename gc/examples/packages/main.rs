//! The packages of a Linux distribution as a garbage-collected graph: keeps those that are asked for, and what they need, and lets the
//! collector find out what can go.
//!
//! ```text
//! cargo run --release -p graphgc --example packages -- --keep gnome
//! ```

mod graph;
mod index;
mod options;
mod random;
mod rewire;
#[cfg(test)]
mod tests;

use graph::Census;
use index::Index;
use options::{Command, Options};
use std::{
    error::Error,
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
    time::{Duration, Instant},
};

fn main() -> ExitCode {
    let said = match options::parse(lexopt::Parser::from_env()) {
        Ok(Command::Run(options)) => run(&options),
        Ok(Command::Help) => Ok(options::HELP.into()),
        Err(error) => Err(error),
    };
    match said.and_then(|text| say(&text)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("packages: {error}");
            ExitCode::from(2)
        }
    }
}

/// Does what was asked for, and says how it went.
fn run(options: &Options) -> Result<String, Box<dyn Error>> {
    let mut said = String::new();

    let began = Instant::now();
    let index = match &options.data {
        Some(path) => Index::read(path)?,
        None => Index::bundled()?,
    };
    let kept = options.keep.iter().map(|name| index.number(name)).collect::<Result<Vec<_>, _>>()?;
    let census = Census::begin();
    let all = graph::build(&index, options.both_ways, &census);
    let kept: Vec<_> = kept.into_iter().map(|number| all[number].clone()).collect();
    let edges = if options.both_ways { 2 * index.edges() } else { index.edges() };
    writeln!(said, "loaded: {} packages, {edges} edges in {}", index.len(), milliseconds(began.elapsed()))?;

    if options.threads > 0 {
        let began = Instant::now();
        let work = rewire::all_at_once(&index, all, &kept, options.threads)?;
        let (rewired, copied, followed) = (work.rewired, work.copied, work.followed);
        let took = milliseconds(began.elapsed());
        writeln!(said, "rewired: {rewired} packages by {} threads, {copied} copies made, in {took}", options.threads)?;
        writeln!(said, "read meanwhile: {followed} edges, all of them right")?;
    } else {
        drop(all);
    }

    let collection = graphgc::collect();
    let (cycles, took) = (collection.cycles, milliseconds(collection.elapsed));
    writeln!(said, "collected: {cycles} cycles in {took}")?;
    writeln!(said, "freed: {} packages", census.dropped())?;
    writeln!(said, "live: {} packages", census.live())?;
    drop(kept);

    let stats = graphgc::stats();
    let longest = stats.s1_longest.max(stats.s2_longest);
    writeln!(said, "longest stop: {} microseconds", longest.as_micros())?;
    Ok(said)
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

/// Prints `text`. That nobody reads to the end is no failure.
fn say(text: &str) -> Result<(), Box<dyn Error>> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("cannot write: {error}").into()),
        _ => Ok(()),
    }
}
