//! Servers as Debian has them, checked by Debian's haproxy and by us: nginx, Redis, MariaDB, PostgreSQL, OpenLDAP, an SMTP server. Both say
//! the same while the server lives, and when it is gone.
#![allow(clippy::disallowed_methods)] // Tests live in real time.

mod world;

use lb_testkit::fixture::TempDir;
use lb_testkit::ports::free_tcp;
use lb_testkit::process::{HAPROXY, Process};
use lb_testkit::syslog::Syslog;
use lb_testkit::wait;
use std::fmt::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use world::{Running, without_duration};

/// A server on a port of its own with its files in a directory of its own; it is killed when this is dropped.
struct Peer {
    child: Child,
    port: u16,
    dir: TempDir,
}

impl Peer {
    /// Starts what `command` makes of a directory and a port, and waits until it accepts.
    fn start(command: impl FnOnce(&Path, u16) -> Command) -> Peer {
        let dir = TempDir::new("peer").unwrap();
        // Servers that leave root's rights behind look into it, too.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let port = free_tcp();
        let mut command = command(dir.path(), port);
        let log = std::fs::File::create(dir.path().join("output")).unwrap();
        let child = command.current_dir(dir.path()).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn();
        let mut peer = Peer { child: child.unwrap_or_else(|e| panic!("{command:?}: {e}")), port, dir };
        let mut gone = false;
        wait::must("the server accepts", || {
            gone = peer.child.try_wait().unwrap().is_some();
            gone || TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        let output = || std::fs::read_to_string(peer.dir.path().join("output")).unwrap_or_default();
        assert!(!gone, "{command:?} has ended: {}", output());
        peer
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs something that prepares a server.
fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Checks the server in each of these ways by both programs: good while it lives, with these words, and bad when it is gone.
fn check(mut peer: Peer, ways: &[(&str, &str)]) {
    let logs = [Syslog::udp().unwrap(), Syslog::udp().unwrap()];
    let config = |log: u16, listen: u16| {
        let mut text = format!(
            "global\n log 127.0.0.1:{log} len 4096 local0\ndefaults\n mode tcp\n log global\n timeout connect 5s\n timeout client 5s\n \
             timeout server 5s\n timeout check 5s\n option log-health-checks\nfrontend f\n bind 127.0.0.1:{listen}\n"
        );
        for (n, (lines, _)) in ways.iter().enumerate() {
            let lines = lines.replace('\n', "\n ");
            let _ = writeln!(text, "backend b{n}\n {lines}\n server s 127.0.0.1:{} check inter 500 rise 1 fall 1", peer.port);
        }
        text
    };
    let port = free_tcp();
    let haproxy = Process::proxy(TempDir::new("real").unwrap(), Path::new(HAPROXY), &config(logs[0].port(), port), &[port]).unwrap();
    let ours = Running::start(&config(logs[1].port(), free_tcp()), 1);
    let verdicts = |log: &Syslog, n: usize| -> Vec<String> {
        let start = format!("Health check for server b{n}/s ");
        log.text().iter().filter_map(|line| Some(without_duration(line.split_once(&start)?.1))).collect()
    };
    let all = |count: usize| (0..ways.len()).all(|n| logs.iter().all(|log| verdicts(log, n).len() >= count));
    wait::must("a verdict on each by both", || all(1));
    for (n, (lines, words)) in ways.iter().enumerate() {
        let (theirs, ours) = (verdicts(&logs[0], n), verdicts(&logs[1], n));
        assert!(theirs[0].starts_with("succeeded") && theirs[0].contains(words), "{lines}: {theirs:?}");
        assert_eq!(ours[0], theirs[0], "{lines}");
    }
    peer.kill();
    wait::must("both see that it is gone", || all(2));
    for (n, (lines, _)) in ways.iter().enumerate() {
        let (theirs, ours) = (verdicts(&logs[0], n), verdicts(&logs[1], n));
        // A check that was under way may see the end of its connection instead.
        assert!(theirs[1].starts_with("failed") && ours[1].starts_with("failed"), "{lines}: {theirs:?} {ours:?}");
        let refused = |text: &&String| text.contains("Connection refused");
        if let (Some(theirs), Some(ours)) = (theirs.get(1).filter(refused), ours.get(1).filter(refused)) {
            assert_eq!(ours, theirs, "{lines}");
        }
    }
    drop((haproxy, ours));
}

#[test]
fn nginx() {
    let peer = Peer::start(|dir, port| {
        let dir = dir.display();
        let config = format!(
            "daemon off; master_process off; pid {dir}/pid; error_log {dir}/error; events {{}} http {{ access_log off; client_body_temp_path {dir}/a; \
             proxy_temp_path {dir}/b; fastcgi_temp_path {dir}/c; uwsgi_temp_path {dir}/d; scgi_temp_path {dir}/e; \
             server {{ listen 127.0.0.1:{port}; location / {{ add_header X-Role primary; return 200 'all is well'; }} \
             location /gone {{ return 404; }} }} }}"
        );
        let file = format!("{dir}/nginx.conf");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new("/usr/sbin/nginx");
        command.args(["-c", &file, "-p"]).arg(dir.to_string());
        command
    });
    let ways = [
        ("option httpchk GET /", "code: 200"),
        ("option httpchk\nhttp-check send meth GET uri / ver HTTP/1.1 hdr Host www\nhttp-check expect string well", "code: 200"),
        ("option httpchk GET /\nhttp-check expect hdr name x-role value -m beg prim", "code: 200"),
        ("option httpchk GET /gone\nhttp-check expect status 404", "code: 404"),
        ("option tcp-check\ntcp-check send GET\\ /\\ HTTP/1.0\\r\\n\\r\\n\ntcp-check expect rstring ^HTTP/1\\.1\\ 200", "(tcp-check)"),
    ];
    check(peer, &ways);
}

#[test]
fn redis() {
    // The package of the tools has the server, too: it goes by the name that it is called by.
    let peer = Peer::start(|dir, port| {
        let mut command = Command::new("/usr/bin/redis-check-rdb");
        command.arg0("redis-server").args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string(), "--dir"]).arg(dir);
        command
    });
    let script = "option tcp-check\ntcp-check comment PING\\ phase\ntcp-check send PING\\r\\n\ntcp-check expect string +PONG\n\
                  tcp-check send info\\ replication\\r\\n\ntcp-check expect string role:master\ntcp-check send QUIT\\r\\n\n\
                  tcp-check expect string +OK";
    let binary = "option tcp-check\ntcp-check send-binary 50494e470d0a\ntcp-check expect binary 2b504F4e47";
    check(peer, &[("option redis-check", "Redis server is ok"), (script, "(tcp-check)"), (binary, "(tcp-check)")]);
}

#[test]
fn mariadb() {
    let peer = Peer::start(|dir, port| {
        let data = dir.join("data");
        let mut install = Command::new("mariadb-install-db");
        let datadir = format!("--datadir={}", data.display());
        let own = is_root().then_some("--user=root");
        run(install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", &datadir]).args(own));
        let init = dir.join("init.sql");
        std::fs::write(&init, "CREATE USER IF NOT EXISTS 'lbcheck'@'127.0.0.1';\n").unwrap();
        let mut command = Command::new("/usr/sbin/mariadbd");
        command.args(["--no-defaults", "--skip-name-resolve", "--bind-address=127.0.0.1", "--innodb-buffer-pool-size=8M", &datadir]);
        command.args(own).arg(format!("--port={port}")).arg(format!("--socket={}/socket", dir.display()));
        command.arg(format!("--pid-file={}/pid", dir.display())).arg(format!("--init-file={}", init.display()));
        command
    });
    let ways = [
        ("option mysql-check", "MariaDB"),
        ("option mysql-check user lbcheck", "MariaDB"),
        ("option mysql-check user lbcheck post-41", "MariaDB"),
    ];
    check(peer, &ways);
}

#[test]
fn postgresql() {
    let bin = std::fs::read_dir("/usr/lib/postgresql").unwrap().map(|entry| entry.unwrap().path().join("bin")).max().unwrap();
    let peer = Peer::start(|dir, port| {
        let data = dir.join("data");
        std::fs::create_dir(&data).unwrap();
        let mut init = unprivileged(bin.join("initdb"), &data);
        run(init.args(["-A", "trust", "-U", "lbcheck", "--locale=C", "--no-sync", "-D"]).arg(&data).current_dir(dir));
        let mut command = unprivileged(bin.join("postgres"), &data);
        command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k"]).arg(dir).arg("-D").arg(&data);
        command
    });
    check(peer, &[("option pgsql-check user lbcheck", "PostgreSQL server is ok")]);
}

#[test]
fn openldap() {
    let peer = Peer::start(|dir, port| {
        let file = dir.join("slapd.conf");
        std::fs::write(&file, format!("pidfile {0}/pid\nargsfile {0}/args\n", dir.display())).unwrap();
        let mut command = Command::new("/usr/sbin/slapd");
        command.args(["-d", "0", "-h", &format!("ldap://127.0.0.1:{port}"), "-f"]).arg(file);
        command
    });
    check(peer, &[("option ldap-check", "Success")]);
}

#[test]
fn smtp() {
    let peer = Peer::start(|_, port| {
        let mut command = Command::new("aiosmtpd");
        command.args(["-n", "-l", &format!("127.0.0.1:{port}"), "-c", "aiosmtpd.handlers.Sink"]);
        command
    });
    let banner = "option tcp-check\ntcp-check connect linger\ntcp-check expect rstring ^220\\  comment banner\ntcp-check send QUIT\\r\\n\n\
                  tcp-check expect rstring ^221";
    let ways = [("option smtpchk", "code: 221"), ("option smtpchk EHLO lb.example", "code: 221"), (banner, "(tcp-check)")];
    check(peer, &ways);
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// PostgreSQL does not run as root: nobody owns `data` and runs `program`.
fn unprivileged(program: PathBuf, data: &Path) -> Command {
    const NOBODY: u32 = 65534;
    let mut command = Command::new(program);
    if is_root() {
        chown(data, Some(NOBODY), Some(NOBODY)).unwrap();
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}
