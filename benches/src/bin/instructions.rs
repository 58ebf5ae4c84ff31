//! A guard on what the hot operations cost, in instructions, which unlike times are repeatable on a busy machine.
//!
//! `cargo run --release -p graphgc-benches --bin instructions` counts them with valgrind's callgrind and fails if one takes more than
//! `benches/instructions.txt` allows. Each operation is a run of this same binary, twice, one with twice as many operations; the difference is theirs
//! alone. No cycle runs meanwhile.

use graphgc::{Config, Gc, GcCell, GcMutex, GcRefCell, GcRefVec, GcVec, Guard, Trace, pin};
use std::{
    env, fs,
    hint::black_box,
    process::{Command, ExitCode},
    sync::Arc,
    time::Duration,
};

const LIMITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.txt");
const TIMES: u64 = 40_000;

#[derive(Trace)]
struct Tree {
    _children: [Option<Gc<Tree>>; 2],
}

#[derive(Trace, Default)]
struct Node {
    next: GcCell<Option<Gc<Node>>>,
    list: GcRefCell<Vec<u64>>,
    number: GcMutex<u64>,
    edges: GcRefVec<Gc<Node>>,
    shared: GcVec<Gc<Node>>,
}

/// A node whose edges lead to itself.
fn ring() -> Gc<Node> {
    let node = Gc::new(Node::default());
    node.next.set(Some(node.clone()));
    node.edges.push(node.clone());
    node.shared.push(node.clone());
    node
}

fn repeat(times: u64, mut operation: impl FnMut()) {
    for _ in 0..times {
        operation();
    }
}

/// Runs each on a pinned thread.
fn pinned(times: u64, operation: impl Fn(&Gc<Node>, &Guard)) {
    let (node, guard) = (ring(), pin());
    repeat(times, || operation(black_box(&node), &guard));
}

fn on_ring(times: u64, operation: impl Fn(&Gc<Node>)) {
    let node = ring();
    repeat(times, || operation(black_box(&node)));
}

/// The operations, with their names in the file of limits.
type Operation = fn(u64);
const OPERATIONS: &[(&str, Operation)] = &[
    ("Gc::new_32_bytes_and_drop", |times| repeat(times, || drop(black_box(Gc::new(black_box([1u64; 4])))))),
    ("Arc::new_32_bytes_and_drop", |times| repeat(times, || drop(black_box(Arc::new(black_box([1u64; 4])))))),
    ("Gc::new_32_bytes_in_the_place_of_the_64th_last", |times| {
        let mut held: [_; 64] = std::array::from_fn(|_| Gc::new([1u64; 4]));
        let mut place = 0;
        repeat(times, || {
            held[place % 64] = black_box(Gc::new(black_box([1u64; 4])));
            place += 1;
        });
    }),
    ("Gc::new_with_two_new_children", |times| {
        repeat(times, || {
            let child = || Some(Gc::new(Tree { _children: [None, None] }));
            drop(black_box(Gc::new(Tree { _children: [child(), child()] })));
        });
    }),
    ("Gc::new_with_a_new_child_in_a_cell", |times| {
        repeat(times, || drop(black_box(Gc::new(GcCell::new(Some(Gc::new(black_box(7u64))))))));
    }),
    ("Gc::new_with_empty_cell", |times| repeat(times, || drop(black_box(Gc::new(GcCell::new(None::<Gc<u64>>)))))),
    ("Gc::clone_and_drop", |times| {
        let object = Gc::new(7u64);
        repeat(times, || drop(black_box(Gc::clone(black_box(&object)))));
    }),
    ("Arc::clone_and_drop", |times| {
        let object = Arc::new(7u64);
        repeat(times, || drop(black_box(Arc::clone(black_box(&object)))));
    }),
    ("Gc::deref", |times| {
        let object = Gc::new(7u64);
        repeat(times, || _ = black_box(**black_box(&object)));
    }),
    ("Arc::deref", |times| {
        let object = Arc::new(7u64);
        repeat(times, || _ = black_box(**black_box(&object)));
    }),
    ("GcCell::get", |times| on_ring(times, |node| drop(black_box(node.next.get())))),
    ("GcCell::set", |times| on_ring(times, |node| node.next.set(Some(Gc::clone(node))))),
    ("GcCell::replace", |times| on_ring(times, |node| drop(black_box(node.next.replace(Some(Gc::clone(node))))))),
    ("GcRefCell::borrow", |times| on_ring(times, |node| _ = black_box(node.list.borrow().len()))),
    ("GcRefCell::borrow_mut", |times| on_ring(times, |node| _ = black_box(node.list.borrow_mut().len()))),
    ("GcRefVec::get", |times| on_ring(times, |node| drop(black_box(node.edges.get(0))))),
    ("GcRefVec::load", |times| pinned(times, |node, guard| _ = black_box(node.edges.load(0, guard)))),
    ("GcRefVec::store", |times| pinned(times, |node, guard| node.edges.store(0, node.local(guard), guard))),
    ("GcVec::len", |times| on_ring(times, |node| _ = black_box(node.shared.len()))),
    ("GcVec::load", |times| pinned(times, |node, guard| _ = black_box(node.shared.load(0, guard)))),
    ("GcVec::store", |times| pinned(times, |node, guard| node.shared.store(0, node.local(guard), guard))),
    ("GcMutex::lock", |times| on_ring(times, |node| *node.number.lock() += 1)),
    ("pin", |times| repeat(times, || drop(black_box(pin())))),
    ("pinned_step", |times| {
        let (node, guard) = (ring(), pin());
        let mut step = node.local(&guard);
        repeat(times, || step = black_box(graphgc::Local::get(step).next.load(&guard).unwrap()));
    }),
    ("pinned_store", |times| pinned(times, |node, guard| node.next.store(Some(node.local(guard)), guard))),
    ("Guard::alloc_32_bytes", |times| {
        let mut guard = pin();
        repeat(times, || {
            black_box(guard.alloc(black_box([1u64; 4])));
            guard.repin();
        });
    }),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some(name) = arguments.first() else { return check() };
    let (_, operation) = OPERATIONS.iter().find(|it| it.0 == name).expect("an operation that there is");
    Config::new().min_heap(8 << 30).period(Duration::MAX).install().expect("the first use of the collector");
    operation(arguments[1].parse().expect("how often"));
    ExitCode::SUCCESS
}

fn check() -> ExitCode {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("instructions are not counted: valgrind is not installed");
        return ExitCode::SUCCESS;
    }
    let limits = fs::read_to_string(LIMITS).expect("the file of limits");
    let limits: Vec<(&str, f64)> = limits.lines().filter(|line| !line.starts_with('#')).map(limit).collect();
    assert!(
        limits.iter().map(|it| it.0).eq(OPERATIONS.iter().map(|it| it.0)),
        "the limits are not of the operations, in their order"
    );
    let mut too_many = 0;
    for (name, limit) in limits {
        let each = (instructions(name, 2 * TIMES) - instructions(name, TIMES)) as f64 / TIMES as f64;
        let verdict = if each > limit { "TOO MANY" } else { "ok" };
        println!("{name}: {each:.1} instructions, at most {limit}: {verdict}");
        too_many += usize::from(each > limit);
    }
    if too_many > 0 {
        println!("{too_many} operations take more instructions than benches/instructions.txt allows");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn limit(line: &str) -> (&str, f64) {
    let (name, limit) = line.split_once(' ').expect("a name and a number");
    (name, limit.trim().parse().expect("a number"))
}

/// What callgrind counts in a run.
fn instructions(operation: &str, times: u64) -> u64 {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(env::current_exe().expect("a path"));
    let output = valgrind.args([operation, &times.to_string()]).output().expect("valgrind runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let counted = text.lines().find_map(|line| line.split_once("Collected :")).expect("what callgrind has counted").1;
    counted.trim().parse().expect("a number")
}
