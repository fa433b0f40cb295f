//! Headers and cookies that are captured for log lines: `capture request header`, `capture response header`, `capture cookie`,
//! `declare capture`. Called by http/exchange.rs and http/attempt.rs, once per message and only where the frontend captures.
//!
//! Holds: a capture has at most the `len` of its line; what one message gives is kept in one buffer.
//!
//! Source: manual 4.2. How a cookie is found was observed on haproxy 2.6.12: spaces around `=` do not count, a value ends at
//! `;` or `,` outside of quotes, a backslash takes the meaning of the byte behind it, names that begin with `$` are skipped,
//! and of a `Set-Cookie` only the first pair counts.

use lb_config::{CookieCapture, HeaderCapture};
use lb_http::Head;
use std::ops::Range;

/// What was captured of one message.
#[derive(Default)]
pub struct Captured {
    bytes: Vec<u8>,
    slots: Vec<Option<Range<usize>>>,
    cookie: Option<Range<usize>>,
}

impl Captured {
    /// Takes the last field of each slot's name, and the first cookie that matches, of a `Cookie` field or of a `Set-Cookie`.
    pub fn take(&mut self, slots: &[HeaderCapture], cookie: Option<&CookieCapture>, head: &Head, request: bool) {
        *self = Captured::default();
        for slot in slots {
            let found = slot.name.as_ref().and_then(|name| {
                let mut same = head.fields().filter(|f| f.name.eq_ignore_ascii_case(name.as_bytes()));
                same.next_back().map(|f| f.value)
            });
            let range = found.map(|value| self.keep(slot.len, &[value]));
            self.slots.push(range);
        }
        let Some(wanted) = cookie else { return };
        let field: &[u8] = if request { b"cookie" } else { b"set-cookie" };
        for value in head.fields().filter(|f| f.name.eq_ignore_ascii_case(field)).map(|f| f.value) {
            if let Some((name, value)) = find_cookie(value, wanted.name.as_bytes(), request) {
                self.cookie = Some(self.keep(wanted.len, &[name, b"=", value]));
                return;
            }
        }
    }

    /// Fills a slot that a rule names, of at most `len` bytes.
    pub fn fill(&mut self, slot: usize, len: usize, value: &[u8]) {
        if self.slots.len() <= slot {
            self.slots.resize(slot + 1, None);
        }
        self.slots[slot] = Some(self.keep(len, &[value]));
    }

    fn keep(&mut self, len: usize, pieces: &[&[u8]]) -> Range<usize> {
        let start = self.bytes.len();
        for piece in pieces {
            let room = len - (self.bytes.len() - start);
            self.bytes.extend_from_slice(&piece[..piece.len().min(room)]);
        }
        start..self.bytes.len()
    }

    /// What the slot has, if its field was there.
    pub fn slot(&self, slot: usize) -> Option<&[u8]> {
        Some(&self.bytes[self.slots.get(slot)?.clone()?])
    }

    /// The cookie, `name=value`.
    pub fn cookie(&self) -> Option<&[u8]> {
        Some(&self.bytes[self.cookie.clone()?])
    }
}

/// The first cookie whose `name=` begins with `wanted`: name and value.
fn find_cookie<'a>(field: &'a [u8], wanted: &[u8], request: bool) -> Option<(&'a [u8], &'a [u8])> {
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let mut rest = field;
    loop {
        let begin = rest.iter().position(|b| !(blank(b) || request && matches!(b, b';' | b',')))?;
        rest = &rest[begin..];
        let name_len = rest.iter().position(|b| blank(b) || matches!(b, b'=' | b';' | b',')).unwrap_or(rest.len());
        let (name, after) = rest.split_at(name_len);
        let after = after.trim_ascii_start();
        let mut value: &[u8] = b"";
        let mut has_value = false;
        rest = after;
        if let Some(behind) = after.strip_prefix(b"=") {
            let behind = behind.trim_ascii_start();
            let end = value_end(behind);
            (value, rest) = (behind[..end].trim_ascii_end(), &behind[end..]);
            has_value = true;
        }
        let plain = request && name.starts_with(b"$");
        // The name may be given with its `=`, and then it is the whole one.
        let matches = match wanted.strip_suffix(b"=") {
            Some(whole) => name == whole || starts_over(name, value, wanted),
            None => name.starts_with(wanted) || starts_over(name, value, wanted),
        };
        if has_value && !plain && matches {
            return Some((name, value));
        }
        if !request {
            return None;
        }
        // Without a value nothing was passed but the name.
        if !has_value {
            let end = rest.iter().position(|b| matches!(b, b';' | b',')).unwrap_or(rest.len());
            rest = &rest[end..];
        }
    }
}

/// The text wanted goes on into the value: `sess=ab` is wanted, `sess=abc` is there.
fn starts_over(name: &[u8], value: &[u8], wanted: &[u8]) -> bool {
    wanted.strip_prefix(name).and_then(|rest| rest.strip_prefix(b"=")).is_some_and(|rest| value.starts_with(rest))
}

/// Where a value ends.
fn value_end(bytes: &[u8]) -> usize {
    let (mut quoted, mut at) = (false, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' => quoted = !quoted,
            b';' | b',' if !quoted => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(field: &str, wanted: &str) -> String {
        shown(find_cookie(field.as_bytes(), wanted.as_bytes(), true))
    }

    fn response(field: &str, wanted: &str) -> String {
        shown(find_cookie(field.as_bytes(), wanted.as_bytes(), false))
    }

    fn shown(found: Option<(&[u8], &[u8])>) -> String {
        found.map_or("-".to_owned(), |(n, v)| format!("{}={}", String::from_utf8_lossy(n), String::from_utf8_lossy(v)))
    }

    /// Each as haproxy 2.6.12 logs it: field, by `sess`, by `sess=`; and of a `Set-Cookie`.
    #[test]
    fn cookies_as_observed() {
        for (field, prefix, whole, set) in [
            ("sess=abc;path=/", "sess=abc", "sess=abc", "sess=abc"),
            ("sess=a\"b;c\";path=/", "sess=a\"b;c\"", "sess=a\"b;c\"", "sess=a\"b;c\""),
            ("sess=\"a;b\";path=/", "sess=\"a;b\"", "sess=\"a;b\"", "sess=\"a;b\""),
            ("sess = abc ; path", "sess=abc", "sess=abc", "sess=abc"),
            ("sess", "-", "-", "-"),
            ("sess;x", "-", "-", "-"),
            ("sessX=1", "sessX=1", "-", "sessX=1"),
            ("x=1; sess=2", "sess=2", "sess=2", "-"),
            ("sess=2, sess=3", "sess=2", "sess=2", "sess=2"),
            ("SESS=1", "-", "-", "-"),
            ("sess=\"ab;path", "sess=\"ab;path", "sess=\"ab;path", "sess=\"ab;path"),
            ("sess=a b;c", "sess=a b", "sess=a b", "sess=a b"),
            ("sess=;x", "sess=", "sess=", "sess="),
            ("sess=a\\\"b;c", "sess=a\\\"b", "sess=a\\\"b", "sess=a\\\"b"),
            ("sess=\"a\\\";b\";c", "sess=\"a\\\";b\"", "sess=\"a\\\";b\"", "sess=\"a\\\";b\""),
            ("sess=1=2;x", "sess=1=2", "sess=1=2", "sess=1=2"),
            ("=sess;sess=2", "sess=2", "sess=2", "-"),
            ("$sess=1;sess=4", "sess=4", "sess=4", "-"),
            (";;sess=1", "sess=1", "sess=1", "-"),
            ("a\"sess=1;sess=2", "sess=2", "sess=2", "-"),
            ("x,sess=1", "sess=1", "sess=1", "-"),
            ("x;sess=1,sess=5", "sess=1", "sess=1", "-"),
            ("sess2=7;sess=8", "sess2=7", "sess=8", "sess2=7"),
        ] {
            assert_eq!(request(field, "sess"), prefix, "{field}");
            assert_eq!(request(field, "sess="), whole, "{field}");
            assert_eq!(response(field, "sess"), set, "{field}");
        }
        assert_eq!(request("", "sess"), "-");
        assert_eq!(request(" ; , ", "sess"), "-");
        assert_eq!(request("a\\", ""), "-");
        assert_eq!(request("a=\\", ""), "a=\\");
    }
}
