//! Streams and datagrams of the kernel through the reactor.

mod common;

use common::*;
use lb_rt::{Bind, Listener, Socket, Udp};
use lb_sys::Addr;
use lb_sys::socket::SockOpt;
use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

#[test]
fn echo_with_many_connections() {
    const CLIENTS: u64 = 400;
    run(|rt| async move {
        let (listener, addr) = listen(&rt);
        let rt2 = rt.clone();
        let acceptor = rt.spawn(async move {
            loop {
                let socket = accept(&listener).await.expect("accept");
                let rt3 = rt2.clone();
                rt2.spawn(async move {
                    loop {
                        poll_fn(|_| socket.poll_readable()).await.expect("readable");
                        let mut buf = rt3.buffers().take();
                        match socket.read(buf.spare()).await {
                            Ok(0) | Err(_) => break,
                            Ok(n) => buf.commit(n),
                        }
                        socket.write_all(buf.filled()).await.expect("write");
                    }
                });
            }
        });
        let done = Rc::new(Cell::new(0));
        for stream in 0..CLIENTS {
            let (rt2, addr, done) = (rt.clone(), addr.clone(), done.clone());
            rt.spawn(async move {
                let socket = connect(&rt2, &addr).await.expect("connect");
                for round in 0..10 {
                    let sent: Vec<u8> = (0..50).map(|i| byte(stream, round * 50 + i)).collect();
                    socket.write_all(&sent).await.expect("write");
                    let mut got = vec![0; 50];
                    let mut at = 0;
                    while at < 50 {
                        at += socket.read(&mut got[at..]).await.expect("read");
                    }
                    assert_eq!(sent, got);
                }
                done.set(done.get() + 1);
            });
        }
        let watch = done.clone();
        until(&rt, move || watch.get() == CLIENTS).await;
        rt.kill(acceptor);
        let rt2 = rt.clone();
        until(&rt, move || rt2.live_tasks() == 1).await;
        assert_eq!(rt.open_sockets(), 0);
    });
}

#[test]
fn a_refused_connection() {
    run(|rt| async move {
        let (listener, addr) = listen(&rt);
        drop(listener);
        let error = connect(&rt, &addr).await.map(drop).expect_err("nobody listens");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_connection_that_never_stands() {
    run(|rt| async move {
        // A queue of one that nobody empties: the kernel leaves further SYNs unanswered.
        let listener = Listener::bind(&rt, &loopback(), &Bind { backlog: 0, ..Bind::default() }).expect("a port");
        let addr = listener.local_addr().expect("bound");
        let mut kept = Vec::new();
        let mut timed_out = false;
        for _ in 0..4 {
            let socket = Socket::connect(&rt, &addr, None, &[]).expect("begun");
            let end = rt.now() + MS * 100;
            let connected = poll_fn(|_| match socket.poll_connected() {
                Poll::Ready(result) => Poll::Ready(Some(result)),
                Poll::Pending => rt.poll_deadline(Some(end)).map(|()| None),
            })
            .await;
            timed_out |= connected.is_none();
            kept.push(socket);
        }
        assert!(timed_out);
        assert_eq!(rt.open_sockets(), 5);
    });
}

#[test]
fn resets_are_seen_by_reader_and_writer() {
    run(|rt| async move {
        let (a, b) = pair(&rt).await;
        let read = {
            let mut buf = [0; 10];
            let reader = b.read(&mut buf);
            let closer = async {
                rt.yield_now().await;
                rt.yield_now().await;
                a.reset_on_close();
                drop(a);
            };
            both(reader, closer).await.0
        };
        assert_eq!(read.expect_err("reset").kind(), io::ErrorKind::ConnectionReset);
        assert!(b.hung_up());
        assert_eq!(b.write_all(b"x").await.expect_err("gone").kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_writer_waits_for_room() {
    run(|rt| async move {
        let (a, b) = pair(&rt).await;
        let rt2 = rt.clone();
        let sender = async {
            send_stream(&a, 9, 20_000_000).await.expect("send");
            a.shutdown_write().expect("open");
        };
        let reader = async {
            rt2.sleep(MS * 20).await;
            receive_stream(&b, 9).await.expect("receive")
        };
        assert_eq!(both(sender, reader).await.1, 20_000_000);
    });
}

#[test]
fn pieces_with_one_call() {
    run(|rt| async move {
        let (a, b) = pair(&rt).await;
        let bufs = [IoSlice::new(b"head"), IoSlice::new(b" and "), IoSlice::new(b"body")];
        assert_eq!(poll_fn(|_| a.poll_write_vectored(&bufs, false)).await.expect("write"), 13);
        let mut buf = [0; 20];
        assert_eq!(poll_fn(|_| b.poll_peek(&mut buf[..4])).await.expect("peek"), 4);
        assert_eq!(b.read(&mut buf).await.expect("read"), 13);
        assert_eq!(&buf[..13], b"head and body");
    });
}

#[test]
fn unix_streams() {
    run(|rt| async move {
        let dir = std::env::temp_dir().join(format!("lb-rt-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        for addr in [Addr::unix(dir.join("s")), Addr::Abstract(Arc::from(format!("lb-rt-{}", std::process::id()).as_bytes()))] {
            let listener = Listener::bind(&rt, &addr, &Bind { backlog: 1, ..Bind::default() }).expect("bind");
            let client = connect(&rt, &addr).await.expect("connect");
            let (server, peer) = poll_fn(|_| listener.poll_accept()).await.expect("accept");
            assert_eq!(peer, Addr::Unnamed);
            let (_, got) = both(
                async {
                    send_stream(&client, 5, 3_000_000).await.expect("send");
                    client.shutdown_write().expect("open");
                },
                receive_stream(&server, 5),
            )
            .await;
            assert_eq!(got.expect("receive"), 3_000_000);
            // A full queue is said at once.
            let mut kept = Vec::new();
            let error = loop {
                match Socket::connect(&rt, &addr, None, &[]) {
                    Ok(socket) => kept.push(socket),
                    Err(e) => break e,
                }
                assert!(kept.len() < 10);
            };
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            drop(listener);
            assert!(connect(&rt, &addr).await.is_err());
        }
        std::fs::remove_dir_all(&dir).expect("ours");
    });
}

#[test]
fn datagrams() {
    run(|rt| async move {
        let (a, b) = (Udp::bind(&rt, &loopback()).expect("a"), Udp::bind(&rt, &loopback()).expect("b"));
        let (to, from) = (b.local_addr().expect("bound"), a.local_addr().expect("bound"));
        let mut buf = [0; 100];
        poll_fn(|_| {
            assert!(b.poll_recv_from(&mut buf).is_pending());
            Poll::Ready(())
        })
        .await;
        for text in ["one", "two"] {
            assert_eq!(poll_fn(|_| a.poll_send_to(text.as_bytes(), &to)).await.expect("send"), 3);
        }
        assert_eq!(a.try_send_to(b"three", &to).expect("send"), 5);
        for text in ["one", "two", "three"] {
            let (n, addr) = poll_fn(|_| b.poll_recv_from(&mut buf)).await.expect("receive");
            assert_eq!((&buf[..n], addr), (text.as_bytes(), from.clone()));
        }
    });
}

#[test]
fn a_shared_listener_leaves_epoll_when_it_is_dropped() {
    use std::os::fd::AsFd;
    run(|rt| async move {
        let fd = Bind { backlog: 10, ..Bind::default() }.open(&loopback()).expect("open");
        // Each copy gets the number of the one before: were it still watched, epoll would refuse it.
        for _ in 0..3 {
            let copy = fd.as_fd().try_clone_to_owned().expect("dup");
            let listener = Listener::new(&rt, copy).expect("a listener");
            poll_fn(|_| {
                assert!(listener.poll_accept().is_pending());
                Poll::Ready(())
            })
            .await;
            let addr = listener.local_addr().expect("bound");
            let (client, server) = both(connect(&rt, &addr), accept(&listener)).await;
            drop((client.expect("connect"), server.expect("accept")));
        }
    });
}

#[test]
fn options_before_the_connection() {
    run(|rt| async move {
        let (listener, addr) = listen(&rt);
        let options = [SockOpt::NoDelay(true), SockOpt::KeepAlive(true), SockOpt::SendBuf(30_000)];
        let local = Addr::Ip("127.0.0.2:0".parse().expect("an address"));
        let client = Socket::connect(&rt, &addr, Some(&local), &options).expect("begun");
        let server = accept(&listener).await.expect("accept");
        client.connected().await.expect("connected");
        assert_eq!(server.peer_addr().expect("peer").ip().expect("ip").ip(), "127.0.0.2".parse::<std::net::IpAddr>().expect("ip"));
        assert_eq!(client.local_addr().expect("local"), server.peer_addr().expect("peer"));
        assert_eq!(client.peer_addr().expect("peer"), addr);
    });
}

#[test]
fn a_task_without_budget_still_sees_what_has_come() {
    run(|rt| async move {
        let (near, far) = pair(&rt).await;
        let (bulk, sink) = pair(&rt).await;
        assert!(near.is_silent());
        far.write_all(b"x").await.expect("write");
        poll_fn(|_| near.poll_readable()).await.expect("readable");
        let drained = rt.spawn(async move {
            let mut buf = vec![0; 1 << 20];
            while !matches!(sink.read(&mut buf).await, Ok(0) | Err(_)) {}
        });
        let piece = vec![0; 1 << 16];
        // Until a poll ends with its budget used up.
        let mut turn = (rt.turn(), 0);
        poll_fn(|_| {
            if turn.0 != rt.turn() {
                turn = (rt.turn(), 0);
            }
            loop {
                match bulk.poll_write(&piece, false) {
                    Poll::Ready(wrote) => turn.1 += wrote.expect("write"),
                    Poll::Pending if turn.1 >= 1 << 20 => break Poll::Ready(()),
                    Poll::Pending => break Poll::Pending,
                }
            }
        })
        .await;
        assert!(near.poll_peek(&mut [0]).is_pending(), "the budget is used up");
        assert!(!near.is_silent(), "a byte is there");
        rt.kill(drained);
    });
}
