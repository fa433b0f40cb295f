//! `tune.maxaccept`: how many connections a listener takes before the streams of its thread run again.

use crate::peers::*;
use crate::proxy::SimProxy;
use lb_rt::Rt;
use lb_rt::sim::{SimWorld, seeds};
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
