//! A program that does nothing with the collector costs nothing: no thread before the first use, and no waking without a cause.

use graphgc::{Gc, GcCell, Trace, collect, stats};
use graphgc_tests::{
    heap::garbage,
    process::{alone, mapped_memory, threads, wait_until},
};
use std::{thread, time::Duration};

#[derive(Trace)]
struct Node(GcCell<Option<Gc<Node>>>);

fn collector_threads() -> usize {
    threads().iter().filter(|thread| thread.name.starts_with("graphgc")).count()
}

fn collector_sleeps() -> u64 {
    threads().iter().filter(|thread| thread.name.starts_with("graphgc")).map(|thread| thread.sleeps).sum()
}

/// The least that the heap maps at a time.
const ARENA: u64 = 64 << 20;

#[test]
fn process_that_never_allocates_starts_no_thread_and_maps_no_arena() {
    alone("process_that_never_allocates_starts_no_thread_and_maps_no_arena", &[], || {
        let before = mapped_memory();
        let _cell = GcCell::<Option<Gc<Node>>>::new(None);
        let _ = graphgc::Config::new();
        assert_eq!((stats().threads, stats().reserved_bytes), (0, 0));
        assert_eq!(collector_threads(), 0);
        let now = mapped_memory();
        assert!(now.zip(before).is_none_or(|(now, before)| now < before + ARENA), "an arena is mapped");
        let _first = Gc::new(1);
        assert!(stats().reserved_bytes >= ARENA);
        assert!(mapped_memory().zip(now).is_none_or(|(then, now)| then >= now + ARENA), "it would be seen");
        if !threads().is_empty() {
            // A thread that has just been started takes a moment to give itself its name.
            wait_until("the collector has its threads", || collector_threads() == 2);
        }
    });
}

/// How often the collector's threads wake within two seconds in which the program does not use it.
fn wakings_while_idle() -> u64 {
    let circle = Gc::new(Node(GcCell::new(None)));
    circle.0.set(Some(circle.clone()));
    drop(circle);
    for _ in 0..100_000 {
        garbage(Node(GcCell::new(None)));
    }
    collect();
    let before = collector_sleeps();
    thread::sleep(Duration::from_secs(2));
    collector_sleeps() - before
}

#[test]
fn idle_program_is_not_woken() {
    alone("idle_program_is_not_woken", &[], || {
        let wakings = wakings_while_idle();
        assert!(wakings <= 2, "woken {wakings} times, with a timer of two minutes");
    });
}

#[test]
fn idle_program_with_helpers_is_not_woken() {
    alone("idle_program_with_helpers_is_not_woken", &[("GRAPHGC_WORKERS", "4")], || {
        let wakings = wakings_while_idle();
        assert!(wakings <= 8, "four threads were woken {wakings} times");
    });
}

#[test]
fn timer_wakes_as_often_as_it_should() {
    alone("timer_wakes_as_often_as_it_should", &[("GRAPHGC_PERIOD", "0.2")], || {
        let wakings = wakings_while_idle();
        assert!(wakings <= 40, "woken {wakings} times by a timer of a fifth of a second");
    });
}

#[test]
fn timer_runs_a_cycle_when_something_was_allocated_and_none_otherwise() {
    alone("timer_runs_a_cycle_when_something_was_allocated_and_none_otherwise", &[("GRAPHGC_PERIOD", "0.1")], || {
        let cycles = stats().cycles;
        let _object = Gc::new(1);
        wait_until("the timer has run a cycle", || stats().cycles > cycles);
        // What the first cycles saw may have been allocated between two of them.
        thread::sleep(Duration::from_millis(500));
        let cycles = stats().cycles;
        thread::sleep(Duration::from_secs(1));
        assert_eq!(stats().cycles, cycles, "nothing was allocated");
    });
}

#[test]
fn without_a_timer_no_cycle_comes() {
    alone("without_a_timer_no_cycle_comes", &[("GRAPHGC_PERIOD", "none")], || {
        let _object = Gc::new(1);
        if !threads().is_empty() {
            wait_until("both threads have gone to sleep once", || collector_sleeps() >= 2);
        }
        let sleeps = collector_sleeps();
        thread::sleep(Duration::from_secs(1));
        assert_eq!(stats().cycles, 0);
        assert!(collector_sleeps() <= sleeps + 1);
    });
}
