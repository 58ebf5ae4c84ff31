//! Settings: in code before first use, or by environment variables; wrong ones are errors, never ignored.

use crate::{mutator::holders::HeldPin, sync::lock_std};
use once_cell::sync::OnceCell;
use std::{env, fmt, io::Write, sync::Mutex, time::Duration};

/// How the collector behaves, set once before the first object is allocated.
///
/// Each setting can also be given by an environment variable, which wins over the default but not over what code sets:
///
/// | setting | variable | default | allowed |
/// | --- | --- | --- | --- |
/// | [`growth`](Config::growth) | `GRAPHGC_GROWTH` | 100 | percent, 10 to 10000 |
/// | [`min_heap`](Config::min_heap) | `GRAPHGC_MIN_HEAP` | 4 MiB | bytes, at least 64 KiB |
/// | [`memory_limit`](Config::memory_limit) | `GRAPHGC_MEMORY_LIMIT` | none | bytes, at least 1 MiB, or `none` |
/// | [`period`](Config::period) | `GRAPHGC_PERIOD` | 120 s | seconds, 0.01 to 1000000, or `none` |
/// | [`workers`](Config::workers) | `GRAPHGC_WORKERS` | 1 | threads, 1 to 64 |
/// | [`patience`](Config::patience) | `GRAPHGC_PATIENCE` | 5 s | seconds, 0.01 to 1000000, or `none` |
/// | [`pin_warning`](Config::pin_warning) | `GRAPHGC_PIN_WARNING` | none | seconds, 0.01 to 1000000, or `none` |
/// | [`large_pages`](Config::large_pages) | `GRAPHGC_LARGE_PAGES` | 1 | 0 or 1 |
/// | [`checkmark`](Config::checkmark) | `GRAPHGC_CHECKMARK` | 0 | 0 or 1 |
///
/// Bytes may carry a suffix `K`, `M` or `G` (powers of 1024).
///
/// ```
/// graphgc::Config::new().growth(150).min_heap(16 << 20).install().unwrap();
/// let _object = graphgc::Gc::new(1);
/// assert!(graphgc::Config::new().install().is_err(), "too late now");
/// ```
#[derive(Clone, Debug)]
#[must_use = "settings take effect by `install`"]
pub struct Config {
    pub(crate) growth: u32,
    pub(crate) min_heap: usize,
    pub(crate) memory_limit: Option<usize>,
    pub(crate) period: Duration,
    pub(crate) workers: usize,
    pub(crate) patience: Duration,
    pub(crate) pin_warning: PinWarning,
    pub(crate) large_pages: bool,
    pub(crate) checkmark: bool,
    given: Given,
}

/// When to warn of pins that hold a cycle up, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PinWarning {
    pub(crate) after: Duration,
    pub(crate) hook: fn(&HeldPin),
}

fn print_warning(pin: &HeldPin) {
    let name = pin.thread.as_deref().unwrap_or("without a name");
    let age = pin.age;
    // Not by `eprintln`: that panics if nobody reads the warning.
    _ = writeln!(
        std::io::stderr(),
        "graphgc: thread `{name}` has held a pin for {age:?}; no memory is freed meanwhile"
    );
}

/// Which settings code has given, so that the environment does not override them.
#[derive(Clone, Copy, Debug, Default)]
struct Given {
    growth: bool,
    min_heap: bool,
    memory_limit: bool,
    period: bool,
    workers: bool,
    patience: bool,
    pin_warning: bool,
    large_pages: bool,
    checkmark: bool,
}

/// Why settings were refused.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// The collector runs already: settings must come before the first `Gc`.
    TooLate,
    /// A value is not allowed.
    Invalid {
        /// The setting or environment variable.
        name: &'static str,
        /// What was given.
        value: String,
        /// What may be given.
        allowed: &'static str,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::TooLate => f.write_str("the collector runs already; settings must come before the first `Gc`"),
            ConfigError::Invalid { name, value, allowed } => {
                write!(f, "{name} is `{value}`, but must be {allowed}")
            }
        }
    }
}

impl std::error::Error for ConfigError {}

const GROWTH: &str = "a percentage from 10 to 10000";
const MIN_HEAP: &str = "a number of bytes, at least 64K; suffixes K, M and G are powers of 1024";
const MEMORY_LIMIT: &str = "`none` or a number of bytes, at least 1M; suffixes K, M and G are powers of 1024";
const PERIOD: &str = "`none` or a number of seconds from 0.01 to 1000000";
const PATIENCE: &str = "`none` or a number of seconds from 0.01 to 1000000";
const PIN_WARNING: &str = PATIENCE;
const WORKERS: &str = "a number of threads from 1 to 64";
const SWITCH: &str = "0 or 1";

static INSTALLED: Mutex<Option<Config>> = Mutex::new(None);
static SETTLED: OnceCell<Config> = OnceCell::new();

impl Default for Config {
    fn default() -> Self {
        Config::new()
    }
}

impl Config {
    /// The defaults.
    pub const fn new() -> Self {
        Config {
            growth: 100,
            min_heap: 4 << 20,
            memory_limit: None,
            period: Duration::from_secs(120),
            workers: 1,
            patience: Duration::from_secs(5),
            pin_warning: PinWarning { after: Duration::MAX, hook: print_warning },
            large_pages: true,
            checkmark: false,
            given: Given {
                growth: false,
                min_heap: false,
                memory_limit: false,
                period: false,
                workers: false,
                patience: false,
                pin_warning: false,
                large_pages: false,
                checkmark: false,
            },
        }
    }

    /// How far the heap grows beyond what lived after a cycle before the next one ends, in percent. More is faster
    /// and takes more memory.
    pub const fn growth(mut self, percent: u32) -> Self {
        self.growth = percent;
        self.given.growth = true;
        self
    }

    /// Bytes up to which the heap grows before the first cycle, however little lives.
    pub const fn min_heap(mut self, bytes: usize) -> Self {
        self.min_heap = bytes;
        self.given.min_heap = true;
        self
    }

    /// Bytes that the heap's objects should stay below: cycles run more often near it. It is soft: what lives is never refused.
    pub const fn memory_limit(mut self, bytes: Option<usize>) -> Self {
        self.memory_limit = bytes;
        self.given.memory_limit = true;
        self
    }

    /// The longest time without a cycle while the program allocates; [`Duration::MAX`] for no such limit.
    pub const fn period(mut self, period: Duration) -> Self {
        self.period = period;
        self.given.period = true;
        self
    }

    /// Background threads that mark.
    pub const fn workers(mut self, threads: usize) -> Self {
        self.workers = threads;
        self.given.workers = true;
        self
    }

    /// How long [`collect`](crate::collect) waits for a cycle that another thread's pin holds up; [`Duration::MAX`] for as long as it
    /// takes.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self.given.patience = true;
        self
    }

    /// After which time to warn of a pin that holds a cycle up, once for each pin, on standard error; [`Duration::MAX`] for never.
    /// [`pin_warning_hook`](Self::pin_warning_hook) changes what is done with the warning.
    pub const fn pin_warning(mut self, after: Duration) -> Self {
        self.pin_warning.after = after;
        self.given.pin_warning = true;
        self
    }

    /// What to do with the warnings of [`pin_warning`](Self::pin_warning). The hook runs on the collector's thread, which waits for it; a
    /// panic in it goes no further, [`collect`](crate::collect) in it only asks for a cycle, and [`verify`](crate::verify) panics.
    pub const fn pin_warning_hook(mut self, hook: fn(&HeldPin)) -> Self {
        self.pin_warning.hook = hook;
        self
    }

    /// Whether the operating system is asked for large pages (2 MiB; on Linux) for a heap of 16 MiB and more, which makes access to objects at random a good deal faster. The
    /// first touch of each takes the thread that needs it some 0.1 ms; longer if the system has to move memory about to find one, which
    /// `/sys/kernel/mm/transparent_hugepage/defrag` forbids or allows it. No other thread waits for that.
    pub const fn large_pages(mut self, on: bool) -> Self {
        self.large_pages = on;
        self.given.large_pages = true;
        self
    }

    /// Whether each cycle marks a second time, with the world stopped, and ends the process with a report if the concurrent marker
    /// has missed an object: a defect of this crate, or of `unsafe` code. For tests: the program stands still for as long as marking takes.
    pub const fn checkmark(mut self, on: bool) -> Self {
        self.checkmark = on;
        self.given.checkmark = true;
        self
    }

    /// Makes these the settings of the process. The last call before the first `Gc` counts.
    ///
    /// # Errors
    /// If the collector runs already, or a value (of code or of a `GRAPHGC_` variable) is not allowed.
    pub fn install(self) -> Result<(), ConfigError> {
        let mut installed = lock_std(&INSTALLED);
        if SETTLED.get().is_some() {
            return Err(ConfigError::TooLate);
        }
        let _checked = self.clone().with_environment(environment)?;
        *installed = Some(self);
        Ok(())
    }

    /// Fills in from the environment what code has not given, and checks everything.
    fn with_environment(mut self, variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        self.check()?;
        let given = self.given;
        read(&variable, "GRAPHGC_GROWTH", GROWTH, given.growth, parse_growth, &mut self.growth)?;
        read(&variable, "GRAPHGC_MIN_HEAP", MIN_HEAP, given.min_heap, parse_min_heap, &mut self.min_heap)?;
        read(&variable, "GRAPHGC_MEMORY_LIMIT", MEMORY_LIMIT, given.memory_limit, parse_limit, &mut self.memory_limit)?;
        read(&variable, "GRAPHGC_PERIOD", PERIOD, given.period, parse_period, &mut self.period)?;
        read(&variable, "GRAPHGC_WORKERS", WORKERS, given.workers, parse_workers, &mut self.workers)?;
        read(&variable, "GRAPHGC_PATIENCE", PATIENCE, given.patience, parse_period, &mut self.patience)?;
        let warning = &mut self.pin_warning.after;
        read(&variable, "GRAPHGC_PIN_WARNING", PIN_WARNING, given.pin_warning, parse_period, warning)?;
        read(&variable, "GRAPHGC_LARGE_PAGES", SWITCH, given.large_pages, parse_switch, &mut self.large_pages)?;
        read(&variable, "GRAPHGC_CHECKMARK", SWITCH, given.checkmark, parse_switch, &mut self.checkmark)?;
        Ok(self)
    }

    fn check(&self) -> Result<(), ConfigError> {
        require("growth", &self.growth, GROWTH, parse_growth(&self.growth.to_string()).is_some())?;
        require("min_heap", &self.min_heap, MIN_HEAP, self.min_heap >= LEAST_HEAP)?;
        require("memory_limit", &self.memory_limit, MEMORY_LIMIT, self.memory_limit.is_none_or(|l| l >= LEAST_LIMIT))?;
        require("period", &self.period, PERIOD, is_allowed(self.period))?;
        require("patience", &self.patience, PATIENCE, is_allowed(self.patience))?;
        require("pin_warning", &self.pin_warning.after, PIN_WARNING, is_allowed(self.pin_warning.after))?;
        require("workers", &self.workers, WORKERS, (1..=64).contains(&self.workers))
    }
}

const LEAST_HEAP: usize = 64 << 10;
const LEAST_LIMIT: usize = 1 << 20;
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1_000_000);

fn is_allowed(duration: Duration) -> bool {
    duration == Duration::MAX || (SHORTEST..=LONGEST).contains(&duration)
}

fn require(
    name: &'static str,
    value: &impl fmt::Debug,
    allowed: &'static str,
    is_allowed: bool,
) -> Result<(), ConfigError> {
    if is_allowed { Ok(()) } else { Err(ConfigError::Invalid { name, value: format!("{value:?}"), allowed }) }
}

fn read<T>(
    variable: &impl Fn(&str) -> Option<String>,
    name: &'static str,
    allowed: &'static str,
    given: bool,
    parse: impl Fn(&str) -> Option<T>,
    setting: &mut T,
) -> Result<(), ConfigError> {
    let Some(value) = variable(name) else { return Ok(()) };
    let parsed = parse(value.trim()).ok_or(ConfigError::Invalid { name, value, allowed })?;
    if !given {
        *setting = parsed;
    }
    Ok(())
}

fn parse_growth(text: &str) -> Option<u32> {
    text.parse().ok().filter(|percent| (10..=10_000).contains(percent))
}

fn parse_bytes(text: &str) -> Option<usize> {
    let shift = match text.chars().last()?.to_ascii_uppercase() {
        'K' => 10,
        'M' => 20,
        'G' => 30,
        _ => 0,
    };
    let digits = if shift == 0 { text } else { &text[..text.len() - 1] };
    digits.parse::<usize>().ok()?.checked_mul(1 << shift)
}

fn parse_min_heap(text: &str) -> Option<usize> {
    parse_bytes(text).filter(|&bytes| bytes >= LEAST_HEAP)
}

fn parse_limit(text: &str) -> Option<Option<usize>> {
    if text == "none" { Some(None) } else { parse_bytes(text).filter(|&bytes| bytes >= LEAST_LIMIT).map(Some) }
}

fn parse_period(text: &str) -> Option<Duration> {
    if text == "none" {
        return Some(Duration::MAX);
    }
    let period = Duration::try_from_secs_f64(text.parse().ok()?).ok()?;
    (SHORTEST..=LONGEST).contains(&period).then_some(period)
}

fn parse_workers(text: &str) -> Option<usize> {
    text.parse().ok().filter(|threads| (1..=64).contains(threads))
}

fn parse_switch(text: &str) -> Option<bool> {
    match text {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

fn environment(name: &str) -> Option<String> {
    env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// The settings from now on.
///
/// # Panics
/// If a variable of the environment has an invalid value.
pub(crate) fn settle() -> &'static Config {
    let installed = lock_std(&INSTALLED);
    SETTLED.get_or_init(|| {
        let config = installed.clone().unwrap_or_default();
        config.with_environment(environment).unwrap_or_else(|error| panic!("graphgc: {error}"))
    })
}

#[cfg(all(test, not(graphgc_loom)))]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &'static str) -> Result<Config, ConfigError> {
        Config::new().with_environment(|asked| (asked == name).then(|| value.into()))
    }

    #[test]
    fn valid_variables_take_effect() {
        assert_eq!(with("GRAPHGC_GROWTH", "250").unwrap().growth, 250);
        assert_eq!(with("GRAPHGC_MIN_HEAP", "32M").unwrap().min_heap, 32 << 20);
        assert_eq!(with("GRAPHGC_MEMORY_LIMIT", "1G").unwrap().memory_limit, Some(1 << 30));
        assert_eq!(with("GRAPHGC_MEMORY_LIMIT", "none").unwrap().memory_limit, None);
        assert_eq!(with("GRAPHGC_PERIOD", "0.5").unwrap().period, Duration::from_millis(500));
        assert_eq!(with("GRAPHGC_WORKERS", "2").unwrap().workers, 2);
        assert_eq!(with("GRAPHGC_PATIENCE", "1.5").unwrap().patience, Duration::from_millis(1500));
        assert_eq!(with("GRAPHGC_PIN_WARNING", "none").unwrap().pin_warning.after, Duration::MAX);
        assert!(!with("GRAPHGC_LARGE_PAGES", "0").unwrap().large_pages);
        assert!(with("GRAPHGC_CHECKMARK", "1").unwrap().checkmark);
    }

    #[test]
    fn invalid_variables_are_named() {
        for (name, value) in [
            ("GRAPHGC_GROWTH", "-1"),
            ("GRAPHGC_GROWTH", ""),
            ("GRAPHGC_MIN_HEAP", "12"),
            ("GRAPHGC_MIN_HEAP", "99999999999G"),
            ("GRAPHGC_MEMORY_LIMIT", "lots"),
            ("GRAPHGC_PERIOD", "NaN"),
            ("GRAPHGC_PERIOD", "-3"),
            ("GRAPHGC_WORKERS", "0"),
            ("GRAPHGC_PATIENCE", "0"),
            ("GRAPHGC_PIN_WARNING", "soon"),
            ("GRAPHGC_LARGE_PAGES", "2M"),
            ("GRAPHGC_CHECKMARK", "yes"),
        ] {
            let error = with(name, value).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
            assert!(error.to_string().contains("must be"), "{error}");
        }
    }

    #[test]
    fn code_wins_over_the_environment_but_not_over_its_errors() {
        let config = Config::new().growth(300);
        let settled = config.clone().with_environment(|name| (name == "GRAPHGC_GROWTH").then(|| "50".into())).unwrap();
        assert_eq!(settled.growth, 300);
        assert!(config.with_environment(|name| (name == "GRAPHGC_GROWTH").then(|| "x".into())).is_err());
    }

    #[test]
    fn values_from_code_are_checked() {
        assert!(Config::new().growth(1).check().is_err());
        assert!(Config::new().workers(0).check().is_err());
        assert!(Config::new().period(Duration::MAX).check().is_ok());
    }
}
