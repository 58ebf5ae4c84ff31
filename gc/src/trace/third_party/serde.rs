//! What the feature `serde` gives: `Serialize` and `Deserialize` through handles and cells.
//!
//! A handle is serialized as what it leads to, and deserialized into a new object, as serde does with `Box` (and with `Arc`, if asked). So are cells, as their content; for that they are borrowed or
//! locked. [`Weak`](crate::Weak) handles are neither: put `#[serde(skip)]` on such a field, and it comes back as a handle to nothing.
//!
//! | type | as |
//! | --- | --- |
//! | [`Gc<T>`], `Gc<[T]>`, `Gc<str>`, [`Thin`] and so [`ThinGc`](crate::ThinGc) | the content |
//! | [`GcCell<Gc<T>>`](GcCell), `GcCell<Option<Gc<T>>>` | the edge |
//! | [`GcRefCell<T>`] | the content; an error while it is borrowed for writing |
//! | [`GcMutex<T>`], [`GcRwLock<T>`] | the content; waits for the lock |
//! | [`GcOnceCell<T>`] | an `Option` |
//! | [`GcVec<T>`], [`GcSet<T>`] | a sequence |
//! | [`GcMap<K, T>`] | a map |
//!
//! ```
//! use graphgc::{Gc, GcRefCell, Trace};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Trace, Serialize, Deserialize)]
//! struct Tree { name: Gc<str>, children: GcRefCell<Vec<Gc<Tree>>> }
//!
//! let leaf = Gc::new(Tree { name: "leaf".into(), children: GcRefCell::default() });
//! let tree = Gc::new(Tree { name: "root".into(), children: vec![leaf].into() });
//! let text = serde_json::to_string(&tree)?;
//! assert_eq!(text, r#"{"name":"root","children":[{"name":"leaf","children":[]}]}"#);
//! let copy: Gc<Tree> = serde_json::from_str(&text)?;
//! assert_eq!(&*copy.children.borrow()[0].name, "leaf");
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! # Graphs
//!
//! In that way an object is written once for each handle that leads to it, and comes back as so many objects. **A cycle has no end**, and overflows the stack or, with a lock in it, blocks for ever; a chain of many thousand
//! objects overflows the stack, too. So graphs are written as lists of their nodes, with numbers in the place of handles. Objects never move, so the address of an object is good for telling it from others for as long as
//! somebody has a handle to it:
//!
//! ```
//! use graphgc::{Gc, GcRefCell, Trace};
//! use serde::{Deserialize, Serialize};
//! use std::collections::HashMap;
//!
//! #[derive(Trace)]
//! struct Person { name: String, friends: GcRefCell<Vec<Gc<Person>>> }
//!
//! /// The same with numbers in the place of handles.
//! #[derive(Serialize, Deserialize)]
//! struct Record { name: String, friends: Vec<usize> }
//!
//! /// All that `first` leads to, itself first.
//! fn to_records(first: &Gc<Person>) -> Vec<Record> {
//!     let mut found = vec![first.clone()];
//!     let mut numbers = HashMap::from([(Gc::as_ptr(first), 0)]);
//!     let mut records = Vec::new();
//!     while let Some(person) = found.get(records.len()).cloned() {
//!         let mut number_of = |friend: &Gc<Person>| {
//!             *numbers.entry(Gc::as_ptr(friend)).or_insert_with(|| {
//!                 found.push(friend.clone());
//!                 found.len() - 1
//!             })
//!         };
//!         let friends = person.friends.borrow().iter().map(&mut number_of).collect();
//!         records.push(Record { name: person.name.clone(), friends });
//!     }
//!     records
//! }
//!
//! /// Makes all objects without their edges, then the edges. `None` if a record speaks of one that is not there.
//! fn from_records(records: Vec<Record>) -> Option<Gc<Person>> {
//!     let mut people = Vec::new();
//!     let mut friends_of = Vec::new();
//!     for Record { name, friends } in records {
//!         people.push(Gc::new(Person { name, friends: GcRefCell::default() }));
//!         friends_of.push(friends);
//!     }
//!     for (person, friends) in people.iter().zip(friends_of) {
//!         let friends: Option<Vec<_>> = friends.into_iter().map(|number| people.get(number).cloned()).collect();
//!         *person.friends.borrow_mut() = friends?;
//!     }
//!     people.into_iter().next()
//! }
//!
//! let ann = Gc::new(Person { name: "Ann".into(), friends: GcRefCell::default() });
//! let bob = Gc::new(Person { name: "Bob".into(), friends: vec![ann.clone()].into() });
//! ann.friends.borrow_mut().push(bob);
//! let text = serde_json::to_string(&to_records(&ann))?;
//! assert_eq!(text, r#"[{"name":"Ann","friends":[1]},{"name":"Bob","friends":[0]}]"#);
//!
//! let ann = from_records(serde_json::from_str(&text)?).expect("well-formed");
//! let bob = ann.friends.borrow()[0].clone();
//! assert_eq!(bob.name, "Bob");
//! assert!(Gc::ptr_eq(&bob.friends.borrow()[0], &ann));
//! # Ok::<(), serde_json::Error>(())
//! ```

use crate::{
    Edge, Element, Gc, GcCell, GcMap, GcMutex, GcOnceCell, GcRefCell, GcRwLock, GcSet, GcVec, MapKey, Thin, Trace,
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
    ser::Error,
};
use std::{
    fmt,
    hash::{BuildHasher, Hash},
    marker::PhantomData,
};

impl<T: Serialize + ?Sized> Serialize for Gc<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<T: Serialize + ?Sized> Serialize for Thin<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<P: Edge + Serialize> Serialize for GcCell<P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(serializer)
    }
}

impl<T: Trace + Serialize> Serialize for GcRefCell<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.try_borrow().map_err(Error::custom)?.serialize(serializer)
    }
}

impl<T: Trace + Serialize> Serialize for GcMutex<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.lock().serialize(serializer)
    }
}

impl<T: Trace + Serialize> Serialize for GcRwLock<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.read().serialize(serializer)
    }
}

impl<T: Trace + Serialize> Serialize for GcOnceCell<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(serializer)
    }
}

impl<P: Element + Serialize> Serialize for GcVec<P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.read().serialize(serializer)
    }
}

impl<P: Element + Serialize, H> Serialize for GcSet<P, H> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.read())
    }
}

impl<K: MapKey + Serialize, P: Element + Serialize, H> Serialize for GcMap<K, P, H> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(&self.read())
    }
}

/// Deserialized as something else, and made from that.
macro_rules! deserialized {
    ($({$($generics:tt)*} $ty:ty: $from:ty => $make:expr),+ $(,)?) => { $(
        impl<'de, $($generics)*> Deserialize<'de> for $ty {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <$from>::deserialize(deserializer).map($make)
            }
        }
    )+ };
}

deserialized! {
    {T: Trace + Deserialize<'de>} Gc<T>: T => Gc::new,
    {T: Trace + Deserialize<'de>} Gc<[T]>: Vec<T> => Gc::from,
    {} Gc<str>: String => Gc::from,
    {P: Edge + Deserialize<'de>} GcCell<P>: P => GcCell::new,
    {T: Deserialize<'de>} GcRefCell<T>: T => GcRefCell::new,
    {T: Deserialize<'de>} GcMutex<T>: T => GcMutex::new,
    {T: Deserialize<'de>} GcRwLock<T>: T => GcRwLock::new,
    {T: Deserialize<'de>} GcOnceCell<T>: Option<T> => |content| content.map_or_else(GcOnceCell::new, GcOnceCell::from),
    {P: Element + Deserialize<'de>} GcVec<P>: Vec<P> => GcVec::from,
    {P: Element + Deserialize<'de> + Hash + Eq, H: BuildHasher + Default} GcSet<P, H>: Vec<P> => GcSet::from_iter,
}

impl<'de, T: ?Sized> Deserialize<'de> for Thin<T>
where
    Gc<T>: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Gc::deserialize(deserializer).map(Thin::from)
    }
}

/// Puts entries into a map as they come.
struct Entries<K, P, H>(PhantomData<(K, P, H)>);

impl<'de, K, P, H> Visitor<'de> for Entries<K, P, H>
where
    K: MapKey + Deserialize<'de> + Hash + Eq,
    P: Element + Deserialize<'de>,
    H: BuildHasher + Default,
{
    type Value = GcMap<K, P, H>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let map = GcMap::default();
        while let Some((key, edge)) = entries.next_entry()? {
            map.insert(key, edge);
        }
        Ok(map)
    }
}

impl<'de, K, P, H> Deserialize<'de> for GcMap<K, P, H>
where
    K: MapKey + Deserialize<'de> + Hash + Eq,
    P: Element + Deserialize<'de>,
    H: BuildHasher + Default,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries(PhantomData))
    }
}
