//! The environment of the process: variables that haproxy sets at its start (manual 2.3), those of the configuration, and what is
//! loaded into it.

use crate::args::RunArgs;
use lb_config::{BindAddress, Config, LANGUAGE_VERSION};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Sets a variable of this process and of those that it starts. Before there are threads.
pub fn set(name: &str, value: &str) {
    // A value that no environment can hold is not for others to see.
    let _ = lb_sys::process::set_variable(name, Some(value));
}

/// Adds to a list in a variable, as haproxy's have their parts.
pub fn append(name: &str, value: &str) {
    match std::env::var(name).ok().filter(|list| !list.is_empty()) {
        Some(list) => set(name, &format!("{list};{value}")),
        None => set(name, value),
    }
}

/// Removes a variable.
pub fn remove(name: &str) {
    let _ = lb_sys::process::set_variable(name, None);
}

/// Sets what does not depend on the configuration, whatever a master before had there. Before the configuration is read, which may change it.
pub fn prepare(args: &RunArgs) {
    set("HAPROXY_STARTUP_VERSION", LANGUAGE_VERSION);
    set("HAPROXY_LOCALPEER", &args.local_peer.clone().unwrap_or_else(lb_sys::process::host_name));
    if args.master {
        set("HAPROXY_MWORKER", "1");
    }
}

/// Leaves what the configuration has made of the variables to the process, as haproxy does: `show env` tells them.
pub fn export(config: &Config) {
    let changes = &config.global.process.environment;
    if let Some(kept) = &changes.kept {
        let gone = std::env::vars().map(|(name, _)| name).filter(|name| !kept.contains(name));
        gone.collect::<Vec<_>>().iter().for_each(|name| remove(name));
    }
    if config.global.process.master_worker.is_some() {
        set("HAPROXY_MWORKER", "1");
    }
    for (name, value) in &changes.changed {
        match value {
            Some(value) => set(name, value),
            None => remove(name),
        }
    }
    set("HAPROXY_CFGFILES", &config.files.join(";"));
    let sockets = config.global.stats_sockets.iter().flat_map(|socket| &socket.addresses);
    set("HAPROXY_CLI", &sockets.map(shown).collect::<Vec<_>>().join(";"));
}

/// An address as the variables have it.
pub fn shown(address: &BindAddress) -> String {
    match address {
        BindAddress::Tcp(ip) if ip.is_ipv4() => format!("ipv4@{ip}"),
        BindAddress::Tcp(ip) => format!("ipv6@{ip}"),
        BindAddress::Fd(fd) => format!("fd@{fd}"),
        BindAddress::Pair(fd) => format!("sockpair@{fd}"),
        other => lb_core::proxy::bind_addr(other).map_or_else(String::new, |addr| addr.to_string()),
    }
}

/// The object files of the process, one a line (`-dL`).
pub fn objects() -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut seen = BTreeSet::new();
    let mut text = "List of loaded object files:\n".to_owned();
    // address, rights, offset, device, inode, then the path
    for path in maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..])) {
        if seen.insert(path) {
            let _ = writeln!(text, "{path}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn objects_are_files() {
        let text = super::objects();
        let own = std::env::current_exe().unwrap();
        assert!(text.lines().skip(1).any(|line| std::path::Path::new(line) == own), "{text}");
    }
}
