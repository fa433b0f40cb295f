//! The installed haproxy against our headers: one message in every format, to UDP and UNIX receivers and a descriptor.
//! Needs `haproxy` in the path (`cargo xtask test` installs it); loopback and a temporary directory only.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use lb_config::{Facility, Level, LogTransportFormat};
use lb_expr::Timestamp;

use super::LogIdentity;
use super::header::{Content, Cut, Dates, Prefix};

const FORMATS: [(&str, LogTransportFormat); 8] = [
    ("local", LogTransportFormat::Local),
    ("rfc3164", LogTransportFormat::Rfc3164),
    ("rfc5424", LogTransportFormat::Rfc5424),
    ("priority", LogTransportFormat::Priority),
    ("short", LogTransportFormat::Short),
    ("timed", LogTransportFormat::Timed),
    ("iso", LogTransportFormat::Iso),
    ("raw", LogTransportFormat::Raw),
];

/// Names a receiver: all lines of a run go to the receivers in this order.
const HOST: &str = "log.example";

/// `2026-11-21T09:26:22.177161` in a zone of `offset` as a moment of that zone.
fn moment(iso: &str, offset: i32) -> Timestamp {
    let number = |range: std::ops::Range<usize>| iso[range].parse::<i64>().expect("digits");
    let (y, m, d) = (number(0..4), number(5..7), number(8..10));
    // Days since 1970 by counting years and months: slow and plain, unlike what is tested.
    let leap = |y: i64| (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    let mut days: i64 = (1970..y).map(|y| if leap(y) { 366 } else { 365 }).sum();
    let lengths = [31, if leap(y) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    days += lengths[..(m - 1) as usize].iter().sum::<i64>() + d - 1;
    let local = days * 86_400 + number(11..13) * 3_600 + number(14..16) * 60 + number(17..19);
    Timestamp { unix_secs: local - i64::from(offset), micros: number(20..26) as u32, utc_offset_secs: offset }
}

fn run(zone: &str, offset: i32, message: &str, max_len: usize) {
    let dir = std::env::temp_dir().join(format!("lb-core-log-live-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir(&dir).expect("a directory of our own");
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr()).expect("a port").port();
    let mut config = format!(
        "global\n log-send-hostname {HOST}\n log-tag tag\nfrontend f\n mode tcp\n timeout client 1s\n bind 127.0.0.1:{port}\n log stdout len {max_len} format rfc5424 local3\n"
    );
    let udp: Vec<UdpSocket> = FORMATS.iter().map(|_| UdpSocket::bind("127.0.0.1:0").expect("a port")).collect();
    for ((name, _), socket) in FORMATS.iter().zip(&udp) {
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        let to = socket.local_addr().expect("bound");
        config.push_str(&format!(" log {to} len {max_len} format {name} local3\n"));
    }
    let unix = UnixDatagram::bind(dir.join("log")).expect("binds");
    unix.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    config.push_str(&format!(" log {} len {max_len} local3\n", dir.join("log").display()));
    config.push_str(&format!(" log-format {message}\n"));
    let file = dir.join("haproxy.cfg");
    std::fs::write(&file, config).expect("writes");
    let mut child = Command::new("haproxy")
        .args(["-db", "-f"])
        .arg(&file)
        .env("TZ", zone)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("haproxy is needed here: cargo xtask test installs it");
    let pid = child.id();
    let connected = (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
    });
    let mut lines = BTreeMap::new();
    let mut buf = vec![0; 65_536];
    for ((name, _), socket) in FORMATS.iter().zip(&udp) {
        if let Ok(n) = socket.recv(&mut buf) {
            lines.insert(*name, String::from_utf8_lossy(&buf[..n]).into_owned());
        }
    }
    let devlog = unix.recv(&mut buf).map(|n| String::from_utf8_lossy(&buf[..n]).into_owned());
    child.kill().expect("ours");
    let mut stdout = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut stdout).expect("ASCII");
    child.wait().expect("ends");
    std::fs::remove_dir_all(&dir).expect("ours");
    assert!(connected, "haproxy did not start");

    let identity = LogIdentity { tag: "tag".into(), pid, hostname: Some(HOST.into()) };
    // Each line has its own microseconds; a line that shows no more than the second is of the second of its neighbours.
    let first = moment(&lines["rfc5424"][7..], offset);
    let last = moment(&lines["iso"], offset);
    // Observed: the message is one byte shorter than the line may be.
    let sent = &message[..message.len().min(max_len - 1)];
    let ours = |cut, format, when: Timestamp| {
        let mut line = Vec::new();
        let prefix = Prefix::new(format, Facility::from_name("local3").expect("known"), cut, &identity);
        prefix.frame(Level::Info, when, &mut Dates::default(), Content { message: sent.as_bytes(), structured: b"" }, max_len, &mut line);
        String::from_utf8(line).expect("ASCII")
    };
    for (name, format) in FORMATS {
        let line = &lines[name];
        let moments = match line.find("-") {
            // The date of the line itself begins four digits before its first dash.
            Some(dash) if matches!(format, LogTransportFormat::Rfc5424 | LogTransportFormat::Timed | LogTransportFormat::Iso) => {
                let own = moment(&line[dash - 4..], offset);
                [own, own]
            }
            _ => [first, last],
        };
        assert!(
            moments.iter().any(|when| ours(Cut::Datagram, format, *when) == *line),
            "{name} in {zone}: {line:?}, ours {:?}",
            ours(Cut::Datagram, format, moments[0])
        );
    }
    // With `log-send-hostname` the default is rfc3164.
    let devlog = devlog.expect("a line on the UNIX socket");
    let after = Timestamp { unix_secs: last.unix_secs + 1, ..last };
    assert!([last, after].iter().any(|when| ours(Cut::Datagram, LogTransportFormat::Rfc3164, *when) == devlog), "{devlog:?}");
    assert!(
        stdout.lines().any(|l| l.len() > 40 && format!("{l}\n") == ours(Cut::Stream, LogTransportFormat::Rfc5424, moment(&l[7..], offset))),
        "{stdout:?}"
    );
}

#[test]
fn haproxy_writes_the_same_headers() {
    run("UTC", 0, "message", 1_024);
    run("EST5", -18_000, "message", 1_024);
    run("IST-5:30", 19_800, &"p".repeat(200), 90);
}
