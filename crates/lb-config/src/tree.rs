//! Files to sections of directives: lines cut into words, conditional blocks (`.if`) decided, variables replaced.
//! Called by the parser; may be called alone by tools that want the lines and not their meaning.
//!
//! Holds: every word keeps file, line and column; a section ends with its file; a line inside a block that is not
//! taken is cut into words and not looked at beyond the first one.

mod dump;
mod include;

pub use dump::dump;

use crate::condition;
use crate::diag::{Diagnostic, Diagnostics, Severity};
use crate::keywords::{Context, Keyword, Lookup};
use crate::lexer::{self, LexError, Word};
use crate::model::Span;
use crate::parse::World;
use crate::source::Source;
use crate::syntax;
use crate::variables::Variables;

/// Bytes that variables may be replaced by in one run: a variable may hold itself twice, and so grow without end.
const MAX_EXPANDED: usize = 64 << 20;

/// Nested `.if` blocks; haproxy's limit.
const MAX_CONDITIONS: usize = 99;

impl Diagnostics {
    /// A line that cannot be cut into words.
    fn cannot_cut(&mut self, line: Span, error: LexError) {
        let span = Span { column: u32::try_from(error.column).unwrap_or(0), ..line };
        self.push(Severity::Error, span, 1, error.message, Some(error.help.into()));
    }
}

/// One line with at least one word; none is empty.
#[derive(Clone, Debug)]
pub struct Directive<'a> {
    /// Its words; an empty one has ended the line.
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

    /// The same, apart from the file that it was read from.
    fn to_owned(&self) -> Directive<'static> {
        let word = |word: &Word<'_>| Word { text: word.text.clone().into_owned().into(), ..*word };
        Directive { words: self.words.iter().map(word).collect(), file: self.file, line: self.line }
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

/// What takes the lines as they are read: the parser itself, or a collector.
pub(crate) trait Sink<'s> {
    /// What the reader needs: variables, keywords, a place for findings.
    fn world(&mut self) -> &mut World<'s>;
    /// A line that starts a section. The one before it has been closed.
    fn open(&mut self, header: &Directive<'_>, keyword: &'static Keyword);
    /// A line of the open section.
    fn line(&mut self, line: &Directive<'_>);
    /// The end of the open section.
    fn close(&mut self);
}

/// Reads all files of a source, and those that they include.
pub fn sections(source: &Source<'_>) -> (Vec<Section<'static>>, Vec<Diagnostic>) {
    let lookup = Lookup::new();
    let mut collector = Collector { world: World::new(source, &lookup), sections: Vec::new() };
    read(source, &mut collector);
    let Collector { mut world, sections } = collector;
    (sections, std::mem::take(&mut world.diagnostics).finish(&world.files()))
}

struct Collector<'s> {
    world: World<'s>,
    sections: Vec<Section<'static>>,
}

impl<'s> Sink<'s> for Collector<'s> {
    fn world(&mut self) -> &mut World<'s> {
        &mut self.world
    }

    fn open(&mut self, header: &Directive<'_>, _keyword: &'static Keyword) {
        self.sections.push(Section { header: header.to_owned(), lines: Vec::new() });
    }

    fn line(&mut self, line: &Directive<'_>) {
        self.sections.last_mut().expect("lines come behind a header").lines.push(line.to_owned());
    }

    fn close(&mut self) {}
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

/// The section that is open.
struct Open {
    /// What `.SECTION` stands for.
    name: String,
    global: bool,
}

/// Gives all lines of a source to `sink`, in order. A line's words live no longer than the call.
pub(crate) fn read<'s>(source: &Source<'_>, sink: &mut dyn Sink<'s>) {
    let mut reader = Reader { sink, open: None, blocks: Vec::new(), chain: Vec::new(), included: 0, expanded: 0 };
    for (index, (name, bytes)) in (0u32..).zip(&source.files) {
        reader.file(index, name, bytes);
    }
}

struct Reader<'s, 'r> {
    sink: &'r mut dyn Sink<'s>,
    open: Option<Open>,
    /// Those of the file that is being read.
    blocks: Vec<Block>,
    /// The files that are being read, each included by the one before it.
    chain: Vec<String>,
    /// Bytes of files that were included.
    included: usize,
    /// Bytes that variables were replaced by.
    expanded: usize,
}

impl Reader<'_, '_> {
    fn diagnostics(&mut self) -> &mut Diagnostics {
        &mut self.sink.world().diagnostics
    }

    fn file(&mut self, file: u32, name: &str, bytes: &[u8]) {
        self.chain.push(name.to_owned());
        let around = std::mem::take(&mut self.blocks);
        let (_, bytes) = syntax::without_mark(bytes);
        let mut line = 0u32;
        // One for all lines, for its memory.
        let mut words = Vec::new();
        for (text, ended) in syntax::lines(bytes) {
            line = line.saturating_add(1);
            let mut directive = Directive { words, file, line };
            directive.words.clear();
            self.line(name, &mut directive, text);
            words = directive.words;
            if !ended {
                let message = "the last line of the file has no line end";
                let help = "add one: today's haproxy takes a file without it for one that was cut off";
                self.diagnostics().push(Severity::Warning, Span { file, line, column: 0 }, 0, message, Some(help.into()));
            }
        }
        if self.open.take().is_some() {
            self.sink.close();
        }
        for block in std::mem::replace(&mut self.blocks, around) {
            self.diagnostics().push(
                Severity::Error,
                block.opened,
                0,
                "this '.if' is never closed",
                Some("add '.endif' before the end of the file".into()),
            );
        }
        self.chain.pop();
    }

    fn line<'t>(&mut self, name: &str, directive: &mut Directive<'t>, text: &'t [u8]) {
        // haproxy cuts lines into words whether their block is taken or not, so a quote must be closed anywhere.
        if let Err(error) = self.cut(text, &mut directive.words, name, directive.line) {
            return self.diagnostics().cannot_cut(directive.span(None), error);
        }
        // A first word that a variable made empty takes the whole line with it, as in haproxy.
        if let Some(word) = directive.words.first().filter(|word| !word.text.is_empty()) {
            let active = self.blocks.last().is_none_or(|block| block.active);
            if word.text.starts_with('.') {
                self.condition(directive, active);
            } else if active {
                self.directive(directive);
            }
        }
    }

    fn cut<'t>(&mut self, text: &'t [u8], words: &mut Vec<Word<'t>>, file: &str, line: u32) -> Result<(), LexError> {
        let section = self.open.as_ref().map(|open| open.name.as_str());
        let at = Place { file, line, section };
        cut(text, words, &at, &self.sink.world().variables, &mut self.expanded)
    }

    /// A line that is to be taken.
    fn directive(&mut self, directive: &mut Directive<'_>) {
        self.end_at_empty_word(directive);
        let word = &directive.words[0];
        if let Some(keyword) = self.sink.world().lookup.get(Context::Section, &word.text) {
            if self.open.take().is_some() {
                self.sink.close();
            }
            if keyword.name == "include" {
                self.include(directive);
                return;
            }
            let name = directive.words.get(1).unwrap_or(word).text.clone().into_owned();
            self.open = Some(Open { name, global: keyword.name == "global" });
            self.sink.open(directive, keyword);
            return;
        }
        match &self.open {
            Some(open) => {
                if open.global {
                    self.sink.world().variables.apply(&directive.words);
                }
                self.sink.line(directive);
            }
            None => {
                let nearest = crate::diag::nearest(&word.text, Lookup::first_words(Context::Section));
                let help = match nearest {
                    Some(section) => format!("did you mean '{section}'?"),
                    None => "a file starts with a section: global, defaults, frontend, backend or listen".to_owned(),
                };
                let message = format!("'{}' stands outside of any section", shown(&word.text));
                self.diagnostics().push(Severity::Error, directive.span(Some(0)), word.length as usize, message, Some(help));
            }
        }
    }

    /// `include FILE|GLOB`: other files in the place of the line.
    fn include(&mut self, directive: &Directive<'_>) {
        let Some(wanted) = directive.words.get(1) else {
            return self.complain(
                directive,
                0,
                "'include' wants a file",
                "write 'include <file>', with '*' and '?' in its name for several",
            );
        };
        if let Some(extra) = directive.words.get(2) {
            let message = format!("unexpected '{}' behind the file of 'include'", shown(&extra.text));
            return self.complain(directive, 2, &message, "write one 'include' for each file, or a wildcard");
        }
        let from = self.chain.last().expect("a line stands in a file").clone();
        let loader = self.sink.world().source.loader;
        let files = match include::files(&from, &wanted.text, loader) {
            Ok(files) => files,
            Err((message, help)) => return self.complain(directive, 1, &message, help),
        };
        for path in files {
            if let Err((message, help)) = self.included(&path) {
                self.complain(directive, 1, &message, help);
            }
        }
    }

    fn included(&mut self, path: &str) -> Result<(), (String, &'static str)> {
        let chain = |files: &[String]| files.iter().map(|name| shown(name)).chain([shown(path)]).collect::<Vec<_>>().join(" -> ");
        if let Some(first) = self.chain.iter().position(|name| name.trim_start_matches("./") == path) {
            return Err((format!("the file includes itself: {}", chain(&self.chain[first..])), "take one of these 'include' lines out"));
        }
        if self.chain.len() > include::MAX_DEPTH {
            let help = "at most 16 files may stand in each other; include them from one file";
            return Err((format!("files include files too deeply: {}", chain(&self.chain)), help));
        }
        let world = self.sink.world();
        if world.included.len() >= include::MAX_FILES {
            return Err(("too many files are included".into(), "at most 4096 in all"));
        }
        let bytes = world.source.loader.load(path).map_err(|error| {
            (format!("'{}' cannot be included: {error}", shown(path)), "a file is looked for from where the file with the 'include' is")
        })?;
        self.included = self.included.saturating_add(bytes.len());
        if self.included > include::MAX_BYTES {
            return Err(("the files that are included are too large".into(), "at most 256 MiB in all"));
        }
        // The place is taken before files that this one includes get theirs.
        let place = world.included.len();
        let file = u32::try_from(world.source.files.len() + place).unwrap_or(u32::MAX);
        world.included.push((path.to_owned(), Vec::new()));
        self.file(file, path, &bytes);
        self.sink.world().included[place].1 = bytes;
        Ok(())
    }

    /// An empty word ends the line's words, in haproxy as here. What is lost by that is told, though it is no warning: haproxy
    /// says nothing, and warnings can be fatal.
    fn end_at_empty_word(&mut self, directive: &mut Directive<'_>) {
        let Some(empty) = directive.words.iter().position(|word| word.text.is_empty()) else { return };
        if let Some(lost) = directive.words.get(empty + 1) {
            let message = format!("'{}' and what follows is not read: the word before it is empty", shown(&lost.text));
            let help = "remove the empty word, or set the variable in it".to_owned();
            self.diagnostics().push(Severity::Notice, directive.span(Some(empty + 1)), lost.length as usize, message, Some(help));
        }
        directive.words.truncate(empty);
    }

    /// `.if` and its sisters, `.alert` and its sisters.
    fn condition(&mut self, directive: &Directive<'_>, active: bool) {
        let word = directive.words[0].text.as_ref();
        match word {
            ".if" if self.blocks.len() >= MAX_CONDITIONS => {
                self.complain(directive, 0, "too many nested '.if'", "at most 99 may be open at once");
                // An inactive block keeps the count of '.endif' right.
                self.blocks.push(Block { active: false, done: true, last: false, opened: directive.span(Some(0)) });
            }
            ".if" => {
                let taken = active && self.evaluate(directive);
                self.blocks.push(Block { active: taken, done: taken || !active, last: false, opened: directive.span(Some(0)) });
            }
            ".elif" | ".else" | ".endif" => self.branch(directive),
            ".alert" | ".warning" | ".notice" | ".diag" if active => {
                if let Some(extra) = directive.words.get(2) {
                    let message = format!("unexpected '{}' behind the text of '{word}'", shown(&extra.text));
                    self.complain(directive, 2, &message, "put the whole text in double quotes");
                    return;
                }
                let severity = match word {
                    ".alert" => Severity::Error,
                    ".warning" => Severity::Warning,
                    ".notice" => Severity::Notice,
                    _ => Severity::Diag,
                };
                let text = directive.words.get(1).map_or("", |word| &word.text);
                self.diagnostics().push(severity, directive.span(None), 0, format!("'{}'", shown(text)), None);
            }
            _ if active && !matches!(word, ".alert" | ".warning" | ".notice" | ".diag") => {
                let known = [".if", ".elif", ".else", ".endif", ".alert", ".warning", ".notice", ".diag"];
                let help = match crate::diag::nearest(word, known.into_iter()) {
                    Some(word) => format!("did you mean '{word}'?"),
                    None => "known are .if .elif .else .endif .alert .warning .notice .diag".to_owned(),
                };
                self.complain(directive, 0, &format!("unknown directive '{}'", shown(word)), &help);
            }
            _ => {}
        }
    }

    /// `.elif`, `.else`, `.endif`: what they do to the block that is open.
    fn branch(&mut self, directive: &Directive<'_>) {
        let word = directive.words[0].text.as_ref();
        if let Some(extra) = directive.words.get(1).filter(|_| word != ".elif") {
            let message = format!("unexpected '{}' behind '{word}'", shown(&extra.text));
            self.complain(directive, 1, &message, "write it as a comment, or '.elif' if it is a condition");
        }
        let Some(block) = self.blocks.last() else {
            self.complain(directive, 0, "there is no open '.if' here", "remove the line, or add the missing '.if'");
            return;
        };
        if word == ".endif" {
            self.blocks.pop();
            return;
        }
        if block.last {
            self.complain(directive, 0, "this block already had its '.else'", "'.else' is the last branch of an '.if'");
            return;
        }
        let taken = !block.done && (word == ".else" || self.evaluate(directive));
        let block = self.blocks.last_mut().expect("checked above");
        block.active = taken;
        block.done |= taken;
        block.last = word == ".else";
    }

    fn complain(&mut self, directive: &Directive<'_>, word: usize, message: &str, help: &str) {
        let length = directive.words[word].length as usize;
        self.diagnostics().push(Severity::Error, directive.span(Some(word)), length, message, Some(help.to_owned()));
    }

    fn evaluate(&mut self, directive: &Directive<'_>) -> bool {
        match condition::evaluate(&condition::joined(&directive.words[1..]), &self.sink.world().variables) {
            Ok(value) => value,
            Err(error) => {
                let message = error.to_string();
                self.diagnostics().push(Severity::Error, directive.span(None), 0, message, Some(condition::predicates()));
                false
            }
        }
    }
}

/// Where a line stands: what `.FILE`, `.LINE` and `.SECTION` stand for in it.
struct Place<'a> {
    file: &'a str,
    line: u32,
    section: Option<&'a str>,
}

/// Cuts a line into words with variables in their place. `expanded`: the bytes that they were replaced by in all lines so far.
fn cut<'t>(
    text: &'t [u8],
    words: &mut Vec<Word<'t>>,
    at: &Place<'_>,
    variables: &Variables<'_>,
    expanded: &mut usize,
) -> Result<(), LexError> {
    let mut variable = |wanted: &str| {
        if *expanded > MAX_EXPANDED {
            return None;
        }
        let value = match wanted {
            ".FILE" => Some(at.file.to_owned()),
            ".LINE" => Some(at.line.to_string()),
            ".SECTION" => at.section.map(str::to_owned),
            _ => variables.get(wanted),
        };
        *expanded = expanded.saturating_add(value.as_ref().map_or(0, String::len));
        value.filter(|_| *expanded <= MAX_EXPANDED)
    };
    lexer::words(text, words, &mut variable)?;
    if *expanded > MAX_EXPANDED {
        let help = "a variable that holds itself several times grows with each line";
        return Err(LexError { column: 0, message: "variables have been replaced by more than 64 MiB of text", help });
    }
    Ok(())
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
    use crate::render;

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
        let text = b"# x\nglobal#y\n\tmaxconn   10 # z\r\n\nlisten a\n bind :80\n";
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
        let text = "global\n.if 0\n a\n.if 1\n b\n.else\n c foo\n.endif\n.elif 1\n d\n.elif 1\n e\n.else\n f\n.endif\n g\n";
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
            (".notice stop here\n", "unexpected 'here' behind the text of '.notice'"),
            (".if 0\n a \"unclosed\n.endif\n", "this quote is never closed"),
            (".if 0\n.else 1\n.endif\n", "unexpected '1' behind '.else'"),
            (".if 1\n.endif x\n", "unexpected 'x' behind '.endif'"),
        ] {
            let (_, messages) = read(text);
            assert!(messages.contains(message), "{text}: {messages}");
        }
        assert_eq!(read(".if 0\n.alert x y\n.warning x\n.foo\n.if foo()\n.endif\n.endif\n.if 1\n.elif foo()\n.endif\n").1, "");
    }

    #[test]
    fn words_that_became_empty() {
        // Unset: no word at all. Empty: the end of the line's words, as in haproxy 3.0.
        assert_eq!(read("listen a\n x \"${NO}\" y\n\"$NO\" x \"${NO[*]}\"y\n"), (vec!["listen a: x y, x y".to_owned()], String::new()));
        let (sections, messages) = read("listen a\n x \"${NO-}\" y z\n\"\" x\n x ''\n");
        assert_eq!(sections, ["listen a: x, x"]);
        assert!(messages.starts_with("[NOTICE]  t.cfg:2:13: 'y' and what follows is not read"), "{messages}");
        assert_eq!(messages.matches("[").count(), 1, "{messages}");
    }

    #[test]
    fn a_variable_that_doubles_itself_comes_to_an_end() {
        let text = format!("global\n setenv A {}\n{}", "x".repeat(1000), " setenv A \"$A$A\"\n".repeat(1000));
        let (sections, messages) = read(&text);
        assert!(messages.contains("more than 64 MiB of text"), "{messages}");
        assert!(sections[0].len() < 2 * MAX_EXPANDED);
        let (_, diagnostics) = crate::parse(&Source::new().file("t.cfg", text.as_bytes()));
        assert!(render(&diagnostics).contains("the value is too long"));
    }
}
