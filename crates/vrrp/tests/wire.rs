//! Bytes that Debian's keepalived 2.2.7 put on a wire (captured with tcpdump in a network namespace): ours are the same, and we read its.

use std::net::IpAddr;
use std::time::{Duration, Instant};
use vrrp::{Action, Auth, Config, Event, Instance, OldChecksum, Packet, Peer, State, Stats, Transport, Version};

const SOURCE: &str = "10.9.0.1";
const SOURCE6: &str = "fe80::b4f9:81ff:fe14:ba0c";

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

fn config(version: Version, vrid: u8, priority: u8, addresses: &[&str]) -> Config {
    let advert_int = Duration::from_millis(if version == Version::V2 { 1000 } else { 500 });
    Config { version, priority, advert_int, ..Config::new(vrid, addresses.iter().map(|a| ip(a)).collect()) }
}

fn unicast(peer: &str) -> Transport {
    Transport::Unicast { peers: vec![Peer::new(ip(peer))], ttl: None, check_source: false }
}

/// A configuration, where it sends from, and its first, second and last adverts in keepalived.
struct Capture {
    name: &'static str,
    config: Config,
    source: &'static str,
    first: &'static str,
    second: &'static str,
    last: (u32, &'static str),
}

fn captures() -> Vec<Capture> {
    let one = &["10.9.0.100"][..];
    let two = &["10.9.0.100", "10.9.0.101"][..];
    let six = &["fe80::57", "fd09::100"][..];
    let v2 = |vrid, auth| Config { auth, ..config(Version::V2, vrid, 200, one) };
    vec![
        Capture {
            name: "version 2",
            config: config(Version::V2, 51, 150, two),
            source: SOURCE,
            first: "45c0002c00010000ff70d0840a090001e000001221339602000133ee0a0900640a0900650000000000000000",
            second: "45c0002c00020000ff70d0830a090001e000001221339602000133ee0a0900640a0900650000000000000000",
            last: (4, "45c0002c00040000ff70d0810a090001e0000012213300020001c9ee0a0900640a0900650000000000000000"),
        },
        Capture {
            name: "password",
            config: v2(52, Auth::password("secret")),
            source: SOURCE,
            first: "45c0002800010000ff70d0880a090001e00000122134c8010101cf0f0a0900647365637265740000",
            second: "45c0002800020000ff70d0870a090001e00000122134c8010101cf0f0a0900647365637265740000",
            last: (4, "45c0002800040000ff70d0850a090001e000001221340001010197100a0900647365637265740000"),
        },
        Capture {
            name: "authentication header",
            config: v2(53, Auth::header("secret")),
            source: SOURCE,
            first: "45c0004000010000ff33d0ad0a090001e0000012700400000a090001000000014a0b0cefde66f73e107ea3f12135c80102010a5b0a0900640000000000000000",
            second: "45c0004000020000ff33d0ac0a090001e0000012700400000a0900010000000214364df2270e88fdd04d1aa32135c80102010a5b0a0900640000000000000000",
            last: (
                4,
                "45c0004000040000ff33d0aa0a090001e0000012700400000a090001000000046c657e30d57fc0142d39fee1213500010201d25b0a0900640000000000000000",
            ),
        },
        Capture {
            name: "unicast",
            config: Config { transport: unicast("10.9.0.2"), ..v2(54, Auth::None) },
            source: SOURCE,
            first: "45c0002800010000ff70a6900a0900010a0900022136c80100010c5a0a0900640000000000000000",
            second: "45c0002800020000ff70a68f0a0900010a0900022136c80100010c5a0a0900640000000000000000",
            last: (4, "45c0002800040000ff70a68d0a0900010a090002213600010001d45a0a0900640000000000000000"),
        },
        Capture {
            name: "authentication header, unicast",
            config: Config { transport: unicast("10.9.0.2"), ..v2(59, Auth::header("secret")) },
            source: SOURCE,
            first: "45c0004000010000ff33a6b50a0900010a090002700400000a09000100000001036026818ec032ff6d451026213bc80102010a550a0900640000000000000000",
            second: "45c0004000020000ff33a6b40a0900010a090002700400000a09000100000002d10ca5743f1ba2591d55d50d213bc80102010a550a0900640000000000000000",
            last: (
                4,
                "45c0004000040000ff33a6b20a0900010a090002700400000a090001000000043c7cda5e53f1cd02e9a0836d213b00010201d2550a0900640000000000000000",
            ),
        },
        Capture {
            name: "version 3",
            config: config(Version::V3, 55, 200, two),
            source: SOURCE,
            first: "45c0002400010000ff70d08c0a090001e00000123137c8020032071c0a0900640a090065",
            second: "45c0002400020000ff70d08b0a090001e00000123137c8020032071c0a0900640a090065",
            last: (10, "45c00024000a0000ff70d0830a090001e0000012313700020032cf1c0a0900640a090065"),
        },
        Capture {
            name: "version 3, unicast",
            config: Config { transport: unicast("10.9.0.2"), ..config(Version::V3, 56, 200, one) },
            source: SOURCE,
            first: "45c0002000010000ff70a6980a0900010a0900023138c8010032e7950a090064",
            second: "45c0002000020000ff70a6970a0900010a0900023138c8010032e7950a090064",
            last: (10, "45c00020000a0000ff70a68f0a0900010a090002313800010032af960a090064"),
        },
        Capture {
            name: "version 3, old checksum",
            config: Config {
                transport: unicast("10.9.0.2"),
                old_unicast_checksum: OldChecksum::Always,
                ..config(Version::V3, 60, 200, one)
            },
            source: SOURCE,
            first: "45c0002000010000ff70a6980a0900010a090002313cc8010032118a0a090064",
            second: "45c0002000020000ff70a6970a0900010a090002313cc8010032118a0a090064",
            last: (10, "45c00020000a0000ff70a68f0a0900010a090002313c00010032d98a0a090064"),
        },
        Capture {
            name: "IPv6",
            config: config(Version::V3, 57, 200, six),
            source: SOURCE6,
            first: "3139c80200321c67fe800000000000000000000000000057fd090000000000000000000000000100",
            second: "3139c80200321c67fe800000000000000000000000000057fd090000000000000000000000000100",
            last: (10, "313900020032e467fe800000000000000000000000000057fd090000000000000000000000000100"),
        },
        Capture {
            name: "IPv6, unicast",
            config: Config { transport: unicast("fd09::2"), ..config(Version::V3, 58, 200, six) },
            source: "fd09::1",
            first: "313ac80200320f00fe800000000000000000000000000057fd090000000000000000000000000100",
            second: "313ac80200320f00fe800000000000000000000000000057fd090000000000000000000000000100",
            last: (10, "313a00020032d700fe800000000000000000000000000057fd090000000000000000000000000100"),
        },
    ]
}

#[allow(clippy::disallowed_methods)]
fn router(config: Config, source: IpAddr) -> (Instance, Instant) {
    let now = Instant::now();
    let mut router = Instance::new(config).expect("a sound configuration");
    router.handle(now, Event::Interface { up: true, source: Some(source) });
    router.handle(now, Event::Start);
    (router, now)
}

fn sent(router: &mut Instance) -> Vec<(IpAddr, u8, Vec<u8>)> {
    let actions = std::iter::from_fn(|| router.poll_action());
    let datagram = |action| if let Action::Send(d) = action { Some((d.destination, d.hops, d.bytes)) } else { None };
    actions.filter_map(datagram).collect()
}

#[test]
fn what_we_send_is_what_keepalived_sends() {
    for Capture { name, config, source, first, second, last } in captures() {
        let interval = config.advert_int;
        let hops = if name == "IPv6, unicast" { 64 } else { 255 };
        let destination = match &config.transport {
            Transport::Unicast { peers, .. } => peers[0].address,
            Transport::Multicast { group } => *group,
        };
        let (mut router, _) = router(config, ip(source));
        let mut now = router.poll_timeout().expect("it waits");
        let mut all = Vec::new();
        router.handle_timeout(now);
        for _ in 2..last.0 {
            now += interval;
            router.handle_timeout(now);
        }
        router.handle(now, Event::Stop(vrrp::Departure::Stop));
        all.extend(sent(&mut router));
        assert_eq!(all.len(), last.0 as usize, "{name}");
        assert!(all.iter().all(|(to, left, _)| *to == destination && *left == hops), "{name}");
        assert_eq!(all[0].2, hex(first), "{name}");
        assert_eq!(all[1].2, hex(second), "{name}");
        assert_eq!(all.last().expect("some").2, hex(last.1), "{name}");
    }
}

#[test]
fn what_keepalived_sends_we_read() {
    for Capture { name, config, source, first, second, last } in captures() {
        let v6 = ip(source).is_ipv6();
        let own = match (&config.transport, v6) {
            (Transport::Unicast { .. }, true) => ip("fd09::2"),
            (Transport::Multicast { .. }, true) => ip("fe80::2"),
            _ => ip("10.9.0.2"),
        };
        let destination = match &config.transport {
            Transport::Unicast { .. } => own,
            Transport::Multicast { group } => *group,
        };
        let hops = if name == "IPv6, unicast" { 64 } else { 255 };
        let config = Config {
            priority: 100,
            transport: match config.transport {
                Transport::Unicast { .. } => unicast(source),
                multicast => multicast,
            },
            ..config
        };
        let (mut router, now) = router(config, own);
        for text in [first, second, last.1] {
            let bytes = hex(text);
            let packet = match (ip(source), destination) {
                (IpAddr::V6(source), IpAddr::V6(destination)) => Packet::ipv6(source, destination, hops, &bytes),
                _ => Packet::ipv4(&bytes).expect("a datagram"),
            };
            router.handle(now, Event::Packet(packet));
        }
        assert_eq!(router.state(), State::Backup);
        assert_eq!(router.stats(), Stats::default_with(3, 1), "{name}");
        assert_eq!(router.master().map(|m| (m.address, m.priority)).map(|m| m.0), Some(ip(source)), "{name}");
    }
}

/// Counters after so many sound adverts, of which so many said priority 0.
trait Received {
    fn default_with(received: u64, zero: u64) -> Stats;
}

impl Received for Stats {
    fn default_with(received: u64, zero: u64) -> Stats {
        let mut stats = Stats::default();
        (stats.advert_rcvd, stats.pri_zero_rcvd) = (received, zero);
        stats
    }
}
