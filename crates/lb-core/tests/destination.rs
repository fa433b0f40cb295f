//! Where a stream goes when no server's own address says it: where the client wanted to go, a port that follows from the client's, an
//! address in the request. In a network namespace, where ports are free and the kernel may redirect connections.
#![allow(clippy::disallowed_methods)] // Tests live in real time.

mod world;

use lb_testkit::http::Connection;
use lb_testkit::netns::Netns;
use lb_testkit::wait;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use world::Running;

const DEFAULTS: &str = "defaults\n mode http\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n http-reuse always\n";

/// A namespace with origins; each answers a request with its own address and the head that it got.
struct Site {
    net: Netns,
    /// Two addresses in it.
    a: Ipv4Addr,
    b: Ipv4Addr,
}

impl Site {
    fn new() -> Option<Site> {
        let Some((net, [_, a, b])) = Netns::anywhere().unwrap() else {
            eprintln!("not root: namespaces cannot be made here");
            return None;
        };
        Some(Site { net, a, b })
    }

    fn origin(&self, ip: Ipv4Addr, port: u16) {
        let listener = self.net.enter(|| TcpListener::bind((ip, port))).unwrap().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let mut head = Vec::new();
                    let mut piece = [0; 4096];
                    while let Ok(n) = stream.read(&mut piece)
                        && n != 0
                    {
                        head.extend_from_slice(&piece[..n]);
                        if head.ends_with(b"\r\n\r\n") {
                            let body = format!("{ip}:{port}\n{}", String::from_utf8_lossy(&head));
                            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                            head.clear();
                        }
                    }
                });
            }
        });
    }

    /// The kernel sends connections to `port` to another one of the same host.
    fn redirect(&self, port: u16, to: u16) {
        let nft = |rule: &str| {
            let out = self.net.command("nft").args(rule.split(' ')).output().unwrap();
            assert!(out.status.success(), "nft {rule}: {}", String::from_utf8_lossy(&out.stderr));
        };
        nft("add table ip t");
        nft("add chain ip t c { type nat hook prerouting priority -100 ; }");
        nft(&format!("add rule ip t c tcp dport {port} redirect to :{to}"));
    }

    fn proxy(&self, config: &str) -> Running {
        let config = config.replace("{a}", &self.a.to_string()).replace("{b}", &self.b.to_string());
        let proxy = self.net.enter(|| Running::start(&format!("{DEFAULTS}{config}"), 1)).unwrap();
        wait::must("it runs", || proxy.census(1).len() == 1);
        proxy
    }
}

fn open(ip: Ipv4Addr, port: u16) -> Connection {
    Connection::open(SocketAddr::from((ip, port))).unwrap()
}

/// Address of the origin that answered, and the head that it got.
#[track_caller]
fn ask(connection: &mut Connection, target: &str) -> (String, String) {
    let host = target.strip_prefix("http://").and_then(|rest| rest.split('/').next()).unwrap_or("x");
    let answer = connection.exchange(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).unwrap();
    assert_eq!(answer.status, 200, "{:?}", String::from_utf8_lossy(&answer.body));
    let text = String::from_utf8(answer.body).unwrap();
    let (origin, head) = text.split_once('\n').unwrap();
    (origin.to_owned(), head.to_owned())
}

/// Two clients of a proxy on `port`, turn by turn: each reaches the origin of the address that it connected to.
#[track_caller]
fn each_its_own(site: &Site, port: u16, origin: u16) {
    let [mut one, mut two] = [open(site.a, port), open(site.b, port)];
    for _ in 0..3 {
        assert_eq!(ask(&mut one, "/").0, format!("{}:{origin}", site.a));
        assert_eq!(ask(&mut two, "/").0, format!("{}:{origin}", site.b));
    }
}

#[test]
fn transparent_goes_where_the_client_wanted_to() {
    let Some(site) = Site::new() else { return };
    site.origin(site.a, 80);
    site.origin(site.b, 80);
    site.redirect(80, 8080);
    {
        let _proxy = site.proxy("listen l\n bind :8080\n option transparent\n");
        each_its_own(&site, 80, 80);
    }
    {
        // Bound to one address, so that the listener's own is known: it is not what counts.
        let _proxy =
            site.proxy("frontend f\n mode tcp\n bind {a}:8080,{b}:8080\n default_backend k\nbackend k\n mode tcp\n option transparent\n");
        each_its_own(&site, 80, 80);
    }
    let _proxy = site.proxy("listen l\n bind :8080\n server s 0.0.0.0:0\n");
    each_its_own(&site, 80, 80);
}

#[test]
fn redirected_clients_for_fields_and_proxy_header() {
    let Some(site) = Site::new() else { return };
    site.origin(site.a, 80);
    site.redirect(8000, 8080);
    let _proxy = site.proxy("listen l\n bind {a}:8080\n option originalto\n server s {a}:80 send-proxy\n");
    let (_, head) = ask(&mut open(site.b, 8000), "/");
    assert!(head.contains(&format!("x-original-to: {}\r\n", site.b)), "{head}");
    let header = head.lines().next().unwrap();
    assert!(header.starts_with("PROXY TCP4 ") && header.contains(&format!(" {} ", site.b)) && header.ends_with(" 8000"), "{header}");
}

#[test]
fn ports_of_a_range_and_those_that_follow() {
    let Some(site) = Site::new() else { return };
    let ports = [8000, 8001, 8002];
    ports.iter().for_each(|port| site.origin(site.a, port + 100));
    ports.iter().for_each(|port| site.origin(site.a, *port - 10));
    let proxy = site.proxy("listen l\n bind {a}:8000-8002\n server s {a}:+100\nlisten m\n bind {b}:8000-8002\n server s {a}:-10\n");
    let mut clients = ports.map(|port| open(site.a, port));
    for _ in 0..2 {
        for (client, port) in clients.iter_mut().zip(ports) {
            assert_eq!(ask(client, "/").0, format!("{}:{}", site.a, port + 100));
        }
    }
    for port in ports {
        assert_eq!(ask(&mut open(site.b, port), "/").0, format!("{}:{}", site.a, port - 10));
    }
    drop(proxy);
}

#[test]
fn dispatch_in_place_of_servers() {
    let Some(site) = Site::new() else { return };
    site.origin(site.a, 81);
    site.origin(site.a, 82);
    let _proxy = site.proxy(
        "listen l\n bind {a}:8000\n dispatch {a}:81\n server s {a}:82\n option transparent\n\
         listen m\n bind {a}:8001\n dispatch {a}:81\n balance roundrobin\n server s {a}:82\n\
         listen n\n mode tcp\n bind {a}:8002\n dispatch {a}:81\n\
         listen o\n bind {a}:8003\n dispatch *:83\n",
    );
    site.origin(Ipv4Addr::LOCALHOST, 83);
    let there = |port: u16| format!("{}:{port}", site.a);
    for (port, origin) in [(8000, there(81)), (8001, there(82)), (8002, there(81)), (8003, "127.0.0.1:83".to_owned())] {
        let mut client = open(site.a, port);
        for _ in 0..2 {
            assert_eq!(ask(&mut client, "/").0, origin, "port {port}");
        }
    }
}

#[test]
fn http_proxy_goes_where_the_request_says() {
    let Some(site) = Site::new() else { return };
    site.origin(site.a, 81);
    site.origin(site.b, 82);
    let _proxy = site.proxy("listen l\n bind {a}:8000\n option http_proxy\n");
    let mut client = open(site.a, 8000);
    for _ in 0..2 {
        let (origin, head) = ask(&mut client, &format!("http://{}:81/path?query", site.a));
        assert_eq!(origin, format!("{}:81", site.a));
        assert!(head.starts_with("GET /path?query HTTP/1.1\r\n"), "{head}");
        let (origin, head) = ask(&mut client, &format!("http://{}:82", site.b));
        assert_eq!(origin, format!("{}:82", site.b));
        assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{head}");
    }
    // A name is not looked up, and a target that names no address leads nowhere.
    for target in ["/", "http://localhost/"] {
        let answer = open(site.a, 8000).exchange(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")).unwrap();
        assert_eq!(answer.status, 400, "{target}");
    }
}
