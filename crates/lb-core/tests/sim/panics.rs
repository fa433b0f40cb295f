//! A bug in one stream: its task panics in the middle of moving bytes. The others do not notice, all that the stream held is
//! given back, its line is written, the operator is told.

use crate::ends::{browse, config, origins, talk};
use crate::proxy::SimProxy;
use lb_rt::Rt;
use lb_rt::sim::{SimWorld, seeds};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

fn run(seed: u64) {
    const CLIENTS: usize = 8;
    let world = SimWorld::new(seed);
    world.tolerate_casualties();
    // With `maxconn` in the file, a place that the dead stream kept would leave others waiting until `timeout queue`.
    let proxy = SimProxy::start(&world, &config(&world, ""), 1 + world.below(2) as usize);
    let _origins = origins(&world);
    let trapped = &proxy.threads[world.below(proxy.threads.len() as u64) as usize].0;
    world.trap(trapped, 1 + world.below(60) as u32);
    let clients = Rt::simulated(&world);
    let ended: Rc<RefCell<Vec<(usize, bool)>>> = Rc::default();
    for n in 0..CLIENTS {
        let (w, rt, ended) = (world.clone(), clients.clone(), ended.clone());
        clients.spawn(async move {
            let sound = if n % 2 == 0 { talk(&w, &rt).await.is_ok() } else { browse(&w, &rt, 5).await.is_ok_and(|answers| answers == 5) };
            ended.borrow_mut().push((n, sound));
        });
    }
    world.run_until(|| ended.borrow().len() == CLIENTS);
    assert!(world.elapsed() < Duration::from_secs(3_000), "somebody has waited for a timeout: {:?}", world.elapsed());
    proxy.drain(0);
    let casualties: Vec<_> = proxy.threads.iter().map(|(rt, _)| rt.casualties()).collect();
    let panicked: u64 = casualties.iter().map(|c| c.panicked).sum();
    let failed: Vec<usize> = ended.borrow().iter().filter(|(_, sound)| !sound).map(|(n, _)| *n).collect();
    // One thread may have had fewer calls than the trap asks for; the other one is none of its business.
    assert!(panicked <= 1 && casualties.iter().all(|c| c.spinning == 0), "{casualties:?}");
    assert!(failed.len() as u64 <= panicked, "clients {failed:?} failed for {panicked} panics");
    let lines = proxy.lines();
    let broken: Vec<_> = lines.iter().filter(|l| !l.end.starts_with("--")).collect();
    // A connection that waits for its next request has no line to leave.
    assert!(broken.len() as u64 <= panicked && broken.iter().all(|l| l.end.starts_with('I')), "{broken:?}");
    if let Some(n) = failed.first().filter(|n| **n % 2 == 0) {
        assert_eq!(broken.len(), 1, "the stream of client {n} has left no line");
    }
    let told = proxy.told();
    assert_eq!(told.len() as u64, panicked, "{told:?}");
    assert!(told.iter().all(|t| t.contains("ended by a bug") && t.contains("1 panicked")), "{told:?}");
    proxy.end();
}

#[test]
fn a_panic_ends_its_stream_alone() {
    seeds(60, &[], run);
}
