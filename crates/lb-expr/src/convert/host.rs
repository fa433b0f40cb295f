//! Parts of a `Host` field: name and port. Manual 7.3.1.

use crate::sample::{Args, Converter, Cx, Type, Value};

pub(super) const TABLE: &[Converter] = &[
    Converter::new("host_only", &[], 0, Type::Str, Type::Str, host_only),
    Converter::new("port_only", &[], 0, Type::Str, Type::Int, port_only),
];

/// The host, and the port behind the last colon that no bracket follows.
fn split(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().rposition(|b| matches!(b, b':' | b']')) {
        Some(at) if text[at] == b':' => (&text[..at], &text[at + 1..]),
        _ => (text, b""),
    }
}

fn host_only<'a>(_: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let (host, _) = split(value.bytes()?);
    if !host.iter().any(u8::is_ascii_uppercase) {
        return Some(Value::Str(host));
    }
    let made = cx.scratch.alloc_slice_copy(host);
    made.make_ascii_lowercase();
    Some(Value::Str(made))
}

/// Characters that are no digits count as their distance from `0`, in 32 bits, as in haproxy: a port that is none is no port.
fn port_only<'a>(_: &'a Args, value: Value<'a>, _: Cx<'a>) -> Option<Value<'a>> {
    let (_, port) = split(value.bytes()?);
    let digit = |n: u32, b: &u8| n.wrapping_mul(10).wrapping_add(u32::from(*b).wrapping_sub(u32::from(b'0')));
    Some(Value::Int(i64::from(port.iter().fold(0u32, digit))))
}
