//! `GRAPHGC_CHECKMARK`: quiet where the marker is right, and the end of the process where it missed an object. (The oracles and the tests with many
//! threads run under it, too.)

use graphgc::{Config, Gc, GcCell, GcRefCell, Outcome, Trace, collect};
use graphgc_tests::process::alone;

#[derive(Trace)]
struct Node {
    next: GcCell<Option<Gc<Node>>>,
    below: Option<Gc<Node>>,
}

fn node(next: Option<Gc<Node>>, below: Option<Gc<Node>>) -> Gc<Node> {
    Gc::new(Node { next: next.into(), below })
}

/// A long way for the marker: its last node is the first one made.
fn chain(last: Gc<Node>) -> Gc<Node> {
    (0..300_000).fold(last, |below, _| node(None, Some(below)))
}

fn last_of(mut node: &Gc<Node>) -> &Gc<Node> {
    while let Some(below) = &node.below {
        node = below;
    }
    node
}

#[test]
fn open_cells_and_garbage_are_no_cause_for_alarm() {
    alone("open_cells_and_garbage_are_no_cause_for_alarm", &[], || {
        Config::new().checkmark(true).install().unwrap();
        let open = Gc::new(GcRefCell::new(vec![node(None, None)]));
        let leaked = Gc::new(GcRefCell::new(vec![chain(node(None, None))]));
        std::mem::forget(leaked.borrow_mut());
        let mut writing = open.borrow_mut();
        writing.push(node(None, None));
        let taken = writing.pop();
        drop(chain(node(None, None)));
        assert_eq!(collect().outcome, Outcome::Settled);
        drop(writing);
        assert_eq!(collect().outcome, Outcome::Settled);
        assert!(taken.is_some_and(|taken| taken.below.is_none()) && open.borrow().len() == 1);
    });
}

/// While the marker is far away, hides a node that it has not seen behind one that is black, again and again.
#[cfg(debug_assertions)]
fn hide_nodes_from_the_marker() {
    hide_from_the_marker(|last, kept| kept.push(node(last.next.take(), None)));
}

/// While the marker is far away, has `hide` take the node away that the last one leads to, which it has not seen, again and again.
#[cfg(debug_assertions)]
fn hide_from_the_marker(hide: impl Fn(&Node, &mut Vec<Gc<Node>>)) {
    use graphgc::testing::{forget_to_shade, is_marking, request_cycle};
    let head = chain(node(None, None));
    let last = last_of(&head);
    let mut kept = Vec::new();
    for _ in 0..100 {
        last.next.set(Some(node(None, Some(node(None, None)))));
        collect();
        request_cycle();
        while !is_marking() {
            std::thread::yield_now();
        }
        forget_to_shade(true);
        hide(last, &mut kept);
        forget_to_shade(false);
        collect();
    }
}

#[cfg(debug_assertions)]
#[test]
fn a_missed_object_ends_the_process_with_a_report() {
    use graphgc_tests::process::{is_child, run_test_alone};
    const NAME: &str = "a_missed_object_ends_the_process_with_a_report";
    if is_child() {
        return hide_nodes_from_the_marker();
    }
    let output = run_test_alone(NAME, &[("GRAPHGC_CHECKMARK", "1")]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && !said.contains("panicked"), "{}\n{said}", output.status);
    #[cfg(unix)]
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(6), "aborted: {said}");
    assert!(said.contains("checkmark: the marker missed 2 of"), "{said}");
    let missed = said.lines().find(|line| line.contains("missed: ")).expect("the missed node is named");
    assert!(missed.contains("checkmark::Node at 0x") && missed.contains("not marked, root count 0"), "{said}");
    let holder = said.lines().find(|line| line.contains("held by ")).expect("its holder is named");
    assert!(holder.contains("checkmark::Node at 0x") && holder.contains(" marked, root count 1"), "{said}");
}

/// The same with handles that are got, not taken: their counts wait.
#[cfg(debug_assertions)]
#[test]
fn a_missed_object_that_is_merely_noted_ends_the_process() {
    use graphgc_tests::process::{is_child, run_test_alone};
    const NAME: &str = "a_missed_object_that_is_merely_noted_ends_the_process";
    if is_child() {
        return hide_from_the_marker(|last, kept| {
            kept.extend(last.next.get());
            last.next.set(None);
        });
    }
    let output = run_test_alone(NAME, &[("GRAPHGC_CHECKMARK", "1")]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && !said.contains("panicked"), "{}\n{said}", output.status);
    assert!(said.contains("checkmark: the marker missed 2 of"), "{said}");
    assert!(said.contains("not marked, root count 1"), "{said}");
}

/// The report is lost, but the process ends all the same.
#[cfg(debug_assertions)]
#[test]
fn a_missed_object_ends_the_process_though_nobody_hears_of_it() {
    use graphgc_tests::process::{is_child, run_test_unheard};
    const NAME: &str = "a_missed_object_ends_the_process_though_nobody_hears_of_it";
    if is_child() {
        // What a panic on the way would come to.
        std::panic::set_hook(Box::new(|_| std::process::exit(0)));
        return hide_nodes_from_the_marker();
    }
    let status = run_test_unheard(NAME, &[("GRAPHGC_CHECKMARK", "1")], std::time::Duration::from_secs(60));
    let status = status.expect("it ends");
    assert!(!status.success());
    #[cfg(unix)]
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(6), "aborted: {status}");
}
