//! Expressions as a whole: names, arguments, converters in a row, what is refused.

mod support;

use lb_expr::sample::{Compiler, Registry};
use lb_expr::{LogFormat, LogFormatError, Purpose};
use support::{Names, compile, request, text};

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
