//! Random programs against plain reachability: after every collection exactly the objects that are unreachable have been dropped.
//!
//! A program is a list of operations ([`op::Op`]), decoded from bytes: those of a seed's random numbers, or a fuzzer's. A
//! [`machine::Machine`] runs it: it allocates, links, unlinks and moves handles in and out of cells by every route that safe code has. Every
//! object that it meets on its way is looked at (its canaries, its identity).
//!
//! On one thread a [`model::Model`] beside it makes every change with ids in place of handles. What comes out of a place must be the same in both, and
//! what is reachable in the model is what must exist. Threads that share one graph have no model; when all have ended, the real graph itself says
//! what is reachable ([`threads`]).
//!
//! Some objects have finalizers ([`mortal`], and [`local_mortal`] for those that their own threads run), and of these some save others from going: each must be finalized once, all that it finds and saves must be whole, and when nothing
//! is saved any more all must be gone.
//!
//! Some objects hold others weakly, or values only as long as their keys live ([`weak`]): what an upgrade gives must be there, and what is there must be given.
//!
//! Some edges go by way of something that is not the program's: a thin handle, a lazy cell, a function, a value bound to its thread ([`detour`]).
//!
//! Parts of a program run in pinned scopes ([`Op::Pin`]), which hold objects that nothing counts, and whose every object must stay the one it was.
//!
//! In some programs a further thread asks for one cycle after the other, so that the collector works all the time while the program changes
//! the graph under it; some give the collector a load ([`ballast`]), so that cycles take longer. A program that fails, even by a crash, is shrunk by [`shrink`].

pub mod ballast;
mod bundle;
pub mod content;
pub mod detour;
pub mod grasp;
pub mod local_mortal;
pub mod lock;
pub mod machine;
pub mod model;
pub mod mortal;
pub mod node;
pub mod op;
pub mod shrink;
pub mod threads;
mod vectors;
pub mod weak;
pub mod witness;

mod allocate;
mod contents;
mod edges;
mod panics;
mod pins;

use crate::payload;
use graphgc::{Config, Outcome, collect, stats};
use machine::{Machine, new_hub};
use model::Model;
use node::{Local, Node};
use op::Op;
use serde::{Deserialize, Serialize};
use std::{
    env, fmt,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};
use witness::{Plant, Witness};

/// Who runs the programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Mode {
    /// One thread, with a model.
    Single,
    /// As many threads as there are programs in the round.
    Threads,
}

/// Programs to run: the rounds one after the other, those of a round at the same time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Case {
    /// Who runs them.
    pub mode: Mode,
    /// Whether another thread collects all the time.
    pub churn: bool,
    /// Whether the collector has a load, so that cycles take longer.
    pub loaded: bool,
    /// Threads that mark.
    pub workers: usize,
    /// The programs.
    pub rounds: Vec<Vec<Vec<Op>>>,
}

/// As a RON text, which but for the outer brackets is Rust: an operation a line.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case { mode, churn, loaded, workers, .. } = self;
        writeln!(f, "(mode: {mode:?}, churn: {churn}, loaded: {loaded}, workers: {workers}, rounds: [")?;
        for round in &self.rounds {
            writeln!(f, "    [")?;
            for program in round {
                writeln!(f, "        [")?;
                program.iter().try_for_each(|op| writeln!(f, "            {op:?},"))?;
                writeln!(f, "        ],")?;
            }
            writeln!(f, "    ],")?;
        }
        writeln!(f, "])")
    }
}

impl Case {
    /// Reads what `Display` has written.
    ///
    /// # Errors
    /// If it is something else.
    pub fn parse(text: &str) -> Result<Self, ron::error::SpannedError> {
        ron::from_str(text)
    }

    /// Settings under which cycles come often, unless the environment has others; for a process that has not used the collector yet.
    ///
    /// # Panics
    /// If it has.
    pub fn configure(&self) {
        let open = |variable| env::var_os(variable).is_none();
        // Not long: a thread that collects with a lock held waits for pins of threads that wait for the lock.
        let mut config = Config::new().patience(Duration::from_millis(20));
        if open("GRAPHGC_MIN_HEAP") {
            config = config.min_heap(64 << 10);
        }
        if open("GRAPHGC_GROWTH") {
            config = config.growth(10);
        }
        if open("GRAPHGC_WORKERS") {
            config = config.workers(self.workers);
        }
        config.install().expect("nothing has run yet");
    }

    /// Runs the programs.
    ///
    /// # Panics
    /// If something is wrong.
    pub fn run(&self) {
        match self.mode {
            Mode::Single => {
                self.rounds.iter().flatten().for_each(|program| run_alone(program, self.churn, self.loaded));
            }
            Mode::Threads => threads::run(&self.rounds, self.churn, self.loaded),
        }
    }
}

/// Runs one program on this thread.
fn run_alone(program: &[Op], churn: bool, loaded: bool) {
    let churning = AtomicBool::new(churn);
    thread::scope(|scope| {
        if churn {
            scope.spawn(|| {
                while churning.load(Relaxed) {
                    collect();
                }
            });
        }
        let _end = OnDrop(|| churning.store(false, Relaxed));
        run_with_model(program, loaded);
    });
}

fn run_with_model(program: &[Op], loaded: bool) {
    let mut model = Model::new(Plant::from_environment());
    let first = model.first_id();
    let hub = new_hub::<Local>();
    model.born(hub.view(), true);
    let mut machine = Machine::new(Vec::new(), hub, model);
    if loaded {
        machine.load();
    }
    machine.run(program);
    machine.collect();
    machine.roots.clear();
    machine.weak.clear();
    machine.hub = None;
    machine.ballast = None;
    machine.witness.loaded(0, Vec::new());
    machine.witness.hub_is_gone();
    machine.collect();
    let (asked, left) = (machine.witness.collections, machine.witness.left());
    if left == 0 {
        payload::forget_from(first);
    }
    if program.len() > 10_000 {
        println!("{asked} collections asked for, {} cycles so far, {left} objects forgotten", stats().cycles);
        assert!(asked > 50, "the program hardly collected");
    }
}

/// Collects until nothing is left to collect, and nobody to finalize, and this thread has dropped what is bound to it. What finalizers have saved is looked at and let go.
pub fn settle() {
    loop {
        let before = stats().finalizers_run;
        while collect().outcome != Outcome::Settled {}
        while stats().finalizers_pending > 0 {
            thread::sleep(Duration::from_micros(50));
        }
        let was_busy = [
            local_mortal::finalize_here(),
            detour::drop_the_bound(),
            mortal::let_the_saved_go(),
            local_mortal::let_the_saved_go(),
            stats().finalizers_run != before,
        ];
        if !was_busy.contains(&true) {
            return;
        }
    }
}

/// Runs something however a scope is left.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0();
    }
}
