//! What a lock-type cell can hold: one of std's containers. The same code changes containers of handles and, in the model,
//! containers of ids, so a change need be written only once and what comes out of both must be the same.

use arbitrary::Arbitrary;
use graphgc::Trace;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, LinkedList, VecDeque, binary_heap::PeekMut},
    mem,
};

/// Elements of an ordinary container at most.
pub const MOST_ELEMENTS: usize = 10;
/// Keys of maps.
pub const KEYS: u8 = 8;
/// A list that is at least as long stays as long as it is.
pub const WIDE: usize = 1500;

/// An element: a handle, or the id of what it leads to. Ordered by that id.
pub trait Element: Clone + Ord {
    /// The id of the object.
    fn id(&self) -> u32;
}

impl Element for u32 {
    fn id(&self) -> u32 {
        *self
    }
}

/// Some elements in one of std's containers.
#[derive(Clone, Trace)]
pub enum Content<E> {
    /// In a vector.
    List(Vec<E>),
    /// In a ring buffer.
    Deque(VecDeque<E>),
    /// Under keys, hashed.
    Map(HashMap<u8, E>),
    /// Under keys, sorted.
    Tree(BTreeMap<u8, E>),
    /// Each in a node of its own.
    Linked(LinkedList<E>),
    /// The greatest first.
    Heap(BinaryHeap<E>),
    /// One or none.
    Option(Option<E>),
    /// Each once, sorted.
    Set(BTreeSet<E>),
    /// Arrays and tuples.
    Pair([Option<E>; 2], (Option<E>, Option<E>)),
    /// A vector of places that may be empty. Only in the model: it stands for a vector of cells.
    Slots(Vec<Option<E>>),
}

/// A container to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Arbitrary, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named as the containers")]
pub enum Shape {
    List,
    Deque,
    Map,
    Tree,
    Linked,
    Heap,
    Option,
    Set,
    Pair,
}

/// A change of a container that the program has to itself. Indices count modulo the length; a container that cannot do it as it is said
/// does what is nearest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Arbitrary, Serialize, Deserialize)]
pub enum Change {
    /// The new elements are added at the end.
    Add,
    /// The new elements are added at the beginning.
    AddFirst,
    /// The last element comes out.
    Pop,
    /// The first element comes out.
    PopFirst,
    /// One element comes out.
    Remove(u8),
    /// One element comes out and the last takes its place.
    SwapRemove(u8),
    /// The first new element takes the place of one.
    Put(u8),
    /// Everything from here on comes out, by an iterator.
    Drain(u8),
    /// Everything from here on comes out, as a container.
    Split(u8),
    /// Every other element is dropped.
    Retain,
    /// The order is reversed.
    Reverse,
    /// The order is rotated.
    Rotate(u8),
    /// Everything is dropped.
    Clear,
    /// Everything comes out, the container with it.
    Take,
    /// The whole container is exchanged for another of its kind.
    Exchange,
    /// The elements move to a container of another kind.
    Refill(Shape),
}

impl<E> Default for Content<E> {
    fn default() -> Self {
        Content::List(Vec::new())
    }
}

fn keyed<E>(elements: Vec<E>) -> impl Iterator<Item = (u8, E)> {
    elements.into_iter().enumerate().map(|(number, element)| ((number % usize::from(KEYS)) as u8, element))
}

fn every_other<T>() -> impl FnMut(&T) -> bool {
    let mut kept = true;
    move |_| {
        kept = !kept;
        kept
    }
}

impl<E: Element> Content<E> {
    /// A container of this kind with these elements, as far as they fit.
    pub fn new(shape: Shape, elements: Vec<E>) -> Self {
        let mut iter = elements.into_iter();
        match shape {
            Shape::List => Content::List(iter.collect()),
            Shape::Deque => Content::Deque(iter.collect()),
            Shape::Map => Content::Map(keyed(iter.collect()).collect()),
            Shape::Tree => Content::Tree(keyed(iter.collect()).collect()),
            Shape::Linked => Content::Linked(iter.collect()),
            Shape::Heap => Content::Heap(iter.collect()),
            Shape::Option => Content::Option(iter.next()),
            Shape::Set => Content::Set(iter.collect()),
            Shape::Pair => Content::Pair([iter.next(), iter.next()], (iter.next(), iter.next())),
        }
    }

    fn shape(&self) -> Shape {
        match self {
            Content::List(_) => Shape::List,
            Content::Deque(_) => Shape::Deque,
            Content::Map(_) => Shape::Map,
            Content::Tree(_) => Shape::Tree,
            Content::Linked(_) => Shape::Linked,
            Content::Heap(_) => Shape::Heap,
            Content::Option(_) => Shape::Option,
            Content::Set(_) => Shape::Set,
            Content::Pair(..) => Shape::Pair,
            Content::Slots(_) => unreachable!("changed as cells only"),
        }
    }

    /// The elements, in an order that depends on them and their places alone.
    pub fn into_elements(self) -> Vec<E> {
        match self {
            Content::List(list) => list,
            Content::Deque(deque) => deque.into(),
            Content::Map(map) => map.into_iter().collect::<BTreeMap<_, _>>().into_values().collect(),
            Content::Tree(tree) => tree.into_values().collect(),
            Content::Linked(list) => list.into_iter().collect(),
            Content::Heap(heap) => heap.into_sorted_vec(),
            Content::Option(option) => option.into_iter().collect(),
            Content::Set(set) => set.into_iter().collect(),
            Content::Pair(array, (one, other)) => array.into_iter().chain([one, other]).flatten().collect(),
            Content::Slots(slots) => slots.into_iter().flatten().collect(),
        }
    }

    /// Every element.
    pub fn iter(&self) -> Box<dyn Iterator<Item = &E> + '_> {
        match self {
            Content::List(list) => Box::new(list.iter()),
            Content::Deque(deque) => Box::new(deque.iter()),
            Content::Map(map) => Box::new(map.values()),
            Content::Tree(tree) => Box::new(tree.values()),
            Content::Linked(list) => Box::new(list.iter()),
            Content::Heap(heap) => Box::new(heap.iter()),
            Content::Option(option) => Box::new(option.iter()),
            Content::Set(set) => Box::new(set.iter()),
            Content::Pair(array, (one, other)) => Box::new(array.iter().chain([one, other]).flatten()),
            Content::Slots(slots) => Box::new(slots.iter().flatten()),
        }
    }

    /// The element at `index`, modulo the number of places.
    pub fn nth(&self, index: usize) -> Option<&E> {
        let within = |length: usize| if length == 0 { 0 } else { index % length };
        match self {
            Content::List(list) => list.get(within(list.len())),
            Content::Deque(deque) => deque.get(within(deque.len())),
            Content::Map(map) => map.get(&((index % usize::from(KEYS)) as u8)),
            Content::Tree(tree) => tree.get(&((index % usize::from(KEYS)) as u8)),
            Content::Linked(list) => list.iter().nth(within(list.len())),
            Content::Heap(heap) => heap.iter().nth(within(heap.len())),
            Content::Option(option) => option.as_ref(),
            Content::Set(set) => set.iter().nth(within(set.len())),
            Content::Pair(array, (one, other)) => [&array[0], &array[1], one, other][index % 4].as_ref(),
            Content::Slots(slots) => slots.get(within(slots.len()))?.as_ref(),
        }
    }

    /// Some element that may be exchanged.
    pub fn some_mut(&mut self) -> Option<&mut E> {
        match self {
            Content::List(list) => list.last_mut(),
            Content::Deque(deque) => deque.back_mut(),
            Content::Map(map) => map.get_mut(&0),
            Content::Tree(tree) => tree.values_mut().next_back(),
            Content::Linked(list) => list.front_mut(),
            Content::Heap(_) | Content::Set(_) | Content::Slots(_) => None,
            Content::Option(option) => option.as_mut(),
            Content::Pair(array, (one, other)) => array.iter_mut().chain([one, other]).flatten().next(),
        }
    }

    /// What identifies the content: every element's id, with its place where places have names.
    pub fn ids(&self) -> Vec<(usize, u32)> {
        let named = |slots: Vec<Option<&E>>| {
            slots.into_iter().enumerate().filter_map(|(place, it)| Some((place, it?.id()))).collect()
        };
        let mut ids: Vec<_> = match self {
            Content::Map(map) => map.iter().map(|(key, it)| (usize::from(*key), it.id())).collect(),
            Content::Tree(tree) => tree.iter().map(|(key, it)| (usize::from(*key), it.id())).collect(),
            Content::Pair(array, (one, other)) => {
                named(vec![array[0].as_ref(), array[1].as_ref(), one.as_ref(), other.as_ref()])
            }
            Content::Slots(slots) => named(slots.iter().map(Option::as_ref).collect()),
            _ => self.iter().map(|it| (0, it.id())).collect(),
        };
        if matches!(self, Content::Map(_) | Content::Heap(_)) {
            ids.sort_unstable();
        }
        ids
    }

    /// The model of this content.
    pub fn model(&self) -> Content<u32> {
        self.clone().map(|it| it.id())
    }

    /// The same content of other elements in the same order.
    pub fn map<T: Element>(self, of: impl Fn(E) -> T) -> Content<T> {
        let option = |it: Option<E>| it.map(&of);
        match self {
            Content::List(list) => Content::List(list.into_iter().map(of).collect()),
            Content::Deque(deque) => Content::Deque(deque.into_iter().map(of).collect()),
            Content::Map(map) => Content::Map(map.into_iter().map(|(key, it)| (key, of(it))).collect()),
            Content::Tree(tree) => Content::Tree(tree.into_iter().map(|(key, it)| (key, of(it))).collect()),
            Content::Linked(list) => Content::Linked(list.into_iter().map(of).collect()),
            Content::Heap(heap) => Content::Heap(heap.into_vec().into_iter().map(of).collect::<Vec<_>>().into()),
            Content::Option(it) => Content::Option(option(it)),
            Content::Set(set) => Content::Set(set.into_iter().map(of).collect()),
            Content::Pair(array, (one, other)) => Content::Pair(array.map(&option), (option(one), option(other))),
            Content::Slots(slots) => Content::Slots(slots.into_iter().map(option).collect()),
        }
    }

    /// Changes the content. What comes out, comes out.
    pub fn apply(&mut self, change: Change, new: Vec<E>) -> Vec<E> {
        match change {
            Change::Take => return self.exchange(Vec::new()),
            Change::Exchange => return self.exchange(new),
            Change::Refill(shape) => {
                let mut elements = self.exchange(Vec::new());
                elements.extend(new);
                *self = Content::new(shape, elements);
                return Vec::new();
            }
            _ => {}
        }
        match self {
            Content::List(list) => change_list(list, change, new),
            Content::Deque(deque) => change_deque(deque, change, new),
            Content::Map(map) => change_map(map, change, new),
            Content::Tree(tree) => change_tree(tree, change, new),
            Content::Linked(list) => change_linked(list, change, new),
            Content::Heap(heap) => change_heap(heap, change, new),
            Content::Option(option) => change_option(option, change, new),
            Content::Set(set) => change_set(set, change, new),
            Content::Pair(array, (one, other)) => match change {
                Change::Put(index) if index % 4 < 2 => change_option(&mut array[usize::from(index % 2)], change, new),
                Change::Put(index) if index % 4 == 2 => change_option(one, change, new),
                Change::Reverse => {
                    array.swap(0, 1);
                    mem::swap(one, other);
                    Vec::new()
                }
                _ => change_option(other, change, new),
            },
            Content::Slots(_) => unreachable!("changed as cells only"),
        }
    }

    /// Puts another container of the same kind in the place of this one.
    fn exchange(&mut self, new: Vec<E>) -> Vec<E> {
        let new = Content::new(self.shape(), new);
        mem::replace(self, new).into_elements()
    }
}

/// An index into so many places.
fn within(index: u8, length: usize) -> usize {
    if length == 0 { 0 } else { usize::from(index) % length }
}

fn change_list<E>(list: &mut Vec<E>, change: Change, new: Vec<E>) -> Vec<E> {
    let length = list.len();
    match change {
        Change::Add => {
            list.extend(new);
            let bound = if list.len() < WIDE { MOST_ELEMENTS.min(list.len()) } else { list.len() };
            return list.split_off(bound);
        }
        Change::AddFirst => {
            list.splice(0..0, new);
            if (MOST_ELEMENTS..WIDE).contains(&list.len()) {
                list.truncate(MOST_ELEMENTS);
            }
        }
        Change::Pop => return list.pop().into_iter().collect(),
        Change::PopFirst | Change::Remove(_) if length > 0 => {
            let index = if let Change::Remove(index) = change { within(index, length) } else { 0 };
            return vec![list.remove(index)];
        }
        Change::SwapRemove(index) if length > 0 => return vec![list.swap_remove(within(index, length))],
        Change::Put(index) if length > 0 => {
            let put = |new| mem::replace(&mut list[within(index, length)], new);
            return new.into_iter().next().map(put).into_iter().collect();
        }
        Change::Drain(index) => return list.drain(within(index, length)..).collect(),
        Change::Split(index) => return list.split_off(within(index, length)),
        Change::Retain => list.retain(every_other()),
        Change::Reverse => list.reverse(),
        Change::Rotate(index) => list.rotate_left(within(index, length)),
        Change::Clear => list.clear(),
        _ => {}
    }
    Vec::new()
}

fn change_deque<E>(deque: &mut VecDeque<E>, change: Change, new: Vec<E>) -> Vec<E> {
    let length = deque.len();
    let mut out = Vec::new();
    match change {
        Change::Add => {
            deque.append(&mut new.into());
            let excess = deque.len().saturating_sub(MOST_ELEMENTS);
            out.extend(deque.drain(..excess));
        }
        Change::AddFirst => {
            new.into_iter().for_each(|new| deque.push_front(new));
            deque.truncate(MOST_ELEMENTS);
        }
        Change::Pop => out.extend(deque.pop_back()),
        Change::PopFirst => out.extend(deque.pop_front()),
        Change::Remove(index) => out.extend(deque.remove(within(index, length))),
        Change::SwapRemove(index) => out.extend(deque.swap_remove_back(within(index, length))),
        Change::Put(index) => {
            if let (Some(place), Some(new)) = (deque.get_mut(within(index, length)), new.into_iter().next()) {
                out.push(mem::replace(place, new));
            }
        }
        Change::Drain(index) => out.extend(deque.drain(within(index, length)..)),
        Change::Split(index) => out.extend(deque.split_off(within(index, length))),
        Change::Retain => deque.retain(every_other()),
        Change::Reverse => deque.make_contiguous().reverse(),
        Change::Rotate(index) => deque.rotate_left(within(index, length)),
        Change::Clear => deque.clear(),
        _ => {}
    }
    out
}

fn change_map<E>(map: &mut HashMap<u8, E>, change: Change, new: Vec<E>) -> Vec<E> {
    let mut out = Vec::new();
    match change {
        Change::Add => out.extend(keyed(new).filter_map(|(key, new)| map.insert(key, new))),
        Change::AddFirst => keyed(new).for_each(|(key, new)| {
            map.entry(key).or_insert(new);
        }),
        Change::Pop | Change::PopFirst => out.extend(map.remove(&0)),
        Change::Remove(key) => out.extend(map.remove(&(key % KEYS))),
        Change::SwapRemove(key) => out.extend(map.remove_entry(&(key % KEYS)).map(|(_, element)| element)),
        Change::Put(key) => out.extend(new.into_iter().next().and_then(|new| map.insert(key % KEYS, new))),
        Change::Drain(_) | Change::Split(_) => out.extend(map.drain().collect::<BTreeMap<_, _>>().into_values()),
        Change::Retain => map.retain(|key, _| key % 2 == 0),
        Change::Rotate(by) => {
            *map = map.drain().map(|(key, element)| ((key + by % KEYS) % KEYS, element)).collect();
        }
        Change::Reverse => map.shrink_to_fit(),
        Change::Clear => map.clear(),
        _ => {}
    }
    out
}

fn change_tree<E>(tree: &mut BTreeMap<u8, E>, change: Change, new: Vec<E>) -> Vec<E> {
    let mut out = Vec::new();
    match change {
        Change::Add => tree.append(&mut keyed(new).collect()),
        Change::AddFirst => keyed(new).for_each(|(key, new)| {
            tree.entry(key).or_insert(new);
        }),
        Change::Pop => out.extend(tree.pop_last().map(|(_, element)| element)),
        Change::PopFirst => out.extend(tree.pop_first().map(|(_, element)| element)),
        Change::Remove(key) | Change::SwapRemove(key) => out.extend(tree.remove(&(key % KEYS))),
        Change::Put(key) => out.extend(new.into_iter().next().and_then(|new| tree.insert(key % KEYS, new))),
        Change::Drain(key) | Change::Split(key) => out.extend(tree.split_off(&(key % KEYS)).into_values()),
        Change::Retain => tree.retain(|key, _| key % 2 == 0),
        Change::Reverse | Change::Rotate(_) => {
            *tree = mem::take(tree).into_iter().map(|(key, element)| (KEYS - 1 - key, element)).collect();
        }
        Change::Clear => tree.clear(),
        _ => {}
    }
    out
}

fn change_linked<E>(list: &mut LinkedList<E>, change: Change, new: Vec<E>) -> Vec<E> {
    let length = list.len();
    let mut out = Vec::new();
    match change {
        Change::Add => {
            list.append(&mut new.into_iter().collect());
            out.extend(list.split_off(MOST_ELEMENTS.min(list.len())));
        }
        Change::AddFirst => {
            new.into_iter().for_each(|new| list.push_front(new));
            drop(list.split_off(MOST_ELEMENTS.min(list.len())));
        }
        Change::Pop => out.extend(list.pop_back()),
        Change::PopFirst => out.extend(list.pop_front()),
        Change::Remove(index) | Change::SwapRemove(index) => {
            let mut rest = list.split_off(within(index, length));
            out.extend(rest.pop_front());
            list.append(&mut rest);
        }
        Change::Put(index) => {
            if let (Some(place), Some(new)) = (list.iter_mut().nth(within(index, length)), new.into_iter().next()) {
                out.push(mem::replace(place, new));
            }
        }
        Change::Drain(index) | Change::Split(index) => out.extend(list.split_off(within(index, length))),
        Change::Rotate(index) => {
            let mut first = list.split_off(within(index, length));
            first.append(list);
            *list = first;
        }
        Change::Reverse => *list = mem::take(list).into_iter().rev().collect(),
        Change::Retain => {
            let mut kept = every_other();
            *list = mem::take(list).into_iter().filter(|element| kept(element)).collect();
        }
        Change::Clear => list.clear(),
        _ => {}
    }
    out
}

fn change_heap<E: Ord>(heap: &mut BinaryHeap<E>, change: Change, new: Vec<E>) -> Vec<E> {
    let mut out = Vec::new();
    match change {
        Change::Add => heap.append(&mut new.into()),
        Change::AddFirst => new.into_iter().for_each(|new| heap.push(new)),
        Change::Pop | Change::Remove(_) => out.extend(heap.pop()),
        Change::PopFirst | Change::SwapRemove(_) => out.extend(heap.peek_mut().map(PeekMut::pop)),
        Change::Put(_) => {
            if let (Some(mut greatest), Some(new)) = (heap.peek_mut(), new.into_iter().next()) {
                out.push(mem::replace(&mut *greatest, new));
            }
        }
        Change::Drain(_) => {
            out.extend(heap.drain());
            out.sort_unstable();
        }
        Change::Split(_) => out = mem::take(heap).into_sorted_vec(),
        Change::Retain => {
            let mut number = 0;
            let all = mem::take(heap).into_sorted_vec().into_iter();
            *heap = all
                .filter(|_| {
                    number += 1;
                    number % 2 == 0
                })
                .collect();
        }
        Change::Reverse | Change::Rotate(_) => heap.shrink_to_fit(),
        Change::Clear => heap.clear(),
        _ => {}
    }
    while heap.len() > MOST_ELEMENTS {
        out.extend(heap.pop());
    }
    out
}

fn change_option<E>(option: &mut Option<E>, change: Change, new: Vec<E>) -> Vec<E> {
    let new = new.into_iter().next();
    match change {
        Change::Add => {
            let before = option.take();
            if let Some(new) = new {
                let _ = option.get_or_insert(new);
            }
            before
        }
        Change::AddFirst => {
            *option = new;
            None
        }
        Change::Put(_) => new.and_then(|new| option.replace(new)),
        Change::Reverse | Change::Rotate(_) => mem::replace(option, new),
        Change::Clear => {
            *option = None;
            None
        }
        Change::Retain => option.take_if(|_| new.is_none()),
        _ => option.take(),
    }
    .into_iter()
    .collect()
}

fn change_set<E: Element>(set: &mut BTreeSet<E>, change: Change, new: Vec<E>) -> Vec<E> {
    let at = |set: &BTreeSet<E>, index| set.iter().nth(within(index, set.len())).cloned();
    let mut out = Vec::new();
    match change {
        Change::Add => set.extend(new),
        Change::AddFirst => out.extend(new.into_iter().filter_map(|new| set.replace(new))),
        Change::Pop => out.extend(set.pop_last()),
        Change::PopFirst => out.extend(set.pop_first()),
        Change::Remove(index) | Change::SwapRemove(index) => {
            out.extend(at(set, index).and_then(|element| set.take(&element)));
        }
        Change::Put(_) => {
            out.extend(set.pop_first());
            set.extend(new.into_iter().next());
        }
        Change::Drain(index) | Change::Split(index) => {
            out.extend(at(set, index).into_iter().flat_map(|element| set.split_off(&element)));
        }
        Change::Retain => set.retain(every_other()),
        Change::Clear => set.clear(),
        _ => {}
    }
    while set.len() > MOST_ELEMENTS {
        out.extend(set.pop_last());
    }
    out
}
