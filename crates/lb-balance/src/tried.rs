//! The servers that have already failed a request. Holds at most [`MAX_TRIED`] of them, inline.

use crate::ServerId;

/// How many failed servers a [`Tried`] remembers; with more, the oldest is forgotten and may be chosen again.
pub const MAX_TRIED: usize = 6;

/// Servers that failed this request, to be avoided while another is usable (`option redispatch`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Tried {
    ids: [u32; MAX_TRIED],
    /// How many were ever noted; the place of the next is this modulo [`MAX_TRIED`].
    noted: u32,
}

impl Tried {
    /// Nothing failed yet.
    pub const fn new() -> Self {
        Tried { ids: [0; MAX_TRIED], noted: 0 }
    }

    /// Whether nothing failed yet.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.noted == 0
    }

    /// Notes that this server failed. Noting one twice changes nothing.
    pub fn add(&mut self, id: ServerId) {
        if !self.contains(id) {
            self.ids[self.noted as usize % MAX_TRIED] = id.0;
            // Past MAX_TRIED only the place in the ring matters, so the counter may go round above it.
            self.noted = if self.noted as usize >= 2 * MAX_TRIED - 1 { MAX_TRIED as u32 } else { self.noted + 1 };
        }
    }

    /// Whether this server is known to have failed.
    #[inline]
    pub fn contains(&self, id: ServerId) -> bool {
        self.ids[..(self.noted as usize).min(MAX_TRIED)].contains(&id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_the_oldest() {
        let mut tried = Tried::new();
        assert!(tried.is_empty() && !tried.contains(ServerId(0)));
        for round in 0..40 {
            tried.add(ServerId(round));
            tried.add(ServerId(round));
            for old in 0..=round {
                assert_eq!(tried.contains(ServerId(old)), round - old < MAX_TRIED as u32, "{old} after {round}");
            }
        }
    }
}
