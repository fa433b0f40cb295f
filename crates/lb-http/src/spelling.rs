//! Spellings of field names, for peers that wrongly look at the case of letters. Names go out in lower case; [`Spellings`]
//! puts others over them in what has been encoded, so that nobody else pays for it.

use std::collections::HashMap;

/// Field names with the spelling that they are sent in (`h1-case-adjust` of haproxy).
///
/// ```
/// let mut spellings = lb_http::Spellings::default();
/// spellings.insert("content-length", "Content-Length")?;
/// let mut head = *b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-a: content-length\r\n\r\n";
/// spellings.apply_to_head(&mut head);
/// assert_eq!(&head, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nx-a: content-length\r\n\r\n");
/// # Ok::<(), lb_http::SpellingError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spellings {
    names: HashMap<Box<[u8]>, Box<[u8]>>,
}

/// Why a spelling cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpellingError {
    /// The first one is no field name.
    #[error("the name is not a field name")]
    Name,
    /// The two are not the same name.
    #[error("the two differ in more than the case of letters")]
    Differ,
    /// The name has a spelling already.
    #[error("the name has a spelling already")]
    Twice,
}

impl Spellings {
    /// Adds the spelling `to` of the name `from`, which is in lower case: one with capitals never meets a field.
    ///
    /// # Errors
    /// See [`SpellingError`].
    pub fn insert(&mut self, from: &str, to: &str) -> Result<(), SpellingError> {
        let (from, to) = (from.as_bytes(), to.as_bytes());
        if !crate::is_field_name(from) {
            return Err(SpellingError::Name);
        }
        if !from.eq_ignore_ascii_case(to) {
            return Err(SpellingError::Differ);
        }
        if self.names.contains_key(from) {
            return Err(SpellingError::Twice);
        }
        self.names.insert(from.into(), to.into());
        Ok(())
    }

    /// Adds all of `other`.
    ///
    /// # Errors
    /// [`SpellingError::Twice`] when a name is in both.
    pub fn merge(&mut self, other: &Spellings) -> Result<(), SpellingError> {
        if other.names.keys().any(|name| self.names.contains_key(name)) {
            return Err(SpellingError::Twice);
        }
        self.names.extend(other.names.iter().map(|(from, to)| (from.clone(), to.clone())));
        Ok(())
    }

    /// True when no name has a spelling.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Spells the names of an encoded head, which begins with its start line. Stops at the empty line.
    pub fn apply_to_head(&self, head: &mut [u8]) {
        if let Some(end) = head.iter().position(|b| *b == b'\n') {
            self.apply_to_fields(&mut head[end + 1..]);
        }
    }

    /// Spells the names of encoded field lines. Stops at an empty line.
    pub fn apply_to_fields(&self, mut lines: &mut [u8]) {
        while let Some(end) = lines.iter().position(|b| *b == b'\n') {
            let (line, rest) = lines.split_at_mut(end + 1);
            let Some(name) = line.iter().position(|b| *b == b':') else { return };
            if let Some(spelling) = self.names.get(&line[..name]) {
                line[..name].copy_from_slice(spelling);
            }
            lines = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_spelling_is_refused() {
        let mut spellings = Spellings::default();
        assert_eq!(spellings.insert("", ""), Err(SpellingError::Name));
        assert_eq!(spellings.insert("a b", "A B"), Err(SpellingError::Name));
        assert_eq!(spellings.insert("host", "Hosts"), Err(SpellingError::Differ));
        assert_eq!(spellings.insert("host", "HoSt"), Ok(()));
        assert_eq!(spellings.insert("host", "Host"), Err(SpellingError::Twice));
        assert_eq!(spellings.clone().merge(&spellings), Err(SpellingError::Twice));
    }

    #[test]
    fn names_alone_change_and_the_body_stays() {
        let mut spellings = Spellings::default();
        for (from, to) in [("host", "HOST"), ("x-a", "X-a"), ("http/1.1 200 ok", "HTTP/1.1 200 OK")] {
            let _ = spellings.insert(from, to);
        }
        let mut bytes = b"GET host: HTTP/1.1\r\nhost: host: x\r\nhosts: 1\r\nx-a:\r\n\r\nhost: body\r\n".to_vec();
        spellings.apply_to_head(&mut bytes);
        assert_eq!(bytes, b"GET host: HTTP/1.1\r\nHOST: host: x\r\nhosts: 1\r\nX-a:\r\n\r\nhost: body\r\n");
    }
}
