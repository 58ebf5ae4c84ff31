//! One thread's side: its record, its operations, the gate that stops them, its candidate roots, its pins.

pub(crate) mod allocate;
pub(crate) mod candidates;
pub(crate) mod deferred;
pub(crate) mod gate;
pub(crate) mod holders;
pub(crate) mod newborn;
pub(crate) mod operation;
pub(crate) mod pin;
pub(crate) mod record;
pub(crate) mod root_lists;

pub(crate) use operation::Operation;
