//! keepalived's dumps: `keepalived.data` (SIGUSR1), `keepalived.stats` (SIGUSR2) and `keepalived.json` (SIGRTMIN+2), in its format, for
//! the programs that read them. What keepalived has and we have not (numbers of descriptors, buffers) is left out; the rest stands in the
//! same order and the same words.

mod data;
mod json;
mod way;

use crate::conf::model::{AddressConf, Command, Conf, FOREVER, InstanceConf, LinkConf};
use crate::scripts::program;
use crate::snapshot::Snapshot;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use vrrp::Stats;

/// Which dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Configuration and state.
    Data,
    /// Counters.
    Stats,
    /// All of it for programs.
    Json,
}

impl Kind {
    /// The name of its file; with `data_use_instance` the names of instance and namespace are part of it.
    pub fn file(self, snapshot: &Snapshot) -> String {
        let conf = &snapshot.conf;
        let mut name = String::from("keepalived");
        if conf.global.data_use_instance && self == Kind::Data {
            let parts: Vec<&str> = [&conf.namespace, &conf.instance_name].into_iter().flatten().map(String::as_str).collect();
            if !parts.is_empty() {
                let _ = write!(name, ".{}", parts.join("_"));
            }
        }
        match self {
            Kind::Data => name + ".data",
            Kind::Stats => name + ".stats",
            Kind::Json => name + ".json",
        }
    }

    /// As keepalived says that it writes it.
    pub fn what(self) -> &'static str {
        match self {
            Kind::Data => "Printing VRRP data",
            Kind::Stats => "Printing VRRP stats",
            Kind::Json => "Printing VRRP as json",
        }
    }

    /// Its content.
    pub fn text(self, snapshot: &Snapshot) -> String {
        match self {
            Kind::Data => data::data(snapshot),
            Kind::Stats => stats(snapshot),
            Kind::Json => format!("{}\n", json::json(snapshot)),
        }
    }
}

/// Writes a dump, which the process's mask keeps from others, into a directory that others may write to as well (/tmp): under another name first, so that nothing that stands there
/// under its name is followed.
///
/// # Errors
/// Those of the file system.
pub fn write(directory: &Path, name: &str, text: &str) -> io::Result<PathBuf> {
    let path = directory.join(name);
    let new = directory.join(format!(".{name}.{}", std::process::id()));
    let _ = std::fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o666).open(&new)?;
    file.write_all(text.as_bytes())?;
    std::fs::rename(&new, &path)?;
    Ok(path)
}

fn stats(snapshot: &Snapshot) -> String {
    let mut out = String::new();
    for (conf, it) in snapshot.instances() {
        let Stats { advert_rcvd, advert_sent, become_master, release_master, packet_len_err, ip_ttl_err, .. } = it.stats;
        let Stats { invalid_type_rcvd, advert_interval_err, addr_list_err, invalid_authtype, authtype_mismatch, .. } = it.stats;
        let Stats { auth_failure, pri_zero_rcvd, pri_zero_sent, .. } = it.stats;
        let _ = write!(
            out,
            "VRRP Instance: {}\n  Advertisements:\n    Received: {advert_rcvd}\n    Sent: {advert_sent}\n  Became master: {become_master}\n  \
             Released master: {release_master}\n  Packet Errors:\n    Length: {packet_len_err}\n    TTL: {ip_ttl_err}\n    Invalid Type: \
             {invalid_type_rcvd}\n    Advertisement Interval: {advert_interval_err}\n    Address List: {addr_list_err}\n  Authentication \
             Errors:\n    Invalid Type: {invalid_authtype}\n    Type Mismatch: {authtype_mismatch}\n    Failure: {auth_failure}\n  Priority \
             Zero:\n    Received: {pri_zero_rcvd}\n    Sent: {pri_zero_sent}\n",
            conf.name
        );
    }
    out
}

/// `'/usr/bin/true' 'x'`: the program as it is found.
fn command(command: &Command) -> String {
    let path = program(command).map(|path| path.canonicalize().unwrap_or(path));
    let first = path.map_or_else(|| command.words.first().cloned().unwrap_or_default(), |path| path.display().to_string());
    let words = std::iter::once(&first).chain(command.words.iter().skip(1));
    words.map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ")
}

/// The virtual interface of an instance with `use_vmac`.
fn link<'a>(conf: &'a Conf, it: &InstanceConf) -> Option<&'a LinkConf> {
    let of_instance = |link: &&LinkConf| !link.of_address && conf.instances.get(link.instance).is_some_and(|of| of.name == it.name);
    conf.links.iter().find(of_instance)
}

/// `10.8.0.100/24 dev e0 scope global label e0:1 set`; of an instance, if it has one.
fn address(it: &AddressConf, conf: &Conf, of: Option<&InstanceConf>, set: bool) -> String {
    let interface = of.and_then(|of| of.interface.as_deref()).unwrap_or_default();
    let mut out = it.address.to_string();
    if it.prefix != if it.address.is_ipv4() { 32 } else { 128 } {
        let _ = write!(out, "/{}", it.prefix);
    }
    if let Some(brd) = it.brd {
        let _ = write!(out, " brd {brd}");
    }
    let dev = it.on.as_deref().unwrap_or(interface);
    let _ = write!(out, " dev {dev}");
    if let Some(link) = conf.links.iter().find(|link| link.name == dev) {
        let _ = write!(out, "@{}", link.base);
    }
    let _ = write!(out, " scope {}", scope(it.scope));
    if let Some(label) = &it.label {
        let _ = write!(out, " label {label}");
    }
    if let Some(peer) = it.peer {
        let _ = write!(out, " peer {peer}/{}", if peer.is_ipv4() { 32 } else { 128 });
    }
    if it.address.is_ipv6() {
        let _ = match it.preferred() {
            0 => write!(out, " deprecated"),
            FOREVER => write!(out, " preferred_lft forever"),
            seconds => write!(out, " preferred_lft {seconds}"),
        };
    }
    let filtered = set && of.is_some_and(|of| of.no_accept && of.priority != Some(vrrp::OWNER));
    for (is, word) in [(it.no_track, " no_track"), (set, " set"), (filtered, " nftable_set")] {
        if is {
            out.push_str(word);
        }
    }
    out
}

fn scope(scope: u8) -> String {
    match scope {
        0 => "global".into(),
        200 => "site".into(),
        253 => "link".into(),
        254 => "host".into(),
        255 => "nowhere".into(),
        other => other.to_string(),
    }
}

/// `1795867519.931034`.
fn unix(at: std::time::SystemTime) -> String {
    let since = at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:06}", since.as_secs(), since.subsec_micros())
}
