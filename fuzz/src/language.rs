//! The language of haproxy.cfg below its keywords: words, conditional blocks, conditions.

use lb_config::tree;
use lb_config::{ConditionError, Environment, MAX_WORDS, Source, condition};

/// Pieces that files are made of.
pub const WORDS: &[&[u8]] = &[
    b"\"",
    b"'",
    b"\\",
    b"\\x4",
    b"#",
    b"$",
    b"${",
    b"[*]}",
    b"-}",
    b".LINE",
    b"\n",
    b"\r\n",
    b"\n.if ",
    b"\n.elif ",
    b"\n.else\n",
    b"\n.endif\n",
    b"global\n",
    b"listen ",
    b"defaults ",
    b" from ",
    b"\n no ",
    b" setenv AB ",
    b"&&",
    b"||",
    b"!",
    b"(",
    b")",
    b",",
    b"@",
    b":",
    b"-",
    b"+",
    b"0x",
    b"streq(",
    b"version_before(",
    b"99999999999",
    b"127.0.0.1",
    b" bind ",
    b"\n server s ",
    b"\n reqrep ^([^\\ :]*)\\ /(.*) \\1\\ /\\2",
    b"\n rspidel ^X:",
    b"\n reqadd A:\\ b if TRUE",
    b"\n reqsetbe . s",
    b"\n block if TRUE",
    b"\n server-template s 1-",
    b"\n guid ",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
];

struct World;

impl Environment for World {
    fn variable(&self, name: &str) -> Option<String> {
        match name.len() % 4 {
            0 => None,
            1 => Some(String::new()),
            2 => Some(name.to_owned()),
            _ => Some(format!("{name} \"x\"  $\\ {name}")),
        }
    }
}

/// Any bytes as a file: words that are bounded and stand where they say; the file is shown without panic.
pub fn tokenizer(data: &[u8]) {
    let source = Source::new().file("fuzz.cfg", data).environment(&World);
    let (sections, _) = tree::sections(&source);
    let bytes = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data);
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    for directive in sections.iter().flat_map(|section| std::iter::once(&section.header).chain(&section.lines)) {
        assert!((1..=MAX_WORDS).contains(&directive.words.len()));
        let line = lines[directive.line as usize - 1];
        let mut last = 0;
        for word in &directive.words {
            assert!(!word.text.is_empty() && word.length > 0);
            // The words of a list variable share a place.
            assert!(word.column >= last && (word.column + word.length) as usize <= line.len() + 1);
            last = word.column;
        }
    }
    tree::dump(&source, None, false);
}

/// A condition that has a value has the other one behind `!`, and keeps it in parentheses and beside what adds nothing.
pub fn conditions(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let source = Source::new().environment(&World);
    let value = condition(&text, &source);
    // A comment, an open escape or a line end would take what is put behind.
    let text = text.trim_end_matches([' ', '\t', '\r', '\x0b', '\x0c']);
    let Ok(value) = value else { return };
    if text.contains(['#', '\n']) || text.ends_with('\\') {
        return;
    }
    for (wrapped, expected) in
        [(format!("!({text})"), !value), (format!("({text})"), value), (format!("0 || ({text})"), value), (format!("1&&({text})"), value)]
    {
        match condition(&wrapped, &source) {
            Ok(found) => assert_eq!(found, expected, "{wrapped}"),
            // Empty conditions have a value, empty parentheses have none; and there may be one pair or one word too many.
            Err(ConditionError::Missing) => assert!(!value, "{wrapped}"),
            Err(ConditionError::Depth | ConditionError::Line(_)) => {}
            Err(error) => panic!("{wrapped}: {error}"),
        }
    }
}
