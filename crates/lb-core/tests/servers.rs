//! Where a server is: ports that follow the client's, and what a PROXY header says of a client that has no address. And proxies
//! that are switched off.
#![allow(clippy::disallowed_methods)] // Tests live in real time.

mod world;

use lb_testkit::fixture::TempDir;
use lb_testkit::http::get;
use lb_testkit::ports::free_tcp;
use lb_testkit::wait;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use world::{Origin, Running, asked};

const DEFAULTS: &str = "defaults\n mode tcp\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n";

/// What the proxy's connection to `listener` begins with.
fn first_bytes(listener: &TcpListener) -> Vec<u8> {
    let mut stream = listener.accept().unwrap().0;
    stream.set_read_timeout(Some(wait::patience())).unwrap();
    let mut buf = [0; 500];
    let mut len = 0;
    while !buf[..len].ends_with(b"END") {
        let n = stream.read(&mut buf[len..]).unwrap();
        assert_ne!(n, 0, "closed after {:?}", &buf[..len]);
        len += n;
    }
    buf[..len].to_vec()
}

#[test]
fn a_port_may_be_relative_to_the_clients() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let to = listener.local_addr().unwrap().port();
    for relative in [true, false] {
        let front = if relative { free_tcp() } else { to };
        // Without a port it is the client's own, at another address here.
        let (bind, server) = match relative {
            true => (Ipv4Addr::LOCALHOST, format!("127.0.0.1:{:+}", i32::from(to) - i32::from(front))),
            false => (Ipv4Addr::new(127, 0, 0, 2), "127.0.0.1".to_owned()),
        };
        let _proxy = Running::start(&format!("{DEFAULTS}listen l\n bind {bind}:{front}\n server s {server}\n"), 1);
        let mut client = TcpStream::connect((bind, front)).unwrap();
        client.write_all(b"END").unwrap();
        assert_eq!(first_bytes(&listener), b"END", "server {server}");
    }
}

#[test]
fn the_proxy_header_of_a_client_without_an_address() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let to = listener.local_addr().unwrap();
    let dir = TempDir::new("servers").unwrap();
    for (words, header) in [("send-proxy", &b"PROXY UNKNOWN\r\n"[..]), ("send-proxy-v2", b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8")] {
        let path = dir.path().join(words);
        let _proxy = Running::start(&format!("{DEFAULTS}listen l\n bind unix@{}\n server s {to} {words}\n", path.display()), 1);
        let mut client = UnixStream::connect(&path).unwrap();
        client.write_all(b"END").unwrap();
        let bytes = first_bytes(&listener);
        assert!(bytes.starts_with(header), "{words}: {:?}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn a_proxy_that_is_disabled_neither_listens_nor_serves() {
    let origin = Origin::start("a");
    let (on, off) = (free_tcp(), free_tcp());
    let proxy = Running::start(
        &format!(
            "{DEFAULTS} mode http\nfrontend on\n bind 127.0.0.1:{on}\n default_backend b\nfrontend off\n disabled\n bind 127.0.0.1:{off}\n default_backend b\n\
             backend b\n server s 127.0.0.1:{}\n",
            origin.port
        ),
        2,
    );
    wait::must("it runs", || proxy.census(2).len() == 2);
    assert_eq!(asked(on, "/"), (200, "a".into()));
    assert!(get((Ipv4Addr::LOCALHOST, off), "/").is_err(), "the disabled frontend answers");
    drop(proxy);
    let _proxy = Running::start(
        &format!(
            "{DEFAULTS} mode http\nfrontend on\n bind 127.0.0.1:{on}\n default_backend b\nbackend b\n disabled\n server s 127.0.0.1:{}\n",
            origin.port
        ),
        1,
    );
    assert_eq!(asked(on, "/").0, 503, "a disabled backend serves");
    assert_eq!(origin.requests(), 1);
}
