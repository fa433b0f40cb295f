//! Expressions and the words of a log line: compiled once, evaluated against a context.
//!
//! Holds: no sockets, no clock, no environment, no randomness. Date, host name and everything about a session come from
//! the caller's [`LogSource`]. Evaluation allocates nothing beyond the caller's output buffer and never writes more than
//! the limit it was given. Nothing a peer sends or an operator writes makes it panic.
//!
//! Source: HAProxy 2.6 manual, sections 8.2 (formats), 8.5 (termination states), 8.6 (non-printable characters); where the
//! manual is silent, the behaviour of haproxy 2.6.12 as observed from outside decides.
#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod acl;
mod connection;
pub mod convert;
mod fetch;
pub mod lines;
mod log_format;
pub mod packed;
pub mod rdp;
pub mod regex;
pub mod sample;
mod termination;
mod time;

pub use connection::{write_connect, write_connection_error};
pub use log_format::{CaptureSide, Field, LogFormat, LogFormatError, LogSource, LogValue, Purpose, formats};
pub use termination::{Cause, Phase, RequestCookie, ResponseCookie, Termination};
pub use time::Timestamp;

/// `len` of a `log` line when the configuration gives none, in bytes. Manual section 4.2, `log`.
pub const DEFAULT_LOG_LEN: usize = 1024;
