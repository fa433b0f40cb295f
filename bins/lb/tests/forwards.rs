//! `log-forward` in full: host names by the sender's address, messages as they came, framing by line feeds, headers of balancers, and
//! a reload that loses no message.

mod common;

use common::{Lb, program, start};
use lb_testkit::fixture::TempDir;
use lb_testkit::ports;
use lb_testkit::syslog::Syslog;
use lb_testkit::wait::{Deadline, must};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::Command;

fn section(lines: &str) -> Lb {
    let bind = "bind 127.0.0.1:{fe}\n    bind 127.0.0.1:{fe2} accept-proxy\n    dgram-bind 127.0.0.1:{fe}";
    start(&format!("log-forward lf\n    {bind}\n    timeout client 10s\n    {lines}\n"), &[])
}

/// Sends a message by datagram and gives what arrives.
#[track_caller]
fn forwarded(lb: &Lb, message: &str) -> String {
    let before = lb.log.lines().len();
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(message.as_bytes(), lb.addr()).unwrap();
    assert!(lb.log.wait_count(before + 1, Deadline::patient()), "nothing arrived for {message}");
    lb.log.text()[before].clone()
}

#[test]
fn host_names() {
    const WITH: &str = "<13>1 2026-11-28T07:26:31Z h a p m - text";
    const WITHOUT: &str = "<13>1 2026-11-28T07:26:31Z - a p m - text";
    for (option, with, without) in [
        ("", "h", "-"),
        ("option host keep", "h", "-"),
        ("option host replace", "127.0.0.1", "127.0.0.1"),
        ("option host fill", "h", "127.0.0.1"),
        ("option host append", "h,127.0.0.1", "127.0.0.1"),
    ] {
        let lb = section(&format!("{option}\n    log 127.0.0.1:{{log}} format rfc5424 local0"));
        assert_eq!(forwarded(&lb, WITH), WITH.replace(" h ", &format!(" {with} ")), "{option}");
        assert_eq!(forwarded(&lb, WITHOUT), WITHOUT.replace("Z - ", &format!("Z {without} ")), "{option}");
        // Behind a balancer the sender is who that says.
        let mut behind = TcpStream::connect(("127.0.0.1", lb.fe2)).unwrap();
        behind.write_all(format!("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n{WITH}, far away\n").as_bytes()).unwrap();
        let line = lb.log.wait_for("far away", Deadline::patient()).expect("the message");
        assert!(line.contains(&format!(" {} a ", with.replace("127.0.0.1", "192.0.2.1"))), "{line}");
        // Without its header a connection there is none.
        let mut plain = TcpStream::connect(("127.0.0.1", lb.fe2)).unwrap();
        plain.write_all(b"<13>no header\n").unwrap();
        assert_eq!(plain.read(&mut [0; 10]).unwrap_or(0), 0);
    }
}

#[test]
fn messages_as_they_came() {
    let lb = section("option dont-parse-log\n    log 127.0.0.1:{log} format raw local0");
    for message in ["<13>1 2026-11-28T07:26:31Z h a p m - text", "<999>x", "{\"json\": 1}"] {
        assert_eq!(forwarded(&lb, message), message);
    }
}

#[test]
fn line_feeds_alone() {
    let lb = section("option assume-rfc6587-ntf\n    log 127.0.0.1:{log} format raw local0");
    let mut sender = TcpStream::connect(lb.addr()).unwrap();
    sender.write_all(b"5 is a number\n<13>with a level\nno level at all\n").unwrap();
    assert!(lb.log.wait_count(3, Deadline::patient()), "{:?}", lb.log.text());
    assert_eq!(lb.log.text(), ["5 is a number", "with a level", "no level at all"]);
}

/// Datagrams and connections that wait while one process takes the place of another are served by the next one.
#[test]
fn a_reload_loses_no_message() {
    let (log, dir, port) = (Syslog::udp().unwrap(), TempDir::new("forward").unwrap(), ports::free_tcp());
    let text = format!(
        "log-forward lf\n    bind 127.0.0.1:{port}\n    dgram-bind 127.0.0.1:{port}\n    maxconn 100\n    timeout client 10s\n    log 127.0.0.1:{} local0\n",
        log.port()
    );
    let file = dir.write("proxy.cfg", text).unwrap();
    let pidfile = dir.path().join("pid");
    let pid = || std::fs::read_to_string(&pidfile).unwrap().trim().to_owned();
    let launch = |old: &[&str]| {
        let out = Command::new(program()).args(["-D", "-p"]).arg(&pidfile).arg("-f").arg(&file).args(old).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    };
    launch(&[]);
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut sent = 0;
    for _ in 0..5 {
        let old = pid();
        // It does not run: what is sent now waits in its sockets.
        let number = Pid::from_raw(old.parse().unwrap()).unwrap();
        kill_process(number, Signal::STOP).unwrap();
        for _ in 0..20 {
            sent += 2;
            sender.send_to(b"<13>by datagram", ("127.0.0.1", port)).unwrap();
            TcpStream::connect(("127.0.0.1", port)).unwrap().write_all(b"<13>by connection\n").unwrap();
        }
        launch(&["-sf", &old]);
        assert!(log.wait_count(sent, Deadline::patient()), "{} of {sent}", log.lines().len());
        kill_process(number, Signal::CONT).unwrap();
        must("the old one goes", || rustix::process::test_kill_process(number).is_err() || is_zombie(&old));
    }
    assert_eq!(log.lines().len(), sent);
    kill_process(Pid::from_raw(pid().parse().unwrap()).unwrap(), Signal::TERM).unwrap();
}

/// In the background it is nobody's child here, and may stay as a zombie.
fn is_zombie(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}
