//! The election of one instance, with the numbers of the RFCs and the order of keepalived.

mod common;

use common::{OWN, Router, VIP, advert, config, ms, peer};
use std::time::Duration;
use vrrp::{Cause, Config, Departure, Event, Garp, Instance, Notice, Packet, Report, State, Status, Transport, Version, Weight};

const SECOND: Duration = Duration::from_secs(1);

fn v2(priority: u8) -> Config {
    config(Version::V2, priority)
}

fn v3(priority: u8) -> Config {
    config(Version::V3, priority)
}

#[test]
fn skew_and_master_down() {
    // RFC 3768: (256 - priority) / 256 seconds, whatever the interval.
    for (priority, interval, micros) in
        [(100, 1, 3_609_375), (254, 1, 3_007_812), (1, 1, 3_996_093), (100, 10, 30_609_375), (128, 255, 765_500_000)]
    {
        let router = Router::backup(Config { advert_int: SECOND * interval, ..v2(priority) });
        assert_eq!(router.due().map(|d| d.as_micros()), Some(micros), "version 2, {priority}, {interval} s");
    }
    // RFC 9568: of the interval.
    for (priority, interval, nanos) in
        [(100, 1000, 3_609_375_000u128), (100, 10, 36_093_750), (200, 500, 1_609_375_000), (1, 40_950, 163_640_039_062)]
    {
        let router = Router::backup(Config { advert_int: ms(interval), ..v3(priority) });
        assert_eq!(router.due().map(|d| d.as_nanos()), Some(nanos), "version 3, {priority}, {interval} ms");
    }
    let router = Router::backup(Config { down_timer_adverts: 5, ..v2(128) });
    assert_eq!(router.due(), Some(ms(5500)));
}

#[test]
fn becoming_master_and_being_it() {
    let mut router = Router::backup(v2(128));
    assert_eq!(router.wait(), ms(3500));
    assert_eq!(
        router.words(),
        ["(Receive advertisement timeout)", "send 128", "(Entering MASTER STATE)", "add", "announce 5", "notify MASTER 128"]
    );
    for second in 1..=12 {
        assert_eq!(router.wait(), SECOND, "no drift");
        let expected: &[&str] = if second == 5 { &["send 128", "announce 5"] } else { &["send 128"] };
        assert_eq!(router.words(), expected, "second {second}");
    }
    let stats = router.it.stats();
    assert_eq!((stats.advert_sent, stats.become_master, stats.release_master), (13, 1, 0));
}

#[test]
fn start_is_quiet_until_all_is_known() {
    let tracks = vec![Weight::new(0), Weight::new(20)];
    let mut router = Router::new(Config { tracks, ..v2(100) });
    router.event(Event::Start);
    assert_eq!(router.words(), ["remove"]);
    router.event(Event::Track(1, Status::Down));
    assert_eq!(router.it.state(), State::Init);
    router.event(Event::Track(0, Status::Up));
    assert_eq!(router.words(), ["(Entering BACKUP STATE (init))", "notify BACKUP 100"]);
    // A failure is known at once.
    let mut router = Router::new(Config { tracks: vec![Weight::new(0), Weight::new(0)], ..v2(100) });
    router.event(Event::Start);
    router.event(Event::Track(1, Status::Down));
    assert_eq!(router.words(), ["remove", "(Entering FAULT STATE (tracked object 2 is down))", "notify FAULT 100"]);
    assert_eq!(router.it.impediment(), Some(Cause::Tracked(1)));
    router.event(Event::Track(7, Status::Down));
    router.event(Event::Track(1, Status::Up));
    assert_eq!(router.it.state(), State::Fault);
    router.event(Event::Track(0, Status::Up));
    assert_eq!(router.words(), ["(Entering BACKUP STATE)", "notify BACKUP 100"]);
}

#[test]
fn owner() {
    let owner = Config { start_as_master: true, ..v2(255) };
    let mut router = Router::new(owner.clone());
    router.event(Event::Start);
    assert_eq!(router.deeds(), ["remove", "send 255", "add", "announce 5", "notify MASTER 255"]);
    // Without "state MASTER" it waits as all do, with the shortest skew there is.
    assert_eq!(Router::backup(v2(255)).due(), Some(SECOND * 3 + SECOND / 256));
    // It preempts whatever the file says, tracking does not touch it, and nobody becomes it by tracking.
    let mut router = Router::backup(Config { preempt: false, tracks: vec![Weight::new(-20)], ..v2(255) });
    router.event(Event::Track(0, Status::Down));
    assert_eq!(router.it.priority(), 255);
    router.hears_advert(7, 254);
    assert_eq!(router.it.master(), None);
    let mut router = Router::new(Config { tracks: vec![Weight::new(200), Weight::new(-253)], ..v2(200) });
    router.event(Event::Track(0, Status::Up));
    assert_eq!(router.it.priority(), 254);
    router.event(Event::Track(1, Status::Down));
    assert_eq!(router.it.priority(), 147);
    router.event(Event::Track(0, Status::Down));
    assert_eq!(router.it.priority(), 1);
    // Two of them: the higher address stays.
    let mut router = Router::master(owner);
    router.hears_advert(4, 255);
    assert_eq!((router.it.state(), router.reports().first().copied()), (State::Master, Some(Report::TwoOwners(peer(4).into()))));
    router.hears_advert(6, 255);
    assert_eq!(router.it.state(), State::Backup);
}

#[test]
fn backup_and_its_master() {
    let mut router = Router::backup(v2(100));
    router.now += ms(2000);
    router.hears_advert(7, 150);
    assert_eq!(router.due(), Some(Duration::from_micros(3_609_375)));
    // Equal priority is a master too, whatever its address: only masters compare addresses.
    for from in [4, 6] {
        router.now += ms(1000);
        router.hears_advert(from, 100);
        assert_eq!(router.due(), Some(Duration::from_micros(3_609_375)));
    }
    router.now += ms(1000);
    router.hears_advert(8, 99);
    assert_eq!(router.due(), Some(Duration::from_micros(2_609_375)), "a lower one is not listened to");
    let expected = Report::Discarding { from: peer(8).into(), priority: 99 };
    assert!(router.reports().contains(&expected));
    assert_eq!(router.it.master().map(|m| m.address), Some(peer(6).into()));
    router.wait();
    assert_eq!((router.it.state(), router.it.master()), (State::Master, None));
}

#[test]
fn nopreempt() {
    let mut router = Router::backup(Config { preempt: false, ..v2(200) });
    router.now += ms(3000);
    router.hears_advert(7, 10);
    assert_eq!(router.due(), Some(SECOND * 3 + SECOND * 56 / 256));
    // Until there is none.
    router.wait();
    assert_eq!(router.it.state(), State::Master);
}

#[test]
fn preempt_delay() {
    let mut router = Router::backup(Config { preempt_delay: SECOND * 10, ..v2(128) });
    let mut heard = 0;
    // A master of lower priority every second: left alone for ten seconds, then ignored.
    while router.it.state() == State::Backup {
        router.pass(SECOND);
        router.hears_advert(7, 100);
        heard += 1;
    }
    // Heard at 1 s; listened to until 10 s; silent for us for 3.5 s from then.
    assert_eq!((router.now - router.start, heard), (SECOND * 14, 14));
    assert!(router.reports().contains(&Report::PreemptDelay(SECOND * 10)));
    // A master that dies meanwhile is not waited for.
    let mut router = Router::backup(Config { preempt_delay: SECOND * 300, ..v2(128) });
    router.hears_advert(7, 100);
    assert_eq!(router.due(), Some(ms(3500)));
    // A better one in between ends the delay; the next lower one begins it anew.
    router.now += SECOND * 299;
    router.hears_advert(8, 200);
    router.now += SECOND * 2;
    router.hears_advert(7, 100);
    assert_eq!(router.due(), Some(ms(3500)));
}

#[test]
fn learned_interval() {
    let mut router = Router::backup(v3(100));
    let theirs = Config { advert_int: ms(200), ..v3(150) };
    router.hears(&advert(&theirs, 7, 150));
    assert_eq!(router.due(), Some(Duration::from_nanos(200_000_000 * 3 + 200_000_000 * 156 / 256)));
    assert_eq!(router.it.skew(), Duration::from_nanos(200_000_000 * 156 / 256));
    assert!(router.reports().contains(&Report::Learned { from: SECOND, to: ms(200) }));
    // A master that we will not follow teaches nothing.
    router.hears(&advert(&Config { advert_int: ms(5000), ..v3(50) }, 8, 50));
    assert_eq!(router.it.skew(), Duration::from_nanos(200_000_000 * 156 / 256));
    // Ours again as master.
    router.wait();
    assert!(router.reports().contains(&Report::Unlearned { from: ms(200), to: SECOND }));
    assert_eq!((router.it.state(), router.due()), (State::Master, Some(SECOND)));
    // And theirs when we yield.
    router.hears(&advert(&Config { advert_int: ms(500), ..v3(150) }, 7, 150));
    assert_eq!(router.due(), Some(ms(1500) + ms(500) * 156 / 256));
    // In version 2 it has to be the same.
    let mut router = Router::backup(v2(100));
    router.hears(&advert(&Config { advert_int: SECOND * 2, ..v2(150) }, 7, 150));
    assert_eq!((router.it.stats().advert_interval_err, router.it.master()), (1, None));
}

#[test]
fn priority_zero() {
    let skew = SECOND * 128 / 256;
    let mut router = Router::backup(v2(128));
    router.hears_advert(7, 200);
    router.pass(ms(700));
    // From somebody else it says nothing about the master.
    router.hears_advert(8, 0);
    assert_eq!(router.due(), Some(ms(2800)));
    router.hears_advert(7, 0);
    assert_eq!(router.due(), Some(skew));
    // Again and again: the wait does not begin anew.
    for _ in 0..4 {
        router.pass(ms(100));
        router.hears_advert(7, 0);
    }
    assert_eq!(router.due(), Some(skew - ms(400)));
    router.wait();
    assert_eq!(router.it.state(), State::Master);
    assert_eq!(router.it.history().last().map(|t| t.cause), Some(Cause::PriorityZero));
    assert_eq!(router.it.stats().pri_zero_rcvd, 6);
    // It cannot make a wait longer.
    let mut router = Router::backup(v2(128));
    router.pass(ms(3400));
    router.hears_advert(7, 0);
    assert_eq!(router.due(), Some(ms(100)));
    // A master answers, and its next advert is an interval later.
    let mut router = Router::master(v2(128));
    router.pass(ms(300));
    router.hears_advert(7, 0);
    assert_eq!((router.deeds(), router.due()), (vec!["send 128".to_string()], Some(SECOND)));
}

#[test]
fn yielding() {
    let mut router = Router::master(v2(100));
    router.hears_advert(7, 101);
    assert_eq!(
        router.words(),
        [
            "(Master received advert from 10.0.0.7 with higher priority 101, ours 100)",
            "(Entering BACKUP STATE)",
            "remove",
            "notify BACKUP 100"
        ]
    );
    assert_eq!(router.due(), Some(Duration::from_micros(3_609_375)));
    assert_eq!(router.it.master().map(|m| m.address), Some(peer(7).into()));
    // Equal priority: the higher address, as a number.
    for (from, state) in [(4, State::Master), (6, State::Backup), (40, State::Backup)] {
        let mut router = Router::master(v2(100));
        router.hears_advert(from, 100);
        assert_eq!(router.it.state(), state, "from {from}");
    }
    // One advert more, if asked for.
    let mut router = Router::master(Config { higher_prio_send_advert: true, ..v2(100) });
    router.hears_advert(7, 101);
    assert_eq!(router.deeds(), ["send 100", "remove", "notify BACKUP 100"]);
}

#[test]
fn lower_priority_is_answered_at_a_bounded_rate() {
    let mut router = Router::master(v2(100));
    router.pass(ms(6500));
    router.drain();
    router.hears_advert(7, 99);
    assert_eq!(
        router.words(),
        [
            "(Received advert from 10.0.0.7 with lower priority 99, ours 100, forcing new election)",
            "send 100",
            "announce 5",
            "notify MASTER_RX_LOWER_PRI 100"
        ]
    );
    assert_eq!(router.due(), Some(SECOND));
    // A thousand of them in the next second: a quarter of an interval between answers, and the own adverts go on.
    let mut sent = 0;
    for _ in 0..1000 {
        router.pass(ms(1));
        router.hears_advert(7, 99);
        sent += router.deeds().iter().filter(|d| *d == "send 100").count();
    }
    assert!((3..=4).contains(&sent), "{sent}");
    assert_eq!(router.it.state(), State::Master);
    // A later set of announcements, once, after the last of them.
    router.pass(ms(3900));
    assert!(!router.deeds().contains(&"announce 5".into()));
    router.pass(ms(1200));
    assert_eq!(router.deeds().iter().filter(|d| *d == "announce 5").count(), 1);

    let mut router =
        Router::master(Config { lower_prio_no_advert: true, garp: Garp { lower_prio_repeat: 0, ..Garp::default() }, ..v2(100) });
    let due = router.due();
    router.hears_advert(7, 99);
    assert_eq!((router.deeds(), router.due()), (vec!["notify MASTER_RX_LOWER_PRI 100".to_string()], due));
}

/// The times at which an instance announces, and how often, while it hears what `hears` says at which millisecond.
fn announced(config: Config, hears: &[(u64, u8)]) -> Vec<(u128, String)> {
    let mut router = Router::backup(config);
    router.wait();
    let begin = router.now;
    let mut seen = Vec::new();
    let note = |router: &mut Router, seen: &mut Vec<_>| {
        let at = (router.now - begin).as_millis();
        seen.extend(router.deeds().into_iter().filter(|d| d.starts_with("announce")).map(|d| (at, d)));
    };
    note(&mut router, &mut seen);
    for (at, priority) in hears {
        while router.due().is_some_and(|due| router.now + due <= begin + ms(*at)) {
            router.wait();
            note(&mut router, &mut seen);
        }
        router.now = begin + ms(*at);
        router.hears_advert(7, *priority);
        note(&mut router, &mut seen);
    }
    while router.now < begin + SECOND * 12 {
        router.wait();
        note(&mut router, &mut seen);
    }
    seen
}

/// keepalived announces once more after each of them; here after the last, and the second set of a new master comes in any case.
#[test]
fn the_second_set_comes_after_the_last_lower_priority() {
    let garp = Garp { lower_prio_repeat: 2, lower_prio_delay: SECOND * 2, ..Garp::default() };
    let seen = announced(Config { garp, ..v2(128) }, &[(400, 100), (1700, 100), (2900, 100), (4900, 100)]);
    let at = |at: u128, times: u8| (at, format!("announce {times}"));
    assert_eq!(seen, [at(0, 5), at(400, 2), at(1700, 2), at(2900, 2), at(4900, 2), at(4900, 2), at(5000, 5), at(6900, 2)]);
}

#[test]
fn announcements() {
    let garp = Garp { master_repeat: 2, master_delay: ms(2500), master_refresh: SECOND * 10, master_refresh_repeat: 3, ..Garp::default() };
    let mut router = Router::backup(Config { garp, ..v2(128) });
    router.wait();
    let mut seen = Vec::new();
    let begin = router.now;
    for _ in 0..40 {
        let at = router.now - begin;
        seen.extend(router.deeds().into_iter().filter(|d| d.starts_with("announce")).map(|d| (at.as_millis(), d)));
        router.wait();
    }
    let expected = [(0, "announce 2"), (2500, "announce 2"), (10_000, "announce 3"), (20_000, "announce 3"), (30_000, "announce 3")];
    assert_eq!(seen, expected.map(|(at, what)| (at, what.to_string())));
    // No second set.
    let mut router = Router::master(Config { garp: Garp { master_delay: Duration::ZERO, ..Garp::default() }, ..v2(128) });
    router.pass(SECOND * 30);
    assert!(!router.deeds().contains(&"announce 5".into()));
}

#[test]
fn faults() {
    let down = Event::Interface { up: false, source: Some(OWN) };
    let up = Event::Interface { up: true, source: Some(OWN) };
    let mut router = Router::master(v2(100));
    router.event(down);
    assert_eq!(
        router.words(),
        ["(Entering FAULT STATE (the interface is down))", "send 0", "(sent 0 priority)", "remove", "notify FAULT 100"]
    );
    assert_eq!(router.due(), None);
    router.event(down);
    router.event(up);
    assert_eq!(router.words(), ["(Entering BACKUP STATE)", "notify BACKUP 100"]);
    assert_eq!(router.due(), Some(Duration::from_micros(3_609_375)));
    router.event(Event::Interface { up: true, source: None });
    assert_eq!((router.it.state(), router.it.impediment()), (State::Fault, Some(Cause::NoSource)));
    // Its own address is gone, and others do not wait for it to be silent for long enough.
    let mut router = Router::master(v2(100));
    router.event(Event::Interface { up: true, source: None });
    assert_eq!(router.deeds(), ["send 0", "remove", "notify FAULT 100"]);
    assert_eq!(router.it.stats().pri_zero_sent, 1);
    let mut router = Router::master(Config { dont_track_primary: true, ..v2(100) });
    router.event(down);
    assert_eq!(router.it.state(), State::Master);
    let transport = Transport::Unicast { peers: Vec::new(), ttl: None, check_source: false };
    let router = Router::backup(Config { transport, ..v2(100) });
    assert_eq!((router.it.state(), router.it.impediment()), (State::Fault, Some(Cause::NoPeers)));
}

#[test]
fn who_goes_to_fault_keeps_the_priority_until_then() {
    let mut router = Router::new(Config { tracks: vec![Weight::new(1)], notify_priority_changes: true, ..v2(100) });
    router.event(Event::Track(0, Status::Value(5)));
    router.event(Event::Start);
    router.drain();
    router.event(Event::Track(0, Status::Value(-300)));
    assert_eq!(router.words(), ["(Entering FAULT STATE (tracked object 1 is down))", "notify FAULT 105"]);
    router.event(Event::Track(0, Status::Value(2)));
    let back = ["(Changing effective priority from 105 to 102)", "(Entering BACKUP STATE)", "notify BACKUP 102"];
    assert_eq!(router.words(), back);
}

#[test]
fn a_weight_that_is_not_known_yet_delays_no_start() {
    let mut router = Router::new(Config { tracks: vec![Weight::new(-20), Weight::new(20)], ..v2(100) });
    router.event(Event::Start);
    assert_eq!(router.words(), ["remove", "(Entering BACKUP STATE (init))", "notify BACKUP 100"]);
    router.event(Event::Track(0, Status::Down));
    assert_eq!(router.words(), ["(Changing effective priority from 100 to 80)"]);
}

#[test]
fn tracking_moves_the_timer_with_the_priority() {
    let mut router = Router::new(Config { tracks: vec![Weight::new(-28)], notify_priority_changes: true, ..v2(128) });
    router.event(Event::Track(0, Status::Up));
    router.event(Event::Start);
    router.drain();
    router.pass(ms(1000));
    assert_eq!(router.due(), Some(ms(2500)));
    router.event(Event::Track(0, Status::Down));
    assert_eq!(router.words(), ["(Changing effective priority from 128 to 100)", "notify BACKUP_PRIORITY 100"]);
    assert_eq!(router.due(), Some(Duration::from_micros(2_609_375)));
    router.wait();
    router.drain();
    router.event(Event::Track(0, Status::Up));
    assert_eq!(router.words(), ["(Changing effective priority from 100 to 128)", "notify MASTER_PRIORITY 128"]);
    router.wait();
    assert_eq!(router.deeds(), ["send 128"]);
}

#[test]
fn stopping() {
    // The addresses stay until the next master is heard …
    let mut router = Router::master(v2(128));
    router.event(Event::Stop(Departure::Stop));
    assert_eq!(router.words(), ["send 0", "(sent 0 priority)"]);
    assert!(router.it.has_addresses() && !router.it.is_stopped() && router.it.state() == State::Init);
    router.pass(ms(600));
    router.hears_advert(7, 0);
    assert!(router.it.has_addresses());
    router.hears_advert(7, 100);
    assert_eq!(router.words(), ["(10.0.0.7 is the new master)", "remove", "notify STOP 128"]);
    assert!(router.it.is_stopped() && router.due().is_none());
    // … at most for the skew and one interval.
    let mut router = Router::master(v2(128));
    router.event(Event::Stop(Departure::Deleted));
    router.drain();
    assert_eq!(router.wait(), ms(1500));
    assert_eq!(router.words(), ["(no new master was heard)", "remove", "notify DELETED 128"]);
    // With a virtual MAC address at once.
    let mut router = Router::master(Config { linger: false, ..v2(128) });
    router.event(Event::Stop(Departure::Stop));
    assert_eq!(router.deeds(), ["send 0", "remove", "notify STOP 128"]);
    let mut router = Router::backup(v2(128));
    router.event(Event::Stop(Departure::Stop));
    assert_eq!(router.deeds(), ["notify STOP 128"]);
    router.event(Event::Stop(Departure::Stop));
    assert!(router.deeds().is_empty());
    // And again.
    router.event(Event::Start);
    assert_eq!(router.it.state(), State::Backup);
}

#[test]
fn a_lost_address() {
    let mut router = Router::master(v2(128));
    router.event(Event::AddressLost);
    assert_eq!(router.deeds(), ["send 0", "remove", "notify BACKUP 128"]);
    router.event(Event::AddressLost);
    assert!(router.deeds().is_empty());
    assert_eq!(router.wait(), ms(500), "the skew");
    assert_eq!(router.deeds(), ["send 128", "add", "announce 5", "notify MASTER 128"]);
}

#[test]
fn a_late_timer_is_reported_and_not_made_up_for() {
    let mut router = Router::master(v2(128));
    router.now += ms(10_400);
    router.it.handle_timeout(router.now);
    let words = router.words();
    assert_eq!(words, ["(a timer was served 9400 ms late)", "send 128", "announce 5"]);
    assert_eq!((router.due(), router.it.latest()), (Some(SECOND), ms(9400)));
    // A little late: the next one is in step again.
    router.now += ms(1010);
    router.it.handle_timeout(router.now);
    assert_eq!((router.words(), router.due()), (vec!["send 128".to_string()], Some(ms(990))));
    // Called too early, nothing happens.
    router.it.handle_timeout(router.now);
    assert!(router.words().is_empty());
}

#[test]
fn another_configuration() {
    let mut router = Router::master(v2(128));
    let two = vec![VIP, "10.0.0.101".parse().expect("an address")];
    let new = Config { addresses: two, priority: 150, tracks: vec![Weight::new(0)], ..v2(128) };
    router.it.reconfigure(router.now, new.clone(), vec![Status::Up]).expect("sound");
    assert_eq!(router.words(), ["add", "announce 5", "(Changing effective priority from 128 to 150)"]);
    router.wait();
    assert_eq!((router.it.state(), router.deeds()), (State::Master, vec!["send 150".to_string()]));
    // Another version speaks in its own intervals.
    let mut other = Router::backup(v3(100));
    other.hears(&advert(&Config { advert_int: ms(200), ..v3(150) }, 7, 150));
    other.it.reconfigure(other.now, v2(100), Vec::new()).expect("sound");
    assert_eq!((other.due(), other.it.state()), (Some(Duration::from_micros(3_609_375)), State::Backup));
    // A script that has not run yet is no reason to stop.
    router.it.reconfigure(router.now, Config { tracks: vec![Weight::new(0); 2], ..new }, vec![Status::Up]).expect("sound");
    assert_eq!(router.it.state(), State::Master);
    router.event(Event::Track(1, Status::Down));
    assert_eq!(router.it.state(), State::Fault);
    assert!(router.it.reconfigure(router.now, Config { vrid: 0, ..v2(100) }, Vec::new()).is_err());
    assert_eq!(router.it.config().vrid, 51);
}

#[test]
fn configurations_that_cannot_be() {
    let error = |config: Config| Instance::new(config).err().map(|e| e.to_string()).unwrap_or_default();
    let six = || vec!["fd00::1".parse().expect("an address")];
    assert_eq!(error(v2(0)), "the priority is 1 to 255; 0 is what a leaving master sends");
    assert_eq!(error(Config { vrid: 0, ..v2(1) }), "the virtual router id is 1 to 255");
    assert_eq!(error(Config { version: Version::V2, ..Config::new(1, six()) }), "IPv6 addresses need version 3");
    assert_eq!(error(common::with_password(v3(1))), "VRRP version 3 has no authentication");
    assert_eq!(error(Config { advert_int: ms(1500), ..v2(1) }), "the advertisement interval is 1 to 255 whole seconds in version 2");
    for bad in [0, 9, 15, 40_960] {
        let text = "the advertisement interval is 0.01 to 40.95 seconds in steps of 0.01 in version 3";
        assert_eq!(error(Config { advert_int: ms(bad), ..v3(1) }), text);
    }
    assert!(error(Config { down_timer_adverts: 0, ..v2(1) }).contains("1 to 100"));
    assert!(error(Config { preempt_delay: SECOND * 1001, ..v2(1) }).contains("at most 1000"));
    assert!(error(Config { addresses: vec![VIP, six()[0]], ..v2(1) }).contains("another address family"));
    assert!(error(Config { addresses: vec![VIP; 256], ..v2(1) }).contains("room for 255"));
    assert!(error(Config::new(1, vec![six()[0]; 91])).contains("room for 90"));
    assert!(error(Config { transport: Transport::Multicast { group: VIP }, ..v2(1) }).contains("not a multicast"));
    assert_eq!(error(Config { addresses: vec![VIP; 255], ..v2(255) }), "");
}

#[test]
fn other_addresses_are_counted_and_listened_to() {
    let mut router = Router::backup(v2(100));
    let theirs = Config { addresses: vec!["10.0.0.101".parse().expect("an address")], ..v2(150) };
    for _ in 0..3 {
        router.pass(SECOND);
        router.hears(&advert(&theirs, 7, 150));
    }
    assert_eq!((router.it.stats().addr_list_err, router.it.state()), (3, State::Backup));
    assert_eq!(router.due(), Some(Duration::from_micros(3_609_375)));
    assert_eq!(router.reports(), [Report::OtherAddresses(peer(7).into())], "said once");
    let mut master = Router::master(v2(100));
    master.hears(&advert(&theirs, 7, 150));
    assert_eq!(master.it.state(), State::Backup);
    // The order does not matter. With skip_check_adv_addr a master is compared once.
    let both = |flip: bool| {
        let mut both = vec![VIP, "10.0.0.101".parse().expect("an address")];
        both.rotate_left(usize::from(flip));
        Config { addresses: both, skip_check_adv_addr: flip, ..v2(100) }
    };
    let mut router = Router::backup(both(true));
    router.hears(&advert(&both(false), 7, 150));
    assert_eq!(router.it.stats().addr_list_err, 0);
    router.hears(&advert(&theirs, 7, 150));
    assert_eq!(router.it.stats().addr_list_err, 0);
    router.hears(&advert(&theirs, 8, 150));
    assert_eq!(router.it.stats().addr_list_err, 1);
}

#[test]
fn at_fault_it_still_knows_the_master() {
    let mut router = Router::backup(Config { tracks: vec![Weight::new(0)], ..v3(100) });
    router.event(Event::Track(0, Status::Down));
    assert_eq!(router.it.state(), State::Fault);
    router.hears_advert(7, 150);
    assert_eq!(router.it.master().map(|m| m.priority), Some(150));
    assert_eq!(router.notices(), [Notice::Fault]);
    let bytes = advert(&v3(100), 7, 150);
    let mut idle = Instance::new(v3(100)).expect("sound");
    idle.handle(router.now, Event::Packet(Packet::ipv4(&bytes).expect("a datagram")));
    assert_eq!((idle.stats().advert_rcvd, idle.master()), (0, None));
}
