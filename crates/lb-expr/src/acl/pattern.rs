//! One pattern: from text to what values are compared with.
//!
//! Source: manual 7.1.1 to 7.1.6; details as observed on haproxy 2.6.12.

use super::Matching;
use crate::regex::Regex;
use crate::sample::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
    /// Text in lower case, for values in any.
    AnyCase(Box<[u8]>),
    /// A regular expression.
    Regex(Box<Regex>),
}

/// Turns a name into addresses when a file is read.
pub type Resolve<'r> = dyn FnMut(&str) -> Vec<IpAddr> + 'r;

impl Pattern {
    /// Reads the pattern that `text` is for `matching`.
    ///
    /// # Errors
    /// In haproxy's words.
    pub fn parse(text: &str, matching: Matching, flags: PatternFlags, resolve: &mut Resolve<'_>) -> Result<Self, String> {
        match matching {
            Matching::Found | Matching::Bool => Ok(Self::Bytes(text.as_bytes().into())),
            Matching::Int | Matching::Len => range(text, number),
            Matching::Version => range(text, version),
            Matching::Ip => network(text)
                .or_else(|| if flags.no_resolve { None } else { resolve(text).first().map(|ip| host(*ip)) })
                .ok_or_else(|| format!("'{text}' is not a valid IPv4 or IPv6 address")),
            Matching::Bin => hex(text).map(|bytes| Self::Bytes(bytes.into())),
            Matching::Reg => Regex::new(text, flags.ignore_case).map(|regex| Self::Regex(Box::new(regex))).map_err(|e| e.to_string()),
            Matching::Dir => Ok(Self::text(trimmed(text, is_slash), flags)),
            Matching::Dom => Ok(Self::text(trimmed(text, is_dot), flags)),
            Matching::Method => Ok(Self::AnyCase(text.to_ascii_lowercase().into_bytes().into())),
            Matching::Str | Matching::Sub | Matching::Beg | Matching::End => Ok(Self::text(text.as_bytes(), flags)),
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
                    IpAddr::V6(ip) => crate::sample::v6_to_v4(ip),
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
            (Self::Bytes(pattern), value) => value.bytes().is_some_and(|text| compare(pattern, matching, text, false)),
            (Self::AnyCase(pattern), value) => value.bytes().is_some_and(|text| compare(pattern, matching, text, true)),
            (Self::Regex(regex), value) => value.bytes().is_some_and(|text| regex.is_match(text)),
            _ => false,
        }
    }
}

fn compare(pattern: &[u8], matching: Matching, text: &[u8], any_case: bool) -> bool {
    let same = |a: &[u8]| if any_case { a.eq_ignore_ascii_case(pattern) } else { a == pattern };
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

fn trimmed(text: &str, delimiter: fn(u8) -> bool) -> &[u8] {
    let mut text = text.as_bytes();
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

fn range(text: &str, one: fn(&str) -> Option<i64>) -> Result<Pattern, String> {
    let Some((low, high)) = text.split_once(':') else {
        let n = one(text).ok_or_else(|| format!("'{text}' is not a number"))?;
        return Ok(Pattern::Range(n, n));
    };
    let bad = || format!("'{text}' is not a valid number range");
    if low.is_empty() && high.is_empty() {
        return Err(bad());
    }
    let low = if low.is_empty() { i64::MIN } else { one(low).ok_or_else(bad)? };
    let high = if high.is_empty() { i64::MAX } else { one(high).ok_or_else(bad)? };
    if low > high { Err(bad()) } else { Ok(Pattern::Range(low, high)) }
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

/// The pattern for `value` behind an operator.
pub(super) fn compared(operator: &str, value: &str, matching: Matching) -> Result<Pattern, String> {
    let pattern = range(value, if matching == Matching::Version { version } else { number })?;
    let Pattern::Range(low, high) = pattern else { return Ok(pattern) };
    Ok(match operator {
        "ge" => Pattern::Range(low, i64::MAX),
        "gt" => low.checked_add(1).map_or(Pattern::Range(1, 0), |low| Pattern::Range(low, i64::MAX)),
        "le" => Pattern::Range(i64::MIN, high),
        "lt" => high.checked_sub(1).map_or(Pattern::Range(1, 0), |high| Pattern::Range(i64::MIN, high)),
        _ => Pattern::Range(low, high),
    })
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    if !text.len().is_multiple_of(2) {
        return Err("an even number of hex digit is expected".to_owned());
    }
    let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    text.as_bytes()
        .chunks(2)
        .map(|pair| {
            let [a, b] = [digit(pair[0]), digit(pair[1])];
            let odd = if a.is_none() { pair[0] } else { pair[1] };
            a.zip(b).map(|(a, b)| a << 4 | b).ok_or_else(|| format!("an hex digit is expected (found '{}')", char::from(odd)))
        })
        .collect()
}

/// A pattern for one address.
pub(super) fn host(ip: IpAddr) -> Pattern {
    match ip {
        IpAddr::V4(ip) => Pattern::Net4(ip.into(), u32::MAX),
        IpAddr::V6(ip) => Pattern::Net6(ip.into(), u128::MAX),
    }
}

/// An address or a network.
pub(super) fn network(text: &str) -> Option<Pattern> {
    let (address, mask) = text.split_once('/').map_or((text, None), |(address, mask)| (address, Some(mask)));
    if let Some(ip) = short_v4(address) {
        let mask = match mask {
            None => u32::MAX,
            Some(mask) => mask4(mask)?,
        };
        return Some(Pattern::Net4(u32::from(ip) & mask, mask));
    }
    let ip: Ipv6Addr = address.parse().ok()?;
    let bits: u32 = match mask {
        None => 128,
        Some(bits) => number(bits).and_then(|n| u32::try_from(n).ok()).filter(|n| *n <= 128)?,
    };
    let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
    Some(Pattern::Net6(u128::from(ip) & mask, mask))
}

fn mask4(mask: &str) -> Option<u32> {
    if mask.contains('.') {
        return mask.parse::<Ipv4Addr>().ok().map(u32::from);
    }
    let bits = number(mask).and_then(|n| u32::try_from(n).ok()).filter(|n| *n <= 32)?;
    Some(u32::MAX.checked_shl(32 - bits).unwrap_or(0))
}

/// An IPv4 address of which parts in the middle may be left out: `127.1`.
fn short_v4(text: &str) -> Option<Ipv4Addr> {
    let mut parts = text.split('.');
    let mut octets = [0u8; 4];
    let list: Vec<u8> = parts.by_ref().take(4).map(|part| number(part).and_then(|n| u8::try_from(n).ok())).collect::<Option<_>>()?;
    if parts.next().is_some() {
        return None;
    }
    let (last, front) = list.split_last()?;
    octets[..front.len()].copy_from_slice(front);
    octets[3] = *last;
    if list.len() == 1 { None } else { Some(octets.into()) }
}
