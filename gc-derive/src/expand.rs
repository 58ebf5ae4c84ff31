//! From the definition of a type to its implementation of `Trace`.
//!
//! Every emitted pattern names all fields, and every field is passed on together with the type it was declared with, so an
//! attribute macro that changes the type after the derive has seen it leads to an error and not to an unvisited handle.

use crate::attributes::{Bounds, Finalizer, Treatment, TypeAttributes, is_packed, reject};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{
    Data, DeriveInput, Error, Field, Fields, Generics, Member, Path, Result, Type, parse_quote, spanned::Spanned,
};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    reject_lifetimes(&input.generics)?;
    let attributes = TypeAttributes::read(&input.attrs)?;
    if attributes.leaf {
        return expand_leaf(input, &attributes);
    }
    if is_packed(&input.attrs) {
        let message = "a packed type cannot be traced, since its fields cannot be borrowed; without handles in it, add `#[trace(leaf)]`";
        return Err(Error::new(input.ident.span(), message));
    }
    let variants = variants(&input.data, &input.ident)?;
    Ok(Expansion { input, attributes: &attributes, variants }.implement())
}

fn reject_lifetimes(generics: &Generics) -> Result<()> {
    match generics.lifetimes().next() {
        None => Ok(()),
        Some(parameter) => Err(Error::new(
            parameter.span(),
            "a traced type has no lifetime parameters: the collector decides how long a value lives, so it must be `'static`",
        )),
    }
}

/// The implementation for a type that is a leaf as a whole.
fn expand_leaf(input: &DeriveInput, attributes: &TypeAttributes) -> Result<TokenStream> {
    reject_field_attributes(&input.data)?;
    let krate = &attributes.krate;
    let name = &input.ident;
    // The bounds below come from the user's type, so their errors point at its name.
    let send = quote_spanned!(name.span()=> ::core::marker::Send + 'static);
    let generics = with_bounds(&input.generics, attributes.bounds.as_ref(), |_| {});
    let (impl_generics, type_generics, _) = generics.split_for_impl();
    let mut traced = generics.clone();
    traced.make_where_clause().predicates.push(parse_quote!(#name #type_generics: #send));
    let finalization = Finalization::of(input, attributes);
    finalization.add_bound(&mut traced);
    let (info, run_finalizer) = (finalization.info(quote!(#krate::__private::Leaf<Self>)), finalization.method());
    let marker = finalization.marker();
    let mut handle_free = traced.clone();
    for parameter in input.generics.type_params() {
        let parameter = &parameter.ident;
        handle_free.make_where_clause().predicates.push(parse_quote!(#parameter: #krate::__private::NoHandles));
    }
    let (traced, handle_free) = (traced.where_clause, handle_free.where_clause);

    Ok(quote! {
        #[automatically_derived]
        unsafe impl #impl_generics #krate::__private::Trace for #name #type_generics #traced {
            type Info = #info;

            #[inline]
            fn slot_facts(&self) -> ::core::option::Option<#krate::__private::SlotFacts> {
                ::core::option::Option::Some(#krate::__private::SlotFacts::of::<Self>())
            }

            #[inline]
            fn trace(&self, _: &mut #krate::__private::Tracer<'_>) {}

            #[inline]
            unsafe fn drop_swept(&mut self) {
                unsafe { #krate::__private::drop_untraced::<Self>(self) }
            }

            #run_finalizer
        }

        #marker

        #[automatically_derived]
        impl #impl_generics #krate::__private::NoHandles for #name #type_generics #handle_free {}
    })
}

/// Attributes on the fields of a leaf would say nothing.
fn reject_field_attributes(data: &Data) -> Result<()> {
    let fields: Vec<&Field> = match data {
        Data::Struct(data) => data.fields.iter().collect(),
        Data::Enum(data) => data.variants.iter().flat_map(|variant| &variant.fields).collect(),
        Data::Union(data) => data.fields.named.iter().collect(),
    };
    for field in fields {
        if Treatment::read(&field.attrs)? != Treatment::Traced {
            return Err(Error::new(field.span(), "the whole type is a leaf: its fields take no `trace` attributes"));
        }
    }
    Ok(())
}

/// The generics of an implementation: the user's bounds instead of the default ones, if there are any.
fn with_bounds(generics: &Generics, bounds: Option<&Bounds>, add_default: impl FnOnce(&mut Generics)) -> Generics {
    let mut generics = generics.clone();
    match bounds {
        Some(bounds) => generics.make_where_clause().predicates.extend(bounds.iter().cloned()),
        None => add_default(&mut generics),
    }
    generics
}

/// What a type's finalizer adds to its implementation, if it has one.
struct Finalization<'a> {
    input: &'a DeriveInput,
    krate: &'a Path,
    finalizer: Option<Finalizer>,
}

impl<'a> Finalization<'a> {
    fn of(input: &'a DeriveInput, attributes: &'a TypeAttributes) -> Self {
        Finalization { input, krate: &attributes.krate, finalizer: attributes.finalizer }
    }

    /// The trait that the user implements.
    fn user_trait(&self) -> Option<TokenStream> {
        let krate = self.krate;
        // The bound comes from the user's type, so its error points at its name.
        let span = self.input.ident.span();
        Some(match self.finalizer? {
            Finalizer::Thread => quote_spanned!(span=> #krate::__private::Finalize),
            Finalizer::Local => quote_spanned!(span=> #krate::__private::LocalFinalize),
        })
    }

    /// The type implements it: a bound, as generic types may do so under bounds of their own.
    fn add_bound(&self, generics: &mut Generics) {
        if let Some(user_trait) = self.user_trait() {
            let name = &self.input.ident;
            let (_, type_generics, _) = self.input.generics.split_for_impl();
            generics.make_where_clause().predicates.push(parse_quote!(#name #type_generics: #user_trait));
        }
    }

    /// The type's info, being `info` but for the finalizer.
    fn info(&self, info: TokenStream) -> TokenStream {
        let krate = self.krate;
        match self.finalizer {
            None => info,
            Some(Finalizer::Thread) => quote!(#krate::__private::WithFinalizer<#info>),
            Some(Finalizer::Local) => quote!(#krate::__private::WithLocalFinalizer<#info>),
        }
    }

    /// The method by which the collector runs the finalizer.
    fn method(&self) -> Option<TokenStream> {
        let user_trait = self.user_trait()?;
        Some(quote! {
            fn run_finalizer(&self) {
                <Self as #user_trait>::finalize(self)
            }
        })
    }

    /// Says that the derive knows of the finalizer.
    fn marker(&self) -> Option<TokenStream> {
        let (krate, name) = (self.krate, &self.input.ident);
        let (impl_generics, type_generics, where_clause) = self.input.generics.split_for_impl();
        let marker = match self.finalizer? {
            Finalizer::Thread => quote!(HasFinalizer),
            Finalizer::Local => quote!(HasLocalFinalizer),
        };
        Some(quote! {
            #[automatically_derived]
            impl #impl_generics #krate::__private::#marker for #name #type_generics #where_clause {}
        })
    }
}

/// A variant of an enum, or a struct as its own and only variant.
struct Variant<'a> {
    /// `Self::Name` or `Self`.
    path: TokenStream,
    fields: Vec<TracedField<'a>>,
}

struct TracedField<'a> {
    member: Member,
    ty: &'a Type,
    treatment: Treatment,
    /// The name by which the emitted code calls it.
    binding: Ident,
}

fn variants<'a>(data: &'a Data, name: &Ident) -> Result<Vec<Variant<'a>>> {
    match data {
        Data::Struct(data) => Ok(vec![Variant { path: quote!(Self), fields: read_fields(&data.fields)? }]),
        Data::Enum(data) => {
            let mut variants = Vec::new();
            for variant in &data.variants {
                reject(&variant.attrs)?;
                let name = &variant.ident;
                variants.push(Variant { path: quote!(Self::#name), fields: read_fields(&variant.fields)? });
            }
            Ok(variants)
        }
        Data::Union(_) => {
            let message = "a union cannot be traced, since nobody knows which field is in use; without handles in it, add `#[trace(leaf)]`";
            Err(Error::new(name.span(), message))
        }
    }
}

fn read_fields(fields: &Fields) -> Result<Vec<TracedField<'_>>> {
    let read =
        |(index, (field, member)): (usize, (&'_ Field, Member))| Ok((index, member, Treatment::read(&field.attrs)?));
    let described = fields.iter().zip(fields.members()).enumerate().map(read).collect::<Result<Vec<_>>>()?;
    let fields = fields.iter().zip(described).map(|(field, (index, member, treatment))| {
        let binding = format_ident!("field_{}", index, span = Span::mixed_site());
        TracedField { member, ty: &field.ty, treatment, binding }
    });
    Ok(fields.collect())
}

impl TracedField<'_> {
    fn is_traced(&self) -> bool {
        self.treatment == Treatment::Traced
    }

    fn is_skipped(&self) -> bool {
        self.treatment == Treatment::Skipped
    }
}

impl<'a> Variant<'a> {
    /// A pattern for all fields, those not `wanted` by the body as `_`.
    fn pattern(&self, wanted: impl Fn(&TracedField<'a>) -> bool) -> TokenStream {
        let path = &self.path;
        let fields = self.fields.iter().map(|field| {
            let TracedField { member, binding, .. } = field;
            if wanted(field) { quote!(#member: #binding) } else { quote!(#member: _) }
        });
        quote!(#path { #(#fields),* })
    }

    /// Calls `trace` on every traced field.
    ///
    /// Here and below the first thing asked of a traced field is `facts_of`: a type that is not `Trace` then gets the same error
    /// each time, and the compiler shows it once.
    fn trace(&self, krate: &Path) -> TokenStream {
        let pattern = self.pattern(TracedField::is_traced);
        let calls = self.fields.iter().filter(|field| field.is_traced()).map(|TracedField { ty, binding, .. }| {
            quote! {
                if const { #krate::__private::facts_of::<#ty>().scan } {
                    #krate::__private::trace_field::<#ty>(#binding, __tracer);
                }
            }
        });
        quote!(#pattern => { #(#calls)* })
    }

    /// Drops every field, each in its manner.
    fn drop_swept(&self, krate: &Path) -> TokenStream {
        let pattern = self.pattern(|_| true);
        let calls = self.fields.iter().map(|field @ TracedField { ty, binding, .. }| {
            if !field.is_traced() {
                return quote!(#krate::__private::drop_untraced::<#ty>(#binding););
            }
            quote! {
                if const { #krate::__private::needs_drop_swept(#krate::__private::facts_of::<#ty>()) } {
                    #krate::__private::drop_field::<#ty>(#binding);
                }
            }
        });
        quote!(#pattern => { #(#calls)* })
    }

    /// The facts of all fields together.
    fn facts(&self, krate: &Path) -> TokenStream {
        let fields = self.fields.iter().map(|TracedField { ty, treatment, .. }| match treatment {
            Treatment::Traced => quote!(#krate::__private::facts_of::<#ty>()),
            Treatment::Leaf | Treatment::Skipped => quote!(#krate::__private::Facts::leaf::<#ty>()),
        });
        quote!(#krate::__private::Facts::PLAIN #(.and(#fields))*)
    }

    /// What must compile if the untraced fields may be dropped on any thread.
    fn checks(&self, krate: &Path) -> TokenStream {
        let checks = self.fields.iter().map(|TracedField { ty, treatment, .. }| match treatment {
            Treatment::Traced => quote!(),
            Treatment::Leaf => quote!(#krate::__private::leaf_field_is_send::<#ty>();),
            Treatment::Skipped => quote_spanned! {ty.span()=>
                #krate::__private::skipped_field_is_send_or_trace::<_, #ty>(
                    (&&&#krate::__private::Probe::<#ty>::NEW).verdict()
                );
            },
        });
        quote!(#(#checks)*)
    }
}

/// A type to be traced field by field.
struct Expansion<'a> {
    input: &'a DeriveInput,
    attributes: &'a TypeAttributes,
    variants: Vec<Variant<'a>>,
}

impl Expansion<'_> {
    fn implement(&self) -> TokenStream {
        let (trace, derived, no_drop) = (self.trace(), self.derived(), self.no_drop());
        let finalizer = self.finalization().marker();
        quote!(#trace #derived #no_drop #finalizer)
    }

    fn finalization(&self) -> Finalization<'_> {
        Finalization::of(self.input, self.attributes)
    }

    /// The user's generics with the bounds of the implementation.
    fn generics(&self) -> Generics {
        let krate = &self.attributes.krate;
        let mut generics = with_bounds(&self.input.generics, self.attributes.bounds.as_ref(), |generics| {
            for parameter in generics.type_params_mut() {
                parameter.bounds.push(parse_quote!(#krate::__private::Trace));
            }
        });
        self.finalization().add_bound(&mut generics);
        generics
    }

    fn trace(&self) -> TokenStream {
        let krate = &self.attributes.krate;
        let name = &self.input.ident;
        let generics = self.generics();
        let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
        let trace = self.match_self(|variant| variant.trace(krate));
        let drop_swept = self.match_self(|variant| variant.drop_swept(krate));
        let info = self.finalization().info(quote!(#krate::__private::DerivedInfo<Self>));
        let run_finalizer = self.finalization().method();
        quote! {
            #[automatically_derived]
            #[allow(deprecated)]
            unsafe impl #impl_generics #krate::__private::Trace for #name #type_generics #where_clause {
                type Info = #info;

                #[inline]
                fn slot_facts(&self) -> ::core::option::Option<#krate::__private::SlotFacts> {
                    ::core::option::Option::Some(#krate::__private::SlotFacts::of::<Self>())
                }

                #[inline(always)]
                fn trace(&self, __tracer: &mut #krate::__private::Tracer<'_>) {
                    #trace
                }

                #[inline]
                unsafe fn drop_swept(&mut self) {
                    unsafe { #drop_swept }
                }

                #run_finalizer
            }
        }
    }

    /// A `match` over all variants.
    fn match_self(&self, arm: impl Fn(&Variant<'_>) -> TokenStream) -> TokenStream {
        if self.variants.is_empty() {
            return quote!(match *self {});
        }
        let arms = self.variants.iter().map(arm);
        quote!(match self { #(#arms)* })
    }

    /// The facts, and the checks of what they rest on.
    fn derived(&self) -> TokenStream {
        let krate = &self.attributes.krate;
        let name = &self.input.ident;
        let generics = self.generics();
        let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
        let facts = self.variants.iter().map(|variant| variant.facts(krate));
        let checks = self.variants.iter().map(|variant| variant.checks(krate));
        let skips = self.variants.iter().flat_map(|variant| &variant.fields).any(TracedField::is_skipped);
        let probe = skips.then(|| quote!(use #krate::__private::Skip as _;));
        quote! {
            #[automatically_derived]
            impl #impl_generics #krate::__private::Derived for #name #type_generics #where_clause {
                const FACTS: #krate::__private::Facts = #krate::__private::Facts::PLAIN #(.either(#facts))*;

                fn check_fields() {
                    #probe
                    #(#checks)*
                }
            }
        }
    }

    /// Conflicts with a `Drop` of the type's own.
    fn no_drop(&self) -> TokenStream {
        let krate = &self.attributes.krate;
        let name = &self.input.ident;
        let (impl_generics, type_generics, where_clause) = self.input.generics.split_for_impl();
        let marker = format_ident!("TracedTypesHaveNoDrop_MoveItIntoALeafField_OrImplementFinalize");
        quote! {
            #[automatically_derived]
            impl #impl_generics #krate::__private::#marker for #name #type_generics #where_clause {}
        }
    }
}
