//! HTTP/1 message heads, framing and smuggling rules, chunked coding, built-in error pages, PROXY protocol.
//!
//! Sans-I/O: no sockets, no clock, no environment, no randomness. Bytes go in, meaning comes out; everything a peer
//! sends ends in a value or an error, never in a panic, and costs time linear in its length however it is fragmented.
//! In steady state nothing here allocates: a [`Head`] is cleared and reused, encoders append to the caller's buffer.
//!
//! Where to look: [`Head`] is a message head; [`h1::Decoder`] and [`h1::Encoder`] turn bytes into one and back and
//! compute its framing ([`Body`]) once; [`hop`] settles the hop-by-hop fields; [`chunk`] is the chunked coding;
//! [`errors`] has the pages a proxy answers with by itself; [`proxy`] is the PROXY protocol.

#![forbid(unsafe_code)]

pub mod chunk;
pub mod errors;
pub mod h1;
mod head;
pub mod hop;
pub mod host;
mod name;
pub mod proxy;
mod spelling;
mod token;

pub use h1::{Body, RequestFraming, ResponseFraming};
pub use head::{FieldRef, Fields, Head, Method, Version};
pub use name::FieldId;
pub use spelling::{SpellingError, Spellings};
pub use token::{CommaList, comma_list, eq_lower, is_field_name, is_field_value, is_token_byte};

/// The example of the README compiles and holds.
#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
