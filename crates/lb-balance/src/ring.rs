//! A ring of points: HAProxy's `hash-type consistent`, with bounded load and affinity.
//!
//! Holds: every server has its points at the same places whatever the others do; the first `live` of them count. So a change of
//! weight or state is one store, and a pick passes over the points that do not count. Points are sorted by place, then by
//! server.
//!
//! Sources: Karger et al., "Consistent Hashing and Random Trees" (1997); Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with
//! Bounded Loads" (2016).

use crate::hash::full;
use crate::{Affinity, LoadView, Pick, ServerId, Tried};
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

/// Points of refused servers that a pick passes before it settles for the best it has seen.
const MAX_WALK: usize = 4_096;

/// Points in the view per live one above which the view is made anew without the dead ones: so many are passed on average.
const SPARSE: usize = 16;

/// One point: its place, whose it is, and which of the server's points, in one number that sorts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Point(u64);

impl Point {
    /// `server` has 20 bits, `index` (0 to 4095) 12: the limits of servers and weights.
    fn new(place: u32, server: u32, index: u16) -> Self {
        Point(u64::from(place) << 32 | u64::from(server) << 12 | u64::from(index))
    }

    fn place(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn server(self) -> u32 {
        (self.0 as u32) >> 12
    }

    fn index(self) -> u16 {
        self.0 as u16 & 0xfff
    }
}

/// Points between two entries of a view's index.
const STRIDE: usize = 4;

/// Points as picks look at them. Places are spread evenly, so an index by their upper bits leads next to any of them: two lines of the
/// cache in place of one for each step of a search.
#[derive(Debug, Default)]
struct View {
    points: Arc<Vec<Point>>,
    /// For each value of the upper bits the first point that has them, or would stand there.
    starts: Box<[u32]>,
    /// Bits of a place below those.
    low_bits: u32,
}

impl View {
    fn new(points: Arc<Vec<Point>>) -> View {
        let high_bits = (points.len() / STRIDE).max(1).ilog2();
        let low_bits = u32::BITS - high_bits;
        let mut at = 0;
        let start = |high: u64| {
            while at < points.len() && u64::from(points[at].place()) >> low_bits < high {
                at += 1;
            }
            at as u32
        };
        let starts = (0..=1u64 << high_bits).map(start).collect();
        View { points, starts, low_bits }
    }

    /// The first point from `place` on; the number of points when there is none.
    fn from(&self, place: u32) -> usize {
        let high = (u64::from(place) >> self.low_bits) as usize;
        let Some(&[start, end]) = self.starts.get(high..high + 2) else { return 0 };
        let (start, end) = (start as usize, end as usize);
        start + self.points[start..end].partition_point(|p| p.place() < place)
    }
}

/// `Ring::last` before the first turn. No point is like it: indexes of servers end below.
const NOBODY: u64 = u64::MAX;

/// One group of servers on a ring.
#[derive(Debug)]
pub(crate) struct Ring {
    /// Points that picks look at: all of `points`, or those that counted when most did not.
    view: ArcSwap<View>,
    /// The point of the last turn: where requests without a key go on.
    last: AtomicU64,
}

/// How many points of each server count, shared by the groups.
pub(crate) type Live = Box<[AtomicU16]>;

/// What changes of a ring are made from. Off the data path.
#[derive(Debug, Default)]
pub(crate) struct Points {
    points: Arc<Vec<Point>>,
    /// Points per server in `points`, and in the view.
    made: Vec<u16>,
    viewed: Vec<u16>,
    /// Points of all servers of the group that count.
    live: usize,
}

/// What bounds the load of servers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    /// Percent of the average load that a server may have; 0: not bounded.
    pub(crate) factor: u32,
    /// Sum of the weights of the group, in sixteenths.
    pub(crate) total: u32,
}

impl Bound {
    /// Whether a server may take another stream: `before` is the sum of the weights of the servers before it.
    pub(crate) fn allows(self, id: u32, weight: u32, before: u32, view: &impl LoadView) -> bool {
        if self.factor == 0 || self.total == 0 {
            return true;
        }
        // HAProxy's sum: so many slots in all, the part below one per unit of weight dealt out by place.
        let slots = ((u64::from(view.total()) + 1) * u64::from(self.factor)).div_ceil(100);
        let (total, weight, before) = (u64::from(self.total), u64::from(weight), u64::from(before));
        let (each, rest) = (slots / total, slots % total);
        let own = weight * each + (before + weight) * rest / total - before * rest / total;
        u64::from(view.served(ServerId(id))) < own.max(1)
    }
}

impl Points {
    pub(crate) fn new(n: usize) -> Self {
        Points { made: vec![0; n], viewed: vec![0; n], ..Self::default() }
    }

    /// Makes points of the server up to `count`, for a ring that is not in use yet.
    pub(crate) fn prepare(&mut self, id: u32, seed: u32, count: u16) {
        let made = self.made[id as usize];
        let points = Arc::make_mut(&mut self.points);
        points.extend((made..count).map(|index| Point::new(full(seed.wrapping_add(u32::from(index))), id, index)));
        self.made[id as usize] = made.max(count);
    }

    /// Sorts what was prepared and shows all of it.
    pub(crate) fn show(&mut self, ring: &Ring) {
        Arc::make_mut(&mut self.points).sort_unstable();
        self.show_all(ring);
    }

    fn show_all(&mut self, ring: &Ring) {
        self.viewed.clone_from(&self.made);
        ring.view.store(Arc::new(View::new(self.points.clone())));
    }

    /// Lets `count` points of the server count.
    pub(crate) fn set(&mut self, ring: &Ring, live: &Live, id: u32, seed: u32, count: u16) {
        let i = id as usize;
        if count > self.made[i] {
            let sorted = self.points.len();
            // Twice as many as before, so that a weight that grows step by step does not make the ring anew with each.
            self.prepare(id, seed, count.max(self.made[i].saturating_mul(2)).min(crate::Weight::MAX.as_sixteenths()));
            let points = Arc::make_mut(&mut self.points);
            points[sorted..].sort_unstable();
            // Two runs, which this one merges.
            points.sort();
            self.show_all(ring);
        } else if count > self.viewed[i] {
            self.show_all(ring);
        }
        let before = live[i].swap(count, Ordering::Release);
        self.live = self.live + usize::from(count) - usize::from(before);
        if self.live != 0 && ring.view.load().points.len() / SPARSE > self.live {
            let counts = |p: &Point| p.index() < live[p.server() as usize].load(Ordering::Relaxed);
            ring.view.store(Arc::new(View::new(Arc::new(self.points.iter().copied().filter(counts).collect()))));
            self.viewed = live.iter().map(|l| l.load(Ordering::Relaxed)).collect();
        }
    }
}

impl Ring {
    pub(crate) fn new() -> Self {
        Ring { view: ArcSwap::default(), last: AtomicU64::new(NOBODY) }
    }

    /// The server nearest to `hash`; from there on the first that may be used, if this one may not. `allows` says whether the
    /// load bound leaves room.
    pub(crate) fn pick(
        &self,
        hash: u32,
        live: &Live,
        affinity: Affinity,
        view: &impl LoadView,
        tried: &Tried,
        allows: impl Fn(u32) -> bool,
    ) -> Pick {
        let view_of_ring = self.view.load();
        let points = &view_of_ring.points;
        let at = view_of_ring.from(hash);
        let counts = |p: &Point| p.index() < live[p.server() as usize].load(Ordering::Acquire);
        let find = |from: usize| (from..points.len()).chain(0..from).find(|&i| counts(&points[i]));
        let Some(next) = find(at) else { return Pick::NoneUsable };
        let previous = (0..at).rev().chain((at..points.len()).rev()).find(|&i| counts(&points[i])).unwrap_or(next);
        let nearest = match (hash.wrapping_sub(points[previous].place()), points[next].place().wrapping_sub(hash)) {
            (back, ahead) if back <= ahead => previous,
            _ => next,
        };
        let has_room = |id: u32| match affinity {
            Affinity::Always => true,
            Affinity::MaxConn => !view.is_full(ServerId(id)),
            Affinity::MaxQueue => !view.queue_is_full(ServerId(id)),
        };
        let choice = points[nearest].server();
        let mut untried = None;
        let walk = (nearest..points.len()).chain(0..nearest).filter(|&i| counts(&points[i])).take(MAX_WALK);
        let mut refused = u32::MAX;
        for id in walk.map(|i| points[i].server()) {
            // Neighbours are often the same server's.
            if id == refused || tried.contains(ServerId(id)) {
                continue;
            }
            if has_room(id) && allows(id) {
                return Pick::Server(ServerId(id));
            }
            untried.get_or_insert(id);
            refused = id;
        }
        Pick::Server(ServerId(untried.unwrap_or(choice)))
    }

    /// For requests without a key: the server of the next point that is not full.
    pub(crate) fn turn(&self, live: &Live, view: &impl LoadView, tried: &Tried) -> Pick {
        let points = &self.view.load().points;
        let counts = |p: &Point| p.index() < live[p.server() as usize].load(Ordering::Acquire);
        let mut last = self.last.load(Ordering::Relaxed);
        loop {
            // HAProxy begins anew when the last point is gone.
            let from = match points.binary_search(&Point(last)) {
                Ok(at) if counts(&points[at]) => at + 1,
                _ => 0,
            };
            let mut avoided = None;
            let mut found = None;
            let mut any = false;
            for &point in points[from..].iter().chain(&points[..from]).filter(|p| counts(p)) {
                any = true;
                let id = ServerId(point.server());
                if view.is_full(id) {
                    continue;
                }
                if !tried.contains(id) {
                    found = Some(point);
                    break;
                }
                avoided = avoided.or(Some(point));
            }
            let Some(point) = found.or(avoided) else { return if any { Pick::AllFull } else { Pick::NoneUsable } };
            match self.last.compare_exchange_weak(last, point.0, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Pick::Server(ServerId(point.server())),
                Err(seen) => last = seen,
            }
        }
    }
}
