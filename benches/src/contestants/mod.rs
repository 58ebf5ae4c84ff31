//! The contestants: each file has one contestant's version of every program that it can run.

mod arc;
#[cfg(feature = "peers")]
mod arena;
mod boxes;
mod machine;
mod ours;
#[cfg(feature = "peers")]
mod peer;
#[cfg(feature = "peers")]
mod peers;
mod raw;
mod rc;
#[cfg(feature = "peers")]
mod shredder;

use crate::report::Report;
use std::process::ExitCode;

/// A program as one contestant has written it: from the arguments to the checksum.
type Version = fn(&[u64], &mut Report) -> u64;

/// A contestant and its versions of the programs.
struct Contestant {
    name: &'static str,
    versions: &'static [(&'static str, Version)],
    /// Whether it takes memory from the global allocator, so that another allocator makes another contestant.
    other_allocators: bool,
}

const CONTESTANTS: &[Contestant] = &[
    ours::PLAIN,
    ours::PINNED,
    ours::LOCKED,
    ours::SHARED,
    rc::CONTESTANT,
    arc::CONTESTANT,
    boxes::CONTESTANT,
    raw::CONTESTANT,
    #[cfg(feature = "peers")]
    arena::CONTESTANT,
    #[cfg(feature = "peers")]
    peers::gc::CONTESTANT,
    #[cfg(feature = "peers")]
    peers::boa::CONTESTANT,
    #[cfg(feature = "peers")]
    peers::rust_cc::CONTESTANT,
    #[cfg(feature = "peers")]
    peers::dumpster_unsync::CONTESTANT,
    #[cfg(feature = "peers")]
    peers::dumpster_sync::CONTESTANT,
    #[cfg(feature = "peers")]
    shredder::CONTESTANT,
];

/// What `contestant` and `contestant_mimalloc` do: `list` names each contestant with each of its programs, `run CONTESTANT PROGRAM NUMBER…` runs
/// one and prints its report. `allocator` is what the contestants' names have behind them.
pub fn run_contestant(allocator: &str) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["list"] => {
            for contestant in CONTESTANTS.iter().filter(|it| allocator.is_empty() || it.other_allocators) {
                for (program, _) in contestant.versions {
                    println!("{}{allocator}\t{program}", contestant.name);
                }
            }
            ExitCode::SUCCESS
        }
        ["run", contestant, program, ref numbers @ ..] => run(contestant, allocator, program, numbers),
        _ => {
            eprintln!("say `list`, or `run CONTESTANT PROGRAM NUMBER…`");
            ExitCode::FAILURE
        }
    }
}

fn run(contestant: &str, allocator: &str, program: &str, numbers: &[&str]) -> ExitCode {
    let versions = CONTESTANTS.iter().filter(|it| contestant.strip_suffix(allocator) == Some(it.name));
    let version = versions.flat_map(|it| it.versions).find(|(name, _)| *name == program);
    let numbers: Result<Vec<u64>, _> = numbers.iter().map(|number| number.parse()).collect();
    let (Some((_, version)), Ok(numbers)) = (version, numbers) else {
        eprintln!("no such version of a program, or a wrong number");
        return ExitCode::FAILURE;
    };
    let mut report = Report::default();
    report.checksum = version(&numbers, &mut report);
    report.print();
    ExitCode::SUCCESS
}
