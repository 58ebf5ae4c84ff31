//! Getting hold of objects as a program does: from a root along edges, each compared with the model.

use super::*;

impl World {
    pub(super) fn place(&mut self, id: u32, place: usize) -> &mut Place {
        &mut self.objects.get_mut(id).places[place]
    }

    pub(super) fn edges(&mut self, id: u32, place: usize) -> &mut Vec<Option<u32>> {
        &mut self.place(id, place).edges
    }

    /// Any object that the program can reach: a root, or what a few random steps from it lead to.
    pub(super) fn pick(&mut self) -> Option<Any> {
        if self.roots.is_empty() {
            return None;
        }
        let index = self.random.below(self.roots.len());
        let mut here = self.roots[index].clone();
        for _ in 0..self.random.below(6) {
            match self.step(&here) {
                Some(next) => here = next,
                None => break,
            }
        }
        self.known(&here);
        Some(here)
    }

    /// The object is alive, and the model says so, too.
    #[track_caller]
    pub(super) fn known(&self, handle: &Any) -> u32 {
        let id = handle.check();
        assert!(self.objects.contains(id), "object {id} is reachable but not in the model");
        id
    }

    pub(super) fn pick_of<T: Node>(&mut self) -> Option<Gc<T>> {
        (0..4).find_map(|_| self.pick().and_then(|any| T::of(&any).cloned()))
    }

    pub(super) fn pick_many(&mut self, most: usize) -> Vec<Any> {
        (0..self.random.below(most + 1)).filter_map(|_| self.pick()).collect()
    }

    /// Follows a random edge of the object, comparing what is there with the model.
    pub(super) fn step(&mut self, from: &Any) -> Option<Any> {
        let id = self.known(from);
        let place = self.random.below(self.objects.get(id).places.len());
        let expected = self.objects.get(id).places[place].edges.clone();
        let access = self.objects.get(id).places[place].access;
        let outer = self.objects.get(id).outer;
        if access == Access::WriteHeld || outer == Access::WriteHeld || expected.is_empty() {
            return None;
        }
        let index = self.random.below(expected.len());
        let found = match (from, place) {
            (Any::Plain(it), 0) => it.fixed.clone(),
            (Any::Plain(it), 1) => it.next.get().map(Any::Plain),
            (Any::Plain(it), 2) => it.always.as_ref().map(|cell| Any::Plain(cell.get())),
            (Any::Plain(it), 3) => it.user.get().map(Any::User),
            (Any::Frees(it), 0) => it.list.borrow().get(index).cloned(),
            (Any::Frees(it), 1) => it.nested.borrow().borrow().get(index).cloned(),
            (Any::Frees(it), 2) => it.cells.borrow()[index].get().map(Any::Plain),
            (Any::Frees(it), 3) => it.map.borrow().get(&index).cloned(),
            (Any::Frees(it), 4) => it.tree.borrow().get(&index).cloned(),
            (Any::Frees(it), 5) => Ref::filter_map(it.option.borrow(), Option::as_ref).ok().map(|found| found.clone()),
            (Any::Frees(it), 6) => it.fixed.get(index).cloned(),
            (Any::Frees(it), 7) => it.boxed.as_deref().cloned(),
            (Any::User(it), 0) => match access {
                Access::Open => it.mutex.lock().get(index).cloned(),
                _ => return None,
            },
            (Any::User(it), 1) => it.lock.read().get(index).cloned(),
            (Any::User(it), 2) => it.cell.get().map(Any::User),
            (Any::User(it), 3) => it.skipped.borrow().get(index).cloned(),
            (Any::User(it), 4) => it.skipped_fixed.clone(),
            (Any::User(it), 5) => it.skipped_cell.get().map(Any::User),
            (Any::Large(it), 0) => it.next.get().map(Any::Large),
            (Any::Large(it), 1) => it.list.borrow().get(index).cloned(),
            (Any::LargePlain(it), 0) => it.next.get().map(Any::Plain),
            (Any::LargePlain(it), 1) => it.fixed.clone(),
            (Any::Aligned(it), 0) => it.next.get().map(Any::Aligned),
            (Any::Aligned(it), 1) => it.option.borrow().clone(),
            (Any::Wide(it), 0) => it.fixed.get(index).cloned(),
            (Any::Wide(it), 1) => it.list.borrow().get(index).cloned(),
            (Any::Wide(it), 2) => it.cells[index].get().map(Any::Plain),
            _ => unreachable!("no such place"),
        };
        let found_id = found.as_ref().map(Any::check);
        assert_eq!(
            found_id,
            expected[index],
            "edge {index} of place {place} of object {id} ({:?})",
            self.objects.get(id).kind
        );
        found
    }

    /// Takes handles that the program has got hold of: some become roots, the others are dropped.
    pub(super) fn receive(&mut self, handles: impl IntoIterator<Item = Any>) {
        for handle in handles {
            self.known(&handle);
            if self.random.one_in(3) {
                self.roots.push(handle);
            }
        }
    }

    pub(super) fn add(&mut self, handle: Any, kind: Kind, places: Vec<Place>) {
        let id = handle.check();
        self.objects.insert(id, Modelled { kind, places, outer: Access::Open });
        self.roots.push(handle);
    }
}
