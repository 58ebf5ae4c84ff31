//! Targets without a size: slices and strings in the heap, handles under another type, and what tries to forge one.

use graphgc::{
    BytesBuilder, Gc, GcCell, GcMutex, GcRefCell, Local, Thin, ThinGc, Trace, collect, pin, stats, testing, verify,
};
use graphgc_tests::{
    heap::{alone, settle},
    panics::{panic_quietly, panics_quietly},
    payload::{Canary, Leaf, corrupt_drops, drops_of, new_id},
};
use std::{
    any::Any,
    borrow::{Borrow, Cow},
    collections::{BTreeSet, HashMap, hash_map::DefaultHasher},
    error::Error,
    fmt,
    hash::{Hash, Hasher},
    io::{self, Read, Write},
};

const WORD: usize = size_of::<usize>();

#[track_caller]
fn is_well() {
    assert_eq!(verify(), []);
    assert_eq!(corrupt_drops(), 0);
}

#[test]
fn wide_handles_are_two_words() {
    assert_eq!(size_of::<Gc<[u8]>>(), 2 * WORD);
    assert_eq!(size_of::<Gc<str>>(), 2 * WORD);
    assert_eq!(size_of::<Gc<dyn Any>>(), 2 * WORD);
    assert_eq!(size_of::<Option<Gc<dyn Any>>>(), 2 * WORD);
}

/// A node among slices.
#[derive(Trace)]
struct Node {
    leaf: Leaf,
    next: GcCell<Option<Gc<Node>>>,
    slice: GcRefCell<Option<Gc<[Gc<Node>]>>>,
}

fn node() -> Gc<Node> {
    Gc::new(Node { leaf: Leaf::new(new_id()), next: None.into(), slice: None.into() })
}

#[test]
fn strings() {
    let name: Gc<str> = "Ann".into();
    assert_eq!((&*name, name.len()), ("Ann", 3));
    assert_eq!(&*Gc::<str>::from("Bob".to_string()), "Bob");
    assert_eq!(&*Gc::<str>::from("Cid".to_string().into_boxed_str()), "Cid");
    assert_eq!(&*Gc::<str>::from(Cow::Borrowed("Dan")), "Dan");
    assert_eq!(&*Gc::<str>::default(), "");
    assert_eq!(&*Gc::try_from_str("Eve").unwrap(), "Eve");
    let bytes: Gc<[u8]> = name.clone().into();
    assert!(*bytes == *b"Ann" && std::ptr::addr_eq(Gc::as_ptr(&bytes), Gc::as_ptr(&name)));
    assert_eq!(Gc::<str>::from_utf8(bytes).unwrap(), name);
    assert_eq!(Gc::<str>::from_utf8(Gc::from([b'a', 0xFF])).unwrap_err().valid_up_to(), 1);
    let map: HashMap<Gc<str>, u32> = HashMap::from([(name, 30)]);
    assert_eq!(map["Ann"], 30);
}

/// All lengths around the size classes, beside each other, read again after collections that reuse what is free.
#[test]
fn slices_of_all_lengths_keep_their_elements() {
    let _alone = alone();
    let lengths = (0..200).chain((200..40_000).step_by(977)).chain([100_000, 1_000_000]);
    let bytes: Vec<Gc<[u8]>> = lengths.clone().map(|n| (0..n).map(|i| (i ^ n) as u8).collect()).collect();
    let names: Vec<Gc<[String]>> = (0..300).map(|n| (0..n).map(|i| i.to_string()).collect()).collect();
    let nodes: Vec<Gc<[Gc<usize>]>> = (0..300).map(|n| (0..n).map(Gc::new).collect()).collect();
    for _ in 0..2 {
        for (n, bytes) in lengths.clone().zip(&bytes) {
            assert!(bytes.len() == n && bytes.iter().enumerate().all(|(i, byte)| *byte == (i ^ n) as u8));
        }
        for (n, names) in names.iter().enumerate() {
            assert!(names.len() == n && names.iter().enumerate().all(|(i, name)| *name == i.to_string()));
        }
        for (n, nodes) in nodes.iter().enumerate() {
            assert!(nodes.len() == n && nodes.iter().enumerate().all(|(i, node)| **node == i));
        }
        (0..10_000).for_each(|n| _ = Gc::<str>::from(&*"x".repeat(n % 100)));
        collect();
    }
    is_well();
}

#[test]
fn slices_are_born_from_whatever_holds_elements() {
    assert_eq!(*Gc::<[u8]>::from(vec![1, 2]), [1, 2]);
    assert_eq!(*Gc::<[u8]>::from(vec![1, 2].into_boxed_slice()), [1, 2]);
    assert_eq!(*Gc::<[u8]>::from([1, 2]), [1, 2]);
    assert_eq!(*Gc::<[u8]>::from(&[1, 2][..]), [1, 2]);
    assert_eq!(*Gc::<[String]>::from(&["a".to_string()][..]), ["a"]);
    assert_eq!(*Gc::<[String]>::default(), [] as [String; 0]);
    assert_eq!(*Gc::try_from_vec(vec![1, 2]).unwrap(), [1, 2]);
    assert_eq!(*Gc::<u8>::from(Box::new(7)), 7);
    assert_eq!(*(1..4).collect::<Gc<[u8]>>(), [1, 2, 3]);
    assert_eq!(*["a", "b"].into_iter().collect::<Gc<[&str]>>(), ["a", "b"]);
    assert_eq!(Gc::<[()]>::from(vec![(); usize::MAX]).len(), usize::MAX);
}

#[derive(Trace, Clone, Debug, PartialEq)]
#[repr(align(64))]
struct Wide(u8, Option<Gc<u8>>);

#[derive(Trace)]
#[repr(align(32768))]
struct VeryWide(u8, Leaf);

#[test]
fn elements_of_any_alignment() {
    let _alone = alone();
    for n in 0..20 {
        let slice: Gc<[Wide]> = (0..n).map(|i| Wide(i, Some(Gc::new(i)))).collect();
        collect();
        assert!(Gc::as_ptr(&slice).cast::<u8>().addr().is_multiple_of(64));
        assert!(slice.iter().enumerate().all(|(i, it)| *it == Wide(i as u8, Some(Gc::new(i as u8)))));
    }
    let first = new_id();
    let slice: Gc<[VeryWide]> = (0..5).map(|i| VeryWide(i, Leaf::new(first + u32::from(i)))).collect();
    assert!(Gc::as_ptr(&slice).cast::<u8>().addr().is_multiple_of(32768));
    assert!(slice.iter().enumerate().all(|(i, it)| it.0 == i as u8));
    is_well();
    drop(slice);
    settle();
    assert!((first..first + 5).all(|id| drops_of(id) == 1));
    (0..4).for_each(|_| _ = new_id());
}

#[test]
fn elements_are_dropped_once_when_the_slice_dies() {
    let _alone = alone();
    for length in [0, 1, 7, 1000, 70_000] {
        let ids: Vec<u32> = (0..length).map(|_| new_id()).collect();
        let slice: Gc<[Leaf]> = ids.iter().map(|id| Leaf::new(*id)).collect();
        settle();
        assert!(slice.iter().zip(&ids).all(|(leaf, id)| leaf.check() == *id && drops_of(*id) == 0));
        is_well();
        drop(slice);
        settle();
        assert!(ids.iter().all(|id| drops_of(*id) == 1), "{length} elements");
    }
}

#[test]
fn a_drop_that_panics_leaks_the_elements_behind_it() {
    #[derive(Trace)]
    #[trace(leaf)]
    struct Panics(Leaf, bool);
    impl Drop for Panics {
        fn drop(&mut self) {
            self.0.check();
            if self.1 {
                panic_quietly::<()>();
            }
        }
    }
    let _alone = alone();
    let ids: Vec<u32> = (0..3).map(|_| new_id()).collect();
    let slice: Gc<[Panics]> = ids.iter().map(|id| Panics(Leaf::new(*id), *id == ids[1])).collect();
    drop(slice);
    settle();
    assert_eq!(ids.iter().map(|id| drops_of(*id)).collect::<Vec<_>>(), [1, 1, 0]);
    is_well();
}

/// A cycle through a slice: the slice is what keeps the nodes, and they keep the slice.
#[test]
fn cycles_through_slices() {
    let _alone = alone();
    let ids = {
        let nodes: Gc<[Gc<Node>]> = (0..5000).map(|_| node()).collect();
        nodes.iter().for_each(|node| *node.slice.borrow_mut() = Some(nodes.clone()));
        settle();
        let ids: Vec<u32> = nodes.iter().map(|node| node.leaf.check()).collect();
        let last = nodes[4999].clone();
        drop(nodes);
        settle();
        let seen: Vec<u32> = last.slice.borrow().as_ref().unwrap().iter().map(|node| node.leaf.check()).collect();
        assert_eq!(ids, seen);
        assert!(ids.iter().all(|id| drops_of(*id) == 0));
        is_well();
        ids
    };
    settle();
    assert!(ids.iter().all(|id| drops_of(*id) == 1));
}

/// Slices large enough to be claimed in many slices of an operation, born and dropped while the collector marks and other threads allocate.
#[test]
fn large_slices_are_born_while_the_collector_works() {
    let _alone = alone();
    let shared: Gc<[Gc<Canary>]> = (0..100).map(|_| Gc::new(Canary::new(new_id()))).collect();
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let shared = &shared;
            scope.spawn(move || {
                for round in 0..20 {
                    let length = 30_000 * (1 + (round + thread) % 3);
                    let slice: Gc<[Gc<Canary>]> = (0..length).map(|i| shared[i % 100].clone()).collect();
                    let own: Gc<[Gc<Canary>]> = (0..2000).map(|_| Gc::new(Canary::new(7))).collect();
                    testing::request_cycle();
                    std::thread::yield_now();
                    slice.iter().zip(shared.iter().cycle()).for_each(|(a, b)| assert_eq!(a.check(), b.check()));
                    own.iter().for_each(|canary| assert_eq!(canary.check(), 7));
                }
            });
        }
    });
    settle();
    is_well();
}

#[test]
fn slices_are_what_cells_hold() {
    let _alone = alone();
    #[derive(Trace)]
    struct Cells {
        text: GcRefCell<Gc<str>>,
        list: GcMutex<Vec<Gc<[Gc<str>]>>>,
    }
    let cells = Gc::new(Cells { text: GcRefCell::new("a".into()), list: GcMutex::new(vec![]) });
    for n in 0..50 {
        *cells.text.borrow_mut() = n.to_string().into();
        let strings: Gc<[Gc<str>]> = (0..n).map(|i: i32| Gc::from(i.to_string())).collect();
        cells.list.lock().push(strings);
        collect();
    }
    assert_eq!(&**cells.text.borrow(), "49");
    for (n, strings) in cells.list.lock().iter().enumerate() {
        assert!(strings.len() == n && strings.iter().enumerate().all(|(i, string)| **string == *i.to_string()));
    }
    is_well();
}

fn hash_of(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn traits_are_those_of_the_content() {
    let text: Gc<str> = "abc".into();
    assert_eq!(format!("{text} {text:?} {text:>5}"), r#"abc "abc"   abc"#);
    assert_eq!(format!("{text:p}"), format!("{:p}", Gc::as_ptr(&text)));
    assert!(text == Gc::from("abc") && text < Gc::from("abd") && !Gc::ptr_eq(&text, &Gc::from("abc")));
    assert_eq!(hash_of(&text), hash_of("abc"));
    assert_eq!((text.as_ref() as &str, Borrow::<str>::borrow(&text)), ("abc", "abc"));
    let sorted: BTreeSet<Gc<[u8]>> = [vec![2], vec![1, 3], vec![1]].into_iter().map(Gc::from).collect();
    assert_eq!(format!("{sorted:?}"), "{[1], [1, 3], [2]}");

    #[derive(Trace, Debug)]
    struct Wrong;
    impl fmt::Display for Wrong {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("wrong")
        }
    }
    impl Error for Wrong {}
    let error: Gc<dyn Error> = Gc::new(Wrong).unsize::<dyn Error>(|p| p);
    let boxed: Box<dyn Error> = Box::new(error);
    assert_eq!(boxed.to_string(), "wrong");
}

trait Shape: Trace {
    fn area(&self) -> u32;
    fn leaf(&self) -> &Leaf;
    fn others(&self) -> Vec<Gc<dyn Shape>>;
}

#[derive(Trace)]
struct Square {
    side: u32,
    leaf: Leaf,
}

#[derive(Trace)]
struct Group {
    leaf: Leaf,
    filler: [u64; 20],
    shapes: GcRefCell<Vec<Gc<dyn Shape>>>,
    only: Option<Gc<dyn Shape>>,
}

impl Shape for Square {
    fn area(&self) -> u32 {
        self.side * self.side
    }

    fn leaf(&self) -> &Leaf {
        &self.leaf
    }

    fn others(&self) -> Vec<Gc<dyn Shape>> {
        vec![]
    }
}

impl Shape for Group {
    fn area(&self) -> u32 {
        assert_eq!(self.filler, [7; 20]);
        self.others().iter().map(|shape| shape.area()).sum()
    }

    fn leaf(&self) -> &Leaf {
        &self.leaf
    }

    fn others(&self) -> Vec<Gc<dyn Shape>> {
        self.shapes.borrow().iter().chain(&self.only).cloned().collect()
    }
}

fn square(side: u32) -> Gc<dyn Shape> {
    Gc::new(Square { side, leaf: Leaf::new(new_id()) }).unsize::<dyn Shape>(|p| p)
}

fn group(shapes: Vec<Gc<dyn Shape>>, only: Option<Gc<dyn Shape>>) -> Gc<Group> {
    Gc::new(Group { leaf: Leaf::new(new_id()), filler: [7; 20], shapes: GcRefCell::new(shapes), only })
}

#[test]
fn a_graph_of_trait_objects() {
    let _alone = alone();
    let ids = {
        let inner = group((1..100).map(square).collect(), Some(square(100)));
        let outer = group(vec![inner.clone().unsize::<dyn Shape>(|p| p)], None).unsize::<dyn Shape>(|p| p);
        let sum: u32 = (1..=100).map(|n| n * n).sum();
        settle();
        assert_eq!(outer.area(), sum);
        let mut ids: Vec<u32> = inner.others().iter().map(|shape| shape.leaf().check()).collect();
        ids.extend([inner.leaf.check(), outer.leaf().check()]);
        // A cycle.
        inner.shapes.borrow_mut().push(outer.clone());
        drop(inner);
        settle();
        assert!(ids.iter().all(|id| drops_of(*id) == 0));
        is_well();
        ids
    };
    settle();
    assert!(ids.iter().all(|id| drops_of(*id) == 1));
}

/// Handles under several types to one object.
#[test]
fn one_object_under_several_types() {
    trait Named: Any + Send + Sync {
        fn name(&self) -> String;
    }
    impl Named for [u8; 3] {
        fn name(&self) -> String {
            format!("{self:?}")
        }
    }
    let _alone = alone();
    let array = Gc::new([1_u8, 2, 3]);
    let named = array.clone().unsize::<dyn Named>(|p| p);
    let any = named.clone().unsize::<dyn Any>(|p| p);
    let slice = array.clone().unsize::<[u8]>(|p| p);
    let same = array.clone().unsize::<[u8; 3]>(|p| p);
    let address = Gc::as_ptr(&array).cast::<u8>();
    for other in
        [Gc::as_ptr(&named).cast(), Gc::as_ptr(&any).cast(), Gc::as_ptr(&slice).cast(), Gc::as_ptr(&same).cast()]
    {
        assert_eq!(address, other);
    }
    drop((array, same));
    settle();
    assert_eq!((named.name(), &*slice), ("[1, 2, 3]".to_string(), &[1, 2, 3][..]));
    drop((named, slice));
    settle();
    assert_eq!(*any.downcast::<[u8; 3]>().ok().unwrap(), [1, 2, 3]);
}

#[test]
fn downcasts_find_the_type_that_was_there() {
    let _alone = alone();
    let any = Gc::new(GcMutex::new(vec![Gc::new(1)])).unsize::<dyn Any + Send + Sync>(|p| p);
    let any = any.downcast::<GcMutex<Vec<Gc<u8>>>>().unwrap_err();
    // Where it was claimed, and with content that must be counted again.
    let owner = Gc::new((any, 7));
    settle();
    let list = owner.0.clone().downcast::<GcMutex<Vec<Gc<i32>>>>().unwrap();
    let one = list.lock().pop().unwrap();
    drop((owner, list));
    settle();
    assert_eq!(*one, 1);
    assert!(Gc::new("text").unsize::<dyn Any + Send>(|p| p).downcast::<String>().is_err());
    is_well();
}

/// Any object in a field, of whatever type.
#[test]
fn fields_of_type_any() {
    #[derive(Trace)]
    struct Bag {
        things: GcRefCell<Vec<Gc<dyn Any>>>,
    }
    let _alone = alone();
    let id = new_id();
    let bag = Gc::new(Bag { things: GcRefCell::new(vec![]) });
    let inner = Gc::new((Leaf::new(id), GcRefCell::new(Some(bag.clone()))));
    bag.things.borrow_mut().extend([inner.unsize::<dyn Any>(|p| p), Gc::new(5_usize).unsize::<dyn Any>(|p| p)]);
    settle();
    let things = bag.things.borrow().clone();
    assert_eq!(things[1].downcast_ref::<usize>(), Some(&5));
    assert_eq!(things[0].downcast_ref::<(Leaf, GcRefCell<Option<Gc<Bag>>>)>().unwrap().0.check(), id);
    drop((things, bag));
    settle();
    assert_eq!(drops_of(id), 1);
}

/// Boxes of trait objects as parts of an object: traced, claimed and dropped by their own types.
#[test]
fn boxes_of_trait_objects_as_fields() {
    trait Part: Trace + Send {
        fn target(&self) -> Option<Gc<Canary>>;
    }
    #[derive(Trace)]
    struct Linked(Gc<Canary>, Leaf);
    #[derive(Trace)]
    struct Plain(u64);
    impl Part for Linked {
        fn target(&self) -> Option<Gc<Canary>> {
            self.1.check();
            Some(self.0.clone())
        }
    }
    impl Part for Plain {
        fn target(&self) -> Option<Gc<Canary>> {
            assert_eq!(self.0, 5);
            None
        }
    }
    #[derive(Trace)]
    struct Machine {
        first: Box<dyn Part>,
        rest: GcRefCell<Vec<Box<dyn Part>>>,
        myself: GcCell<Option<Gc<Machine>>>,
    }
    let _alone = alone();
    let ids: Vec<u32> = (0..10).map(|_| new_id()).collect();
    let linked = |id: &u32| Box::new(Linked(Gc::new(Canary::new(*id)), Leaf::new(*id))) as Box<dyn Part>;
    let machine = Gc::new(Machine {
        first: linked(&ids[0]),
        rest: GcRefCell::new(vec![Box::new(Plain(5))]),
        myself: GcCell::new(None),
    });
    machine.myself.set(Some(machine.clone()));
    for id in &ids[1..] {
        settle();
        machine.rest.borrow_mut().push(linked(id));
    }
    settle();
    assert_eq!(machine.first.target().unwrap().check(), ids[0]);
    let seen: Vec<u32> = machine.rest.borrow().iter().filter_map(|it| it.target()).map(|it| it.check()).collect();
    assert_eq!(seen, ids[1..]);
    is_well();
    // One is taken out, and outlives the machine with what it holds.
    let taken = machine.rest.borrow_mut().pop().unwrap();
    drop(machine);
    settle();
    assert_eq!(taken.target().unwrap().check(), ids[9]);
    assert_eq!(ids.iter().map(|id| drops_of(*id)).collect::<Vec<_>>(), [1, 1, 1, 1, 1, 1, 1, 1, 1, 0]);
}

/// Iterators that panic, that lie about how many elements come, that collect and that make slices themselves.
#[test]
fn iterators_of_all_kinds() {
    struct Lies<I>(I, (usize, Option<usize>));
    impl<I: Iterator> Iterator for Lies<I> {
        type Item = I::Item;
        fn next(&mut self) -> Option<I::Item> {
            self.0.next()
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            self.1
        }
    }
    impl<I: Iterator> ExactSizeIterator for Lies<I> {}

    let _alone = alone();
    for hint in [(0, Some(0)), (0, None), (5, Some(5)), (50, Some(3)), (1000, Some(1000))] {
        let ids: Vec<u32> = (0..20).map(|_| new_id()).collect();
        let slice: Gc<[Gc<Leaf>]> = Lies(ids.iter().map(|id| Gc::new(Leaf::new(*id))), hint).collect();
        assert_eq!(slice.iter().map(|leaf| leaf.check()).collect::<Vec<_>>(), ids);
        assert_eq!(Lies(0..20_u8, hint).collect::<Gc<[u8]>>().len(), 20);
    }
    for fails_at in [0, 1, 50] {
        let ids: Vec<u32> = (0..fails_at).map(|_| new_id()).collect();
        let elements = (0..100).map(|n| if n == fails_at { panic_quietly() } else { Leaf::new(ids[n]) });
        assert!(panics_quietly(|| elements.collect::<Gc<[Leaf]>>()));
        assert!(ids.iter().all(|id| drops_of(*id) == 1), "dropped where it stood, not by the collector");
    }
    let nested: Gc<[Gc<[Gc<u32>]>]> = (0..10)
        .map(|n| {
            collect();
            let inner = (0..n).map(|m| {
                if m == 5 {
                    collect();
                }
                Gc::new(m)
            });
            inner.collect()
        })
        .collect();
    settle();
    assert!(
        nested.iter().enumerate().all(|(n, inner)| inner.len() == n && inner.iter().map(|it| **it).eq(0..n as u32))
    );
    is_well();
}

/// Plain data is cloned into the heap while users' `clone` runs: it may collect, make objects, and panic in the middle.
#[test]
fn clones_of_plain_elements_run_code_of_users() {
    #[derive(Trace, Debug, PartialEq)]
    struct Counter(u32);
    impl Clone for Counter {
        fn clone(&self) -> Self {
            collect();
            let other: Gc<[Counter]> = [Counter(self.0)].into();
            if self.0 == 13 {
                panic_quietly::<()>();
            }
            Counter(other[0].0)
        }
    }
    let _alone = alone();
    let all: Vec<Counter> = (0..13).map(Counter).collect();
    assert_eq!(*Gc::<[Counter]>::from(&all[..]), *all);
    let fails: Vec<Counter> = (10..20).map(Counter).collect();
    assert!(panics_quietly(|| Gc::<[Counter]>::from(&fails[..])));
    is_well();
}

#[test]
fn a_closure_that_does_not_return_gives_the_handle_up() {
    let _alone = alone();
    let id = new_id();
    let gc = Gc::new(Leaf::new(id));
    assert!(panics_quietly(|| gc.unsize::<dyn Any>(|_| panic_quietly())));
    settle();
    assert_eq!(drops_of(id), 1);
}

/// What is marked is told by bytes: a slice counts for all that it takes.
#[test]
fn statistics_know_the_size_of_slices() {
    let _alone = alone();
    settle();
    let before = stats().live_bytes;
    let slices: Vec<Gc<[u64]>> = (0..10).map(|_| vec![1; 1 << 17].into()).collect();
    collect();
    let grown = stats().live_bytes - before;
    assert!((10 << 20..11 << 20).contains(&grown), "{grown}");
    assert!(stats().marked_bytes >= 10 << 20);
    drop(slices);
}

/// Edges that are one word, whatever they lead to.
#[derive(Trace)]
struct Slide {
    leaf: Leaf,
    shape: GcCell<Option<ThinGc<dyn Shape>>>,
    text: GcCell<ThinGc<str>>,
    slides: GcCell<Option<ThinGc<[Gc<Slide>]>>>,
}

fn slide(text: &str) -> Gc<Slide> {
    let text = Gc::<str>::from(text).thin();
    Gc::new(Slide { leaf: Leaf::new(new_id()), shape: None.into(), text: text.into(), slides: None.into() })
}

#[test]
fn thin_handles_are_one_word() {
    assert_eq!(size_of::<ThinGc<dyn Shape>>(), WORD);
    assert_eq!(size_of::<Option<ThinGc<[u8]>>>(), WORD);
    assert_eq!(size_of::<GcCell<Option<ThinGc<str>>>>(), WORD);
    assert_eq!(size_of::<Local<'_, Thin<str>>>(), WORD);
}

#[test]
fn thin_handles_in_cells() {
    let _alone = alone();
    let (outer, inner) = (slide("outer"), slide("inner"));
    let (square, ids) = (square(7), [&outer, &inner].map(|slide| slide.leaf.check()));
    let square_id = square.leaf().check();
    outer.shape.set(Some(square.thin()));
    inner.text.set(outer.text.get());
    let both: Gc<[Gc<Slide>]> = [outer.clone(), inner.clone()].into();
    outer.slides.set(Some(both.clone().into()));
    inner.slides.set(outer.slides.get());
    settle();
    assert_eq!(outer.shape.get().unwrap().area(), 49);
    assert_eq!((&**inner.text.get(), inner.slides.get().unwrap().len()), ("outer", 2));
    assert!(Gc::ptr_eq(&inner.text.get(), &outer.text.get()));
    assert!(Gc::ptr_eq(Thin::handle(&inner.slides.get().unwrap()), &both));
    {
        let guard = pin();
        let shape = outer.shape.load(&guard).unwrap();
        outer.shape.set(None);
        let other = guard.alloc(Thin::from(Gc::<str>::from("under a pin")));
        outer.text.store(other, &guard);
        testing::request_cycle();
        assert_eq!((shape.area(), shape.leaf().check()), (49, square_id));
    }
    drop((both, inner));
    settle();
    assert_eq!(drops_of(square_id), 1);
    assert_eq!(&**outer.text.get(), "under a pin");
    assert_eq!(ids.map(drops_of), [0, 0]);
    is_well();
    drop(outer);
    settle();
    assert_eq!(ids.map(drops_of), [1, 1]);
}

#[test]
fn thin_handles_are_like_their_targets() {
    let (one, other) = (Gc::<str>::from("abc").thin(), Gc::<str>::from("abc").thin());
    assert!(one == other && !Gc::ptr_eq(&one, &other) && one.len() == 3);
    assert!(one < Gc::<str>::from("abd").thin());
    assert_eq!(format!("{one} {one:?} {one:>5}"), r#"abc "abc"   abc"#);
    assert_eq!(hash_of(&one), hash_of("abc"));
    let back: Gc<str> = one.clone().into();
    assert!(Gc::ptr_eq(&back, Thin::handle(&one)));
    assert_eq!(one.as_ref() as &str, "abc");
    assert_eq!(**ThinGc::<str>::default(), *"");
    let any = Gc::new(7_u8).unsize::<dyn Any + Send + Sync>(|p| p).thin();
    assert_eq!(any.downcast_ref::<u8>(), Some(&7));
    assert_eq!(*Thin::handle(&any).clone().downcast::<u8>().unwrap(), 7);
    let thin = back.try_thin().unwrap();
    std::thread::spawn(move || assert_eq!(&**thin, "abc")).join().unwrap();
}

/// Gives what it has in pieces of all sizes, sometimes interrupted, with a collection now and then.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.1 += 1;
        match self.1 % 7 {
            3 => return Err(io::ErrorKind::Interrupted.into()),
            5 => testing::request_cycle(),
            6 if self.1 % 50 == 6 => _ = collect(),
            _ => {}
        }
        assert!(room.iter().all(|byte| [0, 0xEE].contains(byte)), "zeroed, or what was left there by us");
        let most = room.len().min(self.1 * self.1);
        let read = self.0.read(&mut room[..most])?;
        // What lies behind may be written, too.
        room[read..].fill(0xEE);
        Ok(read)
    }
}

#[test]
fn reading_into_the_heap() {
    let _alone = alone();
    for length in [0, 1, 55, 1000, 40_000, 1_000_000] {
        let data: Vec<u8> = (0..length).map(|n| (n * n) as u8).collect();
        assert_eq!(*Gc::<[u8]>::read_from(Slow(&data, 0), length).unwrap(), *data);
        assert_eq!(*Gc::<[u8]>::read_from(&data[..], length / 2).unwrap(), data[..length / 2]);
        let error = Gc::<[u8]>::read_from(Slow(&data, 0), length + 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        for capacity in [0, 1, length / 3, length, length + 1, 3 * length] {
            let mut builder = BytesBuilder::with_capacity(capacity);
            assert_eq!(builder.read_to_end(Slow(&data, 0)).unwrap(), length);
            let place = builder.as_slice().as_ptr();
            if capacity == length {
                assert_eq!(builder.capacity(), length, "a builder of the right size does not grow");
            }
            let bytes = builder.finish();
            assert_eq!(*bytes, *data);
            assert!(capacity != length || bytes.as_ptr() == place, "finished where it was");
        }
    }
    is_well();
}

#[test]
fn readers_of_all_kinds() {
    struct With<F>(F);
    impl<F: FnMut(&mut [u8]) -> io::Result<usize>> Read for With<F> {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            self.0(room)
        }
    }
    let _alone = alone();
    let fails = Gc::<[u8]>::read_from(With(|_: &mut [u8]| Err(io::ErrorKind::BrokenPipe.into())), 10);
    assert_eq!(fails.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert!(panics_quietly(|| Gc::<[u8]>::read_from(With(|_: &mut [u8]| panic_quietly()), 1 << 20)));
    let mut builder = BytesBuilder::with_capacity(8);
    builder.write_all(b"ab").unwrap();
    assert!(panics_quietly(|| builder.read_to_end(With(|_: &mut [u8]| panic_quietly()))));
    assert_eq!(builder.as_slice(), b"ab");
    let lies = std::panic::catch_unwind(|| Gc::<[u8]>::read_from(With(|room: &mut [u8]| Ok(room.len() + 1)), 10));
    assert!(lies.unwrap_err().downcast_ref::<&str>().unwrap().contains("more than there was room for"));
    // Readers that read into the heap themselves.
    let nested = With(|room: &mut [u8]| {
        let inner = Gc::<[u8]>::read_from(&[7; 5][..], 5).unwrap();
        collect();
        room[..5].copy_from_slice(&inner);
        Ok(5)
    });
    assert_eq!(*Gc::<[u8]>::read_from(nested, 50).unwrap(), [7; 50]);
    is_well();
}

#[test]
fn builders_grow_and_fit() {
    let _alone = alone();
    let mut builder = BytesBuilder::new();
    assert!(builder.is_empty() && builder.capacity() == 0);
    for n in 0..10_000_u32 {
        write!(builder, "{n} ").unwrap();
        if n % 1000 == 0 {
            collect();
        }
    }
    let expected: String = (0..10_000).map(|n| format!("{n} ")).collect();
    assert_eq!((builder.len(), builder.as_slice()), (expected.len(), expected.as_bytes()));
    assert_eq!(&*Gc::<str>::from_utf8(builder.finish()).unwrap(), expected);
    assert_eq!(*BytesBuilder::new().finish(), []);
    let mut roomy = BytesBuilder::with_capacity(1 << 20);
    roomy.write_all(b"small").unwrap();
    let before = stats().live_bytes;
    let small = roomy.finish();
    settle();
    assert_eq!(&*small, b"small");
    assert!(stats().live_bytes + (1 << 19) < before, "what was not needed is given back");
    assert_eq!(BytesBuilder::new().reserve(usize::MAX).unwrap_err().kind(), io::ErrorKind::OutOfMemory);
    is_well();
}
