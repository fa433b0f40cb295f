//! The converters that look values up in maps: `map` and `map_METHOD`, with `_int`, `_ip` and `_key` behind them. Manual 7.3.1.
//!
//! Holds: what is found is copied to the scratch memory, since the map may change before the value is used.

use super::Matching;
use super::entry::Entry;
use super::index::Kind;
use super::set::{Gives, Lookup};
use super::sets::Wanted;
use crate::convert::MAX_LEN;
use crate::regex::{Regex, Replacement};
use crate::sample::{Arg, ArgKind, Args, Compiler, Converter, Cx, OwnedValue, Type, Value};
use std::sync::Arc;

/// What a map gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Out {
    Str,
    Int,
    Ip,
    /// The key that matched.
    Key,
    /// Text with `\1` for groups of the key.
    Replaced,
}

impl Out {
    fn gives(self) -> Gives {
        match self {
            Self::Int => Gives::Int,
            Self::Ip => Gives::Ip,
            Self::Str | Self::Key | Self::Replaced => Gives::Text,
        }
    }
}

/// What the first argument becomes.
struct Map {
    lookup: Arc<Lookup>,
    out: Out,
    default: Option<OwnedValue>,
}

macro_rules! maps {
    ($($name:literal $matching:ident $out:ident,)*) => {
        &[$(
            Converter::new($name, args_of(Out::$out), 1, Matching::$matching.input(), type_of(Out::$out), find)
                .loading(|args, compiler| load(args, compiler, Matching::$matching, Out::$out)),
        )*]
    };
}

pub(crate) const TABLE: &[Converter] = maps! {
    "map" Str Str,
    "map_beg" Beg Str, "map_beg_int" Beg Int, "map_beg_ip" Beg Ip, "map_beg_key" Beg Key,
    "map_dir" Dir Str, "map_dir_int" Dir Int, "map_dir_ip" Dir Ip, "map_dir_key" Dir Key,
    "map_dom" Dom Str, "map_dom_int" Dom Int, "map_dom_ip" Dom Ip, "map_dom_key" Dom Key,
    "map_end" End Str, "map_end_int" End Int, "map_end_ip" End Ip, "map_end_key" End Key,
    "map_int" Int Str, "map_int_int" Int Int, "map_int_ip" Int Ip, "map_int_key" Int Key,
    "map_ip" Ip Str, "map_ip_int" Ip Int, "map_ip_ip" Ip Ip, "map_ip_key" Ip Key,
    "map_reg" Reg Str, "map_reg_int" Reg Int, "map_reg_ip" Reg Ip, "map_reg_key" Reg Key,
    "map_regm" Reg Replaced,
    "map_str" Str Str, "map_str_int" Str Int, "map_str_ip" Str Ip, "map_str_key" Str Key,
    "map_sub" Sub Str, "map_sub_int" Sub Int, "map_sub_ip" Sub Ip, "map_sub_key" Sub Key,
};

const fn type_of(out: Out) -> Type {
    match out {
        Out::Str | Out::Key | Out::Replaced => Type::Str,
        Out::Int => Type::Int,
        Out::Ip => Type::Addr,
    }
}

const fn args_of(out: Out) -> &'static [ArgKind] {
    match out {
        Out::Int => &[ArgKind::Str, ArgKind::Int],
        Out::Key => &[ArgKind::Str],
        _ => &[ArgKind::Str, ArgKind::Str],
    }
}

fn load(args: &mut Vec<Arg>, compiler: &mut Compiler<'_>, matching: Matching, out: Out) -> Result<(), String> {
    let default = match (args.get(1), out) {
        (Some(Arg::Str(text)), Out::Ip) => {
            let ip = text.parse().map_err(|_| format!("'{text}' is not a valid IPv4 or IPv6 address"))?;
            Some(OwnedValue::Ip(ip))
        }
        (Some(Arg::Str(text)), _) => Some(OwnedValue::Str(text.as_bytes().into())),
        (Some(Arg::Int(n)), _) => Some(OwnedValue::Int(*n)),
        _ => None,
    };
    let file = args.first().map(Arg::text).unwrap_or_default().to_owned();
    let kind = Kind { matching, ignore_case: false };
    let wanted = Wanted { kind, has_values: true, no_resolve: false, gives: Some(out.gives()), keyword: String::new() };
    let lookup = compiler.sets.of_file(&file, &wanted, compiler.loader)?;
    args.truncate(1);
    if let Some(first) = args.first_mut() {
        *first = Arg::made(Map { lookup, out, default });
    }
    Ok(())
}

fn find<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let map: &Map = args.made(0)?;
    let found = match map.out {
        Out::Replaced => map.lookup.find_regex(value, |regex, entry| replaced(regex, entry, value, cx)),
        Out::Key => map.lookup.find(value, |entry| Some(Value::Str(cx.keep(entry.key())))),
        out => map.lookup.find(value, |entry| match out.gives().read(entry.value())? {
            Value::Int(n) => Some(Value::Int(n)),
            Value::Ip(ip) => Some(Value::Ip(ip)),
            _ => Some(Value::Str(cx.keep(entry.value()))),
        }),
    };
    match found {
        Some(value) => value,
        None => map.default.as_ref().map(OwnedValue::get),
    }
}

/// The value of an entry with the groups of its key; absent when it cannot be read, or grows too long.
fn replaced<'a>(regex: &Regex, entry: &Entry, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let text = value.bytes()?;
    let groups = regex.find(text)?;
    let replacement = Replacement::new(entry.value()).ok()?;
    let mut made = bumpalo::collections::Vec::new_in(cx.scratch);
    for piece in replacement.pieces(&groups, text) {
        if made.len() + piece.len() > MAX_LEN {
            return None;
        }
        made.extend_from_slice(piece);
    }
    Some(Value::Str(made.into_bump_slice()))
}
