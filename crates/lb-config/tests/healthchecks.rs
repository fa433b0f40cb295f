//! `healthcheck` sections and the servers that name them: what they come to, and what is refused.

use lb_config::{CheckKind, Config, Severity};

fn read(text: &str, least: Severity) -> (Config, Vec<String>) {
    let (config, diagnostics) = lb_config::parse(&lb_config::Source::new().file("t.cfg", text.as_bytes()));
    let told = diagnostics.iter().filter(|d| d.severity >= least);
    let help = |help: &Option<String>| help.as_ref().map_or(String::new(), |help| format!(" ({help})"));
    (config, told.map(|d| format!("{}: {}{}", d.span.line, d.message, help(&d.help))).collect())
}

const DEFAULTS: &str = "defaults\n mode http\n timeout connect 1s\n timeout server 1s\n";

/// The check of each server, that of its backend where it names none.
fn checks(config: &Config) -> Vec<CheckKind> {
    let of = |proxy: &lb_config::Proxy| -> Vec<CheckKind> {
        proxy.servers.iter().filter_map(|server| server.check.as_ref()).map(|check| check.kind(&proxy.check).clone()).collect()
    };
    config.proxies.iter().flat_map(of).collect()
}

/// Each kind, and each rule, comes to the same as in a backend.
#[test]
fn a_type_is_an_option() {
    for (kind, rules) in [
        ("httpchk", ""),
        ("httpchk /x", "http-check expect status 200-299"),
        (
            "httpchk HEAD /x HTTP/1.1",
            "http-check send hdr host a body b|http-check expect ! rstring no|http-check send-state|http-check disable-on-404",
        ),
        (
            "httpchk",
            "http-check connect port 81|http-check send uri /a|http-check expect status 200|http-check connect|http-check send uri /b",
        ),
        ("httpchk", "http-check set-var(check.x) int(1)|http-check send uri-lf %[var(check.x)]"),
        ("tcp-check", ""),
        ("tcp-check", "tcp-check connect|tcp-check send-binary 00ff comment x|tcp-check expect min-recv 3 string abc"),
        ("ldap-check", ""),
        ("mysql-check", ""),
        ("mysql-check user u pre-41", ""),
        ("pgsql-check user u", ""),
        ("redis-check", ""),
        ("smtpchk EHLO a", ""),
        ("spop-check", ""),
        ("ssl-hello-chk", ""),
    ] {
        let rules = rules.replace('|', "\n ");
        let text = format!(
            "{DEFAULTS}healthcheck h\n type {kind}\n {rules}\nbackend a\n server s 127.0.0.1:80 check healthcheck h\n\
             backend b\n option {kind}\n {rules}\n server s 127.0.0.1:80 check\n"
        );
        let (config, told) = read(&text, Severity::Warning);
        assert_eq!(told, [""; 0], "{text}");
        let checks = checks(&config);
        assert_eq!(checks[0], checks[1], "{text}");
        assert_ne!(checks[0], CheckKind::Connect, "{text}");
        assert_eq!(config.proxies[0].check, CheckKind::Connect, "the backend itself keeps its own");
    }
}

/// Sections may stand anywhere; the word comes from `default-server`, too, and the server's own counts.
#[test]
fn servers_take_what_they_name() {
    let text = format!(
        "{DEFAULTS}backend b\n option redis-check\n default-server check healthcheck one\n server a 127.0.0.1:80\n \
         server b 127.0.0.1:80 healthcheck two\n server-template c 2 127.0.0.1:80 healthcheck two\n\
         backend plain\n option redis-check\n server d 127.0.0.1:80 check\n\
         healthcheck one\n type httpchk\nhealthcheck two\n type smtpchk\n"
    );
    let (config, told) = read(&text, Severity::Warning);
    assert_eq!(told, [""; 0]);
    let checks = checks(&config);
    assert!(checks[0].is_http());
    assert!(checks[1] == checks[2] && checks[2] == checks[3] && checks[1] != checks[0] && checks[1] != checks[4]);
    assert_eq!(checks[4], config.proxies[1].check);
}

#[test]
fn what_depends_on_the_kind() {
    // `check-proto` and the port are those of the check that the server has.
    let backend = "backend b\n server s 127.0.0.1 check healthcheck h check-proto h1\n";
    let (_, told) = read(&format!("{DEFAULTS}{backend}healthcheck h\n type httpchk\n http-check connect port 81\n"), Severity::Warning);
    assert_eq!(told, [""; 0]);
    let (_, told) = read(&format!("{DEFAULTS}{backend}healthcheck h\n type redis-check\n"), Severity::Warning);
    assert_eq!(
        told,
        [
            "6: the server 's' is not checked in the protocol 'h1' (remove 'check-proto', or write 'check-proto none')",
            "6: the server 's' cannot be checked: it has no port of its own (add 'port <port>' behind 'check', or a port to the address, or \
             begin the rules of the check with 'connect port')"
        ]
    );
    // A program checks the others of its backend.
    let text = format!(
        "global\n external-check\n insecure-fork-wanted\n{DEFAULTS}backend b\n option external-check\n external-check command /bin/true\n \
         server s 127.0.0.1:80 check\n server t 127.0.0.1:80 check healthcheck h\nhealthcheck h\n type tcp-check\n"
    );
    let (config, told) = read(&text, Severity::Warning);
    assert_eq!(told, [""; 0]);
    let checks = checks(&config);
    assert!(matches!(checks[0], CheckKind::External(_)) && matches!(checks[1], CheckKind::Script(_)));
}

#[test]
fn everything_wrong_is_told_at_once() {
    let text = format!(
        "{DEFAULTS}backend b\n default-server healthcheck\n server s 127.0.0.1:80 check healthcheck mycheckk\n \
         server-template t 3 127.0.0.1:80 check healthcheck other\n\
         healthcheck mycheck\n type httpchk\n type tcp-check\n\
         healthcheck mycheck\n type redis-check\n\
         healthcheck\n type redis-check\n\
         healthcheck a b\n type redischeck\n\
         healthcheck none\n http-check expect status 200\n\
         healthcheck words\n type\n type external-check\n type mysql-check user\n http-check\n http-check expct status 200\n \
         http-check expect statu 200\n no http-check send\n option httpchk\n server s 127.0.0.1:80\n inter 3s\n\
         healthcheck order\n type tcp-check\n tcp-check send x\n tcp-check connect\n\
         healthcheck whose\n type httpchk\n http-check send uri-lf /%[nbsrv]\n\
         backend off\n disabled\n server s 127.0.0.1:80 check healthcheck nowhere\n"
    );
    let (_, told) = read(&text, Severity::Warning);
    let expected = include_str!("cases/healthchecks.txt");
    assert_eq!(told.join("\n"), expected.trim_end());
}

#[test]
fn rules_of_another_kind_are_ignored_as_in_a_backend() {
    let (config, told) = read(
        &format!(
            "{DEFAULTS}backend b\n server s 127.0.0.1:80 check healthcheck h\nhealthcheck h\n type tcp-check\n http-check expect status 200\n \
             http-check disable-on-404\n tcp-check expect string x\n"
        ),
        Severity::Warning,
    );
    assert_eq!(
        told,
        [
            "7: healthcheck 'h' uses http-check rules without 'type httpchk', so the rules are ignored (add 'type httpchk', or remove the rules)",
            "7: 'disable-on-404' will be ignored for healthcheck 'h' (requires 'type httpchk') (add 'type httpchk', or remove the line)"
        ]
    );
    assert!(!checks(&config)[0].is_http());
    // Nobody has to take a check, and without 'check' it has nothing to do: no warnings, which can be fatal.
    let idle = format!(
        "{DEFAULTS}backend b\n server s 127.0.0.1:80 healthcheck h\n default-server healthcheck h\n server t 127.0.0.1:80\n\
         healthcheck h\n type redis-check\nhealthcheck unused\n type redis-check\n"
    );
    let (config, told) = read(&idle, Severity::Notice);
    let told: Vec<_> = told.iter().filter(|line| line.contains("healthcheck")).collect();
    assert_eq!(told, ["6: the server 's' is not checked, so 'healthcheck' has no effect (add 'check', or remove 'healthcheck')"]);
    assert!(config.proxies[0].servers.iter().all(|server| server.check.is_none()));
}
