//! Types of awkward shape: recursive through anything, generic, without size, over-aligned, with niches, nested arrays.

use crate::{Node, check, check_all, holder, ring};
use graphgc::{Gc, GcCell, GcMutex, GcRefCell, GcRwLock, Trace};
use graphgc_tests::{
    payload::Leaf,
    sound::{Prey, assert_alive, attack},
};
use std::{
    collections::{BTreeMap, HashMap, LinkedList, VecDeque},
    convert::Infallible,
    marker::PhantomData,
    ops::{Bound, ControlFlow},
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

#[derive(Trace)]
struct Tree {
    leaf: Leaf,
    node: Gc<Node>,
    children: Vec<Tree>,
    back: GcCell<Option<Gc<Tree>>>,
}

#[derive(Trace)]
enum Even {
    End(Gc<Node>),
    More(Leaf, Box<Odd>),
}

#[derive(Trace)]
enum Odd {
    End(GcRefCell<Option<Gc<Node>>>),
    More(LinkedList<Even>, HashMap<u8, Odd>),
}

#[derive(Trace)]
enum List<T, U> {
    Nil(PhantomData<U>),
    Cons(T, Gc<U>, Box<List<T, U>>),
}

#[derive(Trace)]
struct Knot<T: Trace> {
    value: T,
    same: GcRwLock<Option<Gc<Knot<T>>>>,
    swapped: GcMutex<BTreeMap<u8, Gc<Knot<T>>>>,
}

/// Hopes that a handle deep in a recursive, mutually recursive or generic value is overlooked.
#[test]
fn recursive_and_generic_types() {
    fn tree(prey: &Prey, depth: usize) -> Tree {
        let children = if depth == 0 { vec![] } else { (0..3).map(|_| tree(prey, depth - 1)).collect() };
        Tree { leaf: prey.leaf(), node: ring(prey), children, back: None.into() }
    }
    fn check_tree(tree: &Tree) {
        assert_alive(&tree.leaf);
        check(&tree.node);
        tree.children.iter().for_each(check_tree);
    }
    attack(|prey| {
        let root = Gc::new(tree(prey, 3));
        root.children[1].children[2].back.set(Some(root.clone()));
        let ends = || Odd::End(Some(ring(prey)).into());
        let odd = Odd::More([Even::End(ring(prey))].into(), [(1, ends()), (2, ends())].into());
        let even = Gc::new(Even::More(prey.leaf(), Box::new(odd)));
        let list = (0..20).fold(List::Nil(PhantomData), |list, _| List::Cons(ring(prey), ring(prey), Box::new(list)));
        let list: Gc<List<Gc<Node>, Node>> = Gc::new(list);
        let knot = Gc::new(Knot { value: vec![Some(ring(prey))], same: None.into(), swapped: GcMutex::default() });
        *knot.same.write() = Some(knot.clone());
        knot.swapped.lock().insert(1, knot.clone());
        prey.disturb();
        check_tree(&root.children[1].children[2].back.get().unwrap());
        let Even::More(_, odd) = &*even else { unreachable!() };
        let Odd::More(evens, odds) = &**odd else { unreachable!() };
        let Some(Even::End(end)) = evens.front() else { unreachable!() };
        let Odd::End(cell) = &odds[&2] else { unreachable!() };
        check_all([end, cell.borrow().as_ref().unwrap()]);
        let mut here = &*list;
        while let List::Cons(one, other, next) = here {
            check_all([one, other]);
            here = next;
        }
        let again = knot.swapped.lock()[&1].clone();
        check_all(again.same.read().as_ref().unwrap().value[0].as_ref());
    });
}

/// Hopes that an array inside an array makes an object's birth longer than the collector thinks, so that it is begun in one cycle and ended in the next.
#[test]
fn arrays_in_arrays() {
    attack(|prey| {
        let array = |_| std::array::from_fn::<_, 500, _>(|_| [[Gc::new(prey.leaf())]]);
        let objects: Vec<_> = (0..60).map(array).map(Gc::new).collect();
        prey.disturb();
        for [[inner]] in objects.iter().flat_map(|object| &**object) {
            assert_alive(inner);
        }
    });
}

/// Hopes the same of cells in them.
#[test]
fn arrays_in_arrays_of_cells() {
    attack(|prey| {
        let objects: Vec<_> = (0..40)
            .map(|_| {
                Gc::new(std::array::from_fn::<_, 250, _>(|_| {
                    [GcCell::new(Some(Gc::new(prey.leaf()))), GcCell::new(Some(Gc::new(prey.leaf())))]
                }))
            })
            .collect();
        prey.disturb();
        for object in &objects {
            for cell in object.iter().flatten() {
                assert_alive(&cell.get().unwrap());
            }
        }
    });
}

/// Hopes that what takes no room cannot be found, or is dropped a wrong number of times.
#[test]
fn without_size() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    #[derive(Trace)]
    #[trace(leaf)]
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            DROPS.fetch_add(1, SeqCst);
        }
    }
    /// A variant with a handle that there never can be.
    type Void = Result<[Gc<Node>; 0], (Gc<Node>, Infallible)>;
    attack(|prey| {
        let before = DROPS.load(SeqCst);
        let many: Vec<Gc<Counted>> = (0..100).map(|_| Gc::new(Counted)).collect();
        let lists = holder(prey, (vec![(); 1000], [const { Ok([]) }; 3000] as [Void; 3000]));
        let cells = Gc::new([const { GcRefCell::new(()) }; 10]);
        let edges = GcCell::new(many[50].clone());
        assert_eq!(size_of::<[Gc<Node>; 0]>(), 0);
        let empty = holder(prey, ([] as [Gc<Node>; 0], vec![Counted, Counted], ring(prey)));
        prey.disturb();
        assert!(!Gc::ptr_eq(&many[0], &many[1]) && Gc::ptr_eq(&edges.get(), &many[50]));
        drop(cells[3].borrow_mut());
        assert!(lists.cell.borrow().1.iter().all(Result::is_ok));
        check(&empty.cell.borrow().2);
        drop((many, edges, empty));
        graphgc_tests::sound::settle();
        assert_eq!(DROPS.load(SeqCst) - before, 102);
    });
}

#[derive(Trace)]
#[repr(align(64))]
struct Aligned64<T: Trace>(T);

#[derive(Trace)]
#[repr(align(32768))]
struct AlignedMuch<T: Trace>(T);

#[derive(Trace)]
#[repr(align(1048576))]
struct AlignedVery<T: Trace>(T);

/// Hopes that a header far from its payload is looked for in the wrong place.
#[test]
fn over_aligned() {
    fn misalign<T: Trace>(
        prey: &Prey,
        wrap: impl Fn(GcRefCell<Vec<Gc<Node>>>) -> T,
        cell: impl Fn(&T) -> &GcRefCell<Vec<Gc<Node>>>,
    ) {
        let owner = GcCell::new(Gc::new(wrap(vec![ring(prey)].into())));
        prey.disturb();
        assert_eq!(Gc::as_ptr(&owner.get()).addr() % align_of::<T>(), 0);
        cell(&owner.get()).borrow_mut().push(ring(prey));
        let before = owner.replace(Gc::new(wrap(vec![].into())));
        prey.disturb();
        check_all(&*cell(&before).borrow());
        let stolen = cell(&before).take();
        drop((before, owner));
        prey.disturb();
        check_all(&stolen);
    }
    let body = || {
        attack(|prey| {
            misalign(prey, Aligned64, |it| &it.0);
            misalign(prey, AlignedMuch, |it| &it.0);
            misalign(prey, AlignedVery, |it| &it.0);
            misalign(prey, |cell| [Aligned64((prey.leaf(), cell))], |[it]| &it.0.1);
        });
    };
    std::thread::Builder::new().stack_size(64 << 20).spawn(body).unwrap().join().unwrap();
}

#[derive(Trace)]
enum Niche {
    Handle(Gc<Node>),
    Nothing,
    Maybe(Option<Gc<Node>>),
    Nested(Result<Box<Niche>, Option<Option<Gc<Node>>>>),
    Edge(GcCell<Option<Gc<Node>>>),
    Flow(ControlFlow<Gc<Node>, Bound<Gc<Node>>>),
}

impl Niche {
    fn nodes(&self) -> Vec<Gc<Node>> {
        match self {
            Niche::Handle(node) | Niche::Nested(Err(Some(Some(node)))) | Niche::Flow(ControlFlow::Break(node)) => {
                vec![node.clone()]
            }
            Niche::Maybe(node) => node.iter().cloned().collect(),
            Niche::Nested(Ok(inner)) => inner.nodes(),
            Niche::Edge(cell) => cell.get().into_iter().collect(),
            Niche::Flow(ControlFlow::Continue(Bound::Included(node) | Bound::Excluded(node))) => vec![node.clone()],
            Niche::Nothing | Niche::Nested(Err(_)) | Niche::Flow(_) => vec![],
        }
    }
}

/// Hopes that a variant told by a handle's null is misread while it changes into another.
#[test]
fn enums_told_by_a_niche() {
    attack(|prey| {
        assert_eq!(size_of::<Option<Gc<Node>>>(), size_of::<usize>());
        let make = |number: usize| match number % 8 {
            0 => Niche::Handle(ring(prey)),
            1 => Niche::Nothing,
            2 => Niche::Maybe(Some(ring(prey))),
            3 => Niche::Maybe(None),
            4 => Niche::Nested(Ok(Box::new(Niche::Handle(ring(prey))))),
            5 => Niche::Nested(Err([None, Some(Some(ring(prey)))].into_iter().last().flatten())),
            6 => Niche::Edge(Some(ring(prey)).into()),
            _ => Niche::Flow(ControlFlow::Continue(Bound::Excluded(ring(prey)))),
        };
        let fixed: Vec<_> = (0..8).map(|number| Gc::new(make(number))).collect();
        let owner = holder(prey, Niche::Nothing);
        let options = holder(prey, VecDeque::from([Some(ring(prey)), None]));
        let mut stolen = Vec::new();
        for turn in 0..24 {
            let before = owner.cell.replace(make(turn));
            options.cell.borrow_mut().rotate_left(1);
            if turn % 4 == 0 {
                prey.disturb();
            }
            check_all(&before.nodes());
            stolen.push(before);
        }
        prey.disturb();
        for niche in fixed.iter().map(|it| &**it).chain(&stolen).chain([&*owner.cell.borrow()]) {
            check_all(&niche.nodes());
        }
        check_all(options.cell.borrow().iter().flatten());
    });
}
