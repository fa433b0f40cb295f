//! The command line: versions, checks of files, errors all in one go, listeners that cannot be had.

mod common;

use common::{is_other, program, start};
use lb_testkit::fixture::TempDir;
use lb_testkit::http::get;
use lb_testkit::process::run;
use std::net::TcpListener;

/// Checks a file with `-c` and more; gives the exit code and all that was written.
fn check(config: &str, more: &[&str]) -> (Option<i32>, String) {
    let dir = TempDir::new("cli").unwrap();
    let file = dir.write("test.cfg", config).unwrap();
    let mut args = vec!["-c", "-f", file.to_str().unwrap()];
    args.extend(more);
    let (status, out, err) = run(&program(), &args).unwrap();
    (status.unwrap().code(), out + &err)
}

const GOOD: &str = "\
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend fe
    bind 127.0.0.1:18080
    default_backend be
backend be
    server s1 127.0.0.1:18081
";

#[test]
fn version() {
    let (status, out, _) = run(&program(), &["-v"]).unwrap();
    assert!(status.unwrap().success());
    assert!(out.to_lowercase().contains("version"), "{out}");
    let (status, long, _) = run(&program(), &["-vv"]).unwrap();
    assert!(status.unwrap().success());
    assert!(long.len() > out.len(), "-vv says more than -v");
    if !is_other() {
        assert!(out.contains(env!("CARGO_PKG_VERSION")), "{out}");
    }
}

#[test]
fn a_good_file() {
    let (code, text) = check(GOOD, &["-V"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("Configuration file is valid"), "{text}");
    let (code, text) = check(GOOD, &["-q"]);
    assert_eq!((code, text.as_str()), (Some(0), ""));
}

#[test]
fn no_last_newline_and_crlf_are_read() {
    if !is_other() {
        assert_eq!(check(GOOD.trim_end(), &[]).0, Some(0));
    }
    assert_eq!(check(&GOOD.replace('\n', "\r\n"), &[]).0, Some(0));
    assert_eq!(check(&format!("# grüße \u{1F600}\n{GOOD}"), &[]).0, Some(0));
}

#[test]
fn all_errors_in_one_go() {
    let config = GOOD
        .replace("timeout client 1s", "timeout cleint 1s")
        .replace("default_backend be", "default_backend nowhere\n    mod http")
        .replace("server s1 127.0.0.1:18081", "server s1 127.0.0.1:99999 chekc");
    let (code, text) = check(&config, &[]);
    assert_eq!(code, Some(1), "{text}");
    for line in [":4", ":9", ":11"] {
        assert!(text.contains(line), "an error for line {line} is missing:\n{text}");
    }
    if !is_other() {
        assert!(text.contains("cleint") && text.contains("client"), "no suggestion:\n{text}");
        assert!(text.contains("nowhere"), "{text}");
    }
}

#[test]
fn hostile_files_end_with_an_error_or_are_read() {
    let long = format!("{GOOD}    # {}\n", "x".repeat(1_000_000));
    for (name, config) in [
        ("unknown brace", GOOD.replace("mode http", "mode {http").as_str()),
        ("NUL", GOOD.replace("mode http", "mode ht\0tp").as_str()),
        ("missing argument", GOOD.replace("timeout connect 1s", "timeout connect").as_str()),
        ("unbalanced quote", GOOD.replace("mode http", "mode \"http").as_str()),
        ("unbalanced variable", GOOD.replace("mode http", "mode \"${HTTP\"").as_str()),
        ("keyword before a section", format!("bind :80\n{GOOD}").as_str()),
    ] {
        let (code, text) = check(config, &[]);
        assert_eq!(code, Some(1), "{name}:\n{text}");
        assert!(!text.contains("panicked"), "{name}:\n{text}");
    }
    let (code, text) = check(&long, &[]);
    assert!(code.is_some() && !text.contains("panicked"), "1 MB line: {code:?}\n{}", &text[..text.len().min(500)]);
    let (code, _) = check("", &[]);
    assert!(code.is_some(), "an empty file");
}

#[test]
fn wrong_arguments() {
    for args in [&["-f"][..], &["--no-such-switch"], &[], &["-c", "-f", "/nonexistent/file.cfg"], &["-f", "/", "-c"]] {
        let (status, out, err) = run(&program(), args).unwrap();
        assert_eq!(status.unwrap().code(), Some(1), "{args:?}");
        assert!(!(out + &err).is_empty(), "{args:?}: silent");
    }
}

#[test]
fn several_files_make_one() {
    let dir = TempDir::new("cli").unwrap();
    let (head, tail) = GOOD.split_at(GOOD.find("backend be\n    server").unwrap());
    let first = dir.write("1.cfg", head).unwrap();
    let second = dir.write("2.cfg", tail).unwrap();
    let (first, second) = (first.to_str().unwrap(), second.to_str().unwrap());
    let (status, _, err) = run(&program(), &["-c", "-f", first, "-f", second]).unwrap();
    assert!(status.unwrap().success(), "{err}");
    let (status, _, err) = run(&program(), &["-c", "--", first, second]).unwrap();
    assert!(status.unwrap().success(), "{err}");
}

#[test]
fn an_address_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let dir = TempDir::new("cli").unwrap();
    let file = dir.write("test.cfg", GOOD.replace("18080", &port.to_string())).unwrap();
    let (status, out, err) = run(&program(), &["-db", "-f", file.to_str().unwrap()]).unwrap();
    assert_eq!(status.unwrap().code(), Some(1));
    assert!((out + &err).contains(&port.to_string()), "the message names the address");
}

#[test]
fn directives_of_the_process_are_accepted_in_the_foreground() {
    let origin = common::serve(common::OK);
    let config = common::PREAMBLE.replace("maxconn 500", "maxconn 500\n    daemon\n    pidfile {dir}/pid\n    nbthread 2")
        + "frontend fe\n    bind 127.0.0.1:{fe}\n    default_backend be\nbackend be\n    server s1 127.0.0.1:{o1}\n";
    let mut lb = start(&config, &[("o1", origin.port())]);
    assert_eq!(get(lb.addr(), "/").unwrap().body, b"hello");
    assert!(lb.alive(), "-db keeps it in the foreground in spite of daemon");
}
