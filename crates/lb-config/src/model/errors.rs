//! `http-errors`: replies under a name. Source: manual 3.8, `errorfiles`.

use super::FileBytes;
use std::sync::OnceLock;

/// The replies of a section, which is read when others have named it already, perhaps.
#[derive(Debug)]
pub struct ErrorSet {
    name: Box<str>,
    replies: OnceLock<Box<[(u16, FileBytes)]>>,
}

impl PartialEq for ErrorSet {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl ErrorSet {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.into(), replies: OnceLock::new() }
    }

    /// Gives it what its section says; false: it has that already.
    pub(crate) fn fill(&self, replies: Vec<(u16, FileBytes)>) -> bool {
        self.replies.set(replies.into()).is_ok()
    }

    /// Whether its section has been read.
    pub(crate) fn is_known(&self) -> bool {
        self.replies.get().is_some()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its replies: for which status, and the whole response.
    pub fn replies(&self) -> &[(u16, FileBytes)] {
        self.replies.get().map_or(&[], |replies| replies)
    }

    /// The reply for a status.
    pub fn get(&self, status: u16) -> Option<&FileBytes> {
        self.replies().iter().find(|(known, _)| *known == status).map(|(_, reply)| reply)
    }
}
