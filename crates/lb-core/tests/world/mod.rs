//! A proxy in this process and origins that can be killed and revived, for tests on real sockets.
#![allow(dead_code, clippy::disallowed_methods)] // Each test program uses a part of it; tests live in real time.

use lb_core::start::{Proxy, Sizes};
use lb_core::worker::{Process, Severity};
use lb_testkit::http::{self, Response};
use lb_testkit::wait;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A running proxy; it ends when this is dropped.
pub struct Running {
    pub process: Arc<Process>,
    messages: Arc<Mutex<Vec<(Instant, Severity, String)>>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub fn start(config: &str, threads: usize) -> Running {
        let (config, diagnostics) = lb_config::parse(&lb_config::Source::new().file("test.cfg", config.as_bytes()));
        assert!(!diagnostics.iter().any(|d| d.severity == lb_config::Severity::Error), "{}", lb_config::render(&diagnostics));
        let messages = Arc::new(Mutex::new(Vec::new()));
        let sizes = Sizes { threads, maxconn: 1000 };
        let mut tries = 0;
        let proxy = loop {
            let theirs = messages.clone();
            let report = move |severity, text: &str| theirs.lock().unwrap().push((Instant::now(), severity, text.to_owned()));
            match Proxy::open(&config, sizes, Box::new(report)) {
                Ok(proxy) => break proxy,
                Err(errors) => {
                    let text = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
                    // A child that is being started holds for a moment what its parent has just closed.
                    assert!(text.contains("Address already in use") && tries < 200, "{text}");
                    tries += 1;
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        };
        let process = proxy.process().clone();
        let thread = std::thread::spawn(move || proxy.run(|_| {}).unwrap());
        Running { process, messages, thread: Some(thread) }
    }

    pub fn messages(&self) -> Vec<(Instant, Severity, String)> {
        self.messages.lock().unwrap().clone()
    }

    /// Waits for a message with `needle` among those after the first `skip`; gives its time and text.
    #[track_caller]
    pub fn told(&self, skip: usize, needle: &str) -> (Instant, Severity, String) {
        let mut found = None;
        wait::must(&format!("message '{needle}' in {:?}", self.messages()), || {
            found = self.messages().into_iter().skip(skip).find(|m| m.2.contains(needle));
            found.is_some()
        });
        found.unwrap()
    }

    /// Tasks and open sockets of all threads, once each has answered.
    pub fn census(&self, threads: usize) -> Vec<(usize, usize)> {
        let (sender, receiver) = std::sync::mpsc::channel();
        self.process.everywhere(move |worker| {
            let _ = sender.send((worker.rt.live_tasks(), worker.rt.open_sockets()));
        });
        (0..threads).filter_map(|_| receiver.recv_timeout(wait::patience()).ok()).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.process.end();
        let ended = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            ended.unwrap();
        }
    }
}

/// The check duration's milliseconds are of no interest.
pub fn without_duration(text: &str) -> String {
    match text.split_once("check duration: ") {
        Some((before, after)) => {
            let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{before}check duration: {rest}")
        }
        None => text.to_owned(),
    }
}

struct Shared {
    name: String,
    status: AtomicU16,
    stop: AtomicBool,
    /// Connections accepted.
    accepted: AtomicUsize,
    /// Requests for `/health`.
    checks: AtomicUsize,
    /// Other requests.
    requests: AtomicUsize,
    /// First bytes of each connection.
    heads: Mutex<Vec<Vec<u8>>>,
    /// Requests for `/hold` wait until this is true.
    release: Mutex<bool>,
    released: Condvar,
}

/// An HTTP origin on a port of its own: answers with its name, `/health` with a status that can be set, `/hold` when released.
pub struct Origin {
    shared: Arc<Shared>,
    pub port: u16,
    thread: Option<JoinHandle<()>>,
}

impl Origin {
    pub fn start(name: &str) -> Origin {
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            status: AtomicU16::new(200),
            stop: AtomicBool::new(false),
            accepted: AtomicUsize::new(0),
            checks: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            heads: Mutex::default(),
            release: Mutex::new(false),
            released: Condvar::new(),
        });
        let port = lb_testkit::ports::free_tcp();
        let mut origin = Origin { shared, port, thread: None };
        origin.revive();
        origin
    }

    pub fn revive(&mut self) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        let shared = self.shared.clone();
        shared.stop.store(false, Ordering::SeqCst);
        self.thread = Some(std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stop.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(stream) = stream {
                    shared.accepted.fetch_add(1, Ordering::SeqCst);
                    let shared = shared.clone();
                    std::thread::spawn(move || serve(stream, &shared));
                }
            }
        }));
    }

    /// Stops listening: connects are refused. Connections that stand go on.
    pub fn kill(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
            let _ = thread.join();
        }
    }

    /// The status with which `/health` answers.
    pub fn set_status(&self, status: u16) {
        self.shared.status.store(status, Ordering::SeqCst);
    }

    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    pub fn checks(&self) -> usize {
        self.shared.checks.load(Ordering::SeqCst)
    }

    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    pub fn heads(&self) -> Vec<Vec<u8>> {
        self.shared.heads.lock().unwrap().clone()
    }

    pub fn release(&self) {
        *self.shared.release.lock().unwrap() = true;
        self.shared.released.notify_all();
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.release();
        self.kill();
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) {
    let _ = stream.set_read_timeout(Some(wait::patience()));
    let mut buf = Vec::new();
    let mut first = true;
    loop {
        let mut piece = [0; 4096];
        match stream.read(&mut piece) {
            Ok(n) if n != 0 => buf.extend_from_slice(&piece[..n]),
            _ => return,
        }
        if std::mem::take(&mut first) {
            shared.heads.lock().unwrap().push(buf.clone());
        }
        while let Some(end) = http::head_len(&buf).filter(|_| buf.first().is_some_and(u8::is_ascii_uppercase)) {
            let head: Vec<u8> = buf.drain(..end).collect();
            let answer = answer(&head, shared);
            if stream.write_all(&answer).is_err() {
                return;
            }
            if head.starts_with(b"GET /health") {
                return;
            }
        }
    }
}

fn answer(head: &[u8], shared: &Shared) -> Vec<u8> {
    let name = &shared.name;
    if head.starts_with(b"GET /health") {
        shared.checks.fetch_add(1, Ordering::SeqCst);
        let status = shared.status.load(Ordering::SeqCst);
        return format!("HTTP/1.0 {status} As set\r\nContent-Length: 0\r\n\r\n").into_bytes();
    }
    shared.requests.fetch_add(1, Ordering::SeqCst);
    if head.starts_with(b"GET /hold") {
        let released = shared.release.lock().unwrap();
        drop(shared.released.wait_timeout_while(released, wait::patience(), |released| !*released).unwrap());
    }
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len()).into_bytes()
}

/// One GET on a connection of its own.
#[track_caller]
pub fn get(port: u16, path: &str) -> Response {
    http::get((Ipv4Addr::LOCALHOST, port), path).unwrap()
}

/// Status and body of one GET.
#[track_caller]
pub fn asked(port: u16, path: &str) -> (u16, String) {
    let response = get(port, path);
    (response.status, String::from_utf8_lossy(&response.body).into_owned())
}

pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}
