//! Targets over `lb-http`.

use lb_http::chunk::{self, ChunkError, Event};
use lb_http::h1::{Decoded, Decoder, Encoder, ErrorKind, Limits, ResponseTo, RestrictNames};
use lb_http::proxy::{self, Endpoints};
use lb_http::{Body, Head, is_field_name, is_field_value};

/// Pieces that the formats like, for a mutator.
pub const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b"\r\n ",
    b"\r\n\r\n",
    b":",
    b": ",
    b",",
    b";",
    b"0",
    b"GET ",
    b"CONNECT ",
    b"HEAD ",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"http://a",
    b"*",
    b"Host: a\r\n",
    b"Content-Length: ",
    b"Transfer-Encoding: ",
    b"chunked",
    b"gzip, ",
    b"Connection: ",
    b"keep-alive",
    b"close",
    b"Upgrade",
    b"Upgrade: x\r\n",
    b"TE: trailers\r\n",
    b"Expect: 100-continue\r\n",
    b"101 ",
    b"204 ",
    b"PROXY ",
    b"TCP4 ",
    b"UNKNOWN",
    b"\r\n\r\n\0\r\nQUIT\n",
    b"\x21\x11",
    b"\xff\xff",
    b"7fffffffffffffff",
    b"\x80",
    b"%",
];

/// What a head came to, without what depends on how it was fragmented.
#[derive(Debug, PartialEq)]
struct Outcome {
    result: Result<(usize, Body, [bool; 6]), ErrorKind>,
    sent: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Mode {
    response: bool,
    to: ResponseTo,
    names: RestrictNames,
    relaxed: bool,
    max_head: usize,
}

impl Mode {
    fn of(byte: u8) -> Mode {
        Mode {
            response: byte & 1 != 0,
            relaxed: byte & 2 != 0,
            to: ResponseTo { head: byte & 4 != 0, connect: byte & 8 != 0, upgrade: byte & 16 != 0 },
            names: match byte >> 5 & 3 {
                1 => RestrictNames::Delete,
                2 => RestrictNames::Reject,
                _ => RestrictNames::Preserve,
            },
            max_head: if byte & 128 != 0 { 200 } else { 2000 },
        }
    }

    fn limits(self) -> Limits {
        Limits { max_head: self.max_head, max_headers: 20, relaxed: self.relaxed, names: self.names, ..Limits::default() }
    }

    /// One call: `None` wants more.
    fn decode(self, decoder: &mut Decoder, buf: &[u8], head: &mut Head) -> Option<Result<(usize, Body, [bool; 6]), ErrorKind>> {
        let limits = self.limits();
        if self.response {
            match decoder.decode_response(buf, &limits, self.to, head) {
                Ok(Decoded::Partial) => None,
                Ok(Decoded::Complete { consumed, framing: f }) => {
                    Some(Ok((consumed, f.body, [f.keep_alive, f.close, f.interim, false, false, false])))
                }
                Err(e) => Some(Err(e.kind)),
            }
        } else {
            match decoder.decode_request(buf, &limits, head) {
                Ok(Decoded::Partial) => None,
                Ok(Decoded::Complete { consumed, framing: f }) => {
                    let flags = [f.keep_alive, f.close, f.expect_continue, f.upgrade, f.connect, f.restricted_name];
                    Some(Ok((consumed, f.body, flags)))
                }
                Err(e) => Some(Err(e.kind)),
            }
        }
    }

    fn encode(self, head: &Head) -> Vec<u8> {
        let mut out = Vec::new();
        if self.response {
            Encoder::new().encode_response(head, &mut out);
        } else {
            Encoder::new().encode_request(head, &mut out);
        }
        out
    }

    /// Decodes `data` as it comes in pieces of `step` bytes.
    fn run(self, data: &[u8], step: usize) -> Option<(Outcome, Head)> {
        let (mut decoder, mut head) = (Decoder::new(), Head::new());
        let mut fed = 0usize;
        loop {
            fed = data.len().min(fed.saturating_add(step));
            if let Some(result) = self.decode(&mut decoder, &data[..fed], &mut head) {
                let sent = if result.is_ok() { self.encode(&head) } else { Vec::new() };
                return Some((Outcome { result, sent }, head));
            }
            if fed == data.len() {
                return None;
            }
        }
    }
}

/// Heads: the first byte chooses what is read and how, the rest is the message.
///
/// Promises: any fragmentation gives the same outcome; no more is consumed than there is; what is forwarded is well-formed, and
/// reads back as the same message with the same body and goes out the same again.
pub fn h1_head(data: &[u8]) {
    let Some((&mode, data)) = data.split_first() else { return };
    let mode = Mode::of(mode);
    let whole = mode.run(data, usize::MAX);
    for step in [1, 3, 16] {
        assert_eq!(whole.as_ref().map(|w| &w.0), mode.run(data, step).as_ref().map(|w| &w.0), "in steps of {step}");
    }
    let Some((Outcome { result: Ok((consumed, body, flags)), sent }, head)) = whole else { return };
    assert!(consumed <= data.len() && consumed <= mode.max_head && head.len() < 20);
    for field in head.fields() {
        assert!(is_field_name(field.name) && is_field_value(field.value));
        assert!(head.get(field.name).is_some());
    }
    let end = sent.windows(4).position(|w| w == b"\r\n\r\n");
    assert_eq!(end, Some(sent.len() - 4), "one head and nothing else");
    assert!(!sent.windows(2).any(|w| (w[0] == b'\r') != (w[1] == b'\n')), "line ends are CRLF");

    // What a server reads is what was decided here; the limit leaves room for what normalisation adds.
    let again = Mode { max_head: 1 << 16, ..mode };
    let Some((Outcome { result: Ok((used, same_body, same_flags)), sent: same }, _)) = again.run(&sent, usize::MAX) else {
        panic!("not read again: {:?}", String::from_utf8_lossy(&sent));
    };
    assert_eq!((used, same_body, &same), (sent.len(), body, &sent));
    // `Connection: close` and `keep-alive` have been settled; the rest is as it was.
    assert_eq!(same_flags[2..], flags[2..]);
}

/// Data, trailers and used bytes of a chunked body that comes in pieces of `step` bytes; `None` when it ends too soon.
fn unchunk(data: &[u8], step: usize, most: usize) -> Result<Option<(Vec<u8>, Vec<u8>, usize)>, ChunkError> {
    let mut decoder = chunk::Decoder::new(most, 8);
    let (mut buf, mut fed, mut used, mut out) = (Vec::new(), 0usize, 0, Vec::new());
    loop {
        let got = decoder.decode(&buf)?;
        assert!(got.consumed <= buf.len());
        buf.drain(..got.consumed);
        used += got.consumed;
        match got.event {
            Event::End => return Ok(Some((out, decoder.trailer_lines().to_vec(), used))),
            Event::Data(n) => {
                assert!(n > 0 && n <= buf.len());
                out.extend(buf.drain(..n));
                used += n;
                decoder.advance_data(n as u64)?;
            }
            Event::NeedMore => {
                assert!(buf.is_empty());
                if fed == data.len() {
                    return Ok(None);
                }
                let next = data.len().min(fed.saturating_add(step));
                buf.extend_from_slice(&data[fed..next]);
                fed = next;
            }
        }
    }
}

/// Chunked bodies: any fragmentation gives the same outcome, and what is forwarded reads back as the same body.
pub fn h1_chunked(data: &[u8]) {
    let whole = unchunk(data, usize::MAX, 256);
    for step in [1, 3, 16] {
        assert_eq!(whole, unchunk(data, step, 256), "in steps of {step}");
    }
    // What is plain passes as it would have been written.
    for step in [1, 16, data.len().max(1)] {
        assert_eq!(forward(data, step, true), forward(data, step, false), "in steps of {step}");
    }
    let Ok(Some((body, trailers, used))) = whole else { return };
    assert!(used <= data.len());
    let mut sent = Vec::new();
    for piece in body.chunks(7) {
        chunk::write_size(piece.len() as u64, &mut sent);
        sent.extend_from_slice(piece);
        chunk::write_chunk_end(&mut sent);
    }
    chunk::write_last(&trailers, &mut sent);
    // White space before a value counts until it is trimmed: room for the one that is written.
    assert_eq!(unchunk(&sent, usize::MAX, 512), Ok(Some((body, trailers, sent.len()))));
}

/// What goes on of a body that comes in pieces of `step` bytes.
fn forward(input: &[u8], step: usize, passes: bool) -> Vec<u8> {
    let (mut decoder, mut buf, mut out) = (chunk::Decoder::new(256, 10), Vec::new(), Vec::new());
    for piece in input.chunks(step) {
        buf.extend_from_slice(piece);
        while !buf.is_empty() {
            let starts = decoder.remaining() == 0;
            let Ok(got) = decoder.decode(&buf) else { return out };
            buf.drain(..got.consumed);
            if starts && decoder.remaining() != 0 {
                chunk::write_size(decoder.remaining(), &mut out);
            }
            let n = match got.event {
                Event::Data(n) => n,
                Event::NeedMore => continue,
                Event::End => return out,
            };
            let (plain, data) = if passes { decoder.pass(&buf) } else { (0, 0) };
            assert!(data <= plain && plain <= buf.len());
            out.extend(buf.drain(..plain));
            if plain == 0 {
                out.extend(buf.drain(..n));
                decoder.advance_data(n as u64).expect("no more than there is");
                if decoder.remaining() == 0 {
                    chunk::write_chunk_end(&mut out);
                }
            }
        }
    }
    out
}

/// NetScaler headers, for the magic number in the first four bytes of the input: a prefix is never taken for a whole, and both
/// ends are of one family.
pub fn netscaler_header(data: &[u8]) {
    let Some(magic) = data.first_chunk::<4>().map(|magic| u32::from_be_bytes(*magic)) else { return };
    let Ok(proxy::Netscaler::Complete { src, dst, consumed }) = proxy::decode_netscaler(magic, data) else { return };
    assert!(consumed <= data.len() && consumed <= proxy::MAX_NETSCALER + 12);
    assert_eq!(src.is_ipv4(), dst.is_ipv4());
    for cut in 0..consumed {
        assert_eq!(proxy::decode_netscaler(magic, &data[..cut]), Ok(proxy::Netscaler::NeedMore));
    }
}

/// PROXY headers: a prefix is never taken for a whole, and what was read can be written and read again.
pub fn proxy_header(data: &[u8]) {
    let (header, consumed) = match proxy::decode(data) {
        Ok(proxy::Decoded::Complete { header, consumed }) => (header, consumed),
        _ => return,
    };
    assert!(consumed <= data.len() && consumed <= proxy::MAX_V2);
    for cut in 0..consumed {
        assert_eq!(proxy::decode(&data[..cut]), Ok(proxy::Decoded::NeedMore));
    }
    let endpoints = header.endpoints.as_ref();
    let tlvs: Vec<_> = header.tlvs.clone().filter(|t| !matches!(t, proxy::Tlv::Other(3, _))).collect();
    let mut sent = Vec::new();
    proxy::encode_v2(endpoints, &tlvs, true, &mut sent);
    if sent.len() <= proxy::MAX_V2 {
        let Ok(proxy::Decoded::Complete { header: same, consumed }) = proxy::decode(&sent) else { panic!("not read again") };
        assert_eq!((same.endpoints.as_ref(), consumed), (endpoints, sent.len()));
        assert!(endpoints.is_none() || same.tlvs.filter(|t| !matches!(t, proxy::Tlv::Other(3, _))).eq(tlvs));
    }
    if !matches!(endpoints, Some(Endpoints::Unix { .. })) {
        let mut line = Vec::new();
        proxy::encode_v1(endpoints, &mut line);
        let Ok(proxy::Decoded::Complete { header: same, .. }) = proxy::decode(&line) else { panic!("not read again") };
        assert_eq!(same.endpoints.as_ref(), endpoints);
    }
}
