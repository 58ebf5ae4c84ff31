//! What watches over a program, and the faults that show that it does.

use super::{
    content::Content,
    machine::Outside,
    model::Access,
    node::{Any, Family, View},
    weak::Weakly,
};

/// Faults put in on purpose, to see that the oracle finds and shrinks them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Plant {
    /// The model knows nothing of handles that were forgotten.
    ForgetsForgotten,
    /// The ledger knows nothing of objects that hold others untraced, but for those that lazy cells are to yield.
    ForgetsHolders,
    /// The model keeps values whose keys have gone.
    KeepsValues,
    /// The process dies in a collection while a large object lives.
    CrashesOnLarge,
}

impl Plant {
    /// The fault named in the variable `ORACLE_PLANT`.
    pub fn from_environment() -> Option<Self> {
        match std::env::var("ORACLE_PLANT").ok()?.as_str() {
            "forgets-forgotten" => Some(Plant::ForgetsForgotten),
            "forgets-holders" => Some(Plant::ForgetsHolders),
            "keeps-values" => Some(Plant::KeepsValues),
            "crashes-on-large" => Some(Plant::CrashesOnLarge),
            other => panic!("ORACLE_PLANT: no fault is called {other}"),
        }
    }
}

/// What knows which objects must exist.
pub trait Witness<F: Family> {
    /// An object has been met.
    fn known(&self, id: u32);
    /// A new value, which is about to move into the heap unless it stays outside.
    fn born(&mut self, view: View<'_, F>, outside: bool);
    /// A place has been changed; the same change of a model of it.
    fn note(&mut self, id: u32, place: usize, change: impl FnOnce(&mut Content<u32>));
    /// An edge has been followed.
    fn met(&self, id: u32, place: usize, index: usize, found: Option<u32>);
    /// A new object will have a lazy cell, which is to yield this.
    fn promised(&mut self, id: u32, promised: Option<u32>, promise: &F::Promise);
    /// A place leads to its objects by way of one with this id, which is none of the program's; or of none.
    fn lead(&mut self, id: u32, place: usize, way: Option<u32>);
    /// The id of that object; 0 if there is none, or no model.
    fn way(&self, id: u32, place: usize) -> u32;
    /// What a keeper has weakly is looked at or changed: the same with a model of it, if there is one.
    fn weakly<R>(&mut self, id: u32, change: impl FnOnce(&mut Weakly) -> R) -> Option<R>;
    /// There are weak handles to an object, or have been.
    fn downgraded(&mut self, id: u32);
    /// A weak handle to an object has given nothing, with these roots on the stack.
    fn gone(&self, id: u32, roots: &[Any<F>]);
    /// Who can get at a place.
    fn access(&self, id: u32, place: usize) -> Access;
    /// That changes; what it was.
    fn set_access(&mut self, id: u32, place: usize, access: Access) -> Access;
    /// From now on the program holds these objects beside its roots.
    fn hold(&mut self, ids: Vec<u32>);
    /// A handle has been forgotten.
    fn forgot(&mut self, id: u32);
    /// From now on there is a load of so many objects, in which these hang.
    fn loaded(&mut self, weight: u64, ids: Vec<u32>);
    /// Collects, and compares if that can be done now: a thread that is pinned does not wait for the collector.
    fn collect(&mut self, held: Outside<'_, F>, pinned: bool);
}
