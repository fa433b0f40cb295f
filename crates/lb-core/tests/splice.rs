//! Bulk goes through pipes, in both modes and every framing that allows it, and not where the file forbids it. The bytes themselves are
//! compared elsewhere (`bins/lb/tests/transfer.rs`, the simulation); here it is how they went.
#![allow(clippy::disallowed_methods)] // Tests live in real time.

mod world;

use lb_testkit::origin::Origin;
use lb_testkit::ports::free_tcp;
use lb_testkit::script::{Plain, Step};
use lb_testkit::wait;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::{Arc, mpsc};
use world::Running;

const BULK: usize = 4 << 20;

/// Bytes that the proxy has moved by splice, and by copy.
fn moved(proxy: &Running) -> (usize, usize) {
    let (sender, receiver) = mpsc::channel();
    proxy.process.everywhere(move |worker| {
        let _ = sender.send(worker.moved_bytes());
    });
    let (spliced, copied) = receiver.recv_timeout(wait::patience()).unwrap();
    (spliced as usize, copied as usize)
}

/// Sends `request` to an origin that does `steps`, through a proxy with these lines in `global` and in its section; the client reads
/// to the end of the connection. Tells how the bytes went.
fn transfer(mode: &str, global: &str, section: &str, request: Vec<u8>, steps: Vec<Step>) -> (usize, usize) {
    let origin = Origin::start(vec![steps], Arc::new(Plain::default())).unwrap();
    let port = free_tcp();
    let proxy = Running::start(
        &format!(
            "global\n {global}\ndefaults\n mode {mode}\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n\
             listen l\n bind 127.0.0.1:{port}\n {section}\n server s 127.0.0.1:{}\n",
            origin.port()
        ),
        1,
    );
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    client.set_read_timeout(Some(wait::patience())).unwrap();
    let mut writer = client.try_clone().unwrap();
    let writing = std::thread::spawn(move || writer.write_all(&request).unwrap());
    let mut buf = vec![0; 1 << 16];
    while client.read(&mut buf).unwrap() != 0 {}
    writing.join().unwrap();
    drop(client);
    wait::must("the stream has ended", || proxy.process.gate.current() == 0);
    moved(&proxy)
}

fn bulk(head: &str) -> Vec<u8> {
    [head.as_bytes(), &vec![b'x'; BULK]].concat()
}

fn chunked(head: &str, chunk: usize) -> Vec<u8> {
    let mut out = head.as_bytes().to_vec();
    for _ in 0..BULK / chunk {
        out.extend_from_slice(format!("{chunk:x}\r\n").as_bytes());
        out.resize(out.len() + chunk, b'x');
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

/// A name, the mode, what the client sends, what the origin does.
type Transfer = (&'static str, &'static str, Vec<u8>, Vec<Step>);

fn transfers() -> Vec<Transfer> {
    let ask = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec();
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
    let put = |framing: &str| format!("PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{framing}\r\n\r\n");
    let answer = |framing: &str| format!("HTTP/1.1 200 OK\r\n{framing}\r\n");
    let length = format!("Content-Length: {BULK}\r\n");
    vec![
        ("tcp up", "tcp", bulk(""), vec![Step::Count(BULK), Step::Close]),
        ("tcp down", "tcp", b"go".to_vec(), vec![Step::Count(2), Step::Send(bulk("")), Step::Close]),
        ("http up", "http", bulk(&put(length.trim_end())), vec![Step::Request, Step::Send(ok.clone())]),
        ("http up in chunks", "http", chunked(&put("Transfer-Encoding: chunked"), 1 << 20), vec![Step::Request, Step::Send(ok)]),
        ("http down", "http", ask.clone(), vec![Step::Request, Step::Send(bulk(&answer(&length)))]),
        (
            "http down in chunks",
            "http",
            ask.clone(),
            vec![Step::Request, Step::Send(chunked(&answer("Transfer-Encoding: chunked\r\n"), 256 << 10))],
        ),
        ("http down to the end of the connection", "http", ask, vec![Step::Request, Step::Send(bulk(&answer(""))), Step::Close]),
    ]
}

#[test]
fn bulk_is_spliced() {
    for (name, mode, request, steps) in transfers() {
        let (spliced, copied) = transfer(mode, "", "", request, steps);
        assert!(spliced > BULK / 10 * 9, "{name}: {spliced} bytes spliced, {copied} copied");
    }
}

/// One of the two options, alone or taken back: nothing is spliced less for it, in either direction.
#[test]
fn options_for_one_direction() {
    for option in ["option splice-request", "option splice-response", "no option splice-auto"] {
        for (name, mode, request, steps) in transfers().into_iter().filter(|(name, ..)| !name.contains("chunks")) {
            let (spliced, copied) = transfer(mode, "", option, request, steps);
            assert!(spliced > BULK / 10 * 9, "{option}, {name}: {spliced} bytes spliced, {copied} copied");
        }
    }
}

#[test]
fn splicing_can_be_forbidden() {
    for global in ["nosplice", "maxpipes 0"] {
        for (name, mode, request, steps) in transfers() {
            let (spliced, copied) = transfer(mode, global, "option splice-auto", request, steps);
            assert!(spliced == 0 && copied >= BULK, "{global}, {name}: {spliced} bytes spliced, {copied} copied");
        }
        let (name, mode, request, steps) = transfers().swap_remove(0);
        let (spliced, _) = transfer(mode, global, "option splice-request\n option splice-response", request, steps);
        assert_eq!(spliced, 0, "{global}, {name}");
    }
}

/// Small chunks and short messages are not worth a pipe.
#[test]
fn small_pieces_are_copied() {
    let ask = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec();
    let answer = chunked("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 4096);
    let (spliced, copied) = transfer("http", "", "", ask, vec![Step::Request, Step::Send(answer)]);
    assert!(spliced == 0 && copied >= BULK, "{spliced} bytes spliced, {copied} copied");
    let (spliced, copied) = transfer("tcp", "", "", b"ping".to_vec(), vec![Step::Count(4), Step::Send(b"pong".to_vec()), Step::Close]);
    assert_eq!((spliced, copied), (0, 8));
}

/// Sizes of the pipes of this process.
fn pipe_sizes() -> Vec<usize> {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    let mut sizes: Vec<_> = entries
        .filter_map(|e| {
            let path = e.ok()?.path();
            let link = std::fs::read_link(&path).ok()?;
            let number = path.file_name()?.to_str()?.parse().ok()?;
            let copy = link.to_str()?.starts_with("pipe:").then(|| lb_sys::process::inherited(number).ok())??;
            Some((link, rustix::pipe::fcntl_getpipe_size(&copy).ok()?))
        })
        .collect();
    sizes.sort();
    sizes.dedup();
    sizes.into_iter().map(|(_, size)| size).collect()
}

/// How many pipes there are at once, and how large: relays whose clients do not read keep theirs.
#[test]
fn number_and_size_of_pipes() {
    // Of other sizes than the other tests' pipes have.
    for (global, size, most) in [("tune.pipesize 131072", 131_072, 3), ("tune.pipesize 32768\n maxpipes 2", 32_768, 2)] {
        let world = Arc::new(Plain::default());
        let steps = vec![Step::Send(vec![b'x'; 8 << 20]), Step::Wait("over")];
        let origin = Origin::start(vec![steps], world.clone()).unwrap();
        let port = free_tcp();
        let proxy = Running::start(
            &format!(
                "global\n {global}\ndefaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n\
                 listen l\n bind 127.0.0.1:{port}\n server s 127.0.0.1:{}\n",
                origin.port()
            ),
            1,
        );
        let clients: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap()).collect();
        let pipes = || pipe_sizes().into_iter().filter(|s| *s == size).count();
        wait::must(&format!("{global}: {most} pipes"), || pipes() == most);
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert_eq!(pipes(), most, "{global}");
        drop(clients);
        lb_testkit::script::World::signals(&*world).raise("over");
        wait::must("the streams have ended", || proxy.process.gate.current() == 0);
    }
}
