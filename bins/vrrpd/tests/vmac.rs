//! Virtual MAC addresses and `no_accept`.

mod common;

use common::{Net, VIP, VRRPD, conf, may_run, run, until};
use std::collections::BTreeSet;

const MAC: &str = "00:00:5e:00:01:33";

/// The neighbour on the bridge between the two hosts asks who has the address.
fn hardware(net: &Net) -> String {
    net.says("s", &format!("ip neigh flush {VIP}"));
    net.is_answered("s", VIP);
    net.says("s", &format!("ip neigh show {VIP}"))
}

#[test]
fn hosts_see_one_hardware_address_whoever_is_master() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    run("ip", &format!("-n {}s addr add 10.9.0.9/24 dev br0", net.prefix));
    let lines = " use_vmac\n version 3\n advert_int 0.3";
    let first = net.start("a", VRRPD, &conf(150, lines));
    until("a master", || net.has("a", VIP));
    until("neighbours see it", || hardware(&net).contains(MAC));
    // Adverts come from it, too.
    until("the bridge has learned it", || net.says("s", "bridge fdb show br br0").contains(&format!("{MAC} dev a0")));
    let second = net.start("b", VRRPD, &conf(100, lines));
    until("a backup", || second.log().contains("BACKUP STATE"));
    assert!(net.says("b", "ip -d link show vrrp.51").contains("macvlan mode private"), "{}", second.log());
    assert_eq!(first.stop(), Some(0));
    assert!(net.says("a", "ip link show vrrp.51").is_empty(), "it goes with the daemon");
    until("the other is master", || net.has("b", VIP));
    until("neighbours see no difference", || hardware(&net).contains(MAC));
    drop(second);
}

/// All settings of all interfaces.
fn settings(net: &Net, host: &str) -> BTreeSet<String> {
    let all = net.says(host, "grep -r . /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf");
    // A secret, and what the kernel follows up later.
    all.lines().filter(|line| !line.contains("stable_secret") && !line.contains("/mtu:")).map(str::to_string).collect()
}

/// What only one of them has.
fn difference(one: &BTreeSet<String>, other: &BTreeSet<String>) -> Vec<String> {
    one.symmetric_difference(other).cloned().collect()
}

/// Interfaces with their addresses, without what differs between hosts.
fn links(net: &Net, host: &str) -> Vec<String> {
    let all = net.says(host, "ip -br link") + &net.says(host, "ip -br addr");
    let ours = |line: &&str| line.starts_with('v');
    let line = |line: &str| line.split_whitespace().filter(|w| !w.contains("ff:fe")).collect::<Vec<_>>().join(" ");
    let mut lines: Vec<String> = all.lines().filter(ours).map(line).collect();
    lines.sort();
    lines
}

#[test]
fn interfaces_and_settings_are_keepaliveds() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    net.link("a0", "nomaster");
    net.link("a1", "nomaster");
    for host in ["a", "b"] {
        net.set(host, "ipv4/conf/all/rp_filter", "2");
    }
    let before = settings(&net, "a");
    let file = "vrrp_instance V1 {\n interface e0\n virtual_router_id 51\n priority 255\n state MASTER\n use_vmac vv1 00:11:22:33:44\n use_vmac_addr\n vmac_xmit_base
 virtual_ipaddress {\n 10.9.0.100/24\n 10.9.0.101/24 dev e0\n 10.9.1.100/24 dev e1\n }\n}
vrrp_instance V2 {\n interface e0\n virtual_router_id 52\n priority 255\n state MASTER
 virtual_ipaddress {\n 10.9.0.110/24\n 10.9.1.110/24 dev e1 use_vmac\n 10.9.0.111/24 use_vmac\n }\n}
vrrp_instance V3 {\n interface e1\n virtual_router_id 53\n priority 255\n state MASTER\n use_vmac\n virtual_ipaddress {\n fe80::53\n fd09:1::53/64\n }\n}\n";
    let ours = net.start("a", VRRPD, file);
    let theirs = net.start("b", "keepalived", file);
    let ready = |host: &str| ["10.9.0.100", "10.9.0.111", "fd09:1::53"].iter().all(|ip| net.has(host, ip));
    until("ours is master", || ready("a"));
    until("keepalived is master", || ready("b"));
    until("the same interfaces", || links(&net, "a") == links(&net, "b"));
    assert_eq!(links(&net, "a").len(), 10, "{:?}", links(&net, "a"));
    // Of interfaces that it has no use for, keepalived leaves out some when it hands on the filter of `all`.
    let (mut a, mut b) = (settings(&net, "a"), settings(&net, "b"));
    for all in [&mut a, &mut b] {
        all.retain(|line| !line.contains("/lo/rp_filter") && !line.contains("/e1/rp_filter"));
    }
    assert_eq!(difference(&a, &b), Vec::<String>::new());
    drop(theirs);
    assert_eq!(ours.stop(), Some(0));
    assert_eq!(links(&net, "a"), Vec::<String>::new());
    // keepalived leaves arp_ignore and arp_filter of the interface below as it has set them.
    assert_eq!(difference(&settings(&net, "a"), &before), Vec::<String>::new());
    assert!(!net.says("a", "nft list tables").contains("keepalived"));
}

#[test]
fn what_a_killed_daemon_left_is_used_on() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let file = conf(150, " use_vmac\n no_accept\n version 3\n advert_int 0.3");
    let mut killed = net.start("a", VRRPD, &file);
    until("a master", || net.has("a", VIP));
    killed.child.kill().expect("a child");
    killed.child.wait().expect("a child");
    assert!(net.has("a", VIP) && net.says("a", "nft list tables").contains("keepalived"));
    let again = net.start("a", VRRPD, &file);
    until("a master again", || again.log().contains("Entering MASTER STATE"));
    assert!(net.has("a", VIP), "{}", again.log());
    assert_eq!(again.stop(), Some(0));
    assert!(net.says("a", "ip link show vrrp.51").is_empty());
    assert!(net.says("a", "nft list ruleset").is_empty());
}

#[test]
fn it_follows_the_interface_below() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let router =
        net.start("a", VRRPD, &format!("global_defs {{\n dynamic_interfaces\n}}\n{}", conf(150, " use_vmac\n version 3\n advert_int 0.3")));
    until("a master", || net.has("a", VIP));
    run("ip", &format!("-n {}s link del a0", net.prefix));
    until("a fault", || router.log().contains("Entering FAULT STATE"));
    let p = &net.prefix;
    run("ip", &format!("-n {p}s link add a0 type veth peer name e0 netns {p}a"));
    run("ip", &format!("-n {p}a link set e0 up"));
    run("ip", &format!("-n {p}a addr add 10.9.0.1/24 dev e0"));
    run("ip", &format!("-n {p}s link set a0 master br0 up"));
    until("made again, and master", || net.has("a", VIP) && net.says("a", "ip -br link show vrrp.51").contains(MAC));
    assert_eq!(router.stop(), Some(0));
}

#[test]
fn nobody_talks_to_addresses_with_no_accept() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    run("ip", &format!("-n {}s addr add 10.9.0.9/24 dev br0", net.prefix));
    let answers = |ip: &str| net.is_answered("s", ip);
    let lines = " version 3\n advert_int 0.3\n virtual_ipaddress_excluded {\n fd09:0::66/64\n }";
    let open = net.start("a", VRRPD, &conf(150, lines));
    until("it answers", || answers(VIP));
    assert_eq!(open.stop(), Some(0));
    let closed = net.start("a", VRRPD, &conf(150, &format!("{lines}\n no_accept")));
    until("a master", || net.has("a", VIP) && net.has("a", "fd09::66"));
    assert!(answers("10.9.0.1"), "its own address");
    assert!(!answers(VIP));
    // Who routes through it finds it.
    assert!(hardware(&net).contains("lladdr"), "{}", closed.log());
    assert_eq!(closed.stop(), Some(0));
    // The owner is the host that has the addresses, so it is talked to.
    let owner = net.start("a", VRRPD, &conf(255, &format!("{lines}\n no_accept")));
    until("it answers", || answers(VIP));
    drop(owner);
}

#[test]
fn a_reload_makes_and_removes_virtual_interfaces() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let lines = " version 3\n advert_int 0.3";
    let router = net.start("a", VRRPD, &conf(150, lines));
    until("a master", || net.has("a", VIP));
    let reload = |text: &str| {
        std::fs::write(net.dir.join("a.conf"), text).expect("a file");
        router.signal(rustix::process::Signal::HUP);
    };
    let has = |words: &str, what: &str| net.says("a", words).contains(what);
    reload(&conf(150, &format!("{lines}\n use_vmac\n no_accept")));
    until("the address moves there", || has("ip -o addr show dev vrrp.51", VIP) && !has("ip -o addr show dev e0", VIP));
    until("rules", || has("nft list ruleset", VIP));
    reload(&conf(150, &format!("{lines}\n use_vmac vrrp.51 00:11:22:33:44")));
    until("another hardware address", || {
        has("ip -o link show dev vrrp.51", "00:11:22:33:44:33") && has("ip -o addr show dev vrrp.51", VIP)
    });
    until("rules without the address", || has("nft list ruleset", "vrrp.51") && !has("nft list ruleset", VIP));
    reload(&format!("global_defs {{\n nftables other\n}}\n{}", conf(150, &format!("{lines}\n use_vmac vrrp.51 00:11:22:33:44"))));
    until("rules in the other table alone", || {
        let tables = net.says("a", "nft list tables");
        tables.lines().count() == 2 && tables.lines().all(|line| line.ends_with(" other"))
    });
    reload(&conf(150, lines));
    until("as it was", || has("ip -o addr show dev e0", VIP) && net.says("a", "ip link show dev vrrp.51").is_empty());
    until("no rules", || net.says("a", "nft list ruleset").is_empty());
    assert_eq!(router.stop(), Some(0));
}

#[test]
fn reports_of_local_groups_are_left_to_others() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let reports = |host: &str| net.says(host, "cat /proc/sys/net/ipv4/igmp_link_local_mcast_reports").trim() == "1";
    let without = format!("global_defs {{\n disable_local_igmp\n}}\n{}", conf(255, " use_vmac\n state MASTER"));
    // One after the other: of two owners of an address one would step back.
    let begun = |host: &str, program: &str| {
        let router = net.start(host, program, &without);
        until("a master", || net.has(host, VIP));
        assert!(!reports(host), "{host}");
        assert!(!net.says(host, "nft list ruleset").contains("igmp"), "{host}");
        router
    };
    begun("b", "keepalived").stop();
    let ours = begun("a", VRRPD);
    // keepalived leaves it at that when a reload takes the word away.
    ours.reload(&conf(255, " use_vmac\n state MASTER"));
    until("as it was", || reports("a") && net.says("a", "nft list ruleset").contains("igmp"));
    ours.reload(&without);
    until("off again", || !reports("a") && !net.says("a", "nft list ruleset").contains("igmp"));
    assert_eq!(ours.stop(), Some(0));
    assert!(reports("a"));
}
