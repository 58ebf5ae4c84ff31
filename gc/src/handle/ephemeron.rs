//! `Ephemeron`: a value that lives only while its key does.
//!
//! A handle to an object of its own, which has the word that the collector knows (`collector::ephemerons`).

use super::Gc;
use crate::{
    collector::ephemerons::EphemeronWord,
    trace::{
        Trace, Tracer,
        facts::{Facts, Handle, Info},
    },
};
use std::{fmt, marker::PhantomData, mem::ManuallyDrop};

/// A key that is not kept alive, and a value that is kept alive only while the key is, also when the value leads back to the key.
///
/// This is what attaches something to an object from outside: neither an entry `(Weak<K>, Gc<V>)` will do, which keeps the key for ever if the value leads to it, nor
/// a field of the key's, which its type does not have. For many of them take a [`WeakMap`](crate::WeakMap).
///
/// Once the collector finds that nothing but ephemerons (and weak handles) leads to the key, it clears the ephemeron, and the value goes with the key. A value is kept if the key
/// *and* the ephemeron are reachable.
///
/// One word, with a niche for `Option`; cloned like a [`Gc`], clones are the same ephemeron. Tracing one costs a lookup while its key has not been
/// marked, whatever the number and order of ephemerons that depend on each other.
///
/// ```
/// use graphgc::{Ephemeron, Gc, collect};
///
/// let key = Gc::new(String::from("key"));
/// let note = Ephemeron::new(&key, Gc::new((1, key.clone())));   // the value leads to the key
/// assert_eq!(note.value().unwrap().0, 1);
/// drop(key);
/// collect();
/// assert!(note.value().is_none());
/// ```
pub struct Ephemeron<K: Trace, V: Trace> {
    node: Gc<Node<K, V>>,
}

impl<K: Trace, V: Trace> Ephemeron<K, V> {
    /// Attaches `value` to `key`.
    ///
    /// Cost and panics: those of [`Gc::new`].
    pub fn new(key: &Gc<K>, value: Gc<V>) -> Self {
        let value = ManuallyDrop::new(value).as_object();
        Ephemeron { node: Gc::new(Node { word: EphemeronWord::new(key.as_object(), value), targets: PhantomData }) }
    }

    /// The key, unless the collector has found it dead. Cost: as [`Weak::upgrade`](crate::Weak::upgrade).
    pub fn key(&self) -> Option<Gc<K>> {
        self.upgrade().map(|(key, _)| key)
    }

    /// The value, unless the collector has found the key dead.
    pub fn value(&self) -> Option<Gc<V>> {
        // SAFETY: a word's value is a `V`, and this one has just been counted.
        self.node.word.value().map(|value| unsafe { Gc::from_object(value) })
    }

    /// Key and value, unless the collector has found the key dead.
    pub fn upgrade(&self) -> Option<(Gc<K>, Gc<V>)> {
        let (key, value) = self.node.word.get()?;
        // SAFETY: the word leads to a `K` and a `V`, and both have just been counted.
        Some(unsafe { (Gc::from_object(key), Gc::from_object(value)) })
    }

    /// Whether the value is attached to this key.
    pub fn is_for(&self, key: &Gc<K>) -> bool {
        self.node.word.is_for(key.as_object())
    }

    /// Whether two handles are to the same ephemeron.
    pub fn ptr_eq(this: &Self, other: &Self) -> bool {
        Gc::ptr_eq(&this.node, &other.node)
    }
}

impl<K: Trace, V: Trace> Clone for Ephemeron<K, V> {
    fn clone(&self) -> Self {
        Ephemeron { node: self.node.clone() }
    }
}

/// Shallow, so that printing a cyclic graph ends.
impl<K: Trace, V: Trace> fmt::Debug for Ephemeron<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ephemeron(..)")
    }
}

// SAFETY: it is a handle.
unsafe impl<K: Trace, V: Trace> Trace for Ephemeron<K, V> {
    type Info = Handle;

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        self.node.trace(tracer);
    }

    unsafe fn drop_swept(&mut self) {}
}

/// The object that is the ephemeron.
struct Node<K, V> {
    word: EphemeronWord,
    /// Gives both out.
    targets: PhantomData<(Gc<K>, Gc<V>)>,
}

/// Info of an object with a word in it: the value is claimed, so there is nothing to drop.
pub(crate) enum WordInfo {}

impl Info for WordInfo {
    const FACTS: Facts = Facts { cells: true, steps: 2, ..Facts::HANDLE };
    type Behind = Self;
}

// SAFETY: the word is all that there is in it. It lies directly in an object: nobody else can name the type.
unsafe impl<K: Trace, V: Trace> Trace for Node<K, V> {
    type Info = WordInfo;

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        tracer.ephemeron(&self.word);
    }

    unsafe fn drop_swept(&mut self) {}
}
