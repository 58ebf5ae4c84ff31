//! As for std's containers: what each type's facts are, that every part is visited once, that a dead one drops each leaf once and no
//! claimed handle at all.

#![allow(dead_code, unused_imports, unused_macros, reason = "each feature needs a part of it")]

use crate::{
    Gc, Trace,
    heap::header::Object,
    trace::{
        DropKind, Facts, Tracer,
        impls::tests::{Claimed, Noisy, facts, pairs, sweep},
        tracer::{Pass, Visitor},
    },
};
use std::sync::Arc;

const OWNED: Facts = Facts::owned_memory();
const OF_HANDLES: Facts = Facts { scan: true, cells: false, drop: DropKind::Frees, steps: usize::MAX };

/// Collects the handles that a walk visits.
#[derive(Default)]
struct Visited(Vec<Object>);

impl Visitor for Visited {
    fn handle(&mut self, object: Object) {
        self.0.push(object);
    }

    fn edge_cell(&mut self, _: &crate::cell::edge_word::EdgeWord) {}

    fn lock_cell(&mut self, _: &crate::cell::lock::CellLock, _: &dyn crate::trace::tracer::Content) {}

    fn next_element(&mut self) -> bool {
        false
    }
}

/// Checks that two walks over the value visit these objects, each once, in the same order.
#[track_caller]
fn visits<T: Trace>(value: &T, expected: &[Gc<u8>]) {
    let walk = || {
        let mut visited = Visited::default();
        value.trace(&mut Tracer::new(Pass::Visit(&mut visited)));
        visited.0
    };
    let mut first = walk();
    assert!(first == walk(), "the order changed");
    let mut expected: Vec<_> = expected.iter().map(Gc::as_object).collect();
    first.sort();
    expected.sort();
    assert!(first == expected, "{} of {} handles were visited", first.len(), expected.len());
}

/// Checks what becomes of a dead container of three pairs of a handle and a leaf, whether a drop panics or not.
#[track_caller]
fn spares_handles<T: Trace>(of_pairs: impl Fn([(Claimed, Noisy); 3]) -> T) {
    let witness = Arc::new(0);
    assert!(!sweep(of_pairs(pairs(&witness, false))));
    assert_eq!(Arc::strong_count(&witness), 1, "each leaf is dropped once");
    assert!(sweep(of_pairs(pairs(&witness, true))));
}

fn handles<const N: usize>() -> [Gc<u8>; N] {
    std::array::from_fn(|n| Gc::new(n as u8))
}

#[cfg(feature = "arrayvec")]
#[test]
fn array_vectors() {
    use arrayvec::{ArrayString, ArrayVec};
    assert_eq!(facts::<ArrayVec<Claimed, 3>>(), facts::<[Claimed; 3]>());
    assert_eq!(facts::<(ArrayVec<u8, 3>, ArrayVec<Claimed, 0>, ArrayString<8>)>(), Facts::PLAIN);
    assert_eq!(facts::<ArrayVec<String, 3>>(), OWNED);
    let all = handles::<3>();
    visits(&ArrayVec::<_, 5>::from_iter(all.clone()), &all);
    visits(&ArrayVec::<Gc<u8>, 5>::new(), &[]);
    spares_handles(ArrayVec::from);
    spares_handles(ArrayVec::<_, 9>::from_iter);
}

#[cfg(feature = "smallvec")]
#[test]
fn small_vectors() {
    use smallvec::SmallVec;
    assert_eq!(facts::<SmallVec<[Claimed; 3]>>(), OF_HANDLES);
    assert_eq!(facts::<SmallVec<[String; 3]>>(), OWNED);
    assert_eq!(facts::<SmallVec<[u8; 3]>>(), OWNED);
    let all = handles::<3>();
    visits(&SmallVec::<[Gc<u8>; 4]>::from_iter(all.clone()), &all);
    visits(&SmallVec::<[Gc<u8>; 1]>::from_iter(all.clone()), &all);
    visits(&SmallVec::<[Gc<u8>; 1]>::new(), &[]);
    spares_handles(SmallVec::<[_; 4]>::from_iter);
    spares_handles(SmallVec::<[_; 1]>::from_iter);
    spares_handles(SmallVec::<[_; 0]>::from_iter);
}

#[cfg(feature = "either")]
#[test]
fn one_or_the_other() {
    use either::Either;
    type Of<T> = Either<T, (T, T)>;
    assert_eq!(facts::<Of<Claimed>>().steps, 2);
    assert_eq!(facts::<Either<u8, char>>(), Facts::PLAIN);
    let [a, b] = handles();
    visits(&Of::Left(a.clone()), std::slice::from_ref(&a));
    visits(&Of::Right((a.clone(), b.clone())), &[a, b]);
    let witness = Arc::new(0);
    let [one, two, three] = pairs(&witness, false);
    assert!(!sweep(Of::Right((one, two))));
    assert!(!sweep(Of::Left(three)));
    assert_eq!(Arc::strong_count(&witness), 1);
}

/// Maps and sets in the manner of std's: `$map` and `$set` are made of arrays by `FromIterator`.
macro_rules! hashed {
    ($map:ident, $set:ident) => {{
        use std::hash::RandomState;
        assert_eq!(facts::<$map<Claimed, u8, RandomState>>(), OF_HANDLES);
        assert_eq!(facts::<$map<u8, Claimed, RandomState>>(), OF_HANDLES);
        assert_eq!(facts::<$set<Claimed, RandomState>>(), OF_HANDLES);
        assert_eq!(facts::<$map<u8, String, RandomState>>(), OWNED);
        assert_eq!(facts::<$map<u8, u8, String>>().drop, DropKind::User, "the hasher");
        assert_eq!(facts::<$set<u8, String>>().drop, DropKind::User, "the hasher");
        let all = handles::<6>();
        let [a, b, c, d, e, f] = all.clone();
        visits(&$map::<_, _, RandomState>::from_iter([(a, b), (c, d), (e, f)]), &all);
        visits(&$set::<_, RandomState>::from_iter(all.clone()), &all);
        visits(&$set::<Gc<u8>, RandomState>::default(), &[]);
        spares_handles($map::<_, _, RandomState>::from_iter);
        spares_handles($set::<_, RandomState>::from_iter);
    }};
}

#[cfg(feature = "hashbrown")]
#[test]
fn tables() {
    use hashbrown::{HashMap, HashSet, HashTable};
    hashed!(HashMap, HashSet);

    assert_eq!(facts::<HashTable<Claimed>>(), OF_HANDLES);
    assert_eq!(facts::<HashTable<u8>>(), OWNED);
    fn table<T>(of: impl IntoIterator<Item = T>) -> HashTable<T> {
        let mut table = HashTable::new();
        for element in of {
            table.insert_unique(0, element, |_| 0);
        }
        table
    }
    let all = handles::<3>();
    visits(&table(all.clone()), &all);
    spares_handles(table);
}

#[cfg(feature = "indexmap")]
#[test]
fn maps_in_order() {
    use indexmap::{IndexMap, IndexSet};
    hashed!(IndexMap, IndexSet);
}

#[cfg(feature = "petgraph")]
#[test]
fn graphs() {
    use petgraph::{
        Directed, Undirected,
        graph::{Graph, UnGraph},
        stable_graph::StableGraph,
    };
    assert_eq!(facts::<Graph<Claimed, u8>>(), OF_HANDLES);
    assert_eq!(facts::<StableGraph<u8, Claimed>>(), OF_HANDLES);
    assert_eq!(facts::<UnGraph<u8, String>>(), OWNED);

    /// Three nodes and three edges with weights from `weights`.
    macro_rules! triangle {
        ($graph:ty, $weights:expr) => {{
            let mut weights = $weights.into_iter();
            let mut next = || weights.next().expect("six weights");
            let mut graph = <$graph>::default();
            let [a, b, c] = [graph.add_node(next()), graph.add_node(next()), graph.add_node(next())];
            for (from, to) in [(a, b), (b, c), (c, a)] {
                graph.add_edge(from, to, next());
            }
            graph
        }};
    }
    let all = handles::<6>();
    visits(&triangle!(Graph<_, _>, all.clone()), &all);
    visits(&triangle!(Graph<_, _, Undirected, u8>, all.clone()), &all);
    let mut stable = triangle!(StableGraph<_, _, Directed, u16>, all.clone());
    visits(&stable, &all);
    // With it go the edges from and to it.
    stable.remove_node(1.into());
    visits(&stable, &[0, 2, 5].map(|left| all[left].clone()));
    visits(&Graph::<Gc<u8>, Gc<u8>>::new(), &[]);

    fn weights([a, b, c]: [(Claimed, Noisy); 3]) -> [(Claimed, Option<Noisy>); 6] {
        let bare = || (Claimed(0), None);
        [a, b]
            .into_iter()
            .map(|(handle, leaf)| (handle, Some(leaf)))
            .chain([bare(), bare(), bare(), (c.0, Some(c.1))])
            .collect::<Vec<_>>()
            .try_into()
            .ok()
            .expect("six of them")
    }
    spares_handles(|pairs| triangle!(Graph<_, _>, weights(pairs)));
    spares_handles(|pairs| triangle!(StableGraph<_, _>, weights(pairs)));
    let witness = Arc::new(0);
    let mut holes = triangle!(StableGraph<_, _>, weights(pairs(&witness, false)));
    // Ordinary drops of what is removed are right here: it never was an object's.
    std::mem::forget(holes.remove_edge(1.into()));
    assert!(!sweep(holes));
    assert_eq!(Arc::strong_count(&witness), 1);
}

/// Edges go too when a node's drop panics: nothing is dropped the ordinary way.
#[cfg(feature = "petgraph")]
#[test]
fn edges_of_a_graph_with_a_node_that_panics() {
    use petgraph::graph::Graph;
    let mut graph = Graph::<(Claimed, Noisy), Claimed>::new();
    let nodes = pairs(&Arc::new(0), true).map(|pair| graph.add_node(pair));
    graph.add_edge(nodes[0], nodes[1], Claimed(1));
    assert!(sweep(graph));
}

#[cfg(all(feature = "bytes", feature = "chrono", feature = "uuid"))]
#[test]
fn leaves() {
    use chrono::{DateTime, NaiveDate, Utc};
    assert_eq!(facts::<(DateTime<Utc>, NaiveDate, uuid::Uuid, uuid::NonNilUuid)>(), Facts::PLAIN);
    assert_eq!(facts::<bytes::Bytes>(), Facts { drop: DropKind::User, ..Facts::PLAIN }, "whose owner may be anything");
    assert_eq!(facts::<bytes::BytesMut>().drop, DropKind::User);
    assert!(!sweep(bytes::Bytes::from_static(b"static")));
}

/// The collections of edges, with an order and with duplicates in what is read.
#[cfg(feature = "serde")]
#[test]
fn collections_through_serde() {
    use crate::{GcMap, GcSet, GcVec};
    let map: GcMap<String, Gc<u8>> = serde_json::from_str(r#"{"a":1,"b":2,"a":3}"#).expect("a map");
    let read: std::collections::BTreeMap<String, u8> =
        serde_json::from_str(&serde_json::to_string(&map).expect("keys are strings")).expect("written as a map");
    assert_eq!(read, [("a".to_string(), 3), ("b".to_string(), 2)].into());
    let set: GcSet<Gc<u8>> = serde_json::from_str("[7,7]").expect("a sequence");
    assert_eq!(serde_json::to_string(&set).expect("a set"), "[7]");
    let vec: GcVec<Option<Gc<u8>>> = serde_json::from_str("[1,null]").expect("a sequence");
    assert_eq!(serde_json::to_string(&vec).expect("a vector"), "[1,null]");
    assert!(serde_json::from_str::<GcMap<u8, Gc<u8>>>("[1]").is_err_and(|error| error.to_string().contains("a map")));
}
