//! Mode tcp without faults: every byte arrives, in both directions, half-closes are kept, each line says `--`.

use crate::peers::*;
use crate::proxy::SimProxy;
use lb_rt::Rt;
use lb_rt::sim::{SimWorld, seeds};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

const FRONT: &str = "10.0.0.1:80";
const ORIGINS: [&str; 2] = ["10.0.1.1:8080", "10.0.1.2:8080"];

fn config(world: &SimWorld) -> String {
    let pick = |lines: &[&str]| lines[world.below(lines.len() as u64) as usize].to_owned();
    let maxconn = pick(&["", "", " maxconn 1"]);
    format!(
        "global\n {nosplice}\n {pipes}\ndefaults\n mode tcp\n log @LOG@ local0\n option tcplog\n timeout connect 1m\n timeout client 1h\n timeout server 1h\n timeout queue 1h\n\
         frontend fe\n bind {FRONT}\n {splice}\n default_backend be\n\
         backend be\n balance {balance}\n server s1 {a}{maxconn}\n server s2 {b}{maxconn}\n",
        nosplice = pick(&["", "", "nosplice"]),
        pipes = pick(&["", "", "maxpipes 1", "tune.pipesize 8192"]),
        splice = pick(&["", "", "option splice-auto"]),
        balance = pick(&["roundrobin", "leastconn", "source"]),
        a = ORIGINS[0],
        b = ORIGINS[1],
    )
}

fn run(seed: u64) {
    const CLIENTS: u64 = 6;
    let world = SimWorld::new(seed);
    let proxy = SimProxy::start(&world, &config(&world), 1 + world.below(3) as usize);
    proxy.must_not_stall();
    let lengths: Rc<Vec<(u64, u64)>> = Rc::new((0..CLIENTS).map(|_| (length(&world), length(&world))).collect());
    let served = Rc::new(Cell::new(0));
    let origins = Rt::simulated(&world);
    for at in ORIGINS {
        let (world, rt, lengths, served) = (world.clone(), origins.clone(), lengths.clone(), served.clone());
        origin(&origins, at, move |socket| {
            let (world, rt, lengths, served) = (world.clone(), rt.clone(), lengths.clone(), served.clone());
            async move {
                // The first byte says which client it is.
                let mut number = [0];
                assert_eq!(socket.read(&mut number).await.expect("a number"), 1);
                let n = u64::from(number[0]);
                let (up, down) = lengths[n as usize];
                let (sent, got) = both(
                    async {
                        send_stream(&world, &rt, &socket, 2 * n, down).await?;
                        pause(&world, &rt, 2, Duration::from_secs(1)).await;
                        socket.shutdown_write()
                    },
                    receive_stream(&world, &rt, &socket, 2 * n + 1),
                )
                .await;
                sent.expect("down");
                assert_eq!(got.expect("up"), up);
                served.set(served.get() + 1);
            }
        });
    }
    let clients = Rt::simulated(&world);
    let done = Rc::new(Cell::new(0));
    for n in 0..CLIENTS {
        let (world, rt, lengths, done) = (world.clone(), clients.clone(), lengths.clone(), done.clone());
        clients.spawn(async move {
            pause(&world, &rt, 2, Duration::from_millis(50)).await;
            let socket = connect(&rt, FRONT).await.expect("connect");
            let (up, down) = lengths[n as usize];
            let (sent, got) = both(
                async {
                    socket.write_all(&[n as u8]).await?;
                    send_stream(&world, &rt, &socket, 2 * n + 1, up).await?;
                    pause(&world, &rt, 2, Duration::from_secs(1)).await;
                    socket.shutdown_write()
                },
                receive_stream(&world, &rt, &socket, 2 * n),
            )
            .await;
            sent.expect("up");
            assert_eq!(got.expect("down"), down);
            done.set(done.get() + 1);
        });
    }
    world.run_until(|| done.get() == CLIENTS && served.get() == CLIENTS);
    proxy.drain(0);
    let lines = proxy.lines();
    assert_eq!(lines.len() as u64, CLIENTS);
    let mut bytes: Vec<u64> = lines.iter().map(|l| l.bytes).collect();
    let mut sent: Vec<u64> = lengths.iter().map(|l| l.1).collect();
    bytes.sort_unstable();
    sent.sort_unstable();
    assert_eq!(bytes, sent, "bytes of the log and bytes sent");
    for line in &lines {
        assert_eq!(line.end, "--", "{}", line.text);
    }
    assert!(proxy.told().is_empty(), "{:?}", proxy.told());
    proxy.end();
}

#[test]
fn relays_are_byte_exact() {
    seeds(60, &[], run);
}
