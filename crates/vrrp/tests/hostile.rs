//! Packets that somebody sends who means no good: they change counters and nothing else.

mod common;

use common::{GROUP, OWN, Router, advert, config, ms, peer, with_password};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use vrrp::packet::checksum::Form;
use vrrp::packet::{Outgoing, checksum};
use vrrp::{Action, Auth, Config, Event, Family, OldChecksum, Packet, Peer, Refusal, Report, State, Transport, Version};

/// What a packet did that was refused: why, having changed nothing.
fn refused(router: &mut Router, bytes: &[u8]) -> Refusal {
    // So long that the next refusal is reported again.
    router.pass(ms(1001));
    router.drain();
    let (before, state, master) = (router.it.poll_timeout(), router.it.state(), router.it.master());
    let refusals = router.it.stats().refusals();
    match Packet::ipv4(bytes) {
        Ok(packet) => router.event(Event::Packet(packet)),
        Err(why) => router.it.refuse(router.now, peer(7).into(), why),
    }
    assert_eq!((router.it.poll_timeout(), router.it.state(), router.it.master()), (before, state, master));
    assert_eq!(router.it.stats().refusals(), refusals + 1);
    match router.drain()[..] {
        [Action::Report(Report::Refused { why, .. })] => why,
        ref other => panic!("{other:?}"),
    }
}

fn patched(mut bytes: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    bytes[at] = byte;
    bytes
}

/// The same with its checksum made right again.
fn summed(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = checksum::of(&bytes[20..], Form::Plain);
    bytes[26..28].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// A backup that waits for longer than a test lasts.
fn patient(config: Config) -> Router {
    Router::backup(Config { down_timer_adverts: 100, ..config })
}

#[test]
fn each_check() {
    let plain = config(Version::V2, 100);
    let secret = with_password(plain.clone());
    let good = || advert(&plain, 7, 200);
    let mut router = Router::master(plain.clone());
    let mut case = |bytes: Vec<u8>| refused(&mut router, &bytes);
    assert_eq!(case(patched(good(), 8, 254)), Refusal::Ttl { got: 254, min: 255, max: 255 });
    assert_eq!(case(patched(good(), 26, 1)), Refusal::Checksum);
    assert_eq!(case(patched(good(), 21, 52)), Refusal::Vrid(52));
    assert_eq!(case(summed(patched(good(), 20, 0x41))), Refusal::Version(4));
    assert_eq!(case(advert(&config(Version::V3, 100), 7, 200)), Refusal::Version(3));
    assert_eq!(case(summed(patched(good(), 20, 0x22))), Refusal::Type(2));
    assert_eq!(case(summed(patched(good(), 23, 2))), Refusal::Length { got: 20, want: 24 });
    assert_eq!(case(summed(patched(good(), 24, 9))), Refusal::AuthType(9));
    assert_eq!(case(advert(&secret, 7, 200)), Refusal::AuthMismatch);
    assert_eq!(case(summed(patched(good(), 25, 3))), Refusal::Interval { got: Duration::from_secs(3), want: Some(ms(1000)) });
    assert_eq!(case(advert(&plain, 5, 200)), Refusal::OwnAddress(OWN));
    assert_eq!(case(patched(good(), 19, 19)), Refusal::Destination(Ipv4Addr::new(224, 0, 0, 19).into()));
    assert_eq!(case(good()[..30].to_vec()), Refusal::Length { got: 30, want: 40 });
    assert_eq!(case(patched(good(), 3, 24)), Refusal::Length { got: 4, want: 8 });
    let stats = router.it.stats();
    assert_eq!((stats.ip_ttl_err, stats.chk_err, stats.vrid_err, stats.vers_err, stats.invalid_type_rcvd), (1, 1, 1, 2, 1));
    assert_eq!((stats.packet_len_err, stats.invalid_authtype, stats.authtype_mismatch, stats.advert_interval_err), (3, 1, 1, 1));
    assert_eq!((stats.address_err, stats.refusals()), (2, 14));
    assert_eq!(router.it.state(), State::Master);
}

#[test]
fn authentication() {
    let secret = with_password(config(Version::V2, 100));
    let mut router = patient(secret.clone());
    let wrong = Config { auth: Auth::password("Secret"), ..secret.clone() };
    assert_eq!(refused(&mut router, &advert(&wrong, 7, 200)), Refusal::Password);
    assert_eq!(refused(&mut router, &advert(&config(Version::V2, 100), 7, 200)), Refusal::AuthMismatch);
    router.hears_advert(7, 200);
    assert!(router.it.master().is_some());

    let header = Config { auth: Auth::header("secret"), ..config(Version::V2, 100) };
    let wrong = Config { auth: Auth::header("Secret"), ..header.clone() };
    assert_eq!(format!("{header:?}").matches("secret").count(), 0, "secrets do not end up in logs");
    let mut router = patient(header.clone());
    let good = advert(&header, 7, 200);
    assert_eq!(refused(&mut router, &advert(&wrong, 7, 200)), Refusal::AuthHeader("its integrity value is wrong"));
    assert_eq!(refused(&mut router, &advert(&secret, 7, 200)), Refusal::AuthMismatch);
    // The field says so, but there is no header.
    let mut bare = advert(&secret, 7, 200);
    bare[24] = 2;
    assert_eq!(refused(&mut router, &summed(bare)), Refusal::AuthHeader("there is none"));
    // Any bit of header, addresses, advert.
    for at in [4, 13, 17, 24, 31, 32, 43] {
        let why = refused(&mut router, &patched(good.clone(), at, good[at] ^ 1));
        assert!(matches!(why, Refusal::AuthHeader(_) | Refusal::Destination(_)), "{at}: {why}");
    }
    assert_eq!(refused(&mut router, &patched(good.clone(), 20, 6)), Refusal::AuthHeader("it has another form"));
    router.hears(&good);
    assert!(router.it.master().is_some());
    // Recorded and sent again.
    assert_eq!(refused(&mut router, &good), Refusal::Replay(1));
    // To the master that follows it, too.
    let mut router = Router::backup(header);
    router.hears(&good);
    router.wait();
    assert_eq!((refused(&mut router, &good), router.it.state()), (Refusal::Replay(1), State::Master));
}

fn unicast(peers: Vec<Peer>, check_source: bool) -> Config {
    Config { transport: Transport::Unicast { peers, ttl: None, check_source }, ..config(Version::V3, 100) }
}

fn to_us(config: &Config, from: u8, ttl: u8, form: impl FnOnce(IpAddr, IpAddr) -> Form) -> Vec<u8> {
    let IpAddr::V4(own) = OWN else { unreachable!("it is") };
    let advert = Outgoing {
        version: config.version,
        vrid: config.vrid,
        priority: 200,
        interval: config.advert_int,
        auth: &config.auth,
        addresses: &config.addresses,
    };
    advert.datagram(form(peer(from).into(), OWN), peer(from), own, ttl, 1)
}

fn pseudo(source: IpAddr, destination: IpAddr) -> Form {
    Form::Pseudo { source, destination }
}

#[test]
fn unicast_peers() {
    let seven = Peer::new(peer(7).into());
    let open = unicast(vec![seven], false);
    let mut router = patient(open.clone());
    assert_eq!(refused(&mut router, &advert(&open, 7, 200)), Refusal::Destination(GROUP.into()));
    router.hears(&to_us(&open, 8, 3, pseudo));
    assert_eq!(router.it.master().map(|m| m.address), Some(peer(8).into()), "anybody, from anywhere, as in keepalived");
    let mut router = patient(unicast(vec![seven], true));
    assert_eq!(refused(&mut router, &to_us(&open, 8, 255, pseudo)), Refusal::Source(peer(8).into()));
    // Limits of hops turn that check on.
    let mut router = patient(unicast(vec![Peer { min_ttl: 250, max_ttl: 254, ..seven }], false));
    assert_eq!(refused(&mut router, &to_us(&open, 8, 252, pseudo)), Refusal::Source(peer(8).into()));
    for ttl in [249, 255] {
        assert_eq!(refused(&mut router, &to_us(&open, 7, ttl, pseudo)), Refusal::Ttl { got: ttl, min: 250, max: 254 });
    }
    router.hears(&to_us(&open, 7, 250, pseudo));
    assert!(router.it.master().is_some());
    // Multicast is not for unicast packets.
    let mut router = patient(config(Version::V3, 100));
    assert_eq!(refused(&mut router, &to_us(&open, 7, 255, pseudo)), Refusal::Destination(OWN));
}

#[test]
fn old_checksum_of_unicast() {
    let old = |source, _| Form::Pseudo { source, destination: Family::V4.group() };
    let peers = || vec![Peer::new(peer(7).into())];
    let with = |old_unicast_checksum| Config { old_unicast_checksum, ..unicast(peers(), false) };
    let sends_old = |router: &mut Router| {
        router.wait();
        let IpAddr::V4(_) = OWN else { unreachable!("it is") };
        let sent = router.drain().into_iter().find_map(|a| if let Action::Send(d) = a { Some(d) } else { None }).expect("an advert");
        checksum::verifies(&sent.bytes[20..], old(OWN, OWN))
    };
    let mut auto = Router::backup(with(OldChecksum::Auto));
    auto.hears(&to_us(auto.it.config(), 7, 255, old));
    assert_eq!(auto.reports(), [Report::OldChecksum(peer(7).into())]);
    assert!(sends_old(&mut auto));
    assert!(!sends_old(&mut Router::backup(with(OldChecksum::Auto))));
    assert!(sends_old(&mut Router::backup(with(OldChecksum::Always))));
    let mut never = Router::backup(with(OldChecksum::Never));
    let bytes = to_us(never.it.config(), 7, 255, old);
    assert_eq!(refused(&mut never, &bytes), Refusal::Checksum);
    // Without the pseudo header, both ways.
    let plain = Config { v3_checksum_as_v2: true, ..config(Version::V3, 100) };
    let mut router = Router::master(plain);
    router.wait();
    let words = router.drain();
    let Some(Action::Send(sent)) = words.first() else { panic!("{words:?}") };
    assert!(checksum::verifies(&sent.bytes[20..], Form::Plain));
}

#[test]
fn ten_thousand_change_nothing() {
    let mut seed = 1u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let secret = with_password(config(Version::V2, 100));
    for state in [State::Backup, State::Master] {
        let mut router = if state == State::Master { Router::master(secret.clone()) } else { Router::backup(secret.clone()) };
        if state == State::Backup {
            router.hears_advert(9, 150);
            router.drain();
        }
        let (due, master) = (router.it.poll_timeout(), router.it.master());
        let mut said = 0;
        for _ in 0..10_000 {
            // A sound advert of the highest priority with something wrong, or rubbish.
            let mut bytes = advert(&secret, 7, 255);
            match random() % 4 {
                0 => bytes[8] = (random() % 255) as u8,
                1 => bytes[22 + (random() % 18) as usize] ^= 1 << (random() % 8),
                2 => bytes.truncate(20 + (random() % 20) as usize),
                _ => bytes[20..].iter_mut().for_each(|b| *b = random() as u8),
            }
            match Packet::ipv4(&bytes) {
                Ok(packet) => router.event(Event::Packet(packet)),
                Err(why) => router.it.refuse(router.now, peer(7).into(), why),
            }
            router.now += Duration::from_micros(50);
            said += router.drain().len();
        }
        assert_eq!((router.it.poll_timeout(), router.it.master(), router.it.state()), (due, master, state));
        assert_eq!(router.it.stats().refusals(), 10_000);
        assert_eq!(said, 1, "one line in half a second");
    }
}
