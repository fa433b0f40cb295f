//! The same servers checked by Debian's haproxy and by us at once: the same lines at the same levels, and each after as many
//! intervals as `rise` and `fall` ask for.
#![allow(clippy::disallowed_methods)] // Tests live in real time.

mod world;

use lb_testkit::fixture::TempDir;
use lb_testkit::ports::free_tcp;
use lb_testkit::process::{HAPROXY, Process};
use lb_testkit::syslog::Syslog;
use lb_testkit::wait::{self, Deadline};
use std::path::Path;
use std::time::{Duration, Instant};
use world::{Origin, Running, ms, without_duration};

/// `inter` of all servers.
const INTER: Duration = ms(200);

fn config(port: u16, log: u16, a: &Origin, b: &Origin, c: &Origin) -> String {
    let (a, b, c) = (a.port, b.port, c.port);
    format!(
        "global\n log 127.0.0.1:{log} local0\n nbthread 2\n\
         defaults\n mode http\n log global\n timeout connect 1s\n timeout client 5s\n timeout server 5s\n default-server check inter 200 fastinter 100 rise 2 fall 3\n\
         frontend f\n bind 127.0.0.1:{port}\n default_backend web\n\
         backend web\n option httpchk GET /health HTTP/1.1\\r\\nHost:\\ test\n server a 127.0.0.1:{a}\n server b 127.0.0.1:{b} backup\n\
         backend plain\n option log-health-checks\n server c 127.0.0.1:{c} fall 1\n server off 127.0.0.1:{c} disabled\n"
    )
}

/// Level and text of the lines that name a backend, without what differs from run to run.
fn lines(log: &Syslog, backend: &str) -> Vec<String> {
    let named = |text: &str| text.contains(&format!(" {backend}/")) || text.contains(&format!("backend {backend} "));
    let split = |line: &String| {
        let (level, rest) = line.split_once('>')?;
        let text = rest.split_once("]: ")?.1;
        named(text).then(|| format!("{level}> {}", without_duration(text)))
    };
    log.text().iter().filter_map(split).collect()
}

/// Both logs, ours second.
struct Logs([Syslog; 2]);

impl Logs {
    /// Waits until both have `needle` for the `nth` time; gives how long each took since `begun`.
    fn wait(&self, begun: Instant, needle: &str, nth: usize) -> [Duration; 2] {
        let mut took = [None; 2];
        wait::must(needle, || {
            for (log, took) in self.0.iter().zip(&mut took) {
                if took.is_none() && log.text().iter().filter(|l| l.contains(needle)).count() >= nth {
                    *took = Some(begun.elapsed());
                }
            }
            took.iter().all(Option::is_some)
        });
        took.map(Option::unwrap)
    }
}

#[track_caller]
fn both_between(took: [Duration; 2], low: Duration, high: Duration) {
    // What a busy machine may add.
    let slack = ms(1500);
    // Clocks tick in milliseconds, and a check that had begun may count.
    let early = ms(20);
    for (who, took) in ["haproxy", "lb"].iter().zip(took) {
        assert!(took + early >= low && took <= high + slack, "{who} took {took:?}, expected {low:?} to {high:?}");
    }
}

#[test]
fn the_same_lines_at_the_same_times() {
    let (mut a, b, mut c) = (Origin::start("a"), Origin::start("b"), Origin::start("c"));
    let logs = Logs([Syslog::udp().unwrap(), Syslog::udp().unwrap()]);
    let port = free_tcp();
    let text = config(port, logs.0[0].port(), &a, &b, &c);
    let haproxy = Process::proxy(TempDir::new("beside").unwrap(), Path::new(HAPROXY), &text, &[port]).unwrap();
    let ours = Running::start(&config(free_tcp(), logs.0[1].port(), &a, &b, &c), 2);
    logs.wait(Instant::now(), "Health check for server plain/c succeeded", 1);
    wait::must("all were checked twice by both", || a.checks() >= 4 && b.checks() >= 4);

    // From full health: the next check fails at once or after one interval, then two more at `fastinter`.
    let begun = Instant::now();
    a.kill();
    both_between(logs.wait(begun, "Server web/a is DOWN", 1), ms(200), INTER + ms(200));
    let begun = Instant::now();
    b.set_status(503);
    both_between(logs.wait(begun, "Backup Server web/b is DOWN", 1), ms(200), INTER + ms(200));
    let begun = Instant::now();
    c.kill();
    both_between(logs.wait(begun, "Server plain/c is DOWN", 1), ms(0), INTER);
    // One success at `inter`, the second at `fastinter`.
    let begun = Instant::now();
    b.set_status(204);
    both_between(logs.wait(begun, "Backup Server web/b is UP", 1), ms(100), INTER + ms(100));
    let begun = Instant::now();
    a.revive();
    both_between(logs.wait(begun, "Server web/a is UP", 1), ms(100), INTER + ms(100));
    let begun = Instant::now();
    c.revive();
    both_between(logs.wait(begun, "Server plain/c is UP", 1), ms(100), INTER + ms(100));
    for log in &logs.0 {
        assert!(log.wait_count(12, Deadline::patient()));
    }
    for backend in ["web", "plain"] {
        assert_eq!(lines(&logs.0[1], backend), lines(&logs.0[0], backend));
    }
    assert_eq!(lines(&logs.0[1], "web").len(), 5);
    assert_eq!(lines(&logs.0[1], "plain").len(), 7);

    // What an operator sees on the terminal.
    let label = |severity| match severity {
        lb_core::worker::Severity::Warning => "[WARNING]  ",
        lb_core::worker::Severity::Notice => "[NOTICE]   ",
        lb_core::worker::Severity::Alert => "[ALERT]    ",
    };
    let shown: Vec<String> = ours.messages().iter().map(|m| format!("{}{}", label(m.1), without_duration(&m.2))).collect();
    let pid = format!("({}) : ", haproxy.pid());
    let theirs: Vec<String> =
        haproxy.stderr().lines().filter(|l| l.contains(&pid)).map(|l| without_duration(&l.replace(&pid, ""))).collect();
    let of = |lines: &[String], backend: &str| -> Vec<String> {
        lines.iter().filter(|l| l.contains(&format!("{backend}/")) || l.contains(&format!("'{backend}'"))).cloned().collect()
    };
    for backend in ["web", "plain"] {
        assert_eq!(of(&shown, backend), of(&theirs, backend));
    }
}
