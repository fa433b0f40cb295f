//! NetScaler Client IP headers, received, well formed and not.

use super::super::case::*;
use super::{GET, OK, answer, serve};
use crate::proxyproto::{ip_and_tcp, netscaler, netscaler_legacy, v1};
use std::net::SocketAddr;

const MAGIC: u32 = 123_456;
const TCP: u8 = 6;
const UDP: u8 = 17;

fn accept(name: &'static str, header: &[u8]) -> Builder {
    http(name)
        .bind("accept-netscaler-cip 123456")
        .be("option forwardfor")
        .be("option originalto")
        .origin(answer(OK))
        .client(vec![send([header, GET.as_bytes()].concat()), RESP])
}

fn refuse(name: &'static str, header: &[u8]) -> Case {
    http(name).bind("accept-netscaler-cip 123456").origin(serve(OK)).client(vec![send([header, GET.as_bytes()].concat()), EOF]).build()
}

pub(super) fn cases() -> Vec<Case> {
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    let four = |protocol| ip_and_tcp(address("192.0.2.7:1111"), address("192.0.2.8:2222"), protocol);
    let six = |protocol| ip_and_tcp(address("[2001:db8::7]:1111"), address("[2001:db8::8]:2222"), protocol);
    let v5 = [&[0x55][..], &four(TCP)[1..]].concat();
    let proxy = v1(address("198.51.100.1:5"), address("198.51.100.2:6"));
    let bind = "accept-netscaler-cip 123456 accept-proxy";
    vec![
        accept("netscaler/legacy-4", &netscaler_legacy(MAGIC, &four(TCP))).build(),
        accept("netscaler/legacy-6", &netscaler_legacy(MAGIC, &six(TCP))).build(),
        accept("netscaler/standard-4", &netscaler(MAGIC, &four(TCP))).build(),
        accept("netscaler/standard-6", &netscaler(MAGIC, &six(TCP))).build(),
        accept("netscaler/more-than-the-headers", &netscaler(MAGIC, &[four(TCP), vec![7; 4]].concat())).build(),
        accept("netscaler/and-proxy", &[netscaler(MAGIC, &four(TCP)), proxy.clone()].concat()).bind(bind).build(),
        tcp("netscaler/tcp-through")
            .bind("accept-netscaler-cip 123456")
            .srv("send-proxy")
            .origin(vec![until("x"), send("y"), CLOSE])
            .client(vec![send(netscaler_legacy(MAGIC, &four(TCP))), send("x"), EOF])
            .build(),
        http("netscaler/keep-alive")
            .bind("accept-netscaler-cip 123456")
            .be("option forwardfor")
            .origin(serve(OK))
            .client(vec![send([netscaler(MAGIC, &four(TCP)), GET.into()].concat()), RESP, send(GET), RESP])
            .logs(2)
            .build(),
        refuse("netscaler-bad/magic", &netscaler_legacy(7, &four(TCP))),
        refuse("netscaler-bad/none", b""),
        refuse("netscaler-bad/udp-4", &netscaler_legacy(MAGIC, &four(UDP))),
        refuse("netscaler-bad/udp-6", &netscaler(MAGIC, &six(UDP))),
        refuse("netscaler-bad/version-5", &netscaler(MAGIC, &v5)),
        refuse("netscaler-bad/neither-form", &netscaler_legacy(MAGIC, &v5)),
        refuse("netscaler-bad/empty", &netscaler_legacy(MAGIC, b"")),
        refuse("netscaler-bad/half-a-tcp-header", &netscaler_legacy(MAGIC, &four(TCP)[..30])),
        refuse("netscaler-bad/inner-length-beyond", &netscaler_legacy(MAGIC, &[&[0x4f][..], &four(TCP)[1..]].concat())),
        refuse("netscaler-bad/inner-length-none", &netscaler_legacy(MAGIC, &[&[0x40][..], &four(TCP)[1..]].concat())),
        http("netscaler-bad/proxy-first")
            .bind(bind)
            .origin(serve(OK))
            .client(vec![send([proxy, netscaler(MAGIC, &four(TCP)), GET.into()].concat()), EOF])
            .build(),
        http("netscaler/nothing").bind("accept-netscaler-cip 123456").origin(serve(OK)).client(vec![FIN, EOF]).build(),
        http("netscaler/silence")
            .bind("accept-netscaler-cip 123456")
            .fe("timeout client 200ms")
            .origin(serve(OK))
            .client(vec![EOF])
            .build(),
        http("netscaler-bad/closed-in-it")
            .bind("accept-netscaler-cip 123456")
            .origin(serve(OK))
            .client(vec![send(&netscaler(MAGIC, &four(TCP))[..20]), FIN, EOF])
            .build(),
    ]
}
