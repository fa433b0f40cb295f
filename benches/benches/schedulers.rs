//! Cost of a choice, and of a change, per scheduler and number of servers; beside the naive scan that each replaces.
//!
//! `cargo bench -p lb-benches --bench schedulers`. A request is one `assign` and one `released`, as the proxy does them.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use lb_balance::{Hash, Key, Kind, LoadView, Lvs, Policy, ServerId, ServerSpec, Settings, State, Tried, Weight};
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const SIZES: [usize; 4] = [2, 100, 1_000, 10_000];

const KINDS: [(&str, Kind); 17] = [
    ("roundrobin", Kind::RoundRobin),
    ("static-rr", Kind::StaticRr),
    ("leastconn", Kind::LeastConn),
    ("first", Kind::First),
    ("sticky", Kind::Sticky),
    ("random", Kind::Random { draws: 2 }),
    ("hash-map", Kind::Hash(Hash::map())),
    ("hash-ring", Kind::Hash(Hash::ring())),
    ("hash-maglev", Kind::Hash(Hash::maglev())),
    ("p2c", Kind::PowerOfTwo),
    ("peak-ewma", Kind::PeakEwma { decay: Duration::from_secs(10) }),
    ("lvs-wrr", Kind::Lvs(Lvs::Wrr)),
    ("lvs-wlc", Kind::Lvs(Lvs::Wlc)),
    ("lvs-nq", Kind::Lvs(Lvs::Nq)),
    ("lvs-lblcr", Kind::Lvs(Lvs::Lblcr)),
    ("lvs-sh", Kind::Lvs(Lvs::Sh)),
    ("lvs-ovf", Kind::Lvs(Lvs::Ovf)),
];

/// Loads that a proxy would keep; nobody is ever full.
struct Loads(Vec<AtomicU32>);

impl LoadView for Loads {
    fn is_full(&self, id: ServerId) -> bool {
        self.load(id) >= 1_000
    }

    fn load(&self, id: ServerId) -> u32 {
        self.0[id.0 as usize].load(Ordering::Relaxed)
    }

    fn total(&self) -> u32 {
        64
    }
}

fn servers(n: usize) -> Vec<ServerSpec> {
    (0..n).map(|i| ServerSpec::new(1 + i as u16 % 7)).collect()
}

/// 64 requests are under way at any time: each step ends the oldest and begins a new one.
fn step(policy: &Policy, loads: &Loads, ring: &mut [Option<ServerId>; 64], at: &mut usize, n: u64) {
    let slot = &mut ring[*at % 64];
    *at += 1;
    if let Some(id) = slot.take() {
        loads.0[id.0 as usize].fetch_sub(1, Ordering::Relaxed);
        policy.released(id);
    }
    let key = match policy.settings().kind.hash() {
        Some(_) => Key::Addr(Ipv4Addr::from(n as u32).into()),
        None => Key::Random(n),
    };
    if let Some(id) = policy.assign(key, loads, &Tried::new()).server() {
        loads.0[id.0 as usize].fetch_add(1, Ordering::Relaxed);
        *slot = Some(id);
    }
}

fn request(c: &mut Criterion) {
    for (name, kind) in KINDS {
        let mut group = c.benchmark_group(format!("request/{name}"));
        for size in SIZES {
            let policy = Policy::new(Settings::new(kind), &servers(size)).expect("valid");
            let loads = Loads((0..size).map(|_| AtomicU32::new(0)).collect());
            let (mut ring, mut at, mut n) = ([None; 64], 0, 1u64);
            group.bench_function(BenchmarkId::from_parameter(size), |b| {
                b.iter(|| {
                    n = n.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    step(black_box(&policy), &loads, &mut ring, &mut at, n >> 16);
                });
            });
        }
        group.finish();
    }
}

/// Two threads at once on one policy: what one of them sees.
fn two_threads(c: &mut Criterion) {
    for (name, kind) in KINDS {
        let mut group = c.benchmark_group(format!("two-threads/{name}"));
        for size in SIZES {
            let policy = Policy::new(Settings::new(kind), &servers(size)).expect("valid");
            let loads = Loads((0..size).map(|_| AtomicU32::new(0)).collect());
            let stop = std::sync::atomic::AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let (mut ring, mut at, mut n) = ([None; 64], 0, 1u64);
                    while !stop.load(Ordering::Relaxed) {
                        n = n.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                        step(&policy, &loads, &mut ring, &mut at, n >> 16);
                    }
                });
                let (mut ring, mut at, mut n) = ([None; 64], 0, 7u64);
                group.bench_function(BenchmarkId::from_parameter(size), |b| {
                    b.iter(|| {
                        n = n.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                        step(&policy, &loads, &mut ring, &mut at, n >> 16);
                    });
                });
                stop.store(true, Ordering::Relaxed);
            });
        }
        group.finish();
    }
}

/// One server down and up again, which is what a flapping check costs the others.
fn change(c: &mut Criterion) {
    for (name, kind) in KINDS {
        let mut group = c.benchmark_group(format!("down-and-up/{name}"));
        for size in SIZES {
            let policy = Policy::new(Settings::new(kind), &servers(size)).expect("valid");
            let id = ServerId(size as u32 / 2);
            group.bench_function(BenchmarkId::from_parameter(size), |b| {
                b.iter(|| {
                    policy.set_state(id, State::Down);
                    policy.set_state(black_box(id), State::Usable);
                });
            });
        }
        group.finish();
    }
    for (name, kind) in KINDS.into_iter().filter(|(_, kind)| kind.is_dynamic()) {
        let mut group = c.benchmark_group(format!("weight/{name}"));
        for size in SIZES {
            let policy = Policy::new(Settings::new(kind), &servers(size)).expect("valid");
            let mut n = 0u16;
            group.bench_function(BenchmarkId::from_parameter(size), |b| {
                b.iter(|| {
                    n = n % 60 + 1;
                    policy.set_weight(ServerId(0), Weight::units(n)).expect("dynamic");
                });
            });
        }
        group.finish();
    }
}

/// What the heaps replace: the least of all by a scan, and round robin that adds to every server's score at every pick. And a ring as a
/// balanced tree, in which a server that leaves takes its points out.
fn naive(c: &mut Criterion) {
    for size in SIZES {
        let specs = servers(size);
        let mut load = vec![0u64; size];
        c.bench_function(&format!("naive-leastconn/{size}"), |b| {
            b.iter(|| {
                let best = (0..size).min_by_key(|&i| load[i] * 256 / u64::from(specs[i].weight)).unwrap_or(0);
                load[best] = (load[best] + 1) % 8;
                black_box(best)
            });
        });
        let place = |id: usize, point: usize| ((id * 4_096 + point) as u32).wrapping_mul(0x9e37_79b1);
        let points = |id: usize| 0..16 * usize::from(specs[id].weight);
        let all = (0..size).flat_map(|id| points(id).map(move |point| (place(id, point), id)));
        let mut tree: std::collections::BTreeMap<u32, usize> = all.collect();
        let mut n = 1u64;
        c.bench_function(&format!("naive-ring/{size}"), |b| {
            b.iter(|| {
                n = n.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let hash = (n >> 32) as u32;
                black_box(tree.range(hash..).next().or_else(|| tree.first_key_value()).map(|(_, id)| *id))
            });
        });
        let id = size / 2;
        c.bench_function(&format!("naive-ring-down-and-up/{size}"), |b| {
            b.iter(|| {
                points(id).for_each(|point| {
                    tree.remove(&place(id, point));
                });
                tree.extend(points(id).map(|point| (place(id, point), id)));
            });
        });
        let total: i64 = specs.iter().map(|s| i64::from(s.weight)).sum();
        let mut score = vec![0i64; size];
        c.bench_function(&format!("naive-roundrobin/{size}"), |b| {
            b.iter(|| {
                let mut best = 0;
                for i in 0..size {
                    score[i] += i64::from(specs[i].weight);
                    if score[i] > score[best] {
                        best = i;
                    }
                }
                score[best] -= total;
                black_box(best)
            });
        });
    }
}

fn short() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(std::time::Duration::from_millis(100))
        .measurement_time(std::time::Duration::from_millis(300))
}

criterion_group!(name = benches; config = short(); targets = request, two_threads, change, naive);
criterion_main!(benches);
