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
