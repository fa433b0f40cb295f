//! Reads configuration files and tells what is wrong with them, as `lb -c` does:
//! `cargo run -p lb-config --example check -- haproxy.cfg`

use lb_config::{Environment, LoadError, Loader, Resolver, Severity, Source, parse, render};
use std::net::{IpAddr, ToSocketAddrs};
use std::process::ExitCode;

struct System;

impl Environment for System {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

impl Loader for System {
    fn load(&self, path: &str) -> Result<Vec<u8>, LoadError> {
        std::fs::read(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => LoadError::NotFound,
            std::io::ErrorKind::PermissionDenied => LoadError::Denied,
            _ => LoadError::Other,
        })
    }
}

impl Resolver for System {
    fn resolve(&self, host: &str) -> Vec<IpAddr> {
        (host, 0).to_socket_addrs().map(|list| list.map(|address| address.ip()).collect()).unwrap_or_default()
    }
}

fn main() -> ExitCode {
    let mut files = Vec::new();
    for name in std::env::args().skip(1) {
        match std::fs::read(&name) {
            Ok(bytes) => files.push((name, bytes)),
            Err(error) => {
                eprintln!("{name}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    let mut source = Source::new().environment(&System).loader(&System).resolver(&System);
    for (name, bytes) in &files {
        source = source.file(name.clone(), bytes);
    }
    let (config, diagnostics) = parse(&source);
    eprint!("{}", render(&diagnostics));
    println!("{} proxies, {} servers", config.proxies.len(), config.proxies.iter().map(|proxy| proxy.servers.len()).sum::<usize>());
    if diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
