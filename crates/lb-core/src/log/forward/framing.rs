//! Messages on a connection, told apart: octet counting and line feeds, message by message as the first byte says, or line feeds
//! alone. Pure.
//!
//! Source: RFC 6587 §3.4; what else comes ends the connection, as observed on haproxy 2.6.12.

/// What stands at the beginning of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A message of `len` bytes behind `skip`; the next one begins `next` bytes on.
    Message {
        /// Bytes of its framing in front.
        skip: usize,
        /// Its own.
        len: usize,
        /// All of it.
        next: usize,
    },
    /// The beginning of a message.
    Part,
    /// No message.
    Bad,
}

/// Looks for a message of at most `max` bytes at the start of `bytes`; with `line_feeds` each ends with one, whatever it begins with.
pub fn next(bytes: &[u8], max: usize, line_feeds: bool) -> Frame {
    match bytes.first() {
        None => Frame::Part,
        Some(_) if line_feeds => line(bytes, max),
        Some(b'<') => line(bytes, max),
        Some(b'1'..=b'9') => counted(bytes, max),
        Some(_) => Frame::Bad,
    }
}

/// `MESSAGE LF`
fn line(bytes: &[u8], max: usize) -> Frame {
    match memchr::memchr(b'\n', bytes) {
        Some(end) => Frame::Message { skip: 0, len: end - usize::from(bytes[..end].ends_with(b"\r")), next: end + 1 },
        None if bytes.len() >= max => Frame::Bad,
        None => Frame::Part,
    }
}

/// `LEN SP MESSAGE`
fn counted(bytes: &[u8], max: usize) -> Frame {
    let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    let len = bytes[..digits].iter().fold(0usize, |n, digit| n.saturating_mul(10).saturating_add(usize::from(digit - b'0')));
    let skip = digits + 1;
    match bytes.get(digits) {
        _ if skip.saturating_add(len) > max => Frame::Bad,
        None => Frame::Part,
        Some(b' ') if bytes.len() >= skip + len => Frame::Message { skip, len, next: skip + len },
        Some(b' ') => Frame::Part,
        Some(_) => Frame::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All messages, and what is left or wrong.
    fn all(mut bytes: &[u8], line_feeds: bool) -> (Vec<String>, Frame) {
        let mut list = Vec::new();
        loop {
            match next(bytes, 100, line_feeds) {
                Frame::Message { skip, len, next } => {
                    list.push(String::from_utf8(bytes[skip..skip + len].to_vec()).expect("ASCII"));
                    bytes = &bytes[next..];
                }
                end => return (list, end),
            }
        }
    }

    #[test]
    fn both_framings_and_their_mixture() {
        for (bytes, messages, end) in [
            ("5 hello5 world", vec!["hello", "world"], Frame::Part),
            ("5 hello5 worldx", vec!["hello", "world"], Frame::Bad),
            ("5 he", vec![], Frame::Part),
            ("5", vec![], Frame::Part),
            ("<13>one\n<14>two\n<1", vec!["<13>one", "<14>two"], Frame::Part),
            ("<13>a\r\n<13>b\r\n", vec!["<13>a", "<13>b"], Frame::Part),
            ("7 <13>abc<13>plain\n5 mixed", vec!["<13>abc", "<13>plain", "mixed"], Frame::Part),
            ("6 abcde\n3 xyz", vec!["abcde\n", "xyz"], Frame::Part),
            ("hello\n", vec![], Frame::Bad),
            ("0 x", vec![], Frame::Bad),
            ("05 x", vec![], Frame::Bad),
            ("5hello\n", vec![], Frame::Bad),
            ("\n<13>a\n", vec![], Frame::Bad),
            ("99 x", vec![], Frame::Bad),
            ("99999999999999999999999999 x", vec![], Frame::Bad),
            ("97 x", vec![], Frame::Part),
        ] {
            let (got, at_end) = all(bytes.as_bytes(), false);
            assert_eq!((got.iter().map(String::as_str).collect::<Vec<_>>(), at_end), (messages, end), "{bytes}");
        }
        assert_eq!(next(&[b'<'; 99], 100, false), Frame::Part);
        assert_eq!(next(&[b'<'; 100], 100, false), Frame::Bad);
        assert_eq!(next(&[b'1'; 1_000], 100, false), Frame::Bad);
    }

    #[test]
    fn line_feeds_alone() {
        let (got, end) = all(b"5 hello5 world\n<13>one\r\nplain\n\nrest", true);
        assert_eq!(got, ["5 hello5 world", "<13>one", "plain", ""]);
        assert_eq!(end, Frame::Part);
        assert_eq!(next(&[b'x'; 100], 100, true), Frame::Bad);
    }
}
