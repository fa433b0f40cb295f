//! Connection limits of the process, a frontend, a listener: an accepting task passes a [`Gate`] before it accepts, and sleeps
//! while it is shut. Called by listener.rs. Holds: a pass is given back exactly once, by `Drop`; who waits is woken when one is.

use lb_rt::{Remote, TaskKey};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts connections up to a limit.
#[derive(Debug, Default)]
pub struct Gate {
    current: AtomicU32,
    max: AtomicU32,
    /// Somebody is in `waiters`: looked at on every release, so that the lock is taken only then.
    contended: AtomicBool,
    waiters: Mutex<Waiters>,
}

#[derive(Default)]
struct Waiters(Vec<(Remote, TaskKey)>);

impl std::fmt::Debug for Waiters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} waiting", self.0.len())
    }
}

/// One connection that is counted.
#[derive(Debug)]
pub struct Pass(Arc<Gate>);

impl Gate {
    /// A gate that lets `max` connections be open at once.
    pub fn new(max: u32) -> Arc<Gate> {
        Arc::new(Gate { max: AtomicU32::new(max), ..Gate::default() })
    }

    /// Connections that are open now.
    pub fn current(&self) -> u32 {
        self.current.load(Ordering::Relaxed)
    }

    /// The limit.
    pub fn max(&self) -> u32 {
        self.max.load(Ordering::Relaxed)
    }

    /// Takes a pass; `None` when the limit is reached.
    pub fn enter(self: &Arc<Gate>) -> Option<Pass> {
        let max = self.max();
        let mut n = self.current.load(Ordering::Relaxed);
        loop {
            if n >= max {
                return None;
            }
            match self.current.compare_exchange_weak(n, n + 1, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Some(Pass(self.clone())),
                Err(now) => n = now,
            }
        }
    }

    /// Takes a pass, or asks for a wake-up of `task` when one is given back.
    pub fn enter_or_wait(self: &Arc<Gate>, remote: &Remote, task: TaskKey) -> Option<Pass> {
        if let Some(pass) = self.enter() {
            return Some(pass);
        }
        self.wait(remote, task);
        // A pass that was given back in between has not seen the flag.
        self.enter()
    }

    /// True when no connection is open; else asks for a wake-up of `task` when one ends.
    pub fn is_empty_or_wait(&self, remote: &Remote, task: TaskKey) -> bool {
        if self.current() == 0 {
            return true;
        }
        self.wait(remote, task);
        self.current.load(Ordering::SeqCst) == 0
    }

    fn wait(&self, remote: &Remote, task: TaskKey) {
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiters.0.iter().any(|(_, key)| *key == task) {
            waiters.0.push((remote.clone(), task));
        }
        self.contended.store(true, Ordering::SeqCst);
    }

    fn leave(&self) {
        self.current.fetch_sub(1, Ordering::SeqCst);
        if self.contended.load(Ordering::SeqCst) {
            self.wake_all();
        }
    }

    #[cold]
    fn wake_all(&self) {
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        self.contended.store(false, Ordering::SeqCst);
        for (remote, key) in waiters.0.drain(..) {
            remote.wake(key);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_come_back() {
        let gate = Gate::new(2);
        let a = gate.enter().unwrap();
        let b = gate.enter().unwrap();
        assert!(gate.enter().is_none());
        drop(a);
        assert_eq!(gate.current(), 1);
        let c = gate.enter().unwrap();
        drop((b, c));
        assert_eq!(gate.current(), 0);
    }
}
