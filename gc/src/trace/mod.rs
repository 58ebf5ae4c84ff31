//! How the collector learns where a value's handles are.
//!
//! [`Trace`] is derived, never written by hand in ordinary programs. Its [`trace`](Trace::trace) visits every handle and cell that the value
//! uniquely owns; one walk serves the marker (shade the targets), `Gc::new` (claim the handles) and cells opened for
//! writing (count them). What can be known of a type without looking at a value is in its [`Facts`].

pub(crate) mod facts;
pub(crate) mod finalize;
mod impls;
mod leaf;
pub(crate) mod no_handles;
#[doc(hidden)]
pub mod private;
pub(crate) mod slices;
pub mod third_party;
pub(crate) mod tracer;
pub(crate) mod type_info;

pub use facts::{DropKind, Facts, Info, Leaf, Unknown};
pub use finalize::{Finalize, Finalizer, LocalFinalize};
pub use no_handles::NoHandles;
pub use tracer::Tracer;
#[doc(hidden)]
pub use type_info::SlotFacts;

/// A type whose handles the collector can find.
///
/// Use `#[derive(Trace)]`. The derive visits every field; a field without handles costs nothing.
///
/// ```
/// use graphgc::{Gc, GcRefCell, Trace};
///
/// #[derive(Trace)]
/// struct Node {
///     name: String,
///     next: GcRefCell<Option<Gc<Node>>>,
/// }
///
/// let node = Gc::new(Node { name: "a".into(), next: GcRefCell::new(None) });
/// *node.next.borrow_mut() = Some(node.clone());
/// # assert_eq!(node.next.borrow().as_ref().unwrap().name, "a");
/// ```
///
/// # Safety
///
/// Whoever implements it by hand promises, for as long as the value lives:
///
/// - The value may be traced through `&self` from any thread at any time, while other threads use it, and dropped on any thread.
/// - [`trace`](Trace::trace) visits every handle and every cell of this crate that the value uniquely owns, exactly once and in the same order
///   while the value does not change; it reads only memory that is immutable while the value is shared, or held by a cell of this crate (whose
///   own `trace` is then called); it runs no code of users, does not panic, allocates nothing and waits for nothing.
/// - [`drop_swept`](Trace::drop_swept) drops whatever the value owns besides the handles that `trace` visits directly, and calls the
///   `drop_swept` of what `trace` visits; it never reads through a handle.
/// - [`Self::Info`](Trace::Info) tells the truth; [`Unknown`] always does. If it speaks of a finalizer, the type is what that [asks for](Finalizer).
/// - The type has no `Drop` of its own that could run while a handle in the value is claimed (the derive bans `Drop`).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be traced by the garbage collector: a type of your own needs `#[derive(Trace)]`",
    label = "`{Self}` does not implement `Trace`",
    note = "for a trait object make `Trace` a supertrait: `trait Name: Trace`",
    note = "handles in `Cell`, `RefCell`, `Mutex`, `RwLock` or `OnceCell` go into `GcCell`, `GcRefCell`, `GcMutex`, `GcRwLock` instead; `Rc` becomes `Gc`",
    note = "a field without handles may be marked `#[trace(leaf)]` if it is `Send`; what is not goes into a `ThreadBound`; `#[trace(skip)]` leaves handles in a field counted as roots"
)]
pub unsafe trait Trace: 'static {
    /// What is known of the type without looking at a value.
    type Info: Info
    where
        Self: Sized;

    /// What the type's slots are like, as the constants of `Self::Info` say. The derive answers; the default sends the
    /// collector to the object's header instead. Must not look at the value.
    #[doc(hidden)]
    #[inline]
    fn slot_facts(&self) -> Option<SlotFacts> {
        None
    }

    /// Visits every handle and cell that the value uniquely owns.
    ///
    /// Cost: one step per handle, cell and element that may hold one.
    fn trace(&self, tracer: &mut Tracer<'_>);

    /// Drops a dead value in place without touching the handles that the collector had claimed.
    ///
    /// # Safety
    /// The collector alone calls this, once, on a value that nothing else can reach; the value is gone afterwards.
    unsafe fn drop_swept(&mut self);

    /// Runs the finalizer that [`Info::FINALIZER`] of `Self::Info` speaks of. The collector calls this, and the derive implements it.
    #[doc(hidden)]
    fn run_finalizer(&self) {}
}
