//! Dumps in keepalived's files and format, beside keepalived's own; `vrrpd status`, metrics, `vrrpd explain`.

mod common;

use common::{Net, PATIENCE, Router, VIP, VRRPD, conf, may_run, run, until};
use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// Something of everything, on host a.
const RICH: &str = "global_defs {
    router_id LVS_A
    enable_script_security
    script_user root
    notification_email {
        ops@example.org
    }
    smtp_server 127.0.0.1 9
    vrrp_garp_master_delay 2
    vrrp_garp_interval 0.001
    vrrp_gna_interval 0.002
    vrrp_startup_delay 0.2
    vrrp_notify_fifo /dev/null
    process_names
    log_unknown_vrids
}
static_ipaddress {
    10.9.0.50/24 dev e0
}
static_routes {
    10.50.0.0/16 via 10.9.0.2 dev e0 metric 5 src 10.9.0.50
}
static_rules {
    from 10.50.0.0/16 table 50
}
vrrp_script chk {
    script \"/bin/true a\"
    interval 2
    weight 10
    rise 2
    fall 3
}
track_file tf {
    file /proc/sys/net/ipv4/ip_nonlocal_bind
    weight 1
}
vrrp_sync_group G {
    group {
        V1
        V2
    }
    notify \"/bin/true group\"
}
vrrp_instance V1 {
    interface e0
    virtual_router_id 51
    promote_secondaries
    authentication {
        auth_type PASS
        auth_pass secret
    }
    virtual_ipaddress {
        10.9.0.100/24 dev e0 label e0:1
        10.9.0.101/32
    }
    virtual_ipaddress_excluded {
        10.9.0.102/32
    }
    notify_master \"/bin/true m\"
    notify \"/bin/true any\"
    smtp_alert
}
vrrp_instance V2 {
    state MASTER
    interface e1
    virtual_router_id 52
    version 3
    advert_int 0.5
    virtual_ipaddress {
        10.9.1.110/24
    }
}
vrrp_instance V3 {
    interface e0
    virtual_router_id 53
    unicast_src_ip 10.9.0.1
    unicast_peer {
        10.9.0.2
    }
    track_script {
        chk
    }
    track_file {
        tf
    }
    virtual_ipaddress {
        10.9.0.120/24
    }
}
vrrp_instance V4 {
    interface e1
    virtual_router_id 54
    nopreempt
    dont_track_primary
    use_vmac vm54
    vmac_xmit_base
    no_accept
    virtual_ipaddress {
        10.9.1.130/24
        10.9.1.131 peer 10.9.1.132
    }
    virtual_routes {
        10.77.0.0/16 via 10.9.1.2 dev e1
        blackhole 10.78.0.0/16
        10.79.0.0/16 dev e1 scope link metric 7 mtu lock 1300 advmss 1200
        10.80.0.0/16 nexthop via 10.9.1.2 dev e1 weight 2 nexthop via 10.9.1.3 dev e1
        append 10.81.0.0/16 dev e1 table 100 tos 0x10
        default via 10.9.1.2 table 77
    }
    virtual_rules {
        from 10.77.0.0/16 table 77
        to 10.78.0.0/16 iif e0 lookup main priority 99
        not from 10.62.0.0/16 oif e1 table 5 tos 0x10
        fwmark 5/0xff table 6
        from 10.63.0.0/16 blackhole
        uidrange 10-20 table 8
        from 10.66.0.0/16 realms 3/4 table 7
    }
}
vrrp_instance V5 {
    interface e0
    virtual_router_id 55
    priority 255
    advert_int 0.3
    strict_mode
    skip_check_adv_addr
    virtual_ipaddress {
        fe80::100
        fd09::200/64 preferred_lft 100
    }
    notify_deleted \"/bin/true d\"
    notify_master_rx_lower_pri \"/bin/true r\"
    notify_stop \"/bin/true s\"
}
";

/// keepalived with a /tmp of its own, where it writes.
fn keepalived(net: &Net, conf: &str) -> Router {
    std::fs::write(net.file("k.conf"), conf).expect("a file");
    let script = "mount --bind $0 /tmp && exec keepalived -n -l -P -D -f /tmp/k.conf -p /tmp/k.pid -r /tmp/k.vpid";
    let log = std::fs::File::create(net.file("k.log")).expect("a file");
    let mut command = net.command("a", "unshare");
    let child = command.args(["-m", "sh", "-c", script]).arg(&net.dir).stdout(Stdio::null()).stderr(log).spawn().expect("keepalived");
    Router { child, log: net.file("k.log"), conf: net.file("k.conf") }
}

/// The text without what differs each time.
fn steady(text: &str, numbers: &[&str]) -> String {
    let mut out = text.to_string();
    for name in numbers {
        let mut rest = std::mem::take(&mut out);
        while let Some(at) = rest.find(name) {
            let end = at + name.len();
            let digits = rest[end..].find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len() - end);
            out.push_str(&rest[..end]);
            rest.drain(..end + digits);
        }
        out.push_str(&rest);
    }
    out
}

fn dump(router: &Router, net: &Net, signal: &str, name: &str) -> String {
    let file = net.file(name);
    let _ = std::fs::remove_file(&file);
    // The shell's own: real-time signals have no names elsewhere.
    let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {}", router.child.id())]).status();
    assert!(sent.is_ok_and(|status| status.success()));
    until(name, || std::fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n') || text.ends_with(']')));
    std::fs::read_to_string(&file).expect("it is there")
}

#[test]
fn dumps_are_keepaliveds() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let all = ["10.9.0.100", "10.9.1.110", "10.9.0.120", "10.9.1.130", "fe80::100"];
    let masters = |router: &Router| {
        until("a master of all", || all.iter().all(|a| net.has("a", a)));
        until("its script", || router.log().contains("to 110"));
    };
    let theirs = keepalived(&net, RICH);
    masters(&theirs);
    let signal = |name: &str| run("keepalived", &format!("--signum={name}")).trim().to_string();
    let their = ["DATA", "STATS", "JSON"].map(|name| dump(&theirs, &net, &signal(name), &format!("keepalived.{}", name.to_lowercase())));
    theirs.stop();
    until("it is gone", || !net.has("a", "10.9.0.100"));
    let ours = net.start("a", VRRPD, RICH);
    masters(&ours);
    let our = ["DATA", "STATS", "JSON"].map(|name| dump(&ours, &net, &signal(name), &format!("keepalived.{}", name.to_lowercase())));

    let numbers = ["\"last_transition\":", "\"advert_sent\":"];
    assert_eq!(steady(&our[2], &numbers).trim_end(), steady(&their[2], &numbers).trim_end());
    assert_eq!(steady(&our[1], &["Sent: "]), steady(&their[1], &["Sent: "]));

    // What keepalived says of itself and its sockets has no counterpart; the rest is the same, line by line.
    let theirs_alone = ["   fd_in ", "   Unicast checksum compatibility", "   Result = ", "   Init state = ", "   VRRP instances :"];
    let changing = ["   Last transition = ", "   Read timeout = "];
    let part = |text: &str, from: &str, to: &str| -> Vec<String> {
        let lines = text.lines().skip_while(|line| !line.contains(from)).take_while(|line| !line.contains(to));
        let kept = lines.filter(|line| !theirs_alone.iter().any(|word| line.starts_with(word)));
        kept.map(|line| changing.iter().find(|word| line.starts_with(**word)).map_or(line.to_string(), |word| word.to_string())).collect()
    };
    let statics = |text: &str| part(text, "< Static Addresses", "VRRP Topology");
    assert!(statics(&our[0]) == statics(&their[0]) && statics(&our[0]).len() == 6, "{:?}", statics(&our[0]));
    assert_eq!(part(&our[0], "VRRP Topology", "Sync groups"), part(&their[0], "VRRP Topology", "VRRP Sockpool"));
    assert_eq!(part(&our[0], "Sync groups", "< Interfaces"), part(&their[0], "Sync groups", "< Interfaces"));
    let global = part(&their[0], "Global definitions", "< Static");
    for line in part(&our[0], "Global definitions", "< Static") {
        assert!(global.contains(&line), "{line}\n{}", global.join("\n"));
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(net.file("keepalived.data")).expect("a file").permissions());
    assert_eq!(mode & 0o777, 0o600, "passwords stand in it");
    // STATS_CLEAR writes, and counts anew.
    let sent = |text: &str| text.lines().find_map(|l| l.trim().strip_prefix("Sent: ")?.parse::<u64>().ok()).expect("a number");
    let before = sent(&dump(&ours, &net, &signal("STATS_CLEAR"), "keepalived.stats"));
    let after = sent(&dump(&ours, &net, &signal("STATS"), "keepalived.stats"));
    assert!(after < before, "{after} {before}");
}

#[test]
fn status_says_who_is_master_and_why() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let master = net.start("a", VRRPD, &conf(150, ""));
    until("a master", || net.has("a", VIP));
    let tracks = " track_interface {\n e1\n }\n notify_stop \"/bin/true\"\n";
    let backup = net.start("b", VRRPD, &conf(100, tracks));
    until("a backup", || net.file("b.sock").exists() && net.ask("b", "status").contains("10.9.0.1 has priority 150"));
    let text = net.ask("a", "status");
    for line in [
        "V1 MASTER on e0, virtual router 51, version 2",
        "  master     this router",
        "  addresses  10.9.0.100/24 (here)",
        "BACKUP -> MASTER: no master was heard",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let text = net.ask("b", "status");
    for line in [
        "V1 BACKUP on e0",
        "  master     10.9.0.1, priority 150, heard ",
        "  why not us 10.9.0.1 has priority 150, this router 100",
        "  tracks     interface e1: up, weight 0",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    net.link("b1", "down");
    until("a fault", || net.ask("b", "status").contains("  why not us interface e1 is down"));
    let json = net.ask("b", "status --json");
    assert!(json.contains(r#""state":"FAULT""#) && json.contains(r#""why_not":"interface e1 is down""#), "{json}");
    let metrics = net.ask("a", "metrics");
    assert!(metrics.contains("vrrp_master{instance=\"V1\",interface=\"e0\",vrid=\"51\"} 1\n"), "{metrics}");
    let _ = (master.stop(), backup.stop());
    assert!(!net.file("a.sock").exists());
}

#[test]
fn metrics_over_http() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    std::fs::write(net.file("a.conf"), conf(150, "")).expect("a file");
    let file = |name: &str| net.file(name).to_string_lossy().into_owned();
    let mut child = net
        .command("a", VRRPD)
        .args(["-nl", "-f", &file("a.conf"), "-p", &file("pid"), "--socket", &file("a.sock"), "--metrics", "127.0.0.1:9650"])
        .stderr(Stdio::null())
        .spawn()
        .expect("vrrpd");
    until("it runs", || net.file("a.sock").exists());
    let get = |path: &'static str| {
        let asked = net.on("a", move || {
            let mut stream = std::net::TcpStream::connect("127.0.0.1:9650").expect("it listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").expect("asked");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an answer");
            answer
        });
        asked.join().expect("no panic")
    };
    // Somebody who says nothing holds up nobody for long.
    let idle = net.on("a", || std::net::TcpStream::connect("127.0.0.1:9650").expect("it listens"));
    let _idle = idle.join().expect("no panic");
    let answer = get("/metrics");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("# TYPE vrrp_adverts_sent_total counter\n"), "{answer}");
    assert!(get("/").starts_with("HTTP/1.1 404 "));
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).expect("it lives");
    assert_eq!(child.wait().expect("a child").code(), Some(0));
}

#[test]
fn an_election_is_explained() {
    let dir = std::env::temp_dir().join(format!("vt{}e", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let file = dir.join("k.conf");
    std::fs::write(&file, RICH.replace("virtual_router_id 53", "virtual_router_id 53\n nopreempt")).expect("a file");
    let explain = |words: &str| {
        let output = Command::new(VRRPD).arg("explain").args(words.split_whitespace()).arg("-f").arg(&file).output().expect("vrrpd");
        (output.status.code(), String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr }).into_owned())
    };
    let (code, text) = explain("V3 --peer 10.9.0.2=105 --peer 10.9.0.3=50");
    assert_eq!(code, Some(0), "{text}");
    for line in [
        "  priority 110 = 100 in the file",
        "    +10  script chk is up (weight 10)",
        "nopreempt); else this router, since 110 > 105",
        "3.570 s after the last advert",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let (_, text) = explain("V3 --peer 10.9.0.2=105 --down chk --value tf=-3");
    assert!(text.contains("  priority 97 = 100") && text.contains("    -3  file tf says -3 (weight 1)"), "{text}");
    assert!(text.contains("  master: 10.9.0.2, since 105 > 97"), "{text}");
    let (_, text) = explain("V3 --value tf=-300");
    assert!(text.contains("  this router is in FAULT: file tf says -300"), "{text}");
    let (code, text) = explain("V3 --down nonsense");
    assert_eq!((code, text.as_str()), (Some(1), "nothing that is tracked is called nonsense\n"));
    let (_, text) = explain("V1");
    assert!(text.contains("sync group G: master only together with all of V1, V2"), "{text}");
    let _ = std::fs::remove_dir_all(&dir);
}
