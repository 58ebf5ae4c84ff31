//! Dead containers: every leaf part dropped once, no claimed handle dropped at all, the memory freed.

use super::*;
use crate::trace::facts::{Handle, Unknown};
use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque},
    hash::{BuildHasher, DefaultHasher},
    mem::ManuallyDrop,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// Stands for a claimed handle: its drop must never run.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash, Clone)]
pub(in crate::trace) struct Claimed(pub(in crate::trace) u8);

impl Drop for Claimed {
    fn drop(&mut self) {
        // A second panic while unwinding would hide the first, so a count and not a panic.
        DROPPED_HANDLES.with(|count| count.set(count.get() + 1));
    }
}

thread_local! {
    static DROPPED_HANDLES: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: it holds no handle in truth.
unsafe impl Trace for Claimed {
    type Info = Handle;
    fn trace(&self, _: &mut Tracer<'_>) {}
    unsafe fn drop_swept(&mut self) {}
}

/// A leaf that counts its drops in the `Arc` (one less reference each) and may panic in one.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash, Clone)]
pub(in crate::trace) struct Noisy(Arc<u8>, bool);

impl Drop for Noisy {
    fn drop(&mut self) {
        assert!(!self.1, "a drop that panics");
    }
}

leaf!({} Noisy);

/// Runs `drop_swept` on `value` and checks that no handle was dropped. Returns whether a drop panicked.
pub(in crate::trace) fn sweep<T: Trace>(value: T) -> bool {
    let mut value = ManuallyDrop::new(value);
    // SAFETY: the value is not used again.
    let outcome = catch_unwind(AssertUnwindSafe(|| unsafe { value.drop_swept() }));
    assert_eq!(DROPPED_HANDLES.get(), 0, "a claimed handle was dropped in {}", std::any::type_name::<T>());
    outcome.is_err()
}

/// Three pairs of a handle and a leaf, the second of which panics if asked to.
pub(in crate::trace) fn pairs(witness: &Arc<u8>, panics: bool) -> [(Claimed, Noisy); 3] {
    [1, 2, 3].map(|n| (Claimed(n), Noisy(witness.clone(), panics && n == 2)))
}

/// Calls `$check` with every container: by name, how to make it of pairs, how to make it of handles alone.
macro_rules! for_each_container {
    ($check:ident) => {
        $check!(Some, Some);
        $check!(Box::new, Box::new);
        $check!(Box::<[_]>::from, Box::<[_]>::from);
        $check!(Vec::from, Vec::from);
        $check!(VecDeque::from, VecDeque::from);
        $check!(LinkedList::from, LinkedList::from);
        $check!(BinaryHeap::from, BinaryHeap::from);
        $check!(BTreeSet::from, BTreeSet::from);
        $check!(BTreeMap::from, |handles: [_; 3]| BTreeMap::from(handles.map(|handle| (handle, 1))));
        $check!(HashSet::from, HashSet::from);
        $check!(HashMap::from, |handles: [Claimed; 3]| HashMap::from(handles.map(|handle| (handle.0, handle))));
        $check!(owned, owned);
    };
}

fn owned<T: Clone>(elements: [T; 3]) -> Cow<'static, [T]> {
    Cow::Owned(elements.into())
}

#[test]
fn containers_drop_leaves_and_spare_handles() {
    macro_rules! check {
        ($of_pairs:expr, $of_handles:expr) => {{
            let witness = Arc::new(0);
            assert!(!sweep($of_pairs(pairs(&witness, false))));
            assert_eq!(Arc::strong_count(&witness), 1, "each leaf is dropped once");
            assert!(!sweep($of_handles([Claimed(1), Claimed(2), Claimed(3)])));
        }};
    }
    for_each_container!(check);
}

#[test]
fn containers_spare_handles_when_a_drop_panics() {
    macro_rules! check {
        ($of_pairs:expr, $of_handles:expr) => {
            assert!(sweep($of_pairs(pairs(&Arc::new(0), true))))
        };
    }
    for_each_container!(check);
}

/// A hasher whose drop panics must not make a map drop its content the ordinary way.
#[test]
fn hasher_that_panics_comes_last() {
    struct Hasher;
    impl BuildHasher for Hasher {
        type Hasher = DefaultHasher;
        fn build_hasher(&self) -> DefaultHasher {
            DefaultHasher::new()
        }
    }
    impl Drop for Hasher {
        fn drop(&mut self) {
            panic!("a drop that panics");
        }
    }

    let mut map = HashMap::with_hasher(Hasher);
    map.insert(1, Claimed(1));
    assert!(sweep(map));
    let mut set = HashSet::with_hasher(Hasher);
    set.insert(Claimed(1));
    assert!(sweep(set));
}

#[test]
fn content_behind_dyn_is_dropped_by_its_own_type() {
    trait Shape: Trace {}
    impl Shape for (Claimed, Noisy) {}

    let witness = Arc::new(0);
    let shape: Box<dyn Shape> = Box::new((Claimed(1), Noisy(witness.clone(), false)));
    assert!(!sweep(shape));
    assert_eq!(Arc::strong_count(&witness), 1);
}

#[test]
fn small_wrappers_drop_each_part_once() {
    use std::{cmp::Reverse, num::Wrapping, ops::Bound, ops::ControlFlow};
    let witness = Arc::new(0);
    let noisy = || Noisy(witness.clone(), false);
    sweep(noisy()..noisy());
    sweep(noisy()..=noisy());
    sweep((noisy().., ..noisy(), ..=noisy(), Reverse(noisy()), Wrapping(noisy())));
    sweep((Bound::Included(noisy()), Ok::<_, Noisy>(noisy()), Err::<Noisy, _>(noisy())));
    sweep([ControlFlow::<_, Noisy>::Break(noisy()), ControlFlow::Continue(noisy())]);
    assert_eq!(Arc::strong_count(&witness), 1);
}

pub(in crate::trace) const fn facts<T: Trace>() -> Facts {
    <T::Info as Info>::FACTS
}

#[test]
fn facts_of_plain_data() {
    const OWNED: Facts = Facts::owned_memory();
    assert_eq!(facts::<(u8, Option<[f64; 3]>)>(), Facts::PLAIN);
    assert_eq!(facts::<(&'static str, fn(u8) -> u8)>(), Facts::PLAIN);
    assert_eq!(facts::<RefCell<u8>>(), Facts::PLAIN);
    assert_eq!(facts::<Option<String>>(), OWNED);
    assert_eq!(facts::<Vec<Vec<String>>>(), OWNED);
    assert_eq!(facts::<Box<u64>>(), OWNED);
    assert_eq!(facts::<Box<str>>(), OWNED);
    assert_eq!(facts::<HashMap<String, u8>>(), OWNED);
    assert_eq!(facts::<Cow<'static, str>>(), OWNED);
    assert_eq!(facts::<Arc<u8>>(), Facts { drop: DropKind::User, ..Facts::PLAIN });
    assert_eq!(facts::<Vec<Noisy>>(), Facts { drop: DropKind::User, ..Facts::PLAIN });
}

#[test]
fn facts_of_handles() {
    assert_eq!(facts::<Option<Claimed>>(), Facts::HANDLE);
    assert_eq!(facts::<(u8, Claimed, [Option<Claimed>; 3])>().steps, 7);
    assert_eq!(facts::<Result<Claimed, (Claimed, Claimed)>>().steps, 2);
    assert_eq!(facts::<[[Claimed; 1]; 5]>().steps, 15, "elements of either array are steps");
    assert_eq!(facts::<[[u8; 9]; 9]>().steps, 0);
    let vec = facts::<Vec<Claimed>>();
    assert_eq!(vec, Facts { scan: true, cells: false, drop: DropKind::Frees, steps: usize::MAX });
    assert_eq!(facts::<BTreeMap<Claimed, u8>>(), vec);
    assert_eq!(facts::<HashMap<u8, Claimed>>(), vec);
    assert_eq!(facts::<Box<dyn Trace>>(), Facts::UNKNOWN);
    assert_eq!(facts::<Box<Claimed>>(), Facts::UNKNOWN);
}

/// The facts of a hasher are part of the facts of its map.
#[test]
fn facts_of_hashers() {
    struct Hasher(#[allow(dead_code)] String);
    assert_eq!(facts::<HashMap<u8, u8, Hasher>>().drop, DropKind::User);
    assert_eq!(facts::<HashSet<u8, Hasher>>().drop, DropKind::User);
}

/// A type may ask for the facts of a container of itself.
#[test]
fn facts_of_recursive_types() {
    struct Tree(Vec<Tree>);
    // SAFETY: the only field is passed on.
    unsafe impl Trace for Tree {
        type Info = TreeInfo;
        fn trace(&self, tracer: &mut Tracer<'_>) {
            trace_part(&self.0, tracer);
        }
        unsafe fn drop_swept(&mut self) {
            // SAFETY: by contract.
            unsafe { drop_part(&mut self.0) };
        }
    }
    struct TreeInfo;
    impl Info for TreeInfo {
        const FACTS: Facts = facts::<Vec<Tree>>();
        type Behind = Unknown;
    }

    assert_eq!(facts::<Tree>(), Facts::UNKNOWN);
    assert!(!sweep(Tree(vec![Tree(vec![]), Tree(vec![Tree(vec![])])])));
}
