//! The executor: one thread's tasks, run queue, timers, reactor and inbox. Everything of `lb-rt` hangs on an [`Rt`].
//!
//! Holds: a task is in the run queue at most once; no borrow of the executor's own cells is held while a task is polled or
//! dropped; a task that panics or spins is dropped alone.

use crate::driver::Driver;
use crate::reactor::IoTable;
use crate::remote::{Mail, Remote, task_waker};
use crate::wheel::Wheel;
use crate::{BufferPool, PipePool, TaskKey};
use crossbeam_channel::Receiver;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

/// Bytes that a task may move in one poll before it goes to the back of the queue.
const POLL_BUDGET: usize = 1 << 20;
/// Polls without a byte moved, a timer fired or an event after which a task is taken for a spinning one and killed.
const MAX_IDLE_POLLS: u16 = 10_000;
/// Polls beyond those queued at its start that one turn makes for tasks which others have woken meanwhile.
const EXTRA_POLLS: usize = 256;
/// Nanoseconds of a tick of the wheel.
const TICK: u64 = 1_000_000;
/// Beyond this, times are taken for "never": 2^52 ms are 140,000 years.
const NEVER_TICK: u64 = 1 << 52;

/// A deadline as far away as this is none.
const FOR_EVER: Duration = Duration::from_secs(200 * 365 * 86_400);

type Task = Pin<Box<dyn Future<Output = ()>>>;

struct TaskSlot {
    generation: u32,
    /// The type of its future.
    name: &'static str,
    /// Polls since the task last made progress.
    idle_polls: u16,
    /// Polls since its start.
    polls: u32,
    queued: bool,
    live: bool,
    /// When the task wants to be polled at the latest, or [`Inner::never`].
    deadline: Instant,
    /// The wheel has an entry for the slot at this time, or [`Inner::never`]. It outlives the task: with many short
    /// connections the wheel would otherwise fill with the entries of the dead.
    armed: Instant,
    /// A later entry than `armed`, left there when the deadline was moved in: a task that takes turns between a short and a
    /// long deadline would otherwise add a long one each time.
    under: Instant,
    /// Absent while the task is polled.
    future: Option<Task>,
    /// One for all tasks that live in the slot one after the other; absent while the task is polled.
    waker: Option<Waker>,
}

#[derive(Default)]
struct Tasks {
    slots: Vec<TaskSlot>,
    free: Vec<u32>,
}

/// How tasks ended that did not end by themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Casualties {
    /// Tasks that panicked.
    pub panicked: u64,
    /// Tasks that were polled 10,000 times without any progress.
    pub spinning: u64,
}

/// Who is told of casualties.
type Mourner = Box<dyn Fn(Casualties)>;

struct Inner {
    start: Instant,
    /// Later than any deadline: some centuries after `start`.
    never: Instant,
    /// What the driver's clock showed at `start`, less one.
    start_nanos: u64,
    /// When the wheel wants to be looked at, by [`Rt::nanos`]; `u64::MAX`: never.
    next_timer: Cell<u64>,
    now: Cell<Instant>,
    nanos: Cell<u64>,
    wall: Cell<Option<SystemTime>>,
    turn: Cell<u64>,
    tasks: RefCell<Tasks>,
    queue: RefCell<VecDeque<TaskKey>>,
    /// Runnable, but not before I/O and the others have had their turn.
    deferred: RefCell<Vec<TaskKey>>,
    wheel: RefCell<Wheel>,
    io: RefCell<IoTable>,
    driver: RefCell<Driver>,
    remote: Remote,
    inbox: Receiver<Mail>,
    buffers: BufferPool,
    pipes: PipePool,
    casualties: Cell<Casualties>,
    mourner: RefCell<Option<Mourner>>,
    /// What the owner of the thread has put here.
    local: RefCell<Option<Rc<dyn std::any::Any>>>,
    /// Of the task that is being polled.
    current: Cell<TaskKey>,
    deadline: Cell<Option<Instant>>,
    budget: Cell<usize>,
    progressed: Cell<bool>,
}

/// A handle to this thread's executor; clones are references to the same one. Not `Send`: other threads use a [`Remote`].
#[derive(Clone)]
pub struct Rt(Rc<Inner>);

thread_local! {
    static CURRENT: RefCell<Option<Rt>> = const { RefCell::new(None) };
}

/// Calls `f` with the executor that is running on this thread.
pub(crate) fn with_current<R>(f: impl FnOnce(&Rt) -> R) -> Option<R> {
    // A waker may be called from another thread-local's destructor, when this one is gone.
    let rt = CURRENT.try_with(|c| c.borrow().clone()).ok().flatten();
    rt.as_ref().map(f)
}

/// Where the loop that runs on this thread is: the turn, the task that is polled and what it is. For a look in the middle of anything:
/// what is being changed at this moment is left out, and nothing is taken along.
pub(crate) fn glance() -> Option<(u64, TaskKey, Option<&'static str>)> {
    let look = |current: &RefCell<Option<Rt>>| {
        let current = current.try_borrow().ok()?;
        let inner = &current.as_ref()?.0;
        let key = inner.current.get();
        let name = inner.tasks.try_borrow().ok().and_then(|tasks| tasks.slots.get(key.index as usize).map(|slot| slot.name));
        Some((inner.turn.get(), key, name))
    };
    CURRENT.try_with(look).ok().flatten()
}

pub(crate) struct Entered(Option<Rt>);

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.with(|c| *c.borrow_mut() = self.0.take());
    }
}

impl Rt {
    /// An executor over the kernel's sockets.
    ///
    /// # Errors
    /// `EMFILE`: no descriptor left for epoll or its wake-up.
    pub fn new() -> io::Result<Rt> {
        let (driver, waker) = Driver::sys()?;
        Ok(Rt::over(driver, Some(waker)))
    }

    pub(crate) fn over(driver: Driver, waker: Option<mio::Waker>) -> Rt {
        let (remote, inbox) = Remote::new(waker);
        let (now, nanos) = driver.now();
        let never = now + FOR_EVER;
        Rt(Rc::new(Inner {
            start: now,
            never,
            start_nanos: nanos.wrapping_sub(1),
            next_timer: Cell::new(u64::MAX),
            now: Cell::new(now),
            nanos: Cell::new(1),
            wall: Cell::new(None),
            turn: Cell::new(0),
            tasks: RefCell::default(),
            queue: RefCell::default(),
            deferred: RefCell::default(),
            wheel: RefCell::new(Wheel::new()),
            io: RefCell::default(),
            buffers: BufferPool::default(),
            pipes: PipePool::new(&driver),
            driver: RefCell::new(driver),
            remote,
            inbox,
            casualties: Cell::default(),
            mourner: RefCell::default(),
            local: RefCell::default(),
            current: Cell::new(TaskKey::NONE),
            deadline: Cell::new(None),
            budget: Cell::new(POLL_BUDGET),
            progressed: Cell::new(false),
        }))
    }

    /// The time of this turn of the loop: read once per turn.
    #[inline]
    pub fn now(&self) -> Instant {
        self.0.now.get()
    }

    /// The same moment in nanoseconds since the loop was made, and one: differences of these cost less than those of `Instant`s.
    #[inline]
    pub fn nanos(&self) -> u64 {
        self.0.nanos.get()
    }

    /// Reads the clock.
    #[inline]
    fn look_at_clock(&self, driver: &Driver) {
        let nanos = driver.nanos().wrapping_sub(self.0.start_nanos);
        self.0.nanos.set(nanos);
        self.0.now.set(self.0.start + Duration::from_nanos(nanos - 1));
    }

    /// The wall clock of this turn, read at its first use.
    pub fn wall(&self) -> SystemTime {
        let wall = self.0.wall.get().unwrap_or_else(|| self.0.driver.borrow().wall());
        self.0.wall.set(Some(wall));
        wall
    }

    /// A number by chance, of the kernel or of the simulation's seed: for seeds of schedulers and hash functions, not for
    /// secrets.
    pub fn random(&self) -> u64 {
        self.0.driver.borrow().random()
    }

    /// Counts the turns of the loop: what is cached per turn is compared with it.
    #[inline]
    pub fn turn(&self) -> u64 {
        self.0.turn.get()
    }

    /// The way in for other threads.
    pub fn remote(&self) -> &Remote {
        &self.0.remote
    }

    /// This thread's read and write buffers.
    #[inline]
    pub fn buffers(&self) -> &BufferPool {
        &self.0.buffers
    }

    /// This thread's pipes.
    pub fn pipes(&self) -> &PipePool {
        &self.0.pipes
    }

    pub(crate) fn io(&self) -> &RefCell<IoTable> {
        &self.0.io
    }

    pub(crate) fn driver(&self) -> &RefCell<Driver> {
        &self.0.driver
    }

    /// Puts a value of the thread's owner here, for jobs that come by the inbox.
    pub fn set_local<T: 'static>(&self, value: Rc<T>) {
        *self.0.local.borrow_mut() = Some(value);
    }

    /// The value put here by [`Rt::set_local`], if it is of that type.
    pub fn local<T: 'static>(&self) -> Option<Rc<T>> {
        self.0.local.borrow().clone()?.downcast().ok()
    }

    /// Takes the value out again: it may refer to this executor and keep it alive.
    pub fn clear_local(&self) {
        let value = self.0.local.borrow_mut().take();
        drop(value);
    }

    /// Tasks that died of a fault of their own.
    pub fn casualties(&self) -> Casualties {
        self.0.casualties.get()
    }

    /// Tasks that have not ended.
    pub fn live_tasks(&self) -> usize {
        let tasks = self.0.tasks.borrow();
        tasks.slots.len() - tasks.free.len()
    }

    /// Entries in the timer wheel: about one per task slot that ever had a deadline.
    pub fn timers(&self) -> usize {
        self.0.wheel.borrow().len()
    }

    /// Descriptors that this thread holds open.
    pub fn open_sockets(&self) -> usize {
        self.0.io.borrow().len()
    }

    /// Starts a task; it is polled for the first time in this or the next turn.
    pub fn spawn<F: Future<Output = ()> + 'static>(&self, future: F) -> TaskKey {
        self.spawn_boxed(Box::pin(future), std::any::type_name::<F>())
    }

    fn spawn_boxed(&self, future: Task, name: &'static str) -> TaskKey {
        let mut tasks = self.0.tasks.borrow_mut();
        let index = tasks.free.pop().unwrap_or_else(|| {
            let index = tasks.slots.len() as u32;
            tasks.slots.push(TaskSlot {
                generation: 0,
                name,
                idle_polls: 0,
                polls: 0,
                queued: false,
                live: false,
                deadline: self.0.never,
                armed: self.0.never,
                under: self.0.never,
                future: None,
                waker: Some(task_waker(index, self.0.remote.clone())),
            });
            index
        });
        let slot = &mut tasks.slots[index as usize];
        let key = TaskKey { index, generation: slot.generation };
        slot.future = Some(future);
        slot.name = name;
        slot.live = true;
        slot.queued = true;
        slot.idle_polls = 0;
        slot.polls = 0;
        slot.deadline = self.0.never;
        drop(tasks);
        self.0.queue.borrow_mut().push_back(key);
        key
    }

    /// Puts a task into the run queue; nothing happens when it has ended or is queued already.
    #[inline]
    pub fn wake(&self, key: TaskKey) {
        if let Some(slot) = self.0.tasks.borrow_mut().get(key)
            && !slot.queued
        {
            slot.queued = true;
            self.0.queue.borrow_mut().push_back(key);
        }
    }

    /// Puts every task into the run queue, so that each looks at what has changed for all. Takes time in proportion to the
    /// tasks.
    pub fn wake_all(&self) {
        let mut tasks = self.0.tasks.borrow_mut();
        let mut queue = self.0.queue.borrow_mut();
        for (index, slot) in (0u32..).zip(&mut tasks.slots) {
            if slot.live && !slot.queued {
                slot.queued = true;
                queue.push_back(TaskKey { index, generation: slot.generation });
            }
        }
    }

    /// As [`Rt::wake`], for what comes from outside: a peer that sends many small pieces to a task which waits for something
    /// else does not make it a spinning one.
    #[inline]
    fn wake_by_event(&self, key: TaskKey) {
        if let Some(slot) = self.0.tasks.borrow_mut().get(key) {
            slot.idle_polls = 0;
            if !slot.queued {
                slot.queued = true;
                self.0.queue.borrow_mut().push_back(key);
            }
        }
    }

    /// Wakes whichever task lives in a slot: for std's wakers, which may outlive theirs.
    pub(crate) fn wake_slot(&self, index: u32) {
        let generation = self.0.tasks.borrow().slots.get(index as usize).map(|s| s.generation);
        if let Some(generation) = generation {
            self.wake(TaskKey { index, generation });
        }
    }

    /// As [`Rt::wake`] for the current task, but it runs after I/O and all others. For a task that has had its share and returns `Pending`.
    #[cold]
    pub fn wake_deferred(&self) {
        let key = self.current();
        if let Some(slot) = self.0.tasks.borrow_mut().get(key)
            && !slot.queued
        {
            slot.queued = true;
            self.0.deferred.borrow_mut().push(key);
        }
    }

    /// Drops a task's future at once; the guards in it give back what they hold. A task cannot kill itself: it returns.
    pub fn kill(&self, key: TaskKey) {
        let taken = self.0.tasks.borrow_mut().get(key).and_then(|s| Some((s.future.take()?, s.waker.take()?)));
        if let Some((future, waker)) = taken {
            self.retire(key, future, waker);
        }
    }

    /// The task that is being polled.
    #[inline]
    pub fn current(&self) -> TaskKey {
        self.0.current.get()
    }

    /// How often the current task has been polled since its start, this time included; 0 outside of tasks. Wraps around.
    #[inline]
    pub fn polls(&self) -> u32 {
        self.0.tasks.borrow().slots.get(self.current().index as usize).map_or(0, |slot| slot.polls)
    }

    /// Says that the current task has done something useful that moves no bytes (a job taken from a queue, an accept):
    /// it is not spinning.
    #[inline]
    pub fn progress(&self) {
        self.0.progressed.set(true);
    }

    /// Takes `bytes` off the current task's budget.
    #[inline]
    pub(crate) fn charge(&self, bytes: usize) {
        self.0.progressed.set(true);
        self.0.budget.set(self.0.budget.get().saturating_sub(bytes));
    }

    /// False when the current task has used up its share of this turn; it is then queued again and must return `Pending`.
    #[inline]
    pub(crate) fn within_budget(&self) -> bool {
        if self.0.budget.get() != 0 {
            return true;
        }
        self.wake_deferred();
        false
    }

    /// The current task's next poll, at the latest. Leaves no trace when the task is polled earlier: it asks again.
    #[inline]
    pub fn poll_at_latest(&self, at: Instant) {
        let at = self.0.deadline.get().map_or(at, |d| d.min(at));
        self.0.deadline.set(Some(at));
    }

    /// `Ready` once `at` has come; else arranges for a poll then.
    #[inline]
    pub fn poll_deadline(&self, at: Option<Instant>) -> Poll<()> {
        match at {
            None => Poll::Pending,
            Some(at) if at <= self.now() => Poll::Ready(()),
            Some(at) => {
                self.poll_at_latest(at);
                Poll::Pending
            }
        }
    }

    /// Waits until `at`.
    pub async fn sleep_until(&self, at: Instant) {
        std::future::poll_fn(|_| self.poll_deadline(Some(at))).await;
    }

    /// Waits for `duration` from this turn's time.
    pub async fn sleep(&self, duration: Duration) {
        let at = self.now().checked_add(duration);
        std::future::poll_fn(|_| self.poll_deadline(at)).await;
    }

    /// Lets I/O and the other tasks that are ready run first.
    pub async fn yield_now(&self) {
        let mut yielded = false;
        std::future::poll_fn(|_| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            self.wake_deferred();
            Poll::Pending
        })
        .await;
    }

    /// Runs the loop until `future` is done. Other tasks stay where they are when it returns: [`Rt::kill_all`] ends them,
    /// without which they and the executor keep each other alive.
    ///
    /// # Errors
    /// Those of `epoll_wait(2)`; and `Other` when the future itself panicked.
    pub fn block_on<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> io::Result<T> {
        let result = Rc::new(RefCell::new(None));
        let store = result.clone();
        let main = self.spawn(async move {
            let value = future.await;
            *store.borrow_mut() = Some(value);
        });
        #[cfg(feature = "sim")]
        if let Some(world) = self.world() {
            // The others of the world run meanwhile.
            world.run_until(|| result.borrow().is_some() || self.0.tasks.borrow_mut().get(main).is_none());
            return result.take().ok_or_else(|| io::Error::other("the main task of the loop has died"));
        }
        let _entered = self.enter();
        // Time has passed since the executor was made or last ran.
        self.look_at_clock(&self.0.driver.borrow());
        loop {
            self.run_queue();
            if let Some(value) = result.borrow_mut().take() {
                return Ok(value);
            }
            if self.0.tasks.borrow_mut().get(main).is_none() {
                return Err(io::Error::other("the main task of the loop has died"));
            }
            self.wait()?;
        }
    }

    /// Drops every task and every job that waits in the inbox: their guards run, on this thread, with this executor current.
    /// Tasks that the guards start are dropped too, up to some rounds of it.
    pub fn kill_all(&self) {
        const ROUNDS: usize = 16;
        let _entered = self.enter();
        for _ in 0..ROUNDS {
            let slots = self.0.tasks.borrow().slots.len();
            for index in 0..slots {
                let generation = self.0.tasks.borrow().slots[index].generation;
                self.kill(TaskKey { index: index as u32, generation });
            }
            // A job may own sockets of this executor or something that another thread waits for.
            while let Ok(mail) = self.0.inbox.try_recv() {
                drop(mail);
            }
            if self.live_tasks() == 0 {
                break;
            }
        }
    }

    pub(crate) fn enter(&self) -> Entered {
        Entered(CURRENT.with(|c| c.borrow_mut().replace(self.clone())))
    }

    /// Polls the tasks that are queued, and a bounded number of those that they wake: a task just spawned or handed something
    /// need not wait for another `epoll_wait`.
    fn run_queue(&self) {
        let most = self.0.queue.borrow().len() + EXTRA_POLLS;
        for _ in 0..most {
            let key = self.0.queue.borrow_mut().pop_front();
            let Some(key) = key else { break };
            self.poll_task(key);
        }
    }

    fn poll_task(&self, key: TaskKey) {
        let inner = &*self.0;
        let taken = inner.tasks.borrow_mut().get(key).and_then(|slot| {
            slot.queued = false;
            slot.polls = slot.polls.wrapping_add(1);
            slot.deadline = self.0.never;
            Some((slot.future.take()?, slot.waker.take()?))
        });
        let Some((mut future, waker)) = taken else { return };
        inner.current.set(key);
        inner.deadline.set(None);
        inner.budget.set(POLL_BUDGET);
        inner.progressed.set(false);
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut Context::from_waker(&waker))));
        inner.current.set(TaskKey::NONE);
        match polled {
            Ok(Poll::Pending) => self.keep(key, future, waker),
            Ok(Poll::Ready(())) => self.retire(key, future, waker),
            Err(_) => {
                self.count(|c| c.panicked += 1);
                self.retire(key, future, waker);
            }
        }
    }

    fn count(&self, f: impl FnOnce(&mut Casualties)) {
        let mut c = self.0.casualties.get();
        f(&mut c);
        self.0.casualties.set(c);
        if let Some(told) = &*self.0.mourner.borrow() {
            told(c);
        }
    }

    /// Calls `told` with the new counts whenever a task has died of a fault of its own: that is a bug, to be reported.
    pub fn on_casualty(&self, told: impl Fn(Casualties) + 'static) {
        *self.0.mourner.borrow_mut() = Some(Box::new(told));
    }

    /// A task that is still pending goes back to its slot, with its timer.
    #[inline]
    fn keep(&self, key: TaskKey, future: Task, waker: Waker) {
        let inner = &*self.0;
        let mut tasks = inner.tasks.borrow_mut();
        let slot = &mut tasks.slots[key.index as usize];
        slot.idle_polls = if inner.progressed.get() { 0 } else { slot.idle_polls + 1 };
        if slot.idle_polls >= MAX_IDLE_POLLS {
            drop(tasks);
            self.count(|c| c.spinning += 1);
            self.retire(key, future, waker);
            return;
        }
        if let Some(at) = inner.deadline.get() {
            slot.deadline = at;
            if at < slot.armed {
                if slot.armed != inner.never {
                    slot.under = slot.armed;
                }
                slot.armed = at;
                self.arm(at, key.index);
            }
        }
        slot.future = Some(future);
        slot.waker = Some(waker);
    }

    fn retire(&self, key: TaskKey, future: Task, waker: Waker) {
        {
            let mut tasks = self.0.tasks.borrow_mut();
            let slot = &mut tasks.slots[key.index as usize];
            slot.generation = slot.generation.wrapping_add(1);
            slot.live = false;
            slot.waker = Some(waker);
            tasks.free.push(key.index);
        }
        // Guards in the future may wake, spawn or kill other tasks; a panic of one of them ends here too.
        if std::panic::catch_unwind(AssertUnwindSafe(|| drop(future))).is_err() {
            self.count(|c| c.panicked += 1);
        }
    }

    /// Enters a task slot in the wheel.
    #[cold]
    fn arm(&self, at: Instant, index: u32) {
        let tick = self.tick_after(at);
        self.0.wheel.borrow_mut().insert(tick, index);
        self.look_at_wheel();
    }

    /// Notes when the wheel wants to be looked at next.
    fn look_at_wheel(&self) {
        let next = self.0.wheel.borrow().next();
        self.0.next_timer.set(next.map_or(u64::MAX, |tick| tick.saturating_mul(TICK).saturating_add(1)));
    }

    /// The first tick that is not before `at`.
    fn tick_after(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.0.start);
        (since.as_secs().saturating_mul(1000)).saturating_add(u64::from(since.subsec_nanos().div_ceil(1_000_000))).min(NEVER_TICK)
    }

    fn tick_now(&self) -> u64 {
        (self.nanos() - 1) / TICK
    }

    /// Waits for events, the next deadline or mail, and wakes those whom they concern.
    fn wait(&self) -> io::Result<()> {
        let inner = &*self.0;
        let busy = !inner.queue.borrow().is_empty() || !inner.deferred.borrow().is_empty();
        let next = inner.next_timer.get();
        let timeout = match next {
            _ if busy => Some(Duration::ZERO),
            u64::MAX => None,
            at => Some(Duration::from_nanos(at.saturating_sub(self.nanos()))),
        };
        let mut mail = false;
        {
            let mut driver = inner.driver.borrow_mut();
            driver.wait(timeout, |token, ready| match token {
                Driver::INBOX => mail = true,
                token => {
                    let woken = inner.io.borrow().event(token, ready);
                    for key in woken {
                        if key != TaskKey::NONE {
                            self.wake_by_event(key);
                        }
                    }
                }
            })?;
            self.look_at_clock(&driver);
        }
        let mut deferred = inner.deferred.borrow_mut();
        if !deferred.is_empty() {
            inner.queue.borrow_mut().extend(deferred.drain(..));
        }
        drop(deferred);
        inner.wall.set(None);
        inner.turn.set(inner.turn.get() + 1);
        self.fire_timers();
        // Mail that is not announced by an event comes from the simulator's threads.
        if mail || (!inner.remote.announces() && !inner.inbox.is_empty()) {
            self.read_mail();
        }
        Ok(())
    }

    fn fire_timers(&self) {
        if self.nanos() < self.0.next_timer.get() {
            return;
        }
        let (tick, now, never) = (self.tick_now(), self.now(), self.0.never);
        let mut again: Vec<(Instant, u32)> = Vec::new();
        self.0.wheel.borrow_mut().advance(tick, |_, index| {
            let mut tasks = self.0.tasks.borrow_mut();
            let slot = &mut tasks.slots[index as usize];
            if slot.armed > now {
                // A later entry, left over from before the deadline moved in, or armed anew meanwhile.
                return;
            }
            // The entry below it is the next.
            slot.armed = std::mem::replace(&mut slot.under, never);
            if slot.armed <= now {
                slot.armed = never;
            }
            if !slot.live {
                return;
            }
            if slot.deadline <= now {
                slot.idle_polls = 0;
                if !slot.queued {
                    slot.queued = true;
                    self.0.queue.borrow_mut().push_back(TaskKey { index, generation: slot.generation });
                }
            } else if slot.deadline < slot.armed {
                // Early: the deadline has moved out since.
                if slot.armed != never {
                    slot.under = slot.armed;
                }
                slot.armed = slot.deadline;
                again.push((slot.armed, index));
            }
        });
        for (at, index) in again {
            let tick = self.tick_after(at);
            self.0.wheel.borrow_mut().insert(tick, index);
        }
        self.look_at_wheel();
    }

    fn read_mail(&self) {
        self.0.remote.rearm();
        // What arrives while this runs has sent a new wake-up.
        for _ in 0..self.0.inbox.len() {
            match self.0.inbox.try_recv() {
                Ok(Mail::Wake(key)) => self.wake(key),
                Ok(Mail::WakeSlot(index)) => self.wake_slot(index),
                Ok(Mail::Run(job)) => {
                    if std::panic::catch_unwind(AssertUnwindSafe(|| job(self))).is_err() {
                        self.count(|c| c.panicked += 1);
                    }
                }
                Err(_) => break,
            }
        }
    }
}

impl Tasks {
    fn get(&mut self, key: TaskKey) -> Option<&mut TaskSlot> {
        self.slots.get_mut(key.index as usize).filter(|s| s.generation == key.generation && s.live)
    }
}

/// What the simulator needs to run an executor step by step and to look into it.
#[cfg(feature = "sim")]
mod simulated {
    use super::{Driver, Inner, Rt};
    use crate::TaskKey;
    use crate::sim::SimWorld;
    use std::rc::{Rc, Weak};
    use std::time::{Duration, Instant};

    /// A reference that keeps nobody alive.
    pub(crate) struct WeakRt(Weak<Inner>);

    impl WeakRt {
        pub fn upgrade(&self) -> Option<Rt> {
            self.0.upgrade().map(Rt)
        }
    }

    impl Rt {
        /// An executor in a simulated world: its sockets, pipes, clock and chance are the world's.
        pub fn simulated(world: &SimWorld) -> Rt {
            let (driver, join) = world.driver();
            let rt = Rt::over(Driver::Sim(driver), None);
            join(WeakRt(Rc::downgrade(&rt.0)));
            rt
        }

        pub(super) fn world(&self) -> Option<SimWorld> {
            match &*self.0.driver.borrow() {
                Driver::Sim(sim) => Some(sim.world()),
                Driver::Sys { .. } => None,
            }
        }

        /// True when a turn would do something, events aside.
        pub(crate) fn has_work(&self, now: Instant) -> bool {
            !self.0.queue.borrow().is_empty()
                || !self.0.deferred.borrow().is_empty()
                || !self.0.inbox.is_empty()
                || self.next_timer().is_some_and(|at| at <= now)
        }

        pub(crate) fn next_timer(&self) -> Option<Instant> {
            let at = self.0.next_timer.get();
            (at != u64::MAX).then(|| self.0.start + Duration::from_nanos(at - 1))
        }

        /// One turn of the loop: events, timers, mail, then tasks.
        pub(crate) fn turn_once(&self) {
            let _entered = self.enter();
            self.wait().expect("the simulator's wait does not fail");
            self.run_queue();
        }

        pub(crate) fn is_same(&self, other: &Rt) -> bool {
            Rc::ptr_eq(&self.0, &other.0)
        }

        pub(crate) fn task_slots(&self) -> usize {
            self.0.tasks.borrow().slots.len()
        }

        pub(crate) fn is_queued(&self, key: TaskKey) -> bool {
            self.0.tasks.borrow_mut().get(key).is_some_and(|s| s.queued)
        }
    }
}

#[cfg(feature = "sim")]
pub(crate) use simulated::WeakRt;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Socket;
    use crate::reactor::IoSlot;

    #[test]
    fn memory_budgets() {
        // Of an idle connection: its task's slot, its socket, its place in the reactor. Simulated descriptors are larger.
        let most = if cfg!(feature = "sim") { 48 } else { 32 };
        assert!(size_of::<TaskSlot>() <= 112, "{}", size_of::<TaskSlot>());
        assert!(size_of::<Socket>() <= most, "{}", size_of::<Socket>());
        assert!(size_of::<IoSlot>() <= 32, "{}", size_of::<IoSlot>());
    }
}
