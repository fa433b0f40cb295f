//! Text: case, words, parts. Manual 7.3.1.

use crate::sample::{Args, Converter, Cx, Type, Value};

pub(super) const TABLE: &[Converter] =
    &[Converter::new("lower", &[], 0, Type::Str, Type::Str, lower), Converter::new("upper", &[], 0, Type::Str, Type::Str, upper)];

fn lower<'a>(_: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let text = value.bytes()?;
    if !text.iter().any(u8::is_ascii_uppercase) {
        return Some(value);
    }
    let made = cx.scratch.alloc_slice_copy(text);
    made.make_ascii_lowercase();
    Some(Value::Str(made))
}

fn upper<'a>(_: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let text = value.bytes()?;
    if !text.iter().any(u8::is_ascii_lowercase) {
        return Some(value);
    }
    let made = cx.scratch.alloc_slice_copy(text);
    made.make_ascii_uppercase();
    Some(Value::Str(made))
}
