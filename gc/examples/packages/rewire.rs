//! Threads that take the graph apart and put it together again, while another one reads it and the main one collects.
//!
//! Each writer has a part of the handles. Of one package after the other it takes some edges out, keeps them
//! for a while in another object, puts them back, and drops its handle. So targets are often reachable through a moving handle
//! only, and packages that nobody keeps become garbage in the middle of it. Writers also make copies of parts of the graph, in
//! cycles, and forget them. Every edge is put back where it was, so the graph is the same in the end, up to the order of edges.

use crate::{
    graph::{Edges, Package},
    index::Index,
    random::Random,
};
use graphgc::{Gc, GcCell, GcRwLock, Trace};
use std::{
    collections::HashMap,
    mem,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

/// One copy for so many packages.
const COPY_EVERY: usize = 64;
/// Packages in a copy.
const COPY_SIZE: usize = 100;
/// Packages that the reader starts from, beside the kept ones.
const READER_STARTS: usize = 16;
/// Edges after which the reader starts anew.
const WALK_LENGTH: usize = 100;

/// What the threads did.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) rewired: usize,
    pub(crate) copied: usize,
    pub(crate) followed: usize,
}

/// Edges that have been taken out.
#[derive(Trace)]
struct Parcel {
    edges: Edges,
    /// Makes a cycle.
    myself: GcCell<Option<Gc<Parcel>>>,
}

/// Lets `threads` writers go over `all`, which they drop. Fails if a reader finds what was never there.
pub(crate) fn all_at_once(
    index: &Index,
    mut all: Vec<Gc<Package>>,
    kept: &[Gc<Package>],
    threads: usize,
) -> Result<Work, String> {
    let mut random = Random::new(threads as u64);
    random.shuffle(&mut all);
    let starts: Vec<_> = kept.iter().chain(all.iter().take(READER_STARTS)).cloned().collect();
    let share = all.len().div_ceil(threads).max(1);
    let mut parts = Vec::new();
    while !all.is_empty() {
        parts.push(all.split_off(all.len().saturating_sub(share)));
    }
    drop(all);

    let writers_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| read(index, starts, &writers_done));
        let writers: Vec<_> =
            parts.into_iter().enumerate().map(|(seed, part)| scope.spawn(move || rewire(part, seed))).collect();
        while !writers.iter().all(thread::ScopedJoinHandle::is_finished) {
            graphgc::collect();
        }
        writers_done.store(true, Relaxed);
        let mut work = Work { followed: joined(reader)?, ..Work::default() };
        for writer in writers {
            let part = joined(writer)?;
            work.rewired += part.rewired;
            work.copied += part.copied;
        }
        Ok(work)
    })
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, Result<T, String>>) -> Result<T, String> {
    thread.join().unwrap_or_else(|_| Err("a thread panicked".into()))
}

fn rewire(mut part: Vec<Gc<Package>>, seed: usize) -> Result<Work, String> {
    let mut random = Random::new(seed as u64);
    let mut work = Work::default();
    while let Some(package) = part.pop() {
        let dependencies = take_out(&package.dependencies, &mut random);
        let dependents = take_out(&package.dependents, &mut random);
        if work.rewired % COPY_EVERY == 0 {
            work.copied += check_copy(&package)?;
        }
        put_back(&package.dependents, &dependents);
        put_back(&package.dependencies, &dependencies);
        work.rewired += 1;
    }
    Ok(work)
}

/// Moves a random number of edges to an object of their own.
fn take_out(edges: &Edges, random: &mut Random) -> Gc<Parcel> {
    let mut edges = edges.write();
    random.shuffle(&mut edges);
    let staying = random.below(edges.len() + 1);
    let taken = edges.split_off(staying);
    drop(edges);
    let parcel = Gc::new(Parcel { edges: GcRwLock::new(taken), myself: GcCell::new(None) });
    parcel.myself.set(Some(parcel.clone()));
    parcel
}

fn put_back(edges: &Edges, parcel: &Parcel) {
    let mut taken = mem::take(&mut *parcel.edges.write());
    edges.write().append(&mut taken);
}

/// Copies packages near `start`, looks whether the copy is one, and forgets it. Gives the number of packages in it.
fn check_copy(start: &Gc<Package>) -> Result<usize, String> {
    let (root, size) = copy(start);
    if root.name != start.name || Gc::ptr_eq(&root, start) {
        return Err(format!("the copy of `{}` is `{}`", start.name, root.name));
    }
    for dependency in root.dependencies.read().iter() {
        let back = dependency.dependents.read();
        if !Gc::ptr_eq(dependency, &root) && !back.iter().any(|package| package.name == root.name) {
            return Err(format!("nothing leads back from the copy of `{}`", dependency.name));
        }
    }
    Ok(size)
}

/// Copies up to [`COPY_SIZE`] packages, `start` first, with the edges between them, both ways.
fn copy(start: &Gc<Package>) -> (Gc<Package>, usize) {
    let root = start.namesake();
    let mut copies = HashMap::from([(start.number, root.clone())]);
    let mut originals = vec![start.clone()];
    let mut next = 0;
    while let Some(original) = originals.get(next).cloned() {
        next += 1;
        let copied = copies[&original.number].clone();
        for dependency in original.dependencies.read().iter() {
            if copies.len() < COPY_SIZE && !copies.contains_key(&dependency.number) {
                copies.insert(dependency.number, dependency.namesake());
                originals.push(dependency.clone());
            }
            if let Some(target) = copies.get(&dependency.number) {
                copied.dependencies.write().push(target.clone());
                target.dependents.write().push(copied.clone());
            }
        }
    }
    (root, originals.len())
}

/// Walks at random from `starts` on, until told to end. Gives the number of edges followed.
fn read(index: &Index, starts: Vec<Gc<Package>>, done: &AtomicBool) -> Result<usize, String> {
    let mut random = Random::new(0);
    let mut followed = 0;
    while !done.load(Relaxed) {
        let Some(mut here) = random.choose(&starts).cloned() else { break };
        for _ in 0..WALK_LENGTH {
            let upwards = random.below(4) == 0;
            let edges = if upwards { &here.dependents } else { &here.dependencies };
            let Some(there) = random.choose(&edges.read()).cloned() else { break };
            check_name(index, &there)?;
            let (from, to) = if upwards { (&there, &here) } else { (&here, &there) };
            if !index.depends(from.number, to.number) {
                return Err(format!("`{}` came to depend on `{}`", from.name, to.name));
            }
            followed += 1;
            here = there;
        }
    }
    Ok(followed)
}

fn check_name(index: &Index, package: &Package) -> Result<(), String> {
    if package.number < index.len() && package.name == *index.name(package.number) {
        Ok(())
    } else {
        Err(format!("package {} is called `{}`", package.number, package.name))
    }
}
