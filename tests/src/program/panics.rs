//! Panics in code of the program, at the worst moments.

use super::{
    content::{Change, Content, Shape},
    lock::Lockable,
    machine::Machine,
    node::Family,
    op::{Many, Panics, Route},
};
use graphgc::Gc;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// The payload of the panics that programs want.
pub(super) struct Wanted;

/// Runs `body`, which panics quietly in the end.
fn panics(body: impl FnOnce()) {
    let panic = catch_unwind(AssertUnwindSafe(body)).expect_err("the program wants to panic");
    if !panic.is::<Wanted>() {
        resume_unwind(panic);
    }
}

pub(super) fn panic_quietly<T>() -> T {
    resume_unwind(Box::new(Wanted))
}

impl<F: Family> Machine<F> {
    pub(super) fn panic(&mut self, place: Panics, many: Many) {
        let mut handles = self.pick_many(many);
        match place {
            Panics::Constructor => panics(|| {
                let inside = handles.pop().map(Gc::new);
                drop(Gc::new((handles, inside, panic_quietly::<u32>())));
            }),
            Panics::Collect => panics(|| {
                let count = handles.len();
                let copies = handles.iter().chain([]).cloned().enumerate();
                let half: Vec<_> =
                    copies.map(|(number, it)| if number + 1 == count { panic_quietly() } else { it }).collect();
                drop(half);
                panic_quietly::<()>();
            }),
            Panics::Map => {
                let cell = F::Cell::from(Content::new(Shape::Deque, handles));
                panics(|| {
                    let _ = cell.change_part(|_| panic_quietly::<Option<&mut u32>>(), |_| ());
                });
                assert!(cell.change(Route::Try, |_| ()).is_some(), "a panic gives the guard up");
            }
            Panics::OnStack => {
                let cell = F::Cell::from(Content::new(Shape::Heap, Vec::new()));
                panics(|| {
                    cell.change(Route::Guard, |content| {
                        drop(content.apply(Change::Add, handles));
                        panic_quietly::<()>();
                    });
                });
                let elements = cell.into_content().into_elements();
                self.receive(elements);
            }
        }
    }
}
