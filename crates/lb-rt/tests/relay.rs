//! Bytes through a relay on real sockets: by splice and by copy, with half-close, urgent data, full pipes, bulk beside small talk.

mod common;

use common::*;
use lb_rt::{PipeLimits, PooledPipe, Rt, Socket, Spliced};
use lb_sys::socket::SockOpt;
use rustix::net::{SendFlags, send};
use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::Duration;

/// One direction by splice: the smallest sound pump.
struct SpliceFlow {
    pipe: PooledPipe,
    eof: bool,
}

impl SpliceFlow {
    fn poll(&mut self, from: &Socket, to: &Socket) -> Poll<io::Result<()>> {
        loop {
            while self.pipe.held() != 0 {
                ready!(to.poll_drain(&mut self.pipe, usize::MAX, false))?;
            }
            if self.eof {
                let _ = to.shutdown_write();
                return Poll::Ready(Ok(()));
            }
            match ready!(from.poll_fill(&mut self.pipe, 1 << 20))? {
                Spliced::Eof => self.eof = true,
                Spliced::Moved(_) | Spliced::PipeFull => {}
            }
        }
    }
}

async fn splice(rt: &Rt, from: &Socket, to: &Socket) -> io::Result<()> {
    let pipe = rt.pipes().take(rt).expect("a pipe");
    let mut flow = SpliceFlow { pipe, eof: false };
    poll_fn(|_| flow.poll(from, to)).await
}

async fn copy(rt: &Rt, from: &Socket, to: &Socket) -> io::Result<()> {
    loop {
        poll_fn(|_| from.poll_readable()).await?;
        let mut buf = rt.buffers().take();
        let n = from.read(buf.spare()).await?;
        if n == 0 {
            return to.shutdown_write();
        }
        buf.commit(n);
        to.write_all(buf.filled()).await?;
    }
}

/// Relays between a client and an origin whose streams have these lengths; both close as soon as they have sent all.
fn relay(by_splice: bool, up: u64, down: u64) {
    run(move |rt| async move {
        let (client, front) = pair(&rt).await;
        let (back, origin) = pair(&rt).await;
        let rt2 = rt.clone();
        let proxy = rt.spawn(async move {
            let result = if by_splice {
                both(splice(&rt2, &front, &back), splice(&rt2, &back, &front)).await
            } else {
                both(copy(&rt2, &front, &back), copy(&rt2, &back, &front)).await
            };
            result.0.expect("up");
            result.1.expect("down");
        });
        let client_side = both(
            async {
                send_stream(&client, 1, up).await.expect("send");
                client.shutdown_write().expect("open");
            },
            receive_stream(&client, 2),
        );
        let origin_side = both(
            async {
                send_stream(&origin, 2, down).await.expect("send");
                origin.shutdown_write().expect("open");
            },
            receive_stream(&origin, 1),
        );
        let ((_, got_down), (_, got_up)) = both(client_side, origin_side).await;
        assert_eq!((got_up.expect("up"), got_down.expect("down")), (up, down));
        let rt2 = rt.clone();
        until(&rt, move || rt2.live_tasks() == 1).await;
        let _ = proxy;
    });
}

#[test]
fn by_splice() {
    relay(true, 8_000_000, 5_000_001);
    relay(true, 0, 3_000_000);
    relay(true, 1, 0);
}

#[test]
fn by_copy() {
    relay(false, 3_000_000, 2_000_001);
    relay(false, 0, 1_000_000);
    relay(false, 1, 0);
}

#[test]
fn data_and_fin_together() {
    // The reader registers while nothing is there; then data and FIN arrive before it is polled again: one edge for both.
    run(|rt| async move {
        for by_splice in [false, true] {
            let (a, b) = pair(&rt).await;
            let rt2 = rt.clone();
            let done = Rc::new(Cell::new(0));
            let done2 = done.clone();
            rt.spawn(async move {
                let mut got = 0;
                if by_splice {
                    let mut pipe = rt2.pipes().take(&rt2).expect("a pipe");
                    while let Spliced::Moved(n) = poll_fn(|_| b.poll_fill(&mut pipe, 1 << 20)).await.expect("fill") {
                        got += n;
                    }
                } else {
                    let mut buf = [0; 1000];
                    loop {
                        match b.read(&mut buf).await.expect("read") {
                            0 => break,
                            n => got += n,
                        }
                    }
                }
                done2.set(got + 1);
            });
            rt.yield_now().await;
            rt.yield_now().await;
            // No await between the two: the task's loop sees them with one epoll_wait.
            use std::os::fd::AsFd;
            let fd = a.fd().expect("a descriptor").as_fd().try_clone_to_owned().expect("dup");
            assert_eq!(send(&fd, b"hello", SendFlags::empty()).expect("send"), 5);
            drop(fd);
            drop(a);
            let watch = done.clone();
            until(&rt, move || watch.get() != 0).await;
            assert_eq!(done.get(), 6);
        }
    });
}

#[test]
fn a_full_pipe_is_not_an_empty_socket() {
    run(|rt| async move {
        let (a, b) = pair(&rt).await;
        rt.pipes().set_limits(PipeLimits::new(8, Some(4096)));
        let mut pipe = rt.pipes().take(&rt).expect("a pipe");
        // Nothing in the socket, nothing in the pipe: wait.
        poll_fn(|_| {
            assert!(b.poll_fill(&mut pipe, 1 << 20).is_pending());
            Poll::Ready(())
        })
        .await;
        send_stream(&a, 3, 60_000).await.expect("room");
        poll_fn(|_| b.poll_readable()).await.expect("readable");
        let mut last = Spliced::Eof;
        for _ in 0..40 {
            last = poll_fn(|_| b.poll_fill(&mut pipe, 1 << 20)).await.expect("fill");
            if last == Spliced::PipeFull {
                break;
            }
        }
        assert_eq!(last, Spliced::PipeFull);
        assert!(b.maybe_readable(), "a full pipe says nothing about the socket");
        assert!(pipe.held() != 0 && pipe.held() <= 60_000);
        // The bytes are given up together with the pipe, which must not go back to the pool with them.
        drop(pipe);
        assert_eq!(rt.pipes().in_use(), 0);
        let mut fresh = rt.pipes().take(&rt).expect("a pipe");
        assert_eq!(fresh.held(), 0);
        let moved = poll_fn(|_| b.poll_fill(&mut fresh, 10)).await.expect("fill");
        assert_eq!(moved, Spliced::Moved(10));
        // The receiver's window and the pipe as a way out of it: the rest still comes.
        let _ = poll_fn(|_| a.poll_drain(&mut fresh, 5, false)).await.expect("drain");
        assert_eq!(fresh.held(), 5);
    });
}

#[test]
fn pipes_have_a_limit() {
    run(|rt| async move {
        rt.pipes().set_limits(PipeLimits::new(2, None));
        let a = rt.pipes().take(&rt);
        let b = rt.pipes().take(&rt);
        assert!(a.is_some() && b.is_some());
        assert!(rt.pipes().take(&rt).is_none());
        drop(a);
        assert!(rt.pipes().take(&rt).is_some());
    });
}

/// When the relay begins to read.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Start {
    /// Before anything is sent.
    AtOnce,
    /// When all is there and the connection still open.
    AllSent,
    /// When all is there, with the end behind it.
    Closed,
}

/// Urgent bytes between others, in every phase of a relay: all arrive, in their place.
fn urgent(by_splice: bool, pause: bool, start: Start) {
    run(move |rt| async move {
        let (client, front) = pair(&rt).await;
        let (back, origin) = pair(&rt).await;
        front.apply(&SockOpt::OobInline(true)).expect("option");
        let go = Rc::new(Cell::new(start == Start::AtOnce));
        let (rt2, go2) = (rt.clone(), go.clone());
        rt.spawn(async move {
            until(&rt2.clone(), move || go2.get()).await;
            if by_splice { splice(&rt2, &front, &back).await } else { copy(&rt2, &front, &back).await }.expect("relay");
        });
        let rt2 = rt.clone();
        let got = Rc::new(Cell::new(0));
        let arrived = got.clone();
        let sender = async move {
            let fd = client.fd().expect("a descriptor");
            for i in 0..20u8 {
                client.write_all(&[b'a' + i; 10]).await.expect("room");
                send(fd, &[b'A' + i], SendFlags::OOB).expect("room");
                if pause {
                    rt2.sleep(Duration::from_millis(2)).await;
                }
            }
            // Behind the mark, too.
            client.write_all(b"the rest").await.expect("room");
            if start == Start::AllSent {
                go.set(true);
            }
            if start != Start::Closed {
                // No further event helps what is stuck at the mark.
                until(&rt2, move || arrived.get() == 228).await;
            }
            drop(client);
            go.set(true);
        };
        let receiver = async {
            let mut all = Vec::new();
            let mut buf = [0; 300];
            loop {
                match origin.read(&mut buf).await.expect("read") {
                    0 => break all,
                    n => all.extend_from_slice(&buf[..n]),
                }
                got.set(all.len());
            }
        };
        let (_, got) = both(sender, receiver).await;
        let mut expected: Vec<u8> = (0..20u8).flat_map(|i| [[b'a' + i; 10].as_slice(), &[b'A' + i]].concat()).collect();
        expected.extend_from_slice(b"the rest");
        assert_eq!(String::from_utf8(got).expect("letters"), String::from_utf8(expected).expect("letters"), "{pause} {start:?}");
    });
}

#[test]
fn urgent_data_by_copy() {
    for pause in [false, true] {
        for start in [Start::AtOnce, Start::AllSent, Start::Closed] {
            urgent(false, pause, start);
        }
    }
}

#[test]
fn urgent_data_by_splice() {
    for pause in [false, true] {
        for start in [Start::AtOnce, Start::AllSent, Start::Closed] {
            urgent(true, pause, start);
        }
    }
}

#[test]
fn bulk_does_not_starve_small_talk() {
    // Two bulk relays that never find their sockets empty, beside a ping-pong in the same loop: its turns stay short.
    run(|rt| async move {
        let moved = Rc::new(Cell::new(0u64));
        for _ in 0..2 {
            let (a, b) = pair(&rt).await;
            let moved = moved.clone();
            rt.spawn(async move {
                let buf = vec![0; 1 << 16];
                while a.write_all(&buf).await.is_ok() {}
            });
            rt.spawn(async move {
                let mut buf = vec![0; 1 << 16];
                while let Ok(n) = b.read(&mut buf).await {
                    moved.set(moved.get() + n as u64);
                }
            });
        }
        let (a, b) = pair(&rt).await;
        let rt2 = rt.clone();
        let before = moved.clone();
        let (_, most) = both(
            async move {
                let mut buf = [0; 1];
                for _ in 0..100 {
                    b.read(&mut buf).await.expect("ping");
                    b.write_all(&buf).await.expect("pong");
                }
            },
            async move {
                let mut most = 0;
                let mut buf = [0; 1];
                for _ in 0..100 {
                    let start = before.get();
                    a.write_all(b"x").await.expect("ping");
                    a.read(&mut buf).await.expect("pong");
                    most = most.max(before.get() - start);
                }
                let _ = rt2;
                most
            },
        )
        .await;
        assert!(moved.get() > 0);
        // A ping and a pong take a few turns, in each of which a bulk task moves 1 MiB at most.
        assert!(most <= 16 << 20, "{most} bytes between a ping and its pong");
    });
}
