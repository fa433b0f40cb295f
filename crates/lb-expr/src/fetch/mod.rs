//! Where values come from: the fetches, grouped as the manual groups them (7.3.2 to 7.3.6).
//!
//! Holds: a fetch looks at its context and at nothing else; it returns what it found without copying it where it can.

mod constant;
mod http;

use crate::sample::Fetch;

/// All tables.
pub(crate) const TABLES: &[&[Fetch]] = &[constant::TABLE, http::TABLE];
