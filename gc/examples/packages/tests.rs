//! What the collector leaves, compared with what plain reachability says.

use crate::{
    graph::{self, Census},
    index::Index,
    options::{self, Command},
    random::Random,
    rewire, run,
};
use std::{
    collections::HashSet,
    mem,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

static INDEX: LazyLock<Index> = LazyLock::new(|| Index::bundled().unwrap());

/// The garbage-collected heap is one for the process: a test that has much in it makes the collections of others slow.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many packages `start` leads to, these included: a search over the index.
fn reachable(index: &Index, start: &[usize]) -> usize {
    let mut seen = vec![false; index.len()];
    let mut waiting = start.to_vec();
    let mut count = 0;
    while let Some(package) = waiting.pop() {
        if !mem::replace(&mut seen[package], true) {
            count += 1;
            waiting.extend(index.dependencies(package));
        }
    }
    count
}

/// How many packages hang together with one of `kept`: by uniting the two ends of every edge.
fn hanging_together(index: &Index, kept: &[usize]) -> usize {
    fn leader(leaders: &mut [usize], mut package: usize) -> usize {
        while leaders[package] != package {
            leaders[package] = leaders[leaders[package]];
            package = leaders[package];
        }
        package
    }
    let mut leaders: Vec<_> = (0..index.len()).collect();
    for package in 0..index.len() {
        for &dependency in index.dependencies(package) {
            let (one, other) = (leader(&mut leaders, package), leader(&mut leaders, dependency));
            leaders[one] = other;
        }
    }
    let kept: HashSet<_> = kept.iter().map(|&package| leader(&mut leaders, package)).collect();
    (0..index.len()).filter(|&package| kept.contains(&leader(&mut leaders, package))).count()
}

/// What should be live when `kept` are held.
fn expected(kept: &[usize], both_ways: bool) -> usize {
    if both_ways { hanging_together(&INDEX, kept) } else { reachable(&INDEX, kept) }
}

fn sample(count: usize, seed: u64) -> Vec<usize> {
    let mut packages: Vec<_> = (0..INDEX.len()).collect();
    Random::new(seed).shuffle(&mut packages);
    packages.truncate(count);
    packages
}

/// Every handle is dropped but those to `packages`, and then these, `step` at a time.
fn keep_fewer_and_fewer(packages: &[usize], both_ways: bool, step: usize, threads: usize) {
    let census = Census::begin();
    let all = graph::build(&INDEX, both_ways, &census);
    assert_eq!(census.live(), INDEX.len());
    let mut kept: Vec<_> = packages.iter().map(|&package| all[package].clone()).collect();
    if threads > 0 {
        let work = rewire::all_at_once(&INDEX, all, &kept, threads).unwrap();
        assert_eq!(work.rewired, INDEX.len());
    } else {
        drop(all);
    }
    loop {
        graphgc::collect();
        let packages = &packages[..kept.len()];
        assert_eq!(census.live(), expected(packages, both_ways), "kept: {packages:?}, both ways: {both_ways}");
        if kept.is_empty() {
            break;
        }
        kept.truncate(kept.len().saturating_sub(step));
    }
}

fn say(arguments: &[&str]) -> Result<String, String> {
    match options::parse(lexopt::Parser::from_args(arguments)).map_err(|error| error.to_string())? {
        Command::Run(options) => run(&options).map_err(|error| error.to_string()),
        Command::Help => Ok(options::HELP.into()),
    }
}

#[test]
fn known_facts() {
    let _alone = alone();
    for (names, live) in [
        (&["gnome"][..], 1473),
        (&["libc6"], 5),
        (&["postgresql"], 166),
        (&["python3"], 100),
        (&["task-gnome-desktop", "build-essential"], 1584),
    ] {
        let said = say(&[&["--keep"], names].concat()).unwrap();
        assert!(said.contains(&format!("live: {live} packages\n")), "{said}");
        let numbers: Vec<_> = names.iter().map(|name| INDEX.number(name).unwrap()).collect();
        assert_eq!(reachable(&INDEX, &numbers), live);
    }
}

/// Packages that are kept alone, each in a graph of its own. Sanitizers have more to find in the other tests.
const SINGLE: usize = if cfg!(any(graphgc_tsan, graphgc_asan)) { 10 } else { 200 };

#[test]
fn two_hundred_single_packages() {
    let _alone = alone();
    for package in sample(SINGLE, 1) {
        keep_fewer_and_fewer(&[package], false, 1, 0);
    }
}

#[test]
fn two_hundred_single_packages_both_ways() {
    let _alone = alone();
    for package in sample(SINGLE, 2) {
        keep_fewer_and_fewer(&[package], true, 1, 0);
    }
}

#[test]
fn two_hundred_packages_and_ever_fewer() {
    let _alone = alone();
    keep_fewer_and_fewer(&sample(200, 3), false, 1, 0);
    keep_fewer_and_fewer(&sample(200, 4), true, 20, 0);
}

#[test]
fn two_hundred_packages_after_rewiring() {
    let _alone = alone();
    keep_fewer_and_fewer(&sample(200, 5), false, 20, 3);
    keep_fewer_and_fewer(&sample(200, 6), true, 50, 3);
}

#[test]
fn components_are_found_by_uniting() {
    let index = Index::parse("a\tb\nb\nc\tb\nd\nlone\tlone\n").unwrap();
    assert_eq!(hanging_together(&index, &[0]), 3);
    assert_eq!(hanging_together(&index, &[0, 2, 4]), 4);
    assert_eq!(reachable(&index, &[0]), 2);
    assert_eq!(reachable(&index, &[0, 2, 4]), 4);
}

#[test]
fn wrong_lines_are_named() {
    let wrong = |text| Index::parse(text).err().unwrap().to_string();
    assert_eq!(wrong("a\tb\nb\tc\n"), "line 2: there is no package `c`");
    assert_eq!(wrong("a\nb\na\n"), "line 3: there is another line for `a`");
    assert_eq!(wrong("a\n\nb\n"), "line 2 does not begin with a name");
    assert_eq!(wrong("a\t\n"), "line 1: there is no package ``");
}

#[test]
fn wrong_arguments_are_named() {
    for (arguments, named) in [
        (&["--keep", "no-such-package"][..], "no-such-package"),
        (&["--keep"], "--keep"),
        (&["--data", "no/such/file"], "no/such/file"),
        (&["--threads", "0"], "--threads"),
        (&["--threads", "many"], "many"),
        (&["--treads", "2"], "--treads"),
        (&["gnome"], "gnome"),
    ] {
        let error = say(arguments).unwrap_err();
        assert!(error.contains(named) && !error.contains('\n'), "{error}");
    }
}
