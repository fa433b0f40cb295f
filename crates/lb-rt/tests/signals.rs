//! Signals as events of the loop. A process of its own without a test harness: the harness's threads would not block them.

use lb_rt::{Rt, Signals};
use lb_sys::signal::{self, SIGUSR1, SIGUSR2, SignalFd};
use std::time::Duration;

fn main() {
    let rt = Rt::new().expect("a loop");
    let signals = Signals::new(&rt, SignalFd::new(&[SIGUSR1, SIGUSR2]).expect("signalfd")).expect("signals");
    let rt2 = rt.clone();
    rt.spawn(async move {
        rt2.sleep(Duration::from_millis(5)).await;
        signal::raise(SIGUSR2).expect("raise");
        rt2.sleep(Duration::from_millis(5)).await;
        signal::raise(SIGUSR1).expect("raise");
    });
    let got = rt.block_on(async move { (signals.next().await.expect("a signal"), signals.next().await.expect("a signal")) });
    assert_eq!(got.expect("the loop runs"), (SIGUSR2, SIGUSR1));
    assert_eq!(rt.open_sockets(), 0);
    println!("signals arrive as events");
}
