//! What turns values into others: the converters. Manual 7.3.1.
//!
//! Holds: any bytes are taken; where a value makes no sense for a converter the sample is absent; what is made goes to the scratch
//! memory and is never longer than [`MAX_LEN`].

mod text;

use crate::sample::Converter;

/// Most bytes that a converter makes, as haproxy's buffers have them by default.
pub const MAX_LEN: usize = 16_384;

/// All tables.
pub(crate) const TABLES: &[&[Converter]] = &[text::TABLE];
