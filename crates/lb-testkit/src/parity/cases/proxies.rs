//! PROXY protocol, received and sent, well formed and not.

use super::super::case::*;
use super::{GET, OK, answer, serve};
use crate::proxyproto::{V2_SIGNATURE, tlv, v1, v2, v2_len, v2_local, v2_raw};
use crate::script::Step;

pub(super) fn cases() -> Vec<Case> {
    let mut out = Vec::new();
    out.extend(received());
    out.extend(malformed());
    out.extend(sent());
    out
}

fn accept(name: &'static str, header: &[u8]) -> Builder {
    http(name).bind("accept-proxy").be("option forwardfor").origin(answer(OK)).client(vec![send([header, GET.as_bytes()].concat()), RESP])
}

fn received() -> Vec<Case> {
    let (a4, b4) = ("192.0.2.7:1111".parse().expect("an address"), "192.0.2.8:2222".parse().expect("an address"));
    let (a6, b6) = ("[2001:db8::7]:1111".parse().expect("an address"), "[2001:db8::8]:2222".parse().expect("an address"));
    let mut out = vec![
        accept("proxy-in/v1-tcp4", &v1(a4, b4)).build(),
        accept("proxy-in/v1-tcp6", &v1(a6, b6)).build(),
        accept("proxy-in/v1-unknown", b"PROXY UNKNOWN\r\n").build(),
        accept("proxy-in/v1-unknown-with-rest", b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n").build(),
        accept("proxy-in/v2-tcp4", &v2(a4, b4, b"")).build(),
        accept("proxy-in/v2-tcp6", &v2(a6, b6, b"")).build(),
        accept("proxy-in/v2-local", &v2_local()).build(),
        accept("proxy-in/v2-local-with-addresses", &v2_raw(0x20, 0x11, &[1; 12])).build(),
        accept("proxy-in/v2-unspec", &v2_raw(0x21, 0x00, b"")).build(),
        accept("proxy-in/v2-unspec-with-bytes", &v2_raw(0x21, 0x00, &[7; 20])).build(),
        accept("proxy-in/v2-udp", &v2_raw(0x21, 0x12, &[1; 12])).build(),
        accept("proxy-in/v2-tlvs", &v2(a4, b4, &[tlv(1, b"h2"), tlv(2, b"example.com"), tlv(4, &[0; 9]), tlv(5, b"id")].concat())).build(),
        accept("proxy-in/v2-unix", &v2_raw(0x21, 0x31, &[b'/'; 216])).build(),
        http("proxy-in/v1-in-pieces")
            .bind("accept-proxy")
            .be("option forwardfor")
            .origin(answer(OK))
            .client(vec![drip(v1(a4, b4), 1, 2), send(GET), RESP])
            .build(),
        http("proxy-in/v2-in-pieces")
            .bind("accept-proxy")
            .be("option forwardfor")
            .origin(answer(OK))
            .client(vec![drip(v2(a4, b4, b""), 1, 2), send(GET), RESP])
            .build(),
        http("proxy-in/keep-alive")
            .bind("accept-proxy")
            .be("option forwardfor")
            .origin(serve(OK))
            .client(vec![send([v1(a4, b4), GET.into()].concat()), RESP, send(GET), RESP])
            .logs(2)
            .build(),
        tcp("proxy-in/tcp-v1")
            .bind("accept-proxy")
            .origin(vec![until("x"), send("y"), CLOSE])
            .client(vec![send(v1(a4, b4)), send("x"), EOF])
            .build(),
        tcp("proxy-in/tcp-v2")
            .bind("accept-proxy")
            .origin(vec![until("x"), send("y"), CLOSE])
            .client(vec![send(v2(a4, b4, b"")), send("x"), EOF])
            .build(),
        tcp("proxy-in/tcp-v1-header-alone")
            .bind("accept-proxy")
            .origin(vec![send("banner"), CLOSE])
            .client(vec![send(v1(a4, b4)), EOF])
            .build(),
        tcp("proxy-in/tcp-through")
            .bind("accept-proxy")
            .srv("send-proxy")
            .origin(vec![until("x"), send("y"), CLOSE])
            .client(vec![send(v1(a4, b4)), send("x"), EOF])
            .build(),
        tcp("proxy-in/tcp-through-v2-tcp6")
            .bind("accept-proxy")
            .srv("send-proxy-v2")
            .origin(vec![until("x"), send("y"), CLOSE])
            .client(vec![send(v1(a6, b6)), send("x"), EOF])
            .build(),
        tcp("proxy-in/tcp-local-through")
            .bind("accept-proxy")
            .srv("send-proxy")
            .origin(vec![until("x"), send("y"), CLOSE])
            .client(vec![send(v2_local()), send("x"), EOF])
            .build(),
        tcp("proxy-in/tcp-unknown-through")
            .bind("accept-proxy")
            .srv("send-proxy")
            .origin(vec![until("x"), send("y"), CLOSE])
            .client(vec![send("PROXY UNKNOWN\r\n"), send("x"), EOF])
            .build(),
        tcp("proxy-in/tcp-unknown-through-v2")
            .bind("accept-proxy")
            .srv("send-proxy-v2")
            .origin(vec![until("x"), send("y"), CLOSE])
            .client(vec![send("PROXY UNKNOWN\r\n"), send("x"), EOF])
            .build(),
    ];
    // The destination of the header is what counts from then on, for the log too.
    out.push(
        tcp("proxy-in/timeout-client-covers-header")
            .bind("accept-proxy")
            .fe("timeout client 300ms")
            .origin(vec![EOF])
            .client(vec![send("PROXY"), EOF])
            .build(),
    );
    out
}

fn malformed() -> Vec<Case> {
    let mut out = Vec::new();
    let long = format!("PROXY TCP4 {} 1 1\r\n", "1".repeat(200));
    let (a4, b4) = ("192.0.2.7:1111".parse().expect("an address"), "192.0.2.8:2222".parse().expect("an address"));
    for (name, header) in [
        ("proxy-bad/none", b"".to_vec()),
        ("proxy-bad/lower-case", b"proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n".to_vec()),
        ("proxy-bad/family", b"PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n".to_vec()),
        ("proxy-bad/address", b"PROXY TCP4 1.1.1.256 2.2.2.2 1 2\r\n".to_vec()),
        ("proxy-bad/v6-in-tcp4", b"PROXY TCP4 ::1 ::2 1 2\r\n".to_vec()),
        ("proxy-bad/v4-in-tcp6", b"PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n".to_vec()),
        ("proxy-bad/port-too-large", b"PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n".to_vec()),
        ("proxy-bad/port-leading-zeros", b"PROXY TCP4 1.1.1.1 2.2.2.2 0001 0002\r\n".to_vec()),
        ("proxy-bad/port-negative", b"PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n".to_vec()),
        ("proxy-bad/missing-port", b"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n".to_vec()),
        ("proxy-bad/two-spaces", b"PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n".to_vec()),
        ("proxy-bad/trailing-space", b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n".to_vec()),
        ("proxy-bad/trailing-word", b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n".to_vec()),
        ("proxy-bad/lf-only", b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n".to_vec()),
        ("proxy-bad/too-long", long.into_bytes()),
        ("proxy-bad/empty-after-proxy", b"PROXY \r\n".to_vec()),
        ("proxy-bad/proxy-only", b"PROXY\r\n".to_vec()),
        ("proxy-bad/v2-version-1", v2_raw(0x11, 0x11, &[1; 12])),
        ("proxy-bad/v2-version-3", v2_raw(0x31, 0x11, &[1; 12])),
        ("proxy-bad/v2-command-2", v2_raw(0x22, 0x11, &[1; 12])),
        ("proxy-bad/v2-family-4", v2_raw(0x21, 0x41, &[1; 12])),
        ("proxy-bad/v2-transport-3", v2_raw(0x21, 0x13, &[1; 12])),
        ("proxy-bad/v2-short-addresses", v2_raw(0x21, 0x11, &[1; 11])),
        ("proxy-bad/v2-no-addresses", v2_raw(0x21, 0x11, b"")),
        ("proxy-bad/v2-tcp6-short", v2_raw(0x21, 0x21, &[1; 35])),
        ("proxy-bad/v2-tlv-past-end", v2(a4, b4, &[4, 0, 200, 1])),
        ("proxy-bad/v2-tlv-truncated", v2(a4, b4, &[4, 0])),
        ("proxy-bad/v2-tlv-empty", v2(a4, b4, &tlv(4, b""))),
        ("proxy-bad/v2-huge-length", v2_len(0x21, 0x11, 65535, &[1; 12])),
        ("proxy-bad/v2-bad-signature", [&V2_SIGNATURE[..11], b"X\x21\x11\x00\x0c", &[1; 12]].concat()),
        ("proxy-bad/v2-length-counts-request", v2_len(0x21, 0x11, 14, &[1; 12])),
    ] {
        out.push(
            http(name)
                .bind("accept-proxy")
                .fe("timeout client 700ms")
                .be("option forwardfor")
                .origin(serve(OK))
                .client(vec![send([header, GET.replace("a\r\n", "a\r\nConnection: close\r\n").into_bytes()].concat()), EOF])
                .build(),
        );
    }
    // `name` and `id` of the line show where a connection has no stream yet.
    for (name, words) in [
        ("proxy-bad/bind-name", "accept-proxy name web"),
        ("proxy-bad/bind-id", "accept-proxy id 77"),
        ("proxy-bad/bind-name-and-id", "accept-proxy id 77 name web"),
    ] {
        out.push(http(name).bind(words).origin(serve(OK)).client(vec![send(GET), EOF]).build());
    }
    out.push(http("proxy-bad/nothing-then-close").bind("accept-proxy").origin(serve(OK)).client(vec![pause(20), FIN, EOF]).build());
    out.push(
        http("proxy-bad/nothing-then-close-dontlognull")
            .bind("accept-proxy")
            .fe("option dontlognull")
            .origin(serve(OK))
            .client(vec![pause(20), FIN, EOF])
            .logs(0)
            .build(),
    );
    out.push(
        http("proxy-bad/partial-then-close")
            .bind("accept-proxy")
            .origin(serve(OK))
            .client(vec![send("PROXY TC"), pause(20), FIN, EOF])
            .build(),
    );
    out.push(http("proxy-bad/reset").bind("accept-proxy").origin(serve(OK)).client(vec![send("PROXY TC"), pause(20), RST]).build());
    out.push(http("proxy-bad/not-expected").origin(serve(OK)).client(vec![send([v1(a4, b4), GET.into()].concat()), EOF]).build());
    out
}

fn sent() -> Vec<Case> {
    let mut out = Vec::new();
    for (name, words) in [
        ("proxy-out/v1", "send-proxy"),
        ("proxy-out/v2", "send-proxy-v2"),
        ("proxy-out/v2-crc", "send-proxy-v2 proxy-v2-options crc32c"),
        ("proxy-out/v2-unique-id-absent", "send-proxy-v2 proxy-v2-options unique-id"),
    ] {
        out.push(http(name).srv(words).origin(vec![until("host: a\r\n\r\n"), send(OK)]).client(vec![send(GET), RESP]).build());
    }
    for (name, words) in [("proxy-out/tcp-v1", "send-proxy"), ("proxy-out/tcp-v2", "send-proxy-v2")] {
        out.push(tcp(name).srv(words).origin(vec![until("ping"), send("pong"), CLOSE]).client(vec![send("ping"), EOF]).build());
    }
    out.push(
        tcp("proxy-out/tcp-v1-server-first").srv("send-proxy").origin(vec![until("\r\n"), send("hi"), CLOSE]).client(vec![EOF]).build(),
    );
    out.push(
        http("proxy-out/not-shared-between-clients")
            .srv("send-proxy")
            .be("http-reuse always")
            .origin(vec![until("host: a\r\n\r\n"), send(OK), Step::Serve(OK.into())])
            .client(vec![send(GET), RESP, CLOSE])
            .client(vec![send(GET), RESP])
            .logs(2)
            .build(),
    );
    out
}
