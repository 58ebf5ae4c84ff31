//! The two ways of holding an object: by a handle, which is counted, and under a pin, where nothing is. What follows edges is written once
//! for both.

use super::{
    detour::ThinCell,
    node::{Any, EdgeCell, Family, Node, Pinned},
};
use graphgc::{Gc, GcCell, Guard, Local, Thin};

/// A way of holding what an edge leads to.
pub trait Grasp<F: Family> {
    /// What is held.
    type Held;
    /// Follows a handle.
    fn handle<T: Node<F>>(&self, handle: &Gc<T>) -> Self::Held;
    /// Follows a cell that may be empty.
    fn cell<T: Node<F>>(&self, cell: &EdgeCell<T>) -> Option<Self::Held>;
    /// Follows a cell that is never empty.
    fn full<T: Node<F>>(&self, cell: &GcCell<Gc<T>>) -> Self::Held;
    /// Follows a cell with a thin handle.
    fn thin(&self, cell: &ThinCell<F>) -> Option<Self::Held>;
    /// Follows a handle of any type.
    fn any(&self, any: &Any<F>) -> Self::Held;
    /// The id of the object, if all canaries are well.
    fn check(held: &Self::Held) -> u32;
}

/// By handles.
pub struct Counted;

impl<F: Family> Grasp<F> for Counted {
    type Held = Any<F>;

    fn handle<T: Node<F>>(&self, handle: &Gc<T>) -> Any<F> {
        T::any(handle.clone())
    }

    fn cell<T: Node<F>>(&self, cell: &EdgeCell<T>) -> Option<Any<F>> {
        cell.get().map(T::any)
    }

    fn full<T: Node<F>>(&self, cell: &GcCell<Gc<T>>) -> Any<F> {
        T::any(cell.get())
    }

    fn thin(&self, cell: &ThinCell<F>) -> Option<Any<F>> {
        cell.get().map(|thin| Any::Dyn(Thin::handle(&thin).clone()))
    }

    fn any(&self, any: &Any<F>) -> Any<F> {
        any.clone()
    }

    fn check(held: &Any<F>) -> u32 {
        held.check()
    }
}

/// Under a pin.
impl<'g, F: Family> Grasp<F> for &'g Guard {
    type Held = Pinned<'g, F>;

    fn handle<T: Node<F>>(&self, handle: &Gc<T>) -> Pinned<'g, F> {
        T::pinned(handle.local(self))
    }

    fn cell<T: Node<F>>(&self, cell: &EdgeCell<T>) -> Option<Pinned<'g, F>> {
        cell.load(self).map(T::pinned)
    }

    fn full<T: Node<F>>(&self, cell: &GcCell<Gc<T>>) -> Pinned<'g, F> {
        T::pinned(cell.load(self))
    }

    fn thin(&self, cell: &ThinCell<F>) -> Option<Pinned<'g, F>> {
        cell.load(self).map(|thin| Pinned::Dyn(Thin::handle(Local::get(thin)).local(self)))
    }

    fn any(&self, any: &Any<F>) -> Pinned<'g, F> {
        any.pinned(self)
    }

    fn check(held: &Pinned<'g, F>) -> u32 {
        held.view().check()
    }
}
