//! The cookie with which a client of the Remote Desktop Protocol begins: `Cookie: mstshash=user` behind the headers of TPKT and X.224
//! (MS-RDPBCGR 2.2.1.1). Source: manual 7.3.5, `req.rdp_cookie`; what it leaves open was seen in haproxy 2.6.
//!
//! Holds: slices of what came, nothing is copied; linear in its length.

/// TPKT header (4 bytes) and X.224 connection request (7 bytes). haproxy looks at none of them.
const HEADERS: usize = 11;

/// What the first bytes of a connection say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookie<'a> {
    /// A cookie.
    Found {
        /// Its name, as written.
        name: &'a [u8],
        /// Its value; may be empty.
        value: &'a [u8],
    },
    /// There is none, whatever follows.
    Absent,
    /// That is open yet.
    NeedMore,
}

/// The cookie in the first bytes of a connection. Only what stands at the very beginning is one.
pub fn cookie(bytes: &[u8]) -> Cookie<'_> {
    const LABEL: &[u8] = b"cookie:";
    let Some(text) = bytes.get(HEADERS..) else { return Cookie::NeedMore };
    let label = &text[..text.len().min(LABEL.len())];
    if !label.eq_ignore_ascii_case(&LABEL[..label.len()]) {
        return Cookie::Absent;
    }
    let text = &text[label.len()..];
    let text = &text[text.iter().take_while(|&&byte| byte == b' ').count()..];
    let Some(end) = text.iter().position(|&byte| byte == b'\r') else { return Cookie::NeedMore };
    match (text.get(end + 1), text[..end].iter().position(|&byte| byte == b'=')) {
        (None, _) => Cookie::NeedMore,
        (Some(b'\n'), Some(equals)) => Cookie::Found { name: &text[..equals], value: &text[equals + 1..end] },
        _ => Cookie::Absent,
    }
}

/// The value of the cookie of this name, in upper or lower case, if it is there.
pub fn value<'a>(bytes: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    match cookie(bytes) {
        Cookie::Found { name, value } if name.eq_ignore_ascii_case(wanted) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &[u8]) -> Vec<u8> {
        [b"\x03\0\0\x2b\x26\xe0\0\0\0\0\0", text].concat()
    }

    #[test]
    fn as_haproxy_finds_it() {
        let found = |text: &[u8]| value(&request(text), b"mstshash").map(|value| String::from_utf8_lossy(value).into_owned());
        for (text, value) in [
            ("Cookie: mstshash=user1\r\n\x01\0\x08\0", "user1"),
            ("cookie: MSTSHASH=user1\r\n", "user1"),
            ("Cookie:mstshash=user1\r\n", "user1"),
            ("Cookie:   mstshash=a=b\r\n", "a=b"),
            ("Cookie: mstshash=us er; x=y\r\n", "us er; x=y"),
            ("Cookie: mstshash=us\ner\r\n", "us\ner"),
            ("Cookie: mstshash= a \r\n", " a "),
            ("Cookie: mstshash=\r\n", ""),
        ] {
            assert_eq!(found(text.as_bytes()).as_deref(), Some(value), "{text:?}");
        }
        for text in [
            "Cookie: msts=foo\r\n",
            "Cookie: a=b\r\nCookie: mstshash=user1\r\n",
            "Cookie: mstshash user1\r\n",
            "Cookie: mstshash =user1\r\n",
            "Cookie:\tmstshash=user1\r\n",
            "Cookie: mstshash=us\rer\r\n",
            "X Cookie: mstshash=user1\r\n",
            "Cookie: mstshash=user1\n",
        ] {
            assert_eq!(found(text.as_bytes()), None, "{text:?}");
        }
        // The headers may be anything.
        assert_eq!(value(b"01234567890Cookie: a=b\r\n", b"A"), Some(&b"b"[..]));
        assert_eq!(value(b"0123456789Cookie: a=b\r\n", b"A"), None);
    }

    #[test]
    fn pieces() {
        let whole = request(b"Cookie: mstshash=user1\r\n");
        for end in 0..whole.len() {
            assert_eq!(cookie(&whole[..end]), Cookie::NeedMore, "{end} bytes");
        }
        assert_eq!(cookie(&whole), Cookie::Found { name: b"mstshash", value: b"user1" });
        assert_eq!(cookie(&request(b"Cake")), Cookie::Absent);
    }
}
