//! What the verifier can find. Noted in memory of the OS while the world is stopped, put into words afterwards.

use crate::{
    heap::{header::Object, os_vec::OsVec, span::Span},
    trace::type_info::TypeInfo,
};
use std::fmt;

/// One thing that [`verify`](crate::verify) found to be wrong.
///
/// ```
/// for violation in graphgc::verify() {
///     eprintln!("{violation}");
///     assert_ne!(violation.kind, graphgc::ViolationKind::DanglingEdge);
/// }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Violation {
    /// What sort of thing.
    pub kind: ViolationKind,
    /// The address of the object's header, or of the span's first page, that it was found at; 0 if it concerns neither.
    pub address: usize,
    /// The type of the object, if one is concerned whose header still names a type that fits.
    pub type_name: Option<&'static str>,
    /// What was found there, for people to read.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)?;
        if self.address != 0 {
            write!(f, " at {:#x}", self.address)?;
        }
        if let Some(name) = self.type_name {
            write!(f, " ({name})")?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// The sort of a [`Violation`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum ViolationKind {
    /// Pages, free runs or the page heap's accounts do not agree.
    Pages,
    /// A span's record describes no possible span.
    SpanShape,
    /// A span is not in the one list or cache that it says it is in.
    SpanPlace,
    /// A span has not been swept for the last cycle.
    SpanUnswept,
    /// A thread's run of bought slots does not agree with its span.
    CacheRun,
    /// A slot that waits in a thread's cache for its next object is none of its span class that an object has left, or has no root entry.
    VacantSlot,
    /// A slot is free before the place where the search for free slots begins, so it would be lost until the next sweep.
    FreeSlotBeforeCursor,
    /// A span in the list of full ones has a free slot.
    FullSpanHasRoom,
    /// A bit of a bitmap is set where no slot begins.
    StrayBit,
    /// A mark bit is set of a free slot, or while nothing is being marked.
    WrongMark,
    /// Objects and bytes in use are not what the accounts say.
    Account,
    /// An object's header names a type that cannot be in its span.
    HeaderType,
    /// An object's root count has fallen below 0.
    HeaderCount,
    /// Objects wait to be dropped where none may, or not as many as the span says.
    AwaitingDrop,
    /// An object's flag *in the root log* and the entries in the root log do not agree.
    LogFlag,
    /// An object's flag *needs no root entry* does not agree with its entries.
    EntryFlag,
    /// A root entry leads to something that is no live object.
    StaleEntry,
    /// An object has a root count but no root entry.
    RootWithoutEntry,
    /// An object's root count is less than the number of counted handles that lead to it.
    CountTooLow,
    /// An edge leads to something that is no object.
    DanglingEdge,
    /// The flags of a cell's lock exclude each other.
    CellFlags,
    /// A cell says that its content is claimed, but it lies in content that is counted.
    ClaimedInCounted,
    /// An edge that nothing counts leads to an object whose header says that its only handle is the only way to it.
    UnsharedTarget,
    /// The table of weak handles is damaged, or one leads to what is no object.
    WeakLink,
}

impl Violation {
    /// From a complaint of the page heap's.
    pub(super) fn of_pages(detail: String) -> Self {
        Violation { kind: ViolationKind::Pages, address: 0, type_name: None, detail }
    }
}

/// A violation before it is put into words.
#[derive(Clone, Copy)]
struct Finding {
    kind: ViolationKind,
    address: usize,
    type_name: Option<&'static str>,
    numbers: [usize; 2],
}

/// The findings so far.
pub(super) struct Findings(OsVec<Finding>);

/// Findings beyond these are left out.
const MOST: usize = 500;

impl Findings {
    pub(super) fn new() -> Self {
        Findings(OsVec::new())
    }

    /// Something is wrong with an object; what the numbers mean depends on the kind.
    pub(super) fn about(&mut self, kind: ViolationKind, object: Object, first: usize, second: usize) {
        // SAFETY: whoever complains of something else than the type has an object whose type was found to fit; where it was not, no name is asked for.
        let type_name = unsafe { names_type(kind).then(|| TypeInfo::of(object).name()) };
        self.push(Finding { kind, address: object.address(), type_name, numbers: [first, second] });
    }

    /// Something is wrong with a span.
    pub(super) fn about_span(&mut self, kind: ViolationKind, span: &Span, first: usize, second: usize) {
        self.push(Finding { kind, address: span.start().addr(), type_name: None, numbers: [first, second] });
    }

    /// Something is wrong that is neither an object's nor a span's, or is no object.
    pub(super) fn at(&mut self, kind: ViolationKind, address: usize, first: usize, second: usize) {
        self.push(Finding { kind, address, type_name: None, numbers: [first, second] });
    }

    fn push(&mut self, finding: Finding) {
        if self.0.len() < MOST {
            self.0.push(finding);
        }
    }

    pub(super) fn into_violations(self) -> Vec<Violation> {
        self.0.iter().map(Finding::in_words).collect()
    }
}

/// Whether what is wrong leaves the header's type believable.
fn names_type(kind: ViolationKind) -> bool {
    use ViolationKind::{
        CellFlags, ClaimedInCounted, CountTooLow, DanglingEdge, EntryFlag, HeaderCount, LogFlag, RootWithoutEntry,
        UnsharedTarget,
    };
    matches!(
        kind,
        CellFlags
            | ClaimedInCounted
            | CountTooLow
            | DanglingEdge
            | EntryFlag
            | HeaderCount
            | LogFlag
            | RootWithoutEntry
            | UnsharedTarget
    )
}

impl Finding {
    fn in_words(&self) -> Violation {
        use ViolationKind as Kind;
        let [a, b] = self.numbers;
        let detail = match self.kind {
            Kind::Pages => "the page heap is damaged".into(),
            Kind::SpanShape => format!("size class {a} with {b} slots does not fit its pages"),
            Kind::SpanPlace => format!("the span says place {a}, and was found in {b} lists or caches that agree"),
            Kind::SpanUnswept => format!("swept for cycle {a}, but the last was {b}"),
            Kind::CacheRun => format!("the run of slots from {a:#x} to {b:#x} does not agree with the span"),
            Kind::VacantSlot => format!("in a list of span class {a}, with {b} root entries"),
            Kind::FreeSlotBeforeCursor => format!("{b} slots taken before offset {a}, and not all"),
            Kind::FullSpanHasRoom => format!("{a} of {b} slots taken"),
            Kind::StrayBit => format!("in bitmap {a}, at {b:#x}"),
            Kind::WrongMark => if a == 0 { "marked while nothing is being marked" } else { "marked but free" }.into(),
            Kind::Account => format!("{a} by the accounts, {b} by the bitmaps"),
            Kind::HeaderType => "the type does not belong into this span".into(),
            Kind::HeaderCount => "the root count is below 0".into(),
            Kind::AwaitingDrop => format!("{b} objects wait to be dropped where there should be {a}"),
            Kind::LogFlag => format!("the flag is {}, and there are {b} entries in the root log", a != 0),
            Kind::EntryFlag => format!("says that it has {a} root entries, and has {b}"),
            Kind::StaleEntry => "a root entry for what is no live object".into(),
            Kind::RootWithoutEntry => "handles outside the heap, but no root entry".into(),
            Kind::CountTooLow => format!("root count {a}, but {b} counted handles in the heap"),
            Kind::DanglingEdge => format!("an edge leads to {a:#x}, which is no object"),
            Kind::CellFlags => format!("the lock of the cell at {a:#x} has flags that exclude each other"),
            Kind::ClaimedInCounted => format!("the cell at {a:#x} is claimed inside counted content"),
            Kind::UnsharedTarget => format!("an edge leads to {a:#x}, which says that only its one handle does"),
            Kind::WeakLink => super::links::in_words(a, b),
        };
        Violation { kind: self.kind, address: self.address, type_name: self.type_name, detail }
    }
}
