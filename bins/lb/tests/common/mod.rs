//! What the tests of the program share: starting it, origins, other people's programs.
#![allow(dead_code)] // Each test file uses its part.

use lb_testkit::fixture::{TempDir, fill};
use lb_testkit::origin::Origin;
use lb_testkit::ports;
use lb_testkit::process::{Process, StartError};
use lb_testkit::script::{Plain, Step, World};
use lb_testkit::syslog::Syslog;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// The program under test: the one cargo has built, or `LB_BIN`.
pub fn program() -> PathBuf {
    lb_testkit::process::under_test(env!("CARGO_BIN_EXE_lb"))
}

/// Whether `LB_BIN` names another program than `lb` (haproxy, to check the tests themselves).
pub fn is_other() -> bool {
    program().file_name().is_none_or(|name| name != "lb")
}

/// An answer of five bytes.
pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// What configurations begin with.
pub const PREAMBLE: &str = "\
global
    log 127.0.0.1:{log} local0
    log-tag test
    maxconn 500
defaults
    log global
    mode http
    option httplog
    timeout connect 3s
    timeout client 10s
    timeout server 10s
";

/// A running proxy with its log.
pub struct Lb {
    pub process: Process,
    pub log: Syslog,
    /// A second receiver, `{log2}`: for what must not drown in the lines of a load test.
    pub log2: Syslog,
    pub fe: u16,
    pub fe2: u16,
}

impl Lb {
    /// The address of the first frontend.
    pub fn addr(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.fe).into()
    }

    /// Whether it still runs.
    pub fn alive(&mut self) -> bool {
        self.process.try_status().is_none()
    }
}

/// Starts the program with `text` as configuration: `{fe}`, `{fe2}`, `{log}`, `{log2}`, `{dir}` and the names in `values` are filled in.
#[track_caller]
pub fn start(text: &str, values: &[(&str, u16)]) -> Lb {
    start_program(&program(), text, values)
}

/// As [`start`] with more arguments, and with these limits of open files (soft, hard) where given.
#[track_caller]
pub fn start_with(args: &[&str], files: Option<(u32, u32)>, text: &str, values: &[(&str, u16)]) -> Lb {
    start_by(text, values, |file| limited(files, file, args))
}

/// The program with `file` and `args`, and with these limits of open files; without the right to go beyond them, should the tests
/// have it.
pub fn limited(files: Option<(u32, u32)>, file: &Path, args: &[&str]) -> Command {
    let limits = files.map_or_else(String::new, |(soft, hard)| {
        let drop = "setpriv --bounding-set -sys_resource";
        format!("ulimit -S -n {soft} && ulimit -H -n {hard} && {drop} true 2>/dev/null && exec {drop} \"$0\" \"$@\"; ")
    });
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(limits + "exec \"$0\" \"$@\"").arg(program()).args(["-db", "-f"]).arg(file).args(args);
    command
}

/// Starts any program that takes `-db -f <file>`, `lb` or haproxy, as [`start`] does.
#[track_caller]
pub fn start_program(program: &Path, text: &str, values: &[(&str, u16)]) -> Lb {
    start_by(text, values, |file| {
        let mut command = Command::new(program);
        command.args(["-db", "-f"]).arg(file);
        command
    })
}

#[track_caller]
fn start_by(text: &str, values: &[(&str, u16)], command: impl Fn(&Path) -> Command) -> Lb {
    for _ in 0..5 {
        let log = Syslog::udp().expect("a UDP socket");
        let log2 = Syslog::udp().expect("a UDP socket");
        let dir = TempDir::new("test").expect("a directory");
        let (fe, fe2) = (ports::free_tcp(), ports::free_tcp());
        let mut all: Vec<(String, String)> = values.iter().map(|(n, p)| ((*n).to_owned(), p.to_string())).collect();
        all.extend([
            ("fe".into(), fe.to_string()),
            ("fe2".into(), fe2.to_string()),
            ("log".into(), log.port().to_string()),
            ("log2".into(), log2.port().to_string()),
            ("dir".into(), dir.path().display().to_string()),
        ]);
        let binds: Vec<u16> = [("{fe}", fe), ("{fe2}", fe2)].iter().filter(|(n, _)| text.contains(n)).map(|(_, p)| *p).collect();
        let file = dir.write("proxy.cfg", fill(text, &all)).expect("a file");
        let mut process = Process::spawn_command(dir, command(&file)).expect("the program");
        match process.wait_listening(&binds) {
            Ok(()) => return Lb { process, log, log2, fe, fe2 },
            Err(e) if e.is_port_clash() => continue,
            Err(e) => panic!("{e}"),
        }
    }
    panic!("no free port in five tries");
}

/// An origin of the same script for every connection.
pub fn origin(steps: Vec<Step>) -> Origin {
    origins(vec![steps])
}

/// An origin with a script per connection.
pub fn origins(scripts: Vec<Vec<Step>>) -> Origin {
    Origin::start(scripts, world()).expect("an origin")
}

/// A world for scripts that wait for nothing but bytes.
pub fn world() -> Arc<dyn World> {
    Arc::new(Plain::default())
}

/// An origin that answers every request with `answer`.
pub fn serve(answer: &str) -> Origin {
    origin(vec![Step::Serve(answer.into())])
}

/// Finds a program that the tests need; they are what `cargo xtask test` installs.
pub fn tool(name: &str) -> PathBuf {
    for dir in ["/usr/bin", "/usr/sbin", "/bin", "/usr/local/bin"] {
        let path = Path::new(dir).join(name);
        if path.exists() {
            return path;
        }
    }
    panic!("{name} is not installed: `cargo xtask test` does that");
}

/// Starts nginx as one process that answers everything with `text`, and large files from its directory below `/files/`.
pub fn nginx(text: &str) -> (Process, u16) {
    for _ in 0..5 {
        let port = ports::free_tcp();
        match nginx_on(port, text) {
            Ok(process) => return (process, port),
            Err(e) if e.is_port_clash() => continue,
            Err(e) => panic!("nginx: {e}"),
        }
    }
    panic!("no free port for nginx in five tries");
}

/// As [`nginx`] on a given port.
pub fn nginx_on(port: u16, text: &str) -> Result<Process, StartError> {
    let dir = TempDir::new("nginx")?;
    let at = dir.path().display().to_string();
    let config = format!(
        "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fcgi;\n\
         uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi; client_max_body_size 1g;\n\
         server {{ listen 127.0.0.1:{port}; location / {{ return 200 \"{text}\"; }} location /files/ {{ root {at}; }} }} }}\n"
    );
    let file = dir.write("nginx.conf", config)?;
    let file = file.to_str().expect("UTF-8").to_owned();
    let error_log = format!("{at}/start.log");
    let mut process = Process::spawn_in(dir, &tool("nginx"), &["-c", &file, "-p", &at, "-e", &error_log])?;
    process.wait_listening(&[port])?;
    Ok(process)
}

/// Runs a command to its end and gives what it wrote to stdout; panics when it fails.
#[track_caller]
pub fn output(command: &mut Command) -> String {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{command:?}: {}\n{text}\n{}", out.status, String::from_utf8_lossy(&out.stderr));
    text
}

/// What wrk reported.
#[derive(Debug)]
pub struct Load {
    pub requests: u64,
    /// Connect, read, write and time-out errors.
    pub socket_errors: u64,
    /// Answers that were neither 2xx nor 3xx.
    pub bad_status: u64,
    pub text: String,
}

/// Runs wrk for `seconds` with `connections` on one thread.
pub fn wrk(addr: std::net::SocketAddr, connections: u32, seconds: u32) -> Load {
    let text = output(
        Command::new(tool("wrk"))
            .args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "--timeout", "120s"])
            .arg(format!("http://{addr}/")),
    );
    parse_wrk(&text)
}

/// Reads wrk's report.
pub fn parse_wrk(text: &str) -> Load {
    let number = |word: &str| word.trim_end_matches(',').parse::<u64>().ok();
    let mut load = Load { requests: 0, socket_errors: 0, bad_status: 0, text: text.to_owned() };
    for line in text.lines() {
        if line.contains("requests in") {
            load.requests = line.split_whitespace().next().and_then(number).unwrap_or(0);
        } else if line.contains("Socket errors") {
            load.socket_errors = line.split_whitespace().filter_map(number).sum();
        } else if line.contains("Non-2xx") {
            load.bad_status = line.split_whitespace().next_back().and_then(number).unwrap_or(0);
        }
    }
    load
}

/// An I/O error as a test failure.
pub fn io<T>(result: io::Result<T>) -> T {
    result.unwrap_or_else(|e| panic!("{e}"))
}
