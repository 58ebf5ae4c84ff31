use graphgc::Trace;
use std::rc::Rc;

#[derive(Trace)]
struct Node {
    name: String,
    shared: Rc<String>,
}

fn main() {}
