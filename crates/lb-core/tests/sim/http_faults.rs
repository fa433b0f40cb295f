//! Mode http with one fault per run: status, termination state and what the client gets fit it, and nothing is left behind.

use crate::http::{Reader, field};
use crate::peers::*;
use crate::proxy::{Line, SimProxy};
use lb_rt::sim::{ConnectFault, SimWorld, seeds};
use lb_rt::{Rt, Socket};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

const FRONT: &str = "10.0.0.1:80";
const ORIGIN: &str = "10.0.1.1:8080";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    Refused,
    Blackhole,
    NeverAnswers,
    ClosesBeforeAnswer,
    ResetsBeforeAnswer,
    Garbage,
    HalfHead,
    TruncatedBody,
    ResetInBody,
    BadChunk,
    StallsInBody,
    ClientLeavesInBody,
    ClientNeverReads,
    ClientLeavesBeforeAnswer,
    SlowHead,
    HalfHeadFromClient,
    NothingFromClient,
    TruncatedUpload,
    SlowUpload,
    BadRequest,
    BadUploadChunk,
    QueueTimeout,
    /// A kept connection that the server closes just when it is to be used again: the client notices nothing.
    StaleConnection,
}

use Fault::*;

const FAULTS: [Fault; 23] = [
    Refused,
    Blackhole,
    NeverAnswers,
    ClosesBeforeAnswer,
    ResetsBeforeAnswer,
    Garbage,
    HalfHead,
    TruncatedBody,
    ResetInBody,
    BadChunk,
    StallsInBody,
    ClientLeavesInBody,
    ClientNeverReads,
    ClientLeavesBeforeAnswer,
    SlowHead,
    HalfHeadFromClient,
    NothingFromClient,
    TruncatedUpload,
    SlowUpload,
    BadRequest,
    BadUploadChunk,
    QueueTimeout,
    StaleConnection,
];

impl Fault {
    /// Status and state of the line of the request that meets it (manual 8.5; and as Debian's haproxy 2.6 writes them).
    fn line(self) -> (i64, &'static str) {
        match self {
            Refused => (503, "SC--"),
            Blackhole => (503, "sC--"),
            NeverAnswers => (504, "sH--"),
            ClosesBeforeAnswer | ResetsBeforeAnswer => (502, "SH--"),
            Garbage => (502, "PH--"),
            HalfHead => (502, "SH--"),
            TruncatedBody | ResetInBody => (200, "SD--"),
            BadChunk => (200, "SD--"),
            StallsInBody => (200, "sD--"),
            ClientLeavesInBody => (200, "CD--"),
            ClientNeverReads => (200, "cD--"),
            ClientLeavesBeforeAnswer => (400, "CH--"),
            SlowHead | NothingFromClient => (408, "cR--"),
            HalfHeadFromClient => (400, "CR--"),
            TruncatedUpload => (-1, "CD--"),
            SlowUpload => (504, "sH--"),
            BadRequest => (400, "PR--"),
            BadUploadChunk => (400, "PH--"),
            QueueTimeout => (503, "sQ--"),
            StaleConnection => (200, "----"),
        }
    }

    /// The status that the client reads; 0: whatever comes, or nothing.
    fn answer(self) -> u16 {
        match self {
            ClientLeavesInBody | ClientNeverReads | TruncatedUpload => 0,
            other => other.line().0 as u16,
        }
    }
}

fn config(fault: Fault) -> String {
    format!(
        "defaults\n mode http\n log @LOG@ local0\n option httplog\n retries 1\n timeout connect 2s\n timeout client {client}s\n timeout server 7s\n timeout queue 3s\n \
         timeout http-request 4s\n timeout http-keep-alive 20s\n {abort}\n\
         frontend fe\n bind {FRONT}\n default_backend be\n\
         backend be\n http-reuse always\n server s1 {ORIGIN}{maxconn}\n",
        client = if matches!(fault, ClientNeverReads | SlowUpload) { 5 } else { 60 },
        abort = if fault == ClientLeavesBeforeAnswer { "option abortonclose" } else { "" },
        maxconn = if fault == QueueTimeout { " maxconn 1" } else { "" },
    )
}

/// What the origin does with one connection.
async fn serve(world: SimWorld, rt: Rt, socket: Socket, fault: Fault) {
    let mut reader = Reader::new(&world);
    let mut served = 0;
    loop {
        let Ok(Some(head)) = reader.head(&socket).await else { return };
        let wait = async |most: u64| rt.sleep(Duration::from_millis(world.below(most))).await;
        match fault {
            NeverAnswers | QueueTimeout | ClientLeavesBeforeAnswer => {
                let _ = swallow(&socket).await;
                return;
            }
            ClosesBeforeAnswer => return,
            ResetsBeforeAnswer => {
                wait(50).await;
                socket.reset_on_close();
                return;
            }
            Garbage => {
                let _ = dribble(&world, &rt, &socket, b"\x16\x03\x01 this is no HTTP\r\n\r\n").await;
                let _ = swallow(&socket).await;
                return;
            }
            HalfHead => {
                let _ = dribble(&world, &rt, &socket, b"HTTP/1.1 200 OK\r\nContent-Le").await;
                return;
            }
            TruncatedBody | ResetInBody => {
                let framing =
                    if world.below(2) == 0 { "Content-Length: 5000\r\n\r\n" } else { "Transfer-Encoding: chunked\r\n\r\n1388\r\n" };
                let _ = dribble(&world, &rt, &socket, format!("HTTP/1.1 200 OK\r\n{framing}").as_bytes()).await;
                let _ = dribble(&world, &rt, &socket, &bytes(2, 0, 1 + world.below(4000))).await;
                if fault == ResetInBody {
                    // So that the answer's head is through before the reset overtakes it.
                    rt.sleep(Duration::from_secs(3)).await;
                    socket.reset_on_close();
                }
                return;
            }
            BadChunk => {
                let _ = dribble(&world, &rt, &socket, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
                rt.sleep(Duration::from_secs(3)).await;
                let _ = dribble(&world, &rt, &socket, b"no size\r\n").await;
                let _ = swallow(&socket).await;
                return;
            }
            StallsInBody => {
                let _ = dribble(&world, &rt, &socket, b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello").await;
                let _ = swallow(&socket).await;
                return;
            }
            ClientLeavesInBody | ClientNeverReads => {
                let _ = dribble(&world, &rt, &socket, b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n").await;
                let mut at = 0;
                while socket.write_all(&bytes(2, at, at + 2_000)).await.is_ok() {
                    at += 2_000;
                    rt.sleep(Duration::from_millis(2)).await;
                }
                return;
            }
            TruncatedUpload | SlowUpload | BadUploadChunk => {
                let _ = reader.body(&socket, &head, 1, false).await;
                return;
            }
            StaleConnection => {
                if dribble(&world, &rt, &socket, OK).await.is_err() {
                    return;
                }
                served += 1;
                if served == 1 + world.below(2) {
                    // Closed without a word, at about the time of the next request, when the answer has long been read.
                    rt.sleep(Duration::from_millis(500)).await;
                    wait(60).await;
                    if world.below(3) == 0 {
                        socket.reset_on_close();
                    }
                    return;
                }
            }
            _ => {
                if dribble(&world, &rt, &socket, OK).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// What the client got: the status, and how the connection ended where that matters.
#[derive(Clone, Copy, Default, Debug)]
struct Got {
    status: u16,
    /// The answer ended as its framing says.
    whole: bool,
}

async fn visit(world: SimWorld, rt: Rt, fault: Fault) -> Got {
    let socket = connect(&rt, FRONT).await.expect("connect");
    let mut reader = Reader::new(&world);
    let get: &[u8] = b"GET / HTTP/1.1\r\nHost: sim\r\n\r\n";
    match fault {
        NothingFromClient => {}
        SlowHead => {
            let drip = async {
                for b in get.iter().take(20) {
                    if socket.write_all(&[*b]).await.is_err() {
                        break;
                    }
                    rt.sleep(Duration::from_millis(300)).await;
                }
            };
            // It reads meanwhile: an answer to somebody who sends on and on is lost when the connection is closed at last.
            return both(drip, read_answer(&socket, &mut reader)).await.1;
        }
        HalfHeadFromClient => {
            dribble(&world, &rt, &socket, b"GET / HT").await.expect("room");
            socket.shutdown_write().expect("open");
        }
        BadRequest => dribble(&world, &rt, &socket, b"GET / HTTP/1.1\r\nHost: sim\r\nBad Name: x\r\n\r\n").await.expect("room"),
        TruncatedUpload => {
            let part = 1 + world.below(4000);
            let _ = dribble(&world, &rt, &socket, b"POST / HTTP/1.1\r\nHost: sim\r\nContent-Length: 5000\r\n\r\n").await;
            let _ = dribble(&world, &rt, &socket, &bytes(1, 0, part)).await;
            rt.sleep(Duration::from_secs(1)).await;
            let _ = socket.shutdown_write();
        }
        SlowUpload => {
            let _ = dribble(&world, &rt, &socket, b"POST / HTTP/1.1\r\nHost: sim\r\nContent-Length: 5000\r\n\r\n").await;
            let _ = dribble(&world, &rt, &socket, &bytes(1, 0, 1 + world.below(4000))).await;
        }
        BadUploadChunk => {
            let _ = dribble(&world, &rt, &socket, b"POST / HTTP/1.1\r\nHost: sim\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n").await;
            let _ = dribble(&world, &rt, &socket, &bytes(1, 0, 3)).await;
            rt.sleep(Duration::from_secs(1)).await;
            let _ = dribble(&world, &rt, &socket, b"\r\nno size\r\n").await;
        }
        ClientLeavesBeforeAnswer => {
            dribble(&world, &rt, &socket, get).await.expect("room");
            rt.sleep(Duration::from_millis(1_000 + world.below(1000))).await;
            let _ = socket.shutdown_write();
        }
        ClientLeavesInBody => {
            dribble(&world, &rt, &socket, get).await.expect("room");
            let head = reader.head(&socket).await.expect("an answer").expect("an answer");
            assert!(head.starts_with("HTTP/1.1 200"));
            rt.sleep(Duration::from_millis(world.below(300))).await;
            world.cut(&socket);
            return Got::default();
        }
        ClientNeverReads => {
            dribble(&world, &rt, &socket, get).await.expect("room");
            rt.sleep(Duration::from_secs(100)).await;
            return Got::default();
        }
        StaleConnection => {
            for _ in 0..4 {
                dribble(&world, &rt, &socket, get).await.expect("room");
                let head = reader.head(&socket).await.expect("an answer").expect("an answer");
                assert!(head.starts_with("HTTP/1.1 200"), "{head}");
                assert_eq!(field(&head, "content-length"), Some("5"));
                reader.skip(&socket, 5).await.expect("a body");
                rt.sleep(Duration::from_millis(500 + world.below(80))).await;
            }
            return Got { status: 200, whole: true };
        }
        _ => dribble(&world, &rt, &socket, get).await.expect("room"),
    }
    read_answer(&socket, &mut reader).await
}

/// Reads to the end of the connection.
async fn read_answer(socket: &Socket, reader: &mut Reader) -> Got {
    let head = match reader.head(socket).await {
        Ok(Some(head)) => head,
        _ => return Got::default(),
    };
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or_else(|| panic!("no status: {head}"));
    // Whose body these bytes are does not matter here.
    let whole = reader.skip_body(socket, &head).await.unwrap_or(false);
    Got { status, whole }
}

fn run(seed: u64) {
    let fault = FAULTS[(seed % FAULTS.len() as u64) as usize];
    let world = SimWorld::new(seed);
    if fault == ClientNeverReads {
        world.set_buffers(10_000);
    }
    // A request of 50 bytes through buffers of 16 at 60 ms each way is slow, but not that slow.
    let most = Duration::from_millis(10);
    world.set_latency(Duration::ZERO, most.min(Duration::from_micros(world.below(10_000))));
    let proxy = SimProxy::start(&world, &config(fault), 1);
    let origins = Rt::simulated(&world);
    match fault {
        Refused => {}
        Blackhole => world.on_connect(&addr(ORIGIN), Some(ConnectFault::Blackhole)),
        _ => {
            let (w, rt) = (world.clone(), origins.clone());
            origin(&origins, ORIGIN, move |socket| serve(w.clone(), rt.clone(), socket, fault));
        }
    }
    let clients = Rt::simulated(&world);
    let done = Rc::new(Cell::new(0));
    let got: Rc<RefCell<Vec<Got>>> = Rc::default();
    let visitors = if fault == QueueTimeout { 2 } else { 1 };
    for _ in 0..visitors {
        let (w, rt, done, got) = (world.clone(), clients.clone(), done.clone(), got.clone());
        clients.spawn(async move {
            let answer = visit(w, rt, fault).await;
            got.borrow_mut().push(answer);
            done.set(done.get() + 1);
        });
        // The first one has the slot before the second one comes.
        world.settle(Duration::from_millis(if visitors == 1 { 0 } else { 1_000 }));
    }
    world.run_until(|| done.get() == visitors);
    proxy.drain(0);
    check(fault, &proxy.lines(), &got.borrow());
    proxy.end();
}

fn check(fault: Fault, lines: &[Line], got: &[Got]) {
    let (status, end) = fault.line();
    let expected = if fault == StaleConnection { 4 } else { got.len() };
    assert_eq!(lines.len(), expected, "{fault:?}: {lines:?}");
    let fits = |l: &&Line| l.status == status && l.end == end;
    let fitting = lines.iter().filter(fits).count();
    if fault == StaleConnection {
        assert_eq!(fitting, 4, "{fault:?}: {lines:?}");
    } else {
        assert!(fitting == 1, "{fault:?} wants {status} {end}: {lines:?}");
    }
    if fault.answer() != 0 {
        assert!(got.iter().any(|g| g.status == fault.answer()), "{fault:?} wants {}: {got:?}", fault.answer());
    }
    if matches!(fault, TruncatedBody | ResetInBody | BadChunk | StallsInBody) {
        assert!(!got[0].whole, "{fault:?}: a part was taken for the whole");
    } else if fault.answer() != 0 {
        assert!(got.iter().all(|g| g.whole), "{fault:?}: {got:?}");
    }
}

#[test]
fn status_and_state_name_the_fault() {
    seeds(230, &[9, 17], run);
}

impl Reader {
    /// Reads `len` bytes of anything.
    async fn skip(&mut self, socket: &Socket, mut len: u64) -> io::Result<()> {
        while len != 0 {
            if self.is_empty() && !self.more(socket).await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            len -= self.take(len);
        }
        Ok(())
    }

    /// Reads a body of anything; true when it is whole.
    async fn skip_body(&mut self, socket: &Socket, head: &str) -> io::Result<bool> {
        if let Some(len) = field(head, "content-length") {
            self.skip(socket, len.parse().expect("a length")).await?;
            return Ok(true);
        }
        if field(head, "transfer-encoding").is_some() {
            loop {
                let line = self.line(socket).await?;
                let n = u64::from_str_radix(line.trim(), 16).unwrap_or_else(|_| panic!("no chunk size: {line:?}"));
                self.skip(socket, n + 2).await?;
                if n == 0 {
                    return Ok(true);
                }
            }
        }
        while self.more(socket).await? {}
        Ok(true)
    }
}
