//! What is said of a sample or converter that cannot be, wherever it stands: the word, why, and what to write instead.

use lb_config::{Severity, Source, parse};

/// The first error of a `listen` with this line, and its help.
fn error(line: &str) -> (String, String) {
    let text = format!("listen a\n bind :8000\n mode http\n {line}\n server s 127.0.0.1:1\n");
    let (_, diagnostics) = parse(&Source::new().file("t.cfg", text.as_bytes()));
    let first = diagnostics.iter().find(|one| one.severity == Severity::Error).unwrap_or_else(|| panic!("no error: {line}"));
    (first.message.clone(), first.help.clone().unwrap_or_default())
}

#[test]
fn within_formats() {
    for (line, says, help) in [
        ("http-request set-header X %[src,lowr]", "unknown converter 'lowr' in '%[src,lowr]'", "did you mean 'lower'?"),
        ("http-request set-header X a%[req.hdrr(a)]b", "unknown sample 'req.hdrr' in '%[req.hdrr(a)]'", "did you mean 'req.hdr'?"),
        (
            "http-request set-header X %{+Q}[ssl_fc]",
            "'%[ssl_fc]': 'ssl_fc' is known but not there yet in this version (TLS)",
            "leave it out",
        ),
        ("use_backend %[src,table_conn_cnt(t)]", "'%[src,table_conn_cnt(t)]': 'table_conn_cnt' is known", "leave it out"),
        (
            "log-format %[sc0_conn_cnt]",
            "'%[sc0_conn_cnt]': 'sc0_conn_cnt' is known but not there yet in this version (stick tables)",
            "leave it out",
        ),
        ("http-request return lf-string %[nothing] content-type a/b", "unknown sample 'nothing' in '%[nothing]'", "docs/keywords.md"),
        ("http-request set-header X %[src,regsub(a)]", "invalid arg 2 in converter 'regsub'", "with their arguments"),
        ("http-request set-header X %[res.hdr(a)]", "sample fetch <res.hdr(a)> may not be reliably used here", "use it in a rule"),
        ("http-request set-header X %[src", "missing ']' after 'src' (at byte 1 of the format)", "words of formats"),
        ("http-request set-header X %ZZ", "'ZZ'", "words of formats"),
    ] {
        let (message, why) = error(line);
        assert!(message.contains(says), "{line}\n{message}");
        assert!(why.contains(help), "{line}\n{why}");
    }
}

#[test]
fn as_words() {
    for (line, says) in [
        ("http-request set-var(txn.a) ssl_fc", "'ssl_fc' is known but not there yet in this version (TLS)"),
        ("http-request set-var(txn.a) src,table_conn_cnt", "'table_conn_cnt' is known but not there yet in this version (stick tables)"),
        ("acl a src,lowr -m str x", "unknown converter 'lowr'"),
    ] {
        assert!(error(line).0.contains(says), "{line}: {}", error(line).0);
    }
}

#[test]
fn acls_that_ask_each_other() {
    let chain = |n: usize| (1..=n).map(|n| format!("acl a{n} acl(a{})\n", n - 1)).collect::<String>();
    for (lines, says) in [
        ("acl a acl(a)".to_owned(), "no such ACL : 'a'"),
        ("acl a path /\n acl a acl(a)".to_owned(), "acl 'a' is asked by an 'acl()' before this line"),
        ("acl a path /\n acl b acl(a)\n acl a acl(b)".to_owned(), "acl 'a' is asked by an 'acl()' before this line"),
        ("http-request deny if { acl(none) -m bool }".to_owned(), "no such ACL : 'none'"),
        ("http-request set-header X %[acl()]".to_owned(), "acl"),
        (format!("acl a0 path /\n {}", chain(17)), "more than 16 deep"),
    ] {
        let (message, _) = error(&lines);
        assert!(message.contains(says), "{lines}\n{message}");
    }
    let text = format!("listen a\n bind :8000\n mode http\n acl a0 path /\n {}http-request deny if a16\n", chain(16));
    let (_, diagnostics) = parse(&Source::new().file("t.cfg", text.as_bytes()));
    assert!(!diagnostics.iter().any(|one| one.severity == Severity::Error), "{diagnostics:?}");
}
