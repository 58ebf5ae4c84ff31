//! What the code emitted by `#[derive(Trace)]` refers to. Nothing here is meant to be written by hand.
//!
//! A derived type answers for its facts in two steps, so that `Self` in a field's type keeps its meaning and a type may
//! contain itself behind a `Vec` or `Box`: [`Derived`] sums up the fields, and [`DerivedInfo`], which knows its type by
//! name only, hands the sum on. Owning indirections are told [`Unknown`] instead.

use super::Unknown;
pub use super::{
    NoHandles, SlotFacts, Trace, Tracer,
    facts::{DropKind, Facts, Info, Leaf},
    finalize::{Finalize, HasFinalizer, HasLocalFinalizer, LocalFinalize, WithFinalizer, WithLocalFinalizer},
};
use std::marker::PhantomData;

/// The facts of a type that derives `Trace`.
pub trait Derived {
    /// The sum over the fields.
    const FACTS: Facts;
    /// Never called; it compiles only if the skipped and leaf fields may be dropped on any thread.
    fn check_fields();
}

/// Info of a type that derives `Trace`.
pub struct DerivedInfo<T: ?Sized>(PhantomData<*const T>);

impl<T: Derived + ?Sized> Info for DerivedInfo<T> {
    const FACTS: Facts = T::FACTS;
    type Behind = Unknown;
}

/// The facts of a traced field.
pub const fn facts_of<T: Trace>() -> Facts {
    <T::Info as Info>::FACTS
}

/// Whether a dead field with these facts needs [`Trace::drop_swept`].
pub const fn needs_drop_swept(facts: Facts) -> bool {
    !matches!(facts.drop, DropKind::None)
}

/// Implemented for every type that has a `Drop` of its own, and by the derive for the type at hand: both at once is the
/// error that users see. A `Drop` could read, through handles that the collector has claimed, objects that died in the same cycle.
#[allow(non_camel_case_types)]
pub trait TracedTypesHaveNoDrop_MoveItIntoALeafField_OrImplementFinalize {}

#[allow(drop_bounds)]
impl<T: Drop + ?Sized> TracedTypesHaveNoDrop_MoveItIntoALeafField_OrImplementFinalize for T {}

/// What may be dropped on any thread: whatever is `Send`, and nothing else, since the supertrait is out of reach.
#[diagnostic::on_unimplemented(
    message = "a leaf must be `Send + 'static`, and `{Self}` is not",
    label = "not `Send + 'static`",
    note = "the collector drops dead objects on a thread of its own",
    note = "put it into a `ThreadBound`, which its own thread drops, or use what is `Send`, as `Arc` instead of `Rc`"
)]
pub trait LeafField: sealed::Leaf + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Send + 'static + ?Sized> LeafField for T {}

/// Compiles if a leaf field of this type may be dropped on any thread.
pub fn leaf_field_is_send<T: LeafField + ?Sized>() {}

/// Traces a field.
#[inline(always)]
pub fn trace_field<T: Trace>(field: &T, tracer: &mut Tracer<'_>) {
    field.trace(tracer);
}

/// Drops a traced field of a dead value.
///
/// # Safety
/// As for [`Trace::drop_swept`].
#[inline(always)]
pub unsafe fn drop_field<T: Trace>(field: &mut T) {
    // SAFETY: by contract.
    unsafe { field.drop_swept() };
}

/// Drops a skipped or leaf field in place; its handles count down.
///
/// # Safety
/// As for [`Trace::drop_swept`]; the field is not used again.
pub unsafe fn drop_untraced<T>(field: &mut T) {
    // SAFETY: by contract nobody uses the value again. It may be dropped on this thread: `check_fields` compiled.
    unsafe { std::ptr::drop_in_place(field) };
}

/// Asks whether a skipped field is `Send` or `Trace`, without a bound that would need one of them.
///
/// Method lookup on `&&&Probe<T>` tries the three implementations of [`Skip`] in this order and takes the first
/// whose bound holds: for `&&Probe` if `T` is `Send`, for `&Probe` if it is `Trace`, for `Probe` otherwise.
pub struct Probe<T: ?Sized>(PhantomData<*const T>);

impl<T: ?Sized> Probe<T> {
    /// A probe is only a name for the type.
    pub const NEW: Self = Probe(PhantomData);
}

/// The three outcomes of a [`Probe`].
pub trait Skip {
    /// [`IsSend`], [`IsTrace`] or [`Refused`].
    type Verdict;
    /// The outcome, as a type.
    fn verdict(&self) -> Self::Verdict;
}

/// The field may be skipped, being `Send`: for no other can this type even be named. So a method of the user's that is found in the
/// place of [`Skip::verdict`] cannot say so falsely.
pub struct IsSend<T: Send + ?Sized>(PhantomData<*const T>);
/// The field may be skipped, being `Trace`; as [`IsSend`].
pub struct IsTrace<T: Trace + ?Sized>(PhantomData<*const T>);
/// The field may not be skipped.
pub struct Refused;

impl<T: Send + ?Sized> Skip for &&Probe<T> {
    type Verdict = IsSend<T>;
    fn verdict(&self) -> IsSend<T> {
        IsSend(PhantomData)
    }
}

impl<T: Trace + ?Sized> Skip for &Probe<T> {
    type Verdict = IsTrace<T>;
    fn verdict(&self) -> IsTrace<T> {
        IsTrace(PhantomData)
    }
}

impl<T: ?Sized> Skip for Probe<T> {
    type Verdict = Refused;
    fn verdict(&self) -> Refused {
        Refused
    }
}

/// What a verdict must be for a field of type `Field`.
#[diagnostic::on_unimplemented(
    message = "a skipped field must be `Send` or `Trace`",
    label = "`{Field}` is neither `Send` nor `Trace`",
    note = "the collector drops dead objects on a thread of its own",
    note = "put it into a `ThreadBound`, which its own thread drops"
)]
pub trait AllowsSkipping<Field: ?Sized>: sealed::Verdict {}

impl<Field: Send + ?Sized> AllowsSkipping<Field> for IsSend<Field> {}
impl<Field: Trace + ?Sized> AllowsSkipping<Field> for IsTrace<Field> {}

mod sealed {
    use super::{IsSend, IsTrace, Refused, Trace};

    /// Nobody else implements `LeafField`.
    pub trait Leaf {}

    impl<T: Send + 'static + ?Sized> Leaf for T {}

    /// Nobody else gives verdicts.
    pub trait Verdict {}

    impl<T: Send + ?Sized> Verdict for IsSend<T> {}
    impl<T: Trace + ?Sized> Verdict for IsTrace<T> {}
    impl Verdict for Refused {}
}

/// Compiles if a skipped field of type `Field` may be dropped on any thread.
pub fn skipped_field_is_send_or_trace<V: AllowsSkipping<Field>, Field: 'static + ?Sized>(_: V) {}
