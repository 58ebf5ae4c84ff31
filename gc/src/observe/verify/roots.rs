//! Root entries: each speaks for a live object, which has no other and knows of it, and every root has one.

use super::violation::{Findings, ViolationKind};
use crate::{
    collector::survey::{Survey, type_in},
    heap::{header::Object, os_vec::OsVec},
    mutator::{record::records, root_lists::ROOTS},
};

/// All root entries: candidates and those of the root log, by object.
pub(super) struct Entries(OsVec<Object>);

impl Entries {
    /// The entries there are. The world is stopped.
    pub(super) fn collect() -> Self {
        let mut entries = OsVec::new();
        for_each_entry(|object| entries.push(object));
        entries.sort_unstable();
        Entries(entries)
    }

    /// How many entries one object has.
    fn of(&self, object: Object) -> usize {
        let first = self.0.partition_point(|&entry| entry < object);
        self.0[first..].partition_point(|&entry| entry == object)
    }

    /// No entry outlives its object (R2).
    pub(super) fn check(&self, survey: &Survey, findings: &mut Findings) {
        for same in self.0.chunk_by(|a, b| a == b) {
            let object = same[0];
            // SAFETY: the survey says that it is an object.
            let alive = survey.object_at(object.address()).is_some() && !unsafe { object.roots() }.awaits_drop();
            if !alive {
                findings.at(ViolationKind::StaleEntry, object.address(), 0, 0);
            }
        }
    }

    /// Compares what every object says with its entries; and roots have one, though one that is being cloned may not have it yet.
    pub(super) fn check_roots(&self, survey: &Survey, findings: &mut Findings) {
        for span in survey.spans() {
            survey.for_each_object(span, |object| {
                // SAFETY: the survey says that it is an object.
                let (roots, info) = unsafe { (object.roots(), type_in(span, object)) };
                if info.is_none() || roots.awaits_drop() || roots.is_absurd() {
                    return;
                }
                let (seen, entries) = (roots.look(), self.of(object));
                if entries != usize::from(seen.has_entry) {
                    findings.about(ViolationKind::EntryFlag, object, seen.has_entry.into(), entries);
                } else if seen.count > 0 && entries == 0 {
                    findings.about(ViolationKind::RootWithoutEntry, object, 0, 0);
                }
            });
        }
    }
}

fn for_each_entry(mut f: impl FnMut(Object)) {
    for record in records() {
        // SAFETY: the world is stopped.
        unsafe { record.local() }.candidates.for_each(&mut f);
    }
    ROOTS.for_each(f);
}
