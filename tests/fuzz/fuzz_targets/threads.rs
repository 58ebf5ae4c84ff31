//! Programs on two to eight threads that share one graph, against plain reachability. `ORACLE_PRINT=1` prints them first.

#![no_main]

use graphgc_tests::program::{Mode, shrink::Raw};
use libfuzzer_sys::fuzz_target;
use std::sync::Once;

fuzz_target!(|bytes: &[u8]| {
    static CONFIGURED: Once = Once::new();
    let case = Raw::from_bytes(Mode::Threads, bytes).decode();
    CONFIGURED.call_once(|| case.configure());
    if std::env::var_os("ORACLE_PRINT").is_some() {
        eprintln!("{case}");
    }
    case.run();
});
