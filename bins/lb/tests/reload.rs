//! Reloads under load: no request fails, no download breaks off, whichever way one process follows another. The load asks on kept
//! connections without a pause, and the file says `option idle-close-on-response`: a client that has just got its answer and is
//! about to ask again is told with its next answer, not closed on.

mod common;

use common::{Load, nginx, parse_wrk, program, tool};
use lb_testkit::fixture::{TempDir, fill};
use lb_testkit::http::get;
use lb_testkit::ports;
use lb_testkit::process::Process;
use lb_testkit::wait::{Deadline, must, patience, until};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const RELOADS: usize = 20;

const SITE: &str = "global
    nbthread 2
    maxconn 500
    LINES
defaults
    mode http
    option idle-close-on-response
    timeout connect 5s
    timeout client 20s
    timeout server 20s
listen fe
    bind 127.0.0.1:{fe}
    bind {dir}/fe.sock
    server s1 127.0.0.1:{o1}
";

/// Bytes of the file that is downloaded meanwhile.
const LARGE: usize = 8 << 20;

/// A configuration before nginx, and clients of it.
struct World {
    dir: TempDir,
    file: PathBuf,
    addr: SocketAddr,
    _nginx: Process,
}

impl World {
    fn new(lines: &str) -> World {
        let (nginx, origin) = nginx("hello");
        std::fs::create_dir_all(nginx.dir().join("files")).unwrap();
        std::fs::write(nginx.dir().join("files/large"), vec![b'x'; LARGE]).unwrap();
        let dir = TempDir::new("reload").unwrap();
        let port = ports::free_tcp();
        let values = [("fe", port.to_string()), ("o1", origin.to_string()), ("dir", dir.path().display().to_string())];
        let values: Vec<(String, String)> = values.into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
        let file = dir.write("proxy.cfg", fill(&SITE.replace("LINES", lines), &values)).unwrap();
        World { dir, file, addr: ([127, 0, 0, 1], port).into(), _nginx: nginx }
    }

    fn pidfile(&self) -> PathBuf {
        self.dir.path().join("pid")
    }

    fn pid(&self) -> Pid {
        let text = std::fs::read_to_string(self.pidfile()).expect("a pid file");
        Pid::from_raw(text.trim().parse().expect("a number")).expect("not 0")
    }

    /// Starts a process in the background, with these arguments more.
    #[track_caller]
    fn launch(&self, args: &[&str]) {
        self.launch_program(&program(), args);
    }

    #[track_caller]
    fn launch_program(&self, program: &std::path::Path, args: &[&str]) {
        let out = Command::new(program).args(["-D", "-f"]).arg(&self.file).arg("-p").arg(self.pidfile()).args(args).output().unwrap();
        assert!(out.status.success(), "{}: {}", out.status, String::from_utf8_lossy(&out.stderr));
    }

    /// Load without end, and a download that takes longer than the reloads.
    fn clients(&self) -> Clients {
        let wrk = Command::new(tool("wrk"))
            .args(["-t1", "-c8", "-d60s", "--timeout", "120s"])
            .arg(format!("http://{}/", self.addr))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let addr = self.addr;
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let download = std::thread::spawn(move || {
            let mut stream = TcpStream::connect(addr).unwrap();
            stream.set_read_timeout(Some(patience())).unwrap();
            stream.write_all(b"GET /files/large HTTP/1.0\r\nHost: a\r\n\r\n").unwrap();
            let mut all = 0;
            let mut piece = vec![0; 4096];
            let mut slowly = true;
            loop {
                match stream.read(&mut piece) {
                    Ok(0) => return all,
                    Ok(n) => all += n,
                    Err(e) => panic!("the download broke off after {all} bytes: {e}"),
                }
                if slowly {
                    slowly = matches!(stopped.recv_timeout(Duration::from_millis(5)), Err(std::sync::mpsc::RecvTimeoutError::Timeout));
                }
            }
        });
        must("the load has begun", || get(addr, "/").is_ok_and(|answer| answer.status == 200));
        Clients { wrk, stop, download }
    }
}

struct Clients {
    wrk: Child,
    stop: std::sync::mpsc::Sender<()>,
    download: std::thread::JoinHandle<usize>,
}

impl Clients {
    /// Ends them, and sees that nothing has failed.
    #[track_caller]
    fn finish(self) {
        // wrk tells what there was so far.
        kill_process(Pid::from_child(&self.wrk), Signal::INT).unwrap();
        let out = self.wrk.wait_with_output().unwrap();
        let load: Load = parse_wrk(&String::from_utf8_lossy(&out.stdout));
        // How many a machine manages that does other things, too.
        assert!(load.requests > 20, "{}", load.text);
        assert_eq!((load.socket_errors, load.bad_status), (0, 0), "{}", load.text);
        drop(self.stop);
        let bytes = self.download.join().expect("a whole download");
        assert!(bytes > LARGE, "{bytes} bytes");
    }
}

fn gone(pid: Pid) -> bool {
    // A process in the background is nobody's child here; where nobody waits for it, it stays as a zombie.
    test_kill_process(pid).is_err()
        || std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).is_ok_and(|stat| stat.contains(") Z "))
}

#[test]
fn one_process_after_the_other() {
    let world = World::new("");
    world.launch(&[]);
    let clients = world.clients();
    for _ in 0..RELOADS {
        let old = world.pid();
        world.launch(&["-sf", &old.as_raw_pid().to_string()]);
    }
    clients.finish();
    kill_process(world.pid(), Signal::TERM).unwrap();
}

/// The sockets come over the run-time socket of the old process; it is told to go by its number.
#[test]
fn sockets_over_the_run_time_socket() {
    let world = World::new("stats socket {dir}/stats level admin expose-fd listeners");
    world.launch(&[]);
    let socket = world.dir.path().join("stats").display().to_string();
    let clients = world.clients();
    for _ in 0..RELOADS {
        let old = world.pid();
        world.launch(&["-x", &socket, "-sf", &old.as_raw_pid().to_string()]);
    }
    clients.finish();
    // It has the name that it was asked for, not the one under which the first process made it.
    let table = lb_testkit::runtime::ask(std::path::Path::new(&socket), "show cli sockets").unwrap();
    assert!(table.contains(&format!("unix@{socket} admin")), "{table}");
    kill_process(world.pid(), Signal::TERM).unwrap();
}

/// From haproxy to this program and back: the sockets go in the form that both know.
#[test]
fn in_the_place_of_haproxy() {
    let haproxy = std::path::Path::new(lb_testkit::process::HAPROXY);
    if !haproxy.exists() {
        return;
    }
    let world = World::new("stats socket {dir}/stats level admin expose-fd listeners");
    let socket = world.dir.path().join("stats").display().to_string();
    world.launch_program(haproxy, &[]);
    let clients = world.clients();
    for n in 0..6 {
        let old = world.pid().as_raw_pid().to_string();
        let next = if n % 2 == 0 { program() } else { haproxy.to_owned() };
        world.launch_program(&next, &["-x", &socket, "-sf", &old]);
    }
    clients.finish();
    kill_process(world.pid(), Signal::TERM).unwrap();
}

#[test]
fn a_master_and_its_workers() {
    let world = World::new("");
    world.launch(&["-W"]);
    let master = world.pid();
    let children = || {
        let path = format!("/proc/{0}/task/{0}/children", master.as_raw_pid());
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let clients = world.clients();
    for n in 0..RELOADS {
        let before = children();
        kill_process(master, Signal::USR2).unwrap();
        must(&format!("reload {n}: a new worker"), || children().iter().any(|child| !before.contains(child)));
    }
    clients.finish();
    assert!(!gone(master), "the master is the one that was started");
    must("old workers have gone", || children().len() == 1);
    // What is wrong with a file leaves the worker at work.
    let worker = children();
    std::fs::write(&world.file, "global\n    frobnicate\n").unwrap();
    kill_process(master, Signal::HUP).unwrap();
    assert!(!until(Duration::from_millis(500), || children() != worker));
    assert_eq!(get(world.addr, "/").unwrap().status, 200);
    kill_process(master, Signal::TERM).unwrap();
    must("all have gone", || gone(master));
    assert!(TcpStream::connect(world.addr).is_err());
}

/// A worker that dies takes the master with it, unless the file says otherwise.
#[test]
fn a_worker_that_dies() {
    let world = World::new("");
    let dir = TempDir::new("master").unwrap();
    let file = world.file.to_str().unwrap().to_owned();
    let mut master = Process::spawn_in(dir, &program(), &["-W", "-f", &file]).unwrap();
    master.wait_listening(&[world.addr.port()]).unwrap();
    let path = format!("/proc/{0}/task/{0}/children", master.pid());
    let worker: i32 = std::fs::read_to_string(path).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(worker).unwrap(), Signal::KILL).unwrap();
    let status = master.wait(Deadline::patient()).expect("the master ends");
    assert_eq!(status.code(), Some(137), "{}", master.stderr());
    let text = master.stderr();
    assert!(text.contains(&format!("worker ({worker}) exited with code 137 (Killed)")), "{text}");
}
