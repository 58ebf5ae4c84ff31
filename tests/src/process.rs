//! Questions to the operating system, and waiting for what must come.

use std::{
    process::{Command, Output},
    time::{Duration, Instant},
};

/// The greatest resident memory of this process so far, in bytes; `None` where the system does not say.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    kilobytes(&status, "VmHWM:").map(|kilobytes| kilobytes << 10)
}

fn kilobytes(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// A thread of this process: its name and how often it has gone to sleep, as the system counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ThreadStatus {
    /// Its name, which the system may have cut short.
    pub name: String,
    /// How often it has given up its core of its own will.
    pub sleeps: u64,
}

/// The threads of this process; empty where the system does not say.
pub fn threads() -> Vec<ThreadStatus> {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return Vec::new() };
    let read = |task: std::fs::DirEntry| {
        let status = std::fs::read_to_string(task.path().join("status")).ok()?;
        let name = status.lines().find_map(|line| line.strip_prefix("Name:"))?.trim().to_string();
        Some(ThreadStatus { name, sleeps: kilobytes(&status, "voluntary_ctxt_switches:")? })
    };
    tasks.flatten().filter_map(read).collect()
}

/// Waits until `condition` holds.
///
/// # Panics
/// If it does not within a minute.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Set in a child that was started by [`run_test_alone`].
const CHILD: &str = "GRAPHGC_TEST_CHILD";

/// Whether this process was started by [`run_test_alone`].
pub fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs one test of this binary in a process of its own, with these variables set.
///
/// # Panics
/// If the process cannot be started.
pub fn run_test_alone(test: &str, variables: &[(&str, &str)]) -> Output {
    let binary = std::env::current_exe().expect("the test binary has a path");
    let mut command = Command::new(binary);
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, "1");
    command.envs(variables.iter().copied()).output().expect("the test binary can be started")
}

/// The body of a test that needs a process for itself: runs `body` in a child, with these variables set, and fails if the child
/// does.
///
/// # Panics
/// If the child fails.
#[track_caller]
pub fn alone(test: &str, variables: &[(&str, &str)], body: impl FnOnce()) {
    if is_child() {
        return body();
    }
    let output = run_test_alone(test, variables);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{test}: {}\n{out}\n{err}", output.status);
}
