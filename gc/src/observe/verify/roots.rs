//! Root entries: each is of a live object, which knows whether it has one in the log; and every root has one.

use super::violation::{Findings, ViolationKind};
use crate::{
    collector::survey::{Survey, type_in},
    heap::{central::span_class, header::Object, os_vec::OsVec},
    mutator::{record::records, root_lists::ROOTS},
};

/// All root entries: candidates and those of the root log, by object.
pub(super) struct Entries(OsVec<Entry>);

#[derive(Clone, Copy)]
struct Entry {
    object: Object,
    logged: bool,
}

impl Entries {
    /// The entries there are. The world is stopped.
    pub(super) fn collect() -> Self {
        Self::of_all(|f| for_each_entry(f))
    }

    /// Those that `for_each` calls its argument with.
    fn of_all(for_each: impl FnOnce(&mut dyn FnMut(Object, bool))) -> Self {
        let mut entries = OsVec::new();
        for_each(&mut |object, logged| entries.push(Entry { object, logged }));
        entries.sort_unstable_by_key(|entry| entry.object);
        Entries(entries)
    }

    /// The entries of one object.
    fn of(&self, object: Object) -> &[Entry] {
        let first = self.0.partition_point(|entry| entry.object < object);
        let all = &self.0[first..];
        &all[..all.partition_point(|entry| entry.object == object)]
    }

    /// No entry outlives its object (R2).
    pub(super) fn check(&self, survey: &Survey, findings: &mut Findings) {
        for same in self.0.chunk_by(|a, b| a.object == b.object) {
            let object = same[0].object;
            // SAFETY: the survey says that it is an object.
            let alive = survey.object_at(object.address()).is_some() && !unsafe { object.roots() }.awaits_drop();
            if !alive && survey.vacant_at(object.address()).is_none() {
                findings.at(ViolationKind::StaleEntry, object.address(), 0, 0);
            }
        }
    }

    /// The slots that wait in a thread's cache are vacant, of their list's span class, and have one entry, which is in the thread's buffer.
    pub(super) fn check_vacant(survey: &Survey, findings: &mut Findings) {
        for record in records() {
            // SAFETY: the world is stopped.
            let local = unsafe { record.local() };
            let own = Entries::of_all(|f| local.candidates.for_each_kept(|object| f(object, false)));
            let mut count = 0;
            local.cache.for_each_vacant(|index, object| {
                count += 1;
                let entries = own.of(object).len();
                let span = survey.vacant_at(object.address());
                let fits = span.is_some_and(|span| span_class(span.class(), span.kind()) == index);
                // A list that leads back into itself has more slots than there are entries.
                let goes_on = fits && count <= own.0.len();
                if !goes_on || entries != 1 {
                    findings.at(ViolationKind::VacantSlot, object.address(), index, entries);
                }
                goes_on
            });
        }
    }

    /// Compares every object's flags with its entries; and roots have one, though what is being cloned may not have it yet.
    pub(super) fn check_roots(&self, survey: &Survey, findings: &mut Findings) {
        for span in survey.spans() {
            survey.for_each_object(span, |object| {
                // SAFETY: the survey says that it is an object.
                let (roots, info) = unsafe { (object.roots(), type_in(span, object)) };
                if info.is_none() || roots.awaits_drop() || roots.is_absurd() {
                    return;
                }
                let (seen, entries) = (roots.look(), self.of(object));
                let logged = entries.iter().filter(|entry| entry.logged).count();
                if logged != usize::from(seen.in_log) {
                    findings.about(ViolationKind::LogFlag, object, seen.in_log.into(), logged);
                } else if seen.has_entry && entries.is_empty()
                    || seen.in_log && !seen.has_entry
                    || roots.is_newborn() && entries.len() != 1
                {
                    findings.about(ViolationKind::EntryFlag, object, seen.has_entry.into(), entries.len());
                } else if seen.count > 0 && !seen.has_entry {
                    findings.about(ViolationKind::RootWithoutEntry, object, 0, 0);
                }
            });
        }
    }
}

fn for_each_entry(mut f: impl FnMut(Object, bool)) {
    for record in records() {
        // SAFETY: the world is stopped.
        unsafe { record.local() }.candidates.for_each(&mut f);
    }
    ROOTS.for_each(f);
}
