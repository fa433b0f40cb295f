//! How long an address is away, how much many instances cost, what a flood does. Each limit has room for a machine that is busy.
#![allow(clippy::disallowed_methods)] // This is about time.

mod common;
#[path = "common/wire.rs"]
mod wire;

use common::{Net, Router, VIP, VRRPD, conf, conf6, how_many, many, may_run, run, until};
use rustix::process::Signal;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};
use vrrp::packet::Outgoing;
use vrrp::packet::checksum::Form;
use wire::{Client, Ear, Eye, GROUP, SIGHTS, hand, send};

/// Two routers, the first of which is master, and the host of a client.
fn pair(net: &Net, second: &str, first: (u8, &str), other: (u8, &str)) -> (Router, Router) {
    run("ip", &format!("-n {}s addr add 10.9.0.9/24 dev br0", net.prefix));
    let a = net.start("a", VRRPD, &conf(first.0, first.1));
    until("a master", || net.has("a", VIP));
    let b = net.start("b", second, &conf(other.0, other.1));
    until("a backup", || b.log().contains("BACKUP STATE"));
    (a, b)
}

/// The outage that a client sees while `what` happens and until the other has taken over, and that of an address that nobody moves: how
/// long this machine lets a client wait anyway.
fn outage(net: &Net, still: &str, what: impl FnOnce()) -> (Duration, Duration) {
    for host in ["a", "b"] {
        net.set(host, "ipv4/icmp_ratelimit", "0");
    }
    let (client, control) = (Client::of(net, VIP), Client::of(net, still));
    std::thread::sleep(Duration::from_millis(300));
    what();
    until("the other has it", || net.has("b", VIP));
    std::thread::sleep(Duration::from_millis(300));
    let gaps = (client.longest_gap(), control.longest_gap());
    println!("an outage of {:?}, of {:?} where nothing moves", gaps.0, gaps.1);
    gaps
}

fn processor_time(router: &Router) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", router.child.id())).expect("it lives");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().filter_map(|f| f.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn memory(router: &Router) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", router.child.id())).expect("it lives");
    let line = status.lines().find(|l| l.starts_with("VmRSS")).expect("the kernel counts");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

#[test]
fn a_stop_is_no_outage_between_two_of_ours() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let (a, _b) = pair(&net, VRRPD, (150, ""), (100, ""));
    let (gap, control) = outage(&net, "10.9.0.2", || a.signal(Signal::TERM));
    assert!(gap <= control + Duration::from_millis(50), "{gap:?}, and {control:?} where nothing moves");
}

#[test]
fn a_stop_with_keepalived_as_the_other_takes_its_skew() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let (a, _b) = pair(&net, "keepalived", (150, ""), (100, ""));
    // (256 - 100) / 256 of a second; then keepalived has it, and ours has left when it hears so.
    let (gap, control) = outage(&net, "10.9.0.2", || a.signal(Signal::TERM));
    assert!(gap <= control + Duration::from_millis(610 + 50), "{gap:?}, and {control:?} where nothing moves");
}

#[test]
fn a_death_is_noticed_after_three_intervals_and_the_skew() {
    if !may_run() {
        return;
    }
    std::thread::scope(|scope| {
        // 3.61 s with one second, and 36 ms with a hundredth, of which the rest is for the way.
        for (lines, limit) in [("", 3700), (" version 3\n advert_int 0.01", 60)] {
            for cut in [false, true] {
                scope.spawn(move || {
                    let net = Net::new();
                    let urgent = "global_defs {\n vrrp_rt_priority 20\n}\n";
                    run("ip", &format!("-n {}s addr add 10.9.0.9/24 dev br0", net.prefix));
                    let a = net.start("a", VRRPD, &format!("{urgent}{}", conf(150, lines)));
                    until("a master", || net.has("a", VIP));
                    let b = net.start("b", VRRPD, &format!("{urgent}{}", conf(100, lines)));
                    until("a backup", || b.log().contains("BACKUP STATE"));
                    let (gap, control) = outage(&net, "10.9.0.2", || match cut {
                        true => net.link("a0", "down"),
                        false => {
                            a.signal(Signal::KILL);
                            // Its address stays, and would go on to answer; so the host dies with it.
                            net.link("a0", "down");
                        }
                    });
                    // Twice what the machine takes at most anyway: the daemon waits for it, and the client.
                    let most = Duration::from_millis(limit) + 2 * control + Duration::from_millis(100);
                    assert!(gap <= most, "{lines:?}: {gap:?}, and {control:?} where nothing moves\n{}", b.log());
                });
            }
        }
    });
}

#[test]
fn many_instances_cost_little() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let router = net.start("a", VRRPD, &many(150, ""));
    until("all are masters", || how_many(&net, "a") == 255);
    let (before, since) = (processor_time(&router), Instant::now());
    std::thread::sleep(Duration::from_secs(6));
    let share = (processor_time(&router) - before).as_secs_f64() / since.elapsed().as_secs_f64();
    // Built for speed it is 0.1 % and 7.2 MB; this one is not.
    assert!(share < 0.05, "{share}");
    assert!(memory(&router) < 16_000, "{} kB", memory(&router));
}

#[test]
fn many_instances_send_every_advert() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let router = net.start("a", VRRPD, &many(150, " version 3\n advert_int 0.1\n garp_master_delay 0"));
    until("all are masters", || how_many(&net, "a") == 255);
    let ear = Ear::of(&net);
    let mut worst = 0;
    // A machine that stands still for a while gets another chance.
    for _ in 0..5 {
        let mut counts = [0; 256];
        let since = Instant::now();
        ear.listen(Duration::from_secs(2), |_, vrid, _| counts[usize::from(vrid)] += 1);
        let due = (since.elapsed().as_millis() / 100) as usize;
        worst = counts[1..].iter().copied().min().unwrap_or_default();
        if worst + 1 >= due {
            return;
        }
    }
    panic!("{worst} adverts in two seconds\n{}", router.log());
}

fn advert(priority: u8, source: Ipv4Addr, number: u32) -> Vec<u8> {
    advert_with(&vrrp::Auth::None, priority, source, number)
}

fn advert_with(auth: &vrrp::Auth, priority: u8, source: Ipv4Addr, number: u32) -> Vec<u8> {
    let advert = Outgoing {
        version: vrrp::Version::V2,
        vrid: 51,
        priority,
        interval: Duration::from_secs(1),
        auth,
        addresses: &[VIP.parse().expect("an address")],
    };
    advert.datagram(Form::Plain, source, GROUP, 255, number)
}

#[test]
fn ten_thousand_hostile_packets_change_nothing() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let auth = " authentication {\n auth_type PASS\n auth_pass secret\n }";
    let (a, b) = pair(&net, VRRPD, (150, auth), (100, auth));
    let before = (processor_time(&a) + processor_time(&b), memory(&a).max(memory(&b)));
    run("ip", &format!("-n {}s addr add 10.9.0.7/24 dev br0", net.prefix));
    let socket = hand(&net, "s", "br0");
    let sender = Ipv4Addr::new(10, 9, 0, 7);
    let good = advert_with(&vrrp::Auth::password("secret"), 255, sender, 1);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        let sum = vrrp::packet::checksum::of(&bytes[20..], Form::Plain);
        bytes[26..28].copy_from_slice(&sum.to_be_bytes());
        bytes
    };
    let mut seed = 1u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for number in 0..10_000u32 {
        // Each is sound and from a better router, but for one thing.
        let bytes = match number % 10 {
            0 => advert(255, sender, number),
            1 => good[..20 + (random() % 20) as usize].to_vec(),
            2 => {
                let mut bytes = good.clone();
                bytes[26] ^= 0x55;
                bytes
            }
            3 => with(8, 254),
            4 => with(20, 0x31),
            5 => with(21, (random() % 51) as u8),
            6 => with(24, 2),
            7 => with(25, 2),
            8 => with(32, b'S'),
            _ => {
                let mut bytes = good.clone();
                bytes[20..].iter_mut().for_each(|b| *b = random() as u8);
                bytes
            }
        };
        send(&socket, &bytes);
        if number % 100 == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    assert!(net.has("a", VIP) && !net.has("b", VIP));
    std::thread::sleep(Duration::from_secs(4));
    assert!(net.has("a", VIP) && !net.has("b", VIP), "{}\n{}", a.log(), b.log());
    assert_eq!(a.log().matches("Entering").count() + b.log().matches("Entering").count(), 3, "{}\n{}", a.log(), b.log());
    // A tenth of a millisecond each, of a program that is not built for speed, and lines in the log at most once a second.
    let spent = processor_time(&a) + processor_time(&b) - before.0;
    assert!(spent < Duration::from_secs(4), "{spent:?}");
    assert!(memory(&a).max(memory(&b)) < before.1 + 4_000);
    assert!(a.log().lines().count() < 200, "{}", a.log().lines().count());
}

#[test]
fn hostile_packets_of_ipv6_change_nothing() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let lines = " advert_int 0.5";
    let a = net.start("a", VRRPD, &conf6(150, lines));
    until("a master", || net.has("a", VIP));
    let b = net.start("b", VRRPD, &conf6(100, lines));
    until("a backup", || b.log().contains("BACKUP STATE"));
    let own = || net.says("s", "ip -6 -o addr show dev br0 scope link -tentative");
    until("an address of the bridge", || own().contains("fe80"));
    let source: Ipv6Addr =
        own().split_whitespace().nth(3).and_then(|a| a.split('/').next()).expect("an address").parse().expect("an address");
    let group: Ipv6Addr = "ff02::12".parse().expect("an address");
    let index: u32 = net.says("s", "cat /sys/class/net/br0/ifindex").trim().parse().expect("a number");
    let socket = net.within("s", move || {
        let kind = socket2::Type::RAW;
        let socket = socket2::Socket::new_raw(socket2::Domain::IPV6, kind, Some(socket2::Protocol::from(112))).expect("a raw socket");
        socket.set_multicast_if_v6(index).expect("an interface");
        socket
    });
    let to = socket2::SockAddr::from(std::net::SocketAddrV6::new(group, 0, 0, index));
    let good = Outgoing {
        version: vrrp::Version::V3,
        vrid: 51,
        priority: 255,
        interval: Duration::from_millis(500),
        auth: &vrrp::Auth::None,
        addresses: &["fe80::100".parse().expect("an address")],
    }
    .pdu(Form::Pseudo { source: source.into(), destination: group.into() });
    let entered = || a.log().matches("Entering").count() + b.log().matches("Entering").count();
    let before = entered();
    for number in 0..5_000usize {
        let mut bytes = good.clone();
        let mut hops = 255;
        match number % 6 {
            0 => bytes.truncate(number % 24),
            1 => bytes[6] ^= 0x55,
            // Sound but for the router that it has crossed.
            2 => hops = 254,
            3 => bytes[0] = 0x21,
            4 => bytes[3] = 200,
            _ => bytes[2..].iter_mut().enumerate().for_each(|(at, b)| *b = (at * number) as u8),
        }
        socket.set_multicast_hops_v6(hops).expect("hops");
        let _ = socket.send_to(&bytes, &to);
        if number % 100 == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    std::thread::sleep(Duration::from_secs(2));
    assert!(net.has("a", VIP) && !net.has("b", VIP), "{}\n{}", a.log(), b.log());
    assert_eq!(entered(), before, "{}\n{}", a.log(), b.log());
    assert!(a.log().contains("dropped packet"), "they have arrived");
}

#[test]
fn what_is_tracked_decides_beside_keepalived() {
    if !may_run() {
        return;
    }
    std::thread::scope(|scope| {
        for (first, second) in [(VRRPD, "keepalived"), ("keepalived", VRRPD)] {
            scope.spawn(move || {
                let net = Net::new();
                let lines = " version 3\n advert_int 0.3";
                let a = net.start("a", first, &conf(150, &format!("{lines}\n track_interface {{\n e1 weight -60\n }}")));
                let b = net.start("b", second, &conf(100, lines));
                let (has, lacks) = (|host: &str| net.has(host, VIP), |host: &str| !net.has(host, VIP));
                until("the better one is master", || has("a") && lacks("b"));
                net.link("a1", "down");
                until("the other is better now", || has("b") && lacks("a"));
                net.link("a1", "up");
                until("back again", || has("a") && lacks("b"));
                a.signal(Signal::KILL);
                net.link("a0", "down");
                until("death is noticed", || has("b"));
                drop((a, b));
            });
        }
    });
}

#[test]
fn a_flood_of_lower_priorities_is_not_answered_one_to_one() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let router = net.start("a", VRRPD, &conf(150, " garp_master_delay 0"));
    until("a master", || net.has("a", VIP));
    run("ip", &format!("-n {}s addr add 10.9.0.7/24 dev br0", net.prefix));
    let socket = hand(&net, "s", "br0");
    let (ear, eye) = (Ear::of(&net), Eye::of(&net));
    let sender = std::thread::spawn(move || {
        for number in 0..2000 {
            send(&socket, &advert(1, Ipv4Addr::new(10, 9, 0, 7), number));
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let since = Instant::now();
    let mut adverts = 0;
    while !sender.is_finished() {
        ear.listen(Duration::from_millis(100), |from, _, priority| adverts += usize::from(from == 1 && priority == 150));
    }
    let announcements = eye.watch(Duration::from_millis(200), [10, 9, 0, 100]);
    let seconds = since.elapsed().as_secs() as usize + 1;
    // One advert a second and four answers; five announcements with each of these, after the five of a new master.
    assert!((1..=seconds * 5 + 1).contains(&adverts), "{adverts} in {seconds} s");
    assert!((1..=SIGHTS * (seconds * 4 * 5 + 10)).contains(&announcements), "{announcements} in {seconds} s");
    assert!(net.has("a", VIP), "{}", router.log());
}

#[test]
fn a_flood_does_not_starve_timers() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let router = net.start("a", VRRPD, &conf(150, " version 3\n advert_int 0.5"));
    until("a master", || net.has("a", VIP));
    run("ip", &format!("-n {}s addr add 10.9.0.7/24 dev br0", net.prefix));
    let socket = hand(&net, "s", "br0");
    let ear = Ear::of(&net);
    let flooding = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let until_then = flooding.clone();
    let flood = std::thread::spawn(move || {
        let mut sent = 0u32;
        while until_then.load(std::sync::atomic::Ordering::Relaxed) {
            // Of another version: refused late, which costs the most.
            send(&socket, &advert(200, Ipv4Addr::new(10, 9, 0, 7), sent));
            sent = sent.wrapping_add(1);
        }
        sent
    });
    let mut adverts = 0;
    ear.listen(Duration::from_secs(3), |from, _, priority| adverts += usize::from(from == 1 && priority == 150));
    flooding.store(false, std::sync::atomic::Ordering::Relaxed);
    let sent = flood.join().expect("it only sends");
    println!("{adverts} adverts beside {sent} others");
    // Six are due; the machine may be slow, and then the flood is too.
    assert!(adverts >= 3, "{adverts} beside {sent}\n{}", router.log());
    assert!(net.has("a", VIP), "{}", router.log());
}

#[test]
fn two_masters_become_one_when_the_net_heals() {
    if !may_run() {
        return;
    }
    std::thread::scope(|scope| {
        for (first, second) in [(VRRPD, VRRPD), (VRRPD, "keepalived"), ("keepalived", VRRPD)] {
            scope.spawn(move || heal(first, second));
        }
    });
}

fn heal(first: &str, second: &str) {
    let net = Net::new();
    let lines = " garp_lower_prio_repeat 3\n garp_lower_prio_delay 0\n higher_prio_send_advert on";
    let a = net.start("a", first, &conf(150, lines));
    until("a master", || net.has("a", VIP));
    let b = net.start("b", second, &conf(100, lines));
    until("a backup", || b.log().contains("BACKUP STATE"));
    // The bridge does not forward between them; nobody's link is down.
    let isolate = |state: &str| ["a0", "b0"].map(|port| run("bridge", &format!("-n {}s link set dev {port} isolated {state}", net.prefix)));
    isolate("on");
    until("both are masters", || net.has("a", VIP) && net.has("b", VIP));
    let eye = Eye::of(&net);
    isolate("off");
    let mut announced = 0;
    until("one yields", || {
        announced += eye.watch(Duration::from_millis(100), [10, 9, 0, 100]);
        net.has("a", VIP) && !net.has("b", VIP)
    });
    announced += eye.watch(Duration::from_secs(2), [10, 9, 0, 100]);
    assert!(announced > 0, "hosts are told where the address is\n{}\n{}", a.log(), b.log());
    assert!(net.has("a", VIP) && !net.has("b", VIP), "{}\n{}", a.log(), b.log());
}

/// Two instances that follow each other.
fn group(priority: u8) -> String {
    let second = conf(priority, "").replace("V1", "V2").replace("51", "52").replace("e0", "e1").replace(VIP, "10.9.1.100");
    format!("{}{second}vrrp_sync_group G {{\n group {{\n V1\n V2\n }}\n}}\n", conf(priority, ""))
}

#[test]
fn groups_follow_each_other_beside_keepalived() {
    if !may_run() {
        return;
    }
    std::thread::scope(|scope| {
        for (first, second) in [(VRRPD, "keepalived"), ("keepalived", VRRPD)] {
            scope.spawn(move || {
                let net = Net::new();
                let both = |host: &str| net.has(host, VIP) && net.has(host, "10.9.1.100");
                let none = |host: &str| !net.has(host, VIP) && !net.has(host, "10.9.1.100");
                let a = net.start("a", first, &group(150));
                until("a master", || both("a"));
                let b = net.start("b", second, &group(100));
                until("a backup", || b.log().contains("BACKUP STATE"));
                net.link("a1", "down");
                until("the other has both", || both("b") && none("a"));
                net.link("a1", "up");
                until("back again", || both("a") && none("b"));
                a.stop();
                until("the other again", || both("b") && none("a"));
            });
        }
    });
}
