//! How the simulated world behaves: what a seed chooses, and what a test injects.

use super::rng::Rng;
use lb_sys::Addr;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Chosen by the seed, so that some worlds are fast and roomy and others slow, cramped and odd.
pub(crate) struct Knobs {
    /// Time on the way, at least and at most.
    pub latency: (Duration, Duration),
    /// Bytes that arrive together.
    pub piece: (usize, usize),
    /// Most bytes of a socket's send and receive buffer.
    pub buffers: usize,
    /// Fewest bytes of them.
    pub least_buffer: usize,
    /// In permille: a write takes less than fits.
    pub short_write: u32,
    /// A splice stops before socket or pipe make it.
    pub short_splice: u32,
    /// An event that says nothing new.
    pub spurious: u32,
    /// An event is left for a later `epoll_wait`, where it meets others.
    pub late_event: u32,
    /// Slots of a new pipe, a page each.
    pub pipe_slots: usize,
    /// What a turn of a loop takes at most.
    pub turn: Duration,
}

impl Knobs {
    pub fn choose(rng: &mut Rng) -> Knobs {
        let us = Duration::from_micros;
        Knobs {
            latency: *rng.pick(&[(us(0), us(0)), (us(10), us(60)), (us(100), us(2_000)), (us(1_000), us(60_000))]),
            piece: *rng.pick(&[(1, 8), (1, 1_500), (1_460, 1_460), (1, 1 << 20), (1 << 20, 1 << 20)]),
            buffers: *rng.pick(&[300, 4_000, 70_000, 70_000, 1 << 20]),
            least_buffer: 16,
            short_write: *rng.pick(&[0, 0, 50, 300]),
            short_splice: *rng.pick(&[0, 50, 300]),
            spurious: *rng.pick(&[0, 20, 200]),
            late_event: *rng.pick(&[0, 100, 500]),
            pipe_slots: *rng.pick(&[16, 16, 2, 1]),
            turn: *rng.pick(&[us(5), us(50), us(50), us(5_000)]),
        }
    }
}

/// What happens to connections to an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConnectFault {
    /// They are refused although somebody listens.
    Refuse,
    /// Nothing ever answers; the kernel gives up after about two minutes.
    Blackhole,
    /// They stand only after this time.
    Slow(Duration),
}

/// What tests inject.
#[derive(Default)]
pub(crate) struct Faults {
    pub connect: HashMap<Addr, ConnectFault>,
    /// Error number and how often `accept` on a listener gives it.
    pub accept: HashMap<Addr, (i32, u32)>,
    pub partitions: Vec<(IpAddr, IpAddr)>,
    /// In permille.
    pub datagram_loss: u32,
    pub pipes_refused: bool,
}

impl Faults {
    pub fn parted(&self, a: &Addr, b: &Addr) -> bool {
        let (Addr::Ip(a), Addr::Ip(b)) = (a, b) else { return false };
        self.partitions.iter().any(|(x, y)| (a.ip(), b.ip()) == (*x, *y) || (b.ip(), a.ip()) == (*x, *y))
    }
}
