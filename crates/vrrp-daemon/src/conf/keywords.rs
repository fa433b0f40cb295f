//! The keywords of each block with what they do: the one place where a keyword is known.

use super::arg::Arg;
use super::tree::Node;

/// What a keyword does.
pub enum Does<T> {
    /// It is read.
    Set(fn(&mut T, &mut Arg<'_>)),
    /// It has no effect here, and that changes nothing of what hosts see; the reason.
    Nothing(&'static str),
    /// The same of a word that has a value.
    NothingOf(&'static str),
    /// The same of a word whose value is looked at.
    Checked(&'static str, fn(&mut Arg<'_>)),
    /// It is not there yet: a file with it is not started.
    Not,
}

/// A keyword of a block.
pub type Keyword<T> = (&'static str, Does<T>);

/// Words that are followed by a block.
const BLOCKS: &[&str] = &[
    "authentication",
    "group",
    "notification_email",
    "track_bfd",
    "track_file",
    "track_interface",
    "track_process",
    "track_script",
    "unicast_peer",
    "virtual_ipaddress",
    "virtual_ipaddress_excluded",
    "virtual_routes",
    "virtual_rules",
];

/// Reads the lines of a block, whose words are in several tables, into `target`.
///
/// A word of [`BLOCKS`] without a block is said: what stands behind it would be read as something else.
pub fn block<T>(tables: &[&[Keyword<T>]], target: &mut T, lines: &[Node], arg: &mut Arg<'_>) {
    for node in lines {
        let mut arg =
            Arg { node, who: arg.who, block: arg.block, diagnostics: arg.diagnostics, unsupported: arg.unsupported, common: arg.common };
        if node.block.is_none() && BLOCKS.contains(&node.name()) {
            arg.warn(format!("{} has no block; a '{{' is missing behind it", node.name()));
        }
        match tables.iter().copied().flatten().find(|(name, _)| *name == node.name()) {
            Some((_, Does::Set(set))) => set(target, &mut arg),
            Some((_, Does::Nothing(_))) => {}
            Some((_, Does::NothingOf(_))) => drop(arg.text()),
            Some((_, Does::Checked(_, check))) => check(&mut arg),
            Some((_, Does::Not)) => arg.unsupported(node.name()),
            // Looking for what was meant costs more than the message.
            None if arg.diagnostics.is_full() => arg.warn(""),
            None => {
                let names = tables.iter().copied().flatten().map(|(name, _)| *name);
                let text = unknown(node.name(), names, arg.block);
                arg.warn(text);
            }
        }
    }
}

/// The words of a table that have no effect: block, word, reason.
pub fn without_effect<T>(block: &'static str, table: &[Keyword<T>]) -> Vec<(&'static str, &'static str, &'static str)> {
    let reason = |(name, does): &Keyword<T>| {
        if let Does::Nothing(reason) | Does::NothingOf(reason) | Does::Checked(reason, _) = does {
            Some((block, *name, *reason))
        } else {
            None
        }
    };
    table.iter().filter_map(reason).collect()
}

/// The message about a word that nobody knows, with the one that was probably meant.
pub fn unknown<'a>(word: &str, names: impl Iterator<Item = &'a str>, block: &str) -> String {
    let near = names.map(|name| (distance(word, name), name)).min().filter(|(far, name)| *far <= 1 + name.len() / 4);
    let hint = near.map(|(_, name)| format!("; '{name}' is one, if that is meant")).unwrap_or_default();
    format!("Unknown keyword '{word}' in {block}{hint}")
}

/// Levenshtein; words of a file are cut to what a keyword could be.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(40).collect();
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (i, cb) in b.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, ca) in a.iter().enumerate() {
            let cost = diagonal + usize::from(*ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[a.len()]
}
