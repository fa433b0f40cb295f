//! What must hold for any servers, weights and histories. Histories are drawn from seeds; a failure names its seed.

use lb_balance::{
    Affinity, Hash, Key, Kind, LoadView, Lookup, Lvs, Pick, Policy, ServerId, ServerSpec, Settings, State, Tried, Unlimited, Weight,
};
use std::sync::atomic::{AtomicU32, Ordering};

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 33
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// A proxy's books: what each server has, and may have.
struct Books {
    load: Vec<AtomicU32>,
    maxconn: Vec<AtomicU32>,
}

impl Books {
    fn new(n: usize) -> Self {
        Books { load: (0..n).map(|_| AtomicU32::new(0)).collect(), maxconn: (0..n).map(|_| AtomicU32::new(0)).collect() }
    }
}

impl LoadView for Books {
    fn is_full(&self, id: ServerId) -> bool {
        let max = self.maxconn[id.0 as usize].load(Ordering::Relaxed);
        max != 0 && self.load(id) >= max
    }

    fn load(&self, id: ServerId) -> u32 {
        self.load[id.0 as usize].load(Ordering::Relaxed)
    }

    fn total(&self) -> u32 {
        self.load.iter().map(|load| load.load(Ordering::Relaxed)).sum()
    }
}

const LVS: [Lvs; 14] = [
    Lvs::Rr,
    Lvs::Wrr,
    Lvs::Lc,
    Lvs::Wlc,
    Lvs::Sed,
    Lvs::Nq,
    Lvs::Lblc,
    Lvs::Lblcr,
    Lvs::Dh,
    Lvs::Sh,
    Lvs::Mh,
    Lvs::Fo,
    Lvs::Ovf,
    Lvs::Twos,
];

fn kinds() -> Vec<Kind> {
    let mut kinds = vec![
        Kind::RoundRobin,
        Kind::StaticRr,
        Kind::LeastConn,
        Kind::First,
        Kind::Sticky,
        Kind::Random { draws: 2 },
        Kind::PowerOfTwo,
        Kind::PeakEwma { decay: std::time::Duration::from_secs(10) },
        Kind::Hash(Hash::map()),
        Kind::Hash(Hash::ring()),
        Kind::Hash(Hash { lookup: Lookup::Maglev { size: 251 }, ..Hash::ring() }),
    ];
    kinds.extend(LVS.map(Kind::Lvs));
    kinds
}

fn key_for(kind: Kind, random: &mut Random) -> Key<'static> {
    match kind.hash() {
        Some(_) => Key::Addr(std::net::Ipv4Addr::from(random.next() as u32).into()),
        None => Key::Random(random.next() << 32 | random.next()),
    }
}

#[test]
fn weights_exact_over_every_cycle() {
    for seed in 0..200 {
        let mut random = Random(seed);
        let limit = [3, 12, 256][random.below(3) as usize];
        let weights: Vec<u16> = (0..1 + random.below(40)).map(|_| random.below(limit + 1) as u16).collect();
        let total: usize = weights.iter().map(|&w| usize::from(w)).sum();
        let servers: Vec<_> = weights.iter().map(|&w| ServerSpec::new(w)).collect();
        for kind in [Kind::RoundRobin, Kind::StaticRr] {
            let policy = Policy::new(Settings::new(kind), &servers).expect("valid");
            for _ in 0..3 {
                let mut count = vec![0; servers.len()];
                for _ in 0..total {
                    let id = policy.pick(Key::None, &Unlimited, &Tried::new()).server().expect("usable");
                    count[id.0 as usize] += 1;
                }
                assert_eq!(count, weights, "seed {seed} {kind:?}");
            }
        }
    }
}

#[test]
fn roundrobin_is_smooth() {
    // At no point of a cycle is a server of the common kind (equal weights) more than one turn ahead of another.
    let policy = Policy::new(Settings::new(Kind::RoundRobin), &[ServerSpec::new(7); 50]).expect("valid");
    let mut count = [0u32; 50];
    for _ in 0..1_234 {
        count[policy.pick(Key::None, &Unlimited, &Tried::new()).server().expect("usable").0 as usize] += 1;
        assert!(count.iter().max().expect("50") - count.iter().min().expect("50") <= 1);
    }
}

/// Any history of picks, releases, states, weights, limits and failures: the choice is always allowed, and for leastconn always
/// the least.
#[test]
fn never_a_forbidden_server() {
    for kind in kinds() {
        for seed in 0..60 {
            history(kind, seed);
        }
    }
}

fn history(kind: Kind, seed: u64) {
    let mut random = Random(seed);
    let n = 1 + random.below(8) as usize;
    let servers: Vec<_> = (0..n)
        .map(|place| ServerSpec {
            weight: random.below(5) as u16,
            backup: random.below(4) == 0,
            id: place as u32 + 1,
            seed: None,
            state: [State::Usable, State::Usable, State::Drain, State::Down][random.below(4) as usize],
        })
        .collect();
    let settings = Settings {
        allbackups: random.below(2) == 0,
        balance_factor: [0, 101, 150][random.below(3) as usize],
        affinity: [Affinity::Always, Affinity::MaxConn, Affinity::MaxQueue][random.below(3) as usize],
        ..Settings::new(kind)
    };
    let policy = Policy::new(settings, &servers).expect("valid");
    let books = Books::new(n);
    let mut state: Vec<_> = servers.iter().map(|s| s.state).collect();
    let mut weight: Vec<_> = servers.iter().map(|s| Weight::units(s.weight)).collect();
    let mut streams: Vec<ServerId> = Vec::new();
    for step in 0..400 {
        let at = random.below(n as u64) as usize;
        let id = ServerId(at as u32);
        match random.below(12) {
            0 => {
                state[at] = [State::Usable, State::Usable, State::Drain, State::Down][random.below(4) as usize];
                policy.set_state(id, state[at]);
            }
            1 => {
                let wish = Weight::sixteenths(random.below(100) as u16);
                if policy.set_weight(id, wish).is_ok() {
                    weight[at] = wish;
                } else {
                    assert!(!kind.is_dynamic());
                }
            }
            2 => {
                books.maxconn[at].store(random.below(6) as u32, Ordering::Relaxed);
                policy.refresh(id);
            }
            3..=5 if !streams.is_empty() => {
                let gone = streams.swap_remove(random.below(streams.len() as u64) as usize);
                books.load[gone.0 as usize].fetch_sub(1, Ordering::Relaxed);
                policy.released(gone);
            }
            _ => {
                let mut tried = Tried::new();
                for _ in 0..random.below(3) * random.below(3) {
                    tried.add(ServerId(random.below(n as u64) as u32));
                }
                let key = key_for(kind, &mut random);
                let pick = policy.assign(key, &books, &tried);
                let context = format!("{kind:?} seed {seed} step {step}: {pick:?}");
                check(settings, &servers, &state, &weight, &books, &tried, pick, &context);
                if let Pick::Server(id) = pick {
                    books.load[id.0 as usize].fetch_add(1, Ordering::Relaxed);
                    streams.push(id);
                }
            }
        }
    }
}

#[allow(clippy::too_many_arguments)]
fn check(
    settings: Settings,
    servers: &[ServerSpec],
    state: &[State],
    weight: &[Weight],
    books: &Books,
    tried: &Tried,
    pick: Pick,
    context: &str,
) {
    let Settings { kind, allbackups, .. } = settings;
    let usable = |i: &usize| state[*i] == State::Usable && weight[*i] != Weight::ZERO;
    let all = 0..servers.len();
    let active: Vec<_> = all.clone().filter(usable).filter(|&i| !servers[i].backup).collect();
    let backups: Vec<_> = all.filter(usable).filter(|&i| servers[i].backup).collect();
    let alone = active.is_empty() && !allbackups;
    let group = match (active.is_empty(), allbackups) {
        (false, _) => active,
        (true, true) => backups,
        (true, false) => backups.into_iter().take(1).collect(),
    };
    if group.is_empty() {
        assert_eq!(pick, Pick::NoneUsable, "{context}");
        return;
    }
    let queues_there = alone || kind.is_hash();
    let load = |i: usize| u64::from(books.load(ServerId(i as u32)));
    let share = |i: usize| u64::from(weight[i].as_sixteenths());
    let overflown = |i: usize| kind == Kind::Lvs(Lvs::Ovf) && load(i) * 16 > share(i) && !alone;
    let has_room = |&i: &usize| (queues_there || !books.is_full(ServerId(i as u32))) && !overflown(i);
    let free: Vec<_> = group.iter().copied().filter(has_room).collect();
    let Some(id) = pick.server() else {
        assert_eq!(pick, Pick::AllFull, "{context}");
        assert!(free.is_empty(), "{context} but {free:?} had room");
        return;
    };
    let chosen = id.0 as usize;
    assert!(free.contains(&chosen), "{context}, allowed {free:?}");
    let fresh: Vec<_> = free.iter().copied().filter(|&i| !tried.contains(ServerId(i as u32))).collect();
    assert!(alone || fresh.is_empty() || fresh.contains(&chosen), "{context}, untried {fresh:?}");
    if alone || fresh.is_empty() {
        return;
    }
    // What is least, and, but for leastconn, the first of those in the configuration.
    let least = |rank: &dyn Fn(usize) -> u64| fresh.iter().copied().min_by_key(|&i| (rank(i), i));
    let ratio = |streams: u64, i: usize| streams * 27_720 * 1_000_000 / share(i);
    match kind {
        Kind::LeastConn => {
            let rank = |i: usize| if load(i) == 0 { 0 } else { (load(i) + 1) * 4096 / share(i) };
            assert_eq!(Some(rank(chosen)), least(&rank).map(rank), "{context}");
        }
        Kind::First => assert_eq!(Some(chosen), least(&|_| 0), "{context}"),
        // A bound may keep the one that has room from taking more.
        Kind::Hash(Hash { lookup: Lookup::Ring, .. }) if settings.balance_factor == 0 && settings.affinity == Affinity::MaxConn => {
            let full = |i: usize| books.is_full(ServerId(i as u32));
            assert!(!full(chosen) || fresh.iter().all(|&i| full(i)), "{context}");
        }
        Kind::Lvs(Lvs::Lc) => assert_eq!(Some(chosen), least(&load), "{context}"),
        Kind::Lvs(Lvs::Wlc) => assert_eq!(Some(chosen), least(&|i| ratio(load(i), i)), "{context}"),
        Kind::Lvs(Lvs::Sed) => assert_eq!(Some(chosen), least(&|i| ratio(load(i) + 1, i)), "{context}"),
        Kind::Lvs(Lvs::Nq) => {
            assert_eq!(Some(chosen), least(&|i| if load(i) == 0 { 0 } else { ratio(load(i) + 1, i) }), "{context}");
        }
        Kind::Lvs(Lvs::Fo | Lvs::Ovf) => assert_eq!(Some(chosen), least(&|i| 10_000 - share(i)), "{context}"),
        _ => {}
    }
}

#[test]
fn a_changed_weight_is_exact_after_one_cycle() {
    for seed in 0..100 {
        let mut random = Random(seed);
        let n = 2 + random.below(6) as usize;
        let policy = Policy::new(Settings::new(Kind::RoundRobin), &vec![ServerSpec::new(10); n]).expect("valid");
        for _ in 0..random.below(40) {
            policy.pick(Key::None, &Unlimited, &Tried::new());
        }
        let mut weights: Vec<u16> = vec![10; n];
        for _ in 0..1 + random.below(4) {
            let at = random.below(n as u64) as usize;
            weights[at] = random.below(20) as u16;
            policy.set_weight(ServerId(at as u32), Weight::units(weights[at])).expect("dynamic");
        }
        let total: u32 = weights.iter().map(|&w| u32::from(w)).sum();
        // What was scheduled by the old weights takes its turn first.
        for _ in 0..3 * total {
            policy.pick(Key::None, &Unlimited, &Tried::new());
        }
        let mut count = vec![0u16; n];
        for _ in 0..total {
            count[policy.pick(Key::None, &Unlimited, &Tried::new()).server().expect("usable").0 as usize] += 1;
        }
        assert_eq!(count, weights, "seed {seed}");
    }
}

#[test]
fn a_server_that_comes_back_neither_waits_nor_floods() {
    let n = 100;
    let policy = Policy::new(Settings::new(Kind::RoundRobin), &vec![ServerSpec::new(1); n]).expect("valid");
    let pick = || policy.pick(Key::None, &Unlimited, &Tried::new()).server().expect("usable").0;
    for round in 0..50 {
        for _ in 0..round {
            pick();
        }
        for id in 1..n as u32 {
            policy.set_state(ServerId(id), State::Down);
        }
        for _ in 0..5 {
            assert_eq!(pick(), 0);
        }
        for id in 1..n as u32 {
            policy.set_state(ServerId(id), State::Usable);
        }
        let mut count = vec![0; n];
        for _ in 0..2 * n {
            count[pick() as usize] += 1;
        }
        assert!(count.iter().all(|&c| (1..=3).contains(&c)), "round {round}: {count:?}");
    }
}

#[test]
fn random_draws_by_weight() {
    let servers = [ServerSpec::new(1), ServerSpec::new(2), ServerSpec::new(5)];
    let policy = Policy::new(Settings::new(Kind::Random { draws: 1 }), &servers).expect("valid");
    let mut count = [0u32; 3];
    for seed in 0..80_000 {
        count[policy.pick(Key::Random(seed), &Unlimited, &Tried::new()).server().expect("usable").0 as usize] += 1;
    }
    for (count, share) in count.iter().zip([10_000u32, 20_000, 50_000]) {
        assert!(count.abs_diff(share) < 600, "{count} for {share}");
    }
}

/// Eight threads on a backend with small limits: every slot is given back, nobody is left parked, limits are kept but for the picks
/// under way at once.
#[test]
fn threads_lose_no_server() {
    for kind in [Kind::RoundRobin, Kind::LeastConn, Kind::First, Kind::Sticky, Kind::Lvs(Lvs::Sed), Kind::Lvs(Lvs::Lblcr)] {
        let policy = Policy::new(Settings::new(kind), &[ServerSpec::new(1); 4]).expect("valid");
        let books = Books::new(4);
        for max in &books.maxconn {
            max.store(1, Ordering::Relaxed);
        }
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        if let Pick::Server(id) = policy.assign(Key::None, &books, &Tried::new()) {
                            books.load[id.0 as usize].fetch_add(1, Ordering::Relaxed);
                            books.load[id.0 as usize].fetch_sub(1, Ordering::Relaxed);
                            policy.released(id);
                        }
                    }
                });
            }
        });
        let mut seen = [false; 4];
        for _ in 0..4 {
            let id = policy.assign(Key::None, &books, &Tried::new()).server().expect("all slots are free again");
            books.load[id.0 as usize].fetch_add(1, Ordering::Relaxed);
            seen[id.0 as usize] = true;
        }
        assert_eq!(seen, [true; 4], "{kind:?}");
        assert_eq!(policy.assign(Key::None, &books, &Tried::new()), Pick::AllFull);
    }
}

#[test]
fn refuses_bad_servers_and_static_weights() {
    assert!(Policy::new(Settings::new(Kind::RoundRobin), &[ServerSpec::new(257)]).is_err());
    let policy = Policy::new(Settings::new(Kind::Hash(Hash::map())), &[ServerSpec::new(4)]).expect("valid");
    assert!(policy.set_weight(ServerId(0), Weight::units(3)).is_err());
    assert!(policy.set_weight(ServerId(0), Weight::ZERO).is_ok());
    assert_eq!(policy.pick(Key::None, &Unlimited, &Tried::new()), Pick::NoneUsable);
    assert!(policy.set_weight(ServerId(0), Weight::units(4)).is_ok());
    assert_eq!(policy.pick(Key::None, &Unlimited, &Tried::new()), Pick::Server(ServerId(0)));
    let nobody = Policy::new(Settings::new(Kind::LeastConn), &[]).expect("valid");
    assert!(nobody.is_empty());
    assert_eq!(nobody.pick(Key::None, &Unlimited, &Tried::new()), Pick::NoneUsable);
}
