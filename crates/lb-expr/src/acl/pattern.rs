//! One pattern: from text to what values are compared with.
//!
//! Source: manual 7.1.1 to 7.1.6; details as observed on haproxy 2.6.12.

use super::Matching;
use crate::regex::Regex;
use crate::sample::{Value, v6_to_v4};
use lb_http::{Method, eq_lower};
use memchr::memmem::Finder;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// What the flags before a pattern say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PatternFlags {
    /// `-i`.
    pub ignore_case: bool,
    /// `-n`: text that is no address is not asked of the resolver.
    pub no_resolve: bool,
}

/// A pattern.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// Numbers from the first to the second, both included; lengths too.
    Range(i64, i64),
    /// Addresses whose bits under the mask are these.
    Net4(u32, u32),
    /// The same.
    Net6(u128, u128),
    /// Bytes or text.
    Bytes(Box<[u8]>),
    /// Bytes that are looked for within a value, [prepared](Self::prepared) for that.
    Within(Arc<Finder<'static>>),
    /// Text in lower case, for values in any.
    AnyCase(Box<[u8]>),
    /// A regular expression.
    Regex(Arc<Regex>),
}

/// Turns a name into addresses when a file is read.
pub type Resolve<'r> = dyn FnMut(&str) -> Vec<IpAddr> + 'r;

impl Pattern {
    /// Reads the pattern that `text` is for `matching`.
    ///
    /// # Errors
    /// In haproxy's words.
    pub fn parse(text: &[u8], matching: Matching, flags: PatternFlags, resolve: &mut Resolve<'_>) -> Result<Self, String> {
        let words = || String::from_utf8_lossy(text);
        match matching {
            Matching::Found | Matching::Bool => Ok(Self::Bytes(text.into())),
            Matching::Int | Matching::Len => range(&words(), number, ""),
            Matching::Version => range(&words(), version, "dotted "),
            Matching::Ip => network(&words(), flags, resolve).ok_or_else(|| format!("'{}' is not a valid IPv4 or IPv6 address", words())),
            Matching::Bin => hex(text).map(|bytes| Self::Bytes(bytes.into())),
            Matching::Reg => {
                let pattern = std::str::from_utf8(text).map_or_else(|_| escaped(text), str::to_owned);
                Regex::new(&pattern, flags.ignore_case).map(|regex| Self::Regex(Arc::new(regex))).map_err(|e| e.to_string())
            }
            Matching::Dir => Ok(Self::text(trimmed(text, is_slash), flags)),
            Matching::Dom => Ok(Self::text(trimmed(text, is_dot), flags)),
            // Those that have a number are compared by it, whatever `-i` says.
            Matching::Method if Method::of(text) != Method::Other => Ok(Self::Bytes(text.into())),
            Matching::Method | Matching::Str | Matching::Sub | Matching::Beg | Matching::End => Ok(Self::text(text, flags)),
        }
    }

    /// The same, made for many looks: worth its while for those that are compared one by one.
    pub(super) fn prepared(self, matching: Matching) -> Self {
        match self {
            Self::Bytes(bytes) if matching == Matching::Sub => Self::Within(Arc::new(Finder::new(&bytes).into_owned())),
            other => other,
        }
    }

    fn text(bytes: &[u8], flags: PatternFlags) -> Self {
        if flags.ignore_case { Self::AnyCase(bytes.to_ascii_lowercase().into()) } else { Self::Bytes(bytes.into()) }
    }

    /// Whether a value, which is what [`Matching::input`] says, matches.
    pub fn matches(&self, matching: Matching, value: Value<'_>) -> bool {
        match (self, value) {
            (Self::Range(low, high), Value::Int(n)) => (*low..=*high).contains(&n),
            (Self::Range(low, high), value) if matching == Matching::Len => {
                value.bytes().is_some_and(|bytes| (*low..=*high).contains(&(bytes.len() as i64)))
            }
            (Self::Net4(net, mask), Value::Ip(ip)) => {
                let ip = match ip {
                    IpAddr::V4(ip) => Some(ip),
                    IpAddr::V6(ip) => v6_to_v4(ip),
                };
                ip.is_some_and(|ip| u32::from(ip) & mask == *net)
            }
            (Self::Net6(net, mask), Value::Ip(ip)) => {
                let ip = match ip {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                    IpAddr::V6(ip) => ip,
                };
                u128::from(ip) & mask == *net
            }
            (Self::AnyCase(pattern), Value::Method(method, text)) if matching == Matching::Method => {
                method == Method::Other && text.eq_ignore_ascii_case(pattern)
            }
            (Self::Bytes(pattern), value) => value.bytes().is_some_and(|text| compare(pattern, matching, text, false)),
            (Self::Within(finder), value) => value.bytes().is_some_and(|text| finder.find(text).is_some()),
            (Self::AnyCase(pattern), value) => value.bytes().is_some_and(|text| compare(pattern, matching, text, true)),
            (Self::Regex(regex), value) => value.bytes().is_some_and(|text| regex.is_match(text)),
            _ => false,
        }
    }
}

fn compare(pattern: &[u8], matching: Matching, text: &[u8], any_case: bool) -> bool {
    let same = |a: &[u8]| if any_case { eq_lower(a, pattern) } else { a == pattern };
    match matching {
        Matching::Beg => text.get(..pattern.len()).is_some_and(same),
        Matching::End => text.len().checked_sub(pattern.len()).is_some_and(|at| same(&text[at..])),
        Matching::Sub if any_case => pattern.is_empty() || text.windows(pattern.len()).any(same),
        Matching::Sub => memchr::memmem::find(text, pattern).is_some(),
        Matching::Dir => within(pattern, text, is_slash, same),
        Matching::Dom => within(pattern, text, is_dot, same),
        Matching::Found => true,
        _ => same(text),
    }
}

/// Whether `pattern` stands in `text` between delimiters.
fn within(pattern: &[u8], text: &[u8], delimiter: fn(u8) -> bool, same: impl Fn(&[u8]) -> bool) -> bool {
    let len = pattern.len();
    if len == 0 || len > text.len() {
        return false;
    }
    (0..=text.len() - len).any(|at| {
        (at == 0 || delimiter(text[at - 1])) && text.get(at + len).is_none_or(|next| delimiter(*next)) && same(&text[at..at + len])
    })
}

pub(super) fn is_slash(byte: u8) -> bool {
    matches!(byte, b'/' | b'?')
}

pub(super) fn is_dot(byte: u8) -> bool {
    matches!(byte, b'/' | b'?' | b'.' | b':')
}

fn trimmed(mut text: &[u8], delimiter: fn(u8) -> bool) -> &[u8] {
    while let [first, rest @ ..] = text
        && delimiter(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && delimiter(*last)
    {
        text = rest;
    }
    text
}

/// A number or a range; `kind` is for the message. Haproxy reads `-` as it reads `:`, so that `-5` is what is not above 5, and no lower
/// bound is negative.
fn range(text: &str, one: fn(&str) -> Option<i64>, kind: &str) -> Result<Pattern, String> {
    let Some(at) = text.find([':', '-']) else {
        let n = one(text).ok_or_else(|| format!("'{text}' is not a {kind}number"))?;
        return Ok(Pattern::Range(n, n));
    };
    let (low, high) = (&text[..at], &text[at + 1..]);
    let bound = |text: &str, open: i64| if text.is_empty() { Some(open) } else { one(text) };
    let range = bound(low, i64::MIN).zip(bound(high, i64::MAX)).filter(|(low, high)| low <= high && text.len() > 1);
    range.map(|(low, high)| Pattern::Range(low, high)).ok_or_else(|| format!("'{text}' is not a valid {kind}number range"))
}

fn number(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Two numbers with a dot between them: the first is worth 65536 times the second.
fn version(text: &str) -> Option<i64> {
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    let part = |text: &str| number(text).filter(|n| (0..=0xffff).contains(n));
    Some((part(major)? << 16) | part(minor)?)
}

/// The pattern for `value` behind an operator. A range is what it is, whatever stands before it.
///
/// # Errors
/// No number, in haproxy's words.
pub(super) fn compared(operator: &str, value: &str, matching: Matching) -> Result<String, String> {
    if value.contains([':', '-']) {
        return Ok(value.to_owned());
    }
    let n = number(value).filter(|_| matching != Matching::Version).or_else(|| version(value));
    let n = n.ok_or_else(|| format!("'{value}' is neither a number nor a supported operator"))?;
    let shown = |n: i64| if matching == Matching::Version { format!("{}.{}", n >> 16, n & 0xffff) } else { n.to_string() };
    Ok(match operator {
        "ge" => format!("{}:", shown(n)),
        "gt" => format!("{}:", shown(n.wrapping_add(1))),
        "le" => format!(":{}", shown(n)),
        "lt" => format!(":{}", shown(n.wrapping_sub(1))),
        _ => shown(n),
    })
}

fn hex(text: &[u8]) -> Result<Vec<u8>, String> {
    if !text.len().is_multiple_of(2) {
        return Err("an even number of hex digit is expected".to_owned());
    }
    let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    let byte = |pair: &[u8]| {
        let [a, b] = [digit(pair[0]), digit(pair[1])];
        let odd = if a.is_none() { pair[0] } else { pair[1] };
        a.zip(b).map(|(a, b)| a << 4 | b).ok_or_else(|| format!("an hex digit is expected (found '{}')", char::from(odd)))
    };
    text.chunks(2).map(byte).collect()
}

/// A regular expression with bytes that are no text.
fn escaped(text: &[u8]) -> String {
    let mut all = String::new();
    for byte in text {
        if byte.is_ascii() {
            all.push(char::from(*byte));
        } else {
            all.push_str(&format!("\\x{byte:02x}"));
        }
    }
    all
}

/// An address, a network, or the IPv4 address of a name.
fn network(text: &str, flags: PatternFlags, resolve: &mut Resolve<'_>) -> Option<Pattern> {
    let (address, mask) = text.split_once('/').map_or((text, None), |(address, mask)| (address, Some(mask)));
    if let Ok(ip) = address.parse::<Ipv6Addr>() {
        let bits = mask.map_or(Some(128), |mask| bits(mask, 128))?;
        let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        return Some(Pattern::Net6(u128::from(ip) & mask, mask));
    }
    let mask = match mask {
        None => u32::MAX,
        Some(mask) if mask.contains('.') => mask.parse::<Ipv4Addr>().ok()?.into(),
        Some(mask) => u32::MAX.checked_shl(32 - bits(mask, 32)?).unwrap_or(0),
    };
    let ip = short_v4(address).or_else(|| {
        let named = |ip: &IpAddr| if let IpAddr::V4(ip) = ip { Some(*ip) } else { None };
        if flags.no_resolve || address.is_empty() { None } else { resolve(address).iter().find_map(named) }
    })?;
    Some(Pattern::Net4(u32::from(ip) & mask, mask))
}

fn bits(text: &str, most: u32) -> Option<u32> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    number(digits).and_then(|n| u32::try_from(n).ok()).filter(|n| *n <= most)
}

/// An IPv4 address of which parts in the middle may be left out: `127.1`, and `1` for `0.0.0.1`.
fn short_v4(text: &str) -> Option<Ipv4Addr> {
    let part = |part: &str| if part.starts_with('-') { None } else { number(part).and_then(|n| u8::try_from(n).ok()) };
    let list: Vec<u8> = text.splitn(5, '.').map(part).collect::<Option<_>>()?;
    let (last, front) = list.split_last()?;
    let mut octets = [0u8; 4];
    octets.get_mut(..front.len()).filter(|_| front.len() < 4)?.copy_from_slice(front);
    octets[3] = *last;
    Some(octets.into())
}
