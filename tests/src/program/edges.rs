//! Changing single edges, in cells of their own and in vectors of cells.

use super::{
    content::{Content, MOST_ELEMENTS},
    lock::Lockable,
    machine::Machine,
    node::{Any, EdgeCell, EdgeRef, Family, Mixed, Node, Plain},
    op::{At, CellsChange, EdgeChange, Route},
    witness::Witness,
};
use graphgc::{Gc, GcCell};
use std::mem;

impl<F: Family> Machine<F> {
    pub(super) fn change_some_edge(&mut self, at: At, number: u8, change: EdgeChange, new: At) {
        let Some(target) = self.target(at) else { return };
        let id = target.view().check();
        let Some((place, index, edge)) = target.view().some_edge(number) else { return };
        match edge {
            EdgeRef::Plain(cell) => self.change_edge(cell, id, place, index, change, new),
            EdgeRef::User(cell) => self.change_edge(cell, id, place, index, change, new),
            EdgeRef::Large(cell) => self.change_edge(cell, id, place, index, change, new),
            EdgeRef::Aligned(cell) => self.change_edge(cell, id, place, index, change, new),
            EdgeRef::Mortal(cell) => self.change_edge(cell, id, place, index, change, new),
            EdgeRef::Keeper(cell) => self.change_edge(cell, id, place, index, change, new),
            EdgeRef::LocalMortal(cell) => self.change_edge(cell, id, place, index, change, new),
            EdgeRef::Thin(cell) => self.change_thin(cell, id, change, new),
            EdgeRef::Always(cell) => self.change_always(cell, id, change, new),
        }
    }

    pub(super) fn change_edge<T: Node<F>>(
        &mut self,
        cell: &EdgeCell<T>,
        id: u32,
        place: usize,
        index: usize,
        change: EdgeChange,
        new: At,
    ) {
        let new = self.pick_of::<T>(new);
        let out = self.change_cell(cell, id, place, index, change, new);
        self.receive(out.map(T::any));
    }

    pub(super) fn change_cell<T: Node<F>>(
        &mut self,
        cell: &EdgeCell<T>,
        id: u32,
        place: usize,
        index: usize,
        change: EdgeChange,
        new: Option<Gc<T>>,
    ) -> Option<Gc<T>> {
        let id_of = |edge: &Option<Gc<T>>| edge.as_ref().map(|it| it.view().check());
        let new_id = id_of(&new);
        let old_id = F::ALONE.then(|| id_of(&cell.get()));
        let put = |witness: &mut F::Witness, now: Option<u32>, out: Option<Option<u32>>| {
            witness.note(id, place, |model| {
                let before = put(model, index, now);
                if let Some(out) = out {
                    assert_eq!(out, before, "what came out of a cell");
                }
            });
        };
        let is_alone = |ok: bool| assert!(ok || !F::ALONE, "nobody else changes the cell");
        match change {
            EdgeChange::Set => {
                cell.set(new);
                put(&mut self.witness, new_id, None);
                None
            }
            EdgeChange::Take => {
                let out = cell.take();
                put(&mut self.witness, None, Some(id_of(&out)));
                out
            }
            EdgeChange::Replace => {
                let out = cell.replace(new);
                put(&mut self.witness, new_id, Some(id_of(&out)));
                out
            }
            EdgeChange::Exchange => {
                let current = cell.get();
                let result = cell.replace_if(&current, new);
                is_alone(result.is_ok());
                match result {
                    Ok(out) => {
                        assert_eq!(id_of(&out), id_of(&current));
                        put(&mut self.witness, new_id, Some(id_of(&out)));
                        out
                    }
                    Err(refused) => refused,
                }
            }
            EdgeChange::ExchangeOther => match cell.replace_if(&new, None) {
                Ok(out) => {
                    assert_eq!(id_of(&out), new_id, "what is exchanged is what was expected");
                    put(&mut self.witness, None, Some(new_id));
                    out
                }
                Err(none) => {
                    assert!(none.is_none(), "the refused edge comes back");
                    assert!(old_id != Some(new_id), "refused though it is the same edge");
                    None
                }
            },
            EdgeChange::Copy => {
                let copy = cell.clone();
                copy.set(new);
                let back = copy.replace(cell.get());
                assert_eq!(id_of(&back), new_id);
                copy.into_inner()
            }
            EdgeChange::Drop => {
                let _dropped_as_a_cell = cell.clone();
                cell.get()
            }
        }
    }

    pub(super) fn change_always(&mut self, cell: &GcCell<Gc<Plain<F>>>, id: u32, change: EdgeChange, new: At) {
        let Some(new) = self.pick_of::<Plain<F>>(new) else { return };
        let new_id = new.view().check();
        let out = match change {
            EdgeChange::Set => {
                cell.set(new);
                None
            }
            EdgeChange::Exchange => match cell.replace_if(&cell.get(), new) {
                Ok(out) => Some(out),
                Err(refused) => {
                    assert!(!F::ALONE, "nobody else changes the cell");
                    return self.receive([Any::Plain(refused)]);
                }
            },
            EdgeChange::Copy | EdgeChange::Drop => return self.receive([Any::Plain(cell.clone().into_inner())]),
            _ => Some(cell.replace(new)),
        };
        self.witness.note(id, 2, |model| *model = Content::Option(Some(new_id)));
        self.receive(out.map(Any::Plain));
    }

    pub(super) fn change_cells(&mut self, at: At, change: CellsChange, index: u8, new: At) {
        let Some(object) = self.pick_of::<Mixed<F>>(at) else { return };
        let new = self.pick_of::<Plain<F>>(new);
        let new_id = new.as_ref().map(|it| it.view().check());
        let id = object.view().check();
        let within = |length: usize| usize::from(index) % length.max(1);
        let mut out = Vec::new();
        if let CellsChange::Read(change) = change {
            object.cells.look(true, |cells| {
                if let Some(cell) = cells.get(within(cells.len())) {
                    out.extend(self.change_cell(cell, id, 2, within(cells.len()), change, new));
                }
            });
            return self.receive(out.into_iter().map(Any::Plain));
        }
        object.cells.change(Route::Guard, |cells| {
            let place = within(cells.len());
            match change {
                CellsChange::Push if cells.len() < MOST_ELEMENTS => {
                    cells.push(GcCell::new(new));
                    self.witness.note(id, 2, |model| slots(model).push(new_id));
                }
                CellsChange::Pop => {
                    out.extend(cells.pop().and_then(GcCell::into_inner));
                    self.witness.note(id, 2, |model| {
                        slots(model).pop();
                    });
                }
                CellsChange::Write if !cells.is_empty() => {
                    out.extend(cells[place].replace(new));
                    self.witness.note(id, 2, |model| slots(model)[place] = new_id);
                }
                CellsChange::Replace if !cells.is_empty() => {
                    out.extend(mem::replace(&mut cells[place], GcCell::new(new)).into_inner());
                    self.witness.note(id, 2, |model| slots(model)[place] = new_id);
                }
                CellsChange::Swap if !cells.is_empty() => {
                    cells.swap(0, place);
                    self.witness.note(id, 2, |model| slots(model).swap(0, place));
                }
                CellsChange::Reverse => {
                    *cells = mem::take(cells).into_iter().rev().collect();
                    self.witness.note(id, 2, |model| slots(model).reverse());
                }
                CellsChange::Take => {
                    out.extend(mem::take(cells).into_iter().filter_map(GcCell::into_inner));
                    self.witness.note(id, 2, |model| slots(model).clear());
                }
                _ => {}
            }
        });
        self.receive(out.into_iter().map(Any::Plain));
    }
}

/// The model of a vector of cells.
fn slots(model: &mut Content<u32>) -> &mut Vec<Option<u32>> {
    match model {
        Content::Slots(slots) => slots,
        _ => unreachable!("the model of a vector of cells"),
    }
}

/// Puts an edge into a model of one cell or of several; what was there.
pub(super) fn put(model: &mut Content<u32>, index: usize, new: Option<u32>) -> Option<u32> {
    match model {
        Content::Slots(slots) => mem::replace(&mut slots[index], new),
        Content::Option(option) => mem::replace(option, new),
        _ => unreachable!("the model of a cell"),
    }
}
