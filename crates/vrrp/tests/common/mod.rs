//! A router under test and the adverts of others.
#![allow(dead_code)]

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};
use vrrp::packet::Outgoing;
use vrrp::packet::checksum::Form;
use vrrp::{Action, Auth, Config, Event, Instance, Notice, Packet, Report, State, Version};

pub const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5));
pub const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 100));
pub const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn peer(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

pub fn config(version: Version, priority: u8) -> Config {
    Config { version, priority, ..Config::new(51, vec![VIP]) }
}

/// An advert of another router with these settings.
pub fn advert(config: &Config, from: u8, priority: u8) -> Vec<u8> {
    let source = peer(from);
    let form = match config.version {
        Version::V2 => Form::Plain,
        Version::V3 => Form::Pseudo { source: source.into(), destination: GROUP.into() },
    };
    let advert = Outgoing {
        version: config.version,
        vrid: config.vrid,
        priority,
        interval: config.advert_int,
        auth: &config.auth,
        addresses: &config.addresses,
    };
    advert.datagram(form, source, GROUP, 255, 1)
}

/// What an action is, in a word.
pub fn word(action: &Action) -> String {
    match action {
        Action::Send(datagram) => {
            let priority = Packet::ipv4(&datagram.bytes).expect("we can read it").pdu[2];
            format!("send {priority}")
        }
        Action::AddAddresses => "add".into(),
        Action::RemoveAddresses => "remove".into(),
        Action::Announce(times) => format!("announce {times}"),
        Action::Notify { notice, priority } => format!("notify {notice} {priority}"),
        Action::Report(report) => format!("({report})"),
        _ => "?".into(),
    }
}

/// A router with a clock.
pub struct Router {
    pub it: Instance,
    pub start: Instant,
    pub now: Instant,
}

impl Router {
    /// Not started, but with all it needs.
    pub fn new(config: Config) -> Router {
        #[allow(clippy::disallowed_methods)]
        let now = Instant::now();
        let mut it = Instance::new(config).expect("a sound configuration");
        it.handle(now, Event::Interface { up: true, source: Some(OWN) });
        Router { it, start: now, now }
    }

    pub fn backup(config: Config) -> Router {
        let mut router = Router::new(config);
        router.it.handle(router.now, Event::Start);
        router.drain();
        router
    }

    pub fn master(config: Config) -> Router {
        let mut router = Router::backup(config);
        if router.it.state() != State::Master {
            router.wait();
        }
        assert_eq!(router.it.state(), State::Master);
        router.drain();
        router
    }

    /// Until its timer, and serves it. Returns how long that was.
    pub fn wait(&mut self) -> Duration {
        let at = self.it.poll_timeout().expect("a timer");
        let long = at.saturating_duration_since(self.now);
        self.now = self.now.max(at);
        self.it.handle_timeout(self.now);
        long
    }

    /// So long, serving all timers on the way.
    pub fn pass(&mut self, long: Duration) {
        let until = self.now + long;
        while let Some(at) = self.it.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.it.handle_timeout(self.now);
        }
        self.now = until;
    }

    /// How long until its timer.
    pub fn due(&self) -> Option<Duration> {
        self.it.poll_timeout().map(|at| at.saturating_duration_since(self.now))
    }

    pub fn hears(&mut self, bytes: &[u8]) {
        let packet = Packet::ipv4(bytes).expect("a datagram");
        self.it.handle(self.now, Event::Packet(packet));
    }

    pub fn hears_advert(&mut self, from: u8, priority: u8) {
        let bytes = advert(&self.it.config().clone(), from, priority);
        self.hears(&bytes);
    }

    pub fn event(&mut self, event: Event<'_>) {
        self.it.handle(self.now, event);
    }

    pub fn drain(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.it.poll_action()).collect()
    }

    /// Everything but the log.
    pub fn deeds(&mut self) -> Vec<String> {
        self.drain().iter().filter(|a| !matches!(a, Action::Report(_))).map(word).collect()
    }

    pub fn words(&mut self) -> Vec<String> {
        self.drain().iter().map(word).collect()
    }

    pub fn notices(&mut self) -> Vec<Notice> {
        self.drain().into_iter().filter_map(|a| if let Action::Notify { notice, .. } = a { Some(notice) } else { None }).collect()
    }

    pub fn reports(&mut self) -> Vec<Report> {
        self.drain().into_iter().filter_map(|a| if let Action::Report(report) = a { Some(report) } else { None }).collect()
    }
}

pub fn with_password(config: Config) -> Config {
    Config { auth: Auth::password("secret"), ..config }
}
