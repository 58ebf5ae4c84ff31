//! What has gone wrong once.

use graphgc::{Gc, GcRwLock, Outcome, Trace, collect};
use graphgc_tests::heap::garbage;
use std::{
    collections::HashMap,
    hash::{BuildHasher, DefaultHasher},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

/// Panics when dropped, with a payload that panics when dropped.
struct Panics;

impl Drop for Panics {
    fn drop(&mut self) {
        std::panic::panic_any(Payload);
    }
}

struct Payload;

impl Drop for Payload {
    fn drop(&mut self) {
        panic!("a payload's drop");
    }
}

#[derive(Trace)]
struct Holder {
    #[trace(leaf)]
    _panics: Panics,
}

/// The payload of a caught panic was dropped outside the catch: its own panic ended the dropper's thread, and `collect` waited for ever.
#[test]
fn panic_payload_that_panics_is_contained() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    drop(Gc::new(Holder { _panics: Panics }));
    let outcome = collect().outcome;
    std::panic::set_hook(usual);
    assert_eq!(outcome, Outcome::Settled);
}

#[derive(Trace)]
struct Link(Option<Box<Link>>, Option<Gc<u8>>);

/// A deep value of one owner was dropped on a stack of 2 MiB, where the program's own would have borne it.
#[test]
fn deep_values_fit_the_collectors_stacks() {
    let body = || {
        let mut chain = Link(None, None);
        for _ in 0..40_000 {
            chain = Link(Some(Box::new(chain)), Some(Gc::new(1)));
        }
        let kept = Gc::new(chain);
        assert_eq!(collect().outcome, Outcome::Settled);
        assert!(kept.0.is_some() && kept.1.is_some());
        drop(kept);
        assert_eq!(collect().outcome, Outcome::Settled);
    };
    // Here, too, the value is walked over: whoever builds such a thing has the stack for it.
    thread::Builder::new().stack_size(256 << 20).spawn(body).unwrap().join().unwrap();
}

#[derive(Trace)]
#[trace(leaf)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A hasher that owns a handle.
#[derive(Clone)]
struct Hashes(#[expect(dead_code, reason = "kept alive")] Gc<Counted>);

impl BuildHasher for Hashes {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        DefaultHasher::new()
    }
}

/// `collect` took a graph for settled while a dead map's hasher had just let go of an object.
#[test]
fn handles_in_hashers_are_let_go() {
    let drops = Arc::new(AtomicUsize::new(0));
    let mut map = HashMap::with_hasher(Hashes(Gc::new(Counted(drops.clone()))));
    map.insert(1, 2);
    let map = Gc::new(map);
    assert_eq!(map[&1], 2);
    drop(map);
    assert_eq!(collect().outcome, Outcome::Settled);
    assert_eq!(drops.load(SeqCst), 1);
}

/// A long content with hardly any handles in it was walked in one critical section, which held up every thread that allocated.
#[test]
fn sparse_content_is_walked_in_slices() {
    const LENGTH: usize = 4_000_000;
    let sparse = Gc::new(GcRwLock::new((0..LENGTH).map(|_| None::<Gc<u8>>).collect::<Vec<_>>()));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let uninvolved = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            while !over.load(SeqCst) {
                let begun = Instant::now();
                garbage(1u64);
                longest = longest.max(begun.elapsed());
            }
            longest
        });
        for _ in 0..5 {
            collect();
            sparse.write()[LENGTH / 2] = Some(Gc::new(7));
        }
        over.store(true, SeqCst);
        assert!(uninvolved.join().unwrap() < Duration::from_secs(5));
    });
    assert_eq!(sparse.read()[LENGTH / 2].as_deref(), Some(&7));
}
