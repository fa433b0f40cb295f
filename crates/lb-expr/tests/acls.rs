//! ACLs and conditions as a whole: names, alternatives, what is open, what is refused.

mod support;

use bumpalo::Bump;
use lb_expr::acl::{Acls, Condition, Sets, Verdict};
use lb_expr::sample::{Compiler, Cx, Eval, Need, Point, Registry, Side, Type, Value};
use support::{Names, Plain, request};

/// A configuration of one proxy.
struct Bench {
    registry: Registry,
    names: Names,
    sets: Sets,
    acls: Acls,
}

impl Bench {
    fn new() -> Self {
        let mut registry = Registry::standard();
        registry.add_fetch("t.open", &[], 0, (Type::Bool, Need::RequestBuffer), |_, cx, _| cx.missing(false));
        registry.add_fetch("t.short", &[], 0, (Type::Int, Need::RequestBuffer), |_, _, cursor| {
            cursor.partial = true;
            Eval::Value(Value::Int(3))
        });
        registry.add_fetch("t.words", &[], 0, (Type::Str, Need::Request), |_, _, cursor| {
            const WORDS: [&str; 3] = ["one", "Two", "three"];
            let word = WORDS[cursor.field as usize];
            cursor.field += 1;
            cursor.more = cursor.each && (cursor.field as usize) < WORDS.len();
            Eval::Value(Value::Str(word.as_bytes()))
        });
        registry.add_fetch("t.response", &[], 0, (Type::Str, Need::Response), |_, _, _| Eval::Absent);
        Self { registry, names: Names::default(), sets: Sets::new(), acls: Acls::new() }
    }

    fn acl(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split(' ').collect();
        let mut compiler = Compiler { registry: &self.registry, loader: &mut self.names, sets: &self.sets };
        self.acls.add(&words, 0, &mut compiler).map_err(|e| e.message)
    }

    fn condition(&mut self, text: &str) -> Result<Condition, String> {
        let words: Vec<&str> = text.split(' ').collect();
        let mut compiler = Compiler { registry: &self.registry, loader: &mut self.names, sets: &self.sets };
        let mut at = 0;
        let condition = Condition::parse(&words, &mut at, &mut self.acls, &mut compiler).map_err(|e| e.message)?;
        assert_eq!(at, words.len(), "{text}");
        Ok(condition)
    }

    fn ask(&mut self, text: &str, last: bool) -> Verdict {
        let condition = self.condition(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        decide(&condition, &request("GET /", &[]), last)
    }
}

fn decide(condition: &Condition, plain: &Plain, last: bool) -> Verdict {
    let scratch = Bump::new();
    condition.eval(Cx { source: plain, scratch: &scratch, side: Side::Request, last })
}

#[test]
fn terms_and_alternatives() {
    let mut bench = Bench::new();
    bench.acl("get method GET").unwrap();
    bench.acl("put method PUT").unwrap();
    let pass = [
        "if get",
        "unless put",
        "if !put",
        "if ! put",
        "if !!get",
        "if get !put",
        "if put or get",
        "if put || put || get",
        "if { method GET }",
        "if !{ method PUT }",
        "if { method PUT GET }",
        "if get TRUE !FALSE METH_GET",
        "unless",
        "if get or",
        "if or get",
        "if { t.words Two }",
        "if { t.words -i TWO }",
        "if { t.words -m end ree }",
        "if { t.words -m found }",
        "if { int(5) 1:4 5:9 }",
        "if { int(5) gt 4 }",
        "if { str(abc) -m len 3 }",
    ];
    for text in pass {
        assert_eq!(bench.ask(text, true), Verdict::Pass, "{text}");
    }
    let fail = [
        "if put",
        "if get put",
        "if put get or put",
        "unless get",
        "if",
        "if { t.words two }",
        "if { int(5) gt 5 }",
        "if { str(lower) upper }",
    ];
    for text in fail {
        assert_eq!(bench.ask(text, true), Verdict::Fail, "{text}");
    }
}

#[test]
fn what_is_open() {
    let mut bench = Bench::new();
    let open = [
        "if { t.open }",
        "unless { t.open }",
        "if !{ t.open }",
        "if { t.open } TRUE",
        "if TRUE { t.open }",
        "if { t.open } or FALSE",
        "if { t.short gt 5 }",
        "if { t.response -m found } or { t.open }",
    ];
    for text in open {
        assert_eq!(bench.ask(text, false), Verdict::NeedMore, "{text}");
        assert_ne!(bench.ask(text, true), Verdict::NeedMore, "{text}");
    }
    assert_eq!(bench.ask("if { t.open } FALSE", false), Verdict::Fail);
    assert_eq!(bench.ask("if { t.open } or TRUE", false), Verdict::Pass);
    assert_eq!(bench.ask("if { t.short 3 }", false), Verdict::Pass);
}

#[test]
fn lines_of_a_name_are_alternatives_also_for_rules_before_them() {
    let mut bench = Bench::new();
    bench.acl("a method PUT").unwrap();
    let rule = bench.condition("if a").unwrap();
    let plain = request("GET /", &[]);
    assert_eq!(decide(&rule, &plain, true), Verdict::Fail);
    bench.acl("a method DELETE").unwrap();
    bench.acl("a method GET").unwrap();
    assert_eq!(decide(&rule, &plain, true), Verdict::Pass);
    // A name of its own goes before the one that needs no definition.
    bench.acl("METH_PUT method GET").unwrap();
    assert_eq!(bench.ask("if METH_PUT", true), Verdict::Pass);
    // As many as one likes.
    for _ in 0..20_000 {
        bench.acl("many method PUT").unwrap();
    }
    assert_eq!(bench.ask("if many", true), Verdict::Fail);
}

#[test]
fn where_it_can_be() {
    let mut bench = Bench::new();
    bench.acl("mixed t.response x").unwrap();
    bench.acl("mixed method GET").unwrap();
    let warning = |condition: Condition| condition.conflict(Point::FrontRequest).map(|c| c.message("frontend http-request header rule"));
    assert_eq!(warning(bench.condition("if { method GET }").unwrap()), None);
    assert_eq!(
        warning(bench.condition("if mixed").unwrap()).as_deref(),
        Some("acl 'mixed' involves keywords 't.response' which is incompatible with 'frontend http-request header rule'")
    );
    assert_eq!(
        warning(bench.condition("if { t.response x }").unwrap()).as_deref(),
        Some(
            "anonymous acl will never match because it uses keyword 't.response' which is incompatible with 'frontend http-request \
             header rule'"
        )
    );
}

#[test]
fn refused() {
    let mut bench = Bench::new();
    let acls = [
        ("a", "error detected while parsing ACL 'a' : missing fetch method in ACL expression ''"),
        ("a nothing x", "error detected while parsing ACL 'a' : unknown fetch method 'nothing' in ACL expression 'nothing'"),
        ("a% method x", "character '%' is not permitted in acl name 'a%'"),
        ("or method x", "acl name 'or' will never match. 'or' is used to express a logical disjunction within a condition"),
        ("a int(1) x", "error detected while parsing ACL 'a' : 'x' is not a number"),
        ("a int(1) 6:5", "error detected while parsing ACL 'a' : '6:5' is not a valid number range"),
        ("a int(1) -m foo 3", "error detected while parsing ACL 'a' : unknown matching method 'foo' when parsing ACL expression"),
        (
            "a int(1) -x 3",
            "error detected while parsing ACL 'a' : '-x' is not a valid ACL option. Please use '--' before any pattern beginning with a '-'",
        ),
        ("a str(x) -f nofile", "error detected while parsing ACL 'a' : failed to open pattern file <nofile>"),
        ("a str(x) -u x a", "error detected while parsing ACL 'a' : the argument of -u must be an integer"),
        ("a str(x) -m bin 123", "error detected while parsing ACL 'a' : an even number of hex digit is expected"),
        ("a str(x) -m bin zz", "error detected while parsing ACL 'a' : an hex digit is expected (found 'z')"),
        ("a str(x) -m ip 1.2.3.4/33", "error detected while parsing ACL 'a' : '1.2.3.4/33' is not a valid IPv4 or IPv6 address"),
        (
            "a var(txn.x) foo",
            "error detected while parsing ACL 'a' : matching method must be specified first (using '-m') when using a sample fetch of \
             this type ('var')",
        ),
    ];
    for (line, message) in acls {
        assert_eq!(bench.acl(line).expect_err(line), message);
    }
    let conditions = [
        ("if nothere", "no such ACL : 'nothere'"),
        ("if }", "no such ACL : '}'"),
        ("if { method GET", "missing closing '}' in condition"),
        ("if { }", "missing fetch method in ACL expression ''"),
    ];
    for (text, message) in conditions {
        assert_eq!(bench.condition(text).expect_err(text), message);
    }
}
