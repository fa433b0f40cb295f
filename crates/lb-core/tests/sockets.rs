//! What the words about sockets do to the sockets: asked of the kernel, since no byte of the traffic shows it. The proxy runs in this
//! process, so its descriptors can be looked at.
#![allow(clippy::disallowed_methods)] // Tests live in real time.

mod world;

use lb_testkit::ports::free_tcp;
use lb_testkit::wait;
use rustix::net::sockopt;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;
use world::Running;

const DEFAULTS: &str = "defaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n";

/// The socket of this process that `wanted` names by its local address and its peer.
fn find(wanted: impl Fn(SocketAddr, SocketAddr) -> bool) -> TcpStream {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    let sockets = entries.filter_map(|e| {
        let number = e.ok()?.file_name().to_str()?.parse().ok()?;
        // A duplicate: the proxy's own stays its own. What is no connected TCP socket has no peer.
        let stream = TcpStream::from(lb_sys::process::inherited(number).ok()?);
        let (local, peer) = (stream.local_addr().ok()?, stream.peer_addr().ok()?);
        wanted(local, peer).then_some(stream)
    });
    sockets.last().expect("a connection with these ends")
}

/// A client's connection through the proxy, and both of the proxy's sockets.
struct Relay {
    _client: TcpStream,
    _origin: TcpStream,
    front: TcpStream,
    back: TcpStream,
    _proxy: Running,
}

/// Relays one byte; `frontend`, `backend` and `global` have lines of their sections.
fn relay(global: &str, frontend: &str, backend: &str, server: &str) -> Relay {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (port, to) = (free_tcp(), listener.local_addr().unwrap());
    let proxy = Running::start(
        &format!(
            "global\n{global}\n{DEFAULTS}frontend f\n bind 127.0.0.1:{port}\n{frontend}\n default_backend b\nbackend b\n{backend}\n server s {to} {server}\n"
        ),
        1,
    );
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    client.write_all(b"x").unwrap();
    let (mut origin, from) = listener.accept().unwrap();
    origin.read_exact(&mut [0]).unwrap();
    let end = client.local_addr().unwrap();
    let front = find(|local, peer| local.port() == port && peer == end);
    let back = find(|local, peer| local == from && peer == to);
    Relay { _client: client, _origin: origin, front, back, _proxy: proxy }
}

/// Idle time, interval, number of the probes of a socket that keeps itself alive.
fn keepalive(socket: &TcpStream) -> Option<(u64, u64, u32)> {
    let seconds = |d: Duration| d.as_secs();
    sockopt::socket_keepalive(socket).unwrap().then(|| {
        (
            seconds(sockopt::tcp_keepidle(socket).unwrap()),
            seconds(sockopt::tcp_keepintvl(socket).unwrap()),
            sockopt::tcp_keepcnt(socket).unwrap(),
        )
    })
}

#[test]
fn keepalive_of_either_side() {
    let plain = relay("", "", "", "");
    assert_eq!((keepalive(&plain.front), keepalive(&plain.back)), (None, None));
    let both = relay("", " option tcpka", " option tcpka", "");
    let system = keepalive(&both.front);
    assert!(system.is_some() && keepalive(&both.back) == system, "with the system's timers");
    let client = relay("", " option clitcpka\n clitcpka-idle 100s\n clitcpka-intvl 7s\n clitcpka-cnt 4", "", "");
    assert_eq!((keepalive(&client.front), keepalive(&client.back)), (Some((100, 7, 4)), None));
    let server = relay("", "", " option srvtcpka\n srvtcpka-idle 2m\n srvtcpka-intvl 11s\n srvtcpka-cnt 5", "");
    assert_eq!((keepalive(&server.front), keepalive(&server.back)), (None, Some((120, 11, 5))));
    // The timers alone switch nothing on.
    let off = relay("", " clitcpka-idle 100s", " srvtcpka-cnt 5", "");
    assert_eq!((keepalive(&off.front), keepalive(&off.back)), (None, None));
}

#[test]
fn sizes_of_socket_buffers() {
    let sizes = |socket: &TcpStream| (sockopt::socket_recv_buffer_size(socket).unwrap(), sockopt::socket_send_buffer_size(socket).unwrap());
    let plain = relay("", "", "", "");
    // The kernel doubles what it is asked for.
    let client = relay(" tune.rcvbuf.client 20000\n tune.sndbuf.client 30000", "", "", "");
    assert_eq!(sizes(&client.front), (40_000, 60_000));
    let server = relay(" tune.rcvbuf.server 24k\n tune.sndbuf.server 18000", "", "", "");
    assert_eq!(sizes(&server.back), (49_152, 36_000));
    assert_ne!(sizes(&plain.front), (40_000, 60_000));
    assert_ne!(sizes(&plain.back), (49_152, 36_000));
    assert_ne!(sizes(&client.back), sizes(&client.front));
    assert_ne!(sizes(&server.front), sizes(&server.back));
}

/// The longest queue of connections that nobody has accepted, of each socket that listens on `port`.
fn backlogs(port: u16) -> Vec<u32> {
    let out = Command::new("ss").args(["-H", "-l", "-t", "-n", &format!("sport = :{port}")]).output().expect("ss of iproute2");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    // LISTEN Recv-Q Send-Q ...: of a listener, the second is the backlog.
    text.lines().map(|l| l.split_whitespace().nth(2).and_then(|w| w.parse().ok()).unwrap_or_else(|| panic!("{text}"))).collect()
}

#[test]
fn backlog_of_bind_frontend_and_maxconn() {
    let ports: [u16; 4] = std::array::from_fn(|_| free_tcp());
    let [bind, frontend, maxconn, process] = ports;
    let _proxy = Running::start(
        &format!(
            "{DEFAULTS}frontend a\n backlog 21\n maxconn 50\n bind 127.0.0.1:{bind} backlog 13\n bind 127.0.0.1:{frontend} maxconn 3\n\
             frontend b\n maxconn 34\n bind 127.0.0.1:{maxconn}\nfrontend c\n bind 127.0.0.1:{process}\n"
        ),
        2,
    );
    // Each thread has a socket. Without any word it is the process's maxconn, which the test's proxies have as 1000.
    let limit = std::fs::read_to_string("/proc/sys/net/core/somaxconn").ok().and_then(|n| n.trim().parse().ok()).unwrap_or(1000);
    assert_eq!(backlogs(bind), [13, 13]);
    assert_eq!(backlogs(frontend), [21, 21]);
    assert_eq!(backlogs(maxconn), [34, 34]);
    assert_eq!(backlogs(process), [1000.min(limit); 2]);
}

#[test]
fn a_wildcard_of_ipv6_and_who_may_come_in() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("no IPv6 here: nothing to see");
        return;
    }
    let reach = |port: u16| {
        let up = |addr: SocketAddr| TcpStream::connect_timeout(&addr, wait::patience()).is_ok();
        (up((Ipv4Addr::LOCALHOST, port).into()), up((Ipv6Addr::LOCALHOST, port).into()))
    };
    for (words, expected) in
        [(":::{}", (true, true)), (":::{} v4v6", (true, true)), (":::{} v6only", (false, true)), ("*:{}", (true, false))]
    {
        let port = free_tcp();
        let bind = words.replace("{}", &port.to_string());
        let proxy = Running::start(&format!("{DEFAULTS}frontend f\n bind {bind}\n"), 1);
        wait::must("it runs", || proxy.census(1).len() == 1);
        assert_eq!(reach(port), expected, "bind {bind}");
    }
    // Both on one port, apart.
    let port = free_tcp();
    let _proxy = Running::start(&format!("{DEFAULTS}frontend f\n bind :::{port} v6only\n bind *:{port}\n"), 1);
    assert_eq!(reach(port), (true, true));
}
