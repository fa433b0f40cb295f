//! A target over `vrrp`: what comes from a raw socket.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};
use vrrp::packet::{Outgoing, checksum};
use vrrp::{Auth, Config, Event, Instance, Packet, State, Version};

/// Pieces that the format likes, for a mutator.
pub const WORDS: &[&[u8]] = &[
    b"\x45\xc0\x00\x28",
    b"\xff\x70",
    b"\xff\x33",
    b"\x70\x04\x00\x00",
    b"\xe0\x00\x00\x12",
    b"\x0a\x09\x00\x01",
    b"\x21\x33\x64\x01\x00\x01",
    b"\x31\x33\x64\x01\x00\x32",
    b"\x00\x00",
    b"\xff\xff",
    b"secret\0\0",
];

fn configs() -> Vec<Config> {
    let one = || vec![IpAddr::V4(Ipv4Addr::new(10, 9, 0, 100))];
    let v2 = |auth| Config { auth, priority: 150, ..Config::new(51, one()) };
    vec![
        v2(Auth::None),
        v2(Auth::password("secret")),
        v2(Auth::header("secret")),
        Config { version: Version::V3, priority: 150, ..Config::new(51, one()) },
        Config { priority: 150, ..Config::new(51, vec![IpAddr::V6(Ipv6Addr::LOCALHOST)]) },
    ]
}

/// The first byte chooses how the rest is taken: as a datagram of IPv4, or as an advert over IPv6. What is refused changes nothing; what is
/// accepted is sound: written again, it is the same.
pub fn vrrp_packet(data: &[u8]) {
    let Some((choice, data)) = data.split_first() else { return };
    let config = configs().swap_remove(usize::from(choice & 0x7f) % 5);
    let v6 = matches!(config.addresses[0], IpAddr::V6(_));
    let own: IpAddr = if v6 { "fe80::9".parse().expect("an address") } else { Ipv4Addr::new(10, 9, 0, 9).into() };
    let start = Instant::now();
    let mut router = Instance::new(config.clone()).expect("a sound configuration");
    router.handle(start, Event::Interface { up: true, source: Some(own) });
    router.handle(start, Event::Start);
    let mut now = start;
    if choice & 0x80 != 0 {
        now = router.poll_timeout().expect("a backup waits");
        router.handle_timeout(now);
    }
    while router.poll_action().is_some() {}
    let packet = if v6 {
        let source = "fe80::1".parse().expect("an address");
        Packet::ipv6(source, "ff02::12".parse().expect("an address"), 255, data)
    } else {
        match Packet::ipv4(data) {
            Ok(packet) => packet,
            Err(_) => return,
        }
    };
    now += Duration::from_millis(100);
    let before = (router.state(), router.poll_timeout(), router.master());
    router.handle(now, Event::Packet(packet));
    assert_eq!(router.stats().advert_rcvd, 1);
    let actions = std::iter::from_fn(|| router.poll_action()).count();
    assert!(actions <= 8, "{actions} actions for one packet");
    if router.stats().refusals() > 0 {
        assert_eq!((router.state(), router.poll_timeout(), router.master()), before);
        return;
    }
    assert_ne!(router.state(), State::Init);
    let family = config.family;
    let advert = vrrp::packet::Advert::decode(packet.pdu, family).expect("it was accepted");
    let addresses: Vec<IpAddr> = advert.addresses.iter().collect();
    let again = Outgoing {
        version: advert.version,
        vrid: advert.vrid,
        priority: advert.priority,
        interval: advert.interval,
        auth: &config.auth,
        addresses: &addresses,
    };
    let pdu = again.pdu(checksum::Form::Plain);
    // Without the checksum, and without bits that are reserved; what stands behind the addresses proves or means nothing in some types.
    let kept = 8 + addresses.len() * if v6 { 16 } else { 4 };
    assert_eq!((&pdu[..4], &pdu[8..kept]), (&packet.pdu[..4], &packet.pdu[8..kept]));
}
