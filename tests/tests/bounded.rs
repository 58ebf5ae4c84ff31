//! Cyclic garbage of many gigabytes in little memory: the heap grows no further than what lives asks for, however fast
//! threads allocate.

use graphgc::{Gc, GcCell, Local, Outcome, Trace, collect, pin, stats};
use graphgc_tests::{
    heap::settle,
    process::{alone, peak_memory},
};
use std::{hint::black_box, thread, time::Duration};

const TOTAL: u64 = 10 << 30;
const MOST_RESIDENT: u64 = 256 << 20;

/// Two of them make a cycle. Two kilobytes each, so that the collector rather than the test's own loop is what takes time.
#[derive(Trace)]
struct Node {
    other: GcCell<Option<Gc<Node>>>,
    payload: [u64; 253],
}

fn make_cycle(number: u64) {
    let one = Gc::new(Node { other: GcCell::new(None), payload: [number; 253] });
    let two = Gc::new(Node { other: GcCell::new(Some(one.clone())), payload: [number; 253] });
    one.other.set(Some(two));
    assert_eq!(one.payload[252], number);
}

/// Allocates cycles until the process has allocated `TOTAL`, and no longer.
fn allocate_and_forget() {
    let mut number = 0;
    loop {
        for _ in 0..4096 {
            number += 1;
            make_cycle(number);
        }
        if stats().total_bytes >= TOTAL {
            return;
        }
    }
}

/// The same under pins, each for 256 cycles, half a megabyte.
fn forget_under_pins() {
    let mut guard = pin();
    for number in 1.. {
        let one = guard.alloc(Node { other: GcCell::new(None), payload: [number; 253] });
        let two = guard.alloc(Node { other: GcCell::new(None), payload: [number; 253] });
        Local::get(one).other.store(Some(two), &guard);
        Local::get(two).other.store(Some(one), &guard);
        assert_eq!(one.payload[252], number);
        if number % 256 == 0 {
            guard.repin();
            if number % 4096 == 0 && stats().total_bytes >= TOTAL {
                return;
            }
        }
    }
}

fn with_threads(count: usize, body: fn()) {
    thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(body);
        }
    });
    let stats = stats();
    assert!(stats.total_bytes >= TOTAL);
    println!("peak {:?} MiB; {stats:?}", peak_memory().map(|bytes| bytes >> 20));
    let peak = peak_memory().unwrap_or(stats.span_bytes + stats.list_bytes);
    assert!(peak < MOST_RESIDENT, "peak of {} MiB; {stats:?}", peak >> 20);
}

#[test]
fn by_one_thread() {
    alone("by_one_thread", &[], || with_threads(1, allocate_and_forget));
}

#[test]
fn by_two_threads() {
    alone("by_two_threads", &[], || with_threads(2, allocate_and_forget));
}

#[test]
fn by_six_threads_that_outnumber_the_cores() {
    alone("by_six_threads_that_outnumber_the_cores", &[], || {
        with_threads(6, allocate_and_forget);
    });
}

/// The same by threads that are pinned almost all of the time.
#[test]
fn by_pinned_threads_that_outnumber_the_cores() {
    let cores = thread::available_parallelism().map_or(2, Into::into);
    alone("by_pinned_threads_that_outnumber_the_cores", &[], || with_threads((3 * cores).min(48), forget_under_pins));
}

/// With a graph that lives and changes beside the garbage.
#[test]
fn beside_a_graph_that_lives() {
    alone("beside_a_graph_that_lives", &[], || {
        let living: Vec<Gc<Node>> =
            (0..10_000).map(|number| Gc::new(Node { other: GcCell::new(None), payload: [number; 253] })).collect();
        thread::scope(|scope| {
            scope.spawn(allocate_and_forget);
            scope.spawn(|| {
                for turn in 0.. {
                    let (one, two) = (&living[turn * 7 % living.len()], &living[turn * 13 % living.len()]);
                    one.other.set(Some(two.clone()));
                    if turn % 4096 == 0 && stats().total_bytes >= TOTAL {
                        return;
                    }
                }
            });
        });
        assert!(living.iter().enumerate().all(|(number, node)| node.payload[252] == number as u64));
        let peak = peak_memory().unwrap_or(stats().span_bytes);
        assert!(peak < MOST_RESIDENT, "peak of {} MiB; {:?}", peak >> 20, stats());
    });
}

/// What a cycle finds that has gone on while threads made objects: all that is held, but not the slots that threads which ended meanwhile had bought and not used.
fn found_after_births(gaps: bool) {
    const SLOT: u64 = 24;
    let mut held: Vec<_> = (0..100_000u64).map(|number| Some(Gc::new([number; 2]))).collect();
    if gaps {
        held.iter_mut().step_by(2).for_each(|object| *object = None);
    }
    settle();
    let guard = pin();
    let cycles = stats().cycles;
    assert_eq!(collect().outcome, Outcome::Requested, "it goes on for as long as the thread is pinned");
    thread::sleep(Duration::from_millis(100));
    held.extend((0..100).map(|number| Some(Gc::new([number; 2]))));
    for number in 0..1000 {
        thread::spawn(move || drop(black_box(Gc::new([number; 2])))).join().unwrap();
    }
    drop(guard);
    while stats().cycles == cycles {
        thread::sleep(Duration::from_millis(1));
    }
    let live = held.iter().flatten().count() as u64 * SLOT;
    let found = stats().marked_bytes;
    assert!((live..live + (64 << 10)).contains(&found), "{live} bytes live, {found} were found");
}

#[test]
fn threads_that_end_while_marking() {
    alone("threads_that_end_while_marking", &[], || found_after_births(false));
}

#[test]
fn births_into_gaps_while_marking() {
    alone("births_into_gaps_while_marking", &[], || found_after_births(true));
}
