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
