//! What moves the state of a server beside its checks: another server that it tracks, an agent, errors in its traffic; and what becomes
//! of sessions. Each scenario runs through this program and, where that is installed, through haproxy: the same lines in the same order.

mod common;

use lb_testkit::fixture::{TempDir, fill};
use lb_testkit::ports;
use lb_testkit::process::{HAPROXY, Process};
use lb_testkit::runtime::ask;
use lb_testkit::syslog::Syslog;
use lb_testkit::wait::{must, patience};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PREAMBLE: &str = "\
global
    log 127.0.0.1:{log} local0
    log-tag test
    stats socket {dir}/admin level admin
    max-spread-checks 10ms
defaults
    mode http
    timeout connect 1s
    timeout client 10s
    timeout server 10s
";

/// Says the same to everybody who connects; with `{hold}` it takes a request and never answers.
struct Speaker {
    port: u16,
    text: Arc<Mutex<String>>,
}

impl Speaker {
    fn new(text: &str) -> Speaker {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let text = Arc::new(Mutex::new(text.to_owned()));
        let said = text.clone();
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let text = said.lock().unwrap().clone();
                if text == "{hold}" {
                    held.push(stream);
                    continue;
                }
                std::thread::spawn(move || {
                    if text.starts_with("HTTP/") {
                        let _ = stream.read(&mut [0; 4096]);
                    }
                    let _ = stream.write_all(text.as_bytes());
                    let _ = stream.shutdown(std::net::Shutdown::Write);
                    let _ = stream.read(&mut [0; 4096]);
                });
            }
        });
        Speaker { port, text }
    }

    fn says(&self, text: &str) {
        *self.text.lock().unwrap() = text.to_owned();
    }
}

/// One of the two programs, with servers of its own.
struct Side {
    process: Process,
    log: Syslog,
    ports: [u16; 3],
    /// An HTTP origin, at first well.
    origin: Speaker,
    /// An agent, or another origin.
    agent: Speaker,
    lines: Vec<String>,
}

impl Side {
    fn start(program: &Path, config: &str) -> Side {
        let (origin, agent) = (Speaker::new("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), Speaker::new("up\n"));
        let log = Syslog::udp().unwrap();
        for _ in 0..5 {
            let dir = TempDir::new("states").unwrap();
            let ports = [ports::free_tcp(), ports::free_tcp(), ports::free_tcp()];
            let mut values: Vec<(String, String)> = vec![("dir".into(), dir.path().display().to_string())];
            for (name, port) in
                [("log", log.port()), ("o", origin.port), ("a", agent.port), ("p", ports[0]), ("q", ports[1]), ("dead", ports[2])]
            {
                values.push((name.into(), port.to_string()));
            }
            match Process::proxy(dir, program, &fill(&format!("{PREAMBLE}{config}"), &values), &ports[..1]) {
                Ok(process) => {
                    must("the socket is there", || process.dir().join("admin").exists());
                    return Side { process, log, ports, origin, agent, lines: Vec::new() };
                }
                Err(e) if e.is_port_clash() => continue,
                Err(e) => panic!("{e}"),
            }
        }
        panic!("no free port in five tries");
    }

    fn ask(&self, command: &str) -> String {
        ask(&self.process.dir().join("admin"), command).unwrap().trim().to_owned()
    }

    /// Level and text of all lines so far, without what differs from run to run.
    fn logged(&self) -> Vec<String> {
        let plain = |line: &String| {
            let (level, rest) = line.split_once('>').unwrap();
            let text = rest.split_once("]: ").unwrap().1.trim_end();
            let text = match text.split_once("check duration: ") {
                Some((before, after)) => format!("{before}check duration: {}", after.trim_start_matches(|c: char| c.is_ascii_digit())),
                None => text.to_owned(),
            };
            // Which stream is counted out first is chance.
            format!("{level}> {}", text.replace("1 sessions active", "0 sessions active"))
        };
        self.log.text().iter().map(plain).collect()
    }

    /// After `act` so many more lines come; they are noted.
    #[track_caller]
    fn after(&mut self, act: impl FnOnce(&Side), lines: usize) {
        let before = self.logged().len();
        act(self);
        must(&format!("{lines} lines behind {:#?}", self.logged()), || self.logged().len() >= before + lines);
        self.lines = self.logged();
    }

    /// A command that is answered so, and so many lines.
    #[track_caller]
    fn command(&mut self, command: &str, answer: &str, lines: usize) {
        self.after(|side| assert_eq!(side.ask(command), answer, "{command}"), lines);
    }

    /// Columns of a server's row in `show stat`.
    fn stat(&self, backend: &str, server: &str, columns: &[&str]) -> Vec<String> {
        let table = self.ask("show stat");
        let mut rows = table.lines();
        let head: Vec<&str> = rows.next().unwrap().trim_start_matches("# ").split(',').collect();
        let row = rows.find(|row| row.starts_with(&format!("{backend},{server},"))).unwrap();
        // Quotes keep commas together.
        let quoted = row.split('"').enumerate().map(|(n, part)| if n % 2 == 1 { part.replace(',', ";") } else { part.to_owned() });
        let row = quoted.collect::<String>();
        let cells: Vec<&str> = row.split(',').collect();
        columns.iter().map(|name| cells[head.iter().position(|h| h == name).unwrap()].trim_start_matches("* ").to_owned()).collect()
    }

    #[track_caller]
    fn must_show(&self, backend: &str, server: &str, columns: &[&str], values: &[&str]) {
        let mut last = Vec::new();
        let shown = lb_testkit::wait::until(patience(), || {
            last = self.stat(backend, server, columns);
            last == values
        });
        assert!(shown, "{backend}/{server} shows {last:?}, not {values:?}");
    }
}

/// Runs a scenario through both programs and compares their lines.
#[track_caller]
fn beside(config: &str, scenario: impl Fn(&mut Side)) {
    let run = |program: PathBuf| {
        let mut side = Side::start(&program, config);
        scenario(&mut side);
        side.lines.clone()
    };
    let ours = run(common::program());
    if Path::new(HAPROXY).exists() && !common::is_other() {
        let theirs = run(HAPROXY.into());
        let differs = ours.iter().zip(&theirs).position(|(a, b)| a != b).unwrap_or(ours.len().min(theirs.len()));
        assert_eq!(ours[differs..], theirs[differs..]);
    }
}

#[test]
fn servers_follow_the_one_that_they_track() {
    // A check in a hundred seconds does not come between.
    let config = "listen l\n bind 127.0.0.1:{p}\n server z 127.0.0.1:{o}\n\
        backend a\n log global\n option httpchk\n server s 127.0.0.1:{o} check inter 100s\n\
        backend b\n log global\n server t 127.0.0.1:{o} track a/s\n server u 127.0.0.1:{o} track t backup\n\
        backend c\n log global\n server v 127.0.0.1:{o} track b/u weight 5\n server w 127.0.0.1:{o} track a/s disabled\n";
    beside(config, |side| {
        must("the check has ended", || side.stat("a", "s", &["check_status"]) == ["L7OK"]);
        side.command("set server a/s health down", "", 7);
        side.must_show("b", "t", &["status", "tracked", "chkdown"], &["DOWN", "a/s", ""]);
        side.command("set server b/t health up", "cannot change health on a tracking server.", 0);
        side.command("set server a/s state maint", "", 4);
        side.must_show("c", "v", &["status", "tracked"], &["MAINT (via b/u)", "b/u"]);
        side.command("set server a/s state ready", "", 5);
        side.must_show("c", "v", &["status"], &["UP 1/3"]);
        side.command("set server a/s health stopping", "", 7);
        side.must_show("c", "v", &["status"], &["NOLB"]);
        side.command("set server a/s health up", "", 4);
        side.command("set server b/t state maint", "", 5);
        side.command("set server a/s state maint", "", 2);
        side.command("set server b/t state ready", "", 1);
        side.command("set server a/s state ready", "", 5);
        side.command("set server b/t state drain", "", 5);
        side.command("set server a/s state drain", "", 3);
        side.command("set server b/t state ready", "", 1);
        side.command("set server a/s state ready", "", 4);
        side.command("set server a/s state maint", "", 7);
        side.command("set server a/s state drain", "", 9);
        side.command("set server a/s state ready", "", 4);
        side.command("set server c/w state ready", "", 1);
        side.command("set server a/s state drain", "", 8);
        let table = side.ask("show servers state");
        let table = table.lines().skip(2).map(|line| line.split(' ').take(7).collect::<Vec<_>>().join(" "));
        side.lines.extend(table.collect::<Vec<_>>());
    });
}

#[test]
fn a_backend_loses_its_last_server_by_its_weight() {
    let config = "listen l\n bind 127.0.0.1:{p}\n server z 127.0.0.1:{o}\n\
        backend b\n log global\n server s 127.0.0.1:{o}\n server t 127.0.0.1:{o}\n server u 127.0.0.1:{o} disabled\n";
    beside(config, |side| {
        let down_for_a_while = |side: &Side| must("time passes", || side.stat("b", "BACKEND", &["downtime"]) != ["0"]);
        side.command("set weight b/s 0", "", 0);
        side.command("set server b/t weight 0%", "", 1);
        side.must_show("b", "BACKEND", &["status", "weight", "chkdown"], &["DOWN", "0", "1"]);
        down_for_a_while(side);
        // What is given back by weight alone has been no time without service.
        side.command("set weight b/t 100%", "", 0);
        side.must_show("b", "BACKEND", &["status", "chkdown", "downtime"], &["UP", "1", "0"]);
        side.command("set weight b/s 100%", "", 0);
        side.command("set server b/s state drain", "", 1);
        side.command("set weight b/t 0", "", 1);
        down_for_a_while(side);
        side.command("set server b/s state ready", "", 1);
        side.must_show("b", "BACKEND", &["status", "chkdown"], &["UP", "2"]);
        let downtime = side.stat("b", "BACKEND", &["downtime"]);
        assert_ne!(downtime, ["0"]);
        side.command("disable server b/s", "", 2);
        side.command("set weight b/t 100%", "", 0);
        side.command("enable server b/s", "", 1);
        side.command("enable server b/u", "", 1);
        side.must_show("b", "BACKEND", &["status", "weight", "chkdown", "downtime"], &["UP", "3", "3", &downtime[0]]);
        let columns = |line: &str| {
            let all: Vec<&str> = line.split(' ').collect();
            // Without the address and the seconds since the last change.
            [3, 5, 6, 7, 8, 10, 11, 12, 13, 14].map(|at| all[at]).join(" ")
        };
        let table = side.ask("show servers state b");
        let table: Vec<String> = table.lines().skip(2).map(columns).collect();
        // Health that maintenance took from one that nobody checks does not come back.
        assert_eq!(table, ["s 2 0 1 1 1 0 0 0 0", "t 2 0 1 1 1 0 2 0 0", "u 2 4 1 1 1 0 0 8 0"]);
    });
}

#[test]
fn a_404_lets_a_server_and_its_followers_finish_what_they_have() {
    let config = "listen l\n bind 127.0.0.1:{p}\n server z 127.0.0.1:{o}\n\
        backend a\n log global\n option httpchk\n http-check disable-on-404\n server s 127.0.0.1:{o} check inter 50 fall 1 rise 2\n\
        backend b\n log global\n http-check disable-on-404\n server t 127.0.0.1:{o} track a/s\n server u 127.0.0.1:{o} track t backup\n";
    beside(config, |side| {
        must("the check has ended", || side.stat("a", "s", &["check_status"]) == ["L7OK"]);
        let answer = |status: &str| format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        side.after(|side| side.origin.says(&answer("404 Leaving")), 5);
        side.must_show("a", "s", &["status", "check_status", "check_code"], &["NOLB", "L7OKC", "404"]);
        side.must_show("b", "u", &["status"], &["NOLB"]);
        side.after(|side| side.origin.says(&answer("200 OK")), 3);
        side.after(|side| side.origin.says(&answer("500 Oops")), 5);
        side.origin.says(&answer("404 Leaving"));
        // One that is down is not brought up by it.
        side.must_show("a", "s", &["status", "check_status", "check_code"], &["DOWN", "L7STS", "404"]);
        side.after(|side| side.origin.says(&answer("200 OK")), 3);
    });
}

#[test]
fn an_agent_says_what_a_server_is() {
    let config = "listen l\n bind 127.0.0.1:{p}\n server z 127.0.0.1:{o}\n\
        backend b\n log global\n option httpchk\n server s 127.0.0.1:{o} check inter 100s weight 10 maxconn 50 agent-check agent-port {a} agent-inter 50\n\
        backend c\n log global\n option log-health-checks\n balance static-rr\n server s 127.0.0.1:{o} agent-check agent-port {a} agent-inter 50 weight 10\n";
    beside(config, |side| {
        side.must_show("b", "s", &["status", "agent_status", "agent_code", "last_agt"], &["UP", "L7OK", "0", "via agent : up"]);
        must("both have been asked", || side.logged().len() == 1);
        side.agent.says("75% maxconn:30\n");
        side.must_show("b", "s", &["weight", "slim", "agent_status", "agent_desc"], &["7", "30", "CHECKED", "No status change"]);
        let refused = "agent warns : Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.";
        // haproxy writes the line end that it has in this text.
        side.must_show("c", "s", &["weight", "slim", "last_agt"], &["10", "30", refused]);
        side.agent.says("100%\n");
        side.must_show("b", "s", &["weight"], &["10"]);
        let one = |side: &mut Side, says: &str, lines: [usize; 2]| {
            // Each backend for itself: which agent is asked first is chance.
            for (name, lines) in ["b", "c"].into_iter().zip(lines) {
                let of = |side: &Side| {
                    let named = |line: &&String| line.contains(&format!(" {name}/s")) || line.contains(&format!("backend {name} "));
                    side.logged().iter().filter(named).cloned().collect::<Vec<_>>()
                };
                if name == "b" {
                    side.agent.says(says);
                }
                let wanted = side.lines.iter().filter(|line| line.starts_with(&format!("{name}:"))).count() + lines;
                must(&format!("{lines} lines of {name} for {says:?} behind {:#?}", of(side)), || of(side).len() >= wanted);
                let new: Vec<String> = of(side).into_iter().skip(wanted - lines).map(|line| format!("{name}: {line}")).collect();
                side.lines.extend(new);
            }
        };
        let first: Vec<String> = side.logged().into_iter().map(|line| format!("c: {line}")).collect();
        side.lines = first;
        one(side, "drain\n", [2, 2]);
        one(side, "ready\n", [1, 1]);
        one(side, "maint\n", [2, 2]);
        one(side, "up ready\n", [1, 1 + 1]);
        one(side, "down\n", [2, 3]);
        side.must_show("b", "s", &["status", "agent_health"], &["DOWN (agent)", "0"]);
        side.must_show("c", "s", &["status", "chkdown"], &["DOWN (agent)", ""]);
        one(side, "up\n", [1, 2]);
        one(side, "stopped # gone, for good\n", [2, 3]);
        one(side, "fail#x\n", [0, 0]);
        side.must_show("b", "s", &["status", "last_agt"], &["DOWN (agent)", "agent reports an error : fail#x"]);
        assert_eq!(side.ask("disable agent b/s"), "");
        assert_eq!(side.ask("set server b/s agent up"), "agent checks are not enabled on this server.");
        side.must_show("b", "s", &["status", "agent_status", "last_agt"], &["DOWN 2/2", "", ""]);
        assert_eq!(side.ask("enable agent b/s"), "");
        let port = side.agent.port;
        assert_eq!(side.ask("set server b/s agent-port 70000"), "provided port is invalid");
        assert_eq!(side.ask("set server b/s agent-addr nowhere"), "invalid addr 'nowhere'");
        assert_eq!(side.ask(&format!("set server b/s agent-addr 127.0.0.1 port {port}")), "");
        assert_eq!(side.ask("set server b/s agent perhaps"), "'set server <srv> agent' expects 'up' or 'down'.");
        assert_eq!(side.ask("set server l/z agent-port 3"), "agent checks are not enabled on this server");
        assert_eq!(side.ask("enable agent l/z"), "Agent was not configured on this server, cannot enable.");
        // The lines of the two backends come in any order.
        side.lines.sort();
    });
}

fn get(port: u16) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(patience())).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn errors_in_traffic_count_as_on_error_says() {
    for (mode, answers, level) in [
        ("fastinter", ["500"; 6], "4"),
        ("fail-check", ["500"; 6], "2"),
        ("sudden-death", ["500"; 6], "0"),
        ("mark-down", ["500", "500", "500", "503", "503", "503"], "0"),
    ] {
        let config = format!(
            "frontend f\n bind 127.0.0.1:{{p}}\n default_backend b\nfrontend g\n bind 127.0.0.1:{{q}}\n default_backend c\n\
             backend b\n log global\n retries 0\n option log-health-checks\n option httpchk\n server s 127.0.0.1:{{a}} check port {{o}} inter 100s fall 3 observe layer7 error-limit 3 on-error {mode}\n\
             backend c\n log global\n retries 0\n server s 127.0.0.1:{{dead}} check port {{o}} inter 100s fall 3 observe layer4 error-limit 6 on-error {mode}\n"
        );
        beside(&config, |side| {
            side.agent.says("HTTP/1.0 500 Oops\r\n\r\n");
            must("the checks have ended", || ["b", "c"].map(|b| side.stat(b, "s", &["check_health"])) == [["4"], ["4"]]);
            let got: Vec<String> = (0..6).map(|_| get(side.ports[0])).collect();
            assert_eq!(got, answers, "{mode}");
            side.must_show("b", "s", &["check_health"], &[level]);
            for _ in 0..6 {
                assert_eq!(get(side.ports[1]), "503", "{mode}");
            }
            let columns = ["status", "check_status", "check_health", "chkfail", "chkdown", "hanafail", "last_chk"];
            let shown = ["b", "c"].map(|backend| side.stat(backend, "s", &columns).join(" "));
            side.lines.extend(shown);
        });
    }
}

#[test]
fn sessions_end_with_their_server_and_backups_with_its_return() {
    let config = "frontend f\n log global\n bind 127.0.0.1:{p}\n option httplog\n default_backend h\n\
        listen t\n log global\n mode tcp\n option tcplog\n bind 127.0.0.1:{q}\n server a 127.0.0.1:{a} on-marked-down shutdown-sessions on-marked-up shutdown-backup-sessions\n server b 127.0.0.1:{a} backup\n\
        backend h\n server a 127.0.0.1:{a} on-marked-down shutdown-sessions on-marked-up shutdown-backup-sessions\n server b 127.0.0.1:{a} backup\n";
    // Who, and how it ended.
    let ends = |lines: Vec<String>| -> Vec<String> {
        let end = |line: &String| {
            let words: Vec<&str> = line.split(' ').collect();
            let server = words.iter().find(|w| w.ends_with("/a") || w.ends_with("/b")).filter(|_| words[1].starts_with("127."))?;
            let state = words.iter().find(|w| w.starts_with(['D', 'U']) && w.len() <= 4)?;
            Some(format!("{server} {state}"))
        };
        let mut ends: Vec<String> = lines.iter().filter_map(end).collect();
        ends.sort();
        ends
    };
    let open = |side: &Side| -> Vec<TcpStream> {
        let open = |port: &u16| {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).unwrap();
            stream.set_read_timeout(Some(patience())).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
            stream
        };
        let streams = side.ports[..2].iter().map(open).collect();
        must("both have their servers", || ["h", "t"].iter().all(|b| side.stat(b, "BACKEND", &["scur"]) == ["1"]));
        must("both are connected", || {
            side.ask("show stat")
                .lines()
                .filter(|l| l.contains(",a,") || l.contains(",b,"))
                .filter(|l| l.split(',').nth(4) == Some("1"))
                .count()
                == 2
        });
        streams
    };
    let status = |mut stream: TcpStream| {
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    beside(config, |side| {
        side.agent.says("{hold}");
        let mut answers = Vec::new();
        for (state, server) in [("health down", "a"), ("health up", "b"), ("state maint", "a"), ("state ready", "b")] {
            let streams = open(side);
            for backend in ["h", "t"] {
                side.ask(&format!("set server {backend}/a {state}"));
            }
            let wanted = answers.len() + 2;
            answers.extend(streams.into_iter().map(status));
            must(&format!("the streams of {server} have ended {:#?}", side.logged()), || ends(side.logged()).len() == wanted);
        }
        assert_eq!(answers, ["502", "", "502", "", "502", "", "502", ""]);
        assert_eq!(ends(side.logged()), ["h/a DH--", "h/a DH--", "h/b UH--", "h/b UH--", "t/a D-", "t/a D-", "t/b U-", "t/b U-"]);
        // A drain ends nothing.
        let streams = open(side);
        side.ask("set server h/a state drain");
        side.ask("set server t/a state drain");
        for stream in &streams {
            stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            let mut stream = stream;
            assert!(stream.read(&mut [0; 1]).is_err());
        }
    });
}
