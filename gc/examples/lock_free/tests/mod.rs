//! The structures by themselves, under load while the collector runs, and in recorded histories; under `--cfg graphgc_loom` in all
//! interleavings of small programs.

mod history;
mod specifications;

#[cfg(not(graphgc_loom))]
mod load;
#[cfg(not(graphgc_loom))]
mod map;
#[cfg(graphgc_loom)]
mod models;
#[cfg(not(graphgc_loom))]
mod queue;
#[cfg(not(graphgc_loom))]
mod stack;
