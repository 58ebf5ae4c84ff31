//! Statics belong to all threads. A thread-local may hold anything.

use graphgc::{Gc, GcCell, GcRefCell};
use std::sync::LazyLock;

static CELL: GcRefCell<Option<Gc<u8>>> = GcRefCell::new(None);
static EDGE: LazyLock<GcCell<Option<Gc<GcRefCell<u8>>>>> = LazyLock::new(|| GcCell::new(None));

thread_local! {
    static LOCAL: GcRefCell<Option<Gc<u8>>> = const { GcRefCell::new(None) };
}

fn main() {}
