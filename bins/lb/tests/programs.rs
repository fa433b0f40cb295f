//! `program` sections: what the master starts beside its worker, and what becomes of it.

mod common;

use common::{OK, is_other, program, serve};
use lb_testkit::fixture::TempDir;
use lb_testkit::origin::Origin;
use lb_testkit::ports;
use lb_testkit::process::Process;
use lb_testkit::wait::{Deadline, must, until};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// A master, its worker and its programs.
struct World {
    dir: TempDir,
    process: Process,
    _origin: Origin,
}

/// Writes the number of its process, and what it was started with, into `{dir}/NAME`, and stays.
fn script(name: &str) -> String {
    format!("command /bin/sh -c 'env > {{dir}}/{name}.env; id -u > {{dir}}/{name}.id; echo $$ >> {{dir}}/{name}; exec sleep 600'")
}

impl World {
    fn start(global: &str, programs: &str) -> World {
        let (dir, port, origin) = (TempDir::new("programs").unwrap(), ports::free_tcp(), serve(OK));
        let at = dir.path().display().to_string();
        // Programs of other users write there, too.
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
        let site = format!(
            "global\n    {global}\n    stats socket {at}/stats level admin\nlisten fe\n    mode http\n    bind 127.0.0.1:{port}\n    timeout client 9s\n    \
             timeout connect 9s\n    timeout server 9s\n    server s1 127.0.0.1:{}\n",
            origin.port()
        );
        let file = dir.write("proxy.cfg", site + &programs.replace("{dir}", &at)).unwrap();
        let mut command = Command::new(program());
        command.args(["-W", "-f"]).arg(&file).arg("-S").arg(dir.path().join("master"));
        let mut process = Process::spawn_command(TempDir::new("proc").unwrap(), command).unwrap();
        match process.wait_listening(&[port]) {
            Ok(()) => World { dir, process, _origin: origin },
            Err(e) if e.is_port_clash() => World::start(global, programs),
            Err(e) => panic!("{e}"),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The numbers that a program has had.
    fn pids(&self, name: &str) -> Vec<i32> {
        let text = std::fs::read_to_string(self.file(name)).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Waits until a program has been started so many times.
    #[track_caller]
    fn started(&self, name: &str, times: usize) -> i32 {
        must(&format!("{name} is started"), || self.pids(name).len() == times);
        self.pids(name)[times - 1]
    }

    fn show_proc(&self) -> String {
        let mut text = String::new();
        // haproxy's socket is not there while a master takes its own place.
        must("the master's socket", || {
            let Ok(mut stream) = UnixStream::connect(self.file("master")) else { return false };
            stream.write_all(b"show proc\n").unwrap();
            // A master goes on to listen until its client has no more to say.
            stream.shutdown(Shutdown::Write).unwrap();
            stream.read_to_string(&mut text).is_ok()
        });
        text
    }
}

fn lives(pid: i32) -> bool {
    test_kill_process(Pid::from_raw(pid).unwrap()).is_ok()
}

#[test]
fn programs_live_with_the_master() {
    let once = format!("program once\n    {}\n    no option start-on-reload\n", script("once"));
    let mut world = World::start("maxconn 100", &format!("program first\n    {}\n{once}", script("first")));
    let (first, once) = (world.started("first", 1), world.started("once", 1));
    let text = world.show_proc();
    let programs = text.split("# programs\n").nth(1).unwrap_or_else(|| panic!("{text}"));
    for (name, pid) in [("first", first), ("once", once)] {
        let line = programs.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(line.split_whitespace().collect::<Vec<_>>()[..3], [pid.to_string().as_str(), name, "0"]);
    }
    // What they are told, and what they are not.
    let env = std::fs::read_to_string(world.file("first.env")).unwrap();
    let value = |name: &str| env.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    assert_eq!(value("HAPROXY_MWORKER"), Some("1"));
    assert!(value("HAPROXY_CFGFILES").is_some_and(|files| files.ends_with("proxy.cfg")), "{env}");
    let own = format!("unix@{};sockpair@", world.file("stats").display());
    assert!(value("HAPROXY_CLI").is_some_and(|cli| cli.starts_with(&own)), "{env}");
    assert!(value("HAPROXY_MASTER_CLI").is_some_and(|cli| cli.ends_with("/master")), "{env}");
    assert_eq!((value("HAPROXY_PROCESSES"), value("HAPROXY_MWORKER_REEXEC")), (None, None));
    // A reload starts them anew and tells the old ones to go.
    world.process.signal(Signal::USR2).unwrap();
    let second = world.started("first", 2);
    must("the old ones go", || !lives(first) && !lives(once));
    assert!(lives(second) && world.pids("once").len() == 1);
    must("the master knows", || world.show_proc().split("# programs\n").nth(1).is_some_and(|text| text.lines().count() == 2));
    // A file that is wrong leaves them where they are.
    let file = std::fs::OpenOptions::new().append(true).open(world.file("proxy.cfg"));
    file.unwrap().write_all(b"    frobnicate\n").unwrap();
    world.process.signal(Signal::USR2).unwrap();
    must("the reload fails", || world.process.stderr().contains("frobnicate"));
    assert!(!until(Duration::from_millis(300), || !lives(second) || world.pids("first").len() > 2));
    world.process.signal(Signal::TERM).unwrap();
    assert!(world.process.wait(Deadline::patient()).expect("it ends").success());
    assert!(!lives(second), "it ends with the master");
}

#[test]
fn a_program_that_fails_takes_all_along() {
    for (command, code, how) in [("exit 3", 3, "Exit"), ("kill -9 $$", 137, "Killed")] {
        // Not before the worker listens, for which the test waits.
        let waits = "until [ -e {dir}/go ]; do sleep 0.05; done";
        let mut world = World::start("maxconn 100", &format!("program p\n    command /bin/sh -c '{waits}; {command}'\n"));
        std::fs::write(world.file("go"), "").unwrap();
        let status = world.process.wait(Deadline::patient()).expect("all end");
        let text = world.process.stderr();
        assert_eq!(status.code(), Some(code), "{text}");
        assert!(text.contains(&format!("exited with code {code} ({how})")) && text.contains("exit-on-failure"), "{text}");
    }
    // One that ends well is missed by nobody.
    let mut world = World::start("maxconn 100", "program p\n    command /bin/true\n");
    must("it is told", || world.process.stderr().contains("exited with code 0 (Exit)"));
    assert!(!until(Duration::from_millis(300), || world.process.try_status().is_some()));
    world.process.signal(Signal::TERM).unwrap();
    assert!(world.process.wait(Deadline::patient()).expect("it ends").success());
}

/// With `no-exit-on-failure` the others stay; haproxy 2.6 forgets that word.
#[test]
fn others_may_stay() {
    if is_other() {
        return;
    }
    let mut world =
        World::start("master-worker no-exit-on-failure", &format!("program p\n    {}\nprogram q\n    {}\n", script("p"), script("q")));
    let (p, q) = (world.started("p", 1), world.started("q", 1));
    kill_process(Pid::from_raw(p).unwrap(), Signal::KILL).unwrap();
    must("it is told", || world.process.stderr().contains(&format!("Current program 'p' ({p}) exited with code 137 (Killed)")));
    assert!(!until(Duration::from_millis(300), || !lives(q) || world.process.try_status().is_some()));
    world.process.signal(Signal::TERM).unwrap();
    world.process.wait(Deadline::patient()).expect("it ends");
    assert!(!lives(q));
}

/// User and group of the section; needs root, as haproxy does.
#[test]
fn another_user() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let world = World::start("maxconn 100", &format!("program p\n    {}\n    user nobody\n    group nogroup\n", script("p")));
    world.started("p", 1);
    assert_ne!(std::fs::read_to_string(world.file("p.id")).unwrap().trim(), "0");
    // Signals that the master takes for itself reach a program as any other.
    kill_process(Pid::from_raw(world.pids("p")[0]).unwrap(), Signal::USR1).unwrap();
    must("it ends by it", || world.process.stderr().contains("(User defined signal 1)"));
}
