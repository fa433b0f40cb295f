//! What threads do for each other: connections dealt out by a listener that only one thread serves, and idle server connections
//! that go from the thread that has them to the one that needs one.
#![allow(clippy::disallowed_methods)] // Tests live in real time.

mod world;

use lb_testkit::fixture::TempDir;
use lb_testkit::http::Connection;
use lb_testkit::ports::free_tcp;
use lb_testkit::wait;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use world::{Origin, Running, asked};

const DEFAULTS: &str =
    "defaults\n mode http\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n http-reuse always\n retries 0\n";

/// Live tasks by thread, in order.
fn tasks(proxy: &Running, threads: usize) -> Vec<usize> {
    let (sender, receiver) = mpsc::channel();
    proxy.process.everywhere(move |worker| {
        let _ = sender.send((worker.index, worker.rt.live_tasks()));
    });
    let mut all: Vec<_> = (0..threads).map(|_| receiver.recv_timeout(wait::patience()).unwrap()).collect();
    all.sort_unstable();
    all.into_iter().map(|(_, tasks)| tasks).collect()
}

fn all_run(proxy: &Running, threads: usize) {
    wait::must("all threads run", || proxy.census(threads).len() == threads);
}

fn idle(proxy: &Running) -> u32 {
    proxy.process.topology.backends[0].servers()[0].idle.load(Ordering::SeqCst)
}

fn echo() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut buf = [0; 100];
                while let Ok(n) = stream.read(&mut buf)
                    && n != 0
                    && stream.write_all(&buf[..n]).is_ok()
                {}
            });
        }
    });
    port
}

#[track_caller]
fn pings(stream: &mut (impl Read + Write)) {
    stream.write_all(b"ping").unwrap();
    let mut buf = [0; 4];
    stream.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"ping");
}

#[test]
fn connections_of_a_unix_listener_go_to_all_threads() {
    let dir = TempDir::new("threads").unwrap();
    let (path, to) = (dir.path().join("s"), echo());
    let proxy =
        Running::start(&format!("{DEFAULTS}listen l\n mode tcp\n bind unix@{} maxconn 6\n server s 127.0.0.1:{to}\n", path.display()), 3);
    all_run(&proxy, 3);
    let mut clients: Vec<UnixStream> = (0..6).map(|_| UnixStream::connect(&path).unwrap()).collect();
    clients.iter_mut().for_each(pings);
    // Each has its main task, the first one accepts as well.
    assert_eq!(tasks(&proxy, 3), [4, 3, 3]);
    assert_eq!(proxy.process.gate.current(), 6);
    // What counts in one thread is given back in another: there is room for the seventh.
    let mut waiting = UnixStream::connect(&path).unwrap();
    waiting.write_all(b"ping").unwrap();
    drop(clients.pop());
    let mut buf = [0; 4];
    waiting.read_exact(&mut buf).unwrap();
    drop((clients, waiting));
    wait::must("all are gone", || proxy.process.gate.current() == 0 && tasks(&proxy, 3) == [2, 1, 1]);
}

#[test]
fn connections_of_an_inherited_listener_go_to_all_threads() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (port, to) = (listener.local_addr().unwrap().port(), echo());
    // The proxy takes a duplicate or the descriptor itself: it is not ours any more.
    let fd = listener.as_raw_fd();
    let _ = listener.into_raw_fd();
    let proxy = Running::start(&format!("{DEFAULTS}listen l\n mode tcp\n bind fd@{fd}\n server s 127.0.0.1:{to}\n"), 2);
    all_run(&proxy, 2);
    let mut clients: Vec<TcpStream> = (0..4).map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap()).collect();
    clients.iter_mut().for_each(pings);
    assert_eq!(tasks(&proxy, 2), [4, 3]);
}

/// A proxy with one listening socket, whose connections go to its threads in turn.
fn shared_pool(global: &str, server: &str, origin: &Origin, port: u16, threads: usize) -> Running {
    let to = origin.port;
    let proxy = Running::start(
        &format!("global\n noreuseport\n{global}{DEFAULTS}listen l\n bind 127.0.0.1:{port}\n server s 127.0.0.1:{to} {server}\n"),
        threads,
    );
    all_run(&proxy, threads);
    proxy
}

#[test]
fn an_idle_connection_goes_to_the_thread_that_needs_one() {
    let (origin, port) = (Origin::start("a"), free_tcp());
    let proxy = shared_pool("", "", &origin, port, 2);
    for n in 1..=10 {
        assert_eq!(asked(port, "/"), (200, "a".into()));
        wait::must("the connection is idle again", || idle(&proxy) == 1);
        assert_eq!(origin.requests(), n);
    }
    assert_eq!(origin.accepted(), 1, "the threads took turns with the one connection");
}

#[test]
fn threads_keep_their_own_when_told_so() {
    for (global, server) in [(" tune.idle-pool.shared off\n", ""), ("", "pool-low-conn 3")] {
        let (origin, port) = (Origin::start("a"), free_tcp());
        let proxy = shared_pool(global, server, &origin, port, 2);
        for n in 1..=6 {
            assert_eq!(asked(port, "/"), (200, "a".into()));
            wait::must("the connection is idle again", || idle(&proxy) == n.min(2));
        }
        assert_eq!(origin.accepted(), 2, "one for each thread");
    }
}

#[test]
fn a_thread_that_does_not_answer_is_not_waited_for() {
    let (origin, port) = (Origin::start("a"), free_tcp());
    let proxy = shared_pool("", "", &origin, port, 2);
    // A client in each thread; the accepting one must go on.
    let mut clients: Vec<Connection> = (0..2).map(|_| Connection::open((Ipv4Addr::LOCALHOST, port)).unwrap()).collect();
    let get = |client: &mut Connection| {
        let response = client.exchange("GET / HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
        assert_eq!(response.status, 200);
    };
    get(&mut clients[0]);
    wait::must("the connection is idle", || idle(&proxy) == 1);
    let (blocked, is_blocked) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Arc::new(std::sync::Mutex::new(released));
    proxy.process.everywhere(move |worker| {
        if !worker.pools.is_empty() {
            blocked.send(worker.index).unwrap();
            let _ = released.lock().unwrap().recv_timeout(wait::patience());
        }
    });
    is_blocked.recv_timeout(wait::patience()).unwrap();
    get(&mut clients[1]);
    assert_eq!(origin.accepted(), 2, "a connection of its own");
    release.send(()).unwrap();
    get(&mut clients[0]);
    assert_eq!(origin.accepted(), 2);
    wait::must("both are kept", || idle(&proxy) == 2);
}

#[test]
fn many_threads_share_without_losing_any() {
    const THREADS: usize = 4;
    let (origin, port) = (Origin::start("a"), free_tcp());
    let proxy = shared_pool("", "", &origin, port, THREADS);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| (0..200).for_each(|_| assert_eq!(asked(port, "/"), (200, "a".into()))));
        }
    });
    assert_eq!(origin.requests(), 1200);
    let kept = || {
        let (sender, receiver) = mpsc::channel();
        proxy.process.everywhere(move |worker| {
            let _ = sender.send((worker.pools.len(), worker.rt.open_sockets()));
        });
        (0..THREADS).map(|_| receiver.recv_timeout(wait::patience()).unwrap()).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    };
    // One socket listens; every other one is in a pool, and counted.
    wait::must("nothing is lost", || {
        let (pooled, open) = kept();
        idle(&proxy) as usize == pooled && open == pooled + 1
    });
    assert!(origin.accepted() < 100, "connections are used again: {}", origin.accepted());
}
