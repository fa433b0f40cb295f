//! Algorithms whose order is a matter of chance, on real connections; those with an order are in the parity table.
#![allow(clippy::disallowed_methods)] // Tests live in real time.

mod world;

use lb_testkit::ports::free_tcp;
use lb_testkit::wait;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use world::{Origin, Running, asked};

const DEFAULTS: &str = "defaults\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n";

/// Answers by server, of `count` clients one after the other.
fn counts(balance: &str, mode: &str, servers: [&str; 3], count: usize) -> BTreeMap<String, usize> {
    let (origins, port) = (["a", "b", "c"].map(Origin::start), free_tcp());
    let mut config = format!("{DEFAULTS}listen l\n mode {mode}\n bind 127.0.0.1:{port}\n balance {balance}\n");
    for (origin, (name, words)) in origins.iter().zip(["a", "b", "c"].iter().zip(servers)) {
        config += &format!(" server {name} 127.0.0.1:{} {words}\n", origin.port);
    }
    let proxy = Running::start(&config, 1);
    let servers = proxy.process.topology.backends[0].servers();
    let mut counts = BTreeMap::new();
    for _ in 0..count {
        // The load counts: nobody may have any.
        wait::must("all are idle", || servers.iter().all(|s| s.served.load(Ordering::SeqCst) == 0));
        *counts.entry(asked(port, "/").1).or_default() += 1;
    }
    counts
}

#[test]
fn random_by_weight() {
    for (balance, mode) in [("random", "http"), ("random(1)", "http"), ("random(3)", "tcp")] {
        let seen = counts(balance, mode, ["weight 30", "weight 10", "weight 0"], 200);
        // 150 and 50 are to be expected; far from that is no chance (less than one in 10^6).
        assert_eq!(seen.keys().collect::<Vec<_>>(), ["a", "b"], "{balance}");
        assert!((115..=180).contains(&seen["a"]), "{balance}: {seen:?}");
    }
}

#[test]
fn random_asks_the_others_while_one_is_full() {
    // With as many draws as it takes, the server that holds a stream is not the least loaded one.
    let (origins, port) = (["a", "b"].map(Origin::start), free_tcp());
    let servers: String = ["a", "b"].iter().zip(&origins).map(|(n, o)| format!(" server {n} 127.0.0.1:{} maxconn 1\n", o.port)).collect();
    let proxy = Running::start(&format!("{DEFAULTS}listen l\n mode http\n bind 127.0.0.1:{port}\n balance random\n{servers}"), 1);
    let holder = std::thread::spawn(move || asked(port, "/hold"));
    let backend = &proxy.process.topology.backends[0];
    let busy = || backend.servers().iter().position(|s| s.served.load(Ordering::SeqCst) == 1);
    wait::must("one is busy", || busy().is_some());
    let other = ["b", "a"][busy().unwrap()];
    for _ in 0..10 {
        assert_eq!(asked(port, "/").1, other);
    }
    origins.iter().for_each(Origin::release);
    holder.join().unwrap();
}
