//! The targets that the project has set itself, and how far they are met.

use super::results::{Measure, Ratio, Results, Runs};
use std::fmt::Write;

/// Who is meant.
#[derive(Clone, Copy)]
enum Who {
    /// This contestant.
    Named(&'static str),
    /// The best style of graphgc, with the system's allocator.
    Ours,
    /// The best of the others in Rust, raw pointers aside.
    Rust,
    /// The contestant that it is compared with, in another program.
    Itself,
}

struct Target {
    what: &'static str,
    measure: Measure,
    ours: (&'static str, Who),
    theirs: (&'static str, Who),
    at_most: f64,
}

const fn target(what: &'static str, program: &'static str, measure: Measure, theirs: Who, at_most: f64) -> Target {
    Target { what, measure, ours: (program, Who::Ours), theirs: (program, theirs), at_most }
}

const GO: Who = Who::Named("Go");
const RC: Who = Who::Named("Rc");
const ARC: Who = Who::Named("Arc");

const TARGETS: &[Target] = &[
    target("`alloc`, CPU / `Arc`", "alloc", Measure::Cpu, ARC, 0.75),
    target("`alloc`, CPU / `Box` + mimalloc", "alloc", Measure::Cpu, Who::Named("Box + mimalloc"), 1.2),
    target("clone + drop, 1 thread / `Arc`", "clone_drop", Measure::Phase("single"), ARC, 1.05),
    target("clone + drop, 2 threads, 2 objects / `Arc`", "clone_drop", Measure::Phase("two_objects"), ARC, 1.05),
    target("`binary_trees` / best in Rust", "binary_trees", Measure::Wall, Who::Rust, 0.9),
    target("`binary_trees` / Go", "binary_trees", Measure::Wall, GO, 0.7),
    target("`binary_trees`, CPU / Go", "binary_trees", Measure::Cpu, GO, 0.7),
    target("`parent_trees` / `Rc`", "parent_trees", Measure::Wall, RC, 1.0),
    target("`parent_trees` / Go", "parent_trees", Measure::Wall, GO, 0.7),
    target("`gcbench` / best in Rust", "gcbench", Measure::Wall, Who::Rust, 1.0),
    target("`gcbench` / Go", "gcbench", Measure::Wall, GO, 0.7),
    Target {
        ours: ("list", Who::Named("graphgc")),
        ..target("`list` walked by `get()` / `Rc` cloned", "list", Measure::Phase("walk"), RC, 2.0)
    },
    target("`list` walked pinned / raw pointers", "list", Measure::Phase("walk"), Who::Named("raw pointers"), 1.1),
    Target {
        ours: ("graph", Who::Named("graphgc, pinned")),
        ..target("`graph`, search / `Rc<RefCell>`", "graph", Measure::Phase("bfs"), RC, 1.1)
    },
    Target {
        ours: ("graph", Who::Named("graphgc, GcVec")),
        ..target("`graph`, rewiring, `GcVec` / `Arc<RwLock<Vec>>`", "graph", Measure::Phase("rewire"), ARC, 1.0)
    },
    Target {
        ours: ("graph", Who::Named("graphgc, GcRwLock")),
        ..target("`graph`, rewiring, `GcRwLock<Vec>` / `Arc<RwLock<Vec>>`", "graph", Measure::Phase("rewire"), ARC, 1.0)
    },
    target("`graph` / Boehm", "graph", Measure::Wall, Who::Named("Boehm"), 0.9),
    target("`graph` / gc-arena", "graph", Measure::Wall, Who::Named("gc-arena"), 0.6),
    Target {
        theirs: ("shared_read_1", Who::Itself),
        ..target("`shared_read`, 2 threads / 1 thread on 1 core", "shared_read", Measure::Phase("walk"), GO, 1.0 / 0.85)
    },
    Target {
        theirs: ("churn_mt_1", Who::Itself),
        ..target("`churn_mt`, 2 threads / 1 thread on 1 core", "churn_mt", Measure::Phase("push"), GO, 1.0 / 0.85)
    },
    target("marking / Go", "mark", Measure::Phase("mark"), GO, 0.7),
    target("peak memory, `binary_trees` / Go", "binary_trees", Measure::Peak, GO, 1.0),
    target("peak memory, `binary_trees` / `Rc`", "binary_trees", Measure::Peak, RC, 2.0),
    target("peak memory, `parent_trees` / Go", "parent_trees", Measure::Peak, GO, 1.0),
    target("peak memory, `parent_trees` / `Rc`", "parent_trees", Measure::Peak, RC, 2.0),
    target("peak memory, `gcbench` / Go", "gcbench", Measure::Peak, GO, 1.0),
    target("peak memory, `gcbench` / `Rc`", "gcbench", Measure::Peak, RC, 2.0),
    target("peak memory, `list` / Go", "list", Measure::Peak, GO, 1.0),
    target("peak memory, `list` / `Rc`", "list", Measure::Peak, RC, 2.0),
    target("peak memory, `graph` / Go", "graph", Measure::Peak, GO, 1.0),
    target("peak memory, `graph` / `Rc`", "graph", Measure::Peak, RC, 2.0),
    target("peak memory, `alloc` / Go", "alloc", Measure::Peak, GO, 1.0),
    target("peak memory, `alloc` / `Rc`", "alloc", Measure::Peak, RC, 2.0),
    target("peak memory, `shared_read` / Go", "shared_read", Measure::Peak, GO, 1.0),
    target("peak memory, `churn_mt` / Go", "churn_mt", Measure::Peak, GO, 1.0),
    target("bytes for 8 / `Rc`", "bytes", Measure::Value("payload_8"), RC, 1.0),
    target("bytes for 24 / `Rc`", "bytes", Measure::Value("payload_24"), RC, 1.0),
    target("bytes for 56 / `Rc`", "bytes", Measure::Value("payload_56"), RC, 1.0),
];

/// Nanoseconds per object swept.
const SWEEP: f64 = 1.0;

impl Who {
    /// The best that is meant; `ours` is what it is compared with.
    fn among<'r>(self, results: &'r Results, program: &str, measure: Measure, ours: Option<&Runs>) -> Option<&'r Runs> {
        let rust = |name: &str| !name.starts_with("graphgc") && !["Go", "Boehm", "raw pointers"].contains(&name);
        results.lineup(program)?.best(measure, |name| match self {
            Who::Named(wanted) => name == wanted,
            Who::Ours => is_ours(name),
            Who::Rust => rust(name),
            Who::Itself => ours.is_some_and(|ours| ours.contestant == name),
        })
    }
}

/// Whether it is `graphgc` with the system's allocator, in any style.
pub(super) fn is_ours(contestant: &str) -> bool {
    contestant.starts_with("graphgc") && !contestant.ends_with("mimalloc")
}

/// A table of the targets that the results say something about.
pub(super) fn write(page: &mut String, results: &Results) {
    page.push_str("\n## Targets\n\nOurs / theirs, best style each where there are several.\n\n");
    page.push_str("| what | ours | theirs | ratio (spread) | at most | |\n| --- | --- | --- | --- | --- | --- |\n");
    for target in TARGETS {
        let ours = target.ours.1.among(results, target.ours.0, target.measure, None);
        let theirs = target.theirs.1.among(results, target.theirs.0, target.measure, ours);
        let Some((ours, theirs)) = ours.zip(theirs) else { continue };
        let Some(ratio) = ours.ratio(theirs, target.measure) else { continue };
        let (names, met) = ((&ours.contestant, &theirs.contestant), mark(ratio.median, target.at_most));
        let _ =
            writeln!(page, "| {} | {} | {} | {ratio} | {:.2} | {met} |", target.what, names.0, names.1, target.at_most);
    }
    let sweep = results.lineup("sweep").and_then(|it| it.best(Measure::Value("sweep_ns"), is_ours));
    if let Some(time) = sweep.and_then(|it| it.median(Measure::Value("sweep_ns"))) {
        let _ =
            writeln!(page, "| sweeping, ns per object | graphgc | | {time:.2} | {SWEEP:.2} | {} |", mark(time, SWEEP));
    }
}

fn mark(reached: f64, at_most: f64) -> &'static str {
    if reached <= at_most { "met" } else { "**missed**" }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ({:.2}–{:.2})", self.median, self.least, self.greatest)
    }
}
