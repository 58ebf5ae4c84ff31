use graphgc::Trace;
use std::rc::Rc;

#[derive(Trace)]
struct Shared {
    #[trace(skip)]
    shared: Rc<u8>,
}

#[derive(Trace)]
enum Pointer {
    At {
        #[trace(skip)]
        address: *const u8,
    },
}

#[derive(Trace)]
#[trace(bound = "T: 'static")]
struct Parameter<T> {
    #[trace(skip)]
    value: T,
}

fn main() {}
