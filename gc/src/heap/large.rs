//! Objects above the largest size class, and those aligned beyond a page: a span of their own.

use super::{
    Heap,
    arena::PAGE_SIZE,
    central::span_class,
    header::{Header, Object},
    kind::Kind,
    page_heap::HUGE_PAGES,
    poison,
    span::Span,
};
use std::ptr::NonNull;

impl Heap {
    /// A span with one allocated slot of `object_size` bytes, for header and payload of alignment `align`; `None` if the OS refuses.
    ///
    /// `prepare` writes the header before anyone else can find the span.
    pub(crate) fn allocate_large(
        &'static self,
        object_size: usize,
        align: usize,
        kind: Kind,
        black: bool,
        prepare: impl FnOnce(NonNull<u8>),
    ) -> Option<Object> {
        // A page-aligned start serves alignments up to a page; beyond that, room to move up to the next boundary.
        let slack = if align > PAGE_SIZE { align } else { 0 };
        let pages = object_size.checked_add(slack)?.div_ceil(PAGE_SIZE);
        let span = self.allocate_pages(pages)?;
        let first = span.start().addr().next_multiple_of(align);
        span.format(0, kind, first, object_size, 1, self.cycle());
        poison::poison_around(span, object_size);
        prepare(NonNull::new(span.first_slot())?);
        span.set_allocated(0..span.slot_size());
        if black {
            span.set_marked(0..span.slot_size());
        }
        self.account.allocated(span.object_bytes(), 1, black);
        let header = NonNull::new(span.first_slot().cast::<Header>())?;
        self.central(span_class(0, kind)).give(span, false);
        Some(Object::new(header))
    }

    fn allocate_pages(&self, pages: usize) -> Option<&'static Span> {
        if u32::try_from(pages).is_err() {
            return None;
        }
        if pages >= HUGE_PAGES { self.pages.allocate_huge(pages) } else { self.pages.allocate(pages) }
    }
}
