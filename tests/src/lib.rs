//! Behaviour tests of `graphgc`; everything is under `tests/`.
