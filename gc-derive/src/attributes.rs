//! The `#[trace(…)]` attributes of types and fields. Whatever is not known is an error that lists what is.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{
    Attribute, Error, LitStr, Path, Result, Token, WherePredicate, meta::ParseNestedMeta, parse_quote,
    punctuated::Punctuated,
};

pub(crate) type Bounds = Punctuated<WherePredicate, Token![,]>;

/// What `#[trace(…)]` says about a type.
pub(crate) struct TypeAttributes {
    /// Where to find `graphgc`.
    pub(crate) krate: Path,
    /// The bounds that replace the default ones.
    pub(crate) bounds: Option<Bounds>,
    pub(crate) leaf: bool,
    pub(crate) finalizer: Option<Finalizer>,
}

/// Who runs the finalizer of a type's objects.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finalizer {
    Thread,
    Local,
}

/// How the collector treats a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Treatment {
    Traced,
    Leaf,
    Skipped,
}

impl TypeAttributes {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<TypeAttributes> {
        let mut krate = None;
        let mut bounds = None;
        let mut leaf = None;
        let mut finalizer = None;
        for_each(attributes, |item| match name(&item).as_str() {
            "crate" => once(&mut krate, parse_crate(&item)?, &item),
            "bound" => once(&mut bounds, parse_bounds(&item)?, &item),
            "leaf" => once(&mut leaf, (), &item),
            "finalize" => once(&mut finalizer, Finalizer::Thread, &item),
            "local_finalize" => once(&mut finalizer, Finalizer::Local, &item),
            _ => {
                Err(unknown(&item, "a type", "`leaf`, `finalize`, `local_finalize`, `bound = \"…\"`, `crate = \"…\"`"))
            }
        })?;
        let krate = krate.unwrap_or_else(|| parse_quote!(::graphgc));
        Ok(TypeAttributes { krate, bounds, leaf: leaf.is_some(), finalizer })
    }
}

impl Treatment {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Treatment> {
        let mut treatment = None;
        for_each(attributes, |item| match name(&item).as_str() {
            "leaf" => once(&mut treatment, Treatment::Leaf, &item),
            "skip" => once(&mut treatment, Treatment::Skipped, &item),
            _ => Err(unknown(&item, "a field", "`leaf`, `skip`")),
        })?;
        Ok(treatment.unwrap_or(Treatment::Traced))
    }
}

/// Variants take no attributes.
pub(crate) fn reject(attributes: &[Attribute]) -> Result<()> {
    for_each(attributes, |item| Err(unknown(&item, "a variant", "none; put them on its fields")))
}

/// Whether some `#[repr(…)]` says `packed`.
pub(crate) fn is_packed(attributes: &[Attribute]) -> bool {
    let mut packed = false;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("repr")) {
        // An error here is one that the compiler reports itself.
        let _ = attribute.parse_nested_meta(|item| {
            packed |= item.path.is_ident("packed");
            if item.input.peek(syn::token::Paren) {
                let content;
                syn::parenthesized!(content in item.input);
                content.parse::<TokenStream>()?;
            }
            Ok(())
        });
    }
    packed
}

/// Reads every item of every `#[trace(…)]`.
fn for_each(attributes: &[Attribute], mut read: impl FnMut(ParseNestedMeta<'_>) -> Result<()>) -> Result<()> {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("trace")) {
        attribute.parse_nested_meta(&mut read)?;
    }
    Ok(())
}

fn name(item: &ParseNestedMeta<'_>) -> String {
    item.path.get_ident().map(ToString::to_string).unwrap_or_default()
}

fn once<T>(slot: &mut Option<T>, value: T, item: &ParseNestedMeta<'_>) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(item.error("this `trace` attribute repeats or contradicts an earlier one")),
    }
}

fn unknown(item: &ParseNestedMeta<'_>, place: &str, known: &str) -> Error {
    let path = item.path.to_token_stream().to_string().replace(' ', "");
    item.error(format!("unknown `trace` attribute `{path}` on {place}; accepted here: {known}"))
}

/// `crate = "path"` or `crate = path`.
fn parse_crate(item: &ParseNestedMeta<'_>) -> Result<Path> {
    let value = item.value()?;
    if value.peek(LitStr) {
        value.parse::<LitStr>()?.parse_with(Path::parse_mod_style)
    } else {
        value.call(Path::parse_mod_style)
    }
}

/// `bound = "T: Trait, …"`.
fn parse_bounds(item: &ParseNestedMeta<'_>) -> Result<Bounds> {
    item.value()?.parse::<LitStr>()?.parse_with(Bounds::parse_terminated)
}
