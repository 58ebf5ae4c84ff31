//! `graphgc`, in four styles: handles ([`PLAIN`]), pinned scopes where a program profits from them ([`PINNED`]), and what threads may share where those have
//! something for one thread: cells like the locks of std ([`LOCKED`]), and collections of edges under pins ([`SHARED`]).

mod collector;
mod graphs;
mod handles;
mod lists;
mod shared;
mod trees;

use super::Contestant;

pub(super) const PLAIN: Contestant = Contestant {
    name: "graphgc",
    versions: &[
        ("binary_trees", trees::binary_trees),
        ("parent_trees", trees::parent_trees),
        ("gcbench", trees::gcbench),
        ("list", lists::plain),
        ("graph", graphs::plain),
        ("alloc", handles::alloc),
        ("alloc_held", handles::alloc),
        ("clone_drop", handles::clone_drop),
        ("shared_read", shared::read_plain),
        ("shared_read_1", shared::read_plain),
        ("churn_mt", shared::churn_plain),
        ("churn_mt_1", shared::churn_plain),
        ("mark", collector::mark),
        ("sweep", collector::sweep),
        ("bytes", collector::bytes),
    ],
    other_allocators: true,
};

pub(super) const PINNED: Contestant = Contestant {
    name: "graphgc, pinned",
    versions: &[
        ("parent_trees", trees::parent_trees_pinned),
        ("gcbench", trees::gcbench_pinned),
        ("list", lists::pinned),
        ("graph", graphs::pinned),
        ("shared_read", shared::read_pinned),
        ("shared_read_1", shared::read_pinned),
        ("churn_mt", shared::churn_pinned),
        ("churn_mt_1", shared::churn_pinned),
    ],
    other_allocators: false,
};

pub(super) const LOCKED: Contestant =
    Contestant { name: "graphgc, GcRwLock", versions: &[("graph", graphs::locked)], other_allocators: false };

pub(super) const SHARED: Contestant =
    Contestant { name: "graphgc, GcVec", versions: &[("graph", graphs::shared)], other_allocators: false };
