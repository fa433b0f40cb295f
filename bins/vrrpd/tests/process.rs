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

/// A program on host a under keepalived's name that logs to a socket of the test's; its process, which a signal reaches, and the socket.
fn logging(net: &Net, name: &str, program: &str, words: &str) -> (std::process::Child, UnixDatagram) {
    let socket = UnixDatagram::bind(net.file(name)).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // A /dev and a /run of its own: the log and the files have their usual places.
    let script = "mkdir -p $0/dev && mount -t tmpfs none $0/dev && touch $0/dev/null $0/dev/urandom $0/dev/log && \
                  mount --bind /dev/null $0/dev/null && mount --bind /dev/urandom $0/dev/urandom && \
                  mount --bind $0/$1 $0/dev/log && mount --rbind $0/dev /dev && mount -t tmpfs none /run && shift && exec \"$@\"";
    let mut command = net.command("a", "unshare");
    command.args(["-m", "sh", "-c", script]).arg(&net.dir).args([name, program]).args(words.split_whitespace());
    (command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a program"), socket)
}

/// Facility and level, the program's name, and the text of a line of the system's log.
fn line(socket: &UnixDatagram) -> (String, String, String) {
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).expect("a line");
    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
    let (level, rest) = text.split_once('>').expect("a level");
    // `Nov 28 18:28:42 `, as the C library writes it.
    let (date, rest) = rest.split_at(16);
    let plain = date.bytes().map(|b| {
        if b.is_ascii_digit() {
            '0'
        } else if b.is_ascii_alphabetic() {
            'a'
        } else {
            b.into()
        }
    });
    assert!(["aaa 00 00:00:00 ", "aaa  0 00:00:00 "].contains(&plain.collect::<String>().as_str()), "{text}");
    let (tag, text) = rest.split_once("]: ").expect("a text");
    (level.into(), tag.split('[').next().unwrap_or_default().into(), text.into())
}

#[test]
fn the_systems_log_is_keepaliveds() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    std::fs::write(net.file("a.conf"), conf(150, " version 3\n advert_int 0.1")).expect("a file");
    std::os::unix::fs::symlink(VRRPD, net.file("keepalived")).expect("a link");
    let ours = net.file("keepalived").to_string_lossy().into_owned();
    let words = format!("-n -l -D -P -S 3 -f {}", net.file("a.conf").display());
    let [theirs, ours] = [("t", "keepalived"), ("o", ours.as_str())].map(|(name, program)| {
        let (mut child, socket) = logging(&net, name, program, &words);
        let mut all = Vec::new();
        loop {
            all.push(line(&socket));
            match all.last().expect("one").2.as_str() {
                "(V1) Entering MASTER STATE" => {
                    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
                        .expect("it lives")
                }
                text if text.starts_with("Stopped") => break,
                _ => {}
            }
        }
        child.wait().expect("a child");
        all
    });
    let of_instance = theirs.iter().filter(|(_, _, text)| text.starts_with("(V1)") && !text.contains("gratuitous"));
    let missing: Vec<_> = of_instance.clone().filter(|it| !ours.contains(it)).collect();
    assert!(of_instance.count() > 4 && missing.is_empty(), "{missing:?}\n{ours:?}");
    assert!(ours.iter().all(|(level, tag, _)| level == "<158" && tag == "Keepalived_vrrp"), "{ours:?}");
}

#[test]
fn a_start_that_comes_to_nothing_is_in_the_log_and_exits_as_keepaliveds() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let file = |name: &str| net.file(name).to_string_lossy().into_owned();
    std::fs::write(file("if.conf"), conf(150, "").replace("interface e0", "interface e77")).expect("a file");
    std::fs::write(file("vrid.conf"), conf(150, "").replace("virtual_router_id 51", "")).expect("a file");
    for (name, says) in [("if.conf", "e77 "), ("vrid.conf", "virtual router id"), ("none.conf", "Config files missing")] {
        let exit = |socket: &str, program: &str| {
            let words = format!("-n -f {} -p {} -r {}", file(name), file("pid"), file("vpid"));
            let (mut child, socket) = logging(&net, &format!("{socket}{name}"), program, &words);
            while !line(&socket).2.contains(says) {}
            // Who writes to a log that nobody reads waits for it.
            drop(socket);
            child.wait().expect("a child").code()
        };
        assert_eq!(exit("o", VRRPD), exit("t", "keepalived"), "{name}");
    }
    // Nothing at all is waited with, for a file with something.
    std::fs::write(file("a.conf"), "# later\n").expect("a file");
    let router = net.start("a", VRRPD, "# later\n");
    until("it runs", || router.log().contains("Startup complete") && router.log().contains("there is no vrrp_instance"));
    assert!(router.reload(&conf(150, "")).contains("Reload complete"));
    until("a master", || net.has("a", VIP));
    assert!(router.reload("# nothing\n").contains("Reload refused") && net.has("a", VIP));
}

#[test]
fn questions_about_keepalived_are_answered() {
    let dir = std::env::temp_dir().join(format!("vt{}v", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    std::os::unix::fs::symlink(VRRPD, dir.join("keepalived")).expect("a link");
    let says = |program: &std::path::Path, word: &str| {
        let output = Command::new(program).arg(word).output().expect("a program");
        assert!(output.status.success() && output.stdout.is_empty());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for word in ["-v", "--version"] {
        let (ours, theirs) = (says(&dir.join("keepalived"), word), says("keepalived".as_ref(), word));
        // Programs take the second word of the first line.
        let version = |text: &str| text.lines().next().and_then(|l| l.split(' ').nth(1)).map(str::to_string);
        assert!(version(&ours) == version(&theirs) && ours.contains("(vrrpd "), "{ours}");
    }
    assert!(says(&dir.join("keepalived"), "--help").contains("--use-file"));
    let _ = std::fs::remove_dir_all(&dir);
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
    assert_eq!(word(), format!("READY=1\nMAINPID={}", child.id()));
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

/// Debian's unit with `program` in keepalived's place: all that systemd is told from the start over a reload to the stop, and what the files
/// with the number of the process say meanwhile. keepalived says nothing unless the first process is called systemd.
fn as_the_unit_starts(net: &Net, name: &str, program: &str) -> (Vec<String>, String) {
    let unit = std::fs::read_to_string("/lib/systemd/system/keepalived.service").expect("Debian's package");
    let of = |word: &str| unit.lines().find_map(|line| line.strip_prefix(word)).expect("it stands there").to_string();
    assert_eq!((of("Type="), of("ExecReload=")), ("notify".into(), "/bin/kill -HUP $MAINPID".into()));
    let start = of("ExecStart=").replace("/usr/sbin/keepalived", program).replace("$DAEMON_ARGS", "");
    let socket = UnixDatagram::bind(net.file(name)).expect("a socket");
    let [etc, run] = ["etc", "run"].map(|what| net.file(&format!("{name}.{what}")));
    for dir in [&etc, &run] {
        std::fs::create_dir_all(dir).expect("a directory");
    }
    let text = conf(150, " version 3\n advert_int 0.1");
    std::fs::write(etc.join("keepalived.conf"), &text).expect("a file");
    let init = net.file("systemd");
    std::fs::copy("/bin/sh", &init).expect("a shell");
    let script = "mount -t proc proc /proc && mount --bind $0 /etc/keepalived && mount --bind $1 /run && shift && \
                  { \"$@\" & } && while [ ! -e /run/reload ]; do sleep 0.05; done && kill -HUP $! && \
                  while [ ! -e /run/stop ]; do sleep 0.05; done && kill -TERM $! && wait $!";
    let mut child = net
        .command("a", "unshare")
        .args(["-m", "-p", "--fork", &init.to_string_lossy(), "-c", script])
        .args([&etc, &run])
        .args(start.split_whitespace())
        .env("NOTIFY_SOCKET", net.file(name))
        .stderr(Stdio::null())
        .spawn()
        .expect("a program");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut all: Vec<String> = Vec::new();
    let mut until_said = |what: &str| {
        while all.last().is_none_or(|last| last != what) {
            let mut buffer = [0; 256];
            let length = socket.recv(&mut buffer).unwrap_or_else(|e| panic!("{name} {what}: {e} {all:?}"));
            all.extend(
                String::from_utf8_lossy(&buffer[..length]).lines().map(|l| if l.starts_with("MAINPID=") { "MAINPID" } else { l }.into()),
            );
        }
    };
    until_said("MAINPID");
    until("a master", || net.has("a", VIP));
    let files = std::fs::read_to_string(run.join("keepalived.pid")).expect("a file");
    std::fs::write(etc.join("keepalived.conf"), text.replace(VIP, "10.9.0.101")).expect("a file");
    std::fs::write(run.join("reload"), "").expect("a file");
    until_said("RELOADING=1");
    until_said("MAINPID");
    until("another address", || net.has("a", "10.9.0.101") && !net.has("a", VIP));
    std::fs::write(run.join("stop"), "").expect("a file");
    until_said("STOPPING=1");
    assert_eq!(child.wait().expect("a child").code(), Some(0), "{name}");
    assert!(!run.join("keepalived.pid").exists() && !run.join("vrrp.pid").exists());
    (all, files)
}

#[test]
fn debians_unit_starts_it() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    std::os::unix::fs::symlink(VRRPD, net.file("keepalived")).expect("a link");
    let theirs = as_the_unit_starts(&net, "t", "keepalived");
    let ours = as_the_unit_starts(&net, "o", &net.file("keepalived").to_string_lossy());
    assert_eq!(ours, theirs);
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
    for name in ["STOP", "RELOAD", "DATA", "STATS", "STATS_CLEAR", "JSON", "TDATA", "NONSENSE"] {
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

/// Who may read what it makes, and what its scripts make.
#[test]
fn masks_are_keepaliveds() {
    if !may_run() {
        return;
    }
    for (line, mask) in [("", "0177\n"), ("umask 022", "0022\n")] {
        let net = Net::new();
        let made = [("a", VRRPD), ("b", "keepalived")].map(|(host, program)| {
            let file = net.file(&format!("{host}.mask"));
            let script = format!("startup_script \"/bin/sh -c 'umask > {0}.new && mv {0}.new {0}'\" root", file.display());
            let router = net.start(host, program, &format!("global_defs {{\n{line}\n{script}\n}}\n{}", conf(150, "")));
            until("its script", || file.exists());
            let pid = net.file(&format!("{host}.pid"));
            until("its number", || std::fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n')));
            drop(router);
            let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(pid).expect("a file").permissions());
            (std::fs::read_to_string(file).expect("a file"), mode)
        });
        assert_eq!(made[0], made[1]);
        assert_eq!(made[0].0, mask);
    }
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
