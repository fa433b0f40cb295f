//! A timer on the processor time of one thread, which interrupts that thread itself: a thread that is stuck in a loop is looked at
//! from inside. The one place of the workspace where a signal handler runs.

use crate::once;
use std::io;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What runs in the interrupted thread. It may interrupt anything, the allocator and locks included: it must not allocate, not lock,
/// not panic.
pub type Look = fn();

/// The process's one handler; each thread finds its own state by itself.
static LOOK: AtomicUsize = AtomicUsize::new(0);

extern "C" fn on_signal(_: libc::c_int) {
    let look = LOOK.load(Ordering::Acquire);
    if look != 0 {
        // SAFETY: only `Watchdog::start` stores here, and it stores a `Look`.
        let look: Look = unsafe { mem::transmute::<usize, Look>(look) };
        // SAFETY: errno belongs to the thread that was interrupted, which may be about to read it.
        unsafe {
            let errno = *libc::__errno_location();
            look();
            *libc::__errno_location() = errno;
        }
    }
}

/// The timer of one thread; it ends with this.
#[derive(Debug)]
pub struct Watchdog(libc::timer_t);

impl Watchdog {
    /// Calls `look` in the calling thread whenever that has used up so much processor time more. The signal is SIGALRM.
    ///
    /// # Errors
    /// No timer is to be had.
    pub fn start(every: Duration, look: Look) -> io::Result<Watchdog> {
        LOOK.store(look as usize, Ordering::Release);
        // SAFETY: sigaction is plain data; all zero is an empty mask. The handler is a function of the right type that lives for ever.
        unsafe {
            let mut action: libc::sigaction = mem::zeroed();
            action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as usize;
            action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
            once(libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut()))?;
        }
        // SAFETY: sigevent is plain data.
        let mut event: libc::sigevent = unsafe { mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = libc::SIGALRM;
        // SAFETY: numbers only.
        event.sigev_notify_thread_id = unsafe { libc::gettid() };
        let mut timer: libc::timer_t = std::ptr::null_mut();
        // SAFETY: `event` is read and `timer` written during the call.
        once(unsafe { libc::timer_create(libc::CLOCK_THREAD_CPUTIME_ID, &mut event, &mut timer) })?;
        let watchdog = Watchdog(timer);
        let step = libc::timespec { tv_sec: every.as_secs() as libc::time_t, tv_nsec: every.subsec_nanos().into() };
        let times = libc::itimerspec { it_interval: step, it_value: step };
        // SAFETY: the timer is ours, `times` lives over the call.
        once(unsafe { libc::timer_settime(timer, 0, &times, std::ptr::null_mut()) })?;
        Ok(watchdog)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // SAFETY: the timer is ours, and deleted once.
        unsafe { libc::timer_delete(self.0) };
    }
}

/// The kernel's number of the calling thread.
pub fn thread_id() -> i32 {
    // SAFETY: no memory is involved.
    unsafe { libc::gettid() }
}

/// Writes to standard error at once, without a lock or a buffer: for handlers.
pub fn write_error(bytes: &[u8]) {
    // SAFETY: pointer and length are those of `bytes`. Where nobody reads there is nothing to be done about it.
    unsafe { libc::write(2, bytes.as_ptr().cast(), bytes.len()) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    static LOOKED: AtomicU32 = AtomicU32::new(0);

    #[test]
    fn processor_time_is_watched() {
        let watched = std::thread::spawn(|| {
            let watchdog = Watchdog::start(Duration::from_millis(5), || {
                LOOKED.fetch_add(1, Ordering::Relaxed);
            })
            .unwrap();
            // Time that is slept does not count, so this ends by work alone.
            while LOOKED.load(Ordering::Relaxed) < 3 {
                std::hint::spin_loop();
            }
            drop(watchdog);
        });
        watched.join().unwrap();
        assert!(thread_id() > 0);
        write_error(b"");
    }
}
