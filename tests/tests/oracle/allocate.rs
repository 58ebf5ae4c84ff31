//! Allocating objects of every kind.

use super::*;

impl World {
    pub(super) fn allocate(&mut self) {
        let id = new_id();
        let fixed = if self.random.one_in(2) { self.pick() } else { None };
        match self.random.below(1000) {
            0..450 => {
                let (next, always, user) = (self.pick_of::<Plain>(), self.pick_of::<Plain>(), self.pick_of::<User>());
                let places = vec![
                    open(id_of(&fixed)),
                    open(vec![next.as_ref().map(|it| it.check())]),
                    open(vec![always.as_ref().map(|it| it.check())]),
                    open(vec![user.as_ref().map(|it| it.check())]),
                ];
                let always = always.map(GcCell::new);
                let (canary, tail) = (Canary::new(id), Canary::new(id));
                let plain = Plain { canary, fixed, next: GcCell::new(next), always, user: user.into(), tail };
                self.add(Any::Plain(Gc::new(plain)), Kind::Plain, places);
            }
            450..700 => self.allocate_frees(id, fixed),
            700..950 => self.allocate_user(id, fixed),
            950..962 => {
                let (next, list) = (self.pick_of::<Large>(), self.pick_many(3));
                let places = vec![open(vec![next.as_ref().map(|it| it.check())]), open(ids(&list))];
                let filler = [u64::from(id); 5000];
                let (leaf, tail) = (Leaf::new(id), Canary::new(id));
                let large = Large { leaf, filler, next: next.into(), list: list.into(), tail };
                self.add(Any::Large(Gc::new(large)), Kind::Large, places);
            }
            962..975 => {
                let next = self.pick_of::<Plain>();
                let places = vec![open(vec![next.as_ref().map(|it| it.check())]), open(id_of(&fixed))];
                let filler = [u64::from(id); 5000];
                let (canary, tail) = (Canary::new(id), Canary::new(id));
                let large = LargePlain { canary, filler, next: next.into(), fixed, tail };
                self.add(Any::LargePlain(Gc::new(large)), Kind::LargePlain, places);
            }
            975..998 => {
                let next = self.pick_of::<Aligned>();
                let places = vec![open(vec![next.as_ref().map(|it| it.check())]), open(id_of(&fixed))];
                let aligned = Aligned { leaf: Leaf::new(id), next: next.into(), option: fixed.into() };
                self.add(Any::Aligned(Gc::new(aligned)), Kind::Aligned, places);
            }
            _ => self.allocate_wide(id),
        }
    }

    pub(super) fn allocate_frees(&mut self, id: u32, boxed: Option<Any>) {
        let list = self.pick_many(3);
        let nested = self.pick_many(3);
        let cells: Vec<_> = (0..self.random.below(4)).map(|_| self.pick_of::<Plain>()).collect();
        let map: HashMap<_, _> = (0..KEYS).filter_map(|key| Some((key, self.pick_rarely()?))).collect();
        let tree: BTreeMap<_, _> = (0..KEYS).filter_map(|key| Some((key, self.pick_rarely()?))).collect();
        let option = self.pick_rarely();
        let fixed = self.pick_many(3);
        let places = vec![
            open(ids(&list)),
            open(ids(&nested)),
            open(cells.iter().map(|cell| cell.as_ref().map(|it| it.check())).collect()),
            open((0..KEYS).map(|key| map.get(&key).map(Any::check)).collect()),
            open((0..KEYS).map(|key| tree.get(&key).map(Any::check)).collect()),
            open(id_of(&option)),
            open(ids(&fixed)),
            open(id_of(&boxed)),
        ];
        let frees = Frees {
            canary: Canary::new(id),
            list: list.into(),
            nested: GcRefCell::new(nested.into()),
            cells: cells.into_iter().map(GcCell::new).collect::<Vec<_>>().into(),
            map: map.into(),
            tree: tree.into(),
            option: option.into(),
            fixed,
            boxed: boxed.map(Box::new),
        };
        // Guards forgotten before the cells move into the heap.
        let mut access = [Access::Open; 2];
        match self.random.below(2000) {
            0 => {
                mem::forget(frees.list.borrow());
                access[0] = Access::ReadHeld;
            }
            1 => {
                mem::forget(frees.list.borrow_mut());
                access[0] = Access::WriteHeld;
            }
            2 => {
                mem::forget(frees.nested.borrow().borrow_mut());
                access[1] = Access::WriteHeld;
            }
            _ => {}
        }
        self.add(Any::Frees(Gc::new(frees)), Kind::Frees, places);
        self.place(id, 0).access = access[0];
        self.place(id, 1).access = access[1];
    }

    pub(super) fn pick_rarely(&mut self) -> Option<Any> {
        if self.random.one_in(4) { self.pick() } else { None }
    }

    pub(super) fn allocate_user(&mut self, id: u32, skipped_fixed: Option<Any>) {
        let mutex = self.pick_many(3);
        let lock: VecDeque<_> = self.pick_many(3).into();
        let cell = self.pick_of::<User>();
        let in_skipped = if self.random.one_in(150) { self.pick_many(2) } else { Vec::new() };
        let skipped_fixed = skipped_fixed.filter(|_| self.random.one_in(100));
        let skipped_cell = self.pick_of::<User>().filter(|_| self.random.one_in(150));
        let places = vec![
            open(ids(&mutex)),
            open(lock.iter().map(|it| Some(it.check())).collect()),
            open(vec![cell.as_ref().map(|it| it.check())]),
            skipped(ids(&in_skipped)),
            skipped(id_of(&skipped_fixed)),
            skipped(vec![skipped_cell.as_ref().map(|it| it.check())]),
        ];
        let user = User {
            leaf: Leaf::new(id),
            mutex: mutex.into(),
            lock: lock.into(),
            cell: cell.into(),
            skipped: in_skipped.into(),
            skipped_fixed,
            skipped_cell: skipped_cell.into(),
        };
        self.add(Any::User(Gc::new(user)), Kind::User, places);
    }

    pub(super) fn allocate_wide(&mut self, id: u32) {
        let some: Vec<Any> = (0..8).filter_map(|_| self.pick()).collect();
        let plain: Vec<_> = (0..8).map(|_| self.pick_of::<Plain>()).collect();
        let length = if self.random.one_in(2) { WIDE } else { 3 };
        let fixed: Vec<Any> = some.iter().cycle().take(length).cloned().collect();
        let list: Vec<Any> = some.iter().rev().cycle().take(WIDE + 3 - length).cloned().collect();
        let cells: Vec<_> = plain.iter().cycle().take(length).cloned().collect();
        let places = vec![
            open(ids(&fixed)),
            open(ids(&list)),
            open(cells.iter().map(|cell| cell.as_ref().map(|it| it.check())).collect()),
        ];
        let cells = cells.into_iter().map(GcCell::new).collect();
        let wide = Wide { canary: Canary::new(id), fixed, list: list.into(), cells };
        self.add(Any::Wide(Gc::new(wide)), Kind::Wide, places);
    }
}
