use graphgc::{Local, pin};
use std::thread;

fn main() {
    let guard = pin();
    let local: Local<'_, u32> = guard.alloc(7);
    thread::scope(|scope| {
        scope.spawn(|| *local);
    });
}
