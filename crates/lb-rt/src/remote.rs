//! What other threads may do to an executor: wake its tasks and send it work: its inbox.

use crate::TaskKey;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

type Job = Box<dyn FnOnce(&crate::Rt) + Send>;

pub(crate) enum Mail {
    Wake(TaskKey),
    /// Whichever task lives there.
    WakeSlot(u32),
    Run(Job),
}

/// Sends work to one executor from any thread; cheap to clone. Its queue is bounded by what its users send: a job each for
/// a connection handed over, a slot granted, a command of the operator.
#[derive(Clone)]
pub struct Remote {
    sender: Sender<Mail>,
    shared: Arc<Shared>,
}

struct Shared {
    /// A wake-up is under way: nobody else need send one.
    notified: AtomicBool,
    waker: Option<mio::Waker>,
}

impl Remote {
    pub(crate) fn new(waker: Option<mio::Waker>) -> (Remote, Receiver<Mail>) {
        let (sender, receiver) = unbounded();
        let shared = Arc::new(Shared { notified: AtomicBool::new(false), waker });
        (Remote { sender, shared }, receiver)
    }

    fn send(&self, mail: Mail) {
        // The receiver is gone only when its thread has ended: then nothing is left to wake.
        if self.sender.send(mail).is_ok() && !self.shared.notified.swap(true, Ordering::AcqRel) {
            self.notify();
        }
    }

    fn notify(&self) {
        if let Some(waker) = &self.shared.waker {
            // Fails only when the poll has been closed, together with its thread.
            let _ = waker.wake();
        }
    }

    /// Runs `job` on the executor's thread, between two tasks.
    pub fn run(&self, job: impl FnOnce(&crate::Rt) + Send + 'static) {
        self.send(Mail::Run(Box::new(job)));
    }

    /// Wakes a task; nothing happens when it has ended.
    pub fn wake(&self, key: TaskKey) {
        self.send(Mail::Wake(key));
    }

    /// True for two ways to the same executor. Task keys name a task only together with its executor.
    pub fn is_same(&self, other: &Remote) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// True when mail is followed by an event.
    pub(crate) fn announces(&self) -> bool {
        self.shared.waker.is_some()
    }

    /// To be called before the inbox is emptied: later mail notifies again.
    pub(crate) fn rearm(&self) {
        // A swap, not a store: a store could become visible after the look into the queue that follows it, and mail sent in
        // between would find the flag still set and tell nobody. Of two swaps one sees the other's.
        self.shared.notified.swap(false, Ordering::AcqRel);
    }
}

/// The waker of a task slot: one `Arc` for all tasks that live there one after the other.
pub(crate) fn task_waker(index: u32, owner: Remote) -> Waker {
    Waker::from(Arc::new(TaskWaker { index, owner }))
}

struct TaskWaker {
    index: u32,
    owner: Remote,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A wake on the own thread is a flag and the local queue.
        let local = crate::executor::with_current(|rt| {
            let own = Arc::ptr_eq(&rt.remote().shared, &self.owner.shared);
            if own {
                rt.wake_slot(self.index);
            }
            own
        });
        if local != Some(true) {
            self.owner.send(Mail::WakeSlot(self.index));
        }
    }
}
