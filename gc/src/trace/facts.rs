//! What is known of a type without looking at a value: whether it holds handles, how long a walk over it is at most, and what dropping
//! it means. Constants, so that a type without handles costs the marker nothing and plain nodes are never touched again when they die.
//!
//! A derived type takes the sum over its inline fields. That sum is finite, since no type contains itself inline. Owning
//! indirections (`Vec`, `Box`, maps) must not ask their content for its facts, or `struct Tree(Vec<Tree>)` would ask
//! itself; they use [`Info::Behind`] instead, which a derived type answers with [`Unknown`] and everything else with itself.

use super::finalize::Finalizer;
pub use crate::heap::kind::DropKind;

/// The facts of one type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    /// A value may own handles or cells, so `trace` must be called.
    pub scan: bool,
    /// A value may own cells.
    pub cells: bool,
    /// What dropping a dead value means.
    pub drop: DropKind,
    /// The most steps that a walk over a value takes, one for each handle and for each element of an array, `usize::MAX` if only
    /// the value knows.
    pub steps: usize,
}

impl Facts {
    /// Nothing to trace, nothing to drop.
    pub const PLAIN: Facts = Facts { scan: false, cells: false, drop: DropKind::None, steps: 0 };
    /// One handle.
    pub const HANDLE: Facts = Facts { scan: true, cells: false, drop: DropKind::None, steps: 1 };
    /// Anything may be in there.
    pub const UNKNOWN: Facts = Facts { scan: true, cells: true, drop: DropKind::User, steps: usize::MAX };

    /// A value without handles, of which the collector knows no more than whether `T` needs dropping.
    pub const fn leaf<T: ?Sized>() -> Facts {
        let drop = if std::mem::needs_drop::<T>() { DropKind::User } else { DropKind::None };
        Facts { drop, ..Facts::PLAIN }
    }

    /// A value without handles that owns memory of std's containers and nothing else.
    pub const fn owned_memory() -> Facts {
        Facts { drop: DropKind::Frees, ..Facts::PLAIN }
    }

    /// The facts of a value that has both parts.
    pub const fn and(self, other: Facts) -> Facts {
        Facts {
            scan: self.scan || other.scan,
            cells: self.cells || other.cells,
            drop: self.drop.or(other.drop),
            steps: self.steps.saturating_add(other.steps),
        }
    }

    /// The facts of a value that is one or the other.
    pub const fn either(self, other: Facts) -> Facts {
        let steps = if self.steps > other.steps { self.steps } else { other.steps };
        Facts { steps, ..self.and(other) }
    }

    /// The facts of `n` such values side by side.
    pub const fn times(self, n: usize) -> Facts {
        if n == 0 {
            return Facts::PLAIN;
        }
        // The walk counts the elements, too: an array in an array takes more steps than it has handles.
        let each = if self.scan { self.steps.saturating_add(1) } else { 0 };
        Facts { steps: each.saturating_mul(n), ..self }
    }

    /// The facts of a container that owns any number of such values in memory of its own.
    pub const fn contained(self) -> Facts {
        let steps = if self.scan { usize::MAX } else { 0 };
        Facts { drop: self.drop.or(DropKind::Frees), steps, ..self }
    }

    /// The facts of a lock-type cell around such a value: handles in it may be counted when it dies.
    pub const fn in_lock_cell(self) -> Facts {
        if self.scan { Facts { cells: true, drop: self.drop.or(DropKind::Frees), ..self } } else { self }
    }
}

/// A type that carries the facts of another.
pub trait Info {
    /// The facts.
    const FACTS: Facts;
    /// What an owning indirection may ask about this type: itself, or [`Unknown`] if the answer could depend on the
    /// indirection.
    type Behind: Info;
    /// Who runs the finalizer of an object whose content is a value of this type, if it has one. Not what is true of its parts: a value in a field of
    /// another is no object.
    const FINALIZER: Finalizer = Finalizer::None;
}

/// Anything may be in there. Always true; `#[derive(Trace)]` gives this answer to owning indirections.
pub enum Unknown {}

impl Info for Unknown {
    const FACTS: Facts = Facts::UNKNOWN;
    type Behind = Unknown;
}

/// Info of a type `T` without handles whose drop, if it needs one, is not known to the collector.
pub struct Leaf<T: ?Sized>(std::marker::PhantomData<T>);

impl<T: ?Sized> Info for Leaf<T> {
    const FACTS: Facts = Facts::leaf::<T>();
    type Behind = Self;
}

/// Info of a type without handles that owns memory of std's and nothing else, such as `String`.
pub enum OwnedMemory {}

impl Info for OwnedMemory {
    const FACTS: Facts = Facts::owned_memory();
    type Behind = Self;
}

/// Info of a single handle.
pub enum Handle {}

impl Info for Handle {
    const FACTS: Facts = Facts::HANDLE;
    type Behind = Self;
}

/// Info of a container that owns any number of `I` in memory of its own.
pub(crate) struct Contained<I: ?Sized>(std::marker::PhantomData<I>);

impl<I: Info> Info for Contained<I> {
    const FACTS: Facts = I::Behind::FACTS.contained();
    type Behind = Contained<I::Behind>;
}

/// Info of a lock-type cell around `I`.
pub struct InLockCell<I: ?Sized>(std::marker::PhantomData<I>);

impl<I: Info> Info for InLockCell<I> {
    const FACTS: Facts = I::FACTS.in_lock_cell();
    type Behind = InLockCell<I::Behind>;
}

/// Info of a value with both parts.
pub struct Both<A, B>(std::marker::PhantomData<(A, B)>);

impl<A: Info, B: Info> Info for Both<A, B> {
    const FACTS: Facts = A::FACTS.and(B::FACTS);
    type Behind = Both<A::Behind, B::Behind>;
}

/// Info of a value that is one or the other.
pub struct Either<A, B>(std::marker::PhantomData<(A, B)>);

impl<A: Info, B: Info> Info for Either<A, B> {
    const FACTS: Facts = A::FACTS.either(B::FACTS);
    type Behind = Either<A::Behind, B::Behind>;
}

/// Info of `N` values side by side.
pub struct Times<I, const N: usize>(std::marker::PhantomData<I>);

impl<I: Info, const N: usize> Info for Times<I, N> {
    const FACTS: Facts = I::FACTS.times(N);
    type Behind = Times<I::Behind, N>;
}
