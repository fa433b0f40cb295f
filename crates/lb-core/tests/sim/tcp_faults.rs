//! Mode tcp with one fault per run: the termination state of the line names it, and nothing is left behind.

use crate::peers::*;
use crate::proxy::SimProxy;
use lb_rt::sim::{ConnectFault, SimWorld, seeds};
use lb_rt::{Rt, Socket};
use std::cell::Cell;
use std::future::pending;
use std::io;
use std::rc::Rc;
use std::time::Duration;

const FRONT: &str = "10.0.0.1:80";
const ORIGIN: &str = "10.0.1.1:8080";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    Refused,
    Blackhole,
    ClientReset,
    ServerReset,
    /// Nobody says anything; the client's patience is the shorter one.
    SilentClient,
    SilentServer,
    ClientNeverReads,
    ServerNeverReads,
    QueueTimeout,
    LeavesQueue,
    LeavesConnect,
    /// Comes and goes without a word while the server is asked.
    NoWord,
    /// One half-closes, the other never ends.
    EndlessServer,
    AcceptFails,
    NoDescriptors,
}

const FAULTS: [Fault; 15] = [
    Fault::Refused,
    Fault::Blackhole,
    Fault::ClientReset,
    Fault::ServerReset,
    Fault::SilentClient,
    Fault::SilentServer,
    Fault::ClientNeverReads,
    Fault::ServerNeverReads,
    Fault::QueueTimeout,
    Fault::LeavesQueue,
    Fault::LeavesConnect,
    Fault::NoWord,
    Fault::EndlessServer,
    Fault::AcceptFails,
    Fault::NoDescriptors,
];

impl Fault {
    /// The line of the client that meets it.
    fn end(self) -> &'static str {
        match self {
            Fault::Refused => "SC",
            Fault::Blackhole => "sC",
            Fault::ClientReset => "CD",
            Fault::ServerReset => "SD",
            Fault::SilentClient | Fault::ClientNeverReads => "cD",
            Fault::SilentServer | Fault::ServerNeverReads => "sD",
            Fault::QueueTimeout => "sQ",
            Fault::LeavesQueue => "CQ",
            Fault::LeavesConnect | Fault::NoWord => "CC",
            // `timeout server-fin`
            Fault::EndlessServer => "sD",
            Fault::AcceptFails | Fault::NoDescriptors => "--",
        }
    }

    fn queues(self) -> bool {
        matches!(self, Fault::QueueTimeout | Fault::LeavesQueue)
    }
}

fn config(fault: Fault) -> String {
    let (client, server) = if fault == Fault::SilentServer { (9, 7) } else { (5, 7) };
    format!(
        "defaults\n mode tcp\n log @LOG@ local0\n option tcplog\n retries 2\n timeout connect 2s\n timeout client {client}s\n timeout server {server}s\n timeout queue 3s\n timeout server-fin 1s\n\
         frontend fe\n bind {FRONT}\n default_backend be\n\
         backend be\n server s1 {ORIGIN}{}\n",
        if fault.queues() { " maxconn 1" } else { "" }
    )
}

/// A reset is told once: to the reader or to the writer, whoever comes first.
fn reset_of(wrote: io::Result<()>, read: io::Result<()>) -> Option<io::ErrorKind> {
    let reset = |r: io::Result<()>| r.err().map(|e| e.kind()).filter(|k| *k == io::ErrorKind::ConnectionReset);
    reset(read).or_else(|| reset(wrote))
}

/// What the origin does with the connection of the first client (which only holds the slot where there is a queue), and with
/// those of the others.
async fn serve(world: SimWorld, rt: Rt, socket: Socket, fault: Fault, seen: Rc<Cell<Option<io::ErrorKind>>>) {
    let mut first = [0];
    match fault {
        Fault::ServerReset => {
            socket.read(&mut first).await.expect("a byte");
            let _ = both(
                async {
                    rt.sleep(Duration::from_millis(1 + world.below(200))).await;
                    if world.below(2) == 0 { world.cut(&socket) } else { socket.reset_on_close() }
                },
                async { if world.below(2) == 0 { socket.write_all(&bytes(0, 0, 1000)).await } else { Ok(()) } },
            )
            .await;
        }
        Fault::ClientReset => {
            socket.read(&mut first).await.expect("a byte");
            let (wrote, read) = both(
                async {
                    let mut at = 0;
                    loop {
                        socket.write_all(&bytes(2, at, at + 3000)).await?;
                        at += 3000;
                        rt.sleep(Duration::from_millis(5)).await;
                    }
                },
                swallow(&socket),
            )
            .await;
            seen.set(reset_of(wrote, read.map(drop)));
        }
        Fault::SilentClient | Fault::SilentServer => {
            socket.read(&mut first).await.expect("a byte");
            let _ = socket.read(&mut first).await;
        }
        Fault::ClientNeverReads => while socket.write_all(&[7; 5000]).await.is_ok() {},
        Fault::ServerNeverReads => {
            // Its own side is alive: only its not reading may end it.
            while socket.write_all(b"x").await.is_ok() {
                rt.sleep(Duration::from_secs(60)).await;
            }
        }
        Fault::EndlessServer => {
            swallow(&socket).await.expect("the client's end");
            let _ = socket.write_all(b"no end").await;
            rt.sleep(Duration::from_secs(100)).await;
        }
        _ => {
            let _ = swallow(&socket).await;
        }
    }
}

async fn visit(world: SimWorld, rt: Rt, fault: Fault, seen: Rc<Cell<Option<io::ErrorKind>>>) {
    let socket = connect(&rt, FRONT).await.expect("connect");
    match fault {
        Fault::NoWord => {
            // Its end comes while the server has not answered.
            rt.sleep(Duration::from_millis(world.below(300))).await;
            socket.shutdown_write().expect("open");
            let _ = swallow(&socket).await;
        }
        Fault::LeavesConnect | Fault::LeavesQueue => {
            if world.below(2) == 0 {
                socket.write_all(b"x").await.expect("room");
            }
            rt.sleep(Duration::from_millis(700 + world.below(500))).await;
            world.cut(&socket);
        }
        Fault::ClientReset => {
            let (_, ()) = both(
                async {
                    let mut at = 0;
                    while socket.write_all(&bytes(1, at, at + 3000)).await.is_ok() {
                        at += 3000;
                        rt.sleep(Duration::from_millis(3)).await;
                    }
                },
                async {
                    let mut first = [0];
                    socket.read(&mut first).await.expect("a byte");
                    rt.sleep(Duration::from_millis(world.below(200))).await;
                    world.cut(&socket);
                },
            )
            .await;
        }
        Fault::ServerReset => {
            let (wrote, read) = both(send_stream(&world, &rt, &socket, 1, 100_000), swallow(&socket)).await;
            seen.set(reset_of(wrote, read.map(drop)));
        }
        Fault::ClientNeverReads => {
            rt.sleep(Duration::from_secs(100)).await;
        }
        Fault::ServerNeverReads => {
            let (_, _) = both(async { while socket.write_all(&[1; 5000]).await.is_ok() {} }, swallow(&socket)).await;
        }
        Fault::EndlessServer => {
            socket.write_all(b"the end").await.expect("room");
            socket.shutdown_write().expect("open");
            let _ = swallow(&socket).await;
        }
        Fault::AcceptFails | Fault::NoDescriptors => {
            socket.write_all(b"hello").await.expect("room");
            rt.sleep(Duration::from_millis(world.below(1000))).await;
            socket.shutdown_write().expect("open");
            assert_eq!(swallow(&socket).await.expect("the end"), 0);
        }
        _ => {
            socket.write_all(b"x").await.expect("room");
            let _ = swallow(&socket).await;
        }
    }
}

fn run(seed: u64) {
    let fault = FAULTS[(seed % FAULTS.len() as u64) as usize];
    let world = SimWorld::new(seed);
    if matches!(fault, Fault::ServerNeverReads | Fault::ClientNeverReads) {
        // The more fits into the buffers, the longer it takes to fill them.
        world.set_buffers(10_000);
    }
    let proxy = SimProxy::start(&world, &config(fault), 1);
    proxy.must_not_stall();
    let front = &proxy.threads[0].0;
    // What origin or client saw of the other's reset.
    let seen = Rc::new(Cell::new(None));
    let origins = Rt::simulated(&world);
    match fault {
        Fault::Refused => {}
        Fault::Blackhole | Fault::LeavesConnect | Fault::NoWord => {
            world.on_connect(&addr(ORIGIN), Some(ConnectFault::Blackhole));
        }
        _ => {
            let (w, rt, seen) = (world.clone(), origins.clone(), seen.clone());
            origin(&origins, ORIGIN, move |socket| serve(w.clone(), rt.clone(), socket, fault, seen.clone()));
        }
    }
    let clients = Rt::simulated(&world);
    if fault.queues() {
        let rt = clients.clone();
        clients.spawn(async move {
            let holder = connect(&rt, FRONT).await.expect("connect");
            let mut beat = 0;
            // Alive for longer than the other waits.
            while beat < 8 && holder.write_all(b"x").await.is_ok() {
                rt.sleep(Duration::from_secs(1)).await;
                beat += 1;
            }
        });
        world.settle(Duration::from_millis(500));
    }
    let visitors: u64 = match fault {
        Fault::AcceptFails => {
            world.fail_accept(&addr(FRONT), if world.below(2) == 0 { 103 } else { 23 }, 1 + world.below(5) as u32);
            5
        }
        Fault::NoDescriptors => {
            // Room for two or three clients and their servers at a time.
            world.set_descriptor_limit(front, world.descriptors(front) + 4 + world.below(3) as usize);
            6
        }
        _ => 1,
    };
    let done = Rc::new(Cell::new(0));
    for _ in 0..visitors {
        let (w, rt, seen, done) = (world.clone(), clients.clone(), seen.clone(), done.clone());
        clients.spawn(async move {
            visit(w, rt, fault, seen).await;
            done.set(done.get() + 1);
            if fault == Fault::ClientNeverReads {
                pending::<()>().await;
            }
        });
    }
    world.run_until(|| done.get() == visitors);
    world.settle(Duration::from_secs(200));
    proxy.drain(0);
    let lines = proxy.lines();
    let expected = visitors as usize + usize::from(fault.queues());
    assert_eq!(lines.len(), expected, "{fault:?}: {lines:?}");
    let states: Vec<&str> = lines.iter().map(|l| l.end.as_str()).collect();
    match fault {
        Fault::NoDescriptors => {
            // Who got in and found no descriptor for the server is told so: never anything worse.
            assert!(states.iter().all(|s| ["--", "SC"].contains(s)), "{fault:?}: {lines:?}");
        }
        Fault::AcceptFails => assert!(states.iter().all(|s| *s == "--"), "{fault:?}: {lines:?}"),
        _ => assert!(states.contains(&fault.end()), "{fault:?} wants {}: {lines:?}", fault.end()),
    }
    if fault == Fault::AcceptFails || fault == Fault::NoDescriptors {
        // Said once for each time that there is no room, not for each connection.
        assert!(proxy.told().iter().all(|t| t.starts_with("cannot accept connections")), "{:?}", proxy.told());
        assert!(proxy.told().len() as u64 <= visitors, "{:?}", proxy.told());
    } else {
        assert!(proxy.told().is_empty(), "{:?}", proxy.told());
    }
    if fault == Fault::Refused {
        assert_eq!(lines[0].retries, "2", "{lines:?}");
    }
    if matches!(fault, Fault::ClientReset | Fault::ServerReset) {
        assert!(seen.get().is_some(), "{fault:?}: the other side took a part for the whole");
    }
    proxy.end();
}

#[test]
fn the_state_names_the_fault() {
    seeds(300, &[659], run);
}
