//! What the structures are to look like from outside: the same of std, used by one.

use super::history::Specification;
use crate::{
    heap::{Guard, Local},
    map::Map,
    queue::Queue,
    stack::Stack,
};
use std::collections::{BTreeMap, VecDeque};

#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub(crate) struct SequentialStack(Vec<u32>);

#[derive(Clone, Debug)]
pub(crate) enum StackOperation {
    Push(u32),
    Pop,
}

impl Specification for SequentialStack {
    type Operation = StackOperation;
    type Response = Option<u32>;

    fn apply(&mut self, operation: &StackOperation) -> Option<u32> {
        match *operation {
            StackOperation::Push(value) => {
                self.0.push(value);
                None
            }
            StackOperation::Pop => self.0.pop(),
        }
    }
}

impl StackOperation {
    pub(crate) fn call(&self, stack: &Stack<u32>, guard: &Guard) -> Option<u32> {
        match *self {
            StackOperation::Push(value) => {
                stack.push(value, guard);
                None
            }
            StackOperation::Pop => stack.pop(guard).copied(),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub(crate) struct SequentialQueue(VecDeque<u32>);

#[derive(Clone, Debug)]
pub(crate) enum QueueOperation {
    Push(u32),
    Pop,
}

impl Specification for SequentialQueue {
    type Operation = QueueOperation;
    type Response = Option<u32>;

    fn apply(&mut self, operation: &QueueOperation) -> Option<u32> {
        match *operation {
            QueueOperation::Push(value) => {
                self.0.push_back(value);
                None
            }
            QueueOperation::Pop => self.0.pop_front(),
        }
    }
}

impl QueueOperation {
    pub(crate) fn call(&self, queue: &Queue<u32>, guard: &Guard) -> Option<u32> {
        match *self {
            QueueOperation::Push(value) => {
                queue.push(value, guard);
                None
            }
            QueueOperation::Pop => queue.pop(guard).map(|value| *value),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub(crate) struct SequentialMap(BTreeMap<u32, u32>);

#[derive(Clone, Debug)]
pub(crate) enum MapOperation {
    /// A key, its value, and how high the entry is; that changes nothing that one could see.
    Insert(u32, u32, usize),
    Remove(u32),
    Get(u32),
}

impl Specification for SequentialMap {
    type Operation = MapOperation;
    type Response = Option<u32>;

    fn apply(&mut self, operation: &MapOperation) -> Option<u32> {
        match *operation {
            MapOperation::Insert(key, value, _) => self.0.insert(key, value),
            MapOperation::Remove(key) => self.0.remove(&key),
            MapOperation::Get(key) => self.0.get(&key).copied(),
        }
    }
}

impl MapOperation {
    pub(crate) fn call(&self, map: &Map<u32, u32>, guard: &Guard) -> Option<u32> {
        let value = match *self {
            MapOperation::Insert(key, value, height) => map.insert_with_height(key, guard.alloc(value), height, guard),
            MapOperation::Remove(key) => map.remove(&key, guard),
            MapOperation::Get(key) => map.get(&key, guard),
        };
        value.map(|value| *Local::get(value))
    }
}
