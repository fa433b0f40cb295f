//! PROXY protocol headers: what is read, what is refused, what is written.

use lb_http::proxy::{Decoded, Endpoints, MAX_V1, MAX_V2, ProxyError, Tlv, crc32c, decode, encode_v1, encode_v2};

fn inet(src: &str, dst: &str) -> Endpoints {
    Endpoints::Inet { src: src.parse().unwrap(), dst: dst.parse().unwrap() }
}

/// Types and values.
type Tlvs = Vec<(u8, Vec<u8>)>;

/// Decodes `header` with other bytes behind it; every prefix of a sound header wants more.
#[track_caller]
fn read(header: &[u8]) -> Result<(u8, Option<Endpoints>, Tlvs), ProxyError> {
    let bytes = [header, b"GET / HTTP/1.1\r\n"].concat();
    match decode(&bytes)? {
        Decoded::NeedMore => panic!("{:?} wants more", String::from_utf8_lossy(header)),
        Decoded::Complete { header: h, consumed } => {
            assert_eq!(consumed, header.len());
            for cut in 0..consumed {
                assert_eq!(decode(&bytes[..cut]), Ok(Decoded::NeedMore), "{cut}");
            }
            let tlvs = h.tlvs.map(|t| match t {
                Tlv::Alpn(v) => (1, v.to_vec()),
                Tlv::Authority(v) => (2, v.to_vec()),
                Tlv::UniqueId(v) => (5, v.to_vec()),
                Tlv::Other(k, v) => (k, v.to_vec()),
            });
            Ok((h.version, h.endpoints, tlvs.collect()))
        }
    }
}

#[test]
fn version_1() {
    for (line, want) in [
        ("PROXY TCP4 1.2.3.4 5.6.7.8 10 20\r\n", Some(inet("1.2.3.4:10", "5.6.7.8:20"))),
        ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", Some(inet("255.255.255.255:65535", "255.255.255.255:65535"))),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 0 0\r\n", Some(inet("1.2.3.4:0", "5.6.7.8:0"))),
        ("PROXY TCP6 ::1 ::2 10 20\r\n", Some(inet("[::1]:10", "[::2]:20"))),
        ("PROXY TCP6 ::ffff:1.2.3.4 2001:DB8::A 10 20\r\n", Some(inet("[::ffff:1.2.3.4]:10", "[2001:db8::a]:20"))),
        ("PROXY UNKNOWN\r\n", None),
        ("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", None),
    ] {
        assert_eq!(read(line.as_bytes()), Ok((1, want, vec![])), "{line:?}");
    }
    for line in [
        "PROXY TCP4 01.2.3.4 5.6.7.8 10 20\r\n",
        "PROXY TCP4 300.2.3.4 5.6.7.8 10 20\r\n",
        "PROXY TCP4 1.2.3 5.6.7.8 10 20\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 010 20\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 10 70000\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 +1 20\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 10 20\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 10 20 \r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 10 20 x\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 10\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8  20\r\n",
        "PROXY  TCP4 1.2.3.4 5.6.7.8 10 20\r\n",
        "PROXY TCP4  1.2.3.4 5.6.7.8 10 20\r\n",
        "PROXY TCP4 ::1 ::2 10 20\r\n",
        "PROXY TCP6 1.2.3.4 ::2 10 20\r\n",
        "PROXY TCP6 [::1] ::2 10 20\r\n",
        "PROXY TCP6 fe80::1%eth0 ::2 10 20\r\n",
        "PROXY UNKNOWNX\r\n",
        "PROXY FOO 1 2 3 4\r\n",
        "PROXY \r\n",
        "PROXY UNKNOWN\rX\r\n",
        "PROXY UNKNOWN \x00\r\n",
        "PROXY UNKNOWN é\r\n",
        "PROXY TCP4\x00",
        "PROXY TCP4\tx",
    ] {
        assert_eq!(decode(line.as_bytes()), Err(ProxyError::MalformedV1), "{line:?}");
    }
    let long = |n: usize| format!("PROXY UNKNOWN {}\r\n", "f".repeat(n - 16));
    assert_eq!(read(long(MAX_V1).as_bytes()), Ok((1, None, vec![])));
    assert_eq!(decode(long(MAX_V1 + 1).as_bytes()), Err(ProxyError::MalformedV1));
    for other in ["GET / HTTP/1.1\r\n", "proxy UNKNOWN\r\n", "PROXY\r\n", "\r\n\r\n\0\r\nQUIX", "\0"] {
        assert_eq!(decode(other.as_bytes()), Err(ProxyError::NotProxy), "{other:?}");
    }
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn v2(version_command: u8, family: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [SIGNATURE, &[version_command, family], &(body.len() as u16).to_be_bytes(), &body].concat()
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind], &(value.len() as u16).to_be_bytes()[..], value].concat()
}

const V4: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 0, 10, 0, 20];

#[test]
fn version_2() {
    let v4 = Some(inet("1.2.3.4:10", "5.6.7.8:20"));
    let mut v6 = [0u8; 36];
    (v6[15], v6[31], v6[33], v6[35]) = (1, 2, 10, 20);
    let mut unix = [0u8; 216];
    unix[..2].copy_from_slice(b"/a");
    unix[108..216].fill(b'b');
    let path = Endpoints::Unix { src: b"/a".to_vec(), dst: vec![b'b'; 108] };
    for (bytes, endpoints, tlvs) in [
        (v2(0x21, 0x11, &[V4]), v4.clone(), vec![]),
        (v2(0x21, 0x21, &[&v6]), Some(inet("[::1]:10", "[::2]:20")), vec![]),
        (v2(0x21, 0x31, &[&unix]), Some(path), vec![]),
        (v2(0x20, 0x00, &[]), None, vec![]),
        (v2(0x20, 0x11, &[V4]), None, vec![]),
        (v2(0x20, 0xff, &[b"abc"]), None, vec![]),
        (v2(0x20, 0x11, &[V4, &tlv(3, b"abcd")]), None, vec![]),
        (v2(0x21, 0x11, &[V4, &tlv(4, b"")]), v4.clone(), vec![(4, vec![])]),
        (
            v2(0x21, 0x11, &[V4, &tlv(2, b"h"), &tlv(5, b"id"), &tlv(1, b"h2"), &tlv(0x99, b"z")]),
            v4.clone(),
            vec![(2, b"h".to_vec()), (5, b"id".to_vec()), (1, b"h2".to_vec()), (0x99, b"z".to_vec())],
        ),
        (v2(0x21, 0x11, &[V4, &tlv(2, &[b'a'; 255]), &tlv(5, &[b'u'; 128])]), v4.clone(), vec![(2, vec![b'a'; 255]), (5, vec![b'u'; 128])]),
        (v2(0x21, 0x11, &[V4, &tlv(0x99, &[b'z'; MAX_V2 - 16 - 12 - 3])]), v4.clone(), vec![(0x99, vec![b'z'; MAX_V2 - 31])]),
    ] {
        assert_eq!(read(&bytes), Ok((2, endpoints, tlvs)), "{bytes:?}");
    }
    for (bytes, error) in [
        (v2(0x21, 0x00, &[]), ProxyError::Family),
        (v2(0x21, 0x12, &[V4]), ProxyError::Family),
        (v2(0x21, 0x10, &[V4]), ProxyError::Family),
        (v2(0x21, 0x41, &[V4]), ProxyError::Family),
        (v2(0x21, 0x13, &[V4]), ProxyError::Family),
        (v2(0x22, 0x11, &[V4]), ProxyError::Command),
        (v2(0x11, 0x11, &[V4]), ProxyError::Command),
        (v2(0x21, 0x11, &[&V4[..11]]), ProxyError::Length),
        (v2(0x21, 0x11, &[]), ProxyError::Length),
        (v2(0x21, 0x31, &[&unix[..215]]), ProxyError::Length),
        (v2(0x21, 0x11, &[V4, b"x"]), ProxyError::Tlv),
        (v2(0x21, 0x11, &[V4, b"xy"]), ProxyError::Tlv),
        (v2(0x21, 0x11, &[V4, b"\x04\x00\x05abc"]), ProxyError::Tlv),
        (v2(0x21, 0x11, &[V4, b"\x04\xff\xff"]), ProxyError::Tlv),
        (v2(0x21, 0x11, &[V4, &tlv(2, &[b'a'; 256])]), ProxyError::Tlv),
        (v2(0x21, 0x11, &[V4, &tlv(5, &[b'u'; 129])]), ProxyError::Tlv),
        (v2(0x21, 0x11, &[V4, &tlv(3, b"abc")]), ProxyError::Tlv),
        (v2(0x21, 0x11, &[V4, &tlv(3, b"abcd")]), ProxyError::Checksum),
        (v2(0x21, 0x11, &[V4, &tlv(0x99, &[b'z'; MAX_V2])]), ProxyError::Length),
    ] {
        assert_eq!(decode(&bytes), Err(error), "{bytes:?}");
    }
}

#[test]
fn checksums() {
    assert_eq!(crc32c(&[b"123456789"]), 0xe306_9283);
    // As haproxy sent it (send-proxy-v2, proxy-v2-options crc32c).
    let seen = b"\r\n\r\n\x00\r\nQUIT\n!\x11\x00\x13\x7f\x00\x00\x01\x7f\x00\x00\x01\xbf:\xd7\xfb\x03\x00\x04J\xea\xa1n";
    assert_eq!(read(seen).unwrap().1, Some(inet("127.0.0.1:48954", "127.0.0.1:55291")));
    let mut written = Vec::new();
    encode_v2(Some(&inet("127.0.0.1:48954", "127.0.0.1:55291")), &[], true, &mut written);
    assert_eq!(written, seen);
    let mut local = Vec::new();
    encode_v2(None, &[], true, &mut local);
    assert_eq!(local, b"\r\n\r\n\x00\r\nQUIT\n \x00\x00\x07\x03\x00\x04\xa9\xb8~\x8f");
    // Any flipped bit shows.
    for bit in 16 * 8..seen.len() * 8 {
        let mut bytes = seen.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(&bytes).is_err() || bit / 8 == 28 || bit / 8 == 29 || bit / 8 == 30, "bit {bit}");
    }
}

#[test]
fn what_is_written() {
    let v4 = inet("1.2.3.4:10", "5.6.7.8:20");
    let v6 = inet("[::1]:10", "[2001:db8::2]:20");
    let unix = Endpoints::Unix { src: b"/a".to_vec(), dst: Vec::new() };
    let mixed = inet("1.2.3.4:10", "[::1]:20");
    for (ends, line) in [
        (Some(&v4), "PROXY TCP4 1.2.3.4 5.6.7.8 10 20\r\n"),
        (Some(&v6), "PROXY TCP6 ::1 2001:db8::2 10 20\r\n"),
        (Some(&unix), "PROXY UNKNOWN\r\n"),
        (Some(&mixed), "PROXY UNKNOWN\r\n"),
        (None, "PROXY UNKNOWN\r\n"),
    ] {
        let mut out = Vec::new();
        encode_v1(ends, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), line);
    }
    let mut out = b"kept".to_vec();
    encode_v2(Some(&v4), &[Tlv::UniqueId(b"id")], false, &mut out);
    assert_eq!(out, [b"kept", v2(0x21, 0x11, &[V4, &tlv(5, b"id")]).as_slice()].concat());
    for ends in [Some(&v4), Some(&v6), Some(&unix), None] {
        for with_crc in [false, true] {
            let tlvs = [Tlv::Authority(b"example.org"), Tlv::UniqueId(b"1"), Tlv::Other(0xe0, b"")];
            let mut out = Vec::new();
            encode_v2(ends, &tlvs, with_crc, &mut out);
            let (_, got, got_tlvs) = read(&out).unwrap();
            assert_eq!(got.as_ref(), ends);
            let kinds: Vec<u8> = got_tlvs.iter().map(|t| t.0).collect();
            let want: &[u8] = match (ends, with_crc) {
                (None, _) => &[],
                (_, true) => &[3, 2, 5, 0xe0],
                _ => &[2, 5, 0xe0],
            };
            assert_eq!(kinds, want);
        }
    }
    // What does not fit is left out, never cut.
    let big = vec![0u8; 65_000];
    let mut out = Vec::new();
    encode_v2(Some(&v4), &[Tlv::Other(0xe0, &big), Tlv::Other(0xe1, &big), Tlv::Other(0xe2, b"x")], false, &mut out);
    assert_eq!(out.len(), 16 + 12 + 3 + 65_000 + 4);
}
