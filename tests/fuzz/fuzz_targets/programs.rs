//! A program on one thread, against plain reachability. `ORACLE_PRINT=1` prints it first.

#![no_main]

use graphgc_tests::program::{Mode, shrink::Raw};
use libfuzzer_sys::fuzz_target;
use std::sync::Once;

fuzz_target!(|bytes: &[u8]| {
    static CONFIGURED: Once = Once::new();
    let case = Raw::from_bytes(Mode::Single, bytes).decode();
    CONFIGURED.call_once(|| case.configure());
    if std::env::var_os("ORACLE_PRINT").is_some() {
        eprintln!("{case}");
    }
    case.run();
});
