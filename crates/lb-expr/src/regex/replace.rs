//! What stands in place of a match: `\0` to `\9` for its groups, `\x41` for a byte, a backslash before any other character for that
//! character. Source: manual 4.2 (`http-request replace-header`), 7.3.1 (`regsub`).

use super::Groups;

/// A replacement, read once.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Replacement(Box<[Part]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<[u8]>),
    Group(u8),
}

/// Why a replacement cannot be read, in haproxy's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplacementError {
    /// A backslash is the last character.
    #[error("invalid replacement string: nothing follows the last '\\'")]
    Backslash,
    /// `\x` and no two hexadecimal digits.
    #[error("invalid replacement string: '\\x' is followed by no two hexadecimal digits")]
    Hex,
}

impl Replacement {
    /// Reads a replacement.
    ///
    /// # Errors
    /// A backslash with nothing behind it, `\x` without two digits.
    pub fn new(text: &[u8]) -> Result<Self, ReplacementError> {
        let mut parts = Vec::new();
        let mut plain = Vec::new();
        let mut bytes = text.iter().copied();
        while let Some(byte) = bytes.next() {
            if byte != b'\\' {
                plain.push(byte);
                continue;
            }
            match bytes.next().ok_or(ReplacementError::Backslash)? {
                digit @ b'0'..=b'9' => {
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain).into()));
                    }
                    parts.push(Part::Group(digit - b'0'));
                }
                b'x' => {
                    let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16)).ok_or(ReplacementError::Hex);
                    plain.push((digit()? << 4 | digit()?) as u8);
                }
                other => plain.push(other),
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        Ok(Self(parts.into()))
    }

    /// Gives the pieces of the text that replaces a match in `subject`, one after the other.
    pub fn pieces<'s>(&'s self, groups: &'s Groups, subject: &'s [u8]) -> impl Iterator<Item = &'s [u8]> {
        self.0.iter().map(move |part| match part {
            Part::Text(text) => text,
            Part::Group(n) => groups.get(usize::from(*n), subject).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Regex;
    use super::*;

    fn made(pattern: &str, replacement: &str, subject: &str) -> String {
        let groups = Regex::new(pattern, false).unwrap().find(subject.as_bytes()).unwrap();
        let replacement = Replacement::new(replacement.as_bytes()).unwrap();
        String::from_utf8(replacement.pieces(&groups, subject.as_bytes()).flatten().copied().collect()).unwrap()
    }

    #[test]
    fn groups_and_escapes() {
        assert_eq!(made("(o)(x)?", "<\\1\\2\\0\\9>", "foo"), "<oo>");
        assert_eq!(made("o", "\\x41\\\\\\a", "foo"), "A\\a");
        assert_eq!(Replacement::new(b"a\\"), Err(ReplacementError::Backslash));
        assert_eq!(Replacement::new(b"\\x4"), Err(ReplacementError::Hex));
        assert_eq!(Replacement::new(b"\\xg0"), Err(ReplacementError::Hex));
    }
}
