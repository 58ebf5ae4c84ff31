//! What cells cost, each beside its counterpart in std, and the collector's own work.
//!
//! `cargo bench -p graphgc-benches --bench cells`.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use graphgc::{Gc, GcCell, GcMutex, GcRefCell, GcRwLock, Trace, collect};
use std::{
    cell::{Cell, RefCell},
    hint::black_box,
    rc::Rc,
    sync::{Arc, RwLock},
};

#[derive(Trace)]
struct Cells {
    edge: GcCell<Option<Gc<u64>>>,
    list: GcRefCell<Vec<Gc<u64>>>,
    locked: GcMutex<Vec<Gc<u64>>>,
    shared: GcRwLock<Vec<Gc<u64>>>,
}

fn handles(length: usize) -> Vec<Gc<u64>> {
    (0..length as u64).map(Gc::new).collect()
}

fn cells(length: usize) -> Gc<Cells> {
    Gc::new(Cells {
        edge: GcCell::new(Some(Gc::new(7))),
        list: GcRefCell::new(handles(length)),
        locked: GcMutex::new(handles(length)),
        shared: GcRwLock::new(handles(length)),
    })
}

fn edges(c: &mut Criterion) {
    let (ours, target) = (cells(1), Gc::new(8u64));
    let (theirs, other) = (Cell::new(Some(Rc::new(7u64))), Rc::new(8u64));
    let shared = RwLock::new(Some(Arc::new(7u64)));
    let mut group = c.benchmark_group("replace an edge");
    group.bench_function("GcCell::replace", |b| b.iter(|| black_box(&ours).edge.replace(Some(target.clone()))));
    group.bench_function("Cell<Option<Rc>>::replace", |b| b.iter(|| black_box(&theirs).replace(Some(other.clone()))));
    group.bench_function("RwLock<Option<Arc>>, replaced", |b| {
        b.iter(|| black_box(&shared).write().unwrap().replace(Arc::new(8)));
    });
    group.finish();
    let mut group = c.benchmark_group("take an edge and put it back");
    group.bench_function("GcCell", |b| b.iter(|| ours.edge.set(black_box(&ours).edge.take())));
    group.bench_function("Cell<Option<Rc>>", |b| b.iter(|| theirs.set(black_box(&theirs).take())));
    group.finish();
    let mut group = c.benchmark_group("read through a handle");
    let arc = Arc::new(7u64);
    group.bench_function("Gc", |b| b.iter(|| **black_box(&target)));
    group.bench_function("Arc", |b| b.iter(|| **black_box(&arc)));
    group.finish();
}

fn weak_handles(c: &mut Criterion) {
    let (ours, theirs) = (Gc::new(7u64), Arc::new(7u64));
    let (weak, their_weak) = (Gc::downgrade(&ours), Arc::downgrade(&theirs));
    let mut group = c.benchmark_group("upgrade a weak handle and drop");
    group.bench_function("Gc", |b| b.iter(|| black_box(&weak).upgrade()));
    group.bench_function("Arc", |b| b.iter(|| black_box(&their_weak).upgrade()));
    group.finish();
}

fn locks(c: &mut Criterion) {
    let (ours, theirs) = (cells(1), RwLock::new(vec![Arc::new(7u64)]));
    let mut group = c.benchmark_group("lock for reading and writing");
    group.bench_function("GcRwLock::read", |b| b.iter(|| *black_box(&ours).shared.read()[0]));
    group.bench_function("RwLock::read", |b| b.iter(|| *black_box(&theirs).read().unwrap()[0]));
    group.bench_function("GcRwLock::write", |b| b.iter(|| black_box(&ours).shared.write().len()));
    group.bench_function("RwLock::write", |b| b.iter(|| black_box(&theirs).write().unwrap().len()));
    group.finish();
}

/// The first write after a cycle walks over the content.
fn first_writes(c: &mut Criterion) {
    for length in [1, 1000] {
        let ours = cells(length);
        let theirs = RefCell::new((0..length as u64).map(Rc::new).collect::<Vec<_>>());
        let mut group = c.benchmark_group(format!("first write after a cycle, {length} handles"));
        let cycle = || drop(collect());
        group.bench_function("GcRefCell", |b| {
            b.iter_batched(cycle, |()| black_box(&ours).list.borrow_mut().len(), BatchSize::PerIteration);
        });
        group.bench_function("GcMutex", |b| {
            b.iter_batched(cycle, |()| black_box(&ours).locked.lock().len(), BatchSize::PerIteration);
        });
        group.bench_function("GcRwLock", |b| {
            b.iter_batched(cycle, |()| black_box(&ours).shared.write().len(), BatchSize::PerIteration);
        });
        group.bench_function("RefCell", |b| {
            b.iter_batched(|| (), |()| black_box(&theirs).borrow_mut().len(), BatchSize::PerIteration);
        });
        group.finish();
    }
}

fn collections(c: &mut Criterion) {
    let mut group = c.benchmark_group("collect()");
    group.sample_size(10);
    group.bench_function("next to nothing alive", |b| b.iter(collect));
    let kept = Gc::new(handles(1_000_000));
    group.bench_function("a million objects alive", |b| b.iter(collect));
    drop(kept);
    collect();
    group.bench_function("a hundred thousand objects dead", |b| {
        b.iter_batched(|| drop(handles(100_000)), |()| collect(), BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, edges, weak_handles, locks, first_writes, collections);
criterion_main!(benches);
