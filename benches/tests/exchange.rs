//! Client and origin against each other, without a proxy: every kind of exchange is counted exactly, and failures are seen.

use lb_benches::control::Report;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Stdio};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(args: &[&str]) -> (Running, BufReader<ChildStdout>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lb-load"));
    let mut child = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("lb-load starts");
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    out.read_line(&mut line).expect("a line");
    assert_eq!(line, "ready\n");
    (Running(child), out)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Two runs of `count` exchanges on the same client.
fn exchange(kind: &str, client: &[&str], count: u64) -> [Report; 2] {
    let port = free_port().to_string();
    let (_origin, _) = start(&["origin", "--port", &port, "--kind", kind]);
    runs(&port, kind, client, count)
}

fn runs(port: &str, kind: &str, client: &[&str], count: u64) -> [Report; 2] {
    let to = format!("127.0.0.1:{port}");
    let (mut process, mut out) = start(&[&["client", "--to", &to, "--kind", kind], client].concat());
    [(); 2].map(|()| {
        let orders = process.0.stdin.as_mut().expect("a pipe");
        writeln!(orders, "run {count} 20").expect("the client reads");
        let mut line = String::new();
        out.read_line(&mut line).expect("a report");
        let field = |name: &str| {
            let word = line.split_whitespace().find_map(|w| w.strip_prefix(name)?.strip_prefix('='));
            word.and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{name} in {line:?}"))
        };
        Report { done: field("done"), errors: field("errors"), bytes: field("bytes"), nanos: field("nanos") }
    })
}

#[test]
fn small_exchanges() {
    for (kind, args) in [
        ("http", &["--conns", "7"][..]),
        ("http-close", &["--conns", "7"]),
        ("echo", &["--conns", "7"]),
        ("http", &["--conns", "5", "--hold"]),
    ] {
        for report in exchange(kind, args, 300) {
            assert_eq!((report.done, report.errors), (300, 0), "{kind} {args:?}");
            let each = report.bytes / 300;
            assert_eq!(report.bytes % 300, 0, "{kind}: answers of one length");
            assert!(if kind == "echo" { each == 100 } else { (150..300).contains(&each) }, "{kind}: {each} bytes");
        }
    }
}

#[test]
fn large_objects() {
    const SIZE: u64 = 3_000_000;
    for (path, chunk) in [("/len/3000000", None), ("/chunk/3000000/262144", Some(262_144u64)), ("/chunk/3000000/4096", Some(4096))] {
        for report in exchange("http", &["--conns", "2", "--path", path], 6) {
            assert_eq!((report.done, report.errors), (6, 0), "{path}");
            // Size lines and line ends of the chunks, at most 10 bytes each; one head.
            let framing = chunk.map_or(0, |c| (SIZE.div_ceil(c) + 1) * 10);
            let each = report.bytes / 6;
            assert!((SIZE + 50..SIZE + 300 + framing).contains(&each), "{path}: {each} bytes");
        }
    }
}

#[test]
fn failures_are_errors() {
    // Nobody listens.
    let [report, _] = runs(&free_port().to_string(), "http", &["--conns", "4"], 10);
    assert_eq!((report.done, report.errors), (0, 10));
    // The origin closes after each answer, which a keep-alive client must not take for success.
    let port = free_port().to_string();
    let (_origin, _) = start(&["origin", "--port", &port, "--kind", "http-close"]);
    let [report, _] = runs(&port, "http", &["--conns", "1"], 10);
    assert!(report.errors > 0, "{report:?}");
}
