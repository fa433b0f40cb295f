//! Values that the configuration itself has, and those of the process and the moment. Manual 7.3.2.

use crate::sample::{Arg, ArgKind, Args, Cursor, Cx, Eval, Fact, Fetch, Loader, Need, Type, Value};
use lb_http::Method;

pub(super) const TABLE: &[Fetch] = &[
    Fetch::new("always_false", &[], 0, Type::Bool, Need::Constant, |_, _, _| Eval::Value(Value::Bool(false))),
    Fetch::new("always_true", &[], 0, Type::Bool, Need::Constant, |_, _, _| Eval::Value(Value::Bool(true))),
    Fetch::new("bool", &[ArgKind::Str], 1, Type::Bool, Need::Constant, |args, _, _| constant(args)).checked(check_bool),
    Fetch::new("int", &[ArgKind::Int], 1, Type::Int, Need::Constant, |args, _, _| constant(args)),
    Fetch::new("ipv4", &[ArgKind::Ipv4], 1, Type::Ipv4, Need::Constant, |args, _, _| constant(args)),
    Fetch::new("ipv6", &[ArgKind::Ipv6], 1, Type::Ipv6, Need::Constant, |args, _, _| constant(args)),
    Fetch::new("str", &[ArgKind::Str], 1, Type::Str, Need::Constant, |args, _, _| constant(args)),
    Fetch::new("bin", &[ArgKind::Str], 1, Type::Bin, Need::Constant, |args, _, _| bytes(args).map(Value::Bin).into()).checked(check_bin),
    Fetch::new("meth", &[ArgKind::Str], 1, Type::Method, Need::Constant, |args, _, _| {
        args.str(0).map(|name| Value::Method(Method::of(name.as_bytes()), name.as_bytes())).into()
    }),
    Fetch::new("env", &[ArgKind::Str], 1, Type::Str, Need::Constant, environment).checked(check_env),
    Fetch::new("var", &[ArgKind::Variable, ArgKind::Str], 1, Type::Any, Need::Constant, variable),
    Fetch::new("date", &[ArgKind::Int, ArgKind::Str], 0, Type::Int, Need::Constant, date).checked(check_unit_of_date),
    Fetch::new("date_us", &[], 0, Type::Int, Need::Constant, |_, cx, _| {
        Eval::Value(Value::Int(i64::from(cx.source.now().micros.min(999_999))))
    }),
    Fetch::new("rand", &[ArgKind::Int], 0, Type::Int, Need::Constant, random),
    Fetch::new("uuid", &[ArgKind::Int], 0, Type::Str, Need::Constant, uuid).checked(check_uuid),
    Fetch::new("hostname", &[], 0, Type::Str, Need::Constant, |_, cx, _| cx.source.fact(Fact::Hostname, cx.scratch).into()),
    Fetch::new("nbproc", &[], 0, Type::Int, Need::Constant, |_, _, _| Eval::Value(Value::Int(1))),
    Fetch::new("proc", &[], 0, Type::Int, Need::Constant, |_, _, _| Eval::Value(Value::Int(1))),
    Fetch::new("thread", &[], 0, Type::Int, Need::Constant, |_, cx, _| cx.source.fact(Fact::Thread, cx.scratch).into()),
];

fn constant(args: &Args) -> Eval<'_> {
    match args.get(0) {
        Arg::Int(n) => Eval::Value(Value::Int(*n)),
        Arg::Str(text) => Eval::Value(Value::Str(text.as_bytes())),
        Arg::Ipv4(ip) => Eval::Value(Value::Ip((*ip).into())),
        Arg::Ipv6(ip) => Eval::Value(Value::Ip((*ip).into())),
        Arg::Bool(on) => Eval::Value(Value::Bool(*on)),
        _ => Eval::Absent,
    }
}

fn check_bool(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    let word = args.first().map(Arg::text).unwrap_or_default();
    let is = |words: [&str; 2]| words.iter().any(|w| w.eq_ignore_ascii_case(word));
    args[0] = match () {
        () if is(["true", "1"]) => Arg::Bool(true),
        () if is(["false", "0"]) => Arg::Bool(false),
        () => return Err("Expects 'true', 'false', '0' or '1'".to_owned()),
    };
    Ok(())
}

fn bytes(args: &Args) -> Option<&[u8]> {
    args.made::<Box<[u8]>>(0).map(|bytes| &**bytes)
}

fn check_bin(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    let text = args.first().map(Arg::text).unwrap_or_default().as_bytes();
    if text.is_empty() {
        return Err("hex digits are expected".to_owned());
    }
    if !text.len().is_multiple_of(2) {
        return Err("an even number of hex digit is expected".to_owned());
    }
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pair = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    let bytes: Option<Box<[u8]>> = text.chunks_exact(2).map(pair).collect();
    let odd = || text.iter().find(|b| !b.is_ascii_hexdigit()).map_or(' ', |b| char::from(*b));
    args[0] = Arg::made(bytes.ok_or_else(|| format!("an hex digit is expected (found '{}')", odd()))?);
    Ok(())
}

/// Read once: a process that runs does not see later changes.
/// A variable that the start itself sets has no value yet when the configuration is read.
fn environment<'a>(args: &'a Args, cx: Cx<'a>, _: &mut Cursor) -> Eval<'a> {
    let Some((name, read)) = args.made::<(Box<str>, Option<Box<[u8]>>)>(0) else { return Eval::Absent };
    cx.source.environment(name, cx.scratch).or_else(|| read.as_deref().map(Value::Str)).into()
}

fn check_env(args: &mut Vec<Arg>, loader: &mut dyn Loader) -> Result<(), String> {
    let Some(name) = args.first_mut() else { return Ok(()) };
    let value = loader.environment(name.text()).map(|value| value.into_bytes().into_boxed_slice());
    *name = Arg::made((Box::<str>::from(name.text()), value));
    Ok(())
}

fn variable<'a>(args: &'a Args, cx: Cx<'a>, _: &mut Cursor) -> Eval<'a> {
    let value = args.variable(0).and_then(|variable| cx.source.variable(variable, cx.scratch));
    value.or_else(|| args.str(1).map(|default| Value::Str(default.as_bytes()))).into()
}

/// Parts of a second that the unit at `at` names: 1, 1,000 or 1,000,000.
pub(super) fn check_unit(args: &mut [Arg], at: usize) -> Result<(), String> {
    let parts = match args.get(at) {
        None | Some(Arg::Absent) => return Ok(()),
        Some(unit) => match unit.text() {
            "s" => 1,
            "ms" => 1_000,
            "us" => 1_000_000,
            other => return Err(format!("expects 's', 'ms' or 'us', got '{other}'")),
        },
    };
    args[at] = Arg::Int(parts);
    Ok(())
}

fn check_unit_of_date(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    check_unit(args, 1)
}

/// Parts of a second since 1970.
pub(super) fn since_1970(at: crate::Timestamp, parts: i64) -> i64 {
    let micros = i64::from(at.micros.min(999_999));
    at.unix_secs.saturating_mul(parts).saturating_add(micros / (1_000_000 / parts.clamp(1, 1_000_000)))
}

fn date<'a>(args: &'a Args, cx: Cx<'a>, _: &mut Cursor) -> Eval<'a> {
    let now = since_1970(cx.source.now(), args.int(1).unwrap_or(1));
    Eval::Value(Value::Int(now.saturating_add(args.int(0).unwrap_or(0))))
}

fn random<'a>(args: &'a Args, cx: Cx<'a>, _: &mut Cursor) -> Eval<'a> {
    let range = args.int(0).map_or(1 << 32, |n| n.clamp(1, 1 << 32) as u64);
    // The upper half of the product: no division, and no bias worth a word.
    let number = (u128::from(cx.source.random()) * u128::from(range)) >> 64;
    Eval::Value(Value::Int(number as i64))
}

fn check_uuid(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    match args.first() {
        Some(Arg::Int(version)) if *version != 4 => Err(format!("Unsupported UUID version: '{version}'")),
        _ => Ok(()),
    }
}

/// RFC 9562, version 4.
fn uuid<'a>(_: &'a Args, cx: Cx<'a>, _: &mut Cursor) -> Eval<'a> {
    let (high, low) = (cx.source.random(), cx.source.random());
    let high = high & !0xf000 | 0x4000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    let text = bumpalo::format!(in cx.scratch, "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32, high >> 16 & 0xffff, high & 0xffff, low >> 48, low & 0xffff_ffff_ffff);
    Eval::Value(Value::Str(text.into_bump_str().as_bytes()))
}
