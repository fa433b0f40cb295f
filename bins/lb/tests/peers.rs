//! Other people's programs as clients and origins: nginx, curl, wrk, python's http.server; a websocket.

mod common;

use common::{PREAMBLE, io, nginx, output, start, tool, wrk};
use lb_testkit::fixture::{TempDir, pattern};
use lb_testkit::http::Connection;
use lb_testkit::ports;
use lb_testkit::process::Process;
use lb_testkit::ws;
use std::io::{Read, Write};
use std::process::Command;

const SITE: &str =
    "frontend fe\n    bind 127.0.0.1:{fe}\n    default_backend be\nbackend be\n    option forwardfor\n    server s1 127.0.0.1:{o1}\n";

#[test]
fn nginx_curl_and_wrk() {
    let (nginx, port) = nginx("hello from nginx");
    std::fs::create_dir(nginx.dir().join("files")).unwrap();
    let content = pattern(3, 20_000_000);
    std::fs::write(nginx.dir().join("files/big"), &content).unwrap();
    // Logs off: wrk would write a hundred thousand lines.
    let config = PREAMBLE.replace("    log global\n", "") + SITE;
    let mut lb = start(&config, &[("o1", port)]);
    let url = format!("http://{}", lb.addr());
    let curl = || {
        let mut command = Command::new(tool("curl"));
        command.args(["-sS", "--max-time", "30"]);
        command
    };
    assert_eq!(output(curl().arg(&url)), "hello from nginx");
    let dir = TempDir::new("curl").unwrap();
    let file = dir.path().join("out");
    output(curl().args(["-o", file.to_str().unwrap()]).arg(format!("{url}/files/big")));
    assert!(std::fs::read(&file).unwrap() == content, "the file differs");
    output(curl().args(["--http1.0", "-o", file.to_str().unwrap()]).arg(format!("{url}/files/big")));
    assert!(std::fs::read(&file).unwrap() == content, "the file differs over HTTP/1.0");
    let range = output(curl().args(["-r", "0-99", "-o", file.to_str().unwrap(), "-w", "%{http_code}"]).arg(format!("{url}/files/big")));
    assert_eq!((range.as_str(), std::fs::read(&file).unwrap().as_slice()), ("206", &content[..100]));
    assert!(output(curl().arg("-I").arg(format!("{url}/files/big"))).to_lowercase().contains("content-length: 20000000"));
    // Five requests of one curl use one connection.
    let urls: Vec<String> = (0..5).map(|i| format!("{url}/{i}")).collect();
    let connects =
        output(curl().args(["-o", "/dev/null", "-w", "%{num_connects} "]).args(urls.iter().flat_map(|u| ["-o", "/dev/null", u])));
    assert_eq!(connects.split_whitespace().filter(|n| *n == "1").count(), 1, "{connects}");
    for connections in [1, 64] {
        let load = wrk(lb.addr(), connections, 2);
        assert!(load.requests > 100 && load.socket_errors == 0 && load.bad_status == 0, "{}", load.text);
    }
    assert!(lb.alive());
}

#[test]
fn curl_uploads_with_expect() {
    let (server, port) = python_upload_server();
    let lb = start(&(PREAMBLE.to_owned() + SITE), &[("o1", port)]);
    let dir = TempDir::new("curl").unwrap();
    let content = pattern(4, 5_000_000);
    let file = dir.write("in", &content).unwrap();
    let url = format!("http://{}/up", lb.addr());
    for args in [&["-H", "Expect: 100-continue"][..], &["-H", "Expect:"], &["-H", "Transfer-Encoding: chunked"]] {
        let text = output(Command::new(tool("curl")).args(["-sS", "--max-time", "30", "-T", file.to_str().unwrap()]).args(args).arg(&url));
        assert_eq!(text, format!("{} {}", content.len(), content.iter().map(|b| u64::from(*b)).sum::<u64>()), "{args:?}");
    }
    drop(server);
}

/// Python's http.server with a PUT that counts and sums the bytes (and knows Expect and chunks).
fn python_upload_server() -> (Process, u16) {
    let script = r#"
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_PUT(self):
        data = b""
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                data += self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    break
        else:
            data = self.rfile.read(int(self.headers["Content-Length"]))
        text = ("%d %d" % (len(data), sum(data))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *args):
        pass
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;
    let port = ports::free_tcp();
    let mut process = io(Process::spawn(&tool("python3"), &["-c", script, &port.to_string()]));
    process.wait_listening(&[port]).unwrap();
    (process, port)
}

#[test]
fn python_http_server() {
    let dir = TempDir::new("python").unwrap();
    let content = pattern(5, 3_000_000);
    dir.write("file.bin", &content).unwrap();
    let port = ports::free_tcp();
    let at = dir.path().to_str().unwrap().to_owned();
    let args = ["-m", "http.server", &port.to_string(), "--bind", "127.0.0.1", "--directory", &at];
    let mut python = io(Process::spawn(&tool("python3"), &args));
    python.wait_listening(&[port]).unwrap();
    let lb = start(&(PREAMBLE.to_owned() + SITE), &[("o1", port)]);
    // It speaks HTTP/1.0 and closes: the client's connection is kept all the same.
    let mut connection = io(Connection::open(lb.addr()));
    for _ in 0..3 {
        let answer = io(connection.exchange("GET /file.bin HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(answer.status == 200 && answer.body == content);
    }
    assert_eq!(io(connection.exchange("GET /missing HTTP/1.1\r\nHost: a\r\n\r\n")).status, 404);
}

#[test]
fn websocket_echo() {
    let listener = io(std::net::TcpListener::bind("127.0.0.1:0"));
    let port = io(listener.local_addr()).port();
    let server = std::thread::spawn(move || {
        let mut stream = io(listener.accept()).0;
        let (mut buf, mut piece) = (Vec::new(), [0; 65536]);
        while lb_testkit::http::head_len(&buf).is_none() {
            let n = io(stream.read(&mut piece));
            buf.extend(&piece[..n]);
        }
        let head = lb_testkit::http::head_len(&buf).unwrap();
        assert!(String::from_utf8_lossy(&buf).to_lowercase().contains("upgrade: websocket"));
        buf.drain(..head);
        io(stream.write_all(&ws::upgrade_response()));
        loop {
            while let Some((payload, len)) = ws::parse(&buf) {
                buf.drain(..len);
                io(stream.write_all(&ws::frame(&payload, None)));
                if payload == b"bye" {
                    return;
                }
            }
            let n = io(stream.read(&mut piece));
            assert_ne!(n, 0);
            buf.extend(&piece[..n]);
        }
    });
    let config = PREAMBLE
        .replace("timeout client 10s", "timeout client 3s")
        .replace("timeout server 10s", "timeout server 3s\n    timeout tunnel 10m")
        + SITE;
    let lb = start(&config, &[("o1", port)]);
    let mut connection = io(Connection::open(lb.addr()));
    let answer = io(connection.exchange(ws::upgrade_request("/echo")));
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("upgrade").as_deref(), Some("websocket"));
    let mut stream = io(connection.stream().try_clone());
    let mut buf = Vec::new();
    for (i, size) in [1usize, 125, 126, 5000, 70_000, 500_000].into_iter().enumerate() {
        let payload = pattern(i as u64, size);
        let frame = ws::frame(&payload, Some([7, 8, 9, i as u8]));
        let mut writer = io(stream.try_clone());
        let writing = std::thread::spawn(move || io(writer.write_all(&frame)));
        let mut piece = [0; 65536];
        while ws::parse(&buf).is_none() {
            let n = io(stream.read(&mut piece));
            assert_ne!(n, 0, "closed");
            buf.extend(&piece[..n]);
        }
        let (echo, len) = ws::parse(&buf).unwrap();
        assert!(echo == payload, "{size} bytes differ");
        buf.drain(..len);
        writing.join().unwrap();
    }
    // Quiet for longer than timeout client and server: the tunnel has its own.
    std::thread::sleep(std::time::Duration::from_millis(3500));
    io(stream.write_all(&ws::frame(b"bye", Some([1, 2, 3, 4]))));
    let rest = io(connection.rest());
    assert_eq!(ws::parse(&rest).unwrap().0, b"bye");
    server.join().unwrap();
}
