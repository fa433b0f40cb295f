//! Files to sections of directives: lines cut into words, conditional blocks (`.if`) decided, variables replaced.
//! Called by the parser; may be called alone by tools that want the lines and not their meaning.
//!
//! Holds: every word keeps file, line and column; a section ends with its file; a line inside a block that is not
//! taken is not looked at beyond its first word.

use crate::condition;
use crate::diag::{Diagnostic, Diagnostics, Severity};
use crate::keywords::{Context, Lookup};
use crate::lexer::{self, Word};
use crate::model::Span;
use crate::source::Source;
use crate::syntax;
use std::collections::HashMap;

/// Nested `.if` blocks; haproxy's limit.
const MAX_CONDITIONS: usize = 99;

/// One line with at least one word that is not empty.
#[derive(Clone, Debug)]
pub struct Directive<'a> {
    /// Its words; the first one is not empty.
    pub words: Vec<Word<'a>>,
    /// Index of the file.
    pub file: u32,
    /// Line, from 1.
    pub line: u32,
}

impl Directive<'_> {
    /// Place of a word; of the whole line for `None`.
    pub fn span(&self, word: Option<usize>) -> Span {
        let column = word.and_then(|word| self.words.get(word)).map_or(0, |word| word.column);
        Span { file: self.file, line: self.line, column }
    }
}

/// A section: the line that starts it, and the lines in it.
#[derive(Clone, Debug)]
pub struct Section<'a> {
    /// `frontend www`
    pub header: Directive<'a>,
    /// What follows, up to the next section.
    pub lines: Vec<Directive<'a>>,
}

/// Reads all files of a source.
pub fn sections<'a>(source: &Source<'a>) -> (Vec<Section<'a>>, Vec<Diagnostic>) {
    let mut diagnostics = Diagnostics::default();
    let sections = read(source, &Lookup::new(), &mut diagnostics).0;
    (sections, diagnostics.finish(&source.files))
}

/// Variables as the file sees them: those of the process, and what `setenv` and its sisters made of them.
pub(crate) struct Variables<'s> {
    source: &'s Source<'s>,
    changed: HashMap<String, Option<String>>,
    /// `resetenv`: only these are left of the process's own.
    kept: Option<Vec<String>>,
}

impl Variables<'_> {
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        if let Some(value) = self.changed.get(name) {
            return value.clone();
        }
        if self.kept.as_ref().is_some_and(|kept| !kept.iter().any(|known| known == name)) {
            return None;
        }
        self.source.environment.variable(name)
    }

    /// Applies a line of `global`; these lines matter to all lines after them.
    fn apply(&mut self, words: &[Word<'_>]) {
        let word = |n: usize| words.get(n).map(|word| word.text.as_ref());
        match (word(0), word(1), word(2)) {
            (Some("setenv"), Some(name), Some(value)) => {
                self.changed.insert(name.to_owned(), Some(value.to_owned()));
            }
            (Some("presetenv"), Some(name), Some(value)) if self.get(name).is_none() => {
                self.changed.insert(name.to_owned(), Some(value.to_owned()));
            }
            (Some("unsetenv"), ..) => {
                for name in &words[1..] {
                    self.changed.insert(name.text.clone().into_owned(), None);
                }
            }
            (Some("resetenv"), ..) => {
                let kept: Vec<String> = words[1..].iter().map(|word| word.text.clone().into_owned()).collect();
                self.changed.retain(|name, _| kept.contains(name));
                self.kept = Some(kept);
            }
            _ => {}
        }
    }
}

/// One level of `.if`.
struct Block {
    /// Lines are taken now.
    active: bool,
    /// A branch of this block was taken already, or the block around it is not.
    done: bool,
    /// `.else` was seen.
    last: bool,
    opened: Span,
}

pub(crate) fn read<'a, 's>(source: &'s Source<'a>, lookup: &Lookup, diagnostics: &mut Diagnostics) -> (Vec<Section<'a>>, Variables<'s>)
where
    'a: 's,
{
    let mut reader = Reader {
        variables: Variables { source, changed: HashMap::new(), kept: None },
        lookup,
        diagnostics,
        sections: Vec::new(),
        in_section: false,
        blocks: Vec::new(),
    };
    for (index, (name, bytes)) in (0u32..).zip(&source.files) {
        reader.file(index, name, bytes);
    }
    (reader.sections, reader.variables)
}

struct Reader<'a, 's, 'd> {
    variables: Variables<'s>,
    lookup: &'d Lookup,
    diagnostics: &'d mut Diagnostics,
    sections: Vec<Section<'a>>,
    in_section: bool,
    blocks: Vec<Block>,
}

impl<'a> Reader<'a, '_, '_> {
    fn file(&mut self, file: u32, name: &str, bytes: &'a [u8]) {
        self.in_section = false;
        let (_, bytes) = syntax::without_mark(bytes);
        let mut line = 0u32;
        for (text, _) in syntax::lines(bytes) {
            line = line.saturating_add(1);
            self.line(file, name, line, text);
        }
        for block in std::mem::take(&mut self.blocks) {
            self.diagnostics.push(
                Severity::Error,
                block.opened,
                0,
                "this '.if' is never closed",
                Some("add '.endif' before the end of the file".into()),
            );
        }
    }

    fn line(&mut self, file: u32, name: &str, line: u32, text: &'a [u8]) {
        let active = self.blocks.iter().all(|block| block.active);
        let first = text.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r'));
        if !active && first != Some(&b'.') {
            return;
        }
        let words = {
            let variables = &self.variables;
            let section = if self.in_section { self.sections.last() } else { None };
            let mut variable = |wanted: &str| match wanted {
                ".FILE" => Some(name.to_owned()),
                ".LINE" => Some(line.to_string()),
                ".SECTION" => section.map(|section| section.header.words[section.header.words.len().min(2) - 1].text.clone().into_owned()),
                _ => variables.get(wanted),
            };
            match lexer::words(text, &mut variable) {
                Ok(words) => words,
                Err(error) => {
                    if active {
                        let column = u32::try_from(error.column).unwrap_or(0);
                        let span = Span { file, line, column };
                        self.diagnostics.push(Severity::Error, span, 1, error.message, Some(error.help.into()));
                    }
                    return;
                }
            }
        };
        // A first word that a variable made empty takes the whole line with it, as in haproxy.
        let Some(word) = words.first().filter(|word| !word.text.is_empty()) else { return };
        let directive = Directive { file, line, words: Vec::new() };
        if word.text.starts_with('.') {
            self.condition(Directive { words, ..directive }, active);
            return;
        }
        if self.lookup.get(Context::Section, &word.text).is_some() {
            self.in_section = true;
            self.sections.push(Section { header: Directive { words, ..directive }, lines: Vec::new() });
            return;
        }
        if !self.in_section {
            let directive = Directive { words, ..directive };
            let word = &directive.words[0];
            let nearest = crate::diag::nearest(&word.text, Lookup::first_words(Context::Section));
            let help = match nearest {
                Some(section) => format!("did you mean '{section}'?"),
                None => "a file starts with a section: global, defaults, frontend, backend or listen".to_owned(),
            };
            let message = format!("'{}' stands outside of any section", shown(&word.text));
            self.diagnostics.push(Severity::Error, directive.span(Some(0)), word.length as usize, message, Some(help));
            return;
        }
        let section = self.sections.last_mut().expect("in_section says there is one");
        if section.header.words[0].text == "global" {
            self.variables.apply(&words);
        }
        section.lines.push(Directive { words, ..directive });
    }

    /// `.if` and its sisters, `.alert` and its sisters.
    fn condition(&mut self, directive: Directive<'a>, active: bool) {
        let word = directive.words[0].text.clone();
        let span = directive.span(Some(0));
        let complain = |diagnostics: &mut Diagnostics, message: &str, help: &str| {
            diagnostics.push(Severity::Error, span, directive.words[0].length as usize, message, Some(help.to_owned()));
        };
        match &*word {
            ".if" if self.blocks.len() >= MAX_CONDITIONS => {
                complain(self.diagnostics, "too many nested '.if'", "at most 99 may be open at once");
                // An inactive block keeps the count of '.endif' right.
                self.blocks.push(Block { active: false, done: true, last: false, opened: span });
            }
            ".if" => {
                let taken = active && self.evaluate(&directive);
                self.blocks.push(Block { active: taken, done: taken || !active, last: false, opened: span });
            }
            ".elif" | ".else" => {
                let Some(block) = self.blocks.last() else {
                    complain(self.diagnostics, "there is no open '.if' here", "remove the line, or add the missing '.if'");
                    return;
                };
                if block.last {
                    complain(self.diagnostics, "this block already had its '.else'", "'.else' is the last branch of an '.if'");
                    return;
                }
                let may = !block.done;
                let taken = may && (*word == *".else" || self.evaluate(&directive));
                let block = self.blocks.last_mut().expect("checked above");
                block.active = taken;
                block.done |= taken;
                block.last = *word == *".else";
            }
            ".endif" => {
                let closed = self.blocks.pop();
                if closed.is_none() {
                    complain(self.diagnostics, "there is no open '.if' here", "remove the line, or add the missing '.if'");
                }
            }
            ".diag" => {}
            ".alert" | ".warning" | ".notice" if active => {
                let severity = match &*word {
                    ".alert" => Severity::Error,
                    ".warning" => Severity::Warning,
                    _ => Severity::Notice,
                };
                let text = directive.words.get(1).map_or("", |word| &word.text);
                self.diagnostics.push(severity, directive.span(None), 0, format!("'{}'", shown(text)), None);
            }
            _ if active => {
                let known = [".if", ".elif", ".else", ".endif", ".alert", ".warning", ".notice", ".diag"];
                let help = match crate::diag::nearest(&word, known.into_iter()) {
                    Some(word) => format!("did you mean '{word}'?"),
                    None => "known are .if .elif .else .endif .alert .warning .notice .diag".to_owned(),
                };
                complain(self.diagnostics, &format!("unknown directive '{}'", shown(&word)), &help);
            }
            _ => {}
        }
    }

    fn evaluate(&mut self, directive: &Directive<'_>) -> bool {
        let text: String = directive.words[1..].iter().map(|word| word.text.as_ref()).collect::<Vec<_>>().join(" ");
        match condition::evaluate(&text, &|name| self.variables.get(name).is_some()) {
            Ok(value) => value,
            Err(error) => {
                let help = "predicates are defined(), feature(), streq(), strneq(), version_atleast(), version_before()";
                self.diagnostics.push(Severity::Error, directive.span(None), 0, error.to_string(), Some(help.into()));
                false
            }
        }
    }
}

/// A word as it may appear in a message: bounded and printable.
pub(crate) fn shown(text: &str) -> String {
    let mut out: String = text.chars().take(64).map(|c| if c.is_control() { '?' } else { c }).collect();
    if out.len() < text.len() {
        out.push_str("...");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::render;

    /// Sections as `header: line, line`, and the messages.
    fn read(text: &str) -> (Vec<String>, String) {
        let (sections, diagnostics) = sections(&Source::new().file("t.cfg", text.as_bytes()));
        let words = |directive: &Directive<'_>| directive.words.iter().map(|word| word.text.as_ref()).collect::<Vec<_>>().join(" ");
        let list = sections
            .iter()
            .map(|section| format!("{}: {}", words(&section.header), section.lines.iter().map(words).collect::<Vec<_>>().join(", ")))
            .collect();
        (list, render(&diagnostics))
    }

    #[test]
    fn sections_and_places() {
        let text = b"# x\nglobal#y\n\tmaxconn   10 # z\r\n\nlisten a\n bind :80";
        let source = Source::new().file("t.cfg", text);
        let (sections, diagnostics) = sections(&source);
        assert!(diagnostics.is_empty());
        assert_eq!(sections.len(), 2);
        let line = &sections[0].lines[0];
        assert_eq!(line.span(Some(1)), Span { file: 0, line: 3, column: 12 });
        assert_eq!(line.span(None).column, 0);
        assert_eq!(sections[1].lines[0].span(Some(0)), Span { file: 0, line: 6, column: 2 });
    }

    #[test]
    fn conditional_blocks() {
        let text = "global\n.if 0\n a\n.if 1\n b\n.else\n c \"unclosed\n.endif\n.elif 1\n d\n.elif 1\n e\n.else\n f\n.endif\n g\n";
        assert_eq!(read(text), (vec!["global: d, g".to_owned()], String::new()));
        assert_eq!(read("global\n.if defined(X)\n a\n.endif\n setenv X 1\n.if defined(X)\n b\n.endif\n").0, ["global: setenv X 1, b"]);
        assert_eq!(
            read("global\n setenv X 1\n unsetenv X\n presetenv X 2\n resetenv\n.if defined(X)\n b\n.endif\n").0[0].matches(" b").count(),
            0
        );
    }

    #[test]
    fn blocks_that_do_not_fit() {
        for (text, message) in [
            (".endif\n", "there is no open '.if' here"),
            (".else\n", "there is no open '.if' here"),
            (".if 1\n", "this '.if' is never closed"),
            (".if 0\n.else\n.else\n.endif\n", "this block already had its '.else'"),
            (".fi\n", "did you mean '.if'?"),
            (".if foo()\n.endif\n", "unknown predicate"),
            (".alert \"stop here\"\n", "'stop here'"),
        ] {
            let (_, messages) = read(text);
            assert!(messages.contains(message), "{text}: {messages}");
        }
        assert_eq!(read(".if 0\n.alert x\n.warning x\n.foo\n.endif\n").1, "");
    }
}
