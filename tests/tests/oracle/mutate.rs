//! Changing edges in single cells, and in vectors by every route that `&mut` gives.

use super::*;

impl World {
    /// Changes something somewhere.
    pub(super) fn mutate(&mut self) {
        let Some(object) = self.pick() else { return };
        let id = self.known(&object);
        match &object {
            Any::Plain(it) => match self.random.below(4) {
                0 => self.change_cell(&it.next, id, 1, 0),
                1 => self.change_always(it, id),
                2 => self.change_cell(&it.user, id, 3, 0),
                _ => self.change_cell(&it.next, id, 1, 0),
            },
            Any::Frees(it) => match self.random.below(6) {
                0 => self.change_list(&it.list, id, 0),
                1 => self.change_nested(it, id),
                2 => self.change_cells(it, id),
                3 => self.change_maps(it, id),
                4 => self.change_option(&it.option, id, 5),
                _ => self.change_list(&it.list, id, 0),
            },
            Any::User(it) => match self.random.below(6) {
                0 | 1 => self.change_mutex(it, id),
                2 | 3 => self.change_lock(it, id),
                4 => self.change_cell(&it.cell, id, 2, 0),
                _ if self.random.one_in(50) => self.change_list(&it.skipped, id, 3),
                _ if self.random.one_in(50) => self.change_cell(&it.skipped_cell, id, 5, 0),
                _ => {
                    self.edges(id, 3).clear();
                    self.edges(id, 5)[0] = None;
                    let out = it.skipped.take().into_iter().chain(it.skipped_cell.take().map(Any::User));
                    self.receive(out);
                }
            },
            Any::Large(it) => match self.random.below(2) {
                0 => self.change_cell(&it.next, id, 0, 0),
                _ => self.change_list(&it.list, id, 1),
            },
            Any::LargePlain(it) => self.change_cell(&it.next, id, 0, 0),
            Any::Aligned(it) => match self.random.below(2) {
                0 => self.change_cell(&it.next, id, 0, 0),
                _ => self.change_option(&it.option, id, 1),
            },
            Any::Wide(it) => match self.random.below(2) {
                0 => self.change_list(&it.list, id, 1),
                _ => {
                    let index = self.random.below(it.cells.len());
                    self.change_cell(&it.cells[index], id, 2, index);
                }
            },
        }
    }

    pub(super) fn change_cell<T: Node>(&mut self, cell: &GcCell<Option<Gc<T>>>, id: u32, place: usize, index: usize) {
        let new = if self.random.one_in(4) { None } else { self.pick_of::<T>() };
        let new_id = new.as_ref().map(|it| it.check());
        let old_id = self.edges(id, place)[index];
        let mut now = new_id;
        let out = match self.random.below(8) {
            0 | 1 => {
                cell.set(new);
                None
            }
            2 => cell.replace(new),
            3 => {
                now = None;
                cell.take()
            }
            4 => {
                let current = cell.get();
                cell.replace_if(&current, new).unwrap_or_else(|_| panic!("nobody else changes the cell"))
            }
            5 => {
                let other = self.pick_of::<T>();
                if other.as_ref().map(|it| it.check()) == old_id {
                    cell.replace_if(&other, new).unwrap_or_else(|_| panic!("the same edge"))
                } else {
                    now = old_id;
                    let refused = cell.replace_if(&other, new).err().expect("another edge");
                    assert_eq!(refused.as_ref().map(|it| it.check()), new_id, "the refused edge comes back");
                    refused
                }
            }
            6 => {
                now = old_id;
                let copy = cell.clone();
                copy.set(new);
                let back = copy.replace(cell.get());
                assert_eq!(back.as_ref().map(|it| it.check()), new_id);
                copy.into_inner()
            }
            _ => {
                now = old_id;
                let _dropped_as_a_cell = cell.clone();
                cell.get()
            }
        };
        self.edges(id, place)[index] = now;
        self.receive(out.map(T::any));
    }

    pub(super) fn change_always(&mut self, it: &Plain, id: u32) {
        let (Some(cell), Some(new)) = (&it.always, self.pick_of::<Plain>()) else { return };
        let new_id = new.check();
        let out = match self.random.below(3) {
            0 => {
                cell.set(new);
                None
            }
            1 => Some(cell.replace(new)),
            _ => Some(cell.replace_if(&cell.get(), new).unwrap_or_else(|_| panic!("nobody else changes the cell"))),
        };
        self.edges(id, 2)[0] = Some(new_id);
        self.receive(out.map(Any::Plain));
    }

    /// Changes a vector to which the program has exclusive access. What comes out, comes out.
    pub(super) fn change_vec(&mut self, real: &mut Vec<Any>, id: u32, place: usize, new: Vec<Any>) -> Vec<Any> {
        let index = if real.is_empty() { 0 } else { self.random.below(real.len()) };
        let which = self.random.below(14);
        let length = self.random.below(MOST_ELEMENTS);
        let model = self.edges(id, place);
        assert_eq!(ids(real), *model, "place {place} of object {id}");
        let new_ids = ids(&new);
        match which {
            0..=3 => {
                real.extend(new);
                model.extend(new_ids);
                if real.len() > MOST_ELEMENTS && real.len() < WIDE {
                    model.truncate(length);
                    return real.split_off(length);
                }
                Vec::new()
            }
            4 => {
                model.pop();
                real.pop().into_iter().collect()
            }
            5 if !real.is_empty() => {
                model.swap_remove(index);
                vec![real.swap_remove(index)]
            }
            6 if !real.is_empty() => {
                model.remove(index);
                vec![real.remove(index)]
            }
            7 => {
                model.drain(index..);
                real.drain(index..).collect()
            }
            8 => {
                let mut number = 0;
                real.retain(|_| {
                    number += 1;
                    number % 2 == 0
                });
                number = 0;
                model.retain(|_| {
                    number += 1;
                    number % 2 == 0
                });
                Vec::new()
            }
            9 => {
                *model = new_ids;
                mem::replace(real, new)
            }
            10 => {
                model.clear();
                mem::take(real)
            }
            11 => {
                let mut new = new;
                *model = new_ids;
                mem::swap(real, &mut new);
                new
            }
            12 => {
                model.clear();
                real.clear();
                Vec::new()
            }
            _ => {
                model.reverse();
                real.reverse();
                real.first().cloned().into_iter().collect()
            }
        }
    }

    /// A write guard is held while the collector runs: the place's handles are roots.
    pub(super) fn collect_while_held(&mut self, id: u32, place: usize, held: &[Any]) {
        self.held = held.iter().map(Any::check).collect();
        let before = mem::replace(&mut self.place(id, place).access, Access::WriteHeld);
        self.collect_and_compare();
        self.place(id, place).access = before;
        self.held.clear();
    }

    /// Whether a place may be opened for writing; checks that a place that may not be is refused.
    pub(super) fn writable(&mut self, cell: &GcRefCell<Vec<Any>>, id: u32, place: usize) -> bool {
        match self.place(id, place).access {
            Access::Open | Access::Skipped => true,
            Access::ReadHeld => {
                assert!(cell.try_borrow_mut().is_err());
                let found = ids(&cell.borrow());
                assert_eq!(found, *self.edges(id, place));
                false
            }
            Access::WriteHeld => {
                assert!(cell.try_borrow_mut().is_err() && cell.try_borrow().is_err());
                false
            }
        }
    }
}
