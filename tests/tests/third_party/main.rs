//! Types of other crates in objects: cycles through them are collected, what they lead to stays, and leaves in them are dropped once.

use graphgc::{Gc, GcRefCell, Trace, collect};
use graphgc_tests::{
    heap::{alone, settle},
    payload::{Leaf, corrupt_drops, drops_of, new_id},
    random::Random,
};
use std::hash::{Hash, Hasher};

mod serialized;

/// A handle as a key: by the identity of what it leads to.
#[derive(Trace)]
struct Identity<T: Trace>(Gc<T>);

impl<T: Trace> PartialEq for Identity<T> {
    fn eq(&self, other: &Self) -> bool {
        Gc::ptr_eq(&self.0, &other.0)
    }
}

impl<T: Trace> Eq for Identity<T> {}

impl<T: Trace> Hash for Identity<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Gc::as_ptr(&self.0).hash(state);
    }
}

/// Tests of nodes whose edges are a `$edges`: `$add` puts one into it, and `$list` gives back all that are in it.
macro_rules! edges {
    ($($name:ident: $edges:ty, $add:expr, $list:expr;)+) => { $(
        mod $name {
            use super::*;

            #[derive(Trace)]
            struct Node {
                leaf: Leaf,
                id: u32,
                fixed: $edges,
                changing: GcRefCell<$edges>,
            }

            fn add(edges: &mut $edges, to: &Gc<Node>) {
                let add: fn(&mut $edges, Gc<Node>) = $add;
                add(edges, to.clone());
            }

            fn list(edges: &$edges) -> Vec<Gc<Node>> {
                let list: fn(&$edges) -> Vec<Gc<Node>> = $list;
                list(edges)
            }

            fn node(before: &[Gc<Node>]) -> Gc<Node> {
                let id = new_id();
                let mut fixed = <$edges>::default();
                before.iter().rev().take(2).for_each(|node| add(&mut fixed, node));
                Gc::new(Node { leaf: Leaf::new(id), id, fixed, changing: GcRefCell::default() })
            }

            /// A ring, each of whose nodes leads to the one before by an immutable field and to the next and itself by a cell.
            fn ring() -> Vec<Gc<Node>> {
                let mut nodes = Vec::new();
                for _ in 0..50 {
                    nodes.push(node(&nodes));
                }
                for (n, node) in nodes.iter().enumerate() {
                    let mut changing = node.changing.borrow_mut();
                    add(&mut changing, &nodes[(n + 1) % nodes.len()]);
                    add(&mut changing, node);
                }
                nodes
            }

            fn ids(nodes: &[Gc<Node>]) -> Vec<u32> {
                nodes.iter().map(|node| node.leaf.check()).collect()
            }

            #[track_caller]
            fn all_dropped(ids: &[u32], times: u8) {
                ids.iter().for_each(|&id| assert_eq!(drops_of(id), times, "object {id}"));
                assert_eq!(corrupt_drops(), 0);
            }

            #[test]
            fn a_ring_goes_when_nothing_leads_to_it() {
                let _alone = alone();
                let (kept, dead) = (ring(), ring());
                let (kept_ids, dead_ids) = (ids(&kept), ids(&dead));
                let first = kept[0].clone();
                drop((kept, dead));
                settle();
                all_dropped(&dead_ids, 1);
                all_dropped(&kept_ids, 0);

                let mut at = first.clone();
                for (n, &id) in kept_ids.iter().enumerate() {
                    assert_eq!((at.id, at.leaf.check()), (id, id));
                    let mut fixed: Vec<_> = list(&at.fixed).iter().map(|node| node.leaf.check()).collect();
                    fixed.sort();
                    assert_eq!(fixed, kept_ids[n.saturating_sub(2)..n]);
                    let next = list(&at.changing.borrow());
                    assert_eq!(next.len(), 2);
                    at = next.into_iter().find(|node| node.id != id).expect("the next node");
                }
                assert!(Gc::ptr_eq(&at, &first));

                // The last one leads to no more than itself and those before it, so they all stay with it alone.
                let last = list(&first.fixed).pop().unwrap_or(first);
                drop(at);
                drop(std::mem::take(&mut *last.changing.borrow_mut()));
                drop(last);
                settle();
                all_dropped(&kept_ids, 1);
            }

            #[test]
            fn edges_change_between_and_in_cycles() {
                let _alone = alone();
                let first = new_id();
                let mut random = Random::new(7);
                let mut nodes: Vec<Gc<Node>> = (0..20).map(|_| node(&[])).collect();
                for round in 0..2_000 {
                    let [from, to] = [(); 2].map(|()| random.below(nodes.len()));
                    let mut changing = nodes[from].changing.borrow_mut();
                    if list(&changing).len() > 3 {
                        let taken = std::mem::take(&mut *changing);
                        ids(&list(&taken));
                    }
                    add(&mut changing, &nodes[to]);
                    drop(changing);
                    if round % 5 == 0 {
                        nodes[to] = node(&nodes[..2]);
                    }
                    if round % 200 == 0 {
                        collect();
                    }
                }
                for node in &nodes {
                    let (fixed, changing) = (list(&node.fixed), list(&node.changing.borrow()));
                    ids(&fixed);
                    ids(&changing);
                }
                drop(nodes);
                settle();
                all_dropped(&(first + 1..new_id()).collect::<Vec<_>>(), 1);
            }
        }
    )+ };
}

edges! {
    array_vec: arrayvec::ArrayVec<Gc<Node>, 6>, |edges, to| edges.push(to), |edges| edges.to_vec();
    small_vec: smallvec::SmallVec<[Gc<Node>; 2]>, |edges, to| edges.push(to), |edges| edges.to_vec();
    // More elements than that are spilled.
    small_vec_of_cells: smallvec::SmallVec<[GcRefCell<Gc<Node>>; 1]>,
        |edges, to| edges.push(GcRefCell::new(to)),
        |edges| edges.iter().map(|edge| edge.borrow().clone()).collect();
    either_of_two: Vec<either::Either<Gc<Node>, Box<Gc<Node>>>>,
        |edges, to| edges.push(if to.id % 2 == 0 { either::Left(to) } else { either::Right(Box::new(to)) }),
        |edges| edges.iter().map(|edge| edge.as_ref().either(Gc::clone, |boxed| (**boxed).clone())).collect();
    hashbrown_map: hashbrown::HashMap<u32, Gc<Node>>,
        |edges, to| { edges.insert(to.id, to); },
        |edges| edges.values().cloned().collect();
    hashbrown_keys: hashbrown::HashMap<Identity<Node>, Identity<Node>>,
        |edges, to| { edges.insert(Identity(to.clone()), Identity(to)); },
        |edges| edges.iter().map(|(key, value)| { assert!(key == value); key.0.clone() }).collect();
    hashbrown_set: hashbrown::HashSet<Identity<Node>>,
        |edges, to| { edges.insert(Identity(to)); },
        |edges| edges.iter().map(|key| key.0.clone()).collect();
    hashbrown_table: hashbrown::HashTable<Gc<Node>>,
        |edges, to| { edges.insert_unique(u64::from(to.id), to, |node| u64::from(node.id)); },
        |edges| edges.iter().cloned().collect();
    index_map: indexmap::IndexMap<String, Gc<Node>>,
        |edges, to| { edges.insert(to.id.to_string(), to); },
        |edges| edges.values().cloned().collect();
    index_keys: indexmap::IndexMap<Identity<Node>, Box<Identity<Node>>>,
        |edges, to| { edges.insert(Identity(to.clone()), Box::new(Identity(to))); },
        |edges| edges.iter().map(|(key, value)| { assert!(*key == **value); key.0.clone() }).collect();
    index_set: indexmap::IndexSet<Identity<Node>>,
        |edges, to| { edges.insert(Identity(to)); },
        |edges| edges.iter().map(|key| key.0.clone()).collect();
    graph: petgraph::graph::Graph<Gc<Node>, Gc<Node>>,
        |edges, to| {
            let end = edges.add_node(to.clone());
            edges.add_edge(end, end, to);
        },
        |edges| {
            assert!(edges.node_weights().zip(edges.edge_weights()).all(|(node, edge)| Gc::ptr_eq(node, edge)));
            edges.node_weights().cloned().collect()
        };
    // With holes: every second node is removed again, and its edge with it.
    stable_graph: petgraph::stable_graph::StableUnGraph<Gc<Node>, Gc<Node>, u8>,
        |edges, to| {
            let hole = edges.add_node(to.clone());
            let end = edges.add_node(to.clone());
            edges.add_edge(hole, end, to.clone());
            edges.add_edge(end, end, to);
            edges.remove_node(hole);
        },
        |edges| {
            assert!(edges.node_weights().zip(edges.edge_weights()).all(|(node, edge)| Gc::ptr_eq(node, edge)));
            edges.node_weights().cloned().collect()
        };
}

type Inner = hashbrown::HashMap<u8, either::Either<u8, String>>;

/// Types without handles, in derived types and in std's cells, with nothing said about them.
#[derive(Trace)]
struct Record {
    text: bytes::Bytes,
    buffer: std::sync::Mutex<bytes::BytesMut>,
    key: uuid::Uuid,
    other_key: Option<uuid::NonNilUuid>,
    short: arrayvec::ArrayString<8>,
    at: chrono::DateTime<chrono::Utc>,
    day: std::cell::Cell<chrono::NaiveDate>,
    took: chrono::TimeDelta,
    numbers: std::cell::RefCell<smallvec::SmallVec<[u32; 2]>>,
    names: std::cell::RefCell<indexmap::IndexMap<String, Inner>>,
    graph: std::cell::RefCell<petgraph::Graph<String, f64>>,
    this: GcRefCell<Option<Gc<Record>>>,
}

#[test]
fn leaves_of_other_crates_are_dropped_once() {
    struct Owner(Leaf, Vec<u8>);
    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            self.0.check();
            &self.1
        }
    }

    let _alone = alone();
    let id = new_id();
    let record = Gc::new(Record {
        text: bytes::Bytes::from_owner(Owner(Leaf::new(id), b"abcd".to_vec())),
        buffer: std::sync::Mutex::new(bytes::BytesMut::from(&b"xyz"[..])),
        key: uuid::Uuid::from_u128(7),
        other_key: uuid::NonNilUuid::new(uuid::Uuid::max()),
        short: "short".parse().unwrap(),
        at: chrono::DateTime::from_timestamp(1_000_000_000, 0).unwrap(),
        day: chrono::NaiveDate::MAX.into(),
        took: chrono::TimeDelta::seconds(3),
        numbers: std::cell::RefCell::default(),
        names: std::cell::RefCell::default(),
        graph: std::cell::RefCell::default(),
        this: None.into(),
    });
    *record.this.borrow_mut() = Some(record.clone());
    record.numbers.borrow_mut().extend(0..9);
    let inner = [(1, either::Right("one".to_string()))].into_iter().collect();
    record.names.borrow_mut().insert("outer".into(), inner);
    let part = record.text.slice(1..3);
    settle();
    assert_eq!((&*record.text, record.key.as_u128(), &*record.short), (&b"abcd"[..], 7, "short"));
    assert_eq!((record.at.timestamp(), record.took.num_seconds()), (1_000_000_000, 3));
    assert_eq!((record.day.get(), record.other_key.is_some()), (chrono::NaiveDate::MAX, true));
    assert_eq!(record.names.borrow()["outer"][&1], either::Right("one".into()));
    assert_eq!((record.buffer.lock().unwrap().len(), record.graph.borrow().node_count()), (3, 0));
    drop(record);
    settle();
    assert_eq!((drops_of(id), &*part), (0, &b"bc"[..]), "its bytes are in use");
    drop(part);
    assert_eq!((drops_of(id), corrupt_drops()), (1, 0));
}
