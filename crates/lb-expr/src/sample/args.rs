//! Arguments of fetches, converters and actions, `(a,b)`: from text to typed values. Called when the configuration is read.
//!
//! Source: manual 7.3 and 2.2; quoting within parentheses as observed on haproxy 2.6.12.

use super::expr::Loader;
use super::{Reference, Scope, Variable};
use lb_http::FieldId;
use std::any::Any;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// What an argument has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgKind {
    /// A signed integer.
    Int,
    /// Text.
    Str,
    /// An IPv4 address.
    Ipv4,
    /// A network mask of IPv4, as an address or as a number of bits.
    Mask4,
    /// An IPv6 address.
    Ipv6,
    /// A network mask of IPv6, as an address or as a number of bits.
    Mask6,
    /// A duration, in milliseconds without a unit.
    Time,
    /// A size in bytes, with `k`, `m`, `g`.
    Size,
    /// Name of a frontend.
    Frontend,
    /// Name of a backend.
    Backend,
    /// Name of a server, `backend/server` or of the same backend.
    Server,
    /// Name of a proxy with a stick table.
    Table,
    /// Name of a `userlist`.
    Userlist,
    /// A variable with its scope.
    Variable,
    /// Number of a field of Protocol Buffers messages, with dots between those of messages within each other: [`Args::made`] of
    /// `Box<[u32]>`.
    ProtobufField,
}

impl ArgKind {
    /// Haproxy's name, as its messages have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "integer",
            Self::Str => "string",
            Self::Ipv4 => "IPv4 address",
            Self::Mask4 => "IPv4 mask",
            Self::Ipv6 => "IPv6 address",
            Self::Mask6 => "IPv6 mask",
            Self::Time => "delay",
            Self::Size => "size",
            Self::Frontend => "frontend",
            Self::Backend => "backend",
            Self::Server => "server",
            Self::Table => "table",
            Self::Userlist => "user list",
            Self::Variable => "variable",
            Self::ProtobufField => "Protocol buffers field number",
        }
    }
}

/// An argument's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arg {
    /// Not given, or empty where that is allowed.
    Absent,
    /// [`ArgKind::Int`]; [`ArgKind::Time`] in milliseconds; [`ArgKind::Size`] in bytes.
    Int(i64),
    /// [`ArgKind::Str`].
    Str(Box<str>),
    /// A boolean that a check has read.
    Bool(bool),
    /// [`ArgKind::Ipv4`], [`ArgKind::Mask4`].
    Ipv4(Ipv4Addr),
    /// [`ArgKind::Ipv6`], [`ArgKind::Mask6`].
    Ipv6(Ipv6Addr),
    /// A name of something that the configuration has.
    Reference(Reference),
    /// [`ArgKind::Variable`].
    Variable(Variable),
    /// Name of a header field as heads are searched by it: in lower case, and its number if it is a known one.
    Field(FieldId, Box<[u8]>),
    /// What a check made of an argument: a pattern, a key.
    Made(Made),
}

/// What a check made of an argument, read back with [`Args::made`].
#[derive(Clone)]
pub struct Made(Arc<dyn Any + Send + Sync>);

impl Made {
    /// Keeps `value`.
    pub fn new(value: impl Any + Send + Sync) -> Self {
        Self(Arc::new(value))
    }
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Made")
    }
}

/// The same thing, not an equal one.
impl PartialEq for Made {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Made {}

impl Arg {
    /// Name of a header field.
    pub fn field(name: &str) -> Self {
        let name = name.to_ascii_lowercase().into_bytes();
        Self::Field(FieldId::of(&name), name.into())
    }

    /// An argument that is `value` from now on.
    pub fn made(value: impl Any + Send + Sync) -> Self {
        Self::Made(Made::new(value))
    }

    /// Its text; empty when it is absent or something else.
    pub fn text(&self) -> &str {
        match self {
            Self::Str(text) => text,
            _ => "",
        }
    }
}

/// The arguments of one call.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Args(pub Box<[Arg]>);

impl Args {
    /// The argument at `n`.
    pub fn get(&self, n: usize) -> &Arg {
        self.0.get(n).unwrap_or(&Arg::Absent)
    }

    /// Whether the argument is there.
    pub fn has(&self, n: usize) -> bool {
        !matches!(self.get(n), Arg::Absent)
    }

    /// The integer at `n`.
    pub fn int(&self, n: usize) -> Option<i64> {
        match self.get(n) {
            Arg::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// The text at `n`.
    pub fn str(&self, n: usize) -> Option<&str> {
        match self.get(n) {
            Arg::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The name at `n`.
    pub fn reference(&self, n: usize) -> Option<Reference> {
        match self.get(n) {
            Arg::Reference(name) => Some(*name),
            _ => None,
        }
    }

    /// What the check made of the argument at `n`.
    pub fn made<T: Any>(&self, n: usize) -> Option<&T> {
        match self.get(n) {
            Arg::Made(made) => made.0.downcast_ref(),
            _ => None,
        }
    }

    /// The variable at `n`.
    pub fn variable(&self, n: usize) -> Option<Variable> {
        match self.get(n) {
            Arg::Variable(variable) => Some(*variable),
            _ => None,
        }
    }
}

/// Most numbers of a path through messages of Protocol Buffers.
pub const MAX_PATH: usize = 64;

/// The arguments of a call as they stand in the text.
pub(super) struct Written<'t> {
    /// What stands behind the opening parenthesis, to the end of the word.
    text: &'t str,
    /// Each argument, unquoted, and where it begins.
    list: Vec<(String, usize)>,
    /// There are parentheses.
    parentheses: bool,
    /// Bytes up to and with the closing parenthesis; `None` when there is none.
    pub(super) taken: Option<usize>,
}

impl<'t> Written<'t> {
    /// Reads what stands behind an opening parenthesis.
    pub(super) fn read(text: &'t str) -> Self {
        let mut list = vec![(String::new(), 0)];
        let taken = Self::split(text, &mut list);
        Self { text, list, parentheses: true, taken }
    }

    /// No parentheses at all, which is the same as none between them.
    pub(super) fn none() -> Self {
        Self { text: "", list: vec![(String::new(), 0)], parentheses: false, taken: Some(0) }
    }

    fn split(text: &str, list: &mut Vec<(String, usize)>) -> Option<usize> {
        let mut quote = None;
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let (arg, _) = list.last_mut()?;
            match (c, quote) {
                ('\\', None | Some('"')) => {
                    let escaped = chars.next_if(|(_, next)| matches!(next, 'r' | 'n' | 't' | '\\' | '"' | '\'' | ' '));
                    arg.push(match escaped {
                        Some((_, 'r')) => '\r',
                        Some((_, 'n')) => '\n',
                        Some((_, 't')) => '\t',
                        Some((_, other)) => other,
                        // Before anything else, a comma or parenthesis too, it stands for itself.
                        None => '\\',
                    });
                }
                (c, Some(q)) if c == q => quote = None,
                ('"' | '\'', None) => quote = Some(c),
                (_, Some(_)) => arg.push(c),
                (',', None) => list.push((String::new(), at + 1)),
                (')', None) => return Some(at + 1),
                _ => arg.push(c),
            }
        }
        None
    }
}

/// Why arguments cannot be read.
pub(super) struct ArgError {
    /// The argument, from 1.
    pub(super) position: usize,
    pub(super) message: String,
}

/// Reads the arguments of a call as `kinds` has them, of which the first `required` must be there.
///
/// # Errors
/// A message in haproxy's words.
pub(super) fn typed(written: &Written<'_>, kinds: &[ArgKind], required: usize, loader: &mut dyn Loader) -> Result<Args, ArgError> {
    let error = |n: usize, message: String| Err(ArgError { position: n + 1, message });
    let mut args = Vec::with_capacity(written.list.len());
    for (n, (word, start)) in written.list.iter().enumerate() {
        // `name` has no arguments, `name()` an empty text if it takes one.
        let none = !written.parentheses || kinds.first() != Some(&ArgKind::Str);
        if n == 0 && written.list.len() == 1 && word.is_empty() && required == 0 && none {
            break;
        }
        let Some(kind) = kinds.get(n) else {
            let rest = written.text.get(start - usize::from(n > 0)..).unwrap_or_default();
            // Haproxy counts so: the one too many, or the last that there may be.
            let position = if required == kinds.len() { n } else { n - 1 };
            return error(position, format!("expected ')' before '{rest}'"));
        };
        let arg = match kind {
            ArgKind::Frontend | ArgKind::Backend | ArgKind::Table if word.is_empty() => itself(*kind, n, loader)?,
            ArgKind::Str if n == 0 => Arg::Str(word.as_str().into()),
            ArgKind::Str if word.is_empty() && n >= required => Arg::Absent,
            // Nothing at the end is 0, and elsewhere the end of what can be read.
            ArgKind::Int if word.is_empty() && n >= required && n + 1 == written.list.len() => Arg::Int(0),
            _ if word.is_empty() && n >= required => {
                if n + 1 < written.list.len() {
                    return error(n, format!("expected ')' before '{}'", written.text.get(*start..).unwrap_or_default()));
                }
                Arg::Absent
            }
            ArgKind::Str => Arg::Str(word.as_str().into()),
            _ if word.is_empty() => {
                return error(n, format!("expected type '{}' at position {}, but got nothing", kind.name(), n + 1));
            }
            _ => match one(word, *kind, loader) {
                Ok(arg) => arg,
                Err(why) => {
                    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
                    return error(n, format!("failed to parse '{word}' as type '{}' at position {}{why}", kind.name(), n + 1));
                }
            },
        };
        args.push(arg);
    }
    if written.taken.is_none() {
        return error(args.len(), "expected ')'".to_owned());
    }
    if args.len() < required {
        let kind = kinds.get(args.len()).map_or("string", |kind| kind.name());
        return error(args.len(), format!("missing arguments (got {}/{required}), type '{kind}' expected", args.len()));
    }
    // Proxies that are not named are the one that the line belongs to.
    while let Some(kind @ (ArgKind::Frontend | ArgKind::Backend | ArgKind::Table)) = kinds.get(args.len()) {
        args.push(itself(*kind, args.len(), loader)?);
    }
    Ok(Args(args.into()))
}

/// The proxy that a line belongs to, in place of a name.
fn itself(kind: ArgKind, n: usize, loader: &mut dyn Loader) -> Result<Arg, ArgError> {
    loader.reference(kind, "").map(Arg::Reference).map_err(|message| ArgError { position: n + 1, message })
}

fn one(word: &str, kind: ArgKind, loader: &mut dyn Loader) -> Result<Arg, Option<String>> {
    let bits = || word.parse::<u32>().ok();
    let arg = match kind {
        ArgKind::Str => Some(Arg::Str(word.into())),
        ArgKind::Int => integer(word).map(Arg::Int),
        ArgKind::Ipv4 => word.parse().ok().map(Arg::Ipv4),
        ArgKind::Ipv6 => word.parse().ok().map(Arg::Ipv6),
        ArgKind::Mask4 => {
            let of = |bits: u32| (bits <= 32).then(|| Ipv4Addr::from(u32::MAX.checked_shl(32 - bits).unwrap_or(0)));
            bits().map_or_else(|| word.parse().ok(), of).map(Arg::Ipv4)
        }
        ArgKind::Mask6 => {
            let of = |bits: u32| (bits <= 128).then(|| Ipv6Addr::from(u128::MAX.checked_shl(128 - bits).unwrap_or(0)));
            bits().map_or_else(|| word.parse().ok(), of).map(Arg::Ipv6)
        }
        ArgKind::Time => milliseconds(word).map(Arg::Int),
        ArgKind::Size => size(word).map(Arg::Int),
        ArgKind::Frontend | ArgKind::Backend | ArgKind::Server | ArgKind::Table | ArgKind::Userlist => {
            return loader.reference(kind, word).map(Arg::Reference).map_err(Some);
        }
        ArgKind::ProtobufField => {
            let path: Option<Box<[u32]>> = word.split('.').map(|n| n.parse().ok()).collect();
            path.filter(|path| path.len() <= MAX_PATH).map(Arg::made)
        }
        ArgKind::Variable => return variable(word, loader).map(Arg::Variable).map_err(Some),
    };
    arg.ok_or(None)
}

/// A number: a sign and digits, as haproxy reads it (no digits are 0); one that is too large is the largest.
pub fn integer(word: &str) -> Option<i64> {
    let digits = word.strip_prefix(['-', '+']).unwrap_or(word);
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| super::leading_int(word.as_bytes()))
}

/// `txn.name`. Manual 2.8.
///
/// # Errors
/// No scope, or a name with other characters than letters, digits, `.` and `_`; in haproxy's words.
pub fn variable(text: &str, loader: &mut dyn Loader) -> Result<Variable, String> {
    let Some((scope, name)) = text.split_once('.').filter(|(_, name)| !name.is_empty()) else {
        return Err(format!(
            "invalid variable name '{text}'. A variable name must be start by its scope. The scope can be 'proc', 'sess', 'txn', \
             'req', 'res' or 'check'"
        ));
    };
    let scope = match scope {
        "proc" => Scope::Process,
        "sess" => Scope::Session,
        "txn" => Scope::Transaction,
        "req" => Scope::Request,
        "res" => Scope::Response,
        "check" => Scope::Check,
        _ => {
            return Err(format!(
                "invalid variable name '{text}'. A variable name must be start by its scope. The scope can be 'proc', 'sess', \
                 'txn', 'req', 'res' or 'check'"
            ));
        }
    };
    if let Some(odd) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.')) {
        return Err(format!("invalid syntax at char '{odd}'"));
    }
    Ok(loader.variable(scope, name))
}

/// Milliseconds of a duration with an optional unit. Manual 2.5.
fn milliseconds(word: &str) -> Option<i64> {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let n: i64 = word.get(..digits)?.parse().ok()?;
    match &word[digits..] {
        "us" => Some(n / 1_000 + i64::from(n % 1_000 != 0)),
        "" | "ms" => Some(n),
        "s" => n.checked_mul(1_000),
        "m" => n.checked_mul(60_000),
        "h" => n.checked_mul(3_600_000),
        "d" => n.checked_mul(86_400_000),
        _ => None,
    }
}

fn size(word: &str) -> Option<i64> {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let n: i64 = word.get(..digits)?.parse().ok()?;
    let shift = match &word[digits..] {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        _ => return None,
    };
    n.checked_mul(1 << shift)
}
