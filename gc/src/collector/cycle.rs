//! One cycle: S1, root scan, R, mark, S2, departure, sweep.

use super::{
    checkmark, departure,
    ephemerons::WAITING,
    grey::GREY,
    held_up::HELD_UP,
    mark::Marker,
    pacer::PACER,
    roots, sweep,
    worker::{HELPERS, WORKER},
};
use crate::{
    cell::{edge_word::forget_revocable_claims, open::any_releasing},
    config::Config,
    heap::HEAP,
    mutator::{
        holders::{acquire_closed_pins, notice_pins},
        pin::PinsHeld,
        record::{WORLD, records, stop_the_world, update_all},
    },
    observe::stats::TOTALS,
    sync::{Mutation, sleep, weakened},
};
use std::time::{Duration, Instant};

/// Bytes that the worker marks before it tells the pacer.
const SLICE: usize = 256 << 10;
/// How long the worker sleeps after the first S2 of a cycle that came too early, and at most after one of those that follow.
const SHORTEST_REST: Duration = Duration::from_micros(20);
const LONGEST_REST: Duration = Duration::from_millis(1);
/// The longest sleep between two looks at what the end of marking waits for.
const LONGEST_PAUSE: Duration = Duration::from_millis(2);

/// Runs one whole cycle. Everything is swept when it begins and when it returns; drops may still be under way.
pub(crate) fn run(config: &Config) {
    let marking = Instant::now();
    begin_marking();
    let (roots, pins) = mark(config);
    end_marking(config);
    // Not while the world is stopped: it gives memory back to the global allocator, which may be a user's.
    drop(pins);
    let sweeping = Instant::now();
    TOTALS.marking_took(marking.elapsed(), roots);
    let cycle = HEAP.cycle();
    departure::run(config, cycle);
    sweep::sweep_all(cycle);
    TOTALS.sweeping_took(sweeping.elapsed());
}

/// S1.
pub(crate) fn begin_marking() {
    WAITING.begin_cycle();
    let begun = Instant::now();
    stop_the_world();
    forget_revocable_claims();
    WORLD.change_phase(true);
    TOTALS.s1_took(begun.elapsed());
    PACER.marking_begins();
    TOTALS.take_marked();
    update_all(WORLD.phase());
}

/// From S1 until S2 has been tried with success. Returns the number of roots, and what watched over the pins held at R.
fn mark(config: &Config) -> (usize, PinsHeld) {
    let early = weakened(Mutation::PinsHeldAtS1).then(PinsHeld::now);
    let mut marker = Marker::new(true);
    let roots = roots::scan(&mut marker);
    // R.
    let pins = early.unwrap_or_else(PinsHeld::now);
    notice_pins();
    HELPERS.wake();
    let mut rest = SHORTEST_REST;
    loop {
        drain(&mut marker);
        report(&mut marker);
        let (bytes, objects) = marker.finish();
        TOTALS.marked(bytes, objects);
        wait_for_others(&pins, config);
        if try_end(&pins, &mut rest) {
            HELD_UP.ends();
            return (roots, pins);
        }
        marker = Marker::new(true);
    }
}

fn drain(marker: &mut Marker) {
    while !marker.drain(SLICE) {
        report(marker);
    }
}

fn report(marker: &mut Marker) {
    let (bytes, objects) = marker.take_marked();
    PACER.pay(bytes);
    TOTALS.marked(bytes, objects);
}

/// Waits until no assist or helper holds anything, no cell is being released in slices, and the pins of R are gone, or there is something to mark.
fn wait_for_others(pins: &PinsHeld, config: &Config) {
    let mut pause = Duration::from_micros(20);
    while !GREY.has_blocks() {
        // S2 would be in vain, and hold up whoever releases.
        let idle = GREY.is_idle() && !any_releasing();
        if pins.are_gone() || weakened(Mutation::EndWithoutPins) {
            HELD_UP.ends();
            if idle {
                break;
            }
        } else if idle {
            HELD_UP.goes_on(config);
        }
        WORKER.run_errands();
        sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// S2, if the pins of R are gone and nothing is grey anywhere: then the world is stopped, as it stays until `end_marking`. Otherwise
/// marking resumes; after an S2 in vain when the worker has had its `rest`, which is longer next time.
///
/// The pins are asked for here, whatever the caller waited for: waiting ends when there is something to mark, too.
fn try_end(pins: &PinsHeld, rest: &mut Duration) -> bool {
    if !(pins.are_gone() || weakened(Mutation::EndWithoutPins)) || GREY.has_blocks() {
        return false;
    }
    acquire_closed_pins();
    TOTALS.s2_begins();
    stop_the_world();
    let mut grey = !GREY.is_idle() || any_releasing();
    for record in records() {
        // SAFETY: the world is stopped.
        let local = unsafe { record.local() };
        local.untold.tell(&HEAP, true);
        let flushed = local.grey.flush();
        grey |= flushed && !weakened(Mutation::EndWithoutBuffers);
    }
    if grey {
        WORLD.resume();
        TOTALS.s2_ends();
        // Somebody may be shading one object after the other, ahead of the marker: then the next S2 would be in vain, too.
        if !cfg!(graphgc_loom) {
            sleep(*rest);
            *rest = (*rest * 2).min(LONGEST_REST);
        }
    }
    !grey
}

/// The rest of S2, and bringing everyone up to date.
fn end_marking(config: &Config) {
    if config.checkmark {
        checkmark::check();
    }
    HEAP.advance_cycle();
    WORLD.change_phase(false);
    TOTALS.s2_ends();
    let (marked, _) = TOTALS.take_marked();
    PACER.marking_ends(config, marked, HEAP.account.take_black_bytes() as u64);
    update_all(WORLD.phase());
    WORKER.mark_ended();
}
