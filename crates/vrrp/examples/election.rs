//! Three routers and a minute that takes no time: election, the death of a master, its return.
//! `cargo run -p vrrp --example election`

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};
use vrrp::{Action, Config, Event, Instance, Packet};

fn main() -> Result<(), vrrp::ConfigError> {
    // The only look at a clock: from here on time is counted.
    #[allow(clippy::disallowed_methods)]
    let start = Instant::now();
    let mut routers = Vec::new();
    for (number, priority) in [(1, 100), (2, 150), (3, 200)] {
        let mut router = Instance::new(Config { priority, ..Config::new(51, vec![Ipv4Addr::new(192, 0, 2, 1).into()]) })?;
        let source = Some(IpAddr::from([192, 0, 2, 10 + number]));
        router.handle(start, Event::Interface { up: true, source });
        router.handle(start, Event::Start);
        routers.push(router);
    }
    let mut dead = None;
    for tenth in 0..600 {
        let now = start + Duration::from_millis(100) * tenth;
        match tenth {
            200 => dead = Some(2),
            400 => dead = None,
            _ => {}
        }
        for router in (0..routers.len()).filter(|r| Some(*r) != dead) {
            if routers[router].poll_timeout().is_some_and(|at| at <= now) {
                routers[router].handle_timeout(now);
            }
        }
        for router in 0..routers.len() {
            while let Some(action) = routers[router].poll_action() {
                match action {
                    Action::Report(report) => println!("{:5.1} s  router {}  {report}", f64::from(tenth) / 10.0, router + 1),
                    Action::Send(datagram) => {
                        for other in (0..routers.len()).filter(|o| *o != router && Some(*o) != dead && Some(router) != dead) {
                            if let Ok(packet) = Packet::ipv4(&datagram.bytes) {
                                routers[other].handle(now, Event::Packet(packet));
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(())
}
