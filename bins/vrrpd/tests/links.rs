//! Interfaces that go down and come up, and what is announced on them.
#![allow(clippy::disallowed_methods)] // Delays are about time.

mod common;
#[path = "common/wire.rs"]
mod wire;

use common::{Net, VIP, VRRPD, conf, conf6, may_run, run, until};
use std::time::{Duration, Instant};
use wire::Eye;

#[test]
fn a_change_within_its_delay_has_not_happened() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let lines = " version 3\n advert_int 0.5\n track_interface {\n e1\n }";
    let router = net.start("a", VRRPD, &format!("interface_up_down_delays {{\n e1 30 0\n}}\n{}", conf(150, lines)));
    until("a master", || net.has("a", VIP));
    net.link("a1", "down");
    until("the kernel knows", || net.says("a", "ip -br link show e1").contains("DOWN"));
    net.link("a1", "up");
    until("the kernel knows", || net.says("a", "ip -br link show e1").contains("UP"));
    // Without the delay the first of these is a fault.
    net.link("a0", "down");
    until("a fault", || router.log().contains("Entering FAULT STATE"));
    net.link("a0", "up");
    until("a master again", || net.has("a", VIP));
    assert_eq!(router.log().matches("Entering FAULT STATE").count(), 1, "{}", router.log());
}

#[test]
fn a_change_that_lasts_counts_when_its_delay_is_over() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let lines = " version 3\n advert_int 0.5\n track_interface {\n e1\n }";
    let router = net.start("a", VRRPD, &format!("interface_up_down_delays {{\n e1 0.4 0.2\n}}\n{}", conf(150, lines)));
    until("a master", || net.has("a", VIP));
    let since = Instant::now();
    net.link("a1", "down");
    until("a fault", || router.log().contains("Entering FAULT STATE"));
    assert!(since.elapsed() >= Duration::from_millis(400));
    let since = Instant::now();
    net.link("a1", "up");
    until("a master again", || net.has("a", VIP));
    assert!(since.elapsed() >= Duration::from_millis(200));
}

#[test]
fn an_interface_appears_and_vanishes() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let p = &net.prefix;
    run("ip", &format!("-n {p}s link del a1"));
    let lines = " version 3\n advert_int 0.3\n virtual_ipaddress_excluded {\n 10.9.1.100/24 dev e1\n }";
    let router = net.start("a", VRRPD, &format!("global_defs {{\n dynamic_interfaces\n}}\n{}", conf(150, lines)));
    until("a fault", || router.log().contains("Entering FAULT STATE"));
    let make = || {
        run("ip", &format!("-n {p}s link add a1 type veth peer name e1 netns {p}a"));
        run("ip", &format!("-n {p}s link set a1 master br1 up"));
        run("ip", &format!("-n {p}a link set e1 up"));
    };
    for _ in 0..2 {
        make();
        until("a master with both addresses", || net.has("a", VIP) && net.has("a", "10.9.1.100"));
        run("ip", &format!("-n {p}s link del a1"));
        until("a fault", || !net.has("a", VIP));
    }
}

/// Drivers are asked for their links, by either program, and it comes to the same.
#[test]
fn interfaces_are_polled_beside_keepalived() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let lines = " version 3\n advert_int 0.3\n track_interface {\n e1\n }";
    // With the word for all, keepalived asks for the instance's own.
    let files =
        [("linkbeat_interfaces {\n e0\n e1 ETHTOOL\n}\n", 1), ("linkbeat_use_polling\n", 0), ("linkbeat_interfaces {\n e1 IOCTL\n}\n", 1)];
    for (polled, cut) in files {
        let file = |priority: u8| format!("{polled}{}", conf(priority, lines));
        let routers = [net.start("a", VRRPD, &file(150)), net.start("b", "keepalived", &file(100))];
        until("a master", || net.has("a", VIP));
        until("a backup", || routers[1].log().contains("Entering BACKUP STATE"));
        for (router, host) in routers.iter().zip(["a", "b"]) {
            assert!(router.log().contains("NIC polling thread(s)"), "{}", router.log());
            net.link(&format!("{host}{cut}"), "down");
            until(&format!("no link of {host} with {polled}"), || router.log().contains(&format!("Linkbeat reports e{cut} down")));
            until("a fault", || router.log().contains("Entering FAULT STATE") && !net.has(host, VIP));
            net.link(&format!("{host}{cut}"), "up");
            until("a link", || router.log().contains(&format!("Linkbeat reports e{cut} up")));
            until("the better one is master again", || net.has("a", VIP) && !net.has("b", VIP));
        }
        for router in routers {
            assert_eq!(router.stop(), Some(0));
        }
    }
    // A reload may begin and end it.
    let router = net.start("a", VRRPD, &conf(150, lines));
    until("a master", || net.has("a", VIP));
    let log = router.reload(&format!("linkbeat_interfaces {{\n e1\n}}\n{}", conf(150, lines)));
    assert!(log.contains("NIC polling thread(s)"), "{log}");
    net.link("a1", "down");
    until("no link", || router.log().contains("Linkbeat reports e1 down"));
    router.reload(&conf(150, lines));
    net.link("a1", "up");
    until("a master", || net.has("a", VIP));
    assert_eq!(router.log().matches("Linkbeat reports").count(), 1, "{}", router.log());
    assert_eq!(router.stop(), Some(0));
}

#[test]
fn a_weight_counts_instead_of_a_fault() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let lines = " version 3\n advert_int 0.3";
    let first = net.start("a", VRRPD, &conf(150, &format!("{lines}\n track_interface {{\n e1 weight -60\n }}")));
    let second = net.start("b", VRRPD, &conf(100, lines));
    until("the better one is master", || net.has("a", VIP) && !net.has("b", VIP));
    net.link("a1", "down");
    until("the other is better now", || net.has("b", VIP) && !net.has("a", VIP));
    net.link("a1", "up");
    until("back again", || net.has("a", VIP) && !net.has("b", VIP));
    // With dont_track_primary the link of the instance itself is no fault.
    drop((first, second));
    let alone = net.start("a", VRRPD, &conf(150, &format!("{lines}\n dont_track_primary")));
    until("a master", || net.has("a", VIP));
    net.link("a0", "down");
    until("the kernel knows", || net.says("a", "ip -br link show e0").contains("DOWN"));
    std::thread::sleep(Duration::from_secs(2));
    assert!(net.has("a", VIP), "{}", alone.log());
}

/// What an instance puts in place elsewhere needs its link, and so do routes and rules on its own.
#[test]
fn dont_track_primary_forgives_the_own_link_alone() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let lines = " version 3\n advert_int 0.3\n dont_track_primary";
    let files = [
        (" virtual_ipaddress_excluded {\n 10.9.1.100/24 dev e1\n }", 1),
        (" virtual_routes {\n 10.20.0.0/16 dev e0\n }", 0),
        (" virtual_rules {\n from 10.20.0.0/16 iif e0 table 5 preference 50\n }", 0),
    ];
    for (more, cut) in files {
        let file = conf(150, &format!("{lines}\n{more}"));
        let routers = [net.start("a", VRRPD, &file), net.start("b", "keepalived", &file.replace("priority 150", "priority 100"))];
        until("a master", || net.has("a", VIP));
        until("a backup", || routers[1].log().contains("Entering BACKUP STATE"));
        for (router, host) in routers.iter().zip(["a", "b"]) {
            net.link(&format!("{host}{cut}"), "down");
            until(&format!("a fault of {host} with {more}"), || router.log().contains("Entering FAULT STATE") && !net.has(host, VIP));
            net.link(&format!("{host}{cut}"), "up");
            until("the better one is master again", || net.has("a", VIP) && !net.has("b", VIP));
        }
        for router in routers {
            assert_eq!(router.stop(), Some(0));
        }
    }
}

#[test]
fn announcements_keep_their_distance() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let lines = " version 3\n advert_int 0.3\n garp_master_repeat 4\n garp_master_delay 0";
    let seen = net.within("s", || {
        let kind = socket2::Type::RAW;
        let protocol = socket2::Protocol::from(i32::from(u16::to_be(0x0806)));
        socket2::Socket::new_raw(socket2::Domain::PACKET, kind, Some(protocol)).expect("a packet socket")
    });
    seen.set_read_timeout(Some(common::PATIENCE)).expect("a time");
    let router = net.start("a", VRRPD, &format!("garp_group {{\n garp_interval 0.25\n interface e0\n}}\n{}", conf(150, lines)));
    // The bridge's own port and the one of the host see each frame.
    let mut times = Vec::new();
    let mut buffer = [0u8; 128];
    while times.len() < 4 {
        let length = std::io::Read::read(&mut &seen, &mut buffer).expect("an announcement");
        let is_ours = length >= 42 && buffer[28..32] == [10, 9, 0, 100] && buffer[38..42] == [10, 9, 0, 100];
        let now = Instant::now();
        if is_ours && times.last().is_none_or(|last| now.duration_since(*last) > Duration::from_millis(60)) {
            times.push(now);
        }
    }
    let all = times[3].duration_since(times[0]);
    assert!(all >= Duration::from_millis(600), "{all:?}\n{}", router.log());
}

#[test]
fn switches_elsewhere_are_reminded() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let lines = " version 3\n advert_int 0.3\n garp_master_repeat 1\n garp_master_delay 0\n garp_extra_if all 0.3";
    let file = conf(150, &format!("{lines}\n virtual_ipaddress_excluded {{\n 10.9.1.100/24 dev e1\n }}"));
    let router = net.start("a", VRRPD, &file);
    until("a master", || net.has("a", VIP) && net.has("a", "10.9.1.100"));
    let eye = Eye::of(&net);
    // The first announcement of all may still be on its way.
    let (mut there, mut here) = (0, 0);
    until("again and again on the other interface", || {
        there += eye.watch(Duration::from_millis(300), [10, 9, 1, 100]);
        there > 5 * wire::SIGHTS
    });
    here += eye.watch(Duration::from_secs(1), [10, 9, 0, 100]);
    assert_eq!(here, 0, "not where adverts go\n{}", router.log());
}

#[test]
fn an_ipv6_instance_waits_for_its_address() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let router = net.start("a", VRRPD, &conf6(150, " advert_int 0.3"));
    until("a master", || net.has("a", "fe80::100"));
    // All addresses of IPv6 go with the link, and the new one of the interface is to be checked first.
    net.says("a", "ip link set e0 down");
    until("a fault", || router.log().contains("Entering FAULT STATE"));
    net.says("a", "ip link set e0 up");
    until("a master again", || net.has("a", "fe80::100"));
    assert_eq!(router.stop(), Some(0));
    assert!(!net.has("a", "fe80::100"));
}

#[test]
fn both_families_may_have_the_same_id() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let six = |priority| conf6(priority, " advert_int 0.3").replace("V1", "V6").replace(VIP, "10.9.0.101");
    let file = |four, six_priority| format!("{}{}", conf(four, " version 3\n advert_int 0.3"), six(six_priority));
    let (four, sixth) = (|host: &str| net.has(host, VIP), |host: &str| net.has(host, "fe80::100"));
    let theirs = net.start("b", "keepalived", &file(100, 200));
    until("keepalived has both", || four("b") && sixth("b"));
    let ours = net.start("a", VRRPD, &file(150, 150));
    until("each has one", || four("a") && !four("b") && !sixth("a") && sixth("b"));
    theirs.stop();
    until("ours has both", || four("a") && sixth("a"));
    assert!(!ours.log().contains("dropped packet"), "{}", ours.log());
}

#[test]
fn what_was_announced_too_fast_is_noticed_all_the_same() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let router = net.start("a", VRRPD, &conf(150, " version 3\n advert_int 0.3"));
    until("a master", || net.has("a", VIP));
    router.signal(rustix::process::Signal::STOP);
    // More than the socket has room for; the last one is the one that matters.
    let lines: String = (0..3000).map(|i| format!("addr {} 10.200.0.1/32 dev e1\n", if i % 2 == 0 { "add" } else { "del" })).collect();
    std::fs::write(net.dir.join("batch"), format!("{lines}addr del {VIP}/24 dev e0\n")).expect("a file");
    run("ip", &format!("-n {}a -batch {}", net.prefix, net.dir.join("batch").display()));
    assert!(!net.has("a", VIP));
    router.signal(rustix::process::Signal::CONT);
    until("it is back in place", || net.has("a", VIP));
    assert!(router.log().matches("Entering MASTER STATE").count() == 2, "{}", router.log());
}
