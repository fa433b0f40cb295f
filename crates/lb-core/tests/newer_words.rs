//! Words of HTTP and of accepting that haproxy has had since 3.0, so that the parity table, which runs 2.6, does not have them. What is
//! expected here was observed with haproxy 3.0.11.
#![allow(clippy::disallowed_methods)] // Tests live in real time.

mod world;

use lb_testkit::http::{Connection, find};
use lb_testkit::ports::free_tcp;
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use world::Running;

const DEFAULTS: &str = "defaults\n mode http\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n";

/// An origin that answers each request, up to the pattern that ends it, and tells what it was.
fn origin(end: &'static str, answer: &'static str) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, sender) = (stream.unwrap(), sender.clone());
            std::thread::spawn(move || {
                let mut all = Vec::new();
                let mut piece = [0; 4096];
                while let Ok(n) = stream.read(&mut piece)
                    && n != 0
                {
                    all.extend_from_slice(&piece[..n]);
                    while let Some(at) = find(&all, end.as_bytes()) {
                        let request: Vec<u8> = all.drain(..at + end.len()).collect();
                        let _ = sender.send(String::from_utf8_lossy(&request).into_owned());
                        let _ = stream.write_all(answer.as_bytes());
                    }
                }
            });
        }
    });
    (port, receiver)
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// What the server gets for `request` with the backend's `lines`, behind a PROXY header that says `from`.
fn forwarded(lines: &str, from: &str, request: &str) -> String {
    let (server, requests) = origin("\r\n\r\n", OK);
    let port = free_tcp();
    let config = format!("{DEFAULTS}listen l\n bind 127.0.0.1:{port} accept-proxy\n{lines}\n server s 127.0.0.1:{server}\n");
    let _proxy = Running::start(&config, 1);
    let mut client = Connection::open((Ipv4Addr::LOCALHOST, port)).unwrap();
    assert_eq!(client.exchange(format!("PROXY {from}\r\n{request}")).unwrap().status, 200);
    let head = requests.recv().unwrap();
    let fields: Vec<&str> = head.lines().filter_map(|line| line.strip_prefix("forwarded: ")).collect();
    fields.join(" | ")
}

#[test]
fn option_forwarded() {
    const FOUR: &str = "TCP4 192.0.2.7 192.0.2.8 1111 2222";
    const SIX: &str = "TCP6 2001:db8::7 2001:db8::8 1111 2222";
    const GET: &str = "GET / HTTP/1.1\r\nHost: example.org:80\r\n\r\n";
    const ONE: &str = "GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=1.2.3.4\r\nX: y\r\n\r\n";
    const TWO: &str = "GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=1.2.3.4\r\nForwarded: by=x, for=5.6.7.8\r\n\r\n";
    assert_eq!(forwarded(" option forwarded", FOUR, GET), "proto=http;for=192.0.2.7");
    assert_eq!(forwarded(" option forwarded proto for", SIX, GET), "proto=http;for=\"[2001:db8::7]\"");
    assert_eq!(
        forwarded(" option forwarded for_port for by_port by host proto", FOUR, GET),
        "proto=http;host=\"example.org:80\";by=\"192.0.2.8:2222\";for=\"192.0.2.7:1111\""
    );
    assert_eq!(forwarded(" option forwarded by", SIX, GET), "by=\"[2001:db8::8]\"");
    assert_eq!(forwarded(" option forwarded host", FOUR, "GET / HTTP/1.0\r\n\r\n"), "");
    assert_eq!(forwarded(" option forwarded for", FOUR, ONE), "for=1.2.3.4,for=192.0.2.7");
    assert_eq!(forwarded(" option forwarded for", FOUR, TWO), "for=1.2.3.4 | by=x, for=5.6.7.8 | for=192.0.2.7");
    assert_eq!(forwarded(" option forwarded for\n no option forwarded", FOUR, GET), "");
}

/// A chunked response with a trailer, as it comes through.
fn response(lines: &str) -> String {
    const ANSWER: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ndef\r\n0\r\nX-Sum: 3\r\n\r\n";
    let (server, _requests) = origin("\r\n\r\n", ANSWER);
    let port = free_tcp();
    let _proxy = Running::start(&format!("{DEFAULTS}listen l\n bind 127.0.0.1:{port}\n{lines}\n server s 127.0.0.1:{server}\n"), 1);
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") || find(&answer, b"\r\n0\r\n").is_none() {
        let mut piece = [0; 4096];
        let n = client.read(&mut piece).unwrap();
        assert_ne!(n, 0);
        answer.extend_from_slice(&piece[..n]);
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn trailers_of_responses_are_dropped() {
    assert!(response("").ends_with("0\r\nx-sum: 3\r\n\r\n"));
    assert!(response(" option http-drop-response-trailers").ends_with("def\r\n0\r\n\r\n"));
    assert!(response(" option http-drop-request-trailers").ends_with("0\r\nx-sum: 3\r\n\r\n"));
}

#[test]
fn trailers_of_requests_are_dropped() {
    let seen = |lines: &str| {
        let (server, requests) = origin("\r\n\r\n", OK);
        let port = free_tcp();
        let _proxy = Running::start(&format!("{DEFAULTS}listen l\n bind 127.0.0.1:{port}\n{lines}\n server s 127.0.0.1:{server}\n"), 1);
        let mut client = Connection::open((Ipv4Addr::LOCALHOST, port)).unwrap();
        client
            .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-One: 1\r\nX-Two: 2\r\n\r\n")
            .unwrap();
        // The head, then the body with its trailers.
        let head = requests.recv().unwrap();
        (head, requests.recv().unwrap())
    };
    assert!(seen("").1.ends_with("abc\r\n0\r\nx-one: 1\r\nx-two: 2\r\n\r\n"));
    assert!(seen(" option http-drop-request-trailers").1.ends_with("abc\r\n0\r\n\r\n"));
    assert!(seen(" option http-drop-response-trailers").1.ends_with("abc\r\n0\r\nx-one: 1\r\nx-two: 2\r\n\r\n"));
}

#[test]
fn connections_with_both_lengths() {
    const BOTH: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let closes = |global: &str, request: &str| {
        let (server, _requests) = origin("0\r\n\r\n", OK);
        let port = free_tcp();
        let _proxy =
            Running::start(&format!("global\n{global}\n{DEFAULTS}listen l\n bind 127.0.0.1:{port}\n server s 127.0.0.1:{server}\n"), 1);
        let mut client = Connection::open((Ipv4Addr::LOCALHOST, port)).unwrap();
        let answer = client.exchange(request).unwrap();
        assert_eq!(answer.status, 200);
        answer.header("connection").as_deref() == Some("close")
    };
    const OPTION: &str = " h1-do-not-close-on-insecure-transfer-encoding";
    assert!(closes("", BOTH));
    assert!(!closes(OPTION, BOTH));
    assert!(closes(OPTION, &BOTH.replace("1.1", "1.0").replace("Host: a", "Host: a\r\nConnection: keep-alive")), "not with HTTP/1.0");
}

#[test]
fn privileged_ports_are_rejected() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not root: low ports cannot be had here");
        return;
    }
    /// Whether a client with a low port gets an answer.
    fn served(global: &str) -> bool {
        let (server, _requests) = origin("\r\n\r\n", OK);
        let port = free_tcp();
        let _proxy =
            Running::start(&format!("global\n{global}\n{DEFAULTS}listen l\n bind 127.0.0.1:{port}\n server s 127.0.0.1:{server}\n"), 1);
        let client = (600..1024).rev().find_map(|low| {
            let client = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
            bind(&client, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, low)).ok()?;
            connect(&client, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).ok()?;
            Some(TcpStream::from(client))
        });
        let mut client = client.expect("a low port that is free");
        let _ = client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        // Any other client is served.
        assert_eq!(lb_testkit::http::get((Ipv4Addr::LOCALHOST, port), "/").unwrap().status, 200);
        matches!(client.read(&mut [0; 100]), Ok(n) if n != 0)
    }
    assert!(served(""));
    assert!(served(" harden.reject-privileged-ports.tcp off"));
    assert!(!served(" harden.reject-privileged-ports.tcp on"));
}

#[test]
fn acls_as_values() {
    let lines = " acl a path_beg /a\n acl b req.hdr(x) -m found\n acl both acl(a,b)\n acl late path /z\n\
                 http-request set-header X-V \"%[acl(a)] %[acl(!a)] %[acl(a,!b)] %[acl(both)] %[acl(late)] %[acl(METH_GET,!TRUE)]\"\n\
                 http-request set-var(txn.a) acl(a)\n http-request set-header X-W yes if { var(txn.a) -m bool } { acl(!b,a) -m bool }\n\
                 acl late path /late\n acl a path /also\n";
    let (server, requests) = origin("\r\n\r\n", OK);
    let port = free_tcp();
    let _proxy = Running::start(&format!("{DEFAULTS}listen l\n bind 127.0.0.1:{port}\n{lines} server s 127.0.0.1:{server}\n"), 1);
    let mut client = Connection::open((Ipv4Addr::LOCALHOST, port)).unwrap();
    for (path, field, values, also) in [
        ("/a", "X: 1\r\n", "1 0 0 1 0 0", false),
        ("/a", "", "1 0 1 0 0 0", true),
        ("/b", "X: 1\r\n", "0 1 0 0 0 0", false),
        ("/late", "", "0 1 0 0 1 0", false),
        ("/also", "", "1 0 1 0 0 0", true),
    ] {
        assert_eq!(client.exchange(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{field}\r\n")).unwrap().status, 200);
        let head = requests.recv().unwrap();
        assert!(head.contains(&format!("x-v: {values}\r\n")), "{path}: {head}");
        assert_eq!(head.contains("x-w: yes\r\n"), also, "{path}: {head}");
    }
}

#[test]
fn names_of_errors_and_streams() {
    let log = lb_testkit::syslog::Syslog::udp().unwrap();
    let (server, _requests) = origin("\r\n\r\n", OK);
    let (port, proxied) = (free_tcp(), free_tcp());
    let config = format!(
        "{DEFAULTS}frontend fe\n bind 127.0.0.1:{port}\n http-response set-header X \"[%[fc_err_name]] %[fc_nb_streams]\"\n default_backend be\n\
         backend be\n http-response set-header Y \"[%[bc_err_name]] %[bc_nb_streams]\"\n server s 127.0.0.1:{server}\n\
         frontend px\n bind 127.0.0.1:{proxied} accept-proxy\n log 127.0.0.1:{} local0\n error-log-format \"%[fc_err] %[fc_err_name].\"\n default_backend be\n",
        log.port()
    );
    let _proxy = Running::start(&config, 1);
    let mut client = Connection::open((Ipv4Addr::LOCALHOST, port)).unwrap();
    let answer = client.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!((answer.header("x").as_deref(), answer.header("y").as_deref()), (Some("[] 1"), Some("[] 1")));
    TcpStream::connect((Ipv4Addr::LOCALHOST, proxied)).unwrap().write_all(b"junk junk junk junk\r\n\r\n").unwrap();
    assert!(log.wait_for("15 PRX_NOT_HDR.", lb_testkit::wait::Deadline::patient()).is_some(), "{:?}", log.text());
    drop(TcpStream::connect((Ipv4Addr::LOCALHOST, proxied)).unwrap());
    assert!(log.wait_for("11 PRX_EMPTY.", lb_testkit::wait::Deadline::patient()).is_some(), "{:?}", log.text());
}

/// What the server gets of a request with these fields, and the client of an answer with `ANSWER`'s, when these rules are there.
fn through(lines: &str, fields: &str) -> (u16, Vec<String>, Vec<(String, String)>) {
    const ANSWER: &str = "HTTP/1.1 200 OK\r\nX-A: 1\r\nX-B: 2\r\nVia: v\r\nContent-Length: 0\r\n\r\n";
    let (server, requests) = origin("\r\n\r\n", ANSWER);
    let port = free_tcp();
    let _proxy = Running::start(&format!("{DEFAULTS}listen l\n bind 127.0.0.1:{port}\n{lines}\n server s 127.0.0.1:{server}\n"), 1);
    let mut client = Connection::open((Ipv4Addr::LOCALHOST, port)).unwrap();
    let answer = client.exchange(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).unwrap();
    let head = if answer.status == 200 { requests.recv().unwrap() } else { String::new() };
    let sent = head.lines().skip(1).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let got = ["x-a", "x-b", "via"].into_iter().filter_map(|name| Some((name.to_owned(), answer.header(name)?))).collect();
    (answer.status, sent, got)
}

/// By the manual of 3.4: no haproxy at hand has them.
#[test]
fn fields_in_binary() {
    let sent = |lines: &str, fields: &str| through(lines, fields).1;
    const FIELDS: &str = "Accept: x\r\nVia: 1\r\nVia: 2\r\n";
    // What was kept comes back, with its lists.
    let restored = " http-request set-var(txn.old) req.hdrs_bin\n http-request del-header Via\n http-request set-header Accept y\n";
    let set = format!("{restored} http-request set-headers-bin var(txn.old)");
    assert_eq!(sent(&set, FIELDS), ["host: a", "accept: x", "via: 1", "via: 2"]);
    let add = format!("{restored} http-request add-headers-bin var(txn.old) prefix VI");
    assert_eq!(sent(&add, FIELDS), ["host: a", "accept: y", "via: 1", "via: 2"]);
    let prefixed = " http-request set-headers-bin bin(03782d610131037669610132) prefix x-";
    assert_eq!(sent(prefixed, FIELDS), ["host: a", "accept: x", "via: 1", "via: 2", "x-a: 1"]);
    // "via", "cc" by name, as a beginning, an end, a part.
    let names = "bin(037669610263630000)";
    assert_eq!(sent(&format!(" http-request del-headers-bin {names}"), FIELDS), ["host: a", "accept: x"]);
    let more = "Via-X: 1\r\nX-Via: 2\r\nXCC: 3\r\n";
    assert_eq!(sent(&format!(" http-request del-headers-bin {names} -m beg"), more), ["host: a", "x-via: 2", "xcc: 3"]);
    assert_eq!(sent(&format!(" http-request del-headers-bin {names} -m end"), more), ["host: a", "via-x: 1"]);
    assert_eq!(sent(&format!(" http-request del-headers-bin {names} -m sub"), more), ["host: a"]);
    // Nothing that has no value changes anything.
    assert_eq!(sent(" http-request set-headers-bin var(txn.none)\n http-request del-headers-bin var(txn.none)", FIELDS).len(), 4);

    let (_, _, got) = through(" http-response del-headers-bin bin(03782d61)", "");
    assert_eq!(got, [("x-b".to_owned(), "2".to_owned()), ("via".to_owned(), "v".to_owned())]);
    let (_, _, got) = through(" http-after-response set-headers-bin bin(03782d610133)", "");
    assert_eq!(got[0], ("x-a".to_owned(), "3".to_owned()));
}

/// What is no list of fields, or no field, is a failed edit: nothing of it is done.
#[test]
fn fields_in_binary_that_are_none() {
    for (what, bytes) in [
        ("ends too early", "03782d6105"),
        ("no name", "03 78 20 61 01 31"),
        ("no name at all", "000131"),
        ("a line end in a value", "03782d61030d0a31"),
        ("a good one before it", "0378 2d61 0131 0378 2062 0131"),
    ] {
        let bytes = bytes.replace(' ', "");
        assert_eq!(through(&format!(" http-request set-headers-bin bin({bytes})"), "").0, 500, "{what}");
        let lenient = format!(" http-request strict-mode off\n http-request add-headers-bin bin({bytes})");
        assert_eq!(through(&lenient, "X-A: own\r\n").1, ["host: a", "x-a: own"], "{what}");
    }
    // Framing stays as it was received: "content-length: 5", "transfer-encoding: chunked".
    let framing = "0e636f6e74656e742d6c656e6774680135117472616e736665722d656e636f64696e67076368756e6b6564";
    assert_eq!(through(&format!(" http-request add-headers-bin bin({framing})"), "").1, ["host: a"]);
}
