//! Other collectors in Rust whose handles are used like `Rc`.

/// `gc`: marks and sweeps, one thread. Its derive is older than the lint.
#[allow(non_local_definitions)]
pub(super) mod gc {
    use super::super::{Contestant, peer::programs};
    use ::gc::{Finalize, Gc, GcCell, Trace};
    programs!("gc", Gc, GcCell, [Trace, Finalize], list: true);
}

/// `boa_gc`: what grew out of it for a JavaScript engine.
pub(super) mod boa {
    use super::super::{Contestant, peer::programs};
    use boa_gc::{Finalize, Gc, GcRefCell, Trace};
    programs!("boa_gc", Gc, GcRefCell, [Trace, Finalize], list: true);
}

/// `rust-cc`: counts references and looks for cycles, one thread.
pub(super) mod rust_cc {
    use super::super::{Contestant, peer::programs};
    use ::rust_cc::{Cc, Finalize, Trace};
    use std::cell::RefCell;
    programs!("rust-cc", Cc, RefCell, [Trace, Finalize], list: false);
}

/// `dumpster`: counts references and looks for cycles; its variant for one thread.
pub(super) mod dumpster_unsync {
    use super::super::{Contestant, peer::programs};
    use dumpster::{Trace, unsync::Gc};
    use std::cell::RefCell;
    programs!("dumpster, unsync", Gc, RefCell, [Trace], list: false);
}

/// `dumpster`: its variant for several threads, whose cells are locks.
pub(super) mod dumpster_sync {
    use super::super::{Contestant, peer::programs};
    use dumpster::{Trace, sync::Gc};
    use std::sync::{Mutex, MutexGuard};

    /// A lock that is used like a `RefCell`.
    #[derive(Trace)]
    struct Cell<T: 'static>(Mutex<T>);

    impl<T> Cell<T> {
        fn new(value: T) -> Self {
            Cell(Mutex::new(value))
        }

        fn borrow(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("nobody panics")
        }

        fn borrow_mut(&self) -> MutexGuard<'_, T> {
            self.borrow()
        }
    }

    programs!("dumpster, sync", Gc, Cell, [Trace], list: false);
}
