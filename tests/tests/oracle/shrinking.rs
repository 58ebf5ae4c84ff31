//! Faults put in on purpose are found, and shrunk to the operations that show them.

use crate::TEST;
use graphgc_tests::{
    process::{is_child, run_test_alone},
    program::{
        Case, Mode,
        content::Shape,
        op::{At, Field, Kind, Many, Op, Via, WeakOp},
        shrink::{Failure, Raw, shrink},
    },
};

const HERE: At = At(0, 0, 0, 0);

/// The smallest program that shows the fault, of the first seed from this one on whose program does.
fn shrunk(plant: &str, seed: u64, operations: usize) -> Failure {
    let planted = [("ORACLE_PLANT", plant)];
    let found = (seed..seed + 30).find_map(|seed| shrink(TEST, Raw::single(seed, operations), &planted));
    let failure = found.expect("the fault is found");
    assert_eq!(failure.case, Case::parse(&std::fs::read_to_string(&failure.file).unwrap()).unwrap(), "can be replayed");
    println!("{failure}");
    std::fs::remove_file(&failure.file).unwrap();
    failure
}

fn new(kind: Kind) -> Op {
    Op::New(kind, Shape::List, Via::New, HERE, Many(0, HERE))
}

#[track_caller]
fn is(failure: &Failure, program: &[Op]) {
    let case =
        Case { mode: Mode::Single, churn: false, loaded: false, workers: 1, rounds: vec![vec![program.to_vec()]] };
    assert_eq!(failure.case, case, "not minimal: {failure}");
}

#[test]
fn an_oracle_that_is_wrong_is_shrunk_to_a_minimal_program() {
    let failure = shrunk("forgets-forgotten", 1, 2_000);
    is(&failure, &[new(Kind::Plain), Op::Forget(0)]);
    assert!(failure.output.contains("objects that exist"), "{failure}");
}

#[test]
fn an_oracle_that_is_wrong_about_weak_maps_is_noticed() {
    const NAME: &str = "shrinking::an_oracle_that_is_wrong_about_weak_maps_is_noticed";
    if is_child() {
        let keeper = At(2, 0, 0, 0);
        let value = Op::Weak(WeakOp::Put(keeper, Field::Map, HERE, 1));
        let objects = [Kind::Plain, Kind::User, Kind::Keeper].map(new);
        // Key and value go, the keeper stays.
        let program = [objects.as_slice(), &[value, Op::Drop(0), Op::Drop(1), Op::Collect]].concat();
        let case = Case { mode: Mode::Single, churn: false, loaded: false, workers: 1, rounds: vec![vec![program]] };
        case.configure();
        return case.run();
    }
    assert!(run_test_alone(NAME, &[]).status.success());
    let planted = run_test_alone(NAME, &[("ORACLE_PLANT", "keeps-values")]);
    let said = String::from_utf8_lossy(&planted.stderr);
    assert!(!planted.status.success() && said.contains("is reachable: times dropped"), "{said}");
}

#[test]
fn a_crash_is_shrunk_to_a_minimal_program() {
    let failure = shrunk("crashes-on-large", 4, 2_000);
    is(&failure, &[new(Kind::Large)]);
    assert!(!failure.output.contains("panicked"), "it crashed, and did not panic: {failure}");
}

#[test]
fn a_program_without_fault_does_not_shrink() {
    assert!(shrink(TEST, Raw::single(3, 500), &[]).is_none());
}
