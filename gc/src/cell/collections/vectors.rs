//! What `GcVec` and `GcRefVec` have in common with every vector.

/// The implementations for a vector around `Edges`, which `$new` makes of a `Vec`.
macro_rules! shared_by_vectors {
    ($vector:ident, $new:path) => {
        impl<P: Element> Default for $vector<P> {
            fn default() -> Self {
                $vector::new()
            }
        }

        impl<P: Element> From<Vec<P>> for $vector<P> {
            fn from(edges: Vec<P>) -> Self {
                $vector($new(Buffer::from_vec(edges)))
            }
        }

        impl<P: Element> FromIterator<P> for $vector<P> {
            fn from_iter<I: IntoIterator<Item = P>>(edges: I) -> Self {
                $vector::from(Vec::from_iter(edges))
            }
        }

        impl<P: Element> Extend<P> for $vector<P> {
            fn extend<I: IntoIterator<Item = P>>(&mut self, edges: I) {
                let edges = edges.into_iter();
                let mut content = self.0.get_mut();
                content.reserve(edges.size_hint().0);
                edges.for_each(|edge| content.push_growing(edge));
            }
        }

        impl<P: Element> IntoIterator for $vector<P> {
            type Item = P;
            type IntoIter = std::vec::IntoIter<P>;

            fn into_iter(self) -> Self::IntoIter {
                self.into_inner().into_iter()
            }
        }

        /// Shallow, so that printing a cyclic graph ends.
        impl<P: Element> std::fmt::Debug for $vector<P> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($vector), "(..)"))
            }
        }

        // SAFETY: passes everything on.
        unsafe impl<P: Element + Trace> Trace for $vector<P> {
            type Info = EdgeCollection;

            #[inline]
            fn trace(&self, tracer: &mut Tracer<'_>) {
                self.0.trace(tracer);
            }

            unsafe fn drop_swept(&mut self) {
                // SAFETY: by contract.
                unsafe { self.0.drop_swept() };
            }
        }
    };
}
