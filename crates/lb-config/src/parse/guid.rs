//! Identifiers that no two proxies, listeners or servers share: `guid` and `guid-prefix` of haproxy 3.0. Nothing here uses
//! them; they are for the statistics of later programs, which would mix up what two objects of one name counted.

use super::World;
use crate::diag::Problem;
use crate::model::Span;
use crate::tree::shown;
use std::collections::hash_map::Entry;

/// Bytes of an identifier.
const MAX_GUID: usize = 127;

impl World<'_> {
    /// Takes an identifier for the object on the line of `span`; `word` is where it is written.
    pub(crate) fn take_guid(&mut self, text: String, word: usize, span: Span) -> Result<(), Problem> {
        if text.len() > MAX_GUID {
            return Err(
                Problem::at(word, "an identifier has at most 127 bytes").help("the number of each address counts with a 'guid-prefix'")
            );
        }
        if let Some(c) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':'))) {
            let problem = Problem::at(word, format!("an identifier cannot hold {c:?}"));
            return Err(problem.help("identifiers are made of letters, digits, '-', '_', '.' and ':'"));
        }
        match self.guids.entry(text) {
            Entry::Vacant(free) => {
                free.insert(span);
                Ok(())
            }
            Entry::Occupied(taken) => {
                let message = format!("the identifier '{}' is already taken on line {}", shown(taken.key()), taken.get().line);
                Err(Problem::at(word, message).help("each proxy, listener and server has its own in the whole configuration"))
            }
        }
    }
}
