//! The monotonic clock as one number: a difference of two numbers costs one instruction, one of `Instant`s a call.

/// Nanoseconds of CLOCK_MONOTONIC, which counts from some moment before the process began.
pub fn nanos() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is written during the call. It cannot fail: every Linux has this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    #[test]
    #[allow(clippy::disallowed_methods)] // its own test
    fn it_counts_nanoseconds() {
        let begin = super::nanos();
        std::thread::sleep(Duration::from_millis(5));
        let slept = Duration::from_nanos(super::nanos() - begin);
        assert!((Duration::from_millis(5)..Duration::from_secs(60)).contains(&slept), "{slept:?}");
    }
}
