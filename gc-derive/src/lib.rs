//! `#[derive(Trace)]` for `graphgc`, which re-exports it.
//!
//! What a type tells the collector is the sum of what its fields tell, so the derive does little more than visit the
//! fields. The rest of its work is to reject what would not be sound or would be understood wrongly: a `Drop` of the type's own,
//! untraced fields that may not be dropped on another thread, packed structs, unions, lifetimes.
//!
//! `attributes` reads `#[trace(…)]`, `expand` writes the implementation.

mod attributes;
mod expand;

/// Tells the garbage collector where a type's handles are.
///
/// Every field is visited. Fields of types that hold no handles, such as numbers and strings, cost nothing when the
/// collector marks.
///
/// ```
/// use graphgc::{Gc, GcRefCell, Trace};
///
/// #[derive(Trace)]
/// struct Person {
///     name: String,
///     friends: GcRefCell<Vec<Gc<Person>>>,
/// }
///
/// #[derive(Trace)]
/// enum List<T> {
///     Nil,
///     Cons(T, Box<List<T>>),
/// }
/// ```
///
/// A type that derives `Trace` has no `Drop` of its own, since the objects that its handles point at may have died
/// with it. The types of its fields may have one if they hold no handles. If the drop of one field panics while the
/// collector drops a dead object, the fields after it leak.
///
/// Handles in `Cell`, `RefCell`, `Mutex` and the other cells of std are an error, which names the cell to use
/// instead. Lifetime parameters, unions and packed structs are rejected.
///
/// # On fields
///
/// - `#[trace(leaf)]`: the field holds no handles, and its type does not implement `Trace`. It must be
///   `Send + 'static`.
/// - `#[trace(skip)]`: the collector does not look into the field. Handles in it keep what they point at alive, as
///   those on a stack do, so cycles through it are not collected. The field must be `Send` or `Trace`, and `'static`.
///
/// Both are safe: a leaf that holds handles after all is merely a skipped field.
///
/// ```
/// use graphgc::{Gc, Trace};
/// use std::fs::File;
///
/// # #[derive(Trace)]
/// # struct Project;
/// #
/// #[derive(Trace)]
/// struct Source {
///     #[trace(leaf)]
///     file: File,
///     #[trace(skip)]
///     owner: Gc<Project>,
/// }
/// ```
///
/// # On types
///
/// - `#[trace(leaf)]`: no field holds handles. Then the fields need not be `Trace`, the type may have a `Drop`, and
///   std's cells may hold it. It must be `Send + 'static`.
/// - `#[trace(finalize)]`: the type implements `Finalize`, which runs once before an unreachable object of this type goes.
/// - `#[trace(local_finalize)]`: the type implements `LocalFinalize`, which the object's own thread runs.
/// - `#[trace(bound = "T: Clone, U: Trace")]`: replaces the bounds of the implementation, which are `Trace` for every
///   type parameter. None are ever asked of field types, so that recursive types work.
/// - `#[trace(crate = "path")]` or `#[trace(crate = path)]`: where to find `graphgc`, if not at `::graphgc`.
///   The derive emits an `unsafe` implementation that relies on what it finds there, so the path must lead to `graphgc`
///   itself or a re-export of all of it, never to a module that only looks like it.
///
/// ```
/// use graphgc::Trace;
///
/// #[derive(Trace)]
/// #[trace(bound = "T: 'static")]
/// struct Id<T> {
///     index: u32,
///     of: std::marker::PhantomData<T>,
/// }
///
/// #[derive(Trace)]
/// #[trace(leaf)]
/// struct TempFile(std::path::PathBuf);
///
/// impl Drop for TempFile {
///     fn drop(&mut self) {
///         let _ = std::fs::remove_file(&self.0);
///     }
/// }
/// ```
#[proc_macro_derive(Trace, attributes(trace))]
pub fn derive_trace(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    expand::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
