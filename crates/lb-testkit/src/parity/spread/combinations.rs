//! Every way to hash, and the servers to choose from.

use super::keys;
use super::servers::{COUNT, Servers};
use std::fmt::Write as _;

/// What varies from request to request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Traffic {
    /// A field `x` with a key.
    Words,
    /// With numbers.
    Numbers,
    /// With lists.
    Lists,
    /// A field `x` as `Host` would be.
    Hosts,
    /// The target.
    Targets,
    /// A parameter of the query.
    Parameters,
    /// A parameter of a POST's body.
    Bodies,
    /// What a client of RDP begins with, in mode tcp.
    Cookies,
    /// Nothing: requests take turns.
    Nothing,
    /// Clients' addresses, of IPv6 if so.
    Sources(bool),
    /// Requests that stay open; every so manieth key is the same.
    Held(usize),
}

impl Traffic {
    pub(super) fn request(self, number: usize) -> String {
        // haproxy's use_domain_only looks one byte past the value: that is to be the next field.
        let field = |value: String| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {value}\r\nZ: z\r\n\r\n");
        let get = |target: String| {
            // RFC 9112 section 3.2.2: an absolute target has the host.
            let host = target.strip_prefix("http://").and_then(|rest| rest.split(['/', '?']).next()).unwrap_or("a");
            format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")
        };
        match self {
            Traffic::Words | Traffic::Sources(_) => field(keys::word(number)),
            Traffic::Numbers => field(keys::number(number)),
            Traffic::Lists => field(keys::list(number)),
            Traffic::Hosts => field(keys::host(number)),
            Traffic::Targets => get(keys::target(number)),
            Traffic::Parameters => get(keys::parameter(number)),
            Traffic::Bodies => {
                let body = keys::parameter(number).replacen(['/', '?'], "", 2);
                format!("POST /?a=1 HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            }
            // The headers are of no interest, and servers here want an empty line.
            Traffic::Cookies => format!("0123456789_Cookie: MSTShash={}\r\n\r\n", keys::word(number)),
            Traffic::Nothing => get("/".to_owned()),
            Traffic::Held(distinct) => format!("GET /hold HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", keys::word(number % distinct)),
        }
    }
}

/// What happens to the first server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Steady,
    /// Its check fails at first; in a second round it is up.
    DownThenUp,
}

/// One `listen` section and its traffic.
#[derive(Debug, Clone)]
pub(super) struct Combination {
    pub(super) name: String,
    pub(super) traffic: Traffic,
    pub(super) phase: Phase,
    /// Debian's haproxy 2.6 does not know it.
    pub(super) newer: bool,
    balance: String,
    hash_type: String,
    /// Options of the servers.
    servers: [&'static str; COUNT],
}

/// Sets of servers by name.
const SERVERS: &[(&str, [&str; COUNT])] = &[
    ("equal", [""; COUNT]),
    ("weights", ["weight 1", "weight 3", "weight 10", "weight 256", "weight 7", "weight 100"]),
    ("ids", ["id 20 weight 4", "id 3 weight 4", "id 1000 weight 8", "id 7 weight 12", "id 65536", "id 2"]),
    ("states", ["weight 5", "weight 0", "disabled", "weight 30", "backup", "weight 5"]),
];

/// Where only backups are left. Of different weights, haproxy's map-based hash would take the heaviest and not the first.
const BACKUPS: [&str; COUNT] = ["disabled", "weight 0", "backup weight 4", "backup weight 4", "backup disabled", "backup weight 4"];

pub(super) fn combinations() -> Vec<Combination> {
    let mut list = Vec::new();
    let mut add = |newer: bool, set: &str, servers: [&'static str; COUNT], traffic, balance: &str, hash_type: &str| {
        let name = format!("spread/{balance}/{hash_type}/{set}").replace(' ', "-").replace('\n', "+");
        let (balance, hash_type) = (balance.to_owned(), hash_type.to_owned());
        list.push(Combination { name, traffic, phase: Phase::Steady, newer, balance, hash_type, servers });
    };
    let equal = SERVERS[0].1;
    let weights = SERVERS[1].1;
    for &(set, servers) in SERVERS {
        for method in ["map-based", "consistent"] {
            for function in ["sdbm", "djb2", "wt6", "crc32", "none"] {
                for avalanche in ["", " avalanche"] {
                    let (newer, traffic) = if function == "none" { (true, Traffic::Numbers) } else { (false, Traffic::Words) };
                    add(newer, set, servers, traffic, "hdr(x)", &format!("{method} {function}{avalanche}"));
                }
            }
            add(false, set, servers, Traffic::Words, "hdr(x)", method);
            for traffic in [Traffic::Sources(false), Traffic::Sources(true)] {
                let set = if traffic == Traffic::Sources(true) { format!("{set}/v6") } else { set.to_owned() };
                add(false, &set, servers, traffic, "source", method);
            }
            add(false, set, servers, Traffic::Sources(false), "source", &format!("{method} wt6 avalanche"));
            add(false, &format!("{set}/no-key"), servers, Traffic::Nothing, "hdr(x)", method);
        }
    }
    for method in ["map-based", "consistent"] {
        add(false, "backups", BACKUPS, Traffic::Words, "hdr(x)", method);
        add(false, "allbackups", BACKUPS, Traffic::Words, "hdr(x)\n option allbackups", method);
    }
    for uri in [
        "",
        " whole",
        " len 7",
        " depth 1",
        " depth 3",
        " depth 2 len 9 whole",
        " path-only",
        " path-only depth 1",
        " path-only len 5 whole",
    ] {
        add(false, "weights", weights, Traffic::Targets, &format!("uri{uri}"), "map-based");
        add(false, "equal", equal, Traffic::Targets, &format!("uri{uri}"), "consistent djb2");
    }
    for hash_type in ["map-based", "consistent crc32"] {
        add(false, "equal", equal, Traffic::Parameters, "url_param uid", hash_type);
        add(false, "equal", equal, Traffic::Parameters, "url_param uid check_post", hash_type);
        add(false, "bodies", weights, Traffic::Bodies, "url_param uid check_post 100", hash_type);
        add(false, "equal", equal, Traffic::Cookies, "rdp-cookie", hash_type);
        add(false, "other", equal, Traffic::Cookies, "rdp-cookie(msts)", hash_type);
        add(false, "equal", equal, Traffic::Hosts, "hdr(x) use_domain_only", hash_type);
        add(false, "lists", equal, Traffic::Lists, "hdr(X)", hash_type);
        add(false, "weights", weights, Traffic::Words, "hash req.hdr(x)", hash_type);
        add(false, "lists", equal, Traffic::Lists, "hash req.hdr(X,1),lower", hash_type);
    }
    for (factor, distinct) in [(101, 1), (125, 1), (150, 7), (200, 1_000), (125, 1_000)] {
        for &(set, servers) in SERVERS {
            let set = format!("{set}/{distinct}-keys");
            // Heads without a body are not to wait for one.
            let balance = format!("hdr(x)\n option http-no-delay\n hash-balance-factor {factor}");
            add(false, &set, servers, Traffic::Held(distinct), &balance, "consistent");
        }
    }
    let by = |key: &'static str| [key; COUNT];
    for (set, servers) in [
        ("id", by("hash-key id weight 3")),
        ("addr", by("hash-key addr")),
        ("addr-port", by("hash-key addr-port weight 20")),
        ("mixed", ["hash-key addr", "hash-key id", "hash-key addr-port", "weight 30 hash-key addr", "weight 0 hash-key addr", "id 3000"]),
    ] {
        add(true, set, servers, Traffic::Words, "hdr(x)", "consistent");
    }
    let checked: [&str; COUNT] = ["check inter 100ms rise 1 fall 1 weight 20", "weight 3", "weight 8", "", "weight 10", "backup"];
    for hash_type in ["map-based", "consistent", "consistent wt6"] {
        add(false, "down-then-up", checked, Traffic::Words, "hdr(x)", hash_type);
    }
    for combination in list.iter_mut().filter(|c| c.servers == checked) {
        combination.phase = Phase::DownThenUp;
    }
    list
}

impl Combination {
    /// Its section, which listens on `port`.
    pub(super) fn section(&self, n: usize, port: u16, servers: &Servers) -> String {
        let proxy = match self.traffic {
            Traffic::Sources(_) => " accept-proxy",
            // What the client sends is here before a server is chosen.
            Traffic::Cookies => " defer-accept\n mode tcp",
            _ => "",
        };
        let mut text = format!("listen l{n}\n bind 127.0.0.1:{port}{proxy}\n balance {}\n hash-type {}\n", self.balance, self.hash_type);
        for (s, options) in self.servers.iter().enumerate() {
            let _ = writeln!(text, " server s{s} {} {options}", servers.address(s));
        }
        text
    }

    /// A line for the tests of lb-balance, which know the scheduler and not the proxy: words or addresses, and what was chosen.
    pub(super) fn record(&self, seen: &str) -> Option<String> {
        let kind = match self.traffic {
            Traffic::Words => "words",
            Traffic::Numbers => "numbers",
            Traffic::Sources(false) => "v4",
            Traffic::Sources(true) => "v6",
            _ => return None,
        };
        if self.phase != Phase::Steady || self.servers.iter().any(|s| s.contains("hash-key")) {
            return None;
        }
        let all = if self.balance.contains("allbackups") { "allbackups" } else { "first" };
        Some(format!("{kind}\t{}\t{all}\t{}\t{seen}", self.hash_type, self.servers.join(",")))
    }
}
