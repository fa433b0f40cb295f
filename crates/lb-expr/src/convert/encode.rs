//! Encodings: base64, hexadecimal, URLs, bytes of numbers. Manual 7.3.1.

use super::Out;
use crate::sample::{Arg, ArgKind, Args, Converter, Cx, Loader, Type, Value};

const STR: ArgKind = ArgKind::Str;
const INT: ArgKind = ArgKind::Int;

pub(super) const TABLE: &[Converter] = &[
    Converter::new("base64", &[], 0, Type::Bin, Type::Str, |_, value, cx| padded(value.bytes()?, cx).map(Value::Str)),
    Converter::new("ub64enc", &[], 0, Type::Bin, Type::Str, |_, value, cx| encoded(value.bytes()?, URL, false, cx).map(Value::Str)),
    Converter::new("b64dec", &[], 0, Type::Str, Type::Bin, |_, value, cx| {
        let mut out = Out::new(cx, value.bytes()?.len());
        base64(value.bytes()?, |bytes| out.put(bytes))?;
        Some(Value::Bin(out.done()))
    }),
    Converter::new("ub64dec", &[], 0, Type::Str, Type::Bin, |_, value, cx| {
        let mut out = Out::new(cx, value.bytes()?.len());
        base64url(value.bytes()?, |bytes| out.put(bytes))?;
        Some(Value::Bin(out.done()))
    }),
    Converter::new("hex", &[], 0, Type::Bin, Type::Str, |_, value, cx| {
        let bytes = value.bytes()?;
        // As many whole bytes as have room.
        Some(Value::Str(crate::sample::hex(&bytes[..bytes.len().min(super::MAX_LEN / 2)], cx.scratch)))
    }),
    Converter::new("hex2i", &[], 0, Type::Str, Type::Int, hex2i),
    Converter::new("be2dec", &[STR, INT, INT], 1, Type::Bin, Type::Str, be2dec).checked(chunks_of_numbers),
    Converter::new("be2hex", &[STR, INT, INT], 0, Type::Bin, Type::Str, be2hex).checked(chunks),
    Converter::new("le2dec", &[STR, INT, INT], 1, Type::Bin, Type::Str, le2dec).checked(chunks_of_numbers),
    Converter::new("base2", &[], 0, Type::Bin, Type::Str, base2),
    Converter::new("htonl", &[], 0, Type::Int, Type::Bin, |_, value, cx| match value {
        Value::Int(n) => Some(Value::Bin(cx.keep(&(n as u32).to_be_bytes()))),
        _ => None,
    }),
    Converter::new("url_enc", &[STR], 0, Type::Str, Type::Str, url_enc).checked(|args, _| match args.first() {
        Some(Arg::Str(kind)) if !kind.is_empty() && **kind != *"query" => Err("Unexpected encode type. Allowed value is 'query'".into()),
        _ => Ok(()),
    }),
    Converter::new("url_dec", &[INT], 0, Type::Str, Type::Str, url_dec),
];

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Base64 with its padding.
pub(super) fn padded<'a>(bytes: &[u8], cx: Cx<'a>) -> Option<&'a [u8]> {
    encoded(bytes, STANDARD, true, cx)
}

fn encoded<'a>(bytes: &[u8], alphabet: &[u8; 64], pad: bool, cx: Cx<'a>) -> Option<&'a [u8]> {
    // Haproxy keeps room for a zero behind the padding.
    if bytes.len().div_ceil(3) * 4 >= super::MAX_LEN {
        return None;
    }
    let mut out = Out::new(cx, bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - group.len()));
        let mut digits = [b'='; 4];
        for (n, digit) in digits.iter_mut().enumerate().take(group.len() + 1) {
            *digit = alphabet[(bits >> (18 - 6 * n) & 63) as usize];
        }
        out.put(if pad { &digits } else { &digits[..=group.len()] })?;
    }
    Some(out.done())
}

fn digit(alphabet: &[u8; 64], byte: u8) -> Option<u32> {
    let (upper, lower) = (byte.wrapping_sub(b'A'), byte.wrapping_sub(b'a'));
    match byte {
        b'A'..=b'Z' => Some(upper.into()),
        b'a'..=b'z' => Some(u32::from(lower) + 26),
        b'0'..=b'9' => Some(u32::from(byte - b'0') + 52),
        _ if byte == alphabet[62] => Some(62),
        _ if byte == alphabet[63] => Some(63),
        _ => None,
    }
}

/// Groups of four digits, any of which may be padded at its end.
pub(crate) fn base64(text: &[u8], mut put: impl FnMut(&[u8]) -> Option<()>) -> Option<()> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    for group in text.chunks_exact(4) {
        let digits = group.iter().position(|b| *b == b'=').unwrap_or(4);
        if digits < 2 || group[digits..].iter().any(|b| *b != b'=') {
            return None;
        }
        let mut bits = 0;
        for byte in group {
            bits = bits << 6 | if *byte == b'=' { 0 } else { digit(STANDARD, *byte)? };
        }
        put(&bits.to_be_bytes()[1..digits])?;
    }
    Some(())
}

/// Digits without padding. An equals sign is no padding but a digit of six set bits, as in haproxy.
pub(super) fn base64url(text: &[u8], mut put: impl FnMut(&[u8]) -> Option<()>) -> Option<()> {
    for group in text.chunks(4) {
        if group.len() < 2 {
            return None;
        }
        let mut bits = 0;
        for byte in group {
            bits = bits << 6 | if *byte == b'=' { 63 } else { digit(URL, *byte)? };
        }
        bits <<= 6 * (4 - group.len());
        put(&bits.to_be_bytes()[1..group.len()])?;
    }
    Some(())
}

/// The last 16 digits count.
fn hex2i<'a>(_: &'a Args, value: Value<'a>, _: Cx<'a>) -> Option<Value<'a>> {
    let digit = |n: u64, b: &u8| Some(n << 4 | u64::from(char::from(*b).to_digit(16)?));
    Some(Value::Int(value.bytes()?.iter().try_fold(0, digit)? as i64))
}

fn chunks_of_numbers(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    match args.get(1) {
        Some(Arg::Int(1..=8)) => truncate(args),
        Some(Arg::Int(size)) => Err(format!("chunk_size out of [1..8] range ({size})")),
        _ => Err("chunk_size out of [1..8] range (0)".into()),
    }
}

fn chunks(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    match args.as_slice() {
        [] => Ok(()),
        [_, Arg::Int(1..), ..] => truncate(args),
        [_, Arg::Int(size), ..] => Err(format!("chunk_size needs to be positive ({size})")),
        [Arg::Str(separator)] if separator.is_empty() => Ok(()),
        [Arg::Absent] => Ok(()),
        _ => Err("chunk_size needs to be positive (0)".into()),
    }
}

fn truncate(args: &[Arg]) -> Result<(), String> {
    match args.get(2) {
        Some(Arg::Int(flag)) if !matches!(flag, 0 | 1) => Err(format!("Unsupported truncate value ({flag})")),
        _ => Ok(()),
    }
}

/// Calls `write` for each chunk, with a separator between them; what is over is left out when the arguments say so.
fn chunked<'a>(args: &Args, bytes: &[u8], cx: Cx<'a>, write: impl Fn(&[u8], &mut Out<'a>) -> Option<()>) -> Option<Value<'a>> {
    let separator = args.get(0).text().as_bytes();
    let size = args.int(1).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0).unwrap_or(usize::MAX);
    let truncate = args.int(2) == Some(1);
    let mut out = Out::new(cx, bytes.len() * 3);
    for (n, chunk) in bytes.chunks(size).enumerate() {
        if truncate && chunk.len() < size {
            break;
        }
        let before = out.bytes.len();
        let separator = if n > 0 { separator } else { b"" };
        // As many chunks as have room.
        if out.put(separator).and_then(|()| write(chunk, &mut out)).is_none() {
            out.bytes.truncate(before);
            break;
        }
    }
    Some(Value::Str(out.done()))
}

fn be2dec<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    chunked(args, value.bytes()?, cx, |chunk, out| {
        let n = chunk.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
        out.put(itoa::Buffer::new().format(n).as_bytes())
    })
}

fn le2dec<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    chunked(args, value.bytes()?, cx, |chunk, out| {
        let n = chunk.iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
        out.put(itoa::Buffer::new().format(n).as_bytes())
    })
}

fn be2hex<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    chunked(args, value.bytes()?, cx, |chunk, out| out.put(crate::sample::hex(chunk, cx.scratch)))
}

/// Eight digits, 0 or 1, for each byte.
fn base2<'a>(_: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let bytes = value.bytes()?;
    let mut out = Out::new(cx, bytes.len() * 8);
    for byte in bytes {
        out.put(&std::array::from_fn::<u8, 8, _>(|n| b'0' + (byte >> (7 - n) & 1)))?;
    }
    Some(Value::Str(out.done()))
}

fn url_enc<'a>(_: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let text = value.bytes()?;
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    if text.iter().all(plain) {
        return Some(Value::Str(text));
    }
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Out::new(cx, text.len() * 3);
    for byte in text {
        // As much as has room, for the longest of them and two more.
        if out.bytes.len() + 3 > super::MAX_LEN - 2 {
            break;
        }
        if plain(byte) {
            out.put(&[*byte])?;
        } else {
            out.put(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])?;
        }
    }
    Some(Value::Str(out.done()))
}

/// A plus is a space in a form, else behind a question mark only. A percent sign with no two digits behind it: absent.
fn url_dec<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let text = value.bytes()?;
    if memchr::memchr2(b'%', b'+', text).is_none() {
        return Some(Value::Str(text));
    }
    let mut form = args.int(0).unwrap_or(0) != 0;
    let mut out = Out::new(cx, text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        let made = match byte {
            b'+' if form => b' ',
            b'%' => {
                let mut digit = || char::from(*bytes.next()?).to_digit(16);
                (digit()? << 4 | digit()?) as u8
            }
            b'?' => {
                form = true;
                b'?'
            }
            other => *other,
        };
        out.put(&[made])?;
    }
    Some(Value::Str(out.done()))
}
