//! Checks over virtual hours: servers that flap, that are slow, that lie, an agent that says anything, and servers that follow others. Their
//! states are what was to be found out, whoever follows is as its leader at every moment, and a check keeps one descriptor at most.

use crate::peers::*;
use crate::proxy::SimProxy;
use lb_core::proxy::ServerState;
use lb_rt::sim::{SimWorld, seeds};
use lb_rt::{Rt, Socket};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// What each phase of a flapping server lasts: more than it takes to find out.
const PHASE: u32 = 60;
const PHASES: u32 = 60;

const CONFIG: &str = "defaults\n mode http\n log @LOG@ local0\n timeout connect 5s\n timeout server 5s\n\
    backend b\n option httpchk GET /health\n default-server check inter 2s fastinter 1s downinter 5s rise 2 fall 3\n\
    server flap 10.0.1.1:80 slowstart 10s\n server slow 10.0.1.2:80\n server lie 10.0.1.3:80\n\
    server agent 10.0.1.4:80 weight 10 agent-check agent-addr 10.0.1.5 agent-port 99 agent-inter 3s\n\
    backend f\n server t1 10.0.9.9:1 track b/flap\n server t2 10.0.9.9:1 track t1 backup\n server t3 10.0.9.9:1 track b/lie\n";

/// Tasks of checks and agents.
const CHECKS: usize = 5;

/// Reads a request, or what comes of it.
async fn hear(socket: &Socket) {
    let mut buf = [0; 2000];
    let mut heard = Vec::new();
    while let Ok(n @ 1..) = socket.read(&mut buf).await {
        heard.extend_from_slice(&buf[..n]);
        if heard.ends_with(b"\r\n\r\n") {
            return;
        }
    }
}

async fn lie(world: SimWorld, rt: Rt, socket: Socket) {
    // One that does not listen closes with a reset.
    if world.below(4) != 0 {
        hear(&socket).await;
    }
    let answer: &[u8] = match world.below(8) {
        0 => return,
        1 => b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
        2 => b"HTTP/1.1 200 OK\r\n",
        3 => b"HTTP/1.1 99999999999 Huge\r\n\r\n",
        4 => {
            // A head without an end.
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\n").await;
            for _ in 0..40 {
                if socket.write_all(&[b'x'; 5000]).await.is_err() {
                    return;
                }
            }
            return;
        }
        5 => {
            for byte in b"HTTP/1.1 200 OK\r\n\r\n" {
                if socket.write_all(&[*byte]).await.is_err() {
                    return;
                }
                rt.sleep(Duration::from_millis(400)).await;
            }
            return;
        }
        6 => b"HTTP/1.1 200 OK\r\n\r\n",
        _ => b"HTTP/1.0 500 No\r\n\r\n",
    };
    let _ = dribble(&world, &rt, &socket, answer).await;
}

fn hours(seed: u64) {
    let world = SimWorld::new(seed);
    // What is slow here is slow on purpose.
    world.set_latency(Duration::ZERO, Duration::from_millis(5));
    let rt = Rt::simulated(&world);
    let well = Rc::new(Cell::new(true));
    let answers = well.clone();
    origin(&rt, "10.0.1.1:80", move |socket| {
        let answer = if answers.get() { "HTTP/1.1 200 OK\r\n\r\n" } else { "HTTP/1.1 503 Busy\r\n\r\n" };
        async move {
            hear(&socket).await;
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    let (w, r) = (world.clone(), rt.clone());
    origin(&rt, "10.0.1.2:80", move |socket| {
        let (world, rt) = (w.clone(), r.clone());
        async move {
            hear(&socket).await;
            rt.sleep(Duration::from_millis(world.below(4_000))).await;
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        }
    });
    let (w, r) = (world.clone(), rt.clone());
    origin(&rt, "10.0.1.3:80", move |socket| lie(w.clone(), r.clone(), socket));
    origin(&rt, "10.0.1.4:80", |socket| async move {
        hear(&socket).await;
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
    });
    let w = world.clone();
    origin(&rt, "10.0.1.5:99", move |socket| {
        const WORDS: [&str; 12] =
            ["up", "down", "drain", "ready", "maint", "50%", "maxconn:3", "0%", "fail", "stopped # bye", "nonsense", "100% maxconn:0"];
        let words: Vec<&str> = (0..1 + w.below(3)).map(|_| WORDS[w.below(12) as usize]).collect();
        let silent = w.below(10) == 0;
        async move {
            if silent {
                hear(&socket).await;
            } else {
                let _ = socket.write_all(format!("{}\r\n", words.join(" ")).as_bytes()).await;
            }
        }
    });
    let proxy = SimProxy::start(&world, CONFIG, 1 + world.below(2) as usize);
    let topology = proxy.process.topology.backends.clone();
    let state = |backend: usize, server: usize| topology[backend].servers()[server].state();
    let before: usize = proxy.threads.iter().map(|(rt, _)| world.descriptors(rt)).sum();
    let begun = world.elapsed();
    for phase in 0..PHASES {
        well.set(phase % 2 == 0);
        for second in 0..PHASE {
            world.settle(SECOND);
            assert_eq!((state(1, 0), state(1, 1)), (state(0, 0), state(0, 0)), "phase {phase}, second {second}");
            assert_eq!(state(1, 2), state(0, 2), "phase {phase}, second {second}");
            let open: usize = proxy.threads.iter().map(|(rt, _)| world.descriptors(rt)).sum();
            assert!(open <= before + CHECKS, "{open} descriptors, {before} at the start");
        }
        let expected = if well.get() { ServerState::Up } else { ServerState::Down };
        assert_eq!(state(0, 0), expected, "phase {phase}");
    }
    assert!(world.elapsed() - begun >= SECOND * PHASE * PHASES, "an hour has gone by");
    // Each server goes down and comes up by turns, and the one that flaps has done so with each phase.
    let told = proxy.told();
    for name in ["b/flap", "b/slow", "b/lie", "f/t1", "f/t2"] {
        let changes: Vec<bool> = told
            .iter()
            .filter(|line| line.contains(&format!("erver {name} is ")))
            .filter_map(|line| if line.contains(" is DOWN") { Some(false) } else { line.contains(" is UP").then_some(true) })
            .collect();
        assert!(changes.windows(2).all(|pair| pair[0] != pair[1]), "{name}: {changes:?}");
        if name.ends_with("flap") || name.starts_with("f/") {
            assert_eq!(changes.len() as u32, PHASES - 1, "{name}");
        }
    }
    let says = |what: &str| told.iter().any(|line| line.contains("erver b/agent ") && line.contains(what));
    assert!(says("via agent : down") || says("via agent : fail") || says("via agent : stopped (bye)"), "the agent was heard");
    assert!(says("is going DOWN for maintenance") && says("enters drain state"));
    assert!(told.iter().any(|line| line.contains("b/lie is DOWN")) || told.iter().any(|line| line.contains("b/slow is DOWN")));
    // Stopped, nothing of the checks is left.
    proxy.process.stop_softly();
    world.settle(SECOND * 30);
    for (rt, _) in &proxy.threads {
        assert_eq!(rt.live_tasks(), 1, "the main task");
    }
    proxy.end();
}

#[test]
fn servers_that_flap_lie_and_are_slow_for_an_hour() {
    seeds(2, &[], hours);
}
