//! SIGHUP: another file takes the place of the one in force, and no mastership is lost.

mod common;

use common::{Net, Router, VIP, VRRPD, conf, may_run, run, until};

/// A master with 150 and a backup with 100.
fn pair(net: &Net, first: &str, second: &str) -> (Router, Router) {
    let a = net.start("a", VRRPD, first);
    until("a master", || net.has("a", VIP));
    let b = net.start("b", VRRPD, second);
    until("a backup", || b.log().contains("Entering BACKUP STATE (init)"));
    (a, b)
}

fn masters(router: &Router) -> usize {
    router.log().matches("Entering MASTER STATE").count()
}

/// An instance of its own, on e0.
fn other(name: &str, vrid: u8, address: &str) -> String {
    conf(150, "").replace("V1", name).replace("router_id 51", &format!("router_id {vrid}")).replace(VIP, address)
}

#[test]
fn addresses_scripts_and_instances_come_and_go() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let (a, b) = pair(&net, &conf(150, ""), &conf(100, ""));
    let stays = |what: &str| {
        assert!(net.has("a", VIP) && !net.has("b", VIP), "{what}\n{}", a.log());
        assert_eq!((masters(&b), a.log().matches("(V1) Entering BACKUP").count()), (0, 1), "{what}\n{}", b.log());
    };
    let second = |text: &str| text.replace(&format!("{VIP}/24\n"), &format!("{VIP}/24\n 10.9.0.101/24\n 10.9.0.102/32 dev e1\n"));
    let log = a.reload(&second(&conf(150, "")));
    assert!(log.contains("Reload complete"), "{log}");
    until("two addresses more", || net.has("a", "10.9.0.101") && net.has("a", "10.9.0.102"));
    stays("addresses were added");
    // As many reloads as somebody likes to ask for.
    for _ in 0..20 {
        a.signal(rustix::process::Signal::HUP);
    }
    a.reload(&conf(150, ""));
    until("the addresses are gone", || !net.has("a", "10.9.0.101") && !net.has("a", "10.9.0.102"));
    stays("addresses were removed");
    // A script that has not succeeded yet, then one that does, then one that fails.
    let script = |run: &str| {
        let tracks = " track_script {\n s\n }\n";
        format!(
            "vrrp_script s {{\n script \"{run}\"\n interval 1\n user root\n}}\nglobal_defs {{\n enable_script_security\n}}\n{}",
            conf(150, tracks)
        )
    };
    a.reload(&script("/bin/sleep 60"));
    stays("a script was added");
    a.reload(&script("/bin/true"));
    until("it succeeds", || a.log().contains("VRRP_Script(s) succeeded"));
    stays("it succeeds");
    let log = a.reload(&format!("{}{}", script("/bin/true"), other("V2", 52, "10.9.0.110")));
    assert!(log.contains("(V2) Entering BACKUP STATE (init)"), "{log}");
    until("the new one is master", || net.has("a", "10.9.0.110"));
    // The address goes from one instance to another.
    a.reload(&format!("{}{}", script("/bin/true"), other("V3", 53, "10.9.0.110")));
    until("the new one is master", || a.log().contains("(V3) Entering MASTER"));
    until("the old one has left", || a.log().contains("(V2) no new master was heard"));
    assert!(net.has("a", "10.9.0.110"), "{}", a.log());
    stays("instances came and went");
    a.reload(&conf(150, "").replace("V1", "renamed"));
    until("the other instance is gone", || !net.has("a", "10.9.0.110"));
    stays("it was renamed");
    // And it is still a master that gives up.
    assert_eq!(a.stop(), Some(0));
    until("the other takes over", || net.has("b", VIP) && !net.has("a", VIP));
    assert!(b.log().contains("Backup received priority 0"), "{}", b.log());
}

#[test]
fn a_priority_changes_the_election() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let (a, b) = pair(&net, &conf(150, ""), &conf(100, ""));
    a.reload(&conf(50, ""));
    until("the other is the better one", || net.has("b", VIP) && !net.has("a", VIP));
    b.reload(&conf(20, ""));
    until("and back", || net.has("a", VIP) && !net.has("b", VIP));
}

#[test]
fn another_version_is_no_other_router() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let router = net.start("a", VRRPD, &conf(150, " version 3\n advert_int 0.3"));
    until("a master", || net.has("a", VIP));
    let log = router.reload(&conf(150, ""));
    assert!(log.contains("Reload complete") && net.has("a", VIP), "{log}");
    assert!(net.ask("a", "status").contains("V1 MASTER"), "{}", router.log());
    let second = net.start("b", "keepalived", &conf(200, ""));
    until("it speaks as the better one does, and yields", || net.has("b", VIP) && !net.has("a", VIP));
    assert_eq!((masters(&router), router.log().matches("sent 0 priority").count()), (1, 0), "{}", router.log());
    drop(second);
}

#[test]
fn a_broken_file_is_refused_whole() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let (a, b) = pair(&net, &conf(150, ""), &conf(100, ""));
    let sound = conf(150, "");
    let more = |text: &str| format!("{}{text}", other("V2", 52, "10.9.0.110"));
    let broken = [
        ("an id that there is not", more(&sound.replace("router_id 51", "router_id 999"))),
        ("an interface that there is not", more(&sound.replace("interface e0", "interface nope0"))),
        ("no end", more(sound.trim_end().trim_end_matches('}'))),
        ("a mistyped word", more(&sound.replace("virtual_ipaddress", "virtual_ipadress"))),
        ("something that is not there", format!("{}virtual_server 10.9.0.100 80 {{\n}}\n", more(&sound))),
        ("the same id twice", format!("{sound}{}", other("V2", 51, "10.9.0.110"))),
        ("a user that there is not", more(&sound.replace("priority", "notify \"/bin/true\" nobody-has-this-name\n priority"))),
        ("nothing", String::new()),
    ];
    for (what, text) in broken {
        let log = a.reload(&text);
        assert!(log.contains("Reload refused, the configuration in force stays"), "{what}: {log}");
        assert!(!log.contains("V2) Entering"), "{what}: {log}");
        assert!(net.has("a", VIP) && !net.has("b", VIP), "{what}");
    }
    std::fs::remove_file(&a.conf).expect("a file");
    a.signal(rustix::process::Signal::HUP);
    until("a word", || a.log().matches("Reload refused").count() == 9);
    let log = a.reload(&more(&sound));
    assert!(log.contains("Reload complete"), "{log}");
    assert_eq!((masters(&b), a.log().matches("(V1) Entering").count()), (0, 2), "{}", a.log());
    assert_eq!(a.stop(), Some(0));
    until("the other takes over", || net.has("b", VIP) && !net.has("a", VIP));
}

#[test]
fn a_group_gets_one_member_more_and_loses_it() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let member = |priority: u8, name: &str, vrid: u8, address: &str| {
        other(name, vrid, address).replace("priority 150", &format!("priority {priority}"))
    };
    let group = |names: &str| format!("vrrp_sync_group G {{\n group {{\n {names}\n }}\n}}\n");
    let three = |priority: u8| {
        format!(
            "{}{}{}",
            member(priority, "V1", 51, VIP),
            member(priority, "V2", 52, "10.9.0.110"),
            member(priority, "V3", 53, "10.9.0.120")
        )
    };
    let two = |priority: u8| format!("{}{}", member(priority, "V1", 51, VIP), member(priority, "V2", 52, "10.9.0.110"));
    let of_two = |priority: u8| format!("{}{}", two(priority), group("V1 V2"));
    let of_three = |priority: u8| format!("{}{}", three(priority), group("V1 V2 V3"));
    let (a, b) = pair(&net, &of_two(150), &of_two(100));
    until("both", || net.has("a", "10.9.0.110"));
    a.reload(&of_three(150));
    until("all three", || net.has("a", "10.9.0.120"));
    b.reload(&of_three(100));
    until("a backup of three", || b.log().contains("(V3) Entering BACKUP STATE (init)"));
    assert!(net.has("a", VIP) && net.has("a", "10.9.0.110"), "{}", a.log());
    // Out of the group, and with the others gone, alone.
    a.reload(&format!("{}{}", three(150), group("V1 V2")));
    a.reload(&three(150));
    a.reload(&member(150, "V1", 51, VIP));
    until("one is left", || !net.has("a", "10.9.0.110") && !net.has("a", "10.9.0.120"));
    assert!(net.has("a", VIP), "{}", a.log());
    assert_eq!(a.log().matches("(V1) Entering").count(), 2, "{}", a.log());
}

#[test]
fn who_is_deleted_says_so_in_the_word_that_was_asked_for() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let fifo = net.file("fifo");
    let global = |more: &str| format!("global_defs {{\n notify_fifo {}\n{more}}}\n", fifo.display());
    let mark = net.file("mark");
    let asked = other("V2", 52, "10.9.0.110")
        .replace("priority", &format!("notify_deleted \"/bin/cp /proc/version {}\" root\n priority", mark.display()));
    let all = format!("{}{}{asked}{}", global(""), conf(150, ""), other("V3", 53, "10.9.0.120"));
    let router = net.start("a", VRRPD, &all);
    until("masters", || net.has("a", VIP) && net.has("a", "10.9.0.110") && net.has("a", "10.9.0.120"));
    let path = fifo.clone();
    let told = std::thread::spawn(move || std::fs::read_to_string(path).expect("a fifo"));
    router.reload(&format!("{}{}", global(" fifo_write_vrrp_states_on_reload\n"), conf(150, "")));
    until("they have left", || !net.has("a", "10.9.0.110") && !net.has("a", "10.9.0.120"));
    until("the script has run", || mark.exists());
    assert!(net.has("a", VIP));
    assert_eq!(router.stop(), Some(0));
    let told = told.join().expect("no panic");
    for line in ["INSTANCE \"V2\" DELETED 150", "INSTANCE \"V3\" FAULT 150", "INSTANCE \"V1\" STOP 150"] {
        assert_eq!(told.lines().filter(|l| *l == line).count(), 1, "{line}\n{told}");
    }
    // At the change, and once more at the reload, which asked for it.
    assert_eq!(told.lines().filter(|l| *l == "INSTANCE \"V1\" MASTER 150").count(), 2, "{told}");
}

#[test]
fn urgency_comes_with_a_file() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let router = net.start("a", VRRPD, &conf(150, ""));
    until("a master", || net.has("a", VIP));
    let urgent = "global_defs {\n vrrp_rt_priority 3\n vrrp_rlimit_rttime 20000\n vrrp_priority -3\n}\n";
    router.reload(&format!("{urgent}{}", conf(150, "")));
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", router.child.id())).expect("it lives");
    let fields = read("stat").rsplit(')').next().expect("a name").split_whitespace().map(str::to_string).collect::<Vec<_>>();
    let refused = router.log().contains("vrrp_rt_priority: ");
    assert!(fields[37] == "3" || refused, "{fields:?}");
    let limit = read("limits").lines().find(|l| l.starts_with("Max realtime timeout")).map(str::to_string).expect("a limit");
    assert!(limit.split_whitespace().any(|w| w == "20000"), "{limit}");
    assert!(net.has("a", VIP));
    assert_eq!(router.stop(), Some(0));
}

/// The moment stands in a file, in local time; the file goes, or stays for the next day.
#[test]
fn at_a_moment_that_a_file_names() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let moment = net.file("moment");
    let file = |repeat: &str| format!("global_defs {{\n reload_time_file {}\n{repeat}}}\n{}", moment.display(), conf(150, ""));
    let router = net.start("a", VRRPD, &file(""));
    until("a master", || net.has("a", VIP));
    let count = |text: &str| router.log().matches(text).count();
    // A few seconds from now; once more if that has passed before it was read.
    let soon = || loop {
        let (text, missed) = (run("date", "-d +4sec +%F_%T").replace('_', " "), count("in the past"));
        std::fs::write(&moment, &text).expect("a file");
        let scheduled = format!("Scheduling reload for {}", text.trim());
        until("it is read", || count(&scheduled) > 0 || count("in the past") > missed);
        if count(&scheduled) > 0 {
            break;
        }
    };
    std::fs::write(&moment, "at noon\n").expect("a file");
    until("no moment", || count("Invalid reload time 'at noon'") == 1);
    std::fs::write(&moment, run("date", "-d tomorrow +%F_%T").replace('_', " ")).expect("a file");
    until("another day", || count("Scheduling reload for") == 1);
    std::fs::remove_file(&moment).expect("a file");
    until("not at all", || count("Cancelling reload scheduled for") == 1);
    soon();
    until("a reload", || count("Reload complete") == 1);
    assert!(!moment.exists());
    router.reload(&file(" reload_repeat\n"));
    soon();
    until("a reload", || count("Reload complete") == 3);
    assert!(moment.exists());
    assert!(net.has("a", VIP));
    assert_eq!(count("(V1) Entering"), 2, "{}", router.log());
    assert_eq!(router.stop(), Some(0));
}
