//! Where values come from: the fetches, grouped as the manual groups them (7.3.2 to 7.3.6).
//!
//! Holds: a fetch looks at its context and at nothing else; it returns what it found without copying it where it can.

// What a check looks at is a list that it might make longer.
#![allow(clippy::ptr_arg)]

mod buffer;
mod connection;
mod constant;
mod cookies;
mod fields;
mod hello;
mod loose;
mod message;
mod target;

use crate::sample::Fetch;

/// All tables.
pub(crate) const TABLES: &[&[Fetch]] =
    &[buffer::TABLE, connection::TABLE, constant::TABLE, cookies::TABLE, fields::TABLE, hello::TABLE, message::TABLE, target::TABLE];
