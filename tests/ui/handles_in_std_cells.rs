use graphgc::{Gc, Trace};
use std::{
    cell::{Cell, OnceCell, RefCell},
    sync::{Mutex, RwLock},
};

#[derive(Trace)]
struct InRefCell {
    next: RefCell<Gc<u8>>,
}

#[derive(Trace)]
struct InCell {
    next: Cell<Option<Gc<u8>>>,
}

#[derive(Trace)]
struct InMutex(Mutex<Gc<u8>>);

#[derive(Trace)]
struct InRwLock(RwLock<Vec<Gc<u8>>>);

#[derive(Trace)]
struct InOnceCell(OnceCell<Gc<u8>>);

fn main() {}
