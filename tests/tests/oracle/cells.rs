//! Changing what is in lock-type cells, nested ones and maps.

use super::*;

impl World {
    pub(super) fn change_list(&mut self, cell: &GcRefCell<Vec<Any>>, id: u32, place: usize) {
        let new = self.pick_many(4);
        let other = self.pick_of::<Frees>();
        if !self.writable(cell, id, place) {
            return;
        }
        let out = match self.random.below(16) {
            0..=3 => self.change_vec(&mut cell.borrow_mut(), id, place, new),
            4 => self.change_vec(&mut RefMut::map(cell.borrow_mut(), |list| list), id, place, new),
            5 => {
                *self.edges(id, place) = ids(&new);
                cell.replace(new)
            }
            6 => {
                self.edges(id, place).clear();
                cell.take()
            }
            7 => {
                let Some(other) = other else { return };
                let other_id = other.check();
                if other_id == id || !self.writable(&other.list, other_id, 0) {
                    return;
                }
                cell.swap(&other.list);
                let mine = mem::take(self.edges(id, place));
                let theirs = mem::replace(self.edges(other_id, 0), mine);
                *self.edges(id, place) = theirs;
                Vec::new()
            }
            8 => {
                let mut copy = cell.clone();
                copy.get_mut().extend(new);
                copy.borrow_mut().pop();
                copy.into_inner()
            }
            9 => {
                let guard = cell.borrow();
                assert_eq!(ids(&guard), *self.edges(id, place));
                assert!(cell.try_borrow_mut().is_err());
                if self.random.one_in(20) {
                    self.collect_and_compare();
                }
                let second = Ref::clone(&guard);
                drop(guard);
                second.iter().take(5).cloned().collect()
            }
            10 => {
                let mut guard = cell.borrow_mut();
                assert!(cell.try_borrow().is_err());
                if self.random.one_in(20) {
                    self.collect_while_held(id, place, &[]);
                }
                drop(other);
                let out = self.change_vec(&mut guard, id, place, new);
                if self.random.one_in(20) {
                    self.collect_while_held(id, place, &out);
                }
                out
            }
            11 if self.random.one_in(60) && self.place(id, place).access == Access::Open => {
                mem::forget(cell.borrow());
                self.place(id, place).access = Access::ReadHeld;
                Vec::new()
            }
            12 if self.random.one_in(1500) && self.place(id, place).access == Access::Open => {
                mem::forget(cell.borrow_mut());
                self.place(id, place).access = Access::WriteHeld;
                Vec::new()
            }
            _ => self.change_vec(&mut cell.borrow_mut(), id, place, new),
        };
        self.receive(out);
    }

    pub(super) fn change_nested(&mut self, it: &Frees, id: u32) {
        let outer = self.objects.get(id).outer;
        let new = self.pick_many(4);
        let other = self.pick_of::<Frees>();
        if outer == Access::WriteHeld {
            assert!(it.nested.try_borrow().is_err());
            return;
        }
        if outer == Access::ReadHeld {
            assert!(it.nested.try_borrow_mut().is_err());
            return self.change_list(&it.nested.borrow(), id, 1);
        }
        let out = match self.random.below(9) {
            0..=2 => return self.change_list(&it.nested.borrow(), id, 1),
            // From here on guards that were forgotten in the inner cell do not matter.
            3 => self.change_vec(it.nested.borrow_mut().get_mut(), id, 1, new),
            4 => {
                *self.place(id, 1) = open(ids(&new));
                it.nested.replace(GcRefCell::new(new)).into_inner()
            }
            5 => {
                *self.place(id, 1) = open(Vec::new());
                let content = mem::take(it.nested.borrow_mut().get_mut());
                assert!(it.nested.take().into_inner().is_empty());
                content
            }
            6 => {
                let Some(other) = other else { return };
                let other_id = other.check();
                if other_id == id || self.objects.get(other_id).outer != Access::Open {
                    return;
                }
                mem::swap(&mut *it.nested.borrow_mut(), &mut *other.nested.borrow_mut());
                let mine = mem::replace(self.place(id, 1), open(Vec::new()));
                let theirs = mem::replace(self.place(other_id, 1), mine);
                *self.place(id, 1) = theirs;
                Vec::new()
            }
            7 if self.random.one_in(40) => {
                mem::forget(it.nested.borrow());
                self.objects.get_mut(id).outer = Access::ReadHeld;
                Vec::new()
            }
            8 if self.random.one_in(800) => {
                mem::forget(it.nested.borrow_mut());
                self.objects.get_mut(id).outer = Access::WriteHeld;
                self.place(id, 1).access = Access::WriteHeld;
                Vec::new()
            }
            _ => {
                let mut copy =
                    GcRefCell::new(it.nested.try_borrow().unwrap().try_borrow().map_or(vec![], |list| list.clone()));
                copy.get_mut().extend(new);
                copy.into_inner()
            }
        };
        self.receive(out);
    }

    pub(super) fn change_cells(&mut self, it: &Frees, id: u32) {
        let new = self.pick_of::<Plain>();
        let new_id = new.as_ref().map(|it| it.check());
        let length = self.edges(id, 2).len();
        let out = match self.random.below(8) {
            0 | 1 if length < MOST_ELEMENTS => {
                it.cells.borrow_mut().push(GcCell::new(new));
                self.edges(id, 2).push(new_id);
                None
            }
            2 => {
                self.edges(id, 2).pop();
                it.cells.borrow_mut().pop().and_then(GcCell::into_inner)
            }
            3 | 4 if length > 0 => {
                let index = self.random.below(length);
                return self.change_cell(&it.cells.borrow()[index], id, 2, index);
            }
            5 if length > 0 => {
                let index = self.random.below(length);
                self.edges(id, 2)[index] = new_id;
                let mut cells = it.cells.borrow_mut();
                if self.random.one_in(2) {
                    cells[index].replace(new)
                } else {
                    mem::replace(&mut cells[index], GcCell::new(new)).into_inner()
                }
            }
            6 if length > 1 => {
                it.cells.borrow_mut().swap(0, length - 1);
                self.edges(id, 2).swap(0, length - 1);
                None
            }
            7 => {
                // The cells as they are, in and out.
                let cells = it.cells.take();
                it.cells.replace(cells.into_iter().rev().collect());
                self.edges(id, 2).reverse();
                None
            }
            _ => None,
        };
        self.receive(out.map(Any::Plain));
    }

    pub(super) fn change_maps(&mut self, it: &Frees, id: u32) {
        let new = self.pick();
        let new_id = new.as_ref().map(Any::check);
        let key = self.random.below(KEYS);
        let mut now = new_id;
        let (place, out) = match self.random.below(8) {
            0 | 1 => (3, put(&mut it.map.borrow_mut(), key, new)),
            2 => {
                (4, new.map_or_else(|| it.tree.borrow_mut().remove(&key), |new| it.tree.borrow_mut().insert(key, new)))
            }
            3 => {
                now = None;
                (3, it.map.borrow_mut().remove(&key))
            }
            4 => {
                now = None;
                (4, it.tree.borrow_mut().remove(&key))
            }
            5 => {
                it.map.borrow_mut().retain(|found, _| *found != key);
                now = None;
                (3, None)
            }
            6 => {
                // All of one map into the other.
                let map = it.map.take();
                let tree = it.tree.replace(map.into_iter().collect());
                it.map.replace(tree.into_iter().collect());
                let map = mem::take(self.edges(id, 3));
                let tree = mem::replace(self.edges(id, 4), map);
                *self.edges(id, 3) = tree;
                return;
            }
            _ => {
                let entry = RefMut::filter_map(it.map.borrow_mut(), |map| map.get_mut(&key));
                match (entry, new) {
                    (Ok(mut entry), Some(new)) => (3, Some(mem::replace(&mut *entry, new))),
                    _ => return,
                }
            }
        };
        self.edges(id, place)[key] = now;
        self.receive(out);
    }

    pub(super) fn change_option(&mut self, cell: &GcRefCell<Option<Any>>, id: u32, place: usize) {
        let new = self.pick();
        let new_id = new.as_ref().map(Any::check);
        let mut now = new_id;
        let out = match self.random.below(5) {
            0 => mem::replace(&mut *cell.borrow_mut(), new),
            1 => {
                now = None;
                cell.borrow_mut().take()
            }
            2 => cell.replace(new),
            3 => {
                *cell.borrow_mut() = new;
                None
            }
            _ => {
                let mut guard = cell.borrow_mut();
                let before = guard.take();
                if let Some(new) = new {
                    let _ = guard.get_or_insert(new);
                }
                before
            }
        };
        self.edges(id, place)[0] = now;
        self.receive(out);
    }

    pub(super) fn change_mutex(&mut self, it: &User, id: u32) {
        let new = self.pick_many(4);
        if self.place(id, 0).access != Access::Open {
            assert!(it.mutex.try_lock().is_none());
            return;
        }
        let out = match self.random.below(8) {
            0 | 1 => self.change_vec(&mut it.mutex.lock(), id, 0, new),
            2 => self.change_vec(&mut it.mutex.try_lock().expect("nobody has it"), id, 0, new),
            3 => self.change_vec(&mut GcMutexGuard::map(it.mutex.lock(), |list| list), id, 0, new),
            4 => {
                let last = GcMutexGuard::filter_map(it.mutex.lock(), |list| list.last_mut());
                match (last, new.into_iter().next()) {
                    (Ok(mut last), Some(new)) => {
                        *self.edges(id, 0).last_mut().unwrap() = Some(new.check());
                        vec![mem::replace(&mut *last, new)]
                    }
                    _ => Vec::new(),
                }
            }
            5 if self.random.one_in(20) => {
                let mut guard = it.mutex.lock();
                self.collect_while_held(id, 0, &[]);
                self.change_vec(&mut guard, id, 0, new)
            }
            6 if self.random.one_in(1500) => {
                mem::forget(it.mutex.lock());
                self.place(id, 0).access = Access::WriteHeld;
                Vec::new()
            }
            _ => {
                *self.edges(id, 0) = ids(&new);
                mem::replace(&mut *it.mutex.lock(), new)
            }
        };
        self.receive(out);
    }

    pub(super) fn change_lock(&mut self, it: &User, id: u32) {
        let new = self.pick();
        match self.place(id, 1).access {
            Access::Open | Access::Skipped => {}
            Access::ReadHeld => {
                assert!(it.lock.try_write().is_none() && it.lock.try_read().is_some());
                return;
            }
            Access::WriteHeld => {
                assert!(it.lock.try_write().is_none() && it.lock.try_read().is_none());
                return;
            }
        }
        let mut out = None;
        match self.random.below(10) {
            0 | 1 => {
                let mut guard = it.lock.write();
                let model = self.edges(id, 1);
                if let Some(new) = new {
                    model.push(Some(new.check()));
                    guard.push_back(new);
                }
                if guard.len() > MOST_ELEMENTS {
                    model.remove(0);
                    out = guard.pop_front();
                }
                let guard = GcRwLockWriteGuard::downgrade(guard);
                assert!(it.lock.try_write().is_none() && it.lock.try_read().is_some());
                assert_eq!(guard.iter().map(|it| Some(it.check())).collect::<Vec<_>>(), *self.edges(id, 1));
                if self.random.one_in(20) {
                    self.held.extend(out.iter().map(Any::check));
                    self.collect_and_compare();
                    self.held.clear();
                }
            }
            2 => {
                if let Some(new) = new {
                    self.edges(id, 1).insert(0, Some(new.check()));
                    it.lock.try_write().expect("nobody has it").push_front(new);
                }
                if self.edges(id, 1).len() > MOST_ELEMENTS {
                    self.edges(id, 1).truncate(2);
                    it.lock.write().truncate(2);
                }
            }
            3 => {
                self.edges(id, 1).pop();
                out = it.lock.write().pop_back();
            }
            4 => {
                let last = GcRwLockWriteGuard::filter_map(it.lock.write(), VecDeque::back_mut);
                if let (Ok(mut last), Some(new)) = (last, new) {
                    *self.edges(id, 1).last_mut().unwrap() = Some(new.check());
                    out = Some(mem::replace(&mut *last, new));
                }
            }
            5 => {
                let length = self.edges(id, 1).len();
                self.edges(id, 1).rotate_left(length / 2);
                it.lock.write().rotate_left(length / 2);
            }
            6 => {
                self.edges(id, 1).clear();
                let all = mem::take(&mut *it.lock.write());
                self.receive(all);
            }
            7 if self.random.one_in(30) => {
                mem::forget(it.lock.read());
                self.place(id, 1).access = Access::ReadHeld;
            }
            8 if self.random.one_in(1500) => {
                mem::forget(it.lock.write());
                self.place(id, 1).access = Access::WriteHeld;
            }
            _ => {
                let found: Vec<_> = it.lock.read().iter().map(|it| Some(it.check())).collect();
                assert_eq!(found, *self.edges(id, 1));
            }
        }
        self.receive(out);
    }
}
