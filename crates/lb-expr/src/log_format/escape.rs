//! Non-printable characters: which bytes a log line shows as `#XX`. Source: manual section 8.6.

/// What to encode, as bits of [`CLASS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Set(u8);

impl Set {
    /// In the request line: outside 32..=126, `"` and `#`.
    pub(crate) const LINE: Set = Set(1);
    /// In captured headers: the same and `{`, `|`, `}`.
    pub(crate) const HEADER: Set = Set(2);
    /// Preceded by a backslash under the flag `E`: `"`, `\`, `]`.
    pub(crate) const BACKSLASH: Set = Set(4);

    pub(crate) const fn or(self, other: Set) -> Set {
        Set(self.0 | other.0)
    }

    pub(crate) fn has(self, byte: u8) -> bool {
        CLASS[usize::from(byte)] & self.0 != 0
    }

    /// How many bytes at the start are not in the set.
    pub(crate) fn plain_prefix(self, bytes: &[u8]) -> usize {
        let mut at = 0;
        // Eight at a time while none is suspect; the table then decides on the rest.
        if self.0 & Set::BACKSLASH.0 == 0 {
            let first_bad = if self.0 & Set::HEADER.0 != 0 { b'{' } else { 127 };
            while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>())
                && !suspect(u64::from_ne_bytes(*chunk), first_bad)
            {
                at += 8;
            }
        }
        bytes[at..].iter().position(|b| self.has(*b)).map_or(bytes.len(), |found| at + found)
    }
}

/// Whether any of eight bytes is below 32, `"`, `#`, or at least `first_bad` (which is at most 128).
fn suspect(x: u64, first_bad: u8) -> bool {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES * 128;
    let below_32 = x.wrapping_sub(ONES * 32) & !x;
    // `"` is 0x22 and `#` 0x23: with the lowest bit set both are `#`.
    let quotes = (x | ONES) ^ (ONES * b'#' as u64);
    let quotes = quotes.wrapping_sub(ONES) & !quotes;
    let above = (x & !HIGH).wrapping_add(ONES * u64::from(128 - first_bad)) | x;
    (below_32 | quotes | above) & HIGH != 0
}

const CLASS: [u8; 256] = {
    let mut class = [0u8; 256];
    let mut byte = 0usize;
    while byte < 256 {
        if byte < 32 || byte > 126 || byte == b'"' as usize || byte == b'#' as usize {
            class[byte] |= Set::LINE.0 | Set::HEADER.0;
        }
        if byte == b'{' as usize || byte == b'|' as usize || byte == b'}' as usize {
            class[byte] |= Set::HEADER.0;
        }
        if byte == b'"' as usize || byte == b'\\' as usize || byte == b']' as usize {
            class[byte] |= Set::BACKSLASH.0;
        }
        byte += 1;
    }
    class
};

/// Upper-case hexadecimal digits.
pub(crate) const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// `#XX` of a byte.
pub(crate) fn hashed(byte: u8) -> [u8; 3] {
    [b'#', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_at_a_time_finds_what_the_table_finds() {
        for set in [Set::LINE, Set::HEADER, Set::LINE.or(Set::BACKSLASH), Set::HEADER.or(Set::BACKSLASH)] {
            for byte in 0..=255u8 {
                for place in 0..24 {
                    let mut text = *b"abcdefghijklmnopqrstuvwx";
                    text[place] = byte;
                    let expected = if set.has(byte) { place } else { 24 };
                    assert_eq!(set.plain_prefix(&text), expected, "{byte:#x} at {place}");
                }
            }
            assert_eq!(set.plain_prefix(b""), 0);
        }
    }
}
