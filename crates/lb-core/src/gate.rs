//! Connection limits of the process, a frontend, a listener: an accepting task passes a [`Gate`] before it accepts, and sleeps
//! while it is shut. Called by listener.rs. Holds: a pass is given back exactly once, by `Drop`; who waits is woken when one is.

use lb_rt::{Remote, TaskKey};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
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

impl Pass {
    /// Connections that have passed the same gate and are open.
    pub fn open(&self) -> u32 {
        self.0.current()
    }
}

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

    /// Changes the limit. Those that are open beyond it stay.
    pub fn set_max(&self, max: u32) {
        self.max.store(max, Ordering::SeqCst);
        self.wake_all();
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
        // Keys are a thread's own: the accepting tasks of one address have the same in each.
        if !waiters.0.iter().any(|(thread, key)| *key == task && thread.is_same(remote)) {
            waiters.0.push((remote.clone(), task));
        }
        self.contended.store(true, Ordering::SeqCst);
        // Who leaves first counts down, then looks at the flag; whoever waits does both the other way round.
        fence(Ordering::SeqCst);
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
    use lb_rt::Rt;
    use std::future::poll_fn;
    use std::task::{Context, Poll};
    use std::time::Duration;

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

    #[test]
    fn tasks_of_all_threads_are_woken() {
        let gate = Gate::new(1);
        let pass = gate.enter().unwrap();
        let threads = [Rt::new().unwrap(), Rt::new().unwrap()];
        let tasks = threads.clone().map(|rt| {
            let (gate, waiting) = (gate.clone(), rt.clone());
            let ask = move |_: &mut Context<'_>| match gate.enter_or_wait(waiting.remote(), waiting.current()) {
                Some(_) => Poll::Ready(()),
                None => Poll::Pending,
            };
            let task = rt.spawn(poll_fn(ask));
            rt.block_on(std::future::ready(())).unwrap();
            task
        });
        assert_eq!(tasks[0], tasks[1], "keys are equal, threads are not");
        drop(pass);
        for rt in &threads {
            let own = rt.clone();
            rt.block_on(async move { own.sleep(Duration::from_millis(1)).await }).unwrap();
            assert_eq!(rt.live_tasks(), 0, "a thread was not told");
        }
    }
}
