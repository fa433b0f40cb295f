//! Whether this machine could keep a pulse at all: two threads with real time send and hear one over the same bridge as the routers.
#![allow(clippy::disallowed_methods)] // This is about time.

use super::Net;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two beats.
const BEAT: Duration = Duration::from_millis(10);

/// A pulse from host a to host b.
pub struct Pulse {
    deaf: Arc<AtomicBool>,
    silent: Arc<AtomicBool>,
    ear: JoinHandle<Duration>,
    heart: JoinHandle<()>,
}

/// Real time for this thread, if the machine gives it.
fn urgent() {
    let _ = lb_sys::process::set_realtime(40);
}

impl Pulse {
    pub fn start(net: &Net) -> Pulse {
        let (deaf, silent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (no_more, ended) = (deaf.clone(), silent.clone());
        let hears = net.within("b", || UdpSocket::bind("10.9.0.2:7").expect("a socket"));
        let speaks = net.within("a", || UdpSocket::bind("10.9.0.1:0").expect("a socket"));
        speaks.connect("10.9.0.2:7").expect("a route");
        hears.set_read_timeout(Some(Duration::from_millis(100))).expect("a time");
        let heart = std::thread::spawn(move || {
            urgent();
            while !ended.load(Ordering::Relaxed) {
                // Nothing is lost that the longest gap would not show.
                let _ = speaks.send(b"x");
                std::thread::sleep(BEAT);
            }
        });
        let ear = std::thread::spawn(move || {
            urgent();
            let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
            while !no_more.load(Ordering::Relaxed) {
                if hears.recv(&mut [0]).is_ok() {
                    let now = Instant::now();
                    longest = longest.max(now - last);
                    last = now;
                }
            }
            longest.max(Instant::now() - last)
        });
        Pulse { deaf, silent, ear, heart }
    }

    /// The longest time between two beats that were heard.
    pub fn longest_gap(self) -> Duration {
        // The ear first: the end of the beats is no gap.
        self.deaf.store(true, Ordering::Relaxed);
        let longest = self.ear.join().expect("it only hears");
        self.silent.store(true, Ordering::Relaxed);
        self.heart.join().expect("it only sends");
        longest
    }
}

/// Work for every core for so long.
pub fn hog(time: Duration) {
    let busy = Arc::new(AtomicBool::new(true));
    let worker = |_| {
        let busy = busy.clone();
        std::thread::spawn(move || while busy.load(Ordering::Relaxed) {})
    };
    let workers: Vec<_> = (0..lb_sys::process::cores()).map(worker).collect();
    std::thread::sleep(time);
    busy.store(false, Ordering::Relaxed);
    workers.into_iter().for_each(|w| w.join().expect("it only counts"));
}

/// A file for an instance with real time and an interval of a hundredth of a second.
pub fn urgent_conf(priority: u8) -> String {
    let fast = super::conf(priority, " version 3\n advert_int 0.01");
    format!("global_defs {{\n vrrp_rt_priority 30\n vrrp_no_swap\n}}\n{fast}")
}
