//! The orders in which Debian's haproxy 2.6 was seen to serve sequential connections, one per line of the file beside this
//! test: scheduler, weights of servers a, b, c …, servers in the order in which they answered from the start on.

use lb_balance::{Hash, Key, Kind, Policy, ServerId, ServerSpec, Settings, State, Tried, Unlimited};

#[test]
fn same_order_as_haproxy() {
    let mut lines = 0;
    for line in include_str!("haproxy-2.6-orders.txt").lines().filter(|l| !l.starts_with('#')) {
        let words: Vec<_> = line.split(' ').collect();
        let [scheduler, weights, seen] = words[..] else { panic!("three words expected: {line}") };
        let kind = match scheduler {
            "roundrobin" => Kind::RoundRobin,
            "static-rr" => Kind::StaticRr,
            "leastconn" => Kind::LeastConn,
            other => panic!("unknown scheduler {other}"),
        };
        let servers: Vec<_> = weights.split(',').map(|w| ServerSpec::new(w.parse().expect("a weight"))).collect();
        let policy = Policy::new(Settings::new(kind), &servers).expect("valid weights");
        let got: String = (0..seen.len())
            .map(|_| {
                let id = policy.assign(Key::None, &Unlimited, &Tried::new()).server().expect("a usable server");
                policy.released(id);
                char::from(b'a' + id.0 as u8)
            })
            .collect();
        assert_eq!(got, seen, "{scheduler} {weights}");
        lines += 1;
    }
    assert!(lines > 40);
}

/// Weights, then what happened in turn: `+b` a connection was opened and b answered, `-3` the open connection number 3 (from
/// 0, in the order of opening) was closed.
#[test]
fn leastconn_under_load_as_haproxy() {
    let mut lines = 0;
    for line in include_str!("haproxy-2.6-leastconn.txt").lines().filter(|l| !l.starts_with('#')) {
        let mut words = line.split(' ');
        let weights = words.next().expect("weights");
        let servers: Vec<_> = weights.split(',').map(|w| ServerSpec::new(w.parse().expect("a weight"))).collect();
        let policy = Policy::new(Settings::new(Kind::LeastConn), &servers).expect("valid weights");
        let mut open = Vec::new();
        for (at, word) in words.enumerate() {
            match word.split_at(1) {
                ("+", server) => {
                    let id = policy.assign(Key::None, &Unlimited, &Tried::new()).server().expect("a usable server");
                    assert_eq!(char::from(b'a' + id.0 as u8).to_string(), server, "{weights}, event {at}");
                    open.push(id);
                }
                ("-", number) => policy.released(open.remove(number.parse().expect("a number"))),
                _ => panic!("unknown event {word}"),
            }
        }
        lines += 1;
    }
    assert!(lines > 10);
}

/// Weights, `n` or `b` (backup) per server, whether `option allbackups` is on, servers that are down, servers that drain, then client
/// addresses and, as the last word, which server each reached.
#[test]
fn source_reaches_the_server_that_haproxy_chose() {
    let mut clients = 0;
    for line in include_str!("haproxy-2.6-source.txt").lines().filter(|l| !l.starts_with('#')) {
        let words: Vec<_> = line.split(' ').collect();
        let [weights, backups, all, down, drain, addrs @ .., seen] = &words[..] else { panic!("too few words: {line}") };
        let servers: Vec<_> = weights
            .split(',')
            .zip(backups.chars())
            .map(|(w, b)| ServerSpec { backup: b == 'b', ..ServerSpec::new(w.parse().expect("a weight")) })
            .collect();
        let policy =
            Policy::new(Settings { allbackups: *all == "all", ..Settings::new(Kind::Hash(Hash::map())) }, &servers).expect("valid weights");
        for (list, state) in [(down.strip_prefix("down="), State::Down), (drain.strip_prefix("drain="), State::Drain)] {
            for server in list.expect("a list of servers").bytes() {
                policy.set_state(ServerId(u32::from(server - b'a')), state);
            }
        }
        assert_eq!(addrs.len(), seen.len());
        for (addr, server) in addrs.iter().zip(seen.bytes()) {
            let key = Key::Addr(addr.parse().expect("an address"));
            let got = policy.pick(key, &Unlimited, &Tried::new()).server().expect("a usable server");
            assert_eq!(b'a' + got.0 as u8, server, "{addr} with {weights} {backups} {all} {down} {drain}");
            clients += 1;
        }
    }
    assert!(clients > 1_000);
}
