//! Lines as they are read, for `-dC`: cut into words, with the variables of the process in their place; nothing is decided and nothing
//! left out, neither what stands in `.if` nor what is wrong. Comments go, and what is left is indented. Source: management manual 3;
//! the form is haproxy 3.0's, as it was seen.
//!
//! Holds: with a key, a word is shown only when the language itself knows it, or when it is a number; equal names and addresses
//! get equal marks under one key and other ones under another, which are haproxy's.

use super::{Place, cut};
use crate::address::{self, Address, Host, Port};
use crate::diag::{Diagnostic, Diagnostics};
use crate::keywords::{Context, Keyword, Lookup, keywords};
use crate::lexer::Word;
use crate::model::Span;
use crate::source::Source;
use crate::syntax;
use crate::variables::Variables;
use std::fmt::Write as _;

/// All lines of the files of a source as text, and what cannot be cut into words. `key`: hides names and addresses; `numbers`: each line
/// begins with its number. Files that others include are not looked at.
pub fn dump(source: &Source<'_>, key: Option<u32>, numbers: bool) -> (String, Vec<Diagnostic>) {
    let variables = Variables::new(source);
    let mut dumper = Dumper { out: String::new(), lookup: Lookup::new(), key };
    let mut diagnostics = Diagnostics::default();
    let mut expanded = 0;
    for (file, (name, bytes)) in (0u32..).zip(&source.files) {
        let mut section = None;
        for (line, (text, _)) in (1u32..).zip(syntax::lines(syntax::without_mark(bytes).1)) {
            let mut words = Vec::new();
            let place = Place { file: name, line, section: section.as_ref().map(|(_, name): &(Context, String)| name.as_str()) };
            if let Err(error) = cut(text, &mut words, &place, &variables, &mut expanded) {
                diagnostics.cannot_cut(Span { file, line, column: 0 }, error);
                continue;
            }
            if numbers {
                let _ = write!(dumper.out, "{line}\t");
            }
            dumper.line(&words, &mut section);
        }
    }
    let files: Vec<(String, &[u8])> = source.files.iter().map(|(name, bytes)| (name.clone(), *bytes)).collect();
    (dumper.out, diagnostics.finish(&files))
}

struct Dumper {
    out: String,
    lookup: Lookup,
    key: Option<u32>,
}

impl Dumper {
    /// A line; one that starts a section makes it the one that is open.
    fn line(&mut self, words: &[Word<'_>], section: &mut Option<(Context, String)>) {
        let words: Vec<&str> = words.iter().map(|word| word.text.as_ref()).collect();
        let header = words.first().is_some_and(|first| self.lookup.get(Context::Section, first).is_some());
        if header {
            let context = match words[0] {
                "global" => Context::Global,
                "defaults" | "frontend" | "backend" | "listen" => Context::Proxy,
                // Sections that are read without a table of lines show nothing of them.
                _ => Context::Section,
            };
            *section = Some((context, words.get(1).unwrap_or(&words[0]).to_string()));
        } else {
            self.out.push('\t');
        }
        match self.key {
            Some(key) if header => self.out.push_str(&hidden_header(key, &words)),
            Some(key) => {
                let context = section.as_ref().map_or(Context::Section, |(context, _)| *context);
                self.out.push_str(&self.hidden(key, &words, context));
            }
            None => words.iter().for_each(|word| self.out.extend([word, " "])),
        }
        self.out.push('\n');
    }

    fn hidden(&self, key: u32, words: &[&str], context: Context) -> String {
        let Some(first) = words.first() else { return String::new() };
        // What decides about the lines after it says nothing of anybody but in its condition.
        if matches!(*first, ".if" | ".elif" | ".else" | ".endif") {
            return if words.len() > 1 { format!("{first} [...]") } else { first.to_string() };
        }
        let negated = usize::from(matches!(*first, "no" | "default"));
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

/// `frontend www from base`
fn hidden_header(key: u32, words: &[&str]) -> String {
    let mark = |(n, word): (usize, &&str)| if n == 0 || *word == "from" { (*word).to_owned() } else { name(key, word) };
    words.iter().enumerate().map(mark).collect::<Vec<_>>().join(" ")
}

/// Six digits that stand for a text under a key: haproxy's.
fn mark(key: u32, text: &str) -> String {
    format!("{:06x}", lb_balance::xxh32(text.as_bytes(), key) & 0xff_ffff)
}

fn name(key: u32, text: &str) -> String {
    format!("ID({})", mark(key, text))
}

fn hidden_address(key: u32, word: &str) -> Option<String> {
    if word.starts_with('/') {
        return Some(format!("PATH({})", mark(key, word)));
    }
    let Ok(Address::Inet { host, port }) = address::parse(word, address::Use::Stream) else { return None };
    let ip = match host {
        Host::Any => return Some(word.to_owned()),
        // A word alone may be anything.
        Host::Name(..) => return (port != Port::None).then(|| mark(key, word)),
        Host::Ip(ip) => ip,
    };
    if ip.is_loopback() || ip.is_unspecified() {
        return Some(word.to_owned());
    }
    let port = match port {
        Port::None => String::new(),
        Port::One(port) => format!(":{port}"),
        Port::Range(low, high) => format!(":{low}-{high}"),
        Port::Offset(offset) => format!(":{offset:+}"),
    };
    let family = if ip.is_ipv4() { "IPV4" } else { "IPV6" };
    Some(format!("{family}({}){port}", mark(key, &ip.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render;

    const TEXT: &str = "\nglobal\n setenv A \"x y\" # why\n.if 0\n nbthread 3\n.endif\nfrontend www\n bogus line\n\n  # only this\n \
        bind 10.1.2.3:80,:81 name secret\n default_backend be\n description \"$A\" a\\ b \"\" c\n\
        userlist u\n user bob insecure-password hidden\n\
        backend be\n server s1 10.1.2.3:80 check inter 2s weight 3\n server s2 127.0.0.1:80\n option httpchk GET /private\n mode http\n";

    fn of(text: &str, key: Option<u32>, numbers: bool) -> (String, String) {
        let (text, diagnostics) = dump(&Source::new().file("t.cfg", text.as_bytes()), key, numbers);
        (text, render(&diagnostics))
    }

    #[test]
    fn lines_as_haproxy_shows_them() {
        // What haproxy 3.0 prints for this file, byte by byte.
        let shown = "\t\nglobal \n\tsetenv A x y \n\t.if 0 \n\tnbthread 3 \n\t.endif \nfrontend www \n\tbogus line \n\t\n\t\n\
            \tbind 10.1.2.3:80,:81 name secret \n\tdefault_backend be \n\tdescription a b  c \n\
            userlist u \n\tuser bob insecure-password hidden \n\
            backend be \n\tserver s1 10.1.2.3:80 check inter 2s weight 3 \n\tserver s2 127.0.0.1:80 \n\
            \toption httpchk GET /private \n\tmode http \n";
        assert_eq!(of(TEXT, None, false), (shown.to_owned(), String::new()));
        assert!(of(TEXT, None, true).0.starts_with("1\t\t\n2\tglobal \n3\t\tsetenv A x y \n"));
    }

    #[test]
    fn lines_that_cannot_be_cut() {
        let (text, told) = of("global\n a \"b\n c\n", None, false);
        assert_eq!(text, "global \n\tc \n");
        assert!(told.contains("t.cfg:2:4: this quote is never closed"), "{told}");
    }

    #[test]
    fn hides_what_names_somebody() {
        let (hidden, _) = of(TEXT, Some(5), true);
        for secret in ["www", "be\n", "s1", "10.1.2.3", "secret", "private", "x y", "bob", "bogus"] {
            assert!(!hidden.contains(secret), "{secret} in\n{hidden}");
        }
        // The marks are those of haproxy 3.0 under the same key.
        for kept in
            ["\tmode http\n", "\tserver ID(22a29b) 127.0.0.1:80\n", " IPV4(ee3025):80 check inter 2s weight 3\n", "option httpchk [...]"]
        {
            assert!(hidden.contains(kept), "no {kept} in\n{hidden}");
        }
        assert!(hidden.contains("16\tbackend ID(5c7c37)\n"), "{hidden}");
        let server = hidden.lines().find(|line| line.contains("server")).expect("there");
        let (other, _) = of(TEXT, Some(8), true);
        assert!(!other.contains(server), "another key, other marks");
    }
}
