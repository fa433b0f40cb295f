//! The real workers, sessions and streams in the simulated world: bytes relayed equal bytes sent, nothing leaks, nobody spins,
//! nothing stalls, and the log's termination state fits the fault that was injected.
//!
//! `SIM_SEED=n` replays one seed, `SIM_SEEDS=n` runs so many of each test; `cargo xtask sim` does so in a release build.

mod accepting;
mod calls;
mod ends;
mod health;
mod http;
mod http_faults;
mod panics;
mod peers;
mod proxy;
mod slow_start;
mod tcp;
mod tcp_faults;
