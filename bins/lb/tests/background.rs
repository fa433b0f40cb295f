//! How the process runs: in the background, with fewer rights than it was started with, within limits.

mod common;

use common::{OK, io, is_other, program, serve};
use lb_testkit::fixture::{TempDir, fill};
use lb_testkit::http::get;
use lb_testkit::ports;
use lb_testkit::wait::must;
use std::net::SocketAddr;
use std::process::{Command, Output};

const SITE: &str = "global
    pidfile {dir}/pid
    LINES
defaults
    mode http
    log global
    option httplog
    timeout connect 3s
    timeout client 10s
    timeout server 10s
listen fe
    bind 127.0.0.1:{fe}
    http-response set-header x-environment \"%[env(HAPROXY_LOCALPEER)] %[env(HAPROXY_CLI)]\"
    server s1 127.0.0.1:{o1}
";

/// A process in the background, ended with its guard.
struct Background {
    pid: u32,
    addr: SocketAddr,
    dir: TempDir,
    _origin: lb_testkit::origin::Origin,
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(pid(self.pid), rustix::process::Signal::TERM);
    }
}

fn pid(number: u32) -> rustix::process::Pid {
    rustix::process::Pid::from_raw(number as i32).expect("a number of a process")
}

fn launch(dir: &TempDir, port: u16, origin: u16, lines: &str, args: &[&str]) -> Output {
    let values = [("fe", port.to_string()), ("o1", origin.to_string()), ("dir", dir.path().display().to_string())];
    let values: Vec<(String, String)> = values.into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
    let file = dir.write("proxy.cfg", fill(&SITE.replace("LINES", lines), &values)).unwrap();
    // What another process before this one was called says nothing.
    Command::new(program()).env("HAPROXY_LOCALPEER", "before").arg("-f").arg(file).args(args).output().expect("the program")
}

/// Starts a process in the background and reads its number.
fn start(lines: &str, args: &[&str]) -> Background {
    let origin = serve(OK);
    for _ in 0..5 {
        let dir = TempDir::new("background").unwrap();
        let port = ports::free_tcp();
        let out = launch(&dir, port, origin.port(), lines, args);
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        if text.contains("in use") {
            continue;
        }
        assert!(out.status.success(), "{}: {text}", out.status);
        let number = std::fs::read_to_string(dir.path().join("pid")).expect("a pid file");
        assert!(number.ends_with('\n'), "{number:?}");
        let addr = ([127, 0, 0, 1], port).into();
        return Background { pid: number.trim().parse().unwrap(), addr, dir, _origin: origin };
    }
    panic!("no free port in five tries");
}

/// Lines of /proc/<pid>/status, for each thread.
fn status(pid: u32, name: &str) -> Vec<String> {
    let tasks = io(std::fs::read_dir(format!("/proc/{pid}/task")));
    let of = |path: std::path::PathBuf| {
        let text = io(std::fs::read_to_string(path.join("status")));
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        line.trim_start_matches(':').split_whitespace().collect::<Vec<_>>().join(" ")
    };
    tasks.map(|task| of(io(task).path())).collect()
}

#[test]
fn the_parent_ends_when_the_child_serves() {
    for (lines, args) in [("daemon", &[][..]), ("nbthread 2", &["-D"])] {
        let process = start(lines, args);
        // No waiting: it serves when the parent has ended.
        assert_eq!(get(process.addr, "/").unwrap().status, 200);
        let stat = io(std::fs::read_to_string(format!("/proc/{}/stat", process.pid)));
        let session: u32 = stat.rsplit(')').next().unwrap().split_whitespace().nth(3).unwrap().parse().unwrap();
        assert_eq!(session, process.pid, "it has a session of its own");
        for stream in 0..3 {
            assert_eq!(std::fs::read_link(format!("/proc/{}/fd/{stream}", process.pid)).unwrap().to_str(), Some("/dev/null"));
        }
    }
}

/// Rules see the variables that the start sets, those too that are there when the file has been read.
#[test]
fn variables_of_the_start() {
    for (peer, args) in [(lb_sys::process::host_name(), vec!["-D"]), ("p1".to_owned(), vec!["-D", "-L", "p1"])] {
        let one = start("stats socket {dir}/stats", &args);
        let seen = get(one.addr, "/").unwrap();
        assert_eq!(seen.header("x-environment"), Some(format!("{peer} unix@{}", one.dir.path().join("stats").display())));
    }
}

/// `-D` counts more than what else the command line says, as in haproxy.
#[test]
fn in_the_background_all_the_same() {
    for other in ["-db", "-d"] {
        let one = start("maxconn 100", &["-D", other]);
        assert_eq!(get(one.addr, "/").unwrap().status, 200);
    }
}

#[test]
fn what_prevents_the_start_is_told_before_the_background() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let dir = TempDir::new("background").unwrap();
    let out = launch(&dir, port, 9, "daemon", &[]);
    let text = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1));
    assert!(text.contains("[ALERT]") && text.contains(&port.to_string()), "{text}");
    for (lines, args, said) in [
        ("daemon\n    chroot /nonexistent", &[][..], "/nonexistent"),
        ("user no-such-user", &["-D"], "no-such-user"),
        ("group no-such-group", &["-D"], "no-such-group"),
        ("maxconn 10", &["-D", "-p", "/nonexistent/pid"], "/nonexistent/pid"),
        ("maxconn 10", &["-D", "-x", "/nonexistent/socket"], "/nonexistent/socket"),
    ] {
        if is_other() && lines.contains("chroot") {
            // haproxy finds out when its parent has ended.
            continue;
        }
        let out = launch(&dir, ports::free_tcp(), 9, lines, args);
        let text = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(1) && text.contains(said), "{lines} {args:?}: {}, {text}", out.status);
    }
}

#[test]
fn rights_are_given_up_in_all_threads() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let root = TempDir::new("root").unwrap();
    let lines = format!("daemon\n    nbthread 3\n    user nobody\n    group nogroup\n    chroot {}", root.path().display());
    let process = start(&lines, &[]);
    assert_eq!(get(process.addr, "/").unwrap().status, 200);
    let (uid, gid) = ("65534 65534 65534 65534", "65534 65534 65534 65534");
    let tasks = status(process.pid, "Uid").len();
    assert!(tasks >= 3);
    for (name, wanted) in
        [("Uid", uid), ("Gid", gid), ("Groups", ""), ("CapEff", "0000000000000000"), ("CapPrm", "0000000000000000"), ("NoNewPrivs", "1")]
    {
        let found = status(process.pid, name);
        assert!(found.iter().all(|value| value == wanted), "{name}: {found:?}");
    }
    assert_eq!(std::fs::read_link(format!("/proc/{}/root", process.pid)).unwrap(), root.path());
    assert_eq!(std::fs::read_link(format!("/proc/{}/cwd", process.pid)).unwrap(), root.path());
    if is_other() {
        return;
    }
    // haproxy 2.6 does not know the word.
    let process = start("daemon\n    nbthread 2\n    user nobody\n    setcap cap_net_raw,cap_net_bind_service", &[]);
    assert_eq!(status(process.pid, "CapEff"), ["0000000000002400", "0000000000002400"]);
    assert_eq!(status(process.pid, "Uid"), [uid, uid]);
}

/// Lines reach a log socket outside, by its path at the start.
#[test]
fn logs_out_of_another_root_directory() {
    if !rustix::process::geteuid().is_root() || is_other() {
        // haproxy looks the path up for each line, in the new root directory.
        return;
    }
    let (root, outside) = (TempDir::new("root").unwrap(), TempDir::new("outside").unwrap());
    let path = outside.path().join("log");
    let log = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    log.set_read_timeout(Some(lb_testkit::wait::patience())).unwrap();
    let (root, path) = (root.path().display(), path.display());
    let process = start(&format!("daemon\n    user nobody\n    chroot {root}\n    log {path} local0"), &[]);
    assert_eq!(get(process.addr, "/seen").unwrap().status, 200);
    let mut line = [0; 1024];
    while !String::from_utf8_lossy(&line).contains("GET /seen") {
        line.fill(0);
        log.recv(&mut line).expect("a line of the log");
    }
}

#[test]
fn threads_stay_on_their_cores() {
    let cores = rustix::thread::sched_getaffinity(None).unwrap();
    let first = (0..1024).find(|core| cores.is_set(*core)).unwrap();
    let process = start(&format!("daemon\n    nbthread 2\n    cpu-map 1/2 {first}"), &[]);
    must("the second thread has one core", || {
        let mut lists = status(process.pid, "Cpus_allowed_list");
        lists.sort();
        lists.contains(&first.to_string())
    });
    assert_eq!(get(process.addr, "/").unwrap().status, 200);
    assert!(process.dir.path().exists());
}

#[test]
fn old_processes_go_when_the_new_one_serves() {
    let first = start("daemon", &[]);
    let port = first.addr.port();
    let other = pid(first.pid);
    let out = launch(&first.dir, port, first._origin.port(), "daemon", &["-sf", &first.pid.to_string()]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let second: u32 = std::fs::read_to_string(first.dir.path().join("pid")).unwrap().trim().parse().unwrap();
    assert_ne!(second, first.pid);
    must("the old one has gone", || rustix::process::test_kill_process(other).is_err());
    assert_eq!(get(first.addr, "/").unwrap().status, 200);
    // Without SO_REUSEPORT it has to make room first.
    let out = launch(&first.dir, port, first._origin.port(), "daemon\n    noreuseport", &["-st", &second.to_string()]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let third: u32 = std::fs::read_to_string(first.dir.path().join("pid")).unwrap().trim().parse().unwrap();
    must("the second one has gone", || rustix::process::test_kill_process(pid(second)).is_err());
    assert_eq!(get(first.addr, "/").unwrap().status, 200);
    rustix::process::kill_process(pid(third), rustix::process::Signal::TERM).unwrap();
}

/// Scripts know the program by its name.
#[test]
fn under_the_name_of_haproxy() {
    let dir = TempDir::new("name").unwrap();
    let link = dir.path().join("haproxy");
    std::os::unix::fs::symlink(program(), &link).unwrap();
    let version = |switch: &str| {
        let out = Command::new(&link).arg(switch).output().unwrap();
        assert!(out.status.success());
        String::from_utf8(out.stdout).unwrap()
    };
    for text in [version("-v"), version("-vv")] {
        let words: Vec<&str> = text.lines().next().unwrap().split_whitespace().collect();
        assert!(words[0] == "HAProxy" && words[1] == "version", "{text}");
        let numbers: Vec<&str> = words[2].split(['.', '-']).collect();
        assert!(numbers.len() >= 3 && numbers[..3].iter().all(|n| n.parse::<u32>().is_ok()), "{text}");
    }
    assert!(version("-vv").contains("OPTIONS") && version("-vv").contains("will use epoll"), "{}", version("-vv"));
}
