//! Settings below `/proc/sys/net`, as they were before, so that they can be put back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The directory of a family's interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tree {
    /// `ipv4/conf`.
    V4,
    /// `ipv6/conf`.
    V6,
}

/// Settings that were changed, with what they were.
#[derive(Debug, Default)]
pub struct Changed {
    before: Vec<(PathBuf, String)>,
}

/// A setting of an interface.
pub fn of(tree: Tree, interface: &str, name: &str) -> PathBuf {
    let tree = if tree == Tree::V4 { "ipv4" } else { "ipv6" };
    PathBuf::from(format!("/proc/sys/net/{tree}/conf/{interface}/{name}"))
}

/// Whether the host reports the groups of 224.0.0.0/24 that it is in (Linux 4.3).
pub fn local_igmp() -> PathBuf {
    "/proc/sys/net/ipv4/igmp_link_local_mcast_reports".into()
}

/// A setting's number, if it is there.
pub fn get(tree: Tree, interface: &str, name: &str) -> Option<i64> {
    fs::read_to_string(of(tree, interface, name)).ok()?.trim().parse().ok()
}

/// The interfaces of IPv4, `all` and `default` among them.
pub fn interfaces() -> Vec<String> {
    let entries = fs::read_dir("/proc/sys/net/ipv4/conf").into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().into_string().ok()).collect()
}

/// Sets one for good: of an interface that is ours.
///
/// # Errors
/// There is no such interface or setting, it cannot be written.
pub fn set(tree: Tree, interface: &str, name: &str, value: i64) -> io::Result<()> {
    fs::write(of(tree, interface, name), format!("{value}\n"))
}

impl Changed {
    /// Sets one for as long as we run.
    ///
    /// # Errors
    /// As [`set`].
    pub fn set(&mut self, path: PathBuf, value: i64) -> io::Result<()> {
        let before = fs::read_to_string(&path)?;
        if before.trim() != value.to_string() {
            fs::write(&path, format!("{value}\n"))?;
            if !self.before.iter().any(|(known, _)| *known == path) {
                self.before.push((path, before));
            }
        }
        Ok(())
    }

    /// Puts one back, if it was changed.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put_back(&mut self, path: &Path) -> io::Result<()> {
        let at = self.before.iter().position(|(known, _)| known == path);
        at.map_or(Ok(()), |at| fs::write(path, self.before.remove(at).1))
    }

    /// Puts all back, the last first. What has gone with its interface is no error.
    pub fn restore(&mut self) {
        while let Some((path, before)) = self.before.pop() {
            let _ = fs::write(path, before);
        }
    }
}
