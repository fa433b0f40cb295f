//! Header fields: one value of a list or whole lines, by name and number; names and the head as a whole. Manual 7.3.6.
//!
//! Holds: a list is split at commas outside of quotes, and an element may be empty. What `Connection` says of keeping and closing is not
//! there, as in haproxy: decoding takes it out.

use super::loose::{address, integer};
use crate::sample::{Arg, ArgKind, Args, Cursor, Cx, Eval, Fetch, Loader, Need, Side, Type, Value};
use lb_http::{FieldId, FieldRef, Head};

/// How far behind the last value a negative number may reach.
const MAX_BACK: i64 = 10;

const NAME: &[ArgKind] = &[ArgKind::Str];
const NAME_AND_NUMBER: &[ArgKind] = &[ArgKind::Str, ArgKind::Int];

use Need::{EitherHead, RequestHead, ResponseHead};

pub(super) const TABLE: &[Fetch] = &[
    value("hdr", EitherHead, |args, cx, cursor| text(args, cx, cursor, cx.side, true)),
    value("req.hdr", RequestHead, |args, cx, cursor| text(args, cx, cursor, Side::Request, true)),
    value("req.fhdr", RequestHead, |args, cx, cursor| text(args, cx, cursor, Side::Request, false)),
    value("res.hdr", ResponseHead, |args, cx, cursor| text(args, cx, cursor, Side::Response, true)),
    value("res.fhdr", ResponseHead, |args, cx, cursor| text(args, cx, cursor, Side::Response, false)),
    value("shdr", ResponseHead, |args, cx, cursor| text(args, cx, cursor, Side::Response, true)),
    number("hdr_val", RequestHead, |args, cx, cursor| int(args, cx, cursor, Side::Request)),
    number("req.hdr_val", RequestHead, |args, cx, cursor| int(args, cx, cursor, Side::Request)),
    number("res.hdr_val", ResponseHead, |args, cx, cursor| int(args, cx, cursor, Side::Response)),
    number("shdr_val", ResponseHead, |args, cx, cursor| int(args, cx, cursor, Side::Response)),
    addr("hdr_ip", RequestHead, |args, cx, cursor| ip(args, cx, cursor, Side::Request)),
    addr("req.hdr_ip", RequestHead, |args, cx, cursor| ip(args, cx, cursor, Side::Request)),
    addr("res.hdr_ip", ResponseHead, |args, cx, cursor| ip(args, cx, cursor, Side::Response)),
    addr("shdr_ip", ResponseHead, |args, cx, cursor| ip(args, cx, cursor, Side::Response)),
    count("hdr_cnt", RequestHead, |args, cx, _| how_many(args, cx, Side::Request, true)),
    count("req.hdr_cnt", RequestHead, |args, cx, _| how_many(args, cx, Side::Request, true)),
    count("req.fhdr_cnt", RequestHead, |args, cx, _| how_many(args, cx, Side::Request, false)),
    count("res.hdr_cnt", ResponseHead, |args, cx, _| how_many(args, cx, Side::Response, true)),
    count("res.fhdr_cnt", ResponseHead, |args, cx, _| how_many(args, cx, Side::Response, false)),
    count("shdr_cnt", ResponseHead, |args, cx, _| how_many(args, cx, Side::Response, true)),
    Fetch::new("req.hdr_names", NAME, 0, Type::Str, RequestHead, |args, cx, _| names(args, cx, Side::Request)),
    Fetch::new("res.hdr_names", NAME, 0, Type::Str, ResponseHead, |args, cx, _| names(args, cx, Side::Response)),
    Fetch::new("req.hdrs", &[], 0, Type::Bin, RequestHead, |_, cx, _| whole(cx, Side::Request)),
    Fetch::new("res.hdrs", &[], 0, Type::Bin, ResponseHead, |_, cx, _| whole(cx, Side::Response)),
    Fetch::new("req.hdrs_bin", &[], 0, Type::Bin, RequestHead, |_, cx, _| packed(cx, Side::Request)),
    Fetch::new("res.hdrs_bin", &[], 0, Type::Bin, ResponseHead, |_, cx, _| packed(cx, Side::Response)),
];

type Call = crate::sample::FetchCall;

const fn value(name: &'static str, need: Need, call: Call) -> Fetch {
    Fetch::new(name, NAME_AND_NUMBER, 0, Type::Str, need, call).checked(check)
}

const fn number(name: &'static str, need: Need, call: Call) -> Fetch {
    Fetch::new(name, NAME_AND_NUMBER, 0, Type::Int, need, call).checked(check)
}

const fn addr(name: &'static str, need: Need, call: Call) -> Fetch {
    Fetch::new(name, NAME_AND_NUMBER, 0, Type::Addr, need, call).checked(check)
}

const fn count(name: &'static str, need: Need, call: Call) -> Fetch {
    Fetch::new(name, NAME, 0, Type::Int, need, call).checked(check)
}

/// The name becomes what a head is searched by; the number must be one that can be.
fn check(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    if let Some(Arg::Int(number)) = args.get(1)
        && *number < -MAX_BACK
    {
        return Err(format!("header occurrence must be >= {}", -MAX_BACK));
    }
    if let Some(Arg::Str(name)) = args.first() {
        args[0] = Arg::field(name);
    }
    Ok(())
}

/// The fields that a name stands for.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    All,
    Known(FieldId),
    Other(&'a [u8]),
}

impl<'a> Wanted<'a> {
    fn of(args: &'a Args) -> Self {
        match args.get(0) {
            Arg::Field(FieldId::Other, name) if name.is_empty() => Self::All,
            Arg::Field(FieldId::Other, name) => Self::Other(name),
            Arg::Field(id, _) => Self::Known(*id),
            _ => Self::All,
        }
    }

    /// Index and value of the first of them from `from` on.
    fn find_from(self, head: &Head, from: usize) -> Option<(usize, &[u8])> {
        match self {
            Self::All => head.field(from).map(|field| (from, field.value)),
            Self::Known(id) => head.find_from(from, id, b""),
            Self::Other(name) => head.find_from(from, FieldId::Other, name),
        }
    }

    /// False when it is known without a look that there is one field at most.
    fn may_repeat(self, head: &Head) -> bool {
        match self {
            Self::Known(id) => head.may_repeat(id),
            Self::All | Self::Other(_) => true,
        }
    }

    fn has(self, field: &FieldRef<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Known(id) => field.id == id,
            Self::Other(name) => field.id == FieldId::Other && field.name.eq_ignore_ascii_case(name),
        }
    }
}

/// The element that begins `list`, without white space around it, and what follows its comma; `None`: it is the last.
fn element(list: &[u8]) -> (&[u8], Option<&[u8]>) {
    // Most values are no lists, and most lists have no quotes.
    let from = match memchr::memchr2(b',', b'"', list) {
        None => return (trim(list), None),
        Some(end) if list[end] == b',' => return (trim(&list[..end]), Some(&list[end + 1..])),
        Some(quote) => quote,
    };
    let (mut quoted, mut escaped) = (false, false);
    let end = list[from..].iter().position(|&b| match b {
        _ if escaped => {
            escaped = false;
            false
        }
        b'\\' if quoted => {
            escaped = true;
            false
        }
        b'"' => {
            quoted = !quoted;
            false
        }
        b',' => !quoted,
        _ => false,
    });
    match end.map(|end| from + end) {
        Some(end) => (trim(&list[..end]), Some(&list[end + 1..])),
        None => (trim(list), None),
    }
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// The elements of a list; an empty one counts, and an empty list has one.
pub(super) fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        let (first, behind) = element(rest?);
        rest = behind;
        Some(first)
    })
}

/// The value that an expression asks for: of whole lines, or of the elements of lists.
fn find<'a>(args: &'a Args, cx: Cx<'a>, cursor: &mut Cursor, side: Side, split: bool) -> Result<&'a [u8], Eval<'a>> {
    let Some(head) = cx.head(side) else { return Err(cx.missing(false)) };
    let wanted = Wanted::of(args);
    let hopeless = match wanted {
        // `req.hdr()` finds every field, `req.hdr` none, whatever the manual says.
        Wanted::All => !args.has(0),
        Wanted::Known(id) => !head.may_have(id),
        Wanted::Other(_) => false,
    };
    if hopeless {
        return Err(Eval::Absent);
    }
    let number = args.int(1).unwrap_or(0);
    if number == 0 && cursor.each {
        return next(head, wanted, cursor, split).ok_or(Eval::Absent);
    }
    let found = match number {
        0 | -1 => last(head, wanted, split),
        1.. => {
            let nth = usize::try_from(number - 1).unwrap_or(usize::MAX);
            let fields = head.fields().filter(|field| wanted.has(field)).map(|field| field.value);
            if split { fields.flat_map(elements).nth(nth) } else { fields.into_iter().nth(nth) }
        }
        back => {
            // Few enough to remember all that can be asked for.
            let mut ring = [None; MAX_BACK as usize];
            let mut seen = 0usize;
            let mut note = |value: &'a [u8]| {
                ring[seen % ring.len()] = Some(value);
                seen += 1;
            };
            for field in head.fields().filter(|field| wanted.has(field)) {
                if split { elements(field.value).for_each(&mut note) } else { note(field.value) }
            }
            let back = usize::try_from(-back).unwrap_or(usize::MAX);
            seen.checked_sub(back).and_then(|at| ring[at % ring.len()])
        }
    };
    found.ok_or(Eval::Absent)
}

fn last<'a>(head: &'a Head, wanted: Wanted<'_>, split: bool) -> Option<&'a [u8]> {
    let value = head.fields().rev().find(|field| wanted.has(field))?.value;
    if !split || !value.contains(&b',') { Some(value) } else { elements(value).last() }
}

/// The value behind the cursor.
fn next<'a>(head: &'a Head, wanted: Wanted<'_>, cursor: &mut Cursor, split: bool) -> Option<&'a [u8]> {
    let (at, whole) = wanted.find_from(head, cursor.field as usize)?;
    // Within the first field only: those behind it begin at their beginning.
    let offset = if at == cursor.field as usize { cursor.offset as usize } else { 0 };
    let rest = whole.get(offset..).unwrap_or_default();
    let (value, behind) = if split { element(rest) } else { (rest, None) };
    match behind {
        Some(behind) => (cursor.field, cursor.offset) = (at as u32, (whole.len() - behind.len()) as u32),
        None => (cursor.field, cursor.offset) = (at as u32 + 1, 0),
    }
    cursor.more = behind.is_some() || wanted.may_repeat(head) && wanted.find_from(head, at + 1).is_some();
    Some(value)
}

fn text<'a>(args: &'a Args, cx: Cx<'a>, cursor: &mut Cursor, side: Side, split: bool) -> Eval<'a> {
    find(args, cx, cursor, side, split).map_or_else(|none| none, |value| Eval::Value(Value::Str(value)))
}

fn int<'a>(args: &'a Args, cx: Cx<'a>, cursor: &mut Cursor, side: Side) -> Eval<'a> {
    find(args, cx, cursor, side, true).map_or_else(|none| none, |value| Eval::Value(Value::Int(integer(value))))
}

fn ip<'a>(args: &'a Args, cx: Cx<'a>, cursor: &mut Cursor, side: Side) -> Eval<'a> {
    match find(args, cx, cursor, side, true) {
        Ok(value) => address(value).map(Value::Ip).into(),
        Err(none) => none,
    }
}

fn how_many<'a>(args: &'a Args, cx: Cx<'a>, side: Side, split: bool) -> Eval<'a> {
    let Some(head) = cx.head(side) else { return cx.missing(false) };
    let wanted = Wanted::of(args);
    let found = head.fields().filter(|field| wanted.has(field));
    let count: usize = found.map(|field| if split { elements(field.value).count() } else { 1 }).sum();
    Eval::Value(Value::Int(count as i64))
}

fn names<'a>(args: &'a Args, cx: Cx<'a>, side: Side) -> Eval<'a> {
    let Some(head) = cx.head(side) else { return cx.missing(false) };
    let delimiter = args.str(0).and_then(|text| text.bytes().next()).unwrap_or(b',');
    let mut list = bumpalo::collections::Vec::new_in(cx.scratch);
    for field in head.fields() {
        if !list.is_empty() {
            list.push(delimiter);
        }
        list.extend(field.name.iter().map(u8::to_ascii_lowercase));
    }
    Eval::Value(Value::Str(list.into_bump_slice()))
}

fn whole<'a>(cx: Cx<'a>, side: Side) -> Eval<'a> {
    let Some(head) = cx.head(side) else { return cx.missing(false) };
    let mut text = bumpalo::collections::Vec::new_in(cx.scratch);
    for field in head.fields() {
        text.extend(field.name.iter().map(u8::to_ascii_lowercase));
        text.extend_from_slice(b": ");
        text.extend_from_slice(field.value);
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    Eval::Value(Value::Bin(text.into_bump_slice()))
}

/// Names and values, each behind its length; two empty ones end them.
fn packed<'a>(cx: Cx<'a>, side: Side) -> Eval<'a> {
    let Some(head) = cx.head(side) else { return cx.missing(false) };
    let mut bytes = bumpalo::collections::Vec::new_in(cx.scratch);
    for field in head.fields() {
        crate::packed::put_length(field.name.len(), &mut bytes);
        bytes.extend(field.name.iter().map(u8::to_ascii_lowercase));
        crate::packed::put_length(field.value.len(), &mut bytes);
        bytes.extend_from_slice(field.value);
    }
    bytes.extend_from_slice(&[0, 0]);
    Eval::Value(Value::Bin(bytes.into_bump_slice()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_empty_elements_and_quotes() {
        let of = |list: &str| elements(list.as_bytes()).map(|e| String::from_utf8(e.to_vec()).unwrap()).collect::<Vec<_>>();
        assert_eq!(of(""), [""]);
        assert_eq!(of("a, b ,\"c,d\" , "), ["a", "b", "\"c,d\"", ""]);
        assert_eq!(of(",,"), ["", "", ""]);
        assert_eq!(of("\"a\\\",b\",c"), ["\"a\\\",b\"", "c"]);
        assert_eq!(of("\"open, never closed"), ["\"open, never closed"]);
    }

    #[test]
    fn lengths() {
        let scratch = bumpalo::Bump::new();
        let of = |len| {
            let mut bytes = bumpalo::collections::Vec::new_in(&scratch);
            crate::packed::put_length(len, &mut bytes);
            bytes.to_vec()
        };
        assert_eq!(of(239), [239]);
        assert_eq!(of(240), [240, 0]);
        assert_eq!(of(2287), [255, 127]);
        assert_eq!(of(2288), [240, 128, 0]);
    }
}
