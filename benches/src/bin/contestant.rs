//! One contestant in one program, with the system's allocator. `compare` starts it.

use std::process::ExitCode;

fn main() -> ExitCode {
    graphgc_benches::run_contestant("")
}
