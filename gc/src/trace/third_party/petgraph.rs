//! `petgraph`: the weights of nodes and edges, each in a vector. The graph refers to them by number, so it has no other references to
//! them.
//!
//! Only for petgraph's own index types: those of users would be code of theirs that the collector runs.

use crate::trace::{
    NoHandles, Trace, Tracer,
    facts::Both,
    impls::{
        Elements,
        collections::{drop_each, trace_each},
        sized,
    },
};
use petgraph::{
    EdgeType,
    graph::{Graph, IndexType},
    stable_graph::StableGraph,
};
use std::{mem::ManuallyDrop, ptr};

mod sealed {
    use super::IndexType;

    /// The index types that run no code of users.
    pub trait PlainIndex: IndexType {}

    impl PlainIndex for u8 {}
    impl PlainIndex for u16 {}
    impl PlainIndex for u32 {}
    impl PlainIndex for usize {}
}
use sealed::PlainIndex;

/// Calls `drop_swept` on all weights. A panic leaks what has not been dropped, so that nothing is dropped the ordinary way.
///
/// # Safety
/// As for [`Trace::drop_swept`], for every weight.
unsafe fn drop_weights<N: Trace, E: Trace>(nodes: impl Iterator<Item = N>, edges: impl Iterator<Item = E>) {
    let edges = ManuallyDrop::new(edges);
    // SAFETY: by contract.
    unsafe { drop_each(nodes) };
    // SAFETY: by contract.
    unsafe { drop_each(ManuallyDrop::into_inner(edges)) };
}

// SAFETY: every weight is passed to its own `Trace`; `drop_swept` frees the vectors without dropping weights again. What else the
// graph has are numbers.
unsafe impl<N: Trace, E: Trace, Ty: EdgeType + 'static, Ix: PlainIndex> Trace for Graph<N, E, Ty, Ix> {
    type Info = Both<Elements<N, N::Info>, Elements<E, E::Info>>;

    sized!();

    fn trace(&self, tracer: &mut Tracer<'_>) {
        trace_each(self.node_weights(), tracer);
        trace_each(self.edge_weights(), tracer);
    }

    unsafe fn drop_swept(&mut self) {
        // SAFETY: by contract nobody uses the graph again, so it may be moved out of its place.
        let (nodes, edges) = unsafe { ptr::read(self) }.into_nodes_edges();
        // SAFETY: by contract.
        unsafe { drop_weights(nodes.into_iter().map(|node| node.weight), edges.into_iter().map(|edge| edge.weight)) };
    }
}

impl<N: NoHandles, E: NoHandles, Ty: EdgeType, Ix: IndexType> NoHandles for Graph<N, E, Ty, Ix> {}

// SAFETY: as above. Where a node or an edge was removed there is no weight.
unsafe impl<N: Trace, E: Trace, Ty: EdgeType + 'static, Ix: PlainIndex> Trace for StableGraph<N, E, Ty, Ix> {
    type Info = Both<Elements<N, N::Info>, Elements<E, E::Info>>;

    sized!();

    fn trace(&self, tracer: &mut Tracer<'_>) {
        trace_each(self.node_weights(), tracer);
        trace_each(self.edge_weights(), tracer);
    }

    unsafe fn drop_swept(&mut self) {
        // SAFETY: by contract nobody uses the graph again, so it may be moved out of its place.
        let (nodes, edges) = unsafe { ptr::read(self) }.into_nodes_edges_iters();
        // SAFETY: by contract.
        unsafe { drop_weights(nodes.map(|node| node.weight), edges.map(|edge| edge.weight)) };
    }
}

impl<N: NoHandles, E: NoHandles, Ty: EdgeType, Ix: IndexType> NoHandles for StableGraph<N, E, Ty, Ix> {}
