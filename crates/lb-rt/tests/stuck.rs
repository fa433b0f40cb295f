//! A task that does not come back is noticed, and named.

use lb_rt::Rt;
use lb_rt::watchdog::{Stuck, watch};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

static TIMES: AtomicU32 = AtomicU32::new(0);
static NAME: Mutex<Option<&'static str>> = Mutex::new(None);

fn tell(stuck: Stuck) {
    TIMES.store(stuck.times, Ordering::Relaxed);
    // Nobody else holds it while the loop is stuck.
    if let (Ok(mut name), Some(task)) = (NAME.try_lock(), stuck.task) {
        *name = Some(task);
    }
}

async fn goes_round_in_circles(until: u32) {
    while TIMES.load(Ordering::Relaxed) < until {
        std::hint::spin_loop();
    }
}

async fn works(rt: Rt, turns: u32) {
    for n in 0..turns {
        // As much as a task may do in a turn, and more than a look in all.
        std::hint::black_box((0..20_000u64).fold(u64::from(n), |sum, n| sum.wrapping_mul(31).wrapping_add(n)));
        rt.yield_now().await;
    }
}

#[test]
fn a_task_that_does_not_come_back() {
    let rt = Rt::new().unwrap();
    let watchdog = watch(Duration::from_millis(10), tell).unwrap();
    rt.block_on(works(rt.clone(), 3000)).unwrap();
    assert_eq!(TIMES.load(Ordering::Relaxed), 0, "one that works and comes back is not stuck");
    let stuck = rt.clone();
    rt.block_on(async move {
        stuck.spawn(goes_round_in_circles(3));
        stuck.sleep(Duration::from_millis(1)).await;
    })
    .unwrap();
    drop(watchdog);
    assert_eq!(TIMES.load(Ordering::Relaxed), 3);
    let name = NAME.lock().unwrap().expect("a name");
    assert!(name.contains("goes_round_in_circles"), "{name}");
}
