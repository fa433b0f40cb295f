//! `sockpair@`: connections that come and go as descriptors over a UNIX socket.
#![allow(clippy::disallowed_methods)] // Tests live in real time.

mod world;

use lb_sys::fds;
use lb_testkit::wait;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use world::{Origin, Running};

const DEFAULTS: &str = "defaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n retries 0\n";

/// Two ends of one channel.
fn channel() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

/// Passes one end of a new connection over a channel, and another descriptor beside it.
fn connect(channel: &UnixStream, also: Option<BorrowedFd<'_>>) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(wait::patience())).unwrap();
    let both: Vec<BorrowedFd<'_>> = [theirs.as_fd()].into_iter().chain(also).collect();
    assert_eq!(fds::send(channel.as_fd(), &[0; 2], &both).unwrap(), 2);
    ours
}

fn ask(mut connection: &UnixStream) -> String {
    connection.write_all(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

/// A client's descriptor, a server's, which is a client's of the next proxy, and an origin at the end.
#[test]
fn from_one_channel_to_the_next() {
    let origin = Origin::start("o");
    let ((clients, in_first), (out_first, in_second)) = (channel(), channel());
    let proxy = Running::start(
        &format!(
            "{DEFAULTS}listen first\n bind sockpair@{}\n server pair sockpair@{}\nlisten second\n bind sockpair@{}\n server s 127.0.0.1:{}\n",
            in_first.as_raw_fd(),
            out_first.as_raw_fd(),
            in_second.as_raw_fd(),
            origin.port
        ),
        2,
    );
    for _ in 0..4 {
        let answer = ask(&connect(&clients, None));
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with('o'), "{answer}");
    }
    // What is no connection is passed over: bytes without a descriptor, a descriptor too many.
    (&clients).write_all(b"nothing").unwrap();
    assert!(ask(&connect(&clients, Some(clients.as_fd()))).ends_with('o'));
    assert!(ask(&connect(&clients, None)).ends_with('o'));
    // The end of a channel is told once, and costs nothing.
    drop(clients);
    proxy.told(0, "the other end of a sockpair@ of first is closed");
}

/// Nobody is at the other end: a server that is not there.
#[test]
fn a_server_whose_channel_is_closed() {
    let ((clients, bound), (out, gone)) = (channel(), channel());
    drop(gone);
    let proxy = Running::start(
        &format!(
            "{DEFAULTS}listen l\n bind sockpair@{}\n server s sockpair@{} check inter 50ms fall 1\n",
            bound.as_raw_fd(),
            out.as_raw_fd()
        ),
        1,
    );
    assert!(ask(&connect(&clients, None)).starts_with("HTTP/1.1 503 "));
    proxy.told(0, "Server l/s is DOWN");
}

/// A descriptor that is not there is told when the proxy starts.
#[test]
fn no_such_descriptor() {
    let text = format!("{DEFAULTS}listen l\n bind sockpair@99999\n server s sockpair@99998\n");
    let (config, _) = lb_config::parse(&lb_config::Source::new().file("t.cfg", text.as_bytes()));
    let sizes = lb_core::start::Sizes { threads: 1, maxconn: 10 };
    let Err(errors) = lb_core::start::Proxy::open(&config, sizes, Box::new(|_, _| {})) else { panic!("it starts") };
    let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert!(text[0].contains("cannot bind sockpair@99999 for listen l") && text[1].contains("the descriptor of server l/s"), "{text:?}");
}
