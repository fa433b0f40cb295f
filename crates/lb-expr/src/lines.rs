//! A head as lines of text, which is how the rules of haproxy 1.3 to 2.0 (`reqrep` and its family) look at it: a regex is asked about the
//! start line and about each field, `Name: value`, and what it finds is rewritten or removed as a whole line.
//!
//! Holds: a line that was rewritten is read again, and one that is none is an error; the head is then to be given up, since lines before it
//! may have changed. A head holds no line end, so those in a new line are the replacement's own and nothing that a peer sent: they
//! make more lines of it. How a message ends is none of its lines' business: CONNECT stays CONNECT and no other method becomes it, a status
//! keeps its side of 200; the fields of framing are the caller's to put back.
//!
//! Source: manual of haproxy 1.5, 4.2 and 6.

use crate::regex::{Regex, Replacement};
use lb_http::{Head, Method, Version, is_field_name, is_field_value, is_token_byte};

/// Why a new line is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// No request line or status line.
    #[error("the first line is no request line or status line")]
    Start,
    /// No field.
    #[error("a line is no field: it wants a name, ':' and a value")]
    Field,
    /// The head has become too large.
    #[error("the lines are too long")]
    TooLong,
}

/// What was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// The start line; fields are not looked at then.
    Start,
    /// That many fields.
    Fields(usize),
}

/// Whether the regex finds something in the start line or in a field.
pub fn matches(regex: &Regex, head: &Head) -> bool {
    let mut line = Vec::new();
    write_start(head, &mut line);
    regex.is_match(&line) || (0..head.len()).any(|n| finds(regex, head, n, &mut line))
}

/// Removes the fields in which the regex finds something; says how many. The start line stays.
pub fn remove(regex: &Regex, head: &mut Head) -> usize {
    let mut line = Vec::new();
    let found: Vec<bool> = (0..head.len()).map(|n| finds(regex, head, n, &mut line)).collect();
    let mut found = found.into_iter();
    head.retain(|_| !found.next().unwrap_or(false))
}

/// Puts a new line in the place of the start line, or where the regex finds nothing in that, of each field in which it does.
///
/// # Errors
/// A new line that is none; lines that grow beyond `limit` bytes in all.
pub fn replace(regex: &Regex, with: &Replacement, head: &mut Head, limit: usize) -> Result<Replaced, LineError> {
    let (mut line, mut new) = (Vec::new(), Vec::new());
    write_start(head, &mut line);
    let mut size = line.len() + head.fields().map(|field| field.name.len() + field.value.len() + 4).sum::<usize>();
    let mut grows = |old: usize, new: usize| {
        size = (size + new).saturating_sub(old);
        if new > old && size > limit { Err(LineError::TooLong) } else { Ok(()) }
    };
    if expand(regex, with, &line, &mut new) {
        grows(line.len(), new.len())?;
        let mut lines = split(&new);
        set_start(head, lines.next().unwrap_or_default())?;
        for (n, more) in lines.enumerate() {
            let (name, value) = field_of(more)?;
            head.insert(n, name, value);
        }
        return Ok(Replaced::Start);
    }
    let (mut at, mut replaced) = (0, 0);
    while at < head.len() {
        if write_field(head, at, &mut line, |line| expand(regex, with, line, &mut new)) {
            grows(line.len(), new.len())?;
            replaced += 1;
            let mut lines = split(&new);
            let (name, value) = field_of(lines.next().unwrap_or_default())?;
            if head.field(at).is_some_and(|old| old.name != name) {
                head.set_name(at, name);
            }
            head.set_value(at, value);
            for more in lines {
                let (name, value) = field_of(more)?;
                at += 1;
                head.insert(at, name, value);
            }
        }
        at += 1;
    }
    Ok(Replaced::Fields(replaced))
}

/// Name and value.
pub type FieldLine<'t> = (&'t [u8], &'t [u8]);

/// The fields that a text of one or more lines is.
///
/// # Errors
/// A line that is no field.
pub fn fields(text: &[u8]) -> Result<Vec<FieldLine<'_>>, LineError> {
    split(text).map(field_of).collect()
}

/// The lines of a text; one line end at its end makes no line.
fn split(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

fn write_start(head: &Head, line: &mut Vec<u8>) {
    line.clear();
    if head.status() == 0 {
        for piece in [head.method_bytes(), b" ", head.target(), b" ", head.version().as_bytes()] {
            line.extend_from_slice(piece);
        }
    } else {
        line.extend_from_slice(head.version().as_bytes());
        line.extend_from_slice(format!(" {:03} ", head.status()).as_bytes());
        line.extend_from_slice(head.reason());
    }
}

/// Writes field `n` and asks about it. One without a value may have come with or without a space behind its colon: it is asked about
/// both ways.
fn write_field(head: &Head, n: usize, line: &mut Vec<u8>, mut ask: impl FnMut(&[u8]) -> bool) -> bool {
    line.clear();
    let Some(field) = head.field(n) else { return false };
    line.extend_from_slice(field.name);
    line.extend_from_slice(b": ");
    line.extend_from_slice(field.value);
    ask(line) || (field.value.is_empty() && ask(line.strip_suffix(b" ").unwrap_or(line)))
}

fn finds(regex: &Regex, head: &Head, n: usize, line: &mut Vec<u8>) -> bool {
    write_field(head, n, line, |line| regex.is_match(line))
}

/// Writes what stands in the place of `line`; false: the regex finds nothing.
fn expand(regex: &Regex, with: &Replacement, line: &[u8], new: &mut Vec<u8>) -> bool {
    let Some(groups) = regex.find(line) else { return false };
    new.clear();
    with.pieces(&groups, line).for_each(|piece| new.extend_from_slice(piece));
    true
}

fn field_of(line: &[u8]) -> Result<FieldLine<'_>, LineError> {
    let colon = memchr::memchr(b':', line).ok_or(LineError::Field)?;
    let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
    if is_field_name(name) && is_field_value(value) { Ok((name, value)) } else { Err(LineError::Field) }
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

fn set_start(head: &mut Head, line: &[u8]) -> Result<(), LineError> {
    if head.status() == 0 { set_request(head, line) } else { set_status(head, line) }.ok_or(LineError::Start)
}

fn version(word: &[u8]) -> Option<Version> {
    [Version::Http10, Version::Http11].into_iter().find(|version| version.as_bytes() == word)
}

fn set_request(head: &mut Head, line: &[u8]) -> Option<()> {
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    let (method, target, version) = (words.next()?, words.next()?, version(words.next()?)?);
    let connects = Method::of(method) == Method::Connect;
    let whole = target[0] == b'/' || target == b"*" || memchr::memmem::find(target, b"://").is_some();
    let sound = words.next().is_none()
        && method.iter().all(|byte| is_token_byte(*byte))
        && !target.iter().any(|byte| *byte <= b' ' || *byte == 127)
        && connects == (head.method() == Method::Connect)
        && (whole || connects);
    if !sound {
        return None;
    }
    head.set_method(method);
    head.set_target(target);
    head.set_version(version);
    Some(())
}

fn set_status(head: &mut Head, line: &[u8]) -> Option<()> {
    let (first, rest) = line.split_at_checked(8)?;
    let version = version(first)?;
    let rest = trim(rest.strip_prefix(b" ")?);
    let (code, reason) = rest.split_at_checked(3)?;
    let status = code.iter().try_fold(0, |n, byte| char::from(*byte).to_digit(10).map(|digit| n * 10 + digit as u16))?;
    let interim = |status: u16| status < 200;
    let sound = status >= 100
        && (reason.is_empty() || reason[0] == b' ')
        && is_field_value(reason)
        && (status == head.status() || !(interim(status) || interim(head.status())));
    if !sound {
        return None;
    }
    head.set_status(status, trim(reason));
    head.set_version(version);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_http::h1::Encoder;

    fn request() -> Head {
        let mut head = Head::new();
        head.start_request(b"GET", b"/old/a?b", Version::Http11);
        for (name, value) in [("Host", "www.a.example"), ("X-One", "1"), ("x-two", "2"), ("X-Empty", "")] {
            head.append(name.as_bytes(), value.as_bytes());
        }
        head
    }

    fn response() -> Head {
        let mut head = Head::new();
        head.start_response(Version::Http11, 200, b"OK");
        head.append(b"Server", b"Apache");
        head
    }

    fn text(head: &Head) -> String {
        let mut out = Vec::new();
        let encoder = Encoder::new();
        if head.status() == 0 {
            encoder.encode_request(head, &mut out)
        } else {
            encoder.encode_response(head, &mut out)
        }
        String::from_utf8(out).unwrap().trim_end().replace("\r\n", "|")
    }

    fn replaced(head: &Head, pattern: &str, with: &str) -> Result<String, LineError> {
        let mut head = head.clone();
        let regex = Regex::new(pattern, false).unwrap();
        replace(&regex, &Replacement::new(with.as_bytes()).unwrap(), &mut head, 200)?;
        Ok(text(&head))
    }

    #[test]
    fn fields_are_replaced_as_lines() {
        let of = |pattern, with| replaced(&request(), pattern, with);
        let rest = "|x-one: 1|x-two: 2|x-empty:";
        assert_eq!(of("^Host: www\\.(.*)", "Host: \\1").unwrap(), format!("GET /old/a?b HTTP/1.1|host: a.example{rest}"));
        assert_eq!(of("^host:", "Host: x").unwrap(), text(&request()), "case");
        // The whole line goes, not what matched of it.
        assert_eq!(of("www", "X-Host: a").unwrap(), format!("GET /old/a?b HTTP/1.1|x-host: a{rest}"));
        // Each line, and a line end of the replacement's own makes lines.
        assert_eq!(
            of("^(?i)(x-[a-z]*:) *(\\d)", "\\1 <\\2>\r\nY: \\2").unwrap(),
            "GET /old/a?b HTTP/1.1|host: www.a.example|x-one: <1>|y: 1|x-two: <2>|y: 2|x-empty:"
        );
        for empty in ["^X-Empty:$", "^X-Empty: $", "^X-Empty: (.*)"] {
            assert!(of(empty, "X-Empty: none").unwrap().ends_with("|x-empty: none"), "{empty}");
        }
        for bad in ["none", ": a", "a b: c", "", "A: \\x00", "A: b\rc", "A: b\n\nC: d"] {
            assert_eq!(of("^X-One", bad), Err(LineError::Field), "{bad:?}");
        }
        assert_eq!(of("^Host: (.*)", "Host: \\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1"), Err(LineError::TooLong));
    }

    #[test]
    fn a_request_line_that_is_replaced_leaves_the_fields_alone() {
        let of = |pattern, with| replaced(&request(), pattern, with);
        let rest = "|host: www.a.example|x-one: 1|x-two: 2|x-empty:";
        assert_eq!(of("^([^ :]*) /old/(.*)", "\\1 /new/\\2").unwrap(), format!("GET /new/a?b HTTP/1.1{rest}"));
        assert_eq!(of("(.*)", "PUT\t /x  HTTP/1.0 ").unwrap(), format!("PUT /x HTTP/1.0{rest}"));
        assert_eq!(of("^GET", "GET / HTTP/1.1\nA: b\nC: d\n").unwrap(), format!("GET / HTTP/1.1|a: b|c: d{rest}"));
        for bad in ["GET", "GET /", "GET / HTTP/1.2", "GET /a b HTTP/1.1", "G@T / HTTP/1.1", "GET x HTTP/1.1", "CONNECT / HTTP/1.1", ""] {
            assert_eq!(of("^GET", bad), Err(LineError::Start), "{bad}");
        }
        let mut connect = Head::new();
        connect.start_request(b"CONNECT", b"a:1", Version::Http11);
        assert_eq!(replaced(&connect, "a:1", "CONNECT b:2 HTTP/1.1").unwrap(), "CONNECT b:2 HTTP/1.1");
        assert_eq!(replaced(&connect, "a:1", "GET / HTTP/1.1"), Err(LineError::Start));
    }

    #[test]
    fn status_lines() {
        let of = |with| replaced(&response(), "^HTTP/1.1 200 OK$", with);
        assert_eq!(of("HTTP/1.0 404 Gone away").unwrap(), "HTTP/1.0 404 Gone away|server: Apache");
        assert_eq!(of("HTTP/1.1 204").unwrap(), "HTTP/1.1 204 |server: Apache");
        for bad in ["HTTP/1.1 101 Switching", "HTTP/1.1 20 a", "HTTP/1.1 2000", "HTTP/2.0 200 OK", "HTTP/1.1", "HTTP/1.1200", "x"] {
            assert_eq!(of(bad), Err(LineError::Start), "{bad}");
        }
    }

    #[test]
    fn asked_and_removed() {
        let regex = |text: &str| Regex::new(text, true).unwrap();
        let mut head = request();
        assert!(matches(&regex("^get /old"), &head) && matches(&regex("^x-empty:$"), &head) && !matches(&regex("^old"), &head));
        assert_eq!(remove(&regex("^x-|GET"), &mut head), 3);
        assert_eq!(text(&head), "GET /old/a?b HTTP/1.1|host: www.a.example");
        assert_eq!(fields(b"A: b\r\nC:d").unwrap(), [(&b"A"[..], &b"b"[..]), (b"C", b"d")]);
        assert_eq!(fields(b"A"), Err(LineError::Field));
    }
}
