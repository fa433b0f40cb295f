//! What is put in place on a host: side by side with what keepalived makes of the same file.

mod common;

use common::{Net, VIP, VRRPD, conf, conf6, may_run, run, until};

/// The addresses of e0 that come of a file, without what differs between hosts and moments.
fn made(net: &Net, host: &str) -> Vec<String> {
    let all = run("ip", &format!("-n {}{host} -o addr show dev e0", net.prefix));
    let own = |line: &&str| {
        !line.contains("10.9.0.1/")
            && !line.contains("10.9.0.2/")
            && !line.contains("ff:fe")
            && !line.contains("fd09::1/")
            && !line.contains("fd09::2/")
    };
    let line =
        |line: &str| line.split_whitespace().skip(2).filter(|w| !w.ends_with("sec") && *w != "tentative").collect::<Vec<_>>().join(" ");
    let mut lines: Vec<String> = all.lines().filter(own).map(line).collect();
    lines.sort();
    lines
}

/// Runs keepalived on one host and ours on another, each on its own, and compares what `look` sees when `ready`.
fn same(conf: &str, ready: impl Fn(&Net, &str) -> bool, look: impl Fn(&Net, &str) -> Vec<String>) {
    let net = Net::new();
    net.link("a0", "nomaster");
    let ours = net.start("a", VRRPD, conf);
    let theirs = net.start("b", "keepalived", conf);
    until("both are masters", || ready(&net, "a") && ready(&net, "b"));
    let mut seen = (Vec::new(), Vec::new());
    until("both have come to rest", || {
        let before = std::mem::replace(&mut seen, (look(&net, "a"), look(&net, "b")));
        before == seen
    });
    assert_eq!(seen.0, seen.1, "ours, keepalived's\n{}\n{}", ours.log(), theirs.log());
    assert!(!seen.0.is_empty());
    assert_eq!(ours.stop(), Some(0));
    // keepalived leaves some behind (those with a peer).
    assert_eq!(look(&net, "a"), Vec::<String>::new(), "after a stop");
}

#[test]
fn addresses_are_keepaliveds() {
    if !may_run() {
        return;
    }
    let lines = " state MASTER\n version 3\n advert_int 0.3\n virtual_ipaddress_excluded {
 10.9.0.101\n 10.9.3.1/24 brd +\n 10.9.4.1/24 brd - scope link\n 10.9.5.1/24 label e0:x noprefixroute\n 10.9.6.1 peer 10.9.7.1 scope host
 10.9.0.102/24 frob scope frob\n 10.9.0.103/99\n 10.9.0.104 peer 10.9.7.2/24\n 10.9.0.105/24 brd frob\n 10.9.0.106/31 brd +\n 10.9.0.107/24 label e0:much-longer-than-allowed\n 10.9.0.108/24 nodad
 fd01::1/64\n fd01::2\n fd01::3/128 preferred_lft forever\n fd01::4/64 home\n fd01::5/64 noprefixroute\n fd01::6/64 -nodad\n fe80::77\n fd01::7/64 preferred_lft 0
 }";
    same(&conf(255, lines), |net, host| net.has(host, VIP) && net.has(host, "fd01::7"), made);
    let ready = |net: &Net, host: &str| net.has(host, VIP) && net.has(host, "fe80::100");
    same(&conf6(255, " state MASTER\n advert_int 0.3"), ready, made);
}

/// What is wrong with a line leaves the address in place where keepalived does: routers compare their lists.
#[test]
fn lines_with_mistakes_are_keepaliveds() {
    if !may_run() {
        return;
    }
    let lines = " state MASTER\n version 3\n advert_int 0.3\n virtual_ipaddress_excluded {
 10.9.3.1/24 frob\n 10.9.4.1/24 brd x\n 10.9.5.1/24 scope foo\n 10.9.6.1 peer x\n 10.9.7.1/24 10.9.8.1/24\n 10.9.9.1/24 track_group g\n 10.9.10.1/33
 10.9.11.1/24 label e0:abcdefghijklmnopq\n 10.9.12.1/24 scope 300\n 10.9.13.1/24 preferred_lft x\n 10.9.14.1/24 dev\n 10.9.15.300\n 10.9.17.1
 }";
    same(&conf(255, lines), |net, host| net.has(host, VIP) && net.has(host, "10.9.17.1"), made);
}

/// Routes and rules that come of a file.
fn ways(net: &Net, host: &str) -> Vec<String> {
    let looks =
        ["ip -d route show table all proto keepalived", "ip -d -6 route show table all proto keepalived", "ip -d rule", "ip -d -6 rule"];
    let all: String = looks.iter().map(|words| net.says(host, words)).collect();
    // What an own table of rules of the kernel's says is not of the file.
    let ours = |line: &&str| !line.contains("lookup main") && !line.contains("lookup local") && !line.contains("lookup default");
    let expires = |word: &&str| !word.ends_with("sec");
    all.lines().filter(ours).map(|line| line.split_whitespace().filter(expires).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn routes_and_rules_are_keepaliveds() {
    if !may_run() {
        return;
    }
    let lines = " state MASTER\n version 3\n advert_int 0.3\n virtual_routes {
 10.20.0.0/16 via 10.9.0.7 dev e0\n src 10.9.0.100 to 10.21.0.0/16 dev e1 metric 5\n 10.22.0.0/16 dev e0 scope link table 100 tos 8
 blackhole 10.23.0.0/16 no_track\n unreachable 10.24.0.0/16 no_track\n prohibit 10.25.0.0/16 no_track\n throw 10.26.0.0/16 table 6909 no_track
 10.27.0.0/16 nexthop via 10.9.0.7 dev e0 weight 3 nexthop via 10.9.1.8 dev e1 onlink weight 256
 10.28.0.0/16 dev e0 mtu 1400 hoplimit 9 advmss 900 reordering 104 window 105 cwnd 106 ssthresh lock 107 realms 3/4 rto_min 300 initcwnd 109 initrwnd 110 features ecn quickack 1 fastopen_no_cookie 1
 10.29.0.0/16 dev e0 protocol bird no_track\n 10.30.0.0/16 via 10.99.0.1 dev e0 onlink\n default via 10.9.0.7 dev e0 table 7
 fd20::/16 via fe80::7 dev e0\n fd21::/16 dev e1 metric 5 pref high\n from fd22::/16 to fd23::/16 dev e0\n unreachable fd24::/16 no_track\n fd25::/16 dev e0 mtu lock 1300
 }\n virtual_rules {
 from 10.1.0.0/16 table 5 preference 50\n not from 10.2.0.0/16 to 10.3.0.0/16 table 6 iif e0 oif e1 tos 0x10 fwmark 24/12 preference 39 realms 3/4
 from 10.4.0.0/16 blackhole preference 51\n from 10.5.0.0/16 unreachable preference 52\n to 10.6.0.0/16 prohibit preference 53\n from 10.7.0.0/16 goto 32766 preference 54
 from 10.8.0.0/16 table main suppress_prefixlength 3 suppress_ifgroup 4 uidrange 1-5 protocol 12 preference 55\n from 10.9.0.0/16 table 9 ipproto udp sport 1-3 dport 5-6 preference 56
 from 10.13.0.0/16 table 5 tunnel-id 8 preference 59\n from 10.14.0.0/16 table 5 no_track preference 60\n from 10.15.0.0/16 table 5 protocol 12 no_track preference 61
 from fd01::/64 to fd02::/16 table 7 preference 57\n from 10.10.0.0/16 table 5\n from 10.11.0.0/16 table 5\n from fd03::/16 table 5\n from 10.12.0.0/16 nop preference 58
 }";
    same(&conf(255, lines), |net, host| net.has(host, VIP) && ways(net, host).iter().any(|l| l.contains("fd03::")), ways);
}

#[test]
fn static_things_stay_and_virtual_ones_are_watched() {
    if !may_run() {
        return;
    }
    let file = format!(
        "track_group G {{\n group {{\n V1\n }}\n}}
static_ipaddress {{\n 10.9.5.1/24 dev e0\n 10.9.6.1/24 dev e1 track_group G\n 10.9.7.1/24 dev e0 no_track\n}}
static_routes {{\n 10.30.0.0/16 dev e0\n 10.31.0.0/16 dev e0 no_track\n}}
static_rules {{\n from 10.40.0.0/16 table 40 preference 40\n}}\n{}",
        conf(
            150,
            " version 3\n advert_int 0.3\n virtual_routes {\n 10.20.0.0/16 dev e0\n 10.21.0.0/16 dev e0 no_track\n }\n virtual_rules {\n from 10.50.0.0/16 table 50 preference 50\n from 10.51.0.0/16 table 51 preference 51 no_track\n }"
        )
    );
    let net = Net::new();
    let router = net.start("a", VRRPD, &file);
    let all = || net.says("a", "ip -o addr") + &net.says("a", "ip route") + &net.says("a", "ip rule");
    let there = |words: &[&str]| until(&format!("{words:?}"), || words.iter().all(|word| all().contains(word)));
    until("a master", || net.has("a", VIP));
    there(&["10.9.5.1", "10.9.6.1", "10.9.7.1", "10.30.0.0", "10.31.0.0", "10.40.0.0", "10.20.0.0", "10.21.0.0", "10.50.0.0", "10.51.0.0"]);
    // Not tracked: they stay away.
    for words in ["ip addr del 10.9.7.1/24 dev e0", "ip route del 10.31.0.0/16", "ip route del 10.21.0.0/16", "ip rule del pref 51"] {
        net.says("a", words);
    }
    for (words, what) in
        [("ip addr del 10.9.5.1/24 dev e0", "10.9.5.1"), ("ip route del 10.30.0.0/16", "10.30.0.0"), ("ip rule del pref 40", "10.40.0.0")]
    {
        net.says("a", words);
        there(&[what]);
    }
    assert!(!["10.9.7.1", "10.31.0.0", "10.21.0.0", "10.51.0.0"].iter().any(|word| all().contains(word)), "{}", all());
    let masters = || router.log().matches("Entering MASTER").count();
    assert_eq!(masters(), 1, "{}", router.log());
    for (words, count) in [("ip route del 10.20.0.0/16", 2), ("ip rule del pref 50", 3)] {
        net.says("a", words);
        until("it gives up and begins anew", || masters() == count);
        there(&["10.20.0.0", "10.50.0.0"]);
    }
    // Static things of a group hold its instances up.
    net.link("a1", "down");
    until("a fault", || router.log().contains("Entering FAULT STATE") && !net.has("a", VIP));
    net.link("a1", "up");
    until("a master again", || net.has("a", VIP));
    there(&["10.9.6.1", "10.20.0.0"]);
    assert_eq!(router.stop(), Some(0));
    let left = all();
    assert!(!["10.9.5", "10.9.6", "10.30.", "10.40.", "10.20.", "10.50."].iter().any(|word| left.contains(word)), "{left}");
}
