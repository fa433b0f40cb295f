//! Numbers. Manual 7.3.1. Nothing wraps: what is too large is the largest.

use super::{number, number_or_variable};
use crate::sample::{Arg, ArgKind, Args, Converter, Cx, Loader, Type, Value};

pub(super) const TABLE: &[Converter] = &[
    binary("add", |args, value, cx| with(args, value, cx, i64::saturating_add)),
    binary("sub", |args, value, cx| with(args, value, cx, i64::saturating_sub)),
    binary("mul", |args, value, cx| with(args, value, cx, i64::saturating_mul)),
    binary("div", |args, value, cx| with(args, value, cx, |a, b| a.checked_div(b).unwrap_or(i64::MAX))),
    binary("mod", |args, value, cx| with(args, value, cx, |a, b| a.checked_rem(b).unwrap_or(0))),
    binary("and", |args, value, cx| with(args, value, cx, |a, b| a & b)),
    binary("or", |args, value, cx| with(args, value, cx, |a, b| a | b)),
    binary("xor", |args, value, cx| with(args, value, cx, |a, b| a ^ b)),
    unary("neg", Type::Int, |_, value, _| int(value).map(|n| Value::Int(n.saturating_neg()))),
    unary("cpl", Type::Int, |_, value, _| int(value).map(|n| Value::Int(!n))),
    unary("bool", Type::Bool, |_, value, _| int(value).map(|n| Value::Bool(n != 0))),
    unary("not", Type::Bool, |_, value, _| int(value).map(|n| Value::Bool(n == 0))),
    unary("odd", Type::Bool, |_, value, _| int(value).map(|n| Value::Bool(n & 1 == 1))),
    unary("even", Type::Bool, |_, value, _| int(value).map(|n| Value::Bool(n & 1 == 0))),
];

const fn binary(name: &'static str, call: crate::sample::Convert) -> Converter {
    Converter::new(name, &[ArgKind::Str], 1, Type::Int, Type::Int, call).checked(operand)
}

const fn unary(name: &'static str, out: Type, call: crate::sample::Convert) -> Converter {
    Converter::new(name, &[], 0, Type::Int, out, call)
}

fn operand(args: &mut Vec<Arg>, loader: &mut dyn Loader) -> Result<(), String> {
    args.first_mut().map_or(Ok(()), |arg| number_or_variable(arg, loader))
}

fn int(value: Value<'_>) -> Option<i64> {
    match value {
        Value::Int(n) => Some(n),
        Value::Bool(on) => Some(i64::from(on)),
        _ => None,
    }
}

fn with<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>, apply: fn(i64, i64) -> i64) -> Option<Value<'a>> {
    Some(Value::Int(apply(int(value)?, number(args, 0, cx)?)))
}
