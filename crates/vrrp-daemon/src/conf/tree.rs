//! Lines become blocks.

use super::diag::{Diagnostics, Place};
use super::text::Line;
use super::words::{Word, split};

/// Blocks in each other.
pub const MAX_BLOCKS: usize = 32;

/// A line with the block that it opens, if it does.
#[derive(Debug, Clone)]
pub struct Node {
    pub place: Place,
    /// At least one.
    pub words: Vec<Word>,
    pub block: Option<Vec<Node>>,
}

impl Node {
    /// The keyword.
    pub fn name(&self) -> &str {
        &self.words[0].text
    }

    /// A word behind the keyword.
    pub fn value(&self, index: usize) -> Option<&str> {
        self.words.get(index + 1).map(|w| w.text.as_str())
    }

    /// The lines of its block; none if it has none.
    pub fn lines(&self) -> &[Node] {
        self.block.as_deref().unwrap_or_default()
    }

    /// The words of its block, whatever line they stand in, and those behind the keyword.
    pub fn list(&self) -> impl Iterator<Item = (&Place, &str)> {
        let own = self.words[1..].iter().map(|word| (&self.place, word.text.as_str()));
        own.chain(self.lines().iter().flat_map(|line| line.words.iter().map(|word| (&line.place, word.text.as_str()))))
    }
}

/// Builds the tree; braces that have no partner are said.
pub fn build(lines: &[Line], diagnostics: &mut Diagnostics) -> Vec<Node> {
    let mut builder = Builder { open: Vec::new(), here: Vec::new(), diagnostics };
    for line in lines {
        builder.line(line);
    }
    let missing = builder.open.len();
    while let Some(node) = builder.close() {
        builder.here.push(node);
    }
    if missing > 0 {
        let place = lines.last().map_or(Place { file: "".into(), line: 0 }, |line| line.place.clone());
        builder.diagnostics.warn(&place, format!("There are {missing} missing '}}'s or extra '{{'s"));
    }
    builder.here
}

struct Builder<'a> {
    /// Blocks that are open: the lines before, and the one that opened it.
    open: Vec<(Vec<Node>, Node)>,
    here: Vec<Node>,
    diagnostics: &'a mut Diagnostics,
}

impl Builder<'_> {
    fn line(&mut self, line: &Line) {
        let place = &line.place;
        let (words, open_quote) = split(&line.text);
        if open_quote {
            return self.diagnostics.warn(place, format!("Unterminated quote '{}'; the line is left out", line.text));
        }
        let mut pending = Vec::new();
        for word in words {
            if word.is("{") {
                self.brace(place, std::mem::take(&mut pending));
            } else if word.is("}") {
                self.flush(place, &mut pending);
                match self.close() {
                    Some(node) => self.here.push(node),
                    None => self.diagnostics.warn(place, "Extra '}' found; take it away, or look for a '{' that is missing above"),
                }
            } else {
                pending.push(word);
            }
        }
        self.flush(place, &mut pending);
    }

    fn flush(&mut self, place: &Place, pending: &mut Vec<Word>) {
        if !pending.is_empty() {
            self.here.push(Node { place: place.clone(), words: std::mem::take(pending), block: None });
        }
    }

    /// A brace opens the block of the words before it, or of the line before if it stands alone.
    fn brace(&mut self, place: &Place, words: Vec<Word>) {
        let opener = if words.is_empty() {
            self.here.pop_if(|last| last.block.is_none())
        } else {
            Some(Node { place: place.clone(), words, block: None })
        };
        match opener {
            Some(_) if self.open.len() >= MAX_BLOCKS => {
                self.diagnostics.warn(place, format!("more than {MAX_BLOCKS} blocks in each other"))
            }
            Some(node) => self.open.push((std::mem::take(&mut self.here), node)),
            None => self.diagnostics.warn(place, "Unexpected '{' - ignoring; there is no keyword before it"),
        }
    }

    fn close(&mut self) -> Option<Node> {
        let (before, mut node) = self.open.pop()?;
        node.block = Some(std::mem::replace(&mut self.here, before));
        Some(node)
    }
}
