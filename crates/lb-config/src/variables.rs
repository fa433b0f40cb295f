//! What lines can ask about the world while they are read: variables of the environment (manual 2.3), and which runtime
//! switches are on (`enabled()`, manual 2.4). Lines of `global` change both for the lines after them.

use crate::condition::LANGUAGE_VERSION;
use crate::lexer::Word;
use crate::model::{EnvironmentChanges, LogFormatText};
use crate::source::{Source, Switches};
use std::collections::{HashMap, HashSet};

/// Bytes of a value that `setenv` may set; Linux has this limit for a variable too.
pub(crate) const MAX_VALUE: usize = 128 << 10;

/// Variables and switches as the next line sees them.
pub(crate) struct Variables<'s> {
    source: &'s Source<'s>,
    /// What `setenv` and its sisters made of the variables of the process; `None`: removed.
    changed: HashMap<String, Option<String>>,
    /// `resetenv`: only these are left of the process's own.
    kept: Option<HashSet<String>>,
    switches: Switches,
}

impl<'s> Variables<'s> {
    pub(crate) fn new(source: &'s Source<'s>) -> Self {
        Self { source, changed: HashMap::new(), kept: None, switches: source.switches }
    }

    pub(crate) fn get(&self, name: &str) -> Option<String> {
        if let Some(value) = self.changed.get(name) {
            return value.clone();
        }
        if self.kept.as_ref().is_some_and(|kept| !kept.contains(name)) {
            return None;
        }
        built_in(name).map(str::to_owned).or_else(|| self.source.environment.variable(name))
    }

    /// What the lines so far have made of the variables of the process.
    pub(crate) fn changes(&self) -> EnvironmentChanges {
        let mut changed: Vec<_> = self.changed.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        changed.sort();
        let kept = self.kept.as_ref().map(|kept| {
            let mut names: Vec<String> = kept.iter().cloned().collect();
            names.sort();
            names
        });
        EnvironmentChanges { kept, changed }
    }

    /// Whether a runtime option is on; `None`: there is no option of that name.
    pub(crate) fn enabled(&self, option: &str) -> Option<bool> {
        self.switches.enabled(option)
    }

    /// Applies a line of `global`; these lines matter to all lines after them.
    pub(crate) fn apply(&mut self, words: &[Word<'_>]) {
        let word = |n: usize| words.get(n).map(|word| word.text.as_ref());
        match (word(0), word(1), word(2)) {
            // Told by the function of the keyword.
            (Some("setenv" | "presetenv"), Some(name), value)
                if name.contains('=') || value.is_some_and(|value| value.len() > MAX_VALUE) => {}
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
                let named: HashSet<String> = words[1..].iter().map(|word| word.text.clone().into_owned()).collect();
                self.changed.retain(|name, _| named.contains(name));
                self.kept = Some(match self.kept.take() {
                    // What an earlier line took away stays away.
                    Some(kept) => named.into_iter().filter(|name| kept.contains(name)).collect(),
                    None => named,
                });
            }
            (Some("localpeer"), Some(name), _) => {
                if !self.switches.local_peer {
                    self.changed.insert("HAPROXY_LOCALPEER".to_owned(), Some(name.to_owned()));
                }
            }
            (Some(name), value, _) => self.switches.apply(name, value),
            (None, ..) => {}
        }
    }
}

/// Variables that haproxy sets at its start and that do not depend on where it runs (manual 2.3).
fn built_in(name: &str) -> Option<&'static str> {
    Some(match name {
        "HAPROXY_STARTUP_VERSION" => LANGUAGE_VERSION,
        "HAPROXY_BRANCH" => LANGUAGE_VERSION.rsplit_once('.')?.0,
        "HAPROXY_HTTP_LOG_FMT" => LogFormatText::HTTP,
        "HAPROXY_HTTPS_LOG_FMT" => LogFormatText::HTTPS,
        "HAPROXY_TCP_LOG_FMT" => LogFormatText::TCP,
        _ => return None,
    })
}
