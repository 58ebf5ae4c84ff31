//! Allocation of plain data, and handles cloned and dropped.

use crate::{contestants::machine::on_threads, programs::ALONE, report::Report};
use graphgc::Gc;
use std::hint::black_box;

pub(super) fn alloc(sizes: &[u64], _: &mut Report) -> u64 {
    let mut held: Vec<Option<Gc<[u64; 4]>>> = vec![None; sizes[1] as usize];
    for number in 0..sizes[0] {
        held[(number % sizes[1]) as usize] = Some(Gc::new([number; 4]));
    }
    held.iter().flatten().map(|it| it[3]).sum()
}

pub(super) fn clone_drop(sizes: &[u64], report: &mut Report) -> u64 {
    let objects = [Gc::new(ALONE), Gc::new(ALONE)];
    let times = |object: &Gc<[u64; 16]>| (0..sizes[0]).map(|_| black_box(Gc::clone(black_box(object)))[0]).sum::<u64>();
    let single = report.phase("single", || times(&objects[0]));
    let one = report.phase("one_object", || on_threads(2, |_| times(&objects[0])));
    single + one + report.phase("two_objects", || on_threads(2, |index| times(&objects[index as usize])))
}
