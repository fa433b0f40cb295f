//! The fetches and converters that there are: one entry each, found by name. A program that embeds this crate adds its own.

use super::args::ArgKind;
use super::{Args, Cursor, Cx, Eval, Need, Type, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// A fetch that comes with the crate.
pub type FetchCall = for<'a> fn(&'a Args, Cx<'a>, &mut Cursor) -> Eval<'a>;
/// A converter that comes with the crate. `None`: the sample is absent.
pub type Convert = for<'a> fn(&'a Args, Value<'a>, Cx<'a>) -> Option<Value<'a>>;
/// Looks at arguments when the configuration is read, and may change them (a method that is parsed, a default that is filled in, a name
/// of a variable that may stand in place of a number).
pub type CheckArgs = fn(&mut Vec<super::Arg>, &mut dyn super::Loader) -> Result<(), String>;
/// As [`CheckArgs`], for arguments that need all that compiling has: files of patterns.
pub type LoadArgs = fn(&mut Vec<super::Arg>, &mut super::Compiler<'_>) -> Result<(), String>;

type EmbedderFetch = dyn for<'a> Fn(&'a Args, Cx<'a>, &mut Cursor) -> Eval<'a> + Send + Sync;
type EmbedderConvert = dyn for<'a> Fn(&'a Args, Value<'a>, Cx<'a>) -> Option<Value<'a>> + Send + Sync;

/// How a fetch is called.
#[derive(Clone)]
pub(crate) enum Fetching {
    Own(FetchCall),
    Embedder(Arc<EmbedderFetch>),
}

/// How a converter is called.
#[derive(Clone)]
pub(crate) enum Converting {
    Own(Convert),
    Embedder(Arc<EmbedderConvert>),
}

/// Where values come from: a name, its arguments, its type.
#[derive(Clone)]
pub struct Fetch {
    /// Name in the configuration.
    pub name: &'static str,
    /// What its arguments are.
    pub args: &'static [ArgKind],
    /// How many of them must be there.
    pub required: usize,
    /// Type of the value.
    pub out: Type,
    /// What it looks at.
    pub need: Need,
    pub(crate) check: Option<CheckArgs>,
    pub(crate) load: Option<LoadArgs>,
    pub(crate) call: Fetching,
}

impl Fetch {
    /// An entry of a table.
    pub const fn new(name: &'static str, args: &'static [ArgKind], required: usize, out: Type, need: Need, call: FetchCall) -> Self {
        Self { name, args, required, out, need, check: None, load: None, call: Fetching::Own(call) }
    }

    /// With arguments that need all that compiling has.
    pub const fn loading(mut self, load: LoadArgs) -> Self {
        self.load = Some(load);
        self
    }

    /// With a look at its arguments.
    pub const fn checked(mut self, check: CheckArgs) -> Self {
        self.check = Some(check);
        self
    }
}

/// What turns a value into another one.
#[derive(Clone)]
pub struct Converter {
    /// Name in the configuration.
    pub name: &'static str,
    /// What its arguments are.
    pub args: &'static [ArgKind],
    /// How many of them must be there.
    pub required: usize,
    /// Type that it takes; the value is cast to it before.
    pub input: Type,
    /// Type that it gives.
    pub out: Type,
    pub(crate) check: Option<CheckArgs>,
    pub(crate) load: Option<LoadArgs>,
    pub(crate) call: Converting,
}

impl Converter {
    /// An entry of a table.
    pub const fn new(name: &'static str, args: &'static [ArgKind], required: usize, input: Type, out: Type, call: Convert) -> Self {
        Self { name, args, required, input, out, check: None, load: None, call: Converting::Own(call) }
    }

    /// With arguments that name files of patterns.
    pub const fn loading(mut self, load: LoadArgs) -> Self {
        self.load = Some(load);
        self
    }

    /// With a look at its arguments.
    pub const fn checked(mut self, check: CheckArgs) -> Self {
        self.check = Some(check);
        self
    }
}

/// All fetches and converters by name.
#[derive(Clone)]
pub struct Registry {
    fetches: HashMap<&'static str, Fetch>,
    converters: HashMap<&'static str, Converter>,
}

impl Registry {
    /// Those of this crate.
    pub fn standard() -> Self {
        let fetches = crate::fetch::TABLES.iter().flat_map(|table| table.iter()).chain(crate::acl::SAMPLES);
        let fetches = fetches.map(|fetch| (fetch.name, fetch.clone())).collect();
        let converters = crate::convert::TABLES
            .iter()
            .flat_map(|table| table.iter())
            .chain(crate::acl::MAPS)
            .map(|converter| (converter.name, converter.clone()))
            .collect();
        Self { fetches, converters }
    }

    /// Adds a fetch of the embedding program, in place of one of the same name.
    pub fn add_fetch(
        &mut self,
        name: &'static str,
        args: &'static [ArgKind],
        required: usize,
        (out, need): (Type, Need),
        call: impl for<'a> Fn(&'a Args, Cx<'a>, &mut Cursor) -> Eval<'a> + Send + Sync + 'static,
    ) {
        let call = Fetching::Embedder(Arc::new(call));
        self.fetches.insert(name, Fetch { name, args, required, out, need, check: None, load: None, call });
    }

    /// Adds a converter of the embedding program, in place of one of the same name.
    pub fn add_converter(
        &mut self,
        name: &'static str,
        args: &'static [ArgKind],
        required: usize,
        (input, out): (Type, Type),
        call: impl for<'a> Fn(&'a Args, Value<'a>, Cx<'a>) -> Option<Value<'a>> + Send + Sync + 'static,
    ) {
        let call = Converting::Embedder(Arc::new(call));
        self.converters.insert(name, Converter { name, args, required, input, out, check: None, load: None, call });
    }

    /// The fetch of this name.
    pub fn fetch(&self, name: &str) -> Option<&Fetch> {
        self.fetches.get(name)
    }

    /// The converter of this name.
    pub fn converter(&self, name: &str) -> Option<&Converter> {
        self.converters.get(name)
    }

    /// Names of all fetches, in no order.
    pub fn fetch_names(&self) -> impl Iterator<Item = &'static str> {
        self.fetches.keys().copied()
    }

    /// Names of all converters, in no order.
    pub fn converter_names(&self) -> impl Iterator<Item = &'static str> {
        self.converters.keys().copied()
    }
}
