//! The simulated kernel behaves as the real one does where programs can tell, and one seed gives one run.

#[path = "common/mod.rs"]
mod common;

use common::both;
use lb_rt::sim::{ConnectFault, SimWorld, seeds};
use lb_rt::{Bind, Listener, PipeLimits, Rt, Socket, Spliced, Udp};
use lb_sys::Addr;
use lb_sys::socket::SockOpt;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn addr(text: &str) -> Addr {
    Addr::Ip(text.parse().expect("an address"))
}

fn listen(rt: &Rt, at: &Addr, backlog: u32) -> Listener {
    Listener::bind(rt, at, &Bind { options: vec![SockOpt::OobInline(true)], backlog }).expect("bind")
}

async fn connect(rt: &Rt, to: &Addr) -> io::Result<Socket> {
    let socket = Socket::connect(rt, to, None, &[])?;
    socket.connected().await?;
    Ok(socket)
}

async fn pair(rt: &Rt) -> (Socket, Socket) {
    let listener = listen(rt, &addr("10.0.0.1:0"), 10);
    let at = listener.local_addr().expect("bound");
    let (client, server) = both(connect(rt, &at), poll_fn(|_| listener.poll_accept())).await;
    (client.expect("connect"), server.expect("accept").0)
}

/// Runs a program in worlds of several seeds, on an executor of each.
fn each<T: 'static, F: Future<Output = T> + 'static>(f: impl Fn(SimWorld, Rt) -> F) {
    seeds(30, &[], |seed| {
        let world = SimWorld::new(seed);
        let rt = Rt::simulated(&world);
        rt.block_on(f(world.clone(), rt.clone())).expect("the main task lives");
        world.finish();
    });
}

#[test]
fn hours_pass_at_once() {
    each(|world, rt| async move {
        let wall = rt.wall();
        rt.sleep(Duration::from_secs(7_200)).await;
        assert!(world.elapsed() >= Duration::from_secs(7_200) && world.elapsed() < Duration::from_secs(7_201));
        assert!(rt.wall().duration_since(wall).expect("later") >= Duration::from_secs(7_200));
    });
}

#[test]
fn a_seed_is_a_run() {
    let run = |seed| {
        let world = SimWorld::new(seed);
        let rts = [Rt::simulated(&world), Rt::simulated(&world)];
        let trace = Rc::new(RefCell::new(Vec::new()));
        let (rt, w, t) = (rts[1].clone(), world.clone(), trace.clone());
        rts[0]
            .block_on({
                let own = rts[0].clone();
                async move {
                    let listener = listen(&own, &addr("10.0.0.1:80"), 10);
                    let (rt2, t2) = (rt.clone(), t.clone());
                    rt.spawn(async move {
                        let socket = connect(&rt2, &addr("10.0.0.1:80")).await.expect("connect");
                        common::send_stream(&socket, 1, 30_000).await.expect("send");
                        t2.borrow_mut().push((rt2.turn(), 0));
                    });
                    let (socket, _) = poll_fn(|_| listener.poll_accept()).await.expect("accept");
                    let mut buf = [0; 3_000];
                    loop {
                        let n = socket.read(&mut buf).await.expect("read");
                        t.borrow_mut().push((own.turn(), n));
                        t.borrow_mut().push((own.random(), w.elapsed().as_nanos() as usize));
                        if n == 0 {
                            break;
                        }
                    }
                }
            })
            .expect("the main task lives");
        world.finish();
        Rc::try_unwrap(trace).expect("all tasks are gone").into_inner()
    };
    for seed in 1..20 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
    assert_ne!(run(1), run(2));
}

#[test]
fn connects_fail_as_they_do() {
    each(|world, rt| async move {
        let there = addr("10.0.0.1:80");
        assert_eq!(connect(&rt, &there).await.map(drop).expect_err("nobody listens").kind(), io::ErrorKind::ConnectionRefused);
        let listener = listen(&rt, &there, 10);
        world.on_connect(&there, Some(ConnectFault::Refuse));
        assert_eq!(connect(&rt, &there).await.map(drop).expect_err("refused").kind(), io::ErrorKind::ConnectionRefused);
        world.on_connect(&there, Some(ConnectFault::Slow(MS * 3_000)));
        let begin = rt.now();
        drop(connect(&rt, &there).await.expect("slow but sure"));
        assert!(rt.now() - begin >= MS * 3_000);
        world.on_connect(&there, Some(ConnectFault::Blackhole));
        let begin = rt.now();
        assert_eq!(connect(&rt, &there).await.map(drop).expect_err("nothing answers").kind(), io::ErrorKind::TimedOut);
        assert!((120..140).contains(&(rt.now() - begin).as_secs()), "as tcp_syn_retries = 6");
        drop(listener);
    });
}

#[test]
fn a_full_backlog_lets_no_more_in() {
    each(|_, rt| async move {
        let there = addr("10.0.0.1:80");
        let listener = listen(&rt, &there, 1);
        let first = [connect(&rt, &there).await.expect("room"), connect(&rt, &there).await.expect("room for one more")];
        let (third, ()) = both(connect(&rt, &there), async {
            rt.sleep(MS * 500).await;
            drop(poll_fn(|_| listener.poll_accept()).await.expect("accept"));
        })
        .await;
        // Its SYN was lost and sent again after a second.
        third.expect("later");
        assert!(rt.now() - listener_start(&rt) >= MS * 900);
        drop(first);
        let unix = Addr::Abstract(Arc::from(&b"sim"[..]));
        let listener = listen(&rt, &unix, 0);
        let waiting = Socket::connect(&rt, &unix, None, &[]).expect("room for one");
        assert_eq!(Socket::connect(&rt, &unix, None, &[]).map(drop).expect_err("full").kind(), io::ErrorKind::WouldBlock);
        drop((waiting, listener));
        assert_eq!(Socket::connect(&rt, &unix, None, &[]).map(drop).expect_err("gone").kind(), io::ErrorKind::ConnectionRefused);
    });
}

/// All worlds begin with their first executor.
fn listener_start(rt: &Rt) -> std::time::Instant {
    rt.now() - rt.wall().duration_since(std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000)).expect("after the beginning")
}

#[test]
fn resets_and_ends_are_told_as_the_kernel_does() {
    each(|world, rt| async move {
        world.calm();
        // What has arrived can be read, then the reset is told once, then there is an end and no way to write.
        let (a, b) = pair(&rt).await;
        a.write_all(b"last").await.expect("room");
        rt.sleep(MS * 500).await;
        world.cut(&a);
        let mut buf = [0; 10];
        assert_eq!(b.read(&mut buf).await.expect("what was there"), 4);
        assert_eq!(b.read(&mut buf).await.expect_err("reset").kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(b.read(&mut buf).await.expect("the end"), 0);
        assert_eq!(b.write_all(b"x").await.expect_err("no way").kind(), io::ErrorKind::BrokenPipe);
        assert!(b.shutdown_write().is_err() && b.hung_up());
        // A half-close leaves the other direction open.
        let (a, b) = pair(&rt).await;
        a.shutdown_write().expect("open");
        assert_eq!(b.read(&mut buf).await.expect("the end"), 0);
        b.write_all(b"still").await.expect("open");
        assert_eq!(a.read(&mut buf).await.expect("read"), 5);
        assert_eq!(a.write_all(b"x").await.expect_err("closed").kind(), io::ErrorKind::BrokenPipe);
        // Closing with unread data is a reset.
        let (a, b) = pair(&rt).await;
        a.write_all(b"unread").await.expect("room");
        rt.sleep(MS * 500).await;
        drop(b);
        assert_eq!(a.read(&mut buf).await.expect_err("reset").kind(), io::ErrorKind::ConnectionReset);
        // Writing to one that is gone is answered with a reset.
        let (a, b) = pair(&rt).await;
        drop(b);
        assert_eq!(a.read(&mut buf).await.expect("the end"), 0);
        a.write_all(b"x").await.expect("nobody knows yet");
        rt.sleep(MS * 500).await;
        assert_eq!(a.write_all(b"x").await.expect_err("gone").kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn urgent_bytes_stop_a_read() {
    each(|world, rt| async move {
        let (a, b) = pair(&rt).await;
        b.apply(&SockOpt::OobInline(true)).expect("option");
        a.write_all(b"abc").await.expect("room");
        while world.send_urgent(&a, b'!').is_err() {
            rt.sleep(MS).await;
        }
        a.write_all(b"def").await.expect("room");
        rt.sleep(MS * 500).await;
        let mut buf = [0; 10];
        let mut got = 0;
        while got < 3 {
            got += b.read(&mut buf[got..]).await.expect("read");
        }
        assert_eq!((got, &buf[..3]), (3, &b"abc"[..]), "never past the mark");
        // No splice passes the mark; lb-rt copies there.
        rt.pipes().set_limits(PipeLimits::new(4, None));
        let mut pipe = rt.pipes().take(&rt).expect("a pipe");
        while pipe.held() < 4 {
            poll_fn(|_| b.poll_fill(&mut pipe, 100)).await.expect("fill");
        }
        let mut out = Vec::new();
        let (c, d) = pair(&rt).await;
        while pipe.held() != 0 {
            poll_fn(|_| c.poll_drain(&mut pipe, 100, false)).await.expect("drain");
        }
        drop(c);
        loop {
            match d.read(&mut buf).await.expect("read") {
                0 => break,
                n => out.extend_from_slice(&buf[..n]),
            }
        }
        assert_eq!(out, b"!def");
    });
}

#[test]
fn a_full_pipe_says_the_same_as_an_empty_socket() {
    each(|_, rt| async move {
        rt.pipes().set_limits(PipeLimits::new(4, Some(4096)));
        let (a, b) = pair(&rt).await;
        let sender = async {
            common::send_stream(&a, 1, 20_000).await.expect("send");
            drop(a);
        };
        let (c, d) = pair(&rt).await;
        let mover = async {
            let mut pipe = rt.pipes().take(&rt).expect("a pipe");
            let mut full = 0;
            loop {
                match poll_fn(|_| b.poll_fill(&mut pipe, 1 << 20)).await.expect("fill") {
                    Spliced::Eof => break,
                    Spliced::PipeFull => {
                        full += 1;
                        assert!(pipe.held() <= pipe.capacity());
                        poll_fn(|_| c.poll_drain(&mut pipe, 1 + 100 * full, false)).await.expect("drain");
                    }
                    Spliced::Moved(n) => assert!(n != 0),
                }
            }
            while pipe.held() != 0 {
                poll_fn(|_| c.poll_drain(&mut pipe, usize::MAX, false)).await.expect("drain");
            }
            drop(c);
            assert!(full != 0, "a pipe of one page was never full");
        };
        let ((), ((), got)) = both(sender, both(mover, common::receive_stream(&d, 1))).await;
        assert_eq!(got.expect("receive"), 20_000);
    });
}

#[test]
fn partitions_hold_back_and_let_go() {
    each(|world, rt| async move {
        world.set_address(&rt, "10.0.0.9".parse().expect("an address"));
        let (a, b) = pair(&rt).await;
        assert_eq!(a.local_addr().expect("local").ip().expect("ip").ip().to_string(), "10.0.0.9");
        world.part("10.0.0.1".parse().expect("an address"), "10.0.0.9".parse().expect("an address"));
        a.write_all(b"hello").await.expect("room");
        let end = rt.now() + MS * 5_000;
        let mut buf = [0; 10];
        let waited = poll_fn(|_| match b.poll_read(&mut buf) {
            Poll::Ready(n) => Poll::Ready(Some(n)),
            Poll::Pending => rt.poll_deadline(Some(end)).map(|()| None),
        });
        assert!(waited.await.is_none());
        world.heal();
        assert!(b.read(&mut buf).await.expect("read") != 0);
    });
}

#[test]
fn descriptors_run_out() {
    each(|world, rt| async move {
        let peers = Rt::simulated(&world);
        let there = addr("10.0.0.1:80");
        let listener = listen(&rt, &there, 10);
        let (p, t) = (peers.clone(), there.clone());
        peers.spawn(async move {
            let _kept = [connect(&p, &t).await.expect("connect"), connect(&p, &t).await.expect("connect")];
            p.sleep(MS * 60_000).await;
        });
        poll_fn(|_| listener.poll_readable()).await.expect("somebody");
        world.set_descriptor_limit(&rt, world.descriptors(&rt));
        let emfile = |r: io::Result<(Socket, Addr)>| r.is_err_and(|e| e.raw_os_error() == Some(24));
        assert!(emfile(poll_fn(|_| listener.poll_accept()).await));
        assert!(rt.pipes().take(&rt).is_none());
        assert_eq!(Udp::bind(&rt, &addr("10.0.0.1:53")).map(drop).expect_err("no room").raw_os_error(), Some(24));
        world.set_descriptor_limit(&rt, usize::MAX);
        world.fail_accept(&there, 103, 1);
        assert_eq!(poll_fn(|_| listener.poll_accept()).await.map(drop).expect_err("aborted").kind(), io::ErrorKind::ConnectionAborted);
        let first = poll_fn(|_| listener.poll_accept()).await.expect("room again");
        let second = poll_fn(|_| listener.poll_accept()).await.expect("the other one");
        drop((first, second));
    });
}

#[test]
fn datagrams_arrive_or_get_lost() {
    each(|world, rt| async move {
        let (a, b) = (Udp::bind(&rt, &addr("10.0.0.1:1")).expect("a"), Udp::bind(&rt, &addr("10.0.0.2:2")).expect("b"));
        let to = b.local_addr().expect("bound");
        let mut buf = [0; 10];
        a.try_send_to(b"one", &to).expect("sent");
        let (n, from) = poll_fn(|_| b.poll_recv_from(&mut buf)).await.expect("received");
        assert_eq!((&buf[..n], from), (&b"one"[..], addr("10.0.0.1:1")));
        world.lose_datagrams(1000);
        a.try_send_to(b"two", &to).expect("sent, as far as anybody knows");
        rt.sleep(MS * 1_000).await;
        poll_fn(|_| {
            assert!(b.poll_recv_from(&mut buf).is_pending());
            Poll::Ready(())
        })
        .await;
        // UNIX datagrams are not lost: a full queue is told.
        let log = Addr::unix("/dev/log");
        let receiver = Udp::bind(&rt, &log).expect("bind");
        let sender = Udp::bind(&rt, &Addr::Unnamed).expect("bind");
        let mut sent = 0;
        while sender.try_send_to(b"line", &log).is_ok() {
            sent += 1;
        }
        assert!((1..100).contains(&sent));
        for _ in 0..sent {
            poll_fn(|_| receiver.poll_recv_from(&mut buf)).await.expect("received");
        }
        assert!(sender.try_send_to(b"line", &log).is_ok());
    });
}

#[test]
fn what_is_held_back_for_more_comes_in_the_end() {
    each(|world, rt| async move {
        world.calm();
        world.set_latency(MS, MS);
        let (a, b) = pair(&rt).await;
        let begin = rt.now();
        assert_eq!(poll_fn(|_| a.poll_write(b"head", true)).await.expect("room"), 4);
        let mut buf = [0; 10];
        b.read(&mut buf).await.expect("read");
        assert!(rt.now() - begin >= MS * 190, "MSG_MORE holds back up to 200 ms: {:?}", rt.now() - begin);
        let begin = rt.now();
        assert_eq!(poll_fn(|_| a.poll_write(b"head", true)).await.expect("room"), 4);
        a.write_all(b"body").await.expect("room");
        let mut got = 0;
        while got < 8 {
            got += b.read(&mut buf).await.expect("read");
        }
        assert!(rt.now() - begin < MS * 190);
    });
}

#[test]
fn threads_send_each_other_work() {
    each(|world, rt| async move {
        let other = Rt::simulated(&world);
        let seen = Rc::new(Cell::new(0u32));
        other.set_local(seen.clone());
        let key = rt.current();
        for _ in 0..10 {
            let back = rt.remote().clone();
            other.remote().run(move |rt| {
                let seen = rt.local::<Cell<u32>>().expect("set by the test");
                seen.set(seen.get() + 1);
                back.wake(key);
            });
        }
        poll_fn(|_| if seen.get() == 10 { Poll::Ready(()) } else { Poll::Pending }).await;
        other.clear_local();
    });
}

/// The checks of the world fail where they should.
mod checks {
    use super::*;

    fn text(f: impl FnOnce() + std::panic::UnwindSafe) -> String {
        let cause = std::panic::catch_unwind(f).expect_err("a check fails");
        cause.downcast_ref::<String>().cloned().unwrap_or_default()
    }

    #[test]
    fn a_world_in_which_nothing_can_happen() {
        let says = text(|| {
            let world = SimWorld::new(7);
            let rt = Rt::simulated(&world);
            let _ = rt.block_on(std::future::pending::<()>());
        });
        assert!(says.contains("waits for ever") && says.contains("SIM_SEED=7"), "{says}");
    }

    #[test]
    fn a_leaked_socket() {
        let says = text(|| {
            let world = SimWorld::new(1);
            let rt = Rt::simulated(&world);
            let kept = Udp::bind(&rt, &addr("10.0.0.1:1")).expect("bind");
            std::mem::forget(kept);
            world.finish();
        });
        assert!(says.contains("leak"), "{says}");
    }

    #[test]
    fn a_panicking_task() {
        let says = text(|| {
            let world = SimWorld::new(1);
            let rt = Rt::simulated(&world);
            rt.spawn(async { panic!("on purpose") });
            let rt2 = rt.clone();
            let _ = rt.block_on(async move { rt2.sleep(MS).await });
        });
        assert!(says.contains("panicked: 1"), "{says}");
    }

    #[test]
    fn a_test_that_fails_names_its_seed() {
        // Whichever seed it is: this test runs with SIM_SEED set, too.
        let says = text(|| seeds(9, &[], |_| panic!("on purpose")));
        assert!(says.starts_with("seed ") && says.contains(" fails: on purpose") && says.contains("SIM_SEED="), "{says}");
    }
}
