//! Settings: by environment variables and by code, before the first use and after. Every test is a process of its own.

use graphgc::{Config, ConfigError, Gc, collect, stats};
use graphgc_tests::{
    heap::garbage,
    process::{alone, is_child, run_test_alone, threads, wait_until},
};
use std::time::Duration;

/// Uses the collector in whatever way the child's variables say; run on its own it only shows that the defaults work.
#[test]
fn first_use() {
    let object = Gc::new(17);
    assert_eq!(*object, 17);
}

#[test]
fn first_use_by_collect() {
    collect();
}

#[test]
fn invalid_variables_are_named_with_what_is_allowed() {
    if is_child() {
        return;
    }
    let cases = [
        ("GRAPHGC_GROWTH", "fast", "a percentage from 10 to 10000"),
        ("GRAPHGC_GROWTH", "9", "a percentage from 10 to 10000"),
        ("GRAPHGC_GROWTH", "10001", "a percentage from 10 to 10000"),
        ("GRAPHGC_GROWTH", "", "a percentage from 10 to 10000"),
        ("GRAPHGC_MIN_HEAP", "63K", "at least 64K"),
        ("GRAPHGC_MIN_HEAP", "1.5M", "at least 64K"),
        ("GRAPHGC_MIN_HEAP", "K", "at least 64K"),
        ("GRAPHGC_MIN_HEAP", "18446744073709551615G", "at least 64K"),
        ("GRAPHGC_MEMORY_LIMIT", "-1", "`none` or a number of bytes"),
        ("GRAPHGC_MEMORY_LIMIT", "1K", "at least 1M"),
        ("GRAPHGC_MEMORY_LIMIT", "Ä", "at least 1M"),
        ("GRAPHGC_PERIOD", "0", "`none` or a number of seconds"),
        ("GRAPHGC_PERIOD", "inf", "0.01 to 1000000"),
        ("GRAPHGC_PERIOD", "2 minutes", "0.01 to 1000000"),
        ("GRAPHGC_WORKERS", "0", "threads from 1 to 64"),
        ("GRAPHGC_WORKERS", "65", "threads from 1 to 64"),
        ("GRAPHGC_LARGE_PAGES", "2", "0 or 1"),
        ("GRAPHGC_CHECKMARK", "on", "0 or 1"),
        ("GRAPHGC_CHECKMARK", "", "0 or 1"),
    ];
    for (name, value, allowed) in cases {
        for test in ["first_use", "first_use_by_collect"] {
            let output = run_test_alone(test, &[(name, value)]);
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(!output.status.success(), "{name}={value} is accepted");
            let complaint = said.lines().find(|line| line.contains("must be")).unwrap_or_default();
            for part in [name, value, allowed] {
                assert!(complaint.contains(part), "{name}={value}: `{part}` is missing in `{complaint}`");
            }
        }
    }
}

#[test]
fn valid_variables_are_accepted() {
    if is_child() {
        return;
    }
    let cases = [
        ("GRAPHGC_GROWTH", "10"),
        ("GRAPHGC_GROWTH", " 10000 "),
        ("GRAPHGC_MIN_HEAP", "64K"),
        ("GRAPHGC_MIN_HEAP", "1g"),
        ("GRAPHGC_MEMORY_LIMIT", "none"),
        ("GRAPHGC_MEMORY_LIMIT", "1048576"),
        ("GRAPHGC_PERIOD", "0.01"),
        ("GRAPHGC_PERIOD", "none"),
        ("GRAPHGC_WORKERS", "64"),
        ("GRAPHGC_LARGE_PAGES", "0"),
        ("GRAPHGC_CHECKMARK", "0"),
        ("GRAPHGC_CHECKMARK", "1"),
    ];
    for (name, value) in cases {
        let output = run_test_alone("first_use", &[(name, value)]);
        assert!(output.status.success(), "{name}={value}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn invalid_variable_fails_again_at_the_second_use() {
    alone("invalid_variable_fails_again_at_the_second_use", &[("GRAPHGC_GROWTH", "x")], || {
        for _ in 0..2 {
            let panic = std::panic::catch_unwind(|| Gc::new(1)).expect_err("the variable is invalid");
            assert!(panic.downcast_ref::<String>().unwrap().contains("GRAPHGC_GROWTH"));
        }
        let other_thread = std::thread::spawn(|| Gc::new(1)).join();
        assert!(other_thread.is_err());
    });
}

#[test]
fn install_reports_an_invalid_variable() {
    alone("install_reports_an_invalid_variable", &[("GRAPHGC_WORKERS", "many")], || {
        let error = Config::new().workers(2).install().unwrap_err();
        assert!(matches!(error, ConfigError::Invalid { name: "GRAPHGC_WORKERS", .. }), "{error}");
        assert!(error.to_string().contains("`many`"), "{error}");
    });
}

fn cycles_while_allocating(bytes: usize) -> u64 {
    let before = stats().cycles;
    for _ in 0..bytes / 1024 {
        garbage([0u64; 126]);
    }
    // One more, so that all that were asked for have run.
    collect();
    stats().cycles - before - 2
}

#[test]
fn minimum_heap_by_variable_takes_effect() {
    alone("minimum_heap_by_variable_takes_effect", &[("GRAPHGC_MIN_HEAP", "256M")], || {
        assert_eq!(cycles_while_allocating(64 << 20), 0);
    });
}

#[test]
fn small_minimum_heap_takes_effect() {
    alone("small_minimum_heap_takes_effect", &[("GRAPHGC_MIN_HEAP", "64K")], || {
        assert!(cycles_while_allocating(64 << 20) >= 5);
    });
}

#[test]
fn code_wins_over_variables() {
    alone("code_wins_over_variables", &[("GRAPHGC_MIN_HEAP", "64K")], || {
        Config::new().min_heap(256 << 20).install().unwrap();
        assert_eq!(cycles_while_allocating(64 << 20), 0);
    });
}

#[test]
fn workers_take_effect() {
    alone("workers_take_effect", &[("GRAPHGC_WORKERS", "3")], || {
        let _object = Gc::new(1);
        let marking = || threads().iter().filter(|thread| ["graphgc", "graphgc-mark"].contains(&&*thread.name)).count();
        // A thread that has just been started takes a moment to give itself its name.
        wait_until("three threads mark", || marking() == 3 || threads().is_empty());
    });
}

#[test]
fn memory_limit_makes_cycles_come_sooner() {
    alone(
        "memory_limit_makes_cycles_come_sooner",
        &[("GRAPHGC_MEMORY_LIMIT", "24M"), ("GRAPHGC_GROWTH", "1000")],
        || {
            let living: Vec<_> = (0..16 << 10).map(|number| Gc::new([number; 126])).collect();
            for _ in 0..100_000 {
                garbage([0u64; 126]);
                assert!(stats().live_bytes < 64 << 20, "{:?}", stats());
            }
            assert!(living.iter().enumerate().all(|(number, it)| it[125] == number as u64));
        },
    );
}

#[test]
fn the_last_install_before_the_first_object_counts_and_none_after() {
    alone("the_last_install_before_the_first_object_counts_and_none_after", &[], || {
        Config::new().min_heap(64 << 10).install().unwrap();
        Config::new().min_heap(256 << 20).install().unwrap();
        assert_eq!(cycles_while_allocating(32 << 20), 0);
        let error = Config::new().install().unwrap_err();
        assert_eq!(error, ConfigError::TooLate);
        assert!(error.to_string().contains("before the first"), "{error}");
    });
}

#[test]
fn invalid_values_in_code_are_refused_and_leave_what_was_installed() {
    alone("invalid_values_in_code_are_refused_and_leave_what_was_installed", &[], || {
        Config::new().min_heap(256 << 20).install().unwrap();
        let refused = [
            (Config::new().growth(9), "growth"),
            (Config::new().growth(10_001), "growth"),
            (Config::new().min_heap(1), "min_heap"),
            (Config::new().memory_limit(Some(1)), "memory_limit"),
            (Config::new().period(Duration::ZERO), "period"),
            (Config::new().period(Duration::from_secs(1_000_001)), "period"),
            (Config::new().workers(0), "workers"),
            (Config::new().workers(65), "workers"),
        ];
        for (config, setting) in refused {
            match config.install() {
                Err(ConfigError::Invalid { name, .. }) => assert_eq!(name, setting),
                other => panic!("{setting}: {other:?}"),
            }
        }
        assert_eq!(cycles_while_allocating(32 << 20), 0);
    });
}
