//! Read and write buffers of one thread. Idle connections hold none: a buffer is taken when bytes are there and given back by
//! `Drop`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// `tune.bufsize` of haproxy.
const DEFAULT_SIZE: usize = 16_384;
/// Buffers kept for reuse per thread; more are freed.
const KEEP: usize = 64;
/// Size of a large buffer at most, and how many are kept.
const LARGE: usize = 64 << 10;
const KEEP_LARGE: usize = 16;

struct Shared {
    size: Cell<usize>,
    free: RefCell<Vec<Box<[u8]>>>,
    large: RefCell<Vec<Box<[u8]>>>,
    out: Cell<usize>,
    scratch: RefCell<Box<[u8]>>,
}

/// Buffers of one size.
#[derive(Clone)]
pub struct BufferPool(Rc<Shared>);

impl Shared {
    fn large_size(&self) -> usize {
        let size = self.size.get();
        size.max(LARGE.min(4 * size))
    }
}

impl Default for BufferPool {
    fn default() -> Self {
        BufferPool(Rc::new(Shared {
            size: Cell::new(DEFAULT_SIZE),
            free: RefCell::default(),
            large: RefCell::default(),
            out: Cell::new(0),
            scratch: RefCell::default(),
        }))
    }
}

impl BufferPool {
    /// Sets the size in bytes of the buffers taken from now on (`tune.bufsize`).
    pub fn set_size(&self, bytes: usize) {
        self.0.size.set(bytes);
        self.0.free.borrow_mut().clear();
        self.0.large.borrow_mut().clear();
    }

    /// Size in bytes of a buffer.
    pub fn size(&self) -> usize {
        self.0.size.get()
    }

    /// Lends the thread's scratch buffer, of the pool's size, for bytes that do not outlive the call.
    ///
    /// # Panics
    /// When called from within itself.
    #[inline]
    pub fn with_scratch<R>(&self, f: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut scratch = self.0.scratch.borrow_mut();
        if scratch.len() != self.size() {
            *scratch = vec![0; self.size()].into_boxed_slice();
        }
        f(&mut scratch)
    }

    /// Buffers that are in use.
    pub fn in_use(&self) -> usize {
        self.0.out.get()
    }

    /// An empty buffer.
    pub fn take(&self) -> Buffer {
        self.lend(self.0.free.borrow_mut().pop(), self.size())
    }

    /// An empty buffer of four times the size, but not beyond 64 KiB: for a source that gives more than the others take.
    pub fn take_large(&self) -> Buffer {
        let size = self.0.large_size();
        if size == self.size() { self.take() } else { self.lend(self.0.large.borrow_mut().pop(), size) }
    }

    #[inline]
    fn lend(&self, kept: Option<Box<[u8]>>, size: usize) -> Buffer {
        let bytes = kept.unwrap_or_else(|| vec![0; size].into_boxed_slice());
        self.0.out.set(self.0.out.get() + 1);
        Buffer { bytes, start: 0, end: 0, pool: self.0.clone() }
    }
}

/// A fixed array of bytes of which `start..end` are filled.
pub struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    pool: Rc<Shared>,
}

impl Buffer {
    /// The bytes that wait.
    #[inline]
    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The room behind them.
    #[inline]
    pub fn spare(&mut self) -> &mut [u8] {
        &mut self.bytes[self.end..]
    }

    /// Says that `n` bytes of the room have been written.
    #[inline]
    pub fn commit(&mut self, n: usize) {
        assert!(n <= self.bytes.len() - self.end);
        self.end += n;
    }

    /// Takes `n` bytes off the front.
    #[inline]
    pub fn consume(&mut self, n: usize) {
        assert!(n <= self.end - self.start);
        self.start += n;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Moves what waits to the front, so that all room is behind it.
    pub fn compact(&mut self) {
        if self.start != 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
    }

    /// Appends as much of `bytes` as fits; says how much.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.bytes.len() - self.end);
        self.bytes[self.end..self.end + n].copy_from_slice(&bytes[..n]);
        self.end += n;
        n
    }

    /// Bytes that wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// True when nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Gives a buffer back if nothing waits in it.
    #[inline]
    pub fn release_empty(buffer: &mut Option<Buffer>) {
        if buffer.as_ref().is_some_and(Buffer::is_empty) {
            *buffer = None;
        }
    }

    /// Bytes that the buffer holds at most.
    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.pool.out.set(self.pool.out.get() - 1);
        let bytes = std::mem::take(&mut self.bytes);
        let (free, keep) = match bytes.len() {
            size if size == self.pool.size.get() => (&self.pool.free, KEEP),
            size if size == self.pool.large_size() => (&self.pool.large, KEEP_LARGE),
            _ => return,
        };
        let mut free = free.borrow_mut();
        if free.len() < keep {
            free.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_moves_bytes_and_returns() {
        let pool = BufferPool::default();
        pool.set_size(8);
        let mut b = pool.take();
        assert_eq!(b.append(b"0123456789"), 8);
        b.consume(3);
        b.compact();
        assert_eq!(b.filled(), b"34567");
        assert_eq!(b.append(b"abcd"), 3);
        b.consume(8);
        assert!(b.is_empty() && b.spare().len() == 8);
        assert_eq!(pool.in_use(), 1);
        drop(b);
        assert_eq!(pool.in_use(), 0);
        assert_eq!(pool.take().capacity(), 8);
        drop(pool.take_large());
        assert_eq!((pool.take_large().capacity(), pool.take().capacity()), (32, 8));
        for (size, large) in [(DEFAULT_SIZE, LARGE), (LARGE / 2, LARGE), (2 * LARGE, 2 * LARGE)] {
            pool.set_size(size);
            assert_eq!(pool.take_large().capacity(), large);
        }
    }
}
