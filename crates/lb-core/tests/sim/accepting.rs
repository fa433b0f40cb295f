//! Accepting: how many connections a listener takes before the streams of its thread run again (`tune.maxaccept`), and how long headers
//! that stand before a connection are waited for.

use crate::peers::*;
use crate::proxy::SimProxy;
use lb_rt::Rt;
use lb_rt::sim::{SimWorld, seeds};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

const FRONT: &str = "10.0.0.1:80";
const ORIGIN: &str = "10.0.1.1:8080";
const CLIENTS: u32 = 11;

/// The most connections that one turn of the loop has taken of those that came all at once.
fn most_in_a_turn(seed: u64, line: &str) -> u32 {
    let world = SimWorld::new(seed);
    world.calm();
    world.set_latency(Duration::from_millis(1), Duration::from_millis(1));
    let config = format!(
        "global\n {line}\ndefaults\n mode tcp\n log @LOG@ local0\n timeout connect 5s\n timeout client 1h\n timeout server 1h\n\
         listen l\n bind {FRONT}\n server s {ORIGIN}\n"
    );
    let proxy = SimProxy::start(&world, &config, 1);
    let origins = Rt::simulated(&world);
    origin(&origins, ORIGIN, |socket| async move { drop(swallow(&socket).await) });
    let clients = Rt::simulated(&world);
    for _ in 0..CLIENTS {
        let rt = clients.clone();
        clients.spawn(async move {
            let socket = connect(&rt, FRONT).await.expect("connect");
            rt.sleep(Duration::from_secs(1)).await;
            socket.shutdown_write().expect("open");
            let _ = swallow(&socket).await;
        });
    }
    let (mut most, mut before) = (0, 0);
    world.run_until(|| {
        let now = proxy.process.gate.current();
        most = most.max(now - before);
        before = now;
        now == CLIENTS
    });
    world.run_until(|| proxy.process.gate.current() == 0);
    proxy.drain(0);
    proxy.end();
    most
}

#[test]
fn a_burst_is_taken_in_portions() {
    // Without the word it is 4, as with haproxy; 0 asks for that, -1 for no limit.
    for (line, most) in [("tune.maxaccept 1", 1), ("tune.maxaccept 3", 3), ("tune.maxaccept 0", 4), ("", 4), ("tune.maxaccept -1", CLIENTS)]
    {
        seeds(5, &[], |seed| assert_eq!(most_in_a_turn(seed, line), most, "{line:?}"));
    }
}

/// How long a client is waited for that sends half a PROXY header and no more.
fn half_a_header(seed: u64, timeout: &str) -> Duration {
    let world = SimWorld::new(seed);
    world.calm();
    let config = format!(
        "defaults\n mode tcp\n log @LOG@ local0\n timeout connect 5s\n timeout server 1h\n{timeout}listen l\n bind {FRONT} accept-proxy\n server s {ORIGIN}\n"
    );
    let proxy = SimProxy::start(&world, &config, 1);
    let clients = Rt::simulated(&world);
    let rt = clients.clone();
    let waited = Rc::new(Cell::new(None));
    let told = waited.clone();
    clients.spawn(async move {
        let socket = connect(&rt, FRONT).await.expect("connect");
        let began = rt.now();
        socket.write_all(b"PROXY TCP4 1.2").await.expect("it takes it");
        let _ = swallow(&socket).await;
        told.set(Some(rt.now() - began));
    });
    world.run_until(|| waited.get().is_some());
    proxy.drain(0);
    proxy.end();
    waited.get().expect("it has been closed")
}

/// A PROXY header is waited for as long as the client, and for 10 seconds where that has no limit: nobody holds a connection for ever
/// by sending nothing.
#[test]
fn a_header_that_does_not_come() {
    for (timeout, limit) in [("", 10), (" timeout client 3s\n", 3), (" timeout client 1m\n", 60)] {
        seeds(5, &[], |seed| {
            let (waited, limit) = (half_a_header(seed, timeout), Duration::from_secs(limit));
            // The ways there and back, and turns of loops.
            let around = limit - Duration::from_millis(500)..limit + Duration::from_millis(500);
            assert!(around.contains(&waited), "{timeout:?}: {waited:?}");
        });
    }
}
