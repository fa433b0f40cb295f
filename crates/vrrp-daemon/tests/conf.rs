//! Files and what comes of them; verdicts and exit codes are those that keepalived 2.2.7 gave for the same files (`keepalived -t`).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use vrrp::{Auth, Transport, Version, Weight};
use vrrp_daemon::conf::diag::Level;
use vrrp_daemon::conf::text::{Source, Surroundings};
use vrrp_daemon::conf::{Loaded, load};

/// Files in memory.
struct Files(BTreeMap<PathBuf, String>);

impl Source for Files {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.get(path).map(|text| text.clone().into_bytes()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn matching(&self, pattern: &str) -> Vec<PathBuf> {
        let directory = Path::new(pattern).parent();
        self.0.keys().filter(|p| p.parent() == directory).cloned().collect()
    }
}

fn read_files(files: &[(&str, &str)], id: &str) -> Loaded {
    let files = Files(files.iter().map(|(name, text)| (PathBuf::from(name), text.to_string())).collect());
    let mut loaded = load(&files, Path::new("/k.conf"), &Surroundings { id: id.into(), seed: 1, most: 1 << 20, all_files: false });
    loaded.check_interfaces(|name| ["e0", "e1"].contains(&name));
    loaded
}

fn read(text: &str) -> Loaded {
    read_files(&[("/k.conf", text)], "main")
}

fn says(loaded: &Loaded) -> Vec<String> {
    loaded.diagnostics.all().iter().map(ToString::to_string).collect()
}

/// An instance with these lines more.
fn instance(lines: &str) -> String {
    format!("vrrp_instance V1 {{\n interface e0\n virtual_router_id 51\n{lines}\n virtual_ipaddress {{\n  10.9.0.100/24\n }}\n}}\n")
}

#[test]
fn exit_codes_are_keepaliveds() {
    let more = |text: &str| format!("{}{text}", instance(""));
    let group = "vrrp_sync_group G { group { V1 V2 } }\n";
    let second = instance("").replace("V1", "V2").replace("51", "52");
    let script = "vrrp_script s {\n script /bin/true\n}\n";
    let cases: &[(&str, String, u8)] = &[
        ("nothing", String::new(), 0),
        ("only global", "global_defs {\n router_id x\n}\n".into(), 0),
        ("sound", instance(" priority 100"), 0),
        ("brace without space", instance("").replace("V1 {", "V1{"), 0),
        ("brace on the next line", instance("").replace("V1 {", "V1\n{"), 0),
        ("no brace", instance("").replace("V1 {", "V1"), 5),
        ("brace too many", more("}\n"), 5),
        ("brace missing", instance("").trim_end().trim_end_matches('}').into(), 5),
        ("group on one line", more(&format!("{second}{group}")), 0),
        ("group of one", more("vrrp_sync_group G {\n group { V1 }\n}\n"), 5),
        ("group with a stranger", more(&format!("{second}vrrp_sync_group G {{\n group {{\n V1\n V2\n V9\n }}\n}}\n")), 5),
        ("unknown word", instance(" foobar 1"), 5),
        ("unknown at the top", more("frobnicate 1\n"), 5),
        ("unknown block", more("frobnicate {\n a\n}\n"), 5),
        ("unknown in global_defs", format!("global_defs {{\n frob 1\n}}\n{}", instance("")), 5),
        ("no name", instance("").replace("V1", ""), 5),
        ("the same name", more(&instance("").replace("51", "52")), 5),
        ("the same id", more(&instance("").replace("V1", "V2")), 5),
        ("no value", instance(" priority"), 2),
        ("too many values", instance(" priority 100 200"), 0),
        ("twice", instance(" priority 100\n priority 120"), 0),
        ("priority 300", instance(" priority 300"), 5),
        ("priority 0", instance(" priority 0"), 5),
        ("priority abc", instance(" priority abc"), 5),
        ("id 999", instance("").replace("51", "999"), 5),
        ("no id", instance("").replace("virtual_router_id 51", ""), 5),
        ("no interface", instance("").replace("interface e0", ""), 5),
        ("missing interface", instance("").replace("e0", "nope0"), 5),
        ("half a second in version 2", instance(" advert_int 0.5"), 5),
        ("half a second in version 3", instance(" version 3\n advert_int 0.5"), 0),
        ("no number", instance(" advert_int x"), 5),
        ("long password", instance(" authentication {\n auth_type PASS\n auth_pass 123456789\n }"), 5),
        ("no password", instance(" authentication {\n auth_type PASS\n }"), 5),
        ("no such type", instance(" authentication {\n auth_type FOO\n auth_pass x\n }"), 5),
        ("password in version 3", instance(" version 3\n authentication {\n auth_type PASS\n auth_pass x\n }"), 5),
        ("no such script", instance(" track_script {\n nope\n }"), 5),
        ("script as root", format!("{script}{}", instance(" track_script {\n s\n }")), 6),
        ("script with security", format!("global_defs {{\n script_user root\n enable_script_security\n}}\n{script}{}", instance("")), 0),
        ("open quote", instance(" notify_master \"/bin/true a"), 5),
        ("nopreempt as master", instance(" state MASTER\n nopreempt"), 5),
        ("no such state", instance(" state FOO"), 5),
        ("no address", instance("").replace("10.9.0.100/24", "10.9.0.999"), 5),
        ("unknown word of an address", instance("").replace("0.100/24", "0.100/24 frob"), 5),
        ("two families", instance("").replace("10.9.0.100/24", "10.9.0.100\n fd00::1"), 5),
        ("no addresses", instance("").replace("  10.9.0.100/24\n", ""), 5),
        ("IPv6 in version 2", instance(" version 2").replace("10.9.0.100/24", "fd00::1"), 0),
        ("lvs_sync_daemon_interface", instance(" lvs_sync_daemon_interface e1"), 5),
        ("missing include", format!("include /nope/*.conf\n{}", instance("")), 0),
        ("garp", instance(" garp_master_delay x"), 5),
        ("preempt_delay", instance(" preempt_delay 2000"), 5),
        ("weight", instance(" track_interface {\n e1 weight 300\n }"), 5),
        ("tracked interface", instance(" track_interface {\n nope1\n }"), 5),
        ("mail", format!("global_defs {{\n notification_email {{\n a@b.c\n }}\n smtp_server 127.0.0.1\n}}\n{}", instance("")), 0),
        ("route", instance(" virtual_routes {\n 10.0.0.0/8 via 10.9.0.254 dev e0\n }"), 0),
        ("route without interface", instance(" virtual_routes {\n 10.0.0.0/8 via 10.9.0.254\n }"), 5),
        ("unknown word of a route", instance(" virtual_routes {\n 10.0.0.0/8 frob 10.9.0.254\n }"), 5),
        ("virtual MAC", instance(" use_vmac"), 0),
        ("virtual MAC with a name", instance(" use_vmac v1 00:11:22:33:44"), 0),
        ("virtual MAC, the name behind", instance(" use_vmac 00:11:22:33:44:55 v1"), 0),
        ("virtual MAC with unicast", instance(" use_vmac\n unicast_src_ip 10.9.0.1\n unicast_peer {\n 10.9.0.2\n }"), 5),
        ("virtual MAC, a long name", instance(" use_vmac waytoolongname12345"), 5),
        ("virtual MAC, too few octets", instance(" use_vmac v1 00:11:22:33"), 5),
        ("virtual MAC, two names", instance(" use_vmac v1 foo"), 5),
        ("virtual MAC, a group's", instance(" use_vmac 01:11:22:33:44:55"), 5),
        ("virtual MAC, the same name twice", format!("{}{}", instance(" use_vmac v1"), second.replace("e0", "e0\n use_vmac v1")), 5),
        ("base without virtual MAC", instance(" vmac_xmit_base"), 5),
        ("addresses with virtual MAC", instance(" use_vmac_addr"), 0),
        ("accepted and not", instance(" no_accept\n accept"), 0),
        (
            "prefix and table",
            format!(
                "global_defs {{\n vmac_prefix foo\n vmac_addr_prefix bar\n nftables x\n nftables_priority 3\n nftables_counters\n}}\n{}",
                instance("")
            ),
            0,
        ),
        ("priority of a table", format!("global_defs {{\n nftables_priority abc\n}}\n{}", instance("")), 5),
        ("peer with a prefix", instance("").replace("0.100/24", "0.100/24 peer 10.9.1.1"), 5),
        ("script twice", more(&format!("{script}{script}")).replace("script /bin/true\n", "script /bin/true\n user nobody\n"), 0),
        ("script without a command", more("vrrp_script s {\n script\n}\n"), 5),
        ("file twice", more(&"track_file f {\n file /x\n}\n".repeat(2)), 0),
        ("process twice", more(&"vrrp_track_process p {\n process x\n}\n".repeat(2)), 0),
        ("track_group of nobody", more("track_group T {\n group {\n V9\n }\n}\n"), 0),
        ("unicast", instance(" unicast_src_ip 10.9.0.1\n unicast_peer {\n 10.9.0.2 min_ttl 3 max_ttl 5\n }"), 0),
    ];
    for (name, text, code) in cases {
        let mut loaded = read(text);
        loaded.check_scripts(|_, _| None, |conf, command| conf.user_of(command).is_none());
        assert_eq!(loaded.diagnostics.exit_code(), *code, "{name}: {:#?}", says(&loaded));
    }
    let missing = load(
        &Files(BTreeMap::new()),
        Path::new("/nope.conf"),
        &Surroundings { id: "main".into(), seed: 1, most: 1 << 20, all_files: false },
    );
    assert_eq!((missing.diagnostics.exit_code(), says(&missing)), (0, vec!["Config files missing '/nope.conf'.".into()]));
}

#[test]
fn messages_name_line_word_and_cure() {
    let loaded = read(
        "\n! comment\nvrrp_instance V1 {\n interface e0\n virtual_router_id 51\n prioritty 100\n priority 300\n virtual_ipaddress {\n 10.0.0.1\n }\n}\n",
    );
    assert_eq!(
        says(&loaded),
        [
            "(/k.conf: Line 6) (V1) Unknown keyword 'prioritty' in vrrp_instance; 'priority' is one, if that is meant",
            "(/k.conf: Line 7) (V1) priority '300' is not a whole number from 1 to 255; it is left out",
        ]
    );
    assert!(loaded.diagnostics.is_startable(), "keepalived starts with these");
    let loaded = read(&instance("").replace("51", "999"));
    assert!(!loaded.diagnostics.is_startable() && loaded.conf.instances.is_empty());
}

#[test]
fn an_instance_with_everything() {
    let loaded = read(
        "global_defs {\n vrrp_garp_master_repeat 2\n vrrp_version 3\n enable_script_security\n script_user nobody nogroup\n vrrp_notify_fifo /run/x\n}\n\
         vrrp_script chk { # comment\n script \"/bin/test -e '/tmp/a b'\"\n interval 5\n timeout 3\n weight -20\n rise 2\n fall 3\n user nobody\n init_fail\n}\n\
         vrrp_script other {\n script /bin/true\n user nobody\n}\nvrrp_instance \"V 1\" {\n state BACKUP\n interface e0\n virtual_router_id 7\n priority 150\n version 2\n advert_int 2\n nopreempt\n\
         authentication {\n auth_type PASS\n auth_pass \"pass wo\"\n }\n mcast_src_ip 10.9.0.1\n\
         unicast_peer {\n 10.9.0.2\n 10.9.0.3 min_ttl 250\n }\n garp_master_delay 2\n garp_lower_prio_repeat 0\n\
         track_interface {\n e1 weight -10\n }\n track_script {\n chk\n other weight 5 reverse\n }\n\
         notify \"/bin/n a 'b c'\" nobody\n notify_deleted\n\
         virtual_ipaddress {\n 10.9.0.100/24 brd 10.9.0.255 dev e1 scope link label e1:x no_track\n 10.9.0.101\n }\n\
         virtual_routes {\n src 10.9.0.100 to 10.0.0.0/8 via 10.9.0.254 dev e0 table 100 metric 5 scope link\n default via 10.9.0.1 no_track\n }\n\
         virtual_ipaddress_excluded {\n fd00::1/64\n }\n}\n",
    );
    assert_eq!((says(&loaded), loaded.diagnostics.exit_code()), (Vec::new(), 0));
    let conf = &loaded.conf;
    let it = &conf.instances[0];
    let config = it.config(&conf.global, vec![Weight::new(-10)]);
    assert_eq!((config.version, config.vrid, config.priority, config.preempt), (Version::V2, 7, 150, false));
    assert_eq!((config.advert_int, config.auth.clone()), (Duration::from_secs(2), Auth::password("pass wo")));
    assert!(matches!(&config.transport, Transport::Unicast { peers, .. } if peers.len() == 2 && peers[1].min_ttl == 250));
    let garp = config.garp;
    assert_eq!(
        (garp.master_repeat, garp.master_delay, garp.lower_prio_repeat, garp.lower_prio_delay),
        (2, Duration::from_secs(2), 0, garp.master_delay)
    );
    assert_eq!(config.addresses.len(), 2, "excluded ones are not announced");
    let first = &it.addresses[0];
    assert_eq!((first.prefix, first.scope, first.dev.as_deref(), first.label.as_deref()), (24, 253, Some("e1"), Some("e1:x")));
    let [route, default] = &it.routes[..] else { panic!("two routes") };
    assert_eq!((route.to.to_string(), route.prefix, route.table, route.metric, route.scope), ("10.0.0.0".into(), 8, 100, Some(5), 253));
    assert_eq!((default.prefix, default.table, default.hops[0].via.map(|v| v.to_string())), (0, 254, Some("10.9.0.1".into())));
    assert!(first.no_track && it.addresses[1].prefix == 32);
    let notify = it.watch.notifies.any.as_ref().expect("notify");
    assert_eq!(notify.words, ["/bin/n", "a", "b c"]);
    assert_eq!(notify.user.as_ref().map(|u| u.user.as_str()), Some("nobody"));
    assert_eq!(it.watch.notifies.deleted, Some(None));
    let weights: Vec<Weight> = conf.tracks_of(&it.watch).into_iter().map(|(_, weight)| weight).collect();
    let scripts = &weights[it.watch.track_interfaces.len()..];
    assert_eq!(scripts[0], Weight::new(-20));
    assert_eq!(scripts[1], Weight { value: 5, reverse: true });
    let script = &conf.scripts[0];
    assert_eq!(script.command.as_ref().map(|c| c.words.clone()), Some(vec!["/bin/test".into(), "-e".into(), "/tmp/a b".into()]));
    assert_eq!((script.interval, script.timeout, script.rise, script.fall), (Duration::from_secs(5), Some(Duration::from_secs(3)), 2, 3));
    assert!(config.validate().is_ok());
}

#[test]
fn parameters_conditions_and_sequences() {
    let text = "$P=100\n$INST= \\\nvrrp_instance VI_${N} { \\\n interface e0 \\\n virtual_router_id ${N} \\\n @main priority 200 \\\n @^main priority $P \\\n \
                virtual_ipaddress { \\\n ~SEQ(K,1,3) 10.9.${N}.${K} \\\n } \\\n}\n$N=7\n$INST\n$N=8\n$INST\n~LST(N, 9, 10) $INST\n";
    for (id, priority) in [("main", 200), ("other", 100)] {
        let loaded = read_files(&[("/k.conf", text)], id);
        assert_eq!(says(&loaded), Vec::<String>::new());
        let all: Vec<_> = loaded.conf.instances.iter().map(|i| (i.name.as_str(), i.vrid, i.priority, i.addresses.len())).collect();
        let expected = [("VI_7", 7), ("VI_8", 8), ("VI_9", 9), ("VI_10", 10)].map(|(name, vrid)| (name, Some(vrid), Some(priority), 3));
        assert_eq!(all, expected);
        assert_eq!(loaded.conf.instances[1].addresses[2].address.to_string(), "10.9.8.3");
    }
    let addresses = |lines: &str| {
        let loaded = read(&instance("").replace("10.9.0.100/24", lines));
        assert_eq!(says(&loaded), Vec::<String>::new());
        loaded.conf.instances[0].addresses.iter().map(|a| a.address.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(addresses("~SEQx(S, 144, 16, 192) fe80::20:${S}:1"), ["fe80::20:90:1", "fe80::20:a0:1", "fe80::20:b0:1", "fe80::20:c0:1"]);
    assert_eq!(addresses("~SEQ(A,2,1) ~LST({B, C}, {1,2}, {3,4}) 10.${A}.${B}.${C}"), ["10.2.1.2", "10.2.3.4", "10.1.1.2", "10.1.3.4"]);
    let base = "$B=10.2.${S}\n$S=0\n${B}.1\n$S=10\n${B}.1";
    assert_eq!(addresses(base), ["10.2.0.1", "10.2.10.1"], "replaced when it is used");
    // What is not defined stays.
    let loaded = read(&instance(" notify \"/bin/x ${UNDEFINED} $HOME\""));
    let notify = loaded.conf.instances[0].watch.notifies.any.as_ref().expect("notify");
    assert_eq!(notify.words, ["/bin/x", "${UNDEFINED}", "$HOME"]);
    let loaded = read("global_defs {\n router_id ${_INSTANCE}${_HASH}${_BANG}\n}\n");
    assert_eq!(loaded.conf.global.router_id.as_deref(), Some("main#!"));
}

#[test]
fn includes() {
    let one = instance("");
    let two = instance("").replace("V1", "V2").replace("51", "52");
    let files: &[(&str, &str)] = &[
        ("/k.conf", "include conf.d/*.conf\ninclude {x,y}.inc\n"),
        ("/conf.d/a.conf", &one),
        ("/conf.d/b.conf", "include ../up.conf\n"),
        ("/conf.d/../up.conf", &two),
        ("/y.inc", "global_defs {\n router_id y\n}\n"),
    ];
    let loaded = read_files(files, "main");
    assert_eq!((loaded.conf.instances.len(), loaded.conf.global.router_id.as_deref()), (2, Some("y")));
    assert_eq!(says(&loaded), ["(/k.conf: Line 2) Config files missing '/x.inc'."]);
    let loaded = read("include /k.conf\n");
    assert!(says(&loaded)[0].contains("does a file include itself?") && !loaded.diagnostics.is_startable());
}

#[test]
fn what_is_bounded() {
    let loaded = read("$A=$A $A\nx $A \n");
    assert!(!loaded.diagnostics.is_startable(), "{:?}", says(&loaded));
    let loaded = read("~SEQ(A,1,99999) ~SEQ(B,1,99999) x y z\n");
    assert!(!loaded.diagnostics.is_startable() && loaded.conf.instances.is_empty());
    let loaded = read(&"x\n".repeat(5000));
    assert!(loaded.diagnostics.all().len() <= vrrp_daemon::conf::diag::MAX_MESSAGES && loaded.diagnostics.beyond() > 0);
    assert_eq!(read(&"a {\n".repeat(10_000)).diagnostics.exit_code(), 5);
    assert_eq!(read(&"x".repeat(100_000)).diagnostics.exit_code(), 5);
    assert_eq!(read("~SEQ(A,1,0,5) x\n~SEQ(A) x\n~LST(A x\n~SEQ)(\n").diagnostics.all().len(), 3);
}

#[test]
fn what_is_not_there_yet_is_refused_by_name() {
    let mut loaded = read(&format!(
        "virtual_server 10.0.0.1 80 {{\n lb_algo rr\n}}\nvirtual_server fwmark x {{\n}}\n{}",
        instance(" use_ipvlan\n virtual_routes {\n 10.0.0.0/8 via 10.9.0.254 encap mpls 100\n }")
    ));
    assert_eq!(says(&loaded), Vec::<String>::new(), "the file is sound");
    loaded.refuse_unsupported();
    assert_eq!(
        says(&loaded),
        [
            "(/k.conf: Line 1) 'virtual_server' in the file is not supported yet",
            "(/k.conf: Line 4) 'virtual_server' in the file is not supported yet",
            "(/k.conf: Line 9) 'use_ipvlan' in vrrp_instance is not supported yet",
            "(/k.conf: Line 11) 'encap' in virtual_routes is not supported yet",
        ]
    );
    assert!(loaded.diagnostics.all().iter().all(|d| d.level == Level::Error));
    assert!(vrrp_daemon::conf::without_effect().iter().all(|(_, _, reason)| reason.len() > 10));
}

#[test]
fn a_sync_group_takes_weights_away() {
    let second = instance(" track_interface {\n e1 weight 10\n }").replace("V1", "V2").replace("51", "52");
    let loaded = read(&format!(
        "{}{second}vrrp_sync_group G {{\n group {{\n V2\n V1\n }}\n track_interface {{\n e1 weight 10\n }}\n}}\n",
        instance("")
    ));
    assert_eq!(loaded.conf.groups[0].members, [1, 0]);
    // What keepalived 2.2.7 makes of each kind.
    let blocks = "vrrp_script s {\n script /x\n weight 10\n user nobody\n}\ntrack_file f {\n file /x\n weight 9\n}\nvrrp_track_process p {\n process x\n weight 8\n}\n";
    let tracks = " track_interface {\n e1 weight 7\n }\n track_script {\n s\n }\n track_file {\n f\n }\n track_process {\n p\n }";
    let weights = |lines: &str, group: &str| {
        let loaded = read(&format!("{blocks}{}{group}", instance(&format!("{lines}{tracks}"))));
        let all = loaded.conf.tracks_of(&loaded.conf.instances[0].watch);
        (
            all.iter().map(|(object, weight)| format!("{} {}", object.name(), weight.value)).collect::<Vec<_>>().join(", "),
            says(&loaded).len(),
        )
    };
    let group = |line: &str| format!("vrrp_sync_group G {{\n group {{\n V1\n }}\n{line}}}\n");
    assert_eq!(weights("", ""), ("e1 7, s 10, f 9, p 8".into(), 0));
    assert_eq!(weights("", &group("")), ("e1 7, f 0, p 8".into(), 4));
    assert_eq!(weights("", &group(" sync_group_tracking_weight\n")), ("e1 7, s 10, f 9, p 8".into(), 1));
    assert_eq!(weights("", &group(" global_tracking\n")), ("e1 7, s 10, f 9, p 8".into(), 2));
    assert_eq!(weights(" priority 255\n", ""), ("e1 7, f 0, p 8".into(), 3));
}

#[test]
fn tracks_have_keepaliveds_limits() {
    let blocks = "vrrp_script s {\n script /x\n user nobody\n}\ntrack_file f {\n file /x\n}\n";
    for (lines, weight, code) in [
        (" track_script {\n s weight 253\n }", 253, 0),
        (" track_script {\n s weight -254\n }", -253, 5),
        (" track_script {\n s weight 255\n }", 0, 5),
        (" track_file {\n f weight 254\n }", 254, 0),
        (" track_file {\n f weight 255\n }", 1, 5),
        (" track_interface {\n e1 weight 254\n }", 253, 5),
        (" track_interface {\n e1 weight 3\n e1 weight 4\n }", 3, 5),
    ] {
        let loaded = read(&format!("{blocks}{}", instance(lines)));
        let all = loaded.conf.tracks_of(&loaded.conf.instances[0].watch);
        assert_eq!((all.len(), all[0].1, loaded.diagnostics.exit_code()), (1, Weight::new(weight), code), "{lines}");
    }
    for (line, interval, code) in [("interval 3", 3, 0), ("interval 0", 1, 5), ("interval 0.5", 1, 5), ("interval 4295", 1, 5)] {
        let loaded = read(&format!("vrrp_script s {{\n script /x\n user nobody\n {line}\n}}\n{}", instance("")));
        let found = loaded.conf.scripts[0].interval;
        assert_eq!((found, loaded.diagnostics.exit_code()), (Duration::from_secs(interval), code), "{line}");
    }
    let begins = |lines: &str| {
        let conf = read(&instance(lines)).conf;
        conf.instances[0].config(&conf.global, Vec::new()).start_as_master
    };
    assert!(begins(" priority 255") && !begins(" priority 255\n state BACKUP") && !begins(" priority 254"));
}

#[test]
fn routes_and_rules_have_keepaliveds_verdicts() {
    let of = |block: &str, line: &str| read(&instance(&format!(" {block} {{\n {line}\n }}"))).diagnostics.exit_code();
    let routes = [
        ("10.0.0.0/8 dev e0 mtu 1400 hoplimit 9 cwnd 106 ssthresh lock 107 realms 3/4 features ecn congctl cubic fastopen_no_cookie 1", 0),
        ("10.0.0.0/8 dev e0 protocol bird tos 0x04 preference 12 table 6909", 5),
        ("10.0.0.0/8 dev e0 protocol bird no_track", 0),
        ("10.0.0.0/8 dev e0 pref high", 5),
        ("fd00::/8 dev e0 pref high expires 30", 0),
        ("10.0.0.0/8 dev e0 onlink append", 0),
        ("10.0.0.0/8 via inet6 fe80::1 dev e0", 5),
        ("default dev e0", 0),
        ("dev e0", 5),
        ("10.0.0.0/8 dev e0 table nosuch", 5),
        ("10.0.0.0/8 dev e0 ttl-propagate enabled", 0),
        ("10.0.0.0/8 dev e0 as 10.1.1.1", 5),
        ("10.0.0.0/8 dev e0 mtu x", 5),
        ("10.0.0.0/8 dev e0 track_group G", 5),
        ("unreachable 10.0.0.0/8", 5),
        ("unreachable 10.0.0.0/8 no_track", 0),
        ("local 10.0.0.0/8 dev e0", 0),
        ("10.0.0.0/8 nexthop via 10.9.0.2 dev e0 weight 3 nexthop via 10.9.0.3 dev e0 weight 300", 5),
        ("10.0.0.0/8 nexthop via 10.9.0.2 dev e0 weight 3 nexthop via 10.9.0.3 dev e0 weight 256 no_track", 0),
        ("10.0.0.0/8 via 10.9.0.2 or 10.9.0.3 dev e0", 5),
        ("from fd01::/64 to fd00::/8 dev e0", 0),
        ("10.0.0.0/8 gw 10.9.0.2 dev e0", 5),
        ("10.0.0.0/8 dev e0 congctl lock cubic", 0),
    ];
    for (line, code) in routes {
        assert_eq!(of("virtual_routes", line), code, "{line}");
    }
    let rules = [
        ("from 10.0.0.0/8 table 5", 5),
        ("from 10.0.0.0/8 table 5 preference 9", 0),
        ("from 10.0.0.0/8 lookup 5 order 9", 0),
        ("from 10.0.0.0/8 table nosuch preference 9", 5),
        ("from 10.0.0.0/8 preference 9", 5),
        ("table 9 preference 9", 0),
        ("not from 10.0.0.0/8 table 5 preference 9", 0),
        ("from 10.0.0.0/8 goto 20 preference 9", 0),
        ("from 10.0.0.0/8 goto 2 preference 9", 5),
        ("from 10.0.0.0/8 type prohibit preference 9", 0),
        ("from 10.0.0.0/8 table 5 preference 9 suppress_prefixlength 3 suppress_ifgroup 4 uidrange 1-5 protocol 12", 5),
        ("from 10.0.0.0/8 table 5 preference 9 suppress_prefixlength 3 suppress_ifgroup 4 uidrange 1-5 protocol 12 no_track", 0),
        ("from 10.0.0.0/8 table 5 preference 9 tunnel-id 7", 0),
        ("from 10.0.0.0/8 table 5 preference 9 ipproto udp sport 1-3 dport 5-6", 0),
        ("from 10.0.0.0/8 l3mdev preference 9", 0),
        ("from 10.0.0.0/8 table 5 preference 9 iif nope", 5),
        ("from fd00::/8 to fd01::/9 table 5 preference 9 no_track", 0),
        ("from 10.0.0.0/8 to fd01::/9 table 5 preference 9", 5),
        ("from all table 5 preference 9", 0),
        ("from 10.0.0.0/8 table 5 preference 9 frob", 5),
        ("from 10.0.0.0/8 table 5 preference 9 track_group G", 5),
    ];
    for (line, code) in rules {
        assert_eq!(of("virtual_rules", line), code, "{line}");
    }
    let named = read_files(
        &[
            ("/k.conf", &instance(" virtual_routes {\n 10.0.0.0/8 dev e0 table small\n }")),
            ("/etc/iproute2/rt_tables", "# a comment\n77\tsmall # x\n"),
        ],
        "main",
    );
    assert_eq!((named.diagnostics.exit_code(), named.conf.instances[0].routes[0].table), (0, 77));
}

/// What keepalived 2.2.7 leaves out of a line, and where it leaves out the line.
#[test]
fn an_address_loses_no_more_than_a_word() {
    for (line, stays) in [
        ("10.9.0.101/24 frob", Some(24)),
        ("10.9.0.101/24 scope frob", Some(24)),
        ("10.9.0.101 peer 10.9.10.2/24", Some(32)),
        ("10.9.0.101 peer fd00::1", Some(32)),
        ("10.9.0.101/24 preferred_lft frob", Some(24)),
        ("10.9.0.101/33", Some(32)),
        ("10.9.0.101/24 nodad", Some(24)),
        ("10.9.0.101/32 brd +", Some(32)),
        ("10.9.0.101/24 track_group G", Some(24)),
        ("10.9.0.101/24 brd frob", None),
        ("10.9.0.101/24 brd", None),
        ("10.9.0.101/24 label e0:much-longer-than-allowed", None),
        ("10.9.0.301/24", None),
    ] {
        let loaded = read(&instance("").replace("  10.9.0.100/24", &format!("  10.9.0.100/24\n  {line}")));
        let second = loaded.conf.instances[0].addresses.get(1);
        assert_eq!(second.map(|a| a.prefix), stays, "{line}");
        assert!(second.is_none_or(|a| (a.peer, a.brd, &a.track_group) == (None, None, &None)), "{line}");
        assert_eq!(loaded.diagnostics.exit_code(), 5, "{line}");
    }
}

#[test]
fn scripts_are_what_keepalived_makes_of_them() {
    let text = "vrrp_script s {\n script /bin/test -e x\n user nobody\n}\nvrrp_script t {\n script \"/bin/test -e 'a b'\" -e y\n}\n";
    let loaded = read(&format!("{}{text}", instance("")));
    let words = |at: usize| loaded.conf.scripts[at].command.as_ref().map(|c| c.words.join("|")).unwrap_or_default();
    assert_eq!((words(0), words(1)), ("/bin/test".into(), "/bin/test|-e|a b".into()));
    assert_eq!(loaded.diagnostics.all().iter().filter(|d| d.text.contains("'-e' is not heeded")).count(), 2);
    let mut loaded = read(&instance(" notify_master /x nobody\n notify_backup /x"));
    let problem = |_: &vrrp_daemon::conf::model::Conf, command: &vrrp_daemon::conf::model::Command| {
        let text = "no".into();
        command.user.is_some().then_some(vrrp_daemon::scripts::Problem { disables: true, text })
    };
    loaded.check_scripts(problem, |_, _| false);
    let notifies = &loaded.conf.instances[0].watch.notifies;
    assert!(notifies.master.is_none() && notifies.backup.is_some(), "the same program for another user");
}

#[test]
fn blocks_about_interfaces() {
    let of = |text: &str| read(&format!("{text}{}", instance(""))).diagnostics.exit_code();
    let blocks = [
        ("linkbeat_interfaces {\n e0\n e1 MII\n}\n", 0),
        ("linkbeat_interfaces {\n e9 ETHTOOL\n}\n", 5),
        ("linkbeat_interfaces {\n e1 FOO\n}\n", 5),
        ("interface_up_down_delays {\n e0 1 2\n e1 0.5\n}\n", 0),
        ("interface_up_down_delays {\n e1 x\n}\n", 5),
        ("interface_up_down_delays {\n e1 300\n}\n", 5),
        ("garp_group {\n garp_interval 0.1\n gna_interval 0.2\n interfaces {\n e0\n e1\n }\n}\n", 0),
        ("garp_group {\n garp_interval 0.1\n interface e0\n}\ngarp_group {\n interface e0\n}\n", 5),
        ("track_group G {\n group {\n V1\n }\n}\nstatic_ipaddress {\n 10.9.5.1/24 dev e0 track_group G\n}\n", 0),
        ("static_ipaddress {\n 10.9.5.1/24 dev e0 track_group G\n}\n", 5),
    ];
    for (text, code) in blocks {
        assert_eq!(of(text), code, "{text}");
    }
    let extra = |line: &str| read(&instance(line));
    assert_eq!(extra(" garp_extra_if all 2").conf.instances[0].garp_extra, Some((true, Duration::from_secs(2))));
    assert_eq!(extra(" garp_extra_if 100").conf.instances[0].garp_extra, Some((false, Duration::from_secs(100))));
    assert_eq!(extra(" garp_extra_if all").diagnostics.exit_code(), 5);
}

#[test]
fn strict_mode_has_keepaliveds_verdicts() {
    let of = |global: bool, line: &str, addresses: &str| {
        let global = if global { "global_defs {\n vrrp_strict\n}\n" } else { "" };
        read(&format!("{global}{}", instance(line).replace("10.9.0.100/24", addresses)))
    };
    let cases = [
        ("", "10.9.0.100/24", 0),
        (" state MASTER", "10.9.0.100/24", 0),
        (" state MASTER\n priority 255", "10.9.0.100/24", 0),
        (" authentication {\n auth_type PASS\n auth_pass x\n }", "10.9.0.100/24", 5),
        (" preempt_delay 3", "10.9.0.100/24", 5),
        (" accept", "10.9.0.100/24", 5),
        (" version 3\n accept", "10.9.0.100/24", 0),
        (" garp_master_repeat 3", "10.9.0.100/24", 0),
        (" garp_lower_prio_repeat 3", "10.9.0.100/24", 5),
        (" lower_prio_no_advert off", "10.9.0.100/24", 5),
        (" higher_prio_send_advert on", "10.9.0.100/24", 5),
        (" use_vmac\n vmac_xmit_base", "10.9.0.100/24", 5),
        (" version 3", "fd00::1", 5),
        (" version 3", "fe80::1\n fd00::1", 0),
        (" strict_mode off\n preempt_delay 3", "10.9.0.100/24", 0),
    ];
    for (line, addresses, code) in cases {
        let loaded = of(true, line, addresses);
        assert_eq!(loaded.diagnostics.exit_code(), code, "{line}: {:?}", says(&loaded));
    }
    assert_eq!(of(false, " strict_mode maybe", "10.9.0.100/24").diagnostics.exit_code(), 5);
    let strict = of(false, " strict_mode\n state MASTER\n priority 100", "10.9.0.100/24").conf;
    let config = strict.instances[0].config(&strict.global, Vec::new());
    assert!(config.lower_prio_no_advert && !config.start_as_master && config.garp.lower_prio_repeat == 0 && strict.instances[0].no_accept);
    let owner = of(true, " priority 255", "10.9.0.100/24").conf;
    assert!(!owner.instances[0].no_accept);
}

#[test]
fn virtual_interfaces() {
    let second = instance(" use_vmac\n use_vmac_addr").replace("V1", "V2").replace("51", "52");
    let second = second.replace("10.9.0.100/24", "10.9.0.110/24\n 10.9.0.111/24 dev e0\n 10.9.1.110/24 dev e1\n 10.9.1.111/24 dev e1");
    let third = instance(" virtual_ipaddress_excluded {\n fd00::1/64 use_vmac\n }").replace("V1", "V3").replace("51", "53");
    let fourth = instance(" use_vmac mine 00:11:22:33:44\n vmac_xmit_base")
        .replace("V1", "V4")
        .replace("51", "54")
        .replace("10.9.0.100/24", "fe80::54");
    let loaded = read(&format!("global_defs {{\n vmac_addr_prefix addr\n}}\n{}{second}{third}{fourth}", instance(" use_vmac")));
    assert!(loaded.diagnostics.all().is_empty(), "{:?}", says(&loaded));
    let conf = loaded.conf;
    let links: Vec<(&str, &str, [u8; 6], bool)> = conf.links.iter().map(|l| (l.name.as_str(), l.base.as_str(), l.mac, l.ipv6)).collect();
    let mac = |family: u8, id: u8| [0, 0, 0x5e, 0, family, id];
    let expected = [
        ("vrrp.51", "e0", mac(1, 51), false),
        ("vrrp.52", "e0", mac(1, 52), false),
        ("addr.52", "e1", mac(1, 52), false),
        ("addr.53", "e0", mac(2, 53), true),
        ("mine", "e0", [0, 0x11, 0x22, 0x33, 0x44, 54], true),
    ];
    assert_eq!(links, expected);
    let on: Vec<&str> = conf.instances[1].addresses.iter().filter_map(|a| a.on.as_deref()).collect();
    assert_eq!(on, ["vrrp.52", "vrrp.52", "addr.52", "addr.52"]);
    let wires: Vec<&str> = conf.instances.iter().filter_map(|i| i.wire.as_deref()).collect();
    assert_eq!(wires, ["vrrp.51", "vrrp.52", "e0", "e0"]);
    let lingers = |at: usize| conf.instances[at].config(&conf.global, Vec::new()).linger;
    assert!(!lingers(0) && !lingers(1) && !lingers(2));
}

/// The interval in centiseconds that comes of it, as keepalived 2.2.7 sends it.
#[test]
fn intervals_are_rounded_as_keepaliveds() {
    let cases = [
        (2, "1.5", 200),
        (2, "2.5", 300),
        (2, "1.4", 100),
        (2, "0.4", 100),
        (2, "254.7", 25_500),
        (2, "255.5", 100),
        (3, "0.123", 12),
        (3, "0.125", 13),
        (3, "0.128", 13),
        (3, "0.014", 1),
        (3, "0.015", 2),
        (3, "0.009", 100),
        (3, "40.954", 4095),
        (3, "41", 4095),
        (3, ".5", 50),
        (3, "0", 100),
        (3, "-1", 100),
        (3, "256", 100),
        (3, "1.", 100),
        (3, "0.29", 29),
        (3, "40.95", 4095),
    ];
    for (version, written, centiseconds) in cases {
        let loaded = read(&instance(&format!(" version {version}\n advert_int {written}")));
        let config = loaded.conf.instances[0].config(&loaded.conf.global, Vec::new());
        assert_eq!(config.advert_int, Duration::from_millis(10) * centiseconds, "version {version}, {written}");
        assert!(loaded.diagnostics.is_startable() && config.validate().is_ok(), "{written}: {:?}", says(&loaded));
    }
}

/// Wrong words about unicast do not make it multicast as long as there is a peer; without any it is multicast, and that is said.
#[test]
fn peers_stay_peers() {
    let of = |lines: &str| {
        let loaded = read(&instance(lines));
        let config = loaded.conf.instances[0].config(&loaded.conf.global, Vec::new());
        assert!(loaded.diagnostics.is_startable() && config.validate().is_ok(), "{:?}", says(&loaded));
        (config.transport, says(&loaded))
    };
    for (words, min, max) in
        [("min_ttl 300", 0, 255), ("min_ttl 60 max_ttl 50", 60, 50), ("foo 3", 0, 255), ("min_ttl", 0, 255), ("max_ttl 9", 0, 9)]
    {
        let (transport, says) = of(&format!(" unicast_peer {{\n 10.9.0.2 {words}\n }}"));
        let Transport::Unicast { peers, .. } = transport else { panic!("{words}: {says:?}") };
        assert_eq!((peers[0].min_ttl, peers[0].max_ttl), (min, max), "{words}");
        assert_eq!(says.len(), usize::from(words != "max_ttl 9"), "{says:?}");
    }
    for lines in [" unicast_peer {\n nope\n }", " unicast_peer {\n }", " unicast_src_ip 10.9.0.1", " unicast_peer {\n fd00::2\n }"] {
        let (transport, says) = of(lines);
        assert!(matches!(transport, Transport::Multicast { .. }), "{lines}");
        assert!(says.iter().any(|line| line.contains("no unicast peers: adverts are multicast")), "{lines}: {says:?}");
    }
    let (transport, says) = of(" mcast_dst_ip 10.1.1.1\n mcast_src_ip fd00::1");
    assert!(matches!(transport, Transport::Multicast { group } if group == vrrp::Family::V4.group()) && says.len() == 2, "{says:?}");
}

/// Lines of files are what they come to before one is an `include`; a definition goes on also behind a comment.
#[test]
fn included_files_are_named_by_parameters_and_conditions() {
    let part = "virtual_router_id 51\n virtual_ipaddress {\n 10.9.0.100/24\n }\n";
    let main = "$PART=part\n$MORE= \\\n priority 77 # goes on \\\n advert_int 2\nvrrp_instance V1 {\n interface e0\n $MORE\n \
                @main include ${_PWD}/$PART\n @other include nowhere\n}\n";
    let loaded = read_files(&[("/k.conf", main), ("//part", part)], "main");
    let it = &loaded.conf.instances[0];
    assert_eq!((it.vrid, it.priority, it.advert_int, it.addresses.len()), (Some(51), Some(77), Some(Duration::from_secs(2)), 1));
    assert!(says(&loaded).is_empty(), "{:?}", says(&loaded));
}

#[test]
fn files_that_an_editor_leaves_are_not_included() {
    let dir = std::env::temp_dir().join(format!("vrrp-glob-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    for name in ["a.conf", ".a.conf.swp", ".b.conf"] {
        std::fs::write(dir.join(name), "").expect("a file");
    }
    let found = vrrp_daemon::conf::text::Disk.matching(&format!("{}/*", dir.display()));
    let _ = std::fs::remove_dir_all(&dir);
    assert_eq!(found, [dir.join("a.conf")]);
}

#[test]
fn an_interface_that_is_not_there_is_said_where_it_stands() {
    let loaded = read(&instance("").replace("interface e0", "interface e9"));
    assert!(says(&loaded)[0].starts_with("(/k.conf: Line 2) WARNING - interface e9 doesn't exist"), "{:?}", says(&loaded));
}
