//! The whole-program comparison: `cargo run --release -p graphgc-benches`, from the repository.
//!
//! It builds the contestants (those in Go and C if the tools are there), runs every contestant of every program in turns, several rounds, each run as a
//! process of its own, and checks that all compute the same. A complete comparison goes to `benches/RESULTS.md` and `benches/RESULTS.svg`, one of chosen
//! programs to standard output.

#![cfg(unix)]

mod compare;

use graphgc_benches::programs::{PROGRAMS, Program, program_named};
use std::{path::PathBuf, process::ExitCode};

const USAGE: &str =
    "usage: compare [--runs N] [--limit SECONDS] [--only TEXT] [--tiny] [--no-peers] [--output FILE.md] [PROGRAM…]

Without PROGRAM: all of them, and the tables go to benches/RESULTS.md, the plot beside them.
    --runs N          how often each contestant runs; at least 3, 5 if not given
    --limit SECONDS   of CPU for one run; a contestant that needs more is out (300 if not given)
    --only TEXT       only graphgc and contestants whose names contain TEXT
    --tiny            tiny sizes: checks the checksums, measures nothing
    --no-peers        without the other Rust collectors, which take a while to compile
    --output FILE.md  where the tables go";

/// What the command line asks for.
struct Options {
    programs: Vec<&'static Program>,
    runs: usize,
    limit: u64,
    only: Option<String>,
    tiny: bool,
    peers: bool,
    output: Option<PathBuf>,
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    use lexopt::{Arg, ValueExt};
    let mut options =
        Options { programs: Vec::new(), runs: 5, limit: 300, only: None, tiny: false, peers: true, output: None };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("runs") => options.runs = parser.value()?.parse()?,
            Arg::Long("limit") => options.limit = parser.value()?.parse()?,
            Arg::Long("only") => options.only = Some(parser.value()?.string()?),
            Arg::Long("tiny") => options.tiny = true,
            Arg::Long("no-peers") => options.peers = false,
            Arg::Long("output") => options.output = Some(parser.value()?.into()),
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Value(name) => {
                let name = name.string()?;
                options.programs.push(program_named(&name).ok_or(format!("there is no program `{name}`"))?);
            }
            _ => return Err(argument.unexpected()),
        }
    }
    if options.runs < 3 {
        return Err("--runs is at least 3".into());
    }
    if options.programs.is_empty() {
        options.programs = PROGRAMS.iter().collect();
        if !options.tiny && options.only.is_none() && options.output.is_none() {
            options.output = Some(concat!(env!("CARGO_MANIFEST_DIR"), "/RESULTS.md").into());
        }
    }
    Ok(Some(options))
}

fn main() -> ExitCode {
    let result = match options() {
        Ok(Some(options)) => compare::compare(&options),
        Ok(None) => {
            println!("{USAGE}");
            Ok(())
        }
        Err(error) => Err(format!("{error}\n\n{USAGE}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
