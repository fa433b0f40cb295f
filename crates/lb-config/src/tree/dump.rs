//! Directives back to text: what was read, as a file that says the same, or with everything hidden that names somebody.
//!
//! Holds: without a key the text reads back as the same directives. With a key, a word is shown only when the language
//! itself knows it, or when it is a number; equal names and addresses get equal marks under one key and other ones under
//! another.

use super::{Directive, Section};
use crate::address::{self, Address, Host, Port};
use crate::keywords::{Context, Keyword, Lookup, keywords};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The sections as text. `key`: hides names and addresses; `lines`: each line begins with its number.
pub fn dump(sections: &[Section<'_>], key: Option<u32>, lines: bool) -> String {
    let mut dumper = Dumper { out: String::new(), lookup: Lookup::new(), key, lines };
    for section in sections {
        dumper.line(&section.header, None);
        let name = section.header.words[0].text.as_ref();
        let context = match name {
            "global" => Context::Global,
            "defaults" | "frontend" | "backend" | "listen" => Context::Proxy,
            // Sections that are read without a table of lines show nothing of them.
            _ => Context::Section,
        };
        for directive in &section.lines {
            dumper.line(directive, Some(context));
        }
    }
    dumper.out
}

struct Dumper {
    out: String,
    lookup: Lookup,
    key: Option<u32>,
    lines: bool,
}

impl Dumper {
    /// A line of a section, or its header for `None`.
    fn line(&mut self, directive: &Directive<'_>, context: Option<Context>) {
        if self.lines {
            let _ = write!(self.out, "{}\t", directive.line);
        }
        if context.is_some() {
            self.out.push('\t');
        }
        let words: Vec<&str> = directive.words.iter().map(|word| word.text.as_ref()).collect();
        let text = match self.key {
            None => words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
            Some(key) => self.hidden(key, &words, context),
        };
        self.out.push_str(&text);
        self.out.push('\n');
    }

    fn hidden(&self, key: u32, words: &[&str], context: Option<Context>) -> String {
        let Some(context) = context else {
            // `frontend www from base`
            let mark = |(n, word): (usize, &&str)| if n == 0 || *word == "from" { (*word).to_owned() } else { name(key, word) };
            return words.iter().enumerate().map(mark).collect::<Vec<_>>().join(" ");
        };
        let negated = usize::from(matches!(words[0], "no" | "default"));
        let known = words.get(negated).and_then(|first| self.lookup.line(context, first, words.get(negated + 1).copied()));
        let Some((keyword, count)) = known else { return "[...]".to_owned() };
        let start = negated + count;
        let mut shown: Vec<String> = words[..start].iter().map(|word| (*word).to_owned()).collect();
        for (n, word) in words[start..].iter().enumerate() {
            match self.word(key, keyword, n, word) {
                Some(text) => shown.push(text),
                None => {
                    shown.push("[...]".to_owned());
                    break;
                }
            }
        }
        shown.join(" ")
    }

    /// A word that may be shown, or its mark; `None` hides the rest of the line.
    fn word(&self, key: u32, keyword: &Keyword, n: usize, word: &str) -> Option<String> {
        let parameters = match keyword.name {
            "bind" => Some(Context::Bind),
            "server" | "default-server" => Some(Context::Server),
            _ => None,
        };
        let names = matches!(keyword.name, "server" | "default_backend" | "use_backend" | "use-server" | "acl");
        if names && n == 0 {
            return Some(name(key, word));
        }
        // A number, a time or a size, or a word of the language.
        let number = word.bytes().take_while(u8::is_ascii_digit).count();
        let unit = &word[number..];
        if number > 0 && unit.len() <= 2 && unit.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Some(word.to_owned());
        }
        let of_usage = keyword.args.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).any(|known| known == word);
        if of_usage || parameters.is_some_and(|context| keywords().any(|known| known.context == context && known.name == word)) {
            return Some(word.to_owned());
        }
        hidden_address(key, word)
    }
}

/// A word as the reader would read it again.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"#\"'\\$".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    let mut out = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' | '$' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Six digits that stand for a text under a key.
fn mark(key: u32, text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    (key, text).hash(&mut hasher);
    format!("{:06x}", hasher.finish() & 0xff_ffff)
}

fn name(key: u32, text: &str) -> String {
    format!("ID({})", mark(key, text))
}

fn hidden_address(key: u32, word: &str) -> Option<String> {
    let Ok(Address::Inet { host, port }) = address::parse(word, address::Use::Stream) else { return None };
    let port = match port {
        Port::None => String::new(),
        Port::One(port) => format!(":{port}"),
        Port::Range(low, high) => format!(":{low}-{high}"),
        Port::Offset(offset) => format!(":{offset:+}"),
    };
    match host {
        Host::Any if word.starts_with(['*', ':']) => Some(word.to_owned()),
        // A word alone may be anything.
        Host::Name(..) if port.is_empty() => None,
        Host::Name(name, _) => Some(format!("HOST({}){port}", mark(key, &name))),
        _ if word.starts_with('[') || word.matches(':').count() > 1 => Some(format!("IPV6({}){port}", mark(key, word))),
        _ => Some(format!("IPV4({}){port}", mark(key, word.split(':').next().unwrap_or(word)))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sections;
    use super::*;
    use crate::source::Source;

    const TEXT: &str = "global\n setenv A \"x y\"\n.if 0\n nbthread 3\n.endif\n\
        frontend www\n bind 10.1.2.3:80,:81 name secret # why\n default_backend be\n description \"$A \\$\\\"\\\\\"\n\
        backend be\n server s1 10.1.2.3:80 check inter 2s weight 3\n option httpchk GET /private\n mode http\n";

    fn of(text: &str, key: Option<u32>, lines: bool) -> String {
        dump(&sections(&Source::new().file("t.cfg", text.as_bytes())).0, key, lines)
    }

    #[test]
    fn reads_back_as_the_same() {
        let once = of(TEXT, None, false);
        assert!(once.starts_with("global\n\tsetenv A \"x y\"\nfrontend www\n\tbind 10.1.2.3:80,:81 name secret\n"), "{once}");
        let words = |text: &str| -> Vec<Vec<String>> {
            let source = Source::new().file("t.cfg", text.as_bytes());
            let list = sections(&source).0;
            list.iter().flat_map(|s| &s.lines).map(|line| line.words.iter().map(|word| word.text.to_string()).collect()).collect()
        };
        assert_eq!(words(&once), words(TEXT));
        assert!(words(TEXT).contains(&vec!["description".to_owned(), "x y $\"\\".to_owned()]));
    }

    #[test]
    fn hides_what_names_somebody() {
        let hidden = of(TEXT, Some(7), true);
        for secret in ["www", "be\n", "s1", "10.1.2.3", "secret", "private", "x y"] {
            assert!(!hidden.contains(secret), "{secret} in\n{hidden}");
        }
        for kept in ["mode http", ":80 check inter 2s weight 3", "option httpchk [...]", "10\tbackend ID("] {
            assert!(hidden.contains(kept), "no {kept} in\n{hidden}");
        }
        let server = hidden.lines().find(|line| line.contains("server")).expect("there");
        let other = of(TEXT, Some(8), true);
        assert!(!other.contains(server), "another key, other marks");
    }
}
