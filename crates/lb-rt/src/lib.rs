//! One thread's event loop: executor, reactor, lazy timers, cross-thread inbox, sockets, buffers and pipes; and a simulator
//! that stands in for the kernel.
//!
//! What is absent: no tokio, no shared run queue, no task that moves between threads. The clock is read here and nowhere
//! else in the workspace, once per turn of the loop.
//!
//! Sockets and timers wake the *task* that is being polled and leave the context's `Waker` alone: combinators that poll a
//! part only when that part's own waker was called do not work around them.

mod buffers;
pub mod clock;
mod driver;
mod executor;
mod hyper_rt;
mod listener;
mod meter;
mod pipes;
mod program;
mod reactor;
mod remote;

mod signals;
#[cfg(feature = "sim")]
pub mod sim;
mod socket;
mod udp;
pub mod watchdog;
mod wheel;

pub use buffers::{Buffer, BufferPool};
pub use executor::{Casualties, Rt};
pub use hyper_rt::{HyperIo, HyperTimer};
pub use listener::{Bind, Listener};
pub use meter::Meter;
pub use pipes::{PipeLimits, PipePool, PooledPipe};
pub use program::Program;
pub use remote::Remote;
pub use signals::Signals;
pub use socket::{Socket, Spliced};
pub use udp::Udp;

/// Names a task of one executor; a key of a task that has ended names nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TaskKey {
    index: u32,
    generation: u32,
}

impl TaskKey {
    pub(crate) const NONE: TaskKey = TaskKey { index: u32::MAX, generation: u32::MAX };
}

/// The README's example, compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
