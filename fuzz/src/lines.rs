//! Rules of haproxy 1.3 to 2.0 over the lines of a head: any regex, any replacement, any head that a decoder has let in.
//!
//! An input is the regex, a line feed, the replacement, a line feed, and the head; the first byte says what it is a head of.

use lb_expr::lines::{self, Replaced};
use lb_expr::regex::{Regex, Replacement};
use lb_http::h1::{Decoded, Decoder, Encoder, Limits, ResponseTo};
use lb_http::{Head, Method, is_field_name, is_field_value};

/// Pieces that inputs are made of.
pub const WORDS: &[&[u8]] = &[
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"^",
    b"$",
    b"(.*)",
    b"([^ :]*)",
    b"(?i)",
    b"^HTTP/1.1 200",
    b"^Host: ",
    b"\\0",
    b"\\1",
    b"\\2",
    b"\\1\\1\\1\\1\\1\\1\\1\\1",
    b"\\x0a",
    b"\\x0d",
    b"\\x00",
    b"\\\\",
    b"\\",
    b" ",
    b": ",
    b":",
    b"GET / HTTP/1.1",
    b"CONNECT a:1 HTTP/1.1",
    b"HTTP/1.0 204 x",
    b"HTTP/1.1 101 x",
    b"http://a/",
    b"Host: a\r\n",
    b"X-Empty:\r\n",
    b"Content-Length: 0\r\n",
    b"\xff",
];

/// Most bytes that lines may grow to.
const LIMIT: usize = 2_000;

/// The lines of a head as it goes out, without the empty one.
fn sent(head: &Head) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    match head.status() {
        0 => Encoder::new().encode_request(head, &mut out),
        _ => Encoder::new().encode_response(head, &mut out),
    }
    let text = out.strip_suffix(b"\r\n\r\n").or(out.strip_suffix(b"\r\n")).expect("an end");
    let mut lines: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let count = lines.len();
    for (n, line) in lines.iter_mut().enumerate() {
        if n + 1 < count {
            assert_eq!(line.pop(), Some(b'\r'), "a line ends as lines do");
        }
        assert!(is_field_value(line), "no line end within a line");
    }
    lines
}

/// A head stays a head: as many lines as fields, each sound, none of them made by what came from a peer.
pub fn old_lines(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let mut parts = rest.splitn(3, |byte| *byte == b'\n');
    let [Some(regex), Some(with), Some(input)] = [parts.next(), parts.next(), parts.next()] else { return };
    let (Ok(regex), Ok(with_text)) = (std::str::from_utf8(regex), std::str::from_utf8(with)) else { return };
    let (Ok(regex), Ok(with)) = (Regex::new(regex, kind & 2 != 0), Replacement::new(with_text.as_bytes())) else { return };
    let mut head = Head::new();
    let (mut decoder, limits) = (Decoder::new(), Limits::default());
    let complete = if kind & 1 == 0 {
        matches!(decoder.decode_request(input, &limits, &mut head), Ok(Decoded::Complete { .. }))
    } else {
        matches!(decoder.decode_response(input, &limits, ResponseTo::default(), &mut head), Ok(Decoded::Complete { .. }))
    };
    if !complete {
        return;
    }
    let before = sent(&head);
    let size = |lines: &[Vec<u8>]| lines.iter().map(Vec::len).sum::<usize>();
    let found = lines::matches(&regex, &head);
    let mut less = head.clone();
    let removed = lines::remove(&regex, &mut less);
    assert_eq!(less.len() + removed, head.len());
    assert_eq!(sent(&less).len(), less.len() + 1);
    assert!(found || removed == 0);
    assert!(!less.fields().any(|field| !field.value.is_empty() && regex.is_match(&[field.name, b": ", field.value].concat())));
    let mut new = head.clone();
    let Ok(replaced) = lines::replace(&regex, &with, &mut new, LIMIT) else { return };
    assert_eq!(found, replaced != Replaced::Fields(0), "what is found is replaced");
    let after = sent(&new);
    assert_eq!(after.len(), new.len() + 1);
    // Lines come from the replacement's own line ends alone: one that is written, or the escape of one.
    let own = with_text.bytes().any(|byte| byte == b'\n') || with_text.to_ascii_lowercase().contains("\\x0a");
    assert!(own || new.len() == head.len(), "{with_text:?}");
    assert!(size(&after) <= size(&before).max(LIMIT) + 64 * after.len());
    for field in new.fields() {
        assert!(is_field_name(field.name) && is_field_value(field.value));
    }
    assert_eq!(new.status() == 0, head.status() == 0);
    if head.status() == 0 {
        assert_eq!(new.method() == Method::Connect, head.method() == Method::Connect);
        assert_eq!(after[0].split(|byte| *byte == b' ').count(), 3, "three words");
    } else {
        assert!(new.status() == head.status() || (new.status() >= 200 && head.status() >= 200));
    }
    // The text of `reqadd`, read when a file is.
    if let Ok(fields) = lines::fields(with_text.as_bytes()) {
        assert!(fields.iter().all(|(name, value)| is_field_name(name) && is_field_value(value)));
    }
}
