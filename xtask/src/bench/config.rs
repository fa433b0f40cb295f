//! The configuration files of the bench: the same text for both proxies, but for the port they listen on.

use std::fmt::Write;

/// What a file has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// `mode http`, else `mode tcp`.
    pub http: bool,
    /// Lines that go into `defaults`.
    pub extra: &'static str,
    /// The scheduler.
    pub balance: &'static str,
    /// How many servers; the origin listens on as many addresses.
    pub servers: usize,
    /// `maxconn` of the process: two descriptors each, and with splicing a pipe for every fourth, stay below the usual limit of 20,000.
    pub maxconn: usize,
}

/// Mode http with nothing special.
pub const HTTP: Shape = Shape { http: true, extra: "", balance: "roundrobin", servers: 2, maxconn: 4000 };
/// Mode tcp with nothing special.
pub const TCP: Shape = Shape { http: false, ..HTTP };

/// The text of a file. Logs off, no forwardfor, the usual four timeouts.
pub fn text(shape: Shape, listen: u16, origin: u16) -> String {
    let (mode, fourth) = if shape.http { ("http", "http-request 10s") } else { ("tcp", "queue 30s") };
    let mut out = format!(
        "global\n    nbthread 1\n    maxconn {}\n\n\
         defaults\n    mode {mode}\n    timeout connect 5s\n    timeout client 50s\n    timeout server 50s\n    timeout {fourth}\n",
        shape.maxconn
    );
    for line in shape.extra.lines() {
        let _ = writeln!(out, "    {line}");
    }
    let _ = write!(
        out,
        "\nfrontend front\n    bind 127.0.0.1:{listen}\n    default_backend back\n\nbackend back\n    balance {}\n",
        shape.balance
    );
    for i in 0..shape.servers {
        let _ = writeln!(out, "    server s{i} 127.1.{}.{}:{origin}", i / 250, i % 250 + 1);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_have_addresses_of_their_own() {
        let text = text(Shape { servers: 1000, ..HTTP }, 8000, 9000);
        assert!(text.contains("server s0 127.1.0.1:9000\n") && text.contains("server s999 127.1.3.250:9000\n"));
        assert_eq!(text.matches("    server s").count(), 1000);
    }
}
