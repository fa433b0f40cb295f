//! Heads to bytes. Names go out in lower case, lines that stand in the arena as they must be sent are copied in runs.

use crate::head::{Field, Head};
use crate::token::lower_front;
use std::ops::Range;

/// Writes heads as HTTP/1. Appends to the caller's buffer and allocates nothing else.
///
/// ```
/// use lb_http::{Head, Version, h1::Encoder};
/// let mut head = Head::new();
/// head.start_response(Version::Http11, 200, b"OK");
/// head.append(b"Content-Length", b"0");
/// let mut out = Vec::new();
/// Encoder::new().encode_response(&head, &mut out);
/// assert_eq!(out, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Encoder(());

impl Encoder {
    /// An encoder that writes names in lower case; [`crate::Spellings`] changes them afterwards.
    #[must_use]
    pub fn new() -> Encoder {
        Encoder::default()
    }

    /// Appends a request head: request line, fields, empty line.
    pub fn encode_request(&self, head: &Head, out: &mut Vec<u8>) {
        out.reserve(head.arena.len() + 2 + head.fields.len() * 4);
        let from = if head.line_end != 0 {
            Some((head.line_start as usize, head.line_end as usize))
        } else {
            out.extend_from_slice(head.slice(head.first));
            out.push(b' ');
            out.extend_from_slice(head.slice(head.target));
            out.push(b' ');
            out.extend_from_slice(head.version.as_bytes());
            out.extend_from_slice(b"\r\n");
            None
        };
        encode_fields(head, from, out);
    }

    /// Appends a response head: status line, fields, empty line. The version is that of the head, as haproxy writes it.
    pub fn encode_response(&self, head: &Head, out: &mut Vec<u8>) {
        out.reserve(head.arena.len() + 24 + head.fields.len() * 4);
        let from = if head.line_end != 0 {
            Some((head.line_start as usize, head.line_end as usize))
        } else {
            out.extend_from_slice(head.version.as_bytes());
            out.push(b' ');
            let s = head.status % 1000;
            out.extend_from_slice(&[b'0' + (s / 100) as u8, b'0' + (s / 10 % 10) as u8, b'0' + (s % 10) as u8, b' ']);
            out.extend_from_slice(head.slice(head.first));
            out.extend_from_slice(b"\r\n");
            None
        };
        encode_fields(head, from, out);
    }
}

/// Appends fields and empty line. `from` is a range of the arena (the start line) to be copied before them.
fn encode_fields(head: &Head, from: Option<(usize, usize)>, out: &mut Vec<u8>) {
    let (mut start, mut end) = from.unwrap_or((0, 0));
    let mut fields = &head.fields[..];
    loop {
        // Lines that stand in the arena one behind the other go together.
        let mut count = 0;
        for f in fields {
            if !f.verbatim || f.name_start as usize != end {
                break;
            }
            end = f.line_end();
            count += 1;
        }
        let (lines, rest) = fields.split_at(count);
        copy_lines(head, start..end, lines, out);
        fields = match rest {
            [] => break,
            [f, ..] if f.verbatim => {
                (start, end) = (f.name_start as usize, f.name_start as usize);
                rest
            }
            [f, rest @ ..] => {
                let at = out.len();
                out.extend_from_slice(head.slice(f.name()));
                lower_front(&mut out[at..], usize::from(f.name_len));
                out.extend_from_slice(b": ");
                out.extend_from_slice(head.slice(f.value));
                out.extend_from_slice(b"\r\n");
                (start, end) = (0, 0);
                rest
            }
        };
    }
    out.extend_from_slice(b"\r\n");
}

/// Copies a range of the arena and lower-cases the names of the lines in it.
#[inline]
fn copy_lines(head: &Head, range: Range<usize>, lines: &[Field], out: &mut Vec<u8>) {
    let (start, base) = (range.start, out.len());
    let Some(bytes) = head.arena.get(range) else { return };
    out.extend_from_slice(bytes);
    let copied = &mut out[base..];
    for f in lines {
        if let Some(line) = copied.get_mut(f.name_start as usize - start..)
            && !f.id.write_lower(line)
        {
            lower_front(line, usize::from(f.name_len));
        }
    }
}
