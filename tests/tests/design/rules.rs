//! The rules of the design, one name each, and what misses them.
//!
//! A [`Rule`] is kept unless the model weakens it; what a weakened rule looks like is said here and played where the
//! rule is played. [`MISSED`] names a scenario that cannot do without the rule; [`REDUNDANT`] lists the rules that
//! none can tell from their weakened form.

use super::{
    scenario::Scenario,
    scenarios::{
        BIRTHS, COLLECTIONS, CYCLE, CYCLIC, EDGES, EPHEMERONS, EXIT, FINALIZERS, GARBAGE, KEPT_EPHEMERON, LEAK,
        NESTED_EDGE, NESTED_LOCK, NESTED_STORE, NEW_EPHEMERON, NEW_WEAK, NEWBORNS, NOTES, PINNED_COLLECTIONS, PINS,
        REBUILDING, SLICES, STORES, TRAP, WEAK, WINDOWS, WRITERS,
    },
};

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident,)*) => {
        /// A rule of sections 4 to 9, with what happens when it is weakened.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub(crate) enum Rule { $($(#[$doc])* $rule,)* }

        impl Rule {
            /// All of them.
            pub(crate) const ALL: &[Rule] = &[$(Rule::$rule,)*];
        }
    };
}

rules! {
    // Section 4: counted and claimed.

    /// `Gc::new` and `set` count down what they claim. Weakened: they do not.
    ClaimCountsDown,
    /// A handle in a skipped field stays counted. Weakened: `Gc::new` claims it.
    SkippedStaysCounted,
    /// What `take` gets out of a claimed cell is counted. Weakened: it is not.
    TakeCounts,
    /// A pinned store into counted content counts the new target before the word changes. Weakened: afterwards.
    StoreCountsBefore,
    /// A pinned store into counted content counts the old target down. Weakened: it does not.
    StoreCountsDown,
    /// Mutators change a `GcCell` by compare-and-swap of the whole word. Weakened: a store that found the cell counted writes a counted word.
    StoreComparesTheTag,
    /// While marking a claimed word, too, is changed by compare-and-swap; otherwise by a plain store after a look. Weakened: always so.
    StoreComparesWhileMarking,
    /// Claimed content is counted before it is given out for writing. Weakened: it is given out as it is.
    ReleaseBeforeWrite,
    /// Release counts nested cells, too. Weakened: it leaves them.
    ReleaseCountsNested,
    /// A write-held cell stays counted when its owner is claimed. Weakened: `Gc::new` claims it, too.
    LeaveWriteHeldCounted,
    /// A lock says *releasing* until all of the content is counted. Weakened: *write-held, counted* after the first slice.
    ReleasingUntilAllIsCounted,
    /// *Releasing* keeps readers out. Weakened: it does not.
    ReleasingKeepsReadersOut,
    /// *Releasing* becomes *write-held* only when no marker is inside. Weakened: at once.
    FinishReleaseWaitsForMarker,
    /// A writer waits for the marker to leave. Weakened: it does not.
    WriterWaitsForMarker,
    /// The marker skips a write-held cell. Weakened: it goes in.
    SkipWriteHeld,
    /// The marker enters a read-held cell. Weakened: it skips it.
    EnterReadHeld,
    /// The marker only shades what is being released. Weakened: it claims.
    ReleasingIsShadedOnly,
    /// The marker shades claimed content, which has nothing to count down. Weakened: it counts down whatever it meets.
    ClaimedIsShadedOnly,
    /// The marker claims counted content of lock-type cells. Weakened: it only shades.
    MarkerClaimsContent,
    /// The marker claims the cells nested in counted content. Weakened: it only shades what is in them.
    MarkerClaimsNested,
    /// The marker claims a nested cell that is counted inside claimed content. Weakened: it only shades.
    NestedClaimedInsideOuter,
    /// The marker sets the flag of a cell that it claims. Weakened: it leaves it.
    FlagSet,
    /// It does so before it leaves, under the lock. Weakened: right after.
    FlagSetBeforeLeaving,
    /// It does so last of all. Weakened: first of all, taking it back when it gives up.
    FlagSetLast,
    /// Giving up claimed content leaves the object grey. Weakened: it is done with.
    GivingUpClaimedStaysGrey,
    /// Giving up counted content counts back what was claimed. Weakened: it just leaves.
    GivingUpCountsBack,
    /// Counting back logs every target that has no entry. Weakened: only those whose count was 0.
    CountBackLogs,
    /// Giving up undoes nested cells. Weakened: it leaves them claimed.
    CountBackUndoesNested,

    // Section 5: roots.

    /// What is counted and has no entry is logged. Weakened: not inside operations.
    LogWhatIsCounted,
    /// Whatever its count was: one who clones may have counted it, and will take that back. Weakened: only if its count was 0.
    LogWhateverTheCount,
    /// So is what `Gc::clone` has found without an entry and counts once more. Weakened: it is not.
    CloneLogs,
    /// A new object is logged. Weakened: it is not.
    LogAtBirth,
    /// An object that gets an entry during marking is shaded. Weakened: only logged.
    ShadeWhatIsLogged,
    /// Filtering keeps what has a count. Weakened: drops it.
    FilterKeepsPositive,
    /// Filtering sets the bit by compare-and-swap. Weakened: by a store of what it read.
    FilterComparesAndSwaps,
    /// Filtering sets the bit of what it moves to the log. Weakened: it does not.
    FilterSetsTheBit,
    /// Filtering says that what it drops has no entry. Weakened: it does not.
    FilterSaysSo,
    /// S1 takes every thread's buffer. Weakened: only the root log.
    TakeBuffersAtS1,
    /// S1 takes the root log. Weakened: only the buffers.
    TakeTheLogAtS1,
    /// The scan shades what has a count. Weakened: it does not.
    ScanShades,
    /// The scan keeps, or makes, the log entry of what has a count. Weakened: the entry goes.
    ScanKeepsPositive,
    /// The scan drops what has no count. Weakened: it keeps and shades it.
    ScanDropsZero,
    /// The scan clears the bit of what it drops. Weakened: it does not.
    ScanClearsTheBit,
    /// The scan says that what it drops has no entry. Weakened: it does not.
    ScanSaysSo,
    /// It does both in the step that finds no count. Weakened: looks, then clears.
    ScanComparesAndSwaps,
    /// Every entry taken at S1 is processed before R. Weakened: R comes when it likes.
    EntriesTakenProcessedBeforeR,

    // Deferred counts (`mutator::deferred`).

    /// While marking, what is noted is shaded. Weakened: it is not.
    NotesAreShaded,
    /// Notes are counted after S1, before the scan, and after S2. Weakened: they stay.
    NotesAreCounted,
    /// What is counted then and has no entry is logged. Weakened: it is not.
    NotesAreLogged,
    /// A handle that ends at the place of a counted note leaves a count to be taken down. Weakened: it does not.
    CountedNotesAreRemembered,
    /// One that becomes claimed does not end there. Weakened: it does, and its object may go on being unshared.
    ClaimsEndNoCountedNotes,

    // Newborns: their only handle ends without a count (`mutator::newborn`).

    /// Who ends the only handle finds the entry in its own buffer. Weakened: it does not look.
    EndLooksForTheEntry,
    /// What has been claimed is unshared no more. Weakened: it may be.
    ClaimEndsUnshared,
    /// Nor is that to which a `Local` or a weak handle leads. Weakened: it may be.
    OtherWaysEndUnshared,

    /// A thread that ends counts its notes. Weakened: it forgets them.
    EndCountsNotes,
    /// It hands over what it has logged. Weakened: it forgets that.
    EndHandsOver,

    // Section 6: operations and stopping the world.

    /// No S1 or S2 while a thread is in an operation. Weakened: they do not wait.
    StopsWaitForOperations,
    /// `GcCell::get` loads and counts in one operation. Weakened: in two.
    GetIsOneOperation,
    /// `Weak::upgrade` loads and counts in one operation. Weakened: in two.
    UpgradeIsOneOperation,
    /// S2 checks that nothing is grey. Weakened: it does not.
    S2ChecksGreyEmpty,
    /// S2 checks that the marker holds no object. Weakened: it does not.
    S2ChecksMarkerHoldsNothing,
    /// S2 checks that no cell is releasing. Weakened: it does not.
    S2WaitsForReleasing,
    /// After S2 nothing is allocated from a span that has not been swept since. Weakened: it may be.
    AllocateInSweptSpans,
    /// Allocation is black until sweeping begins. Weakened: until S2.
    BlackUntilSweeping,

    // Section 7: marking.

    /// Objects are born black during marking. Weakened: white.
    BlackAllocation,
    /// The old target of a claimed edge is shaded. Weakened: it is not.
    ShadeOldTarget,
    /// `set` shades what it claims. Weakened: it does not.
    ShadeWhatSetClaims,
    /// `Gc::new` and `g.alloc` shade what they claim. Weakened: they do not.
    ShadeWhatNewClaims,
    /// A pinned store shades the new target. Weakened: it does not.
    PinnedStoreShades,

    // Section 8: pins.

    /// S2 waits for the pins held at R. Weakened: for none.
    S2WaitsForPins,
    /// The pins are noted at R. Weakened: at S1.
    PinsNotedAtR,

    // Section 9: sweeping and weak handles.

    /// Sweeping counts the counted handles of a dead object down. Weakened: it forgets them.
    SweepCountsDown,
    /// Sweeping forgets claimed handles. Weakened: it counts them down.
    SweepForgetsClaimed,
    /// The pass over all W's marks those of marked targets. Weakened: it does not.
    WKeptByMarkedTarget,
    /// A W is not freed in the cycle its target dies in. Weakened: it may be.
    WNotFreedWithTarget,
    /// Between S2 and sweeping, `upgrade` looks at the mark. Weakened: it does not.
    UpgradeLooksAtMark,
    /// W's of white targets are cleared before slots are freed. Weakened: not at all.
    ClearBeforeSweep,
    /// W's are cleared after S2 only. Weakened: from R on.
    ClearAfterS2,
    /// `new_cyclic` holds its W until it has a target. Weakened: it lets go of it first.
    LinkIsHeldUntilConnected,
    /// Each thread is seen inactive between clearing and sweeping. Weakened: sweeping begins at once.
    HandshakeBeforeSweep,

    // Section 9: ephemerons.

    /// A value is greyed when its key is marked. Weakened: when its ephemeron is traced.
    ValueWaitsForKey,
    /// An ephemeron waits first, then looks at its key. Weakened: looks, then waits.
    WaitThenLook,
    /// Marking a key wakes the ephemerons that wait for it. Weakened: it does not.
    MarkedKeyWakes,
    /// A new ephemeron, which nobody will trace in this cycle, has its key shaded. Weakened: only its value.
    BirthShadesKey,
    /// Between S2 and sweeping, who wants the value looks at the key's mark. Weakened: does not.
    ValueLooksAtKey,

    // Collections of edges (`cell::collections`).

    /// What comes into a collection is shaded. Weakened: it is claimed only.
    EdgesInAreShaded,
    /// What goes out of it, or is overwritten, is shaded. Weakened: it is not.
    EdgesOutAreShaded,
    /// What changes places is shaded. Weakened: it is not.
    SwappedEdgesAreShaded,
    /// An insertion in the part that is still to be traced makes that longer. Weakened: it does not.
    InsertMovesProgress,
    /// How much the marker has traced is of one cycle. Weakened: of all that come.
    ProgressIsOfACycle,
    /// Rebuilding shades all elements before they get a new order. Weakened: none.
    RebuildShades,
    /// It does so in the phase in which they get it. Weakened: in whatever phase.
    RebuildShadesInItsPhase,

    // Section 9: finalizers.

    /// What white finalizable objects reach is marked before the sweep. Weakened: they alone are.
    MarkWhatFinalizersReach,
    /// They are published when that is done. Weakened: as soon as they are found.
    PublishAfterMarking,
    /// The queue's handles are logged. Weakened: they are counted only.
    QueueIsLogged,
    /// A finalizer is due until its object is handed over. Weakened: for ever.
    HandedOverOnce,
    /// Ephemerons that finalizers reach, and whose keys they do not, are cleared before that. Weakened: they are not.
    ClearAgainForFinalizers,
    /// W's of what only finalizers reach are cleared as all W's of white targets are. Weakened: they stay.
    ClearWhatFinalizersReach,
}

/// For each rule a scenario in which something goes wrong without it.
pub(crate) const MISSED: &[(Rule, &Scenario)] = &[
    (Rule::ClaimCountsDown, &EDGES),
    (Rule::SkippedStaysCounted, &BIRTHS),
    (Rule::TakeCounts, &EDGES),
    (Rule::StoreCountsBefore, &NESTED_STORE),
    (Rule::StoreCountsDown, &NESTED_STORE),
    (Rule::StoreComparesTheTag, &NESTED_STORE),
    (Rule::StoreComparesWhileMarking, &NESTED_STORE),
    (Rule::ReleaseBeforeWrite, &TRAP),
    (Rule::ReleaseCountsNested, &NESTED_EDGE),
    (Rule::LeaveWriteHeldCounted, &LEAK),
    (Rule::ReleasingUntilAllIsCounted, &WRITERS),
    (Rule::ReleasingKeepsReadersOut, &SLICES),
    (Rule::FinishReleaseWaitsForMarker, &SLICES),
    (Rule::WriterWaitsForMarker, &WRITERS),
    (Rule::SkipWriteHeld, &WRITERS),
    (Rule::EnterReadHeld, &TRAP),
    (Rule::ReleasingIsShadedOnly, &SLICES),
    (Rule::ClaimedIsShadedOnly, &TRAP),
    (Rule::MarkerClaimsContent, &GARBAGE),
    (Rule::MarkerClaimsNested, &GARBAGE),
    (Rule::NestedClaimedInsideOuter, &NESTED_LOCK),
    (Rule::FlagSet, &TRAP),
    (Rule::FlagSetBeforeLeaving, &WRITERS),
    (Rule::GivingUpClaimedStaysGrey, &TRAP),
    (Rule::GivingUpCountsBack, &TRAP),
    (Rule::CountBackUndoesNested, &NESTED_EDGE),
    (Rule::CountBackLogs, &TRAP),
    (Rule::LogWhatIsCounted, &TRAP),
    (Rule::LogWhateverTheCount, &NOTES),
    (Rule::CloneLogs, &WINDOWS),
    (Rule::NotesAreShaded, &NOTES),
    (Rule::NotesAreCounted, &NOTES),
    (Rule::NotesAreLogged, &NOTES),
    (Rule::CountedNotesAreRemembered, &NOTES),
    (Rule::ClaimsEndNoCountedNotes, &NEWBORNS),
    (Rule::LogAtBirth, &BIRTHS),
    (Rule::ShadeWhatIsLogged, &TRAP),
    (Rule::FilterKeepsPositive, &TRAP),
    (Rule::FilterComparesAndSwaps, &TRAP),
    (Rule::FilterSetsTheBit, &TRAP),
    (Rule::FilterSaysSo, &EDGES),
    (Rule::TakeBuffersAtS1, &TRAP),
    (Rule::TakeTheLogAtS1, &TRAP),
    (Rule::ScanShades, &TRAP),
    (Rule::ScanKeepsPositive, &TRAP),
    (Rule::ScanDropsZero, &CYCLE),
    (Rule::ScanClearsTheBit, &EDGES),
    (Rule::ScanSaysSo, &EDGES),
    (Rule::ScanComparesAndSwaps, &EDGES),
    (Rule::EntriesTakenProcessedBeforeR, &EDGES),
    (Rule::EndLooksForTheEntry, &NEWBORNS),
    (Rule::ClaimEndsUnshared, &NEWBORNS),
    (Rule::OtherWaysEndUnshared, &NEWBORNS),
    (Rule::EndCountsNotes, &EXIT),
    (Rule::EndHandsOver, &EXIT),
    (Rule::StopsWaitForOperations, &TRAP),
    (Rule::GetIsOneOperation, &EDGES),
    (Rule::UpgradeIsOneOperation, &WEAK),
    (Rule::S2ChecksGreyEmpty, &TRAP),
    (Rule::S2ChecksMarkerHoldsNothing, &TRAP),
    (Rule::S2WaitsForReleasing, &SLICES),
    (Rule::AllocateInSweptSpans, &BIRTHS),
    (Rule::BlackUntilSweeping, &NEW_WEAK),
    (Rule::BlackAllocation, &BIRTHS),
    (Rule::ShadeOldTarget, &PINS),
    (Rule::ShadeWhatSetClaims, &EDGES),
    (Rule::ShadeWhatNewClaims, &BIRTHS),
    (Rule::PinnedStoreShades, &STORES),
    (Rule::S2WaitsForPins, &PINS),
    (Rule::PinsNotedAtR, &PINS),
    (Rule::SweepCountsDown, &NESTED_EDGE),
    (Rule::SweepForgetsClaimed, &EDGES),
    (Rule::WKeptByMarkedTarget, &WEAK),
    (Rule::UpgradeLooksAtMark, &WEAK),
    (Rule::ClearBeforeSweep, &WEAK),
    (Rule::ClearAfterS2, &WEAK),
    (Rule::LinkIsHeldUntilConnected, &CYCLIC),
    (Rule::HandshakeBeforeSweep, &WEAK),
    (Rule::ValueWaitsForKey, &EPHEMERONS),
    (Rule::WaitThenLook, &EPHEMERONS),
    (Rule::MarkedKeyWakes, &EPHEMERONS),
    (Rule::BirthShadesKey, &NEW_EPHEMERON),
    (Rule::ValueLooksAtKey, &EPHEMERONS),
    (Rule::EdgesInAreShaded, &COLLECTIONS),
    (Rule::EdgesOutAreShaded, &PINNED_COLLECTIONS),
    (Rule::SwappedEdgesAreShaded, &COLLECTIONS),
    (Rule::InsertMovesProgress, &COLLECTIONS),
    (Rule::ProgressIsOfACycle, &COLLECTIONS),
    (Rule::RebuildShades, &REBUILDING),
    (Rule::RebuildShadesInItsPhase, &REBUILDING),
    (Rule::MarkWhatFinalizersReach, &FINALIZERS),
    (Rule::PublishAfterMarking, &FINALIZERS),
    (Rule::QueueIsLogged, &FINALIZERS),
    (Rule::HandedOverOnce, &FINALIZERS),
    (Rule::ClearAgainForFinalizers, &KEPT_EPHEMERON),
    (Rule::ClearWhatFinalizersReach, &FINALIZERS),
];

/// Rules that nobody misses, with the scenarios that would be the first to.
///
/// *The flag is set last.* Between the marker's entering a cell and its leaving nobody looks at the flag: readers never do, a writer
/// is kept out by the marker's being there whatever the flag says, S2 waits for the marker, and the claim pass sees only cells that
/// nobody else can reach. What matters is that the flag is set by the time it leaves (`FlagSetBeforeLeaving`), and that giving up
/// leaves it clear. An implementation that knows of one bit 'the marker is inside' may set it when it likes.
///
/// *A W is not freed in the cycle its target dies in.* The W of a white target is read for the last time when it is cleared, and sweeping begins
/// after that: from S2 on nobody reaches the target to make another weak handle of it, and who has a weak handle
/// already marks W. The rule costs nothing (W goes one cycle later) and will be needed as soon as something refers from a dead target to its W
/// after sweeping has begun: a sweep or a drop that unlinks the two, or a target that a finalizer resurrects.
pub(crate) const REDUNDANT: &[(Rule, &[&Scenario])] =
    &[(Rule::FlagSetLast, &[&TRAP, &SLICES, &NESTED_EDGE, &GARBAGE]), (Rule::WNotFreedWithTarget, &[&WEAK, &NEW_WEAK])];
