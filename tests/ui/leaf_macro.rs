//! `leaf!` for what is not `Send`, for several fields, for handles that it would hide in a lifetime.

use graphgc::leaf;
use std::rc::Rc;

struct Mine(Rc<u8>);

leaf!(Mine);

leaf! { pub struct Wrapper(pub Rc<u8>); }

leaf! { pub struct Named { field: u8 } }

leaf! { pub struct Pair(u8, u8); }

leaf! { pub struct Borrowed<'a>(&'a str); }

fn main() {}
