//! A line with its keyword, and the ways to read its values. What cannot be read is said with what would be right, and stays as it was.

use super::diag::{Code, Diagnostic, Diagnostics, Level, Place};
use super::model::{Command, TrackConf, Unsupported, User};
use super::names::Names;
use super::tree::Node;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;
use vrrp::Weight;

/// Words that keepalived warns about when their value is missing, and starts without.
const MAY_BE_EMPTY: &[&str] = &[
    "bfd_priority",
    "bfd_rt_priority",
    "checker_priority",
    "checker_rt_priority",
    "dbus_service_name",
    "default_interface",
    "kernel_rx_buf_size",
    "lvs_netlink_cmd_rcv_bufs",
    "lvs_netlink_monitor_rcv_bufs",
    "lvs_notify_fifo",
    "lvs_notify_fifo_script",
    "min_auto_priority_delay",
    "notification_email_from",
    "notify_fifo",
    "notify_fifo_script",
    "process_monitor_rcv_bufs",
    "reload_time_file",
    "script",
    "router_id",
    "script_user",
    "shutdown_script",
    "shutdown_script_timeout",
    "snmp_socket",
    "startup_script",
    "startup_script_timeout",
    "tmp_config_directory",
    "vrrp_netlink_cmd_rcv_bufs",
    "vrrp_netlink_monitor_rcv_bufs",
    "vrrp_notify_fifo",
    "vrrp_notify_fifo_script",
    "vrrp_priority",
    "vrrp_rt_priority",
    "vrrp_rx_bufs_multiplier",
    "vrrp_rx_bufs_policy",
];

/// A line that is being read.
pub struct Arg<'a> {
    pub node: &'a Node,
    /// Stands before messages: the instance's name in parentheses, or nothing.
    pub who: &'a str,
    pub block: &'static str,
    pub diagnostics: &'a mut Diagnostics,
    pub unsupported: &'a mut Vec<Unsupported>,
    pub common: &'a mut Common,
}

/// What lines of any block may need.
pub struct Common {
    pub names: Names,
    /// What the next rule without a preference gets, of IPv4 and of IPv6.
    pub preferences: (u32, u32),
}

impl Arg<'_> {
    pub fn warn(&mut self, text: impl AsRef<str>) {
        self.warn_at(&self.node.place.clone(), text);
    }

    pub fn warn_at(&mut self, place: &Place, text: impl AsRef<str>) {
        self.diagnostics.warn(place, format!("{}{}", self.who, text.as_ref()));
    }

    /// The file asks for something that is not there yet.
    pub fn unsupported(&mut self, what: &str) {
        self.unsupported.push(Unsupported { place: self.node.place.clone(), keyword: what.into(), block: self.block });
    }

    /// The first value. keepalived ends where one is missing, but for [`MAY_BE_EMPTY`].
    pub fn text(&mut self) -> Option<String> {
        let value = self.node.value(0).map(str::to_string);
        if value.is_none() {
            let name = self.node.name();
            let text = format!("{}'{name}' needs a value behind it", self.who);
            let place = Some(self.node.place.clone());
            let (level, code) = match MAY_BE_EMPTY.contains(&name) {
                true => (Level::Warning, Code::Wrong),
                false => (Level::Error, Code::MissingValue),
            };
            self.diagnostics.push(Diagnostic { place, level, code, text });
        }
        value
    }

    pub fn number<N>(&mut self, range: RangeInclusive<N>) -> Option<N>
    where
        N: FromStr + PartialOrd + std::fmt::Display,
    {
        let text = self.text()?;
        let number = text.parse().ok().filter(|n| range.contains(n));
        if number.is_none() {
            let (name, from, to) = (self.node.name().to_string(), range.start(), range.end());
            self.warn(format!("{name} '{text}' is not a whole number from {from} to {to}; it is left out"));
        }
        number
    }

    /// Seconds with a fraction.
    pub fn seconds(&mut self, most: u32) -> Option<Duration> {
        let text = self.text()?;
        let time = seconds(&text).filter(|time| *time <= Duration::from_secs(most.into()));
        if time.is_none() {
            let name = self.node.name().to_string();
            self.warn(format!("{name} '{text}' is not a number of seconds from 0 to {most}, like 1 or 0.25; it is left out"));
        }
        time
    }

    /// `on`, `off` and the like; on if there is nothing.
    pub fn boolean(&mut self) -> Option<bool> {
        match self.node.value(0) {
            None | Some("on" | "true" | "yes") => Some(true),
            Some("off" | "false" | "no") => Some(false),
            Some(other) => {
                let text = format!("{} '{other}' is neither on nor off (true, false, yes, no); it is left out", self.node.name());
                self.warn(text);
                None
            }
        }
    }

    pub fn address(&mut self) -> Option<IpAddr> {
        let text = self.text()?;
        let address = text.parse().ok();
        if address.is_none() {
            let name = self.node.name().to_string();
            self.warn(format!("{name} '{text}' is not an IP address; it is left out"));
        }
        address
    }

    /// `script_user` and `user`.
    pub fn user(&mut self) -> Option<User> {
        let user = self.text()?;
        Some(User { user, group: self.node.value(1).map(str::to_string) })
    }

    /// A script, as `notify_…` has it: one word that is the command (quoted if it has arguments), then user and group.
    pub fn command(&mut self) -> Option<Command> {
        let text = self.text()?;
        let user = self.node.value(1).map(|user| User { user: user.into(), group: self.node.value(2).map(str::to_string) });
        let command = command(&self.node.place, &text, user);
        if command.is_none() && !text.is_empty() {
            let name = self.node.name();
            let text = format!(
                "Unable to parse script '{text}' - ignoring; {name} wants a command, in which each quote and each \\ has a partner"
            );
            self.warn(text);
        }
        command
    }

    /// The lines of `track_…`, with weights from `-most` to `most`.
    pub fn tracks(&mut self, most: i32) -> Vec<TrackConf> {
        let mut all = Vec::new();
        for line in self.node.lines() {
            let mut track = TrackConf { place: line.place.clone(), name: line.name().into(), weight: None };
            if let Some(word) = line.value(0) {
                let value = if word == "weight" { line.value(1) } else { None };
                match value.and_then(|v| weight(v, line.value(2), most + 1)) {
                    Some(weight) if weight.value.abs() <= most => track.weight = Some(weight),
                    // keepalived is lenient about 254 here, and about nothing else.
                    Some(weight) if most == vrrp::MAX_WEIGHT => {
                        let text = format!("weight for {} cannot be +/-{}. Setting to +/-{most}", line.name(), most + 1);
                        self.warn_at(&line.place.clone(), text);
                        track.weight = Some(Weight { value: weight.value.clamp(-most, most), ..weight });
                    }
                    _ => {
                        let text = format!(
                            "'{}' wants 'weight N' with N from -{most} to {most}, and 'reverse' behind it if so; the weight is left out",
                            line.name()
                        );
                        self.warn_at(&line.place.clone(), text);
                    }
                }
            }
            all.push(track);
        }
        all
    }
}

/// `N [reverse]`, with N from `-most` to `most`.
pub fn weight(value: &str, reverse: Option<&str>, most: i32) -> Option<Weight> {
    let value = value.parse().ok().filter(|n: &i32| (-most..=most).contains(n))?;
    match reverse {
        None | Some("noreverse" | "no_reverse") => Some(Weight { value, reverse: false }),
        Some("reverse") => Some(Weight { value, reverse: true }),
        Some(_) => None,
    }
}

/// `2`, `0.25`, `.5`.
pub fn seconds(text: &str) -> Option<Duration> {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.') && text.len() <= 20;
    let number = text.parse::<f64>().ok().filter(|_| plain)?;
    // To the microsecond, as keepalived reads it.
    Duration::try_from_secs_f64((number * 1e6).round() / 1e6).ok()
}

/// Splits a command line once more, as keepalived does: white space separates, quotes keep together, backslashes escape. Nothing if a quote
/// or a backslash is left alone, or there is no word.
pub fn command(place: &Place, text: &str, user: Option<User>) -> Option<Command> {
    let words = super::words::of_command(text)?;
    (!words.is_empty()).then(|| Command { place: place.clone(), words, user })
}
