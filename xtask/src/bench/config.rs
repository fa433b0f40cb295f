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
    /// How the frontend chooses a backend.
    pub switch: Switch,
    /// `maxconn` of the process: two descriptors each, and with splicing a pipe for every fourth, stay below the usual limit of 20,000.
    pub maxconn: usize,
}

/// How the frontend chooses a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// There is but one.
    Default,
    /// Three ACLs, two edits of fields, one `use_backend`.
    Rules,
    /// So many `use_backend ... if { hdr(host) x }`; the last one holds.
    Hosts(usize),
    /// A map of so many hosts.
    Map(usize),
}

impl Switch {
    /// Its lines; the map is in the file `map`.
    fn lines(self, map: &str) -> String {
        match self {
            Self::Default => String::new(),
            Self::Rules => "    acl shop hdr_end(host) -i .example.org\n    acl static path_beg /static /images /css\n    \
                            acl browser hdr(user-agent) -m sub Chrome\n    \
                            http-request set-header X-Forwarded-Proto http if shop browser\n    \
                            http-request add-header X-Path %[path] unless static\n    \
                            use_backend back if shop !static\n"
                .to_owned(),
            Self::Hosts(n) => (0..n).map(|i| format!("    use_backend back if {{ hdr(host) h{i}.example.org }}\n")).collect(),
            Self::Map(_) => format!("    use_backend %[req.hdr(host),lower,map({map},other)]\n"),
        }
    }

    /// The content of the map.
    pub fn map(self) -> Option<String> {
        match self {
            Self::Map(n) => Some((0..n).map(|i| format!("h{i}.example.org back\n")).collect()),
            _ => None,
        }
    }
}

/// Mode http with nothing special.
pub const HTTP: Shape = Shape { http: true, extra: "", balance: "roundrobin", servers: 2, switch: Switch::Default, maxconn: 4000 };
/// Mode tcp with nothing special.
pub const TCP: Shape = Shape { http: false, ..HTTP };

/// The text of a file. Logs off, no forwardfor, the usual four timeouts.
pub fn text(shape: Shape, map: &str, listen: u16, origin: u16) -> String {
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
        "\nfrontend front\n    bind 127.0.0.1:{listen}\n{}    default_backend {}\n\nbackend other\n\nbackend back\n    balance {}\n",
        shape.switch.lines(map),
        if shape.switch == Switch::Default { "back" } else { "other" },
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
        let text = text(Shape { servers: 1000, ..HTTP }, "hosts.map", 8000, 9000);
        assert!(text.contains("server s0 127.1.0.1:9000\n") && text.contains("server s999 127.1.3.250:9000\n"));
        assert_eq!(text.matches("    server s").count(), 1000);
    }
}
