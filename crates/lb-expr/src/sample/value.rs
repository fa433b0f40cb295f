//! What a sample is worth, and how it turns into another type. Holds: a value borrows from the message it came from or from the
//! scratch memory of its evaluation; turning one into another type never panics, it yields nothing where it cannot be.
//!
//! Source: manual 7.3 (types and casts); the numbers and texts that casts make as observed on haproxy 2.6.12.

use bumpalo::Bump;
use lb_http::Method;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Type of a sample, as far as it is known when the configuration is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// Known only when evaluated: a variable, the result of a map.
    Any,
    /// Of a converter's result: that of its input.
    Same,
    /// A boolean.
    Bool,
    /// A signed integer of 64 bits.
    Int,
    /// An address of either family.
    Addr,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// Text.
    Str,
    /// Bytes that are no text.
    Bin,
    /// An HTTP method.
    Method,
}

impl Type {
    /// The manual's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Same => "same",
            Self::Bool => "boolean",
            Self::Int => "integer",
            Self::Addr => "address",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Str => "string",
            Self::Bin => "binary",
            Self::Method => "method",
        }
    }

    /// Whether a value of this type may become one of `to`; whether it does can depend on the value (text that is no
    /// address).
    pub fn casts_to(self, to: Type) -> bool {
        use Type::{Addr, Any, Bin, Bool, Int, Ipv4, Ipv6, Method, Same, Str};
        match (self, to) {
            (_, Any | Same) | (Any | Same, _) => true,
            (a, b) if a == b => true,
            (Bool, Int | Str | Bin) => true,
            (Int, Bool | Addr | Ipv4 | Ipv6 | Str | Bin) => true,
            (Addr, Ipv4 | Ipv6 | Str | Bin) => true,
            (Ipv4, Int | Addr | Ipv6 | Str | Bin) => true,
            (Ipv6, Addr | Ipv4 | Str | Bin) => true,
            (Str, Bool | Int | Addr | Ipv4 | Ipv6 | Bin | Method) => true,
            (Bin, Str | Method) => true,
            (Method, Str | Bin) => true,
            _ => false,
        }
    }
}

/// A sample's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A boolean.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An address.
    Ip(IpAddr),
    /// Text. What came from a peer may hold any byte.
    Str(&'a [u8]),
    /// Bytes.
    Bin(&'a [u8]),
    /// An HTTP method, with its bytes.
    Method(Method, &'a [u8]),
}

impl<'a> Value<'a> {
    /// Its type.
    pub fn kind(&self) -> Type {
        match self {
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Ip(IpAddr::V4(_)) => Type::Ipv4,
            Self::Ip(IpAddr::V6(_)) => Type::Ipv6,
            Self::Str(_) => Type::Str,
            Self::Bin(_) => Type::Bin,
            Self::Method(..) => Type::Method,
        }
    }

    /// The bytes of text, binary and methods.
    pub fn bytes(&self) -> Option<&'a [u8]> {
        match *self {
            Self::Str(bytes) | Self::Bin(bytes) | Self::Method(_, bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The same value as `to`; what has to be written anew is written to `scratch`.
    pub fn cast(self, to: Type, scratch: &'a Bump) -> Option<Value<'a>> {
        match to {
            Type::Any | Type::Same => Some(self),
            Type::Bool => self.to_bool(),
            Type::Int => self.to_int().map(Value::Int),
            Type::Addr => self.to_addr().map(Value::Ip),
            Type::Ipv4 => match self.to_addr()? {
                ip @ IpAddr::V4(_) => Some(Value::Ip(ip)),
                IpAddr::V6(ip) => ip.to_ipv4_mapped().map(|ip| Value::Ip(ip.into())),
            },
            Type::Ipv6 => match self.to_addr()? {
                IpAddr::V4(ip) => Some(Value::Ip(ip.to_ipv6_mapped().into())),
                ip @ IpAddr::V6(_) => Some(Value::Ip(ip)),
            },
            Type::Str => Some(Value::Str(self.to_text(scratch))),
            Type::Bin => self.to_bin(scratch).map(Value::Bin),
            Type::Method => match self {
                Self::Method(..) => Some(self),
                Self::Str(bytes) | Self::Bin(bytes) => Some(Value::Method(Method::of(bytes), bytes)),
                _ => None,
            },
        }
    }

    fn to_bool(self) -> Option<Value<'a>> {
        match self {
            Self::Bool(_) => Some(self),
            Self::Int(n) => Some(Value::Bool(n != 0)),
            Self::Str(text) if !text.is_empty() => Some(Value::Bool(leading_int(text) != 0)),
            _ => None,
        }
    }

    fn to_int(self) -> Option<i64> {
        match self {
            Self::Bool(on) => Some(i64::from(on)),
            Self::Int(n) => Some(n),
            Self::Ip(IpAddr::V4(ip)) => Some(i64::from(u32::from(ip))),
            Self::Str(text) if !text.is_empty() => Some(leading_int(text)),
            _ => None,
        }
    }

    fn to_addr(self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(ip),
            // The lower 32 bits, as haproxy takes them.
            Self::Int(n) => Some(Ipv4Addr::from(n as u32).into()),
            Self::Str(text) => address(text),
            _ => None,
        }
    }

    /// The value as text: numbers in decimal, addresses in their usual form, binary as it is up to its first zero byte.
    pub fn to_text(self, scratch: &'a Bump) -> &'a [u8] {
        match self {
            Self::Bool(on) => {
                if on {
                    b"1"
                } else {
                    b"0"
                }
            }
            Self::Int(n) => scratch.alloc_slice_copy(itoa::Buffer::new().format(n).as_bytes()),
            Self::Ip(IpAddr::V4(ip)) => bumpalo::format!(in scratch, "{}", ip).into_bump_str().as_bytes(),
            Self::Ip(IpAddr::V6(ip)) => v6_text(ip, scratch),
            Self::Str(bytes) | Self::Method(_, bytes) => bytes,
            Self::Bin(bytes) => &bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())],
        }
    }

    fn to_bin(self, scratch: &'a Bump) -> Option<&'a [u8]> {
        match self {
            // A boolean is the number 1 or 0.
            Self::Bool(on) => Some(scratch.alloc_slice_copy(&i64::from(on).to_be_bytes())),
            Self::Int(n) => Some(scratch.alloc_slice_copy(&n.to_be_bytes())),
            Self::Ip(IpAddr::V4(ip)) => Some(scratch.alloc_slice_copy(&ip.octets())),
            Self::Ip(IpAddr::V6(ip)) => Some(scratch.alloc_slice_copy(&ip.octets())),
            Self::Str(bytes) | Self::Bin(bytes) | Self::Method(_, bytes) => Some(bytes),
        }
    }
}

/// The IPv4 address inside a mapped, a compatible or a 6to4 address, as patterns see it. (The cast of 2.6 knows mapped ones only.)
pub(crate) fn v6_to_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let o = ip.octets();
    if o[..2] == [0x20, 0x02] {
        return Some(Ipv4Addr::new(o[2], o[3], o[4], o[5]));
    }
    let embedded = o[..10] == [0; 10] && matches!([o[10], o[11]], [0, 0] | [0xff, 0xff]);
    embedded.then(|| Ipv4Addr::new(o[12], o[13], o[14], o[15]))
}

/// An address as the C library writes it: where only the last 32 bits are there, these as an IPv4 address.
fn v6_text(ip: Ipv6Addr, scratch: &Bump) -> &[u8] {
    let [.., a, _] = ip.segments();
    let text = if ip.segments()[..6] == [0; 6] && a != 0 {
        let [.., a, b, c, d] = ip.octets();
        bumpalo::format!(in scratch, "::{}", Ipv4Addr::new(a, b, c, d))
    } else {
        bumpalo::format!(in scratch, "{}", ip)
    };
    text.into_bump_str().as_bytes()
}

/// The address that text is; of IPv4 what follows its last digit does not matter, leading zeros do not either.
fn address(text: &[u8]) -> Option<IpAddr> {
    let len = text.iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
    ipv4(&text[..len]).map(IpAddr::V4).or_else(|| std::str::from_utf8(text).ok()?.parse().ok().map(IpAddr::V6))
}

fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split(|b| *b == b'.');
    for octet in &mut octets {
        let digits = parts.next().filter(|part| !part.is_empty())?;
        *octet = digits.iter().try_fold(0u8, |n, b| n.checked_mul(10)?.checked_add(b - b'0'))?;
    }
    parts.next().is_none().then(|| octets.into())
}

/// The number that text begins with: an optional sign and digits; 0 without, the largest or smallest number beyond.
pub fn leading_int(text: &[u8]) -> i64 {
    let (negative, digits) = match text.first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let mut n = 0i64;
    for byte in digits.iter().take_while(|b| b.is_ascii_digit()) {
        let digit = i64::from(byte - b'0');
        n = n.saturating_mul(10);
        n = if negative { n.saturating_sub(digit) } else { n.saturating_add(digit) };
    }
    n
}

/// Two upper-case hexadecimal digits for each byte.
pub fn hex<'a>(bytes: &[u8], scratch: &'a Bump) -> &'a [u8] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |i: usize| {
        let byte = bytes[i / 2];
        DIGITS[usize::from(if i.is_multiple_of(2) { byte >> 4 } else { byte & 15 })]
    };
    scratch.alloc_slice_fill_with(bytes.len() * 2, digit)
}

/// A value that lives by itself: what a variable holds, or a map gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedValue {
    /// A boolean.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An address.
    Ip(IpAddr),
    /// Text.
    Str(Box<[u8]>),
    /// Bytes.
    Bin(Box<[u8]>),
    /// An HTTP method.
    Method(Box<[u8]>),
}

impl From<Value<'_>> for OwnedValue {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Bool(on) => Self::Bool(on),
            Value::Int(n) => Self::Int(n),
            Value::Ip(ip) => Self::Ip(ip),
            Value::Str(bytes) => Self::Str(bytes.into()),
            Value::Bin(bytes) => Self::Bin(bytes.into()),
            Value::Method(_, bytes) => Self::Method(bytes.into()),
        }
    }
}

impl OwnedValue {
    /// The value, borrowed.
    pub fn get(&self) -> Value<'_> {
        match self {
            Self::Bool(on) => Value::Bool(*on),
            Self::Int(n) => Value::Int(*n),
            Self::Ip(ip) => Value::Ip(*ip),
            Self::Str(bytes) => Value::Str(bytes),
            Self::Bin(bytes) => Value::Bin(bytes),
            Self::Method(bytes) => Value::Method(Method::of(bytes), bytes),
        }
    }

    /// The value, copied to `scratch`.
    pub fn copy_to<'a>(&self, scratch: &'a Bump) -> Value<'a> {
        match self {
            Self::Bool(on) => Value::Bool(*on),
            Self::Int(n) => Value::Int(*n),
            Self::Ip(ip) => Value::Ip(*ip),
            Self::Str(bytes) => Value::Str(scratch.alloc_slice_copy(bytes)),
            Self::Bin(bytes) => Value::Bin(scratch.alloc_slice_copy(bytes)),
            Self::Method(bytes) => Value::Method(Method::of(bytes), scratch.alloc_slice_copy(bytes)),
        }
    }

    /// Bytes of memory beyond the value itself, as the limits of variables count them.
    pub fn heap_size(&self) -> usize {
        match self {
            Self::Str(bytes) | Self::Bin(bytes) | Self::Method(bytes) => bytes.len(),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts() {
        let scratch = Bump::new();
        let text = |value: Value<'static>| String::from_utf8(value.to_text(&scratch).to_vec()).unwrap();
        assert_eq!(text(Value::Bool(true)), "1");
        assert_eq!(text(Value::Int(i64::MIN)), "-9223372036854775808");
        assert_eq!(text(Value::Bin(b"12\x003")), "12");
        for (ip, shown) in [
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:0:0", "::ffff:0.0.0.0"),
            ("::1.2.3.4", "::1.2.3.4"),
            ("::0.0.1.0", "::100"),
            ("::1", "::1"),
            ("::", "::"),
            ("1:0:0:2::3", "1:0:0:2::3"),
            ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
            ("::ffff:0:1.2.3.4", "::ffff:0:102:304"),
        ] {
            assert_eq!(text(Value::Ip(ip.parse().unwrap())), shown);
        }
        let int = |value: Value<'static>| value.cast(Type::Int, &scratch);
        assert_eq!(int(Value::Str(b"12ab")), Some(Value::Int(12)));
        assert_eq!(int(Value::Str(b"")), None);
        assert_eq!(int(Value::Str(b"-99999999999999999999")), Some(Value::Int(i64::MIN)));
        assert_eq!(int(Value::Ip("1.2.3.4".parse().unwrap())), Some(Value::Int(0x0102_0304)));
        assert_eq!(int(Value::Ip("::1".parse().unwrap())), None);
        let v4 = |ip: &str| Value::Ip(ip.parse().unwrap()).cast(Type::Ipv4, &scratch);
        assert_eq!(v4("::ffff:1.2.3.4"), Some(Value::Ip("1.2.3.4".parse().unwrap())));
        assert_eq!(v4("2002:102:304::"), None);
        assert_eq!(v4("2001:db8::1"), None);
        let ip = |text: &'static str| {
            Value::Str(text.as_bytes()).cast(Type::Addr, &scratch).map(|ip| String::from_utf8_lossy(ip.to_text(&scratch)).into_owned())
        };
        assert_eq!(ip("01.002.3.4/24").as_deref(), Some("1.2.3.4"));
        assert_eq!(ip("2001:db8::1").as_deref(), Some("2001:db8::1"));
        for none in ["", "1.2.3", "1.2.3.", "1..3.4", "256.1.1.1", "1.2.3.4.5", "2001:db8::1x", "localhost"] {
            assert_eq!(ip(none), None, "{none}");
        }
        assert_eq!(Value::Bool(true).cast(Type::Bin, &scratch), Some(Value::Bin(&[0, 0, 0, 0, 0, 0, 0, 1])));
    }

    #[test]
    fn what_cannot_be_is_known_before() {
        let scratch = Bump::new();
        let all = [
            Value::Bool(true),
            Value::Int(1),
            Value::Ip("1.2.3.4".parse().unwrap()),
            Value::Ip("::1".parse().unwrap()),
            Value::Str(b"1"),
            Value::Bin(b"1"),
            Value::Method(Method::Get, b"GET"),
        ];
        let types = [Type::Bool, Type::Int, Type::Addr, Type::Ipv4, Type::Ipv6, Type::Str, Type::Bin, Type::Method];
        for value in all {
            for to in types {
                if let Some(cast) = value.cast(to, &scratch) {
                    assert!(value.kind().casts_to(to), "{value:?} to {to:?}");
                    assert!(cast.kind() == to || to == Type::Addr, "{value:?} to {to:?}");
                }
            }
        }
    }
}
