//! What a version asks the operating system for.

use std::{sync::Barrier, thread};

/// Resident memory of this process, in bytes.
pub(super) fn resident() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|it| it.split_whitespace().nth(1)?.parse::<u64>().ok());
    (pages.expect("the system says how much memory is resident") * 4096) as f64
}

/// Runs `work` with the numbers below `threads`, each on a thread of its own, all beginning together; gives the sum of their results.
pub(super) fn on_threads(threads: u64, work: impl Fn(u64) -> u64 + Sync) -> u64 {
    let (barrier, work) = (Barrier::new(threads as usize), &work);
    let begin = |index| {
        barrier.wait();
        work(index)
    };
    let begin = &begin;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|index| scope.spawn(move || begin(index))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).fold(0, u64::wrapping_add)
    })
}
