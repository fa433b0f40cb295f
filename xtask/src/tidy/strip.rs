//! Takes comments, strings and character literals out of Rust source, so that words are looked for in code only. Lines stay where they were.

/// The code of `text`: what is not code is replaced by nothing, line ends are kept.
pub fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let skipped = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => memfind(bytes, at, b'\n'),
            b'/' if bytes[at..].starts_with(b"/*") => block_comment(bytes, at),
            b'"' => string(bytes, at),
            b'r' | b'b' if !name_before(bytes, at) => raw_string(bytes, at),
            b'\'' => character(bytes, at),
            _ => at,
        };
        if skipped == at {
            out.push(bytes[at]);
            at += 1;
        } else {
            out.extend(bytes[at..skipped].iter().filter(|b| **b == b'\n'));
            at = skipped;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn memfind(bytes: &[u8], from: usize, wanted: u8) -> usize {
    bytes[from..].iter().position(|b| *b == wanted).map_or(bytes.len(), |n| from + n)
}

fn name_before(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_')
}

/// Block comments nest.
fn block_comment(bytes: &[u8], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0usize);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// From an opening quote to behind the closing one.
fn string(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// `r"…"`, `r#"…"#`, `br"…"`, `b"…"`; `from` itself when it is none of them.
fn raw_string(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    if bytes[at] == b'b' {
        at += 1;
    }
    if bytes.get(at) == Some(&b'"') && at > from {
        return string(bytes, at);
    }
    if bytes.get(at) != Some(&b'r') {
        return from;
    }
    at += 1;
    let hashes = bytes[at..].iter().take_while(|b| **b == b'#').count();
    at += hashes;
    if bytes.get(at) != Some(&b'"') {
        return from;
    }
    let end: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    bytes[at + 1..].windows(end.len()).position(|w| w == end).map_or(bytes.len(), |n| at + 1 + n + end.len())
}

/// A character literal, but not a lifetime.
fn character(bytes: &[u8], from: usize) -> usize {
    match bytes.get(from + 1) {
        Some(b'\\') => (memfind(bytes, (from + 3).min(bytes.len()), b'\'') + 1).min(bytes.len()),
        Some(_) => {
            // One character of up to four bytes, then the quote.
            let close = (from + 2..from + 6).find(|i| bytes.get(*i) == Some(&b'\''));
            let one = close.and_then(|end| std::str::from_utf8(&bytes[from + 1..end]).ok()).is_some_and(|s| s.chars().count() == 1);
            if one { close.map_or(from, |end| end + 1) } else { from }
        }
        None => from,
    }
}

#[cfg(test)]
mod tests {
    use super::code;

    #[test]
    fn only_code_is_left() {
        assert_eq!(code("a // b\nc /* d /* e */ f\n */ g"), "a \nc \n g");
        assert_eq!(code(r#"a("b\"c", 'd', '\'', '"') e"#), "a(, , , ) e");
        assert_eq!(code("a(r#\"b\"c\"#, br\"\\\", b\"x\") d"), "a(, , ) d");
        assert_eq!(code("fn f<'a>(x: &'a str, bar: u8, r: u8) {}"), "fn f<'a>(x: &'a str, bar: u8, r: u8) {}");
        assert_eq!(code("'é' '\\u{1F600}' x"), "  x");
        assert_eq!(code("\"open"), "");
    }
}
