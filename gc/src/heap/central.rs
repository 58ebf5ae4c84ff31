//! The central list of each span class: spans that no thread has in its cache.
//!
//! Spans are kept apart by the parity of the cycle they were swept for, so that S2, which makes every span unswept at
//! once, moves nothing: what was the list of swept spans is now the other parity's, the list of unswept ones.
//!
//! A span leaves a list before anyone works on it, so a span has one owner at any time. Spans with no room for another
//! object wait in `full` for the next sweep.

use super::{
    arena::PAGE_SIZE,
    kind::Kind,
    size_class::CLASS_COUNT,
    span::{Place, Span},
};
use crate::sync::{Mutex, const_fn, lock};
use std::ops::ControlFlow;

/// Span classes: a size class (0: large) of one kind.
pub(crate) const SPAN_CLASSES: usize = CLASS_COUNT * Kind::COUNT;

/// The index of a size class and kind.
#[inline]
pub(crate) const fn span_class(class: usize, kind: Kind) -> usize {
    class * Kind::COUNT + kind.index()
}

/// One span class's list.
pub(crate) struct Central(Mutex<Lists>);

struct Lists {
    partial: [SpanList; 2],
    full: [SpanList; 2],
}

/// A stack of spans linked through their records.
pub(crate) struct SpanList {
    head: *mut Span,
}

// SAFETY: records stay mapped while they are in a list; the list's owner guards the links.
unsafe impl Send for SpanList {}

impl SpanList {
    pub(crate) const fn new() -> Self {
        SpanList { head: std::ptr::null_mut() }
    }

    pub(crate) fn push(&mut self, span: &'static Span) {
        span.set_next(self.head);
        self.head = span.as_ptr();
    }

    pub(crate) fn pop(&mut self) -> Option<&'static Span> {
        // SAFETY: a span in a list is in use, so its arena is mapped.
        let span = unsafe { self.head.as_ref()? };
        self.head = span.next();
        Some(span)
    }
}

impl Central {
    const_fn! {
        pub(crate) fn new() -> Self {
            const LIST: SpanList = SpanList::new();
            Central(Mutex::new(Lists { partial: [LIST; 2], full: [LIST; 2] }))
        }
    }

    /// A span with room that has been swept for `cycle`.
    pub(crate) fn take_swept(&self, cycle: u32) -> Option<&'static Span> {
        lock(&self.0).partial[cycle as usize & 1].pop()
    }

    /// A span that has not been swept for `cycle`, those with room first.
    pub(crate) fn take_unswept(&self, cycle: u32) -> Option<&'static Span> {
        let other = cycle.wrapping_add(1) as usize & 1;
        let mut lists = lock(&self.0);
        lists.partial[other].pop().or_else(|| lists.full[other].pop())
    }

    /// Calls `f` with every span in the lists, the cycle's parity and whether it is a list of full ones, until `f` says stop.
    pub(crate) fn for_each_span(&self, mut f: impl FnMut(&'static Span, usize, bool) -> ControlFlow<()>) {
        let lists = lock(&self.0);
        for (kind, full) in [(&lists.partial, false), (&lists.full, true)] {
            for (parity, list) in kind.iter().enumerate() {
                let mut next = list.head;
                // SAFETY: a span in a list is in use, so its arena is mapped.
                while let Some(span) = unsafe { next.as_ref() } {
                    if f(span, parity, full).is_break() {
                        break;
                    }
                    next = span.next();
                }
            }
        }
    }

    /// Gives a span back; `has_room` as its owner knows it.
    pub(crate) fn give(&self, span: &'static Span, has_room: bool) {
        let parity = span.allocation_parity();
        let mut lists = lock(&self.0);
        span.set_place(Place::Central);
        if has_room { lists.partial[parity].push(span) } else { lists.full[parity].push(span) }
    }
}

/// How many slots a span of `class` has.
pub(crate) const fn slots_of(class: usize) -> usize {
    super::size_class::PAGES[class] as usize * PAGE_SIZE / super::size_class::SIZES[class] as usize
}
