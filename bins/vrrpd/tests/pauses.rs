//! Routers that have no processor for a while: busy machines, stopped processes, virtual machines that pause.

mod common;
#[path = "common/steady.rs"]
mod steady;

use common::{Net, VIP, VRRPD, conf, how_many, may_run, some, until};
use rustix::process::Signal;
use std::thread::sleep;
use std::time::Duration;
use steady::{Pulse, hog, urgent_conf};

/// The repeatable run of a minute, beside keepalived, is `cargo xtask bench vrrp busy`.
#[test]
fn nobody_takes_over_from_a_master_that_lives() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let a = net.start("a", VRRPD, &urgent_conf(150));
    until("a master", || net.has("a", VIP));
    let b = net.start("b", VRRPD, &urgent_conf(100));
    until("a backup", || b.log().contains("BACKUP STATE"));
    if [&a, &b].iter().any(|r| r.log().contains("vrrp_rt_priority:")) {
        return eprintln!("not run: this machine gives no real time");
    }
    let before = b.log().matches("Entering MASTER STATE").count();
    let pulse = Pulse::start(&net);
    hog(Duration::from_secs(10));
    let gap = pulse.longest_gap();
    let taken = b.log().matches("Entering MASTER STATE").count() - before;
    println!("{taken} takeovers, at most {gap:?} without a beat");
    // Three intervals of silence are none of the daemons' fault if beats of others are not heard either.
    assert!(taken == 0 || gap > Duration::from_millis(25), "{taken} takeovers, {gap:?}\n{}\n{}", a.log(), b.log());
}

/// Clearly fewer than the buffer of a socket holds.
const MANY: u8 = 200;

/// More adverts wait then than a turn of the loop once read before it looked at its timers.
#[test]
fn a_paused_backup_hears_all_masters_before_its_timers() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let _a = net.start("a", VRRPD, &some(MANY, 150, " garp_master_delay 0"));
    until("all are masters", || how_many(&net, "a") == usize::from(MANY));
    let b = net.start("b", VRRPD, &some(MANY, 100, " garp_master_delay 0"));
    until("all are backups", || b.log().matches("BACKUP STATE").count() >= usize::from(MANY));
    sleep(Duration::from_secs(2));
    let before = b.log().matches("Entering MASTER STATE").count();
    b.signal(Signal::STOP);
    sleep(Duration::from_secs(5));
    b.signal(Signal::CONT);
    sleep(Duration::from_secs(1));
    assert_eq!(b.log().matches("Entering MASTER STATE").count(), before, "{}", b.log());
    assert_eq!(how_many(&net, "b"), 0);
}

/// The other one is master meanwhile; when it comes back, the better one has the addresses and nobody else.
#[test]
fn a_paused_master_comes_back_beside_keepalived() {
    if !may_run() {
        return;
    }
    std::thread::scope(|scope| {
        for second in [VRRPD, "keepalived"] {
            for (first, other, lines) in [(150, 100, ""), (100, 150, "\n nopreempt")] {
                scope.spawn(move || {
                    let net = Net::new();
                    let lines = format!(" version 3\n advert_int 0.3{lines}");
                    let a = net.start("a", VRRPD, &conf(first, &lines));
                    until("a master", || net.has("a", VIP));
                    let b = net.start("b", second, &conf(other, &lines));
                    until("a backup", || b.log().contains("BACKUP STATE"));
                    a.signal(Signal::STOP);
                    until("the other one has it", || net.has("b", VIP));
                    a.signal(Signal::CONT);
                    let (has, lacks) = if first > other { ("a", "b") } else { ("b", "a") };
                    until("one master", || net.has(has, VIP) && !net.has(lacks, VIP));
                });
            }
        }
    });
}
