//! `vrrpd` beside `keepalived` and beside its like.
#![allow(clippy::disallowed_methods)] // Delays are about time.

mod common;

use common::{GLANCE, Net, VIP, VRRPD, conf, conf6, may_run, run, until};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};
use vrrp::packet::Outgoing;
use vrrp::packet::checksum::Form;

/// The forms in which adverts go over the wire.
fn forms(host: &str) -> Vec<(&'static str, String)> {
    let (own, other) = if host == "a" { (1, 2) } else { (2, 1) };
    let unicast = format!(" unicast_src_ip 10.9.0.{own}\n unicast_peer {{\n 10.9.0.{other}\n }}");
    let auth = |kind: &str| format!(" authentication {{\n auth_type {kind}\n auth_pass secret\n }}");
    vec![
        ("version 3", " version 3\n advert_int 0.3".into()),
        ("version 3, unicast", format!(" version 3\n advert_int 0.3\n{unicast}")),
        ("password", auth("PASS")),
        ("authentication header", auth("AH")),
        ("version 2, unicast", unicast),
        ("virtual MAC", " use_vmac\n version 3\n advert_int 0.3".into()),
        ("virtual MAC for addresses only", " use_vmac v.51\n vmac_xmit_base\n version 3\n advert_int 0.3".into()),
        ("IPv6, virtual MAC", " use_vmac\n advert_int 0.3".into()),
        ("IPv6", " advert_int 0.3".into()),
        // Each of the two sends with hop limit 64, and so each may insist on it.
        (
            "IPv6, unicast",
            format!(" advert_int 0.3\n unicast_src_ip fd09:0::{own}\n unicast_peer {{\n fd09:0::{other} min_ttl 64 max_ttl 64\n }}"),
        ),
    ]
}

#[test]
fn elections_with_keepalived_in_either_role() {
    if !may_run() {
        return;
    }
    std::thread::scope(|scope| {
        for index in 0..forms("a").len() {
            scope.spawn(move || elections(index));
        }
    });
}

fn elections(form: usize) {
    let net = Net::new();
    let (name, ours) = forms("a").swap_remove(form);
    let theirs = &forms("b")[form].1;
    let conf = if name.starts_with("IPv6") { conf6 } else { conf };
    let (a, b) = (|| net.has("a", VIP), || net.has("b", VIP));
    let expect = |what: &str, in_a: bool, in_b: bool| until(&format!("{name}: {what}"), || a() == in_a && b() == in_b);
    let keepalived = net.start("b", "keepalived", &conf(100, theirs));
    expect("keepalived alone", false, true);
    let router = net.start("a", VRRPD, &conf(150, &ours));
    expect("the better one preempts", true, false);
    net.link("a0", "down");
    expect("keepalived takes over from one that is cut off, which gives up", false, true);
    net.link("a0", "up");
    expect("back again", true, false);
    assert_eq!(router.stop(), Some(0), "{name}");
    expect("after a stop", false, true);
    assert!(!b() || !a(), "{name}");
    // As the lesser one.
    let router = net.start("a", VRRPD, &conf(50, &ours));
    until("a backup", || router.log().contains("Entering BACKUP STATE (init)"));
    // Longer than it would wait for a master that is not heard.
    sleep(Duration::from_secs(4));
    assert!(!a() && b(), "{name}: a backup stays one\n{}", router.log());
    keepalived.stop();
    expect("keepalived has stopped", true, false);
    let keepalived = net.start("b", "keepalived", &conf(100, theirs));
    expect("keepalived preempts", false, true);
    net.link("b0", "down");
    expect("keepalived is cut off", true, false);
    drop(keepalived);
}

#[test]
fn a_stop_leaves_no_gap_between_two_of_ours() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let first = net.start("a", VRRPD, &conf(150, ""));
    until("a master", || net.has("a", VIP));
    let second = net.start("b", VRRPD, &conf(100, ""));
    until("a backup", || second.log().contains("BACKUP STATE"));
    first.signal(rustix::process::Signal::TERM);
    let mut looks = 0;
    while net.has("a", VIP) {
        looks += 1;
    }
    assert!(net.has("b", VIP), "the next has it before the last has left (looked {looks} times)");
    assert!(first.log().contains("10.9.0.2 is the new master"), "{}", first.log());
}

#[test]
fn it_sleeps_between_its_timers() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let urgent = "global_defs {\n vrrp_rt_priority 2\n vrrp_no_swap\n vrrp_priority -5\n vrrp_cpu_affinity 0\n}\n";
    let router = net.start("a", VRRPD, &format!("{urgent}{}", conf(150, " version 3\n advert_int 0.05")));
    until("a master", || net.has("a", VIP));
    // Who spins is taken off the processor and never gives it up.
    let status = format!("/proc/{}/status", router.child.id());
    let sleeps = || {
        let text = std::fs::read_to_string(&status).expect("it lives");
        let line = text.lines().find(|l| l.starts_with("voluntary_ctxt_switches")).expect("the kernel counts them");
        line.split_whitespace().last().and_then(|n| n.parse::<u64>().ok()).expect("a number")
    };
    let before = sleeps();
    until("twenty sleeps more", || sleeps() >= before + 20);
    let text = std::fs::read_to_string(&status).expect("it lives");
    assert!(text.lines().any(|l| l.split_whitespace().eq(["Cpus_allowed_list:", "0"])), "{text}");
    // The 40th field and the 41st, counted from the one behind the name: priority and SCHED_RR.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", router.child.id())).expect("it lives");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
    assert!(fields[37..39] == ["2", "2"] || router.log().contains("vrrp_rt_priority"), "{stat}");
}

#[test]
fn routes_come_and_go_with_the_addresses() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let lines = " virtual_routes {\n 10.77.0.0/16 via 10.9.0.2 dev e0\n src 10.9.0.100 to 10.78.0.0/16 dev e1 metric 5\n }";
    let router = net.start("a", VRRPD, &conf(150, lines));
    let routes = || run("ip", &format!("-n {}a route", net.prefix));
    until("both routes", || routes().contains("10.77.0.0/16 via 10.9.0.2 dev e0") && routes().contains("10.78.0.0/16 dev e1"));
    let line = routes().lines().find(|l| l.starts_with("10.78")).map(str::to_string).expect("it is there");
    assert!(line.contains("src 10.9.0.100") && line.contains("metric 5"), "{line}");
    assert_eq!(router.stop(), Some(0));
    assert!(!routes().contains("10.77") && !routes().contains("10.78"), "{}", routes());
}

#[test]
fn an_address_left_behind_is_taken_away() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let _master = net.start("b", VRRPD, &conf(150, ""));
    until("a master", || net.has("b", VIP));
    let mut killed = net.start("a", VRRPD, &conf(200, ""));
    until("it preempts", || net.has("a", VIP) && !net.has("b", VIP));
    killed.child.kill().expect("a child");
    killed.child.wait().expect("a child");
    assert!(net.has("a", VIP), "nobody has taken it away");
    until("the other takes over", || net.has("b", VIP));
    let _again = net.start("a", VRRPD, &conf(100, ""));
    until("what was left is gone", || !net.has("a", VIP));
    assert!(net.has("b", VIP));
}

fn group(priority: u8, lines: &str) -> String {
    let second = conf(priority, lines).replace("V1", "V2").replace("51", "52").replace("e0", "e1").replace(VIP, "10.9.1.100");
    format!("{}{second}vrrp_sync_group G {{\n group {{\n V1\n V2\n }}\n}}\n", conf(priority, lines))
}

/// The skew is below a second whatever the interval is, and who waited for the other master to be silent would wait for a minute.
#[test]
fn a_sync_group_that_loses_one_interface_is_followed_within_the_skew() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let rare = " advert_int 20";
    // An owner is master at once.
    let first = net.start("a", VRRPD, &group(255, &format!("{rare}\n state MASTER")));
    until("a master", || net.has("a", VIP) && net.has("a", "10.9.1.100"));
    let second = net.start("b", VRRPD, &group(100, rare));
    until("a backup", || second.log().matches("BACKUP STATE").count() == 2);
    let begun = Instant::now();
    net.link("a1", "down");
    until("the other has both", || net.has("b", VIP) && net.has("b", "10.9.1.100"));
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}\n{}", begun.elapsed(), second.log());
    until("this one has neither", || !net.has("a", VIP) && !net.has("a", "10.9.1.100"));
    assert!(second.log().contains("Backup received priority 0"), "{}", second.log());
    net.link("a1", "up");
    until("both come back", || net.has("a", VIP) && net.has("a", "10.9.1.100") && !net.has("b", VIP));
    drop(first);
}

#[test]
fn invalid_packets_do_not_silence_a_master() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let master = net.start("a", VRRPD, &conf(150, ""));
    until("a master", || net.has("a", VIP));
    let backup = net.start("b", "keepalived", &conf(100, ""));
    until("a backup", || backup.log().contains("BACKUP STATE"));
    // Wrong checksums, two a second as was enough for keepalived, and then hundreds.
    let name = format!("{}b", net.prefix);
    let sender = std::thread::spawn(move || {
        let file = std::fs::File::open(Path::new("/run/netns").join(name)).expect("a namespace");
        rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), Some(rustix::thread::LinkNameSpaceType::Network))
            .expect("into the namespace");
        let kind = socket2::Type::RAW;
        let socket = socket2::Socket::new_raw(socket2::Domain::IPV4, kind, Some(socket2::Protocol::from(112))).expect("a raw socket");
        socket.bind_device(Some(b"e0")).expect("e0");
        socket.set_header_included_v4(true).expect("own headers");
        let group = Ipv4Addr::new(224, 0, 0, 18);
        let to = socket2::SockAddr::from(std::net::SocketAddrV4::new(group, 0));
        for round in 0..400 {
            let advert = Outgoing {
                version: vrrp::Version::V2,
                vrid: 51,
                priority: 255,
                interval: Duration::from_secs(1),
                auth: &vrrp::Auth::None,
                addresses: &[VIP.parse().expect("an address")],
            };
            let mut bytes = advert.datagram(Form::Plain, Ipv4Addr::new(10, 9, 0, 7), group, 255, round);
            bytes[26] ^= 0x55;
            socket.send_to(&bytes, &to).expect("sent");
            sleep(Duration::from_millis(if round < 10 { 450 } else { 5 }));
        }
    });
    while !sender.is_finished() {
        assert!(net.has("a", VIP) && !net.has("b", VIP), "{}", master.log());
        sleep(GLANCE);
    }
    sender.join().expect("it has sent");
    let log = master.log();
    assert!(log.contains("dropped packet from 10.9.0.7: wrong checksum"), "{log}");
    assert_eq!(log.matches("Entering").count(), 2, "{log}");
    assert!(!backup.log().contains("Entering MASTER"), "{}", backup.log());
}

#[test]
fn files_that_cannot_be_run_say_so() {
    let dir = std::env::temp_dir().join(format!("vt{}f", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let check = |text: &str| {
        let file = dir.join("k.conf");
        std::fs::write(&file, text).expect("a file");
        let output = Command::new(VRRPD).args(["-t", "-f"]).arg(&file).output().expect("vrrpd");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).replace(&dir.to_string_lossy().into_owned(), ""))
    };
    let sound = conf(100, "").replace("e0", "lo");
    assert_eq!(check(&sound), (Some(0), String::new()));
    let ipvlan = conf(100, " use_ipvlan").replace("e0", "lo");
    assert_eq!(check(&ipvlan), (Some(5), "(/k.conf: Line 5) 'use_ipvlan' in vrrp_instance is not supported yet\n".into()));
    let (code, says) = check(&conf(100, "").replace("e0", "nope0"));
    assert!(code == Some(5) && says.contains("interface nope0 doesn't exist"), "{says}");
    let script = conf(100, " notify /nope/x").replace("e0", "lo");
    let (code, says) = check(&format!("global_defs {{\n enable_script_security\n script_user root\n}}\n{script}"));
    assert!(code == Some(0) && says.contains("Disabling script /nope/x: not found/accessible"), "{says}");
    // Something that anybody may replace.
    let open = dir.join("w.sh");
    std::fs::write(&open, "#!/bin/sh\n").expect("a file");
    std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("its mode");
    let script = conf(100, &format!(" notify {}", open.display())).replace("e0", "lo");
    let (code, says) = check(&format!("global_defs {{\n enable_script_security\n script_user root\n}}\n{script}"));
    assert!(code == Some(0) && says.contains("Unsafe permissions found for script"), "{says}");
    assert!(says.contains("/w.sh' - disabling: others than root can change it"), "{says}");
    let _ = std::fs::remove_dir_all(&dir);
}

#[test]
fn unicast_needs_no_interface() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let file = |priority: u8, own: u8, other: u8| {
        conf(priority, &format!(" version 3\n advert_int 0.3\n unicast_src_ip 10.9.0.{own}\n unicast_peer {{\n 10.9.0.{other}\n }}"))
    };
    // keepalived 2.2.7 wants one, whatever its manual says.
    let keepalived = net.start("b", "keepalived", &file(100, 2, 1));
    until("keepalived alone", || net.has("b", VIP));
    let router = net.start("a", VRRPD, &file(150, 1, 2).replace(" interface e0\n", "").replace("/24\n", "/24 dev e0\n"));
    until("the better one preempts", || net.has("a", VIP) && !net.has("b", VIP));
    assert_eq!(router.stop(), Some(0));
    until("keepalived again", || net.has("b", VIP));
    drop(keepalived);
}
