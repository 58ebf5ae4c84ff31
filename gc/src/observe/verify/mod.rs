//! The heap verifier: everything that the collector believes, compared with everything else it believes.
//!
//! It runs on the worker's thread, when no marker is at work and no span is being swept, with the world stopped and the dropper held
//! off (`collector::survey`). What still moves then are root counts, as handles are cloned and dropped, and the content of
//! cells that are open for writing; and a handle may end at the place of a note that is counted, so that its count stays for a while
//! (`mutator::deferred`). One check has to do with that: *A root count is at least the number of counted handles found in the heap.* The
//! cells these were found in are held until all have been compared, so that none can be moved and met twice, or dropped; handles
//! elsewhere only add to the counts. All else is exact, whatever other threads do, but that a thread may have counted what it clones where there is no entry, and
//! not taken that back yet. It does so within a few instructions, and waits for nobody in between; if there is nothing else to complain of than a missing entry the verifier looks again, until the
//! thread has had time for them.

mod links;
mod roots;
mod spans;
mod violation;

pub use violation::{Violation, ViolationKind};

use crate::{
    collector::{
        at_rest,
        survey::{Stillness, Survey},
        walk::{Flaw, Walk},
        weak_links::WEAK_LINKS,
    },
    heap::{HEAP, header::Object},
};
use roots::Entries;
use std::{
    thread::sleep,
    time::{Duration, Instant},
};
use violation::Findings;

/// Looks for damage in the heap: an empty list says that none was found.
///
/// For tests, and for whoever suspects that `unsafe` code has written where it must not, or that this crate has a bug. It checks that
///
/// - pages are divided into spans and free runs without gap or overlap, and the tree of free runs is in order;
/// - every span is in the one list or cache that it says it is in, and its bitmaps, free slots and numbers agree;
/// - the header of every object names a type that fits its span, and has a possible count;
/// - every root (an object with a handle outside the heap) has an entry in the collector's lists, and no entry is stale;
/// - every edge of every object that a root reaches leads to an object, and to one that knows of edges if nothing counts this one;
/// - the flags of every cell are consistent, and no object has more handles in cells that keep theirs counted than its root count
///   says;
/// - the table that weak handles lead through has one entry for each target, and every target is an object.
///
/// It may be called at any time, from any thread, while others use the collector: with a pin or a borrow held, from a `Drop`, during a
/// cycle. It never waits for borrows or pins that anyone holds. It allocates nothing in the collector's heap. The one place it must not be called from is a global allocator. A cell that is borrowed for writing is not
/// looked into.
///
/// Cost: **all threads that allocate or change edges stand still meanwhile**, and so do those that open cells for writing or make weak handles: some tenths of a second for a
/// million small objects. For each object it takes some 20 bytes of memory. If all that it finds are roots without an entry it looks again and again for four seconds, since a handle that is being
/// cloned may look like that for a moment.
///
/// At most a few hundred violations are listed.
///
/// # Panics
/// As for the first [`Gc::new`](crate::Gc::new): if a `GRAPHGC_` variable of the environment has an invalid value. And in the hook of a pin's
/// warning ([`Config::pin_warning_hook`](crate::Config::pin_warning_hook)), for which the collector waits.
///
/// ```
/// use graphgc::Gc;
///
/// let list: Vec<_> = (0..100).map(Gc::new).collect();
/// let violations = graphgc::verify();
/// assert!(violations.is_empty(), "{violations:?}");
/// # drop(list);
/// ```
#[must_use = "violations are only told, not acted upon"]
pub fn verify() -> Vec<Violation> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        let violations = at_rest(attempt);
        let may_pass = violations.iter().all(|violation| violation.kind == ViolationKind::RootWithoutEntry);
        if violations.is_empty() || !may_pass || begun.elapsed() > PATIENCE {
            return violations;
        }
        sleep(pause);
        pause *= 2;
    }
}

/// A thread that is cloning a handle has had a core by then.
const PATIENCE: Duration = Duration::from_secs(4);

/// Everything, unless a marker is at work.
fn attempt() -> Option<Vec<Violation>> {
    let mut findings = Findings::new();
    // Before the world stops: threads get into operations with a lock of the table held.
    let links = WEAK_LINKS.hold();
    let still = Stillness::begin()?;
    // SAFETY: everything stands still until `still` is dropped, and nothing is swept while the worker is here.
    let survey = unsafe { Survey::take() };
    let entries = Entries::collect();
    spans::check(&survey, &still, &mut findings);
    entries.check(&survey, &mut findings);
    Entries::check_vacant(&survey, &mut findings);
    entries.check_roots(&survey, &mut findings);
    check_edges(&survey, &mut findings);
    links::check(&links, &survey, &mut findings);
    drop((survey, still, links));
    let mut violations = findings.into_violations();
    violations.extend(HEAP.pages.check().into_iter().map(Violation::of_pages));
    Some(violations)
}

/// Walks from the roots.
fn check_edges(survey: &Survey, findings: &mut Findings) {
    let mut flaw = |owner: Object, flaw: Flaw| match flaw {
        Flaw::Dangling(target) => findings.about(ViolationKind::DanglingEdge, owner, target, 0),
        Flaw::Flags(cell) => findings.about(ViolationKind::CellFlags, owner, cell, 0),
        Flaw::ClaimedInCounted(cell) => findings.about(ViolationKind::ClaimedInCounted, owner, cell, 0),
        Flaw::Unshared(target) => findings.about(ViolationKind::UnsharedTarget, owner, target, 0),
    };
    let mut walk = Walk::new(survey, &mut flaw).counting();
    // SAFETY: the survey's conditions still hold.
    unsafe { walk.run() };
    let mut low = crate::heap::os_vec::OsVec::new();
    walk.for_each_counted(|object, handles| {
        // SAFETY: the walk found it to be an object.
        let count = unsafe { object.roots() }.look().count.max(0) as usize;
        if count < handles {
            low.push((object, count, handles));
        }
    });
    drop(walk);
    low.iter().for_each(|&(object, count, handles)| findings.about(ViolationKind::CountTooLow, object, count, handles));
}
