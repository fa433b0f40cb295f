//! What the tests on real sockets share: a loop with a watchdog that leaves nothing behind, and a byte stream to compare with.
#![allow(dead_code)] // each test binary uses its part

use lb_rt::{Bind, Listener, Rt, Socket};
use lb_sys::Addr;
use std::future::{Future, poll_fn};
use std::io;
use std::task::Poll;
use std::time::Duration;

/// Longer than any test takes on a slow machine: a hang becomes a failure.
const WATCHDOG: Duration = Duration::from_secs(30);

pub fn loopback() -> Addr {
    Addr::Ip("127.0.0.1:0".parse().expect("an address"))
}

/// Runs `f` on a loop of its own and then checks that it has given everything back.
pub fn run<T: 'static, F: Future<Output = T> + 'static>(f: impl FnOnce(Rt) -> F) -> T {
    let rt = Rt::new().expect("descriptors for a loop");
    let value = run_on(&rt, f(rt.clone()));
    rt.kill_all();
    assert_drained(&rt);
    value
}

pub fn run_on<T: 'static>(rt: &Rt, future: impl Future<Output = T> + 'static) -> T {
    let clock = rt.clone();
    let mut future = Box::pin(future);
    let guarded = async move {
        let end = clock.now() + WATCHDOG;
        poll_fn(|cx| {
            assert!(clock.poll_deadline(Some(end)).is_pending(), "the test hangs");
            // What is tested counts its polls itself.
            clock.progress();
            future.as_mut().poll(cx)
        })
        .await
    };
    rt.block_on(guarded).expect("the main task lives")
}

pub fn assert_drained(rt: &Rt) {
    assert_eq!(rt.live_tasks(), 0, "tasks");
    assert_eq!(rt.open_sockets(), 0, "sockets");
    assert_eq!(rt.buffers().in_use(), 0, "buffers");
    assert_eq!(rt.pipes().in_use(), 0, "pipes");
}

pub fn listen(rt: &Rt) -> (Listener, Addr) {
    let listener = Listener::bind(rt, &loopback(), &Bind { backlog: 4096, ..Bind::default() }).expect("a free port");
    let addr = listener.local_addr().expect("bound");
    (listener, addr)
}

pub async fn accept(listener: &Listener) -> io::Result<Socket> {
    poll_fn(|_| listener.poll_accept()).await.map(|(socket, _)| socket)
}

pub async fn connect(rt: &Rt, addr: &Addr) -> io::Result<Socket> {
    let socket = Socket::connect(rt, addr, None, &[])?;
    socket.connected().await?;
    Ok(socket)
}

/// Two ends of one TCP connection.
pub async fn pair(rt: &Rt) -> (Socket, Socket) {
    let (listener, addr) = listen(rt);
    let client = Socket::connect(rt, &addr, None, &[]).expect("connect");
    let server = accept(&listener).await.expect("accept");
    client.connected().await.expect("connected");
    (client, server)
}

/// Byte `at` of the endless stream with number `stream`.
pub fn byte(stream: u64, at: u64) -> u8 {
    let x = (at ^ stream << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (x >> 56) as u8
}

pub async fn send_stream(socket: &Socket, stream: u64, len: u64) -> io::Result<()> {
    let mut at = 0;
    while at < len {
        let chunk: Vec<u8> = (at..len.min(at + 30_000)).map(|i| byte(stream, i)).collect();
        socket.write_all(&chunk).await?;
        at += chunk.len() as u64;
    }
    Ok(())
}

/// Reads to the end and compares; says how many bytes came.
pub async fn receive_stream(socket: &Socket, stream: u64) -> io::Result<u64> {
    let mut at = 0;
    let mut buf = vec![0; 50_000];
    loop {
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

/// Polls both until both are done.
pub async fn both<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (Box::pin(a), Box::pin(b));
    let (mut x, mut y) = (None, None);
    poll_fn(|cx| {
        if x.is_none() {
            x = ready(a.as_mut().poll(cx));
        }
        if y.is_none() {
            y = ready(b.as_mut().poll(cx));
        }
        if x.is_some() && y.is_some() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    (x.expect("done"), y.expect("done"))
}

fn ready<T>(poll: Poll<T>) -> Option<T> {
    match poll {
        Poll::Ready(v) => Some(v),
        Poll::Pending => None,
    }
}

/// Lets the loop turn until `f` holds.
pub async fn until(rt: &Rt, mut f: impl FnMut() -> bool) {
    while !f() {
        rt.sleep(Duration::from_millis(1)).await;
    }
}
