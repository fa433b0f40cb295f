//! `log-profile` and `log-steps`: which line goes where at which moment.

mod common;

use common::{Lb, OK, serve, start};
use lb_testkit::http::{Connection, get};
use lb_testkit::origin::Origin;
use lb_testkit::wait::{Deadline, must};
use std::io::Write;
use std::net::TcpStream;

/// A frontend whose lines go to `{log}` plainly and to `{log2}` by the profile.
fn site(mode: &str, lines: &str, profile: &str) -> (Origin, Lb) {
    let origin = serve(OK);
    let text = format!(
        "global\n    log-tag test\nlog-profile own\n{profile}\ndefaults\n    mode {mode}\n    timeout connect 3s\n    timeout client 10s\n    timeout server 10s\n\
         frontend fe\n    bind 127.0.0.1:{{fe}}\n    log 127.0.0.1:{{log}} format raw local0\n    log 127.0.0.1:{{log2}} profile own format local local1\n    \
         {lines}\n    default_backend be\nbackend be\n    server s1 127.0.0.1:{{o1}}\n"
    );
    let lb = start(&text, &[("o1", origin.port())]);
    (origin, lb)
}

fn plain(lb: &Lb) -> Vec<String> {
    lb.log.text()
}

/// What stands behind the header, and the tag in it.
fn by_profile(lb: &Lb) -> Vec<(String, String)> {
    let split = |line: &String| {
        let (header, message) = line.split_once("]: ").unwrap_or((line, ""));
        let tag = header.rsplit(' ').next().and_then(|tag| tag.split('[').next()).unwrap_or_default();
        (tag.to_owned(), message.to_owned())
    };
    lb.log2.text().iter().map(split).collect()
}

#[track_caller]
fn expect(lb: &Lb, plainly: &[&str], own: &[&str]) {
    assert!(lb.log.wait_count(plainly.len(), Deadline::patient()), "{:?}", plain(lb));
    assert!(lb.log2.wait_count(own.len(), Deadline::patient()), "{:?}", lb.log2.text());
    assert_eq!(plain(lb), plainly);
    let own: Vec<(String, String)> = own.iter().map(|line| ("special".into(), (*line).into())).collect();
    assert_eq!(by_profile(lb), own);
}

#[test]
fn every_step_of_a_request() {
    let profile = "    log-tag special\n    on accept format \"accept %ft %r\"\n    on request format \"request %r %b %ST\"\n    on connect drop\n    \
                   on response format \"response %s %ST\"\n    on any format \"any %ST %ts\"";
    let (_origin, lb) = site("http", "log-format \"%r %b/%s %ST %ts\"\n    log-steps all", profile);
    assert_eq!(get(lb.addr(), "/a").unwrap().status, 200);
    let line = |rest: &str| format!("GET /a HTTP/1.1 {rest}");
    expect(
        &lb,
        &["<BADREQ> fe/<NOSRV> -1 --", &line("fe/<NOSRV> -1 --"), &line("be/s1 -1 --"), &line("be/s1 200 --"), &line("be/s1 200 --")],
        &["accept fe <BADREQ>", "request GET /a HTTP/1.1 fe -1", "response s1 200", "any 200 --"],
    );
}

#[test]
fn chosen_steps() {
    let (_origin, lb) = site("http", "log-format \"%ST %B\"\n    log-steps request,close", "    log-tag special\n    on close drop");
    let mut connection = Connection::open(lb.addr()).unwrap();
    for _ in 0..2 {
        assert_eq!(connection.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap().status, 200);
    }
    must("the last line", || plain(&lb).len() == 4);
    let sent = plain(&lb)[1].clone();
    assert!(sent.starts_with("200 "), "{sent}");
    expect(&lb, &["-1 0", &sent, "-1 0", &sent], &["-1 0", "-1 0"]);
}

#[test]
fn one_line_without_steps() {
    let (_origin, lb) =
        site("http", "log-format plain-%ST", "    log-tag special\n    on close format close-%ST\n    on error format error-%ST");
    assert_eq!(get(lb.addr(), "/").unwrap().status, 200);
    // It has nothing to wait for, and comes with the response.
    expect(&lb, &["plain-200"], &["plain-200"]);
    // What is no request.
    let mut nonsense = TcpStream::connect(lb.addr()).unwrap();
    nonsense.write_all(b"nonsense\r\n\r\n").unwrap();
    expect(&lb, &["plain-200", "plain-400"], &["plain-200", "error-400"]);
}

/// A proxy without a format: who has a profile gets its lines, the others the short one.
#[test]
fn without_a_format_of_the_proxy() {
    let (_origin, lb) = site("http", "", "    log-tag special\n    on close format %ST");
    assert_eq!(get(lb.addr(), "/").unwrap().status, 200);
    assert!(lb.log2.wait_count(1, Deadline::patient()));
    assert_eq!(by_profile(&lb), [("special".to_owned(), "200".to_owned())]);
    assert!(lb.log.wait_for("Connect from 127.0.0.1:", Deadline::patient()).is_some());
    assert_eq!(plain(&lb).len(), 1);
}

#[test]
fn steps_of_a_connection() {
    let profile = "    log-tag special\n    on connect format \"connect %b/%s %B\"\n    on close format \"close %b/%s\"";
    let (_origin, lb) = site("tcp", "log-format \"%ft %b/%s %ts\"\n    log-steps all", profile);
    assert_eq!(get(lb.addr(), "/").unwrap().status, 200);
    assert!(lb.log.wait_count(3, Deadline::patient()), "{:?}", plain(&lb));
    let end = plain(&lb)[2].clone();
    expect(&lb, &["fe fe/<NOSRV> --", "fe be/s1 --", &end], &["fe fe/<NOSRV> --", "connect be/s1 0", "close be/s1"]);
}

/// `do-log` writes a line at once; a profile has a format for the rules that it stands in.
#[test]
fn lines_of_rules() {
    let profile =
        "    log-tag special\n    on http-req format \"request %HM %s\"\n    on http-res format \"response %ST\"\n    on close drop";
    let rules =
        "log-format \"%HM %s %ST %ts\"\n    http-request do-log if { path /a }\n    http-response do-log\n    http-after-response do-log";
    let (_origin, lb) = site("http", rules, profile);
    assert_eq!(get(lb.addr(), "/a").unwrap().status, 200);
    let after = "GET s1 200 --";
    expect(&lb, &["GET <NOSRV> -1 --", after, after, after], &["request GET <NOSRV>", "response 200", after]);
}

#[test]
fn lines_tell_their_step() {
    let rules = "\n    tcp-request content do-log\n    http-request do-log\n    http-response do-log\n    http-after-response do-log";
    let (_origin, lb) = site("http", &format!("log-format %OG\n    log-steps all{rules}"), "    on any format own-%OG");
    assert_eq!(get(lb.addr(), "/").unwrap().status, 200);
    let steps =
        ["txn_accept", "txn_request", "tcp-req-cont", "http-req", "txn_connect", "http-res", "http-after-res", "txn_response", "txn_close"];
    must("all lines", || plain(&lb).len() == steps.len());
    assert_eq!(plain(&lb), steps);
    let mut connection = TcpStream::connect(lb.addr()).unwrap();
    connection.write_all(b"no request\r\n\r\n").unwrap();
    must("the line of what was no request", || plain(&lb).iter().any(|line| line == "sess_error"));
}
