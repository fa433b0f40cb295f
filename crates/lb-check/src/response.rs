//! The head of an HTTP answer, as far as a check needs it: complete or not, well-formed or not, status and reason.
//!
//! Holds: pure over the bytes so far; every head that HAProxy 2.6 calls an invalid response is one here (Layer7 invalid response),
//! and none that it reads is. Looser than RFC 9112 where HAProxy is (any number of digits in the status, bare LF, leading
//! empty lines), since a check that fails on another ground than before takes a server out of service.

use lb_http::{Head, Version};
use std::borrow::Cow;

/// Most bytes of an answer that a check keeps (`tune.bufsize`).
pub const MAX_ANSWER: usize = 16_384;
/// Most bytes of a head (`tune.bufsize` less the bookkeeping of HAProxy's buffer).
pub const MAX_HEAD: usize = 16_320;
/// Most header lines in an answer (`tune.http.maxhdr`).
pub const MAX_HEADERS: usize = 101;
/// Longest header name.
const MAX_NAME: usize = 255;
/// Most bytes of a reason phrase that are kept.
const MAX_REASON: usize = 127;

/// What the bytes so far amount to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer<'a> {
    /// More bytes are needed.
    Partial,
    /// No HTTP answer, or a body that breaks its own framing.
    Invalid,
    /// A complete head.
    Head(Found<'a>),
}

/// A complete head, and what is here of the body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found<'a> {
    pub status: u32,
    pub reason: &'a [u8],
    is_1_0: bool,
    /// The lines of the header.
    lines: &'a [u8],
    /// What has come of the body, without its framing.
    pub body: Cow<'a, [u8]>,
    /// All of the body is here.
    pub whole: bool,
}

impl Found<'_> {
    /// The head as expressions see it.
    pub fn head(&self) -> Head {
        let version = if self.is_1_0 { Version::Http10 } else { Version::Http11 };
        let mut head = Head::new();
        head.start_response(version, u16::try_from(self.status).unwrap_or(u16::MAX), self.reason);
        for (name, value) in self.fields() {
            head.append(name, &value);
        }
        head
    }

    /// Names and values of its fields; folded lines are one.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], Cow<'_, [u8]>)> {
        let mut lines = self.lines.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).peekable();
        std::iter::from_fn(move || {
            let line = lines.next().filter(|line| !line.is_empty())?;
            let colon = line.iter().position(|b| *b == b':').unwrap_or(line.len());
            let mut value = Cow::Borrowed(line.get(colon + 1..).unwrap_or_default().trim_ascii());
            while let Some(folded) = lines.next_if(|line| matches!(line.first(), Some(b' ' | b'\t'))) {
                let value = value.to_mut();
                value.push(b' ');
                value.extend_from_slice(folded.trim_ascii());
            }
            Some((&line[..colon], value))
        })
    }
}

/// A character of a header name (RFC 9110 §5.6.2).
pub(crate) fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

struct Invalid;

/// A line without its end, and what follows it.
type LineAndRest<'a> = (&'a [u8], &'a [u8]);

/// Reads an answer to a request; `to_head` when that was a HEAD request.
pub(crate) fn read(bytes: &[u8], to_head: bool) -> Answer<'_> {
    match try_read(bytes, to_head) {
        Ok(Some(found)) => Answer::Head(found),
        Ok(None) if bytes.len() >= MAX_HEAD => Answer::Invalid,
        Ok(None) => Answer::Partial,
        Err(Invalid) => Answer::Invalid,
    }
}

fn try_read(bytes: &[u8], to_head: bool) -> Result<Option<Found<'_>>, Invalid> {
    let mut rest = bytes;
    loop {
        rest = match rest {
            [b'\n', more @ ..] | [b'\r', b'\n', more @ ..] => more,
            [] | [b'\r'] => return Ok(None),
            _ => break,
        };
    }
    let Some((line, mut rest)) = take_line(rest)? else { return early_error(rest).map(|()| None) };
    let (status, reason) = status_line(line)?;
    let is_1_0 = line.starts_with(b"HTTP/1.0");
    let lines = rest;
    let mut framing = Framing::default();
    let (mut count, mut folds) = (0, 0);
    let lines = loop {
        let before = rest.len();
        let Some((line, more)) = take_line(rest)? else { return Ok(None) };
        rest = more;
        if line.is_empty() {
            break &lines[..lines.len() - before];
        }
        if matches!(line[0], b' ' | b'\t') {
            // A folded line goes on with the value before it.
            folds += 1;
            if count == 0 || folds > MAX_HEADERS {
                return Err(Invalid);
            }
            continue;
        }
        count += 1;
        if count > MAX_HEADERS {
            return Err(Invalid);
        }
        framing.header(line)?;
    };
    if bytes.len() - rest.len() > MAX_HEAD {
        return Err(Invalid);
    }
    let bodiless = to_head || status < 200 || status == 204 || status == 304;
    let (body, whole) = match framing {
        _ if bodiless => (Cow::Borrowed(&[][..]), true),
        Framing { chunked: true, .. } => dechunk(rest).map(|(body, whole)| (Cow::Owned(body), whole))?,
        Framing { length: Some(length), .. } => {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            (Cow::Borrowed(&rest[..rest.len().min(length)]), rest.len() >= length)
        }
        Framing { length: None, .. } => (Cow::Borrowed(rest), false),
    };
    let reason = &reason[..reason.len().min(MAX_REASON)];
    Ok(Some(Found { status, reason, is_1_0, lines, body, whole }))
}

/// The first line, if it is complete. A CR that is not part of the end is an error.
fn take_line(bytes: &[u8]) -> Result<Option<LineAndRest<'_>>, Invalid> {
    let Some(end) = bytes.iter().position(|&b| b == b'\n' || b == b'\r') else { return Ok(None) };
    match bytes[end..] {
        [b'\n', ref rest @ ..] | [b'\r', b'\n', ref rest @ ..] => Ok(Some((&bytes[..end], rest))),
        [b'\r'] => Ok(None),
        _ => Err(Invalid),
    }
}

/// A first line that is not complete yet can already be wrong: a server that speaks another protocol is not waited for.
fn early_error(line: &[u8]) -> Result<(), Invalid> {
    let word = line.split(|&b| b == b' ' || b == b'\t').next().unwrap_or(line);
    if word.iter().all(|&b| is_version(b)) { Ok(()) } else { Err(Invalid) }
}

fn is_version(b: u8) -> bool {
    b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'/' | b'.')
}

/// Status and reason. Other names than HTTP are accepted, as HAProxy does (`RTSP/1.0 200 OK`).
fn status_line(line: &[u8]) -> Result<(u32, &[u8]), Invalid> {
    let is_blank = |b: &u8| *b == b' ' || *b == b'\t';
    let end = line.iter().position(is_blank).ok_or(Invalid)?;
    let [name @ .., b'/', major, b'.', minor] = &line[..end] else { return Err(Invalid) };
    if name.len() != 4 || !name.iter().all(|&b| is_version(b)) || !major.is_ascii_digit() || !minor.is_ascii_digit() {
        return Err(Invalid);
    }
    let rest = &line[end..];
    let rest = &rest[rest.iter().position(|b| !is_blank(b)).ok_or(Invalid)?..];
    let digits = rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
    let (code, rest) = rest.split_at(digits);
    if code.is_empty() || rest.first().is_some_and(|b| !is_blank(b)) {
        return Err(Invalid);
    }
    let status = code.iter().fold(0u32, |n, b| n.saturating_mul(10).saturating_add(u32::from(b - b'0')));
    let reason = &rest[rest.iter().position(|b| !is_blank(b)).unwrap_or(rest.len())..];
    Ok((status, reason))
}

/// What the headers say about the body.
#[derive(Default)]
struct Framing {
    chunked: bool,
    length: Option<u64>,
}

impl Framing {
    fn header(&mut self, line: &[u8]) -> Result<(), Invalid> {
        let colon = line.iter().position(|&b| b == b':').ok_or(Invalid)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.is_empty() || name.len() > MAX_NAME || !name.iter().all(|&b| is_token(b)) {
            return Err(Invalid);
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            // A list of equal lengths is one length (RFC 9110 §8.6).
            for item in value.split(|&b| b == b',') {
                let length = decimal(item.trim_ascii())?;
                if self.length.is_some_and(|seen| seen != length) {
                    return Err(Invalid);
                }
                self.length = Some(length);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") && !value.is_empty() {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Invalid);
            }
            self.chunked = true;
        }
        Ok(())
    }
}

fn decimal(digits: &[u8]) -> Result<u64, Invalid> {
    if digits.is_empty() {
        return Err(Invalid);
    }
    digits
        .iter()
        .try_fold(0u64, |n, b| {
            let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
            n.checked_mul(10)?.checked_add(digit)
        })
        .filter(|&n| n <= i64::MAX as u64)
        .ok_or(Invalid)
}

/// What has come of a chunked body, and whether that is all of it.
fn dechunk(mut body: &[u8]) -> Result<(Vec<u8>, bool), Invalid> {
    let mut out = Vec::new();
    loop {
        let digits = body.iter().position(|b| !b.is_ascii_hexdigit()).unwrap_or(body.len());
        // 2^60 bytes are beyond any body, and keep the sum below from overflowing.
        if digits > 15 || (digits == 0 && !body.is_empty()) {
            return Err(Invalid);
        }
        let size = body[..digits].iter().fold(0u64, |n, b| n * 16 + u64::from((*b as char).to_digit(16).unwrap_or(0)));
        match body.get(digits) {
            None => return Ok((out, false)),
            Some(b'\r' | b'\n' | b';' | b' ' | b'\t') => {}
            Some(_) => return Err(Invalid),
        }
        let Some((_, data)) = take_line(&body[digits..])? else { return Ok((out, false)) };
        if size == 0 {
            return Ok((out, true));
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        out.extend_from_slice(&data[..data.len().min(size)]);
        let Some(after) = data.get(size..) else { return Ok((out, false)) };
        body = match after {
            [] | [b'\r'] => return Ok((out, false)),
            [b'\r', b'\n', next @ ..] => next,
            _ => return Err(Invalid),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What haproxy 2.6.12 made of these answers: the status it logged, or none for `L7RSP`.
    #[test]
    fn judged_as_haproxy_does() {
        let h = "HTTP/1.1 200 OK\r\n";
        let mut seen: Vec<(String, Option<(u32, &str)>)> = vec![
            ("HTTP/1.0 404 Not Found\r\n\r\n".into(), Some((404, "Not Found"))),
            ("HTTP/1.0 503\r\n\r\n".into(), Some((503, ""))),
            ("HTTP/1.0 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\n".into(), Some((100, "Continue"))),
            ("HTTP/1.0 20 OK\r\n\r\n".into(), Some((20, "OK"))),
            ("HTTP/1.0 2000 OK\r\n\r\n".into(), Some((2000, "OK"))),
            ("HTTP/1.0 abc OK\r\n\r\n".into(), None),
            ("garbage\r\n\r\n".into(), None),
            ("HTTP/0.9 200 OK\r\n\r\n".into(), Some((200, "OK"))),
            ("HTTP/2.0 200 OK\r\n\r\n".into(), Some((200, "OK"))),
            ("HTTP/1.0 200 OK\n\n".into(), Some((200, "OK"))),
            ("http/1.0 200 OK\r\n\r\n".into(), None),
            ("XTTP/1.1 200 OK\r\n\r\n".into(), Some((200, "OK"))),
            ("RTSP/1.0 200 OK\r\n\r\n".into(), Some((200, "OK"))),
            ("ICY 200 OK\r\n\r\n".into(), None),
            ("HTTP/1.10 200 OK\r\n\r\n".into(), None),
            ("HTTP/11 200 OK\r\n\r\n".into(), None),
            ("HTTP/1.X 200 OK\r\n\r\n".into(), None),
            ("HTTP/1.1\r\n\r\n".into(), None),
            ("HTTP/1.1 200\n\n".into(), Some((200, ""))),
            ("HTTP/1.1\t200 OK\r\n\r\n".into(), Some((200, "OK"))),
            ("HTTP/1.0  200 OK\r\n\r\n".into(), Some((200, "OK"))),
            ("HTTP/1.1 200x OK\r\n\r\n".into(), None),
            ("HTTP/1.1 00200 OK\r\n\r\n".into(), Some((200, "OK"))),
            ("HTTP/1.1 -200 OK\r\n\r\n".into(), None),
            ("HTTP/1.1 500   a  b  \r\n\r\n".into(), Some((500, "a  b  "))),
            ("HTTP/1.1 500 a\rb\r\n\r\n".into(), None),
            ("\r\n\r\nHTTP/1.0 200 OK\r\n\r\n".into(), Some((200, "OK"))),
            ("\n\nHTTP/1.0 200 OK\r\n\r\n".into(), Some((200, "OK"))),
            ("\rHTTP/1.0 200 OK\r\n\r\n".into(), None),
            (" HTTP/1.0 200 OK\r\n\r\n".into(), None),
            ("HTTP/1.1 200 OK\rA: b\r\r".into(), None),
            ("HTTP/1.1 204 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".into(), Some((204, "OK"))),
            ("HTTP/1.1 304 OK\r\nContent-Length: 5\r\n\r\n".into(), Some((304, "OK"))),
            ("HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".into(), None),
            ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".into(), None),
        ];
        let good = [
            "A: b\r\n c\r\n\r\n",
            "X: a\0b\r\n\r\n",
            "A: \u{e9}\r\n\r\n",
            "A: \x01\r\n\r\n",
            "Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
            "Content-Length: 0, 0\r\n\r\n",
            "Content-Length: 50\r\n\r\nhello",
            "Content-Length: 0\r\n\r\ngarbage",
            "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding:\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "Connection: foo bar\r\n\r\n",
        ];
        let bad = [
            " A: b\r\n\r\n",
            "A: b\rc\r\n\r\n",
            "Abc\r\n\r\n",
            "Abc : x\r\n\r\n",
            "a b: c\r\n\r\n",
            ":c\r\n\r\n",
            "A\u{e9}: x\r\n\r\n",
            "Content-Length: 0\r\nContent-Length: 1\r\n\r\n",
            "Content-Length: 0, 1\r\n\r\n",
            "Content-Length:\r\n\r\n",
            "Content-Length: x\r\n\r\n",
            "Content-Length: +5\r\n\r\nhello",
            "Content-Length: 5,\r\n\r\nhello",
            "Content-Length: 5 5\r\n\r\nhello",
            "Content-Length: 99999999999999999999\r\n\r\nhello",
            "Transfer-Encoding: foo\r\n\r\n",
            "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            "Transfer-Encoding: chunked\r\n\r\n-1\r\n",
            "Transfer-Encoding: chunked\r\n\r\n1\r\nabc",
            "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
            "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\nzz\r\n",
            "\r\r\n",
        ];
        seen.extend(good.iter().map(|tail| (format!("{h}{tail}"), Some((200, "OK")))));
        seen.extend(bad.iter().map(|tail| (format!("{h}{tail}"), None)));
        seen.push((format!("{h}{}\r\n", "X: a\r\n".repeat(101)), Some((200, "OK"))));
        seen.push((format!("{h}{}\r\n", "X: a\r\n".repeat(102)), None));
        seen.push((format!("{h}{}: b\r\n\r\n", "a".repeat(300)), None));
        seen.push((format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(16_000)), Some((200, "OK"))));
        seen.push((format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(17_000)), None));
        for (bytes, expected) in &seen {
            let shown = &bytes[..bytes.len().min(90)];
            match (read(bytes.as_bytes(), false), expected) {
                (Answer::Head(found), Some((code, words))) => {
                    assert_eq!((found.status, found.reason), (*code, words.as_bytes()), "{shown:?}");
                }
                (Answer::Invalid, None) => {}
                (got, _) => panic!("{shown:?}: {got:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn a_head_in_pieces_is_partial_until_its_end() {
        let bytes = b"\r\nHTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n";
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end], false), Answer::Partial, "{end}");
        }
        let Answer::Head(found) = read(bytes, false) else { panic!() };
        assert_eq!((found.status, found.reason, found.whole), (200, &b"OK"[..], false));
        assert_eq!(read(&[b'A'; MAX_HEAD], false), Answer::Invalid);
        assert_eq!(read(b"220 mail ESMTP", false), Answer::Partial);
        assert_eq!(read(b"-ERR unknown", false), Answer::Invalid);
    }

    #[test]
    fn keeps_127_bytes_of_a_reason() {
        for n in [100, 126, 127, 128, 300] {
            let bytes = format!("HTTP/1.1 500 {}\r\n\r\n", "x".repeat(n));
            let Answer::Head(found) = read(bytes.as_bytes(), false) else { panic!("{n}") };
            assert_eq!(found.reason.len(), n.min(127));
        }
    }
}
