//! Plain reachability, for programs on one thread: which objects exist, what each of their places holds, and what of it is found
//! by tracing.

use super::{
    content::Content,
    detour::{self, Bound},
    local_mortal,
    machine::Outside,
    mortal,
    node::{Any, Local, View, has_leaf},
    op::{Guard, Kind},
    settle,
    weak::Weakly,
    witness::{Plant, Witness},
};
use crate::payload::{corrupt_drops, drops_of, new_id};
use graphgc::{Outcome, ThreadBound, collect, stats};
use std::{collections::HashSet, mem};

/// Whether the handles in a place are found by tracing, and who may still get at it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Everybody, and they are.
    Open,
    /// Not traced: its handles are roots while their owner exists.
    Skipped,
    /// A guard has been forgotten or is held. If it is one for writing its handles are roots while their owner exists.
    Held(Guard),
}

impl Access {
    fn is_untraced(self) -> bool {
        matches!(self, Access::Skipped | Access::Held(Guard::Write))
    }
}

struct Place {
    content: Content<u32>,
    access: Access,
    /// What it leads by way of, which is none of the program's.
    way: Option<u32>,
}

struct Modelled {
    kind: Kind,
    places: Vec<Place>,
    /// What a keeper has.
    weakly: Option<Box<Weakly>>,
    /// Lies outside the heap: exists until the program ends, and is not counted.
    outside: bool,
}

/// All objects that exist.
pub struct Model {
    /// By id, from the first.
    objects: Vec<Option<Modelled>>,
    first: u32,
    ids: Vec<u32>,
    hub: Option<u32>,
    /// Objects that hang in the load of the collector, and how many objects that load consists of.
    far: Vec<u32>,
    weight: u64,
    /// Objects that the program holds for the moment beside its roots.
    held: Vec<u32>,
    /// Objects whose handles have been forgotten.
    forgotten: Vec<u32>,
    /// Objects that have a link for weak handles.
    downgraded: HashSet<u32>,
    /// What the lazy cell of the next object is to yield.
    promised: Option<u32>,
    /// Objects that the statistics counted before we began.
    base: u64,
    /// Values bound to this thread that there were before.
    bound: usize,
    plant: Option<Plant>,
    /// Comparisons that were made.
    pub collections: usize,
}

impl Model {
    /// A model of an empty heap, as the program sees it.
    pub fn new(plant: Option<Plant>) -> Self {
        settle();
        Model {
            objects: Vec::new(),
            first: new_id(),
            ids: Vec::new(),
            hub: None,
            far: Vec::new(),
            weight: 0,
            held: Vec::new(),
            forgotten: Vec::new(),
            downgraded: HashSet::new(),
            promised: None,
            base: stats().live_objects,
            bound: detour::bound_values(),
            plant,
            collections: 0,
        }
    }

    /// Objects that still exist.
    pub fn left(&self) -> usize {
        self.ids.len()
    }

    /// An id that is smaller than those of all objects.
    pub fn first_id(&self) -> u32 {
        self.first
    }

    /// The hub is gone.
    pub fn hub_is_gone(&mut self) {
        let hub = self.hub.take();
        self.ids.retain(|id| Some(*id) != hub);
    }

    fn index(&self, id: u32) -> usize {
        (id - self.first) as usize
    }

    #[track_caller]
    fn get(&self, id: u32) -> &Modelled {
        self.objects[self.index(id)].as_ref().expect("a reachable object is in the model")
    }

    #[track_caller]
    fn place(&mut self, id: u32, place: usize) -> &mut Place {
        let index = self.index(id);
        &mut self.objects[index].as_mut().expect("a reachable object is in the model").places[place]
    }

    fn iter(&self) -> impl Iterator<Item = (u32, &Modelled)> {
        self.ids.iter().map(|id| (*id, self.get(*id)))
    }

    fn exists(&self, id: u32) -> bool {
        self.objects[self.index(id)].is_some()
    }

    /// What the program holds.
    fn roots<'a>(&'a self, roots: &'a [Any<Local>]) -> impl Iterator<Item = u32> + 'a {
        let others = self.forgotten.iter().chain(&self.held).chain(&self.hub).chain(&self.far);
        roots.iter().map(Any::check).chain(others.copied())
    }

    /// What existing objects hold untraced.
    fn untraced(&self) -> impl Iterator<Item = u32> {
        let places = self.iter().flat_map(|(_, object)| &object.places);
        places.filter(|place| place.access.is_untraced()).flat_map(|place| place.content.iter().copied())
    }

    /// Whether each object, by its index, is reached from these. A value is if its key and its keeper are.
    fn reached(&self, roots: impl Iterator<Item = u32>) -> Vec<bool> {
        let mut reached = vec![false; self.objects.len()];
        let mut keepers = Vec::new();
        let mut grey: Vec<u32> = roots.collect();
        loop {
            while let Some(id) = grey.pop() {
                let index = self.index(id);
                if !mem::replace(&mut reached[index], true) {
                    let object = self.get(id);
                    grey.extend(object.places.iter().flat_map(|place| place.content.iter()));
                    keepers.extend(object.weakly.as_deref());
                }
            }
            let ties = keepers.iter().flat_map(|keeper| keeper.ties());
            let is_reached = |id: u32| reached[self.index(id)];
            let counts = |key: u32| is_reached(key) || self.plant == Some(Plant::KeepsValues);
            grey.extend(ties.filter(|(key, value)| counts(*key) && !is_reached(*value)).map(|(_, value)| value));
            if grey.is_empty() {
                return reached;
            }
        }
    }

    /// What is unreachable goes from the model, and is returned.
    fn predict(&mut self, roots: &[Any<Local>]) -> Vec<(u32, Kind)> {
        let mut dead = Vec::new();
        loop {
            let reached = self.reached(self.roots(roots).chain(self.untraced()));
            let is_reached = |id: &u32| reached[(*id - self.first) as usize];
            let (kept, removed): (Vec<_>, Vec<_>) = mem::take(&mut self.ids).into_iter().partition(is_reached);
            self.ids = kept;
            if removed.is_empty() {
                return dead;
            }
            for id in removed {
                let index = self.index(id);
                dead.push((id, self.objects[index].take().expect("in the model").kind));
            }
        }
    }

    /// What can be read of the real objects is what the model says, and if the heap has settled what they have weakly, too. Returns nothing that
    /// keeps them alive.
    fn compare_contents(&self, held: &Outside<'_, Local>, settled: bool) {
        let mut seen = vec![false; self.objects.len()];
        let mut grey = held.roots.to_vec();
        grey.extend(held.ballast.into_iter().flat_map(|ballast| ballast.objects().cloned()));
        let mut visit = |view: View<'_, Local>, grey: &mut Vec<Any<Local>>| {
            let id = view.check();
            if mem::replace(&mut seen[self.index(id)], true) {
                return;
            }
            if let (View::Keeper(keeper), Some(weakly), true) = (view, &self.get(id).weakly, settled) {
                keeper.compare_with(weakly, |id| self.exists(id));
            }
            for (number, place) in self.get(id).places.iter().enumerate() {
                match view.read(number) {
                    Some(content) => {
                        assert_eq!(content.ids(), place.content.ids(), "place {number} of {:?} {id}", view.kind());
                        grey.extend(content.into_elements());
                    }
                    None => assert_eq!(place.access, Access::Held(Guard::Write), "place {number} of object {id}"),
                }
            }
        };
        if let Some(hub) = held.hub {
            visit(View::User(hub), &mut grey);
        }
        while let Some(object) = grey.pop() {
            visit(object.view(), &mut grey);
        }
    }

    /// The most objects there may be that the program does not know of: links and what weak maps consist of. None if nothing is weak.
    fn most_unknown(&self, held: &Outside<'_, Local>) -> usize {
        let links = self.downgraded.iter().filter(|id| self.exists(**id)).count() + held.weak.len();
        links + self.iter().filter_map(|(_, object)| object.weakly.as_ref()).map(|it| it.weight()).sum::<usize>()
    }

    /// Objects that edges go by way of.
    fn ways(&self) -> usize {
        let ways = self.iter().flat_map(|(_, object)| &object.places).filter_map(|place| place.way);
        ways.collect::<HashSet<_>>().len()
    }

    /// The values bound to this thread are those of the objects that exist.
    fn compare_bound(&self) {
        let detours = self.iter().filter(|(_, object)| object.kind == Kind::Detour);
        let bound = detours.map(|(_, object)| detour::bound_values_of(object.places[detour::LAZY].access));
        assert_eq!(detour::bound_values() - self.bound, bound.sum::<usize>(), "values bound to the thread");
        detour::assert_none_astray();
    }

    fn compare_drops(&self, dead: Vec<(u32, Kind)>, most_unknown: usize) {
        for (id, kind) in dead {
            if has_leaf(kind) {
                assert_eq!(drops_of(id), 1, "object {id} ({kind:?}) is unreachable: times dropped");
            }
        }
        for (id, object) in self.iter() {
            if has_leaf(object.kind) {
                assert_eq!(drops_of(id), 0, "object {id} ({:?}) is reachable: times dropped", object.kind);
            }
        }
        assert_eq!(corrupt_drops(), 0, "drops of what was no live leaf");
        mortal::assert_finalized_once();
        local_mortal::assert_all_finalized();
        self.compare_bound();
        let violations = graphgc::verify();
        assert!(violations.is_empty(), "{violations:?}");
        let expected = self.iter().filter(|(_, object)| !object.outside).count() + self.ways();
        let exist = || stats().live_objects - self.base - self.weight;
        if exist() > expected as u64 {
            // Links go one cycle after their objects.
            settle();
        }
        let (least, most) = (expected as u64, (expected + most_unknown) as u64);
        assert!((least..=most).contains(&exist()), "objects that exist: {}, {least} to {most} in the model", exist());
    }
}

impl Witness<Local> for Model {
    fn known(&self, id: u32) {
        let known = id >= self.first && self.objects.get(self.index(id)).is_some_and(Option::is_some);
        assert!(known, "object {id} is reachable but not in the model");
    }

    fn born(&mut self, view: View<'_, Local>, outside: bool) {
        let (id, kind) = (view.check(), view.kind());
        let promised = self.promised.take();
        let place = |number| {
            let access = match (kind, number) {
                (Kind::User, 3..) | (Kind::Detour, detour::BOUND) => Access::Skipped,
                (Kind::Detour, detour::LAZY) => Access::Held(Guard::Write),
                _ => Access::Open,
            };
            let content = match view.read(number) {
                Some(content) => content.model(),
                None => {
                    assert_eq!(access, Access::Held(Guard::Write), "a new value is open");
                    Content::Option(promised)
                }
            };
            Place { content, access, way: None }
        };
        let weakly = matches!(view, View::Keeper(_)).then(Box::default);
        let object = Modelled { kind, places: (0..view.places()).map(place).collect(), weakly, outside };
        if outside {
            self.hub = Some(id);
        }
        let index = self.index(id);
        self.objects.resize_with(index + 1, || None);
        self.objects[index] = Some(object);
        self.ids.push(id);
    }

    fn note(&mut self, id: u32, place: usize, change: impl FnOnce(&mut Content<u32>)) {
        change(&mut self.place(id, place).content);
    }

    fn met(&self, id: u32, place: usize, index: usize, found: Option<u32>) {
        let object = self.get(id);
        let expected = object.places[place].content.nth(index).copied();
        assert_eq!(found, expected, "edge {index} of place {place} of object {id} ({:?})", object.kind);
    }

    fn promised(&mut self, _id: u32, promised: Option<u32>, _promise: &ThreadBound<Bound<Option<Any<Local>>>>) {
        self.promised = promised;
    }

    fn lead(&mut self, id: u32, place: usize, way: Option<u32>) {
        self.place(id, place).way = way;
    }

    fn way(&self, id: u32, place: usize) -> u32 {
        self.get(id).places[place].way.unwrap_or(0)
    }

    fn weakly<R>(&mut self, id: u32, change: impl FnOnce(&mut Weakly) -> R) -> Option<R> {
        let index = self.index(id);
        let object = self.objects[index].as_mut().expect("a reachable object is in the model");
        Some(change(object.weakly.as_mut().expect("a keeper")))
    }

    fn downgraded(&mut self, id: u32) {
        self.downgraded.insert(id);
    }

    fn gone(&self, id: u32, roots: &[Any<Local>]) {
        let is_gone = !self.exists(id) || !self.reached(self.roots(roots))[self.index(id)];
        assert!(is_gone, "object {id} is reachable, but not upgraded");
    }

    fn access(&self, id: u32, place: usize) -> Access {
        self.get(id).places[place].access
    }

    fn set_access(&mut self, id: u32, place: usize, access: Access) -> Access {
        mem::replace(&mut self.place(id, place).access, access)
    }

    fn hold(&mut self, ids: Vec<u32>) {
        self.held = ids;
    }

    fn forgot(&mut self, id: u32) {
        if self.plant != Some(Plant::ForgetsForgotten) {
            self.forgotten.push(id);
        }
    }

    fn loaded(&mut self, weight: u64, ids: Vec<u32>) {
        (self.weight, self.far) = (weight, ids);
    }

    fn collect(&mut self, held: Outside<'_, Local>, pinned: bool) {
        if self.plant == Some(Plant::CrashesOnLarge) && self.iter().any(|(_, object)| object.kind == Kind::Large) {
            std::process::abort();
        }
        self.compare_contents(&held, false);
        if pinned {
            return assert_eq!(collect().outcome, Outcome::Requested, "under a pin");
        }
        self.collections += 1;
        let dead = self.predict(held.roots);
        settle();
        self.downgraded = mem::take(&mut self.downgraded).into_iter().filter(|id| self.exists(*id)).collect();
        self.compare_drops(dead, self.most_unknown(&held));
        held.weak.iter().for_each(|weak| weak.compare(self.exists(weak.id)));
        self.compare_contents(&held, true);
    }
}
