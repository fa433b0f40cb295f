//! FIX, the protocol of stock exchanges: is a message whole and right, and what does a tag say. Manual 7.3.1.
//!
//! Holds: one pass over the message.

use crate::sample::{Arg, ArgKind, Args, Converter, Cx, Loader, Type, Value};

pub(super) const TABLE: &[Converter] = &[
    Converter::new("fix_is_valid", &[], 0, Type::Bin, Type::Bool, is_valid),
    Converter::new("fix_tag_value", &[ArgKind::Str], 1, Type::Bin, Type::Bin, tag_value).checked(tag),
];

const BEGIN_STRING: u64 = 8;
const BODY_LENGTH: u64 = 9;
const CHECK_SUM: u64 = 10;
const MSG_TYPE: u64 = 35;

const VERSIONS: [&[u8]; 7] = [b"FIX.4.0", b"FIX.4.1", b"FIX.4.2", b"FIX.4.3", b"FIX.4.4", b"FIX.5.0", b"FIXT.1.1"];

/// Behind each field.
const END: u8 = 1;

fn tag(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    let Some(arg) = args.first_mut() else { return Ok(()) };
    let name = arg.text();
    let number = match name.to_ascii_lowercase().as_str() {
        "beginstring" => BEGIN_STRING,
        "bodylength" => BODY_LENGTH,
        "msgtype" => MSG_TYPE,
        "sendercompid" => 49,
        "targetcompid" => 56,
        "checksum" => CHECK_SUM,
        digits => digits.parse().ok().filter(|n| *n > 0).ok_or_else(|| format!("Unknown FIX tag name '{name}'"))?,
    };
    *arg = Arg::made(number);
    Ok(())
}

/// The first field: its tag, its value, and what follows. `None`: it is no field, or it is not all there.
fn field(text: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let tag = std::str::from_utf8(&text[..digits]).ok()?.parse().ok()?;
    let text = text[digits..].strip_prefix(b"=")?;
    let end = memchr::memchr(END, text).filter(|end| *end > 0)?;
    Some((tag, &text[..end], &text[end + 1..]))
}

fn number(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Bytes of the last field, `10=123` and its end.
const TRAILER: usize = 7;

/// False when it is wrong; absent when it is not all there, or no fields.
fn is_valid<'a>(_: &'a Args, value: Value<'a>, _: Cx<'a>) -> Option<Value<'a>> {
    checked(value.bytes()?).map(Value::Bool)
}

fn checked(message: &[u8]) -> Option<bool> {
    let (_, version, rest) = field(message).filter(|(tag, ..)| *tag == BEGIN_STRING)?;
    if !VERSIONS.contains(&version) {
        return Some(false);
    }
    let (tag, len, body) = field(rest)?;
    let Some(len) = number(len).filter(|len| tag == BODY_LENGTH && *len > 0) else { return Some(false) };
    let (tag, ..) = field(body)?;
    if tag != MSG_TYPE {
        return Some(false);
    }
    if *body.get(len - 1)? != END {
        return Some(false);
    }
    let trailer = body.get(len..).filter(|trailer| trailer.len() >= TRAILER)?;
    let mut rest = body;
    while rest.len() > trailer.len() {
        (_, _, rest) = field(rest)?;
    }
    let (tag, sum, _) = field(trailer)?;
    let covered = &message[..message.len() - trailer.len()];
    let expected = covered.iter().fold(0u8, |sum, b| sum.wrapping_add(*b));
    Some(tag == CHECK_SUM && sum.len() == 3 && number(sum) == Some(expected.into()))
}

fn tag_value<'a>(args: &'a Args, value: Value<'a>, _: Cx<'a>) -> Option<Value<'a>> {
    let wanted = args.made::<u64>(0)?;
    let mut rest = value.bytes()?;
    while let Some((tag, value, behind)) = field(rest) {
        if tag == *wanted {
            return Some(Value::Bin(value));
        }
        rest = behind;
    }
    None
}
