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
    let (method, len) = match buf.first_chunk::<4>()? {
        b"GET " => (Method::Get, 3),
        b"POST" if buf.get(4) == Some(&b' ') => (Method::Post, 4),
        b"HEAD" if buf.get(4) == Some(&b' ') => (Method::Head, 4),
        b"PUT " => (Method::Put, 3),
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
    if end == target || buf.get(end) != Some(&b' ') {
        return None;
    }
    let version = version(buf.get(end + 1..end + 9)?)?;
    if buf.get(end + 9..end + 11) != Some(b"\r\n") {
        return None;
    }
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
    let version = version(buf.get(..8)?)?;
    let &[b' ', a, b, c, b' ', first] = buf.get(8..)?.first_chunk::<6>()? else { return None };
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

#[inline]
fn version(text: &[u8]) -> Option<Version> {
    match text {
        b"HTTP/1.1" => Some(Version::Http11),
        b"HTTP/1.0" => Some(Version::Http10),
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
    let mut padded = [0u8; 24];
    let front = match line.first_chunk::<24>() {
        Some(front) => front,
        None => {
            padded[..line.len()].copy_from_slice(line);
            &padded
        }
    };
    let ([a, b, c], _) = front.as_chunks::<8>() else { return None };
    let w0 = u64::from_le_bytes(*a);
    let hit = first_colon(w0);
    let (id, len) = if hit != 0 {
        (FieldId::of_words(&[w0 & below(hit), 0, 0], at(hit)), at(hit))
    } else {
        let w1 = u64::from_le_bytes(*b);
        let hit = first_colon(w1);
        if hit != 0 {
            (FieldId::of_words(&[w0, w1 & below(hit), 0], 8 + at(hit)), 8 + at(hit))
        } else {
            let w2 = u64::from_le_bytes(*c);
            let hit = first_colon(w2);
            if hit == 0 {
                return other_name(line);
            }
            (FieldId::of_words(&[w0, w1, w2 & below(hit)], 16 + at(hit)), 16 + at(hit))
        }
    };
    if id == FieldId::Other { other_name(line) } else { Some((id, len)) }
}

#[inline(never)]
fn other_name(line: &[u8]) -> Option<(FieldId, usize)> {
    let len = find_non_token(line, 0);
    (len > 0 && len <= super::MAX_NAME && line.get(len) == Some(&b':')).then(|| (FieldId::of(&line[..len]), len))
}
