//! Bytes that wait to be written: heads, chunk framing, what a short write left. From a pool of this thread; idle streams hold
//! none.

use std::cell::RefCell;
use std::rc::Rc;

/// Vectors kept per thread.
const KEEP: usize = 64;
/// Vectors that grew beyond this are freed, not kept.
const KEEP_BYTES: usize = 128 << 10;

/// Free output vectors of one thread.
#[derive(Clone, Default)]
pub struct OutPool(Rc<RefCell<Vec<Vec<u8>>>>);

impl OutPool {
    /// An empty one.
    pub fn take(&self) -> Out {
        let bytes = self.0.borrow_mut().pop().unwrap_or_default();
        Out { bytes, start: 0, pool: self.clone() }
    }
}

/// Bytes to write, and how many of them have gone.
pub struct Out {
    bytes: Vec<u8>,
    start: usize,
    pool: OutPool,
}

impl Out {
    /// Where to append.
    #[inline]
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// What has not gone yet.
    #[inline]
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Takes `n` bytes off the front.
    #[inline]
    pub fn consume(&mut self, n: usize) {
        self.start += n;
        if self.start >= self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
    }

    /// Sends everything once more (a retry towards another server).
    pub fn rewind(&mut self) {
        self.start = 0;
    }

    /// True when all has gone.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.start >= self.bytes.len()
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        let mut pool = self.pool.0.borrow_mut();
        if pool.len() < KEEP && bytes.capacity() <= KEEP_BYTES {
            bytes.clear();
            pool.push(bytes);
        }
    }
}
