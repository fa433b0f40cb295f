//! The master: what it says and to whom, its socket, and what becomes of workers.

mod common;

use common::{OK, is_other, origins, program, serve};
use lb_testkit::fixture::{TempDir, fill};
use lb_testkit::http::{Connection, get};
use lb_testkit::origin::Origin;
use lb_testkit::ports;
use lb_testkit::process::Process;
use lb_testkit::script::Step;
use lb_testkit::wait::{Deadline, must, patience, until};
use rustix::process::{Pid, Signal, test_kill_process};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const SITE: &str = "global
    LINES
defaults
    mode http
    timeout connect 3s
    timeout client 10s
    timeout server 10s
listen fe
    bind 127.0.0.1:{fe}
    server s1 127.0.0.1:{o1}
";

struct Master {
    process: Process,
    file: PathBuf,
    addr: SocketAddr,
    notices: UnixDatagram,
    _dir: TempDir,
    _origin: Origin,
}

impl Master {
    fn start(lines: &str, args: &[&str], origin: Origin) -> Master {
        let dir = TempDir::new("master").unwrap();
        let port = ports::free_tcp();
        let values = [("fe", port.to_string()), ("o1", origin.port().to_string())];
        let values: Vec<(String, String)> = values.into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
        let file = dir.write("proxy.cfg", fill(&SITE.replace("LINES", lines), &values)).unwrap();
        let notices = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        notices.set_read_timeout(Some(patience())).unwrap();
        let mut command = Command::new(program());
        command.env("NOTIFY_SOCKET", dir.path().join("notify")).args(["-Ws", "-f"]).arg(&file).args(args);
        command.arg("-S").arg(dir.path().join("master"));
        let mut process = Process::spawn_command(TempDir::new("proc").unwrap(), command).unwrap();
        match process.wait_listening(&[port]) {
            Ok(()) => {}
            Err(e) if e.is_port_clash() => return Master::start(lines, args, origin),
            Err(e) => panic!("{e}"),
        }
        let master = Master { process, file, addr: ([127, 0, 0, 1], port).into(), notices, _dir: dir, _origin: origin };
        master.notice("READY=1");
        master
    }

    /// The next word to the service manager that begins like this; haproxy 2.6 reloads twice in a row, and says so.
    #[track_caller]
    fn notice(&self, word: &str) -> String {
        loop {
            let mut text = [0; 512];
            let n = self.notices.recv(&mut text).unwrap_or_else(|e| panic!("no {word} to the service manager: {e}"));
            let text = String::from_utf8_lossy(&text[..n]).into_owned();
            if text.starts_with(word) {
                return text;
            }
            assert!(is_other(), "{text:?} in place of {word}");
        }
    }

    fn children(&self) -> Vec<i32> {
        let path = format!("/proc/{0}/task/{0}/children", self.process.pid());
        std::fs::read_to_string(path).unwrap_or_default().split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// What the master's socket answers.
    fn ask(&self, commands: &str) -> String {
        // haproxy's is not there while a master takes its own place.
        let mut stream = None;
        must("the master's socket", || {
            stream = UnixStream::connect(self._dir.path().join("master")).ok();
            stream.is_some()
        });
        let mut stream = stream.unwrap();
        stream.set_read_timeout(Some(patience())).unwrap();
        // One that is sent too much closes before it has read all.
        let _ = stream.write_all(commands.as_bytes()).and_then(|()| stream.shutdown(Shutdown::Write));
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

fn pid(number: i32) -> Pid {
    Pid::from_raw(number).unwrap()
}

#[test]
fn the_service_manager_is_told() {
    let mut master = Master::start("maxconn 100", &[], serve(OK));
    let worker = master.children();
    master.process.signal(Signal::USR2).unwrap();
    master.notice("RELOADING=1");
    master.notice("READY=1");
    must("another worker", || master.children().len() == 1 && master.children() != worker);
    // A file that is wrong: the manager may stop waiting, and nothing has changed.
    let worker = master.children();
    let good = std::fs::read_to_string(&master.file).unwrap();
    std::fs::write(&master.file, good.clone() + "    frobnicate\n").unwrap();
    master.process.signal(Signal::HUP).unwrap();
    master.notice("RELOADING=1");
    let text = master.notice("READY=1");
    assert!(is_other() || text.contains("ailed"), "{text}");
    assert_eq!(master.children(), worker);
    assert_eq!(get(master.addr, "/").unwrap().status, 200);
    assert!(master.process.stderr().contains("frobnicate"));
    // So is an address that cannot be had: the worker fails, not the file.
    if !is_other() {
        std::fs::write(&master.file, good.clone() + "    bind 192.0.2.1:1\n").unwrap();
        master.process.signal(Signal::USR2).unwrap();
        master.notice("RELOADING=1");
        assert!(master.notice("READY=1").contains("ailed"));
        assert_eq!(master.children(), worker);
        assert!(master.ask("show proc\n").contains("3 [failed: 2]"), "{}", master.ask("show proc\n"));
    }
    std::fs::write(&master.file, good).unwrap();
    master.process.signal(Signal::USR2).unwrap();
    master.notice("RELOADING=1");
    master.notice("READY=1");
    must("failures are forgotten", || master.ask("show proc\n").contains("[failed: 0]"));
    master.process.signal(Signal::TERM).unwrap();
    let status = master.process.wait(Deadline::patient()).expect("it ends");
    if !is_other() {
        // haproxy may be about to take its own place a second time, and the signal ends it.
        master.notice("STOPPING=1");
        assert!(status.success(), "{status}");
    }
}

#[test]
fn the_socket_of_the_master() {
    let mut master = Master::start("maxconn 100", &[], serve(OK));
    let worker = master.children()[0];
    let text = master.ask("show proc\n");
    let line = text.lines().find(|line| line.contains(" worker ")).unwrap_or_else(|| panic!("{text}"));
    assert_eq!(line.split_whitespace().take(3).collect::<Vec<_>>(), [worker.to_string().as_str(), "worker", "0"]);
    assert!(text.lines().any(|line| line.contains(" master ") && line.contains("0 [failed: 0]")), "{text}");
    for target in ["@1".to_owned(), format!("@!{worker}")] {
        let text = master.ask(&format!("{target} show info\n"));
        assert!(text.contains(&format!("\nPid: {worker}\n")), "{text}");
    }
    assert!(master.ask("@1 show env HAPROXY_MWORKER\n").contains("HAPROXY_MWORKER=1"));
    assert!(master.ask("@1; show env HAPROXY_MASTER_CLI; @master show version\n").contains("HAPROXY_MASTER_CLI=unix@"));
    assert!(master.ask("@!1 show info\n").contains("Can't find"));
    assert!(master.ask("nonsense\n").contains("quit"));
    assert!(is_other() || master.ask(&"x".repeat(100_000)).is_empty(), "a line without end is not answered");
    assert!(master.ask("operator; show cli level\n").contains("operator"));
    assert!(master.ask("user; reload\n").to_lowercase().contains("permission denied"));
    assert_eq!(master.children(), [worker]);
    // The level goes to the worker with the command.
    if !is_other() {
        let text = master.ask("user; @1 disable server fe/s1\n");
        assert!(text.contains("Permission denied"), "{text}");
    }
    master.ask("reload\n");
    must("another worker", || master.children().len() == 1 && master.children() != [worker]);
    must("it is told so", || master.ask("show proc\n").contains("1 [failed: 0]"));
    master.process.signal(Signal::USR1).unwrap();
    assert!(master.process.wait(Deadline::patient()).expect("it ends").success());
}

/// What is said on one connection after the other line, as haproxy's master says it; `~` stands for the worker's number.
#[test]
fn a_conversation_with_the_master() {
    let master = Master::start("maxconn 100", &[], serve(OK));
    let worker = master.children()[0].to_string();
    let version = master.ask("show version\n");
    let asked = |lines: &str| master.ask(&lines.replace('~', &worker)).replace(&worker, "~").replace(version.trim(), "V");
    for (lines, answer) in [
        ("show version\nshow version\n", "V\n\nV\n\n"),
        ("operator\nshow cli level\n", "operator\n\n"),
        ("@1\nshow version\n", "V\n\n"),
        ("@!1 show version\nshow version\n", "Can't find the target PID matching the prefix '@!1'\n"),
        ("prompt\n", "master> "),
        ("prompt\nshow version\n", "master> V\n\nmaster> "),
        ("prompt\nprompt\nshow version\n", "master> V\n\n"),
        ("prompt\n@1\nshow version\n@master\nshow version\nquit\n", "master> ~> V\n\n~> master> V\n\nmaster> master> "),
        ("prompt\n@!~\nquit\nshow version\n", "master> ~> ~> "),
        ("prompt\noperator\n@1\nuser\nshow cli level\n", "master> master> ~> ~> user\n\n~> "),
        ("@1 user; show cli level\n", "\nadmin\n\n"),
    ] {
        assert_eq!(asked(lines), answer, "{lines:?}");
    }
    let help = asked("help show\n");
    assert!(help.contains("show proc") && help.contains("quit") && !help.contains("reload"), "{help}");
}

/// An old process that is not there to give its sockets keeps no master from its start.
#[test]
fn nobody_to_take_sockets_from() {
    let master = Master::start("maxconn 100", &["-x", "/no/such/socket"], serve(OK));
    assert_eq!(get(master.addr, "/").unwrap().status, 200);
    assert!(master.process.stderr().contains("[ALERT]"), "{}", master.process.stderr());
}

/// How a worker ends decides how its master does.
#[test]
fn codes_of_the_master() {
    for (signal, code, line) in [
        (Signal::USR1, 0, "[WARNING]  (M) : Current worker (W) exited with code 0 (Exit)"),
        (Signal::TERM, 0, "[ALERT]    (M) : Current worker (W) exited with code 143 (Terminated)"),
        (Signal::INT, 130, "[ALERT]    (M) : Current worker (W) exited with code 130 (Interrupt)"),
    ] {
        let mut master = Master::start("maxconn 100", &[], serve(OK));
        let worker = master.children()[0];
        rustix::process::kill_process(pid(worker), signal).unwrap();
        let status = master.process.wait(Deadline::patient()).expect("it ends");
        let line = line.replace("(M)", &format!("({})", master.process.pid())).replace("(W)", &format!("({worker})"));
        assert_eq!(status.code(), Some(code), "{signal:?}");
        assert!(master.process.stderr().contains(&line), "{line} in {}", master.process.stderr());
    }
}

#[test]
fn a_master_that_dies_takes_its_worker_along() {
    let master = Master::start("maxconn 100", &[], serve(OK));
    let worker = pid(master.children()[0]);
    master.process.signal(Signal::KILL).unwrap();
    must("the worker ends", || {
        let zombie = std::fs::read_to_string(format!("/proc/{}/stat", worker.as_raw_pid())).is_ok_and(|stat| stat.contains(") Z "));
        zombie || test_kill_process(worker).is_err()
    });
}

/// A worker that a client holds back survives as many reloads as it may.
#[test]
fn old_workers_are_not_waited_for_without_end() {
    let slow = vec![Step::Request, Step::Until(b"never".to_vec())];
    let master = Master::start("mworker-max-reloads 1", &[], origins(vec![slow, vec![Step::Serve(OK.into())]]));
    let old = master.children()[0];
    let mut held = Connection::open(master.addr).unwrap();
    held.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert!(master._origin.wait(0, Deadline::patient(), |seen| !seen.received.is_empty()));
    let reload = || {
        let before = master.children();
        master.process.signal(Signal::USR2).unwrap();
        must("a new worker", || master.children().iter().any(|child| !before.contains(child)));
    };
    reload();
    must("it serves", || master.ask("show proc\n").contains("old workers"));
    assert!(!until(Duration::from_millis(300), || !master.children().contains(&old)), "it survives one reload");
    reload();
    must("it is ended at the second", || !master.children().contains(&old));
    assert!(held.at_eof());
}
