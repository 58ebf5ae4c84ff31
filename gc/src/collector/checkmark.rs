//! Checkmark mode: at S2, with the world still stopped, marks a second time from scratch and ends the process if the concurrent marker has
//! missed an object.
//!
//! What is claimed: every object with root count > 0, and every object that such a one leads to, through claimed and counted edges, is marked. It
//! holds at S2 whatever threads do that are not in an operation:
//!
//! - *Clones.* One that is being made may have been counted, and not shaded yet: the handle that it is made of leads there.
//!   Counts up that were deferred are made first, of objects that were shaded when they were noted.
//! - *Drops.* A count may be read as 1 just before it becomes 0. A handle existed when it was read, with the world stopped: the object was reachable at S2.
//!   Or it ended at the place of a note that had just been counted (`mutator::deferred`), with the world stopped, too.
//! - *Handles that move.* Handles on stacks and in cells that are open for writing are counted wherever they are: their targets are roots. Cells open for
//!   writing are not looked into, and no other becomes one while it is (`collector::walk`); opening claimed content needs an operation.
//! - *Objects being born.* They are black, and traced only if a root leads to them, which it does when they are whole. Unused slots that a thread has bought are black, too, and
//!   no objects.
//! - *The dead.* What waits for the dropper is no root. Counted handles in it make roots, which the marker has seen as such.
//!
//! What it cannot see: objects that only a pin leads to.

use super::{
    dropper::DROPPER,
    survey::{Survey, type_in},
    walk::{Flaw, Walk},
};
use crate::{
    heap::{header::Object, os_vec::OsVec},
    mutator::record::{WORLD, settle_all},
};
use std::{fmt::Write as _, io::Write as _};

/// Missed objects that are told of, and objects on the way to each.
const MOST_TOLD: usize = 5;
const LONGEST_WAY: usize = 20;

/// Compares. At S2, with the world stopped and before the roles of the bitmaps change.
#[cold]
pub(super) fn check() {
    let dropper = DROPPER.pause();
    // SAFETY: the world is stopped.
    unsafe { settle_all() };
    // SAFETY: the world is stopped, the dropper paused, and sweeping has not begun.
    let survey = unsafe { Survey::take() };
    let mut flaws = OsVec::new();
    let mut flaw = |owner: Object, flaw: Flaw| flaws.push((describe(&survey, owner), flaw));
    let mut walk = Walk::new(&survey, &mut flaw);
    // SAFETY: as above.
    let reached = unsafe { walk.run() };
    let mut missed = Missed::default();
    walk.for_each_reached(|object, index| {
        if !is_marked(&survey, object) {
            missed.add(&survey, &walk, index);
        }
    });
    drop(walk);
    drop(dropper);
    if missed.total > 0 || !flaws.is_empty() {
        // Threads may go on: one of them may hold the lock of stderr. Nothing is freed before sweeping begins, which is never.
        WORLD.resume();
        report(&missed, reached, &flaws);
        std::process::abort();
    }
}

fn is_marked(survey: &Survey, object: Object) -> bool {
    survey.object_at(object.address()).is_some_and(|span| span.is_marked(object.address()))
}

/// An object as the report names it.
#[derive(Clone, Copy)]
struct Named {
    address: usize,
    type_name: &'static str,
    roots: i32,
    marked: bool,
}

fn describe(survey: &Survey, object: Object) -> Named {
    // SAFETY: the walk has found it to be an object.
    let info = survey.object_at(object.address()).and_then(|span| unsafe { type_in(span, object) });
    // SAFETY: as above.
    let roots = unsafe { object.roots() }.look().count;
    let type_name = info.map_or("of no type that belongs there", |info| info.name());
    Named { address: object.address(), type_name, roots, marked: is_marked(survey, object) }
}

/// The missed objects: those whose predecessor was not missed are told of.
struct Missed {
    total: usize,
    /// Ways, one after the other, each from a missed object to its root.
    told: OsVec<Named>,
    lengths: OsVec<usize>,
}

impl Default for Missed {
    fn default() -> Self {
        Missed { total: 0, told: OsVec::new(), lengths: OsVec::new() }
    }
}

impl Missed {
    fn add(&mut self, survey: &Survey, walk: &Walk<'_>, index: usize) {
        self.total += 1;
        let (mut length, mut behind_another) = (0, false);
        walk.for_each_on_the_way(index, |object| {
            behind_another |= length == 1 && !is_marked(survey, object);
            length += 1;
        });
        if behind_another || self.lengths.len() == MOST_TOLD {
            return;
        }
        walk.for_each_on_the_way(index, |object| self.told.push(describe(survey, object)));
        self.lengths.push(length);
    }
}

#[cold]
fn report(missed: &Missed, reached: usize, flaws: &[(Named, Flaw)]) {
    let mut text = String::new();
    _ = writeln!(text, "graphgc: checkmark: the marker missed {} of {reached} reachable objects", missed.total);
    let mut rest = &missed.told[..];
    for &length in missed.lengths.iter() {
        let (way, others) = rest.split_at(length);
        rest = others;
        tell_way(&mut text, way);
    }
    for (owner, flaw) in flaws.iter().take(MOST_TOLD) {
        _ = writeln!(text, "graphgc:   {owner}: {flaw:x?}");
    }
    // Not by `eprint`: that panics if nobody reads the report, and a panic would keep the process from ending.
    _ = std::io::stderr().write_all(text.as_bytes());
}

fn tell_way(text: &mut String, way: &[Named]) {
    let [missed, before @ ..] = way else { return };
    _ = writeln!(text, "graphgc:   missed: {missed}");
    for (distance, object) in before.iter().enumerate() {
        if distance >= LONGEST_WAY && distance + 1 < before.len() {
            continue;
        }
        if distance > LONGEST_WAY {
            _ = writeln!(text, "graphgc:     ... {} more ...", distance - LONGEST_WAY);
        }
        _ = writeln!(text, "graphgc:     held by {object}");
    }
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Named { address, type_name, roots, marked } = self;
        let marked = if *marked { "marked" } else { "not marked" };
        write!(f, "{type_name} at {address:#x}, {marked}, root count {roots}")
    }
}
