//! Configuration files from the disk, with the environment, the files and the names that they refer to.

use crate::args::Dump;
use lb_config::{Config, Diagnostic, Environment, LoadError, Loader, Resolver, Severity, Source, Switches};
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

/// Reads the files in order; also tells remarks of the given severities.
///
/// # Errors
/// A file that cannot be read, with its name.
pub fn load(names: &[String], switches: Switches, remarks: &[Severity]) -> Result<Loaded, String> {
    let contents = contents(names)?;
    let source = remarks.iter().fold(source(&contents).switches(switches), |s, severity| s.remark(*severity));
    let (config, diagnostics) = lb_config::parse(&source);
    Ok(Loaded { config, diagnostics })
}

/// The lines as they are read: conditions decided, variables in their place.
///
/// # Errors
/// As [`load`].
pub fn dump(names: &[String], dump: Dump) -> Result<String, String> {
    let contents = contents(names)?;
    let (sections, _) = lb_config::tree::sections(&source(&contents));
    Ok(lb_config::tree::dump(&sections, dump.key, dump.lines))
}

/// Whether a condition of `.if` is true.
///
/// # Errors
/// What is wrong with it.
pub fn condition(text: &str) -> Result<bool, String> {
    // A file that has a section when it is true.
    let file = format!(".if {text}\nglobal\n.endif\n");
    let contents = [("-cc".to_owned(), file.into_bytes())];
    let (sections, diagnostics) = lb_config::tree::sections(&source(&contents));
    match diagnostics.into_iter().find(|one| one.severity == Severity::Error) {
        Some(error) => Err(error.message),
        None => Ok(!sections.is_empty()),
    }
}

fn contents(names: &[String]) -> Result<Vec<(String, Vec<u8>)>, String> {
    let read = |name: &String| match fs::read(name) {
        Ok(bytes) => Ok((name.clone(), bytes)),
        Err(e) => {
            // As haproxy says it: without the number that the library adds.
            let text = e.to_string();
            let reason = text.split(" (os error").next().unwrap_or_default();
            Err(format!("config : Cannot open configuration file {name} : {reason}"))
        }
    };
    names.iter().map(read).collect()
}

fn source(contents: &[(String, Vec<u8>)]) -> Source<'_> {
    let source = contents.iter().fold(Source::new(), |s, (name, bytes)| s.file(name, bytes));
    source.environment(&System).loader(&System).resolver(&System)
}
