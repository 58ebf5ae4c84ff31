//! What the single operations cost, each beside what a user would take instead.
//!
//! `cargo bench -p graphgc-benches`. Times on a shared machine are noisy: compare the pairs of one run, not runs.

use criterion::{Criterion, criterion_group, criterion_main};
use graphgc::{Gc, GcCell, GcMutex, GcRefCell, Trace};
use std::{
    cell::RefCell,
    hint::black_box,
    rc::Rc,
    sync::{Arc, Mutex},
};

#[derive(Trace)]
struct Tree {
    _left: Option<Gc<Tree>>,
    _right: Option<Gc<Tree>>,
}

fn tree(depth: u32) -> Gc<Tree> {
    let child = || (depth > 0).then(|| tree(depth - 1));
    Gc::new(Tree { _left: child(), _right: child() })
}

struct RcTree {
    _left: Option<Rc<RcTree>>,
    _right: Option<Rc<RcTree>>,
}

fn rc_tree(depth: u32) -> Rc<RcTree> {
    let child = || (depth > 0).then(|| rc_tree(depth - 1));
    Rc::new(RcTree { _left: child(), _right: child() })
}

fn allocation(c: &mut Criterion) {
    let mut group = c.benchmark_group("allocate 24 bytes and drop");
    group.bench_function("Gc", |b| b.iter(|| Gc::new(black_box([1u64; 3]))));
    group.bench_function("Arc", |b| b.iter(|| Arc::new(black_box([1u64; 3]))));
    group.bench_function("Box", |b| b.iter(|| Box::new(black_box([1u64; 3]))));
    group.finish();
    let mut group = c.benchmark_group("build and drop a tree of 8191 nodes");
    group.bench_function("Gc", |b| b.iter(|| tree(black_box(12))));
    group.bench_function("Rc", |b| b.iter(|| rc_tree(black_box(12))));
    group.finish();
}

fn clone_and_drop(c: &mut Criterion) {
    let mut group = c.benchmark_group("clone and drop");
    let (gc, arc) = (Gc::new(1), Arc::new(1));
    group.bench_function("Gc", |b| b.iter(|| black_box(&gc).clone()));
    group.bench_function("Arc", |b| b.iter(|| black_box(&arc).clone()));
    group.finish();
}

#[derive(Trace)]
struct Cells {
    edge: GcCell<Option<Gc<u64>>>,
    list: GcRefCell<Vec<Gc<u64>>>,
    shared: GcMutex<u64>,
}

fn cells(c: &mut Criterion) {
    let target = Gc::new(7u64);
    let cells = Gc::new(Cells {
        edge: GcCell::new(Some(target.clone())),
        list: GcRefCell::new(vec![target.clone()]),
        shared: GcMutex::new(0),
    });
    let arc = Arc::new(7u64);
    let mutex = Mutex::new(Some(arc.clone()));
    let mut group = c.benchmark_group("read an edge");
    group.bench_function("GcCell::get", |b| b.iter(|| black_box(&cells).edge.get()));
    group.bench_function("Mutex<Option<Arc>>, cloned", |b| b.iter(|| black_box(&mutex).lock().unwrap().clone()));
    group.finish();
    let mut group = c.benchmark_group("change an edge");
    group.bench_function("GcCell::set", |b| b.iter(|| black_box(&cells).edge.set(Some(target.clone()))));
    group.bench_function("Mutex<Option<Arc>>", |b| b.iter(|| *black_box(&mutex).lock().unwrap() = Some(arc.clone())));
    group.finish();
    let list = RefCell::new(vec![Rc::new(7u64)]);
    let mut group = c.benchmark_group("borrow");
    group.bench_function("GcRefCell::borrow", |b| b.iter(|| *black_box(&cells).list.borrow()[0]));
    group.bench_function("RefCell::borrow", |b| b.iter(|| *black_box(&list).borrow()[0]));
    group.bench_function("GcRefCell::borrow_mut", |b| b.iter(|| black_box(&cells).list.borrow_mut().len()));
    group.bench_function("RefCell::borrow_mut", |b| b.iter(|| black_box(&list).borrow_mut().len()));
    group.finish();
    let number = Mutex::new(0u64);
    let mut group = c.benchmark_group("lock");
    group.bench_function("GcMutex", |b| b.iter(|| *black_box(&cells).shared.lock() += 1));
    group.bench_function("Mutex", |b| b.iter(|| *black_box(&number).lock().unwrap() += 1));
    group.finish();
}

fn collection(c: &mut Criterion) {
    c.bench_function("collect() with next to nothing alive", |b| b.iter(graphgc::collect));
}

criterion_group!(benches, allocation, clone_and_drop, cells, collection);
criterion_main!(benches);
