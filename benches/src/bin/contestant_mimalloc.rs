//! One contestant in one program, with mimalloc as the global allocator. `compare` starts it.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    graphgc_benches::run_contestant(" + mimalloc")
}
