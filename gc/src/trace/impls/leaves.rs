//! Types without handles.

use super::{NoHandles, Trace, Tracer, leaf};
use crate::trace::SlotFacts;
use std::{
    alloc::Layout,
    any::TypeId,
    convert::Infallible,
    ffi::{CStr, CString, OsStr, OsString},
    hash::{BuildHasherDefault, DefaultHasher, RandomState},
    marker::{PhantomData, PhantomPinned},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    num::NonZero,
    ops::RangeFull,
    path::{Path, PathBuf},
    sync::{self, Barrier, Condvar, Once, atomic},
    thread::{Thread, ThreadId},
    time::{Duration, Instant, SystemTime},
};

macro_rules! plain_leaf {
    ($($ty:ty),* $(,)?) => { leaf! { $({} $ty),* } };
}

macro_rules! integers {
    ($($int:ty),*) => { plain_leaf! { $($int, NonZero<$int>),* } };
}

integers!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);
plain_leaf!(f32, f64, bool, char, (), Infallible, PhantomPinned, RangeFull, std::cmp::Ordering);
plain_leaf!(Duration, Instant, SystemTime, Layout, TypeId, ThreadId, Thread);
plain_leaf!(IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6);
plain_leaf!(RandomState, DefaultHasher, Once, Condvar, Barrier);

plain_leaf!(atomic::Ordering);
#[cfg(target_has_atomic = "8")]
plain_leaf!(atomic::AtomicBool, atomic::AtomicU8, atomic::AtomicI8);
#[cfg(target_has_atomic = "16")]
plain_leaf!(atomic::AtomicU16, atomic::AtomicI16);
#[cfg(target_has_atomic = "32")]
plain_leaf!(atomic::AtomicU32, atomic::AtomicI32);
#[cfg(target_has_atomic = "64")]
plain_leaf!(atomic::AtomicU64, atomic::AtomicI64);
#[cfg(target_has_atomic = "ptr")]
plain_leaf!(atomic::AtomicUsize, atomic::AtomicIsize);
#[cfg(target_has_atomic = "ptr")]
leaf!({T: 'static} atomic::AtomicPtr<T>);

leaf!(owned String, PathBuf, OsString, CString);
leaf!(unsized Path, OsStr, CStr);

// SAFETY: no handles and nothing to drop. In an object of its own it is a slice of bytes.
unsafe impl Trace for str {
    #[inline]
    fn slot_facts(&self) -> Option<SlotFacts> {
        Some(SlotFacts::of_slice::<u8>())
    }

    #[inline]
    fn trace(&self, _: &mut Tracer<'_>) {}

    #[inline]
    unsafe fn drop_swept(&mut self) {}
}

impl NoHandles for str {}

// A reference owns nothing, a type parameter that is only named neither.
leaf! {
    {T: ?Sized + 'static} PhantomData<T>,
    {T: ?Sized + 'static} &'static T,
    {H: 'static} BuildHasherDefault<H>,
}

leaf!({T: ?Sized + Send + Sync + 'static} sync::Weak<T>);

macro_rules! fn_pointers {
    ($($arg:ident)*) => {
        leaf! {
            {Out: 'static, $($arg: 'static),*} fn($($arg),*) -> Out,
            {Out: 'static, $($arg: 'static),*} unsafe fn($($arg),*) -> Out,
            {Out: 'static, $($arg: 'static),*} extern "C" fn($($arg),*) -> Out,
            {Out: 'static, $($arg: 'static),*} unsafe extern "C" fn($($arg),*) -> Out,
        }
    };
}

fn_pointers!();
fn_pointers!(A);
fn_pointers!(A B);
fn_pointers!(A B C);
fn_pointers!(A B C D);
fn_pointers!(A B C D E);
fn_pointers!(A B C D E F);
fn_pointers!(A B C D E F G);
fn_pointers!(A B C D E F G H);
fn_pointers!(A B C D E F G H I);
fn_pointers!(A B C D E F G H I J);
fn_pointers!(A B C D E F G H I J K);
fn_pointers!(A B C D E F G H I J K L);
