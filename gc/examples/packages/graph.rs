//! The packages as objects that lead to each other.

use crate::index::Index;
use graphgc::{Gc, GcRwLock, Trace};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Edges that can change while others read them.
pub(crate) type Edges = GcRwLock<Vec<Gc<Package>>>;

/// A node of the graph.
#[derive(Trace)]
pub(crate) struct Package {
    pub(crate) number: usize,
    pub(crate) name: Arc<str>,
    pub(crate) dependencies: Edges,
    /// Packages that depend on this one; none unless the graph leads both ways.
    pub(crate) dependents: Edges,
    counted: Counted,
}

impl Package {
    fn new(number: usize, name: &Arc<str>, census: &Arc<Census>) -> Gc<Package> {
        Gc::new(Package {
            number,
            name: name.clone(),
            dependencies: GcRwLock::default(),
            dependents: GcRwLock::default(),
            counted: census.count(),
        })
    }

    /// Another package of the same name, with no edges yet, in the same census.
    pub(crate) fn namesake(&self) -> Gc<Package> {
        Package::new(self.number, &self.name, &self.counted.census)
    }
}

/// Counts packages that were made and packages that were dropped. What the collector has not freed is live.
pub(crate) struct Census {
    made: AtomicUsize,
    dropped: AtomicUsize,
}

impl Census {
    pub(crate) fn begin() -> Arc<Self> {
        Arc::new(Census { made: AtomicUsize::new(0), dropped: AtomicUsize::new(0) })
    }

    fn count(self: &Arc<Self>) -> Counted {
        self.made.fetch_add(1, Relaxed);
        Counted { census: self.clone() }
    }

    pub(crate) fn dropped(&self) -> usize {
        self.dropped.load(Relaxed)
    }

    pub(crate) fn live(&self) -> usize {
        self.made.load(Relaxed) - self.dropped()
    }
}

/// The field of a package by which its end is noticed.
#[derive(Trace)]
#[trace(leaf)]
struct Counted {
    census: Arc<Census>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.census.dropped.fetch_add(1, Relaxed);
    }
}

/// Makes a package of every line of the index.
pub(crate) fn build(index: &Index, both_ways: bool, census: &Arc<Census>) -> Vec<Gc<Package>> {
    let all: Vec<_> = (0..index.len()).map(|number| Package::new(number, index.name(number), census)).collect();
    let handles = |numbers: &[usize]| numbers.iter().map(|&number| all[number].clone()).collect();
    for package in &all {
        *package.dependencies.write() = handles(index.dependencies(package.number));
    }
    if both_ways {
        for (package, dependents) in all.iter().zip(index.dependents()) {
            *package.dependents.write() = handles(&dependents);
        }
    }
    all
}
