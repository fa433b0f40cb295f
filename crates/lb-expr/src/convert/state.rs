//! What the proxy knows of a name, and what is told to it: `nbsrv`, `srv_queue`, captures, `debug`, `when`. Manual 7.3.1.

use super::Out;
use crate::sample::{Arg, ArgKind, Args, Condition, Converter, Cx, Loader, Lookup, Side, Type, Value};

pub(super) const TABLE: &[Converter] = &[
    Converter::new("nbsrv", &[], 0, Type::Str, Type::Int, |_, value, cx| {
        cx.source.lookup(Lookup::UsableServers(value.bytes()?)).map(Value::Int)
    }),
    Converter::new("srv_queue", &[], 0, Type::Str, Type::Int, |_, value, cx| {
        cx.source.lookup(Lookup::ServerQueue(value.bytes()?)).map(Value::Int)
    }),
    Converter::new("srv_is_up", &[], 0, Type::Str, Type::Bool, |_, value, cx| {
        cx.source.lookup(Lookup::ServerIsUp(value.bytes()?)).map(|up| Value::Bool(up != 0))
    }),
    Converter::new("fe_exists", &[], 0, Type::Str, Type::Bool, |_, value, cx| {
        cx.source.lookup(Lookup::FrontendExists(value.bytes()?)).map(|there| Value::Bool(there != 0))
    }),
    Converter::new("capture-req", &[ArgKind::Int], 1, Type::Str, Type::Str, |args, value, cx| capture(args, value, Side::Request, cx)),
    Converter::new("capture-res", &[ArgKind::Int], 1, Type::Str, Type::Str, |args, value, cx| capture(args, value, Side::Response, cx)),
    Converter::new("debug", &[ArgKind::Str, ArgKind::Str], 0, Type::Any, Type::Same, debug).checked(sink),
    Converter::new("when", &[ArgKind::Str, ArgKind::Str], 1, Type::Any, Type::Same, when).checked(condition),
];

/// The value goes on if there is such a slot.
fn capture<'a>(args: &'a Args, value: Value<'a>, side: Side, cx: Cx<'a>) -> Option<Value<'a>> {
    let slot = u32::try_from(args.int(0)?).ok()?;
    cx.source.set_capture(side, slot, value.bytes()?).then_some(value)
}

fn sink(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    match args.get(1) {
        Some(Arg::Str(name)) if !matches!(&**name, "" | "stdout" | "stderr") => Err(format!("No such sink '{name}'")),
        _ => Ok(()),
    }
}

/// A line with the value's type and text; the value goes on. Without a destination it goes to standard error: the ring that haproxy
/// has for it is read by a command that is not there.
fn debug<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let mut out = Out::new(cx, 256);
    out.put_some(b"[debug] ");
    out.put_some(args.get(0).text().as_bytes());
    let kind = match value {
        Value::Bool(_) => "bool",
        Value::Int(_) => "sint",
        Value::Ip(std::net::IpAddr::V4(_)) => "ipv4",
        Value::Ip(std::net::IpAddr::V6(_)) => "ipv6",
        Value::Str(_) => "str",
        Value::Bin(_) => "bin",
        Value::Method(..) => "meth",
    };
    out.put_some(b": type=");
    out.put_some(kind.as_bytes());
    out.put_some(b" <");
    for byte in value.to_text(cx.scratch) {
        out.put_some(if matches!(byte, b' '..=b'~') { std::slice::from_ref(byte) } else { b"." });
    }
    out.put_some(b">\n");
    let sink = args.str(1).filter(|sink| !sink.is_empty()).unwrap_or("stderr");
    cx.source.debug(sink, out.done());
    Some(value)
}

/// Conditions of which one has to hold, and whether they are turned round.
struct When {
    any: &'static [Condition],
    not: bool,
}

fn condition(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    let Some(arg) = args.first_mut() else { return Ok(()) };
    let text = arg.text();
    let (not, name) = text.strip_prefix('!').map_or((false, text), |name| (true, name));
    let (any, turned): (&'static [Condition], bool) = match name {
        "error" => (&[Condition::Error], false),
        "normal" => (&[Condition::Error], true),
        "forwarded" => (&[Condition::Forwarded], false),
        "toapplet" => (&[Condition::ToApplet], false),
        "processed" => (&[Condition::Forwarded, Condition::ToApplet], false),
        "stopping" => (&[Condition::Stopping], false),
        "acl" => return Err("the condition 'acl' is not supported: put the ACL on the line, 'if <acl>'".into()),
        other => {
            return Err(format!(
                "expects a supported keyword among {{stopping,normal,error,forwarded,toapplet,processed,acl}} but got '{other}'"
            ));
        }
    };
    *arg = Arg::made(When { any, not: not != turned });
    Ok(())
}

fn when<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let When { any, not } = args.made::<When>(0)?;
    (any.iter().any(|condition| cx.source.is(*condition)) != *not).then_some(value)
}
