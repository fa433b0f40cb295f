//! `ring` and `log-forward` sections: what they come to, and what is wrong in them.

use lb_config::{Config, LogAddress, LogProto, LogTransportFormat, Severity, Source, parse};
use std::time::Duration;

fn read(text: &str) -> (Config, Vec<(Severity, String)>) {
    let (config, diagnostics) = parse(&Source::new().file("f", text.as_bytes()));
    (config, diagnostics.into_iter().map(|d| (d.severity, d.message)).collect())
}

#[track_caller]
fn good(text: &str) -> Config {
    let (config, said) = read(text);
    assert!(said.iter().all(|(severity, _)| *severity < Severity::Warning), "{said:?}");
    config
}

#[track_caller]
fn bad(text: &str, message: &str) {
    let (_, said) = read(text);
    assert!(said.iter().any(|(severity, text)| *severity == Severity::Error && text.contains(message)), "{text}: {said:?}");
}

#[test]
fn a_ring_and_its_targets() {
    let config = good(
        "global\n log ring@later local0\n log tcp@127.0.0.1 format iso local1\nring later\n description some words\n format rfc5424\n maxlen 1200\n \
         size 32764\n timeout connect 5s\n timeout server 10s\n server a 127.0.0.1:514 log-proto octet-count\n server b unix@/x\n",
    );
    let [ring, own] = &config.rings[..] else { panic!("{:?}", config.rings) };
    assert_eq!((ring.name.as_str(), ring.description.as_deref()), ("later", Some("some words")));
    assert_eq!((ring.format, ring.max_len, ring.size), (LogTransportFormat::Rfc5424, 1_200, 32_764));
    assert_eq!((ring.timeout_connect, ring.timeout_server), (Some(Duration::from_secs(5)), Some(Duration::from_secs(10))));
    assert_eq!(ring.servers.iter().map(|s| s.log_proto).collect::<Vec<_>>(), [LogProto::OctetCount, LogProto::Legacy]);
    assert_eq!(config.global.logs[0].address, LogAddress::Ring("later".into()));
    // A line with the address of a stream has a ring of its own, in its own format.
    assert_eq!(config.global.logs[1].address, LogAddress::Ring(own.name.clone()));
    assert_eq!((own.format, own.servers[0].address.socket_addr(0)), (LogTransportFormat::Iso, "127.0.0.1:514".parse().ok()));
}

#[test]
fn a_ring_of_a_line_has_the_format_that_the_host_name_asks_for() {
    let config = good("global\n log tcp@127.0.0.1:5 local1\n log-send-hostname\n");
    assert_eq!(config.rings[0].format, LogTransportFormat::Rfc3164);
}

#[test]
fn a_section_that_forwards() {
    let config = good(
        "global\n log 127.0.0.1:1 local0\nlog-forward lf\n bind 127.0.0.1:2,127.0.0.1:3 name x\n dgram-bind 127.0.0.1:4,:5-6 interface lo\n \
         maxconn 7\n backlog 8\n timeout client 9s\n log global\n log stderr format raw local1\n",
    );
    let [forward] = &config.log_forwards[..] else { panic!("{:?}", config.log_forwards) };
    assert_eq!((forward.binds[0].addresses.len(), forward.maxconn, forward.backlog), (2, 7, Some(8)));
    assert_eq!(forward.dgram_binds.iter().map(|b| b.address.to_string()).collect::<Vec<_>>(), ["127.0.0.1:4", "0.0.0.0:5", "0.0.0.0:6"]);
    assert_eq!(forward.timeout_client, Some(Duration::from_secs(9)));
    assert_eq!(
        forward.logs.iter().map(|t| (t.address.clone(), t.format_given)).collect::<Vec<_>>(),
        [(LogAddress::Udp("127.0.0.1:1".parse().expect("an address")), false), (LogAddress::Stderr, true)]
    );
    assert!(config.listens());
    assert_eq!(good("log-forward lf\n dgram-bind 127.0.0.1:4\n").log_forwards[0].maxconn, 10);
}

#[test]
fn what_is_wrong() {
    for (text, message) in [
        ("ring\n", "'ring' wants a name"),
        ("ring a b\n", "unexpected 'b'"),
        ("ring a\nring a\n", "is already there on line 1"),
        ("ring a\n foo\n", "unknown keyword 'foo' in section 'ring'"),
        ("ring a\n size 100\n", "out of range"),
        ("ring a\n backing-file\n", "'backing-file' wants <file>"),
        ("ring a\n format x\n", "does not take 'x'"),
        ("ring a\n server s 127.0.0.1\n", "has no port"),
        ("ring a\n server s 127.0.0.1:1 log-proto x\n", "'log-proto' does not take 'x'"),
        ("global\n log ring@b local0\nring a\n", "there is no ring named 'b'"),
        ("frontend f\n bind :1\n log ring@b local0\n", "there is no ring named 'b'"),
        ("log-forward a\n log ring@b local0\n", "there is no ring named 'b'"),
        ("log-forward\n", "'log-forward' wants a name"),
        ("log-forward a\nlog-forward a\n", "is already there on line 1"),
        ("log-forward a\n dgram-bind 127.0.0.1\n", "wants a port"),
        ("log-forward a\n dgram-bind tcp@127.0.0.1:1\n", "is for connections"),
        ("log-forward a\n dgram-bind /x\n", "come to an IP address"),
        ("log-forward a\n dgram-bind :1 foo\n", "does not take 'foo'"),
        ("log-forward a\n maxconn 0\n", "out of range"),
        ("log-profile\n", "'log-profile' wants a name"),
        ("log-profile a\n on\n", "'on' wants <step>"),
        ("log-profile a\n on foo drop\n", "'on' does not take 'foo'"),
        ("log-profile a\n on quic-init drop\n", "known but not there yet"),
        ("log-profile a\n on close\n", "says nothing"),
        ("log-profile a\n on close format %zz\n", "no such format variable 'zz'"),
        ("log-profile a\n on close sd\n", "'on' wants <step>"),
        ("log-profile a\n on close drop it\n", "'on' does not take 'it'"),
        ("log-profile prof\nglobal\n log stdout profile prov local0\n", "there is no log-profile named 'prov'"),
        ("listen a\n log-steps foo\n", "'foo' is no step"),
        ("listen a\n log-steps accept,\n", "'' is no step"),
        ("log-forward a\n option host\n", "'option host' wants append|fill|keep|replace"),
        ("log-forward a\n option host fil\n", "'option host' does not take 'fil'"),
        ("log-forward a\n option dont-parse-log x\n", "unexpected 'x'"),
        ("log-forward a\n no option host\n", "cannot stand in front"),
    ] {
        bad(text, message);
    }
    // Lines that ask for much cost nothing before they are counted.
    bad(&format!("log-forward a\n{}", " dgram-bind :1-65535\n".repeat(20)), "too many addresses to listen on");
}
