//! A method of the user's own in the place of the one that tells whether a field may be dropped on any thread.

use graphgc::{
    __private::{AllowsSkipping, IsSend, Probe},
    Trace,
};
use std::rc::Rc;

struct MyVerdict;

impl<Field> AllowsSkipping<Field> for MyVerdict {}

trait Forges {
    fn verdict(self) -> MyVerdict;
}

impl Forges for &&&Probe<Rc<u8>> {
    fn verdict(self) -> MyVerdict {
        MyVerdict
    }
}

#[derive(Trace)]
struct Shared {
    #[trace(skip)]
    shared: Rc<u8>,
}

mod lies_about_send {
    use super::*;

    trait Lies {
        fn verdict(self) -> IsSend<Rc<u16>>;
    }
}

fn main() {}
