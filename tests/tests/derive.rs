//! What `#[derive(Trace)]` accepts, what it finds out about types, and how it drops dead values.

// The derive must work where users forbid unsafe code; only the last module calls the collector's functions itself.
mod accepted {
    #![forbid(unsafe_code)]
    #![allow(dead_code, unreachable_pub)]

    use graphgc::{Gc, GcCell, GcRefCell, Trace};
    use std::{
        cell::RefCell,
        collections::{BTreeMap, HashMap},
        marker::PhantomData,
        rc::Rc,
        sync::{Arc, Mutex},
    };

    #[derive(Trace)]
    pub struct Unit;

    #[derive(Trace)]
    pub enum Never {}

    #[derive(Trace)]
    pub struct Point {
        pub x: f64,
        pub y: f64,
    }

    #[derive(Trace)]
    pub struct Named(pub String, pub Point);

    #[derive(Trace)]
    pub struct Edge {
        pub to: Gc<Edge>,
        pub weight: u32,
        pub r#type: Option<Gc<Point>>,
    }

    #[derive(Trace)]
    pub enum Expression {
        Number(f64),
        Negate(Gc<Self>),
        Add { left: Gc<Self>, right: Gc<Self> },
        r#Nothing,
    }

    #[derive(Trace)]
    pub struct Tree(pub Vec<Tree>);

    #[derive(Trace)]
    pub struct A(pub Option<Box<B>>);

    #[derive(Trace)]
    pub struct B(pub Vec<A>, pub GcRefCell<Vec<Gc<A>>>);

    #[derive(Trace)]
    pub enum List<T> {
        Nil,
        Cons(T, Box<List<T>>),
    }

    #[derive(Trace)]
    pub struct Person {
        pub name: String,
        pub friends: GcRefCell<Vec<Gc<Person>>>,
        pub best: GcCell<Option<Gc<Person>>>,
    }

    #[derive(Trace)]
    pub struct Grid<T, const W: usize = 2, const H: usize = 2>
    where
        T: Copy,
    {
        pub cells: [[T; W]; H],
    }

    #[derive(Trace)]
    #[trace(bound = "T: 'static")]
    pub struct Id<T: ?Sized> {
        pub index: u32,
        pub of: PhantomData<T>,
    }

    #[derive(Trace)]
    #[trace(bound = "K: Trace, V: Send + 'static")]
    pub struct Entry<K, V> {
        pub key: K,
        #[trace(leaf)]
        pub value: V,
    }

    #[derive(Trace)]
    pub struct Wide<T: ?Sized> {
        pub target: Gc<T>,
        pub owned: Box<T>,
    }

    pub trait Shape: Trace {}

    #[derive(Trace)]
    pub struct Scene {
        pub shapes: Vec<Box<dyn Shape>>,
        pub by_name: HashMap<String, Gc<Person>>,
        pub table: BTreeMap<u32, (Gc<Point>, Arc<str>)>,
    }

    /// A type of which the collector knows nothing.
    pub struct Foreign(pub Arc<()>);

    #[derive(Trace)]
    pub struct Leaves {
        #[trace(leaf)]
        pub foreign: Foreign,
        #[trace(leaf)]
        pub callback: Box<dyn Fn() + Send>,
        pub cell: RefCell<Vec<String>>,
        pub mutex: Mutex<Option<u8>>,
        #[trace(leaf)]
        pub cell_of_foreign: RefCell<Option<Foreign>>,
    }

    /// Skipped because it is `Send`, or `Trace`, or both, or proven so by a bound.
    #[derive(Trace)]
    pub struct Skips<T, U: Send> {
        #[trace(skip)]
        pub send: Foreign,
        #[trace(skip)]
        pub trace: GcRefCell<Option<Gc<Person>>>,
        #[trace(skip)]
        pub not_send: PhantomData<Rc<u8>>,
        #[trace(skip)]
        pub both: u32,
        #[trace(skip)]
        pub parameter: T,
        #[trace(skip)]
        pub sent: U,
    }

    /// A leaf may have a drop, fields that are not traced, and a place in a cell of std.
    #[derive(Trace)]
    #[trace(leaf)]
    pub struct Noisy(pub Foreign);

    impl Drop for Noisy {
        fn drop(&mut self) {}
    }

    #[derive(Trace)]
    #[trace(leaf)]
    pub struct LeafOf<T>(pub T);

    #[derive(Trace)]
    pub struct Holder(pub RefCell<Noisy>, pub Mutex<LeafOf<u8>>, pub LeafOf<u8>);

    #[derive(Trace)]
    #[trace(leaf)]
    #[repr(C, packed)]
    pub struct Packed(pub u8, pub u32);

    #[derive(Trace)]
    #[trace(leaf)]
    pub union Bits {
        pub float: f32,
        pub bits: u32,
    }

    mod renamed {
        pub(super) use graphgc as garbage;
    }

    #[derive(Trace)]
    #[trace(crate = "renamed::garbage")]
    pub struct ByString(pub Gc<u8>);

    #[derive(Trace)]
    #[trace(crate = renamed::garbage)]
    pub struct ByPath(pub Gc<u8>);

    macro_rules! declare {
        ($name:ident { $($field:ident: $ty:ty),* }) => {
            #[derive(Trace)]
            pub struct $name { $(pub $field: $ty),* }
        };
    }
    declare!(Declared { __tracer: Gc<u8>, field_0: Option<Gc<u8>>, tracer: u8 });

    /// Users may still take a value apart.
    pub fn destructure(edge: Edge) -> (Gc<Edge>, u32) {
        let Edge { to, weight, .. } = edge;
        (to, weight)
    }

    #[test]
    fn types_declared_in_functions() {
        #[derive(Trace)]
        struct Local<T>(T, #[cfg(any())] NoSuchType);
        let _ = Local(1);
    }
}

mod facts {
    use super::accepted::*;
    use graphgc::{
        __private::{DropKind, Facts, Info},
        Gc, Trace,
    };

    const fn facts<T: Trace>() -> Facts {
        <T::Info as Info>::FACTS
    }

    const OWNED: Facts = Facts { drop: DropKind::Frees, ..Facts::PLAIN };
    const USER: Facts = Facts { drop: DropKind::User, ..Facts::PLAIN };

    #[test]
    fn of_plain_data() {
        assert_eq!(facts::<Unit>(), Facts::PLAIN);
        assert_eq!(facts::<Never>(), Facts::PLAIN);
        assert_eq!(facts::<Point>(), Facts::PLAIN);
        assert_eq!(facts::<Named>(), OWNED);
        assert_eq!(facts::<Id<std::rc::Rc<u8>>>(), Facts::PLAIN);
        assert_eq!(facts::<Grid<u8>>(), Facts::PLAIN);
        assert_eq!(facts::<Packed>(), Facts::PLAIN);
        assert_eq!(facts::<Bits>(), Facts::PLAIN);
    }

    /// Behind an indirection a derived type is known to be free of handles if it needs no drop.
    #[test]
    fn of_indirections_to_plain_data() {
        assert_eq!(facts::<Vec<Point>>(), OWNED);
        assert_eq!(facts::<Box<Point>>(), OWNED);
        assert_eq!(facts::<Option<Vec<[Point; 2]>>>(), OWNED);
        assert_eq!(facts::<Vec<Named>>(), Facts::UNKNOWN);
    }

    #[test]
    fn of_nodes() {
        assert_eq!(facts::<Edge>(), Facts { steps: 2, ..Facts::HANDLE });
        assert_eq!(facts::<Expression>(), Facts { steps: 2, ..Facts::HANDLE });
        assert_eq!(facts::<Grid<Option<()>, 3, 4>>(), Facts::PLAIN);
        assert_eq!(facts::<[Edge; 3]>().steps, 9);
        assert!(facts::<Person>().cells);
        assert_eq!(facts::<Person>().drop, DropKind::Frees);
        assert_eq!(facts::<Wide<str>>(), Facts { drop: DropKind::Frees, ..Facts::HANDLE });
        assert_eq!(facts::<ByString>(), Facts::HANDLE);
        assert_eq!(facts::<ByPath>(), Facts::HANDLE);
        assert_eq!(facts::<Declared>().steps, 2);
    }

    #[test]
    fn of_recursive_types() {
        assert_eq!(facts::<Tree>(), Facts::UNKNOWN);
        assert_eq!(facts::<A>(), Facts::UNKNOWN);
        assert_eq!(facts::<B>(), Facts::UNKNOWN);
        assert!(facts::<List<Gc<u8>>>().scan);
        assert!(facts::<Scene>().scan);
    }

    #[test]
    fn of_untraced_fields() {
        assert_eq!(facts::<Leaves>(), USER);
        assert_eq!(facts::<Skips<Gc<u8>, u8>>(), USER);
        assert_eq!(facts::<Entry<u8, Gc<u8>>>(), USER);
        assert_eq!(facts::<Entry<Gc<u8>, u8>>(), Facts::HANDLE);
        assert_eq!(facts::<Noisy>(), USER);
        assert_eq!(facts::<Holder>(), USER);
    }
}

mod dropping {
    use super::accepted::*;
    use graphgc::Trace;
    use std::{mem::ManuallyDrop, panic, sync::Arc};

    /// Drops the value as the collector does.
    fn sweep<T: Trace>(value: T) {
        // SAFETY: nobody uses the value again.
        unsafe { ManuallyDrop::new(value).drop_swept() };
    }

    #[test]
    fn every_field_goes_once() {
        let witness = Arc::new(());
        let foreign = || Foreign(witness.clone());
        let shared = witness.clone();
        sweep(Leaves {
            foreign: foreign(),
            callback: Box::new(move || drop(shared.clone())),
            cell: Vec::new().into(),
            mutex: None.into(),
            cell_of_foreign: Some(foreign()).into(),
        });
        sweep(Holder(Noisy(foreign()).into(), LeafOf(1).into(), LeafOf(1)));
        sweep(Entry { key: (1, witness.clone()), value: foreign() });
        sweep(List::Cons(witness.clone(), Box::new(List::Cons(witness.clone(), Box::new(List::Nil)))));
        assert_eq!(Arc::strong_count(&witness), 1);
    }

    /// What comes after a field whose drop panics leaks; nothing is dropped twice.
    #[test]
    fn a_panic_leaks_the_rest() {
        struct Panics;
        impl Drop for Panics {
            fn drop(&mut self) {
                panic!("a drop that panics");
            }
        }
        #[derive(Trace)]
        struct Three(Arc<()>, #[trace(leaf)] Panics, Arc<()>);

        let witness = Arc::new(());
        let three = Three(witness.clone(), Panics, witness.clone());
        assert!(panic::catch_unwind(move || sweep(three)).is_err());
        assert_eq!(Arc::strong_count(&witness), 2);
    }

    #[test]
    fn deep_trees_go_whole() {
        let tree = |depth| (0..depth).fold(Tree(Vec::new()), |tree, _| Tree(vec![tree, Tree(Vec::new())]));
        sweep(tree(100));
        sweep(A(Some(Box::new(B(vec![A(None)], graphgc::GcRefCell::new(Vec::new()))))));
    }
}

mod collecting {
    use graphgc::{Gc, GcCell, GcRefCell, Trace, collect};
    use std::{
        collections::{BTreeMap, HashMap, VecDeque},
        sync::Arc,
    };

    trait Part: Trace {}

    #[derive(Trace)]
    enum Kind {
        Pair(Gc<Node>, Gc<Node>),
        Named { one: Gc<Node> },
        None,
    }

    /// A node with an edge in every sort of place that the derive or an implementation for std has to find.
    #[derive(Trace)]
    struct Node {
        witness: Arc<()>,
        kind: Kind,
        array: [Option<Gc<Node>>; 2],
        list: Vec<(u8, Gc<Node>)>,
        queue: VecDeque<Gc<Node>>,
        map: HashMap<String, Gc<Node>>,
        tree: BTreeMap<u8, Vec<Gc<Node>>>,
        boxed: Option<Box<dyn Part>>,
        slice: Box<[Gc<Node>]>,
        cell: GcRefCell<Vec<Gc<Node>>>,
        root: GcCell<Option<Gc<Node>>>,
        #[trace(skip)]
        skipped: Option<Gc<Node>>,
    }

    impl Part for Gc<Node> {}

    fn leaf(witness: &Arc<()>) -> Node {
        Node {
            witness: witness.clone(),
            kind: Kind::None,
            array: [None, None],
            list: Vec::new(),
            queue: VecDeque::new(),
            map: HashMap::new(),
            tree: BTreeMap::new(),
            boxed: None,
            slice: Box::new([]),
            cell: GcRefCell::new(Vec::new()),
            root: GcCell::new(None),
            skipped: None,
        }
    }

    /// The number of nodes below what this makes.
    const CHILDREN: usize = 11;

    fn with_children(witness: &Arc<()>) -> Gc<Node> {
        let child = || Gc::new(leaf(witness));
        Gc::new(Node {
            kind: Kind::Pair(child(), Gc::new(Node { kind: Kind::Named { one: child() }, ..leaf(witness) })),
            array: [None, Some(child())],
            list: vec![(1, child())],
            queue: VecDeque::from([child()]),
            map: HashMap::from([("a".into(), child())]),
            tree: BTreeMap::from([(1, vec![child()])]),
            boxed: Some(Box::new(child())),
            slice: Box::new([child()]),
            cell: GcRefCell::new(vec![child()]),
            ..leaf(witness)
        })
    }

    /// The nodes that have not been dropped, after the collector has had its say.
    fn alive(witness: &Arc<()>) -> usize {
        collect();
        Arc::strong_count(witness) - 1
    }

    #[test]
    fn every_edge_is_found() {
        let witness = Arc::new(());
        let root = with_children(&witness);
        assert_eq!(alive(&witness), 1 + CHILDREN);
        assert_eq!(alive(&witness), 1 + CHILDREN);
        drop(root);
        assert_eq!(alive(&witness), 0);
    }

    #[test]
    fn cycles_through_every_edge_go() {
        let witness = Arc::new(());
        let root = with_children(&witness);
        let Kind::Pair(first, second) = &root.kind else { unreachable!() };
        let Kind::Named { one } = &second.kind else { unreachable!() };
        let inner = root.cell.borrow()[0].clone();
        for child in [first, second, one, &root.list[0].1, &root.queue[0], &root.map["a"], &root.slice[0], &inner] {
            child.root.set(Some(root.clone()));
        }
        drop((root, inner));
        assert_eq!(alive(&witness), 0);
    }

    /// As with skipped fields: an `Arc` may be shared with who knows whom.
    #[test]
    fn handles_in_arcs_are_roots() {
        #[derive(Trace)]
        struct Owner(Arc<Gc<Arc<()>>>);

        let witness = Arc::new(());
        let owner = Gc::new(Owner(Arc::new(Gc::new(witness.clone()))));
        let shared = owner.0.clone();
        assert_eq!(alive(&witness), 1);
        drop(owner);
        assert_eq!(alive(&witness), 1);
        drop(Gc::new(Owner(shared)));
        assert_eq!(alive(&witness), 0);
    }

    /// A skipped handle is a root: what it points at lives as long as its owner, and goes when the owner has gone.
    #[test]
    fn skipped_handles_are_roots() {
        let witness = Arc::new(());
        let target = Gc::new(leaf(&witness));
        let owner = Gc::new(Node { skipped: Some(target), ..leaf(&witness) });
        assert_eq!(alive(&witness), 2);
        drop(owner);
        assert_eq!(alive(&witness), 0);
    }
}
