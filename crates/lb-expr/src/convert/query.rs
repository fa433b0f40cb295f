//! Parts of what a browser sends: parameters, languages. Manual 7.3.1.

use crate::sample::{Arg, ArgKind, Args, Converter, Cx, Loader, Type, Value};

pub(super) const TABLE: &[Converter] = &[
    Converter::new("param", &[ArgKind::Str, ArgKind::Str], 1, Type::Str, Type::Str, param).checked(|args, _| match args.get(1) {
        Some(Arg::Str(delimiter)) if delimiter.len() != 1 => Err("Delimiter must be exactly 1 character.".into()),
        _ => Ok(()),
    }),
    Converter::new("language", &[ArgKind::Str, ArgKind::Str], 1, Type::Str, Type::Str, language).checked(languages),
];

/// The first parameter of the name; one without `=` has an empty value.
fn param<'a>(args: &'a Args, value: Value<'a>, _: Cx<'a>) -> Option<Value<'a>> {
    let delimiter = args.str(1).and_then(|text| text.bytes().next()).unwrap_or(b'&');
    let name = args.get(0).text().as_bytes();
    value.bytes()?.split(|b| *b == delimiter).find_map(|part| match part.strip_prefix(name)? {
        [] => Some(Value::Str(b"")),
        [b'=', value @ ..] => Some(Value::Str(value)),
        _ => None,
    })
}

/// The languages that there are, and the one for everybody else.
struct Languages(Box<[Box<str>]>);

fn languages(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    if let Some(first) = args.first_mut() {
        let list = first.text().split(';').map(Into::into).collect();
        *first = Arg::made(Languages(list));
    }
    Ok(())
}

/// The one of our languages that the field wants most; of several alike, the first in the field.
fn language<'a>(args: &'a Args, value: Value<'a>, _: Cx<'a>) -> Option<Value<'a>> {
    let Languages(ours) = args.made::<Languages>(0)?;
    let mut best: Option<(&str, u32)> = None;
    for entry in value.bytes()?.split(|b| *b == b',') {
        let mut parts = entry.split(|b| *b == b';');
        let name = parts.next().unwrap_or_default().trim_ascii();
        let quality = parts.next().map_or(1_000, quality);
        if quality == 0 || name.is_empty() {
            continue;
        }
        let find = |name: &[u8]| ours.iter().find(|ours| ours.as_bytes() == name);
        let base = name.split(|b| *b == b'-').next().unwrap_or_default();
        if let Some(known) = find(name).or_else(|| find(base))
            && best.is_none_or(|(_, most)| quality > most)
        {
            best = Some((known, quality));
        }
    }
    let chosen = best.map(|(name, _)| name).or_else(|| args.str(1))?;
    Some(Value::Str(chosen.as_bytes()))
}

/// `q=0.8` in thousandths. What is none is 1, as haproxy has it.
fn quality(text: &[u8]) -> u32 {
    let text = text.trim_ascii();
    let Some(number) = text.strip_prefix(b"q=").or_else(|| text.strip_prefix(b"Q=")) else { return 1_000 };
    let mut digits = number.iter();
    match digits.next() {
        Some(b'0') => {}
        _ => return 1_000,
    }
    if digits.next() != Some(&b'.') {
        return 0;
    }
    let mut scale = 100;
    digits.take_while(|b| b.is_ascii_digit()).take(3).fold(0, |n, b| {
        let n = n + u32::from(b - b'0') * scale;
        scale /= 10;
        n
    })
}
