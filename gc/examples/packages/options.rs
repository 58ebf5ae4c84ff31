//! The command line.

use lexopt::{
    Arg::{Long, Short, Value},
    Parser, ValueExt as _,
};
use std::{error::Error, path::PathBuf};

pub(crate) const HELP: &str = "\
Loads the dependency graph of a Linux distribution's packages, drops every handle but those to the packages named,
collects, and says how many packages are left.

Usage: packages [--keep NAME...] [--both-ways] [--threads N] [--data PATH]

  --keep NAME...  packages to keep, with all that they depend on; none: nothing is left
  --both-ways     packages also lead to those that depend on them: what is left is all that hangs together
  --threads N     N threads (up to 256) take the graph apart and put it together again before, while another reads it
  --data PATH     read this file instead of the bundled graph: a line per package, tab-separated, the package's name
                  and the names of those it depends on; may be compressed with gzip
  --help          print this
";

const MOST_THREADS: usize = 256;

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Run(Options),
    Help,
}

/// How to run.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) keep: Vec<String>,
    pub(crate) both_ways: bool,
    pub(crate) threads: usize,
    pub(crate) data: Option<PathBuf>,
}

pub(crate) fn parse(mut parser: Parser) -> Result<Command, Box<dyn Error>> {
    let mut options = Options::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("keep") => {
                for name in parser.values()? {
                    options.keep.push(name.string()?);
                }
            }
            Long("both-ways") => options.both_ways = true,
            Long("threads") => {
                let given = parser.value()?.string()?;
                let threads = given.parse().ok().filter(|threads| (1..=MOST_THREADS).contains(threads));
                options.threads =
                    threads.ok_or_else(|| format!("--threads is `{given}`, but must be 1 to {MOST_THREADS}"))?;
            }
            Long("data") => options.data = Some(parser.value()?.into()),
            Long("help") | Short('h') => return Ok(Command::Help),
            Long(_) | Short(_) | Value(_) => return Err(argument.unexpected().into()),
        }
    }
    Ok(Command::Run(options))
}
