//! A line becomes words: quotes, escapes, braces; and what is a comment.

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Without quotes and escapes.
    pub text: String,
    /// Whether it was quoted, wholly or in part: then it is no brace.
    pub quoted: bool,
}

impl Word {
    /// Whether it opens or closes a block.
    pub fn is(&self, brace: &str) -> bool {
        !self.quoted && self.text == brace
    }
}

/// The line without its comment, which begins with `#` or `!` outside quotes.
pub fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match (c, quote) {
            _ if escaped => escaped = false,
            ('\\', _) => escaped = true,
            ('"' | '\'', None) => quote = Some(c),
            (_, Some(open)) if c == open => quote = None,
            ('#' | '!', None) => return &line[..at],
            _ => {}
        }
    }
    line
}

/// The words of a line without its comment, and whether a quote was left open. Braces outside quotes stand for themselves, but not those
/// of `${NAME}`, which may belong to a script.
pub fn split(line: &str) -> (Vec<Word>, bool) {
    read(line, true)
}

/// The words of a command, which was one word of a line. Nothing if a quote was left open, or there is nothing behind the last backslash.
pub fn of_command(text: &str) -> Option<Vec<String>> {
    let alone = text.len() - text.trim_end_matches('\\').len();
    let (words, open) = read(text, false);
    (!open && alone.is_multiple_of(2)).then(|| words.into_iter().map(|w| w.text).collect())
}

fn read(line: &str, braces: bool) -> (Vec<Word>, bool) {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote = None;
    let mut parameter = false;
    let mut chars = line.chars().peekable();
    let begin = || Word { text: String::new(), quoted: false };
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', _) => {
                let current = word.get_or_insert_with(begin);
                escape(&mut chars, &mut current.text);
                current.quoted = true;
            }
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_with(begin).quoted = true;
            }
            (_, Some(open)) if c == open => quote = None,
            (_, Some(_)) => word.get_or_insert_with(begin).text.push(c),
            ('{' | '}', None) if !braces => word.get_or_insert_with(begin).text.push(c),
            ('{', None) if word.as_ref().is_some_and(|w| w.text.ends_with('$')) => {
                parameter = true;
                word.get_or_insert_with(begin).text.push(c);
            }
            ('}', None) if parameter => {
                parameter = false;
                word.get_or_insert_with(begin).text.push(c);
            }
            ('{' | '}', None) => {
                words.extend(word.take());
                words.push(Word { text: c.to_string(), quoted: false });
            }
            (c, None) if c.is_whitespace() => {
                parameter = false;
                words.extend(word.take());
            }
            (c, None) => word.get_or_insert_with(begin).text.push(c),
        }
    }
    words.extend(word);
    (words, quote.is_some())
}

/// What stands behind a backslash, as the manual lists it.
fn escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    let Some(c) = chars.next() else { return };
    let mut digits = |radix, most: usize, first: Option<u32>| {
        let mut value = first.unwrap_or(0);
        for _ in 0..most {
            let Some(digit) = chars.peek().and_then(|c| c.to_digit(radix)) else { break };
            chars.next();
            value = value.wrapping_mul(radix).wrapping_add(digit);
        }
        char::from_u32(value & 0xff).unwrap_or('\u{fffd}')
    };
    out.push(match c {
        'a' => '\x07',
        'b' => '\x08',
        'E' => '\x1b',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        'x' => digits(16, 8, None),
        '0'..='7' => digits(8, 2, c.to_digit(8)),
        'c' => chars.next().map_or('\0', |c| char::from(u8::try_from(c).unwrap_or(0) & 0x1f)),
        other => other,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Vec<String> {
        split(line).0.into_iter().map(|w| w.text).collect()
    }

    #[test]
    fn words() {
        assert_eq!(texts(r#"abcd" efg h jkl "mnop"#), ["abcd efg h jkl mnop"]);
        assert_eq!(texts(r#"abcd "efg h jkl" mnop"#), ["abcd", "efg h jkl", "mnop"]);
        assert_eq!(texts("vrrp_instance V1{"), ["vrrp_instance", "V1", "{"]);
        assert_eq!(texts("group { V1 V2 } }"), ["group", "{", "V1", "V2", "}", "}"]);
        assert_eq!(texts("script \"/a ${B} {\" ${C}d"), ["script", "/a ${B} {", "${C}d"]);
        assert_eq!(texts(r"\x41\101\tb\\ \cA"), ["AA\tb\\", "\u{1}"]);
        assert_eq!(texts(r#"a "" b"#), ["a", "", "b"]);
        assert!(split("notify \"/bin/x a").1);
        assert!(split(r#""{""#).0[0].quoted && !split(r#""{""#).0[0].is("{"));
        assert!(split("\\").0[0].text.is_empty());
    }

    /// What keepalived 2.2.7 gives to a script, the line of the file read already.
    #[test]
    fn commands() {
        let words = |text: &str| of_command(text).unwrap_or_default();
        assert_eq!(words(r#"/x  'a b' "c d"e ''  "#), ["/x", "a b", "c de", ""]);
        assert_eq!(words(r"/x a\ b \x41 '\x42 c'".replace(r"\\", r"\").as_str()), ["/x", "a b", "A", "B c"]);
        assert_eq!(words(r"/x {x} a{b} }"), ["/x", "{x}", "a{b}", "}"]);
        assert_eq!(words(r"/x \'a b\'".replace(r"\\", r"\").as_str()), ["/x", "'a", "b'"]);
        assert_eq!(of_command("/x it's"), None);
        assert_eq!(of_command("/x \\"), None);
        assert_eq!(words(r"/x \\"), ["/x", r"\"]);
    }

    #[test]
    fn comments() {
        assert_eq!(without_comment("a # b"), "a ");
        assert_eq!(without_comment("a ! b"), "a ");
        assert_eq!(without_comment("a \"# !\" # c"), "a \"# !\" ");
        assert_eq!(without_comment(r"a \# b"), r"a \# b");
        assert_eq!(without_comment("! all"), "");
    }
}
