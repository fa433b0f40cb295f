//! Text: case, words, parts, joining. Manual 7.3.1.

use super::{Out, number, number_or_variable, text_of, variable_name};
use crate::sample::{Arg, ArgKind, Args, Converter, Cx, Loader, Type, Value};

const STR: ArgKind = ArgKind::Str;
const INT: ArgKind = ArgKind::Int;

pub(super) const TABLE: &[Converter] = &[
    Converter::new("lower", &[], 0, Type::Str, Type::Str, lower),
    Converter::new("upper", &[], 0, Type::Str, Type::Str, upper),
    Converter::new("length", &[], 0, Type::Str, Type::Int, |_, value, _| Some(Value::Int(value.bytes()?.len() as i64))),
    Converter::new("field", &[INT, STR, INT], 2, Type::Str, Type::Str, field).checked(parts),
    Converter::new("word", &[INT, STR, INT], 2, Type::Str, Type::Str, word).checked(parts),
    Converter::new("bytes", &[STR, STR], 1, Type::Bin, Type::Bin, bytes).checked(range),
    Converter::new("ltrim", &[STR], 1, Type::Str, Type::Str, ltrim),
    Converter::new("rtrim", &[STR], 1, Type::Str, Type::Str, rtrim),
    Converter::new("cut_crlf", &[], 0, Type::Str, Type::Str, cut_crlf),
    Converter::new("concat", &[STR, STR, STR], 0, Type::Str, Type::Str, concat).checked(second_is_variable),
    Converter::new("add_item", &[STR, STR, STR], 2, Type::Str, Type::Str, add_item).checked(item),
    Converter::new("strcmp", &[STR], 1, Type::Str, Type::Int, strcmp).checked(is_variable),
    Converter::new("iif", &[STR, STR], 2, Type::Bool, Type::Str, iif),
    Converter::new("reverse", &[], 0, Type::Str, Type::Str, reverse),
    Converter::new("reverse_dom", &[], 0, Type::Str, Type::Str, reverse_dom),
    Converter::new("has_ctl", &[], 0, Type::Str, Type::Bool, |_, value, _| {
        Some(Value::Bool(value.bytes()?.iter().any(|b| *b < b' ' || *b == 0x7f)))
    }),
];

fn lower<'a>(_: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let text = value.bytes()?;
    if !text.iter().any(u8::is_ascii_uppercase) {
        return Some(Value::Str(text));
    }
    let made = cx.scratch.alloc_slice_copy(text);
    made.make_ascii_lowercase();
    Some(Value::Str(made))
}

fn upper<'a>(_: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let text = value.bytes()?;
    if !text.iter().any(u8::is_ascii_lowercase) {
        return Some(Value::Str(text));
    }
    let made = cx.scratch.alloc_slice_copy(text);
    made.make_ascii_uppercase();
    Some(Value::Str(made))
}

fn parts(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    match args.as_slice() {
        [Arg::Int(0), ..] => Err("Unexpected value 0 for index".into()),
        [_, Arg::Str(delimiters), ..] if delimiters.is_empty() => Err("Empty separators list".into()),
        _ => Ok(()),
    }
}

/// Which bytes part fields and words.
struct Delimiters<'a>(&'a [u8]);

impl Delimiters<'_> {
    fn has(&self, byte: u8) -> bool {
        memchr::memchr(byte, self.0).is_some()
    }
}

/// Index, delimiters and count of `field` and `word`.
fn wanted(args: &Args) -> Option<(i64, Delimiters<'_>, i64)> {
    Some((args.int(0)?, Delimiters(args.str(1)?.as_bytes()), args.int(2).unwrap_or(1)))
}

/// Parts from the `index`th on, `count` of them, or all that follow when that is not positive. From the end, the text is read
/// backwards.
fn field<'a>(args: &'a Args, value: Value<'a>, _: Cx<'a>) -> Option<Value<'a>> {
    let text = value.bytes()?;
    let (index, delimiters, count) = wanted(args)?;
    let before = index.unsigned_abs().checked_sub(1)?;
    let last = if count > 0 { before.saturating_add(count.unsigned_abs()) } else { u64::MAX };
    let (mut begin, mut end) = ((before == 0).then_some(0), None);
    // Delimiters in the order in which they come from that end, each with the number of bytes that it passed.
    let mut place = |passed: usize, seen: &mut u64| {
        *seen += 1;
        if *seen == last {
            end = Some(passed);
        } else if *seen == before {
            begin = Some(passed + 1);
        }
        end.is_some()
    };
    let mut seen = 0;
    if index > 0 {
        text.iter().enumerate().filter(|(_, b)| delimiters.has(**b)).any(|(at, _)| place(at, &mut seen));
    } else {
        text.iter().rev().enumerate().filter(|(_, b)| delimiters.has(**b)).any(|(at, _)| place(at, &mut seen));
    }
    let begin = begin?;
    let end = end.unwrap_or(text.len());
    Some(Value::Str(if index > 0 { &text[begin..end] } else { &text[text.len() - end..text.len() - begin] }))
}

/// As `field`, but delimiters that follow each other are one, and those at the ends none. A word that is not there is empty.
fn word<'a>(args: &'a Args, value: Value<'a>, _: Cx<'a>) -> Option<Value<'a>> {
    let text = value.bytes()?;
    let (index, delimiters, count) = wanted(args)?;
    let len = text.len();
    let at = |n: usize| if index > 0 { text[n] } else { text[len - 1 - n] };
    let wanted = index.unsigned_abs();
    let last = wanted.saturating_sub(1).saturating_add(count.unsigned_abs());
    let (mut words, mut inside) = (0u64, false);
    let (mut begin, mut end) = (None, len);
    for n in 0..len {
        if delimiters.has(at(n)) {
            inside = false;
            if count > 0 && begin.is_some() && words == last {
                end = n;
                break;
            }
        } else if !inside {
            inside = true;
            words += 1;
            if words == wanted {
                begin = Some(n);
            }
        }
    }
    let Some(begin) = begin else { return Some(Value::Str(b"")) };
    Some(Value::Str(if index > 0 { &text[begin..end] } else { &text[len - end..len - begin] }))
}

fn range(args: &mut Vec<Arg>, loader: &mut dyn Loader) -> Result<(), String> {
    args.iter_mut().filter(|arg| **arg != Arg::Absent).try_for_each(|arg| number_or_variable(arg, loader))
}

/// An offset that is outside gives nothing; a length that is, the rest.
fn bytes<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let all = value.bytes()?;
    let offset = usize::try_from(number(args, 0, cx)?).unwrap_or(usize::MAX);
    let Some(rest) = all.get(offset..) else { return Some(Value::Bin(b"")) };
    if !args.has(1) {
        return Some(Value::Bin(rest));
    }
    let len = usize::try_from(number(args, 1, cx)?).unwrap_or(usize::MAX);
    Some(Value::Bin(rest.get(..len).unwrap_or(rest)))
}

fn ltrim<'a>(args: &'a Args, value: Value<'a>, _: Cx<'a>) -> Option<Value<'a>> {
    let text = value.bytes()?;
    let chars = Delimiters(args.get(0).text().as_bytes());
    let begin = text.iter().position(|b| !chars.has(*b)).unwrap_or(text.len());
    Some(Value::Str(&text[begin..]))
}

fn rtrim<'a>(args: &'a Args, value: Value<'a>, _: Cx<'a>) -> Option<Value<'a>> {
    let text = value.bytes()?;
    let chars = Delimiters(args.get(0).text().as_bytes());
    let end = text.iter().rposition(|b| !chars.has(*b)).map_or(0, |last| last + 1);
    Some(Value::Str(&text[..end]))
}

fn cut_crlf<'a>(_: &'a Args, value: Value<'a>, _: Cx<'a>) -> Option<Value<'a>> {
    let text = value.bytes()?;
    Some(Value::Str(&text[..memchr::memchr2(b'\r', b'\n', text).unwrap_or(text.len())]))
}

fn second_is_variable(args: &mut Vec<Arg>, loader: &mut dyn Loader) -> Result<(), String> {
    args.get_mut(1).map_or(Ok(()), |arg| variable_name(arg, true, loader))
}

fn is_variable(args: &mut Vec<Arg>, loader: &mut dyn Loader) -> Result<(), String> {
    args.first_mut().map_or(Ok(()), |arg| variable_name(arg, false, loader))
}

fn item(args: &mut Vec<Arg>, loader: &mut dyn Loader) -> Result<(), String> {
    if args.iter().skip(1).all(|arg| arg.text().is_empty()) {
        return Err("one of the optional arguments has to be nonempty".into());
    }
    second_is_variable(args, loader)
}

fn concat<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let text = value.bytes()?;
    let variable = text_of(args, 1, cx).unwrap_or_default();
    let mut out = Out::new(cx, text.len() + variable.len() + 32);
    for part in [text, args.get(0).text().as_bytes(), variable, args.get(2).text().as_bytes()] {
        out.put_some(part);
    }
    Some(Value::Str(out.done()))
}

fn add_item<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let text = value.bytes()?;
    let variable = text_of(args, 1, cx).unwrap_or_default();
    let suffix = args.get(2).text().as_bytes();
    let mut out = Out::new(cx, text.len() + variable.len() + 32);
    out.put_some(text);
    let more = !variable.is_empty() || !suffix.is_empty();
    if more && !text.is_empty() {
        out.put_some(args.get(0).text().as_bytes());
    }
    out.put_some(variable);
    out.put_some(suffix);
    Some(Value::Str(out.done()))
}

/// The difference of the first bytes that differ, as the C library has it; else the shorter one is less.
fn strcmp<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let (left, right) = (value.bytes()?, text_of(args, 0, cx)?);
    let differ = left.iter().zip(right).find(|(a, b)| a != b).map(|(a, b)| i64::from(*a) - i64::from(*b));
    Some(Value::Int(differ.unwrap_or(match left.len().cmp(&right.len()) {
        std::cmp::Ordering::Less => -1,
        std::cmp::Ordering::Equal => 0,
        std::cmp::Ordering::Greater => 1,
    })))
}

fn iif<'a>(args: &'a Args, value: Value<'a>, _: Cx<'a>) -> Option<Value<'a>> {
    let on = matches!(value, Value::Bool(true));
    Some(Value::Str(args.get(usize::from(!on)).text().as_bytes()))
}

fn reverse<'a>(_: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let made = cx.scratch.alloc_slice_copy(value.bytes()?);
    made.reverse();
    Some(Value::Str(made))
}

/// `www.example.com` becomes `com.example.www`.
fn reverse_dom<'a>(_: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let text = value.bytes()?;
    let text = text.strip_suffix(b".").unwrap_or(text);
    let mut out = Out::new(cx, text.len());
    for (n, label) in text.rsplit(|b| *b == b'.').enumerate() {
        if n > 0 {
            out.put(b".")?;
        }
        out.put(label)?;
    }
    Some(Value::Str(out.done()))
}
