//! Samples: where values come from, what they are worth, and what turns them into others. Compiled once when a configuration is
//! read, evaluated for each request against a [`Context`].
//!
//! Holds: an evaluation allocates only from the scratch memory it was given; what is not there is [`Eval::Absent`], what may still
//! come [`Eval::NeedMore`]; nothing that a peer sends makes it panic.

pub mod args;
mod assign;
mod context;
mod expr;
mod points;
mod registry;
mod value;

pub use bumpalo::Bump;

pub use args::{Arg, ArgKind, Args, Made};
pub use assign::{SetVar, VarCondition, VarValue};
pub use context::{Bytes, Condition, Context, Cursor, Cx, Eval, Fact, Lookup, Reference, Scope, Side, TcpFact, Variable};
pub use expr::{Compiler, Expr, ExprError, Loader};
pub use points::{Need, Point, Points};
pub use registry::{CheckArgs, Convert, Converter, Fetch, FetchCall, LoadArgs, Registry};
pub(crate) use value::v6_to_v4;
pub use value::{OwnedValue, Type, Value, hex, leading_int};
