//! Finalizers: what a type says that it wants done before one of its objects goes.
//!
//! A finalizer belongs to an *object*: a finalizable value that lies in a field of another, or in a `Box` or `Vec`, is a part of that object, and nobody
//! finalizes it. So what is said here is said by the type's own [`Info`] alone and not inherited by what holds it.

use super::{Facts, Info, Trace};
use std::marker::PhantomData;

/// Runs once before the collector drops an object that nothing reaches any more.
///
/// For what a field's `Drop` cannot do, because it needs the rest of the object: to hand a connection back to its pool, to write a record to a log that the object has a handle to, or to
/// save the object itself. Put `#[trace(finalize)]` on the type beside `#[derive(Trace)]`.
///
/// The value is whole when `finalize` sees it, and so is everything that it reaches: handles in it may be followed, cells opened, handles copied to places
/// that are reachable. What the finalizer makes reachable again (the object, if it leads to itself, or a part of its graph) lives on as if nothing had happened. It is *not* finalized a second
/// time: when it becomes unreachable again it is just dropped.
///
/// When and where:
///
/// - On a thread of the collector's, `graphgc-finalize`, one finalizer at a time; hence `Send + Sync`. Types that are not have [`LocalFinalize`]. It starts with the first
///   object of a finalizable type.
/// - Some time after the object became unreachable, in no particular order: of two unreachable objects that refer to each other both are finalized, and each finds the other whole,
///   perhaps finalized. Not at all if the process ends before.
/// - [`Weak`](crate::Weak) handles to the object, and to all that only it leads to, are cleared before.
/// - A finalizer may do what any code may: allocate, lock, block, spawn threads, panic. One that blocks delays other finalizers and nothing else. A panic in it is shown
///   by the panic hook and goes no further. [`collect`](crate::collect) called in one cannot wait and says so.
/// - The object and what it reaches are dropped by a later cycle than the one that found them unreachable.
///
/// Cost: none for other types. A finalizable object is dropped by the collector's own threads even if it has nothing to drop, and lives through one cycle more.
/// How many wait is in [`Stats::finalizers_pending`](crate::Stats::finalizers_pending).
///
/// ```
/// use graphgc::{Finalize, Gc, GcMutex, Trace};
///
/// #[derive(Trace)]
/// struct Pool { idle: GcMutex<Vec<u32>> }
///
/// #[derive(Trace)]
/// #[trace(finalize)]
/// struct Connection { socket: u32, pool: Gc<Pool> }
///
/// impl Finalize for Connection {
///     fn finalize(&self) {
///         self.pool.idle.lock().push(self.socket);
///     }
/// }
///
/// let pool = Gc::new(Pool { idle: GcMutex::new(vec![]) });
/// drop(Gc::new(Connection { socket: 7, pool: pool.clone() }));
/// graphgc::collect();
/// while graphgc::stats().finalizers_pending > 0 {
///     std::thread::yield_now();
/// }
/// assert_eq!(*pool.idle.lock(), [7]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` says `#[trace(finalize)]` but does not implement `Finalize`",
    label = "no finalizer for this type",
    note = "write `impl Finalize for ...`, or leave `#[trace(finalize)]` out",
    note = "a type with parameters asks in both places for the same bounds, `Send + Sync` among them; or use `#[trace(local_finalize)]` and `LocalFinalize`"
)]
pub trait Finalize: Trace + Send + Sync + HasFinalizer {
    /// What is to be done before the object goes.
    fn finalize(&self);
}

/// Runs once before the collector drops an object that nothing reaches any more, on the thread that made the object, when that thread calls [`run_finalizers`](crate::run_finalizers).
///
/// As [`Finalize`], but for graphs that are not `Send`, such as those with [`GcRefCell`](crate::GcRefCell) in them. Put `#[trace(local_finalize)]` on the type.
///
/// Until its thread asks, an object that waits for its finalizer stays, with all that it reaches; [`Stats::local_finalizers_pending`](crate::Stats::local_finalizers_pending)
/// says how many do. When the thread ends, what still waits is dropped without having been finalized, as is what it leaves behind; [`Stats::unfinalized`](crate::Stats::unfinalized) counts them.
///
/// Cost: as for [`Finalize`], and eight bytes in each object.
///
/// ```
/// use graphgc::{Gc, GcRefCell, LocalFinalize, Trace, collect, run_finalizers};
///
/// #[derive(Trace)]
/// struct Log { lines: GcRefCell<Vec<String>> }
///
/// #[derive(Trace)]
/// #[trace(local_finalize)]
/// struct Session { name: String, log: Gc<Log> }
///
/// impl LocalFinalize for Session {
///     fn finalize(&self) {
///         self.log.lines.borrow_mut().push(format!("{} ended", self.name));
///     }
/// }
///
/// let log = Gc::new(Log { lines: GcRefCell::new(vec![]) });
/// drop(Gc::new(Session { name: "first".into(), log: log.clone() }));
/// collect();
/// assert_eq!(run_finalizers(), 1);
/// assert_eq!(*log.lines.borrow(), ["first ended"]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` says `#[trace(local_finalize)]` but does not implement `LocalFinalize`",
    label = "no finalizer for this type",
    note = "write `impl LocalFinalize for ...`, or leave `#[trace(local_finalize)]` out",
    note = "a type with parameters asks in both places for the same bounds"
)]
pub trait LocalFinalize: Trace + HasLocalFinalizer {
    /// What is to be done before the object goes.
    fn finalize(&self);
}

/// Implemented by `#[trace(finalize)]`, so that nobody writes a finalizer that is never run.
#[diagnostic::on_unimplemented(
    message = "the collector does not know of the finalizer of `{Self}`",
    label = "`#[trace(finalize)]` is missing on this type",
    note = "write `#[derive(Trace)]` and `#[trace(finalize)]` on the type"
)]
pub trait HasFinalizer {}

/// Implemented by `#[trace(local_finalize)]`, so that nobody writes a finalizer that is never run.
#[diagnostic::on_unimplemented(
    message = "the collector does not know of the finalizer of `{Self}`",
    label = "`#[trace(local_finalize)]` is missing on this type",
    note = "write `#[derive(Trace)]` and `#[trace(local_finalize)]` on the type"
)]
pub trait HasLocalFinalizer {}

/// Who runs an object's finalizer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finalizer {
    /// There is none.
    None,
    /// A thread of the collector's: the type is `Send + Sync`.
    Thread,
    /// The thread that made the object.
    Owner,
}

/// Info of a type with the facts of `I` and a finalizer that the collector's thread runs.
pub struct WithFinalizer<I: ?Sized>(PhantomData<I>);

impl<I: Info> Info for WithFinalizer<I> {
    const FACTS: Facts = I::FACTS;
    type Behind = I::Behind;
    const FINALIZER: Finalizer = Finalizer::Thread;
}

/// Info of a type with the facts of `I` and a finalizer that the object's own thread runs.
pub struct WithLocalFinalizer<I: ?Sized>(PhantomData<I>);

impl<I: Info> Info for WithLocalFinalizer<I> {
    const FACTS: Facts = I::FACTS;
    type Behind = I::Behind;
    const FINALIZER: Finalizer = Finalizer::Owner;
}
