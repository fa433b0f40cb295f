//! A file with the same indentation everywhere: what starts a section stands at the margin, everything in it four spaces to
//! the right. Words, the space between them, comments and line ends stay; white space at the end of a line goes.
//!
//! Holds: the configuration means the same.

use crate::keywords::{Context, Lookup};
use crate::syntax::{Document, Line, TokenKind};

/// White space before a line of a section.
pub(crate) const INDENT: &str = "    ";

/// The file with consistent indentation.
///
/// ```
/// let text = b"global\nmaxconn 10 \n # the front\nfrontend f\n\t\tbind :80";
/// assert_eq!(lb_config::indented(text), b"global\n    maxconn 10\n# the front\nfrontend f\n    bind :80\n");
/// ```
pub fn indented(bytes: &[u8]) -> Vec<u8> {
    let lookup = Lookup::new();
    let mut document = Document::parse(bytes);
    let mut inside = false;
    // Comments belong to what comes behind them.
    let mut comments: Vec<usize> = Vec::new();
    for at in 0..document.lines.len() {
        let line = &mut document.lines[at];
        trim(line);
        let first = line.words().next();
        if first.is_none() {
            comments.push(at);
            continue;
        }
        let header = first.and_then(|word| word.value()).is_some_and(|word| lookup.get(Context::Section, &word).is_some());
        inside |= header;
        let indent = if inside && !header { INDENT } else { "" };
        for line in comments.drain(..).chain([at]) {
            document.lines[line].set_indent(indent);
        }
    }
    let indent = if inside { INDENT } else { "" };
    for line in comments {
        document.lines[line].set_indent(indent);
    }
    end_last_line(&mut document);
    document.to_bytes()
}

/// Gives the last line an end like that of the line before it; true when it had none.
pub(crate) fn end_last_line(document: &mut Document<'_>) -> bool {
    let [.., last] = &document.lines[..] else { return false };
    let open = last.end().is_empty() && last.tokens.iter().any(|token| token.kind != TokenKind::Mark);
    let windows = document.lines.len() > 1 && document.lines[document.lines.len() - 2].end() == b"\r\n";
    if open && let Some(last) = document.lines.last_mut() {
        last.set_end(if windows { b"\r\n" } else { b"\n" });
    }
    open
}

/// Takes white space at the end of a line away.
fn trim(line: &mut Line<'_>) {
    let last = line.tokens.iter().rposition(|token| token.kind != TokenKind::End);
    match last.map(|at| (at, line.tokens[at].kind)) {
        Some((at, TokenKind::Space)) => drop(line.tokens.remove(at)),
        Some((at, TokenKind::Comment)) => {
            let text = line.tokens[at].text.trim_ascii_end().to_vec();
            line.tokens[at].text = text.into();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts() {
        for (text, expected) in [
            ("", ""),
            ("\n\n", "\n\n"),
            ("  # a\n\n", "# a\n\n"),
            (
                "# a\nglobal\n# b\n\nmaxconn\t1   # c \n# d\nlisten a\n# e",
                "# a\nglobal\n    # b\n\n    maxconn\t1   # c\n# d\nlisten a\n    # e\n",
            ),
            ("listen a\r\nbind :80 \r\n", "listen a\r\n    bind :80\r\n"),
            (".if 1\n listen a\n .endif\n bind :80\n", ".if 1\nlisten a\n    .endif\n    bind :80\n"),
            ("listen a\nacl x path \"a  \n", "listen a\n    acl x path \"a  \n"),
            ("\u{feff} global", "\u{feff}global\n"),
        ] {
            let out = String::from_utf8(indented(text.as_bytes())).expect("text");
            assert_eq!(out, expected);
            assert_eq!(indented(out.as_bytes()), out.as_bytes(), "the second time changes nothing");
        }
    }
}
