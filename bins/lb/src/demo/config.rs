//! The configuration that the demo runs: an ordinary haproxy.cfg, in a file, read as any other is.

use super::net::Port;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Between two checks of a server, in milliseconds.
pub const INTER_MS: u32 = 250;
/// Name of the frontend and the backend of mode http.
pub const HTTP: (&str, &str) = ("web", "pages");
/// Name of the frontend and the backend of mode tcp.
pub const TCP: (&str, &str) = ("lines", "echo");

/// Where things listen.
pub struct Ports {
    /// The HTTP front.
    pub http: Port,
    /// The TCP front.
    pub tcp: Port,
    /// Where log lines go (UDP).
    pub log: u16,
}

/// The text, for origins with these names and ports.
pub fn text(ports: &Ports, origins: &[(&str, u16)]) -> String {
    let servers = origins.iter().fold(String::new(), |mut text, (name, port)| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    server {name} 127.0.0.1:{port} check");
        text
    });
    let ((web, pages), (lines, echo)) = (HTTP, TCP);
    let (http, tcp, log) = (ports.http.number(), ports.tcp.number(), ports.log);
    format!(
        "\
# The configuration of `lb demo`. haproxy reads it too.
global
    maxconn 2000
    no strict-limits
    nbthread 2
    log 127.0.0.1:{log} local0

defaults
    log global
    timeout connect 1s
    timeout client 1m
    timeout server 1m
    retries 3
    option redispatch 1
    default-server inter {INTER_MS}ms fall 2 rise 2

frontend {web}
    mode http
    bind 127.0.0.1:{http}
    option httplog
    option forwardfor
    timeout http-request 10s
    default_backend {pages}

backend {pages}
    mode http
    balance roundrobin
    option httpchk GET /health
    retry-on conn-failure empty-response
{servers}
frontend {lines}
    mode tcp
    bind 127.0.0.1:{tcp}
    option tcplog
    default_backend {echo}

backend {echo}
    mode tcp
    balance leastconn
{servers}"
    )
}

/// A file that is removed when this goes.
pub struct TempFile(PathBuf);

impl TempFile {
    /// Writes a new file into the directory for temporary files; an existing one, or a link, is never written to.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn new(text: &str) -> io::Result<TempFile> {
        let path = std::env::temp_dir().join(format!("lb-demo-{}.cfg", std::process::id()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path)?;
        let made = TempFile(path);
        file.write_all(text.as_bytes())?;
        Ok(made)
    }

    /// Its name.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // Somebody else may have removed it: then it is gone as wanted.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_without_a_word() {
        let ports = Ports { http: Port::reserve().unwrap(), tcp: Port::reserve().unwrap(), log: 5140 };
        let text = text(&ports, &[("origin1", 1001), ("origin2", 1002), ("origin3", 1003)]);
        let (config, diagnostics) = lb_config::parse(&lb_config::Source::new().file("demo.cfg", text.as_bytes()));
        assert!(diagnostics.is_empty(), "{}", lb_config::render(&diagnostics));
        assert_eq!(
            config.proxies.iter().map(|p| (p.name.as_str(), p.servers.len())).collect::<Vec<_>>(),
            [("web", 0), ("pages", 3), ("lines", 0), ("echo", 3)]
        );
        assert!(config.proxies.iter().flat_map(|p| &p.servers).all(|s| s.check.is_some()));
    }
}
