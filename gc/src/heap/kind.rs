//! What a span's objects have in common beside their size: whether they hold handles, what dropping them means, and whether they have
//! finalizers.

/// What must happen to a dead value besides forgetting it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum DropKind {
    /// Nothing: plain data and handles. Dead values are never touched.
    None = 0,
    /// Memory of std's containers is freed and counted handles count down; no code that a user wrote runs.
    Frees = 1,
    /// Some part has a `Drop` that the collector does not know: it runs on the dropper's thread.
    User = 2,
}

impl DropKind {
    /// The stronger of two.
    pub const fn or(self, other: DropKind) -> DropKind {
        if (self as u8) < (other as u8) { other } else { self }
    }
}

/// Scan or no-scan, the kind of drop, and whether there is a finalizer: constants of an object's type by which spans are separated.
///
/// Objects with finalizers lie in spans of their own, so that the collector finds those that are about to go without looking at others. There are two
/// kinds of them only: whatever their drop, it is the dropper's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Kind {
    pub(crate) scan: bool,
    pub(crate) drop: DropKind,
    pub(crate) finalize: bool,
}

impl Kind {
    /// Number of kinds.
    pub(crate) const COUNT: usize = 8;

    /// The kind of objects with finalizers.
    pub(crate) const fn finalizable(scan: bool) -> Kind {
        Kind { scan, drop: DropKind::User, finalize: true }
    }

    pub(crate) const fn index(self) -> usize {
        let row = if self.finalize { 3 } else { self.drop as usize };
        row * 2 + self.scan as usize
    }

    pub(crate) const fn from_index(index: usize) -> Kind {
        let drop = match index / 2 {
            0 => DropKind::None,
            1 => DropKind::Frees,
            _ => DropKind::User,
        };
        Kind { scan: index % 2 == 1, drop, finalize: index / 2 == 3 }
    }
}

#[cfg(all(test, not(graphgc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn index_and_back() {
        for index in 0..Kind::COUNT {
            assert_eq!(Kind::from_index(index).index(), index);
        }
        assert_eq!(DropKind::Frees.or(DropKind::None), DropKind::Frees);
        assert_eq!(DropKind::Frees.or(DropKind::User), DropKind::User);
    }
}
