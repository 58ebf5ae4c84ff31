//! `hashbrown`, which std's maps are made of: the same in every respect. Only in the global allocator: another could have handles.

use crate::trace::{
    NoHandles, Trace, Tracer,
    facts::{Both, Leaf},
    impls::{
        Elements,
        collections::{drained, drop_each, maps, sequences, trace_each, trace_entries},
        sized,
    },
};
use hashbrown::{HashMap, HashSet, HashTable};
use std::mem::needs_drop;

sequences! {
    {S} HashSet: Both<Elements<T, T::Info>, Leaf<S>>, drained,
    {} HashTable: Elements<T, T::Info>, drained,
}

maps! {
    {S} HashMap: Both<Elements<(K, V), Both<K::Info, V::Info>>, Leaf<S>>, drained,
}
