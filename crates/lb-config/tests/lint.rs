//! What a lint tells, and what it leaves alone.

#[path = "../../lb-testkit/src/cpu.rs"]
mod cpu;

use lb_config::{Severity, Source, parse, render};

const T: &str = " timeout client 1s\n timeout server 1s\n timeout connect 1s\n timeout http-request 1s\n";

/// Remarks of a severity as `line: message`.
fn remarks(severity: Severity, text: &str) -> Vec<String> {
    let (_, diagnostics) = parse(&Source::new().file("t.cfg", text.as_bytes()).remark(severity));
    let list = diagnostics.into_iter().filter(|one| one.severity == severity);
    list.map(|one| format!("{}: {}", one.span.line, one.message)).collect()
}

fn lint(text: &str) -> Vec<String> {
    remarks(Severity::Lint, text)
}

#[test]
fn a_clean_file_has_nothing() {
    let text = format!(
        "defaults\n mode http\n{T}frontend f\n bind :1\n default_backend b\nbackend b\n server s 127.0.0.1:1 check\n server t 127.0.0.1:2 check\n"
    );
    assert_eq!(lint(&text), [""; 0]);
}

#[test]
fn nothing_is_told_unasked() {
    let (_, diagnostics) = parse(&Source::new().file("t.cfg", b"global\n daemon\nbackend b\n"));
    assert!(diagnostics.is_empty(), "{}", render(&diagnostics));
}

#[test]
fn backends_that_nothing_leads_to() {
    let text = format!(
        "defaults\n{T}frontend f\n bind :1\n default_backend a\nbackend a\n server s 127.0.0.1:1 check\nbackend b\n server s 127.0.0.1:1 check\n"
    );
    assert_eq!(lint(&text), ["11: nothing leads to the backend 'b'"]);
    // Refused lines name backends, too; a computed name may be any.
    assert_eq!(lint(&text.replace("default_backend a", "use_backend b if TRUE\n default_backend a")), [""; 0]);
    assert_eq!(lint(&text.replace("default_backend a", "use_backend %[path]\n default_backend a")), [""; 0]);
    let off = text.replace("backend b\n", "backend b\n disabled\n");
    assert_eq!(lint(&off), [""; 0]);
}

#[test]
fn frontends_and_backends_that_lead_nowhere() {
    let text = format!("defaults\n{T}frontend f\n bind :1\nfrontend g\n bind :2\n default_backend b\nbackend b\n");
    assert_eq!(
        lint(&text),
        [
            "6: the frontend 'f' leads to no backend: whoever comes there is turned away",
            "11: the backend 'b' has no servers: whoever comes there is turned away"
        ]
    );
    // Where lines were refused, nothing is concluded from what is missing.
    let refused = text.replace("bind :1\n", "bind :1\n http-request track-sc0 src\n").replace("backend b\n", "backend b\n stick on src\n");
    assert_eq!(lint(&refused), [""; 0]);
}

#[test]
fn servers_without_checks() {
    let listen = format!("listen a\n bind :1\n{T}");
    let all = format!("{listen} server s 127.0.0.1:1\n server t 127.0.0.1:2\n");
    assert_eq!(lint(&all), ["7: no server of 'a' is checked: one that is down still gets its share of the traffic"]);
    let some = format!(
        "{listen} default-server check\n server s 127.0.0.1:1\n server t 127.0.0.1:2 no-check\n server u 127.0.0.1:3 no-check disabled\n"
    );
    assert_eq!(lint(&some), ["9: the server 't' is not checked, others of 'a' are: it counts as up whatever happens"]);
}

#[test]
fn defaults_that_change_nothing() {
    let text = format!(
        "defaults one\n mode http\n retries 7\n maxconn 9\n log 127.0.0.1 local0\n{T}\
         defaults two\n{T}\
         defaults three from one\n retries 4\n balance source\n\
         frontend f from one\n bind :1\n maxconn 8\n default_backend b\n\
         backend b from three\n retries 5\n server s 127.0.0.1:1 check\n"
    );
    assert_eq!(
        lint(&text),
        [
            "3: 'retries' has no effect: each proxy that starts from here sets its own",
            "4: 'maxconn' has no effect: each proxy that starts from here sets its own",
            "10: no proxy starts from this defaults section",
            "16: 'retries' has no effect: each proxy that starts from here sets its own",
        ]
    );
    let nobody = "defaults\n mode tcp\n timeout client 1s\n balance source\n retries 4\nfrontend f\n bind :1\n default_backend b\nbackend b\n server s 127.0.0.1:1 check\n balance source\n timeout connect 1s\n timeout server 1s\n retries 3\n";
    assert_eq!(
        lint(nobody),
        [
            "4: 'balance' has no effect: each proxy that starts from here sets its own",
            "5: 'retries' has no effect: each proxy that starts from here sets its own"
        ]
    );
    let no_use = "defaults\n timeout client 1s\n retries 3\nfrontend f\n bind :1\n monitor-uri /\n";
    assert_eq!(lint(no_use), ["3: 'retries' has no effect: no proxy that starts from here has a use for it"]);
}

#[test]
fn timeouts_beyond_those_that_are_warnings() {
    let text = "listen a\n mode http\n bind :1\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n server s 127.0.0.1:1 check maxconn 3\n";
    assert_eq!(
        lint(text),
        [
            "1: 'a' has no 'timeout http-request': a client may take for ever to send the head of a request, byte by byte",
            "1: 'a' has no 'timeout queue': who waits for one of its servers waits for 'timeout connect'",
        ]
    );
    assert_eq!(lint(&text.replace("mode http", "mode tcp").replace(" maxconn 3", "")), [""; 0]);
}

#[test]
fn words_without_effect_are_named() {
    let text =
        "global\n noepoll\n no busy-polling\nlisten a\n bind :1 nice 3 label x\n option persist\n server s 127.0.0.1:1 ws h1 check\n";
    let places: Vec<u32> = remarks(Severity::Info, text).iter().filter_map(|one| one.split(':').next()?.parse().ok()).collect();
    assert_eq!(places, [2, 3, 5, 5, 6, 7]);
    assert_eq!(remarks(Severity::Info, text)[2], "5: 'nice' has no effect here: order of work inside, not what traffic gets");
}

#[test]
fn what_is_suspicious_is_told_in_diagnostic_mode() {
    let text = "listen a\n bind :1\n server s 127.0.0.1:1 weight 0\nglobal\n maxconn 3\n.diag hm\n";
    let switches = lb_config::Switches { diagnostics: true, ..Default::default() };
    let (_, diagnostics) = parse(&Source::new().file("t.cfg", text.as_bytes()).switches(switches));
    let lines: Vec<u32> = diagnostics.iter().filter(|one| one.severity == Severity::Diag).map(|one| one.span.line).collect();
    assert_eq!(lines, [3, 4, 6]);
}

/// Defaults that branch: a line counts where any proxy follows it, through however many sections.
#[test]
#[allow(clippy::disallowed_methods)] // Quadratic would be minutes.
fn defaults_from_defaults() {
    let proxy =
        |name: &str, base: &str, own: &str| format!("listen {name} from {base}\n bind 127.0.0.1:1\n server s 127.0.0.1:1 check\n{own}");
    let text = format!(
        "defaults a\n mode http\n retries 1\n{T}defaults b from a\n retries 2\n backlog 5\ndefaults c from a\n fullconn 9\ndefaults d from b\n backlog 6\n"
    ) + &proxy("x", "d", " retries 7\n")
        + &proxy("y", "c", " fullconn 8\n")
        + &proxy("z", "c", "");
    assert_eq!(
        lint(&text),
        [
            "9: 'retries' has no effect: each proxy that starts from here sets its own",
            "10: 'backlog' has no effect: each proxy that starts from here sets its own",
        ]
    );
    // A long chain costs what it says, and no more.
    let chain: String = (1..20_000).map(|n| format!("defaults d{n} from d{}\n option httpclose\n", n - 1)).collect();
    let text = format!("defaults d0\n mode http\n{T}{chain}{}", proxy("x", "d19999", ""));
    let spent = cpu::spent(|| drop(lint(&text)));
    assert!(spent < std::time::Duration::from_secs(15), "{spent:?}");
}

#[test]
fn acls_and_rules() {
    let text = format!(
        "defaults\n mode http\n{T}frontend f\n bind :1\n acl a path /a\n acl b path /b\n acl b path /c\n http-request deny if b\n \
         http-request return status 200\n http-request set-header x y\n use_backend s\n use_backend s if {{ path /x }}\nbackend s\n \
         server s 127.0.0.1:1 check\n"
    );
    assert_eq!(
        lint(&text),
        [
            "9: no rule asks the acl 'a'",
            "14: nothing comes to this 'http-request' rule: the one on line 13 ends them without a condition",
            "16: nothing comes to this 'use_backend': the one on line 15 has no condition",
        ]
    );
    // Who chooses by rules needs no 'default_backend'.
    let chosen = "frontend f\n mode http\n timeout client 1s\n timeout http-request 1s\n bind :1\n http-request return status 200\n";
    assert_eq!(lint(chosen), [""; 0]);
}

/// `http-request explain` is not haproxy's; where it would tell nobody, that is said.
#[test]
fn what_is_explained_to_nobody() {
    let text = format!(
        "defaults\n mode http\n{T}frontend f\n bind :1\n http-request explain json if TRUE\n default_backend b\nbackend b\n server s 127.0.0.1:1\n"
    );
    assert_eq!(remarks(Severity::Notice, &text), ["9: 'http-request explain' writes to the log, and 'f' has none"]);
    assert_eq!(remarks(Severity::Notice, &text.replace(" bind :1", " bind :1\n log 127.0.0.1 local0")), [""; 0]);
    let message = &remarks(Severity::Error, &text.replace("json if", "xml if"))[0];
    assert!(message.contains("'xml'"), "{message}");
}
