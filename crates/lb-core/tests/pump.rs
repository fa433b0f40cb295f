//! One flow by itself: how much it does before others have their turn.
#![allow(clippy::disallowed_methods)] // Tests live in real time.

use lb_core::out::OutPool;
use lb_core::pump::{Flow, Framing, SpliceMode};
use lb_rt::{Rt, Socket};
use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

fn pair(rt: &Rt) -> (Socket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let ours = listener.accept().unwrap().0;
    ours.set_nonblocking(true).unwrap();
    (Socket::from_fd(rt, ours.into()), theirs)
}

/// A flow gives way after a number of turns, however little they have moved, and goes on by itself.
#[test]
fn very_small_pieces_let_others_have_their_turn() {
    const SIZE: usize = 60_000;
    const PIECE: usize = 4;
    let rt = Rt::new().unwrap();
    rt.buffers().set_size(PIECE);
    let (from, mut client) = pair(&rt);
    let (to, mut server) = pair(&rt);
    let sent: Vec<u8> = (0..SIZE).map(|n| n as u8).collect();
    client.write_all(&sent).unwrap();
    let received = std::thread::spawn(move || {
        let mut all = vec![0; SIZE];
        server.read_exact(&mut all).unwrap();
        all
    });
    let own = rt.clone();
    let most = rt
        .block_on(async move {
            let outs = OutPool::default();
            let mut flow = Flow::new(Framing::Length(SIZE as u64), SpliceMode::Off);
            let mut most = 0;
            poll_fn(|_| {
                let before = flow.sent;
                let polled = flow.poll(&own, &outs, &from, &to);
                most = most.max(flow.sent - before);
                polled
            })
            .await
            .unwrap();
            most
        })
        .unwrap();
    assert_eq!(received.join().unwrap(), sent);
    assert!(most as usize <= SIZE / 2, "{most} bytes in one poll, {PIECE} at a time");
}

/// A chunked body leaves in the same chunks, whether their framing can go on as it stands or has to be written anew.
#[test]
fn chunks_of_every_spelling() {
    const CHUNKS: usize = 3_000;
    let rt = Rt::new().unwrap();
    let (from, client) = pair(&rt);
    let (to, mut server) = pair(&rt);
    let (mut sent, mut expected, mut payload) = (Vec::new(), Vec::new(), 0);
    for i in 0..CHUNKS {
        // Sizes around those of buffers, and runs of small ones.
        let size = [4096, 1, 26, 16_384, 700, 65_535, 4096, 4096][i * 7 % 8] - i % 2 * (i % 3 / 2);
        let size = size.max(1);
        let data: Vec<u8> = (0..size).map(|n| (n + i) as u8).collect();
        let line = if i % 50 < 40 { format!("{size:x}\r\n") } else { format!("00{size:X};x=y\r\n") };
        sent.extend([line.as_bytes(), &data, b"\r\n"].concat());
        expected.extend([format!("{size:x}\r\n").as_bytes(), &data, b"\r\n"].concat());
        payload += size as u64;
    }
    sent.extend_from_slice(b"0\r\na:b\r\n\r\nGET");
    expected.extend_from_slice(b"0\r\na: b\r\n\r\n");
    let sending = std::thread::spawn(move || (&client).write_all(&sent).map(|()| client).unwrap());
    let length = expected.len();
    let received = std::thread::spawn(move || {
        let mut all = vec![0; length];
        server.read_exact(&mut all).unwrap();
        all
    });
    let own = rt.clone();
    let flow = rt
        .block_on(async move {
            let outs = OutPool::default();
            let decoder = lb_http::chunk::Decoder::new(8192, 100);
            let mut flow = Flow::new(Framing::Chunked(Box::new(decoder)), SpliceMode::Off);
            poll_fn(|_| flow.poll(&own, &outs, &from, &to)).await.unwrap();
            flow
        })
        .unwrap();
    assert_eq!(received.join().unwrap(), expected);
    // One byte for the end, and the trailer without its punctuation, as the log counts.
    assert_eq!((flow.sent, flow.payload), (expected.len() as u64, payload + 3));
    let mut flow = flow;
    assert!(flow.take_input().is_none_or(|rest| b"GET".starts_with(rest.filled())), "the next message is left");
    drop(sending.join().unwrap());
}
