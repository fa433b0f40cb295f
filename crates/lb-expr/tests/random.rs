//! Random formats and random sessions: compiling never panics, lines stay within their limit, and what a peer sends cannot
//! end a line or leave its braces. Seeded: the seed stands in the panic text.

mod common;

use common::Session;
use lb_expr::{Field, LogFormat, LogValue, formats, write_connect, write_connection_error};

/// xorshift64*: enough to spread over the cases, the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 33) % n
    }

    fn bytes(&mut self, max: u64) -> Vec<u8> {
        let len = self.below(max + 1);
        (0..len).map(|_| self.next() as u8).collect()
    }
}

const PARTS: &[&str] = &[
    "%",
    "%%",
    "{",
    "}",
    "+",
    "-",
    "Q",
    "X",
    "E",
    ",",
    "[",
    "]",
    "(",
    " ",
    "\t",
    "o",
    "\"",
    "\\",
    "é",
    "\u{0}",
    "%o",
    "%r",
    "%hr",
    "%hs",
    "%hrl",
    "%hsl",
    "%ci",
    "%cp",
    "%{+Q}r",
    "%{+E}hr",
    "%{+json}",
    "%{+cbor}o",
    "%{+json}o",
    "%(a-b:str)",
    "%(n)hr",
    "%(n)hrl",
    "%{+cbor}hr",
    "%{+X}ci",
    "%{+X}o",
    "%{-Q}o",
    "%{+Q,+E}CC",
    "%t",
    "%Tl",
    "%ms",
    "%B",
    "%rc",
    "%tsc",
    "%ft",
    "%s",
    "%ID",
    "%HPO",
    "%{+X}Ts",
    "word",
];

const FIELDS: &[Field] = &[
    Field::AcceptDate,
    Field::RequestDate,
    Field::BytesRead,
    Field::RequestCookie,
    Field::UniqueId,
    Field::ClientIp,
    Field::ClientPort,
    Field::FrontendName,
    Field::FrontendTls,
    Field::RequestLine,
    Field::Retries,
    Field::ServerName,
    Field::ServerIp,
    Field::ServerPort,
    Field::Termination,
    Field::ListenerName,
    Field::RequestCounter,
];

fn session(r: &mut Random) -> Session {
    let mut s = Session::http();
    for field in FIELDS {
        // Values of the wrong kind too: they must be shown as missing, not panic.
        s = match r.below(8) {
            0 => s.with(*field, LogValue::Int(r.next() as i64)),
            1 => s.with(*field, LogValue::AtLeast(r.next() as i64)),
            2 => s.text(*field, &r.bytes(200)),
            3 => s.with(*field, LogValue::Flag(true)),
            4 => s.without(*field),
            5 => s.with(
                *field,
                LogValue::Ip(if r.below(2) == 0 { (r.next() as u32).to_be_bytes().into() } else { [r.next() as u16; 8].into() }),
            ),
            _ => s,
        };
    }
    let slots: Vec<Option<Vec<u8>>> = (0..r.below(4)).map(|_| (r.below(3) > 0).then(|| r.bytes(120))).collect();
    let slots: Vec<Option<&[u8]>> = slots.iter().map(Option::as_deref).collect();
    s.captures(&slots, &slots)
}

#[test]
fn random_formats_compile_or_say_why_and_stay_within_their_limit() {
    for seed in 1..=4_000u64 {
        let mut r = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let text: String = (0..r.below(12)).map(|_| PARTS[r.below(PARTS.len() as u64) as usize]).collect();
        match LogFormat::compile(&text) {
            Ok(format) => {
                let session = session(&mut r);
                let limit = r.below(400) as usize;
                let mut out = b"kept".to_vec();
                format.write(&session, limit, &mut out);
                assert!(out.starts_with(b"kept") && out.len() <= limit + 4, "seed {seed}: {text:?}");
                // Without a limit in the way the shorter line is where the longer begins, up to the last value.
                let mut whole = Vec::new();
                format.write(&session, usize::MAX, &mut whole);
                assert!(whole.len() < 100_000, "seed {seed}: {text:?}");
                if whole.len() <= limit.saturating_sub(8) {
                    assert_eq!(&out[4..], whole, "seed {seed}: {text:?}");
                }
            }
            Err(e) => assert!(e.offset <= text.len() && text.is_char_boundary(e.offset) && !e.message.is_empty(), "seed {seed}: {text:?}"),
        }
    }
}

#[test]
fn peers_cannot_break_a_line() {
    let format = LogFormat::compile("%hr\u{1}%{+Q}r\u{1}%hrl\u{1}%{+Q,+E}hs").unwrap();
    for seed in 1..=2_000u64 {
        let mut r = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (a, b, line) = (r.bytes(100), r.bytes(100), r.bytes(300));
        let session = Session::new().text(Field::RequestLine, &line).captures(&[Some(&a), Some(&b)], &[Some(&a)]);
        let mut out = Vec::new();
        format.write(&session, 8_191, &mut out);
        let fields: Vec<&[u8]> = out.split(|b| *b == 1).collect();
        assert_eq!(fields.len(), 4, "seed {seed}");
        for field in &fields {
            assert!(field.iter().all(|b| (32..=126).contains(b)), "seed {seed}");
        }
        let count = |field: &[u8], byte: u8| field.iter().filter(|b| **b == byte).count();
        assert_eq!((count(fields[0], b'{'), count(fields[0], b'|'), count(fields[0], b'}')), (1, 1, 1), "seed {seed}");
        assert_eq!(count(fields[1], b'"'), 2, "seed {seed}");
    }
}

#[test]
fn fixed_lines_stay_within_their_limit() {
    for seed in 1..=1_000u64 {
        let mut r = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let session = session(&mut r);
        let limit = r.below(200) as usize;
        let mut out = Vec::new();
        write_connect(&session, r.below(2) == 0, limit, &mut out);
        assert!(out.len() <= limit, "seed {seed}");
        out.clear();
        write_connection_error(&session, "SSL handshake failure", limit, &mut out);
        assert!(out.len() <= limit, "seed {seed}");
    }
}

#[test]
fn a_reused_buffer_does_not_grow() {
    let format = LogFormat::compile(formats::HTTP).unwrap();
    let session = Session::http();
    let mut out = Vec::new();
    format.write(&session, 1_023, &mut out);
    let (line, capacity) = (out.clone(), out.capacity());
    for _ in 0..100 {
        out.clear();
        format.write(&session, 1_023, &mut out);
        assert_eq!(out, line);
    }
    assert_eq!(out.capacity(), capacity);
}
