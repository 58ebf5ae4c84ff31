//! The whole programs: what each does, with which sizes, and the loops that every contestant has in common.

/// A whole program.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does.
    pub what: &'static str,
    /// Its arguments when something is to be measured.
    pub full: &'static [u64],
    /// Its arguments when only the checksums are of interest.
    pub tiny: &'static [u64],
    /// Whether the process has one core, however many there are.
    pub one_core: bool,
}

const fn program(name: &'static str, full: &'static [u64], tiny: &'static [u64], what: &'static str) -> Program {
    Program { name, what, full, tiny, one_core: false }
}

/// All of them. Phases and values that a program reports are named in its description.
pub const PROGRAMS: &[Program] = &[
    program(
        "binary_trees",
        &[18],
        &[6],
        "Binary trees of 16 to 524,287 nodes, built from the leaves, counted and dropped; one stays.",
    ),
    program(
        "parent_trees",
        &[16],
        &[6],
        "The same with trees of up to 131,071 nodes whose children know their parent, so that all garbage is cyclic. Reference counts: the \
         cycles are broken by hand.",
    ),
    program(
        "gcbench",
        &[18, 500_000],
        &[8, 1_000],
        "A tree and an array of 500,000 numbers that stay, and short-lived trees of depth 4 to 16, built from the root and from the leaves.",
    ),
    program(
        "list",
        &[5_000_000, 10],
        &[1_000, 2],
        "A list of 5 million nodes with mutable links: built (`build`), walked 10 times (`walk`), dropped.",
    ),
    program(
        "graph",
        &[500_000, 2_500_000, 5, 5_000_000],
        &[500, 2_500, 2, 5_000],
        "500,000 nodes with 2.5 million edges in mutable vectors; 5 breadth-first searches (`bfs`), 5 million edges turned to other nodes \
         (`rewire`), another search.",
    ),
    program(
        "alloc",
        &[50_000_000, 1],
        &[10_000, 1],
        "50 million objects of 32 bytes without pointers, each let go when the next is there.",
    ),
    program("alloc_held", &[50_000_000, 1024], &[10_000, 1024], "The same with the last 1,024 held."),
    program(
        "clone_drop",
        &[30_000_000],
        &[10_000],
        "Handles cloned and dropped 30 million times by each thread: one thread (`single`), two threads with one object (`one_object`), \
         and with an object each (`two_objects`).",
    ),
    program(
        "shared_read",
        &[200_000, 20_000_000, 2],
        &[200, 10_000, 2],
        "2 threads walk at random through a graph of 200,000 nodes, 20 million steps each.",
    ),
    Program {
        one_core: true,
        ..program("shared_read_1", &[200_000, 20_000_000, 1], &[200, 10_000, 1], "The same with 1 thread, on 1 core.")
    },
    program(
        "churn_mt",
        &[65_536, 10_000_000, 2],
        &[64, 10_000, 2],
        "2 threads push 10 million new nodes each onto 65,536 shared lists, each of which is let go when it has 4.",
    ),
    Program {
        one_core: true,
        ..program("churn_mt_1", &[65_536, 10_000_000, 1], &[64, 10_000, 1], "The same with 1 thread, on 1 core.")
    },
    Program {
        one_core: true,
        ..program(
            "mark",
            &[10_000_000, 3],
            &[1_000, 1],
            "A binary tree of 10 million nodes at shuffled addresses is marked 3 times by one thread (`mark`, seconds each).",
        )
    },
    program(
        "sweep",
        &[10_000_000],
        &[1_000],
        "10 million objects of 32 bytes without pointers die at once and are swept (`sweep_ns`: nanoseconds each).",
    ),
    program(
        "bytes",
        &[10_000_000],
        &[1_000],
        "Resident bytes per object of 8, 24 and 56 bytes, in a heap of 10 million.",
    ),
];

/// The program of that name.
pub fn program_named(name: &str) -> Option<&'static Program> {
    PROGRAMS.iter().find(|program| program.name == name)
}

/// The short-lived trees of `binary_trees` and `parent_trees`: `tree` builds one of the given depth, counts its nodes and drops it.
pub(crate) fn short_lived_trees(depth: u64, mut tree: impl FnMut(u64) -> u64) -> u64 {
    let mut nodes = 0;
    for of_depth in (4..=depth).step_by(2) {
        for _ in 0..1u64 << (depth - of_depth + 4) {
            nodes += tree(of_depth);
        }
    }
    nodes
}

/// The short-lived trees of `gcbench`: as many of each depth as make twice the nodes of the deepest. `trees` builds one from the
/// root and one from the leaves and gives the sum of their leftmost paths' lengths.
pub(crate) fn gcbench_trees(depth: u64, mut trees: impl FnMut(u64) -> u64) -> u64 {
    let size = |depth: u64| (2u64 << depth) - 1;
    let mut paths = 0;
    for of_depth in (4..depth - 1).step_by(2) {
        for _ in 0..2 * size(depth) / size(of_depth) {
            paths += trees(of_depth);
        }
    }
    paths
}

/// The array of `gcbench`.
pub(crate) fn numbers(length: u64) -> impl Iterator<Item = f64> {
    (0..length).map(|index| 1.0 / (index as f64 + 1.0))
}

/// How long a list of `churn_mt` becomes.
pub(crate) const LIST: u64 = 4;

/// The objects of `clone_drop`, so large that neighbours never share a cache line: that would measure where an allocator puts them.
pub(crate) const ALONE: [u64; 16] = [1; 16];

/// Edges of a node in `shared_read`.
pub(crate) const EDGES: usize = 4;

/// The nodes that a search has met, by their numbers.
pub(crate) struct Seen(Vec<bool>);

impl Seen {
    /// Of so many nodes one has been met.
    pub(crate) fn new(nodes: usize, start: u32) -> Seen {
        let mut seen = vec![false; nodes];
        seen[start as usize] = true;
        Seen(seen)
    }

    /// Whether this is the first time. Most of the time it is not, and nothing is written.
    #[inline]
    pub(crate) fn is_new(&mut self, number: u32) -> bool {
        let seen = &mut self.0[number as usize];
        if *seen {
            return false;
        }
        *seen = true;
        true
    }
}
