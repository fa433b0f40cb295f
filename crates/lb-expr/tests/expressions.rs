//! Expressions as a whole: names, arguments, converters in a row, what is refused.

mod support;

use lb_expr::sample::{Bump, Compiler, Cursor, Cx, Eval, Registry, Side};
use lb_expr::{LogFormat, LogFormatError, Purpose};
use support::{Names, Plain, compile, request, text};

fn format(text: &str, purpose: Purpose) -> Result<String, LogFormatError> {
    let registry = Registry::standard();
    let mut names = Names::default();
    let format = LogFormat::compile_with(
        text,
        purpose,
        &mut Compiler { registry: &registry, loader: &mut names, sets: &lb_expr::acl::Sets::new() },
    )?;
    let mut line = Vec::new();
    format.write(&request("GET /", &[]), 1024, &mut line);
    Ok(String::from_utf8_lossy(&line).into_owned())
}

#[test]
fn formats_with_samples() {
    let of = |text, purpose| format(text, purpose).unwrap_or_else(|e| panic!("{text}: {e}"));
    assert_eq!(of("a %[method,lower]  b", Purpose::Log), "a get b");
    assert_eq!(of("a %[method,lower]  b", Purpose::Http), "a get  b");
    assert_eq!(of("%[var(txn.x)]/%s", Purpose::Log), "-/<NOSRV>");
    assert_eq!(of("[%[var(txn.x)]]", Purpose::Http), "[]");
    assert_eq!(of("%[str(a]b)]", Purpose::Text), "a]b");
    assert_eq!(
        of(
            r#"%[str("a
b")]"#,
            Purpose::Http
        ),
        "a%0Ab"
    );
    assert_eq!(of("%{+Q}[str(a)]", Purpose::Log), "\"a\"");
    assert_eq!(of("%{+json}o %(m)[method] %(n)[int(3)] %(t)[always_true]", Purpose::Log), r#"{"m": "GET", "n": 3, "t": true}"#);
    let error = format("a %[nothing]", Purpose::Log).expect_err("unknown");
    assert_eq!(
        (error.offset, error.message.as_str()),
        (2, "failed to parse sample expression <nothing]> : unknown fetch method 'nothing'")
    );
}

#[test]
fn fetch_and_converters() {
    let plain = request("GET /", &[]);
    assert_eq!(text("str(Hello)", &plain).as_deref(), Some("Hello"));
    assert_eq!(text("str(Hello),lower", &plain).as_deref(), Some("hello"));
    assert_eq!(text("str(Hello) lower upper", &plain).as_deref(), Some("HELLO"));
    assert_eq!(text("method,lower", &plain).as_deref(), Some("get"));
    assert_eq!(text("str('a,b)')", &plain).as_deref(), Some("a,b)"));
    assert_eq!(text(r"str(a\b\'c)", &plain).as_deref(), Some(r"a\b'c"));
    assert_eq!(text("var(txn.x)", &plain), None);
    assert_eq!(text("var(txn.x,none)", &plain).as_deref(), Some("none"));
}

#[test]
fn refused() {
    let of = |expr: &str| compile(expr, &mut Names::default()).expect_err(expr);
    assert_eq!(of("nothing"), "unknown fetch method 'nothing'");
    assert_eq!(of("str(a"), "fetch method 'str' : expected ')'");
    assert_eq!(of("str(a),nothing"), "unknown converter 'nothing'");
    assert_eq!(of("int(x)"), "fetch method 'int' : failed to parse 'x' as type 'integer' at position 1");
    assert_eq!(of("int"), "fetch method 'int' : expected type 'integer' at position 1, but got nothing");
    assert_eq!(of("int(1,2)"), "fetch method 'int' : expected ')' before ',2)'");
    assert_eq!(of("method(x)"), "fetch method 'method' : expected ')' before 'x)'");
    assert_eq!(
        of("var(x)").split('.').next(),
        Some("fetch method 'var' : failed to parse 'x' as type 'variable' at position 1 (invalid variable name 'x'")
    );
}

/// A client's hello of TLS 1.3 with values of GREASE, and what only versions behind 2.6 know of it.
#[test]
fn what_newer_words_see_in_a_hello() {
    fn counted(list: &[u8]) -> Vec<u8> {
        [&(list.len() as u16).to_be_bytes()[..], list].concat()
    }
    let extension = |kind: u16, body: &[u8]| [&kind.to_be_bytes()[..], &counted(body)].concat();
    let shares = [&[0x0a, 0x0a][..], &counted(b"x"), &[0, 0x1d], &counted(&[7; 32])].concat();
    let extensions = [
        extension(0x0a0a, b""),
        extension(10, &counted(&[0x1a, 0x1a, 0, 0x1d, 0, 0x17])),
        extension(13, &counted(&[4, 3, 8, 4])),
        extension(51, &counted(&shares)),
    ]
    .concat();
    let hello = [&[3, 3][..], &[7; 32], &[0], &counted(&[0x2a, 0x2a, 0x13, 1, 0x13, 2]), &[1, 0], &counted(&extensions)].concat();
    let message = [&[1, 0][..], &counted(&hello)].concat();
    let record = [&[22, 3, 1][..], &counted(&message)].concat();
    let value = |expr: &str, buffer: &[u8]| text(expr, &Plain { buffer: buffer.to_vec(), whole: true, ..Plain::default() });
    for (expr, hex) in [
        ("req.ssl_cipherlist", "2A2A13011302"),
        ("req.ssl_cipherlist(1)", "13011302"),
        ("req.ssl_supported_groups", "1A1A001D0017"),
        ("req.ssl_supported_groups(1)", "001D0017"),
        ("req.ssl_sigalgs", "04030804"),
        ("req.ssl_keyshare_groups", "0A0A001D"),
    ] {
        assert_eq!(value(&format!("{expr},hex"), &record).as_deref(), Some(hex), "{expr}");
    }
    assert_eq!(value("req.ssl_sni", &record), None);
    assert_eq!(value("req.ssl_cipherlist", &record[..record.len() - 1]), None);
}

/// What is not there yet is waited for, until nothing more can come.
#[test]
fn bytes_that_may_come() {
    let of = |expr: &str, buffer: &[u8], whole: bool, last: bool| {
        let expr = compile(expr, &mut Names::default()).expect("compiles");
        let plain = Plain { buffer: buffer.to_vec(), whole, ..Plain::default() };
        let scratch = Bump::new();
        let mut cursor = Cursor::default();
        let value = expr.next(Cx { source: &plain, scratch: &scratch, side: Side::Request, last }, &mut cursor);
        let value = match value {
            Eval::Value(value) => String::from_utf8_lossy(value.to_text(&scratch)).into_owned(),
            Eval::Absent => "absent".to_owned(),
            Eval::NeedMore => "more".to_owned(),
        };
        (value, cursor.partial)
    };
    let plain = |expr: &str, buffer: &[u8]| of(expr, buffer, false, false).0;
    assert_eq!(plain("req.payload(1,2)", b"ab"), "more");
    assert_eq!(plain("req.payload(1,2)", b"abc"), "bc");
    assert_eq!(plain("req.payload(-1,1)", b"abc"), "more");
    assert_eq!(of("req.payload(0,0)", b"a", false, false), ("a".to_owned(), true));
    assert_eq!(of("req.payload(0,0)", b"a", true, false), ("a".to_owned(), false));
    assert_eq!(of("req.len", b"a", false, false), ("1".to_owned(), true));
    for expr in ["req.payload(1,2)", "req.ssl_sni", "req.ssl_ver", "req.rdp_cookie", "req.proto_http", "distcc_param(ARGC)"] {
        assert_eq!(plain(expr, b""), "more", "{expr}");
        assert_eq!(of(expr, b"", true, false).0, "absent", "{expr}");
        assert_eq!(of(expr, b"", false, true).0, "absent", "{expr}");
    }
    assert_eq!(plain("req.ssl_sni", b"GET / HTTP/1.1"), "absent");
    assert_eq!(plain("req.ssl_hello_type", b"\x16\x03"), "more");
    assert_eq!(plain("wait_end", b"a"), "more");
    assert_eq!(of("wait_end", b"a", false, true).0, "1");
}
