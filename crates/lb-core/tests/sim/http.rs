//! Mode http without faults: requests and responses of every framing, kept alive and pipelined, arrive byte for byte and in
//! order, over connections that are reused; no line says anything but `----`.

use crate::peers::*;
use crate::proxy::SimProxy;
use lb_rt::sim::{SimWorld, seeds};
use lb_rt::{Rt, Socket};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

const FRONT: &str = "10.0.0.1:80";
const ORIGINS: [&str; 2] = ["10.0.1.1:8080", "10.0.1.2:8080"];

fn config(world: &SimWorld) -> String {
    let pick = |lines: &[&str]| lines[world.below(lines.len() as u64) as usize].to_owned();
    let maxconn = pick(&["", "", " maxconn 1", " pool-max-conn 1", " max-reuse 2"]);
    format!(
        "global\n {nosplice}\ndefaults\n mode http\n log @LOG@ local0\n option httplog\n timeout connect 1m\n timeout client 1h\n timeout server 1h\n timeout queue 1h\n \
         timeout http-request 1h\n timeout http-keep-alive 1h\n {mode}\n {extra}\n\
         frontend fe\n bind {FRONT}\n default_backend be\n\
         backend be\n balance {balance}\n http-reuse {reuse}\n server s1 {a}{maxconn}\n server s2 {b}{maxconn}\n",
        nosplice = pick(&["", "", "nosplice"]),
        mode = pick(&["", "", "option http-server-close", "option httpclose"]),
        extra = pick(&["", "", "option forwardfor", "option abortonclose", "option prefer-last-server"]),
        balance = pick(&["roundrobin", "leastconn"]),
        reuse = pick(&["safe", "never", "aggressive", "always"]),
        a = ORIGINS[0],
        b = ORIGINS[1],
    )
}

/// How a body is framed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frame {
    None,
    Length,
    Chunked,
    /// A response that ends with the connection.
    Close,
    /// A response without a body to HEAD, with the length that it would have.
    Head,
    /// 304 with a length.
    NotModified,
}

/// One exchange, as client and origin have agreed on it.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    pub id: u64,
    pub up: (Frame, u64),
    pub down: (Frame, u64),
    /// The origin answers before it has read the body.
    pub early: bool,
    /// The origin sends `100 Continue` first, and the client waits for it.
    pub expect: bool,
    /// The origin closes the connection after the answer, and says so.
    pub origin_closes: bool,
    pub http10: bool,
}

impl Exchange {
    fn choose(world: &SimWorld, id: u64) -> Exchange {
        let http10 = world.below(10) == 0;
        let up = match world.below(4) {
            0 => (Frame::Length, length(world)),
            1 if !http10 => (Frame::Chunked, length(world)),
            _ => (Frame::None, 0),
        };
        let down = match world.below(8) {
            0 => (Frame::None, 0),
            1 => (Frame::Close, length(world)),
            2 => (Frame::Head, length(world)),
            3 => (Frame::NotModified, length(world)),
            4 | 5 => (Frame::Chunked, length(world)),
            _ => (Frame::Length, length(world)),
        };
        let down = if up.0 != Frame::None && down.0 == Frame::Head { (Frame::Length, down.1) } else { down };
        Exchange {
            id,
            up,
            down,
            early: up.0 != Frame::None && world.below(4) == 0,
            expect: up.0 != Frame::None && !http10 && world.below(4) == 0,
            origin_closes: world.below(6) == 0,
            http10,
        }
    }

    fn request_head(&self) -> Vec<u8> {
        let method = match (self.up.0, self.down.0) {
            (_, Frame::Head) => "HEAD",
            (Frame::None, _) => "GET",
            _ => "POST",
        };
        let mut head = format!("{method} /{} HTTP/1.{}\r\nHost: sim\r\n", self.id, u8::from(!self.http10));
        match self.up.0 {
            Frame::Length => head.push_str(&format!("Content-Length: {}\r\n", self.up.1)),
            Frame::Chunked => head.push_str("Transfer-Encoding: chunked\r\n"),
            _ => {}
        }
        if self.expect {
            head.push_str("Expect: 100-continue\r\n");
        }
        if self.http10 {
            head.push_str("Connection: keep-alive\r\n");
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    fn response_head(&self) -> Vec<u8> {
        let status = if self.down.0 == Frame::NotModified { "304 Not Modified" } else { "200 OK" };
        let mut head = format!("HTTP/1.1 {status}\r\nX-Id: {}\r\n", self.id);
        match self.down.0 {
            Frame::Length | Frame::Head | Frame::NotModified => head.push_str(&format!("Content-Length: {}\r\n", self.down.1)),
            Frame::None => head.push_str("Content-Length: 0\r\n"),
            Frame::Chunked => head.push_str("Transfer-Encoding: chunked\r\n"),
            Frame::Close => {}
        }
        if self.origin_closes {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// The body of the response, as it goes over the wire to a client of HTTP/1.1.
    fn has_down_body(&self) -> bool {
        matches!(self.down.0, Frame::Length | Frame::Chunked | Frame::Close)
    }
}

/// Sends a body in the framing.
pub async fn send_body(world: &SimWorld, rt: &Rt, socket: &Socket, (frame, len): (Frame, u64), stream: u64) -> io::Result<()> {
    let mut at = 0;
    // Every third body has chunks that are spliced.
    let largest = if stream.is_multiple_of(3) { 300_000 } else { 60_000 };
    while at < len {
        let n = (1 + world.below(largest)).min(len - at);
        let data = bytes(stream, at, at + n);
        if frame == Frame::Chunked {
            let mut chunk = format!("{n:x}{}\r\n", if world.below(8) == 0 { ";ext=1" } else { "" }).into_bytes();
            chunk.extend_from_slice(&data);
            chunk.extend_from_slice(b"\r\n");
            dribble(world, rt, socket, &chunk).await?;
        } else {
            dribble(world, rt, socket, &data).await?;
        }
        at += n;
    }
    if frame == Frame::Chunked {
        let last: &[u8] = if world.below(4) == 0 { b"0\r\nX-Trailer: 1\r\n\r\n" } else { b"0\r\n\r\n" };
        dribble(world, rt, socket, last).await?;
    }
    Ok(())
}

/// Reads messages: an independent, plain reader.
pub struct Reader {
    buf: Vec<u8>,
    room: usize,
    pub ended: bool,
}

impl Reader {
    pub fn new(world: &SimWorld) -> Reader {
        Reader { buf: Vec::new(), room: 100 + world.below(30_000) as usize, ended: false }
    }

    pub fn is_empty(&self) -> bool {
        self.buf.is_empty()
    }

    /// Drops up to `most` bytes that are here; says how many.
    pub fn take(&mut self, most: u64) -> u64 {
        let n = self.buf.len().min(most as usize);
        self.buf.drain(..n);
        n as u64
    }

    /// False at the end.
    pub async fn more(&mut self, socket: &Socket) -> io::Result<bool> {
        let mut bytes = vec![0; self.room];
        let n = socket.read(&mut bytes).await?;
        self.buf.extend_from_slice(&bytes[..n]);
        self.ended |= n == 0;
        Ok(n != 0)
    }

    /// A head with its empty line; `None`: the connection has ended before its first byte. An end within it is an error.
    pub async fn head(&mut self, socket: &Socket) -> io::Result<Option<String>> {
        loop {
            if let Some(at) = self.buf.windows(4).position(|w| w == b"\r\n\r\n") {
                let rest = self.buf.split_off(at + 4);
                let head = std::mem::replace(&mut self.buf, rest);
                return Ok(Some(String::from_utf8(head).expect("text")));
            }
            if !self.more(socket).await? {
                if !self.buf.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                return Ok(None);
            }
        }
    }

    pub async fn line(&mut self, socket: &Socket) -> io::Result<String> {
        loop {
            if let Some(at) = self.buf.windows(2).position(|w| w == b"\r\n") {
                let rest = self.buf.split_off(at + 2);
                let line = std::mem::replace(&mut self.buf, rest);
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            if !self.more(socket).await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads `len` bytes and compares them with the stream.
    async fn exactly(&mut self, socket: &Socket, stream: u64, from: u64, len: u64) -> io::Result<()> {
        let mut at = 0;
        while at < len {
            if self.buf.is_empty() && !self.more(socket).await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let n = self.buf.len().min((len - at) as usize);
            for (i, b) in self.buf[..n].iter().enumerate() {
                assert_eq!(*b, byte(stream, from + at + i as u64), "byte {} of stream {stream}", from + at + i as u64);
            }
            self.buf.drain(..n);
            at += n as u64;
        }
        Ok(())
    }

    /// Reads the body that the head announces; says how long it was.
    pub async fn body(&mut self, socket: &Socket, head: &str, stream: u64, until_close: bool) -> io::Result<u64> {
        if let Some(len) = field(head, "content-length") {
            let len = len.parse().expect("a length");
            self.exactly(socket, stream, 0, len).await?;
            return Ok(len);
        }
        if field(head, "transfer-encoding").is_some() {
            let mut at = 0;
            loop {
                let line = self.line(socket).await?;
                let digits = line.split(';').next().unwrap_or_default();
                let n = u64::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("no chunk size: {line:?}"));
                if n == 0 {
                    while !self.line(socket).await?.is_empty() {}
                    return Ok(at);
                }
                self.exactly(socket, stream, at, n).await?;
                at += n;
                assert_eq!(self.line(socket).await?, "", "the end of a chunk");
            }
        }
        if until_close {
            let mut at = 0;
            loop {
                let n = self.buf.len() as u64;
                self.exactly(socket, stream, at, n).await?;
                at += n;
                if !self.more(socket).await? {
                    return Ok(at);
                }
            }
        }
        Ok(0)
    }
}

/// The value of a field, by its lower-case name.
pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|l| {
        let (n, v) = l.split_once(':')?;
        n.eq_ignore_ascii_case(name).then(|| v.trim())
    })
}

struct Script {
    exchanges: BTreeMap<u64, Exchange>,
    /// How often the origin has served each.
    served: RefCell<BTreeMap<u64, u32>>,
}

async fn serve(world: SimWorld, rt: Rt, socket: Socket, script: Rc<Script>) {
    let mut reader = Reader::new(&world);
    loop {
        let head = match reader.head(&socket).await {
            Ok(Some(head)) => head,
            // The proxy resets idle connections that it no longer wants.
            Ok(None) | Err(_) => return,
        };
        let path = head.split(' ').nth(1).expect("a target");
        let id: u64 = path[1..].parse().unwrap_or_else(|_| panic!("an unknown request: {head}"));
        let x = script.exchanges[&id];
        *script.served.borrow_mut().entry(id).or_default() += 1;
        if x.expect {
            assert_eq!(field(&head, "expect"), Some("100-continue"), "{head}");
            socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.expect("open");
        }
        let answer = async {
            dribble(&world, &rt, &socket, &x.response_head()).await?;
            if x.has_down_body() { send_body(&world, &rt, &socket, x.down, 2 * id).await } else { Ok(()) }
        };
        let (sent, got) = if x.early {
            both(answer, reader.body(&socket, &head, 2 * id + 1, false)).await
        } else {
            let got = reader.body(&socket, &head, 2 * id + 1, false).await;
            pause(&world, &rt, 3, Duration::from_millis(300)).await;
            (answer.await, got)
        };
        match got {
            Ok(got) => assert_eq!(got, x.up.1, "{x:?}"),
            // The proxy has answer and body, and resets connections that it cannot keep (as haproxy does): what of the body
            // is still on its way to a server that has answered already is lost.
            Err(e) if x.early && e.kind() == io::ErrorKind::ConnectionReset => return,
            Err(e) => panic!("the body of {x:?}: {e}"),
        }
        sent.unwrap_or_else(|e| panic!("the answer of {x:?}: {e}"));
        if x.down.0 == Frame::Close || x.origin_closes {
            // A proxy that has read the whole answer may have reset the connection already.
            let _ = socket.shutdown_write();
            let _ = swallow(&socket).await;
            return;
        }
    }
}

/// Sends the requests, the next one sometimes before the answer has come, on a new connection when the proxy has closed one.
async fn visit(world: SimWorld, rt: Rt, exchanges: Vec<Exchange>) {
    let mut todo = exchanges.into_iter().peekable();
    while todo.peek().is_some() {
        let socket = connect(&rt, FRONT).await.expect("connect");
        let mut reader = Reader::new(&world);
        while let Some(x) = todo.next() {
            // Heads of requests without a body may be pipelined.
            let mut batch = vec![x];
            while batch.len() < 3 && batch.iter().all(|b| b.up.0 == Frame::None && !b.expect) && world.below(3) == 0 {
                match todo.next_if(|n| n.up.0 == Frame::None) {
                    Some(n) => batch.push(n),
                    None => break,
                }
            }
            let mut heads = Vec::new();
            for b in &batch {
                heads.extend_from_slice(&b.request_head());
            }
            let expect = x.expect;
            let sender = async {
                dribble(&world, &rt, &socket, &heads).await?;
                if expect {
                    return Ok(());
                }
                send_body(&world, &rt, &socket, x.up, 2 * x.id + 1).await
            };
            let (sent, kept) = both(sender, receive(&world, &rt, &socket, &mut reader, &batch)).await;
            let (answered, kept) = kept;
            // A connection that ended behind an answer takes no more of what is pipelined.
            if let Err(e) = sent
                && (kept || answered == batch.len())
            {
                panic!("the request {x:?}: {e}");
            }
            if !kept {
                // What was pipelined behind is asked again on the next connection.
                let again: Vec<Exchange> = batch.split_off(answered);
                if !again.is_empty() {
                    Box::pin(visit(world.clone(), rt.clone(), again)).await;
                }
                break;
            }
            pause(&world, &rt, 3, Duration::from_secs(2)).await;
        }
        pause(&world, &rt, 2, Duration::from_secs(1)).await;
    }
}

/// Reads the answers to a batch; says how many came and whether the connection lives on.
async fn receive(world: &SimWorld, rt: &Rt, socket: &Socket, reader: &mut Reader, batch: &[Exchange]) -> (usize, bool) {
    for (n, x) in batch.iter().enumerate() {
        let mut head = match reader.head(socket).await {
            Ok(Some(head)) => head,
            Ok(None) if n > 0 => return (n, false),
            other => panic!("no answer to {x:?}: {other:?}"),
        };
        if head.starts_with("HTTP/1.1 100") {
            assert!(x.expect, "{head}");
            send_body(world, rt, socket, x.up, 2 * x.id + 1).await.unwrap_or_else(|e| panic!("the body of {x:?}: {e}"));
            head = reader.head(socket).await.expect("an answer").expect("an answer");
        }
        let status = if x.down.0 == Frame::NotModified { "304" } else { "200" };
        assert_eq!(head.split(' ').nth(1), Some(status), "{x:?}: {head}");
        assert_eq!(field(&head, "x-id"), Some(x.id.to_string().as_str()), "answers out of order: {head}");
        let close = field(&head, "connection").is_some_and(|v| v.eq_ignore_ascii_case("close"))
            || (x.http10 && field(&head, "connection").is_none_or(|v| !v.eq_ignore_ascii_case("keep-alive")));
        if x.has_down_body() {
            let until_close = field(&head, "content-length").is_none() && field(&head, "transfer-encoding").is_none();
            assert!(!until_close || close, "no end: {head}");
            let got = reader.body(socket, &head, 2 * x.id, until_close).await.unwrap_or_else(|e| panic!("the answer to {x:?}: {e}"));
            assert_eq!(got, x.down.1, "{x:?}: {head}");
        }
        if close {
            return (n + 1, false);
        }
    }
    assert!(reader.is_empty(), "more than was asked for");
    (batch.len(), true)
}

fn run(seed: u64) {
    const CLIENTS: u64 = 4;
    const EACH: u64 = 5;
    let world = SimWorld::new(seed);
    let proxy = SimProxy::start(&world, &config(&world), 1 + world.below(2) as usize);
    let exchanges: Vec<Exchange> = (0..CLIENTS * EACH).map(|id| Exchange::choose(&world, id)).collect();
    let script = Rc::new(Script { exchanges: exchanges.iter().map(|x| (x.id, *x)).collect(), served: RefCell::default() });
    let origins = Rt::simulated(&world);
    for at in ORIGINS {
        let (world, rt, script) = (world.clone(), origins.clone(), script.clone());
        origin(&origins, at, move |socket| serve(world.clone(), rt.clone(), socket, script.clone()));
    }
    let clients = Rt::simulated(&world);
    let done = Rc::new(Cell::new(0));
    for mine in exchanges.chunks(EACH as usize) {
        let (w, rt, done, mine) = (world.clone(), clients.clone(), done.clone(), mine.to_vec());
        clients.spawn(async move {
            pause(&w, &rt, 2, Duration::from_millis(50)).await;
            visit(w, rt, mine).await;
            done.set(done.get() + 1);
        });
    }
    world.run_until(|| done.get() == CLIENTS);
    assert!(world.elapsed() < Duration::from_secs(3_000), "somebody has waited for a timeout: {:?}", world.elapsed());
    proxy.drain(0);
    for line in proxy.lines() {
        // A client that closes an idle connection leaves no line; a pipelined request that was not read is none.
        assert_eq!(line.end, "----", "{}", line.text);
        assert!([200, 304].contains(&line.status), "{}", line.text);
    }
    for (id, times) in &*script.served.borrow() {
        assert!(*times == 1, "request {id} was served {times} times");
    }
    assert_eq!(script.served.borrow().len() as u64, CLIENTS * EACH);
    assert!(proxy.told().is_empty(), "{:?}", proxy.told());
    proxy.end();
}

#[test]
fn exchanges_are_byte_exact() {
    seeds(40, &[5, 1415], run);
}
