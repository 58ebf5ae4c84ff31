//! When the operating system refuses memory: `Gc::try_new` gives the value back with nothing lost, whichever request is refused, and all is
//! well again once memory is to be had.

use graphgc::{BytesBuilder, Gc, GcCell, GcRefCell, Thin, Trace, stats, testing};
use graphgc_tests::{
    heap::settle,
    payload::{Canary, Leaf, drops_of, new_id},
    process::{alone, is_child, run_test_alone},
};
use std::io::{ErrorKind, Write};

#[derive(Trace)]
struct Small {
    leaf: Leaf,
    next: GcCell<Option<Gc<Small>>>,
    list: GcRefCell<Vec<Gc<Small>>>,
    filler: [u64; 120],
}

/// A span of its own.
#[derive(Trace)]
struct Large<const WORDS: usize> {
    leaf: Leaf,
    next: GcCell<Option<Gc<Small>>>,
    filler: [u64; WORDS],
    tail: Canary,
}

fn small(next: Option<Gc<Small>>) -> Small {
    Small { leaf: Leaf::new(new_id()), next: next.into(), list: vec![].into(), filler: [7; 120] }
}

#[track_caller]
fn pages_are_well() {
    let wrong = testing::check_pages();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Allocates small objects, keeping all, until one is refused; returns that one as it came back.
fn fill(kept: &mut Vec<Gc<Small>>, most: usize) -> Option<Small> {
    for _ in 0..most {
        match Gc::try_new(small(kept.last().cloned())) {
            Ok(new) => kept.push(new),
            Err(refused) => return Some(refused.into_inner()),
        }
    }
    None
}

fn check_all(kept: &[Gc<Small>]) {
    for (number, object) in kept.iter().enumerate() {
        assert_eq!(drops_of(object.leaf.check()), 0);
        assert_eq!(
            object.next.get().map(|it| Gc::as_ptr(&it)),
            number.checked_sub(1).map(|before| Gc::as_ptr(&kept[before]))
        );
    }
}

#[test]
fn small_objects_refused_at_any_request() {
    alone("small_objects_refused_at_any_request", &[], || {
        let mut kept = Vec::new();
        assert!(fill(&mut kept, 10).is_none(), "the collector runs");
        let mut refusals = 0;
        for nth in 1..=24 {
            testing::fault::refuse_from(nth);
            let refused = fill(&mut kept, 100_000);
            testing::fault::allow();
            if let Some(refused) = refused {
                refusals += 1;
                let id = refused.leaf.check();
                assert!(Gc::ptr_eq(&refused.next.get().unwrap(), kept.last().unwrap()), "the value is as it was");
                refused.list.borrow_mut().push(kept[0].clone());
                let accepted = Gc::new(refused);
                assert_eq!((accepted.leaf.check(), drops_of(id)), (id, 0));
                kept.push(accepted);
            }
            pages_are_well();
            if nth % 4 == 0 {
                settle();
                check_all(&kept);
                kept.truncate(10);
                settle();
            }
        }
        assert!(refusals >= 10, "memory was hardly refused: {refusals} times");
        check_all(&kept);
        let ids: Vec<_> = kept.iter().map(|it| it.leaf.check()).collect();
        kept.clear();
        settle();
        assert!(ids.iter().all(|id| drops_of(*id) == 1));
        assert_eq!(stats().live_objects, 0, "nothing is lost");
        pages_are_well();
    });
}

#[test]
fn one_request_refused_and_no_other() {
    alone("one_request_refused_and_no_other", &[], || {
        let mut kept = vec![Gc::new(small(None))];
        for nth in 1..=30 {
            testing::fault::refuse_nth(nth);
            if let Some(refused) = fill(&mut kept, 10_000) {
                kept.push(Gc::try_new(refused).expect("only one was to be refused"));
            }
            testing::fault::allow();
            pages_are_well();
        }
        settle();
        check_all(&kept);
    });
}

fn try_large<const WORDS: usize>() {
    let next = Gc::new(small(None));
    let mut refusals = 0;
    for nth in 1..=6 {
        settle();
        let before = stats();
        testing::fault::refuse_from(nth);
        let mut kept = Vec::new();
        let mut refused = None;
        while refused.is_none() && kept.len() < (256 << 20) / (WORDS * 8) {
            let id = new_id();
            let (leaf, tail) = (Leaf::new(id), Canary::new(id));
            match Gc::try_new(Large { leaf, next: Some(next.clone()).into(), filler: [u64::from(id); WORDS], tail }) {
                Ok(new) => kept.push(new),
                Err(error) => refused = Some(error),
            }
        }
        testing::fault::allow();
        if let Some(error) = refused {
            refusals += 1;
            assert!(error.to_string().contains("refused memory"), "{error}");
            assert_eq!(format!("{error:?}"), "AllocError { .. }");
            let value = error.into_inner();
            let id = value.leaf.check();
            assert_eq!((value.tail.check(), value.filler[WORDS - 1]), (id, u64::from(id)));
            assert!(Gc::ptr_eq(&value.next.get().unwrap(), &next));
            drop(value);
            assert_eq!(drops_of(id), 1, "the value is the caller's again");
        }
        pages_are_well();
        for large in &kept {
            let id = large.leaf.check();
            assert_eq!((large.tail.check(), large.filler[0]), (id, u64::from(id)));
        }
        drop(kept);
        settle();
        assert_eq!(stats().live_objects, before.live_objects);
    }
    assert!(refusals >= 3, "memory was hardly refused: {refusals} times");
}

#[test]
fn large_objects_refused_at_any_request() {
    alone("large_objects_refused_at_any_request", &[], || {
        let large = std::thread::Builder::new().stack_size(64 << 20).spawn(|| {
            try_large::<5_000>();
            try_large::<{ (1 << 20) / 8 }>();
        });
        large.unwrap().join().expect("the thread with room for large values ended well");
    });
}

/// Without `try_`: memory is refused for the moment, and a collection finds some.
#[test]
fn new_collects_before_it_gives_up() {
    alone("new_collects_before_it_gives_up", &[], || {
        let mut kept = vec![Gc::new(small(None))];
        testing::fault::refuse_from(1);
        let refused = fill(&mut kept, usize::MAX).expect("memory ends");
        kept.drain(..kept.len() / 2);
        // The chain keeps all: cut it.
        kept[0].next.set(None);
        let object = Gc::new(refused);
        testing::fault::allow();
        object.leaf.check();
        pages_are_well();
    });
}

/// Until nothing is left, and on again, many times.
#[test]
fn after_release_everything_works() {
    alone("after_release_everything_works", &[], || {
        let mut kept = vec![Gc::new(1u64)];
        for turn in 0..20 {
            testing::fault::refuse_from(1);
            while let Ok(new) = Gc::try_new(turn) {
                kept.push(new);
            }
            testing::fault::allow();
            kept.push(Gc::new(turn));
            settle();
            assert_eq!(stats().live_objects, kept.len() as u64);
        }
        pages_are_well();
    });
}

/// The process's first object, whichever of the requests before it is refused.
#[test]
fn first_object_refused_at_any_request() {
    if is_child() {
        let nth = std::env::var(NTH).ok().and_then(|nth| nth.parse().ok());
        return nth.map_or((), first_object_after_refusal);
    }
    for nth in 1..=8 {
        let output = run_test_alone("first_object_refused_at_any_request", &[(NTH, &nth.to_string())]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "request {nth} and those after it refused: {}\n{error}", output.status);
    }
}

const NTH: &str = "GRAPHGC_TEST_NTH";

fn first_object_after_refusal(nth: u64) {
    testing::fault::refuse_from(nth);
    let first = Gc::try_new(small(None));
    testing::fault::allow();
    let first = first.unwrap_or_else(|refused| Gc::new(refused.into_inner()));
    let id = first.leaf.check();
    settle();
    assert_eq!(drops_of(id), 0);
    drop(first);
    settle();
    assert_eq!(drops_of(id), 1);
}

/// A thread's first object while nothing is to be had.
#[test]
fn first_object_of_a_thread_refused() {
    alone("first_object_of_a_thread_refused", &[], || {
        let kept = Gc::new(5u64);
        testing::fault::refuse_from(1);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let kept = kept.clone();
                std::thread::spawn(move || {
                    Gc::try_new(GcCell::new(kept)).map_err(|refused| refused.into_inner().get()).is_ok()
                })
            })
            .collect();
        let ended: Vec<_> = threads.into_iter().map(|thread| thread.join().is_ok()).collect();
        testing::fault::allow();
        assert_eq!(ended, [true; 4]);
        assert_eq!(*kept, 5);
    });
}

/// What the collector needs for itself it must have before: a cycle with very many roots, and memory refused.
/// Every one of these roots is grey at some time, and the first cycle of all comes when no memory for a list of them is to be had.
#[test]
fn first_cycle_of_many_roots_while_memory_is_refused() {
    alone("first_cycle_of_many_roots_while_memory_is_refused", &[("GRAPHGC_MIN_HEAP", "1G")], || {
        let target = Gc::new(7);
        let nodes: Vec<_> = (0..600_000).map(|_| Gc::new(GcCell::new(target.clone()))).collect();
        assert_eq!(stats().cycles, 0);
        testing::fault::refuse_from(1);
        settle();
        testing::fault::allow();
        assert!(nodes.iter().all(|node| *node.get() == 7));
        drop((nodes, target));
        settle();
        assert_eq!(stats().live_objects, 0);
    });
}

#[test]
fn cycle_while_memory_is_refused() {
    alone("cycle_while_memory_is_refused", &[], || {
        let roots: Vec<_> = (0..300_000u64).map(Gc::new).collect();
        let nodes: Vec<_> = (0..100_000).map(|_| Gc::new(GcCell::new(roots[0].clone()))).collect();
        testing::fault::refuse_from(1);
        settle();
        settle();
        testing::fault::allow();
        assert!(roots.iter().enumerate().all(|(number, it)| **it == number as u64));
        assert!(nodes.iter().all(|node| *node.get() == 0));
        drop((roots, nodes));
        settle();
        assert_eq!(stats().live_objects, 0);
        pages_are_well();
    });
}

/// Slices of all sizes: a vector that was refused comes back whole, and nothing of it was claimed or dropped.
#[test]
fn slices_refused_at_any_request() {
    alone("slices_refused_at_any_request", &[], || {
        let target = Gc::new(small(None));
        for length in [1, 10, 100, 5000] {
            let mut refusals = 0;
            for nth in 1..=4 {
                settle();
                let before = stats().live_objects;
                let mut kept = Vec::new();
                testing::fault::refuse_from(nth);
                let mut refused = None;
                while refused.is_none() && kept.len() * length < 400_000 {
                    let (first, vec) = leaves(length, &target);
                    match Gc::try_from_vec(vec) {
                        Ok(slice) => kept.push((first, slice)),
                        Err(error) => refused = Some((first, error)),
                    }
                }
                testing::fault::allow();
                if let Some((first, error)) = refused {
                    refusals += 1;
                    assert!(error.to_string().contains("bytes"), "{error}");
                    let vec = error.into_inner();
                    let ids: Vec<u32> = vec.iter().map(|(leaf, ..)| leaf.check()).collect();
                    assert!(ids.iter().copied().eq(first..first + length as u32));
                    assert!(vec.iter().all(|(_, next, _)| Gc::ptr_eq(next, &target)));
                    drop(vec);
                    assert!(ids.iter().all(|id| drops_of(*id) == 1));
                }
                pages_are_well();
                for (first, slice) in &kept {
                    assert!(slice.iter().zip(*first..).all(|((leaf, next, _), id)| {
                        leaf.check() == id && drops_of(id) == 0 && Gc::ptr_eq(next, &target)
                    }));
                }
                drop(kept);
                settle();
                assert_eq!(stats().live_objects, before);
            }
            assert!(refusals > 0, "no slice of {length} elements was refused");
        }
    });
}

/// With something that fills memory up.
type Filled = (Leaf, Gc<Small>, [u64; 60]);

fn leaves(length: usize, target: &Gc<Small>) -> (u32, Vec<Filled>) {
    let first = new_id();
    let rest = (1..length).map(|_| new_id());
    (first, std::iter::once(first).chain(rest).map(|id| (Leaf::new(id), target.clone(), [7; 60])).collect())
}

#[test]
fn strings_readers_and_thin_handles_refused() {
    alone("strings_readers_and_thin_handles_refused", &[], || {
        let (text, data) = ("text".repeat(5000), vec![7; 1 << 20]);
        let mut kept = Vec::new();
        let mut builder = BytesBuilder::with_capacity(2);
        builder.write_all(b"ab").unwrap();
        testing::fault::refuse_from(1);
        let refused = loop {
            match Gc::try_from_str(&text) {
                Ok(string) => kept.push(string),
                Err(refused) => break refused,
            }
        };
        assert_eq!(refused.into_inner(), text);
        assert_eq!(Gc::<[u8]>::read_from(&data[..], data.len()).unwrap_err().kind(), ErrorKind::OutOfMemory);
        assert_eq!(builder.write(&data).unwrap_err().kind(), ErrorKind::OutOfMemory);
        assert_eq!(builder.read_exact(&data[..], data.len()).unwrap_err().kind(), ErrorKind::OutOfMemory);
        assert!(BytesBuilder::try_with_capacity(1 << 20).is_err());
        let mut thin = Vec::new();
        let refused = loop {
            match kept[0].clone().try_thin() {
                Ok(handle) => thin.push(handle),
                Err(refused) => break refused.into_inner(),
            }
        };
        testing::fault::allow();
        assert!(Gc::ptr_eq(&refused, &kept[0]) && thin.iter().all(|it| Gc::ptr_eq(Thin::handle(it), &refused)));
        assert_eq!(builder.as_slice(), b"ab");
        builder.read_to_end(&data[..]).unwrap();
        assert_eq!(*builder.finish(), *[b"ab", &data[..]].concat());
        assert!(kept.iter().all(|string| **string == *text));
        drop((kept, thin, refused));
        settle();
        assert_eq!(stats().live_objects, 0);
        pages_are_well();
    });
}
