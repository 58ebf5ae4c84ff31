//! Guards that never end: a cell that is locked for ever must still be traced, moved, opened from outside and dropped as its
//! content asks for.

use crate::{Node, check, check_all, holder, node, node_with, ring};
use graphgc::{Gc, GcMutex, GcMutexGuard, GcRefCell, GcRwLock, GcRwLockReadGuard, GcRwLockWriteGuard, Ref, RefMut};
use graphgc_tests::sound::{assert_alive, attack, attack_once};
use std::{mem, panic::catch_unwind, thread};

/// Hopes that content that is locked for ever is not traced, so that it dies before its owner, or not dropped after it.
#[test]
fn owners_of_forgotten_guards_die_whole() {
    attack(|prey| {
        let owners = (
            holder(prey, vec![ring(prey)]),
            Gc::new((prey.leaf(), GcMutex::new(vec![ring(prey)]))),
            Gc::new((prey.leaf(), GcRwLock::new(vec![ring(prey)]))),
            Gc::new((prey.leaf(), GcRwLock::new(vec![ring(prey)]))),
        );
        prey.disturb();
        let held = Box::leak(Box::new(owners.0.cell.borrow_mut()));
        mem::forget(owners.1.1.lock());
        mem::forget(owners.2.1.write());
        mem::forget(GcRwLockWriteGuard::downgrade(owners.3.1.write()));
        prey.disturb();
        check_all(&**held);
        held.push(ring(prey));
        prey.disturb();
        check_all(&**held);
        assert!(owners.0.cell.try_borrow().is_err() && owners.1.1.try_lock().is_none());
        assert!(owners.2.1.try_read().is_none() && owners.3.1.try_write().is_none());
        check_all(&*owners.3.1.read());
    });
}

/// Hopes that a cycle through forgotten read guards is never collected, or collected while it is read.
#[test]
fn cycles_through_forgotten_read_guards() {
    attack(|prey| {
        let one = node(prey);
        one.list.write().extend([one.clone(), ring(prey)]);
        prey.disturb();
        for _ in 0..100 {
            mem::forget(one.list.read());
            mem::forget(GcRwLockReadGuard::map(one.list.read(), |list| &list[0]));
        }
        prey.disturb();
        check_all(&*one.list.read());
        assert!(one.list.try_write().is_none());
    });
}

/// Hopes that a cycle that a forgotten write guard keeps counted is swept all the same.
#[test]
fn cycles_through_forgotten_write_guards_stay() {
    attack(|prey| {
        let (one, other) = (node_with(prey.leaked()), node_with(prey.leaked()));
        one.list.write().push(other.clone());
        other.edge.set(Some(one.clone()));
        prey.disturb();
        mem::forget(one.list.write());
        drop(one);
        prey.disturb();
        assert_alive(&other.leaf);
        assert_alive(&other.edge.get().unwrap().leaf);
    });
}

/// Hopes that a cell moved into the heap while it is locked for ever is claimed although its lock says that somebody writes.
#[test]
fn locked_cells_moved_into_the_heap() {
    attack(|prey| {
        let (written, read) = (GcRefCell::new(vec![ring(prey)]), GcRefCell::new(vec![ring(prey)]));
        mem::forget(written.borrow_mut());
        mem::forget((read.borrow(), Ref::map(read.borrow(), |list| &list[0])));
        let mutex = GcMutex::new(Some(ring(prey)));
        mem::forget(GcMutexGuard::map(mutex.lock(), |content| content));
        let owner = holder(prey, (written, read, mutex));
        prey.disturb();
        check_all(&*owner.cell.borrow().1.borrow());
        assert!(owner.cell.borrow().0.try_borrow().is_err() && owner.cell.borrow().2.try_lock().is_none());
        // Whoever has `&mut` to a cell, or owns it, gets in all the same.
        let mut content = owner.cell.borrow_mut();
        check_all(&*content.0.get_mut());
        let stolen = mem::take(&mut content.1);
        let taken = content.2.get_mut().take();
        drop(content);
        prey.disturb();
        check_all(&stolen.into_inner());
        check(&taken.unwrap());
    });
}

/// Hopes that the outer cell is opened, and the inner one, locked for ever, keeps claimed handles that then leave.
#[test]
fn inner_cell_locked_for_ever_then_outer_opened() {
    attack(|prey| {
        for writes in [true, false] {
            let owner = holder(prey, vec![GcRefCell::new(vec![GcRefCell::new(vec![ring(prey)])])]);
            prey.disturb();
            {
                let outer = owner.cell.borrow();
                if writes {
                    mem::forget(outer[0].borrow_mut());
                } else {
                    mem::forget(outer[0].borrow());
                }
            }
            prey.disturb();
            let inner = owner.cell.borrow_mut().pop().unwrap();
            drop(owner);
            prey.disturb();
            let mut innermost = inner.into_inner().pop().unwrap();
            check_all(&*innermost.get_mut());
            let again = holder(prey, innermost);
            prey.disturb();
            check_all(&*again.cell.borrow().borrow());
        }
    });
}

/// Hopes that locked and unlocked cells exchanged in place mix up what is counted.
#[test]
fn locked_and_unlocked_cells_exchanged() {
    attack(|prey| {
        let owner = holder(prey, [GcRefCell::new(vec![ring(prey)]), GcRefCell::new(vec![ring(prey)])]);
        prey.disturb();
        mem::forget(owner.cell.borrow()[0].borrow_mut());
        prey.disturb();
        let mut outside = GcRefCell::new(vec![ring(prey)]);
        owner.cell.borrow_mut().swap(0, 1);
        mem::swap(&mut owner.cell.borrow_mut()[1], &mut outside);
        prey.disturb();
        check_all(&*owner.cell.borrow()[0].borrow());
        check_all(&*owner.cell.borrow()[1].borrow());
        drop(owner);
        prey.disturb();
        check_all(&*outside.get_mut());
    });
}

/// Hopes that forgotten handles, and those in forgotten containers, count for nothing.
#[test]
fn forgotten_handles_keep_alive() {
    attack(|prey| {
        let (one, other) = (node_with(prey.leaked()), node_with(prey.leaked()));
        one.edge.set(Some(other.clone()));
        let looks: &'static Gc<Node> = Box::leak(Box::new(one.clone()));
        mem::forget(vec![other]);
        mem::forget(holder(prey, 0).cell.borrow_mut());
        drop(one);
        prey.disturb();
        check(looks);
        looks.edge.set(None);
        prey.disturb();
        check(looks);
    });
}

/// Hopes that a thread that ends with a lock held takes the content with it.
#[test]
fn threads_end_with_locks_held() {
    attack(|prey| {
        let owner = node(prey);
        owner.list.write().push(ring(prey));
        prey.disturb();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut guard = owner.list.write();
                guard.push(ring(prey));
                mem::forget(guard);
            });
        });
        prey.disturb();
        assert!(owner.list.try_read().is_none() && owner.list.try_write().is_none());
    });
}

/// Hopes that so many read guards are forgotten that their number wraps and a writer gets in beside the readers.
#[test]
fn readers_beyond_number() {
    attack_once(|prey| {
        let owner = holder(prey, vec![ring(prey)]);
        let mut reads = 0u32;
        let overflow = catch_unwind(std::panic::AssertUnwindSafe(|| {
            loop {
                mem::forget(owner.cell.borrow());
                reads += 1;
            }
        }));
        let message = overflow.unwrap_err();
        assert_eq!(message.downcast_ref::<&str>(), Some(&"too many readers of one cell"));
        assert!(reads >= 1 << 24, "{reads} readers are too many already");
        assert!(owner.cell.try_borrow_mut().is_err());
        prey.disturb();
        assert!(owner.cell.try_borrow_mut().is_err(), "and the collector has not let go of their number");
    });
}

/// Hopes that a part of a cell, borrowed for ever, is gone when the cell's owner is.
#[test]
fn parts_borrowed_for_the_rest_of_the_scope() {
    attack(|prey| {
        let owner = holder(prey, vec![ring(prey), ring(prey)]);
        prey.disturb();
        let part: &mut Gc<Node> = &mut *Box::leak(Box::new(RefMut::map(owner.cell.borrow_mut(), |list| &mut list[1])));
        prey.disturb();
        let stolen = mem::replace(part, ring(prey));
        prey.disturb();
        check_all([&*part, &stolen]);
    });
}
