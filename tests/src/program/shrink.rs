//! Running programs in processes of their own, and shrinking those that fail.
//!
//! The heap is one per process, and a failure may leave it broken or kill the process. So every program runs in a child: the same test
//! binary, told by a variable what to run. A program that fails in any way is shrunk by running ever smaller ones: first a
//! beginning of it, then with parts left out, then with the bytes that decide on the single operations set to smaller values.

use super::{
    Case, Mode,
    op::{RECORD, Record, decode, random_records},
};
use crate::{
    process::{Ended, is_child, run_test_within},
    random::{Random, seeds},
};
use std::{
    fmt, fs, mem,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

/// Holds the file with the program to run.
const PROGRAM: &str = "ORACLE_PROGRAM";
/// Holds the file with a fuzzer's bytes, to be run and shrunk as a program of random bytes is.
const BYTES: &str = "ORACLE_BYTES";
/// Holds the milliseconds for which a program is run again and again, if its threads may meet differently each time.
const REPEAT: &str = "ORACLE_REPEAT";
/// What shrinking puts there.
const MILLISECONDS: &str = "300";
/// Holds the seed of the program to run.
const SEED: &str = "GRAPHGC_SEED";
/// The longest that a program may take.
const LIMIT: Duration = Duration::from_secs(600);
/// The longest that shrinking may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// A case whose operations are still bytes.
#[derive(Clone)]
pub struct Raw {
    mode: Mode,
    churn: bool,
    loaded: bool,
    workers: usize,
    rounds: Vec<Vec<Vec<Record>>>,
}

impl Raw {
    /// One program of so many operations on one thread.
    pub fn single(seed: u64, operations: usize) -> Self {
        let records = random_records(&mut Random::new(seed), operations);
        Raw { mode: Mode::Single, churn: seed % 2 == 1, loaded: seed % 4 < 2, workers: 1, rounds: vec![vec![records]] }
    }

    /// Rounds with these numbers of threads.
    pub fn threads(seed: u64, threads: &[usize], operations: usize) -> Self {
        let mut random = Random::new(seed);
        let mut round = |count: &usize| (0..*count).map(|_| random_records(&mut random, operations)).collect();
        let rounds = threads.iter().map(&mut round).collect();
        Raw { mode: Mode::Threads, churn: true, loaded: seed.is_multiple_of(3), workers: 1 + seed as usize % 2, rounds }
    }

    /// What a fuzzer's bytes say. The first one says how many threads there are and whether another collects all the time; the operations are dealt
    /// out to the threads.
    pub fn from_bytes(mode: Mode, bytes: &[u8]) -> Self {
        let (first, bytes) = bytes.split_first().unwrap_or((&0, &[]));
        let (count, workers) = match mode {
            Mode::Single => (1, 1),
            Mode::Threads => (2 + usize::from(first % 7), 2),
        };
        let mut round = vec![Vec::new(); count];
        for (number, part) in bytes.chunks(RECORD).enumerate() {
            let mut record = [0; RECORD];
            record[..part.len()].copy_from_slice(part);
            round[number % count].push(record);
        }
        Raw { mode, churn: first & 128 != 0, loaded: first & 96 == 96, workers, rounds: vec![round] }
    }

    /// The case.
    pub fn decode(&self) -> Case {
        let program = |records: &Vec<Record>| records.iter().map(decode).collect();
        let round = |programs: &Vec<Vec<Record>>| programs.iter().map(program).collect();
        let rounds = self.rounds.iter().map(round).collect();
        Case { mode: self.mode, churn: self.churn, loaded: self.loaded, workers: self.workers, rounds }
    }

    fn programs(&mut self) -> impl Iterator<Item = &mut Vec<Record>> {
        self.rounds.iter_mut().flatten()
    }

    /// Whether threads meet, differently in each run.
    fn is_concurrent(&self) -> bool {
        self.churn || self.mode == Mode::Threads
    }

    fn len(&self) -> usize {
        self.rounds.iter().flatten().map(Vec::len).sum()
    }

    fn longest(&self) -> usize {
        self.rounds.iter().flatten().map(Vec::len).max().unwrap_or(0)
    }

    /// No program longer than this.
    fn truncated(&self, length: usize) -> Self {
        let mut raw = self.clone();
        raw.programs().for_each(|program| program.truncate(length));
        raw
    }

    /// Without so many operations from this one on, counted through all programs.
    fn without(&self, start: usize, count: usize) -> Self {
        let (mut raw, mut position) = (self.clone(), 0);
        raw.programs().for_each(|program| {
            program.retain(|_| {
                position += 1;
                !(start + 1..start + 1 + count).contains(&position)
            });
        });
        raw
    }

    fn record(&mut self, number: usize) -> &mut Record {
        self.programs().flatten().nth(number).expect("so many operations")
    }

    /// Without programs that do nothing.
    fn without_empty(&self) -> Self {
        let mut raw = self.clone();
        raw.rounds.iter_mut().for_each(|round| round.retain(|program| !program.is_empty()));
        raw.rounds.retain(|round| !round.is_empty());
        raw
    }
}

/// A program that fails, as small as it was made.
#[derive(Debug)]
pub struct Failure {
    /// The program.
    pub case: Case,
    /// Where it was written.
    pub file: PathBuf,
    /// What the process said.
    pub output: String,
    /// How many programs were run.
    pub runs: usize,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.output.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n");
        write!(f, "{last}\nshrunk in {} runs; to see it again set {PROGRAM}={}", self.runs, self.file.display())?;
        if self.case.churn || self.case.mode == Mode::Threads {
            write!(f, " and {REPEAT}={MILLISECONDS}")?;
        }
        writeln!(f)?;
        write!(f, "{}", self.case)
    }
}

/// The body of a test: runs the programs of all seeds, each in a process of its own, and shrinks those that fail.
///
/// # Panics
/// If one fails.
pub fn check(test: &str, default_seeds: &[u64], mode: Mode, make: impl Fn(u64) -> Raw + Sync) {
    if let Some(file) = std::env::var_os(PROGRAM) {
        let text = fs::read_to_string(file).expect("the program can be read");
        return run_here(&Case::parse(&text).expect("a program"));
    }
    if let Some(file) = std::env::var_os(BYTES) {
        let bytes = fs::read(file).expect("the bytes can be read");
        let raw = Raw::from_bytes(mode, &bytes);
        match shrink(test, raw, &[]) {
            Some(failure) => panic!("{failure}"),
            None => return,
        }
    }
    let seeds = seeds(default_seeds);
    if is_child() {
        return run_here(&make(seeds[0]).decode());
    }
    let at_once = thread::available_parallelism().map_or(1, usize::from);
    for some in seeds.chunks(at_once) {
        thread::scope(|scope| {
            let started: Vec<_> = some.iter().map(|seed| (*seed, scope.spawn(move || run_seed(test, *seed)))).collect();
            for (seed, running) in started {
                report(test, seed, running.join().expect("a child can be run"), &make);
            }
        });
    }
}

fn run_here(case: &Case) {
    let milliseconds = std::env::var(REPEAT).map_or(0, |number| number.parse().expect("a number of milliseconds"));
    let end = Instant::now() + Duration::from_millis(milliseconds);
    case.configure();
    case.run();
    while Instant::now() < end {
        case.run();
    }
}

fn run_seed(test: &str, seed: u64) -> Ended {
    run_test_within(test, &[(SEED, &seed.to_string())], LIMIT)
}

fn report(test: &str, seed: u64, ended: Ended, make: impl Fn(u64) -> Raw) {
    if ended.passed {
        let said = ended.output.lines().filter(|line| line.contains("cycles"));
        return said.for_each(|line| println!("seed {seed}: {line}"));
    }
    eprintln!("seed {seed} failed; to see it again set {SEED}={seed}\n{}", ended.output);
    match shrink(test, make(seed), &[]) {
        Some(failure) => panic!("seed {seed}\n{failure}"),
        None => panic!("seed {seed} has not failed again\n{}", ended.output),
    }
}

/// Shrinks a program that fails when this test runs it. Nothing if it does not fail, however often.
pub fn shrink(test: &str, raw: Raw, variables: &[(&str, &str)]) -> Option<Failure> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let name = format!("graphgc-program-{}-{}.ron", std::process::id(), NUMBER.fetch_add(1, Relaxed));
    let mut shrinker = Shrinker {
        test,
        variables,
        file: std::env::temp_dir().join(name),
        best: raw,
        output: String::new(),
        tries: 1,
        runs: 0,
        limit: LIMIT,
        end: Instant::now() + PATIENCE,
    };
    if !shrinker.confirm() {
        fs::remove_file(&shrinker.file).expect("the program was written");
        return None;
    }
    shrinker.shrink();
    let case = shrinker.best.decode();
    fs::write(&shrinker.file, case.to_string()).expect("the program can be written");
    Some(Failure { case, file: shrinker.file, output: shrinker.output, runs: shrinker.runs })
}

struct Shrinker<'a> {
    test: &'a str,
    variables: &'a [(&'a str, &'a str)],
    file: PathBuf,
    /// The smallest that failed.
    best: Raw,
    /// What it said.
    output: String,
    /// How often a program is run before it counts as one that does not fail.
    tries: usize,
    runs: usize,
    /// A program that takes longer counts as failed.
    limit: Duration,
    end: Instant,
}

impl Shrinker<'_> {
    fn run(&mut self, raw: &Raw) -> Ended {
        fs::write(&self.file, raw.decode().to_string()).expect("the program can be written");
        let path = self.file.to_string_lossy().into_owned();
        let mut variables = self.variables.to_vec();
        variables.push((PROGRAM, &path));
        if raw.is_concurrent() {
            variables.push((REPEAT, MILLISECONDS));
        }
        self.runs += 1;
        run_test_within(self.test, &variables, self.limit)
    }

    /// Whether the program fails at all.
    fn confirm(&mut self) -> bool {
        let began = Instant::now();
        let failed = self.count_tries();
        self.limit = LIMIT.min(began.elapsed() * 2 + Duration::from_secs(10));
        failed || self.fails(&self.best.clone())
    }

    /// Finds out how often the best must be run for it to fail: the smaller it is, the oftener it runs in its time, and the surer it fails. Whether
    /// it has failed now.
    fn count_tries(&mut self) -> bool {
        const TIMES: usize = 3;
        let best = self.best.clone();
        self.tries = 1;
        let failures = (0..TIMES).filter(|_| self.fails(&best)).count();
        self.tries = if failures == TIMES { 1 } else { 2 * TIMES };
        failures > 0
    }

    fn fails(&mut self, raw: &Raw) -> bool {
        (0..self.tries).any(|_| {
            let ended = self.run(raw);
            if !ended.passed {
                self.output = ended.output;
            }
            !ended.passed
        })
    }

    /// Goes on with this one if it fails.
    fn try_out(&mut self, raw: Raw) -> bool {
        let better = Instant::now() < self.end && self.fails(&raw);
        if better {
            self.best = raw;
        }
        better
    }

    fn shrink(&mut self) {
        self.truncate();
        loop {
            self.count_tries();
            let before = self.best.len();
            // Again in each round: a long program may fail for another reason, which needs what the smallest does not.
            self.simplify_settings();
            self.leave_out();
            let simplified = self.simplify();
            if Instant::now() >= self.end || (self.best.len() == before && !simplified) {
                break;
            }
        }
        self.try_out(self.best.without_empty());
    }

    /// The shortest beginning that fails, supposing that longer ones do, too.
    fn truncate(&mut self) {
        let (mut passes, mut fails) = (0, self.best.longest());
        while passes + 1 < fails {
            let middle = passes.midpoint(fails);
            let shorter = self.best.truncated(middle);
            if self.try_out(shorter) {
                fails = middle;
            } else {
                passes = middle;
            }
        }
    }

    fn simplify_settings(&mut self) {
        let settings: [fn(&mut Raw) -> bool; 3] = [
            |raw| mem::take(&mut raw.churn),
            |raw| mem::take(&mut raw.loaded),
            |raw| mem::replace(&mut raw.workers, 1) > 1,
        ];
        for simplify in settings {
            let mut simpler = self.best.clone();
            if simplify(&mut simpler) {
                self.try_out(simpler);
            }
        }
    }

    /// Leaves out operations, half of them at first, single ones at last.
    fn leave_out(&mut self) {
        let mut count = self.best.len().div_ceil(2).max(1);
        loop {
            let mut start = 0;
            while start < self.best.len() {
                if !self.try_out(self.best.without(start, count)) {
                    start += count;
                }
            }
            if count == 1 {
                break;
            }
            count = count.div_ceil(2);
            if self.tries > 1 {
                self.count_tries();
            }
        }
    }

    /// Sets bytes to smaller values. Whether that made a difference.
    fn simplify(&mut self) -> bool {
        let mut simplified = false;
        for number in 0..self.best.len() {
            let whole = 2..size_of::<Record>();
            simplified |= self.set(number, whole.clone(), 0);
            for byte in whole {
                let value = self.best.record(number)[byte];
                let mut smaller = [0, 1, value / 2].into_iter().filter(|new| *new < value);
                simplified |= smaller.any(|new| self.set(number, byte..byte + 1, new));
            }
        }
        simplified
    }

    /// Sets some bytes of an operation if it then fails still. Whether that made a difference.
    fn set(&mut self, number: usize, bytes: std::ops::Range<usize>, value: u8) -> bool {
        let mut raw = self.best.clone();
        let before = decode(raw.record(number));
        raw.record(number)[bytes].fill(value);
        if decode(raw.record(number)) == before {
            self.best = raw;
            return false;
        }
        self.try_out(raw)
    }
}
