//! The rows of the bench: what is run and which limit its figures have.

use super::config::{HTTP, Shape, Switch, TCP};
use super::table::Limit;

/// One row, chosen by name on the command line.
pub struct Row {
    pub name: &'static str,
    pub about: &'static str,
    pub kind: Kind,
}

/// How a row is measured.
pub enum Kind {
    /// CPU per exchange under saturation.
    Traffic(Traffic),
    /// System calls per keep-alive request.
    Syscalls,
    /// Memory per idle connection.
    Idle { shape: Shape, kind: &'static str, limit: f64 },
    /// What 1,000 servers cost more than 2.
    Servers,
    /// Instructions per exchange under callgrind.
    Instructions { shape: Shape, kind: &'static str, limit: Limit },
}

/// Exchanges that keep the proxy's core busy.
pub struct Traffic {
    pub shape: Shape,
    /// As `lb-load --kind`, for origin and client.
    pub origin: &'static str,
    pub client: &'static str,
    pub conns: &'static str,
    pub path: &'static str,
    /// Exchanges of a measured window.
    pub count: u64,
    pub per: Per,
    /// Limit on user CPU per unit.
    pub user: Limit,
    /// Limit on all CPU per unit.
    pub all: Limit,
    /// Limit on the user share of all CPU, in percent.
    pub user_share: Limit,
    /// Count the calls of a short run, to show whether it was spliced.
    pub splice: bool,
}

/// What CPU is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    Exchange,
    Megabyte,
}

const SMALL: Traffic = Traffic {
    shape: HTTP,
    origin: "http",
    client: "http",
    conns: "64",
    path: "/",
    count: 100_000,
    per: Per::Exchange,
    user: Limit::Times(0.40),
    all: Limit::Times(0.85),
    user_share: Limit::None,
    splice: false,
};

const BROWSER: Traffic = Traffic { origin: "browser", client: "browser", user: Limit::Times(0.5), all: Limit::None, ..SMALL };

const BULK: Traffic = Traffic {
    conns: "4",
    path: "/len/67108864",
    count: 60,
    per: Per::Megabyte,
    user: Limit::None,
    all: Limit::Times(0.55),
    splice: true,
    ..SMALL
};

/// All rows, in the order of the table.
pub const ROWS: &[Row] = &[
    Row { name: "http-ka", about: "HTTP keep-alive, 100-byte objects, 64 connections", kind: Kind::Traffic(SMALL) },
    Row {
        name: "tcp-small",
        about: "mode tcp, messages of 100 bytes each way, 64 connections",
        kind: Kind::Traffic(Traffic {
            shape: TCP,
            origin: "echo",
            client: "echo",
            user: Limit::Times(0.60),
            all: Limit::Times(0.97),
            ..SMALL
        }),
    },
    Row {
        name: "tcp-bulk",
        about: "mode tcp, objects of 64 MB, option splice-auto",
        kind: Kind::Traffic(Traffic {
            shape: Shape { extra: "option splice-auto", ..TCP },
            all: Limit::Times(0.75),
            user_share: Limit::Most(2.0),
            ..BULK
        }),
    },
    Row { name: "http-bulk", about: "mode http, objects of 64 MB with content-length", kind: Kind::Traffic(BULK) },
    Row {
        name: "http-bulk-chunked",
        about: "mode http, objects of 64 MB in chunks of 256 KiB",
        kind: Kind::Traffic(Traffic { path: "/chunk/67108864/262144", ..BULK }),
    },
    Row {
        name: "http-bulk-small-chunks",
        about: "mode http, objects of 64 MB in chunks of 4 KiB",
        kind: Kind::Traffic(Traffic { path: "/chunk/67108864/4096", all: Limit::Times(0.9), ..BULK }),
    },
    Row {
        name: "http-close",
        about: "one request per connection on both sides",
        kind: Kind::Traffic(Traffic {
            shape: Shape { extra: "option httpclose", ..HTTP },
            origin: "http-close",
            client: "http-close",
            count: 30_000,
            user: Limit::Times(0.5),
            all: Limit::Times(1.0),
            ..SMALL
        }),
    },
    Row {
        name: "rules",
        about: "a browser's request through 3 ACLs, 2 edits of fields and a switch",
        kind: Kind::Traffic(Traffic { shape: Shape { switch: Switch::Rules, ..HTTP }, ..BROWSER }),
    },
    Row {
        name: "hosts-100",
        about: "a browser's request through 100 lines use_backend if { hdr(host) x }, of which the last one holds",
        kind: Kind::Traffic(Traffic { shape: Shape { switch: Switch::Hosts(100), ..HTTP }, ..BROWSER }),
    },
    Row {
        name: "map-100000",
        about: "a browser's request by a map of 100,000 hosts",
        kind: Kind::Traffic(Traffic { shape: Shape { switch: Switch::Map(100_000), ..HTTP }, ..BROWSER }),
    },
    Row { name: "syscalls", about: "system calls per keep-alive request", kind: Kind::Syscalls },
    Row {
        name: "idle-http",
        about: "8,000 idle client connections in mode http, each after one request",
        kind: Kind::Idle { shape: Shape { maxconn: 9000, ..HTTP }, kind: "http", limit: 1.0 },
    },
    Row {
        name: "idle-tcp",
        about: "8,000 idle pairs in mode tcp",
        kind: Kind::Idle { shape: Shape { maxconn: 9000, ..TCP }, kind: "echo", limit: 2.0 },
    },
    Row { name: "servers-1000", about: "1,000 servers instead of 2: growth of CPU per request", kind: Kind::Servers },
    Row {
        name: "callgrind-http",
        about: "user instructions per HTTP keep-alive request, serial client",
        kind: Kind::Instructions { shape: HTTP, kind: "http", limit: Limit::Most(9000.0) },
    },
    Row {
        name: "callgrind-rules",
        about: "the same for the request of the row rules",
        kind: Kind::Instructions { shape: Shape { switch: Switch::Rules, ..HTTP }, kind: "browser", limit: Limit::Times(0.5) },
    },
    Row {
        name: "callgrind-hosts",
        about: "the same for the request of the row hosts-100",
        kind: Kind::Instructions { shape: Shape { switch: Switch::Hosts(100), ..HTTP }, kind: "browser", limit: Limit::Times(0.5) },
    },
    Row {
        name: "callgrind-map",
        about: "the same for the request of the row map-100000",
        kind: Kind::Instructions { shape: Shape { switch: Switch::Map(100_000), ..HTTP }, kind: "browser", limit: Limit::Times(0.5) },
    },
    Row {
        name: "callgrind-tcp",
        about: "user instructions per message round trip in mode tcp, serial client",
        kind: Kind::Instructions { shape: TCP, kind: "echo", limit: Limit::Most(1800.0) },
    },
];

/// The exchanges of `http-ka`, for the rows that vary its file.
pub const fn keep_alive(shape: Shape) -> Traffic {
    Traffic { shape, ..SMALL }
}
