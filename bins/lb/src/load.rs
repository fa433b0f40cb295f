//! Configuration files from the disk, with the environment, the files and the names that they refer to.

use lb_config::{Config, Diagnostic, Environment, LoadError, Loader, Resolver, Severity, Source};
use std::fs;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};

/// Largest file that a configuration may refer to, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// The world that the process lives in.
struct System;

impl Environment for System {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

impl Loader for System {
    fn load(&self, path: &str) -> Result<Vec<u8>, LoadError> {
        let error = |e: io::Error| match e.kind() {
            io::ErrorKind::NotFound => LoadError::NotFound,
            io::ErrorKind::PermissionDenied => LoadError::Denied,
            _ => LoadError::Other,
        };
        if fs::metadata(path).map_err(error)?.len() > MAX_FILE {
            return Err(LoadError::TooLarge);
        }
        fs::read(path).map_err(error)
    }
}

impl Resolver for System {
    fn resolve(&self, host: &str) -> Vec<IpAddr> {
        (host, 0).to_socket_addrs().map(|list| list.map(|a| a.ip()).collect()).unwrap_or_default()
    }
}

/// A configuration that may run, or what is wrong with it, ready to print.
pub struct Loaded {
    /// The configuration; of use only without errors.
    pub config: Config,
    /// Everything found.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// True when something prevents the start.
    pub fn has(&self, severity: Severity) -> bool {
        self.diagnostics.iter().any(|d| d.severity == severity)
    }
}

/// Reads the files in order.
///
/// # Errors
/// A file that cannot be read, with its name.
pub fn load(names: &[String]) -> Result<Loaded, String> {
    let mut contents = Vec::new();
    for name in names {
        let bytes = fs::read(name).map_err(|e| format!("cannot open configuration file {name}: {e}"))?;
        contents.push((name.clone(), bytes));
    }
    let source = contents.iter().fold(Source::new(), |s, (name, bytes)| s.file(name, bytes));
    let (config, diagnostics) = lb_config::parse(&source.environment(&System).loader(&System).resolver(&System));
    Ok(Loaded { config, diagnostics })
}
