//! Two routers in network namespaces, joined by bridges: one is `vrrpd`, the other `keepalived` or `vrrpd`. Needs root, as both do.
#![allow(dead_code, reason = "each test file uses a part")]

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// How long a machine that is busy with other tests may take for what takes seconds.
pub const PATIENCE: Duration = Duration::from_secs(120);
pub const GLANCE: Duration = Duration::from_millis(20);

/// Whether these tests can run here.
pub fn may_run() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("not run: network namespaces need root");
    }
    root
}

pub fn run(program: &str, args: &str) -> String {
    let output = Command::new(program).args(args.split_whitespace()).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(output.status.success(), "{program} {args}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Two networks with two hosts; e0 and e1 of each, 10.9.0.x and 10.9.1.x.
pub struct Net {
    pub prefix: String,
    pub dir: PathBuf,
}

impl Net {
    pub fn new() -> Net {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("vt{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(&prefix);
        std::fs::create_dir_all(&dir).expect("a directory");
        let net = Net { prefix, dir };
        for part in ["s", "a", "b"] {
            run("ip", &format!("netns add {}{part}", net.prefix));
            run("ip", &format!("-n {}{part} link set lo up", net.prefix));
        }
        let p = &net.prefix;
        for line in [0, 1] {
            run("ip", &format!("-n {p}s link add br{line} type bridge"));
            run("ip", &format!("-n {p}s link set br{line} up"));
            for (host, last) in [("a", 1), ("b", 2)] {
                run("ip", &format!("-n {p}s link add {host}{line} type veth peer name e{line} netns {p}{host}"));
                run("ip", &format!("-n {p}s link set {host}{line} master br{line} up"));
                run("ip", &format!("-n {p}{host} link set e{line} up"));
                run("ip", &format!("-n {p}{host} addr add 10.9.{line}.{last}/24 dev e{line}"));
                run("ip", &format!("-n {p}{host} addr add fd09:{line}::{last}/64 dev e{line} nodad"));
            }
        }
        net
    }

    /// Takes a host's link down at the bridge, or brings it back.
    pub fn link(&self, port: &str, state: &str) {
        run("ip", &format!("-n {}s link set {port} {state}", self.prefix));
    }

    pub fn addresses(&self, host: &str) -> String {
        run("ip", &format!("-n {}{host} -o addr show", self.prefix))
    }

    /// Runs a program on a host; what it says, or nothing if it fails.
    pub fn says(&self, host: &str, words: &str) -> String {
        let name = format!("{}{host}", self.prefix);
        let output = Command::new("ip").args(["netns", "exec", &name]).args(words.split_whitespace()).output().expect("ip");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs something on a host.
    pub fn within<T: Send + 'static>(&self, host: &str, what: impl FnOnce() -> T + Send + 'static) -> T {
        let path = Path::new("/run/netns").join(format!("{}{host}", self.prefix));
        let there = move || {
            let file = std::fs::File::open(path).expect("a namespace");
            rustix::thread::move_into_link_name_space(file.as_fd(), Some(rustix::thread::LinkNameSpaceType::Network)).expect("into it");
            what()
        };
        std::thread::spawn(there).join().expect("it does not panic")
    }

    /// Writes a setting below /proc/sys/net of a host.
    pub fn set(&self, host: &str, name: &'static str, value: &'static str) {
        self.within(host, move || std::fs::write(format!("/proc/sys/net/{name}"), value).unwrap_or_else(|e| panic!("{name}: {e}")));
    }

    /// Whether a host gets an answer from an address: a port where nobody listens refuses.
    pub fn is_answered(&self, host: &str, address: &str) -> bool {
        let to = format!("{address}:9");
        self.within(host, move || {
            let socket = std::net::UdpSocket::bind("0.0.0.0:0").expect("a socket");
            socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a time");
            socket.connect(to).is_ok()
                && socket.send(b"x").is_ok()
                && socket.recv(&mut [0]).is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionRefused)
        })
    }

    pub fn has(&self, host: &str, address: &str) -> bool {
        self.addresses(host).contains(&format!(" {address}/"))
    }

    /// A file of this net's own.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A program in a host's network namespace.
    pub fn command(&self, host: &str, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{}{host}", self.prefix), program]).stdin(Stdio::null());
        command
    }

    /// Runs something on a thread of a host.
    pub fn on<T: Send + 'static>(&self, host: &str, work: impl FnOnce() -> T + Send + 'static) -> std::thread::JoinHandle<T> {
        let name = format!("{}{host}", self.prefix);
        std::thread::spawn(move || {
            let file = std::fs::File::open(std::path::Path::new("/run/netns").join(name)).expect("a namespace");
            let kind = Some(rustix::thread::LinkNameSpaceType::Network);
            rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), kind).expect("into the namespace");
            work()
        })
    }

    /// What a router of ours answers to `vrrpd status` and the like.
    pub fn ask(&self, host: &str, words: &str) -> String {
        let socket = self.file(&format!("{host}.sock"));
        run(VRRPD, &format!("{words} --socket {}", socket.display()))
    }

    pub fn start(&self, host: &str, program: &str, conf: &str) -> Router {
        let file = |what: &str| self.dir.join(format!("{host}.{what}")).to_string_lossy().into_owned();
        std::fs::write(file("conf"), conf).expect("a file");
        let log = std::fs::File::create(file("log")).expect("a file");
        let mut command = Command::new("ip");
        command.args([
            "netns",
            "exec",
            &format!("{}{host}", self.prefix),
            program,
            "-n",
            "-l",
            "-P",
            "-D",
            "-f",
            &file("conf"),
            "-p",
            &file("pid"),
        ]);
        match program {
            "keepalived" => command.args(["-r", &file("vpid")]),
            _ => command.args(["--socket", &file("sock"), "--dump-dir", &self.dir.to_string_lossy()]),
        };
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("a program");
        Router { child, log: file("log").into(), conf: file("conf").into() }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for part in ["s", "a", "b"] {
            let _ = Command::new("ip").args(["netns", "del", &format!("{}{part}", self.prefix)]).status();
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

pub struct Router {
    pub child: Child,
    pub log: PathBuf,
    pub conf: PathBuf,
}

impl Router {
    /// Gives it another file and waits for its word about it, with what it logged meanwhile.
    pub fn reload(&self, conf: &str) -> String {
        let before = self.log().len();
        std::fs::write(&self.conf, conf).expect("a file");
        self.signal(rustix::process::Signal::HUP);
        until("a word about the reload", || {
            let log = self.log();
            log[before..].contains("Reload complete") || log[before..].contains("Reload refused")
        });
        self.log().split_off(before)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("a process of ours");
    }

    /// Ends it as an operator does; its exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.signal(rustix::process::Signal::TERM);
        self.child.wait().expect("a child").code()
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let tries = PATIENCE.as_millis() / GLANCE.as_millis();
    for _ in 0..tries {
        if condition() {
            return;
        }
        sleep(GLANCE);
    }
    panic!("not within {PATIENCE:?}: {what}");
}

pub const VRRPD: &str = env!("CARGO_BIN_EXE_vrrpd");
pub const VIP: &str = "10.9.0.100";

/// An instance on e0 with these lines more.
pub fn conf(priority: u8, lines: &str) -> String {
    format!(
        "vrrp_instance V1 {{\n interface e0\n virtual_router_id 51\n priority {priority}\n{lines}\n virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n"
    )
}

/// The same for IPv6, with the address of [`VIP`] beside it.
pub fn conf6(priority: u8, lines: &str) -> String {
    let own = format!("fe80::100\n fd09:0::100/64\n }}\n virtual_ipaddress_excluded {{\n {VIP}/24");
    conf(priority, lines).replace(&format!("{VIP}/24"), &own)
}

/// Instances on e0, the ids from 1 on, with 10.10.0.ID each.
pub fn some(count: u8, priority: u8, lines: &str) -> String {
    let one = |id: u8| conf(priority, lines).replace("V1", &format!("V{id}")).replace("51", &id.to_string());
    (1..=count).map(|id| one(id).replace(&format!("{VIP}/24"), &format!("10.10.0.{id}/32"))).collect()
}

/// As many as there can be.
pub fn many(priority: u8, lines: &str) -> String {
    some(255, priority, lines)
}

/// How many of the addresses of [`some`] a host has.
pub fn how_many(net: &Net, host: &str) -> usize {
    net.addresses(host).matches(" 10.10.0.").count()
}

/// Scripts run as root, whoever may change them.
pub const ROOT: &str = "global_defs {\n script_user root\n}\n";

/// A script of the shell with this text; its path.
pub fn script(net: &Net, name: &str, text: &str) -> String {
    let path = net.file(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a file");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("its mode");
    path.to_string_lossy().into_owned()
}

/// How many processes have this in their command line.
pub fn running(word: &str) -> usize {
    let all = std::fs::read_dir("/proc").expect("/proc");
    let lines = all.filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).split('\0').any(|w| w == word)).count()
}

/// Lines that somebody writes into a fifo, from now on.
pub fn listen(path: PathBuf) -> std::thread::JoinHandle<String> {
    until("the fifo", || path.exists());
    std::thread::spawn(move || {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut std::fs::File::open(path).expect("a fifo"), &mut text).expect("text");
        text
    })
}
