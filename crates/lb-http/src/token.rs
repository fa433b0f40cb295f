//! Byte classes of RFC 9110 and the comma list. Pure functions over slices; tables are built at compile time.

/// `tchar` of RFC 9110 §5.6.2.
const TCHAR: u8 = 1;
/// What may stand in a host name as RFC 3986 §3.2.2 has it, less `%` (which needs two digits behind it) and the comma
/// (which would make a list of it).
const HOST: u8 = 2;

const CLASS: [u8; 256] = {
    let mut t = [0u8; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        if b.is_ascii_alphanumeric() {
            t[i] |= TCHAR | HOST;
        }
        i += 1;
    }
    let extra = b"!#$%&'*+-.^_`|~";
    let mut i = 0;
    while i < extra.len() {
        t[extra[i] as usize] |= TCHAR;
        i += 1;
    }
    let extra = b"-._~!$&'()*+;=";
    let mut i = 0;
    while i < extra.len() {
        t[extra[i] as usize] |= HOST;
        i += 1;
    }
    t
};

/// True for a byte that may stand in a token: a method or a field name (RFC 9110 §5.6.2).
#[inline]
#[must_use]
pub fn is_token_byte(b: u8) -> bool {
    CLASS[b as usize] & TCHAR != 0
}

/// True for a sound field name: one to 255 token bytes.
#[must_use]
pub fn is_field_name(name: &[u8]) -> bool {
    !name.is_empty() && name.len() <= crate::h1::MAX_NAME && name.iter().all(|&b| is_token_byte(b))
}

/// True for a value that can stand in a field: no NUL, CR or LF (RFC 9110 §5.5).
#[must_use]
pub fn is_field_value(value: &[u8]) -> bool {
    !value.iter().any(|&b| matches!(b, 0 | b'\r' | b'\n'))
}

/// Index of the first byte that may not stand in a host name (`%` included), or `bytes.len()`.
#[inline]
pub(crate) fn find_non_host(bytes: &[u8]) -> usize {
    find_other_class::<HOST>(bytes, 0)
}

/// Index of the first byte at or after `from` that is not of a class, or `bytes.len()`. Looks at four at a time.
#[inline(always)]
fn find_other_class<const C: u8>(bytes: &[u8], from: usize) -> usize {
    let is_all = |bytes: &[u8]| bytes.iter().fold(C, |all, &b| all & CLASS[b as usize]) != 0;
    let (fours, _) = bytes.get(from..).unwrap_or_default().as_chunks::<4>();
    let mut i = from + 4 * fours.iter().take_while(|four| is_all(*four)).count();
    while i < bytes.len() && is_all(&bytes[i..=i]) {
        i += 1;
    }
    i
}

/// Optional white space of RFC 9110 §5.6.3.
#[inline]
pub(crate) fn is_ows(b: u8) -> bool {
    b == b' ' || b == b'\t'
}

/// `value` without spaces and tabs at its ends.
#[inline]
pub(crate) fn trim_ows(mut value: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = value {
        if !is_ows(*first) {
            break;
        }
        value = rest;
    }
    while let [rest @ .., last] = value {
        if !is_ows(*last) {
            break;
        }
        value = rest;
    }
    value
}

/// Elements of one comma-separated field value (RFC 9110 §5.6.1).
///
/// Empty elements are skipped, elements are trimmed, a comma inside a quoted string does not separate.
///
/// ```
/// let all: Vec<&[u8]> = lb_http::comma_list(b"close,, \"a,b\" ,TE ").collect();
/// assert_eq!(all, [&b"close"[..], b"\"a,b\"", b"TE"]);
/// ```
#[must_use]
pub fn comma_list(value: &[u8]) -> CommaList<'_> {
    CommaList { rest: value }
}

/// Iterator of [`comma_list`].
#[derive(Clone, Debug)]
pub struct CommaList<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for CommaList<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let end = element_end(self.rest);
            let element = trim_ows(&self.rest[..end]);
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            if !element.is_empty() {
                return Some(element);
            }
        }
        None
    }
}

/// Index of the comma that ends the first element of `list`, or its length.
fn element_end(list: &[u8]) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (i, &b) in list.iter().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return i,
            _ => {}
        }
    }
    list.len()
}

const LSB: u64 = 0x0101_0101_0101_0101;
const MSB: u64 = 0x8080_8080_8080_8080;

/// Index of the first byte below 0x20 at or after `from`, or `bytes.len()`.
#[inline(always)]
pub(crate) fn find_control(bytes: &[u8], from: usize) -> usize {
    // Most values end within two words. Of the others whole blocks are looked at, as vectors, until there is one with such a byte.
    let in_words = |from: usize, most: usize| {
        let (words, _) = bytes.get(from..).unwrap_or_default().as_chunks::<8>();
        let mut i = from;
        for w in words.iter().take(most) {
            let w = u64::from_le_bytes(*w);
            // Bytes >= 0x80 are masked out; a borrow can only spoil bytes above a true hit, and the lowest hit is taken.
            let hit = w.wrapping_sub(LSB * 0x20) & !w & MSB;
            if hit != 0 {
                return Ok(i + (hit.trailing_zeros() / 8) as usize);
            }
            i += 8;
        }
        Err(i)
    };
    let mut i = match in_words(from, 2) {
        Ok(hit) => return hit,
        Err(i) => i,
    };
    let (blocks, _) = bytes.get(i..).unwrap_or_default().as_chunks::<16>();
    for block in blocks {
        if block.iter().fold(false, |any, &b| any | (b < 0x20)) {
            break;
        }
        i += 16;
    }
    in_words(i, 2).unwrap_or_else(|i| find_control_bytewise(bytes, i))
}

#[inline(never)]
fn find_control_bytewise(bytes: &[u8], mut i: usize) -> usize {
    while bytes.get(i).is_some_and(|&b| b >= 0x20) {
        i += 1;
    }
    i.min(bytes.len())
}

/// Marks (bit 7 of each byte) of the bytes of `w` that are zero; exact up to and including the lowest.
#[inline]
fn zero_bytes(w: u64) -> u64 {
    w.wrapping_sub(LSB) & !w & MSB
}

/// Bit 7 of the first byte of `w` that is a colon or not ASCII; 0 when there is none.
#[inline]
pub(crate) fn first_colon(w: u64) -> u64 {
    let hits = (w ^ (LSB * b':' as u64)).wrapping_sub(LSB) & MSB;
    // A byte of 0x80 to 0xba may hide behind its own bit 7 without harm: no name has it.
    hits & hits.wrapping_neg()
}

/// Index of the first byte at or after `from` that is not plain in a request target: space, control byte, `#`, DEL,
/// non-ASCII; or `bytes.len()`.
#[inline]
pub(crate) fn find_target_end(bytes: &[u8], from: usize) -> usize {
    let mut i = from;
    let (words, _) = bytes.get(from..).unwrap_or_default().as_chunks::<8>();
    for w in words {
        let w = u64::from_le_bytes(*w);
        let low = w.wrapping_sub(LSB * 0x21) & !w;
        let hash = zero_bytes(w ^ (LSB * b'#' as u64));
        let del = zero_bytes(w ^ (LSB * 0x7f));
        let hit = (low | w | hash | del) & MSB;
        if hit != 0 {
            // A borrow may mark a byte above a true hit, never below it: the lowest mark is a true hit.
            return i + (hit.trailing_zeros() / 8) as usize;
        }
        i += 8;
    }
    while let Some(&b) = bytes.get(i) {
        if !(0x21..0x7f).contains(&b) || b == b'#' {
            break;
        }
        i += 1;
    }
    i
}

/// Index of the first byte that is no token byte at or after `from`, or `bytes.len()`.
#[inline]
pub(crate) fn find_non_token(bytes: &[u8], from: usize) -> usize {
    find_other_class::<TCHAR>(bytes, from)
}

/// Lower-cases ASCII letters of a word.
#[inline]
fn lower_word(w: u64) -> u64 {
    let low = w & !MSB;
    let ge_a = low.wrapping_add(LSB * (0x80 - b'A' as u64));
    let gt_z = low.wrapping_add(LSB * (0x80 - b'Z' as u64 - 1));
    let upper = ge_a & !gt_z & !w & MSB;
    w | (upper >> 2)
}

/// True when `text`, in whatever case, is `lower`, which has no upper-case letters (ASCII). Eight bytes at a time.
#[inline]
#[must_use]
pub fn eq_lower(text: &[u8], lower: &[u8]) -> bool {
    if text.len() != lower.len() {
        return false;
    }
    let same = |a: &[u8; 8], b: &[u8; 8]| lower_word(u64::from_le_bytes(*a)) == u64::from_le_bytes(*b);
    match (text.last_chunk::<8>(), lower.last_chunk::<8>()) {
        // What is left over at the end is looked at together with what stands before it.
        (Some(last), Some(of)) => {
            let (a, b) = (text.as_chunks::<8>().0, lower.as_chunks::<8>().0);
            a.iter().zip(b).all(|(a, b)| same(a, b)) && same(last, of)
        }
        _ => text.iter().zip(lower).all(|(a, b)| a.to_ascii_lowercase() == *b),
    }
}

/// Lower-cases the first `len` bytes of `bytes`, eight at a time; bytes after them are only read.
#[inline(never)]
pub(crate) fn lower_front(bytes: &mut [u8], len: usize) {
    let mut i = 0;
    while i < len {
        let Some(slot) = bytes.get_mut(i..).and_then(|rest| rest.first_chunk_mut::<8>()) else {
            for b in bytes.iter_mut().take(len).skip(i) {
                b.make_ascii_lowercase();
            }
            return;
        };
        let w = u64::from_le_bytes(*slot);
        let keep = if len - i >= 8 { u64::MAX } else { (1u64 << (8 * (len - i))) - 1 };
        *slot = (lower_word(w) & keep | w & !keep).to_le_bytes();
        i += 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_case_agrees_with_std_for_every_byte_and_length() {
        for (len, behind) in (0..30).flat_map(|len| (0..10).map(move |behind| (len, behind))) {
            for b in 0..=255u8 {
                let mut a: Vec<u8> = (0..len + behind).map(|i| b.wrapping_add(i)).collect();
                let mut want = a.clone();
                want[..usize::from(len)].make_ascii_lowercase();
                lower_front(&mut a, usize::from(len));
                assert_eq!(a, want);
            }
        }
    }

    #[test]
    fn comparing_in_any_case_agrees_with_std() {
        for len in 0..30u8 {
            let lower: Vec<u8> = (0..len).map(|i| b'a' + i % 26).collect();
            assert!(eq_lower(&lower, &lower) && eq_lower(&lower.to_ascii_uppercase(), &lower));
            assert!(!eq_lower(&lower, &[&lower[..], b"x"].concat()));
            for (at, byte) in (0..usize::from(len)).flat_map(|at| (0..=255u8).map(move |byte| (at, byte))) {
                let mut text = lower.clone();
                text[at] = byte;
                assert_eq!(eq_lower(&text, &lower), text.eq_ignore_ascii_case(&lower), "{len} {at} {byte}");
            }
        }
    }

    #[test]
    fn target_ends_are_found_at_every_offset() {
        for len in 0..28usize {
            for at in 0..len {
                for byte in 0..=255u8 {
                    let mut a = vec![b'x'; len];
                    a[at] = byte;
                    let plain = (0x21..0x7f).contains(&byte) && byte != b'#';
                    assert_eq!(find_target_end(&a, 0), if plain { len } else { at }, "{len} {at} {byte}");
                }
            }
        }
        assert_eq!(find_target_end(b"abc\x22\x20\x21\x24\x7f#", 0), 4);
        for (text, want) in [(b"abcdefgh", 0), (b":bcdefgh", 1 << 7), (b"abc:e:gh", 1 << 31), (b"abcdefg:", 1 << 63)] {
            assert_eq!(first_colon(u64::from_le_bytes(*text)), want);
        }
    }

    #[test]
    fn control_bytes_are_found_at_every_offset() {
        for len in 0..40usize {
            for at in 0..len {
                for (byte, hit) in [(0u8, true), (9, true), (13, true), (31, true), (32, false), (127, false), (128, false), (255, false)] {
                    let mut a = vec![b'x'; len];
                    a[at] = byte;
                    assert_eq!(find_control(&a, 0), if hit { at } else { len }, "{len} {at} {byte}");
                    assert_eq!(find_control(&a, at + 1), len);
                    assert_eq!(find_control(&a, len + 1), len);
                }
            }
        }
        assert_eq!(find_control(&[0x80, 0x9f, 0xff, 0x7f, 0xa0, 0x20, 0x21, 0x22, 0x0a], 0), 8);
    }

    #[test]
    fn comma_lists() {
        for (value, want) in [
            ("", vec![]),
            (",, ,", vec![]),
            ("a", vec!["a"]),
            (" a ,\tb\t,c", vec!["a", "b", "c"]),
            ("\"a\\\",b\",c", vec!["\"a\\\",b\"", "c"]),
            ("\"open, never closed", vec!["\"open, never closed"]),
        ] {
            let got: Vec<_> = comma_list(value.as_bytes()).map(|e| std::str::from_utf8(e).unwrap()).collect();
            assert_eq!(got, want, "{value:?}");
        }
    }

    #[test]
    fn names_and_values() {
        assert!(is_field_name(b"x-a!#$%&'*+.^_`|~9"));
        for bad in [&b""[..], b"a b", b"a:", b"a\0", b"\xc3\xa9", b"a(", &[b'a'; 256]] {
            assert!(!is_field_name(bad));
        }
        assert!(is_field_name(&[b'a'; 255]));
        assert!(is_field_value(b"\x01\t\xff") && !is_field_value(b"a\nb") && !is_field_value(b"a\r") && !is_field_value(b"\0"));
    }
}
