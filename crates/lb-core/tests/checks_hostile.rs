//! Servers that mean harm to their checks: one that never answers, one that answers byte by byte, one that sends without end. Each costs its
//! check, and never more than one descriptor.
#![allow(clippy::disallowed_methods)] // Tests live in real time.

mod world;

use lb_testkit::ports::free_tcp;
use lb_testkit::wait;
use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use world::Running;

/// What a server does with each connection.
#[derive(Clone, Copy, PartialEq)]
enum Does {
    Nothing,
    /// Sends this again and again, a piece at a time with a pause between.
    Sends(&'static [u8], Duration),
}

/// Accepts for ever; counts connections and the bytes that were taken of it.
struct Hostile {
    port: u16,
    accepted: Arc<AtomicUsize>,
    most: Arc<AtomicU64>,
}

impl Hostile {
    fn start(does: Does) -> Hostile {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (accepted, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
        let (counted, largest) = (accepted.clone(), most.clone());
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for mut stream in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::Relaxed);
                let Does::Sends(piece, pause) = does else {
                    kept.push(stream);
                    continue;
                };
                let largest = largest.clone();
                std::thread::spawn(move || {
                    let mut sent = 0;
                    while stream.write_all(piece).is_ok() {
                        sent += piece.len() as u64;
                        largest.fetch_max(sent, Ordering::Relaxed);
                        if !pause.is_zero() {
                            std::thread::sleep(pause);
                        }
                    }
                });
            }
        });
        Hostile { port, accepted, most }
    }
}

const KIB: [u8; 4096] = [b'x'; 4096];
const SPACES: &[u8] = b"HTTP/1.1 200 OK\r\nX: y\r\n";

#[test]
fn they_cost_their_checks_and_nothing_else() {
    let pause = Duration::from_millis(5);
    let servers = [
        ("silent", Does::Nothing),
        ("drip", Does::Sends(b"2", pause)),
        ("flood", Does::Sends(&KIB, Duration::ZERO)),
        ("lines", Does::Sends(b"\r\n", Duration::ZERO)),
        ("heads", Does::Sends(SPACES, Duration::ZERO)),
        ("replies", Does::Sends(b"250-more\r\n", Duration::ZERO)),
    ]
    .map(|(name, does)| (name, does, Hostile::start(does)));
    let kinds = [
        "option httpchk\n http-check expect string never",
        "option tcp-check\n tcp-check expect string never",
        "option tcp-check\n tcp-check expect rstring ne+ver$",
        "option redis-check",
        "option smtpchk",
        "option mysql-check user u",
        "option pgsql-check user u",
        "option ldap-check",
        "option spop-check",
    ];
    let port = free_tcp();
    let mut config =
        format!("defaults\n mode tcp\n timeout connect 5s\n timeout client 5s\n timeout server 5s\nfrontend f\n bind 127.0.0.1:{port}\n");
    for (n, kind) in kinds.iter().enumerate() {
        config += &format!("backend b{n}\n {kind}\n");
        for (name, _, server) in &servers {
            config += &format!(" server {name} 127.0.0.1:{} check inter 100 rise 1 fall 1\n", server.port);
        }
    }
    let running = Running::start(&config, 1);
    let checked = kinds.len() * servers.len();
    // A thread that has not begun yet has none.
    let open = || running.census(1).first().map_or(0, |(_, sockets)| *sockets);
    for (name, _, server) in &servers {
        wait::must(&format!("{name} is checked again and again"), || {
            assert!(open() <= checked + 8, "a check has one connection");
            server.accepted.load(Ordering::Relaxed) >= 4 * kinds.len()
        });
    }
    // All that a check takes is what it keeps, and what the kernel takes before anybody asks for it.
    const KERNEL: u64 = 8 << 20;
    for (name, _, server) in &servers {
        assert!(server.most.load(Ordering::Relaxed) < KERNEL, "{name}: {:?}", server.most);
    }
    for n in 0..kinds.len() {
        for (name, ..) in &servers {
            running.told(0, &format!("Server b{n}/{name} is DOWN"));
        }
    }
}
