//! `uuid`: leaves.

use crate::trace::impls::leaf;
use uuid::{NonNilUuid, Uuid};

leaf!({} Uuid, {} NonNilUuid);
