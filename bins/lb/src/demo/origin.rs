//! The origins of the demo: servers that answer HTTP requests and, on the same port, echo lines. They can be stopped and
//! started like a process, and keep their port meanwhile.
//!
//! Holds: a stopped origin refuses connections and has none left; a client gets an answer that names its origin.

use super::net::{self, Port};
use lb_rt::{Bind, Listener, Rt, Socket, TaskKey};
use lb_sys::Addr;
use lb_sys::socket::SockOpt;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// Connections of one origin at once; more are closed at once.
const MAX_CONNECTIONS: usize = 2000;
/// Queue of the kernel.
const BACKLOG: u32 = 256;
/// Longest answer that `/wait/<ms>` gives, in milliseconds.
const MAX_WAIT_MS: u64 = 30_000;
/// Longest body of a request that is read (and thrown away), in bytes.
const MAX_BODY: usize = 1 << 20;

/// One origin.
pub struct Origin {
    /// As the configuration names it.
    pub name: String,
    port: Port,
    rt: Rt,
    accepting: Cell<Option<TaskKey>>,
    connections: RefCell<HashSet<TaskKey>>,
    /// A client has asked it to stop.
    stop_wanted: Cell<bool>,
}

impl Origin {
    /// The origin number `index`, from 0, which does not listen yet.
    ///
    /// # Errors
    /// No port is free.
    pub fn new(rt: &Rt, index: usize) -> io::Result<Rc<Origin>> {
        Ok(Rc::new(Origin {
            name: format!("origin{}", index + 1),
            port: Port::reserve()?,
            rt: rt.clone(),
            accepting: Cell::new(None),
            connections: RefCell::default(),
            stop_wanted: Cell::new(false),
        }))
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// True while it listens.
    pub fn is_running(&self) -> bool {
        self.accepting.get().is_some()
    }

    /// A client has asked for a stop since the last call.
    pub fn take_stop_wanted(&self) -> bool {
        self.stop_wanted.take()
    }

    /// Begins to listen; nothing happens when it does already.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn start(self: &Rc<Origin>) -> io::Result<()> {
        if self.is_running() {
            return Ok(());
        }
        let bind = Bind { options: vec![SockOpt::ReuseAddr(true), SockOpt::NoDelay(true)], backlog: BACKLOG };
        let listener = Listener::bind(&self.rt, &Addr::Ip(self.port.address()), &bind)?;
        self.accepting.set(Some(self.rt.spawn(accept(self.clone(), listener))));
        Ok(())
    }

    /// Closes the listening socket and all connections, as the end of a process does. Not for the origin's own tasks.
    pub fn stop(&self) {
        if let Some(key) = self.accepting.take() {
            self.rt.kill(key);
        }
        for key in self.connections.take() {
            self.rt.kill(key);
        }
    }
}

async fn accept(origin: Rc<Origin>, listener: Listener) {
    let rt = origin.rt.clone();
    loop {
        match poll_fn(|_| listener.poll_accept()).await {
            Ok((socket, _)) if origin.connections.borrow().len() < MAX_CONNECTIONS => {
                rt.progress();
                let key = rt.spawn(serve(origin.clone(), socket));
                origin.connections.borrow_mut().insert(key);
            }
            Ok(_) => rt.progress(),
            Err(_) => rt.sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn serve(origin: Rc<Origin>, socket: Socket) {
    // An error means that the peer has left: nobody is there to tell.
    let _ = converse(&origin, &socket).await;
    let own = origin.rt.current();
    origin.connections.borrow_mut().remove(&own);
}

/// Lines until the end; a line that is the first of an HTTP request changes over to that.
async fn converse(origin: &Rc<Origin>, socket: &Socket) -> io::Result<()> {
    let mut input = Vec::new();
    loop {
        let Some(line) = net::read_until(socket, &mut input, b"\n").await? else { return Ok(()) };
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if line.ends_with("HTTP/1.1") || line.ends_with("HTTP/1.0") {
            if !answer(origin, socket, &line, &mut input).await? {
                return socket.shutdown_write();
            }
        } else {
            socket.write_all(format!("{}: {line}\n", origin.name).as_bytes()).await?;
        }
    }
}

/// One request, whose first line has been read; says whether another one may follow.
async fn answer(origin: &Rc<Origin>, socket: &Socket, first: &str, input: &mut Vec<u8>) -> io::Result<bool> {
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut keep = first.ends_with("1.1");
    let mut body = 0;
    let mut client = None;
    loop {
        let Some(line) = net::read_until(socket, input, b"\n").await? else { return Ok(false) };
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else { return Ok(false) };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "connection" if value.eq_ignore_ascii_case("close") => keep = false,
            "content-length" => body = value.parse().unwrap_or(usize::MAX),
            "transfer-encoding" => body = usize::MAX,
            "x-forwarded-for" => client = Some(value.to_owned()),
            _ => {}
        }
    }
    if body > MAX_BODY {
        let text = "the demo takes no bodies of unknown length or of more than 1 MiB\n";
        socket.write_all(response(origin, "413 Content Too Large", text, false).as_bytes()).await?;
        return Ok(false);
    }
    net::skip(socket, input, body).await?;
    if let Some(ms) = path.strip_prefix("/wait/") {
        let ms = ms.parse::<u64>().unwrap_or(0).min(MAX_WAIT_MS);
        origin.rt.sleep(Duration::from_millis(ms)).await;
    }
    let text = match (method, path) {
        ("POST", "/stop") => format!("{} stops, and comes back in a few seconds\n", origin.name),
        _ => {
            let from = client.map_or_else(String::new, |c| format!(", for {c}"));
            format!("{} on port {} answers {method} {path}{from}\n", origin.name, origin.port())
        }
    };
    let mut bytes = response(origin, "200 OK", &text, keep);
    if method == "HEAD" {
        bytes.truncate(bytes.len() - text.len());
    }
    socket.write_all(bytes.as_bytes()).await?;
    if (method, path) == ("POST", "/stop") {
        origin.stop_wanted.set(true);
    }
    Ok(keep)
}

fn response(origin: &Origin, status: &str, text: &str, keep: bool) -> String {
    let connection = if keep { "" } else { "Connection: close\r\n" };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nX-Origin: {}\r\n{connection}\r\n{text}",
        text.len(),
        origin.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T: 'static>(test: impl AsyncFnOnce(Rt, Rc<Origin>) -> T + 'static) -> T {
        let rt = Rt::new().expect("a loop");
        let inner = rt.clone();
        let result = rt.block_on(async move {
            let origin = Origin::new(&inner, 1).expect("a port");
            origin.start().expect("listens");
            test(inner, origin).await
        });
        rt.kill_all();
        result.expect("the loop runs")
    }

    async fn connect(rt: &Rt, origin: &Origin) -> io::Result<Socket> {
        let socket = Socket::connect(rt, &Addr::Ip(origin.port.address()), None, &[])?;
        socket.connected().await?;
        Ok(socket)
    }

    #[test]
    fn lines_and_requests_on_one_port() {
        run(async |rt, origin| {
            let socket = connect(&rt, &origin).await.expect("accepted");
            let mut input = Vec::new();
            socket.write_all(b"good day\n").await.unwrap();
            let line = net::read_until(&socket, &mut input, b"\n").await.unwrap().unwrap();
            assert_eq!(line, b"origin2: good day\n");
            socket.write_all(b"POST /x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcHEAD /y HTTP/1.0\r\n\r\n").await.unwrap();
            let first = net::read_until(&socket, &mut input, b"\r\n\r\n").await.unwrap().unwrap();
            assert!(first.starts_with(b"HTTP/1.1 200 OK\r\n"));
            let body = net::read_until(&socket, &mut input, b"\n").await.unwrap().unwrap();
            assert_eq!(body, format!("origin2 on port {} answers POST /x\n", origin.port()).as_bytes());
            let second = net::read_until(&socket, &mut input, b"\r\n\r\n").await.unwrap().unwrap();
            assert!(String::from_utf8_lossy(&second).contains("Connection: close"));
            assert!(net::read_until(&socket, &mut input, b"\n").await.unwrap().is_none());
        });
    }

    #[test]
    fn stops_and_starts_on_its_port() {
        run(async |rt, origin| {
            let port = origin.port();
            let socket = connect(&rt, &origin).await.expect("accepted");
            socket.write_all(b"hello\n").await.unwrap();
            let mut input = Vec::new();
            assert!(net::read_until(&socket, &mut input, b"\n").await.unwrap().is_some());
            for _ in 0..3 {
                origin.stop();
                assert!(!origin.is_running());
                assert!(connect(&rt, &origin).await.is_err(), "a stopped origin refuses");
                origin.start().expect("the port is still ours");
                assert_eq!(origin.port(), port);
                connect(&rt, &origin).await.expect("accepted again");
            }
            assert!(matches!(net::read_until(&socket, &mut input, b"\n").await, Ok(None) | Err(_)), "its connections went with it");
        });
    }
}
