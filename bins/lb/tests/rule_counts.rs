//! What rules refuse counts in statistics as haproxy counts it, and as nobody's fault.

mod common;

use common::{OK, PREAMBLE, io, start};
use lb_testkit::fixture::TempDir;
use lb_testkit::http::Connection;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// The rows of `show stat` by proxy and service, each a map of columns.
fn stats(socket: &std::path::Path) -> HashMap<String, HashMap<String, String>> {
    let mut stream = io(UnixStream::connect(socket));
    io(stream.write_all(b"show stat\n"));
    let mut text = String::new();
    io(stream.read_to_string(&mut text));
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let columns: Vec<&str> = lines.next().expect("a header").trim_start_matches("# ").split(',').collect();
    let row =
        |line: &str| -> HashMap<String, String> { columns.iter().map(|c| c.to_string()).zip(line.split(',').map(str::to_owned)).collect() };
    lines.map(row).map(|row| (format!("{}/{}", row["pxname"], row["svname"]), row)).collect()
}

#[test]
fn refused_by_rules() {
    let origin = common::serve(OK);
    let dir = TempDir::new("counts").unwrap();
    let socket = dir.path().join("stats");
    let config = PREAMBLE.replace("    maxconn 500", &format!("    maxconn 500\n    stats socket {}", socket.display()))
        + "frontend fe
    bind 127.0.0.1:{fe}
    http-request deny if { method PUT }
    http-request return status 200 if { method PATCH }
    http-response deny if { var(txn.post) -m found }
    http-request set-var(txn.post) int(1) if { method POST }
    default_backend be
backend be
    http-request deny if { method DELETE }
    server s1 127.0.0.1:{o1}
";
    let lb = start(&config, &[("o1", origin.port())]);
    for (method, status) in [("GET", 200), ("PUT", 403), ("PUT", 403), ("PATCH", 200), ("POST", 502), ("DELETE", 403)] {
        let answer = io(io(Connection::open(lb.addr())).exchange(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")));
        assert_eq!(answer.status, status, "{method}");
    }
    let rows = stats(&socket);
    let of = |row: &str| ["dreq", "dresp", "ereq", "eresp"].map(|column| rows[row][column].clone());
    // As haproxy 2.6.12 shows it after the same.
    assert_eq!(of("fe/FRONTEND"), ["3", "1", "0", ""]);
    assert_eq!(of("be/BACKEND"), ["1", "1", "", "0"]);
    assert_eq!(of("be/s1"), ["", "1", "", "0"]);
    assert_eq!(rows["fe/FRONTEND"]["intercepted"], "1");
}
