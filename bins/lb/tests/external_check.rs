//! `option external-check`: what the program is told and what its end means, beside haproxy where that is installed; and that nothing of it
//! stays behind.

mod common;

use lb_testkit::fixture::{TempDir, fill};
use lb_testkit::ports;
use lb_testkit::process::{HAPROXY, Process};
use lb_testkit::syslog::Syslog;
use lb_testkit::wait::must;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const SITE: &str = "\
global
    log 127.0.0.1:{log} local0
    external-check
    insecure-fork-wanted
    max-spread-checks 10ms
defaults
    log global
    timeout connect 1s
    timeout client 10s
    timeout server 10s
    option external-check
    option log-health-checks
    external-check path /usr/bin:/bin
listen a
    mode http
    bind 127.0.0.1:{p}
    external-check command {dir}/tell
    server s 127.0.0.9:80 check inter 60s maxconn 7 addr 127.0.0.3 port 99
backend b
    external-check command {dir}/tell
    server s unix@/nowhere check inter 60s
backend ok
    external-check command true
    server s [::1]:80 check inter 60s
backend killed
    external-check command {dir}/kill
    server s 127.0.0.1:80 check inter 60s
backend slow
    external-check command {dir}/slow
    server s 127.0.0.1:80 check inter 300
backend gone
    external-check command {dir}/nowhere
    server s 127.0.0.1:80 check inter 60s
";

const TELL: &str = "#!/bin/sh\n(echo \"$# $1 $2 $3 $4\"; env | grep -v '^PWD' | sort; grep SigBlk /proc/$$/status; ls -l /proc/$$/fd | grep -c -e socket -e anon_inode) \
    > $0.$HAPROXY_PROXY_NAME.new\nmv $0.$HAPROXY_PROXY_NAME.new $0.$HAPROXY_PROXY_NAME\nexit 3\n";
const SLOW: &str = "#!/bin/sh\necho $$ >> $0.pids\nsleep 1000 & echo $! >> $0.pids\nwait\n";

struct Side {
    process: Process,
    log: Syslog,
    port: u16,
}

fn start(program: &Path) -> Side {
    let log = Syslog::udp().unwrap();
    for _ in 0..5 {
        let dir = TempDir::new("external").unwrap();
        for (name, text) in [("tell", TELL), ("slow", SLOW), ("kill", "#!/bin/sh\nkill -9 $$\n")] {
            let file = dir.write(name, text).unwrap();
            std::fs::set_permissions(file, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let port = ports::free_tcp();
        let values = [("dir", dir.path().display().to_string()), ("log", log.port().to_string()), ("p", port.to_string())];
        let values = values.map(|(name, value)| (name.to_owned(), value));
        match Process::proxy(dir, program, &fill(SITE, &values), &[port]) {
            Ok(process) => return Side { process, log, port },
            Err(e) if e.is_port_clash() => continue,
            Err(e) => panic!("{e}"),
        }
    }
    panic!("no free port in five tries");
}

impl Side {
    /// What the programs were told, and the lines of all checks, without what differs from run to run.
    fn seen(&self) -> Vec<String> {
        let dir = self.process.dir();
        let told = |name: &str| std::fs::read_to_string(dir.join(format!("tell.{name}")));
        must("both were told", || told("a").is_ok() && told("b").is_ok());
        let lines = |word: &str| self.log.text().iter().filter(|line| line.contains(word)).count();
        // The last line about a server that goes down is that of its backend.
        must("all have ended", || lines("Health check") >= 6 && lines("has no server available!") >= 5);
        let mut lines: Vec<String> =
            self.log.text().iter().filter_map(|line| line.split_once("]: ").map(|(_, text)| text.to_owned())).collect();
        for line in &mut lines {
            if let Some((before, after)) = line.split_once("check duration: ") {
                *line = format!("{before}check duration: {}", after.trim_start_matches(|c: char| c.is_ascii_digit()));
            }
        }
        // Which program is quicker is chance.
        lines.sort();
        lines.extend([told("a").unwrap(), told("b").unwrap()]);
        lines.iter().map(|line| line.replace(&self.port.to_string(), "PORT").replace(&dir.display().to_string(), "DIR")).collect()
    }
}

#[test]
fn what_a_program_is_told_and_what_its_end_means() {
    let run = |program: PathBuf| start(&program).seen();
    let ours = run(common::program());
    assert!(ours.iter().any(|line| line.starts_with("Health check for server a/s failed, reason: External check error, code: 3, check")));
    assert!(ours.iter().any(|line| line.contains("server slow/s failed, reason: External check timeout, code: 0,")));
    assert!(ours.iter().any(|line| line.starts_with("4 127.0.0.1 PORT 127.0.0.9 80\nHAPROXY_PROXY_ADDR=127.0.0.1\n")), "{ours:#?}");
    assert!(ours.iter().any(|line| line.starts_with("4 NOT_USED NOT_USED /nowhere NOT_USED\n")));
    if Path::new(HAPROXY).exists() && !common::is_other() {
        let theirs = run(HAPROXY.into());
        let differs = ours.iter().zip(&theirs).position(|(a, b)| a != b).unwrap_or(ours.len().min(theirs.len()));
        assert_eq!(ours[differs..], theirs[differs..]);
    }
}

/// The state of a process, `Z` for a zombie; `None`: there is none.
fn state(pid: &str) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[test]
fn nothing_stays_behind() {
    let side = start(&common::program());
    let pids = || std::fs::read_to_string(side.process.dir().join("slow.pids")).unwrap_or_default();
    must("some have been too slow", || pids().lines().count() >= 8);
    let fds = || std::fs::read_dir(format!("/proc/{}/fd", side.process.pid())).unwrap().count();
    let early = fds();
    must("some more", || pids().lines().count() >= 14);
    // All but those of the last run have ended, with what they had started.
    let old: Vec<String> = pids().lines().take(10).map(str::to_owned).collect();
    must("they are gone", || old.iter().all(|pid| state(pid).is_none_or(|state| state == 'Z')));
    let children = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().into_string().ok());
        let stats = processes.filter_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok());
        let ours = format!(" {} ", side.process.pid());
        let of = |stat: &String| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest[1..].starts_with(&ours));
        stats.filter(of).count()
    };
    must("no more than one at a time, and no zombie", || children() <= 1);
    assert!(fds() <= early + 1, "{} descriptors, {early} before", fds());
}
