//! What is tracked (scripts, files, processes) and who is told (scripts, fifos, mail), beside what keepalived does with the same file.

mod common;

use common::{GLANCE, Net, ROOT, Router, VIP, VRRPD, conf, how_many, listen, many, may_run, running, script, until};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;

#[test]
fn a_script_that_takes_too_long_is_ended_with_its_children() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    // A number that no other process sleeps.
    let long = format!("{}", 700_000 + std::process::id());
    // It floods its output, starts children that ignore SIGTERM, and hangs.
    let path = script(&net, "hangs", &format!("trap '' TERM\nsleep {long} &\nsleep {long} &\nyes | head -c 10000000\nwait"));
    let tracked = format!("{ROOT}vrrp_script s {{\n script {path}\n interval 1\n timeout 1\n}}\n");
    let router = net.start("a", VRRPD, &format!("{tracked}{}", conf(150, " track_script {\n s\n }")));
    until("it has hung", || router.log().contains("VRRP_Script(s) failed (timed out)"));
    until("that counts", || router.log().contains("(V1) Entering FAULT STATE (script s is down)"));
    // At most those of the present run.
    until("its children are ended", || running(&long) <= 2);
    assert_eq!(router.stop(), Some(0));
    until("nothing is left", || running(&long) == 0);
}

#[test]
fn a_script_has_its_user_rise_and_fall() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let flag = net.file("flag");
    std::fs::set_permissions(&net.dir, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("its mode");
    let path = script(
        &net,
        "check",
        &format!("grep SigBlk /proc/self/status > {}.signals\nid -un > {0}\n[ -e {} ]", net.file("who").display(), flag.display()),
    );
    let tracked =
        format!("vrrp_script s {{\n script \"{path} x\"\n interval 1\n rise 2\n fall 2\n weight 20\n user nobody\n init_fail\n}}\n");
    let router = net.start("a", VRRPD, &format!("{tracked}{}", conf(100, " track_script {\n s\n }")));
    until("it has run", || std::fs::read_to_string(net.file("who")).is_ok_and(|who| who == "nobody\n"));
    let blocked = std::fs::read_to_string(net.file("who.signals")).expect("a line");
    assert_eq!(blocked.trim(), "SigBlk:\t0000000000000000", "what it starts can be ended");
    until("a master without it", || net.has("a", VIP));
    assert!(!router.log().contains("succeeded"), "{}", router.log());
    std::fs::write(&flag, "").expect("a file");
    until("it succeeds", || router.log().contains("VRRP_Script(s) succeeded"));
    until("more", || router.log().contains("(V1) Changing effective priority from 100 to 120"));
    std::fs::remove_file(&flag).expect("a file");
    until("it fails", || router.log().contains("VRRP_Script(s) failed (exited with status 1)"));
    until("less", || router.log().contains("(V1) Changing effective priority from 120 to 100"));
    assert_eq!(router.stop(), Some(0));
}

#[test]
fn files_and_processes() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let (file, late) = (net.file("number"), net.file("later").join("number"));
    // A name that no other process has.
    let name = format!("vtp{}", std::process::id());
    let program = net.file(&name);
    std::os::unix::fs::symlink("/bin/sleep", &program).expect("a link");
    let blocks = format!(
        "track_file f {{\n file {}\n weight 2\n init_file 3\n}}\ntrack_file l {{\n file {}\n weight 1\n}}\n\
         vrrp_track_process p {{\n process {name}\n weight 7\n quorum_max 1\n}}\n\
         vrrp_track_process q {{\n process {} 654321\n param_match partial\n weight -9\n terminate_delay 0.5\n}}\n",
        file.display(),
        late.display(),
        program.display()
    );
    let lines = " track_file {\n f\n l weight 3\n }\n track_process {\n p\n q\n }";
    // Where the kernel announces processes, /proc is looked through once a minute, for which nothing here waits.
    let router = net.start("a", VRRPD, &format!("{blocks}{}", conf(100, lines)));
    let says = |text: &str| until(text, || router.log().contains(text));
    // 100 + 2 * 3 - 9: the process that is to run does not.
    says("to 97");
    assert_eq!(std::fs::read_to_string(&file).expect("it was made"), "3\n");
    until("a master", || net.has("a", VIP));
    std::fs::write(&file, "-20\n").expect("a file");
    says("Changing effective priority from 97 to 51");
    std::fs::create_dir(net.file("later")).expect("a directory");
    std::fs::write(&late, "4").expect("a file");
    says("from 51 to 63");
    let mut child = Command::new(&program).arg("600").spawn().expect("a process");
    says("from 63 to 70");
    let mut second = Command::new(&program).args(["654321"]).spawn().expect("a process");
    // Two are too many for the one, and enough for the other.
    until("both are noticed", || router.log().contains("to 72"));
    second.kill().expect("a child");
    second.wait().expect("a child");
    until("one is left", || net.ask("a", "status").contains("priority   70 "));
    child.kill().expect("a child");
    child.wait().expect("a child");
    until("none is left", || net.ask("a", "status").contains("priority   63 "));
    std::fs::write(&file, "-200").expect("a file");
    says("Entering FAULT STATE");
    until("the cause", || net.ask("a", "status").contains("why not us file f is down"));
    std::fs::remove_file(&file).expect("a file");
    until("a master again", || net.has("a", VIP));
    assert_eq!(router.stop(), Some(0));
}

/// An instance and its group that tell scripts and fifos, which write into files of `mark`.
fn telling(net: &Net, mark: &str) -> String {
    let log = net.file(&format!("{mark}.told"));
    let path = script(net, &format!("{mark}.sh"), &format!("echo \"$@\" >> {}", log.display()));
    let fifo = |name: &str| net.file(&format!("{mark}.{name}")).display().to_string();
    let words = |who: &str, all: &[&str]| -> String { all.iter().map(|w| format!(" notify_{w} \"{path} {who} {w}\"\n")).collect() };
    let instance =
        format!("{} notify \"{path} any 1\"\n smtp_alert\n", words("V1", &["master", "backup", "fault", "stop", "master_rx_lower_pri"]));
    let group = format!("{} notify \"{path} any 2\"\n smtp_alert\n", words("G", &["master", "backup", "fault", "stop"]));
    format!(
        "global_defs {{\n script_user root\n notify_fifo {}\n vrrp_notify_fifo {}\n vrrp_notify_fifo_script \"{path} fifo\"\n \
         vrrp_notify_priority_changes on\n router_id R\n notification_email {{\n ops@example.org\n }}\n \
         notification_email_from ka@example.org\n smtp_server 127.0.0.1 2525\n}}\n\
         track_file tf {{\n file {}\n weight 1\n}}\n\
         vrrp_sync_group G {{\n group {{\n V1\n }}\n{group}}}\n{}",
        fifo("fifo1"),
        fifo("fifo2"),
        net.file("number").display(),
        conf(100, &format!(" track_file {{\n tf weight 0\n }}\n{instance}"))
    )
}

/// A server of SMTP on a host that takes what comes; each mail's subject and body.
fn mails(net: &Net, host: &str, file: PathBuf) {
    let ready = std::sync::Arc::new(std::sync::Barrier::new(2));
    let bound = ready.clone();
    net.on(host, move || {
        let listener = std::net::TcpListener::bind("127.0.0.1:2525").expect("a port");
        bound.wait();
        for stream in listener.incoming() {
            let file = file.clone();
            std::thread::spawn(move || one_mail(stream.expect("a client"), &file));
        }
    });
    ready.wait();
}

fn one_mail(stream: std::net::TcpStream, file: &Path) {
    let mut reader = BufReader::new(stream);
    let (mut text, mut data) = (String::new(), false);
    let _ = reader.get_mut().write_all(b"220 here\r\n");
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim_end();
        let answer = match (data, line) {
            (true, ".") => {
                let mut out = std::fs::OpenOptions::new().append(true).create(true).open(file).expect("a file");
                out.write_all(text.as_bytes()).expect("written");
                "250 taken"
            }
            (true, _) => {
                if line.starts_with("Subject: ") || line.starts_with("=>") || line.starts_with("To: ") {
                    text += &format!("{line}\n");
                }
                continue;
            }
            (false, "DATA") => "354 go on",
            (false, "QUIT") => "221 bye",
            (false, _) => "250 yes",
        };
        data = line == "DATA";
        let _ = reader.get_mut().write_all(format!("{answer}\r\n").as_bytes());
    }
}

/// The life of a router that tells: everything that happens to it once, and what was told.
fn life(net: &Net, program: &str, mark: &str) -> (Vec<String>, [String; 2], Vec<String>, Vec<String>) {
    let (number, told, mailed) = (net.file("number"), net.file(&format!("{mark}.told")), net.file(&format!("{mark}.mail")));
    std::fs::write(&number, "0").expect("a file");
    mails(net, if program == "keepalived" { "b" } else { "a" }, mailed.clone());
    let host = if program == "keepalived" { "b" } else { "a" };
    let router: Router = net.start(host, program, &telling(net, mark));
    let fifo2 = listen(net.file(&format!("{mark}.fifo2")));
    let count = |text: &str| router.log().matches(text).count();
    until("a master", || net.has(host, VIP));
    // Only now somebody reads the other fifo: what was written has been kept.
    let fifo1 = listen(net.file(&format!("{mark}.fifo1")));
    std::fs::write(&number, "1").expect("a file");
    until("a fault", || count("(V1) Entering FAULT STATE") == 1 && !net.has(host, VIP));
    std::fs::write(&number, "0").expect("a file");
    until("a master again", || count("(V1) Entering MASTER STATE") == 2);
    let lines = |path: &Path| -> Vec<String> {
        let mut lines: Vec<String> = std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_string).collect();
        // Scripts run at the same time, so their order is nobody's.
        lines.sort();
        lines
    };
    // Five changes of two, with two scripts each; the script of the fifo; three lines of each mail.
    until("all are told", || lines(&told).len() >= 21);
    until("all are mailed", || lines(&mailed).len() >= 30);
    let log = router.log.clone();
    router.stop();
    until("the end is told", || lines(&told).len() >= 25);
    // keepalived keeps its fifos open for its script; the reader is done when all have closed it.
    let texts = [fifo1, fifo2].map(|fifo| fifo.join().expect("no panic"));
    let same = |line: String| line.replace(&format!("{mark}."), "");
    let log = std::fs::read_to_string(log).expect("a log");
    (lines(&told).into_iter().map(same).collect(), texts, lines(&mailed), log.lines().filter_map(searched).collect())
}

/// The lines of a log that people search for, without their date; of a fault, ours also says why.
fn searched(line: &str) -> Option<String> {
    let (_, line) = line.split_once(" 20")?.1.split_once(": ")?;
    let words = [") Entering ", "Receive advertisement timeout", "sent 0 priority", "Stopping"];
    let line = line.split(" STATE (file").next().unwrap_or_default();
    let line = if line.ends_with("FAULT") { format!("{line} STATE") } else { line.to_string() };
    words.iter().any(|word| line.contains(word)).then_some(line)
}

#[test]
fn everybody_is_told_what_keepalived_tells() {
    if !may_run() {
        return;
    }
    // Each in a net of its own, so that each is alone.
    let (ours, theirs) = (Net::new(), Net::new());
    let first = std::thread::spawn(move || (life(&ours, VRRPD, "x"), ours));
    let (their_told, their_fifos, their_mails, their_log) = life(&theirs, "keepalived", "x");
    let ((told, fifos, mails, log), ours) = first.join().expect("no panic");
    let plain = |lines: Vec<String>, net: &Net| -> Vec<String> { lines.iter().map(|l| l.replace(&net.prefix, "")).collect() };
    assert_eq!(plain(told, &ours), plain(their_told, &theirs));
    // Of its end, keepalived's fifos say nothing.
    let steady = |text: &str| text.lines().filter(|l| !l.contains(" STOP ")).map(str::to_string).collect::<Vec<_>>();
    for (our, their) in fifos.iter().zip(&their_fifos) {
        assert_eq!(steady(our), steady(their));
        assert_eq!(our.lines().count(), 12, "{our}");
    }
    assert_eq!(mails, their_mails);
    assert_eq!(log, their_log);
    assert!(!ours.file("x.fifo1").exists(), "who has made it removes it");
}

#[test]
fn a_mail_server_that_says_nothing_delays_no_election() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let held = net.on("a", || {
        let listener = std::net::TcpListener::bind("127.0.0.1:2525").expect("a port");
        (listener.accept().expect("a client"), listener)
    });
    let router = net.start("a", VRRPD, &telling(&net, "x"));
    std::fs::write(net.file("number"), "0").expect("a file");
    until("a master", || net.has("a", VIP));
    let _held = held.join().expect("no panic");
    // Nobody reads the fifos either: they keep what fits and lose the rest, and say so.
    for round in 0..6000 {
        std::fs::write(net.file("number"), if round % 2 == 0 { "1" } else { "0" }).expect("a file");
        if round % 600 == 0 {
            sleep(GLANCE);
        }
    }
    std::fs::write(net.file("number"), "0").expect("a file");
    until("a master", || net.has("a", VIP) && net.ask("a", "status").contains("V1 MASTER"));
    let mut router = router;
    router.signal(rustix::process::Signal::TERM);
    until("its end", || router.child.try_wait().is_ok_and(|status| status.is_some_and(|status| status.success())));
}

/// 255 instances write more than a pipe holds within some changes.
#[test]
fn a_fifo_that_nobody_reads_is_bounded_and_delays_no_election() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let fifo = format!("{ROOT}global_defs {{\n vrrp_notify_fifo {}\n}}\n", net.file("fifo").display());
    let router = net.start("a", VRRPD, &format!("{fifo}{}", many(150, " version 3\n advert_int 0.1\n garp_master_delay 0")));
    until("all are masters", || how_many(&net, "a") == 255);
    let full = || router.log().contains("a line was lost");
    for _ in 0..20 {
        net.link("a0", "down");
        until("all are at fault", || how_many(&net, "a") == 0);
        net.link("a0", "up");
        until("all are masters again", || how_many(&net, "a") == 255);
        if full() {
            break;
        }
    }
    until("the pipe is full", full);
    assert_eq!(router.stop(), Some(0));
}
