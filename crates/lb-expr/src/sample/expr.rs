//! An expression: a fetch and the converters behind it, `hdr(host),lower`. Compiled once; evaluated by a walk over its steps.

use super::args::{self, ArgError, ArgKind, Args, Written};
use super::registry::{CheckArgs, Converting, Fetching, LoadArgs, Registry};
use super::{Cursor, Cx, Eval, Need, Reference, Scope, Type, Value, Variable};
use std::fmt;

/// What compiling asks the reader of a configuration for.
pub trait Loader {
    /// The number of a variable; the same for the same scope and name.
    fn variable(&mut self, scope: Scope, name: &str) -> Variable;

    /// Notes that the configuration names a proxy, a server or the like, which may come further down. A proxy without a name is the one
    /// that the line belongs to.
    ///
    /// # Errors
    /// A name that can never be one.
    fn reference(&mut self, kind: ArgKind, name: &str) -> Result<Reference, String>;

    /// The content of a file: maps, patterns, keys.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String>;

    /// A variable of the environment.
    fn environment(&self, name: &str) -> Option<String>;

    /// The addresses that a name has now. Manual 7.1.6.
    fn resolve(&mut self, _name: &str) -> Vec<std::net::IpAddr> {
        Vec::new()
    }

    /// The ACL of this name that a line of the same section has defined above.
    fn acl(&mut self, _name: &str) -> Option<std::sync::Arc<crate::acl::Acl>> {
        None
    }

    /// Whether there is a file at all.
    fn exists(&self, _path: &str) -> bool {
        true
    }

    /// The line that is read: its file, as the configuration names it, and its number.
    fn place(&self) -> Option<(String, u32)> {
        None
    }

    /// Notes that an expression uses this fetch: some need what is not kept for nobody.
    fn note_fetch(&mut self, _name: &'static str) {}

    /// Notes that a format has words beside its samples: they show what is kept for nobody, too.
    fn note_words(&mut self) {}

    /// Notes what is allowed and yet wants a look: at which word, and why.
    fn warn(&mut self, _word: usize, _message: String) {}
}

/// What compiling needs.
pub struct Compiler<'c> {
    /// What there is.
    pub registry: &'c Registry,
    /// What the configuration has.
    pub loader: &'c mut dyn Loader,
    /// Where files of patterns and maps are kept, which all of a configuration share.
    pub sets: &'c crate::acl::Sets,
}

/// Why an expression does not compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExprError {
    /// Index of the word where the fault is.
    pub word: usize,
    /// What is wrong, in haproxy's words where it has some.
    pub message: String,
    /// What to write instead, where that can be said.
    pub help: Option<String>,
}

impl ExprError {
    /// An error without help.
    pub fn new(word: usize, message: impl Into<String>) -> Self {
        Self { word, message: message.into(), help: None }
    }
}

#[derive(Clone)]
struct Step {
    name: &'static str,
    call: Converting,
    args: Args,
    /// What the value has to be turned into before; `None` when it is that by itself.
    cast: Option<Type>,
    /// Of the result.
    out: Type,
}

/// A compiled expression.
#[derive(Clone)]
pub struct Expr {
    /// As it was written; two expressions of the same text are the same.
    text: Box<str>,
    name: &'static str,
    need: Need,
    call: Fetching,
    args: Args,
    fetch_type: Type,
    steps: Box<[Step]>,
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expr {}

impl Expr {
    /// Compiles the expression that begins at `words[*at]` and moves `at` behind it. Converters may stand in words of their own.
    ///
    /// # Errors
    /// Unknown names, arguments of another number or type, types that do not fit.
    pub fn parse(words: &[&str], at: &mut usize, compiler: &mut Compiler<'_>) -> Result<Self, ExprError> {
        let first = *at;
        let text = words.get(first).copied().unwrap_or_default();
        let (mut parsing, mut rest) = Parsing::begin(text, compiler).map_err(|message| ExprError::new(first, message))?;
        *at += 1;
        loop {
            let place = *at - 1;
            rest = parsing.converters(rest, compiler).map_err(|message| ExprError::new(place, message))?;
            if !rest.is_empty() {
                return Err(ExprError::new(place, format!("missing comma after {} '{}'", parsing.last_kind(), parsing.last_name())));
            }
            match words.get(*at) {
                Some(next) if compiler.registry.converter(name_of(next).0).is_some() => {
                    let (name, after) = name_of(next);
                    rest = parsing.converter(name, after, compiler).map_err(|message| ExprError::new(*at, message))?;
                    *at += 1;
                }
                _ => return Ok(parsing.end(&words[first..*at].join(" "))),
            }
        }
    }

    /// Compiles the expression at the beginning of `text`, as far as it goes; gives what is left of the text as well.
    ///
    /// # Errors
    /// As [`Expr::parse`].
    pub fn parse_prefix<'t>(text: &'t str, compiler: &mut Compiler<'_>) -> Result<(Self, &'t str), ExprError> {
        let all = Parsing::begin(text, compiler).and_then(|(mut parsing, rest)| {
            let rest = parsing.converters(rest, compiler)?;
            Ok((parsing.end(&text[..text.len() - rest.len()]), rest))
        });
        all.map_err(|message| ExprError::new(0, message))
    }

    /// Type of its values, as far as it is known.
    pub fn kind(&self) -> Type {
        self.steps.last().map_or(self.fetch_type, |step| step.out)
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Name of its fetch.
    pub fn fetch_name(&self) -> &'static str {
        self.name
    }

    /// Arguments of its fetch.
    pub(crate) fn args(&self) -> &Args {
        &self.args
    }

    /// What it looks at.
    pub fn need(&self) -> Need {
        self.need
    }

    /// Whether it is a fetch without converters.
    pub fn is_plain(&self) -> bool {
        self.steps.is_empty()
    }

    /// Its value.
    pub fn eval<'a>(&'a self, cx: Cx<'a>) -> Eval<'a> {
        self.next(cx, &mut Cursor::default())
    }

    /// The value at the cursor, which moves on. While [`Cursor::more`] is set there may be another one; one whose converters yield nothing
    /// is [`Eval::Absent`] and does not end the walk.
    pub fn next<'a>(&'a self, cx: Cx<'a>, cursor: &mut Cursor) -> Eval<'a> {
        cursor.more = false;
        cursor.partial = false;
        let fetched = match &self.call {
            Fetching::Own(call) => call(&self.args, cx, cursor),
            Fetching::Embedder(call) => call(&self.args, cx, cursor),
        };
        match fetched {
            Eval::Value(value) => self.convert(value, cx).into(),
            none => none,
        }
    }

    /// The value as `kind`.
    pub fn eval_as<'a>(&'a self, kind: Type, cx: Cx<'a>) -> Eval<'a> {
        match self.eval(cx) {
            Eval::Value(value) => value.cast(kind, cx.scratch).into(),
            none => none,
        }
    }

    fn convert<'a>(&'a self, mut value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
        for step in &self.steps {
            if let Some(kind) = step.cast {
                value = value.cast(kind, cx.scratch)?;
            }
            value = match &step.call {
                Converting::Own(call) => call(&step.args, value, cx)?,
                Converting::Embedder(call) => call(&step.args, value, cx)?,
            };
        }
        Some(value)
    }
}

/// An expression on its way.
struct Parsing {
    expr: Expr,
    steps: Vec<Step>,
}

impl Parsing {
    /// The fetch; the text behind it as well.
    fn begin<'t>(text: &'t str, compiler: &mut Compiler<'_>) -> Result<(Self, &'t str), String> {
        let (name, mut rest) = name_of(text);
        if name.is_empty() {
            return Err("missing fetch method".to_owned());
        }
        let Some(fetch) = compiler.registry.fetch(name) else { return Err(format!("unknown fetch method '{name}'")) };
        compiler.loader.note_fetch(fetch.name);
        let args = arguments(&mut rest, "fetch method", name, (fetch.args, fetch.required), compiler.loader)
            .and_then(|args| checked(args, fetch.check, "fetch method", name, compiler.loader))
            .and_then(|args| loaded(args, fetch.load, "fetch method", name, compiler))?;
        let expr = Expr {
            text: Box::default(),
            name: fetch.name,
            need: fetch.need,
            call: fetch.call.clone(),
            args,
            fetch_type: fetch.out,
            steps: Box::default(),
        };
        Ok((Self { expr, steps: Vec::new() }, rest))
    }

    /// All converters that follow behind commas.
    fn converters<'t>(&mut self, mut rest: &'t str, compiler: &mut Compiler<'_>) -> Result<&'t str, String> {
        while let Some(text) = rest.strip_prefix(',') {
            let (name, after) = name_of(text);
            // A comma at the end ends the expression, as haproxy has it.
            if name.is_empty() && after.is_empty() {
                return Ok(after);
            }
            rest = self.converter(name, after, compiler)?;
        }
        Ok(rest)
    }

    fn converter<'t>(&mut self, name: &str, mut rest: &'t str, compiler: &mut Compiler<'_>) -> Result<&'t str, String> {
        let before = self.steps.last().map_or(self.expr.fetch_type, |step| step.out);
        self.steps.push(step(name, &mut rest, before, compiler)?);
        Ok(rest)
    }

    fn last_kind(&self) -> &'static str {
        if self.steps.is_empty() { "fetch keyword" } else { "converter" }
    }

    fn last_name(&self) -> &'static str {
        self.steps.last().map_or(self.expr.name, |step| step.name)
    }

    fn end(mut self, text: &str) -> Expr {
        self.expr.text = text.into();
        self.expr.steps = self.steps.into();
        self.expr
    }
}

/// The name at the beginning, and what follows.
fn name_of(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-' | '+')).unwrap_or(text.len());
    text.split_at(end)
}

fn arguments(
    rest: &mut &str,
    what: &str,
    name: &str,
    (kinds, required): (&'static [ArgKind], usize),
    loader: &mut dyn Loader,
) -> Result<Args, String> {
    let written = match rest.strip_prefix('(') {
        None => Written::none(),
        Some(text) => {
            let written = Written::read(text);
            *rest = &text[written.taken.unwrap_or(text.len())..];
            written
        }
    };
    args::typed(&written, kinds, required, loader).map_err(|ArgError { position, message }| {
        if what == "converter" {
            format!("invalid arg {position} in converter '{name}' : {message}")
        } else {
            format!("{what} '{name}' : {message}")
        }
    })
}

fn checked(args: Args, check: Option<CheckArgs>, what: &str, name: &str, loader: &mut dyn Loader) -> Result<Args, String> {
    let Some(check) = check else { return Ok(args) };
    let mut list = args.0.into_vec();
    check(&mut list, loader).map_err(|why| format!("invalid args in {what} '{name}' : {why}"))?;
    Ok(Args(list.into()))
}

fn loaded(args: Args, load: Option<LoadArgs>, what: &str, name: &str, compiler: &mut Compiler<'_>) -> Result<Args, String> {
    let Some(load) = load else { return Ok(args) };
    let mut list = args.0.into_vec();
    load(&mut list, compiler).map_err(|why| format!("invalid args in {what} '{name}' : {why}"))?;
    Ok(Args(list.into()))
}

fn step(name: &str, rest: &mut &str, before: Type, compiler: &mut Compiler<'_>) -> Result<Step, String> {
    let Some(converter) = compiler.registry.converter(name) else { return Err(format!("unknown converter '{name}'")) };
    if !before.casts_to(converter.input) {
        return Err(format!("converter '{name}' cannot be applied"));
    }
    let kinds = (converter.args, converter.required);
    let args = arguments(rest, "converter", name, kinds, compiler.loader)
        .and_then(|args| checked(args, converter.check, "converter", name, compiler.loader))
        .and_then(|args| loaded(args, converter.load, "converter", name, compiler))?;
    Ok(Step {
        name: converter.name,
        call: converter.call.clone(),
        args,
        cast: (before != converter.input && !matches!(converter.input, Type::Any | Type::Same)).then_some(converter.input),
        out: if converter.out == Type::Same { before } else { converter.out },
    })
}
