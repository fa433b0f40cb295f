//! Blocks about interfaces: `interface_up_down_delays`, `linkbeat_interfaces`, `garp_group`.

use super::arg::{Arg, seconds};
use super::diag::Place;
use super::model::Conf;
use std::collections::HashSet;
use std::time::Duration;

/// The longest delay of a change of an interface's state.
const MAX_DELAY: Duration = Duration::from_secs(255);
/// The longest time between announcements: a day.
const MAX_INTERVAL: u32 = 86_400;

/// A line of `interface_up_down_delays`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelayConf {
    /// Where.
    pub place: Place,
    /// The interface.
    pub name: String,
    /// How long it is down before that counts.
    pub down: Duration,
    /// How long it is up before that counts.
    pub up: Duration,
}

/// `garp_group`: interfaces that share the time between announcements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GarpGroupConf {
    /// Where it begins.
    pub place: Place,
    /// `garp_interval`.
    pub garp: Option<Duration>,
    /// `gna_interval`.
    pub gna: Option<Duration>,
    /// `interface` and `interfaces`.
    pub interfaces: Vec<String>,
}

/// `NAME DOWN [UP]`, in seconds.
pub fn delays(arg: &mut Arg<'_>) -> Vec<DelayConf> {
    let mut all = Vec::new();
    for line in arg.node.lines() {
        let mut delay = |text: &str| {
            let time = seconds(text).filter(|time| *time <= MAX_DELAY);
            if time.is_none() {
                arg.warn_at(
                    &line.place.clone(),
                    format!("delay '{text}' of {} is not a number of seconds from 0 to 255; it is left out", line.name()),
                );
            }
            time
        };
        let Some(down) = line.value(0) else {
            arg.warn_at(&line.place.clone(), format!("{} wants a delay behind it: NAME DOWN [UP], in seconds", line.name()));
            continue;
        };
        let down = delay(down);
        let up = line.value(1).map_or(down, delay);
        if let Some((down, up)) = down.zip(up) {
            all.push(DelayConf { place: line.place.clone(), name: line.name().into(), down, up });
        }
    }
    all
}

/// How a driver is asked for its link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Way {
    /// The status register of the PHY.
    #[default]
    Mii,
    /// `ETHTOOL_GLINK`.
    Ethtool,
    /// The flags of the interface.
    Flags,
}

/// An interface whose driver is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolledConf {
    /// Where.
    pub place: Place,
    /// The interface.
    pub name: String,
    /// The way that is preferred, if the driver has it.
    pub way: Way,
}

/// `linkbeat_interfaces`: `NAME [MII|ETHTOOL|IOCTL]`.
pub fn linkbeat(arg: &mut Arg<'_>) -> Vec<PolledConf> {
    let mut all = Vec::new();
    for line in arg.node.lines() {
        let way = match line.value(0) {
            None | Some("MII") => Way::Mii,
            Some("ETHTOOL") => Way::Ethtool,
            Some("IOCTL") => Way::Flags,
            Some(other) => {
                arg.warn_at(
                    &line.place.clone(),
                    format!("extra characters {other} in linkbeat interface; MII, ETHTOOL or IOCTL may stand there"),
                );
                Way::default()
            }
        };
        all.push(PolledConf { place: line.place.clone(), name: line.name().into(), way });
    }
    all
}

impl Conf {
    /// The interfaces whose drivers are asked, each once. Virtual ones have the link of the one below, which the kernel hands on.
    pub fn polled(&self) -> Vec<(String, Way)> {
        let mut all: Vec<(String, Way)> = self.polled.iter().map(|it| (it.name.clone(), it.way)).collect();
        if self.poll_all {
            all.extend(self.interfaces().into_iter().map(|(_, name)| (name.to_string(), Way::default())));
        }
        let mut seen = HashSet::new();
        all.retain(|(name, _)| !self.is_link(name) && seen.insert(name.clone()));
        all
    }
}

/// `vrrp_garp_interval`, `vrrp_gna_interval`: keepalived's range, in microseconds. (A group may have zero: no time at all.)
pub fn interval(arg: &mut Arg<'_>) -> Option<Duration> {
    const RANGE: std::ops::RangeInclusive<Duration> = Duration::from_micros(1)..=Duration::from_micros(4_294_967_295);
    let text = arg.text()?;
    let time = seconds(&text).filter(|time| RANGE.contains(time));
    if time.is_none() {
        arg.warn(format!("{} '{text}' is not a number of seconds from 0.000001 to 4294.967295; it is left out", arg.node.name()));
    }
    time
}

/// The block; `taken` are interfaces of the groups before.
pub fn garp_group(arg: &mut Arg<'_>, taken: &[GarpGroupConf]) -> GarpGroupConf {
    let mut it = GarpGroupConf { place: arg.node.place.clone(), garp: None, gna: None, interfaces: Vec::new() };
    for line in arg.node.lines() {
        let mut arg = Arg {
            node: line,
            who: arg.who,
            block: arg.block,
            diagnostics: arg.diagnostics,
            unsupported: arg.unsupported,
            common: arg.common,
        };
        match line.name() {
            "garp_interval" => it.garp = arg.seconds(MAX_INTERVAL).or(it.garp),
            "gna_interval" => it.gna = arg.seconds(MAX_INTERVAL).or(it.gna),
            "interface" | "interfaces" => {
                for (_, name) in line.list() {
                    if taken.iter().any(|g| g.interfaces.iter().any(|n| n == name)) {
                        arg.warn(format!("garp_group already specified for {name} - ignoring"));
                    } else if !it.interfaces.iter().any(|n| n == name) {
                        it.interfaces.push(name.to_string());
                    }
                }
            }
            other => {
                arg.warn(format!("Unknown keyword '{other}' in garp_group; it knows garp_interval, gna_interval, interface and interfaces"))
            }
        }
    }
    if it.interfaces.is_empty() {
        arg.warn("garp_group has no interface; write 'interface NAME' into it");
    }
    it
}

/// `garp_extra_if [all] SECONDS`.
pub fn extra(arg: &mut Arg<'_>) -> Option<(bool, Duration)> {
    let all = arg.node.value(0) == Some("all");
    let text = arg.node.value(usize::from(all)).unwrap_or_default();
    let time = seconds(text).filter(|time| *time <= Duration::from_secs(MAX_INTERVAL.into()));
    if time.is_none() {
        arg.warn(format!(
            "garp_extra_if '{text}' is not a number of seconds from 0 to {MAX_INTERVAL}, with 'all' before it if so; it is left out"
        ));
    }
    time.map(|time| (all, time))
}
