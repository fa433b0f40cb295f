//! `vrrpd` and keepalived in the same situations, one after the other, in network namespaces. Run by `cargo xtask bench vrrp`, which makes a
//! table of the lines: row, figure, unit, limit, values of ours, values of keepalived, with tabs between. Needs root.
//!
//! The client asks the virtual address every millisecond over the bridge; a host that has it answers with its own letter. So a router
//! that is only killed is seen too: its host goes on to answer, until clients are told of the new one.
#![allow(clippy::disallowed_methods)] // This is about time.

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/common/steady.rs"]
mod steady;
#[path = "../tests/common/wire.rs"]
mod wire;

use common::{Net, Router, VIP, VRRPD, conf, how_many, many, may_run, run, until};
use rustix::process::Signal;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};
use steady::{Pulse, hog, urgent_conf};

const KEEPALIVED: &str = "keepalived";
/// Over which processor time and adverts are counted.
const WINDOW: Duration = Duration::from_secs(10);
/// How long the machine is busy.
const BUSY: Duration = Duration::from_secs(60);
/// How long a master is stopped.
const PAUSE: Duration = Duration::from_secs(5);

/// A figure of a run: its name, unit and limit, and the value.
type Measured = (&'static str, &'static str, Option<f64>, f64);

struct Row {
    name: &'static str,
    /// Not repeated: it is long.
    once: bool,
    run: fn(&str) -> Vec<Measured>,
}

const SECOND: &str = "";
const HUNDREDTH: &str = " version 3\n advert_int 0.01";

const ROWS: &[Row] = &[
    Row { name: "cut", once: false, run: |program| death(program, SECOND, true, 3700.0) },
    Row { name: "kill", once: false, run: |program| death(program, SECOND, false, 3700.0) },
    Row { name: "cut-fast", once: false, run: |program| death(program, HUNDREDTH, true, 60.0) },
    Row { name: "kill-fast", once: false, run: |program| death(program, HUNDREDTH, false, 60.0) },
    Row { name: "stop", once: false, run: |program| stop(program, program, "", 50.0) },
    // The skew of keepalived: (256 - 100) / 256 of a second.
    Row { name: "stop-to-keepalived", once: false, run: |program| stop(program, KEEPALIVED, "", 609.4 + 50.0) },
    Row { name: "stop-vmac", once: false, run: |program| stop(program, program, " use_vmac", 609.4 + 50.0) },
    Row { name: "pause", once: false, run: pause },
    Row { name: "255", once: false, run: |program| scale(program, "", None, Some((0.9, 8.0))) },
    Row { name: "255-tenth", once: false, run: |program| scale(program, " version 3\n advert_int 0.1", Some(10), None) },
    Row { name: "255-vmac", once: false, run: |program| scale(program, " use_vmac", None, None) },
    Row { name: "busy", once: true, run: busy },
];

fn main() {
    if !may_run() {
        return;
    }
    let mut rounds = 3;
    let mut names = Vec::new();
    for word in std::env::args().skip(1).filter(|word| word != "--bench") {
        match word.strip_prefix("rounds=").and_then(|n| n.parse::<usize>().ok()) {
            Some(number) => rounds = number.max(1),
            None => names.push(word),
        }
    }
    if let Some(unknown) = names.iter().find(|name| ROWS.iter().all(|row| row.name != **name)) {
        eprintln!("{unknown}: no such row; there are: {}", ROWS.iter().map(|r| r.name).collect::<Vec<_>>().join(" "));
        std::process::exit(2);
    }
    for row in ROWS.iter().filter(|row| names.is_empty() || names.iter().any(|name| name == row.name)) {
        let (mut own, mut peer) = (Vec::new(), Vec::new());
        for round in 0..if row.once { 1 } else { rounds } {
            eprintln!("{}: round {}", row.name, round + 1);
            own.push((row.run)(VRRPD));
            peer.push((row.run)(KEEPALIVED));
        }
        for (at, (what, unit, limit, _)) in own[0].iter().enumerate() {
            let values = |of: &[Vec<Measured>]| of.iter().map(|round| format!("{:.4}", round[at].3)).collect::<Vec<_>>().join(" ");
            let limit = limit.map(|l| l.to_string()).unwrap_or_default();
            println!("{}\t{what}\t{unit}\t{limit}\t{}\t{}", row.name, values(&own), values(&peer));
        }
    }
}

/// Answers on a host for the virtual address, with its letter.
fn answer(net: &Net, host: &'static str) {
    net.set(host, "ipv4/ip_nonlocal_bind", "1");
    let socket = net.within(host, || UdpSocket::bind(format!("{VIP}:7")).expect("a socket"));
    // It ends with this program; the namespace is gone long before.
    std::thread::spawn(move || {
        let _ = lb_sys::process::set_realtime(10);
        while let Ok((_, from)) = socket.recv_from(&mut [0; 8]) {
            let _ = socket.send_to(host.as_bytes(), from);
        }
    });
}

/// Asks for the virtual address: when it was answered, and by whom.
struct Client {
    stop: Arc<AtomicBool>,
    /// The other host has answered.
    moved: Arc<AtomicBool>,
    thread: JoinHandle<Vec<(Instant, u8)>>,
}

impl Client {
    fn start(net: &Net) -> Client {
        let (stop, moved) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (ended, other) = (stop.clone(), moved.clone());
        let socket = net.within("s", || {
            let socket = UdpSocket::bind("10.9.0.9:0").expect("a socket");
            socket.connect(format!("{VIP}:7")).expect("a route");
            socket.set_nonblocking(true).expect("it does not wait");
            socket
        });
        let thread = std::thread::spawn(move || {
            let _ = lb_sys::process::set_realtime(10);
            let mut answers = Vec::new();
            let mut letter = [0];
            while !ended.load(Ordering::Relaxed) {
                let _ = socket.send(b"x");
                sleep(Duration::from_millis(1));
                while socket.recv(&mut letter).is_ok() {
                    answers.push((Instant::now(), letter[0]));
                    if letter[0] == b'b' {
                        other.store(true, Ordering::Relaxed);
                    }
                }
            }
            answers
        });
        Client { stop, moved, thread }
    }

    fn end(self) -> Vec<(Instant, u8)> {
        self.stop.store(true, Ordering::Relaxed);
        let answers = self.thread.join().expect("it only asks");
        assert!(answers.len() > 10, "the address was answered");
        answers
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn urgent(priority: u8, lines: &str) -> String {
    // With its usual 10 ms keepalived is killed by the kernel now and then, in the middle of a change.
    format!("global_defs {{\n vrrp_rt_priority 20\n vrrp_rlimit_rttime 5000000\n}}\n{}", conf(priority, lines))
}

/// A master on a, a backup on b, and a client.
fn pair(net: &Net, first: &str, second: &str, lines: &str) -> (Router, Router) {
    run("ip", &format!("-n {}s addr add 10.9.0.9/24 dev br0", net.prefix));
    answer(net, "a");
    answer(net, "b");
    let a = net.start("a", first, &urgent(150, lines));
    until("a master", || net.has("a", VIP));
    let b = net.start("b", second, &urgent(100, lines));
    until("a backup", || b.log().contains("BACKUP STATE"));
    // The second set of announcements has passed.
    sleep(Duration::from_millis(5500));
    (a, b)
}

/// Milliseconds in which nobody answered, and until the other one did.
fn change(net: &Net, what: impl FnOnce()) -> (f64, f64) {
    let client = Client::start(net);
    sleep(Duration::from_millis(500));
    let begun = Instant::now();
    what();
    until("the other answers", || client.moved.load(Ordering::Relaxed));
    sleep(Duration::from_millis(500));
    let answers = client.end();
    let gap = answers.windows(2).map(|two| two[1].0 - two[0].0).max().unwrap_or_default();
    let moved = answers.iter().find(|(_, by)| *by == b'b').map(|(at, _)| at.saturating_duration_since(begun));
    (milliseconds(gap), milliseconds(moved.expect("the other one answers")))
}

fn death(program: &str, lines: &str, cut: bool, limit: f64) -> Vec<Measured> {
    let net = Net::new();
    let (a, _b) = pair(&net, program, program, lines);
    let (gap, moved) = change(&net, || match cut {
        true => net.link("a0", "down"),
        false => kill(&a),
    });
    // A host whose router was killed answers until clients are told of the other one.
    match cut {
        true => vec![("no answer", "ms", Some(limit), gap)],
        false => vec![("until the other answers", "ms", Some(limit), moved), ("no answer", "ms", None, gap)],
    }
}

fn stop(program: &str, other: &str, lines: &str, limit: f64) -> Vec<Measured> {
    let net = Net::new();
    let (a, b) = pair(&net, program, other, lines);
    let (gap, moved) = change(&net, || a.signal(Signal::TERM));
    if gap > limit {
        eprintln!("{gap} ms\n{}\n{}", a.log(), b.log());
    }
    vec![("no answer", "ms", Some(limit), gap), ("until the other answers", "ms", None, moved)]
}

/// A master that stands still and comes back: how long both have the address then.
fn pause(program: &str) -> Vec<Measured> {
    let net = Net::new();
    let (a, b) = pair(&net, program, program, SECOND);
    let all = processes(&a);
    all.iter().for_each(|pid| signal(*pid, Signal::STOP));
    sleep(PAUSE);
    assert!(net.has("b", VIP), "{}", b.log());
    let begun = Instant::now();
    all.iter().for_each(|pid| signal(*pid, Signal::CONT));
    until("one master", || !(net.has("a", VIP) && net.has("b", VIP)));
    vec![("both have the address after a pause", "ms", None, milliseconds(begun.elapsed()))]
}

/// 255 instances: processor time, memory, and what is missing of `per_second` adverts of each.
fn scale(program: &str, lines: &str, per_second: Option<u64>, limits: Option<(f64, f64)>) -> Vec<Measured> {
    let net = Net::new();
    let router = net.start("a", program, &many(150, lines));
    until("all are masters", || how_many(&net, "a") == 255);
    sleep(Duration::from_secs(8));
    let ear = wire::Ear::of(&net);
    let mut counts = [0u64; 256];
    let (before, begun) = (running(&router), Instant::now());
    ear.listen(WINDOW, |_, id, _| counts[usize::from(id)] += 1);
    let (spent, time) = (running(&router) - before, begun.elapsed());
    let largest = processes(&router).into_iter().map(memory).max().unwrap_or_default();
    let mut figures = vec![
        ("processor", "% of a core", limits.map(|l| l.0), spent.as_secs_f64() / time.as_secs_f64() * 100.0),
        ("resident memory", "MB", limits.map(|l| l.1), largest as f64 / 1000.0),
    ];
    if let Some(per_second) = per_second {
        // The first and the last of each may fall out of the window.
        let due = (time.as_secs_f64() * per_second as f64) as u64 - 1;
        let missing: u64 = counts[1..].iter().map(|count| due.saturating_sub(*count)).sum();
        figures.push(("adverts missing", "%", Some(0.0), missing as f64 / (due * 255) as f64 * 100.0));
        figures.push(("adverts", "per second", None, counts.iter().sum::<u64>() as f64 / time.as_secs_f64()));
    }
    figures
}

/// Every core has work, and the master lives.
fn busy(program: &str) -> Vec<Measured> {
    let net = Net::new();
    let _a = net.start("a", program, &urgent_conf(150));
    until("a master", || net.has("a", VIP));
    let b = net.start("b", program, &urgent_conf(100));
    until("a backup", || b.log().contains("BACKUP STATE"));
    sleep(Duration::from_secs(1));
    let before = b.log().matches("Entering MASTER STATE").count();
    let pulse = Pulse::start(&net);
    hog(BUSY);
    let gap = pulse.longest_gap();
    let taken = b.log().matches("Entering MASTER STATE").count() - before;
    vec![
        ("takeovers without cause in 60 s", "count", Some(0.0), taken as f64),
        ("longest gap of a pulse of 10 ms", "ms", None, milliseconds(gap)),
    ]
}

/// A router and what it has started, the youngest last.
fn processes(router: &Router) -> Vec<u32> {
    let mut all = vec![router.child.id()];
    let mut at = 0;
    while let Some(pid) = all.get(at) {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
        at += 1;
    }
    all
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a number of a process");
    // It may have ended with its parent.
    let _ = rustix::process::kill_process(pid, signal);
}

/// Stopped first: what keepalived has started would say goodbye when its parent is gone.
fn kill(router: &Router) {
    let all = processes(router);
    for last in [Signal::STOP, Signal::KILL] {
        all.iter().for_each(|pid| signal(*pid, last));
    }
}

/// What all threads of a router had of a processor.
fn running(router: &Router) -> Duration {
    let of = |pid: u32| {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let text = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok());
        text.filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok()).sum::<u64>()
    };
    Duration::from_nanos(processes(router).into_iter().map(of).sum())
}

/// Resident, in kB.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
