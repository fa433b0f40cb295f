//! The demo's own traffic: a few clients that never hurry. Holds: at most [`HTTP_CLIENTS`] + [`TCP_CLIENTS`] connections.

use super::net;
use lb_rt::{Rt, Socket};
use lb_sys::Addr;
use lb_sys::socket::SockOpt;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// Clients that keep their connection and ask again and again.
pub const HTTP_CLIENTS: u32 = 4;
/// Clients that open a connection, exchange some lines, and close it.
pub const TCP_CLIENTS: u32 = 3;
/// Between two requests of one client, and between two lines.
const PAUSE: Duration = Duration::from_millis(70);
/// Lines in one connection.
const LINES: u32 = 4;
/// After which an exchange counts as failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// What the HTTP clients ask for: an answer that takes 20 ms, so that there is something to see under way.
pub const PATH: &str = "/wait/20";

/// How the clients fared.
#[derive(Default)]
pub struct Tally {
    /// Requests with the answer 200.
    pub requests: Cell<u64>,
    /// Connections in which all lines came back.
    pub sessions: Cell<u64>,
    /// Requests and connections without.
    pub failed: Cell<u64>,
    /// Connections of mode tcp that were under way when their origin stopped.
    pub cut: Cell<u64>,
    /// What went wrong last.
    pub last_failure: RefCell<Option<String>>,
}

impl Tally {
    fn fail(&self, what: String) {
        add(&self.failed);
        *self.last_failure.borrow_mut() = Some(what);
    }
}

fn add(count: &Cell<u64>) {
    count.set(count.get() + 1);
}

/// Starts all clients.
pub fn start(rt: &Rt, tally: &Rc<Tally>, http: SocketAddr, tcp: SocketAddr) {
    for n in 0..HTTP_CLIENTS {
        rt.spawn(http_client(rt.clone(), tally.clone(), http, PAUSE * n / HTTP_CLIENTS));
    }
    for n in 0..TCP_CLIENTS {
        rt.spawn(tcp_client(rt.clone(), tally.clone(), tcp, PAUSE * LINES * n / TCP_CLIENTS));
    }
}

async fn http_client(rt: Rt, tally: Rc<Tally>, to: SocketAddr, delay: Duration) {
    rt.sleep(delay).await;
    let mut connection = None;
    loop {
        let socket = match connection.take() {
            Some(socket) => Ok(socket),
            None => net::within(&rt, PATIENCE, connect(&rt, to)).await,
        };
        match socket {
            Ok(socket) => match net::within(&rt, PATIENCE, request(&socket)).await {
                Ok((200, keep)) => {
                    add(&tally.requests);
                    connection = keep.then_some(socket);
                }
                Ok((status, _)) => tally.fail(format!("a request was answered with {status}")),
                Err(e) => tally.fail(format!("a request failed: {e}")),
            },
            Err(e) => tally.fail(format!("the HTTP front cannot be reached: {e}")),
        }
        rt.sleep(PAUSE).await;
    }
}

async fn connect(rt: &Rt, to: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::connect(rt, &Addr::Ip(to), None, &[SockOpt::NoDelay(true)])?;
    socket.connected().await?;
    Ok(socket)
}

/// One request and its whole answer: the status, and whether the connection stays.
async fn request(socket: &Socket) -> io::Result<(u16, bool)> {
    let bad = || io::Error::from(io::ErrorKind::InvalidData);
    socket.write_all(format!("GET {PATH} HTTP/1.1\r\nHost: demo\r\nUser-Agent: lb-demo\r\n\r\n").as_bytes()).await?;
    let mut input = Vec::new();
    let head = net::read_until(socket, &mut input, b"\r\n\r\n").await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(bad)?;
    let length = head.lines().find_map(|l| l.strip_prefix("content-length:")).and_then(|v| v.trim().parse().ok());
    let keep = !head.contains("\r\nconnection: close\r\n");
    match length {
        Some(length) => net::skip(socket, &mut input, length).await?,
        // Without a length the body ends with the connection, which nobody waits for here.
        None => return Ok((status, false)),
    }
    Ok((status, keep))
}

async fn tcp_client(rt: Rt, tally: Rc<Tally>, to: SocketAddr, delay: Duration) {
    rt.sleep(delay).await;
    loop {
        let mut done = 0;
        match net::within(&rt, PATIENCE, lines(&rt, to, &mut done)).await {
            Ok(()) => add(&tally.sessions),
            Err(_) if done != 0 => add(&tally.cut),
            Err(e) => tally.fail(format!("a TCP connection failed: {e}")),
        }
        rt.sleep(PAUSE).await;
    }
}

/// One connection; `done` counts the lines that came back.
async fn lines(rt: &Rt, to: SocketAddr, done: &mut u32) -> io::Result<()> {
    let socket = connect(rt, to).await?;
    let mut input = Vec::new();
    for n in 1..=LINES {
        let line = format!("line {n}\n");
        socket.write_all(line.as_bytes()).await?;
        let echo = net::read_until(&socket, &mut input, b"\n").await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if !echo.ends_with(line.as_bytes()) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        *done = n;
        rt.sleep(PAUSE).await;
    }
    Ok(())
}
