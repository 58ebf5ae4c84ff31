//! `graphgc::verify`: finds nothing where nothing is wrong, whatever goes on, and names what is, one damage at a time.

use graphgc::{
    Gc, GcCell, GcMutex, GcRefCell, GcRwLock, Outcome, Trace, Violation, ViolationKind as Kind, collect,
    testing::{
        MarkingHeld,
        corrupt::{self, LinkDamage, SpanDamage},
        is_marking, request_cycle,
    },
    verify,
};
use graphgc_tests::{
    payload::{Leaf, new_id},
    process::{alone, wait_until},
    random::Random,
};
use std::{
    collections::BTreeSet,
    mem::forget,
    sync::atomic::{
        AtomicBool,
        Ordering::{Relaxed, SeqCst},
    },
    thread,
};

/// A size that nothing else has.
#[derive(Trace)]
struct Node {
    next: GcCell<Option<Gc<Node>>>,
    list: GcRefCell<Vec<Gc<Node>>>,
    nested: GcRefCell<Option<Box<Nested>>>,
    filler: [u64; 37],
}

/// Cells inside a cell.
type Nested = (GcCell<Option<Gc<Node>>>, GcRefCell<Vec<Gc<Node>>>);

/// With a drop of a user's.
#[derive(Trace)]
struct Dropping {
    leaf: Leaf,
    filler: [u64; 51],
}

#[derive(Trace)]
struct Holder {
    node: Gc<Node>,
    dropping: Gc<Dropping>,
}

fn node(next: Option<Gc<Node>>) -> Gc<Node> {
    Gc::new(Node { next: next.into(), list: vec![].into(), nested: None.into(), filler: [7; 37] })
}

/// Two objects that only an edge leads to, so that no root entry speaks for them, and their owner.
struct Scene {
    owner: Gc<Holder>,
    node: *const Node,
    dropping: *const Dropping,
}

impl Scene {
    fn new() -> Self {
        let node = node(Some(node(None)));
        let dropping = Gc::new(Dropping { leaf: Leaf::new(new_id()), filler: [3; 51] });
        let pointers = (Gc::as_ptr(&node), Gc::as_ptr(&dropping));
        let owner = Gc::new(Holder { node, dropping });
        assert_eq!(collect().outcome, Outcome::Settled);
        let (node, dropping) = pointers;
        assert_eq!(verify(), []);
        Scene { owner, node, dropping }
    }
}

fn kinds(violations: &[Violation]) -> BTreeSet<Kind> {
    violations.iter().map(|violation| violation.kind).collect()
}

/// In a process of its own, damages a scene and sees that just these are named.
#[track_caller]
fn names(test: &str, expected: &[Kind], damage: impl FnOnce(&Scene)) {
    alone(test, &[], || {
        let scene = Scene::new();
        damage(&scene);
        let violations = verify();
        assert_eq!(kinds(&violations), expected.iter().copied().collect(), "{violations:#?}");
        for violation in &violations {
            assert!(violation.to_string().contains(&violation.detail), "{violation}");
        }
        // Nothing may be dropped or collected any more.
        forget(scene);
    });
}

macro_rules! damages {
    ($($name:ident: [$($kind:ident),*], $damage:expr;)*) => {
        $(#[test]
        fn $name() {
            // SAFETY: the scene's objects are alive; the process ends soon.
            names(stringify!($name), &[$(Kind::$kind),*], |scene: &Scene| unsafe { $damage(scene) });
        })*
    };
}

/// The node is opened for writing and stays counted; its list has the owner's other node in it.
unsafe fn counted_content(scene: &Scene) -> *const Node {
    let target = node(None);
    let pointer = Gc::as_ptr(&target);
    scene.owner.node.list.borrow_mut().push(target);
    assert_eq!(verify(), []);
    pointer
}

fn open_nested(scene: &Scene) {
    *scene.owner.node.nested.borrow_mut() = Some(Box::new((None.into(), vec![node(None)].into())));
    assert_eq!(verify(), []);
}

/// Where an object was that has left its slot to the next.
fn vacant() -> *const [u64; 61] {
    let object = Gc::new([7; 61]);
    let left = Gc::as_ptr(&object);
    drop(object);
    assert_eq!(verify(), []);
    left
}

/// Damages the link of the owner's node.
unsafe fn damage_link(scene: &Scene, damage: LinkDamage) {
    let weak = Gc::downgrade(&scene.owner.node);
    assert_eq!(verify(), []);
    // SAFETY: it has been downgraded.
    unsafe { corrupt::weak_link(scene.node, damage) };
    forget(weak);
}

/// Threads that clone what has no count, and so no root entry: each would stand in the middle of a clone whenever the world is stopped, if it waited there.
#[test]
fn clones_of_claimed_handles_are_no_roots_without_entry() {
    let list: Gc<Vec<Gc<u64>>> = Gc::new((0..100_000).map(Gc::new).collect());
    let done = &AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            let list = list.clone();
            scope.spawn(move || {
                while !done.load(Relaxed) {
                    list.iter().for_each(|leaf| _ = leaf.clone());
                }
            });
        }
        let violations: Vec<_> = (0..5).flat_map(|_| verify()).collect();
        done.store(true, Relaxed);
        assert_eq!(violations, []);
    });
}

const IN_LOG: u32 = 1;
const UNSHARED: u32 = 2;
const ONE: u32 = 4;
const NO_ENTRY: u32 = 1 << 31;
const AWAITS_DROP: u32 = NO_ENTRY | 1 << 28;

damages! {
    // Bitmaps.
    mark_between_cycles: [WrongMark], |it: &Scene| corrupt::mark(it.node);
    bit_between_slots: [StrayBit, Account], |it: &Scene| corrupt::stray_bit(it.node);
    lost_allocation_bit: [DanglingEdge, Account], |it: &Scene| corrupt::forget_allocation(it.node);
    // Headers.
    wrong_type: [HeaderType], |it: &Scene| corrupt::header_type(it.node, it.dropping);
    count_below_zero: [HeaderCount], |it: &Scene| corrupt::root_word(it.node, |word| word.wrapping_sub(2 * ONE));
    flag_without_entry: [LogFlag], |it: &Scene| corrupt::root_word(it.node, |word| word ^ IN_LOG);
    entry_without_flag: [LogFlag], |it: &Scene| {
        // The owner was a root in two cycles: the root log has it.
        corrupt::root_word(Gc::as_ptr(&it.owner), |word| word ^ IN_LOG);
    };
    missing_entry: [EntryFlag], |it: &Scene| corrupt::root_word(it.node, |word| word ^ NO_ENTRY);
    entry_in_vain: [EntryFlag], |it: &Scene| corrupt::root_word(Gc::as_ptr(&it.owner), |word| word | NO_ENTRY);
    count_without_entry: [RootWithoutEntry], |it: &Scene| corrupt::root_word(it.node, |word| word + ONE);
    unshared_behind_an_edge: [UnsharedTarget, EntryFlag], |it: &Scene| {
        corrupt::root_word(it.node, |word| (word ^ NO_ENTRY) + ONE + UNSHARED);
    };
    entry_of_a_free_slot: [StaleEntry], |it: &Scene| corrupt::stale_entry(it.node);
    count_too_low: [CountTooLow], |it: &Scene| {
        corrupt::root_word(counted_content(it), |word| word - ONE);
    };
    waits_for_the_dropper: [AwaitingDrop], |it: &Scene| corrupt::root_word(it.dropping, |_| AWAITS_DROP);
    waits_where_nothing_can: [AwaitingDrop], |it: &Scene| corrupt::root_word(it.node, |_| AWAITS_DROP);
    // Edges and cells.
    edge_to_a_free_slot: [DanglingEdge], |it: &Scene| corrupt::edge(it.node);
    write_held_and_claimed: [CellFlags], |it: &Scene| {
        forget(it.owner.node.list.borrow_mut());
        corrupt::claim_cell(it.node, 0);
    };
    claimed_cell_in_counted_content: [ClaimedInCounted, UnsharedTarget], |it: &Scene| {
        open_nested(it);
        corrupt::claim_cell(it.node, 2);
    };
    claimed_edge_in_counted_content: [ClaimedInCounted], |it: &Scene| {
        open_nested(it);
        corrupt::claim_edge(it.node, 1);
    };
    // Weak handles.
    weak_handle_to_a_free_slot: [WeakLink], |it: &Scene| {
        let dying = Gc::new([5u64; 61]);
        let place = Gc::as_ptr(&dying).addr() - 8;
        drop(dying);
        assert_eq!(collect().outcome, Outcome::Settled);
        damage_link(it, LinkDamage::Elsewhere(place));
    };
    weak_handle_to_another: [WeakLink], |it: &Scene| damage_link(it, LinkDamage::Elsewhere(it.dropping.addr() - 8));
    link_that_comes_again: [WeakLink], |it: &Scene| damage_link(it, LinkDamage::InARing);
    link_that_is_none: [WeakLink], |it: &Scene| damage_link(it, LinkDamage::IsNoLink);
    link_that_is_lost: [WeakLink], |it: &Scene| damage_link(it, LinkDamage::Lost);
    // Spans.
    too_many_slots: [SpanShape, Account], |it: &Scene| corrupt::span(it.node, SpanDamage::Slots);
    cursor_behind_free_slots: [FreeSlotBeforeCursor], |it: &Scene| corrupt::span(it.node, SpanDamage::Cursor);
    span_in_no_list: [SpanPlace], |it: &Scene| corrupt::span(it.node, SpanDamage::Lost);
    span_twice_in_a_list: [SpanPlace], |it: &Scene| corrupt::span(it.node, SpanDamage::ListedTwice);
    span_in_a_wrong_list: [SpanPlace], |it: &Scene| corrupt::span(it.node, SpanDamage::WrongList);
    span_in_a_wrong_place: [SpanPlace], |it: &Scene| corrupt::span(it.node, SpanDamage::Place);
    span_with_room_called_full: [FullSpanHasRoom], |it: &Scene| corrupt::span(it.node, SpanDamage::CalledFull);
    span_not_swept: [SpanUnswept], |it: &Scene| corrupt::span(it.node, SpanDamage::Unswept);
    wrong_number_of_waiting: [AwaitingDrop], |it: &Scene| corrupt::span(it.dropping, SpanDamage::AwaitingDrop);
    run_that_is_not_the_spans: [CacheRun], |it: &Scene| {
        // A run of this thread's, in the span of the node.
        forget(node(None));
        corrupt::span(it.node, SpanDamage::CursorBack);
    };
    slot_that_waits_without_being_vacant: [VacantSlot], |_: &Scene| {
        let left = vacant();
        // A count of 0.
        corrupt::root_word(left, |_| 3 << 30);
    };
    slot_that_waits_without_an_entry: [VacantSlot], |_: &Scene| corrupt::lost_entry(vacant());
    slot_that_waits_with_two_entries: [VacantSlot], |_: &Scene| corrupt::second_entry(vacant());
    slot_that_waits_without_an_entry_of_its_own: [VacantSlot], |_: &Scene| corrupt::entry_handed_over(vacant());
    slot_that_waits_for_itself: [VacantSlot], |_: &Scene| corrupt::vacant_ring(vacant());
    newborn_with_two_entries: [EntryFlag], |_: &Scene| {
        let newborn = Gc::new([7u64; 61]);
        corrupt::second_entry(Gc::as_ptr(&newborn));
        forget(newborn);
    };
    // Pages and totals.
    page_of_another_span: [Pages], |_: &Scene| {
        // Of several pages, so that no object begins on the last one.
        let large = Gc::new([1u64; 10_000]);
        corrupt::span(Gc::as_ptr(&large), SpanDamage::PageMap);
        forget(large);
    };
    short_free_run: [Pages], |it: &Scene| corrupt::free_run(it.node);
}

#[test]
fn wrong_total() {
    names("wrong_total", &[Kind::Account], |_| corrupt::account());
}

/// A mark is right while marking; of a free slot it is not.
#[test]
fn mark_of_a_free_slot() {
    alone("mark_of_a_free_slot", &[], || {
        let scene = Scene::new();
        let held = MarkingHeld::new();
        request_cycle();
        wait_until("marking waits for the pin", is_marking);
        assert_eq!(verify(), []);
        assert!(is_marking(), "verified in the middle of a cycle, with a pin held by the caller");
        // SAFETY: the node is alive.
        unsafe { corrupt::mark_free_slot(scene.node) };
        let violations = verify();
        assert_eq!(kinds(&violations), BTreeSet::from([Kind::WrongMark]), "{violations:?}");
        // The cycle must not end with this.
        forget((held, scene));
    });
}

#[test]
fn what_is_named_is_found_again() {
    alone("what_is_named_is_found_again", &[], || {
        let scene = Scene::new();
        // SAFETY: the node is alive.
        unsafe { corrupt::edge(scene.node) };
        let [violation] = &verify()[..] else { panic!("one edge was damaged") };
        assert_eq!(violation.address + 8, scene.node.addr());
        assert!(violation.type_name.is_some_and(|name| name.ends_with("Node")), "{violation}");
        assert!(violation.to_string().starts_with("DanglingEdge at 0x"), "{violation}");
        forget(scene);
    });
}

#[derive(Trace)]
struct Shared {
    next: GcCell<Option<Gc<Shared>>>,
    list: GcMutex<Vec<Gc<Shared>>>,
    nested: GcRwLock<Vec<Inner>>,
    leaf: Option<Leaf>,
}

/// Cells inside a cell.
#[derive(Trace)]
struct Inner {
    edge: GcCell<Option<Gc<Shared>>>,
    list: GcMutex<Vec<Gc<Shared>>>,
}

/// More handles than one critical section counts.
const MANY: usize = 3000;

fn shared(random: &mut Random) -> Gc<Shared> {
    let leaf = random.one_in(4).then(|| Leaf::new(new_id()));
    Gc::new(Shared { next: None.into(), list: vec![].into(), nested: vec![].into(), leaf })
}

/// Changes what everyone shares in every way there is, with handles that move from cell to cell without an operation.
fn change(roots: &[Gc<Shared>], random: &mut Random) {
    let [a, b] = [(); 2].map(|()| &roots[random.below(roots.len())]);
    match random.below(16) {
        0 => a.next.set(Some(shared(random))),
        1 => a.next.set(b.next.get()),
        2 => a.list.lock().push(b.clone()),
        3 => a.list.lock().push(shared(random)),
        4 => {
            let taken = a.list.lock().pop();
            b.list.lock().extend(taken);
        }
        5 => {
            let taken = a.next.take();
            b.list.lock().extend(taken.clone());
            drop(taken);
        }
        7 => a.nested.write().push(Inner { edge: b.next.get().into(), list: vec![b.clone()].into() }),
        8 => a.nested.read().iter().for_each(|inner| inner.edge.set(Some(b.clone()))),
        9 => a.nested.read().iter().for_each(|inner| inner.list.lock().extend(b.next.get())),
        10 => {
            if let Some(inner) = a.nested.read().first() {
                *inner.list.lock() = vec![b.clone(); MANY];
            }
        }
        11 => {
            let moved = a.nested.read().iter().find_map(|inner| inner.list.lock().pop());
            b.list.lock().extend(moved);
        }
        12 if a.nested.read().len() > 5 => a.nested.write().clear(),
        13 => a.list.lock().extend(Gc::downgrade(b).upgrade()),
        14 => forget(Gc::downgrade(&shared(random))),
        6 if a.list.lock().len() > 50 => a.list.lock().clear(),
        _ => drop(a.list.lock().iter().map(Gc::clone).collect::<Vec<_>>()),
    }
}

#[test]
fn nothing_is_found_while_threads_work() {
    alone("nothing_is_found_while_threads_work", &[("GRAPHGC_MIN_HEAP", "256K")], || {
        let mut random = Random::new(1);
        let roots: Vec<_> = (0..50).map(|_| shared(&mut random)).collect();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for seed in 2..5 {
                let (roots, over) = (&roots, &over);
                scope.spawn(move || {
                    let mut random = Random::of_run(seed);
                    while !over.load(SeqCst) {
                        change(roots, &mut random);
                    }
                });
            }
            let _over = SetWhenDropped(&over);
            for _ in 0..100 {
                assert_eq!(verify(), []);
            }
        });
        assert!(collect().cycles > 0);
        assert_eq!(verify(), []);
        assert!(roots.iter().all(|root| root.leaf.as_ref().is_none_or(|leaf| leaf.check() > 0)));
    });
}

struct SetWhenDropped<'a>(&'a AtomicBool);

impl Drop for SetWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

static VERIFIED: AtomicBool = AtomicBool::new(false);

/// Verifies the heap when it is dropped, and while it is waiting for that.
#[derive(Trace)]
#[trace(leaf)]
struct Verifies;

impl Drop for Verifies {
    fn drop(&mut self) {
        assert_eq!(verify(), []);
        VERIFIED.store(true, SeqCst);
    }
}

#[derive(Trace)]
struct Dead(Verifies, [u64; 3]);

#[test]
fn works_in_a_drop_and_with_borrows_held() {
    alone("works_in_a_drop_and_with_borrows_held", &[], || {
        let list = Gc::new(GcRefCell::new(vec![node(None)]));
        let dead = Gc::new(Dead(Verifies, [0; 3]));
        assert_eq!(dead.1, [0; 3]);
        drop(dead);
        let reading = list.borrow();
        assert_eq!(collect().outcome, Outcome::Settled);
        assert!(VERIFIED.load(SeqCst));
        drop(reading);
        let mut writing = list.borrow_mut();
        assert_eq!(verify(), []);
        writing.push(node(None));
        assert_eq!(verify(), []);
    });
}

/// Begins behind the first page of its span.
#[derive(Trace)]
#[repr(align(16384))]
struct Aligned([u8; 16 << 10]);

#[test]
fn large_and_huge_objects_are_no_exception() {
    alone("large_and_huge_objects_are_no_exception", &[], || {
        let body = || {
            let kept = (Gc::new([1u64; 10_000]), Gc::new([2u64; 3 << 20]), Gc::new(Aligned([3; 16 << 10])));
            drop(Gc::new([2u64; 3 << 20]));
            assert_eq!(verify(), []);
            assert_eq!(collect().outcome, Outcome::Settled);
            assert_eq!(verify(), []);
            assert_eq!((kept.0[9], kept.1[9], kept.2.0[9]), (1, 2, 3));
        };
        // Values of 24 MiB pass through the stack.
        thread::Builder::new().stack_size(512 << 20).spawn(body).unwrap().join().unwrap();
    });
}

#[test]
fn a_process_that_has_allocated_nothing_is_well() {
    alone("a_process_that_has_allocated_nothing_is_well", &[], || assert_eq!(verify(), []));
}
