//! Fields of a head in binary, as `req.hdrs_bin` gives them and `add-headers-bin` and its kin take them (manual 7.3.6, 4.4 of 3.4): each
//! text behind its length. Lengths are the variable-length numbers of SPOE: up to 239 as they are, then four bits in the first byte and
//! seven in each one that follows.
//!
//! Holds: whatever the bytes are, nothing is read behind their end, and what has been put is what is read.

/// Appends a length.
pub(crate) fn put_length(len: usize, bytes: &mut bumpalo::collections::Vec<'_, u8>) {
    if len < 240 {
        return bytes.push(len as u8);
    }
    bytes.push(len as u8 | 240);
    let mut rest = (len - 240) >> 4;
    while rest >= 128 {
        bytes.push(rest as u8 | 128);
        rest = (rest - 128) >> 7;
    }
    bytes.push(rest as u8);
}

fn length(rest: &mut &[u8]) -> Option<usize> {
    let mut next = || {
        let (first, behind) = rest.split_first()?;
        *rest = behind;
        Some(usize::from(*first))
    };
    let mut len = next()?;
    // No text is longer than a buffer: 4 + 3 · 7 bits are plenty.
    for shift in [4, 11, 18] {
        let byte = if len < 240 { return Some(len) } else { next()? };
        len += byte << shift;
        if byte < 128 {
            return Some(len);
        }
    }
    None
}

fn text<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let len = length(rest)?;
    let (text, behind) = rest.split_at_checked(len)?;
    *rest = behind;
    Some(text)
}

/// Names and values, up to two empty ones or to the end; `None`: the bytes are no such list.
pub fn fields(bytes: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut rest = bytes;
    let mut list = Vec::new();
    while !rest.is_empty() {
        let field = (text(&mut rest)?, text(&mut rest)?);
        if field.0.is_empty() && field.1.is_empty() {
            break;
        }
        list.push(field);
    }
    Some(list)
}

/// Names alone, up to an empty one or to the end; `None`: the bytes are no such list.
pub fn names(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut rest = bytes;
    let mut list = Vec::new();
    while !rest.is_empty() {
        match text(&mut rest)? {
            [] => break,
            name => list.push(name),
        }
    }
    Some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_come_back() {
        let scratch = bumpalo::Bump::new();
        for len in (0..5_000).chain([16_383, 16_384, 34_000, 65_536]) {
            let mut bytes = bumpalo::collections::Vec::new_in(&scratch);
            put_length(len, &mut bytes);
            let mut rest = &bytes[..];
            assert_eq!(length(&mut rest), Some(len));
            assert!(rest.is_empty(), "{len}");
        }
    }

    #[test]
    fn lists_and_what_is_none() {
        assert_eq!(fields(b"\x01a\x02bc\x01d\x00\x00\x00rest"), Some(vec![(&b"a"[..], &b"bc"[..]), (b"d", b"")]));
        assert_eq!(fields(b""), Some(vec![]));
        assert_eq!(fields(b"\x01a\x02bc"), Some(vec![(&b"a"[..], &b"bc"[..])]));
        for broken in [&b"\x01"[..], b"\x01a", b"\x01a\x05bc", b"\xff\xff\xff\xff\xff", b"\xf0"] {
            assert_eq!(fields(broken), None, "{broken:?}");
        }
        assert_eq!(names(b"\x01a\x02bc\x00\x01d"), Some(vec![&b"a"[..], b"bc"]));
        assert_eq!(names(b"\x01a\x02b"), None);
    }
}
