//! The programs for collectors whose handles are used like `Rc` and whose cells are used like `RefCell`: one macro, since only names differ.

/// Defines every program. `$gc` is the handle's type with `new`, `$cell` the cell's; `$derive` and what follows go onto each type.
macro_rules! programs {
    ($name:literal, $gc:ident, $cell:ident, [$($derive:ident),*], list: $list:literal) => {
        pub(in crate::contestants) const CONTESTANT: Contestant = Contestant {
            name: $name,
            versions: if $list {
                &[("binary_trees", binary_trees), ("parent_trees", parent_trees), ("gcbench", gcbench), ("graph", graph),
                    ("alloc", alloc), ("alloc_held", alloc), ("list", list)]
            } else {
                &[("binary_trees", binary_trees), ("parent_trees", parent_trees), ("gcbench", gcbench), ("graph", graph),
                    ("alloc", alloc), ("alloc_held", alloc)]
            },
            other_allocators: false,
        };

        use crate::{programs::{Seen, gcbench_trees, numbers, short_lived_trees}, random::Random, report::Report};

        #[derive($($derive),*)]
        struct Tree {
            left: Option<$gc<Tree>>,
            right: Option<$gc<Tree>>,
        }

        fn tree(depth: u64) -> $gc<Tree> {
            let child = || (depth > 0).then(|| tree(depth - 1));
            $gc::new(Tree { left: child(), right: child() })
        }

        fn count(tree: &Tree) -> u64 {
            1 + tree.left.as_ref().map_or(0, |it| count(it)) + tree.right.as_ref().map_or(0, |it| count(it))
        }

        fn binary_trees(sizes: &[u64], _: &mut Report) -> u64 {
            let depth = sizes[0];
            let stretch = count(&tree(depth + 1));
            let long_lived = tree(depth);
            stretch + short_lived_trees(depth, |depth| count(&tree(depth))) + count(&long_lived)
        }

        #[derive($($derive),*)]
        struct Family {
            parent: Option<$gc<Family>>,
            left: $cell<Option<$gc<Family>>>,
            right: $cell<Option<$gc<Family>>>,
        }

        fn family(depth: u64, parent: Option<&$gc<Family>>) -> $gc<Family> {
            let node = $gc::new(Family { parent: parent.cloned(), left: $cell::new(None), right: $cell::new(None) });
            if depth > 0 {
                *node.left.borrow_mut() = Some(family(depth - 1, Some(&node)));
                *node.right.borrow_mut() = Some(family(depth - 1, Some(&node)));
            }
            node
        }

        fn address<T>(value: &T) -> *const T {
            value
        }

        /// The nodes that know their parent.
        fn count_family(node: &Family, parent: Option<&Family>) -> u64 {
            let known = node.parent.as_ref().map(|it| address::<Family>(it)) == parent.map(address);
            let count = |child: &$cell<Option<$gc<Family>>>| child.borrow().as_ref().map_or(0, |it| count_family(it, Some(node)));
            u64::from(known) + count(&node.left) + count(&node.right)
        }

        fn parent_trees(sizes: &[u64], _: &mut Report) -> u64 {
            let depth = sizes[0];
            let once = |depth| count_family(&family(depth, None), None);
            let stretch = once(depth + 1);
            let long_lived = family(depth, None);
            stretch + short_lived_trees(depth, once) + count_family(&long_lived, None)
        }

        /// A node of `gcbench`, with two numbers that nobody reads.
        #[derive($($derive),*)]
        struct Node {
            left: $cell<Option<$gc<Node>>>,
            right: $cell<Option<$gc<Node>>>,
            _first: u32,
            _second: u32,
        }

        fn node(left: Option<$gc<Node>>, right: Option<$gc<Node>>) -> $gc<Node> {
            $gc::new(Node { left: $cell::new(left), right: $cell::new(right), _first: 0, _second: 0 })
        }

        fn populate(parent: &Node, depth: u64) {
            if depth > 0 {
                let (left, right) = (node(None, None), node(None, None));
                populate(&left, depth - 1);
                populate(&right, depth - 1);
                *parent.left.borrow_mut() = Some(left);
                *parent.right.borrow_mut() = Some(right);
            }
        }

        fn from_the_root(depth: u64) -> $gc<Node> {
            let root = node(None, None);
            populate(&root, depth);
            root
        }

        fn from_the_leaves(depth: u64) -> $gc<Node> {
            let child = || (depth > 0).then(|| from_the_leaves(depth - 1));
            node(child(), child())
        }

        fn leftmost_path(node: &Node) -> u64 {
            node.left.borrow().as_ref().map_or(0, |left| 1 + leftmost_path(left))
        }

        fn gcbench(sizes: &[u64], _: &mut Report) -> u64 {
            let [depth, length] = *sizes else { unreachable!() };
            let stretch = leftmost_path(&from_the_leaves(depth));
            let long_lived = from_the_root(depth - 2);
            let array = $gc::new(numbers(length).collect::<Vec<_>>());
            let trees = |depth| leftmost_path(&from_the_root(depth)) + leftmost_path(&from_the_leaves(depth));
            let paths = gcbench_trees(depth, trees);
            stretch + paths + leftmost_path(&long_lived) + (1.0 / array[array.len() / 2]) as u64
        }

        #[derive($($derive),*)]
        struct Item {
            value: u64,
            next: $cell<Option<$gc<Item>>>,
        }

        // Some drop lists by recursion, which overflows the stack; those do not run it.
        #[allow(dead_code)]
        fn list(sizes: &[u64], report: &mut Report) -> u64 {
            let [length, walks] = *sizes else { unreachable!() };
            let item = |value| $gc::new(Item { value, next: $cell::new(None) });
            let head = report.phase("build", || {
                let head = item(0);
                let mut tail = head.clone();
                for value in 1..length {
                    let next = item(value);
                    *tail.next.borrow_mut() = Some(next.clone());
                    tail = next;
                }
                head
            });
            let walk = || {
                let mut sum = 0;
                let mut item = Some(head.clone());
                while let Some(it) = item {
                    sum += it.value;
                    item = it.next.borrow().clone();
                }
                sum
            };
            report.phase("walk", || (0..walks).map(|_| walk()).sum())
        }

        #[derive($($derive),*)]
        struct Vertex {
            number: u32,
            edges: $cell<Vec<$gc<Vertex>>>,
        }

        fn search(start: &$gc<Vertex>, vertices: usize) -> u64 {
            let (mut sum, mut place) = (0u64, 0);
            let mut seen = Seen::new(vertices, start.number);
            let mut queue = std::collections::VecDeque::from([start.clone()]);
            while let Some(vertex) = queue.pop_front() {
                place += 1;
                sum = sum.wrapping_add(place * u64::from(vertex.number));
                for next in vertex.edges.borrow().iter() {
                    if seen.is_new(next.number) {
                        queue.push_back(next.clone());
                    }
                }
            }
            sum
        }

        fn rewire(graph: &[$gc<Vertex>], random: &mut Random, times: u64) {
            for _ in 0..times {
                let (from, to) = (random.below(graph.len() as u64), random.below(graph.len() as u64));
                let mut edges = graph[from].edges.borrow_mut();
                if !edges.is_empty() {
                    let which = random.below(edges.len() as u64);
                    edges[which] = graph[to].clone();
                }
            }
        }

        fn graph(sizes: &[u64], report: &mut Report) -> u64 {
            let [vertices, edges, searches, rewires] = *sizes else { unreachable!() };
            let mut random = Random::new(1);
            let graph: Vec<_> = report.phase("build", || {
                let vertex = |number| $gc::new(Vertex { number: number as u32, edges: $cell::new(Vec::new()) });
                let graph: Vec<_> = (0..vertices).map(vertex).collect();
                for _ in 0..edges {
                    let (from, to) = (random.below(vertices), random.below(vertices));
                    graph[from].edges.borrow_mut().push(graph[to].clone());
                }
                graph
            });
            let search = || search(&graph[0], graph.len());
            let first = report.phase("bfs", || (0..searches).map(|_| search()).fold(0, u64::wrapping_add));
            report.phase("rewire", || rewire(&graph, &mut random, rewires));
            first.wrapping_add(search())
        }

        fn alloc(sizes: &[u64], _: &mut Report) -> u64 {
            let mut held: Vec<Option<$gc<[u64; 4]>>> = vec![None; sizes[1] as usize];
            for number in 0..sizes[0] {
                held[(number % sizes[1]) as usize] = Some($gc::new([number; 4]));
            }
            held.iter().flatten().map(|it| it[3]).sum()
        }
    };
}
pub(super) use programs;
