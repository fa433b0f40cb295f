//! Who gets which bytes: server connections that belong to one client, and answers that nobody asked for.

mod common;

use common::{OK, PREAMBLE, io, origins, start};
use lb_testkit::http::{Connection, get};
use lb_testkit::script::Step;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

const SITE: &str = "frontend fe
    bind 127.0.0.1:{fe}
    default_backend be
backend be
    http-reuse always
    server s1 127.0.0.1:{o1}
";

fn site() -> String {
    PREAMBLE.replace("maxconn 500", "maxconn 500\n    nbthread 1") + SITE
}

fn answers(all: &[&str]) -> Vec<Step> {
    all.iter().flat_map(|answer| [Step::Request, Step::Send((*answer).into())]).collect()
}

/// NTLM authenticates the connection: what the server said last does not make it anybody else's.
#[test]
fn an_authenticated_connection_stays_with_its_client() {
    const ASKS: &str = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n";
    const CHALLENGES: &str = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM TlRM\r\nContent-Length: 0\r\n\r\n";
    const SECRET: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret";
    let origin = origins(vec![answers(&[ASKS, CHALLENGES, SECRET, SECRET]), vec![Step::Serve(OK.into())]]);
    let lb = start(&site(), &[("o1", origin.port())]);
    let mut client = io(Connection::open(lb.addr()));
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(io(client.exchange(request)).status);
    }
    assert_eq!((statuses.as_slice(), origin.accepted()), (&[401, 401, 200][..], 1), "one connection carries the handshake");
    assert_eq!(io(get(lb.addr(), "/")).body, b"hello", "another client has another connection");
    assert_eq!(io(client.exchange(request)).body, b"secret", "who authenticated goes on with its own");
    assert_eq!(origin.accepted(), 2);
}

/// A server that has heard enough says so and closes, which resets the connection: the client gets the words.
#[test]
fn last_words_of_a_server_that_resets() {
    let listener = io(TcpListener::bind("127.0.0.1:0"));
    let port = io(listener.local_addr()).port();
    const ROUNDS: usize = 12;
    let server = std::thread::spawn(move || {
        let answer = |mut stream: TcpStream| {
            io(stream.read_exact(&mut [0]));
            // Until all buffers on the way are full.
            std::thread::sleep(Duration::from_millis(300));
            io(stream.write_all(b"enough"));
        };
        let all: Vec<_> = (0..ROUNDS).map(|_| io(listener.accept()).0).map(|s| std::thread::spawn(move || answer(s))).collect();
        all.into_iter().for_each(|t| t.join().unwrap());
    });
    let config =
        PREAMBLE.replace("mode http", "mode tcp").replace("httplog", "tcplog") + SITE.replace("    http-reuse always\n", "").as_str();
    let lb = start(&config, &[("o1", port)]);
    let upload = |mut stream: TcpStream| {
        io(stream.set_read_timeout(Some(lb_testkit::wait::patience())));
        let mut writer = io(stream.try_clone());
        let writing = std::thread::spawn(move || while writer.write_all(&[b'x'; 65536]).is_ok() {});
        let mut heard = [0; 6];
        let read = stream.read_exact(&mut heard).map(|()| heard);
        let _ = stream.shutdown(std::net::Shutdown::Both);
        writing.join().unwrap();
        read.map_err(|e| e.kind())
    };
    let clients: Vec<_> = (0..ROUNDS).map(|_| io(TcpStream::connect(lb.addr()))).map(|s| std::thread::spawn(move || upload(s))).collect();
    for client in clients {
        assert_eq!(client.join().unwrap(), Ok(*b"enough"));
    }
    server.join().unwrap();
}
