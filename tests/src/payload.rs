//! Payloads that know whether they are alive: canaries that every access checks, and leaves that count their drops.

use graphgc::Trace;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::SeqCst};

const LIVES: u64 = 0x6C69_7665_7321_A55A;
const DEAD: u64 = 0xDEAD_DEAD_DEAD_DEAD;

/// Most ids that one process may give out.
pub const MOST_IDS: usize = 1 << 23;

static NEXT: AtomicU32 = AtomicU32::new(1);
static DROPS: [AtomicU8; MOST_IDS] = [const { AtomicU8::new(0) }; MOST_IDS];
static CORRUPT: AtomicU64 = AtomicU64::new(0);

/// An id that nobody else has.
///
/// # Panics
/// If there are no more.
pub fn new_id() -> u32 {
    let id = NEXT.fetch_add(1, SeqCst);
    assert!((id as usize) < MOST_IDS, "out of ids");
    id
}

/// Takes all ids from this one on back, to be given out again. Their leaves must be gone, and nobody else may be using ids.
///
/// # Panics
/// If not all of them are from this process.
pub fn forget_from(first: u32) {
    let end = NEXT.swap(first, SeqCst);
    DROPS[first as usize..end as usize].iter().for_each(|drops| drops.store(0, SeqCst));
}

/// How often the leaf with this id has been dropped.
pub fn drops_of(id: u32) -> u8 {
    DROPS[id as usize].load(SeqCst)
}

/// Drops that met a leaf that was not alive.
pub fn corrupt_drops() -> u64 {
    CORRUPT.load(SeqCst)
}

fn magic_of(id: u32) -> u64 {
    u64::from(id).wrapping_mul(0xA24B_AED4_963E_E407) ^ LIVES
}

/// An id with a magic value derived from it. Has no drop.
#[derive(Trace)]
pub struct Canary {
    id: u32,
    magic: u64,
}

impl Canary {
    /// The canary of this id.
    pub fn new(id: u32) -> Self {
        Canary { id, magic: magic_of(id) }
    }

    /// The id.
    ///
    /// # Panics
    /// If the memory is no longer that of a live canary.
    #[track_caller]
    pub fn check(&self) -> u32 {
        // SAFETY: our own fields; volatile, to see the memory as it is now, whatever the compiler thinks it knows.
        let (id, magic) = unsafe { (std::ptr::read_volatile(&self.id), std::ptr::read_volatile(&self.magic)) };
        assert_eq!(magic, magic_of(id), "canary of object {id} at {self:p} is dead");
        id
    }
}

/// A canary whose drop is counted and ends it.
#[derive(Trace)]
#[trace(leaf)]
pub struct Leaf {
    canary: Canary,
}

impl Leaf {
    /// The leaf of this id.
    pub fn new(id: u32) -> Self {
        Leaf { canary: Canary::new(id) }
    }

    /// The id.
    ///
    /// # Panics
    /// If the leaf is dead.
    #[track_caller]
    pub fn check(&self) -> u32 {
        self.canary.check()
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        let Canary { id, magic } = self.canary;
        if magic != magic_of(id) || id as usize >= MOST_IDS {
            CORRUPT.fetch_add(1, SeqCst);
            return;
        }
        DROPS[id as usize].fetch_add(1, SeqCst);
        // SAFETY: the leaf's own memory; volatile, since nobody is to read it again.
        unsafe { std::ptr::write_volatile(&mut self.canary.magic, DEAD) };
    }
}
