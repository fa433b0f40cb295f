//! What other threads send: jobs, wakes, std wakers. Nothing may get lost, and the loop may sleep in between.

mod common;

use common::*;
use lb_rt::Rt;
use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

#[test]
fn jobs_run_on_the_loop_in_order() {
    const EACH: u64 = 20_000;
    run(|rt| async move {
        let last = Rc::new([const { Cell::new(0u64) }; 3]);
        rt.set_local(last.clone());
        let threads: Vec<_> = (0..3usize)
            .map(|t| {
                let remote = rt.remote().clone();
                thread::spawn(move || {
                    for i in 1..=EACH {
                        remote.run(move |rt| {
                            let last = rt.local::<[Cell<u64>; 3]>().expect("set by the test");
                            assert_eq!(last[t].get() + 1, i, "in the order of sending");
                            last[t].set(i);
                        });
                    }
                })
            })
            .collect();
        let last2 = last.clone();
        until(&rt, move || last2.iter().all(|l| l.get() == EACH)).await;
        for t in threads {
            t.join().expect("no panic");
        }
        rt.clear_local();
        assert_eq!(rt.casualties().panicked, 0);
    });
}

/// A ping-pong between a task that has nothing else to wake it and a thread: a wake-up that is lost hangs it.
#[test]
fn no_wake_up_is_lost() {
    const ROUNDS: u64 = 30_000;
    run(|rt| async move {
        let ball = Arc::new(AtomicU64::new(0));
        let key = rt.current();
        let (remote, theirs) = (rt.remote().clone(), ball.clone());
        let player = thread::spawn(move || {
            let mut seen = 0;
            while seen < 2 * ROUNDS {
                let now = theirs.load(Ordering::Acquire);
                if now % 2 == 1 && now > seen {
                    seen = now + 1;
                    theirs.store(seen, Ordering::Release);
                    remote.wake(key);
                } else {
                    std::hint::spin_loop();
                    if now.is_multiple_of(64) {
                        thread::yield_now();
                    }
                }
            }
        });
        for round in 0..ROUNDS {
            ball.store(2 * round + 1, Ordering::Release);
            poll_fn(|_| if ball.load(Ordering::Acquire) == 2 * round + 2 { Poll::Ready(()) } else { Poll::Pending }).await;
        }
        player.join().expect("no panic");
    });
}

#[test]
fn wakers_work_from_other_threads_and_after_their_task() {
    run(|rt| async move {
        let shared: Arc<Mutex<(Option<Waker>, u64)>> = Arc::default();
        let theirs = shared.clone();
        let waker_thread = thread::spawn(move || {
            for _ in 0..2_000 {
                let waker = loop {
                    let mut s = theirs.lock().expect("no panic");
                    if let Some(w) = s.0.take() {
                        s.1 += 1;
                        break w;
                    }
                    drop(s);
                    thread::yield_now();
                };
                waker.wake();
            }
        });
        for round in 1..=2_000 {
            let mine = shared.clone();
            let mut armed = false;
            poll_fn(move |cx| {
                let mut s = mine.lock().expect("no panic");
                if !std::mem::replace(&mut armed, true) {
                    s.0 = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                if s.1 == round { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
        waker_thread.join().expect("no panic");
        // A waker that outlives its task does no harm.
        let kept: Rc<Cell<Option<Waker>>> = Rc::default();
        let kept2 = kept.clone();
        rt.spawn(async move {
            poll_fn(|cx| {
                kept2.set(Some(cx.waker().clone()));
                Poll::Ready(())
            })
            .await;
        });
        rt.yield_now().await;
        let waker = kept.take().expect("polled");
        waker.wake_by_ref();
        thread::spawn(move || waker.wake()).join().expect("no panic");
        rt.sleep(Duration::from_millis(5)).await;
        assert_eq!(rt.live_tasks(), 1);
    });
}

#[test]
fn the_loop_sleeps_until_mail_comes() {
    run(|rt| async move {
        let remote = rt.remote().clone();
        let turns = rt.turn();
        let key = rt.current();
        let sender = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            remote.run(|rt| assert!(rt.live_tasks() == 1));
            remote.wake(key);
        });
        let mut first = true;
        poll_fn(|_| if std::mem::replace(&mut first, false) { Poll::Pending } else { Poll::Ready(()) }).await;
        sender.join().expect("no panic");
        assert!(rt.turn() - turns < 10, "{} turns for one letter", rt.turn() - turns);
    });
}

#[test]
fn mail_to_a_loop_that_has_ended_goes_nowhere() {
    let rt = Rt::new().expect("a loop");
    let remote = rt.remote().clone();
    let held = Arc::new(());
    let job = held.clone();
    remote.run(move |_| drop(job));
    rt.kill_all();
    assert_eq!(Arc::strong_count(&held), 1, "the job and what it owns are dropped");
    drop(rt);
    remote.run(|_| unreachable!());
}

#[test]
fn a_job_may_panic() {
    run(|rt| async move {
        rt.remote().run(|_| panic!("on purpose"));
        let rt2 = rt.clone();
        until(&rt, move || rt2.casualties().panicked == 1).await;
    });
}
