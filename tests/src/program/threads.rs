//! Programs on several threads that share one graph. While they run every object that is met is looked at; when all have ended the
//! real graph is walked from the handles they still hold, and after a collection exactly what that walk met has not been
//! dropped.

use super::{
    OnDrop,
    ballast::Ballast,
    content::Content,
    detour, local_mortal,
    machine::{Machine, Outside, new_hub},
    model::Access,
    mortal,
    node::{Any, Shared, Untraced, User, View, has_leaf},
    op::{Guard, Op},
    settle,
    weak::{Remembered, Weakly},
    witness::{Plant, Witness},
};
use crate::payload::{self, corrupt_drops, drops_of, new_id};
use graphgc::{collect, stats};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

/// What a thread has allocated.
#[derive(Default)]
pub struct Ledger {
    leaves: Vec<u32>,
    holders: Vec<Holder>,
    /// There may be objects that the program does not know of: links, and what edges go by way of.
    has_unknown: bool,
    plant: Option<Plant>,
}

impl Ledger {
    fn new() -> Self {
        Ledger { plant: Plant::from_environment(), ..Ledger::default() }
    }

    fn holds(&mut self, id: u32, holds: Holds) {
        if self.plant != Some(Plant::ForgetsHolders) {
            self.holders.push(Holder { id, holds });
        }
    }
}

/// An object that holds others untraced: they are roots while it exists.
struct Holder {
    id: u32,
    holds: Holds,
}

enum Holds {
    /// What is there at the moment; not kept alive by us.
    Fields(Weak<Untraced<Shared>>),
    /// What a lazy cell is to yield, until it has been made.
    Promise(Weak<Option<Any<Shared>>>),
    /// Always the same one, without edges, behind a guard that was forgotten.
    Leaked(u32),
}

impl Witness<Shared> for Ledger {
    fn known(&self, _id: u32) {}

    fn born(&mut self, view: View<'_, Shared>, outside: bool) {
        let id = view.check();
        if has_leaf(view.kind()) && !outside {
            self.leaves.push(id);
        }
        match view {
            View::User(it) if !outside => self.holds(id, Holds::Fields(Arc::downgrade(&it.untraced))),
            View::Mixed(it) if it.leaked => {
                let held = view.read(0).expect("the guard is forgotten later").into_elements();
                held.iter().for_each(|it| self.holds(id, Holds::Leaked(it.check())));
            }
            _ => {}
        }
    }

    fn note(&mut self, _id: u32, _place: usize, _change: impl FnOnce(&mut Content<u32>)) {}

    fn met(&self, _id: u32, _place: usize, _index: usize, _found: Option<u32>) {}

    fn promised(&mut self, id: u32, promised: Option<u32>, promise: &Arc<Option<Any<Shared>>>) {
        if promised.is_some() {
            // Not by way of `holds`: what comes of a forgotten promise depends on ids, so that a program could not be shrunk.
            self.holders.push(Holder { id, holds: Holds::Promise(Arc::downgrade(promise)) });
        }
    }

    fn lead(&mut self, _id: u32, _place: usize, way: Option<u32>) {
        self.has_unknown |= way.is_some();
    }

    fn way(&self, _id: u32, _place: usize) -> u32 {
        0
    }

    fn weakly<R>(&mut self, _id: u32, _change: impl FnOnce(&mut Weakly) -> R) -> Option<R> {
        None
    }

    fn downgraded(&mut self, _id: u32) {
        self.has_unknown = true;
    }

    fn gone(&self, _id: u32, _roots: &[Any<Shared>]) {}

    fn access(&self, _id: u32, _place: usize) -> Access {
        Access::Open
    }

    fn set_access(&mut self, id: u32, _place: usize, access: Access) -> Access {
        // Content behind a guard for reading is traced. What the object holds untraced it goes on holding.
        if access == Access::Held(Guard::Read) {
            self.holders.retain(|holder| holder.id != id || !matches!(holder.holds, Holds::Leaked(_)));
        }
        Access::Open
    }

    fn hold(&mut self, _ids: Vec<u32>) {}

    fn forgot(&mut self, _id: u32) {
        unreachable!("threads forget nothing");
    }

    fn loaded(&mut self, _weight: u64, _ids: Vec<u32>) {}

    fn collect(&mut self, _held: Outside<'_, Shared>, _pinned: bool) {
        collect();
    }
}

/// What a walk met.
#[derive(Default)]
struct Walked {
    /// By id: whether its drop is counted, and the ids that it leads to.
    objects: HashMap<u32, (bool, Vec<u32>)>,
    /// Keepers, with keys and their values.
    ties: Vec<(u32, u32, u32)>,
    /// What exists, if the heap has settled: then weak handles are compared with that.
    settled: Option<HashSet<u32>>,
}

impl Walked {
    /// Walks the real graph. Keeps nothing alive.
    fn walk(&mut self, mut grey: Vec<Any<Shared>>) {
        while let Some(object) = grey.pop() {
            let view = object.view();
            if self.objects.contains_key(&view.check()) {
                continue;
            }
            // What cannot be read is behind a forgotten guard.
            let edges: Vec<_> =
                (0..view.places()).filter_map(|place| view.read(place)).flat_map(Content::into_elements).collect();
            let ids = edges.iter().map(Any::check).collect();
            self.objects.insert(view.check(), (has_leaf(view.kind()), ids));
            grey.extend(edges);
            if let View::Keeper(keeper) = view {
                for (key, value) in keeper.ties() {
                    self.ties.push((view.check(), key.check(), value.check()));
                    grey.extend([key, value]);
                }
                if let Some(exist) = &self.settled {
                    keeper.compare(|id| exist.contains(&id));
                }
            }
        }
    }

    fn reach(&self, roots: impl Iterator<Item = u32>) -> HashSet<u32> {
        let mut reached = HashSet::new();
        let mut grey: Vec<u32> = roots.collect();
        loop {
            while let Some(id) = grey.pop() {
                if reached.insert(id) {
                    grey.extend(&self.objects[&id].1);
                }
            }
            for (keeper, key, value) in &self.ties {
                if reached.contains(keeper) && reached.contains(key) && !reached.contains(value) {
                    grey.push(*value);
                }
            }
            if grey.is_empty() {
                return reached;
            }
        }
    }
}

fn contents(untraced: &Untraced<Shared>) -> Vec<Any<Shared>> {
    use super::lock::Lockable;
    let list = untraced.content.look(false, |content| content.clone().into_elements()).expect("nobody holds it");
    list.into_iter().chain(untraced.fixed.clone()).chain(untraced.cell.get().map(Any::User)).collect()
}

/// What the program holds.
fn rooted(hub: &Arc<User<Shared>>, roots: &[Vec<Any<Shared>>], ballast: Option<&Ballast<Shared>>) -> Vec<Any<Shared>> {
    let mut rooted: Vec<Any<Shared>> = roots.iter().flatten().cloned().collect();
    rooted.extend((0..3).filter_map(|place| View::User(hub).read(place)).flat_map(Content::into_elements));
    rooted.extend(contents(&hub.untraced));
    rooted.extend(ballast.into_iter().flat_map(|ballast| ballast.objects().cloned()));
    rooted
}

/// All threads have ended: compares what has been dropped with what the real graph says.
fn compare(
    ledger: &mut Ledger,
    hub: &Arc<User<Shared>>,
    roots: &[Vec<Any<Shared>>],
    weak: &[Remembered<Shared>],
    ballast: Option<&Ballast<Shared>>,
    base: u64,
) {
    let mut walked = Walked::default();
    let rooted = rooted(hub, roots, ballast);
    let root_ids: Vec<u32> = rooted.iter().map(Any::check).collect();
    walked.walk(rooted);
    // Whoever may exist holds what it holds; who turns out to be unreachable then does not.
    let mut holders: Vec<(u32, Vec<u32>)> = Vec::new();
    ledger.holders.retain(|holder| {
        let held = match &holder.holds {
            Holds::Leaked(id) => {
                walked.objects.insert(*id, (true, Vec::new()));
                vec![*id]
            }
            Holds::Fields(fields) => {
                let Some(fields) = fields.upgrade() else { return false };
                let held = contents(&fields);
                let ids = held.iter().map(Any::check).collect();
                walked.walk(held);
                ids
            }
            Holds::Promise(promise) => {
                let Some(promise) = promise.upgrade() else { return false };
                walked.walk(promise.iter().cloned().collect());
                promise.iter().map(Any::check).collect()
            }
        };
        holders.push((holder.id, held));
        true
    });
    let reached = loop {
        let held = holders.iter().flat_map(|(_, held)| held);
        let reached = walked.reach(root_ids.iter().chain(held).copied());
        let before = holders.len();
        holders.retain(|(id, _)| reached.contains(id));
        if holders.len() == before {
            break reached;
        }
    };
    ledger.holders.retain(|holder| reached.contains(&holder.id));
    settle();
    for id in &ledger.leaves {
        let is_reached = reached.contains(id);
        assert_eq!(drops_of(*id), u8::from(!is_reached), "object {id}, reachable: {is_reached}; times dropped");
    }
    assert_eq!(corrupt_drops(), 0, "drops of what was no live leaf");
    mortal::assert_finalized_once();
    local_mortal::assert_finalized_once();
    detour::assert_none_astray();
    let violations = graphgc::verify();
    assert!(violations.is_empty(), "{violations:?}");
    let (weight, reached_count) = (ballast.map_or(0, |ballast| ballast.weight), reached.len() as u64);
    let exist = || stats().live_objects - base - weight;
    if exist() > reached_count {
        // Links go one cycle after their objects.
        settle();
    }
    // Links, what weak maps consist of and what edges go by way of is not known, but none is left when nothing else is.
    let (may_have_more, exist) = (ledger.has_unknown && !reached.is_empty(), exist());
    assert!(
        exist == reached_count || exist > reached_count && may_have_more,
        "{exist} exist, {reached_count} are reached"
    );
    weak.iter().for_each(|weak| weak.compare(reached.contains(&weak.id)));
    Walked { settled: Some(reached), ..Walked::default() }.walk(self::rooted(hub, roots, ballast));
}

/// Runs the rounds one after the other: each on the graph that the one before has left, with a thread for each program.
pub fn run(rounds: &[Vec<Vec<Op>>], churn: bool, loaded: bool) {
    settle();
    let (base, first) = (stats().live_objects, new_id());
    let hub = new_hub::<Shared>();
    let mut first_machine = Machine::new(Vec::new(), hub.clone(), Ledger::new());
    if loaded {
        first_machine.load();
    }
    let (mut all, ballast) = (first_machine.witness, first_machine.ballast);
    drop((first_machine.hub, first_machine.roots));
    let (mut roots, mut weak): (Vec<Vec<Any<Shared>>>, Vec<Remembered<Shared>>) = Default::default();
    for round in rounds {
        let mut handed = std::mem::take(&mut roots).into_iter();
        let ended = run_round(round, churn, &hub, ballast.as_ref(), &mut handed);
        roots.extend(handed);
        for machine in ended {
            roots.push(machine.roots);
            weak.extend(machine.weak);
            all.has_unknown |= machine.witness.has_unknown;
            all.leaves.extend(machine.witness.leaves);
            all.holders.extend(machine.witness.holders);
        }
        compare(&mut all, &hub, &roots, &weak, ballast.as_deref(), base);
    }
    let number = all.leaves.len();
    drop((hub, roots, weak, ballast));
    let empty = new_hub::<Shared>();
    compare(&mut all, &empty, &[], &[], None, base);
    drop(empty);
    if stats().live_objects == base {
        payload::forget_from(first);
    }
    if number > 10_000 {
        println!("{number} objects whose drop is counted, {} cycles", stats().cycles);
    }
}

fn run_round(
    round: &[Vec<Op>],
    churn: bool,
    hub: &Arc<User<Shared>>,
    ballast: Option<&Arc<Ballast<Shared>>>,
    roots: &mut impl Iterator<Item = Vec<Any<Shared>>>,
) -> Vec<Machine<Shared>> {
    let running = AtomicBool::new(churn);
    thread::scope(|scope| {
        // One cycle after the other, so that threads and collector meet all the time.
        scope.spawn(|| {
            while running.load(Relaxed) {
                collect();
            }
        });
        let _end = OnDrop(|| running.store(false, Relaxed));
        let mut threads = Vec::new();
        for program in round {
            let (roots, hub) = (roots.next().unwrap_or_default(), hub.clone());
            let mut machine = Machine::new(roots, hub, Ledger::new());
            machine.ballast = ballast.cloned();
            threads.push(scope.spawn(move || run_program(program, machine)));
        }
        threads.into_iter().map(|thread| thread.join().expect("a program failed")).collect()
    })
}

fn run_program(program: &[Op], mut machine: Machine<Shared>) -> Machine<Shared> {
    machine.run(program);
    local_mortal::let_the_saved_go();
    machine.hub = None;
    machine.ballast = None;
    machine
}
