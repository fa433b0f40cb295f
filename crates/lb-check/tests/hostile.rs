//! Answers drawn from seeds: whatever a server sends, in whatever pieces, a check ends once and never panics.

#![allow(clippy::disallowed_methods)]

#[path = "../../lb-testkit/src/cpu.rs"]
mod cpu;

use lb_check::{Action, Check, CheckSpec, Event, HttpRequest, MAX_HEAD, NoWorld, Script, Status, SystemError};
use std::time::{Duration, Instant};

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % n
    }
}

/// Pieces that answers are made of, so that the mutations get past the first line.
const PIECES: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.0 500 Oops\r\n",
    b"HTTP/1.1 99999999999999999999 x\r\n",
    b"HTTP/1.1 ",
    b"Content-Length: 5\r\n",
    b"Content-Length: 18446744073709551616\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"X: y\r\n",
    b" folded\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"5\r\nhello\r\n",
    b"fffffffffffffff\r\n",
    b"0\r\n\r\n",
    b"\0\xff\x80",
    b":",
    b"/",
];

fn answer(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..random.below(14) {
        bytes.extend_from_slice(PIECES[random.below(PIECES.len())]);
    }
    for _ in 0..random.below(4) {
        if !bytes.is_empty() {
            let at = random.below(bytes.len());
            match random.below(3) {
                0 => bytes[at] = random.below(256) as u8,
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, random.below(256) as u8),
            }
        }
    }
    if random.below(40) == 0 {
        bytes.extend(std::iter::repeat_n(b"a\n :"[random.below(4)], 2 * MAX_HEAD));
    }
    bytes
}

#[test]
fn any_answer_ends_a_check_once() {
    let start = Instant::now();
    let methods = ["GET", "HEAD"].map(|m| HttpRequest::parse(m, "/", "HTTP/1.1").expect("valid"));
    let mut seen = std::collections::HashSet::new();
    for seed in 0..30_000 {
        let mut random = Random(seed);
        let spec = CheckSpec::new(Script::http(methods[random.below(2)].clone()), Duration::from_secs(1));
        let mut check = Check::new(spec.into());
        let mut out = Vec::new();
        check.handle(start, Event::Start, &NoWorld, &mut out);
        check.handle(start, Event::Connected, &NoWorld, &mut out);
        check.handle(start, Event::Sent, &NoWorld, &mut out);
        let bytes = answer(&mut random);
        let piece = 1 + random.below(bytes.len() + 1);
        for piece in bytes.chunks(piece) {
            check.handle(start, Event::Data(piece), &NoWorld, &mut out);
        }
        let last = match random.below(3) {
            0 => Event::Eof,
            1 => Event::Failed(SystemError(104)),
            _ => Event::Timeout,
        };
        check.handle(start + Duration::from_secs(1), last, &NoWorld, &mut out);
        let verdicts: Vec<_> = out.iter().filter_map(|a| if let Action::Done(v) = a { Some(v) } else { None }).collect();
        let [verdict] = verdicts[..] else { panic!("seed {seed}: {out:?}") };
        assert!(verdict.info.len() <= 127, "seed {seed}");
        assert_eq!(out.iter().filter(|a| matches!(a, Action::Close { .. })).count(), 1, "seed {seed}");
        assert!(!check.is_running());
        seen.insert(verdict.status);
    }
    // The answers reach every end there is.
    for status in [Status::L7Ok, Status::L7Sts, Status::L7Rsp, Status::L7Tout, Status::SockErr] {
        assert!(seen.contains(&status), "{status:?}");
    }
}

#[test]
fn pieces_make_no_difference() {
    // Where the head ends at the same byte, the verdict does not depend on how the bytes came, but for what stands behind the head:
    // that is looked at only as far as it came along.
    let start = Instant::now();
    let request = HttpRequest::parse("GET", "/", "HTTP/1.1").expect("valid");
    let spec = std::sync::Arc::new(CheckSpec::new(Script::http(request), Duration::from_secs(1)));
    let run = |bytes: &[u8], size: usize| {
        let mut check = Check::new(spec.clone());
        let mut out = Vec::new();
        check.handle(start, Event::Start, &NoWorld, &mut out);
        check.handle(start, Event::Connected, &NoWorld, &mut out);
        check.handle(start, Event::Sent, &NoWorld, &mut out);
        for piece in bytes.chunks(size) {
            check.handle(start, Event::Data(piece), &NoWorld, &mut out);
        }
        check.handle(start, Event::Eof, &NoWorld, &mut out);
        out.pop()
    };
    for seed in 0..5_000 {
        let mut bytes = answer(&mut Random(seed));
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            bytes.truncate(end + 4);
        }
        if bytes.is_empty() || bytes.windows(2).any(|w| w == b"\n\n") || bytes.len() > 2_000 {
            continue;
        }
        let whole = run(&bytes, bytes.len());
        let size = 1 + Random(seed).below(7);
        let pieces = run(&bytes, size);
        if whole != pieces {
            // Only a head that ended early can differ: the rest of the bytes never came along.
            let Some(Action::Done(whole)) = whole else { panic!("seed {seed}") };
            let Some(Action::Done(pieces)) = pieces else { panic!("seed {seed}") };
            assert_eq!(whole.status, Status::L7Rsp, "seed {seed}");
            assert!(matches!(pieces.status, Status::L7Ok | Status::L7Sts), "seed {seed}");
        }
    }
}

#[test]
fn a_slow_server_costs_little() {
    // One byte at a time, none of which ends the head: the work must not grow with the square of what was sent without bound.
    let start = Instant::now();
    let request = HttpRequest::parse("GET", "/", "HTTP/1.1").expect("valid");
    let spent = cpu::spent(|| {
        for filler in [&b"HTTP/1.1 200 OK\r\nX: "[..], b"\n", b"\r\n"] {
            let spec = CheckSpec::new(Script::http(request.clone()), Duration::from_secs(1));
            let mut check = Check::new(spec.into());
            let mut out = Vec::new();
            check.handle(start, Event::Start, &NoWorld, &mut out);
            check.handle(start, Event::Connected, &NoWorld, &mut out);
            check.handle(start, Event::Sent, &NoWorld, &mut out);
            for &b in filler {
                check.handle(start, Event::Data(&[b]), &NoWorld, &mut out);
            }
            for i in 0..MAX_HEAD {
                let b = if filler.len() < 3 { filler[i % filler.len()] } else { b'x' };
                check.handle(start, Event::Data(&[b]), &NoWorld, &mut out);
            }
            check.handle(start + Duration::from_secs(1), Event::Timeout, &NoWorld, &mut out);
            assert!(matches!(out.last(), Some(Action::Done(_))));
        }
    });
    assert!(spent < Duration::from_secs(10), "{spent:?}");
}
