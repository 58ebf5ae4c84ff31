//! Benchmarks of `graphgc` beside what a user would pick instead.
