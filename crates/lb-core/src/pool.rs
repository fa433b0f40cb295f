//! Idle server connections of one thread.

use lb_rt::Rt;

/// Idle connections, by [`crate::proxy::Server::pool_index`].
pub struct Pools {}

impl Pools {
    /// None yet.
    pub fn new(_rt: &Rt, _servers: usize) -> Pools {
        Pools {}
    }

    /// Closes all.
    pub fn clear(&self) {}
}
