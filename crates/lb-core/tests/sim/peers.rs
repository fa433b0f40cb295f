//! Clients and origins: plain tasks on executors of the simulated world.

use lb_rt::sim::SimWorld;
use lb_rt::{Bind, Listener, Rt, Socket};
use lb_sys::Addr;
use lb_sys::socket::SockOpt;
use std::future::{Future, poll_fn};
use std::io;
use std::task::Poll;
use std::time::Duration;

pub fn addr(text: &str) -> Addr {
    Addr::Ip(text.parse().unwrap_or_else(|_| panic!("no address: {text}")))
}

/// Byte `at` of the endless stream with number `stream`.
pub fn byte(stream: u64, at: u64) -> u8 {
    ((at ^ stream << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

pub fn bytes(stream: u64, from: u64, to: u64) -> Vec<u8> {
    (from..to).map(|i| byte(stream, i)).collect()
}

pub async fn connect(rt: &Rt, to: &str) -> io::Result<Socket> {
    let socket = Socket::connect(rt, &addr(to), None, &[SockOpt::OobInline(true)])?;
    socket.connected().await?;
    Ok(socket)
}

/// Runs `serve` for each connection to `at`, on `rt`.
pub fn origin<F: Future<Output = ()> + 'static>(rt: &Rt, at: &str, serve: impl Fn(Socket) -> F + 'static) {
    let listener = Listener::bind(rt, &addr(at), &Bind { options: Vec::new(), backlog: 100 }).expect("bind");
    let rt2 = rt.clone();
    rt.spawn(async move {
        loop {
            let (socket, _) = poll_fn(|_| listener.poll_accept()).await.expect("accept");
            rt2.spawn(serve(socket));
        }
    });
}

/// Polls both until both are done.
pub async fn both<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (Box::pin(a), Box::pin(b));
    let (mut x, mut y) = (None, None);
    poll_fn(|cx| {
        if x.is_none()
            && let Poll::Ready(v) = a.as_mut().poll(cx)
        {
            x = Some(v);
        }
        if y.is_none()
            && let Poll::Ready(v) = b.as_mut().poll(cx)
        {
            y = Some(v);
        }
        if x.is_some() && y.is_some() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    (x.expect("done"), y.expect("done"))
}

/// A random number of bytes whose magnitude is even, in proportion to the world's buffers.
pub fn length(world: &SimWorld) -> u64 {
    world.below(1 << world.below(20)).min(world.buffers() as u64 * 8)
}

pub async fn pause(world: &SimWorld, rt: &Rt, one_in: u64, most: Duration) {
    if world.below(one_in) == 0 {
        rt.sleep(Duration::from_nanos(world.below(most.as_nanos() as u64))).await;
    }
}

/// Writes all of it, in pieces and with pauses as the seed says.
pub async fn dribble(world: &SimWorld, rt: &Rt, socket: &Socket, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let n = (1 + world.below(30_000) as usize).min(bytes.len());
        socket.write_all(&bytes[..n]).await?;
        bytes = &bytes[n..];
        pause(world, rt, 4, Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Sends `len` bytes of a stream, some of them urgent.
pub async fn send_stream(world: &SimWorld, rt: &Rt, socket: &Socket, stream: u64, len: u64) -> io::Result<()> {
    let mut at = 0;
    while at < len {
        let n = (1 + world.below(20_000)).min(len - at);
        if world.below(12) == 0 {
            match world.send_urgent(socket, byte(stream, at)) {
                Ok(()) => at += 1,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        } else {
            socket.write_all(&bytes(stream, at, at + n)).await?;
            at += n;
        }
        pause(world, rt, 4, Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Reads to the end and compares; says how many bytes came.
pub async fn receive_stream(world: &SimWorld, rt: &Rt, socket: &Socket, stream: u64) -> io::Result<u64> {
    let mut at = 0;
    let mut buf = vec![0; 200 + world.below(40_000) as usize];
    loop {
        pause(world, rt, 8, Duration::from_millis(50)).await;
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

/// Reads and throws away until the end or an error.
pub async fn swallow(socket: &Socket) -> io::Result<u64> {
    let mut buf = vec![0; 10_000];
    let mut all = 0;
    loop {
        match socket.read(&mut buf).await? {
            0 => return Ok(all),
            n => all += n as u64,
        }
    }
}
