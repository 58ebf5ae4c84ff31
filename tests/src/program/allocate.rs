//! Allocating objects of every kind.

use super::{
    bundle::Bundle,
    content::{Content, Shape, WIDE},
    local_mortal::LocalMortal,
    lock::Lockable,
    machine::{Birth, Machine, new_untraced, new_user},
    model::Access,
    mortal::Mortal,
    node::{
        Aligned, Any, Bomb, FILLER, Family, Frees, Fuse, Large, LargePlain, Mixed, Node, Part, Plain, User, View, Wide,
    },
    op::{At, Guard, Kind, Many, Via},
    witness::Witness,
};
use crate::payload::{Canary, Leaf, new_id};
use graphgc::{Gc, GcCell, GcOnceCell, Weak};

/// Handles in an object that is traced in slices, and that an assist leaves to the worker.
const HUGE: usize = 5000;

impl<F: Family> Birth<F> for Via {
    type Held = Any<F>;

    fn bear<T: Node<F>>(&self, value: T) -> Any<F> {
        T::any(match self {
            Via::New => Gc::new(value),
            Via::TryNew => Gc::try_new(value).unwrap_or_else(|error| panic!("{error}")),
            Via::From => Gc::from(value),
            Via::Unsize => return F::known(T::any(Gc::new(value))),
        })
    }

    fn bear_knowing<T: Node<F>>(&self, make: impl FnOnce(&Weak<T>) -> T) -> Any<F> {
        let new = T::any(Gc::new_cyclic(make));
        if *self == Via::Unsize { F::known(new) } else { new }
    }

    fn bear_slice(&self, parts: Vec<Part<F>>) -> Any<F> {
        Any::Slice(match self {
            Via::New => parts.into_iter().collect(),
            Via::TryNew => Gc::try_from_vec(parts).unwrap_or_else(|error| panic!("{error}")),
            Via::From => Gc::from(parts),
            Via::Unsize => match <[Part<F>; 2]>::try_from(parts) {
                Ok(array) => Gc::new(array).unsize::<[Part<F>]>(|p| p),
                Err(parts) => Gc::from(parts.into_boxed_slice()),
            },
        })
    }
}

impl<F: Family> Machine<F> {
    /// A new object of this kind.
    pub(super) fn allocate<B: Birth<F>>(&mut self, kind: Kind, shape: Shape, birth: &B, at: At, many: Many) -> B::Held {
        let id = new_id();
        match kind {
            Kind::Plain => {
                let plain = self.plain(id, at, many);
                self.add(plain, birth)
            }
            Kind::Frees => {
                let content = Content::new(shape, self.pick_many_of(many));
                let (fixed, other) = (self.pick_of(at).into_iter().collect(), self.pick_of(many.1));
                self.add(Frees { canary: Canary::new(id), content: content.into(), fixed, other }, birth)
            }
            Kind::Mixed => {
                let mixed = self.mixed(id, shape, at, many);
                self.add(mixed, birth)
            }
            Kind::User => {
                let (mutex, lock) = (self.content(shape, many), self.content(next(shape), many));
                let cell = self.pick_of(at);
                self.add(new_user(id, mutex, lock, cell, new_untraced::<F>(shape)), birth)
            }
            Kind::Large => {
                let (next, content) = (self.pick_of(at), self.content(shape, many));
                let (leaf, tail, filler) = (Leaf::new(id), Canary::new(id), [u64::from(id); FILLER]);
                self.add(Large { leaf, filler, next: next.into(), content: content.into(), tail }, birth)
            }
            Kind::LargePlain => {
                let (next, fixed) = (self.pick_of(at), self.pick(many.1));
                let (canary, tail, filler) = (Canary::new(id), Canary::new(id), [u64::from(id); FILLER]);
                self.add(LargePlain { canary, filler, next: next.into(), fixed, tail }, birth)
            }
            Kind::Aligned => {
                let (next, content) = (self.pick_of(at), self.content(shape, many));
                let once = self.pick(many.1).filter(|_| many.0 % 2 == 1).map_or_else(GcOnceCell::new, GcOnceCell::from);
                self.add(Aligned { leaf: Leaf::new(id), next: next.into(), content: content.into(), once }, birth)
            }
            Kind::Bomb => {
                let (next, content) = (self.pick_of(at), self.content(shape, many));
                self.add(Bomb { leaf: Leaf::new(id), next: next.into(), content: content.into(), fuse: Fuse }, birth)
            }
            Kind::Mortal => {
                let mortal = Mortal::new(id, self.pick_of(at), self.pick_of(many.1));
                self.add(mortal, birth)
            }
            Kind::LocalMortal => {
                let mortal = LocalMortal::new(id, self.pick_of(at), self.pick_of(many.1));
                self.add(mortal, birth)
            }
            Kind::Detour => self.allocate_detour(id, shape, birth, at, many),
            Kind::Keeper => self.allocate_keeper(id, birth, at, many),
            Kind::Bundle => {
                let (users, set) = (self.pick_many_of(Many(many.0 / 5, at)), self.pick_many_of(Many(many.0 / 3, at)));
                let bundle = Bundle::new(id, self.pick_many_of(many), users, set);
                self.add(bundle, birth)
            }
            Kind::Slice => self.allocate_slice(id, birth, at, many),
            Kind::Wide => self.allocate_wide(id, birth, at, many, WIDE),
            Kind::Huge => self.allocate_wide(id, birth, at, many, HUGE),
        }
    }

    /// Moves a value into the heap.
    fn add<T: Node<F>, B: Birth<F>>(&mut self, value: T, birth: &B) -> B::Held {
        self.witness.born(value.view(), false);
        birth.bear(value)
    }

    fn content(&self, shape: Shape, many: Many) -> Content<Any<F>> {
        Content::new(shape, self.pick_many(many))
    }

    fn plain(&self, id: u32, at: At, many: Many) -> Plain<F> {
        Plain {
            canary: Canary::new(id),
            fixed: self.pick(at),
            next: self.pick_of(many.1).into(),
            always: if many.0 % 2 == 1 { self.pick_of(at).map(GcCell::new) } else { None },
            user: self.pick_of(at).into(),
            tail: Canary::new(id),
        }
    }

    fn mixed(&self, id: u32, shape: Shape, at: At, many: Many) -> Mixed<F> {
        let nested = F::Cell::from(self.content(next(shape), many));
        let cells: Vec<_> = (0..many.0 % 4).map(|_| self.pick_of(at).into()).collect();
        Mixed {
            canary: Canary::new(id),
            content: self.content(shape, many).into(),
            nested: nested.into(),
            cells: cells.into(),
            fixed: self.content(shape, Many(many.0 / 5, at)),
            boxed: self.pick(at).map(Box::new),
            leaked: false,
        }
    }

    /// A guard of the cell is forgotten before the object moves into the heap. What is in the cell nobody else knows, and it
    /// never changes.
    pub(super) fn allocate_leaked(&mut self, guard: Guard) {
        let empty = || Content::new(Shape::List, Vec::new());
        let inside: User<F> = new_user(new_id(), empty(), empty(), None, new_untraced::<F>(Shape::List));
        self.witness.born(inside.view(), false);
        let inside = Any::User(Gc::new(inside));
        let nothing = At(0, 0, 0, 0);
        let mut mixed = self.mixed(new_id(), Shape::Set, nothing, Many(0, nothing));
        mixed.content = Content::new(Shape::Set, vec![inside]).into();
        mixed.leaked = true;
        self.witness.born(mixed.view(), false);
        mixed.content.leak(guard);
        self.witness.set_access(mixed.view().check(), 0, Access::Held(guard));
        self.add_known(mixed);
    }

    fn add_known(&mut self, mixed: Mixed<F>) {
        self.roots.push(Any::Mixed(Gc::new(mixed)));
    }

    fn allocate_slice<B: Birth<F>>(&mut self, id: u32, birth: &B, at: At, many: Many) -> B::Held {
        let length = LENGTHS[usize::from(many.0) % LENGTHS.len()];
        let (some, next) = (self.pick_many(many), self.pick_of::<Plain<F>>(at));
        let fixed = some.iter().cloned().map(Some).chain([None]).collect::<Vec<_>>();
        let part = |(number, fixed): (usize, &Option<Any<F>>)| Part {
            canary: Canary::new(id),
            leaf: (number == 0).then(|| Leaf::new(id)),
            fixed: fixed.clone(),
            next: next.clone().into(),
        };
        let parts: Vec<Part<F>> = fixed.iter().cycle().take(length).enumerate().map(part).collect();
        self.witness.born(View::Slice(&parts), false);
        birth.bear_slice(parts)
    }

    fn allocate_wide<B: Birth<F>>(&mut self, id: u32, birth: &B, at: At, many: Many, length: usize) -> B::Held {
        let some = self.pick_many(Many(4, many.1));
        let plain: [Option<Gc<Plain<F>>>; 2] = [self.pick_of(at), self.pick_of(many.1)];
        let (few, most) = if many.0.is_multiple_of(2) { (3, length) } else { (length, 3) };
        let fixed: Vec<Any<F>> = some.iter().cycle().take(few).cloned().collect();
        let list: Vec<Any<F>> = some.iter().rev().cycle().take(most).cloned().collect();
        let cells = plain.iter().cycle().take(few).map(|it| it.clone().into()).collect();
        let wide = Wide { canary: Canary::new(id), fixed, content: Content::List(list).into(), cells };
        self.add(wide, birth)
    }
}

/// Lengths of slices: in small slots, in large ones, and in a span of their own that is traced in slices.
const LENGTHS: [usize; 8] = [1, 2, 2, 3, 5, 9, 80, 1500];

/// Another kind of container.
fn next(shape: Shape) -> Shape {
    match shape {
        Shape::List => Shape::Deque,
        Shape::Deque => Shape::Map,
        Shape::Map => Shape::Tree,
        Shape::Tree => Shape::Linked,
        Shape::Linked => Shape::Heap,
        Shape::Heap => Shape::Option,
        Shape::Option => Shape::Set,
        Shape::Set => Shape::Pair,
        Shape::Pair => Shape::List,
    }
}
