//! What goes over the connections of one owner.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the bytes of all sockets that it was given to ([`crate::Socket::set_meter`]), as they are read and written.
///
/// Holds: the sockets are all of one thread, so counting is a load and a store; any thread may look.
#[derive(Debug, Default)]
pub struct Meter {
    received: AtomicU64,
    sent: AtomicU64,
    spliced_in: AtomicU64,
    spliced_out: AtomicU64,
}

#[inline]
fn add(count: &AtomicU64, n: usize) {
    count.store(count.load(Ordering::Relaxed).wrapping_add(n as u64), Ordering::Relaxed);
}

impl Meter {
    /// Counts bytes that were read before the socket had the meter.
    #[inline]
    pub fn note_received(&self, n: usize) {
        add(&self.received, n);
    }

    #[inline]
    pub(crate) fn note_sent(&self, n: usize) {
        add(&self.sent, n);
    }

    pub(crate) fn note_spliced_in(&self, n: usize) {
        add(&self.received, n);
        add(&self.spliced_in, n);
    }

    pub(crate) fn note_spliced_out(&self, n: usize) {
        add(&self.sent, n);
        add(&self.spliced_out, n);
    }

    /// Bytes that came, those through pipes included.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes that went, those through pipes included.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Bytes that went from sockets to pipes.
    pub fn spliced_in(&self) -> u64 {
        self.spliced_in.load(Ordering::Relaxed)
    }

    /// Bytes that went from pipes to sockets.
    pub fn spliced_out(&self) -> u64 {
        self.spliced_out.load(Ordering::Relaxed)
    }

    /// Begins again at 0. To be called by the thread of the sockets.
    pub fn clear(&self) {
        for count in [&self.received, &self.sent, &self.spliced_in, &self.spliced_out] {
            count.store(0, Ordering::Relaxed);
        }
    }
}
