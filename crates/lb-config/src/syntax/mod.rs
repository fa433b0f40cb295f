//! A file as it stands, for tools that change it: every byte comes back, white space, comments, line ends and quotes
//! included. Knows words and lines, not keywords.
//!
//! Holds: [`Document::to_bytes`] of what [`Document::parse`] gave is what was parsed, whatever the bytes; the words are
//! those that the parser of configurations sees, since both stand on one tokenizer ([`Scanner`]); linear time.
//!
//! ```
//! use lb_config::syntax::Document;
//!
//! let text = b"defaults\n\ttimeout  connect 5s   # as 'contimeout' was\r\n";
//! let mut document = Document::parse(text);
//! assert_eq!(document.to_bytes(), text);
//!
//! let line = &mut document.lines[1];
//! assert_eq!(line.words().filter_map(|word| word.value()).collect::<Vec<_>>(), ["timeout", "connect", "5s"]);
//! assert!(line.set_word(2, "10s"));
//! assert_eq!(document.to_bytes(), b"defaults\n\ttimeout  connect 10s   # as 'contimeout' was\r\n");
//! ```

mod scan;

pub use scan::{Fault, Part, PartKind, Scanner, Variable};
pub(crate) use scan::{lines, without_mark};

use std::borrow::Cow;

/// A whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document<'a> {
    /// Its lines, in order.
    pub lines: Vec<Line<'a>>,
}

/// One line with its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its tokens, in order; words are separated by white space.
    pub tokens: Vec<Token<'a>>,
}

/// A stretch of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: TokenKind,
    /// Its bytes.
    pub text: Cow<'a, [u8]>,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// The byte order mark before the first line.
    Mark,
    /// Spaces, tabs, carriage returns.
    Space,
    /// A word with its quotes and escapes.
    Word,
    /// From `#` on.
    Comment,
    /// LF, or CR LF.
    End,
}

impl<'a> Document<'a> {
    /// Takes a file apart.
    pub fn parse(bytes: &'a [u8]) -> Self {
        let (mark, rest) = without_mark(bytes);
        let mut lines: Vec<Line<'a>> = lines(rest).map(|(text, ended)| Line::cut(text, ended)).collect();
        if mark {
            if lines.is_empty() {
                lines.push(Line::default());
            }
            let length = bytes.len() - rest.len();
            lines[0].tokens.insert(0, Token::new(TokenKind::Mark, &bytes[..length]));
        }
        Self { lines }
    }

    /// The file again.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for token in self.lines.iter().flat_map(|line| &line.tokens) {
            out.extend_from_slice(&token.text);
        }
        out
    }
}

impl<'a> Line<'a> {
    /// Takes one line apart, with or without its end. Bytes behind a LF belong to other lines and are not looked at.
    pub fn parse(bytes: &'a [u8]) -> Self {
        lines(bytes).next().map(|(text, ended)| Self::cut(text, ended)).unwrap_or_default()
    }

    fn cut(text: &'a [u8], ended: bool) -> Self {
        let mut tokens: Vec<Token<'a>> = Vec::new();
        let mut word: Option<usize> = None;
        for part in Scanner::new(text) {
            let kind = match part.kind {
                PartKind::Space => TokenKind::Space,
                PartKind::Comment => TokenKind::Comment,
                _ => {
                    word.get_or_insert(part.range.start);
                    continue;
                }
            };
            if let Some(start) = word.take() {
                tokens.push(Token::new(TokenKind::Word, &text[start..part.range.start]));
            }
            tokens.push(Token::new(kind, &text[part.range]));
        }
        if let Some(start) = word {
            tokens.push(Token::new(TokenKind::Word, &text[start..]));
        }
        let mut line = Self { tokens };
        if ended {
            // A carriage return that is part of a word, as in an open quote, stays there.
            let outside = line.tokens.last().is_none_or(|last| last.kind != TokenKind::Word);
            match text.strip_suffix(b"\r") {
                Some(_) if outside => line.take_return(),
                _ => line.tokens.push(Token::new(TokenKind::End, b"\n")),
            }
        }
        line
    }

    /// Makes the carriage return at the end of the last token a part of the line's end.
    fn take_return(&mut self) {
        if let Some(last) = self.tokens.last_mut()
            && let Cow::Borrowed(text) = last.text
        {
            last.text = Cow::Borrowed(&text[..text.len() - 1]);
        }
        self.tokens.retain(|token| !token.text.is_empty());
        self.tokens.push(Token::new(TokenKind::End, b"\r\n"));
    }

    /// The words, in order.
    pub fn words(&self) -> impl Iterator<Item = &Token<'a>> {
        self.tokens.iter().filter(|token| token.kind == TokenKind::Word)
    }

    /// The white space before the first word or comment.
    pub fn indent(&self) -> &[u8] {
        match self.tokens.iter().find(|token| token.kind != TokenKind::Mark) {
            Some(token) if token.kind == TokenKind::Space => &token.text,
            _ => b"",
        }
    }

    /// Sets the white space before the first word or comment; an empty line stays as it is.
    pub fn set_indent(&mut self, indent: impl Into<Vec<u8>>) {
        let indent = indent.into();
        let at = usize::from(self.tokens.first().is_some_and(|token| token.kind == TokenKind::Mark));
        match self.tokens.get_mut(at) {
            None => {}
            Some(token) if token.kind == TokenKind::End => {}
            Some(token) if token.kind == TokenKind::Space => token.text = Cow::Owned(indent),
            Some(_) => self.tokens.insert(at, Token::owned(TokenKind::Space, indent)),
        }
    }

    /// LF, CR LF, or nothing.
    pub fn end(&self) -> &[u8] {
        self.tokens.last().filter(|token| token.kind == TokenKind::End).map_or(b"", |token| &token.text)
    }

    /// Sets the line's end; empty takes it off.
    pub fn set_end(&mut self, end: &'static [u8]) {
        self.tokens.retain(|token| token.kind != TokenKind::End);
        if !end.is_empty() {
            self.tokens.push(Token::new(TokenKind::End, end));
        }
    }

    /// Puts other text in the place of a word, counted from 0, as it is to stand in the file; false when there is no such
    /// word. Quotes are the caller's business.
    pub fn set_word(&mut self, n: usize, text: impl Into<Vec<u8>>) -> bool {
        let word = self.tokens.iter_mut().filter(|token| token.kind == TokenKind::Word).nth(n);
        word.map(|token| token.text = Cow::Owned(text.into())).is_some()
    }

    /// Takes a word out, counted from 0, with the white space that parts it from the word before (from the next one, for the
    /// first); false when there is no such word.
    pub fn remove_word(&mut self, n: usize) -> bool {
        let mut words = self.tokens.iter().enumerate().filter(|(_, token)| token.kind == TokenKind::Word);
        let Some((at, _)) = words.nth(n) else { return false };
        let beside = if n == 0 { at + 1 } else { at - 1 };
        let space = self.tokens.get(beside).is_some_and(|token| token.kind == TokenKind::Space);
        let range = if space { at.min(beside)..=at.max(beside) } else { at..=at };
        self.tokens.drain(range);
        true
    }
}

impl<'a> Token<'a> {
    /// A token of a line that is made anew.
    pub fn owned(kind: TokenKind, text: impl Into<Vec<u8>>) -> Self {
        Self { kind, text: Cow::Owned(text.into()) }
    }

    fn new(kind: TokenKind, text: &'a [u8]) -> Self {
        Self { kind, text: Cow::Borrowed(text) }
    }

    /// The parts that make up a word.
    pub fn parts(&self) -> Scanner<'_> {
        Scanner::new(&self.text)
    }

    /// A word with quotes and escapes resolved; `None` when that takes a variable's value, when it cannot be read or is
    /// not UTF-8, and for what is no word.
    pub fn value(&self) -> Option<Cow<'_, str>> {
        if self.kind != TokenKind::Word {
            return None;
        }
        let variable = self.parts().any(|part| matches!(part.kind, PartKind::Variable(_)));
        let mut words = Vec::new();
        crate::lexer::words(&self.text, &mut words, &mut |_| None).ok().filter(|()| !variable)?;
        words.pop().filter(|word| !word.lossy).map(|word| word.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &[u8]) -> Vec<(TokenKind, String)> {
        let document = Document::parse(text);
        assert_eq!(document.to_bytes(), text);
        let tokens = document.lines.iter().flat_map(|line| &line.tokens);
        tokens.map(|token| (token.kind, String::from_utf8_lossy(&token.text).into_owned())).collect()
    }

    #[test]
    fn tokens() {
        use TokenKind::*;
        let list = |list: &[(TokenKind, &str)]| list.iter().map(|(kind, text)| (*kind, (*text).to_owned())).collect::<Vec<_>>();
        assert_eq!(kinds(b""), []);
        assert_eq!(kinds(b"a\tb#c\n"), list(&[(Word, "a"), (Space, "\t"), (Word, "b"), (Comment, "#c"), (End, "\n")]));
        assert_eq!(kinds(b" a b\r\n"), list(&[(Space, " "), (Word, "a"), (Space, " "), (Word, "b"), (End, "\r\n")]));
        assert_eq!(kinds(b"a \r\r\n\n"), list(&[(Word, "a"), (Space, " \r"), (End, "\r\n"), (End, "\n")]));
        assert_eq!(kinds(b"#x\r\n"), list(&[(Comment, "#x"), (End, "\r\n")]));
        assert_eq!(kinds(b"\r\n"), list(&[(End, "\r\n")]));
        assert_eq!(kinds(b"\"a #\\\"'\"'b\"'\\ c d"), list(&[(Word, "\"a #\\\"'\"'b\"'\\ c"), (Space, " "), (Word, "d")]));
        assert_eq!(kinds(b"a \"b\r\n"), list(&[(Word, "a"), (Space, " "), (Word, "\"b\r"), (End, "\n")]));
        assert_eq!(kinds(b"a\\\r\n"), list(&[(Word, "a\\"), (End, "\r\n")]));
        assert_eq!(kinds(b"\xef\xbb\xbf a\n"), list(&[(Mark, "\u{feff}"), (Space, " "), (Word, "a"), (End, "\n")]));
        assert_eq!(kinds(b"\xef\xbb\xbf"), list(&[(Mark, "\u{feff}")]));
    }

    #[test]
    fn changes() {
        let line = |text: &'static [u8], change: fn(&mut Line<'_>)| {
            let mut document = Document::parse(text);
            change(&mut document.lines[0]);
            String::from_utf8(document.to_bytes()).expect("text")
        };
        assert_eq!(line(b"a b # c\n", |line| line.set_indent(*b"\t")), "\ta b # c\n");
        assert_eq!(line(b"  # c\n", |line| line.set_indent(*b"")), "# c\n");
        assert_eq!(line(b"\xef\xbb\xbfa\n", |line| line.set_indent(*b" ")), "\u{feff} a\n");
        assert_eq!(line(b"\n", |line| line.set_indent(*b" ")), "\n");
        assert_eq!(line(b"a", |line| line.set_end(b"\r\n")), "a\r\n");
        assert_eq!(line(b" a  b c # d\n", |line| assert!(line.remove_word(1) && line.remove_word(0))), " c # d\n");
        assert_eq!(line(b"a  'b'\n", |line| assert!(line.set_word(1, "c\\ d") && !line.set_word(2, "e"))), "a  c\\ d\n");
    }

    #[test]
    fn values() {
        let value = |text: &str| Line::parse(text.as_bytes()).words().next().and_then(|word| word.value().map(Cow::into_owned));
        assert_eq!(value(r#"a\ b"c d"'$e'"#), Some("a bc d$e".to_owned()));
        assert_eq!(value(r#""""#), Some(String::new()));
        assert_eq!(value(r#""$A""#), None);
        assert_eq!(value("\"a"), None);
        assert_eq!(value("# a"), None);
    }
}
