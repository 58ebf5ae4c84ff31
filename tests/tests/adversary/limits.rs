//! Numbers that must not wrap. (That of readers is in `leaks`.)

use graphgc::{Gc, GcMutex, collect, testing};
use graphgc_tests::{
    process::{is_child, run_test_alone},
    sound::settle,
};
use std::{
    io::pipe,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    process::{Command, ExitStatus},
};

/// More handles to one object than can be counted.
fn clone_without_end() {
    let object = Gc::new(0x1234_5678u32);
    for _ in 0..1u64 << 31 {
        mem::forget(object.clone());
    }
    drop(object);
    collect();
    println!("2^31 handles have been made");
}

fn assert_aborted(status: ExitStatus) {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        assert_eq!(status.signal(), Some(6), "aborts: {status}");
    }
    assert!(!status.success());
}

/// Hopes that 2^31 forgotten clones wrap the root count, so that a later drop frees what others hold.
#[test]
fn clones_beyond_number() {
    if is_child() {
        return clone_without_end();
    }
    let output = run_test_alone("limits::clones_beyond_number", &[]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("graphgc: too many handles to one object: 2^28"), "{error}");
    assert_aborted(output.status);
}

/// More roots at once than the collector's lists can hold while the system refuses memory.
fn exhaust_the_lists() {
    let claimed = |_| {
        let owner = Gc::new(GcMutex::new((0..10_000u32).map(Gc::new).collect::<Vec<_>>()));
        settle();
        owner
    };
    let owners: Vec<_> = (0..40).map(claimed).collect();
    testing::fault::refuse_from(1);
    for owner in &owners {
        // A panic of the crate's would not stop the attacker, who catches it and goes on.
        let _ = catch_unwind(AssertUnwindSafe(|| owner.lock().len()));
    }
    println!("400,000 roots have been logged");
}

/// Hopes that the crate's last words cannot be written, which panics where it should abort: then the attacker catches that and goes on.
#[test]
fn ends_with_nobody_listening() {
    if is_child() {
        return exhaust_the_lists();
    }
    let output = run_test_alone("limits::ends_with_nobody_listening", &[]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("graphgc: the OS refuses memory for the collector's own lists"), "{error}");
    assert_aborted(output.status);
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["limits::ends_with_nobody_listening", "--exact", "--nocapture"]).env("GRAPHGC_TEST_CHILD", "1");
    assert_aborted(command.stderr(writer).status().unwrap());
}
