//! `lb explain`: what rules say of a request that nobody sent.

use std::process::Command;

const FILE: &str = "\
defaults
    mode http
    timeout client 5s
    timeout connect 5s
    timeout server 5s
frontend www
    bind 127.0.0.1:8080
    acl static path_beg /img /css
    acl inside src 10.0.0.0/8
    http-request deny deny_status 429 if { path /secret } !inside
    http-request set-header X-From %[src]
    use_backend images if static
    default_backend app
backend images
    server i1 127.0.0.1:8081
backend app
    balance roundrobin
    use-server a2 if { hdr(x-two) -m found }
    server a1 127.0.0.1:8082
    server a2 127.0.0.1:8083
    server a3 127.0.0.1:8084 backup
    server a4 127.0.0.1:8085 weight 0
";

fn explain(name: &str, args: &[&str]) -> String {
    explain_file(name, FILE, args)
}

fn explain_file(name: &str, text: &str, args: &[&str]) -> String {
    let dir = std::env::temp_dir().join(format!("lb-explain-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let file = dir.join("haproxy.cfg");
    std::fs::write(&file, text).expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_lb")).args(["explain", "-f"]).arg(&file).args(args).output().expect("lb runs");
    std::fs::remove_dir_all(&dir).expect("the directory is ours");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").replace(&file.display().to_string(), "FILE")
}

#[test]
fn a_backend_by_its_path() {
    let text = explain("path", &["--request", "GET /img/x.png", "-H", "Host: h", "--src", "10.1.2.3"]);
    for line in [
        "FILE:10: http-request deny deny_status 429 if { path /secret } !inside: no",
        "      { path }: does not match (path is '/img/x.png')",
        "      + x-from: 10.1.2.3",
        "      static: matches (path is '/img/x.png')",
        "backend images",
        "  -> i1: 'balance roundrobin' takes it",
    ] {
        assert!(text.contains(line), "{line}\nis not in\n{text}");
    }
}

/// An ACL is asked once: what is shown is the value that decided, and what asking changes is changed once.
#[test]
fn values_are_those_that_decided() {
    let text = "\
defaults
    mode http
    timeout client 5s
frontend www
    bind 127.0.0.1:8080
    http-request set-var(txn.n) int(0)
    acl counted var(txn.n),add(1),set-var(txn.n) -m int gt 100
    acl several hdr(x) b
    acl several hdr(y) b
    http-request set-header X-N %[var(txn.n)] unless counted
    http-request set-header X-B 1 if several
";
    let text = explain_file("once", text, &["--request", "GET /", "-H", "X: a, b, c", "-H", "Y: b"]);
    assert!(text.contains("counted: does not match (var(txn.n),add(1),set-var(txn.n) is '1')"), "{text}");
    assert!(text.contains("+ x-n: 1"), "{text}");
    // Neither the last of the values nor the line that was not come to.
    assert!(text.contains("several: matches (req.hdr(x) is 'b')"), "{text}");
}

#[test]
fn an_answer_in_place_of_a_server() {
    let text = explain("deny", &["--request", "GET /secret", "--src", "192.0.2.1"]);
    assert!(text.contains("!inside: does not match (src is '192.0.2.1')"), "{text}");
    assert!(text.contains("answered here:\n  HTTP/1.1 429 Too Many Requests"), "{text}");
    assert!(!text.contains("backend "), "{text}");
    let text = explain("inside", &["--request", "GET /secret", "--src", "10.0.0.1"]);
    assert!(text.contains("backend app"), "{text}");
}

#[test]
fn servers_and_why() {
    let json = explain("servers", &["--request", "GET /", "-H", "X-Two: 1", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(value["backend"], "app");
    let of = |n: usize| (value["servers"][n]["chosen"].as_bool(), value["servers"][n]["why"].as_str());
    assert_eq!(of(0), (Some(false), Some("another one is taken")));
    assert_eq!(of(1), (Some(true), Some("a 'use-server' rule names it")));
    assert_eq!(of(2), (Some(false), Some("it is a backup, and others are there")));
    assert_eq!(of(3), (Some(false), Some("its weight is 0")));
}
