//! What machine and what versions the numbers are of.

use super::build::{Binaries, output};
use std::{fs, process::Command, thread::available_parallelism};

/// A sentence for each.
pub(super) fn describe(binaries: &Binaries) -> Vec<String> {
    let say =
        |command: &str, arguments: &[&str]| output(Command::new(command).args(arguments)).unwrap_or("unknown".into());
    let cores = available_parallelism().map_or(0, usize::from);
    let memory = line_of("/proc/meminfo", "MemTotal:").and_then(|it| it.split_whitespace().next()?.parse::<u64>().ok());
    let memory = memory.map_or("memory unknown".into(), |kilobytes| format!("{} GiB of memory", kilobytes >> 20));
    let processor =
        line_of("/proc/cpuinfo", "model name").map_or("processor unknown".into(), |it| it.replace([':', '\t'], ""));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().nth(1).unwrap_or("unknown").to_string();
    let mut facts = vec![
        format!("{}, commit {}", say("date", &["-u", "+%F"]), say("git", &["rev-parse", "--short=12", "HEAD"])),
        format!("{}, {cores} cores, {memory}, {}", processor.trim(), say("uname", &["-sr"])),
        format!("load in the last five minutes: {load}"),
        say("rustc", &["--version"]),
        packages(),
    ];
    facts.extend(binaries.versions.iter().cloned());
    facts
}

fn line_of(file: &str, start: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(start)).map(|it| it.trim().to_string())
}

/// The crates that contend, with their versions.
fn packages() -> String {
    let lock = include_str!("../../../Cargo.lock");
    let version = |name: &str| {
        let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        Some(format!("{name} {}", rest.split('"').next()?))
    };
    let names = ["mimalloc", "libmimalloc-sys", "boa_gc", "dumpster", "gc", "gc-arena", "rust-cc", "shredder"];
    names.iter().filter_map(|name| version(name)).collect::<Vec<_>>().join(", ")
}
