//! Arguments of fetches, converters and actions, `(a,b)`: from text to typed values. Called when the configuration is read.
//!
//! Source: manual 7.3 and 2.2; quoting within parentheses as observed on haproxy 2.6.12.

use super::expr::Loader;
use super::{Reference, Scope, Variable};
use std::net::{Ipv4Addr, Ipv6Addr};

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
    /// [`ArgKind::Ipv4`], [`ArgKind::Mask4`].
    Ipv4(Ipv4Addr),
    /// [`ArgKind::Ipv6`], [`ArgKind::Mask6`].
    Ipv6(Ipv6Addr),
    /// A name of something that the configuration has.
    Reference(Reference),
    /// [`ArgKind::Variable`].
    Variable(Variable),
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

    /// The variable at `n`.
    pub fn variable(&self, n: usize) -> Option<Variable> {
        match self.get(n) {
            Arg::Variable(variable) => Some(*variable),
            _ => None,
        }
    }
}

/// The arguments in the text behind an opening parenthesis, unquoted, and how many bytes they took with the closing one. `None`: no
/// closing parenthesis.
pub(super) fn split(text: &str) -> Option<(Vec<String>, usize)> {
    let mut list = vec![String::new()];
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        let arg = list.last_mut()?;
        match (c, quote) {
            ('\\', None | Some('"')) => {
                let (_, next) = chars.next()?;
                match next {
                    'r' => arg.push('\r'),
                    'n' => arg.push('\n'),
                    't' => arg.push('\t'),
                    '\\' | '"' | '\'' | ' ' | '#' | ',' | ')' => arg.push(next),
                    _ => arg.extend(['\\', next]),
                }
            }
            (c, Some(q)) if c == q => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            (_, Some(_)) => arg.push(c),
            (',', None) => list.push(String::new()),
            (')', None) => return Some((list, at + 1)),
            _ => arg.push(c),
        }
    }
    None
}

/// Reads the arguments of a call as `kinds` has them, of which the first `required` must be there.
///
/// # Errors
/// A message in haproxy's words.
pub(super) fn typed(words: &[String], kinds: &[ArgKind], required: usize, loader: &mut dyn Loader) -> Result<Args, String> {
    // `name()` has no arguments.
    let words = if let [only] = words
        && only.is_empty()
    {
        &[]
    } else {
        words
    };
    if words.len() > kinds.len() {
        return Err(match kinds.len() {
            0 => "no argument supported".to_owned(),
            n => format!("end of arguments expected at position {}, but got '{}'", n + 1, words[n]),
        });
    }
    let mut args = Vec::with_capacity(words.len());
    for (n, (word, kind)) in words.iter().zip(kinds).enumerate() {
        // A name may be left out: the proxy itself.
        if word.is_empty() && (n >= required || matches!(kind, ArgKind::Frontend | ArgKind::Backend | ArgKind::Table)) {
            args.push(Arg::Absent);
            continue;
        }
        if word.is_empty() && *kind != ArgKind::Str {
            return Err(format!("expected type '{}' at position {}, but got nothing", kind.name(), n + 1));
        }
        let arg = one(word, *kind, loader).map_err(|why| {
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            format!("failed to parse '{word}' as type '{}' at position {}{why}", kind.name(), n + 1)
        })?;
        args.push(arg);
    }
    if words.len() < required {
        return Err(format!(
            "missing arguments (got {}/{required}), type '{}' expected",
            words.len(),
            kinds.get(words.len()).map_or("string", |kind| kind.name())
        ));
    }
    Ok(Args(args.into()))
}

fn one(word: &str, kind: ArgKind, loader: &mut dyn Loader) -> Result<Arg, Option<String>> {
    let bits = || word.parse::<u32>().ok();
    let arg = match kind {
        ArgKind::Str => Some(Arg::Str(word.into())),
        ArgKind::Int => word.parse().ok().map(Arg::Int),
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
        ArgKind::Variable => return variable(word, loader).map(Arg::Variable).map_err(Some),
    };
    arg.ok_or(None)
}

/// `txn.name`. Manual 2.8.
///
/// # Errors
/// No scope, or a name with other characters than letters, digits, `.` and `_`; in haproxy's words.
pub fn variable(text: &str, loader: &mut dyn Loader) -> Result<Variable, String> {
    let Some((scope, name)) = text.split_once('.') else {
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
