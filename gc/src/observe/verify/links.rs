//! Weak handles: the table has one link for each target, every link is one and leads to an object.

use super::violation::{Findings, ViolationKind};
use crate::{
    collector::{
        survey::{Survey, type_in},
        weak_links::{HeldLinks, LinkFlaw, WeakLink},
    },
    heap::header::Object,
};

/// Checks the table, which is held, with the world stopped.
pub(super) fn check(links: &HeldLinks<'_>, survey: &Survey, findings: &mut Findings) {
    let is_link = |object: Object| {
        let Some(span) = survey.object_at(object.address()) else { return false };
        // SAFETY: the survey says that it is an object.
        let info = unsafe { type_in(span, object) };
        info.is_some_and(|info| info.name() == std::any::type_name::<WeakLink>())
    };
    let is_object = |object: Object| {
        // SAFETY: the survey says that it is an object.
        survey.object_at(object.address()).is_some() && !unsafe { object.roots() }.awaits_drop()
    };
    let note = |link, flaw| {
        let (target, which) = match flaw {
            LinkFlaw::NoLink => (0, 0),
            LinkFlaw::Dangling(target) => (target, 1),
            LinkFlaw::Misplaced(target) => (target, 2),
            LinkFlaw::Double(target) => (target, 3),
            LinkFlaw::Number(number) => (number, 4),
        };
        findings.at(ViolationKind::WeakLink, link, target, which);
    };
    // SAFETY: what has the type of a link is one.
    unsafe { links.check(is_link, is_object, note) };
}

/// What is wrong, in words.
pub(super) fn in_words(target: usize, which: usize) -> String {
    match which {
        0 => "the table of weak handles leads to what is no link".into(),
        1 => format!("weak handles lead to {target:#x}, which is no object"),
        2 => format!("weak handles lead to {target:#x}, and their link lies where another's is looked for"),
        3 => format!("there is another link of weak handles to {target:#x}"),
        _ => format!("a part of the table of weak handles should have {target} links"),
    }
}
