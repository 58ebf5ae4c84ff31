//! What handles and cells are like from outside: sizes, traits, guards, and objects of unusual size and alignment.

use graphgc::{
    BorrowError, BorrowMutError, Gc, GcCell, GcLazy, GcMutex, GcMutexGuard, GcOnceCell, GcRefCell, GcRwLock,
    GcRwLockReadGuard, GcRwLockWriteGuard, Outcome, Ref, RefMut, Trace, collect, stats,
};
use graphgc_tests::{
    heap::{alone, garbage, settle},
    payload::{Leaf, drops_of, new_id},
};
use std::{
    borrow::Borrow,
    cmp::Ordering,
    collections::{BTreeSet, HashMap, HashSet, hash_map::DefaultHasher},
    error::Error,
    fmt,
    hash::{Hash, Hasher},
};

#[derive(Trace, Debug)]
struct Node {
    name: &'static str,
    next: GcCell<Option<Gc<Node>>>,
    list: GcRefCell<Vec<Gc<Node>>>,
    mutex: GcMutex<Vec<Gc<Node>>>,
    lock: GcRwLock<Vec<Gc<Node>>>,
}

fn node(name: &'static str) -> Gc<Node> {
    Gc::new(Node { name, next: None.into(), list: vec![].into(), mutex: vec![].into(), lock: vec![].into() })
}

#[test]
fn handles_and_edges_are_one_word() {
    const WORD: usize = size_of::<usize>();
    assert_eq!(size_of::<Gc<Node>>(), WORD);
    assert_eq!(size_of::<Option<Gc<Node>>>(), WORD);
    assert_eq!(size_of::<GcCell<Gc<Node>>>(), WORD);
    assert_eq!(size_of::<GcCell<Option<Gc<Node>>>>(), WORD);
    assert_eq!(size_of::<Gc<()>>(), WORD);
    assert!(size_of::<GcRefCell<Gc<Node>>>() <= 2 * WORD);
    assert!(size_of::<GcMutex<Gc<Node>>>() <= 2 * WORD);
    assert!(size_of::<GcRwLock<Gc<Node>>>() <= 2 * WORD);
}

/// Fails to compile if the type has the trait: then two implementations of `Not` fit.
macro_rules! assert_not {
    ($($ty:ty: $bound:ident),* $(,)?) => { $({
        struct Unique;
        trait Not<Marker> {
            fn check() {}
        }
        impl<T: ?Sized> Not<()> for T {}
        impl<T: ?Sized + $bound> Not<Unique> for T {}
        <$ty as Not<_>>::check();
    })* };
}

const fn is_send<T: Send>() {}
const fn is_sync<T: Sync>() {}

#[test]
fn what_may_go_and_be_shared_between_threads() {
    const {
        is_send::<Gc<GcMutex<Vec<Gc<u8>>>>>();
        is_sync::<Gc<GcRwLock<Vec<Gc<u8>>>>>();
        is_send::<GcCell<Option<Gc<u8>>>>();
        is_sync::<GcCell<Gc<u8>>>();
        is_send::<GcRefCell<Vec<Gc<u8>>>>();
        is_sync::<GcMutex<std::cell::Cell<u8>>>();
        is_send::<GcRwLock<std::cell::Cell<u8>>>();
        is_sync::<GcMutexGuard<'_, u8>>();
        is_sync::<GcRwLockReadGuard<'_, u8>>();
        is_sync::<GcRwLockWriteGuard<'_, u8>>();
        is_sync::<GcOnceCell<Gc<u8>>>();
        is_send::<GcOnceCell<std::cell::Cell<u8>>>();
        is_sync::<GcLazy<u8, std::cell::Cell<u8>>>();
    }
    assert_not!(
        Gc<GcRefCell<u8>>: Send,
        Gc<GcRefCell<u8>>: Sync,
        Gc<std::cell::Cell<u8>>: Send,
        GcRefCell<u8>: Sync,
        GcCell<Option<Gc<GcRefCell<u8>>>>: Sync,
        GcCell<Option<Gc<GcRefCell<u8>>>>: Send,
        GcRwLock<std::cell::Cell<u8>>: Sync,
        GcMutex<Gc<GcRefCell<u8>>>: Sync,
        GcOnceCell<std::cell::Cell<u8>>: Sync,
        GcOnceCell<std::rc::Rc<u8>>: Send,
        GcOnceCell<std::sync::MutexGuard<'static, u8>>: Sync,
        GcLazy<std::cell::Cell<u8>>: Sync,
        GcLazy<u8, std::rc::Rc<u8>>: Sync,
        GcLazy<u8, std::rc::Rc<u8>>: Send,
        Ref<'static, u8>: Send,
        RefMut<'static, u8>: Send,
        GcMutexGuard<'static, u8>: Send,
        GcMutexGuard<'static, std::cell::Cell<u8>>: Sync,
        GcRwLockReadGuard<'static, u8>: Send,
        GcRwLockWriteGuard<'static, u8>: Send,
    );
}

fn hash_of(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn traits_are_those_of_the_content() {
    let _alone = alone();
    let (one, other) = (Gc::new("abc".to_string()), Gc::new("abc".to_string()));
    assert_eq!(format!("{one} {one:?} {one:>5}"), r#"abc "abc"   abc"#);
    assert_eq!(format!("{one:p}"), format!("{:p}", Gc::as_ptr(&one)));
    assert_eq!(one, other);
    assert!(!Gc::ptr_eq(&one, &other) && Gc::ptr_eq(&one, &one.clone()));
    assert_eq!(hash_of(&one), hash_of("abc"));
    assert!(Gc::new(1) < Gc::new(2) && Gc::new(2) >= Gc::new(2));
    assert_eq!(Gc::new(3).cmp(&Gc::new(2)), Ordering::Greater);
    assert_eq!(Gc::new(f64::NAN).partial_cmp(&Gc::new(1.0)), None);
    assert_ne!(Gc::new(f64::NAN), Gc::new(f64::NAN));
    assert_eq!(*Gc::<Vec<u8>>::default(), []);
    assert_eq!(*Gc::from(7), 7);
    let into: Gc<u8> = 8.into();
    assert_eq!(*into.as_ref(), 8);
    assert_eq!(Borrow::<u8>::borrow(&into), &8);
    let set: HashSet<Gc<String>> = HashSet::from([one.clone(), other.clone()]);
    assert_eq!(set.len(), 1);
    let map: HashMap<Gc<String>, u8> = HashMap::from([(one, 5)]);
    let name = "abc".to_string();
    assert_eq!(map.get(&name), Some(&5), "looked up by content");
    let sorted: Vec<u8> = [3, 1, 2].map(Gc::new).into_iter().collect::<BTreeSet<_>>().iter().map(|it| **it).collect();
    assert_eq!(sorted, [1, 2, 3]);
}

#[test]
fn handles_to_errors_are_errors() {
    #[derive(Debug, Trace)]
    struct Caused(#[trace(leaf)] std::num::ParseIntError);
    impl fmt::Display for Caused {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("caused")
        }
    }
    impl Error for Caused {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }
    let _alone = alone();
    let error: Box<dyn Error> = Box::new(Gc::new(Caused("x".parse::<u8>().unwrap_err())));
    assert_eq!(error.to_string(), "caused");
    assert!(error.source().unwrap().is::<std::num::ParseIntError>());
}

#[test]
fn contents_never_move() {
    let _alone = alone();
    let object = Gc::new([1u64; 100]);
    let address = Gc::as_ptr(&object);
    let cell = GcCell::new(object.clone());
    for _ in 0..3 {
        for _ in 0..10_000 {
            garbage([0u64; 100]);
        }
        settle();
        assert_eq!(Gc::as_ptr(&object), address);
        assert_eq!(Gc::as_ptr(&cell.get()), address);
        assert_eq!(std::ptr::from_ref(&*object), address);
    }
}

#[test]
fn printing_a_cyclic_graph_ends() {
    let _alone = alone();
    let one = node("one");
    one.next.set(Some(one.clone()));
    one.list.borrow_mut().push(one.clone());
    one.mutex.lock().push(one.clone());
    one.lock.write().push(one.clone());
    let _held = (one.mutex.lock(), one.list.borrow_mut(), one.lock.write());
    let shallow =
        r#"Node { name: "one", next: GcCell(..), list: GcRefCell(..), mutex: GcMutex(..), lock: GcRwLock(..) }"#;
    assert_eq!(format!("{one:?}"), shallow);
}

#[test]
fn cells_of_edges() {
    let _alone = alone();
    let (one, other) = (node("one"), node("other"));
    let cell = GcCell::new(Some(one.clone()));
    let refused = cell.replace_if(&None, Some(other.clone())).unwrap_err();
    assert_eq!(refused.unwrap().name, "other");
    let before = cell.replace_if(&Some(one.clone()), Some(other.clone())).unwrap();
    assert!(Gc::ptr_eq(&before.unwrap(), &one));
    assert_eq!(cell.clone().into_inner().unwrap().name, "other");
    assert_eq!(cell.replace(None).unwrap().name, "other");
    assert!(cell.take().is_none() && cell.get().is_none());
    assert!(cell.replace_if(&None, None).unwrap().is_none());
    assert!(GcCell::<Option<Gc<Node>>>::default().get().is_none());
    let always = GcCell::from(one);
    assert_eq!(always.replace(other).name, "one");
    assert_eq!(always.get().name, "other");
}

#[test]
fn borrows_exclude_each_other() {
    let cell = GcRefCell::new(vec![1, 2, 3]);
    let reading = cell.borrow();
    assert_eq!(cell.try_borrow_mut().err(), Some(BorrowMutError));
    let second = Ref::clone(&reading);
    drop(reading);
    assert!(cell.try_borrow_mut().is_err(), "the second still reads");
    let part = Ref::map(second, |list| &list[1]);
    assert_eq!((*part, format!("{part} {part:?}")), (2, "2 2".into()));
    let part = Ref::filter_map(part, |_| None::<&u8>).unwrap_err();
    assert!(cell.try_borrow_mut().is_err(), "given back, not given up");
    drop(part);
    let writing = cell.borrow_mut();
    assert_eq!(cell.try_borrow().err(), Some(BorrowError));
    let mut part = RefMut::map(writing, |list| &mut list[2]);
    *part = 30;
    let mut part = RefMut::filter_map(part, |_| None::<&mut u8>).unwrap_err();
    *part += 1;
    assert!(cell.try_borrow().is_err());
    drop(part);
    assert_eq!(cell.replace(vec![]), [1, 2, 31]);
    let other = GcRefCell::from(vec![9]);
    cell.swap(&other);
    assert_eq!((cell.take(), other.take(), cell.into_inner()), (vec![9], vec![], vec![]));
    for error in [&BorrowError as &dyn Error, &BorrowMutError] {
        assert!(error.to_string().starts_with("already borrowed"));
    }
}

#[test]
fn locks_exclude_each_other() {
    let mut mutex = GcMutex::new((1, "a".to_string()));
    let guard = mutex.lock();
    assert!(mutex.try_lock().is_none());
    let part = GcMutexGuard::map(guard, |it| &mut it.1);
    assert!(mutex.try_lock().is_none());
    assert_eq!(*part, "a");
    drop(part);
    let guard = GcMutexGuard::filter_map(mutex.lock(), |_| None::<&mut u8>).unwrap_err();
    assert!(mutex.try_lock().is_none(), "given back, not given up");
    drop(guard);
    mutex.get_mut().0 = 5;
    assert_eq!(mutex.try_lock().unwrap().0, 5);
    assert_eq!(mutex.into_inner().0, 5);

    let lock = GcRwLock::new(vec![1, 2]);
    let (one, two) = (lock.read(), lock.try_read().unwrap());
    assert!(lock.try_write().is_none());
    drop(one);
    let part = GcRwLockReadGuard::map(two, |list| &list[0]);
    assert!(lock.try_write().is_none());
    drop(part);
    let mut writing = lock.write();
    assert!(lock.try_read().is_none() && lock.try_write().is_none());
    writing.push(3);
    let reading = GcRwLockWriteGuard::downgrade(writing);
    assert!(lock.try_write().is_none());
    assert_eq!((lock.try_read().unwrap().len(), reading.len()), (3, 3));
    drop(reading);
    *GcRwLockWriteGuard::filter_map(lock.write(), |list| list.last_mut()).unwrap() = 30;
    assert_eq!(lock.into_inner(), [1, 2, 30]);
}

/// An aligned type of each alignment: payloads are where they must be, alive while held and dropped once.
fn aligned<T: Trace>(make: impl Fn(u32) -> T, id_of: impl Fn(&T) -> u32) {
    let ids: Vec<u32> = (0..40).map(|_| new_id()).collect();
    let objects: Vec<Gc<T>> = ids.iter().map(|id| Gc::new(make(*id))).collect();
    settle();
    for (id, object) in ids.iter().zip(&objects) {
        assert_eq!(Gc::as_ptr(object).addr() % align_of::<T>(), 0, "alignment {}", align_of::<T>());
        assert_eq!((id_of(object), drops_of(*id)), (*id, 0));
    }
    let cells: Vec<GcCell<Gc<T>>> = objects.into_iter().map(GcCell::new).collect();
    settle();
    assert!(cells.iter().zip(&ids).all(|(cell, id)| id_of(&cell.get()) == *id));
    drop(cells);
    settle();
    assert!(ids.iter().all(|id| drops_of(*id) == 1), "alignment {}", align_of::<T>());
}

macro_rules! test_alignments {
    ($($name:ident $alignment:literal),*) => { $(
        #[test]
        fn $name() {
            #[derive(Trace)]
            #[repr(align($alignment))]
            struct Aligned { leaf: Leaf, odd: [u8; 3], edge: GcCell<Option<Gc<Aligned>>> }
            let _alone = alone();
            let make = |id| Aligned { leaf: Leaf::new(id), odd: [id as u8; 3], edge: None.into() };
            aligned(make, |it| {
                assert!(it.odd[2] == it.leaf.check() as u8 && it.edge.get().is_none());
                it.leaf.check()
            });
            // Cycles through them, and no leaf: another kind of span.
            #[derive(Trace)]
            #[repr(align($alignment))]
            struct Plain { edge: GcCell<Option<Gc<Plain>>>, tail: u8 }
            let base = stats().live_objects;
            let ring: Vec<_> = (0..10).map(|tail| Gc::new(Plain { edge: None.into(), tail })).collect();
            (0..10).for_each(|index| ring[index].edge.set(Some(ring[(index + 1) % 10].clone())));
            let first = ring[0].clone();
            drop(ring);
            settle();
            assert_eq!(stats().live_objects, base + 10);
            let mut here = first.clone();
            for number in 0..20 {
                assert_eq!((here.tail, Gc::as_ptr(&here).addr() % $alignment), (number % 10, 0));
                here = here.edge.get().unwrap();
            }
            drop((here, first));
            settle();
            assert_eq!(stats().live_objects, base);
        }
    )* };
}

test_alignments!(
    alignment_16 16,
    alignment_64 64,
    alignment_1024 1024,
    alignment_4096 4096,
    alignment_8192 8192,
    alignment_65536 65536
);

#[test]
fn types_without_size() {
    #[derive(Trace, Debug, PartialEq)]
    struct Unit;
    #[derive(Trace)]
    #[repr(align(64))]
    struct AlignedUnit;
    let _alone = alone();
    settle();
    let base = stats().live_objects;
    let units: Vec<Gc<Unit>> = (0..1000).map(|_| Gc::new(Unit)).collect();
    let empty = Gc::new(());
    let array = Gc::new([0u64; 0]);
    let aligned = Gc::new(AlignedUnit);
    assert_eq!(Gc::as_ptr(&aligned).addr() % 64, 0);
    assert!(!Gc::ptr_eq(&units[0], &units[1]), "each has an address of its own");
    assert_eq!(*units[5], Unit);
    settle();
    assert_eq!(stats().live_objects, base + 1003);
    drop((units, empty, array, aligned));
    settle();
    assert_eq!(stats().live_objects, base);
}

/// Large values are built where they are too large for the stack.
fn large<const BYTES: usize>(count: usize) {
    #[derive(Trace)]
    struct Large<const BYTES: usize> {
        leaf: Leaf,
        edge: GcCell<Option<Gc<Large<BYTES>>>>,
        bytes: [u8; BYTES],
    }
    let body = move || {
        let make = |id: u32| Large { leaf: Leaf::new(id), edge: GcCell::new(None), bytes: [id as u8; BYTES] };
        let ids: Vec<u32> = (0..count).map(|_| new_id()).collect();
        let objects: Vec<Gc<Large<BYTES>>> = ids.iter().map(|id| Gc::new(make(*id))).collect();
        for (index, object) in objects.iter().enumerate() {
            object.edge.set(Some(objects[(index + 1) % count].clone()));
        }
        settle();
        let first = objects[0].clone();
        drop(objects);
        settle();
        let mut here = first.clone();
        for id in &ids {
            assert_eq!((here.leaf.check(), drops_of(*id)), (*id, 0));
            assert!(here.bytes.iter().step_by(1000).all(|byte| *byte == *id as u8));
            assert_eq!(here.bytes[BYTES - 1], *id as u8);
            here = here.edge.get().unwrap();
        }
        drop((first, here));
        let before = stats();
        let done = collect();
        assert_eq!(done.outcome, Outcome::Settled);
        assert!(ids.iter().all(|id| drops_of(*id) == 1));
        assert!(done.freed_bytes >= (count * BYTES) as u64 && done.freed_objects >= count as u64, "{done:?}");
        assert!(stats().span_bytes + (count * BYTES) as u64 <= before.span_bytes, "their pages are free");
    };
    std::thread::Builder::new().stack_size(16 * BYTES + (1 << 20)).spawn(body).unwrap().join().unwrap();
}

#[test]
fn large_objects() {
    let _alone = alone();
    large::<{ 32 << 10 }>(20);
    large::<{ 40 << 10 }>(20);
    large::<{ 1 << 20 }>(5);
    large::<{ 20 << 20 }>(3);
    large::<{ 100 << 20 }>(2);
}

/// Every size around the borders of the size classes.
#[test]
fn sizes_of_all_classes() {
    macro_rules! sizes {
        ($($size:literal)*) => { $({
            let objects: Vec<Gc<[u8; $size]>> = (0..50u8).map(|byte| Gc::new([byte; $size])).collect();
            settle();
            assert!(objects.iter().enumerate().all(|(number, it)| it.iter().all(|byte| usize::from(*byte) == number)));
        })* };
    }
    let _alone = alone();
    sizes!(1 2 7 8 9 15 16 17 24 40 56 120 121 248 249 500 1000 1016 1017 2040 2041 4088 4089 8184 8185 16376 16377 32760 32761 32768);
}

#[derive(Trace)]
enum Expression {
    Number(i64),
    Add(Gc<Expression>, Gc<Expression>),
    Block(Vec<Statement>),
}

#[derive(Trace)]
enum Statement {
    Value(Gc<Expression>),
    Nested(Box<Expression>),
    Loop { body: Vec<Statement>, back: GcCell<Option<Gc<Expression>>> },
}

impl Expression {
    fn value(&self) -> i64 {
        match self {
            Expression::Number(number) => *number,
            Expression::Add(left, right) => left.value() + right.value(),
            Expression::Block(statements) => statements.iter().map(Statement::value).sum(),
        }
    }
}

impl Statement {
    fn value(&self) -> i64 {
        match self {
            Statement::Value(expression) => expression.value(),
            Statement::Nested(expression) => expression.value(),
            Statement::Loop { body, .. } => body.iter().map(Statement::value).sum(),
        }
    }
}

#[test]
fn types_that_contain_each_other() {
    let _alone = alone();
    settle();
    let base = stats().live_objects;
    let two = Gc::new(Expression::Number(2));
    let four = Gc::new(Expression::Add(two.clone(), two.clone()));
    let inner = Statement::Loop { body: vec![Statement::Value(four.clone())], back: None.into() };
    let nested = Statement::Nested(Box::new(Expression::Block(vec![Statement::Value(two.clone())])));
    let block = Gc::new(Expression::Block(vec![Statement::Value(four), inner, nested]));
    drop(two);
    settle();
    assert_eq!((block.value(), stats().live_objects - base), (10, 3));
    let Expression::Block(statements) = &*block else { unreachable!() };
    let Statement::Loop { back, .. } = &statements[1] else { unreachable!() };
    back.set(Some(block.clone()));
    settle();
    assert_eq!((block.value(), stats().live_objects - base), (10, 3));
    drop(block);
    settle();
    assert_eq!(stats().live_objects, base);
}
