//! Listening sockets for the process that follows: who is given which, when, and what a start that fails leaves behind.

mod common;

use common::{Lb, OK, PREAMBLE, io, limited, origins, start};
use lb_testkit::http::Connection;
use lb_testkit::origin::Origin;
use lb_testkit::runtime::ask;
use lb_testkit::script::Step;
use lb_testkit::wait::{Deadline, must, patience};
use rustix::process::Signal;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

const SITE: &str = "frontend fe
    bind 127.0.0.1:{fe}
    default_backend be
backend be
    server s1 127.0.0.1:{o1}
";

/// A proxy of four threads, thus with four sockets for its address, and its origin.
fn site() -> (Lb, Origin) {
    site_with("")
}

/// As [`site`], with these words on its `bind` line.
fn site_with(words: &str) -> (Lb, Origin) {
    let origin = origins(vec![vec![Step::Serve(OK.into())]]);
    let text = PREAMBLE.replace("maxconn 500", "maxconn 500\n    nbthread 4\n    stats socket {dir}/stats level admin expose-fd listeners")
        + &SITE.replace("{fe}", &("{fe}".to_owned() + words));
    (start(&text, &[("o1", origin.port())]), origin)
}

fn socket(lb: &Lb) -> PathBuf {
    lb.process.dir().join("stats")
}

fn come(lb: &Lb) -> UnixStream {
    let stream = io(UnixStream::connect(socket(lb)));
    io(stream.set_read_timeout(Some(patience())));
    stream
}

/// The TCP sockets that are given to who says `words`, and how many others.
#[track_caller]
fn fetch(mut stream: UnixStream, words: &str) -> (Vec<TcpListener>, usize) {
    io(stream.write_all(format!("{words}\n").as_bytes()));
    let mut count = [0; 4];
    io(stream.read_exact(&mut count));
    let count = u32::from_ne_bytes(count) as usize;
    let mut all: Vec<OwnedFd> = Vec::new();
    while all.len() < count {
        let (_, fds) = io(lb_sys::fds::receive(stream.as_fd(), &mut vec![0; 1 << 16]));
        assert!(!fds.is_empty(), "{} of {count}", all.len());
        all.extend(fds);
    }
    let is_tcp = |fd: &OwnedFd| lb_sys::socket::local_addr(fd.as_fd()).is_ok_and(|addr| addr.ip().is_some());
    let (tcp, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_tcp);
    (tcp.into_iter().map(TcpListener::from).collect(), others.len())
}

/// haproxy would close what it has no use for, and with it what waits there.
#[test]
fn haproxy_gets_one_socket_for_each_address() {
    let (lb, _origin) = site();
    let (one, others) = fetch(come(&lb), "_getsocks");
    assert_eq!((one.len(), others), (1, 1));
    let (all, others) = fetch(come(&lb), "_getsocks all");
    assert_eq!((all.len(), others), (4, 1));
}

/// A process that has taken one socket: answers until somebody says "END ", and tells how often.
fn next_process(kept: TcpListener) -> std::thread::JoinHandle<usize> {
    std::thread::spawn(move || {
        let mut answered = 0;
        loop {
            // It does not wait, as it does not in the old process: that is a property of the socket.
            let Ok((mut stream, _)) = kept.accept() else {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            };
            io(stream.set_read_timeout(Some(patience())));
            let mut begin = [0; 4];
            match stream.read_exact(&mut begin) {
                Ok(()) if begin == *b"END " => return answered,
                // An answer with the name of who gave it.
                _ => answered += usize::from(stream.write_all(b"new").is_ok()),
            }
        }
    })
}

fn client(lb: &Lb) -> TcpStream {
    let stream = io(TcpStream::connect(lb.addr()));
    io(stream.set_read_timeout(Some(patience())));
    stream
}

/// Asks; true when the new process has answered, false when the old one.
#[track_caller]
fn is_new(stream: &mut TcpStream) -> bool {
    let mut answer = [0; 3];
    io(stream.read_exact(&mut answer));
    assert!([*b"new", *b"HTT"].contains(&answer), "{answer:?}");
    answer == *b"new"
}

/// Who has taken one of four: all that comes is answered, by the old process or by the new one, whichever socket the kernel had chosen.
#[test]
fn what_is_left_behind_is_emptied_first() {
    let (mut lb, _origin) = site();
    let next = next_process(fetch(come(&lb), "_getsocks").0.pop().unwrap());
    io(lb.process.signal(Signal::USR1));
    let mut new = 0;
    while lb.alive() || new == 0 {
        let mut stream = client(&lb);
        io(stream.write_all(b"GET / HTTP/1.0\r\n\r\n"));
        new += usize::from(is_new(&mut stream));
    }
    io(client(&lb).write_all(b"END "));
    assert_eq!(next.join().unwrap(), new);
}

/// Handshakes that have begun when the old process is told to go come to their end: the kernel keeps them open until a client says
/// something (`defer-accept`), which it does a moment later.
#[test]
fn handshakes_end_first() {
    let said = |after: Duration| {
        let (mut lb, _origin) = site_with(" defer-accept");
        let next = next_process(fetch(come(&lb), "_getsocks").0.pop().unwrap());
        let mut clients: Vec<_> = (0..32).map(|_| client(&lb)).collect();
        let limit = Deadline::after(Duration::from_millis(800));
        io(lb.process.signal(Signal::USR1));
        // Long enough for a process that does not wait to close its sockets.
        std::thread::sleep(after);
        let sent: Vec<_> = clients.iter_mut().map(|client| client.write_all(b"GET / HTTP/1.0\r\n\r\n")).collect();
        // Later than that they may have been given up.
        let in_time = !limit.passed();
        if in_time {
            sent.into_iter().for_each(io);
            clients.iter_mut().for_each(|client| {
                is_new(client);
            });
        }
        must("the old process has gone", || !lb.alive());
        io(client(&lb).write_all(b"END "));
        next.join().unwrap();
        in_time
    };
    // A machine that is busy with something else is asked again.
    (0..5).any(|_| said(Duration::from_millis(200)));
}

/// A process on its way out may be the one that is asked, since its successor waits at the same socket.
#[test]
fn who_has_come_before_the_end_is_not_sent_away() {
    let (lb, _origin) = site();
    let mut kept = io(Connection::open(lb.addr()));
    assert_eq!(io(kept.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n")).status, 200);
    let mut running = io(Connection::open(lb.addr()));
    // It keeps the process.
    io(running.send(&GET[..9]));
    let asker = come(&lb);
    let other = come(&lb);
    // Whoever is served after them has seen them accepted.
    assert!(io(ask(&socket(&lb), "show info")).contains("Name:"));
    io(lb.process.signal(Signal::USR1));
    must("the soft stop has begun", || lb.process.output().contains("Proxy fe stopped"));
    let (given, others) = fetch(asker, "_getsocks all");
    assert_eq!((given.len(), others), (4, 1));
    drop(given);
    // The last one that could have asked goes, and with it the sockets.
    drop(other);
    let addr = lb.addr();
    must("nobody listens any more", || TcpStream::connect(addr).is_err());
    io(running.send(&GET[9..]));
    assert_eq!(io(running.response(false)).status, 200);
}

/// A start that fails has changed nothing for the process that goes on.
#[test]
fn a_start_that_fails_leaves_sockets_in_their_place() {
    let (lb, _origin) = site();
    let taken = io(TcpListener::bind("127.0.0.1:0"));
    let text = format!(
        "global\n    stats socket {}\ndefaults\n    mode http\n    timeout client 1s\nfrontend fe\n    bind {}/fe.sock\n    bind {}\n",
        socket(&lb).display(),
        lb.process.dir().display(),
        io(taken.local_addr())
    );
    let file = lb.process.dir().join("next.cfg");
    io(std::fs::write(&file, text));
    let out = io(limited(None, &file, &[]).output());
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success() && said.contains("cannot bind"), "{said}");
    assert!(io(ask(&socket(&lb), "show info")).contains("Name:"));
    let left = io(std::fs::read_dir(lb.process.dir())).map(|entry| io(entry).file_name()).collect::<Vec<_>>();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("fe.sock") || name.to_string_lossy().ends_with(".tmp")), "{left:?}");
}

/// Sockets that are taken out of a process are taken once, although it has duplicates to pass on.
#[test]
fn sockets_do_not_multiply() {
    let descriptors = |pid: u32| {
        let mut of = HashMap::new();
        for entry in io(std::fs::read_dir(format!("/proc/{pid}/fd"))).flatten() {
            let socket = std::fs::read_link(entry.path()).ok().filter(|to| to.to_string_lossy().starts_with("socket:"));
            socket.into_iter().for_each(|socket| *of.entry(socket).or_insert(0) += 1);
        }
        of.into_values().max().unwrap_or(0)
    };
    let (lb, _origin) = site();
    // One that accepts, one to pass on.
    assert_eq!(descriptors(lb.process.pid()), 2);
    let file = lb.process.dir().join("proxy.cfg");
    // Where the right is lacking it opens its own.
    let mut next = io(limited(None, &file, &["-sf", &lb.process.pid().to_string()]).spawn());
    let name = format!("Pid: {}", next.id());
    must("it serves", || ask(&socket(&lb), "show info").is_ok_and(|info| info.contains(&name)));
    let count = descriptors(next.id());
    io(next.kill());
    io(next.wait());
    assert_eq!(count, 2);
}
