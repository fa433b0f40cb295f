//! What turns values into others: the converters. Manual 7.3.1.
//!
//! Holds: any bytes are taken; where a value makes no sense for a converter the sample is absent; what is made goes to the scratch
//! memory and is never longer than [`MAX_LEN`]. Each converter is linear in its input and its arguments.
//!
//! Here are all that need nothing but a value, its arguments and a [`Context`](crate::sample::Context). Those that read maps stand with the
//! patterns; those of stick tables, of certificates and of device databases are not there, and their names are unknown.

#![allow(clippy::ptr_arg)] // checks are of one type, whether or not they change how many arguments there are

mod crypto;
mod date;
mod encode;
mod fix;
mod hash;
mod host;
mod json;
mod jwt;
mod math;
mod mqtt;
mod net;
mod packet;
mod protobuf;
mod query;
mod regsub;
mod rfc7239;
mod state;
mod text;
mod time;
mod variable;
mod x509;

pub(crate) use encode::base64;
pub(crate) use hash::mixed_sdbm;

use crate::sample::{Arg, Args, Converter, Cx, Loader, Type, Value, args};

/// Most bytes that a converter makes, as haproxy's buffers have them by default.
pub const MAX_LEN: usize = 16_384;

/// All tables.
pub(crate) const TABLES: &[&[Converter]] = &[
    crypto::TABLE,
    date::TABLE,
    encode::TABLE,
    fix::TABLE,
    hash::TABLE,
    host::TABLE,
    json::TABLE,
    jwt::TABLE,
    math::TABLE,
    mqtt::TABLE,
    net::TABLE,
    packet::TABLE,
    protobuf::TABLE,
    query::TABLE,
    regsub::TABLE,
    rfc7239::TABLE,
    state::TABLE,
    text::TABLE,
    time::TABLE,
    variable::TABLE,
    x509::TABLE,
];

/// Bytes on their way, in the scratch memory.
struct Out<'a> {
    bytes: bumpalo::collections::Vec<'a, u8>,
}

impl<'a> Out<'a> {
    /// With room for `expected` bytes, as far as that may be.
    fn new(cx: Cx<'a>, expected: usize) -> Self {
        Self { bytes: bumpalo::collections::Vec::with_capacity_in(expected.min(MAX_LEN), cx.scratch) }
    }

    /// Adds bytes; `None` when there would be too many.
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        if bytes.len() > MAX_LEN - self.bytes.len() {
            return None;
        }
        self.bytes.extend_from_slice(bytes);
        Some(())
    }

    /// Adds as many of the bytes as there may be.
    fn put_some(&mut self, bytes: &[u8]) {
        let room = MAX_LEN - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn done(self) -> &'a [u8] {
        self.bytes.into_bump_slice()
    }
}

/// The value of an argument that is a number or a variable.
fn number<'a>(args: &Args, n: usize, cx: Cx<'a>) -> Option<i64> {
    match args.get(n) {
        Arg::Variable(variable) => match cx.source.variable(*variable, cx.scratch)?.cast(Type::Int, cx.scratch)? {
            Value::Int(n) => Some(n),
            _ => None,
        },
        _ => args.int(n),
    }
}

/// The value of an argument that is a variable, as text.
fn text_of<'a>(args: &Args, n: usize, cx: Cx<'a>) -> Option<&'a [u8]> {
    let variable = args.variable(n)?;
    Some(cx.source.variable(variable, cx.scratch)?.to_text(cx.scratch))
}

/// Takes a number or the name of a variable; nothing is 0.
fn number_or_variable(arg: &mut Arg, loader: &mut dyn Loader) -> Result<(), String> {
    let text = arg.text();
    *arg = match args::integer(text) {
        Some(n) => Arg::Int(n),
        None => match args::variable(text, loader) {
            Ok(variable) => Arg::Variable(variable),
            Err(_) => return Err("expects an integer or a variable name".into()),
        },
    };
    Ok(())
}

/// Takes the name of a variable; the argument may be empty where `optional`.
fn variable_name(arg: &mut Arg, optional: bool, loader: &mut dyn Loader) -> Result<(), String> {
    let name = arg.text();
    if name.is_empty() && optional {
        *arg = Arg::Absent;
        return Ok(());
    }
    let variable = args::variable(name, loader).map_err(|_| format!("failed to register variable name '{name}'"))?;
    *arg = Arg::Variable(variable);
    Ok(())
}
