//! haproxy.cfg to a resolved configuration, with all errors at once.
//!
//! A file becomes a list of [`Directive`]-like lines with their places kept, the lines become a [`Config`] of plain
//! typed values, and whatever is wrong becomes a list of diagnostics: each with file, line and column, what is wrong
//! and what to write instead. Later code never looks at strings.
//!
//! Absent on purpose: no socket, no clock, no environment, no file access, no name resolution of its own. All of
//! these come in through traits that the caller gives.

pub mod model;

pub use model::*;
