//! `-t` beside keepalived's on many files; the configurations of other people's set-ups.

mod common;

use common::{Net, Router, VRRPD, may_run, run, until};
use std::process::Stdio;

/// `==== NAME` stands before each file.
const CASES: &str = include_str!("common/cases.txt");

/// Where ours differs on purpose, with both codes: keepalived's check ends itself by SIGTERM when a script runs as another user; without
/// SNMP and D-Bus somebody's monitoring waits, which is said as keepalived says what it is built without; names that the kernel or nft does
/// not take are said at once; and words of the manual, or of newer versions, are known; and nobody announces an address more than 255 times.
const DIFFERENT: &[(&str, Option<i32>, Option<i32>)] = &[
    ("script user other", None, Some(0)),
    ("snmp", Some(0), Some(5)),
    ("dbus", Some(0), Some(5)),
    ("g vmac_prefix abcdefghijk", Some(0), Some(5)),
    ("g vmac_prefix a/b", Some(0), Some(5)),
    ("g vmac_addr_prefix abcdefghijklmnop", Some(0), Some(5)),
    ("g nftables 9x", Some(0), Some(5)),
    ("g nftables a-b", Some(0), Some(5)),
    ("g include_check readable", Some(5), Some(0)),
    ("g vrrp_garp_master_repeat 256", Some(0), Some(5)),
    ("g vrrp_garp_master_repeat 1000", Some(0), Some(5)),
    ("i garp_master_repeat 300", Some(0), Some(5)),
];

#[test]
fn the_check_exits_as_keepaliveds() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let cases: Vec<(&str, &str)> = CASES.split("==== ").skip(1).filter_map(|case| case.split_once('\n')).collect();
    assert!(cases.len() > 100, "{}", cases.len());
    let mut wrong = Vec::new();
    std::thread::scope(|scope| {
        let halves = cases.chunks(cases.len() / 4 + 1).enumerate();
        let check = |(part, cases): (usize, &[(&str, &str)])| {
            let mut wrong = Vec::new();
            for (name, text) in cases {
                let file = net.file(&format!("{part}.conf"));
                let text = text.replace("@NET@", &format!("{}a", net.prefix)).replace("@DIR@", &net.dir.display().to_string());
                std::fs::write(&file, text).expect("a file");
                let exit = |program: &str| {
                    let output = net.command("a", program).args(["-t", "-f"]).arg(&file).output().expect("a program");
                    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
                };
                let (theirs, ours) = (exit("keepalived"), exit(VRRPD));
                let expected =
                    DIFFERENT.iter().find(|(it, ..)| it == name).map_or((theirs.0, theirs.0), |(_, theirs, ours)| (*theirs, *ours));
                if (theirs.0, ours.0) != expected {
                    wrong.push(format!("{name}: {theirs:?} {ours:?}"));
                }
            }
            wrong
        };
        let all: Vec<_> = halves.map(|half| scope.spawn(move || check(half))).collect();
        all.into_iter().for_each(|thread| wrong.extend(thread.join().expect("no panic")));
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Who runs scripts on a host that has the user `keepalived_script`.
#[test]
fn scripts_of_their_own_user_are_no_violation() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let file = net.file("k.conf");
    let text = "vrrp_instance V1 {\n interface e0\n virtual_router_id 51\n notify /bin/true@\n virtual_ipaddress {\n 10.9.0.100\n }\n}\n";
    let passwd = std::fs::read_to_string("/etc/passwd").expect("a file");
    let others: String = passwd.lines().filter(|l| !l.starts_with("keepalived_script:")).map(|l| format!("{l}\n")).collect();
    let check = |user: &str, line: &str| {
        std::fs::write(net.file("passwd"), format!("{others}{line}")).expect("a file");
        std::fs::write(&file, text.replace('@', user)).expect("a file");
        let script = "mount --bind $0 /etc/passwd && exec \"$@\"";
        let mut command = net.command("a", "unshare");
        let output = command.args(["-m", "sh", "-c", script]).arg(net.file("passwd")).args([VRRPD, "-t", "-f"]).arg(&file).output();
        output.expect("vrrpd").status.code()
    };
    let line = "keepalived_script:x:1234:1234::/:/bin/sh\n";
    assert_eq!([check("", line), check("", ""), check(" root", line)], [Some(0), Some(6), Some(6)]);
}

/// What keepalived's check aborts on, and what it does not look at.
#[test]
fn files_that_keepalived_stumbles_over() {
    let dir = std::env::temp_dir().join(format!("vt{}c", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let check = |text: &str| {
        let file = dir.join("k.conf");
        std::fs::write(&file, text).expect("a file");
        let output = std::process::Command::new(VRRPD).args(["-t", "-f"]).arg(&file).output().expect("vrrpd");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let server = "virtual_server 10.9.0.100 80 {\n lb_algo rr\n real_server 10.9.0.2 80 {\n weight 1\n }\n}\n";
    for (text, says) in
        [(server, "'virtual_server' in the file is not supported yet"), ("virtual_server fwmark x {\n}\n", "'virtual_server'")]
    {
        let (code, text) = check(text);
        assert!(code == Some(5) && text.contains(says), "{text}");
    }
    // It has been seen to end keepalived with a fault of memory.
    let faults = "track_file t {\n weight 300\n}\nvrrp_track_process p {\n quorum_max 1\n}\nvrrp_instance V1 {\n interface lo\n \
                  virtual_router_id 51\n track_file {\n t\n }\n track_process {\n p\n }\n virtual_ipaddress {\n 10.9.0.100\n }\n}\n";
    let (code, text) = check(faults);
    assert!(code == Some(5) && text.contains("No file set for track_file") && text.contains("track process name not specified"), "{text}");
    // -t=FILE is where the messages go.
    let log = dir.join("log");
    let output =
        std::process::Command::new(VRRPD).arg(format!("--config-test={}", log.display())).arg("-f").arg(dir.join("k.conf")).output();
    assert!(output.expect("vrrpd").stderr.is_empty());
    assert!(std::fs::read_to_string(&log).expect("a log").contains("No file set for track_file"));
    let _ = std::fs::remove_dir_all(&dir);
}

/// A file as somebody has published it, with the interfaces of our hosts.
fn here(text: &str) -> String {
    let names = [("eth2", "e0"), ("eth0", "e0"), ("enp0s3", "e0"), ("eth3", "e1"), ("eth1", "e1")];
    names.iter().fold(text.to_string(), |text, (theirs, ours)| text.replace(theirs, ours))
}

#[test]
fn a_published_pair() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let first = net.start("a", VRRPD, &here(include_str!("common/setups/t2-master.conf")));
    until("a master", || net.has("a", "192.168.2.103"));
    assert!(first.log().contains("lvs_sync_daemon_interface is deprecated"), "{}", first.log());
    // keepalived ends where the kernel has no IPVS for lvs_sync_daemon_interface.
    let second = net.start("b", VRRPD, &here(include_str!("common/setups/t2-backup.conf")));
    until("a backup", || second.log().contains("Entering BACKUP STATE"));
    assert_eq!(first.stop(), Some(0));
    until("the other one", || net.has("b", "192.168.2.103") && !net.has("a", "192.168.2.103"));
}

#[test]
fn a_published_director_with_routes_and_mail() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    run("ip", &format!("-n {}a addr add 192.168.56.11/24 dev e0", net.prefix));
    let router = net.start("a", VRRPD, &here(include_str!("common/setups/t3.conf")));
    until("a master", || net.has("a", "192.168.56.20") && net.has("a", "192.168.56.21"));
    until("its route", || run("ip", &format!("-n {}a route", net.prefix)).contains("192.168.100.0/24 via 192.168.56.1 dev e0"));
    assert!(net.ask("a", "status").contains("tracks     interface e1: up"));
    assert_eq!(router.stop(), Some(0));
    assert!(!net.has("a", "192.168.56.20") && !run("ip", &format!("-n {}a route", net.prefix)).contains("192.168.100.0"));
}

#[test]
fn a_published_director_that_follows_a_script() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    // `killall -0 haproxy`, as it is where haproxy runs or not.
    let flag = net.file("haproxy-runs");
    std::fs::write(net.file("killall"), format!("#!/bin/sh\n[ \"$*\" = '-0 haproxy' ] && [ -e {} ]\n", flag.display())).expect("a file");
    std::fs::set_permissions(net.file("killall"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("its mode");
    std::fs::write(&flag, "").expect("a file");
    let file = |name: &str| net.file(name).to_string_lossy().into_owned();
    std::fs::write(file("a.conf"), here(include_str!("common/setups/t4.conf"))).expect("a file");
    let log = std::fs::File::create(file("a.log")).expect("a file");
    let path = format!("{}:{}", net.dir.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = net.command("a", VRRPD);
    command
        .args(["-nl", "-f", &file("a.conf"), "-p", &file("pid"), "--socket", &file("a.sock")])
        .env("PATH", path)
        .stderr(Stdio::from(log));
    let router = Router { child: command.spawn().expect("vrrpd"), log: net.file("a.log"), conf: net.file("a.conf") };
    until("a master", || net.has("a", "192.168.69.110"));
    std::fs::remove_file(&flag).expect("a file");
    until("a fault", || router.log().contains("Entering FAULT STATE (script reload_haproxy is down)") && !net.has("a", "192.168.69.110"));
    std::fs::write(&flag, "").expect("a file");
    until("a master again", || net.has("a", "192.168.69.110"));
    assert_eq!(router.stop(), Some(0));
}
