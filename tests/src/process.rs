//! Questions to the operating system, and waiting for what must come.

use std::{
    io::Read,
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// The greatest resident memory of this process so far, in bytes; `None` where the system does not say.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    kilobytes(&status, "VmHWM:").map(|kilobytes| kilobytes << 10)
}

/// The address space that this process has mapped, in bytes; `None` where the system does not say.
pub fn mapped_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    kilobytes(&status, "VmSize:").map(|kilobytes| kilobytes << 10)
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
    test_alone(test, variables).output().expect("the test binary can be started")
}

fn test_alone(test: &str, variables: &[(&str, &str)]) -> Command {
    let binary = std::env::current_exe().expect("the test binary has a path");
    let mut command = Command::new(binary);
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, "1");
    // What it says at the end is to be what went wrong.
    command.env("RUST_BACKTRACE", "0");
    command.envs(variables.iter().copied());
    command
}

/// How a test in a process of its own has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Whether it ran and passed.
    pub passed: bool,
    /// What it said, and how it ended if not well.
    pub output: String,
}

/// As [`run_test_alone`], but ends the process if it takes longer than `limit`.
///
/// # Panics
/// If the process cannot be started.
pub fn run_test_within(test: &str, variables: &[(&str, &str)], limit: Duration) -> Ended {
    let mut command = test_alone(test, variables);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the test binary can be started");
    let (out, err) = (child.stdout.take().map(read_all), child.stderr.take().map(read_all));
    let status = wait_within(&mut child, limit);
    let text = [out, err].into_iter().flatten().map(|reader| reader.join().expect("a reader does not panic"));
    let output: String = text.collect();
    let how = status.map_or_else(|| format!("not ended after {limit:?}"), |status| status.to_string());
    let passed = status.is_some_and(|status| status.success()) && output.contains("1 passed");
    Ended { passed, output: if passed { output } else { format!("{output}{how}\n") } }
}

/// Runs one test of this binary in a process of its own, with these variables set, whose standard error nobody reads any more: to write to it is
/// an error. How it has ended; `None` if it had not within `limit`.
///
/// # Panics
/// If the process cannot be started.
pub fn run_test_unheard(test: &str, variables: &[(&str, &str)], limit: Duration) -> Option<ExitStatus> {
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    drop(reader);
    let mut command = test_alone(test, variables);
    let child = command.stdout(Stdio::null()).stderr(writer).spawn();
    wait_within(&mut child.expect("the test binary can be started"), limit)
}

/// Waits for a child; ends it if it takes longer than `limit`.
fn wait_within(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + limit;
    loop {
        match child.try_wait().expect("a child can be waited for") {
            Some(status) => return Some(status),
            None if Instant::now() > end => {
                child.kill().expect("a child can be ended");
                child.wait().expect("a child can be waited for");
                return None;
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// Reads on a thread of its own, so that the writer never waits.
fn read_all(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error is still worth reading.
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
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
