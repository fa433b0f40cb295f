//! What the parameters of `bind` do to listening sockets and to what they accept: asked of the kernel, since most of it shows in no byte.
//! The proxy runs in this process, so its descriptors can be looked at; what changes the whole host stands in a namespace.
#![allow(clippy::disallowed_methods)] // Tests live in real time.

mod world;

use lb_testkit::fixture::TempDir;
use lb_testkit::netns::Netns;
use lb_testkit::ports::free_tcp;
use lb_testkit::wait;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, sockopt};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::process::Command;
use world::Running;

const DEFAULTS: &str = "defaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n";

/// Duplicates of the TCP sockets of this process that `wanted` picks.
fn sockets(wanted: impl Fn(&OwnedFd) -> bool) -> Vec<OwnedFd> {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    let numbers = entries.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok());
    numbers.filter_map(|number| lb_sys::process::inherited(number).ok()).filter(wanted).collect()
}

fn port_of(socket: &OwnedFd) -> Option<u16> {
    let address: SocketAddr = rustix::net::getsockname(socket).ok()?.try_into().ok()?;
    Some(address.port())
}

/// What listens on `port` in this process.
fn listeners(port: u16) -> Vec<OwnedFd> {
    sockets(|s| port_of(s) == Some(port) && sockopt::socket_acceptconn(s).unwrap_or(false))
}

/// What was accepted on `port`, once it was.
fn accepted(port: u16) -> OwnedFd {
    let mut found = None;
    wait::must("a connection is accepted", || {
        let one = |s: &OwnedFd| port_of(s) == Some(port) && rustix::net::getpeername(s).is_ok();
        found = sockets(one).pop();
        found.is_some()
    });
    found.unwrap()
}

/// A proxy in mode `mode` that listens with `words`.
fn proxy(mode: &str, words: &str, lines: &str) -> (Running, u16) {
    let port = free_tcp();
    let proxy = Running::start(&format!("{DEFAULTS}frontend f\n mode {mode}\n bind 127.0.0.1:{port} {words}\n{lines}\n"), 1);
    wait::must("it runs", || proxy.census(1).len() == 1);
    (proxy, port)
}

/// The largest segment that a client sends to a proxy that listens with `words`.
fn segment(words: &str) -> u32 {
    let (_proxy, port) = proxy("http", words, " timeout http-request 60s");
    let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    lb_sys::socket::max_segment(client.as_fd()).unwrap()
}

#[test]
fn mss() {
    let plain = segment("");
    // Of the 1,400 bytes the options of each segment take their part.
    let limited = segment("mss 1400");
    assert!((1_300..=1_400).contains(&limited), "{limited}");
    assert!(plain > 1_400);
    // Less than the system's: that of a fresh socket, whatever the path would allow.
    let fresh = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let system = lb_sys::socket::max_segment(fresh.as_fd()).unwrap();
    let less = segment("mss -36");
    assert!(less <= system - 36 && less + 60 >= system, "{less} of {system}");
}

#[test]
fn tcp_ut() {
    let timeout = |words: &str| {
        let (_proxy, port) = proxy("http", words, "");
        let _client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        sockopt::tcp_user_timeout(accepted(port)).unwrap()
    };
    assert_eq!(timeout("tcp-ut 7s"), 7_000);
    assert_eq!(timeout(""), 0);
}

/// The headers of the SYN, as the kernel keeps them for who asks first.
#[test]
fn tcp_ss() {
    let seen = |words: &str, ip: &str| {
        let lines = format!(
            " tcp-request connection set-var(sess.syn) fc_saved_syn\n tcp-request session set-var(sess.again) fc_saved_syn\n \
             http-request return content-type text/plain lf-string \
             \"%[var(sess.syn),{ip}ip.src] %[var(sess.syn),{ip}ip.data,tcp.src] %[var(sess.syn),{ip}ip.data,tcp.dst] %[var(sess.syn),{ip}ip.data,tcp.flags] %[var(sess.again),hex]\""
        );
        let (_proxy, port) = proxy("http", words, &lines);
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let own = client.local_addr().unwrap().port();
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        (body.to_owned(), format!("127.0.0.1 {own} {port} 2 "))
    };
    for (words, ip) in [("tcp-ss 1", ""), ("tcp-ss 2", "eth.data,")] {
        let (body, wanted) = seen(words, ip);
        assert_eq!(body, wanted, "{words}");
    }
    for words in ["tcp-ss 0", ""] {
        assert_eq!(seen(words, "").0.trim(), "", "{words}");
    }
}

/// States of the connections on `port` as the kernel has them: 01 established, 03 SYN received.
fn states(port: u16) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let words = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.filter(|w| w[1].ends_with(&format!(":{port:04X}"))).map(|w| w[3].to_owned()).filter(|state| state != "0A").collect()
}

#[test]
fn defer_accept() {
    let state = |words: &str| {
        let (_proxy, port) = proxy("http", words, "");
        let _client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        states(port)
    };
    assert_eq!(state(""), ["01"]);
    // The client is connected, the proxy's side waits for data.
    assert_eq!(state("defer-accept"), ["03"]);
}

#[test]
fn tfo() {
    let Some((net, [_, inside, _])) = Netns::anywhere().unwrap() else {
        eprintln!("not root: namespaces cannot be made here");
        return;
    };
    let counter = || {
        let text = net.enter(|| std::fs::read_to_string("/proc/thread-self/net/netstat").unwrap()).unwrap();
        let rows: Vec<Vec<&str>> = text.lines().filter(|l| l.starts_with("TcpExt:")).map(|l| l.split(' ').collect()).collect();
        let at = rows[0].iter().position(|name| *name == "TCPFastOpenPassive").unwrap();
        rows[1][at].parse::<u64>().unwrap()
    };
    // Client and server side of fast open.
    let sysctl = net.command("sh").args(["-c", "echo 3 > /proc/sys/net/ipv4/tcp_fastopen"]).status().unwrap();
    assert!(sysctl.success());
    let ask = |port: u16| {
        net.enter(|| {
            const FAST_OPEN: SendFlags = SendFlags::from_bits_retain(0x2000_0000);
            let client = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
            let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
            rustix::net::sendto(&client, request, FAST_OPEN, &SocketAddrV4::new(inside, port)).unwrap();
            assert!(rustix::net::recv(&client, &mut [0; 100], RecvFlags::empty()).unwrap().0 > 0);
        })
        .unwrap();
    };
    let config = format!("{DEFAULTS}frontend f\n mode http\n monitor-uri /\n bind {inside}:8001 tfo\n bind {inside}:8002\n");
    let _proxy = net.enter(|| Running::start(&config, 1)).unwrap();
    // The first connection fetches a cookie, the second one may carry data.
    for (port, opened) in [(8002, 0), (8001, 1)] {
        let before = counter();
        ask(port);
        ask(port);
        assert_eq!(counter() - before, opened, "port {port}");
    }
}

#[test]
fn interface() {
    let Some((net, [_, inside, _])) = Netns::anywhere().unwrap() else {
        eprintln!("not root: namespaces cannot be made here");
        return;
    };
    let config = format!("{DEFAULTS}frontend f\n mode http\n bind :8001 interface {}\n bind :8002\n", net.inside());
    let _proxy = net.enter(|| Running::start(&config, 2)).unwrap();
    let up = |port: u16| TcpStream::connect_timeout(&SocketAddr::from((inside, port)), wait::patience()).is_ok();
    // From outside it comes in by that interface, from inside by the loopback one.
    assert_eq!((up(8001), up(8002)), (true, true));
    let local = |port: u16| net.enter(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()).unwrap();
    assert_eq!((local(8001), local(8002)), (false, true));
}

#[test]
fn noreuseport() {
    let another = |port: u16| {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        sockopt::set_socket_reuseport(&socket, true).unwrap();
        sockopt::set_socket_reuseaddr(&socket, true).unwrap();
        rustix::net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).is_ok()
    };
    for (global, sockets, shared) in [("", 3, true), ("global\n noreuseport\n", 1, false)] {
        let port = free_tcp();
        let _proxy = Running::start(&format!("{global}{DEFAULTS}frontend f\n bind 127.0.0.1:{port}\n"), 3);
        assert_eq!((listeners(port).len(), another(port)), (sockets, shared), "{global}");
    }
}

#[test]
fn each_port_of_a_range_listens() {
    let low = free_tcp();
    let _proxy = Running::start(&format!("{DEFAULTS}frontend f\n mode http\n bind 127.0.0.1:{low}-{}\n", low + 2), 1);
    for port in low..low + 3 {
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok(), "{}", port - low);
    }
}

#[test]
fn mode_and_owner_of_unix_sockets() {
    let root = rustix::process::geteuid().is_root();
    let dir = TempDir::new("bind").unwrap();
    let at = |name: &str| dir.path().join(name);
    let owner = if root { " user daemon group mail" } else { "" };
    let ids = if root { " uid 12 gid 13" } else { "" };
    let config = format!(
        "global\n unix-bind mode 640\n{DEFAULTS}frontend f\n mode http\n monitor-uri /\n bind unix@{0}/a mode 600{owner}\n bind {0}/b mode 777{ids}\n bind {0}/c\n",
        dir.path().display()
    );
    let _proxy = Running::start(&config, 1);
    let seen = |name: &str| {
        let meta = std::fs::metadata(at(name)).unwrap();
        assert!(meta.file_type().is_socket());
        (meta.mode() & 0o7777, meta.uid(), meta.gid())
    };
    let number = |database: &str, name: &str| -> u32 {
        let out = Command::new("getent").args([database, name]).output().unwrap();
        String::from_utf8_lossy(&out.stdout).split(':').nth(2).and_then(|id| id.parse().ok()).expect(name)
    };
    if root {
        assert_eq!(seen("a"), (0o600, number("passwd", "daemon"), number("group", "mail")));
        assert_eq!(seen("b"), (0o777, 12, 13));
    }
    assert_eq!((seen("a").0, seen("b").0, seen("c").0), (0o600, 0o777, 0o640));
    let mut client = UnixStream::connect(at("a")).unwrap();
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn smart_accept_is_that_of_mode_http() {
    // The kernel's answer: an acknowledgement goes out at once.
    let at_once = |mode: &str, line: &str| {
        let origin = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let backend = format!("{line}\n default_backend b\nbackend b\n mode {mode}\n server s {}", origin.local_addr().unwrap());
        let (_proxy, port) = proxy(mode, "", &backend);
        let _client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let listener = sockopt::tcp_quickack(&listeners(port)[0]).unwrap();
        assert_eq!(sockopt::tcp_quickack(accepted(port)).unwrap(), listener, "what it accepts has it from there");
        listener
    };
    assert!(!at_once("http", ""));
    assert!(at_once("http", " no option tcp-smart-accept"));
    assert!(at_once("tcp", ""));
    assert!(!at_once("tcp", " option tcp-smart-accept"));
}

/// Segments that the proxy has sent to the server when a request has arrived there.
fn segments(line: &str) -> u32 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (port, to) = (free_tcp(), listener.local_addr().unwrap());
    let config = format!("{DEFAULTS}listen l\n mode http\n bind 127.0.0.1:{port}\n{line}\n server s {to}\n");
    let _proxy = Running::start(&config, 1);
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let (mut origin, from) = listener.accept().unwrap();
    origin.set_read_timeout(Some(wait::patience())).unwrap();
    origin.read_exact(&mut [0]).unwrap();
    let out = Command::new("ss").args(["-Htin", &format!("sport = :{}", from.port())]).output().expect("ss of iproute2");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let count = text.split_whitespace().find_map(|w| w.strip_prefix("segs_out:")).and_then(|n| n.parse().ok());
    count.unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn smart_connect_saves_a_segment() {
    // SYN, ACK, request; the request acknowledges.
    assert_eq!((segments(""), segments(" option tcp-smart-connect")), (3, 2));
}

#[test]
fn smart_connect_does_not_wait_for_clients_that_say_nothing() {
    // Without anything to send the handshake ends at once: the server is not kept waiting for the delayed acknowledgement.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (port, to) = (free_tcp(), listener.local_addr().unwrap());
    let _proxy = Running::start(&format!("{DEFAULTS}listen l\n bind 127.0.0.1:{port}\n option tcp-smart-connect\n server s {to}\n"), 1);
    let _client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let (_origin, from) = listener.accept().unwrap();
    let back = sockets(|s| port_of(s) == Some(from.port()) && rustix::net::getpeername(s).is_ok()).pop().unwrap();
    assert!(sockopt::tcp_quickack(back).unwrap());
}
