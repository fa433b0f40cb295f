//! A server's places and who waits for them, with clients in several threads: first come, first served; nobody starves; a place
//! that a waiter leaves behind goes on to the next.
#![allow(clippy::disallowed_methods)] // Tests live in real time.

mod world;

use lb_balance::{Key, Pick, ServerId, Tried};
use lb_core::loggers::Loggers;
use lb_core::proxy::{Backend, ServerState, Topology};
use lb_core::queue::{Priority, enqueue, try_slot};
use lb_rt::Rt;
use lb_testkit::http::Connection;
use lb_testkit::ports::free_tcp;
use lb_testkit::syslog::Syslog;
use lb_testkit::wait::{self, Deadline};
use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;
use world::{Origin, Running, asked};

const THREADS: usize = 3;

/// A proxy whose clients are dealt out to its threads in turn, with a server that serves one at a time.
fn narrow(origin: &Origin, port: u16, server: &str, listen: &str) -> Running {
    let proxy = Running::start(
        &format!(
            "global\n noreuseport\ndefaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n timeout queue 60s\n\
             \x20http-reuse never\n retries 0\nlisten l\n bind 127.0.0.1:{port}\n{listen} server s 127.0.0.1:{} {server}\n",
            origin.port
        ),
        THREADS,
    );
    wait::must("all threads run", || proxy.census(THREADS).len() == THREADS);
    proxy
}

fn waiting(proxy: &Running) -> u32 {
    waiting_in(&proxy.process.topology.backends[0])
}

fn waiting_in(backend: &Backend) -> u32 {
    backend.queue.backend_waiting() + backend.servers()[0].queued.load(Ordering::SeqCst)
}

/// Asks for `path`; the answer is read later.
fn ask(port: u16, path: &str) -> Connection {
    let mut connection = Connection::open((Ipv4Addr::LOCALHOST, port)).unwrap();
    connection.send(format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")).unwrap();
    connection
}

/// One client in service and `count` behind it, in the order of their numbers.
fn line_up(proxy: &Running, origin: &Origin, port: u16, count: u32) -> (Connection, Vec<Connection>) {
    let first = ask(port, "/hold");
    wait::must("the place is taken", || origin.requests() == 1);
    let line = (0..count)
        .map(|n| {
            let client = ask(port, &format!("/{n}"));
            wait::must("it waits", || waiting(proxy) == n + 1);
            client
        })
        .collect();
    (first, line)
}

/// The paths that the origin was asked for, each on a connection of its own.
fn paths(origin: &Origin) -> Vec<String> {
    let path = |head: &Vec<u8>| String::from_utf8_lossy(head).split(' ').nth(1).unwrap_or_default().to_owned();
    origin.heads().iter().map(path).collect()
}

fn nothing_is_left(proxy: &Running) {
    let server = proxy.process.topology.backends[0].servers()[0].clone();
    wait::must("all places and waiters are gone", || server.served.load(Ordering::SeqCst) == 0 && waiting(proxy) == 0);
}

#[test]
fn first_come_first_served_over_all_threads() {
    let (origin, port) = (Origin::start("a"), free_tcp());
    let proxy = narrow(&origin, port, "maxconn 1", "");
    let (mut first, mut line) = line_up(&proxy, &origin, port, 12);
    origin.release();
    for client in std::iter::once(&mut first).chain(&mut line) {
        assert_eq!(client.response(false).unwrap().status, 200);
    }
    let order: Vec<String> = std::iter::once("/hold".to_owned()).chain((0..12).map(|n| format!("/{n}"))).collect();
    assert_eq!(paths(&origin), order);
    nothing_is_left(&proxy);
}

#[test]
fn who_leaves_holds_up_nobody() {
    let (origin, port) = (Origin::start("a"), free_tcp());
    let proxy = narrow(&origin, port, "maxconn 1", "");
    let (mut first, line) = line_up(&proxy, &origin, port, 12);
    // Every third one resets its connection, which is noticed while it waits.
    let (gone, mut stay): (Vec<_>, Vec<_>) = line.into_iter().enumerate().partition(|(n, _)| n % 3 == 0);
    for (_, client) in gone {
        rustix::net::sockopt::set_socket_linger(client.stream(), Some(Duration::ZERO)).unwrap();
    }
    wait::must("they have left the queue", || waiting(&proxy) == 8);
    origin.release();
    assert_eq!(first.response(false).unwrap().status, 200);
    for (_, client) in &mut stay {
        assert_eq!(client.response(false).unwrap().status, 200);
    }
    let order: Vec<String> = std::iter::once("/hold".to_owned()).chain((0..12).filter(|n| n % 3 != 0).map(|n| format!("/{n}"))).collect();
    assert_eq!(paths(&origin), order);
    nothing_is_left(&proxy);
}

/// Grants cross with waiters that leave: whichever comes first, no place is lost and none is given twice.
#[test]
fn grants_and_leavers_cross() {
    let (origin, port) = (Origin::start("a"), free_tcp());
    let proxy = narrow(&origin, port, "maxconn 2", "");
    let server = proxy.process.topology.backends[0].servers()[0].clone();
    std::thread::scope(|scope| {
        for thread in 0..6u64 {
            scope.spawn(move || {
                for n in 0..150u64 {
                    let mut client = ask(port, "/x");
                    // From "at once" to "after the answer", in steps that fall everywhere between.
                    if (n + thread) % 3 == 0 {
                        std::thread::sleep(Duration::from_micros((n * 37 + thread * 11) % 700));
                        rustix::net::sockopt::set_socket_linger(client.stream(), Some(Duration::ZERO)).unwrap();
                    } else {
                        assert_eq!(client.response(false).unwrap().status, 200);
                    }
                }
            });
        }
        for _ in 0..200 {
            let served = server.served.load(Ordering::SeqCst);
            assert!(served <= 2, "{served} streams at a server of two places");
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    nothing_is_left(&proxy);
    assert_eq!(asked(port, "/"), (200, "a".into()));
}

/// Many clients ask again and again: each has its turn before anybody who came later, so that no more are served before it than
/// there are others. What counts is the proxy's own count, since a client that is slow to ask on a busy machine waits for nobody.
#[test]
fn nobody_starves() {
    const CLIENTS: usize = 9;
    const EACH: usize = 60;
    let (origin, port, log) = (Origin::start("a"), free_tcp(), Syslog::udp().unwrap());
    let proxy = narrow(&origin, port, "maxconn 1", &format!(" log 127.0.0.1:{} local0\n log-format waited=%bq,%sq,\n", log.port()));
    let (hold, _) = line_up(&proxy, &origin, port, 0);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = Connection::open((Ipv4Addr::LOCALHOST, port)).unwrap();
                for _ in 0..EACH {
                    assert_eq!(client.exchange("GET /x HTTP/1.1\r\nHost: t\r\n\r\n").unwrap().status, 200);
                }
            });
        }
        // All of them wait before the first is served.
        wait::must("all are in the queue", || waiting(&proxy) as usize == CLIENTS);
        origin.release();
    });
    drop(hold);
    nothing_is_left(&proxy);
    wait::must("most lines have come", || log.lines().len() > CLIENTS * EACH / 2);
    // How many were served from the queue before it, itself among them.
    let place = |line: &String| -> usize {
        let (_, numbers) = line.split_once("waited=").expect("the format");
        numbers.split(',').filter_map(|n| n.parse::<usize>().ok()).sum()
    };
    let places: Vec<usize> = log.text().iter().map(place).collect();
    assert!(places.iter().all(|&place| place <= CLIENTS), "{places:?}");
    assert!(places.contains(&CLIENTS), "the last of the first round waits for all others: {places:?}");
}

/// The race that a test over sockets hardly ever meets: the only place is freed just when somebody has found none and begins to wait.
/// Nobody else comes who would put it right.
#[test]
fn a_place_that_is_freed_meanwhile_is_not_overlooked() {
    const ROUNDS: u32 = 8_000;
    let text =
        "defaults\n mode tcp\n timeout connect 1s\n timeout client 1s\n timeout server 1s\nbackend b\n server s 127.0.0.1:9 maxconn 1\n";
    let (config, _) = lb_config::parse(&lb_config::Source::new().file("queue.cfg", text.as_bytes()));
    let topology = Topology::new(&config, &mut Loggers::new(&config), 100);
    let backend = topology.backends.iter().find(|b| b.name() == "b").expect("it is there").clone();
    let take = |backend: &Arc<Backend>| match backend.choose(Key::None, &Tried::new(), std::time::Instant::now()) {
        Pick::Server(id) => (Some(id), try_slot(backend, id)),
        _ => (None, None),
    };
    // A barrier that wakes nobody: both go on within nanoseconds of each other.
    let arrived = Arc::new(AtomicUsize::new(0));
    let meet = |arrived: &AtomicUsize, times: u32| {
        arrived.fetch_add(1, Ordering::SeqCst);
        let deadline = Deadline::after(wait::patience() * 2);
        let mut spins = 0u32;
        while arrived.load(Ordering::SeqCst) < 2 * times as usize {
            std::hint::spin_loop();
            spins += 1;
            if spins.is_multiple_of(5_000) {
                assert!(!deadline.passed(), "the other thread is stuck");
                // Should there be but one core.
                std::thread::yield_now();
            }
        }
    };
    let spin = |n: u32| (0..n).for_each(|_| std::hint::spin_loop());
    let (theirs, at) = (backend.clone(), arrived.clone());
    let waits = std::thread::spawn(move || {
        let rt = Rt::new().unwrap();
        let own = rt.clone();
        rt.block_on(async move {
            for round in 0..ROUNDS {
                meet(&at, 2 * round + 1);
                spin(round / 7 % 100);
                if let (server, None) = take(&theirs) {
                    let mut ticket = enqueue(&own, &theirs, server, Priority::default());
                    let deadline = own.now() + wait::patience();
                    poll_fn(|_| match ticket.poll(&own) {
                        Poll::Ready(granted) => {
                            drop(granted);
                            Poll::Ready(())
                        }
                        Poll::Pending => own.poll_deadline(Some(deadline)).map(|()| panic!("round {round}: nobody gives it the place")),
                    })
                    .await;
                }
                meet(&at, 2 * round + 2);
            }
        })
        .unwrap();
    });
    for round in 0..ROUNDS {
        let slot = take(&backend).1.expect("nobody has it");
        meet(&arrived, 2 * round + 1);
        spin(round % 100);
        drop(slot);
        meet(&arrived, 2 * round + 2);
    }
    waits.join().unwrap();
    assert_eq!((backend.servers()[0].served.load(Ordering::SeqCst), waiting_in(&backend)), (0, 0));
}

/// A server that goes down looks after those who wait for any server, since a backup may have its turn now; where nobody waits it
/// does not go through the others: there may be a hundred thousand.
#[test]
fn a_backup_that_has_its_turn_serves_who_waits() {
    let text = "defaults\n mode tcp\n timeout connect 1s\n timeout client 1s\n timeout server 1s\nbackend b\n \
                server a 127.0.0.1:9 maxconn 1\n server b 127.0.0.1:9 maxconn 1 backup\n server c 127.0.0.1:9 maxconn 1 backup\n option allbackups\n";
    let (config, _) = lb_config::parse(&lb_config::Source::new().file("queue.cfg", text.as_bytes()));
    let topology = Topology::new(&config, &mut Loggers::new(&config), 100);
    let backend = topology.backends.iter().find(|b| b.name() == "b").expect("it is there").clone();
    let served = |n: u32| backend.server(ServerId(n)).served.load(Ordering::SeqCst);
    let held = try_slot(&backend, ServerId(0)).expect("it is free");
    let rt = Rt::new().unwrap();
    let own = rt.clone();
    let theirs = backend.clone();
    let tickets = rt.block_on(async move { [(); 3].map(|()| enqueue(&own, &theirs, None, Priority::default())) }).unwrap();
    assert_eq!((served(0), served(1), served(2), waiting_in(&backend)), (1, 0, 0, 3));
    backend.set_state(ServerId(0), ServerState::Down);
    assert_eq!((served(0), served(1), served(2), waiting_in(&backend)), (1, 1, 1, 1), "each backup has one");
    drop(tickets);
    drop(held);
    assert_eq!((served(0), served(1), served(2), waiting_in(&backend)), (0, 0, 0, 0));
}
