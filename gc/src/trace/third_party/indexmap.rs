//! `indexmap`: entries in a vector, positions in a table beside it. To drain everything it compares and hashes nothing.

use crate::trace::{
    NoHandles, Trace, Tracer,
    facts::{Both, Leaf},
    impls::{
        Elements,
        collections::{drained, drained_range, drop_each, maps, sequences, trace_each, trace_entries},
        sized,
    },
};
use indexmap::{IndexMap, IndexSet};
use std::mem::needs_drop;

sequences! {
    {S} IndexSet: Both<Elements<T, T::Info>, Leaf<S>>, drained_range,
}

maps! {
    {S} IndexMap: Both<Elements<(K, V), Both<K::Info, V::Info>>, Leaf<S>>, drained_range,
}
