//! `slowstart`: what a server takes while it warms up, second by second.

use crate::ends::{config, origins};
use crate::peers::addr;
use crate::proxy::SimProxy;
use lb_balance::{ServerId, SlowStart, Weight};
use lb_core::proxy::{Backend, ServerState};
use lb_rt::sim::{ConnectFault, SimWorld, seeds};
use std::sync::Arc;
use std::time::Duration;

const ORIGIN: &str = "10.0.1.1:8080";
/// More than a check takes.
const CHECK: Duration = Duration::from_millis(30);

fn until(world: &SimWorld, backend: &Backend, state: ServerState) {
    world.run_until(|| backend.servers()[0].state() == state);
}

/// Follows a warm-up for a while; true when it came to its end.
fn follow(world: &SimWorld, backend: &Arc<Backend>, time: Duration) -> bool {
    let warm = SlowStart::new(Duration::from_secs(10));
    let full = Weight::units(100);
    let begun = world.elapsed();
    let mut seen = Vec::new();
    while world.elapsed() < begun + time {
        let now = (backend.policy().weight(ServerId(0)), backend.servers()[0].limit(backend));
        let since = world.elapsed() - begun;
        // A check on its way may keep the server's task from its second for a moment.
        let may = [since, since.saturating_sub(CHECK)].map(|since| (warm.weight(full, since), warm.limit(50, since)));
        assert!(may.contains(&now), "after {since:?}: {now:?}, not {may:?}");
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        world.settle(Duration::from_millis(70));
    }
    assert!(seen.len() > 3 && seen[0] == (Weight::sixteenths(100), 1), "{seen:?}");
    seen.last() == Some(&(full, 50))
}

fn warming(seed: u64) {
    let world = SimWorld::new(seed);
    world.set_latency(Duration::ZERO, Duration::from_millis(3));
    let check = " weight 100 check inter 200ms fall 1 rise 1 slowstart 9500ms";
    let text = config(&world, check).replace("server w1 10.0.1.1:8080", "server w1 10.0.1.1:8080 maxconn 50");
    let proxy = SimProxy::start(&world, &text, 1);
    let _origins = origins(&world);
    let backend = proxy.process.topology.backends.iter().find(|b| b.name() == "web").expect("a backend").clone();
    world.settle(Duration::from_secs(2));
    // Nobody warms up at the start.
    assert_eq!(backend.policy().weight(ServerId(0)), Weight::units(100));
    assert_eq!(backend.servers()[0].limit(&backend), 50);
    for (seconds, whole) in [(5, false), (12, true)] {
        world.on_connect(&addr(ORIGIN), Some(ConnectFault::Refuse));
        until(&world, &backend, ServerState::Down);
        world.on_connect(&addr(ORIGIN), None);
        until(&world, &backend, ServerState::Up);
        assert_eq!(follow(&world, &backend, Duration::from_secs(seconds)), whole);
    }
    proxy.end();
}

#[test]
fn a_server_that_comes_up_warms_up() {
    seeds(10, &[], warming);
}
