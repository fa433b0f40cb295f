//! Same key, same server: what haproxy was seen to choose, for every function, lookup and set of servers. `cargo xtask parity` compares
//! many more keys live.

use lb_balance::{Function, Hash, Key, Kind, Policy, ServerId, ServerSpec, Settings, State, Tried, Unlimited, seed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// SplitMix64 of a number; the generators are those of the parity run.
fn random(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn word(number: u64) -> String {
    let r = random(number);
    match number % 5 {
        0 => number.to_string(),
        1 => format!("{r:016x}"),
        2 => (r as u32).to_string(),
        3 => format!("user-{}@example.com", r % 100_000),
        _ => format!("{:0width$x}", r, width = 1 + (r % 60) as usize),
    }
}

fn number(number: u64) -> String {
    let r = random(number);
    match number % 6 {
        0 => number.to_string(),
        1 => (r as u32).to_string(),
        2 => r.to_string(),
        3 => format!("-{}", r % 1_000_000),
        4 => format!("{}x{}", r % 10_000, r % 7),
        _ => format!("{}", r >> 1),
    }
}

fn v4(number: u64) -> IpAddr {
    let near = number.is_multiple_of(4);
    Ipv4Addr::from(if near { 0x0a00_0001 + number as u32 } else { random(number) as u32 | 0x0100_0000 }).into()
}

fn v6(number: u64) -> IpAddr {
    let (high, low) = (random(number), random(number ^ 0x5555));
    let near = number.is_multiple_of(4);
    Ipv6Addr::from(if near { (0x2001_0db8_u128 << 96) | u128::from(number + 1) } else { (u128::from(high) << 64) | u128::from(low) }).into()
}

fn hash(words: &str) -> Hash {
    let mut words = words.split(' ');
    let mut hash = match words.next() {
        Some("map-based") => Hash::map(),
        Some("consistent") => Hash::ring(),
        other => panic!("unknown {other:?}"),
    };
    if let Some(function) = words.next() {
        hash.function = match function {
            "sdbm" => Function::Sdbm,
            "djb2" => Function::Djb2,
            "wt6" => Function::Wt6,
            "crc32" => Function::Crc32,
            "none" => Function::None,
            other => panic!("unknown {other}"),
        };
        hash.avalanche = words.next() == Some("avalanche");
    }
    hash
}

fn server(place: usize, options: &str, like_3_0: bool) -> ServerSpec {
    let mut spec = ServerSpec { id: place as u32 + 1, ..ServerSpec::new(1) };
    let mut words = options.split_ascii_whitespace();
    while let Some(word) = words.next() {
        let mut value = || words.next().expect("a value").parse::<u32>().expect("a number");
        match word {
            "weight" => spec.weight = value() as u16,
            "id" => spec.id = value(),
            "backup" => spec.backup = true,
            "disabled" => spec.state = State::Down,
            other => panic!("unknown {other}"),
        }
    }
    spec.seed = like_3_0.then(|| seed::by_mixed_id(spec.id));
    spec
}

#[test]
fn the_server_that_haproxy_chose() {
    let mut keys = 0;
    for line in include_str!("haproxy-hashes.txt").lines().filter(|l| !l.starts_with('#')) {
        let columns: Vec<_> = line.split('\t').collect();
        let [kind, hash_type, backups, servers, seen] = columns[..] else { panic!("five columns expected: {line}") };
        let like_3_0 = hash_type.contains("none");
        let servers: Vec<_> = servers.split(',').enumerate().map(|(place, options)| server(place, options, like_3_0)).collect();
        let settings = Settings { allbackups: backups == "allbackups", ..Settings::new(Kind::Hash(hash(hash_type))) };
        let policy = Policy::new(settings, &servers).expect("valid");
        let pick = |key: Key<'_>| policy.pick(key, &Unlimited, &Tried::new()).server().expect("a usable server");
        let got: String = (0..seen.len() as u64)
            .map(|n| match kind {
                "words" => pick(Key::Bytes(word(n).as_bytes())),
                "numbers" => pick(Key::Bytes(number(n).as_bytes())),
                "v4" => pick(Key::Addr(v4(n))),
                "v6" => pick(Key::Addr(v6(n))),
                other => panic!("unknown {other}"),
            })
            .map(|ServerId(id)| char::from(b'a' + id as u8))
            .collect();
        assert_eq!(got, seen, "{kind} {hash_type}");
        keys += seen.len();
    }
    assert!(keys > 10_000, "{keys}");
}
