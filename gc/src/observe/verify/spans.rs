//! Spans: their records, bitmaps, headers and places, and the sums over all of them.

use super::violation::{Findings, ViolationKind as Kind};
use crate::{
    collector::survey::{Stillness, Survey, begins_slot, type_in},
    heap::{
        HEAP,
        arena::PAGE_SIZE,
        central::{SPAN_CLASSES, slots_of, span_class},
        header::Object,
        kind::{DropKind, Kind as ObjectKind},
        os_vec::OsVec,
        size_class::{CLASS_COUNT, PAGES, SIZES},
        span::{Place, Span},
    },
    mutator::record::{WORLD, records},
    sync::Ordering::Relaxed,
};
use std::ops::ControlFlow;

/// One list, cache or queue that has a span.
#[derive(Clone, Copy)]
struct Holder {
    span: *const Span,
    place: Place,
    span_class: Option<usize>,
    full: bool,
}

/// Checks every span in use, and what is in it.
pub(super) fn check(survey: &Survey, still: &Stillness, findings: &mut Findings) {
    let holders = holders(survey, still, findings);
    let (mut objects, mut bytes) = (0, 0);
    for span in survey.spans() {
        if !has_shape(span) {
            findings.about_span(Kind::SpanShape, span, span.class(), span.slots());
            continue;
        }
        let taken = span.count_bits(span.allocation_parity());
        objects += taken;
        bytes += taken * span.object_bytes();
        check_place(span, &holders, taken, findings);
        check_bitmaps(span, findings);
        check_headers(survey, span, findings);
    }
    let account = &HEAP.account;
    let (mut told_objects, mut told_bytes) = (account.used_objects(), account.used_bytes());
    // SAFETY: the world is stopped.
    for untold in records().map(|record| unsafe { record.local() }.untold) {
        told_objects += untold.objects;
        told_bytes += untold.bytes;
    }
    for (by_account, by_bitmaps) in [(told_objects, objects), (told_bytes, bytes)] {
        if by_account != by_bitmaps {
            findings.at(Kind::Account, 0, by_account, by_bitmaps);
        }
    }
}

/// Whether the span's record is what `format` makes of such a class and as many pages.
fn has_shape(span: &Span) -> bool {
    let (first, start) = (span.first_slot().addr(), span.start().addr());
    match span.class() {
        0 => {
            let fits =
                first + span.slot_size() <= start + span.pages() * PAGE_SIZE || span.slot_size() == u32::MAX as usize;
            span.slots() == 1 && first >= start && first.is_multiple_of(8) && fits
        }
        class if class < CLASS_COUNT => {
            span.pages() == usize::from(PAGES[class])
                && span.slot_size() == SIZES[class] as usize
                && span.slots() == slots_of(class)
                && first == start
        }
        _ => false,
    }
}

/// Who has which span, by span.
fn holders(survey: &Survey, still: &Stillness, findings: &mut Findings) -> OsVec<Holder> {
    let mut holders = OsVec::new();
    let in_use = survey.spans().count();
    let parity = HEAP.cycle() as usize & 1;
    for index in 0..SPAN_CLASSES {
        let mut length = 0;
        HEAP.central(index).for_each_span(|span, list_parity, full| {
            length += 1;
            if length > in_use {
                // It leads back into itself; the spans in it have been noted more than once.
                return ControlFlow::Break(());
            }
            // What lies in the lists for another cycle is in the wrong one.
            let span_class = (list_parity == parity).then_some(index);
            holders.push(Holder { span, place: Place::Central, span_class, full });
            ControlFlow::Continue(())
        });
    }
    for record in records() {
        // SAFETY: the world is stopped.
        unsafe { record.local() }.cache.for_each_run(|index, run| {
            holders.push(Holder { span: run.span, place: Place::Cached, span_class: Some(index), full: false });
            // SAFETY: a cached span is in use.
            let span = unsafe { &*run.span };
            let free = run.free();
            check_free(span, free.start, free.end, findings);
        });
    }
    still.for_each_dropping_span(|span| {
        let span_class = Some(span_class(span.class(), span.kind()));
        holders.push(Holder { span, place: Place::Dropping, span_class, full: false });
    });
    holders.sort_unstable_by_key(|holder| holder.span.addr());
    holders
}

/// Free slots that a thread has bought lie within its span, are taken, and end no later than where the search for more begins.
fn check_free(span: &Span, next: usize, end: usize, findings: &mut Findings) {
    let first = span.first_slot().addr();
    let lies_within = first <= next && next <= end && end <= first + span.slots_bytes();
    let fits = lies_within
        && end - first <= span.cursor()
        && (next - first).is_multiple_of(span.slot_size())
        && (next..end).step_by(span.slot_size()).all(|slot| span.is_allocated(slot));
    if !fits {
        findings.about_span(Kind::CacheRun, span, next, end);
    }
}

/// The span is in exactly one place, which is the one it says; what that place promises of it is true.
fn check_place(span: &Span, holders: &[Holder], taken: usize, findings: &mut Findings) {
    let first = holders.partition_point(|holder| holder.span.addr() < span.as_ptr().addr());
    let mine = &holders[first..];
    let mine = &mine[..mine.partition_point(|holder| std::ptr::eq(holder.span, span))];
    let class = span_class(span.class(), span.kind());
    let agree = mine.iter().filter(|it| it.place == span.place() && it.span_class == Some(class)).count();
    if mine.len() != 1 || agree != 1 {
        findings.about_span(Kind::SpanPlace, span, span.place() as usize, agree);
    }
    if mine.iter().any(|holder| holder.full) && taken < span.slots() {
        findings.about_span(Kind::FullSpanHasRoom, span, taken, span.slots());
    }
    if !span.is_swept_for(HEAP.cycle()) {
        findings.about_span(Kind::SpanUnswept, span, span.swept_cycle() as usize, HEAP.cycle() as usize);
    }
}

fn check_bitmaps(span: &Span, findings: &mut Findings) {
    let (allocation, marking) = (span.allocation_parity(), WORLD.phase().is_marking());
    let first = span.first_slot().addr();
    for parity in [allocation, allocation + 1] {
        for_each_bit(span, parity, |object| {
            if !begins_slot(span, object.address()) {
                findings.about_span(Kind::StrayBit, span, parity & 1, object.address());
            } else if parity != allocation && !(marking && span.is_allocated(object.address())) {
                findings.at(Kind::WrongMark, object.address(), marking.into(), 0);
            }
        });
    }
    let cursor = span.cursor();
    let mut before_cursor = 0;
    for_each_bit(span, allocation, |object| before_cursor += usize::from(object.address() < first + cursor));
    if cursor > 0 && before_cursor * span.slot_size() != cursor {
        findings.about_span(Kind::FreeSlotBeforeCursor, span, cursor, before_cursor);
    }
}

fn for_each_bit(span: &Span, parity: usize, mut f: impl FnMut(Object)) {
    for (index, word) in span.bits(parity).iter().enumerate() {
        let mut bits = word.load(Relaxed);
        while bits != 0 {
            f(span.object_at_bit(index, bits.trailing_zeros()));
            bits &= bits - 1;
        }
    }
}

fn check_headers(survey: &Survey, span: &'static Span, findings: &mut Findings) {
    let ObjectKind { drop, .. } = span.kind();
    let may_wait = drop == DropKind::User && span.place() == Place::Dropping;
    let mut waiting = 0;
    survey.for_each_object(span, |object| {
        // SAFETY: the survey says that it is an object.
        let (roots, info) = unsafe { (object.roots(), type_in(span, object)) };
        if info.is_none() {
            findings.about(Kind::HeaderType, object, 0, 0);
        } else if roots.awaits_drop() {
            waiting += 1;
        } else if roots.is_absurd() {
            findings.about(Kind::HeaderCount, object, 0, 0);
        }
    });
    let expected = span.with_drop_lock(|waiting| waiting.load(Relaxed)) as usize;
    if waiting != expected || (waiting > 0 && !may_wait) {
        findings.about_span(Kind::AwaitingDrop, span, if may_wait { expected } else { 0 }, waiting);
    }
}
