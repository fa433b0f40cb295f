//! Fields of Protocol Buffers messages, plain and as gRPC frames them. Manual 7.3.1.
//!
//! Holds: one pass over the message for each number of the path, which is no longer than [`MAX_PATH`](crate::sample::args::MAX_PATH).

use crate::sample::{Arg, ArgKind, Args, Converter, Cx, Loader, Type, Value};

pub(super) const TABLE: &[Converter] = &[
    Converter::new("protobuf", &[ArgKind::ProtobufField, ArgKind::Str], 1, Type::Bin, Type::Any, protobuf).checked(kind),
    Converter::new("ungrpc", &[ArgKind::ProtobufField, ArgKind::Str], 1, Type::Bin, Type::Any, ungrpc).checked(kind),
];

/// Bytes before each message: whether it is compressed, and its length.
const GRPC_HEADER: usize = 5;

/// How the bytes of a field become a number.
#[derive(Clone, Copy)]
enum Kind {
    /// Wire type 0.
    Varint,
    /// Wire type 0, the sign in the lowest bit.
    Zigzag,
    /// Wire type 1.
    Fixed64,
    Double,
    /// Wire type 5.
    Fixed32,
    SignedFixed32,
    Float,
}

fn kind(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    let Some(arg) = args.get_mut(1).filter(|arg| **arg != Arg::Absent) else { return Ok(()) };
    *arg = Arg::made(match arg.text() {
        "int32" | "int64" | "uint32" | "uint64" | "bool" | "enum" => Kind::Varint,
        "sint32" | "sint64" => Kind::Zigzag,
        "fixed64" | "sfixed64" => Kind::Fixed64,
        "double" => Kind::Double,
        "fixed32" => Kind::Fixed32,
        "sfixed32" => Kind::SignedFixed32,
        "float" => Kind::Float,
        other => return Err(format!("Wrong protocol buffer type '{other}'")),
    });
    Ok(())
}

/// A field: its wire type and its bytes.
struct Field<'a> {
    wire: u8,
    bytes: &'a [u8],
}

/// A number of up to ten bytes, seven bits each; nothing at all is 0.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    if rest.is_empty() {
        return Some(0);
    }
    let mut n = 0;
    for shift in (0..70).step_by(7) {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        n |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

/// Takes the next field of a message: its number, and what it holds.
fn next<'a>(message: &mut &'a [u8]) -> Option<(u64, Field<'a>)> {
    let key = varint(message)?;
    let wire = (key & 7) as u8;
    let len = match wire {
        0 => {
            let mut rest = *message;
            varint(&mut rest)?;
            message.len() - rest.len()
        }
        1 => 8,
        2 => usize::try_from(varint(message)?).ok()?,
        5 => 4,
        // Groups are no longer used, others were never there.
        _ => return None,
    };
    let (bytes, rest) = message.split_at_checked(len)?;
    *message = rest;
    Some((key >> 3, Field { wire, bytes }))
}

/// The first field on a path; messages of the same number are looked at one after the other.
fn find<'a>(mut message: &'a [u8], path: &[u32]) -> Option<Field<'a>> {
    let (number, deeper) = path.split_first()?;
    while !message.is_empty() {
        let (key, field) = next(&mut message)?;
        if key != u64::from(*number) {
            continue;
        }
        if deeper.is_empty() {
            return Some(field);
        }
        if field.wire == 2
            && let Some(found) = find(field.bytes, deeper)
        {
            return Some(found);
        }
    }
    None
}

fn lookup<'a>(args: &'a Args, message: &'a [u8]) -> Option<Value<'a>> {
    let field = find(message, args.made::<Box<[u32]>>(0)?)?;
    let Some(kind) = args.made::<Kind>(1) else { return Some(Value::Bin(field.bytes)) };
    let four = || <[u8; 4]>::try_from(field.bytes).ok().filter(|_| field.wire == 5);
    let eight = || <[u8; 8]>::try_from(field.bytes).ok().filter(|_| field.wire == 1);
    let plain = || {
        let mut bytes = field.bytes;
        if field.wire == 0 { varint(&mut bytes) } else { None }
    };
    let number = match kind {
        Kind::Varint => plain()? as i64,
        Kind::Zigzag => {
            let n = plain()?;
            (n >> 1) as i64 ^ -((n & 1) as i64)
        }
        Kind::Fixed64 => i64::from_le_bytes(eight()?),
        Kind::Double => f64::from_le_bytes(eight()?) as i64,
        Kind::Fixed32 => u32::from_le_bytes(four()?).into(),
        Kind::SignedFixed32 => i32::from_le_bytes(four()?).into(),
        Kind::Float => f32::from_le_bytes(four()?) as i64,
    };
    Some(Value::Int(number))
}

fn protobuf<'a>(args: &'a Args, value: Value<'a>, _: Cx<'a>) -> Option<Value<'a>> {
    lookup(args, value.bytes()?)
}

/// The first message that has the field.
fn ungrpc<'a>(args: &'a Args, value: Value<'a>, _: Cx<'a>) -> Option<Value<'a>> {
    let mut rest = value.bytes()?;
    while let Some(([_, len @ ..], behind)) = rest.split_first_chunk::<GRPC_HEADER>() {
        let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
        let (message, behind) = behind.split_at_checked(len)?;
        if let Some(found) = lookup(args, message) {
            return Some(found);
        }
        rest = behind;
    }
    None
}
