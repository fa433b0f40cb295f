//! Patterns of ACLs and maps by the run-time socket: what is changed is seen on traffic at once; and every answer beside haproxy, where
//! that is installed.

mod common;

use common::{io, start};
use lb_testkit::fixture::{TempDir, fill};
use lb_testkit::http::get;
use lb_testkit::ports;
use lb_testkit::process::{HAPROXY, Process};
use lb_testkit::runtime::ask;
use std::path::Path;

const SITE: &str = "\
global
 stats socket {sock}/socket level admin
defaults
 mode http
 timeout connect 3s
 timeout client 10s
 timeout server 10s
frontend f
 bind 127.0.0.1:{fe}
 acl a1 path /x /y
 acl a1 path_beg -i /Z
 acl a2 path -f {dir}/c.acl
 acl a2 path -i -f {dir}/c.acl
 acl a3 path -M -f {dir}/c.map
 acl a4 path -M -f {dir}/ip.map
 acl a5 path -m beg -u 77 /q
 acl a6 src 10.0.0.0/8 1.2.3.4
 acl a7 dst_port 1:10 20
 acl a8 path_reg ^/a
 http-request return status 200 content-type text/plain lf-string %[path,map({dir}/c.map,none)] if !a2
 http-request set-header q %[path,map({dir}/c.map)] if { path /anon } { src -n 1.1.1.1 } METH_GET
 http-request set-header q %[path,map_beg({dir}/c.map,d)]
 http-request set-header q %[src,map_ip({dir}/ip.map)]
 http-request set-header q %[int(5),map_int({dir}/int.map)]
 http-request set-header q %[path,map_str_int({dir}/num.map)]
 http-request set-header q %[path,map_str_ip({dir}/addr.map)]
 http-request set-header q %[path,map_reg({dir}/reg.map)] if a1 or a3 or a4 or a5 or a6 or a7 or a8
 http-request return status 200 content-type text/plain string listed
";

const FILES: [(&str, &str); 7] = [
    ("c.map", "k1 v1\nk2 v2\n# c\nk1 v1b\n  sp  ace d  \n"),
    ("c.acl", "k1\nk2\nK1\n/listed\n"),
    ("ip.map", "10.0.0.0/8 a\n10.1.0.0/16 b\n12.0.0.0/255.0.255.0 odd\n::1 six\n"),
    ("int.map", "1:5 r\n7 s\n"),
    ("reg.map", "^a.c ra\n"),
    ("num.map", "a 12\nb -7\n"),
    ("addr.map", "a 1.2.3.4\nb ::1\n"),
];

fn files() -> TempDir {
    let dir = io(TempDir::new("patterns"));
    for (name, content) in FILES {
        io(dir.write(name, content));
    }
    dir
}

#[test]
fn changes_are_seen_on_traffic() {
    let files = files();
    let socket = files.path().join("socket");
    let text = SITE.replace("{dir}", &files.path().display().to_string()).replace("{sock}", &files.path().display().to_string());
    let lb = start(&text, &[]);
    let map = files.path().join("c.map").display().to_string();
    let acl = files.path().join("c.acl").display().to_string();
    let body = |path: &str| String::from_utf8_lossy(&io(get(lb.addr(), path)).body).into_owned();
    let say = |command: String| io(ask(&socket, &command));
    assert_eq!([body("/new"), body("/listed")], ["none", "listed"]);
    assert_eq!(say(format!("add map {map} /new one")), "\n");
    assert_eq!(body("/new"), "one");
    assert_eq!(say(format!("set map {map} /new two; add acl {acl} /other")), "\n\n");
    assert_eq!([body("/new"), body("/other")], ["two", "listed"]);
    assert_eq!(say(format!("prepare map {map}")), "New version created: 1\n\n");
    say(format!("add map @1 {map} /new three"));
    say(format!("add map @1 {map} <<\n/a A\n/b B b\n"));
    assert_eq!([body("/new"), body("/b")], ["two", "none"]);
    assert_eq!(say(format!("commit map @1 {map}")), "\n");
    assert_eq!([body("/new"), body("/b")], ["three", "B b"]);
    say(format!("clear map {map}; del acl {acl} /other"));
    assert_eq!([body("/new"), body("/other")], ["none", "none"]);
}

/// Each line is a connection; the order matters. `ID` is the number of the first entry of c.map.
const COMMANDS: &str = "\
show acl
show map
show acl #0
show map {dir}/c.map
show acl {dir}/c.map
show map {dir}/ip.map
show acl 0
show acl #999
show map nofile
show map #0
get map {dir}/c.map k1
get map {dir}/c.map nothere
get acl {dir}/c.acl K1
get acl #0 /x
get acl #1 /zzz
get acl #1 /nope
get map {dir}/ip.map 10.1.2.3
get map {dir}/ip.map ::1
get map {dir}/ip.map ::ffff:10.1.2.3
get map {dir}/ip.map bad
get map {dir}/ip.map 12.0.9.3
get map {dir}/ip.map 12.5.0.3
get map {dir}/int.map 3
get map {dir}/int.map x
get map {dir}/num.map b
get map {dir}/addr.map a
get map {dir}/addr.map b
get map {dir}/reg.map abc
get acl #77 /q1
get acl {dir}/c.map k1
get map {dir}/c.map
get map
get acl
get acl #6 1.2.3.4
add acl {dir}/c.acl new
show acl {dir}/c.acl
add acl {dir}/c.acl
add acl nofile x
add acl #5 x
add map {dir}/c.map n1 v1
add map {dir}/c.map n2
add map {dir}/c.map
add map {dir}/ip.map bad x
add map {dir}/int.map x y
add map {dir}/int.map 3:4 y
add map {dir}/num.map q x
add map {dir}/addr.map q x
show map {dir}/int.map
add map {dir}/ip.map 11.0.0.0/8 v
add acl {dir}/c.map zz
show map {dir}/c.map
del map {dir}/c.map k1
show map {dir}/c.map
del map {dir}/c.map nothere
del acl {dir}/c.acl k1
del acl {dir}/c.acl #0x1234
del acl {dir}/c.acl #zz
del map {dir}/c.map
del acl {dir}/c.acl
del map nofile x
set map {dir}/c.map k2 new2
get map {dir}/c.map k2
set map {dir}/c.map nothere x
set map {dir}/c.map #0x12 x
set map {dir}/c.map k2
set map nofile k v
set map {dir}/c.map #ID byid
get map {dir}/c.map k2
del map {dir}/c.map #ID
show map {dir}/c.map
prepare map {dir}/c.map
prepare map {dir}/c.map
add map @1 {dir}/c.map p1 pv1
add map @2 {dir}/c.map p2 pv2
add map @9 {dir}/c.map p2 pv2
show map @1 {dir}/c.map
show map @2 {dir}/c.map
show map @0 {dir}/c.map
show map @7 {dir}/c.map
get map {dir}/c.map p1
set map {dir}/c.map p1 changed
show map @1 {dir}/c.map
del map {dir}/c.map p1
show map @1 {dir}/c.map
add map @1 {dir}/c.map p1 again
commit map @2 {dir}/c.map
show map @1 {dir}/c.map
show map {dir}/c.map
get map {dir}/c.map p2
commit map @1 {dir}/c.map
commit map @9 {dir}/c.map
commit map {dir}/c.map
commit map
commit map @1
commit map @1 nofile
commit acl
clear map @2 {dir}/c.map
show map {dir}/c.map
clear map
clear map nofile
clear acl
clear acl nofile
clear map @1
clear map {dir}/c.map
prepare acl nofile
prepare acl
prepare acl #0
clear acl #0
show acl #0
add map {dir}/c.map <<\\nx1 y1\\nx4 y4 z\\n
show map {dir}/c.map
add map {dir}/c.map <<\\nx5 y5\\nx6\\n
show map {dir}/c.map
add map {dir}/c.map a\\\\ b c\\\\ d
show map {dir}/c.map";

#[test]
fn answers_word_for_word_as_haproxy() {
    if !Path::new(HAPROXY).exists() {
        return;
    }
    let files = files();
    let text = SITE.replace("{dir}", &files.path().display().to_string());
    let own = io(TempDir::new("patterns-lb"));
    let _lb = start(&text.replace("{sock}", &own.path().display().to_string()), &[]);
    let mut reference = None;
    for _ in 0..5 {
        let (port, dir) = (ports::free_tcp(), io(TempDir::new("patterns-haproxy")));
        let socket = dir.path().join("socket");
        let text = fill(&text.replace("{sock}", &dir.path().display().to_string()), &[("fe".to_owned(), port.to_string())]);
        match Process::proxy(dir, Path::new(HAPROXY), &text, &[port]) {
            Ok(process) => {
                reference = Some((process, socket));
                break;
            }
            Err(e) if e.is_port_clash() => {}
            Err(e) => panic!("{e}"),
        }
    }
    let (_haproxy, theirs) = reference.expect("a free port in five tries");
    let ours = own.path().join("socket");
    // What cannot be the same: numbers of entries; ACLs that haproxy has for itself; the configuration's own place; how often haproxy
    // counts a pattern that was changed.
    let settled = |answer: String| {
        let lines = answer.lines().filter(|line| !line.contains("'httpclient'")).map(|line| {
            let line = match line.strip_prefix("0x").and_then(|rest| rest.split_once(' ')) {
                Some((_, rest)) => format!("0x {rest}"),
                None => line.to_owned(),
            };
            // `file 'the/configuration' line 12`
            let mut parts: Vec<&str> = line.split("file '").collect();
            for part in parts.iter_mut().skip(1) {
                if part.contains("' line") {
                    *part = part.split_once('\'').map_or(part, |(_, rest)| rest);
                }
            }
            parts.join("file '")
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    let mut odd = Vec::new();
    for command in COMMANDS.lines() {
        let command = command.replace("{dir}", &files.path().display().to_string()).replace("\\n", "\n");
        let answer = |socket: &Path| {
            let mut command = command.clone();
            if command.contains("#ID") {
                let map = io(ask(socket, &format!("show map {}/c.map", files.path().display())));
                let id = map.split(' ').next().unwrap_or_default().to_owned();
                command = command.replace("#ID", &format!("#{id}"));
            }
            settled(io(ask(socket, &command)))
        };
        let (own, their) = (answer(&ours), answer(&theirs));
        if own != their {
            odd.push(format!("> {command}\n{own}\n-- haproxy:\n{their}"));
        }
    }
    assert!(odd.is_empty(), "{}", odd.join("\n"));
}
