//! Pipes of one thread, within limits that all threads share. Holds: a pipe in the pool is empty; pages are counted once.

use crate::Rt;
use crate::driver::{Driver, RawPipe};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Empty pipes kept per thread.
const KEEP: usize = 32;
/// What a pipe grows to when it is found full.
const LARGE: usize = 1 << 20;

/// Limits of all pipes of a process (`maxpipes`, `tune.pipesize`), shared by its threads.
#[derive(Debug)]
pub struct PipeLimits {
    max_pipes: usize,
    /// A fixed size for each pipe; `None`: grow on demand.
    size: Option<usize>,
    /// Bytes that all pipes together may have grown by.
    max_extra: usize,
    pipes: AtomicUsize,
    extra: AtomicUsize,
}

impl PipeLimits {
    /// At most `max_pipes`; each of `size` bytes, or growing on demand up to 1 MiB while half of the user's share of
    /// pipe memory (`/proc/sys/fs/pipe-user-pages-soft`) is not used up.
    pub fn new(max_pipes: usize, size: Option<usize>) -> Arc<PipeLimits> {
        let pages = std::fs::read_to_string("/proc/sys/fs/pipe-user-pages-soft").ok().and_then(|s| s.trim().parse().ok());
        let max_extra = pages.unwrap_or(16_384usize) / 2 * 4096;
        Arc::new(PipeLimits { max_pipes, size, max_extra, pipes: AtomicUsize::new(0), extra: AtomicUsize::new(0) })
    }

    /// Pipes that may be open.
    pub fn max(&self) -> usize {
        self.max_pipes
    }

    /// Pipes that are open.
    pub fn open(&self) -> usize {
        self.pipes.load(Ordering::Relaxed)
    }
}

struct Shared {
    limits: RefCell<Arc<PipeLimits>>,
    free: RefCell<Vec<Counted>>,
    out: std::cell::Cell<usize>,
}

/// A pipe that is counted against the limits.
struct Counted {
    pipe: RawPipe,
    extra: usize,
    limits: Arc<PipeLimits>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.limits.pipes.fetch_sub(1, Ordering::Relaxed);
        self.limits.extra.fetch_sub(self.extra, Ordering::Relaxed);
    }
}

/// The pipes of one thread.
pub struct PipePool(Rc<Shared>);

impl PipePool {
    pub(crate) fn new(_driver: &Driver) -> PipePool {
        let limits = PipeLimits::new(1024, None);
        PipePool(Rc::new(Shared { limits: RefCell::new(limits), free: RefCell::default(), out: Default::default() }))
    }

    /// Puts other limits in force for pipes opened from now on.
    pub fn set_limits(&self, limits: Arc<PipeLimits>) {
        self.0.free.borrow_mut().clear();
        *self.0.limits.borrow_mut() = limits;
    }

    /// Pipes that nobody uses now.
    pub fn idle(&self) -> usize {
        self.0.free.borrow().len()
    }

    /// Closes the pipes that nobody uses.
    pub fn close_idle(&self) {
        let idle = std::mem::take(&mut *self.0.free.borrow_mut());
        drop(idle);
    }

    /// Pipes that streams of this thread hold.
    pub fn in_use(&self) -> usize {
        self.0.out.get()
    }

    /// An empty pipe; `None` when the limits or the kernel refuse one: then bytes are copied.
    pub fn take(&self, rt: &Rt) -> Option<PooledPipe> {
        let pooled = self.0.free.borrow_mut().pop();
        let counted = match pooled {
            Some(p) => p,
            None => self.open(rt)?,
        };
        self.0.out.set(self.0.out.get() + 1);
        Some(PooledPipe { inner: Some(counted), held: 0, pool: self.0.clone() })
    }

    fn open(&self, rt: &Rt) -> Option<Counted> {
        let limits = self.0.limits.borrow().clone();
        if limits.pipes.fetch_add(1, Ordering::Relaxed) >= limits.max_pipes {
            limits.pipes.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let Ok(pipe) = rt.driver().borrow().pipe() else {
            limits.pipes.fetch_sub(1, Ordering::Relaxed);
            return None;
        };
        let size = limits.size;
        let mut counted = Counted { pipe, extra: 0, limits };
        if let Some(size) = size {
            // Refused sizes leave the kernel's default, which works.
            let _ = counted.pipe.set_capacity(size);
        }
        Some(counted)
    }
}

/// A pipe with the number of bytes in it; given back by `Drop`, or closed when bytes are left in it.
pub struct PooledPipe {
    inner: Option<Counted>,
    held: usize,
    pool: Rc<Shared>,
}

impl PooledPipe {
    fn counted(&mut self) -> &mut Counted {
        self.inner.as_mut().expect("taken by Drop only")
    }

    /// Bytes in the pipe.
    #[inline]
    pub fn held(&self) -> usize {
        self.held
    }

    /// Bytes that it takes at most.
    pub fn capacity(&self) -> usize {
        self.inner.as_ref().map_or(0, |c| c.pipe.capacity())
    }

    /// Writes `bytes` behind what the pipe holds: all of them, or none when there is no room. At most a page (4096 bytes), which the
    /// kernel takes whole or not at all.
    pub fn append(&mut self, bytes: &[u8]) -> bool {
        let whole = bytes.len() <= 4096 && self.raw().write(bytes).is_ok_and(|n| n == bytes.len());
        if whole {
            self.moved_in(bytes.len());
        }
        whole
    }

    /// Makes a pipe that was found full larger, if the limits allow.
    pub(crate) fn grow(&mut self) {
        let counted = self.counted();
        let more = LARGE.saturating_sub(counted.pipe.capacity());
        if more == 0 || counted.limits.size.is_some() {
            return;
        }
        if counted.limits.extra.fetch_add(more, Ordering::Relaxed) + more > counted.limits.max_extra
            || counted.pipe.set_capacity(LARGE).is_err()
        {
            counted.limits.extra.fetch_sub(more, Ordering::Relaxed);
            return;
        }
        counted.extra += more;
    }

    pub(crate) fn raw(&mut self) -> &mut RawPipe {
        &mut self.counted().pipe
    }

    pub(crate) fn moved_in(&mut self, n: usize) {
        self.held += n;
    }

    pub(crate) fn moved_out(&mut self, n: usize) {
        self.held -= n;
    }
}

impl Drop for PooledPipe {
    fn drop(&mut self) {
        self.pool.out.set(self.pool.out.get() - 1);
        let mut free = self.pool.free.borrow_mut();
        let counted = self.inner.take();
        if self.held == 0 && free.len() < KEEP {
            free.extend(counted);
        }
    }
}
