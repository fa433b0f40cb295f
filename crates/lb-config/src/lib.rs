//! haproxy.cfg to a resolved configuration, with all errors at once.
//!
//! The lines of the files become [`tree`] directives with their places kept, the directives become a [`Config`] of
//! plain typed values, and whatever is wrong becomes a list of [`Diagnostic`]s: each with file, line and column, what is
//! wrong and what to write instead. Later code never looks at strings. [`parse`] does all of it, [`render`] and [`report`]
//! show the diagnostics, and [`Config::builder`] makes a configuration without any text.
//!
//! Absent on purpose: no socket, no clock, no environment, no file access, no name resolution of its own. What a
//! configuration needs of the world comes in through the traits of [`Source`].
//!
//! Tools that change files take [`syntax`]: there every byte comes back.

pub mod syntax;
pub mod tree;

mod address;
mod builder;
mod condition;
mod diag;
mod extend;
mod keywords;
mod layout;
mod lexer;
mod lint;
mod model;
mod parse;
mod show;
mod source;
mod units;
mod upgrade;
mod variables;

pub use builder::{BuildError, ConfigBuilder, ProxyBuilder};
pub use condition::{ConditionError, FEATURES, LANGUAGE_DATE, LANGUAGE_VERSION, condition};
pub use diag::{Diagnostic, MAX_DIAGNOSTICS, MAX_EXCERPT, Severity};
pub use extend::{ActionError, ActionWords, Extensions};
pub use keywords::{Context, Keyword, Sections, State, keywords, keywords_markdown};
pub use layout::indented;
/// Where samples may be asked for, all that there are, and what those of an embedding program are made of.
pub use lb_expr::sample::{ArgKind, Args, Cursor, Cx, Eval, Need, Point, Registry, Side, Type, Value};
pub use lexer::{MAX_LINE, MAX_WORDS, Word};
pub use model::*;
pub use parse::parse;
pub use show::{render, report};
pub use source::{Environment, LoadError, Loader, Nothing, Resolver, Source, Switches};
pub use units::{UnitError, time};
pub use upgrade::{Note, Upgraded, upgrade};
