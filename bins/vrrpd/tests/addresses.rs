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
 fd01::1/64\n fd01::2\n fd01::3/128 preferred_lft forever\n fd01::4/64 home\n fd01::5/64 noprefixroute\n fd01::6/64 -nodad\n fe80::77\n fd01::7/64 preferred_lft 0
 }";
    same(&conf(255, lines), |net, host| net.has(host, VIP) && net.has(host, "fd01::7"), made);
    let ready = |net: &Net, host: &str| net.has(host, VIP) && net.has(host, "fe80::100");
    same(&conf6(255, " state MASTER\n advert_int 0.3"), ready, made);
}
