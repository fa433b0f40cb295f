//! The end of a proxy in the middle of its work: killed, everything is given back at once; stopped softly, what is under way
//! comes to its end and nothing new begins. And servers that come and go under checks.

use crate::http::{Reader, field};
use crate::peers::*;
use crate::proxy::SimProxy;
use lb_core::proxy::ServerState;
use lb_rt::sim::{ConnectFault, SimWorld, seeds};
use lb_rt::{Rt, Socket};
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

const TCP: &str = "10.0.0.1:7000";
const WEB: &str = "10.0.0.1:80";
const TCP_ORIGIN: &str = "10.0.1.1:7000";
const WEB_ORIGINS: [&str; 2] = ["10.0.1.1:8080", "10.0.1.2:8080"];

pub fn config(world: &SimWorld, check: &str) -> String {
    // With checks there is no limit: a full server would leave the one that refuses as the only choice for all retries.
    let maxconn = if check.is_empty() && world.below(2) == 0 { " maxconn 2" } else { "" };
    format!(
        "defaults\n log @LOG@ local0\n timeout connect 5s\n timeout client 1h\n timeout server 1h\n timeout queue 1h\n timeout http-keep-alive 10s\n\
         listen tcp\n mode tcp\n option tcplog\n bind {TCP}\n server t {TCP_ORIGIN}{maxconn}\n\
         frontend web\n mode http\n option httplog\n bind {WEB}\n default_backend web\n\
         backend web\n mode http\n balance roundrobin\n option redispatch\n retries 3\n server w1 {}{maxconn}{check}\n server w2 {}{maxconn}{check}\n",
        WEB_ORIGINS[0], WEB_ORIGINS[1],
    )
}

async fn echo(socket: Socket) {
    let mut buf = [0; 4_000];
    while let Ok(n) = socket.read(&mut buf).await {
        if n == 0 || socket.write_all(&buf[..n]).await.is_err() {
            break;
        }
    }
}

async fn web(world: SimWorld, rt: Rt, socket: Socket) {
    let mut reader = Reader::new(&world);
    while let Ok(Some(_)) = reader.head(&socket).await {
        pause(&world, &rt, 2, Duration::from_millis(300)).await;
        let answer = [&b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n"[..], &bytes(4, 0, 3_000)].concat();
        if dribble(&world, &rt, &socket, &answer).await.is_err() {
            break;
        }
    }
}

pub fn origins(world: &SimWorld) -> Rt {
    let rt = Rt::simulated(world);
    origin(&rt, TCP_ORIGIN, echo);
    for at in WEB_ORIGINS {
        let (w, r) = (world.clone(), rt.clone());
        origin(&rt, at, move |socket| web(w.clone(), r.clone(), socket));
    }
    rt
}

/// Sends a stream and gets it back, all of it.
pub async fn talk(world: &SimWorld, rt: &Rt) -> io::Result<()> {
    let socket = connect(rt, TCP).await?;
    // Who closes without a word while it waits in a queue is sent away.
    let len = 1 + length(world);
    let sender = async {
        let mut at = 0;
        while at < len {
            let n = (len - at).min(5_000);
            socket.write_all(&bytes(3, at, at + n)).await?;
            at += n;
            pause(world, rt, 2, Duration::from_millis(200)).await;
        }
        socket.shutdown_write()
    };
    let (sent, got) = both(sender, receive_stream(world, rt, &socket, 3)).await;
    sent?;
    if got? == len { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// A connection's requests; says how many were answered. A `Connection: close` ends it. An answer that ends too soon is an
/// error of the kind `InvalidData`; any other error came between two.
pub async fn browse(world: &SimWorld, rt: &Rt, requests: u32) -> io::Result<u32> {
    let socket = connect(rt, WEB).await?;
    let mut reader = Reader::new(world);
    for n in 0..requests {
        socket.write_all(b"GET / HTTP/1.1\r\nHost: sim\r\n\r\n").await?;
        let Some(head) = reader.head(&socket).await? else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        reader.body(&socket, &head, 4, false).await.map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        if field(&head, "connection").is_some_and(|v| v.eq_ignore_ascii_case("close")) {
            return Ok(n + 1);
        }
        pause(world, rt, 2, Duration::from_millis(500)).await;
    }
    Ok(requests)
}

fn killed(seed: u64) {
    let world = SimWorld::new(seed);
    let proxy = SimProxy::start(&world, &config(&world, ""), 1 + world.below(2) as usize);
    let _origins = origins(&world);
    let clients = Rt::simulated(&world);
    for n in 0..6 {
        let (w, rt) = (world.clone(), clients.clone());
        clients.spawn(async move {
            // Whatever comes of it: the proxy dies.
            let _ = if n % 2 == 0 { talk(&w, &rt).await } else { browse(&w, &rt, 20).await.map(drop) };
        });
    }
    world.settle(Duration::from_millis(1 + world.below(2_000)));
    let open = proxy.process.gate.current();
    for (_, worker) in &proxy.threads {
        worker.shut_down();
    }
    proxy.assert_nothing_counted();
    // Each TCP stream and each request under way has left its line; an idle connection has none to leave.
    let lines = proxy.lines();
    let tcp_open = lines.iter().filter(|l| l.text.contains(" tcp tcp/")).count();
    assert!(tcp_open <= 3 && open <= 6, "{open} connections, {lines:?}");
    world.settle(Duration::from_secs(60));
    proxy.end();
}

#[test]
fn a_killed_proxy_gives_everything_back() {
    seeds(60, &[], killed);
}

fn stopped(seed: u64) {
    let world = SimWorld::new(seed);
    let waits = world.below(2) == 0;
    let config = config(&world, "")
        .replace("frontend web\n", if waits { "frontend web\n option idle-close-on-response\n" } else { "frontend web\n" });
    let proxy = SimProxy::start(&world, &config, 1 + world.below(2) as usize);
    let _origins = origins(&world);
    let clients = Rt::simulated(&world);
    let done = Rc::new(Cell::new(0));
    for n in 0..6 {
        let (w, rt, done) = (world.clone(), clients.clone(), done.clone());
        clients.spawn(async move {
            // All connect before the stop; what they have begun comes to its end.
            if n % 2 == 0 {
                talk(&w, &rt).await.expect("a stream goes on to its end");
            } else {
                let answered = browse(&w, &rt, 20).await;
                // Between two requests the connection may be closed, unless the option says otherwise: no answer is cut off.
                let cut_off = matches!(&answered, Err(e) if waits || e.kind() == io::ErrorKind::InvalidData);
                assert!(!cut_off, "waits: {waits}, {answered:?}");
            }
            done.set(done.get() + 1);
        });
    }
    let accepted = || proxy.process.gate.current() == 6 || done.get() != 0;
    world.run_until(accepted);
    world.settle(Duration::from_millis(world.below(1_000)));
    proxy.process.stop_softly();
    world.run_until(|| done.get() == 6);
    world.settle(Duration::from_secs(60));
    proxy.assert_nothing_counted();
    for (rt, _) in &proxy.threads {
        // The listeners are closed, their tasks gone.
        world.assert_drained(rt, 0, rt.live_tasks().min(2));
    }
    let late = Rc::new(Cell::new(None));
    let (rt, seen) = (clients.clone(), late.clone());
    clients.spawn(async move { seen.set(Some(connect(&rt, WEB).await.is_err())) });
    world.run_until(|| late.get().is_some());
    assert_eq!(late.get(), Some(true), "a stopped proxy accepts nobody");
    for line in proxy.lines() {
        assert!(line.end.starts_with("--"), "{}", line.text);
    }
    proxy.end();
}

#[test]
fn a_soft_stop_cuts_nobody_off() {
    seeds(60, &[], stopped);
}

fn flapping(seed: u64) {
    const CHECK: &str = " check inter 500ms fall 2 rise 2";
    let world = SimWorld::new(seed);
    // Checks have their time; a slow network is not what this is about.
    world.set_latency(Duration::ZERO, Duration::from_millis(3));
    world.set_buffers(70_000);
    let proxy = SimProxy::start(&world, &config(&world, CHECK), 2);
    let _origins = origins(&world);
    let clients = Rt::simulated(&world);
    let failed = Rc::new(Cell::new(0));
    let answered = Rc::new(Cell::new(0));
    for _ in 0..3 {
        let (w, rt, failed, answered) = (world.clone(), clients.clone(), failed.clone(), answered.clone());
        clients.spawn(async move {
            loop {
                match browse(&w, &rt, 1 + w.below(4) as u32).await {
                    Ok(n) => answered.set(answered.get() + n),
                    Err(_) => failed.set(failed.get() + 1),
                }
                rt.sleep(Duration::from_millis(50 + w.below(300))).await;
            }
        });
    }
    world.settle(Duration::from_secs(3));
    let backend = proxy.process.topology.backends.iter().find(|b| b.name() == "web").expect("a backend").clone();
    let state = |n: usize| backend.servers()[n].state();
    assert_eq!((state(0), state(1)), (ServerState::Up, ServerState::Up));
    for round in 0..4 {
        let n = world.below(2) as usize;
        // Refused connections are retried and redispatched: no client sees them, neither before the checks have noticed nor after.
        world.on_connect(&addr(WEB_ORIGINS[n]), Some(ConnectFault::Refuse));
        world.settle(Duration::from_secs(4));
        assert_eq!(state(n), ServerState::Down, "round {round}");
        assert_eq!(state(1 - n), ServerState::Up, "round {round}");
        let asked = proxy.process.chosen(&backend.servers()[n]);
        world.settle(Duration::from_secs(2));
        assert_eq!(proxy.process.chosen(&backend.servers()[n]), asked, "a server that is down is asked nothing");
        world.on_connect(&addr(WEB_ORIGINS[n]), None);
        world.settle(Duration::from_secs(4));
        assert_eq!(state(n), ServerState::Up, "round {round}");
    }
    assert!(answered.get() > 20, "{}", answered.get());
    assert_eq!(failed.get(), 0, "requests that failed");
    clients.kill_all();
    world.settle(Duration::from_secs(60));
    proxy.assert_nothing_counted();
    proxy.end();
}

#[test]
fn servers_come_and_go_unnoticed() {
    seeds(15, &[], flapping);
}
