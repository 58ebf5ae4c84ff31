//! One run as a process, and what the system says it took.

use graphgc_benches::report::Report;
use std::{
    io::{self, Read},
    mem::zeroed,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::Instant,
};

/// What one run took.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Seconds from start to end.
    pub(super) wall: f64,
    /// Seconds of all its threads, in user and system mode.
    pub(super) cpu: f64,
    /// Greatest resident memory, in bytes.
    pub(super) peak: f64,
    pub(super) report: Report,
}

/// How a run ended.
pub(super) enum Fate {
    Finished(Sample),
    Out(String),
}

/// Runs a command line, on one core if asked to, with at most that many seconds of CPU.
pub(super) fn run(words: &[String], one_core: bool, limit: u64) -> Result<Fate, String> {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdout(Stdio::piped()).stderr(Stdio::null());
    // SAFETY: between fork and exec the closure makes system calls only.
    unsafe { command.pre_exec(move || restrict(one_core, limit)) };
    let begun = Instant::now();
    let mut child = command.spawn().map_err(|error| format!("{}: {error}", words[0]))?;
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).map_err(|error| error.to_string())?;
    let (status, usage) = wait(&child).map_err(|error| error.to_string())?;
    let wall = begun.elapsed().as_secs_f64();
    let cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    if libc::WIFSIGNALED(status) {
        let signal = libc::WTERMSIG(status);
        let too_slow = cpu >= limit as f64 && [libc::SIGXCPU, libc::SIGKILL].contains(&signal);
        return Ok(Fate::Out(if too_slow { format!("over {limit} s") } else { format!("died of signal {signal}") }));
    }
    if libc::WEXITSTATUS(status) != 0 {
        return Ok(Fate::Out(format!("exit status {}", libc::WEXITSTATUS(status))));
    }
    let report = Report::parse(&text)?;
    // Linux counts in kilobytes, macOS in bytes.
    let unit = if cfg!(target_os = "macos") { 1.0 } else { 1024.0 };
    Ok(Fate::Finished(Sample { wall, cpu, peak: usage.ru_maxrss as f64 * unit, report }))
}

fn restrict(one_core: bool, limit: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: limit as libc::rlim_t, rlim_max: limit as libc::rlim_t + 1 };
    // SAFETY: the limit is initialised.
    if unsafe { libc::setrlimit(libc::RLIMIT_CPU, &limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if one_core { stay_on_one_core() } else { Ok(()) }
}

#[cfg(target_os = "linux")]
fn stay_on_one_core() -> io::Result<()> {
    // SAFETY: all-zero is an empty set.
    let mut set: libc::cpu_set_t = unsafe { zeroed() };
    // SAFETY: the set is as large as it says.
    if unsafe { libc::sched_getaffinity(0, size_of_val(&set), &mut set) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the index is within the set.
    let first = (0..libc::CPU_SETSIZE as usize).find(|core| unsafe { libc::CPU_ISSET(*core, &set) }).unwrap_or(0);
    // SAFETY: as above.
    unsafe {
        libc::CPU_ZERO(&mut set);
        libc::CPU_SET(first, &mut set);
    }
    // SAFETY: the set is initialised.
    match unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Elsewhere such programs run on all cores.
#[cfg(not(target_os = "linux"))]
fn stay_on_one_core() -> io::Result<()> {
    Ok(())
}

fn wait(child: &Child) -> io::Result<(i32, libc::rusage)> {
    let mut status = 0;
    // SAFETY: all-zero is a value of that plain struct.
    let mut usage: libc::rusage = unsafe { zeroed() };
    loop {
        // SAFETY: a child of ours that nobody has waited for; both places are writable.
        if unsafe { libc::wait4(child.id() as libc::pid_t, &mut status, 0, &mut usage) } >= 0 {
            return Ok((status, usage));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

fn seconds(time: libc::timeval) -> f64 {
    time.tv_sec as f64 + time.tv_usec as f64 * 1e-6
}
