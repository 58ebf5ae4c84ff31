//! Std's cells, as leaves: only with content that holds no handles, since the collector cannot look into them while a
//! program writes. With handles inside, the cells of this crate take their place.

use super::leaf;
use crate::trace::NoHandles;
use std::{
    cell::{Cell, LazyCell, OnceCell, RefCell, UnsafeCell},
    sync::{LazyLock, Mutex, OnceLock, RwLock},
};

macro_rules! cells {
    ($($name:ident),*) => { leaf! { $({T: NoHandles + Send + 'static} $name<T>),* } };
}

cells!(Cell, UnsafeCell, RefCell, OnceCell, Mutex, RwLock, OnceLock);

// The closure may capture what the value may hold.
leaf! {
    {T: NoHandles + Send + 'static, F: NoHandles + Send + 'static} LazyCell<T, F>,
    {T: NoHandles + Send + 'static, F: NoHandles + Send + 'static} LazyLock<T, F>,
}
