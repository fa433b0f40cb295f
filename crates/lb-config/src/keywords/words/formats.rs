//! Words of log formats, filters, services, prefixes of addresses. Source: manual 8.2.6, 9 and 11.

use super::{CACHE, COMPRESSION, FCGI, QUIC, word};
use crate::keywords::{Context, Keyword, State};

/// A word of a log format; what it means stands in `lb-expr`, which writes it.
const fn alias(name: &'static str, doc: &'static str) -> Keyword {
    word(Context::LogWord, name, "", doc, State::Works)
}

const fn filter(name: &'static str, args: &'static str, doc: &'static str, what: &'static str) -> Keyword {
    word(Context::Filter, name, args, doc, State::Refused(what))
}

const fn prefix(name: &'static str, args: &'static str, doc: &'static str) -> Keyword {
    word(Context::Address, name, args, doc, State::Works)
}

const fn refused_prefix(name: &'static str, args: &'static str, doc: &'static str, what: &'static str) -> Keyword {
    word(Context::Address, name, args, doc, State::Refused(what))
}

const NO_VALUE: State = State::Accepted("written as '-': there is nothing to show");
const BANDWIDTH: &str = "bandwidth limits";

pub(in crate::keywords) const KEYWORDS: &[Keyword] = &[
    alias("%o", "sets flags for all words after it"),
    alias("%B", "bytes sent to the client"),
    alias("%CC", "captured cookie of the request"),
    alias("%CS", "captured cookie of the response"),
    alias("%H", "name of this host"),
    alias("%HM", "method"),
    alias("%HP", "path"),
    alias("%HPO", "path without host"),
    alias("%HQ", "query string"),
    alias("%HU", "URI"),
    alias("%HV", "version of HTTP"),
    alias("%ID", "unique id"),
    alias("%OG", "step that the line is written at (3.1)"),
    alias("%ST", "status"),
    alias("%T", "date in GMT"),
    alias("%Ta", "active time of the request"),
    alias("%Tc", "time to connect"),
    alias("%Td", "time of the data"),
    alias("%Th", "time of the handshake"),
    alias("%Ti", "idle time before the request"),
    alias("%Tl", "local date"),
    alias("%Tq", "time until the request was complete"),
    alias("%TR", "time to receive the request"),
    alias("%Tr", "time until the response"),
    alias("%Ts", "date in seconds"),
    alias("%Tt", "total time"),
    alias("%Tu", "time as the user sees it"),
    alias("%Tw", "time in queues"),
    alias("%U", "bytes received from the client"),
    alias("%ac", "connections of the process"),
    alias("%b", "backend"),
    alias("%bc", "connections of the backend"),
    alias("%bi", "own address towards the server"),
    alias("%bp", "own port towards the server"),
    alias("%bq", "requests before it in the backend's queue"),
    alias("%ci", "client's address"),
    alias("%cp", "client's port"),
    alias("%f", "frontend"),
    alias("%fc", "connections of the frontend"),
    alias("%fi", "address that the client connected to"),
    alias("%fp", "port that the client connected to"),
    alias("%ft", "frontend, with '~' under TLS"),
    alias("%lc", "counter of lines"),
    alias("%hr", "captured fields of the request"),
    alias("%hrl", "captured fields of the request, as a list"),
    alias("%hs", "captured fields of the response"),
    alias("%hsl", "captured fields of the response, as a list"),
    alias("%ms", "milliseconds of the date"),
    alias("%pid", "number of the process"),
    alias("%r", "request line"),
    alias("%rc", "retries"),
    alias("%rt", "counter of requests"),
    alias("%s", "server"),
    alias("%sc", "connections of the server"),
    alias("%si", "server's address"),
    alias("%sp", "server's port"),
    alias("%sq", "requests before it in the server's queue"),
    word(Context::LogWord, "%sslc", "", "cipher", NO_VALUE),
    word(Context::LogWord, "%sslv", "", "version of TLS", NO_VALUE),
    alias("%t", "local date with milliseconds"),
    alias("%tr", "date of the request"),
    alias("%trg", "date of the request in GMT"),
    alias("%trl", "local date of the request"),
    alias("%ts", "termination state"),
    alias("%tsc", "termination state with the cookie's"),
    alias("%[...]", "a sample with its converters"),
    filter("bwlim-in", "<name> ...", "limits the rate of what comes in", BANDWIDTH),
    filter("bwlim-out", "<name> ...", "limits the rate of what goes out", BANDWIDTH),
    filter("cache", "<name>", "place of the cache among the filters", CACHE),
    filter("compression", "", "place of compression among the filters", COMPRESSION),
    filter("fcgi-app", "<name>", "place of FastCGI among the filters", FCGI),
    filter("opentracing", "[id <id>] config <file>", "traces with OpenTracing", "tracing"),
    filter("spoe", "[engine <name>] config <file>", "asks agents outside", "stream processing agents"),
    filter("trace", "[name <name>] [random-forwarding] [hexdump]", "shows what filters see", "traces"),
    word(Context::Service, "prometheus-exporter", "", "counters for Prometheus", State::Refused("statistics")),
    prefix("ip@", "<address>[:<port>]", "IPv4 or IPv6"),
    prefix("ipv4@", "<address>[:<port>]", "IPv4"),
    prefix("ipv6@", "<address>[:<port>]", "IPv6"),
    prefix("unix@", "<path>", "UNIX socket"),
    prefix("abns@", "<name>", "UNIX socket in the abstract namespace, its name filled up with zeros"),
    prefix("fd@", "<n>", "inherited descriptor"),
    prefix("udp@", "<address>[:<port>]", "UDP, for logs"),
    prefix("udp4@", "<address>[:<port>]", "UDP over IPv4, for logs"),
    prefix("udp6@", "<address>[:<port>]", "UDP over IPv6, for logs"),
    prefix("uxdg@", "<path>", "UNIX datagrams, for logs"),
    prefix("abnsz@", "<name>", "UNIX socket in the abstract namespace, its name as it stands"),
    prefix("tcp@", "<address>[:<port>]", "TCP"),
    prefix("tcp4@", "<address>[:<port>]", "TCP over IPv4"),
    prefix("tcp6@", "<address>[:<port>]", "TCP over IPv6"),
    prefix("uxst@", "<path>", "UNIX stream socket"),
    prefix("stream+", "<family>@<address>", "stream transport"),
    prefix("dgram+", "<family>@<address>", "datagram transport, for logs"),
    prefix("sockpair@", "<n>", "UNIX socket over which connections come and go as descriptors"),
    refused_prefix("quic4@", "<address>:<port>", "QUIC over IPv4", QUIC),
    refused_prefix("quic6@", "<address>:<port>", "QUIC over IPv6", QUIC),
    refused_prefix("rhttp@", "<server>", "reverse connections", "reverse connections"),
    prefix("ring@", "<name>", "a ring, for logs"),
];
