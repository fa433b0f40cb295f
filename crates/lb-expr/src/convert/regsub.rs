//! `regsub`: text in place of what a regular expression finds. Manual 7.3.1.

use super::Out;
use crate::regex::{Regex, Replacement};
use crate::sample::{Arg, ArgKind, Args, Converter, Cx, Loader, Type, Value};

pub(super) const TABLE: &[Converter] =
    &[Converter::new("regsub", &[ArgKind::Str, ArgKind::Str, ArgKind::Str], 2, Type::Str, Type::Str, regsub).checked(check)];

struct Substitution {
    regex: Regex,
    with: Replacement,
    all: bool,
}

fn check(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    let flags = args.get(2).map_or("", Arg::text);
    if let Some(flag) = flags.chars().find(|c| !matches!(c, 'i' | 'g')) {
        return Err(format!("invalid regex flag '{flag}', only 'i' and 'g' are supported"));
    }
    let [pattern, with, ..] = args.as_slice() else { return Ok(()) };
    if pattern.text().is_empty() {
        return Err("missing regex".into());
    }
    let regex = Regex::new(pattern.text(), flags.contains('i')).map_err(|e| e.to_string())?;
    let with = Replacement::new(with.text().as_bytes()).map_err(|e| e.to_string())?;
    let all = flags.contains('g');
    *args = vec![Arg::made(Substitution { regex, with, all })];
    Ok(())
}

fn regsub<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let text = value.bytes()?;
    let Substitution { regex, with, all } = args.made::<Substitution>(0)?;
    let mut out = Out::new(cx, text.len() + 32);
    let mut at = 0;
    // At the end of the text, nothing may be found once more.
    while let Some(groups) = regex.find_next(text, at) {
        out.put_some(&text[at..groups.start()]);
        with.pieces(&groups, text).for_each(|piece| out.put_some(piece));
        let moved = groups.end() > at;
        at = groups.end();
        if !all || (!moved && at == text.len()) {
            break;
        }
        // Nothing was found right here: the next byte stays, so that the search goes on.
        if !moved {
            out.put_some(&text[at..=at]);
            at += 1;
        }
    }
    out.put_some(&text[at..]);
    Some(Value::Str(out.done()))
}
