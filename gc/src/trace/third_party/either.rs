//! `either`.

use crate::trace::{
    NoHandles, Trace, Tracer, facts,
    impls::{compounds::enums, drop_part, sized, trace_part},
};
use either::Either;

enums! { Either<L, R>: facts::Either<L::Info, R::Info> { Left, Right } }
