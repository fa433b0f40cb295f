//! `slowstart`: a server that was down takes little at first, and more from second to second. Called by proxy.rs when states change
//! and by health/, which has a task count the seconds.
//!
//! Holds: weight and limit are those of the first second before the server takes anything; one that leaves before it is warm begins anew
//! when it comes back; without the word a server costs one comparison when its limit is asked for.

use crate::health::lock;
use crate::proxy::{Backend, Server, ServerState};
use crate::queue;
use crate::worker::Worker;
use lb_balance::{ServerId, SlowStart, Weight};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// [`Warmth::seconds`] of a server that is not warming up.
const WARM: u32 = u32::MAX;

/// How far a server is.
pub(crate) struct Warmth {
    slow_start: Option<SlowStart>,
    /// Whole seconds since it came up, or [`WARM`].
    seconds: AtomicU32,
    /// How often it has begun to warm up: who counts the seconds of an earlier time leaves it alone.
    round: AtomicU32,
}

impl Warmth {
    pub(crate) fn new(slowstart: Option<Duration>) -> Warmth {
        Warmth { slow_start: slowstart.map(SlowStart::new), seconds: AtomicU32::new(WARM), round: AtomicU32::new(0) }
    }

    pub(crate) fn is_warming(&self) -> bool {
        self.seconds.load(Ordering::Relaxed) != WARM
    }

    /// How often it has begun to warm up.
    pub(crate) fn round(&self) -> u32 {
        self.round.load(Ordering::Relaxed)
    }

    /// Streams that it takes at once, of `full` when it is warm.
    #[inline]
    pub(crate) fn limit(&self, full: u32) -> u32 {
        let Some(slow_start) = self.slow_start else { return full };
        match self.seconds.load(Ordering::Relaxed) {
            WARM => full,
            seconds => slow_start.limit(full, Duration::from_secs(seconds.into())),
        }
    }

    /// Before the server's state changes; `changes` of the backend is held, or nobody else is there yet.
    pub(crate) fn state_changes(&self, server: &Server, backend: &Backend, to: ServerState) {
        match (server.usable(), to) {
            (false, ServerState::Up) => {
                self.set(server, backend, 0);
                self.round.fetch_add(u32::from(self.is_warming()), Ordering::Relaxed);
            }
            (true, ServerState::Down | ServerState::Maintenance) => self.seconds.store(WARM, Ordering::Relaxed),
            _ => {}
        }
    }

    /// After the weight of the server has changed: it has its part of that.
    pub(crate) fn reweigh(&self, server: &Server, backend: &Backend) {
        match self.seconds.load(Ordering::Relaxed) {
            WARM => {}
            seconds => self.set(server, backend, seconds),
        }
    }

    fn set(&self, server: &Server, backend: &Backend, seconds: u32) {
        let Some(slow_start) = self.slow_start else { return };
        let since = Duration::from_secs(seconds.into());
        let warming = slow_start.is_warming(since);
        self.seconds.store(if warming { seconds } else { WARM }, Ordering::Relaxed);
        // A static scheduler keeps the configured weight (manual 5.2, slowstart).
        let _ =
            backend.policy().set_weight(server.id, slow_start.weight(Weight::units(server.weight.load(Ordering::Relaxed) as u16), since));
    }
}

/// Counts the seconds of a server that has just come up.
pub(crate) fn warm_up(worker: &Rc<Worker>, backend: &Arc<Backend>, id: ServerId) {
    let Some(mut warming) = WarmUp::of(backend.server(id), worker.rt.now()) else { return };
    let (rt, backend) = (worker.rt.clone(), backend.clone());
    let task = worker.rt.spawn(async move {
        loop {
            rt.sleep_until(warming.next()).await;
            rt.progress();
            let _in_order = lock(&backend.changes);
            match warming.step(&backend, id) {
                Some(further) => warming = further,
                None => return,
            }
        }
    });
    worker.ends_with_soft_stop(task);
}

/// The seconds of one server that is warming up.
struct WarmUp {
    begun: Instant,
    seconds: u32,
    round: u32,
}

impl WarmUp {
    /// Of a server that came up at `now`; `None` when it is warm.
    fn of(server: &Server, now: Instant) -> Option<WarmUp> {
        server.warmth.is_warming().then_some(WarmUp { begun: now, seconds: 0, round: server.warmth.round() })
    }

    /// When the next second is over.
    fn next(&self) -> Instant {
        self.begun + SlowStart::STEP * (self.seconds + 1)
    }

    /// Another second is over; `None`: the server is warm, or has left.
    fn step(mut self, backend: &Arc<Backend>, id: ServerId) -> Option<WarmUp> {
        let server = backend.server(id);
        self.seconds += 1;
        if server.warmth.round() != self.round {
            return None;
        }
        if server.warmth.is_warming() {
            server.warmth.set(server, backend, self.seconds);
            // It has more room now.
            backend.policy().refresh(id);
            queue::dispatch(backend, id);
        }
        server.warmth.is_warming().then_some(self)
    }
}
