//! Mails about the states of servers: the dialogue beside haproxy's, with a mail server that is scripted; and a real one, aiosmtpd.

mod common;

use lb_testkit::fixture::{TempDir, fill};
use lb_testkit::ports;
use lb_testkit::process::{HAPROXY, Process};
use lb_testkit::runtime::ask;
use lb_testkit::wait::{must, patience};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

const SITE: &str = "\
global
    stats socket {dir}/admin level admin
    max-spread-checks 10ms
defaults
    timeout connect 1s
    timeout client 10s
    timeout server 10s
mailers m
    mailer one 127.0.0.1:{m}
    timeout mail 20s
listen l
    bind 127.0.0.1:{p}
    server z 127.0.0.1:{p}
backend b
    email-alert mailers m
    email-alert from lb@a.example
    email-alert to ops@b.example
    email-alert myhostname lb.a.example
    email-alert level {level}
    server s 127.0.0.1:{p} check inter 100s
";

/// What a mail server was told over each connection, the date taken out.
type Told = Arc<Mutex<Vec<Vec<String>>>>;

/// A mail server that takes everything, but for receivers whose name begins with `no`.
fn scripted() -> (u16, Told) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let told = Told::default();
    let ours = told.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let lines = converse(&stream);
            ours.lock().unwrap().push(lines);
        }
    });
    (port, told)
}

fn converse(mut stream: &TcpStream) -> Vec<String> {
    stream.set_read_timeout(Some(patience())).unwrap();
    let mut lines = Vec::new();
    let _ = stream.write_all(b"220-mail.b.example\r\n220 ready\r\n");
    let mut data = false;
    for line in BufReader::new(stream).split(b'\n') {
        let Ok(line) = line else { break };
        let line = String::from_utf8_lossy(&line).into_owned();
        let reply = match line.split_ascii_whitespace().next() {
            Some(".") => Some("250 queued"),
            _ if data => None,
            Some("DATA") => Some("354 go on"),
            Some("QUIT") => Some("221 bye"),
            Some("RCPT") if line.contains("<no") => Some("550 no such user"),
            _ => Some("250 fine"),
        };
        data = reply == Some("354 go on") || (data && reply.is_none());
        lines.push(if line.starts_with("Date: ") { "Date: then\r".to_owned() } else { line });
        if let Some(reply) = reply {
            let _ = stream.write_all(format!("{reply}\r\n").as_bytes());
        }
    }
    lines
}

fn start(program: &Path, mail: u16, level: &str) -> Process {
    for _ in 0..5 {
        let dir = TempDir::new("mail").unwrap();
        let port = ports::free_tcp();
        let values =
            [("dir", dir.path().display().to_string()), ("m", mail.to_string()), ("p", port.to_string()), ("level", level.to_owned())];
        let values = values.map(|(name, value)| (name.to_owned(), value));
        match Process::proxy(dir, program, &fill(SITE, &values), &[port]) {
            Ok(process) => {
                must("the socket is there", || process.dir().join("admin").exists());
                return process;
            }
            Err(e) if e.is_port_clash() => continue,
            Err(e) => panic!("{e}"),
        }
    }
    panic!("no free port in five tries");
}

fn command(process: &Process, command: &str) {
    assert_eq!(ask(&process.dir().join("admin"), command).unwrap().trim(), "");
}

#[test]
fn the_same_mails_as_haproxys() {
    let run = |program: PathBuf, level: &str, mails: usize| {
        let (port, told) = scripted();
        let process = start(&program, port, level);
        must("the check has ended", || ask(&process.dir().join("admin"), "show stat").unwrap().contains(",L4OK,"));
        for what in ["health down", "health up", "state drain", "state maint", "state ready", "health down"] {
            command(&process, &format!("set server b/s {what}"));
        }
        must("all mails", || told.lock().unwrap().len() == mails);
        told.lock().unwrap().clone()
    };
    for (level, mails) in [("notice", 4), ("alert", 2)] {
        let ours = run(common::program(), level, mails);
        assert_eq!(ours[0][..4], ["HELO lb.a.example\r", "MAIL FROM:<lb@a.example>\r", "RCPT TO:<ops@b.example>\r", "DATA\r"]);
        let subject = "Subject: [HAProxy Alert] Server b/s is DOWN, changed from CLI. 0 active and 0 backup servers left. \
                       0 sessions active, 0 requeued, 0 remaining in queue\r";
        assert_eq!(ours[0][7], subject);
        if Path::new(HAPROXY).exists() && !common::is_other() {
            assert_eq!(ours, run(HAPROXY.into(), level, mails), "{level}");
        }
    }
}

#[test]
fn a_mail_server_that_is_not_there_is_told_once_and_harms_nobody() {
    let process = start(&common::program(), ports::free_tcp(), "notice");
    // More than wait at once.
    for _ in 0..600 {
        command(&process, "set server b/s health down");
        command(&process, "set server b/s health up");
    }
    must("it is told", || process.stderr().contains("mailer m/one: alerts do not get through"));
    assert_eq!(process.stderr().matches("alerts do not get through").count(), 1);
}

/// Ends its process, which it has started.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_real_mail_server_takes_them() {
    const AIOSMTPD: &str = "/usr/bin/aiosmtpd";
    if !Path::new(AIOSMTPD).exists() {
        eprintln!("aiosmtpd is not installed (Debian: python3-aiosmtpd)");
        return;
    }
    let dir = TempDir::new("maildir").unwrap();
    let port = ports::free_tcp();
    let inbox = dir.path().join("inbox");
    let command_line = ["-n", "-l", &format!("127.0.0.1:{port}"), "-c", "aiosmtpd.handlers.Mailbox", &inbox.display().to_string()];
    let _server = Server(Command::new(AIOSMTPD).args(command_line).spawn().unwrap());
    must("aiosmtpd listens", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    let process = start(&common::program(), port, "alert");
    command(&process, "set server b/s health down");
    let mails = || -> Vec<String> {
        let Ok(files) = std::fs::read_dir(inbox.join("new")) else { return Vec::new() };
        files.flatten().filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect()
    };
    must("the mail is there", || mails().len() == 1);
    let mail = mails().remove(0);
    for line in ["From: lb@a.example", "To: ops@b.example", "X-RcptTo: ops@b.example", "X-MailFrom: lb@a.example"] {
        assert!(mail.lines().any(|l| l == line), "{line} in {mail}");
    }
    assert!(mail.contains("[HAProxy Alert] Server b/s is DOWN, changed from CLI."), "{mail}");
    assert!(mail.trim_end().ends_with("0 remaining in queue"), "{mail}");
}
