//! The table of commands, and what is said of a command that is not in it.

use super::{Answer, Cli, Cx, Message, Outcome, Session, error, limits, patterns, servers, sess, session, show};
use crate::worker::Worker;
use lb_config::{CliLevel, Level};
use std::fmt::Write as _;
use std::rc::Rc;

/// A command.
pub(crate) struct Command {
    /// The words that name it.
    pub name: &'static str,
    /// What may stand behind.
    pub args: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// Who may use it.
    pub level: CliLevel,
    /// Does it.
    pub run: fn(&mut Cx<'_>) -> Outcome,
}

/// All commands, by module.
const TABLES: &[&[Command]] = &[session::COMMANDS, show::COMMANDS, servers::COMMANDS, limits::COMMANDS, sess::COMMANDS, patterns::COMMANDS];

/// Every command, in the order of `help`.
fn commands() -> Vec<&'static Command> {
    // These come last in every list.
    let ours = |c: &&Command| session::LAST.contains(&c.name);
    let (last, mut all): (Vec<_>, Vec<_>) = TABLES.iter().flat_map(|table| table.iter()).partition(ours);
    all.sort_by_key(|c| c.name);
    all.extend(last);
    all
}

/// The command that the words begin with, and how many of them are its name.
fn find(words: &[String]) -> Option<(&'static Command, usize)> {
    let matches = |c: &&'static Command| {
        let mut count = 0;
        let all = c.name.split(' ').all(|word| {
            count += 1;
            words.get(count - 1).is_some_and(|w| w == word)
        });
        all.then_some((*c, count))
    };
    TABLES.iter().flat_map(|table| table.iter()).filter_map(|c| matches(&c)).max_by_key(|(_, count)| *count)
}

/// Runs the command that the words say.
pub(super) fn run(worker: &Rc<Worker>, cli: &Rc<Cli>, session: &mut Session, words: &[String], payload: Option<&[u8]>) -> Outcome {
    let Some((command, count)) = find(words) else { return Ok(unknown(words)) };
    if session.level < command.level {
        return Err(error("Permission denied\n"));
    }
    (command.run)(&mut Cx { worker, cli, session, args: &words[count..], payload })
}

fn push_line(out: &mut String, command: &Command) {
    let usage = if command.args.is_empty() { command.name.to_owned() } else { format!("{} {}", command.name, command.args) };
    let _ = writeln!(out, "  {usage:<40}: {}", command.doc);
}

/// `help [<command>]`
pub(super) fn help(cx: &mut Cx<'_>) -> Outcome {
    let mut out = String::from("The following commands are valid at this level:\n");
    list(&mut out, cx.args);
    Ok(Answer::Message(Message(Level::Info, out.into())))
}

/// The lines about commands that begin with these words, or look like them.
pub fn commands_like(words: &[String]) -> String {
    let mut out = String::new();
    list(&mut out, words);
    out
}

fn unknown(words: &[String]) -> Answer {
    let mut out = String::from(match words {
        [] => "Unknown command. Please enter one of the following commands only:\n",
        _ => "Unknown command, but maybe one of the following ones is a better match:\n",
    });
    list(&mut out, words);
    Answer::Message(Message(Level::Info, out.into()))
}

/// Commands like what the words say at most.
const NEAR: usize = 5;

/// Writes the commands that begin with the words; where there is none, those that look like them; all where there are no words.
fn list(out: &mut String, words: &[String]) {
    let all = commands();
    let is_last = |c: &Command| session::LAST.contains(&c.name);
    let shared = |c: &Command| c.name.split(' ').zip(words).take_while(|(a, b)| a == b).count();
    let best = all.iter().filter(|c| !is_last(c)).map(|c| shared(c)).max().unwrap_or(0);
    let mut chosen: Vec<&Command> = all.iter().copied().filter(|c| !is_last(c) && shared(c) == best).collect();
    if best < words.len() && chosen.len() > NEAR {
        // Compared up to a fixed length: what nobody would type costs nothing.
        let typed: String = words[best..].join(" ").chars().take(40).collect();
        let rest = |c: &Command| c.name.split(' ').skip(best).collect::<Vec<_>>().join(" ");
        chosen.sort_by_cached_key(|c| distance(&typed, &rest(c)));
        chosen.truncate(NEAR);
        chosen.sort_by_key(|c| c.name);
    }
    chosen.iter().copied().chain(all.iter().copied().filter(|c| is_last(c))).for_each(|c| push_line(out, c));
}

/// Letters to change, add or take away to make one of the other; what only one of them has at its end counts a quarter.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let keep = before + usize::from(x != y);
            before = row[j + 1];
            row[j + 1] = keep.min(before + 1).min(row[j] + 1);
        }
    }
    let shorter = row.iter().enumerate().map(|(len, d)| 4 * d + (b.len() - len)).min();
    shorter.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn listed(text: &str) -> Vec<String> {
        let mut out = String::new();
        list(&mut out, &words(text));
        out.lines().map(|l| l.split_once(':').unwrap().0.trim().to_owned()).collect()
    }

    #[test]
    fn finds_the_longest_name() {
        assert_eq!(find(&words("show cli level x")).map(|(c, n)| (c.name, n)), Some(("show cli level", 3)));
        assert!(find(&words("show cli")).is_none());
        assert!(find(&[]).is_none());
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = commands().iter().map(|c| c.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    /// The pages of keywords and this table say the same.
    #[test]
    fn works_as_the_keywords_say() {
        use lb_config::{Context, State, keywords};
        let works: Vec<_> = keywords().filter(|k| k.context == Context::Runtime && k.state == State::Works).map(|k| k.name).collect();
        for name in &works {
            assert!(find(&words(name)).is_some(), "'{name}' is said to work and does not");
        }
        for command in commands() {
            assert!(works.iter().any(|k| k.starts_with(command.name)), "'{}' works and is not said to", command.name);
        }
    }

    #[test]
    fn near_commands() {
        assert!(listed("show cli").starts_with(&["show cli level".into(), "show cli sockets".into()]));
        assert!(listed("show versoin").contains(&"show version".into()));
        assert!(listed("").len() > NEAR + 3);
        assert!(listed(&"x".repeat(5000)).ends_with(&["help [<command>]".into(), "prompt".into(), "quit".into()]));
    }
}
