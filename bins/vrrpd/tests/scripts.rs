//! How scripts are run: with what, by whom, for how long.

mod common;

use common::{Net, ROOT, VIP, VRRPD, conf, how_many, listen, may_run, running, script, some, until};
use std::fs::read_to_string;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn lines(path: &Path) -> usize {
    read_to_string(path).unwrap_or_default().lines().count()
}

/// Children of a process that have ended and that it has not looked after.
fn zombies(parent: u32) -> usize {
    let all = std::fs::read_dir("/proc").expect("/proc");
    let stats = all.filter_map(|entry| read_to_string(entry.ok()?.path().join("stat")).ok());
    stats.filter(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(&format!("Z {parent} ")))).count()
}

#[test]
fn a_script_gets_no_more_than_it_needs() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    std::fs::set_permissions(&net.dir, PermissionsExt::from_mode(0o777)).expect("its mode");
    let (open, ready) = (net.file("open"), net.file("ready"));
    // Raw sockets are nothing for who is not root.
    let text = format!("ls -l /proc/$$/fd > {}\necho done > {}", open.display(), ready.display());
    let path = script(&net, "look", &text);
    let router = net.start("a", VRRPD, &conf(150, &format!(" version 3\n advert_int 0.3\n notify_master {path} nobody")));
    until("it has run", || read_to_string(&ready).is_ok_and(|text| text.ends_with('\n')));
    let open = read_to_string(&open).expect("it was written");
    let sockets: Vec<&str> = open.split_whitespace().filter(|word| word.starts_with("socket:")).collect();
    // What this test hands down itself does not count.
    let ours: Vec<_> = std::fs::read_dir("/proc/self/fd").expect("/proc").filter_map(|fd| fd.ok()?.path().read_link().ok()).collect();
    let is_ours = |socket: &&str| ours.iter().any(|link| link.to_str() == Some(*socket));
    assert!(open.contains("/dev/null") && sockets.iter().all(is_ours), "{open}");
    until("it is looked after", || zombies(router.child.id()) == 0);
    assert_eq!(router.stop(), Some(0));
}

/// The start waits for the first result of a script only if that could be a fault; one that cannot be run is left out, as in keepalived.
#[test]
fn a_script_delays_no_start_in_vain() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let long = format!("{}", 800_000 + std::process::id());
    let path = script(&net, "slow", &format!("exec sleep {long}"));
    let locked = script(&net, "locked", "exit 1");
    std::fs::set_permissions(&locked, PermissionsExt::from_mode(0o644)).expect("its mode");
    let blocks = format!(
        "vrrp_script slow {{\n script {path}\n interval 1000\n weight 10\n}}\nvrrp_script nobody {{\n script /bin/false\n user no-such-user\n}}\n\
         vrrp_script locked {{\n script {locked}\n}}\n"
    );
    let lines = " version 3\n advert_int 0.3\n track_script {\n slow\n nobody\n locked\n }";
    let file = format!("{ROOT}{blocks}{}", conf(100, lines));
    let routers = [net.start("a", VRRPD, &file), net.start("b", "keepalived", &file)];
    until("one is master", || net.has("a", VIP) || net.has("b", VIP));
    until("the other is not", || routers.iter().all(|router| router.log().contains("Entering BACKUP STATE")));
    assert!(routers.iter().all(|router| !router.log().contains("FAULT")), "{}", routers[0].log());
    assert!(routers[0].log().contains("is not executable for uid:gid 0:0 - disabling."), "{}", routers[0].log());
    for router in routers {
        assert_eq!(router.stop(), Some(0));
    }
    until("nothing is left", || running(&long) == 0);
}

#[test]
fn scripts_that_hang_keep_nobody_waiting() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let long = format!("{}", 900_000 + std::process::id());
    let stops = net.file("stops");
    let path = script(&net, "hangs", &format!("[ $3 = STOP ] && exec echo $2 >> {}\nexec sleep {long}", stops.display()));
    let fifo = net.file("fifo");
    let global = format!("global_defs {{\n script_user root\n vrrp_notify_fifo {}\n}}\n", fifo.display());
    let router = net.start("a", VRRPD, &format!("{global}{}", some(80, 150, &format!(" version 3\n advert_int 0.5\n notify {path}"))));
    let told = listen(fifo);
    until("all are masters", || how_many(&net, "a") == 80);
    until("all scripts run", || running(&long) == 160);
    assert_eq!(router.stop(), Some(0));
    // Those are ended as keepalived ends them; those that are told of the end are not.
    until("nothing is left", || running(&long) == 0);
    until("all are told of the end", || lines(&stops) == 80);
    assert_eq!(told.join().expect("no panic").lines().filter(|line| !line.contains(" STOP ")).count(), 160);
}

/// A new version of it is what an operator reloads for.
#[test]
fn a_reload_starts_the_script_of_a_fifo_again() {
    if !may_run() {
        return;
    }
    let net = Net::new();
    let out = net.file("out");
    let path = script(&net, "reads", &format!("echo begins >> {0}\nwhile read line; do echo \"$line\" >> {0}; done < $1", out.display()));
    let global = format!(
        "global_defs {{\n script_user root\n vrrp_notify_fifo {}\n vrrp_notify_fifo_script {path}\n}}\n",
        net.file("fifo").display()
    );
    let file = format!("{global}{}", conf(150, " version 3\n advert_int 0.3"));
    let router = net.start("a", VRRPD, &file);
    until("it has read", || lines(&out) == 3);
    router.reload(&file);
    until("it begins again", || read_to_string(&out).is_ok_and(|text| text.matches("begins").count() == 2));
    until("the other has ended", || running(&path) == 1);
    net.link("a0", "down");
    until("the new one reads", || read_to_string(&out).is_ok_and(|text| text.ends_with("INSTANCE \"V1\" FAULT 150\n")));
    // A script that runs as root and says so is nothing that hosts miss.
    let log = router.reload(&format!("{file}vrrp_script s {{\n script /bin/true\n}}\n"));
    assert!(log.contains("Reload complete"), "{log}");
    assert_eq!(router.stop(), Some(0));
    until("nothing is left", || running(&path) == 0);
}
