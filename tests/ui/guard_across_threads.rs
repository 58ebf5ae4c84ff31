//! A lock is given up by the thread that has taken it.

use graphgc::{GcMutex, GcRefCell, GcRwLock};
use std::thread;

fn main() {
    let (mutex, lock) = (GcMutex::new(1), GcRwLock::new(2));
    let (locked, read) = (mutex.lock(), lock.read());
    thread::scope(|scope| {
        scope.spawn(move || drop(locked));
        scope.spawn(move || drop(read));
    });
    let cell = GcRefCell::new(3);
    thread::scope(|scope| {
        scope.spawn(|| *cell.borrow());
    });
}
