use graphgc::Trace;
use std::rc::Rc;

#[derive(Trace)]
struct LeafField {
    #[trace(leaf)]
    shared: Rc<String>,
}

#[derive(Trace)]
struct Parameter<T> {
    #[trace(leaf)]
    value: T,
}

#[derive(Trace)]
#[trace(leaf)]
struct LeafType(Rc<String>);

fn main() {}
