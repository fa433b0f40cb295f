//! The parts of a request target, and `normalize-uri`. All forms (RFC 9112 §3.2): a path alone, or behind scheme and host.

use lb_config::Normalizer;

/// The pieces of a target, in order: what stands before the path, the path, the query with its `?`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'t> {
    /// `http://host`, empty for a path alone.
    pub before: &'t [u8],
    /// From its `/`.
    pub path: &'t [u8],
    /// With its `?`; empty without one.
    pub query: &'t [u8],
}

/// Cuts a target; `*` counts as a path.
pub fn parts(target: &[u8]) -> Parts<'_> {
    let path = if target.first() == Some(&b'/') || target == b"*" {
        0
    } else {
        let host = memchr::memmem::find(target, b"://").map_or(0, |at| at + 3);
        // What CONNECT names has no path.
        if host == 0 {
            target.len()
        } else {
            target[host..].iter().position(|b| matches!(b, b'/' | b'?')).map_or(target.len(), |at| host + at)
        }
    };
    let query = memchr::memchr(b'?', &target[path..]).map_or(target.len(), |at| path + at);
    Parts { before: &target[..path], path: &target[path..query], query: &target[query..] }
}

/// A target in a plainer form; the inner `None`: it is that already; the outer: it cannot be read.
pub fn normalize(target: &[u8], how: Normalizer) -> Option<Option<Vec<u8>>> {
    let p = parts(target);
    let pathq = &target[p.before.len()..];
    let with_path = |path: Vec<u8>| [p.before, &path, p.query].concat();
    let made = match how {
        Normalizer::FragmentEncode => {
            let mut out = p.before.to_vec();
            pathq.iter().for_each(|byte| if *byte == b'#' { out.extend_from_slice(b"%23") } else { out.push(*byte) });
            out
        }
        Normalizer::FragmentStrip => target.split(|byte| *byte == b'#').next().unwrap_or_default().to_vec(),
        Normalizer::MergeSlashes => {
            let mut path = p.path.to_vec();
            path.dedup_by(|a, b| (*a, *b) == (b'/', b'/'));
            with_path(path)
        }
        Normalizer::StripDot => with_path(strip_dots(p.path)),
        Normalizer::StripDotDot { full } => with_path(strip_dotdots(p.path, full)),
        Normalizer::DecodeUnreserved { strict } => [p.before, &decode_unreserved(pathq, strict)?].concat(),
        Normalizer::UppercaseEscapes { strict } => [p.before, &uppercase_escapes(pathq, strict)?].concat(),
        Normalizer::SortQuery => match p.query.strip_prefix(b"?") {
            Some(query) => {
                let name = |part: &&[u8]| part.split(|byte| *byte == b'=').next().unwrap_or_default().to_vec();
                // An `&` at the end has nothing behind it that could be sorted.
                let mut list: Vec<&[u8]> = query.strip_suffix(b"&").unwrap_or(query).split(|byte| *byte == b'&').collect();
                list.sort_by_key(name);
                [p.before, p.path, b"?", &list.join(&b'&')].concat()
            }
            None => return Some(None),
        },
    };
    Some((made != target).then_some(made))
}

/// Without its segments `.`; one at the end leaves its slash.
fn strip_dots(path: &[u8]) -> Vec<u8> {
    let mut segments: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    let last = segments.pop();
    segments.retain(|segment| *segment != b".");
    segments.push(last.filter(|last| *last != b".").unwrap_or_default());
    segments.join(&b'/')
}

/// Without its segments `..` and those that they take back; `full`: also without those that take back nothing.
fn strip_dotdots(path: &[u8], full: bool) -> Vec<u8> {
    let segments: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    let mut kept: Vec<&[u8]> = Vec::with_capacity(segments.len());
    let last = segments.len() - 1;
    for (n, segment) in segments.into_iter().enumerate() {
        if segment != b".." {
            kept.push(segment);
            continue;
        }
        // The first one is what stands before the first slash.
        match kept.last() {
            Some(before) if kept.len() > 1 && *before != b".." => {
                kept.pop();
            }
            _ if full => {}
            _ => kept.push(segment),
        }
        if n == last {
            kept.push(b"");
        }
    }
    kept.join(&b'/')
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// Each escape and the bytes between; `None`: `%` without two digits, in strict mode.
fn escapes(text: &[u8], strict: bool, mut each: impl FnMut(u8, [u8; 2], &mut Vec<u8>)) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        if *byte != b'%' {
            out.push(*byte);
            continue;
        }
        match text.get(at..at + 2).and_then(|two| Some(([two[0], two[1]], hex(two[0])? << 4 | hex(two[1])?))) {
            Some((digits, value)) => {
                each(value, digits, &mut out);
                at += 2;
            }
            None if strict => return None,
            None => out.push(b'%'),
        }
    }
    Some(out)
}

/// RFC 3986 §2.3.
fn decode_unreserved(text: &[u8], strict: bool) -> Option<Vec<u8>> {
    escapes(text, strict, |value, digits, out| {
        if value.is_ascii_alphanumeric() || matches!(value, b'-' | b'.' | b'_' | b'~') {
            out.push(value);
        } else {
            out.extend([b'%', digits[0], digits[1]]);
        }
    })
}

fn uppercase_escapes(text: &[u8], strict: bool) -> Option<Vec<u8>> {
    escapes(text, strict, |_, digits, out| out.extend([b'%', digits[0].to_ascii_uppercase(), digits[1].to_ascii_uppercase()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms() {
        let of = |target: &'static str| {
            let p = parts(target.as_bytes());
            [p.before, p.path, p.query].map(|part| std::str::from_utf8(part).unwrap())
        };
        assert_eq!(of("/a/b?c=/d?e"), ["", "/a/b", "?c=/d?e"]);
        assert_eq!(of("/"), ["", "/", ""]);
        assert_eq!(of("http://h:80/a?b"), ["http://h:80", "/a", "?b"]);
        assert_eq!(of("http://h?b"), ["http://h", "", "?b"]);
        assert_eq!(of("*"), ["", "*", ""]);
        assert_eq!(of("h:443"), ["h:443", "", ""]);
    }

    #[test]
    fn normalizers() {
        let of = |target: &str, how| match normalize(target.as_bytes(), how) {
            None => "error".to_owned(),
            Some(None) => target.to_owned(),
            Some(Some(made)) => String::from_utf8(made).unwrap(),
        };
        assert_eq!(of("/a//b///c?d//e", Normalizer::MergeSlashes), "/a/b/c?d//e");
        assert_eq!(of("/./a/./b/.", Normalizer::StripDot), "/a/b/");
        assert_eq!(of("/a/../b/..", Normalizer::StripDotDot { full: false }), "/");
        assert_eq!(of("/../a", Normalizer::StripDotDot { full: false }), "/../a");
        assert_eq!(of("/..", Normalizer::StripDotDot { full: false }), "/../");
        assert_eq!(of("/../a/../../b", Normalizer::StripDotDot { full: true }), "/b");
        assert_eq!(of("/%41%2f%zz", Normalizer::DecodeUnreserved { strict: false }), "/A%2f%zz");
        assert_eq!(of("/%41%2f%zz", Normalizer::DecodeUnreserved { strict: true }), "error");
        assert_eq!(of("/%2fa", Normalizer::UppercaseEscapes { strict: true }), "/%2Fa");
        assert_eq!(of("/?b=1&a=2&b=0", Normalizer::SortQuery), "/?a=2&b=1&b=0");
        assert_eq!(of("/a#b", Normalizer::FragmentStrip), "/a");
        assert_eq!(of("/a#b", Normalizer::FragmentEncode), "/a%23b");
    }
}
