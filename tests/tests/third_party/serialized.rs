//! Handles and cells through serde: as their content, into new objects; graphs with cycles as lists of records.

use graphgc::{Gc, GcCell, GcMutex, GcOnceCell, GcRefCell, GcRwLock, GcVec, Outcome, ThinGc, Trace, Weak, collect};
use graphgc_tests::{
    heap::{alone, settle},
    payload::{Leaf, drops_of, new_id},
    random::Random,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// A field of every kind.
#[derive(Trace, Serialize, Deserialize)]
struct All {
    shared: Gc<u32>,
    slice: Gc<[u8]>,
    text: Gc<str>,
    thin: GcCell<Option<ThinGc<str>>>,
    thin_slice: ThinGc<[Gc<u8>]>,
    edge: GcCell<Gc<String>>,
    none: GcCell<Option<Gc<String>>>,
    ref_cell: GcRefCell<Vec<Gc<All>>>,
    mutex: GcMutex<HashMap<String, Gc<u32>>>,
    lock: GcRwLock<Option<Box<All>>>,
    once: GcOnceCell<Gc<u32>>,
    unset: GcOnceCell<Gc<u32>>,
    vector: GcVec<Gc<u32>>,
    #[serde(skip)]
    weak: Weak<All>,
}

fn all(inner: Option<All>) -> All {
    let shared = Gc::new(7);
    let slice = Gc::<[Gc<u8>]>::from(vec![Gc::new(1), Gc::new(2)]);
    All {
        slice: b"ab"[..].into(),
        text: "text".into(),
        thin: GcCell::new(Some(Gc::<str>::from("thin").thin())),
        thin_slice: slice.thin(),
        edge: GcCell::new(Gc::new("edge".into())),
        none: GcCell::new(None),
        ref_cell: GcRefCell::default(),
        mutex: GcMutex::new([("seven".into(), shared.clone())].into()),
        lock: GcRwLock::new(inner.map(Box::new)),
        once: shared.clone().into(),
        unset: GcOnceCell::new(),
        vector: [shared.clone(), shared.clone()].into_iter().collect(),
        weak: Weak::new(),
        shared,
    }
}

const INNER: &str = r#"(shared:7,slice:[97,98],text:"text",thin:Some("thin"),thin_slice:[1,2],edge:"edge",none:None,ref_cell:[],mutex:{"seven":7},lock:None,once:Some(7),unset:None,vector:[7,7])"#;

#[test]
fn as_the_content_and_into_new_objects() {
    assert_eq!(ron::to_string(&all(None)).unwrap(), INNER);
    let outer = Gc::new(all(Some(all(None))));
    outer.ref_cell.borrow_mut().push(Gc::new(all(None)));
    let text = ron::to_string(&outer).unwrap();
    let expected = INNER.replace("lock:None", &format!("lock:Some({INNER})")).replacen(
        "ref_cell:[]",
        &format!("ref_cell:[{INNER}]"),
        1,
    );
    assert_eq!(text, expected);
    collect();
    let copy: Gc<All> = ron::from_str(&text).unwrap();
    collect();
    assert_eq!(ron::to_string(&copy).unwrap(), text);
    assert!(!Gc::ptr_eq(&copy, &outer) && !Gc::ptr_eq(&copy.vector.get(0).unwrap(), &copy.vector.get(1).unwrap()));
    assert!(copy.weak.upgrade().is_none());
}

#[test]
fn errors_leave_nothing_behind() {
    let _alone = alone();
    let cell = GcRefCell::new(Gc::new(1));
    let borrowed = cell.borrow_mut();
    let error = ron::to_string(&cell).unwrap_err();
    assert!(error.to_string().contains("already borrowed for writing"), "{error}");
    drop(borrowed);
    assert_eq!(ron::to_string(&cell).unwrap(), "1");
    settle();
    let live = graphgc::stats().live_objects;
    for wrong in ["[1,2,x", "[1,\"text\"]", "7"] {
        assert!(ron::from_str::<Gc<[Gc<u8>]>>(wrong).is_err());
        assert!(ron::from_str::<GcVec<Gc<u8>>>(wrong).is_err());
    }
    assert_eq!(collect().outcome, Outcome::Settled);
    assert_eq!(graphgc::stats().live_objects, live);
}

#[derive(Trace)]
struct Node {
    leaf: Leaf,
    number: u32,
    next: GcCell<Option<Gc<Node>>>,
    edges: GcRefCell<Vec<Gc<Node>>>,
}

impl Node {
    fn new(number: u32) -> Gc<Self> {
        Gc::new(Node { leaf: Leaf::new(new_id()), number, next: None.into(), edges: GcRefCell::default() })
    }
}

/// A node with numbers in the place of handles.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Record {
    number: u32,
    next: Option<usize>,
    edges: Vec<usize>,
}

fn to_records(first: &Gc<Node>) -> Vec<Record> {
    let mut found = vec![first.clone()];
    let mut numbers = HashMap::from([(Gc::as_ptr(first), 0)]);
    let mut records = Vec::new();
    while let Some(node) = found.get(records.len()).cloned() {
        let mut number_of = |to: &Gc<Node>| {
            *numbers.entry(Gc::as_ptr(to)).or_insert_with(|| {
                found.push(to.clone());
                found.len() - 1
            })
        };
        let next = node.next.get().as_ref().map(&mut number_of);
        let edges = node.edges.borrow().iter().map(&mut number_of).collect();
        records.push(Record { number: node.number, next, edges });
    }
    records
}

fn from_records(records: &[Record]) -> Option<Vec<Gc<Node>>> {
    let nodes: Vec<_> = records.iter().map(|record| Node::new(record.number)).collect();
    for (node, record) in nodes.iter().zip(records) {
        let at = |number: &usize| nodes.get(*number).cloned();
        node.next.set(match &record.next {
            Some(number) => Some(at(number)?),
            None => None,
        });
        *node.edges.borrow_mut() = record.edges.iter().map(at).collect::<Option<_>>()?;
    }
    Some(nodes)
}

/// Random graphs with many cycles, and one that is deeper than any stack: out and in again while the collector works.
#[test]
fn cyclic_graphs_by_numbers() {
    let _alone = alone();
    let first = new_id();
    let mut random = Random::new(3);
    for size in [1, 2, 10, 1_000, 50_000] {
        let nodes: Vec<_> = (0..size).map(Node::new).collect();
        for (n, node) in nodes.iter().enumerate() {
            // A ring, so that all are reachable from each.
            node.next.set(Some(nodes[(n + 1) % nodes.len()].clone()));
            let edges = random.below(4);
            node.edges.borrow_mut().extend((0..edges).map(|_| nodes[random.below(nodes.len())].clone()));
        }
        let records = to_records(&nodes[0]);
        assert_eq!(records.len(), nodes.len());
        let text = ron::to_string(&records).unwrap();
        drop(nodes);
        collect();
        let read: Vec<Record> = ron::from_str(&text).unwrap();
        assert_eq!(read, records);
        let nodes = from_records(&read).expect("all numbers are there");
        collect();
        assert_eq!(to_records(&nodes[0]), records, "the same graph");
        assert!(nodes.iter().all(|node| drops_of(node.leaf.check()) == 0));
    }
    assert!(from_records(&[Record { number: 0, next: Some(1), edges: vec![] }]).is_none());
    settle();
    (first + 1..new_id()).for_each(|id| assert_eq!(drops_of(id), 1));
}
