//! Expressions as a whole: names, arguments, converters in a row, what is refused.

mod support;

use support::{Names, compile, request, text};

#[test]
fn fetch_and_converters() {
    let plain = request("GET /", &[]);
    assert_eq!(text("str(Hello)", &plain).as_deref(), Some("Hello"));
    assert_eq!(text("str(Hello),lower", &plain).as_deref(), Some("hello"));
    assert_eq!(text("str(Hello) lower upper", &plain).as_deref(), Some("HELLO"));
    assert_eq!(text("method,lower", &plain).as_deref(), Some("get"));
    assert_eq!(text("str('a,b)')", &plain).as_deref(), Some("a,b)"));
    assert_eq!(text(r"str(a\,b)", &plain).as_deref(), Some("a,b"));
    assert_eq!(text("var(txn.x)", &plain), None);
    assert_eq!(text("var(txn.x,none)", &plain).as_deref(), Some("none"));
}

#[test]
fn refused() {
    let of = |expr: &str| compile(expr, &mut Names::default()).expect_err(expr);
    assert_eq!(of("nothing"), "unknown fetch method 'nothing'");
    assert_eq!(of("str(a"), "syntax error: missing ')' after arguments to fetch keyword 'str'");
    assert_eq!(of("str(a),nothing"), "unknown converter 'nothing'");
    assert_eq!(of("int(x)"), "invalid args in fetch method 'int' : failed to parse 'x' as type 'integer' at position 1");
    assert_eq!(of("method(x)"), "invalid args in fetch method 'method' : no argument supported");
    assert_eq!(
        of("var(x)").split('.').next(),
        Some("invalid args in fetch method 'var' : failed to parse 'x' as type 'variable' at position 1 (invalid variable name 'x'")
    );
}
