//! Lines that the models can weaken, to show that they notice.
//!
//! A model that passes proves little unless it fails when the protocol is wrong. So each line that a protocol rests on asks here whether
//! it has been weakened: an ordering relaxed, a second look skipped, a barrier left out. Outside the models the answer is the
//! constant *no*, and nothing is left of the question. A model runs once as the code is, which must pass, and once
//! with each of its mutations, which must fail (`models`).

macro_rules! mutations {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One weakened line.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Mutation {
            $($(#[$doc])* $name,)*
        }

        #[cfg(all(graphgc_loom, test))]
        impl Mutation {
            /// All there are.
            pub(crate) const ALL: &[Mutation] = &[$(Mutation::$name,)*];
        }
    };
}

mutations! {
    // Weak handles.
    /// An upgrade between S2 and the sweep does not look whether the target is marked.
    UpgradeIgnoresMarks,
    /// An upgrade reads the target's address before its operation.
    UpgradeReadsOutside,
    /// Sweeping begins without a look at the threads that may have read an address before it was cleared.
    ClearWithoutHandshake,
    /// A pinned upgrade does not shade.
    PinnedUpgradeWithoutShade,
    /// The clearing pass does not mark the links that it keeps.
    LinksAreNotKept,
    /// A link is put in the table without a look whether the target has one.
    InsertWithoutLook,
    // Ephemerons.
    /// A marker that makes an ephemeron wait does not look at the key's mark after that.
    WaitWithoutLook,
    /// Who reads an ephemeron between S2 and the sweep does not look whether the key is marked.
    EphemeronIgnoresMarks,
    // The gate.
    /// Entering has no barrier between setting `active` and reading the world word.
    EnterWithoutBarrier,
    /// Leaving does not release what the operation wrote.
    LeaveIsRelaxed,
    /// Opening the gate does not take the waiting room's lock.
    OpenWithoutLock,
    /// Who brings a record up to date does not look, under the lock, whether another has.
    UpdateWithoutSecondLook,
    // Deferred counts.
    /// A count is deferred while the collector is marking, and the object not shaded.
    NoteWithoutShade,
    /// Who counts up takes a count above 0 for a sign that there is an entry.
    EntryOnlyFromZero,
    /// Notes are not counted when the record is brought up to date.
    NotesStay,
    /// A note is counted where there is no entry, and leaves none.
    NoteCountedWithoutEntry,
    /// Who counts a note keeps nothing about it, though the thread may be ending it.
    SettleForgets,
    /// What is due for a note is forgotten when another takes its place.
    NoteForgetsDue,
    /// A handle that becomes claimed ends a note that has been counted, too, and is not made to say that its object is shared.
    ClaimEndsCountedNote,
    /// The end of a note does not release what was done through the handle.
    NoteEndIsRelaxed,
    // The root word.
    /// Counting up from below zero acquires nothing.
    NegativeIsRelaxed,
    /// Counting up looks for an entry before it counts.
    UpLooksFirst,
    /// Counting down does not release.
    DownIsRelaxed,
    /// Filtering does not acquire what the last handle released.
    FilterIsRelaxed,
    /// Filtering drops the entry though the word changed under it.
    FilterWithoutRetry,
    /// Filtering sets the bit without looking whether it is set.
    FilterWithoutCompare,
    /// The scan says that there is no entry after looking at the count, instead of in one step.
    ScanClearsBlindly,
    /// What gets a way to it that nothing counts goes on as unshared.
    ShareForgotten,
    /// What is read or taken out of a counted `GcCell` goes on as unshared.
    CountedEdgeStaysUnshared,
    /// What becomes a claimed edge is shared as it is counted down, after the word has said that it is claimed.
    ClaimSharesLate,
    /// The only handle to a newborn is ended without looking for the entry in the thread's own buffer.
    EndedWithoutEntry,
    /// What has been claimed goes on as unshared.
    ClaimedStaysUnshared,
    /// Who ends the only handle to a newborn does not acquire what former handles released.
    NewbornIsRelaxed,
    // The edge word.
    /// The word is compared and changed in two steps.
    ExchangeInTwoSteps,
    /// A released edge says *counted* before it is.
    ReleaseCountsAfter,
    /// A plain store makes the edge before the handle that becomes it is claimed.
    SetClaimsLate,
    /// A claimed word is overwritten by a plain store even if a marker may set it back.
    PlainStoreOfRevocable,
    /// A marker that may set back what it claims does not say so.
    RevocableClaimIsUntold,
    /// It says so when it has claimed it.
    RevocableClaimToldLate,
    // The cell lock.
    /// The marker enters a cell that is held for writing.
    MarkerEntersWriteHeld,
    /// The marker says that the content is claimed after it has left.
    FlagAfterLeaving,
    /// A writer notes that it waits for a marker without looking whether one is inside.
    AwaitWithoutLook,
    /// A writer that has released content in slices does not wait for the marker inside.
    FinishWithMarkerInside,
    /// A reader that goes does not release what it read.
    EndReadIsRelaxed,
    /// A collection of one thread is written without the lock while marking, too.
    PlainWriteWhileMarking,
    /// Its end does not release what was written.
    PlainEndIsRelaxed,
    /// A look at whether the content of a collection is claimed does not acquire what the marker did that claimed it.
    LookIsRelaxed,
    /// A writer looks for parked threads before it gives the lock up.
    WakeBeforeUnlock,
    /// Going from writing to reading gives the lock up in between.
    DowngradeInTwoSteps,
    /// Going from writing to reading does not release what was written.
    DowngradeIsRelaxed,
    /// Going from writing to reading wakes none of the readers that wait.
    DowngradeWakesNobody,
    /// A writer that has waited long enough leaves those who queue behind it where they are.
    TimedOutWriterStaysQueued,
    /// A thread that waits for a condition gives the mutex up before others can find it waiting.
    WaitUnlocksFirst,
    /// A thread that was notified takes what the marker has claimed meanwhile for counted.
    RelockCountsNothing,
    // Operations and their barriers.
    /// What gets an entry is not shaded.
    RootWithoutShade,
    /// What is claimed is not shaded.
    ClaimWithoutShade,
    /// What is taken out of a claimed cell is neither shaded nor given an entry.
    TakeWithoutBarrier,
    /// `GcCell::get` reads the word before its operation begins.
    GetReadsOutside,
    /// What is allocated while marking is white.
    AllocateWhite,
    // The cycle.
    /// S2 does not look into the threads' grey buffers.
    EndWithoutBuffers,
    /// S2 does not ask whether a cell is being released in slices.
    EndWhileReleasing,
    /// The pins that S2 waits for are those held at S1.
    PinsHeldAtS1,
    /// S2 does not wait for pins.
    EndWithoutPins,
    /// `GcCell::set` does not shade what it overwrites.
    SetWithoutShade,
    /// A pinned change of a claimed cell does not shade what was there.
    PinnedChangeForgetsOld,
    /// A pinned change of a claimed cell does not shade what comes in.
    PinnedStoreForgetsNew,
    // Collections.
    /// The marker takes a collection that is written to in an operation for one that is counted.
    MarkerSkipsOperation,
    /// What goes out of a claimed collection is not shaded.
    EdgeOutWithoutShade,
    /// A collection does not shade the edge that is overwritten.
    EdgeOverwrittenWithoutShade,
    /// Two elements of a claimed collection change places without being shaded.
    EdgeSwapWithoutShade,
    /// An insertion shifts elements past the marker's place without moving that.
    InsertForgetsProgress,
    /// A collection's length is changed without a release.
    LengthIsRelaxed,
    /// A collection is rebuilt in another order without being shaded.
    RebuildWithoutShade,
    // Records.
    /// Stopping the world looks for the records before it shuts the gate.
    StopLooksFirst,
    /// The end of a thread hands over what its record holds outside any operation.
    ExitWithoutOperation,
    /// A record is free for another thread before its content has been handed over.
    GiveBackEarly,
    /// Nobody brings the records of idle threads up to date.
    UpdateNobody,
    // Spans.
    /// Bringing a record up to date leaves its cache as it is.
    UpdateKeepsCache,
    /// The unused tail of a run stays marked.
    TailStaysMarked,
    /// What is vacant when the cache is flushed stays so.
    VacantAfterTheRound,
    /// Slots stay vacant when their entries are given up.
    VacantWithoutEntry,
    /// A record keeps the number of its round when it hands everything over.
    RoundGoesOn,
    /// The same when it gives entries up that may be in its buffer still.
    RoundOutlivesEntries,
    /// A thread takes a slot that anybody has bought for one of its own.
    BoughtInAnyRound,
    /// A cache gives its span back before it has returned the unused tail of its run.
    GiveBeforeTail,
    /// A span that waits for its sweep is taken for a swept one.
    RefillFromUnswept,
    /// A mutator's sweep is counted after the span has been taken.
    SweepCountedLate,
    /// The collector does not wait for sweeps of mutators.
    SweepWithoutWaiting,
    /// The dropper looks whether anything waits in its span before it takes its lock.
    FinishLooksFirst,
    // Between S2 and the sweep.
    /// Mutators sweep as soon as S2 is over.
    SweepEarly,
    /// Objects go to the finalizer thread before what they reach is marked.
    PublishBeforeMarking,
    /// What the objects that finalizers will see reach is not marked.
    KeepTheFinalizableAlone,
    /// The handle of the finalizer thread's queue gets no entry.
    QueueWithoutEntry,
}

/// Whether the line has been weakened. Never, outside the models.
#[cfg(not(all(graphgc_loom, test)))]
#[inline(always)]
pub(crate) const fn weakened(_: Mutation) -> bool {
    false
}

#[cfg(all(graphgc_loom, test))]
pub(crate) use chosen::{weakened, with};

#[cfg(all(graphgc_loom, test))]
mod chosen {
    use super::Mutation;
    use std::cell::Cell;

    // Std's: loom runs all threads of a model on the one that checks it.
    thread_local!(static CHOSEN: Cell<Option<Mutation>> = const { Cell::new(None) });

    /// Whether the model under way has this line weakened.
    pub(crate) fn weakened(mutation: Mutation) -> bool {
        CHOSEN.get() == Some(mutation)
    }

    /// Runs `f` with one line weakened.
    pub(crate) fn with<R>(mutation: Mutation, f: impl FnOnce() -> R) -> R {
        struct Restore;
        impl Drop for Restore {
            fn drop(&mut self) {
                CHOSEN.set(None);
            }
        }
        CHOSEN.set(Some(mutation));
        let _restore = Restore;
        f()
    }
}
