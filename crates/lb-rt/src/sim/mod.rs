//! A world that stands in for the kernel: virtual time, a faulty network, pipes, and the executors of several threads, all run
//! on one thread in an order that a seed chooses.
//!
//! Peers (clients, origins) are plain tasks on an executor of the same world. After each step the world looks for lost
//! wake-ups, spinning and panicking tasks; before each jump of the clock for stalls. What it finds is a panic whose text holds
//! the seed; `SIM_SEED=n` replays it, `SIM_SEEDS=n` makes [`seeds`] run longer.
//!
//! What is absent: real time, real chance, real descriptors. Hash maps with std's random state are outside the world's reach:
//! whoever walks one in code under test makes a run unrepeatable.

mod errno;
mod handle;
mod knobs;
mod net;
mod pipe;
mod rng;
mod stream;

pub(crate) use handle::{SimDriver, SimHandle};
pub use knobs::ConnectFault;
pub(crate) use pipe::SimPipe;

use crate::executor::WeakRt;
use crate::reactor::{Dir, flag};
use crate::{Rt, Socket, TaskKey};
use lb_sys::Addr;
use lb_sys::socket::SockOpt;
use net::{Body, Host, Id, Net};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

/// Steps of one run after which it is taken for endless.
const MAX_STEPS: u64 = 20_000_000;
/// Steps without a jump of the clock after which the world is taken for spinning.
const MAX_BUSY_STEPS: u64 = 1_000_000;
/// Virtual time at which a run that is still waiting has failed: two days.
const MAX_TIME: Duration = Duration::from_secs(2 * 86_400);
/// The wall clock at the beginning: 14 November 2023, 22:13:20 UTC.
const EPOCH: Duration = Duration::from_secs(1_700_000_000);

pub(crate) struct World {
    seed: u64,
    origin: Instant,
    pub(crate) net: RefCell<Net>,
    rts: RefCell<Vec<WeakRt>>,
    /// Executors whose tasks relay between two sockets and must not stall.
    relays: RefCell<Vec<usize>>,
    steps: Cell<u64>,
    /// Steps since the clock last jumped.
    busy: Cell<u64>,
    tolerate: Cell<bool>,
}

/// A simulated world; clones are references to the same one.
#[derive(Clone)]
pub struct SimWorld(Rc<World>);

/// What a step did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Ran,
    Jumped,
    Idle,
}

impl SimWorld {
    /// The world of a seed. The same seed and the same program give the same run.
    #[allow(clippy::disallowed_methods)] // an Instant can be made in no other way; only differences to it are seen
    pub fn new(seed: u64) -> SimWorld {
        SimWorld(Rc::new(World {
            seed,
            origin: Instant::now(),
            net: RefCell::new(Net::new(seed)),
            rts: RefCell::default(),
            relays: RefCell::default(),
            steps: Cell::new(0),
            busy: Cell::new(0),
            tolerate: Cell::new(false),
        }))
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.0.seed
    }

    /// A number that only the seed and the calls before decide.
    pub fn random(&self) -> u64 {
        self.0.net.borrow_mut().rng.next()
    }

    /// A number of `0..n`, as [`SimWorld::random`].
    pub fn below(&self, n: u64) -> u64 {
        self.0.net.borrow_mut().rng.below(n)
    }

    /// Virtual time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.0.net.borrow().now
    }

    /// Runs all executors of the world until `done`.
    ///
    /// # Panics
    /// When a check fails, or nothing can happen any more.
    pub fn run_until(&self, mut done: impl FnMut() -> bool) {
        while !done() {
            if self.0.step() == Step::Idle {
                self.0.fail("nothing runnable, nothing on the way, no timer: everybody waits for ever");
            }
        }
    }

    /// Runs until nothing can happen any more, or until `limit` of virtual time has passed.
    pub fn settle(&self, limit: Duration) {
        let end = self.elapsed() + limit;
        while self.elapsed() < end && self.0.step() != Step::Idle {}
    }

    /// Most bytes of a send or receive buffer: what tests scale their traffic by.
    pub fn buffers(&self) -> usize {
        self.0.net.borrow().knobs.buffers
    }

    // The network's character, otherwise chosen by the seed

    /// A world without whims: data arrives in one piece, writes and splices take what fits, events come at once and once.
    pub fn calm(&self) {
        let knobs = &mut self.0.net.borrow_mut().knobs;
        knobs.piece = (1 << 20, 1 << 20);
        (knobs.short_write, knobs.short_splice, knobs.spurious, knobs.late_event) = (0, 0, 0, 0);
    }

    /// Time that data and connection attempts are on the way, at least and at most.
    pub fn set_latency(&self, least: Duration, most: Duration) {
        self.0.net.borrow_mut().knobs.latency = (least, most);
    }

    /// Most bytes of the send and the receive buffer of sockets made from now on; each gets a random size up to that.
    pub fn set_buffers(&self, most: usize) {
        self.0.net.borrow_mut().knobs.buffers = most;
    }

    /// The size of the send and the receive buffer of sockets made from now on.
    pub fn set_equal_buffers(&self, size: usize) {
        let knobs = &mut self.0.net.borrow_mut().knobs;
        (knobs.least_buffer, knobs.buffers) = (size, size);
    }

    /// Sizes of the pieces in which data arrives.
    pub fn set_pieces(&self, least: usize, most: usize) {
        self.0.net.borrow_mut().knobs.piece = (least, most);
    }

    /// What a turn of a loop takes at most.
    pub fn set_turn(&self, most: Duration) {
        self.0.net.borrow_mut().knobs.turn = most;
    }

    /// Where connections of an executor come from when they are not bound (127.0.0.1 otherwise).
    pub fn set_address(&self, rt: &Rt, address: IpAddr) {
        let host = self.0.index_of(rt);
        self.0.net.borrow_mut().hosts[host].address = Some(address);
    }

    // Faults

    /// What becomes of connections to `addr` from now on; `None`: they are treated as any.
    pub fn on_connect(&self, addr: &Addr, fault: Option<ConnectFault>) {
        let faults = &mut self.0.net.borrow_mut().faults;
        match fault {
            Some(fault) => faults.connect.insert(addr.clone(), fault),
            None => faults.connect.remove(addr),
        };
    }

    /// Lets the next `times` calls of `accept` at the listener on `addr` fail with this error number while a connection waits.
    pub fn fail_accept(&self, addr: &Addr, errno: i32, times: u32) {
        self.0.net.borrow_mut().faults.accept.insert(addr.clone(), (errno, times));
    }

    /// Descriptors that an executor may have open; more are `EMFILE`.
    pub fn set_descriptor_limit(&self, rt: &Rt, limit: usize) {
        let host = self.0.index_of(rt);
        self.0.net.borrow_mut().hosts[host].limit = limit;
    }

    /// Descriptors that an executor has open, pipes included.
    pub fn descriptors(&self, rt: &Rt) -> usize {
        let host = self.0.index_of(rt);
        self.0.net.borrow().hosts[host].descriptors
    }

    /// Lets the executor's `nth` read, write or splice on a stream from now on panic, as a bug in the program under test would.
    pub fn trap(&self, rt: &Rt, nth: u32) {
        let host = self.0.index_of(rt);
        self.0.net.borrow_mut().hosts[host].trap = nth;
    }

    /// Refuses to enlarge pipes, or allows it again.
    pub fn refuse_large_pipes(&self, on: bool) {
        self.0.net.borrow_mut().faults.pipes_refused = on;
    }

    /// Nothing passes between the two addresses until [`SimWorld::heal`].
    pub fn part(&self, a: IpAddr, b: IpAddr) {
        self.0.net.borrow_mut().faults.partitions.push((a, b));
    }

    /// Ends all partitions: what was sent meanwhile arrives.
    pub fn heal(&self) {
        let mut net = self.0.net.borrow_mut();
        net.faults.partitions.clear();
        let ids: Vec<Id> = net.socks.keys().copied().collect();
        for id in ids {
            net.deliver(id);
        }
    }

    /// Share of UDP datagrams that get lost, in permille.
    pub fn lose_datagrams(&self, permille: u32) {
        self.0.net.borrow_mut().faults.datagram_loss = permille;
    }

    /// Somebody in between resets a connection: both ends see it.
    pub fn cut(&self, socket: &Socket) {
        if let Some(id) = socket.sim_id() {
            self.0.net.borrow_mut().cut(id);
        }
    }

    /// Sends one urgent byte.
    ///
    /// # Errors
    /// As a write of one byte.
    pub fn send_urgent(&self, socket: &Socket, byte: u8) -> io::Result<()> {
        let id = socket.sim_id().ok_or(io::ErrorKind::Unsupported)?;
        self.0.net.borrow_mut().send_urgent(id, byte)
    }

    /// The options that have been set on a socket, in order.
    pub fn options(&self, socket: &Socket) -> Vec<SockOpt> {
        socket.sim_id().map(|id| self.0.net.borrow_mut().sock(id).options.clone()).unwrap_or_default()
    }

    // Checks

    /// From now on, a task of `rt` that uses exactly two streams is taken for a relay: whenever nothing is runnable, it is a
    /// fault when one of them has data and the other room.
    pub fn must_not_stall(&self, rt: &Rt) {
        let host = self.0.index_of(rt);
        self.0.relays.borrow_mut().push(host);
    }

    /// Panicking and spinning tasks are not a fault of this run: it counts them itself.
    pub fn tolerate_casualties(&self) {
        self.0.tolerate.set(true);
    }

    /// Holds that an executor has given back everything but `sockets` sockets (its listeners) and `tasks` tasks.
    ///
    /// # Panics
    /// When it has not.
    pub fn assert_drained(&self, rt: &Rt, sockets: usize, tasks: usize) {
        let has = (rt.open_sockets(), rt.live_tasks(), rt.pipes().in_use(), rt.buffers().in_use());
        if has != (sockets, tasks, 0, 0) {
            self.0.fail(&format!("leak: {has:?} (sockets, tasks, pipes, buffers) where {:?} are expected", (sockets, tasks, 0, 0)));
        }
        // Lazy timers: a few for each task slot that ever was, of which those that nobody waits for go when their time comes.
        let slots = rt.task_slots();
        if rt.timers() > 32 * slots {
            self.0.fail(&format!("leak: {} timers for {slots} task slots", rt.timers()));
        }
    }

    /// Ends all tasks of all executors and holds that nothing is left in the world.
    ///
    /// # Panics
    /// When something is left.
    pub fn finish(&self) {
        for rt in self.0.rts() {
            rt.kill_all();
            rt.clear_local();
            self.assert_drained(&rt, 0, 0);
            rt.pipes().close_idle();
        }
        let net = self.0.net.borrow();
        let open: Vec<String> = net.socks.iter().filter(|(_, s)| !s.embryo).map(|(id, s)| format!("{id} at {}", s.local)).collect();
        let descriptors: Vec<usize> = net.hosts.iter().map(|h| h.descriptors).collect();
        drop(net);
        if !open.is_empty() || descriptors.iter().any(|d| *d != 0) {
            self.0.fail(&format!("leak: sockets {open:?}, descriptors {descriptors:?}"));
        }
    }

    pub(crate) fn driver(&self) -> (SimDriver, impl FnOnce(WeakRt)) {
        let index = {
            let mut net = self.0.net.borrow_mut();
            net.hosts.push(Host { ready: VecDeque::new(), descriptors: 0, limit: usize::MAX, address: None, trap: 0 });
            net.hosts.len() - 1
        };
        let world = self.0.clone();
        let join = move |rt: WeakRt| world.rts.borrow_mut().push(rt);
        (SimDriver::new(self.0.clone(), index), join)
    }
}

impl World {
    pub(crate) fn now(&self) -> Instant {
        self.origin + self.net.borrow().now
    }

    pub(crate) fn nanos(&self) -> u64 {
        self.net.borrow().now.as_nanos() as u64
    }

    pub(crate) fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + EPOCH + self.net.borrow().now
    }

    fn rts(&self) -> Vec<Rt> {
        self.rts.borrow().iter().filter_map(WeakRt::upgrade).collect()
    }

    fn index_of(&self, rt: &Rt) -> usize {
        let same = |w: &WeakRt| w.upgrade().is_some_and(|r| r.is_same(rt));
        self.rts.borrow().iter().position(same).expect("an executor of this world")
    }

    /// Notes which task uses a socket.
    pub(crate) fn used(&self, id: Id) {
        let rt = self.net.borrow_mut().sock(id).rt;
        let task = self.rts.borrow().get(rt).and_then(WeakRt::upgrade).map_or(TaskKey::NONE, |r| r.current());
        if task != TaskKey::NONE {
            self.net.borrow_mut().sock(id).user = task;
        }
    }

    /// A call that moves bytes.
    pub(crate) fn moves(&self, id: Id) {
        self.used(id);
        let sprung = {
            let mut net = self.net.borrow_mut();
            let host = net.sock(id).rt;
            let trap = &mut net.hosts[host].trap;
            let last = *trap == 1;
            *trap = trap.saturating_sub(1);
            last
        };
        assert!(!sprung, "a bug that the test has put here");
    }

    pub(crate) fn fail(&self, what: &str) -> ! {
        let seed = self.seed;
        let at = self.net.borrow().now;
        panic!("simulation of seed {seed}, after {at:?} and {} steps: {what}\n{}SIM_SEED={seed} replays it", self.steps.get(), self.dump())
    }

    fn dump(&self) -> String {
        let net = self.net.borrow();
        let mut text = String::new();
        for (id, s) in net.socks.iter().take(40) {
            let body = match &s.body {
                Body::Fresh(_) => "fresh".to_owned(),
                Body::Stream(stream) => format!("to {} {}", stream.peer_addr, stream.describe()),
                Body::Listener { queue, .. } => format!("listens, {} wait", queue.len()),
                Body::Datagram(queue) => format!("{} datagrams", queue.len()),
            };
            text.push_str(&format!(
                "  socket {id} of loop {} (task {}) at {} {body}{}\n",
                s.rt,
                s.user.index as i32,
                s.local,
                if s.signalled { " signalled" } else { "" }
            ));
        }
        text
    }

    fn step(&self) -> Step {
        self.steps.set(self.steps.get() + 1);
        if self.steps.get() > MAX_STEPS {
            self.fail("the run does not end");
        }
        self.net.borrow_mut().run_due();
        let now = self.now();
        let mut ready = self.rts.borrow().iter().enumerate().filter_map(|(i, w)| Some((i, w.upgrade()?))).collect::<Vec<_>>();
        ready.retain(|(i, rt)| rt.has_work(now) || !self.net.borrow().hosts[*i].ready.is_empty());
        if !ready.is_empty() {
            let chosen = self.net.borrow_mut().rng.below(ready.len() as u64) as usize;
            self.turn(&ready[chosen].1);
            return Step::Ran;
        }
        self.check_wakes();
        self.check_stalls();
        let timers = self.rts().into_iter().filter_map(|rt| rt.next_timer()).min();
        let timer = timers.map(|at| at.saturating_duration_since(self.origin));
        let event = self.net.borrow().next_event();
        let Some(next) = [timer, event].into_iter().flatten().min() else { return Step::Idle };
        if next > MAX_TIME {
            self.fail("two days of virtual time, and still waiting");
        }
        let mut net = self.net.borrow_mut();
        net.now = net.now.max(next);
        self.busy.set(0);
        Step::Jumped
    }

    fn turn(&self, rt: &Rt) {
        self.busy.set(self.busy.get() + 1);
        if self.busy.get() > MAX_BUSY_STEPS {
            self.fail("spin: a million turns without a pause");
        }
        rt.turn_once();
        {
            let mut net = self.net.borrow_mut();
            let most = net.knobs.turn.as_nanos() as u64;
            let took = net.rng.range(500, most.max(500));
            net.now += Duration::from_nanos(took);
        }
        let casualties = rt.casualties();
        if !self.tolerate.get() && casualties != Default::default() {
            self.fail(&format!("{casualties:?}"));
        }
        // What is lost stays lost: mostly until the next pause, but others' wake-ups may hide it.
        if self.busy.get().is_multiple_of(16) {
            self.check_wakes();
        }
    }

    /// A task that waits for what is there already, with no event on its way: a lost wake-up.
    fn check_wakes(&self) {
        let rts: Vec<Option<Rt>> = self.rts.borrow().iter().map(WeakRt::upgrade).collect();
        let mut lost = None;
        {
            let net = self.net.borrow();
            for (id, sock) in &net.socks {
                let (Some(token), Some(rt), false) = (sock.token, rts[sock.rt].as_ref(), sock.signalled) else { continue };
                let level = net.level(*id);
                if level & (flag::READ | flag::WRITE) == 0 {
                    continue;
                }
                let io = rt.io().borrow();
                let Some(slot) = io.slot(token) else { continue };
                let later = matches!(&sock.body, Body::Stream(s) if s.will_have_space());
                for (dir, bit, excused) in [(Dir::Read, flag::READ, false), (Dir::Write, flag::WRITE, later)] {
                    if let Some(task) = slot.waiter(dir)
                        && level & bit != 0
                        && !excused
                        && !rt.is_queued(task)
                    {
                        lost = Some(format!("lost wake-up: task {task:?} waits to {dir:?} on socket {id}, which is ready"));
                    }
                }
            }
        }
        if let Some(what) = lost {
            self.fail(&what);
        }
    }

    /// Nothing is runnable: no relay may have data on one side and room on the other.
    fn check_stalls(&self) {
        let mut stalled = None;
        for host in &*self.relays.borrow() {
            let net = self.net.borrow();
            let mut by_task: BTreeMap<(u32, u32), Vec<Id>> = BTreeMap::new();
            for (id, s) in net.socks.iter().filter(|(_, s)| s.rt == *host && s.user != TaskKey::NONE) {
                if matches!(s.body, Body::Stream(_)) {
                    by_task.entry((s.user.index, s.user.generation)).or_default().push(*id);
                }
            }
            for pair in by_task.values().filter(|p| p.len() == 2) {
                for (from, to) in [(pair[0], pair[1]), (pair[1], pair[0])] {
                    if let (Some(Body::Stream(a)), Some(Body::Stream(b))) =
                        (net.socks.get(&from).map(|s| &s.body), net.socks.get(&to).map(|s| &s.body))
                    {
                        if a.has_data() && b.has_room() {
                            stalled = Some(format!("stall: socket {from} has data, socket {to} has room, and nobody runs"));
                        }
                        if a.at_end() && b.has_room() && !b.sends_no_more() && !a.broken {
                            stalled = Some(format!("stall: socket {from} has ended, and socket {to} is not told"));
                        }
                    }
                }
            }
        }
        if let Some(what) = stalled {
            self.fail(&what);
        }
    }
}

/// Runs `f` for the seeds `1..=count`, for `SIM_SEEDS` of them where that is set, or for `SIM_SEED` alone; `regressions` are
/// run first: the seeds that once failed, a list that only grows.
///
/// # Panics
/// When a run does; the text names the seed.
pub fn seeds(count: u64, regressions: &[u64], f: impl Fn(u64)) {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let run = |seed: u64| {
        if let Err(cause) = std::panic::catch_unwind(AssertUnwindSafe(|| f(seed))) {
            let text = cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref::<&str>().copied());
            panic!("seed {seed} fails: {}\nSIM_SEED={seed} replays it", text.unwrap_or("a panic without a text"));
        }
    };
    if let Some(seed) = number("SIM_SEED") {
        return run(seed);
    }
    for seed in regressions.iter().copied().chain(1..=number("SIM_SEEDS").unwrap_or(count)) {
        run(seed);
    }
}
