//! Lines that haproxy 3.0.11 (Debian 13) wrote in JSON and CBOR, each with the values that it had.

mod common;

use common::Session;
use lb_expr::{CaptureSide, Field, LogFormat, LogSource, LogValue};

#[track_caller]
fn shows(format: &str, session: &impl LogSource, line: &str) {
    let mut out = Vec::new();
    LogFormat::compile(format).expect("compiles").write(session, 4_095, &mut out);
    assert_eq!(String::from_utf8_lossy(&out), line, "{format}");
}

fn session() -> Session {
    Session::http()
        .text(Field::RequestCookie, b"sess=x")
        .text(Field::RequestLine, b"GET /a?b=c/'d HTTP/1.1")
        .captures(&[Some(b"h"), Some(b"q\"{v|}\\]\x80\tz#\x7f"), None], &[Some(b"a")])
}

#[test]
fn objects_in_json() {
    let s = session();
    shows("%{+json}o %r %ST %B", &s, "{}");
    shows("%{+json}o", &s, "{}");
    shows(
        "%{+json}o text %(B)B %(ST)ST%(r)r %(CC)CC %(ID)ID %(s)s more %(tsc)tsc %(bi)bi %(bp)bp %(t)t %(ms)ms %(Ts)Ts",
        &s,
        r#"{"B": 95, "ST": 200, "r": "GET /a?b=c/'d HTTP/1.1", "CC": "sess=x", "ID": "", "s": "s1", "tsc": "----", "bi": "127.0.0.1", "bp": 44744, "t": "21/Nov/2026:03:48:50.780", "ms": 780, "Ts": 1795232930}"#,
    );
    shows(
        "%{+json}o %(hr)hr %(hrl)hrl %(hs)hs %(hsl)hsl",
        &s,
        r##"{"hr": "{h|q#22#7Bv#7C#7D\\]#80#09z#23#7F|}", "hrl": ["h", "q#22#7Bv#7C#7D\\]#80#09z#23#7F", "-"], "hs": "{a}", "hsl": ["a"]}"##,
    );
    shows("%{+json,+Q}o %(hrl)hrl", &s, r##"{"hrl": ["h", "q#22#7Bv#7C#7D\\]#80#09z#23#7F", ""]}"##);
    shows(
        "%{+json,+X}o %(ci)ci %(pid)pid %(Ts)Ts %(cp)cp %(ms)ms %(lc)lc %(B)B",
        &s,
        r#"{"ci": "7F000001", "pid": "17A7", "Ts": "6B0114A2", "cp": "DCBA", "ms": "30C", "lc": "0000", "B": 95}"#,
    );
    shows(
        "%{+json,+Q,+E}o %(a)CC %(b)r",
        &s.clone().text(Field::RequestCookie, b"sess=x\"\\y"),
        r#"{"a": "sess=x\"\\y", "b": "GET /a?b=c/'d HTTP/1.1"}"#,
    );
    let bad = Session::bad_request();
    shows(
        "%{+json}o %(r)r %(HQ)HQ %(ST)ST %(s)s %(hr)hr %(hrl)hrl %(si)si %(sp)sp %(TR)TR %(CC)CC %(sslv)sslv",
        &bad,
        r#"{"r": "<BADREQ>", "HQ": "<BADREQ>", "ST": 400, "s": "<NOSRV>", "hr": null, "hrl": null, "si": "", "sp": "", "TR": -1, "CC": "", "sslv": ""}"#,
    );
    let asap = s.with(Field::BytesRead, LogValue::AtLeast(98));
    shows("%{+json}o %(B)B", &asap, r#"{"B": 98}"#);
}

#[test]
fn types() {
    let s = session();
    shows(
        "%{+json}o %(a:str)ST %(b:sint)s %(c:bool)ST %(d:bool)s %(e:sint)ST %(f:str)s %(g:raw)ST %(h:bool)rc %(i:str)hrl",
        &s.clone().captures(&[Some(b"h")], &[]),
        r#"{"a": "200", "b": "s1", "c": true, "d": "s1", "e": 200, "f": "s1", "g": 200, "h": false, "i": ["h"]}"#,
    );
    shows("%{+cbor}o %(a:bool)B %(b:str)ST %(c:sint)f %(d)bi", &s, "BF6161F5616218C86163636665306164693132372E302E302E31FF");
    let error = s.with(Field::ConnectionError, LogValue::Int(0)).text(Field::ConnectionErrorText, b"Success");
    let samples = "%(a)[fc_err] %(b)[fc_err_str] %(c)[ssl_fc_sni] %(d)[ssl_fc_is_resumed] %(e)[ssl_c_err] %(f)[ssl_fc_err,hex] %(g:str)[fc_err] \
                   %(h:bool)[fc_err] %(i:sint)[fc_err_str]";
    shows(
        &format!("%{{+json}}o {samples}"),
        &error,
        r#"{"a": 0, "b": "Success", "c": "", "d": false, "e": "", "f": "", "g": "0", "h": false, "i": 0}"#,
    );
    shows(&format!("%{{+cbor}}o {samples}"), &error, "BF616100616267537563636573736163F66164F46165F66166F6616761306168F4616900FF");
}

#[test]
fn objects_in_cbor() {
    let s = session().captures(&[Some(b"h"), Some(b"\"q\"\""), None], &[Some(b"a")]);
    shows("%{+cbor}o %(a)ID %(b)ST %(c)CC", &s, "BF6161F6616218C8616366736573733D78FF");
    shows(
        "%{+cbor}o %(hr)hr %(hrl)hrl %(hs)hs",
        &s,
        "BF6268727F617B6168617C60632332326171632332326063233232617C617DFF6368726C9F7F6168FF7F60632332326171632332326063233232FF7F612DFFFF6268737F617B6161617DFFFF",
    );
    shows("%{+cbor}o %(f)ft", &s, "BF61667F63666530FFFF");
    let bad = Session::bad_request();
    shows(
        "%{+cbor}o %(a)s %(b)ST %(c)B %(d)r %(e)tsc %(f)hrl %(g)TR %(h)ID",
        &bad,
        "BF6161673C4E4F5352563E616219019061630061647F683C4241445245513EFF61656450522D2D6166F66167206168F6FF",
    );
    // With quotes: around the encoded text, and for what is missing nothing between them.
    shows(
        "%{+cbor,+Q}o %(a)f %(b)ID %(c)ci %(d)cp %(e)hrl",
        &s,
        "BF6161\"63666530\"6162\"\"6163\"693132372E302E302E31\"616419DCBA61659F7F6168FF7F60632332326171632332326063233232FF7FFFFFFF",
    );
    let mut out = Vec::new();
    LogFormat::compile("%{+cbor,+bin}o %(a)f %(b)ST").expect("compiles").write(&s, 100, &mut out);
    assert_eq!(out, b"\xbfaacfe0ab\x18\xc8\xff");
    shows("%{+cbor,+X}o %(a)ci %(b)pid", &s, "BF616168374630303030303161626431374137FF");
}

#[test]
fn single_items() {
    let s = session();
    shows("%{+json}s %{+json}ST %{+json}tsc x%(y){+json}CC %f", &s, r#""s1" 200 "----" x"sess=x" fe0"#);
    shows("%{+cbor}f %(a){+cbor}ST", &s, "63666530 18C8");
    shows("%(name)f %ST x", &s, "fe0 200 x");
    shows("%(:sint)f %(:str){+json}ST %()f", &s, "fe0 \"200\" fe0");
    // Of two encodings the first one stays; the last word on the whole format counts for all of it.
    shows("%{+json,+cbor}o %(a)f", &s, r#"{"a": "fe0"}"#);
    shows("%{+cbor,+json}o %(a)f", &s, "BF616163666530FF");
    shows("%{+json}o %(a)f %{+cbor}o %(b)f", &s, r#"{"a": "fe0", "b": "fe0"}"#);
    shows("%(a)f %{+json}o %(b)f %ST", &s, r#"{"a": "fe0", "b": "fe0"}"#);
    shows("%{+json}o %(a)f %{-json}o %(b)f", &s, "\"fe0\" fe0");
    shows("%{+json}o %(a){-json}f %{-json}f %(b){+cbor}f", &s, r#"{"a": "fe0", "b": "fe0"}"#);
    // `bin` is for whole formats.
    shows("%{+cbor,+bin}f", &s, "63666530");
    let mut out = Vec::new();
    LogFormat::compile("%{+bin}o %{+cbor}f").expect("compiles").write(&s, 100, &mut out);
    assert_eq!(out, b"cfe0");
}

#[test]
fn names() {
    let s = session();
    // As haproxy 2.6 has it: no name, and so text behind a `%` that vanishes.
    for text in ["(a b)s", "(a", "(a) s", "(a)", "(a.b)s", "(\u{e9})s"] {
        shows(&format!("%{text}"), &s, text);
    }
    let error = LogFormat::compile("x %(a:foo)s").expect_err("no such type");
    assert_eq!((error.offset, error.message.as_str()), (3, "unexpected output type 'foo'. Supported types are: str, sint, bool, raw"));
    assert!(LogFormat::compile("%(a:)s").is_err() && LogFormat::compile("%(a:str:int)s").is_err());
    assert!(LogFormat::compile("%(a){+json}").is_err());
    // A name takes no time that grows with its square.
    assert!(LogFormat::compile(&"%(".repeat(500_000)).is_ok());
}

#[test]
fn a_line_that_is_full_ends_between_keys_and_values() {
    let s = Session::http().text(Field::RequestLine, b"GET /a?b=c HTTP/1.1").text(Field::ServerName, b"s");
    let format =
        LogFormat::compile("%{+json}o %(aaaaaaaaaaaaaaaaaaaaaaaaaaa)HU %(bbbbbbbbbbbbbbbb)ST %(cccccc)s %(d)tsc").expect("compiles");
    for (len, line) in [
        (80, r#"{"aaaaaaaaaaaaaaaaaaaaaaaaaaa": "/a?b=c", "bbbbbbbbbbbbbbbb": 200, "cccccc": "#),
        (83, r#"{"aaaaaaaaaaaaaaaaaaaaaaaaaaa": "/a?b=c", "bbbbbbbbbbbbbbbb": 200, "cccccc": "s", "#),
        (86, r#"{"aaaaaaaaaaaaaaaaaaaaaaaaaaa": "/a?b=c", "bbbbbbbbbbbbbbbb": 200, "cccccc": "s", "d""#),
        (92, r#"{"aaaaaaaaaaaaaaaaaaaaaaaaaaa": "/a?b=c", "bbbbbbbbbbbbbbbb": 200, "cccccc": "s", "d": "#),
        (95, r#"{"aaaaaaaaaaaaaaaaaaaaaaaaaaa": "/a?b=c", "bbbbbbbbbbbbbbbb": 200, "cccccc": "s", "d": "----"}"#),
    ] {
        let mut out = Vec::new();
        format.write(&s, len - 1, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), line, "len {len}");
    }
}

/// Whatever a peer sends, JSON stays JSON: no bare control byte, quote or backslash in a string.
#[test]
fn hostile_values() {
    let all: Vec<u8> = (0..=255).collect();
    let s = session().text(Field::RequestCookie, &all).text(Field::RequestLine, &all).captures(&[Some(&all)], &[]);
    assert!(s.capture(CaptureSide::Request, 0).is_some());
    let mut out = Vec::new();
    LogFormat::compile("%{+json}o %(a)CC %(b)r %(c)hr %(d)hrl").expect("compiles").write(&s, 9_999, &mut out);
    assert!(out.iter().all(|b| *b >= 32));
    let mut inside = false;
    let mut bytes = out.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => inside = !inside,
            b'\\' => assert!(inside && matches!(bytes.next(), Some(b'"' | b'\\' | b'u'))),
            _ => {}
        }
    }
    assert!(!inside && out.ends_with(b"]}"));
    for limit in 0..out.len() {
        let mut cut = Vec::new();
        LogFormat::compile("%{+cbor}o %(a)CC %(b)r %(c)hr %(d)hrl").expect("compiles").write(&s, limit, &mut cut);
        assert!(cut.len() <= limit);
    }
}
