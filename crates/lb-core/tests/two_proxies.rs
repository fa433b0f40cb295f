//! Two proxies in one process: nothing is shared, neither counts nor the way to stop.
#![allow(clippy::disallowed_methods)] // Tests live in real time.

mod world;

use lb_testkit::http::get;
use lb_testkit::ports::free_tcp;
use lb_testkit::wait;
use world::{Origin, Running};

fn config(front: u16, origin: u16) -> String {
    format!(
        "defaults\n mode http\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n\
         listen l\n bind 127.0.0.1:{front}\n server s 127.0.0.1:{origin}\n"
    )
}

#[test]
fn two_proxies_live_apart() {
    let (one, two) = (Origin::start("one"), Origin::start("two"));
    let (a, b) = (free_tcp(), free_tcp());
    let first = Running::start(&config(a, one.port), 2);
    let second = Running::start(&config(b, two.port), 1);
    wait::must("both run", || first.census(2).len() == 2 && second.census(1).len() == 1);

    for _ in 0..5 {
        assert_eq!(get(("127.0.0.1", a), "/").unwrap().body, b"one");
    }
    assert_eq!(get(("127.0.0.1", b), "/").unwrap().body, b"two");
    let requests = |p: &Running| p.process.requests(&p.process.topology.frontends[0]);
    assert_eq!((requests(&first), requests(&second)), (5, 1));

    // The end of one is not the end of the other.
    drop(first);
    assert!(get(("127.0.0.1", a), "/").is_err(), "it has ended");
    assert_eq!(get(("127.0.0.1", b), "/").unwrap().body, b"two");
}
