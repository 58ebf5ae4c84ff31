//! Where in a collection the element for a key is.
//!
//! The keys lie in a vector beside that of the edges, in the same order; std's hash map leads from a hash to the first entry that has it, and entries with
//! the same hash are chained. So the table itself holds numbers only: it compares, hashes and drops nothing of users', whatever it does to grow or to close a gap.
//! Users' code runs in [`find`](Index::find), which changes nothing, and where a key is dropped that has been taken out.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// In the place of an entry's number: none.
const END: usize = usize::MAX;

/// See the module's head.
pub(super) struct Index<K> {
    /// The first entry with each hash.
    heads: HashMap<u64, usize, BuildHasherDefault<Already>>,
    entries: Vec<Entry<K>>,
}

pub(super) struct Entry<K> {
    hash: u64,
    /// The next entry with the same hash.
    next: usize,
    pub(super) key: K,
}

/// Takes hashes for what they are.
#[derive(Default)]
struct Already(u64);

impl Hasher for Already {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only hashes are looked up");
    }
}

impl<K> Index<K> {
    pub(super) const fn new() -> Self {
        Index { heads: HashMap::with_hasher(BuildHasherDefault::new()), entries: Vec::new() }
    }

    pub(super) fn entries(&self) -> &[Entry<K>] {
        &self.entries
    }

    pub(super) fn into_keys(self) -> Vec<K> {
        self.entries.into_iter().map(|entry| entry.key).collect()
    }

    /// The entry with this hash that `is` says.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut is: impl FnMut(usize, &K) -> bool) -> Option<usize> {
        let mut at = *self.heads.get(&hash)?;
        while at != END {
            let entry = &self.entries[at];
            if is(at, &entry.key) {
                return Some(at);
            }
            at = entry.next;
        }
        None
    }

    /// Makes room. If that panics nothing has happened.
    pub(super) fn reserve(&mut self, additional: usize) {
        self.heads.reserve(additional);
        self.entries.reserve(additional);
    }

    /// Puts a key at the end. If there is room this neither allocates nor panics.
    #[inline]
    pub(super) fn push(&mut self, hash: u64, key: K) {
        let next = self.heads.insert(hash, self.entries.len()).unwrap_or(END);
        self.entries.push(Entry { hash, next, key });
    }

    /// Takes a key out, and puts the last one in its place.
    pub(super) fn swap_remove(&mut self, at: usize) -> K {
        let (hash, next) = (self.entries[at].hash, self.entries[at].next);
        if next == END && self.heads[&hash] == at {
            self.heads.remove(&hash);
        } else {
            *self.link_to(at) = next;
        }
        let last = self.entries.len() - 1;
        if at != last {
            *self.link_to(last) = at;
        }
        self.entries.swap_remove(at).key
    }

    /// What leads to an entry: the table or the entry before it.
    fn link_to(&mut self, at: usize) -> &mut usize {
        let head = self.heads.get_mut(&self.entries[at].hash).expect("every entry can be found");
        if *head == at {
            return head;
        }
        let mut before = *head;
        while self.entries[before].next != at {
            before = self.entries[before].next;
        }
        &mut self.entries[before].next
    }

    /// Takes all keys out but those that are to stay; these keep their order. Panics only before it changes anything.
    pub(super) fn retain(&mut self, stays: &[bool]) -> Vec<K> {
        let staying = stays.iter().filter(|stays| **stays).count();
        let mut gone = Vec::with_capacity(stays.len() - staying);
        let room = Vec::with_capacity(self.entries.capacity());
        self.heads.clear();
        for (entry, &stays) in std::mem::replace(&mut self.entries, room).into_iter().zip(stays) {
            if stays {
                self.push(entry.hash, entry.key);
            } else {
                gone.push(entry.key);
            }
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::Index;
    use crate::random::Random;

    /// Numbers that share hashes come and go; the table always knows where they are.
    #[test]
    fn agrees_with_a_list() {
        let mut index = Index::new();
        let mut list: Vec<u64> = Vec::new();
        let mut random = Random(1);
        for number in 0..5_000u64 {
            match random.below(if list.len() > 60 { 3 } else { 7 }) {
                0..2 if !list.is_empty() => {
                    let at = random.below(list.len());
                    assert_eq!(index.swap_remove(at), list.swap_remove(at));
                }
                2 if number % 50 == 0 => {
                    let stays: Vec<bool> = list.iter().map(|number| number % 3 != 0).collect();
                    let gone = index.retain(&stays);
                    assert_eq!(gone, list.iter().copied().filter(|number| number % 3 == 0).collect::<Vec<_>>());
                    list.retain(|number| number % 3 != 0);
                }
                _ => {
                    index.reserve(1);
                    index.push(number % 5, number);
                    list.push(number);
                }
            }
            assert_eq!(index.entries().iter().map(|entry| entry.key).collect::<Vec<_>>(), list);
            for (at, number) in list.iter().enumerate() {
                assert_eq!(index.find(number % 5, |_, key| key == number), Some(at));
            }
            assert_eq!(index.find(number % 5, |_, key| *key == u64::MAX), None);
            let hashes: std::collections::HashSet<u64> = list.iter().map(|number| number % 5).collect();
            assert_eq!(index.heads.len(), hashes.len());
        }
    }
}
