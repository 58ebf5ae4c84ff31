//! Allocation by size and by what the type holds, beside `Box`, `Rc` and `Arc`. The cost is whole: cycles run as they do in a program, and each
//! value is dropped.

use criterion::{BenchmarkGroup, Criterion, criterion_group, measurement::WallTime};
use graphgc::{Gc, GcCell, GcMutex, GcRefCell, Trace, pin};
use std::{cell::RefCell, hint::black_box, rc::Rc, sync::Arc};

fn of_size<const WORDS: usize>(c: &mut Criterion) {
    let mut group = c.benchmark_group(format!("allocate and drop {} bytes", 8 * WORDS));
    group.bench_function("Gc", |b| b.iter(|| Gc::new(black_box([1u64; WORDS]))));
    group.bench_function("Box", |b| b.iter(|| Box::new(black_box([1u64; WORDS]))));
    group.bench_function("Rc", |b| b.iter(|| Rc::new(black_box([1u64; WORDS]))));
    group.bench_function("Arc", |b| b.iter(|| Arc::new(black_box([1u64; WORDS]))));
    let mut guard = pin();
    group.bench_function("Guard::alloc", |b| {
        b.iter(|| {
            black_box(guard.alloc(black_box([1u64; WORDS])));
            guard.repin();
        });
    });
    group.finish();
}

fn sizes(c: &mut Criterion) {
    of_size::<1>(c);
    of_size::<3>(c);
    of_size::<7>(c);
    of_size::<31>(c);
    of_size::<255>(c);
    of_size::<8192>(c);
}

/// Something whose end is noticed.
struct Loud(u64);

impl Drop for Loud {
    fn drop(&mut self) {
        black_box(self.0);
    }
}

#[derive(Trace)]
struct Holder(#[trace(leaf)] Loud);

/// A field of a kind, as users have it.
#[derive(Trace)]
struct With<T>(T);

fn pair<T: Trace, R>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    ours: impl Fn() -> T,
    theirs: impl Fn() -> R,
) {
    group.bench_function(format!("Gc of {name}"), |b| b.iter(|| Gc::new(With(ours()))));
    group.bench_function(format!("Rc of {name}"), |b| b.iter(|| Rc::new(theirs())));
}

fn kinds(c: &mut Criterion) {
    let mut group = c.benchmark_group("allocate and drop, by what the type holds");
    let (gc, rc) = (Gc::new(7u64), Rc::new(7u64));
    pair(&mut group, "a number", || 7u64, || 7u64);
    pair(&mut group, "a handle", || gc.clone(), || rc.clone());
    pair(&mut group, "four handles", || [(); 4].map(|()| gc.clone()), || [(); 4].map(|()| rc.clone()));
    pair(&mut group, "an empty cell", || GcCell::new(None::<Gc<u64>>), || RefCell::new(None::<Rc<u64>>));
    pair(&mut group, "a full cell", || GcCell::new(Some(gc.clone())), || RefCell::new(Some(rc.clone())));
    pair(
        &mut group,
        "an empty vector in a cell",
        || GcRefCell::new(Vec::<Gc<u64>>::new()),
        || RefCell::new(Vec::<Rc<u64>>::new()),
    );
    pair(&mut group, "a number in a mutex", || GcMutex::new(7), || std::sync::Mutex::new(7));
    pair(&mut group, "a string", || String::from("seven"), || String::from("seven"));
    pair(&mut group, "a value with a drop", || Holder(Loud(7)), || Loud(7));
    group.finish();
}

criterion_group!(benches, sizes, kinds);
