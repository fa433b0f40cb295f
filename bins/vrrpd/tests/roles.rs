//! What the file says of who may be master and when, with `keepalived` and `vrrpd` in either role; and reloads of either beside the other.
#![allow(clippy::disallowed_methods)] // Delays are about time.

mod common;
#[path = "common/wire.rs"]
mod wire;

use common::{Net, Router, VIP, VRRPD, conf, may_run, run, until};
use rustix::process::Signal;
use std::thread::sleep;
use std::time::{Duration, Instant};
use wire::Eye;

/// The first has host a, the second host b.
const BOTH_WAYS: [(&str, &str); 2] = [(VRRPD, "keepalived"), ("keepalived", VRRPD)];
/// Longer than a backup waits for a master that is silent, with an interval of a second.
const SILENCE: Duration = Duration::from_secs(5);

/// Each of these with each pair, all at once.
fn in_either_role(scenes: &[fn(&str, &str)]) {
    if !may_run() {
        return;
    }
    std::thread::scope(|scope| {
        for scene in scenes {
            for (first, second) in BOTH_WAYS {
                scope.spawn(move || scene(first, second));
            }
        }
    });
}

fn masters(router: &Router) -> usize {
    router.log().matches("Entering MASTER STATE").count()
}

fn only(net: &Net, has: &str, lacks: &str) -> bool {
    net.has(has, VIP) && !net.has(lacks, VIP)
}

/// Host b with priority 100 is master, alone.
fn the_lesser_one(net: &Net, program: &str, lines: &str) -> Router {
    let router = net.start("b", program, &conf(100, lines));
    until("the lesser one is master", || net.has("b", VIP));
    router
}

#[test]
fn who_may_preempt() {
    in_either_role(&[
        |first, second| {
            let net = Net::new();
            let b = the_lesser_one(&net, second, "");
            let a = net.start("a", first, &conf(150, " nopreempt\n state BACKUP"));
            until("a backup", || a.log().contains("Entering BACKUP STATE"));
            sleep(SILENCE);
            assert!(only(&net, "b", "a"), "{first} with nopreempt\n{}\n{}", a.log(), b.log());
            b.stop();
            until("it is needed", || only(&net, "a", "b"));
            let again = net.start("b", second, &conf(100, ""));
            until("a backup", || again.log().contains("Entering BACKUP STATE"));
            sleep(SILENCE);
            assert!(only(&net, "a", "b"), "{second} comes back\n{}\n{}", a.log(), again.log());
        },
        |first, second| {
            let net = Net::new();
            let b = the_lesser_one(&net, second, "");
            let begun = Instant::now();
            let a = net.start("a", first, &conf(150, " preempt_delay 4\n state BACKUP"));
            until("it preempts", || only(&net, "a", "b"));
            // The delay, and then the master that is not listened to any more for three intervals and the skew.
            assert!(begun.elapsed() > Duration::from_secs(4 + 3), "{first}: {:?}\n{}\n{}", begun.elapsed(), a.log(), b.log());
        },
        |first, second| {
            let net = Net::new();
            let b = the_lesser_one(&net, second, "");
            // The owner of the addresses asks nobody.
            let a = net.start("a", first, &conf(255, " state MASTER"));
            until("it preempts", || only(&net, "a", "b"));
            assert!(!a.log().contains("BACKUP STATE") && b.log().contains("higher priority 255"), "{}\n{}", a.log(), b.log());
            assert_eq!(a.stop(), Some(0));
            until("the other again", || only(&net, "b", "a"));
        },
    ]);
}

/// Nobody forwards between the hosts, and nobody's link is down.
fn isolate(net: &Net, state: &str) {
    for port in ["a0", "b0"] {
        run("bridge", &format!("-n {}s link set dev {port} isolated {state}", net.prefix));
    }
}

#[test]
fn equals_by_their_addresses() {
    in_either_role(&[
        |first, second| {
            let net = Net::new();
            isolate(&net, "on");
            let (a, b) = (net.start("a", first, &conf(100, "")), net.start("b", second, &conf(100, "")));
            until("both are masters", || net.has("a", VIP) && net.has("b", VIP));
            isolate(&net, "off");
            until("10.9.0.2 stays", || only(&net, "b", "a"));
            sleep(SILENCE);
            assert!(only(&net, "b", "a"), "{}\n{}", a.log(), b.log());
            assert_eq!((masters(&a), masters(&b)), (1, 1), "{}\n{}", a.log(), b.log());
        },
        // With authentication headers each has counted by itself.
        |first, second| {
            let net = Net::new();
            let auth = " authentication {\n auth_type AH\n auth_pass secret\n }";
            let a = net.start("a", first, &conf(150, auth));
            until("a master", || net.has("a", VIP));
            let b = net.start("b", second, &conf(100, auth));
            until("a backup", || b.log().contains("Entering BACKUP STATE"));
            isolate(&net, "on");
            until("both are masters", || net.has("a", VIP) && net.has("b", VIP));
            isolate(&net, "off");
            until("the better one stays", || only(&net, "a", "b"));
            assert_eq!(masters(&a), 1, "{}\n{}", a.log(), b.log());
        },
    ]);
}

#[test]
fn peers_insist_on_their_distance() {
    in_either_role(&[|first, second| {
        let net = Net::new();
        // What host a sends, and what host b insists on: one hop too many for the first file of b.
        let file = |host: u8, priority: u8, ttl: u8, limits: &str| {
            let (own, other) = (host, 3 - host);
            let peer = format!(" unicast_src_ip 10.9.0.{own}\n unicast_ttl {ttl}\n unicast_peer {{\n 10.9.0.{other} {limits}\n }}");
            conf(priority, &format!(" version 3\n advert_int 0.5\n{peer}"))
        };
        let a = net.start("a", first, &file(1, 150, 33, "min_ttl 40 max_ttl 50"));
        until("a master", || net.has("a", VIP));
        let deaf = net.start("b", second, &file(2, 100, 45, "min_ttl 34"));
        until("it hears nobody", || net.has("b", VIP));
        assert!(net.has("a", VIP), "{}", a.log());
        deaf.stop();
        let b = net.start("b", second, &file(2, 100, 45, "min_ttl 33 max_ttl 33"));
        until("a backup", || b.log().contains("Entering BACKUP STATE"));
        sleep(SILENCE);
        assert!(only(&net, "a", "b") && masters(&b) == 0, "{}\n{}", a.log(), b.log());
        b.stop();
        let better = net.start("b", second, &file(2, 200, 45, "min_ttl 33 max_ttl 33"));
        until("a hears it", || only(&net, "b", "a"));
        better.stop();
    }]);
}

/// Gives a router of either kind another file; addresses tell when it is in force.
fn reload(router: &Router, file: &str) {
    std::fs::write(&router.conf, file).expect("a file");
    router.signal(Signal::HUP);
}

#[test]
fn reloads_beside_each_other() {
    in_either_role(&[|first, second| {
        let net = Net::new();
        let file = |priority: u8, addresses: &str, lines: &str| {
            conf(priority, lines).replace(&format!("{VIP}/24\n"), &format!("{VIP}/24\n{addresses}"))
        };
        let excluded = " virtual_ipaddress_excluded {\n 10.9.0.120/24\n }";
        let a = net.start("a", first, &file(150, "", ""));
        until("a master", || net.has("a", VIP));
        let b = net.start("b", second, &file(100, "", ""));
        until("a backup", || b.log().contains("Entering BACKUP STATE"));
        let steady = |what: &str| {
            assert!(only(&net, "a", "b"), "{what}\n{}\n{}", a.log(), b.log());
            assert_eq!((masters(&a), masters(&b)), (1, 0), "{what}\n{}\n{}", a.log(), b.log());
        };
        reload(&b, &file(100, "", excluded));
        let eye = Eye::of(&net);
        reload(&a, &file(150, "", excluded));
        until("an address more", || net.has("a", "10.9.0.120"));
        until("hosts are told", || eye.watch(Duration::from_millis(100), [10, 9, 0, 120]) > 0);
        sleep(SILENCE);
        steady("excluded addresses");
        // The adverts change: within an interval on both, or keepalived does not listen.
        reload(&b, &file(100, " 10.9.0.101/24\n", excluded));
        reload(&a, &file(150, " 10.9.0.101/24\n", excluded));
        until("an address more", || net.has("a", "10.9.0.101"));
        sleep(SILENCE);
        steady("another list");
        // The lesser one becomes the better one.
        reload(&b, &file(200, " 10.9.0.101/24\n", excluded));
        until("it preempts", || only(&net, "b", "a") && net.has("b", "10.9.0.101") && net.has("b", "10.9.0.120"));
        a.stop();
        b.stop();
    }]);
}
