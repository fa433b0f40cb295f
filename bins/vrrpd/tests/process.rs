//! The process: names, files, namespaces, signals, and a log that nobody reads.

mod common;

use common::{GLANCE, Net, PATIENCE, VIP, VRRPD, conf, may_run, until};
use rustix::fs::OFlags;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

#[test]
fn in_the_background_under_keepaliveds_name() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    std::fs::write(net.file("a.conf"), conf(150, "")).expect("a file");
    std::os::unix::fs::symlink(VRRPD, net.file("keepalived")).expect("a link");
    // With a /run of its own, since the files have their usual places.
    let script = "mount -t tmpfs none /run && cd $0 && ./keepalived -f a.conf --socket $0/s --dump-dir $0 && \
                  while ! [ -s /run/vrrp.pid ]; do sleep 0.05; done && cat /run/keepalived.pid /run/vrrp.pid && \
                  ./keepalived -f a.conf; echo second $? && kill $(cat /run/keepalived.pid) && \
                  while [ -e /run/keepalived.pid ] || [ -e /run/vrrp.pid ]; do sleep 0.05; done; echo gone";
    let mut command = net.command("a", "unshare");
    let output = command.args(["-m", "sh", "-c", script]).arg(&net.dir).output().expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines.len() == 4 && lines[0] == lines[1] && lines[0].parse::<u32>().is_ok(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(lines[2..], ["second 0", "gone"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("daemon is already running"));
}

#[test]
fn systemd_is_told() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let socket = UnixDatagram::bind(net.file("notify")).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    std::fs::write(net.file("a.conf"), conf(150, "")).expect("a file");
    let file = |name: &str| net.file(name).to_string_lossy().into_owned();
    let mut child = net
        .command("a", VRRPD)
        .args(["-nl", "-f", &file("a.conf"), "-p", &file("pid"), "--socket", &file("s"), "-g", &file("k.log"), "-V"])
        .env("NOTIFY_SOCKET", net.file("notify"))
        .stderr(Stdio::null())
        .spawn()
        .expect("vrrpd");
    let word = || {
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).expect("a word");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    assert_eq!(word(), "READY=1");
    until("a master", || net.has("a", VIP));
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).expect("it lives");
    assert_eq!(word(), "STOPPING=1");
    assert_eq!(child.wait().expect("a child").code(), Some(0));
    // -V leaves the address, -g writes to a file, under keepalived's name for the process.
    assert!(net.has("a", VIP));
    let log = std::fs::read_to_string(net.file("k_vrrp.log")).expect("a log");
    for line in ["(V1) Entering BACKUP STATE (init)", "Startup complete", "(V1) Entering MASTER STATE", "(V1) sent 0 priority", "Stopped"] {
        assert!(log.contains(line), "{line}: {log}");
    }
    assert!(!net.file("pid").exists() && !net.file("s").exists());
}

#[test]
fn another_namespace() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    std::fs::write(net.file("a.conf"), conf(150, "")).expect("a file");
    let file = |name: &str| net.file(name).to_string_lossy().into_owned();
    let start = |words: &[&str]| {
        let mut command = Command::new(VRRPD);
        command.args(["-nl", "-p", &file("pid"), "--socket", &file("s")]).args(words);
        command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("vrrpd")
    };
    let name = format!("{}a", net.prefix);
    let stop = |mut child: std::process::Child| {
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).expect("it lives");
        assert_eq!(child.wait().expect("a child").code(), Some(0));
    };
    let by_switch = start(&["-f", &file("a.conf"), "-s", &name]);
    until("a master there", || net.has("a", VIP));
    stop(by_switch);
    std::fs::write(net.file("b.conf"), format!("net_namespace {name}\n{}", conf(150, ""))).expect("a file");
    let by_file = start(&["-f", &file("b.conf")]);
    until("a master there", || net.has("a", VIP));
    stop(by_file);
}

#[test]
fn a_console_that_nobody_reads_delays_nothing() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    // A pipe that is full already.
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    rustix::fs::fcntl_setfl(&writer, OFlags::NONBLOCK).expect("a flag");
    while writer.write(&[b'x'; 4096]).is_ok() {}
    rustix::fs::fcntl_setfl(&writer, OFlags::empty()).expect("a flag");
    let lines = " version 3\n advert_int 0.2";
    std::fs::write(net.file("a.conf"), conf(150, lines)).expect("a file");
    let file = |name: &str| net.file(name).to_string_lossy().into_owned();
    let mut child = net
        .command("a", VRRPD)
        .args(["-nl", "-f", &file("a.conf"), "-p", &file("pid"), "--socket", &file("a.sock")])
        .stderr(writer)
        .spawn()
        .expect("vrrpd");
    until("a master", || net.has("a", VIP));
    let other = net.start("b", VRRPD, &conf(100, lines));
    until("a backup", || other.log().contains("BACKUP STATE"));
    // Reloads log more than the queue holds; a blocked election would be silent for longer than 0.8 s.
    let pid = rustix::process::Pid::from_child(&child);
    for _ in 0..150 {
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("it lives");
        sleep(GLANCE);
    }
    assert!(net.has("a", VIP) && !other.log().contains("Entering MASTER"), "{}", other.log());
    assert!(net.ask("a", "status").contains("V1 MASTER"));
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it lives");
    assert_eq!(child.wait().expect("a child").code(), Some(0));
    drop(reader);
}

#[test]
fn numbers_of_signals_are_keepaliveds() {
    let number = |program: &str, name: &str| {
        let output = Command::new(program).arg(format!("--signum={name}")).output().unwrap_or_else(|e| panic!("{program}: {e}"));
        (output.status.code(), String::from_utf8_lossy(&output.stdout).trim().to_string())
    };
    for name in ["STOP", "RELOAD", "DATA", "STATS", "STATS_CLEAR", "JSON", "NONSENSE"] {
        assert_eq!(number(VRRPD, name), number("keepalived", name), "{name}");
    }
}

#[test]
fn scripts_at_the_start_and_at_the_end() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let mark = net.file("mark");
    let touch = |word: &str| format!("\"/bin/cp /proc/version {}.{word}\" root", mark.display());
    let global = format!(
        "global_defs {{\n startup_script {}\n shutdown_script {}\n vrrp_process_name vt_elections\n max_auto_priority 3\n}}\n",
        touch("start"),
        touch("stop")
    );
    let router = net.start("a", VRRPD, &format!("{global}{}", conf(150, "")));
    until("a master", || net.has("a", VIP));
    assert!(net.file("mark.start").exists() && !net.file("mark.stop").exists());
    let name = std::fs::read_to_string(format!("/proc/{}/comm", router.child.id())).expect("it lives");
    assert_eq!(name.trim(), "vt_elections");
    assert_eq!(router.stop(), Some(0));
    assert!(net.file("mark.stop").exists());
}

#[test]
fn what_is_late_says_so() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let global = "global_defs {\n max_auto_priority 2\n min_auto_priority_delay 100000\n}\n";
    let router = net.start("a", VRRPD, &format!("{global}{}", conf(150, " version 3\n advert_int 0.1")));
    until("a master", || net.has("a", VIP));
    router.signal(rustix::process::Signal::STOP);
    sleep(Duration::from_millis(400));
    router.signal(rustix::process::Signal::CONT);
    until("a word about it", || router.log().contains("ms late"));
    until("more urgency, or why not", || router.log().contains("ms late: "));
    let status = net.ask("a", "status --json");
    assert!(!status.contains("\"late_timers\":0"), "{status}");
}
