//! Settings of interfaces below `/proc/sys/net`, as they were before, so that they can be put back.

use std::fs;
use std::io;
use std::path::PathBuf;

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

fn path(tree: Tree, interface: &str, name: &str) -> PathBuf {
    let tree = if tree == Tree::V4 { "ipv4" } else { "ipv6" };
    PathBuf::from(format!("/proc/sys/net/{tree}/conf/{interface}/{name}"))
}

/// A setting's number, if it is there.
pub fn get(tree: Tree, interface: &str, name: &str) -> Option<i64> {
    fs::read_to_string(path(tree, interface, name)).ok()?.trim().parse().ok()
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
    fs::write(path(tree, interface, name), format!("{value}\n"))
}

impl Changed {
    /// Sets one for as long as we run.
    ///
    /// # Errors
    /// As [`set`].
    pub fn set(&mut self, tree: Tree, interface: &str, name: &str, value: i64) -> io::Result<()> {
        let path = path(tree, interface, name);
        let before = fs::read_to_string(&path)?;
        if before.trim() != value.to_string() {
            fs::write(&path, format!("{value}\n"))?;
            if !self.before.iter().any(|(known, _)| *known == path) {
                self.before.push((path, before));
            }
        }
        Ok(())
    }

    /// Puts all back, the last first. What has gone with its interface is no error.
    pub fn restore(&mut self) {
        while let Some((path, before)) = self.before.pop() {
            let _ = fs::write(path, before);
        }
    }
}
