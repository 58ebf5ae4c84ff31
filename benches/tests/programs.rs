//! Every contestant that this build has computes the same in every program, at a tiny size.

use graphgc_benches::{programs::PROGRAMS, report::Report};
use std::process::Command;

const BINARIES: [&str; 2] = [env!("CARGO_BIN_EXE_contestant"), env!("CARGO_BIN_EXE_contestant_mimalloc")];

fn output(binary: &str, arguments: &[&str]) -> String {
    let output = Command::new(binary).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Each binary with a contestant and one of its programs.
fn entries() -> Vec<(&'static str, String, String)> {
    let list = |binary| output(binary, &["list"]);
    let entry = |binary, line: &str| {
        let (contestant, program) = line.split_once('\t').unwrap();
        (binary, contestant.to_string(), program.to_string())
    };
    BINARIES
        .iter()
        .flat_map(|binary| list(binary).lines().map(|line| entry(*binary, line)).collect::<Vec<_>>())
        .collect()
}

#[test]
fn contestants_agree_in_every_program() {
    let entries = entries();
    for program in PROGRAMS {
        let sizes: Vec<String> = program.tiny.iter().map(ToString::to_string).collect();
        let mut checksums = Vec::new();
        for (binary, contestant, _) in entries.iter().filter(|it| it.2 == program.name) {
            let mut arguments = vec!["run", contestant.as_str(), program.name];
            arguments.extend(sizes.iter().map(String::as_str));
            let report = Report::parse(&output(binary, &arguments)).unwrap();
            checksums.push((contestant.as_str(), report.checksum));
        }
        assert!(checksums.iter().any(|it| it.0 == "graphgc"), "graphgc does not run {}", program.name);
        assert!(checksums.iter().all(|it| it.1 == checksums[0].1 && it.1 != 0), "{}: {checksums:?}", program.name);
    }
    let known = |name: &str| PROGRAMS.iter().any(|it| it.name == name);
    assert!(entries.iter().all(|it| known(&it.2)), "a contestant runs a program that is not listed");
}

#[test]
fn report_is_read_as_written() {
    let mut report = Report { checksum: 7, ..Report::default() };
    report.phase("first", || ());
    report.value("size", 1.5);
    let text = format!("checksum 7\nphase first {}\nvalue size 1.5\n", report.phases[0].1);
    assert_eq!(Report::parse(&text).unwrap(), report);
    assert!(Report::parse("phase first 1.0\n").is_err(), "without a checksum");
    assert!(Report::parse("checksum x\n").is_err());
}
