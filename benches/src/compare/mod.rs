//! One comparison: build, run in turns, write.

mod build;
mod machine;
mod measure;
mod plot;
mod results;
mod smallest;
mod table;
mod targets;

use crate::Options;
use build::{Binaries, Entry};
use graphgc_benches::programs::Program;
use measure::{Fate, Sample};
use results::{Lineup, Results};
use std::fs;

/// Does what the options ask for.
pub(crate) fn compare(options: &Options) -> Result<(), String> {
    let binaries = build::build(options.peers)?;
    let entries = binaries.entries()?;
    let mut results = Results::default();
    for program in &options.programs {
        let chosen: Vec<&Entry> =
            entries.iter().filter(|it| it.program == program.name && wanted(it, options)).collect();
        results.programs.push(in_turns(program, &chosen, options)?);
    }
    if options.tiny {
        println!("all checksums agree");
        return Ok(());
    }
    write(options, &binaries, &results)
}

fn wanted(entry: &Entry, options: &Options) -> bool {
    let Some(only) = &options.only else { return true };
    entry.contestant.starts_with("graphgc") || entry.contestant.contains(only)
}

/// Every contestant of one program, round after round, so that what else the machine does slows all alike.
fn in_turns(program: &'static Program, entries: &[&Entry], options: &Options) -> Result<Lineup, String> {
    let sizes = if options.tiny { program.tiny } else { program.full };
    let rounds = if options.tiny { 1 } else { options.runs };
    let mut lineup = Lineup::new(program, entries.iter().map(|it| it.contestant.clone()));
    for round in 1..=rounds {
        for (entry, runs) in entries.iter().zip(&mut lineup.contestants) {
            if runs.out.is_some() {
                continue;
            }
            match measure::run(&entry.command(sizes), program.one_core, options.limit)? {
                Fate::Finished(sample) => {
                    eprintln!("{} {round}/{rounds} {}: {:.2} s", program.name, entry.contestant, sample.wall);
                    runs.samples.push(sample);
                }
                Fate::Out(why) => {
                    eprintln!("{} {}: {why}", program.name, entry.contestant);
                    runs.out = Some(why);
                }
            }
        }
    }
    same_checksums(&lineup)?;
    Ok(lineup)
}

fn same_checksums(lineup: &Lineup) -> Result<(), String> {
    let sums =
        || lineup.contestants.iter().flat_map(|it| it.samples.iter().map(move |sample| (it, sample.report.checksum)));
    let Some((_, expected)) = sums().next() else { return Ok(()) };
    match sums().find(|(_, sum)| *sum != expected) {
        None => Ok(()),
        Some((runs, sum)) => {
            Err(format!("{}: {} computes {sum}, not {expected}", lineup.program.name, runs.contestant))
        }
    }
}

fn write(options: &Options, binaries: &Binaries, results: &Results) -> Result<(), String> {
    let mut page = String::new();
    table::write(&mut page, results, &machine::describe(binaries), options.runs);
    page += &smallest::report(binaries)?;
    let Some(output) = &options.output else {
        println!("{page}");
        return Ok(());
    };
    fs::write(output, page).map_err(|error| format!("{}: {error}", output.display()))?;
    plot::draw(&output.with_extension("svg"), results).map_err(|error| format!("the plot: {error}"))?;
    println!("written to {}", output.display());
    Ok(())
}
