//! `bytes`: leaves. The owner of a `Bytes` may be anything that is `Send`; handles in it stay counted.

use crate::trace::impls::leaf;
use bytes::{Bytes, BytesMut};

leaf!({} Bytes, {} BytesMut);
