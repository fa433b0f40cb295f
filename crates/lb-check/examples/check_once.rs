//! Checks one address over plain `std::net`, every interval, and prints what a proxy would log.
//!
//! `cargo run -p lb-check --example check_once -- 127.0.0.1:80 /health`; without arguments it starts an origin of its own
//! that falls ill and recovers.

// An example is a shell: it may read the clock.
#![allow(clippy::disallowed_methods)]

use lb_check::report::{Cause, Checker, Counts, Server, check_line, server_lines};
use lb_check::{Action, Check, CheckSpec, Event, Health, HealthSpec, HttpRequest, NoWorld, Script, SystemError, Verdict};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (addr, rounds) = match args.next() {
        Some(addr) => (addr.parse()?, usize::MAX),
        None => (origin()?, 12),
    };
    let uri = args.next().unwrap_or_else(|| "/".into());
    let spec = HealthSpec { inter: Duration::from_millis(300), fastinter: Some(Duration::from_millis(100)), ..HealthSpec::default() };
    let request = HttpRequest::parse("GET", &uri, "HTTP/1.0")?;
    let mut check = Check::new(CheckSpec::new(Script::http(request), spec.inter).into());
    let mut health = Health::new(spec);
    let server = Server { backend: "example", name: "one", backup: false, no_share: false, tracks: None };
    for _ in 0..rounds {
        let verdict = run(&mut check, addr);
        let applied = health.apply(&verdict);
        if applied.noticed {
            println!("{}", check_line(server, &health, &verdict, Checker::Health).text);
        }
        if let Some(transition) = applied.transition {
            let counts = Counts { active: usize::from(health.takes_new()), ..Counts::default() };
            for line in server_lines(server, &health, transition, Cause::LoggedCheck, counts) {
                println!("{}", line.text);
            }
        }
        std::thread::sleep(health.interval());
    }
    Ok(())
}

/// One check from start to end, with blocking calls.
fn run(check: &mut Check, addr: SocketAddr) -> Verdict {
    let mut out = Vec::new();
    let mut stream = None;
    check.handle(Instant::now(), Event::Start, &NoWorld, &mut out);
    loop {
        for action in std::mem::take(&mut out) {
            match action {
                Action::Connect(_) => match TcpStream::connect_timeout(&addr, left(check)) {
                    Ok(s) => {
                        stream = Some(s);
                        check.handle(Instant::now(), Event::Connected, &NoWorld, &mut out);
                    }
                    Err(e) if timed_out(&e) => check.handle(Instant::now() + left(check), Event::Timeout, &NoWorld, &mut out),
                    Err(e) => check.handle(Instant::now(), Event::ConnectFailed(SystemError::from(&e)), &NoWorld, &mut out),
                },
                Action::Send(bytes) => match stream.as_mut().map(|s| s.write_all(&bytes)) {
                    Some(Err(e)) => check.handle(Instant::now(), Event::Failed(SystemError::from(&e)), &NoWorld, &mut out),
                    _ => check.handle(Instant::now(), Event::Sent, &NoWorld, &mut out),
                },
                Action::Close { .. } => stream = None,
                Action::Done(verdict) => return verdict,
                _ => {}
            }
        }
        let Some(s) = stream.as_mut().filter(|_| out.is_empty()) else { continue };
        let mut buf = [0; 4096];
        let read = s.set_read_timeout(Some(left(check))).and_then(|()| s.read(&mut buf));
        match read {
            Ok(0) => check.handle(Instant::now(), Event::Eof, &NoWorld, &mut out),
            Ok(n) => check.handle(Instant::now(), Event::Data(&buf[..n]), &NoWorld, &mut out),
            Err(e) if timed_out(&e) => check.handle(Instant::now() + left(check), Event::Timeout, &NoWorld, &mut out),
            Err(e) => check.handle(Instant::now(), Event::Failed(SystemError::from(&e)), &NoWorld, &mut out),
        }
    }
}

fn left(check: &Check) -> Duration {
    let left = check.deadline().map(|d| d.saturating_duration_since(Instant::now()));
    left.unwrap_or_default().max(Duration::from_millis(1))
}

fn timed_out(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

/// An origin that answers well, then badly, then well again.
fn origin() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    std::thread::spawn(move || {
        for (n, stream) in listener.incoming().flatten().enumerate() {
            let mut stream = stream;
            let _ = stream.read(&mut [0; 1024]);
            let status = if (3..7).contains(&n) { "503 Service Unavailable" } else { "200 OK" };
            let _ = stream.write_all(format!("HTTP/1.0 {status}\r\n\r\n").as_bytes());
        }
    });
    Ok(addr)
}
