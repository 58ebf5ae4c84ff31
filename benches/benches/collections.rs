//! What changing a large collection of edges costs, with the collector off, with its barriers on and with it at work, each beside its counterpart in std.
//!
//! `cargo bench -p graphgc-benches --bench collections`.

use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};
use graphgc::{
    Gc, GcMap, GcVec, collect,
    testing::{MarkingHeld, is_marking, request_cycle},
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

const LARGE: u64 = 1_000_000;

/// Keys of the entries that come and go.
const NEW: u64 = 1 << 40;

/// Times `change`, and takes back what it has changed.
fn timed(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, change: impl Fn(u64), undo: impl Fn(u64)) {
    group.bench_function(name, |b| {
        b.iter_custom(|turns| {
            let start = Instant::now();
            (0..turns).for_each(&change);
            let time: Duration = start.elapsed();
            undo(turns);
            time
        });
    });
}

/// Runs `body` while a cycle is marking that does not end.
fn while_marking(body: impl FnOnce()) {
    let _held = MarkingHeld::new();
    request_cycle();
    while !is_marking() {
        thread::yield_now();
    }
    body();
}

/// Runs `body` while one cycle follows another.
fn while_collecting(body: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                collect();
            }
        });
        body();
        stop.store(true, Relaxed);
    });
}

fn vectors(c: &mut Criterion) {
    let target = Gc::new(7u64);
    let ours = Gc::new(GcVec::from(vec![target.clone(); LARGE as usize]));
    let mut group = c.benchmark_group("push to a million edges");
    let mut push = |name: &str| {
        timed(&mut group, name, |_| ours.push(target.clone()), |_| ours.truncate(LARGE as usize));
    };
    collect();
    push("GcVec");
    while_marking(|| push("GcVec, marking"));
    while_collecting(|| push("GcVec, collector at work"));
    drop(ours);
    let arc = Arc::new(7u64);
    let theirs = Mutex::new(vec![arc.clone(); LARGE as usize]);
    let undo = |_| theirs.lock().unwrap().truncate(LARGE as usize);
    timed(&mut group, "Mutex<Vec<Arc>>", |_| theirs.lock().unwrap().push(arc.clone()), undo);
    let theirs = RwLock::new(theirs.into_inner().unwrap());
    let undo = |_| theirs.write().unwrap().truncate(LARGE as usize);
    timed(&mut group, "RwLock<Vec<Arc>>", |_| theirs.write().unwrap().push(arc.clone()), undo);
    group.finish();
}

fn maps(c: &mut Criterion) {
    let target = Gc::new(7u64);
    let ours: Gc<GcMap<u64, _>> = Gc::new((0..LARGE).map(|key| (key, target.clone())).collect());
    let mut group = c.benchmark_group("insert into a million entries");
    let mut insert = |name: &str| {
        let insert = |turn| drop(ours.insert(NEW + turn, target.clone()));
        timed(&mut group, name, insert, |turns| (0..turns).for_each(|turn| drop(ours.remove(&(NEW + turn)))));
    };
    collect();
    insert("GcMap");
    while_marking(|| insert("GcMap, marking"));
    while_collecting(|| insert("GcMap, collector at work"));
    let arc = Arc::new(7u64);
    let theirs = Mutex::new((0..LARGE).map(|key| (key, arc.clone())).collect::<HashMap<_, _>>());
    let insert = |turn| drop(theirs.lock().unwrap().insert(NEW + turn, arc.clone()));
    let undo = |turns| (0..turns).for_each(|turn| drop(theirs.lock().unwrap().remove(&(NEW + turn))));
    timed(&mut group, "Mutex<HashMap<u64, Arc>>", insert, undo);
    let theirs = RwLock::new(theirs.into_inner().unwrap());
    let insert = |turn| drop(theirs.write().unwrap().insert(NEW + turn, arc.clone()));
    let undo = |turns| (0..turns).for_each(|turn| drop(theirs.write().unwrap().remove(&(NEW + turn))));
    timed(&mut group, "RwLock<HashMap<u64, Arc>>", insert, undo);
    group.finish();
    let mut group = c.benchmark_group("look up among a million entries");
    let mut key = 0;
    let mut next = || {
        key = (key + 7_368_787) % LARGE;
        key
    };
    group.bench_function("GcMap::get", |b| b.iter(|| ours.get(&next())));
    group.bench_function("RwLock<HashMap<u64, Arc>>", |b| b.iter(|| theirs.read().unwrap().get(&next()).cloned()));
    group.finish();
}

criterion_group!(benches, vectors, maps);
criterion_main!(benches);
