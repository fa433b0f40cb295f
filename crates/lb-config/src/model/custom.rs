//! What actions of an embedding program are, and what they may want. Run by lb-core.

use super::{Reply, ReplyBody, ReplyContent};
use lb_expr::sample::Cx;
use std::fmt;

/// An action that an embedding program brings; [`Extensions::action`](crate::Extensions::action) makes it known by its name.
///
/// It runs on the thread that serves the stream, between two bytes of it: what waits or computes for long holds up all others there.
pub trait CustomAction: Send + Sync + fmt::Debug {
    /// Looks at the stream and says what is to be done. `cx` is what fetches see: heads, addresses, variables, which it may set.
    fn run(&self, cx: Cx<'_>) -> Wishes;
}

/// What an embedder's action wants done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wishes {
    /// Changes of the message that the rules are about, in this order. One that is not possible is treated as that of a built-in
    /// action is (manual: `strict-mode`).
    pub edits: Vec<Wish>,
    /// Ends the way of the message with this answer; a status from 400 on counts as a refusal. Where nobody could read it (`tcp-request
    /// connection` and `session`, mode tcp) the connection is closed.
    pub end: Option<Reply>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // names and values say what they are
pub enum Wish {
    /// As `add-header`.
    AddField { name: Box<str>, value: Vec<u8> },
    /// As `set-header`.
    SetField { name: Box<str>, value: Vec<u8> },
    /// As `del-header`.
    DeleteField { name: Box<str> },
    /// As `set-uri`.
    SetTarget(Vec<u8>),
}

impl Wishes {
    /// Nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// One more change.
    #[must_use]
    pub fn and(mut self, wish: Wish) -> Self {
        self.edits.push(wish);
        self
    }

    /// Ends with an answer.
    #[must_use]
    pub fn ending(mut self, reply: Reply) -> Self {
        self.end = Some(reply);
        self
    }
}

impl Reply {
    /// The page of a status, as the proxy has it.
    pub fn page(status: u16) -> Self {
        Self { status, content: ReplyContent::Page }
    }

    /// A body of its own.
    pub fn own(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = ReplyBody::Bytes(body.into().into());
        Self { status, content: ReplyContent::Own { content_type: Some(content_type.into()), fields: Box::default(), body } }
    }
}
