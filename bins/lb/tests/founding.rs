//! The founding file with every rule of its tutorial: where each request goes. Lines of what is not there yet are left out; that list
//! shrinks.

use std::path::Path;
use std::process::Command;

const FILE: &str = include_str!("../../../crates/lb-config/tests/founding/t3-keywords.cfg");

/// Words that begin a line which is left out.
const LATER: &[&str] = &["stats", "cookie"];

/// The file without what is not there yet; `down`: nobody serves `static_server`.
fn file(down: bool) -> String {
    let mut out = String::new();
    for line in FILE.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first().is_some_and(|word| LATER.contains(word)) {
            continue;
        }
        if words.first() != Some(&"server") {
            out.push_str(line);
        } else {
            // Parameters of persistence, of passive checks, ranges of source ports.
            let cut = [" observe ", " source "].iter().filter_map(|word| line.find(word)).min().unwrap_or(line.len());
            let words = line[..cut].split_whitespace().collect::<Vec<_>>();
            let cookie = words.iter().position(|word| *word == "cookie").unwrap_or(words.len());
            let kept = words.iter().enumerate().filter(|(at, _)| *at != cookie && *at != cookie + 1).map(|(_, word)| *word);
            out.push_str(&format!("    {}", kept.collect::<Vec<_>>().join(" ")));
            if down && words.get(1) == Some(&"static_server_1") {
                out.push_str(" disabled");
            }
        }
        out.push('\n');
    }
    out
}

fn asked(file: &Path, request: &str, fields: &[&str]) -> serde_json::Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lb"));
    command.args(["explain", "--json", "--frontend", "http_80_in", "--request", request, "-f"]).arg(file);
    for field in fields {
        command.args(["-H", field]);
    }
    let output = command.output().expect("lb runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// What `lb explain` says of a request: backend, or the head of the answer.
fn goes_to(file: &Path, request: &str, fields: &[&str]) -> String {
    let value = asked(file, request, fields);
    value["backend"].as_str().or(value["answer"].as_str()).unwrap_or_default().to_owned()
}

/// The head that goes to the server.
fn sent(file: &Path, request: &str, fields: &[&str]) -> String {
    asked(file, request, fields)["request"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn every_rule_of_the_tutorial() {
    let dir = std::env::temp_dir().join(format!("lb-founding-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let (up, down) = (dir.join("up.cfg"), dir.join("down.cfg"));
    std::fs::write(&up, file(false)).expect("a file");
    std::fs::write(&down, file(true)).expect("a file");
    let of = |request: &str, fields: &[&str]| goes_to(&up, request, fields);
    assert_eq!(of("GET /", &["Host: other"]), "php_server", "the default");
    assert_eq!(of("GET /a/b.php", &["Host: other"]), "php_server", "php_web");
    assert_eq!(of("GET /a?x=.php", &["Host: other"]), "php_server", "php_web2, a regex over the URL");
    for end in ["gif", "png", "jpg", "css", "js", "jpeg"] {
        assert_eq!(of(&format!("GET /a.{end}"), &["Host: other"]), "static_server", "static_web: {end}");
    }
    assert_eq!(of("GET /a?x=.css", &["Host: other"]), "static_server", "static_web2");
    let host = |host: &str| sent(&up, "GET /", &[&format!("Host: {host}")]);
    assert!(host("WWW.abc.com").contains("host: abc.com\r\n"), "reqirep: {}", host("WWW.abc.com"));
    assert!(host("www.abc.com.org").contains("host: abc.com\r\n"), "the whole line, whatever else is in it");
    assert!(host("x.www.abc.com").contains("host: x.www.abc.com\r\n"), "from its begin");
    assert_eq!(of("GET /", &["Host: www.abc.com"]), "host_pool", "it goes by what it has become");
    assert_eq!(of("GET /", &["Host: ABC.com"]), "host_pool", "host_abc_com in any case");
    assert_eq!(of("GET /", &["Host: www.something.CN"]), "host_pool", "host_cn by its end");
    assert_eq!(of("GET /XXX/1", &["Host: xzy.org"]), "host_pool", "host_xyz and url_xxx");
    assert_eq!(of("GET /", &["Host: xzy.org"]), "php_server", "host_xyz alone does not do");
    assert_eq!(of("GET /xxx", &["Host: other"]), "php_server", "nor does url_xxx");
    assert_eq!(of("GET /invitec_pk.do?a=1", &["Host: other"]), "b_yxpopo_com", "invitec");
    assert_eq!(of("GET /", &["Host: www.club.jesse.com"]), "club_pool", "club, anywhere in the host");
    let phone = ["Host: club.jesse.com", "User-Agent: Mozilla/5.0 (iPhone; CPU)"];
    let redirect = of("GET /static/x?q=1", &phone);
    assert!(redirect.starts_with("HTTP/1.1 302 Found"), "{redirect}");
    assert!(redirect.contains("location: http://3g.club.jesse.com/static/x?q=1"), "{redirect}");
    assert!(of("GET /", &phone).contains("location: http://3g.club.jesse.com/"), "the page at the root, too");
    assert_eq!(of("GET /other", &phone), "club_pool", "and no other page");
    assert_eq!(of("GET /static/x", &["Host: club.jesse.com", "User-Agent: curl"]), "club_pool", "no phone, no redirect");
    assert_eq!(goes_to(&down, "GET /a.gif", &["Host: other"]), "php_server", "static_down: fewer than one server");
    std::fs::remove_dir_all(&dir).expect("the directory is ours");
}
