//! The simulator against relays written on lb-rt alone: sound ones over many seeds, and broken ones, which it must catch.

#[path = "common/mod.rs"]
mod common;

use common::{both, byte};
use lb_rt::sim::{SimWorld, seeds};
use lb_rt::{Bind, Buffer, Listener, PooledPipe, Rt, Socket, Spliced};
use lb_sys::Addr;
use lb_sys::socket::SockOpt;
use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::Duration;

/// How a relay goes wrong on purpose.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Bug {
    None,
    /// Takes a short read for "empty" and waits for an event by itself, although FIN may have come along.
    ForgetsFin,
    /// Drains the pipe only when a fill has filled it.
    WaitsForFullPipe,
    /// Does not tell the other side of the end.
    KeepsEnd,
    /// Writes a byte twice when a write was short.
    Repeats,
    /// Asks to be polled again instead of waiting.
    Spins,
    /// Forgets a socket.
    Leaks,
}

/// One direction.
struct Flow {
    splice: bool,
    pipe: Option<PooledPipe>,
    buffer: Option<Buffer>,
    bug: Bug,
    done: bool,
    /// Polls before which nothing is read.
    blind: bool,
}

impl Flow {
    fn new(splice: bool, bug: Bug) -> Flow {
        Flow { splice, pipe: None, buffer: None, bug, done: false, blind: false }
    }

    fn poll(&mut self, rt: &Rt, from: &Socket, to: &Socket) -> Poll<io::Result<()>> {
        if self.done {
            return Poll::Ready(Ok(()));
        }
        loop {
            if let Some(pipe) = &mut self.pipe {
                while pipe.held() != 0 && (self.bug != Bug::WaitsForFullPipe || self.blind) {
                    ready!(to.poll_drain(pipe, usize::MAX, false))?;
                }
            }
            if let Some(buffer) = &mut self.buffer {
                while !buffer.is_empty() {
                    let len = buffer.len();
                    let n = ready!(to.poll_write(buffer.filled(), false))?;
                    buffer.consume(if self.bug == Bug::Repeats && n < len { n - 1 } else { n });
                }
            }
            ready!(from.poll_readable())?;
            let eof = if self.splice { ready!(self.fill(rt, from))? } else { ready!(self.read(rt, from))? };
            if eof {
                self.done = true;
                self.pipe = None;
                self.buffer = None;
                if self.bug != Bug::KeepsEnd {
                    // Fails when the other side has been reset.
                    let _ = to.shutdown_write();
                }
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn fill(&mut self, rt: &Rt, from: &Socket) -> Poll<io::Result<bool>> {
        if self.pipe.is_none() {
            self.pipe = rt.pipes().take(rt);
        }
        let Some(pipe) = &mut self.pipe else {
            self.splice = false;
            return self.read(rt, from);
        };
        let moved = from.poll_fill(pipe, 1 << 20);
        if moved.is_pending() {
            assert_eq!(pipe.held(), 0, "pending means that socket and pipe are empty");
            self.pipe = None;
            return Poll::Pending;
        }
        match ready!(moved)? {
            Spliced::Eof => Poll::Ready(Ok(true)),
            Spliced::Moved(_) => {
                self.blind = false;
                Poll::Ready(Ok(false))
            }
            Spliced::PipeFull => {
                self.blind = true;
                if self.bug == Bug::WaitsForFullPipe && pipe.held() < pipe.capacity() / 2 {
                    // "Surely more comes before there is anything to do."
                    self.blind = false;
                    return Poll::Pending;
                }
                Poll::Ready(Ok(false))
            }
        }
    }

    fn read(&mut self, rt: &Rt, from: &Socket) -> Poll<io::Result<bool>> {
        let buffer = self.buffer.get_or_insert_with(|| rt.buffers().take());
        let room = buffer.spare().len();
        match from.poll_read(buffer.spare()) {
            Poll::Pending => {
                self.buffer = None;
                Poll::Pending
            }
            Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
            Poll::Ready(Ok(0)) => Poll::Ready(Ok(true)),
            Poll::Ready(Ok(n)) => {
                buffer.commit(n);
                if self.bug == Bug::ForgetsFin && n < room {
                    from.wait_for_event();
                    self.blind = true;
                }
                Poll::Ready(Ok(false))
            }
        }
    }
}

fn relay(rt: &Rt, client: Socket, server: Socket, splice: (bool, bool), bug: Bug) -> impl Future<Output = ()> + use<> {
    let rt = rt.clone();
    async move {
        let (mut up, mut down) = (Flow::new(splice.0, bug), Flow::new(splice.1, bug));
        let end = poll_fn(|_| {
            if bug == Bug::Spins {
                rt.wake(rt.current());
            }
            let forgetful = |f: &mut Flow| bug == Bug::ForgetsFin && std::mem::take(&mut f.blind);
            let a = if forgetful(&mut up) { Poll::Pending } else { up.poll(&rt, &client, &server) };
            let b = if forgetful(&mut down) { Poll::Pending } else { down.poll(&rt, &server, &client) };
            match (a, b) {
                (Poll::Ready(Err(e)), _) | (_, Poll::Ready(Err(e))) => Poll::Ready(Err(e)),
                (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(Ok(())),
                _ => Poll::Pending,
            }
        })
        .await;
        if bug == Bug::Leaks {
            let kept = client;
            std::future::pending::<()>().await;
            drop(kept);
        }
        if end.is_err() {
            // The peers must not take what they got for complete.
            server.reset_on_close();
        }
    }
}

const FRONT: &str = "10.0.0.1:80";
const ORIGIN: &str = "10.0.0.2:8080";

fn addr(text: &str) -> Addr {
    Addr::Ip(text.parse().expect("an address"))
}

async fn accept(listener: &Listener) -> Socket {
    poll_fn(|_| listener.poll_accept()).await.expect("accept").0
}

async fn connect(rt: &Rt, to: &str) -> io::Result<Socket> {
    let socket = Socket::connect(rt, &addr(to), None, &[SockOpt::OobInline(true)])?;
    socket.connected().await?;
    Ok(socket)
}

fn listen(rt: &Rt, at: &str) -> Listener {
    Listener::bind(rt, &addr(at), &Bind { backlog: 100, ..Bind::default() }).expect("bind")
}

/// The proxy's threads: each accepts at FRONT and relays to ORIGIN.
fn proxy(world: &SimWorld, rt: &Rt, splice: (bool, bool), bug: Bug) {
    let listener = {
        let options = vec![SockOpt::ReusePort(true), SockOpt::OobInline(true)];
        Listener::bind(rt, &addr(FRONT), &Bind { options, backlog: 100 }).expect("bind")
    };
    world.must_not_stall(rt);
    let rt2 = rt.clone();
    rt.spawn(async move {
        loop {
            let client = accept(&listener).await;
            let rt3 = rt2.clone();
            rt2.spawn(async move {
                match connect(&rt3, ORIGIN).await {
                    Ok(server) => relay(&rt3, client, server, splice, bug).await,
                    Err(_) => client.reset_on_close(),
                }
            });
        }
    });
}

/// Sends `len` bytes of a stream in writes of random sizes with pauses, then closes the sending side.
async fn send(world: &SimWorld, rt: &Rt, socket: &Socket, stream: u64, len: u64) -> io::Result<()> {
    let mut at = 0;
    while at < len {
        let n = (1 + world.below(20_000)).min(len - at);
        let bytes: Vec<u8> = (at..at + n).map(|i| byte(stream, i)).collect();
        if world.below(10) == 0 {
            match world.send_urgent(socket, bytes[0]) {
                Ok(()) => at += 1,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        } else {
            socket.write_all(&bytes).await?;
            at += n;
        }
        if world.below(4) == 0 {
            rt.sleep(Duration::from_micros(world.below(20_000))).await;
        }
    }
    if world.below(2) == 0 {
        rt.sleep(Duration::from_millis(world.below(100))).await;
    }
    socket.shutdown_write()
}

async fn receive(world: &SimWorld, rt: &Rt, socket: &Socket, stream: u64) -> io::Result<u64> {
    let mut at = 0;
    let mut buf = vec![0; 1 + world.below(40_000) as usize];
    loop {
        if world.below(8) == 0 {
            rt.sleep(Duration::from_micros(world.below(50_000))).await;
        }
        let n = socket.read(&mut buf).await?;
        if n == 0 {
            return Ok(at);
        }
        for b in &buf[..n] {
            assert_eq!(*b, byte(stream, at), "byte {at} of stream {stream}");
            at += 1;
        }
    }
}

/// How a peer behaves.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Peer {
    Polite,
    /// Leaves in the middle with a reset.
    Resets,
}

/// One run: several clients through one or two proxy threads to an origin, all byte-exact in both directions.
fn run(seed: u64, bug: Bug, peers: Peer) {
    const CLIENTS: u64 = 4;
    let world = SimWorld::new(seed);
    let threads = 1 + world.below(2) as usize;
    let modes = [(true, true), (false, false), (true, false), (false, true)];
    let splice = match bug {
        Bug::WaitsForFullPipe => (true, true),
        Bug::ForgetsFin | Bug::Repeats => (false, false),
        _ => modes[world.below(4) as usize],
    };
    let proxies: Vec<Rt> = (0..threads).map(|_| Rt::simulated(&world)).collect();
    for rt in &proxies {
        proxy(&world, rt, splice, bug);
    }
    // Up and down of the connection with this number.
    // A world with small buffers gets little to carry.
    let most = world.buffers() as u64 * 8;
    let length = || world.below(1 << world.below(18)).min(most);
    let lengths: Rc<Vec<(u64, u64)>> = Rc::new((0..CLIENTS).map(|_| (length(), length())).collect());
    let origin = Rt::simulated(&world);
    let arrived = Rc::new(Cell::new(0));
    {
        let listener = listen(&origin, ORIGIN);
        let (rt, world, lengths, arrived) = (origin.clone(), world.clone(), lengths.clone(), arrived.clone());
        origin.spawn(async move {
            loop {
                let socket = accept(&listener).await;
                let (rt2, world, lengths, arrived) = (rt.clone(), world.clone(), lengths.clone(), arrived.clone());
                rt.spawn(async move {
                    // The first byte says which one it is.
                    let mut number = [0];
                    match socket.read(&mut number).await {
                        Ok(1) => {}
                        _ if peers == Peer::Resets => return,
                        other => panic!("no number: {other:?}"),
                    }
                    let n = u64::from(number[0]);
                    let (up, down) = lengths[n as usize];
                    let (sent, got) = both(send(&world, &rt2, &socket, 2 * n, down), receive(&world, &rt2, &socket, 2 * n + 1)).await;
                    if peers == Peer::Polite {
                        sent.expect("down");
                        assert_eq!(got.expect("up"), up);
                    }
                    arrived.set(arrived.get() + 1);
                });
            }
        });
    }
    let clients = Rt::simulated(&world);
    let done = Rc::new(Cell::new(0));
    for n in 0..CLIENTS {
        let (rt, world, lengths, done) = (clients.clone(), world.clone(), lengths.clone(), done.clone());
        clients.spawn(async move {
            rt.sleep(Duration::from_millis(world.below(30))).await;
            let socket = connect(&rt, FRONT).await.expect("connect");
            socket.write_all(&[n as u8]).await.expect("room");
            let (up, down) = lengths[n as usize];
            if peers == Peer::Resets && world.below(2) == 0 {
                let _ = both(
                    async {
                        rt.sleep(Duration::from_millis(world.below(20))).await;
                        world.cut(&socket);
                    },
                    send(&world, &rt, &socket, 2 * n + 1, up),
                )
                .await;
            } else {
                let (sent, got) = both(send(&world, &rt, &socket, 2 * n + 1, up), receive(&world, &rt, &socket, 2 * n)).await;
                sent.expect("up");
                assert_eq!(got.expect("down"), down);
            }
            drop(socket);
            done.set(done.get() + 1);
        });
    }
    world.run_until(|| done.get() == CLIENTS && (peers == Peer::Resets || arrived.get() == CLIENTS));
    world.settle(Duration::from_secs(1_000));
    for rt in &proxies {
        world.assert_drained(rt, 1, 1);
    }
    world.finish();
}

#[test]
fn relays_are_byte_exact() {
    seeds(400, &[], |seed| run(seed, Bug::None, Peer::Polite));
}

#[test]
fn resets_end_relays() {
    seeds(300, &[], |seed| run(seed, Bug::None, Peer::Resets));
}

/// The checks can fail: how many of the first seeds find a broken relay, and what the first one says.
fn caught(bug: Bug) -> (u32, String) {
    let mut count = 0;
    let mut first = String::new();
    for seed in 1..=40 {
        if let Err(cause) = std::panic::catch_unwind(|| run(seed, bug, Peer::Polite)) {
            count += 1;
            if first.is_empty() {
                first = cause.downcast_ref::<String>().cloned().unwrap_or_default();
            }
        }
    }
    (count, first)
}

#[test]
fn broken_relays_are_caught() {
    for (bug, says) in [
        (Bug::ForgetsFin, "stall"),
        (Bug::WaitsForFullPipe, "stall"),
        (Bug::KeepsEnd, "stall"),
        (Bug::Repeats, "panicked: 1"),
        (Bug::Spins, "spinning: 1"),
        (Bug::Leaks, "leak"),
    ] {
        let (count, first) = caught(bug);
        assert!(count >= 10, "{bug:?} was found by {count} of 40 seeds");
        assert!(first.contains(says), "{bug:?} was found for another reason: {first}");
        assert!(first.contains("SIM_SEED="), "{first}");
    }
}
