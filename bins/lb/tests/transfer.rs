//! Large transfers arrive whole, in both modes and all framings, slow readers and writers included.

mod common;

use common::{PREAMBLE, io, start};
use lb_testkit::fixture::{Digest, pattern};
use lb_testkit::http::{self, Connection};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::JoinHandle;

const PIECE: usize = 1 << 20;
const PIECES: u64 = 64;

/// Writes `PIECES` MiB of the pattern of `seed`, each piece framed by `frame`; gives the digest of the content.
fn write_all(stream: &mut TcpStream, seed: u64, frame: impl Fn(&[u8]) -> (Vec<u8>, &'static [u8])) -> Digest {
    let mut digest = Digest::default();
    for n in 0..PIECES {
        let piece = pattern(seed + n, PIECE - (n as usize * 7) % 1000);
        digest.feed(&piece);
        let (before, after) = frame(&piece);
        io(stream.write_all(&before));
        io(stream.write_all(&piece));
        io(stream.write_all(after));
    }
    digest
}

fn plain(_: &[u8]) -> (Vec<u8>, &'static [u8]) {
    (Vec::new(), b"")
}

fn chunk(piece: &[u8]) -> (Vec<u8>, &'static [u8]) {
    (format!("{:x};ext=1\r\n", piece.len()).into_bytes(), b"\r\n")
}

fn total() -> u64 {
    (0..PIECES).map(|n| (PIECE - (n as usize * 7) % 1000) as u64).sum()
}

/// Reads to the end of the stream.
fn digest_to_eof(stream: &mut impl Read) -> Digest {
    let mut digest = Digest::default();
    let mut buf = vec![0; 1 << 17];
    loop {
        match io(stream.read(&mut buf)) {
            0 => return digest,
            n => digest.feed(&buf[..n]),
        }
    }
}

/// Reads a head, leaves what follows it in the returned buffer.
fn read_head(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut buf = Vec::new();
    let mut piece = [0; 4096];
    loop {
        if let Some(n) = http::head_len(&buf) {
            let rest = buf.split_off(n);
            return (String::from_utf8_lossy(&buf).to_lowercase(), rest);
        }
        let n = io(stream.read(&mut piece));
        assert_ne!(n, 0, "closed in the head");
        buf.extend(&piece[..n]);
    }
}

/// The digest of a body that is framed as `head` says.
fn digest_body(stream: &mut TcpStream, head: &str, rest: Vec<u8>) -> Digest {
    let reader = std::io::Cursor::new(rest).chain(stream);
    let mut reader = std::io::BufReader::with_capacity(1 << 17, reader);
    if let Some(length) = head.split("content-length: ").nth(1) {
        let length: u64 = length.split("\r\n").next().unwrap().parse().unwrap();
        return digest_to_eof(&mut reader.take(length));
    }
    if !head.contains("transfer-encoding: chunked") {
        return digest_to_eof(&mut reader);
    }
    let mut digest = Digest::default();
    loop {
        let mut line = String::new();
        io(std::io::BufRead::read_line(&mut reader, &mut line));
        let size = line.split([';', '\r']).next().unwrap();
        let size = u64::from_str_radix(size, 16).unwrap_or_else(|_| panic!("chunk size {line:?}"));
        let mut data = vec![0; usize::try_from(size).unwrap() + 2];
        io(reader.read_exact(&mut data));
        assert!(data.ends_with(b"\r\n"));
        if size == 0 {
            return digest;
        }
        digest.feed(&data[..data.len() - 2]);
    }
}

fn server<T: Send + 'static>(work: impl FnOnce(TcpStream) -> T + Send + 'static) -> (u16, JoinHandle<T>) {
    let listener = io(TcpListener::bind("127.0.0.1:0"));
    let port = io(listener.local_addr()).port();
    let thread = std::thread::spawn(move || {
        let stream = io(listener.accept()).0;
        io(stream.set_read_timeout(Some(lb_testkit::wait::patience())));
        work(stream)
    });
    (port, thread)
}

fn site(mode: &str, more: &str) -> String {
    PREAMBLE.replace("mode http", &format!("mode {mode}")).replace("httplog", &format!("{mode}log"))
        + &format!("listen fe\n    bind 127.0.0.1:{{fe}}\n    {more}\n    server s1 127.0.0.1:{{o1}}\n")
}

#[test]
fn tcp_both_ways_at_once() {
    for more in ["", "option splice-auto", "no option splice-auto"] {
        let (port, thread) = server(|mut stream| {
            let mut reader = stream.try_clone().unwrap();
            let reading = std::thread::spawn(move || digest_to_eof(&mut reader));
            let sent = write_all(&mut stream, 1000, plain);
            io(stream.shutdown(Shutdown::Write));
            (sent, reading.join().unwrap())
        });
        let lb = start(&site("tcp", more), &[("o1", port)]);
        let mut stream = io(TcpStream::connect(lb.addr()));
        let mut reader = io(stream.try_clone());
        let reading = std::thread::spawn(move || digest_to_eof(&mut reader));
        let sent = write_all(&mut stream, 1, plain);
        io(stream.shutdown(Shutdown::Write));
        let (theirs, received) = thread.join().unwrap();
        assert_eq!(sent, received, "{more}");
        assert_eq!(theirs, reading.join().unwrap(), "{more}");
    }
}

#[test]
fn http_upload() {
    for (more, chunked) in [("", false), ("", true), ("option splice-auto", false), ("option splice-auto", true)] {
        let (port, thread) = server(|mut stream| {
            let (head, rest) = read_head(&mut stream);
            let digest = digest_body(&mut stream, &head, rest);
            io(stream.write_all(common::OK.as_bytes()));
            digest
        });
        let lb = start(&site("http", more), &[("o1", port)]);
        let mut connection = io(Connection::open(lb.addr()));
        let framing = if chunked { "Transfer-Encoding: chunked".to_owned() } else { format!("Content-Length: {}", total()) };
        io(connection.send(format!("PUT /big HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n")));
        let mut stream = io(connection.stream().try_clone());
        let sent = if chunked { write_all(&mut stream, 5, chunk) } else { write_all(&mut stream, 5, plain) };
        if chunked {
            io(connection.send("0\r\n\r\n"));
        }
        assert_eq!(io(connection.response(false)).status, 200);
        assert_eq!(sent, thread.join().unwrap(), "{more} chunked: {chunked}");
    }
}

#[test]
fn http_download() {
    for (more, framing) in [
        ("", "length"),
        ("", "chunked"),
        ("", "close"),
        ("option splice-auto", "length"),
        ("option splice-auto", "chunked"),
        ("no option splice-auto", "close"),
    ] {
        let (port, thread) = server(move |mut stream| {
            read_head(&mut stream);
            let field = match framing {
                "length" => format!("Content-Length: {}\r\n", total()),
                "chunked" => "Transfer-Encoding: chunked\r\n".to_owned(),
                _ => String::new(),
            };
            io(stream.write_all(format!("HTTP/1.1 200 OK\r\n{field}\r\n").as_bytes()));
            if framing == "chunked" {
                let digest = write_all(&mut stream, 9, chunk);
                io(stream.write_all(b"0\r\n\r\n"));
                digest
            } else {
                write_all(&mut stream, 9, plain)
            }
        });
        let lb = start(&site("http", more), &[("o1", port)]);
        let mut stream = io(TcpStream::connect(lb.addr()));
        io(stream.set_read_timeout(Some(lb_testkit::wait::patience())));
        io(stream.write_all(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n"));
        let (head, rest) = read_head(&mut stream);
        let received = digest_body(&mut stream, &head, rest);
        assert_eq!(thread.join().unwrap(), received, "{more} {framing}");
    }
}

/// Upload and download at the same time on one request: the server answers with what it reads.
#[test]
fn http_echo_while_uploading() {
    let (port, thread) = server(|mut stream| {
        let (head, rest) = read_head(&mut stream);
        assert!(head.contains("content-length"));
        io(stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", total()).as_bytes()));
        io(stream.write_all(&rest));
        let mut left = total() - rest.len() as u64;
        let mut buf = vec![0; 1 << 16];
        while left > 0 {
            let n = io(stream.read(&mut buf));
            assert_ne!(n, 0, "closed with {left} bytes to come");
            io(stream.write_all(&buf[..n]));
            left -= n as u64;
        }
    });
    let lb = start(&site("http", ""), &[("o1", port)]);
    let mut stream = io(TcpStream::connect(lb.addr()));
    io(stream.set_read_timeout(Some(lb_testkit::wait::patience())));
    io(stream.write_all(format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", total()).as_bytes()));
    let mut reader = io(stream.try_clone());
    let reading = std::thread::spawn(move || {
        let (head, rest) = read_head(&mut reader);
        digest_body(&mut reader, &head, rest)
    });
    let sent = write_all(&mut stream, 77, plain);
    assert_eq!(sent, reading.join().unwrap());
    thread.join().unwrap();
}

/// The pipes that the process has open.
fn pipes(lb: &common::Lb) -> usize {
    let dir = io(std::fs::read_dir(format!("/proc/{}/fd", lb.process.pid())));
    dir.filter_map(|e| std::fs::read_link(e.ok()?.path()).ok()).filter(|to| to.to_string_lossy().starts_with("pipe:")).count()
}

/// With `-dS` or `nosplice` no pipe is ever opened; without, bulk goes through one.
#[test]
fn pipes_are_used_unless_forbidden() {
    let forbidding = site("tcp", "option splice-auto").replace("maxconn 500", "maxconn 500\n    nosplice");
    for (args, config, expected) in
        [(&[][..], site("tcp", "option splice-auto"), true), (&["-dS"], site("tcp", "option splice-auto"), false), (&[], forbidding, false)]
    {
        let (port, thread) = server(|mut stream| write_all(&mut stream, 3, plain));
        let lb = common::start_with(args, None, &config, &[("o1", port)]);
        let mut stream = io(TcpStream::connect(lb.addr()));
        let (mut digest, mut most) = (Digest::default(), 0);
        let mut buf = vec![0; 1 << 17];
        // Such as it has inherited.
        let before = pipes(&lb);
        loop {
            // The reader is the slower one: what waits for it is in a pipe, or in none.
            most = most.max(pipes(&lb) - before);
            match io(stream.read(&mut buf)) {
                0 => break,
                n => digest.feed(&buf[..n]),
            }
        }
        assert_eq!(thread.join().unwrap(), digest);
        assert_eq!(most > 0, expected, "{most} pipes with {args:?} and\n{config}");
    }
}
