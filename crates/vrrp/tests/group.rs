//! Sync groups: the order of what is done and told is what keepalived 2.2.7 wrote to its fifo in the same situations.

mod common;

use common::{advert, config, ms, word};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};
use vrrp::{Action, Config, Departure, Event, GroupAction, Instance, Notice, Packet, State, Status, SyncGroup, Version, Weight};

struct Group {
    it: SyncGroup,
    now: Instant,
}

fn members(priority: u8, tracks: Vec<Weight>) -> Vec<Config> {
    let first = Config { tracks, ..config(Version::V2, priority) };
    vec![first, config(Version::V2, priority)]
}

impl Group {
    fn new(configs: Vec<Config>, tracks: Vec<Weight>) -> Group {
        #[allow(clippy::disallowed_methods)]
        let now = Instant::now();
        let mut it = SyncGroup::new(configs, tracks).expect("sound configurations");
        for member in 0..it.members().len() {
            it.handle(now, member, interface(true));
        }
        it.start(now);
        Group { it, now }
    }

    fn wait(&mut self) -> Duration {
        let at = self.it.poll_timeout().expect("a timer");
        let long = at.saturating_duration_since(self.now);
        self.now += long;
        self.it.handle_timeout(self.now);
        long
    }

    fn master(priority: u8, tracks: Vec<Weight>) -> Group {
        let mut group = Group::new(members(priority, Vec::new()), tracks);
        for track in 0..9 {
            group.it.handle_track(group.now, track, Status::Up);
        }
        group.wait();
        assert_eq!(group.it.state(), State::Master);
        group.words();
        group
    }

    fn hears(&mut self, member: usize, from: u8, priority: u8) {
        let bytes = advert(&config(Version::V2, 100), from, priority);
        self.it.handle(self.now, member, Event::Packet(Packet::ipv4(&bytes).expect("a datagram")));
    }

    /// Everything but reports of members and announcements.
    fn words(&mut self) -> Vec<String> {
        let actions = std::iter::from_fn(|| self.it.poll_action());
        let word = |action| match action {
            GroupAction::Member(_, Action::Report(_) | Action::Announce(_)) => None,
            GroupAction::Member(member, action) => Some(format!("V{} {}", member + 1, word(&action))),
            GroupAction::Notify(notice) => Some(format!("G notify {notice}")),
            GroupAction::Syncing(state) => Some(format!("G syncing {state}")),
            _ => None,
        };
        actions.filter_map(word).collect()
    }

    fn notices(&mut self) -> Vec<String> {
        self.words().into_iter().filter(|w| w.contains("notify")).map(|w| w.replace("notify ", "")).collect()
    }
}

fn interface(up: bool) -> Event<'static> {
    Event::Interface { up, source: Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5))) }
}

#[test]
fn a_failing_script_at_the_start() {
    let mut group = Group::new(members(150, vec![Weight::new(0)]), Vec::new());
    assert_eq!(group.words(), ["V1 remove", "V2 remove"], "nobody starts while something is unknown");
    group.it.handle(group.now, 0, Event::Track(0, Status::Down));
    assert_eq!(group.notices(), ["V1 FAULT 150", "V2 FAULT 150", "G FAULT"]);
    group.it.handle(group.now, 0, Event::Track(0, Status::Up));
    assert_eq!(group.notices(), ["V1 BACKUP 150", "V2 BACKUP 150", "G BACKUP"]);
}

#[test]
fn all_become_master_when_all_timers_have_run_out() {
    let mut group = Group::new(members(100, Vec::new()), Vec::new());
    assert_eq!(group.notices(), ["G BACKUP", "V1 BACKUP 100", "V2 BACKUP 100"]);
    // One of them hears a master.
    group.now += ms(1000);
    group.hears(0, 7, 150);
    group.now += ms(2700);
    group.it.handle_timeout(group.now);
    assert_eq!((group.it.state(), group.notices().len()), (State::Backup, 0));
    assert_eq!(group.wait(), Duration::from_micros(909_375));
    let expected = [
        "V1 send 100",
        "V1 add",
        "V1 notify MASTER 100",
        "G syncing MASTER",
        "V2 send 100",
        "V2 add",
        "V2 notify MASTER 100",
        "G notify MASTER",
    ];
    assert_eq!(group.words(), expected);
    // The one whose timer has run out hears a master after all: no reason any more.
    let mut group = Group::new(members(100, Vec::new()), Vec::new());
    group.now += ms(3000);
    group.hears(0, 7, 150);
    group.now += ms(700);
    group.it.handle_timeout(group.now);
    group.hears(1, 7, 150);
    group.now += ms(3000);
    group.it.handle_timeout(group.now);
    assert_eq!(group.it.state(), State::Backup);
}

#[test]
fn a_fault_of_one_is_one_of_all() {
    let mut group = Group::master(150, Vec::new());
    group.it.handle(group.now, 1, interface(false));
    let expected = [
        "V2 send 0",
        "V2 remove",
        "V2 notify FAULT 150",
        "G syncing FAULT",
        "V1 send 0",
        "V1 remove",
        "V1 notify FAULT 150",
        "G notify FAULT",
    ];
    assert_eq!(group.words(), expected);
    group.it.handle(group.now, 1, interface(true));
    assert_eq!(group.notices(), ["V2 BACKUP 150", "V1 BACKUP 150", "G BACKUP"]);
    assert_eq!(group.wait(), Duration::from_micros(3_414_062) + Duration::from_nanos(500));
}

#[test]
fn who_yields_for_one_yields_for_all() {
    let mut group = Group::master(100, Vec::new());
    group.hears(0, 7, 150);
    let expected =
        ["V1 remove", "V1 notify BACKUP 100", "G syncing BACKUP", "V2 send 0", "V2 remove", "V2 notify BACKUP 100", "G notify BACKUP"];
    assert_eq!(group.words(), expected);
}

#[test]
fn a_farewell_to_one_is_one_to_all() {
    let mut group = Group::new(members(100, Vec::new()), Vec::new());
    for member in [0, 1] {
        group.hears(member, 7, 150);
    }
    group.words();
    // The other master has lost the second interface: only the first member hears that it leaves.
    group.now += ms(500);
    group.hears(0, 7, 0);
    assert_eq!(group.wait(), ms(1000) * 156 / 256);
    assert_eq!(group.it.state(), State::Master);
    // Unless it is still heard there.
    let mut group = Group::new(members(100, Vec::new()), Vec::new());
    for member in [0, 1] {
        group.hears(member, 7, 150);
    }
    group.hears(0, 7, 0);
    group.now += ms(500);
    group.hears(1, 7, 150);
    group.now += ms(200);
    group.it.handle_timeout(group.now);
    group.it.handle(group.now, 0, interface(true));
    group.now += ms(2500);
    group.it.handle_timeout(group.now);
    assert_eq!(group.it.state(), State::Backup);
}

#[test]
fn a_lost_address_of_one() {
    let mut group = Group::master(128, Vec::new());
    group.it.handle(group.now, 1, Event::AddressLost);
    assert_eq!(group.notices(), ["V2 BACKUP 128", "V1 BACKUP 128", "G BACKUP"]);
    assert_eq!((group.wait(), group.it.state()), (ms(500), State::Master));
}

#[test]
fn what_the_group_tracks() {
    let mut group = Group::master(100, vec![Weight::new(-20), Weight::new(0)]);
    group.it.handle_track(group.now, 0, Status::Down);
    assert_eq!(group.it.members().iter().map(|m| m.priority()).collect::<Vec<_>>(), [80, 80]);
    group.it.handle_track(group.now, 1, Status::Down);
    assert_eq!(group.notices(), ["V1 FAULT 80", "V2 FAULT 80", "G FAULT"]);
    group.it.handle_track(group.now, 7, Status::Down);
    group.it.handle(group.now, 7, interface(false));
    assert!(group.notices().is_empty());
}

#[test]
fn stopping() {
    let mut group = Group::master(100, Vec::new());
    group.it.stop(group.now, Departure::Stop);
    assert_eq!(group.words(), ["V1 send 0", "V2 send 0"]);
    group.hears(1, 7, 90);
    group.hears(0, 7, 90);
    assert_eq!(group.words(), ["V2 remove", "V2 notify STOP 100", "V1 remove", "V1 notify STOP 100", "G notify STOP"]);
    assert!(group.it.is_stopped());
    group.it.start(group.now);
    assert_eq!(group.notices(), ["V1 BACKUP 100", "V2 BACKUP 100", "G BACKUP"]);
}

#[test]
fn an_owner_starts_with_all_its_members() {
    let owner = || Config { start_as_master: true, ..config(Version::V2, 255) };
    let mut group = Group::new(vec![owner(), owner()], Vec::new());
    assert_eq!(group.it.state(), State::Master);
    assert_eq!(group.notices().last().map(String::as_str), Some("G MASTER"));
    assert_eq!(SyncGroup::new(vec![owner(), Config { vrid: 0, ..owner() }], Vec::new()).err().map(|(index, _)| index), Some(1));
}

/// The members of a group that is dissolved, a new one among them, as a group of the same scripts.
fn with_one_more(group: Group) -> Group {
    let Group { it, now } = group;
    let (mut all, told) = it.into_members();
    let mut new = Instance::new(config(Version::V2, 100)).expect("a sound configuration");
    new.handle(now, interface(true));
    all.insert(0, new);
    Group { it: SyncGroup::of(all, Vec::new(), Vec::new(), told), now }
}

#[test]
fn one_that_joins_masters_is_one_at_once_and_nobody_gives_way() {
    let mut group = with_one_more(Group::master(150, Vec::new()));
    // Before its start, others go on.
    group.wait();
    assert_eq!(group.it.members()[1].state(), State::Master);
    group.it.start(group.now);
    assert_eq!(group.it.state(), State::Master);
    // The scripts of the group have known it all along.
    let expected = ["V2 send 150", "V3 send 150", "V1 remove", "V1 notify BACKUP 100", "V1 send 100", "V1 add", "V1 notify MASTER 100"];
    assert_eq!(group.words(), expected);
}

#[test]
fn one_that_joins_masters_and_cannot_be_one_takes_the_others_along() {
    let Group { it, now } = Group::master(150, Vec::new());
    let (mut all, told) = it.into_members();
    all.push(Instance::new(config(Version::V2, 100)).expect("a sound configuration"));
    let mut group = Group { it: SyncGroup::of(all, Vec::new(), Vec::new(), told), now };
    group.it.start(now);
    assert_eq!(group.it.state(), State::Fault);
}

#[test]
fn one_that_leaves_a_group_goes_on_alone() {
    let Group { it, now } = Group::master(150, Vec::new());
    let (mut all, told) = it.into_members();
    assert_eq!((all.len(), told), (2, Some(Notice::Master)));
    let mut alone = all.remove(0);
    alone.leave_group(now);
    assert_eq!(alone.state(), State::Master);
    alone.handle_timeout(alone.poll_timeout().expect("its adverts"));
    assert_eq!(alone.state(), State::Master);
    // One that was ready and held back waits its time again.
    let mut group = Group::new(members(150, Vec::new()), Vec::new());
    let late = advert(&config(Version::V2, 100), 7, 200);
    group.now += Duration::from_secs(1);
    group.it.handle(group.now, 1, Event::Packet(Packet::ipv4(&late).expect("a datagram")));
    group.wait();
    let (mut all, _) = group.it.into_members();
    let mut alone = all.remove(0);
    alone.leave_group(group.now);
    assert_eq!(alone.state(), State::Backup);
    alone.handle_timeout(alone.poll_timeout().expect("a timer"));
    assert_eq!(alone.state(), State::Master);
}
