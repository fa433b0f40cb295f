//! What other threads may do to an executor: wake its tasks and send it work. The inbox of the house plan.

use crate::TaskKey;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Wake;

type Job = Box<dyn FnOnce(&crate::Rt) + Send>;

pub(crate) enum Mail {
    Wake(TaskKey),
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

    /// To be called before the inbox is emptied: later mail notifies again.
    pub(crate) fn rearm(&self) {
        self.shared.notified.store(false, Ordering::Release);
    }
}

/// The waker of a task slot, one `Arc` for all tasks that live in the slot one after the other.
pub(crate) struct TaskWaker {
    index: u32,
    generation: AtomicU32,
    owner: Remote,
}

impl TaskWaker {
    pub fn new(key: TaskKey, owner: Remote) -> Arc<TaskWaker> {
        Arc::new(TaskWaker { index: key.index, generation: AtomicU32::new(key.generation), owner })
    }

    pub fn set_generation(&self, generation: u32) {
        self.generation.store(generation, Ordering::Release);
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let key = TaskKey { index: self.index, generation: self.generation.load(Ordering::Acquire) };
        // A wake on the own thread is a flag and the local queue.
        let local = crate::executor::with_current(|rt| {
            let own = Arc::ptr_eq(&rt.remote().shared, &self.owner.shared);
            if own {
                rt.wake(key);
            }
            own
        });
        if local != Some(true) {
            self.owner.send(Mail::Wake(key));
        }
    }
}
