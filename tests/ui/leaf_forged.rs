//! What is `Send` only by the word of its author, who need not write `unsafe` for it.

use graphgc::{__private::LeafField, Trace};
use std::rc::Rc;

struct Mine(Rc<u8>);

impl LeafField for Mine {}

#[derive(Trace)]
struct Owner(#[trace(leaf)] Mine);

fn main() {}
