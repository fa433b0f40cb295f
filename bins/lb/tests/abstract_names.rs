//! UNIX sockets in the abstract namespace: the kernel sees the names that haproxy uses, so that the two can talk to each other.

mod common;

use common::{PREAMBLE, is_other, start};
use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

/// A name that nobody else has, as short as it stands or filled up to all 107 bytes.
fn name(text: &str, full: bool) -> (String, SocketAddr) {
    let name = format!("lb-{}-{text}", std::process::id());
    let mut bytes = name.clone().into_bytes();
    if full {
        bytes.resize(107, 0);
    }
    (name, SocketAddr::from_abstract_name(bytes).unwrap())
}

/// Says `text` to whoever connects first.
fn greet(at: &SocketAddr, text: &'static str) -> std::thread::JoinHandle<()> {
    let listener = UnixListener::bind_addr(at).unwrap();
    std::thread::spawn(move || listener.accept().unwrap().0.write_all(text.as_bytes()).unwrap())
}

fn said(at: &SocketAddr) -> String {
    let mut stream = UnixStream::connect_addr(at).unwrap();
    stream.set_read_timeout(Some(lb_testkit::wait::patience())).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn names_are_filled_up_or_not() {
    if is_other() {
        // haproxy knows abnsz@ from 3.1 on.
        return;
    }
    let [(front_full, front_full_at), (front, front_at)] = [name("front", true), name("front2", false)];
    let [(back_full, back_full_at), (back, back_at)] = [name("back", true), name("back2", false)];
    let (first, second) = (greet(&back_full_at, "filled up"), greet(&back_at, "as it stands"));
    let config = PREAMBLE.replace("mode http", "mode tcp").replace("httplog", "tcplog")
        + &format!(
            "listen port\n    bind 127.0.0.1:{{fe}}\n    server s 127.0.0.1:1\n\
             listen full\n    bind abns@{front_full}\n    server s abns@{back_full}\n\
             listen short\n    bind abnsz@{front}\n    server s abnsz@{back}\n"
        );
    let _lb = start(&config, &[]);
    assert_eq!(said(&front_full_at), "filled up");
    assert_eq!(said(&front_at), "as it stands");
    first.join().unwrap();
    second.join().unwrap();
}
