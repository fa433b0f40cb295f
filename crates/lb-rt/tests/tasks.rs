//! Tasks, timers and how tasks end.

mod common;

use common::*;
use lb_rt::{Casualties, Rt};
use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

#[test]
fn timers_fire_in_order_and_never_early() {
    run(|rt| async move {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let start = rt.now();
        for ms in [30u32, 5, 80, 0, 65, 12, 64, 63] {
            let (rt2, seen) = (rt.clone(), seen.clone());
            rt.spawn(async move {
                rt2.sleep(MS * ms).await;
                assert!(rt2.now() - start >= MS * ms, "early");
                seen.borrow_mut().push(ms);
            });
        }
        rt.sleep(MS * 120).await;
        assert_eq!(*seen.borrow(), [0, 5, 12, 30, 63, 64, 65, 80]);
        // Only the main task's own entry may be left, and entries that outlive their task.
        assert!(rt.timers() <= 9);
    });
}

#[test]
fn a_deadline_may_move_out_and_in() {
    run(|rt| async move {
        // Wide apart, so that a slow machine does not miss the moment to move it.
        let first = rt.now() + MS * 200;
        let end = Rc::new(Cell::new(first));
        let fired = Rc::new(Cell::new(None));
        let (rt2, end2, fired2) = (rt.clone(), end.clone(), fired.clone());
        let task = rt.spawn(async move {
            poll_fn(|_| rt2.poll_deadline(Some(end2.get()))).await;
            fired2.set(Some(rt2.now()));
        });
        rt.sleep(MS * 5).await;
        // Out: nothing is told to the wheel, the old entry comes up early and is moved.
        let out = rt.now() + MS * 60_000;
        end.set(out);
        rt.wake(task);
        rt.sleep_until(first + MS * 50).await;
        assert_eq!(fired.get(), None);
        // In.
        let at = rt.now() + MS * 3;
        end.set(at);
        rt.wake(task);
        while fired.get().is_none() {
            rt.sleep(MS * 5).await;
        }
        let when = fired.get().expect("fired");
        assert!(when >= at && when < out);
    });
}

#[test]
fn taking_turns_between_deadlines_adds_no_entries() {
    run(|rt| async move {
        let rt2 = rt.clone();
        rt.spawn(async move {
            loop {
                // A pause of 1 ms within a silence limit of an hour, as a bandwidth limit does.
                let pause = rt2.now() + MS;
                poll_fn(|_| rt2.poll_deadline(Some(pause))).await;
                let mut turn = false;
                poll_fn(|_| {
                    rt2.poll_at_latest(rt2.now() + MS * 3_600_000);
                    if std::mem::replace(&mut turn, true) {
                        return Poll::Ready(());
                    }
                    rt2.wake(rt2.current());
                    Poll::Pending
                })
                .await;
            }
        });
        rt.sleep(MS * 100).await;
        assert!(rt.timers() <= 6, "{} entries", rt.timers());
    });
}

#[test]
fn far_deadlines_are_no_deadlines() {
    run(|rt| async move {
        let rt2 = rt.clone();
        let task = rt.spawn(async move { rt2.sleep(Duration::MAX).await });
        let rt2 = rt.clone();
        rt.spawn(async move { rt2.sleep(Duration::from_secs(1 << 40)).await });
        rt.sleep(MS * 3).await;
        assert_eq!(rt.live_tasks(), 3);
        rt.kill(task);
        assert_eq!(rt.live_tasks(), 2);
    });
}

#[test]
#[allow(clippy::disallowed_methods)] // the loop's clock is what is tested
fn a_stale_clock_starts_no_deadline() {
    let rt = Rt::new().expect("a loop");
    std::thread::sleep(MS * 30);
    let rt2 = rt.clone();
    let begin = std::time::Instant::now();
    run_on(&rt, async move { both(rt2.sleep(MS * 20), rt2.yield_now()).await });
    // Counted from now and not from the time when the loop was made.
    assert!(begin.elapsed() >= MS * 20);
    rt.kill_all();
}

#[test]
fn a_panic_takes_nobody_along() {
    run(|rt| async move {
        struct Guard(Rc<Cell<u32>>);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
            }
        }
        let drops = Rc::new(Cell::new(0));
        let guard = Guard(drops.clone());
        let bad = rt.spawn(async move {
            let _guard = guard;
            panic!("on purpose");
        });
        let guard = Guard(drops.clone());
        // One whose guards panic when it is dropped.
        struct Bomb(#[allow(dead_code)] Guard);
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("on purpose, in a guard");
            }
        }
        let bomb = Bomb(guard);
        let worse = rt.spawn(async move {
            let _bomb = bomb;
            pending::<()>().await;
        });
        let rt2 = rt.clone();
        let alive = Rc::new(Cell::new(false));
        let alive2 = alive.clone();
        rt.spawn(async move {
            rt2.sleep(MS * 3).await;
            alive2.set(true);
        });
        rt.yield_now().await;
        rt.kill(worse);
        rt.kill(bad);
        rt.sleep(MS * 10).await;
        assert!(alive.get());
        assert_eq!(drops.get(), 2);
        assert_eq!(rt.casualties(), Casualties { panicked: 2, spinning: 0 });
        // The slots work on.
        let again = Rc::new(Cell::new(false));
        let again2 = again.clone();
        rt.spawn(async move { again2.set(true) });
        rt.yield_now().await;
        assert!(again.get());
        assert_eq!(rt.live_tasks(), 1);
    });
}

#[test]
fn a_spinning_task_is_killed_and_counted() {
    run(|rt| async move {
        let polls = Rc::new(Cell::new(0u64));
        let (rt2, polls2) = (rt.clone(), polls.clone());
        rt.spawn(async move {
            poll_fn(|_| {
                polls2.set(polls2.get() + 1);
                rt2.wake(rt2.current());
                Poll::<()>::Pending
            })
            .await;
        });
        // One that is as busy but says that it gets somewhere.
        let (rt2, busy) = (rt.clone(), Rc::new(Cell::new(0u64)));
        let busy2 = busy.clone();
        let honest = rt.spawn(async move {
            loop {
                rt2.progress();
                busy2.set(busy2.get() + 1);
                rt2.yield_now().await;
            }
        });
        let rt2 = rt.clone();
        until(&rt, move || rt2.casualties().spinning != 0).await;
        assert_eq!(polls.get(), 10_000);
        assert_eq!(rt.casualties(), Casualties { panicked: 0, spinning: 1 });
        rt.kill(honest);
        assert_eq!(rt.live_tasks(), 1);
    });
}

#[test]
fn kill_runs_guards_and_old_keys_name_nothing() {
    run(|rt| async move {
        let (a, b) = pair(&rt).await;
        let rt2 = rt.clone();
        let victim = rt.spawn(async move {
            let mut buf = rt2.buffers().take();
            let _pipe = rt2.pipes().take(&rt2);
            b.read(buf.spare()).await.expect("killed before");
        });
        rt.yield_now().await;
        assert_eq!((rt.buffers().in_use(), rt.pipes().in_use(), rt.open_sockets()), (1, 1, 2));
        rt.kill(victim);
        assert_eq!((rt.buffers().in_use(), rt.pipes().in_use(), rt.open_sockets()), (0, 0, 1));
        // The slot's next task is not touched by the old key.
        let polls = Rc::new(Cell::new(0));
        let polls2 = polls.clone();
        let next = rt.spawn(async move {
            poll_fn(|_| {
                polls2.set(polls2.get() + 1);
                Poll::<()>::Pending
            })
            .await;
        });
        assert_ne!(next, victim);
        rt.yield_now().await;
        rt.wake(victim);
        rt.kill(victim);
        rt.yield_now().await;
        assert_eq!((polls.get(), rt.live_tasks()), (1, 2));
        // The peer of the killed task sees the end.
        let mut buf = [0; 10];
        assert_eq!(a.read(&mut buf).await.expect("read"), 0);
        rt.kill(next);
    });
}

#[test]
fn guards_may_start_tasks_while_all_are_killed() {
    let rt = Rt::new().expect("a loop");
    struct Starts(Rt, u32);
    impl Drop for Starts {
        fn drop(&mut self) {
            if self.1 != 0 {
                let next = Starts(self.0.clone(), self.1 - 1);
                self.0.spawn(async move {
                    let _next = next;
                    pending::<()>().await;
                });
            }
        }
    }
    let first = Starts(rt.clone(), 5);
    rt.spawn(async move {
        let _first = first;
        pending::<()>().await;
    });
    let rt2 = rt.clone();
    run_on(&rt, async move { rt2.sleep(MS).await });
    rt.kill_all();
    assert_drained(&rt);
}

#[test]
fn a_woken_task_runs_within_the_turn() {
    run(|rt| async move {
        rt.yield_now().await;
        let turn = rt.turn();
        let ran = Rc::new(Cell::new(0));
        let (rt2, ran2) = (rt.clone(), ran.clone());
        rt.spawn(async move { ran2.set(rt2.turn()) });
        rt.yield_now().await;
        assert_eq!(ran.get(), turn);
        assert_eq!(rt.turn(), turn + 1, "who yields comes after I/O");
    });
}
