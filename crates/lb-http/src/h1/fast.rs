//! The common shapes of a start line and of field lines, taken in one go.
//!
//! Holds: takes only whole lines that the byte machine in `decode` would take, with the same outcome, and touches nothing
//! otherwise; whatever is incomplete, malformed or unusual is left to the machine. So it needs no errors of its own, and
//! there is one place that knows the rules.

use crate::head::{Head, Method, Span, Version};
use crate::name::FieldId;
use crate::token::{find_control, find_non_token, find_target_end, first_colon, is_ows, trim_ows};

/// A request line at the front of `buf`; says where the next line begins.
#[inline]
pub(super) fn request_line(buf: &[u8], head: &mut Head) -> Option<usize> {
    const GET: u32 = u32::from_le_bytes(*b"GET ");
    const PUT: u32 = u32::from_le_bytes(*b"PUT ");
    const POST: u32 = u32::from_le_bytes(*b"POST");
    const HEAD: u32 = u32::from_le_bytes(*b"HEAD");
    let (method, len) = match u32::from_le_bytes(*buf.first_chunk::<4>()?) {
        GET => (Method::Get, 3),
        PUT => (Method::Put, 3),
        POST if buf.get(4) == Some(&b' ') => (Method::Post, 4),
        HEAD if buf.get(4) == Some(&b' ') => (Method::Head, 4),
        _ => {
            let len = find_non_token(buf, 0);
            if len == 0 || buf.get(len) != Some(&b' ') {
                return None;
            }
            (Method::of(&buf[..len]), len)
        }
    };
    let target = len + 1;
    let end = find_target_end(buf, target);
    if end == target {
        return None;
    }
    let [b' ', version @ .., b'\r', b'\n'] = buf.get(end..)?.first_chunk::<11>()? else { return None };
    let version = version_of(version)?;
    head.method = method;
    head.first = Span::new(0, len);
    head.target = Span::new(target, end);
    head.version = version;
    head.line_start = 0;
    head.line_end = (end + 11) as u32;
    Some(end + 11)
}

/// A status line at the front of `buf`; says where the next line begins.
#[inline]
pub(super) fn status_line(buf: &[u8], head: &mut Head) -> Option<usize> {
    let (version, rest) = buf.split_first_chunk::<8>()?;
    let version = version_of(version)?;
    let &[b' ', a, b, c, b' ', first] = rest.first_chunk::<6>()? else { return None };
    if !((b'1'..=b'9').contains(&a) && b.is_ascii_digit() && c.is_ascii_digit()) || first == b' ' {
        return None;
    }
    let end = find_control(buf, 13);
    if buf.get(end..end + 2) != Some(b"\r\n") {
        return None;
    }
    let digit = |d: u8| u16::from(d - b'0');
    head.status = digit(a) * 100 + digit(b) * 10 + digit(c);
    head.first = Span::new(13, end);
    head.version = version;
    head.line_start = 0;
    head.line_end = (end + 2) as u32;
    Some(end + 2)
}

/// Compares one word instead of eight bytes.
#[inline]
fn version_of(text: &[u8; 8]) -> Option<Version> {
    const HTTP_11: u64 = u64::from_le_bytes(*b"HTTP/1.1");
    const HTTP_10: u64 = u64::from_le_bytes(*b"HTTP/1.0");
    match u64::from_le_bytes(*text) {
        HTTP_11 => Some(Version::Http11),
        HTTP_10 => Some(Version::Http10),
        _ => None,
    }
}

/// A field line.
pub(super) struct Line {
    pub id: FieldId,
    pub start: usize,
    pub name_len: usize,
    pub value_start: usize,
    /// End of the value, white space before CR taken off.
    pub value_end: usize,
    /// Where the next line begins.
    pub next: usize,
    /// The line is `name: value CRLF`, which may be sent as it stands.
    pub verbatim: bool,
}

/// The field line at `start`, when it is whole and the byte after it shows that it does not go on.
#[inline(always)]
pub(super) fn field_line(buf: &[u8], start: usize) -> Option<Line> {
    let line = buf.get(start..)?;
    let (id, name_len) = name(line)?;
    let [colon, space, first] = line.get(name_len..)?.first_chunk::<3>()?;
    if *colon != b':' {
        return None;
    }
    let value = name_len + 2;
    if *space != b' ' || *first <= b' ' {
        return odd_value(line, id, start, name_len);
    }
    let end = find_control(line, value);
    let around = u32::from_le_bytes(*line.get(end - 1..)?.first_chunk::<4>()?);
    let (last, crlf, next) = (around as u8, (around >> 8) as u16, (around >> 24) as u8);
    if crlf != u16::from_le_bytes(*b"\r\n") || is_ows(next) || last == b' ' {
        return odd_value(line, id, start, name_len);
    }
    let (value_start, value_end) = (start + value, start + end);
    Some(Line { id, start, name_len, value_start, value_end, next: value_end + 2, verbatim: true })
}

/// A value that is empty, has tabs, or white space around it that is not one space before it.
#[cold]
fn odd_value(line: &[u8], id: FieldId, start: usize, name_len: usize) -> Option<Line> {
    let from = name_len + 1;
    let value_start = from + line.get(from..)?.iter().position(|&b| !is_ows(b))?;
    let mut end = find_control(line, value_start);
    while line.get(end) == Some(&b'\t') {
        end = find_control(line, end + 1);
    }
    match line.get(end..)?.first_chunk::<3>()? {
        [b'\r', b'\n', next] if !is_ows(*next) => {}
        _ => return None,
    }
    let value_end = value_start + trim_ows(&line[value_start..end]).len();
    let (value_start, value_end) = (start + value_start, start + value_end);
    Some(Line { id, start, name_len, value_start, value_end, next: start + end + 2, verbatim: false })
}

/// Name and length of the name at the front of `line`, up to its colon or a byte that is not ASCII.
#[inline(always)]
fn name(line: &[u8]) -> Option<(FieldId, usize)> {
    // The bits below the byte whose bit 7 is `hit`.
    let below = |hit: u64| (hit >> 7).wrapping_sub(1);
    let at = |hit: u64| (hit.trailing_zeros() / 8) as usize;
    let [w0, w1, w2] = line.first_chunk::<24>().map_or_else(|| short_front(line), front_words);
    let hit = first_colon(w0);
    let (id, len) = if hit != 0 {
        (FieldId::of_words([w0 & below(hit)], at(hit)), at(hit))
    } else {
        let hit = first_colon(w1);
        if hit != 0 {
            (FieldId::of_words([w0, w1 & below(hit)], 8 + at(hit)), 8 + at(hit))
        } else {
            let hit = first_colon(w2);
            if hit == 0 {
                return other_name(line, 0);
            }
            (FieldId::of_words([w0, w1, w2 & below(hit)], 16 + at(hit)), 16 + at(hit))
        }
    };
    if id == FieldId::Other { other_name(line, len) } else { Some((id, len)) }
}

#[inline(always)]
fn front_words(front: &[u8; 24]) -> [u64; 3] {
    let (words, _) = front.as_chunks::<8>();
    [0, 1, 2].map(|i| u64::from_le_bytes(words[i]))
}

/// The words of a line that is shorter than they are, with zeros behind it.
#[inline(never)]
fn short_front(line: &[u8]) -> [u64; 3] {
    let mut front = [0u8; 24];
    front[..line.len()].copy_from_slice(line);
    front_words(&front)
}

/// A name that is not known, or whose end is not: it is longer than `end`, or as long.
#[inline(never)]
fn other_name(line: &[u8], end: usize) -> Option<(FieldId, usize)> {
    let len = find_non_token(line, 0);
    let id = if len == end { FieldId::Other } else { FieldId::of(&line[..len]) };
    (len > 0 && len <= super::MAX_NAME && line.get(len) == Some(&b':')).then_some((id, len))
}
