//! Expressions: what operators write, and what converters make of bytes from peers.

#[path = "../../crates/lb-expr/tests/support/mod.rs"]
mod support;

use bumpalo::Bump;
use lb_expr::acl::Sets;
use lb_expr::convert::MAX_LEN;
use lb_expr::sample::{Compiler, Context as _, Cursor, Cx, Expr, OwnedValue, Registry, Scope, Side, Type, Value, Variable};
use std::cell::LazyCell;
use support::{Names, Plain, request};

/// Pieces of what operators write, the names of all fetches and converters among them.
pub const WORDS: &[&[u8]] = &[
    b",",
    b"(",
    b")",
    b"'",
    b"\"",
    b"\\",
    b" ",
    b"str(a)",
    b"int(1)",
    b"bin(00ff)",
    b"ipv4(1.2.3.4)",
    b"ipv6(::1)",
    b"bool(1)",
    b"var(txn.a)",
    b"req.hdr(host)",
    b"path",
    b"url",
    b"method",
    b"src",
    b"txn.a",
    b"proc.b",
    b"0",
    b"-1",
    b"9223372036854775807",
    b"%Y-%m-%d",
    b"$.a[0].b",
    b"sha256",
    b"Zm9v",
    b"HS256",
    b"connect",
    b"a2V5",
    b"int32",
    b"(a|b)+\\1",
    b"(?=",
    b"[[:alpha:]",
    b"{2,}",
    b"(?i)",
    b"lower",
    b"upper",
    b"field",
    b"word",
    b"bytes",
    b"regsub",
    b"concat",
    b"add_item",
    b"hex",
    b"hex2i",
    b"base64",
    b"b64dec",
    b"ub64dec",
    b"ub64enc",
    b"url_dec",
    b"url_enc",
    b"json",
    b"json_query",
    b"ipmask",
    b"language",
    b"utime",
    b"ltime",
    b"http_date",
    b"ms_utime",
    b"be2dec",
    b"be2hex",
    b"protobuf",
    b"ungrpc",
    b"fix_is_valid",
    b"fix_tag_value",
    b"mqtt_is_valid",
    b"mqtt_field_value",
    b"jwt_verify",
    b"jwt_payload_query",
    b"hmac",
    b"digest",
    b"sha2",
    b"aes_gcm_dec",
    b"aes_gcm_enc",
    b"set-var",
    b"unset-var",
    b"strcmp",
    b"secure_memcmp",
    b"xxh3",
    b"crc32",
    b"when",
    b"debug",
    b"param",
    b"rfc7239_field",
    b"rfc7239_n2nn",
    b"host_only",
    b"port_only",
    b"iif",
    b"add",
    b"div",
    b"mod",
    b"capture-req",
    b"map_str_int",
    b"\xc3\xa9",
    b"\0",
];

/// Calls of converters, each at least once, that values go through.
const CALLS: &[&str] = &[
    "lower",
    "upper",
    "length",
    "field(1,/)",
    "field(-2,/,0)",
    "field(2,/.,2)",
    "word(1,/)",
    "word(-2,/,2)",
    "word(3,/.,0)",
    "bytes(1)",
    "bytes(2,5)",
    "ltrim(ab/)",
    "rtrim(ab/)",
    "cut_crlf",
    "concat(a,txn.a,b)",
    "add_item(a,txn.a,b)",
    "strcmp(txn.a)",
    "iif(a,b)",
    "reverse",
    "reverse_dom",
    "has_ctl",
    "host_only",
    "port_only",
    "regsub(a+,b,g)",
    "regsub('(a|b)+','<\\1\\0>',gi)",
    "regsub('(?<=a)b*','-',g)",
    "regsub('(.)\\1',x,g)",
    "param(a)",
    "param(b,;)",
    "language(de;en-GB;fr,en)",
    "ipmask(24,64)",
    "ipmask(8)",
    "base64",
    "b64dec",
    "ub64enc",
    "ub64dec",
    "hex",
    "hex2i",
    "be2dec(:,3)",
    "be2hex(-,2,1)",
    "le2dec(,8)",
    "base2",
    "htonl",
    "url_enc",
    "url_dec",
    "url_dec(1)",
    "json",
    "json(utf8)",
    "json(utf8s)",
    "json(utf8p)",
    "json(utf8ps)",
    "json_query($.a)",
    "json_query($.a.b[1],int)",
    "json_query($[0])",
    "crc32",
    "crc32c(1)",
    "djb2",
    "sdbm(1)",
    "wt6",
    "xxh32(7)",
    "xxh64",
    "xxh3(-1)",
    "sha1",
    "sha2(512)",
    "digest(md5)",
    "digest(sha3-256)",
    "hmac(sha256,a2V5)",
    "hmac(sha3-224,txn.a)",
    "secure_memcmp(txn.a)",
    "aes_gcm_dec(128,MTIzNDU2Nzg5MDEy,Zm9vb2Zvb29mb29wZm9vbw==,txn.a)",
    "aes_gcm_enc(256,MTIzNDU2Nzg5MDEyMzQ1Ng==,Zm9vb2Zvb29mb29wZm9vbzEyMzQ1Njc4OTAxMjM0NTY=,txn.b)",
    "jwt_header_query",
    "jwt_payload_query($.a)",
    "jwt_verify(HS256,key)",
    "jwt_verify(none,x)",
    "jwt_verify(ES256,nowhere)",
    "protobuf(1)",
    "protobuf(1.2,int32)",
    "protobuf(2,sint64)",
    "protobuf(3,double)",
    "protobuf(3,float)",
    "ungrpc(1.1)",
    "ungrpc(1,fixed32)",
    "fix_is_valid",
    "fix_tag_value(35)",
    "mqtt_is_valid",
    "mqtt_field_value(connect,username)",
    "mqtt_field_value(1,17)",
    "mqtt_field_value(connack,31)",
    "rfc7239_is_valid",
    "rfc7239_field(for)",
    "rfc7239_n2nn",
    "rfc7239_n2np",
    "add(txn.a)",
    "sub(3)",
    "mul(-9)",
    "div(txn.a)",
    "mod(0)",
    "and(7)",
    "or(8)",
    "xor(txn.a)",
    "neg",
    "cpl",
    "bool",
    "not",
    "odd",
    "even",
    "http_date",
    "http_date(1,us)",
    "utime(%c %G-%V %^20a%-5d)",
    "ltime(%D %Z)",
    "ms_utime(%s.%3N)",
    "ms_ltime(%3N,-1)",
    "us_utime(%6N)",
    "us_ltime(%N)",
    "set-var(txn.a)",
    "set-var(txn.a,ifgt)",
    "unset-var(txn.a)",
    "nbsrv",
    "srv_queue",
    "srv_is_up",
    "fe_exists",
    "capture-req(0)",
    "capture-res(1)",
    "debug(x)",
    "when(stopping)",
    "date",
    "eth.data",
    "eth.dst",
    "eth.hdr",
    "eth.proto",
    "eth.src",
    "eth.vlan",
    "ip.data",
    "ip.df",
    "ip.dst",
    "ip.fp",
    "ip.fp(7)",
    "ip.hdr",
    "ip.proto",
    "ip.src",
    "ip.tos",
    "ip.ttl",
    "ip.ver",
    "tcp.dst",
    "tcp.flags",
    "tcp.options.mss",
    "tcp.options.sack",
    "tcp.options.tsopt",
    "tcp.options.tsval",
    "tcp.options.wscale",
    "tcp.options.wsopt",
    "tcp.options_list",
    "tcp.seq",
    "tcp.src",
    "tcp.win",
    "x509_v_err_str",
    "rfc7239_nn",
    "rfc7239_np",
    "aes_cbc_dec(128,MTIzNDU2Nzg5MDEyMzQ1Ng==,Zm9vb2Zvb29mb29wZm9vbw==)",
    "aes_cbc_enc(256,MTIzNDU2Nzg5MDEyMzQ1Ng==,Zm9vb2Zvb29mb29wZm9vbzEyMzQ1Njc4OTAxMjM0NTY=)",
];

/// Every call names a converter, and every converter is called.
pub fn calls_are_complete() {
    let registry = Registry::standard();
    let name = |call: &'static str| call.split('(').next().unwrap_or(call);
    for converter in registry.converter_names().filter(|name| !name.starts_with("map")) {
        assert!(CALLS.iter().any(|call| name(call) == converter), "{converter} is not called");
    }
}

fn names() -> Names {
    let mut names = Names::default();
    for name in ["a", "b", "value"] {
        lb_expr::sample::Loader::variable(&mut names, Scope::Transaction, name);
    }
    names
}

fn plain() -> Plain {
    request("GET /a/b?c=d;e=f", &[("host", "example.com:80"), ("cookie", "a=b; c=d"), ("accept-language", "de;q=0.5, en")])
}

/// What is promised of a value.
fn check(expr: &Expr, value: Value<'_>, scratch: &Bump) {
    let (said, kind) = (expr.kind(), value.kind());
    let fits = said == kind || matches!(said, Type::Any | Type::Same) || (said == Type::Addr && matches!(kind, Type::Ipv4 | Type::Ipv6));
    assert!(fits, "{expr:?} gave {kind:?}, not {said:?}");
    for to in [Type::Bool, Type::Int, Type::Addr, Type::Ipv4, Type::Ipv6, Type::Str, Type::Bin, Type::Method] {
        assert!(value.cast(to, scratch).is_none() || kind.casts_to(to), "{kind:?} became {to:?}");
    }
}

thread_local! {
    static REGISTRY: LazyCell<Registry> = LazyCell::new(Registry::standard);
}

/// Bytes through one or two converters: the first three bytes choose them and the type, the rest is the value.
pub fn converters(data: &[u8]) {
    let [kind, first, second, bytes @ ..] = data else { return };
    let call = |n: &u8| CALLS[usize::from(*n) % CALLS.len()];
    // Every fourth goes through one of them only.
    let text = if second % 4 == 0 {
        format!("var(txn.value),{}", call(first))
    } else {
        format!("var(txn.value),{},{}", call(first), call(second))
    };
    let mut names = names();
    let parsed = REGISTRY.with(|registry| {
        let mut compiler = Compiler { registry, loader: &mut names, sets: &Sets::new() };
        Expr::parse(&[&text], &mut 0, &mut compiler)
    });
    // Two that do not fit each other.
    let Ok(expr) = parsed else { return };
    let number = || bytes.iter().take(8).fold(0i64, |n, b| n << 8 | i64::from(*b));
    let value = match kind % 4 {
        0 => OwnedValue::Bin(bytes.into()),
        1 => OwnedValue::Int(number()),
        _ => OwnedValue::Str(bytes.into()),
    };
    let scratch = Bump::new();
    let plain = plain();
    let variable = |id| Variable { scope: Scope::Transaction, id };
    plain.set_variable(variable(0), Some(OwnedValue::Str(bytes.get(..4).unwrap_or_default().into())));
    plain.set_variable(variable(2), Some(value));
    let cx = Cx { source: &plain, scratch: &scratch, side: Side::Request, last: true };
    if let Some(value) = expr.eval(cx).value() {
        check(&expr, value, &scratch);
        assert!(value.bytes().is_none_or(|made| made.len() <= MAX_LEN.max(bytes.len())), "{text} made too much");
    }
}

/// What an operator may write: read, and evaluated if it can be.
pub fn expression(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let words: Vec<&str> = text.split(' ').collect();
    let read = |at: &mut usize| {
        let mut names = names();
        REGISTRY.with(|registry| Expr::parse(&words, at, &mut Compiler { registry, loader: &mut names, sets: &Sets::new() }))
    };
    let mut at = 0;
    let expr = match read(&mut at) {
        Ok(expr) => expr,
        Err(error) => {
            assert!(error.word < words.len() && !error.message.is_empty(), "{error:?}");
            return;
        }
    };
    assert!((1..=words.len()).contains(&at));
    assert_eq!(read(&mut 0).as_ref(), Ok(&expr));
    let scratch = Bump::new();
    let plain = plain();
    let cx = Cx { source: &plain, scratch: &scratch, side: Side::Request, last: true };
    let mut cursor = Cursor::each();
    // A field has a few values, no more.
    for _ in 0..100 {
        if let Some(value) = expr.next(cx, &mut cursor).value() {
            check(&expr, value, &scratch);
        }
        if !cursor.more {
            return;
        }
    }
    panic!("{text} does not end");
}
