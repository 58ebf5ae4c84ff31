//! What the collector tells about itself.

pub(crate) mod stats;
pub(crate) mod verify;
