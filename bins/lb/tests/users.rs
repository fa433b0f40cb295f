//! `userlist`, `http_auth`, `http_auth_group`, `http-request auth`: who is let in, beside haproxy with the same file.

use lb_testkit::fixture::TempDir;
use lb_testkit::http::Connection;
use lb_testkit::ports::free_tcp;
use lb_testkit::process::Process;
use std::net::Ipv4Addr;
use std::path::Path;

/// Hashes of `secret`, as crypt(3) makes them.
const FILE: &str = "\
userlist people
    group staff users ann,bob
    group guests
    user ann password $5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.
    user bob insecure-password secret
    user cid password $6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG. groups guests
    user dan password $1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1
    user eve password abNANd1rDfiNc
defaults
    mode http
    timeout client 5s
    timeout connect 5s
    timeout server 5s
frontend www
    bind 127.0.0.1:PORT
    http-request return status 200 content-type text/plain string staff if { http_auth_group(people) staff }
    http-request return status 200 content-type text/plain string known if { http_auth(people) }
    http-request auth realm here
";

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for part in text.as_bytes().chunks(3) {
        let word = part.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - part.len()));
        for n in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * n) & 63) as usize];
            out.push(if n <= part.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

fn answers(program: &Path) -> Vec<String> {
    let port = free_tcp();
    let dir = TempDir::new("users").expect("a directory");
    let file = FILE.replace("PORT", &port.to_string());
    let _proxy = Process::proxy(dir, program, &file, &[port]).unwrap_or_else(|e| panic!("{}: {e:?}", program.display()));
    let ask = |given: &str| {
        let mut connection = Connection::open((Ipv4Addr::LOCALHOST, port)).expect("connects");
        let field = if given.is_empty() { String::new() } else { format!("Authorization: Basic {}\r\n", base64(given)) };
        let answer = connection.exchange(format!("GET / HTTP/1.1\r\nHost: h\r\n{field}Connection: close\r\n\r\n")).expect("an answer");
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        format!("{given} -> {} {} {:?}", answer.status, answer.header("www-authenticate").unwrap_or_default(), body)
    };
    let users = ["ann", "bob", "cid", "dan", "eve", "nobody"];
    let mut all = vec![ask(""), ask("ann")];
    for user in users {
        all.extend([ask(&format!("{user}:secret")), ask(&format!("{user}:wrong"))]);
    }
    all
}

#[test]
fn who_is_let_in_as_with_haproxy() {
    let ours = answers(Path::new(env!("CARGO_BIN_EXE_lb")));
    assert_eq!(ours, answers(Path::new("/usr/sbin/haproxy")));
    let of = |given: &str| ours.iter().find(|line| line.starts_with(given)).map(|line| line.as_str()).unwrap_or_default();
    assert!(of("ann:secret").ends_with("200  \"staff\""), "{ours:#?}");
    assert!(of("cid:secret").ends_with("200  \"known\""), "{ours:#?}");
    assert!(of("eve:wrong").contains("401 Basic realm=\"here\""), "{ours:#?}");
}
