//! `leaf!`: types without handles that cannot derive `Trace`.

/// Makes types leaves, as `#[trace(leaf)]` does, where `#[derive(Trace)]` cannot be written.
///
/// - `leaf!(A, B<u8>);`: types of your own crate, when another macro defines them.
/// - `leaf! { pub struct Name(foreign::Type); }`: for a type of another crate, which cannot implement `Trace` in yours, a wrapper that can. It
///   dereferences to what is in it, and comes `From` it; field and wrapper have the visibility that you write.
///
/// The compiler checks that the type is `Send + 'static`, since the collector drops it on a thread of its own. Nothing more needs to be promised, so there is
/// nothing `unsafe` about it: should there be handles in it after all, they count as roots, and cycles through them are not collected. A
/// single field of a foreign type needs no wrapper: put `#[trace(leaf)]` on it.
///
/// ```
/// use graphgc::{Gc, Trace, leaf};
///
/// leaf! {
///     /// A file that many nodes refer to.
///     #[derive(Debug)]
///     pub struct Source(pub std::fs::File);
/// }
///
/// #[derive(Trace)]
/// struct Node { source: Gc<Source>, children: Vec<Gc<Node>> }
///
/// # let file = std::fs::File::open(std::env::current_exe()?)?;
/// let source = Gc::new(Source::from(file));
/// let node = Gc::new(Node { source, children: vec![] });
/// assert!(node.source.metadata()?.is_file());
/// # Ok::<(), std::io::Error>(())
/// ```
#[macro_export]
macro_rules! leaf {
    ($(#[$attribute:meta])* $visibility:vis struct $name:ident($field:vis $ty:ty $(,)?);) => {
        $(#[$attribute])*
        $visibility struct $name($field $ty);

        impl ::core::ops::Deref for $name {
            type Target = $ty;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }

        impl ::core::ops::DerefMut for $name {
            fn deref_mut(&mut self) -> &mut Self::Target {
                &mut self.0
            }
        }

        impl ::core::convert::From<$ty> for $name {
            fn from(value: $ty) -> Self {
                $name(value)
            }
        }

        $crate::leaf!($name);
    };
    ($($ty:ty),+ $(,)?) => { $(
        // SAFETY: any handles in it stay counted, and its drop counts them down; it may be dropped on any thread, as the bound says.
        unsafe impl $crate::Trace for $ty
        where
            $ty: ::core::marker::Send + 'static,
        {
            type Info = $crate::__private::Leaf<Self>;

            #[inline]
            fn slot_facts(&self) -> ::core::option::Option<$crate::__private::SlotFacts> {
                ::core::option::Option::Some($crate::__private::SlotFacts::of::<Self>())
            }

            #[inline]
            fn trace(&self, _: &mut $crate::__private::Tracer<'_>) {}

            #[inline]
            unsafe fn drop_swept(&mut self) {
                // SAFETY: by contract nobody uses it again.
                unsafe { $crate::__private::drop_untraced::<Self>(self) }
            }
        }

        impl $crate::__private::NoHandles for $ty {}
    )+ };
    ($($other:tt)*) => {
        ::core::compile_error!(
            "`leaf!` takes types of this crate, as `leaf!(A, B<u8>);`, or a new struct around a type of another, as `leaf! { pub struct Name(foreign::Type); }`"
        );
    };
}
