//! Test support for the whole workspace: peers that follow a script, processes, namespaces, and the parity table.
//!
//! Development only, never a dependency of what is shipped. Standard threads and blocking sockets; every wait has a deadline
//! ([`wait::patience`]) and waits for a condition, never for a guess of how long something takes.
//! Holds: whatever is started here (process, thread, directory, namespace) is stopped or removed when its guard is dropped.
#![allow(clippy::disallowed_methods)] // The tests' own peers live in real time: this crate may read the clock.

pub mod client;
pub mod cpu;
pub mod fixture;
pub mod http;
pub mod netns;
pub mod origin;
pub mod parity;
pub mod ports;
pub mod process;
pub mod proxyproto;
pub mod runtime;
pub mod script;
pub mod syslog;
pub mod wait;
pub mod ws;
