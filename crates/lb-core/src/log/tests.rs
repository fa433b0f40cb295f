//! Headers against recorded lines of haproxy 2.6.12, and sinks against receivers of our own.

use std::io::Read as _;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

use lb_config::{Facility, Level, LogAddress, LogSample, LogTarget, LogTransportFormat, UnixAddress};
use lb_expr::Timestamp;

use super::header::{Content, Cut, Dates, Prefix};
use super::{LogIdentity, LogSinks, Logger};

fn at(unix_secs: i64, micros: u32) -> Timestamp {
    Timestamp { unix_secs, micros, utc_offset_secs: 0 }
}

/// 21 November 2026, 03:55:41 UTC.
const SECS: i64 = 1_795_233_341;

fn identity(pid: u32) -> LogIdentity {
    LogIdentity { tag: "haproxy".into(), pid, hostname: None }
}

fn facility(name: &str) -> Facility {
    Facility::from_name(name).expect("a facility of the manual")
}

fn framed(format: LogTransportFormat, identity: &LogIdentity, when: Timestamp, message: &str, max_len: usize) -> String {
    framed_for(Cut::Datagram, format, identity, when, message, max_len)
}

fn framed_for(cut: Cut, format: LogTransportFormat, identity: &LogIdentity, when: Timestamp, message: &str, max_len: usize) -> String {
    let mut line = Vec::new();
    let prefix = Prefix::new(format, facility("local0"), cut, identity);
    prefix.frame(Level::Info, when, &mut Dates::default(), Content { message: message.as_bytes(), structured: b"" }, max_len, &mut line);
    String::from_utf8(line).expect("ASCII")
}

#[test]
fn every_header_as_recorded() {
    use LogTransportFormat::{Iso, Local, Priority, Raw, Rfc3164, Rfc5424, Short, Timed};
    let message = "127.0.0.1 s1";
    let plain = identity(22_153);
    let named = LogIdentity { hostname: Some("my.host".into()), ..plain.clone() };
    for (format, identity, micros, line) in [
        (Local, &plain, 0, "<134>Nov 21 03:55:41 haproxy[22153]: 127.0.0.1 s1\n"),
        (Rfc3164, &plain, 0, "<134>Nov 21 03:55:41 localhost haproxy[22153]: 127.0.0.1 s1\n"),
        (Rfc5424, &plain, 626_463, "<134>1 2026-11-21T03:55:41.626463+00:00 - haproxy 22153 - - 127.0.0.1 s1\n"),
        (Priority, &plain, 0, "<134>127.0.0.1 s1\n"),
        (Short, &plain, 0, "<6>127.0.0.1 s1\n"),
        (Timed, &plain, 977_250, "<6>2026-11-21T03:55:41.977250+00:00 127.0.0.1 s1\n"),
        (Iso, &plain, 82_475, "2026-11-21T03:55:41.082475+00:00 127.0.0.1 s1\n"),
        (Raw, &plain, 0, "127.0.0.1 s1\n"),
        (Local, &named, 0, "<134>Nov 21 03:55:41 haproxy[22153]: 127.0.0.1 s1\n"),
        (Rfc3164, &named, 0, "<134>Nov 21 03:55:41 my.host haproxy[22153]: 127.0.0.1 s1\n"),
        (Rfc5424, &named, 14_360, "<134>1 2026-11-21T03:55:41.014360+00:00 my.host haproxy 22153 - - 127.0.0.1 s1\n"),
    ] {
        assert_eq!(framed(format, identity, at(SECS, micros), message, 1_024), line);
    }
    let india = Timestamp { unix_secs: 1_795_233_382, micros: 177_161, utc_offset_secs: 19_800 };
    assert_eq!(framed(Local, &plain, india, "x", 1_024), "<134>Nov 21 09:26:22 haproxy[22153]: x\n");
    assert_eq!(framed(Rfc5424, &plain, india, "x", 1_024), "<134>1 2026-11-21T09:26:22.177161+05:30 - haproxy 22153 - - x\n");
}

#[test]
fn priorities() {
    let line = |name: &str, level| {
        let mut line = Vec::new();
        let prefix = Prefix::new(LogTransportFormat::Priority, facility(name), Cut::Datagram, &identity(1));
        prefix.frame(level, at(SECS, 0), &mut Dates::default(), Content { message: b"", structured: b"" }, 80, &mut line);
        String::from_utf8(line).expect("ASCII")
    };
    assert_eq!(line("kern", Level::Info), "<6>\n");
    assert_eq!(line("daemon", Level::Info), "<30>\n");
    assert_eq!(line("local7", Level::Info), "<190>\n");
    assert_eq!(line("local0", Level::Emerg), "<128>\n");
}

#[test]
fn long_lines_are_cut_as_recorded() {
    use LogTransportFormat::{Local, Raw, Rfc3164, Rfc5424};
    let message = "p".repeat(79);
    // `log-tag` of n times `t`, `len 80`; the pid of the run, and what stood after the tag.
    for (tag, pid, rest) in [
        (30, 24_245, "[24245]: pppppppppppppppppppp"),
        (48, 24_264, "[24264]: pp"),
        (49, 24_347, "[24347]: p"),
        (50, 24_362, "[24362]"),
        (51, 24_384, "[24384]"),
        (52, 24_403, "[24403"),
        (53, 24_500, "["),
        (57, 24_500, "["),
        (58, 24_500, ""),
    ] {
        let identity = LogIdentity { tag: "t".repeat(tag), pid, hostname: None };
        let expected = format!("<134>Nov 21 03:55:41 {}{rest}\n", identity.tag);
        assert_eq!(framed(Local, &identity, at(SECS, 0), &message, 80), expected, "tag of {tag}");
    }
    let long_tag = LogIdentity { tag: "t".repeat(59), pid: 1, hostname: None };
    assert_eq!(framed(Local, &long_tag, at(SECS, 0), &message, 80), "<134>Nov 21 03:55:41 \n");
    // `log-send-hostname` of n times `h`.
    for (host, pid, rest) in [
        (20, 24_577, "haproxy 24577 - - p"),
        (21, 24_588, "haproxy 24588 - -"),
        (22, 24_603, "haproxy 24603 - "),
        (23, 24_616, "haproxy 24616 "),
        (24, 24_626, "haproxy 24626 "),
        (25, 24_634, "haproxy 24634"),
        (26, 24_640, "haproxy "),
        (30, 24_640, "haproxy "),
        (31, 24_640, "haproxy"),
        (32, 24_640, ""),
        (38, 24_640, ""),
    ] {
        let identity = LogIdentity { tag: "haproxy".into(), pid, hostname: Some("h".repeat(host)) };
        let expected = format!("<134>1 2026-11-21T03:55:41.893965+00:00 {} {rest}\n", "h".repeat(host));
        assert_eq!(framed(Rfc5424, &identity, at(SECS, 893_965), &message, 80), expected, "host of {host}");
    }
    for (host, rest) in [(40, " haproxy[25055]: pp"), (50, " haproxy")] {
        let identity = LogIdentity { tag: "haproxy".into(), pid: 25_055, hostname: Some("h".repeat(host)) };
        let expected = format!("<134>Nov 21 03:55:41 {}{rest}\n", "h".repeat(host));
        assert_eq!(framed(Rfc3164, &identity, at(SECS, 0), &message, 80), expected);
    }
    // A header alone may fill the line; a message never gets a byte more than the limit.
    assert_eq!(framed(Raw, &identity(1), at(SECS, 0), &"p".repeat(200), 80), format!("{}\n", "p".repeat(80)));
    // A line to a descriptor: `len 80` with its newline, cut anywhere.
    for (tag, pid, rest) in [
        (30, 11_663, "[11663]: ppppppppppppppppppp"),
        (49, 11_683, "[11683]: "),
        (50, 11_688, "[11688]:"),
        (52, 11_698, "[11698"),
        (53, 11_703, "[1170"),
        (57, 11_703, "["),
        (58, 11_703, ""),
    ] {
        let identity = LogIdentity { tag: "t".repeat(tag), pid, hostname: None };
        let expected = format!("<134>Nov 21 03:55:41 {}{rest}\n", identity.tag);
        assert_eq!(framed_for(Cut::Stream, Local, &identity, at(SECS, 0), &message, 80), expected, "tag of {tag}");
    }
    assert_eq!(framed_for(Cut::Stream, Raw, &identity(1), at(SECS, 0), &message, 80), format!("{}\n", "p".repeat(79)));
    for max_len in 0..120 {
        for format in [Local, Rfc3164, Rfc5424, Raw, LogTransportFormat::Timed, LogTransportFormat::Priority] {
            let line = framed(format, &identity(4_194_304), at(SECS, 1), &message, max_len);
            assert!(line.len() <= max_len + 1 && line.ends_with('\n'));
        }
    }
}

#[test]
fn dates_are_remembered_for_their_second_only() {
    let mut dates = Dates::default();
    let prefix = Prefix::new(LogTransportFormat::Iso, Facility::LOCAL0, Cut::Datagram, &identity(1));
    for (when, text) in [
        (at(SECS, 5), "2026-11-21T03:55:41.000005+00:00 m\n"),
        (at(SECS, 999_999), "2026-11-21T03:55:41.999999+00:00 m\n"),
        (at(SECS + 1, 0), "2026-11-21T03:55:42.000000+00:00 m\n"),
        (at(SECS, 7), "2026-11-21T03:55:41.000007+00:00 m\n"),
        (Timestamp { utc_offset_secs: -3_600, ..at(SECS, 7) }, "2026-11-21T02:55:41.000007-01:00 m\n"),
    ] {
        let mut line = Vec::new();
        prefix.frame(Level::Info, when, &mut dates, Content { message: b"m", structured: b"" }, 1_024, &mut line);
        assert_eq!(String::from_utf8_lossy(&line), text);
    }
}

fn udp() -> (UdpSocket, LogAddress) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let address = LogAddress::Udp(socket.local_addr().expect("bound"));
    (socket, address)
}

fn received(socket: &UdpSocket) -> String {
    let mut buf = [0; 65_536];
    let n = socket.recv(&mut buf).expect("a line within the timeout");
    String::from_utf8_lossy(&buf[..n]).into_owned()
}

fn raw(address: LogAddress) -> LogTarget {
    LogTarget { format: LogTransportFormat::Raw, ..LogTarget::new(address, Facility::LOCAL0) }
}

#[test]
fn levels_decide_what_is_sent_and_as_what() {
    let sinks = LogSinks::new();
    let (socket, address) = udp();
    let target = |level, min_level| {
        vec![LogTarget { format: LogTransportFormat::Short, level, min_level, ..LogTarget::new(address.clone(), Facility::LOCAL0) }]
    };
    let logger = |level, min_level| Logger::new(&target(level, min_level), &identity(1), &sinks).expect("opens");
    let notice = logger(Level::Notice, Level::Emerg);
    assert!(notice.wants(Level::Notice) && !notice.wants(Level::Info));
    notice.send(Level::Info, at(SECS, 0), b"not this");
    notice.send(Level::Alert, at(SECS, 0), b"this");
    assert_eq!(received(&socket), "<1>this\n");
    // `log ... info notice`: an alert goes out as a notice, an info stays one.
    let capped = logger(Level::Info, Level::Notice);
    capped.send(Level::Alert, at(SECS, 0), b"a");
    capped.send(Level::Info, at(SECS, 0), b"b");
    assert_eq!((received(&socket), received(&socket)), ("<5>a\n".into(), "<6>b\n".into()));
    assert!(!Logger::none().wants(Level::Emerg));
    Logger::none().send(Level::Emerg, at(SECS, 0), b"nowhere");
    Logger::none().log_with(Level::Emerg, at(SECS, 0), |_, _| panic!("nobody takes it"));
    assert_eq!(sinks.dropped(), 0);
}

#[test]
fn samples_take_their_share() {
    // Recorded: which of the lines 1, 2, 3 ... haproxy sent.
    for (ranges, size, lines, sent) in
        [(vec![1..=1], 3, 4, vec![1, 4]), (vec![2..=3], 3, 4, vec![2, 3]), (vec![1..=1, 3..=3], 4, 5, vec![1, 3, 5])]
    {
        let sinks = LogSinks::new();
        let (socket, address) = udp();
        let target = LogTarget { sample: Some(LogSample { ranges, size }), ..raw(address) };
        let logger = Logger::new(&[target], &identity(1), &sinks).expect("opens");
        for n in 1..=lines {
            logger.send(Level::Info, at(SECS, 0), n.to_string().as_bytes());
        }
        for n in sent {
            assert_eq!(received(&socket), format!("{n}\n"));
        }
        socket.set_nonblocking(true).expect("a flag");
        assert!(socket.recv(&mut [0; 9]).is_err());
    }
}

#[test]
fn each_target_has_its_header_and_length() {
    let sinks = LogSinks::new();
    let (a, to_a) = udp();
    let six = UdpSocket::bind("[::1]:0").expect("IPv6 loopback");
    six.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let to_six = LogAddress::Udp(six.local_addr().expect("bound"));
    let targets = [
        LogTarget { max_len: 100, ..raw(to_a) },
        LogTarget { max_len: 80, format: LogTransportFormat::Local, ..LogTarget::new(to_six, Facility::LOCAL0) },
    ];
    let logger = Logger::new(&targets, &identity(23_365), &sinks).expect("opens");
    // Recorded: with `len 100` and `len 80` the message has at most 99 bytes.
    assert_eq!(logger.message_limit(), 99);
    logger.send(Level::Info, at(SECS, 0), "p".repeat(200).as_bytes());
    assert_eq!(received(&a), format!("{}\n", "p".repeat(99)));
    assert_eq!(received(&six), format!("<134>Nov 21 03:55:41 haproxy[23365]: {}\n", "p".repeat(43)));
    logger.log_with(Level::Info, at(SECS, 0), |limit, out| {
        assert_eq!(limit, 99);
        out.extend_from_slice(b"words");
        // A source may log while a line is written.
        logger.send(Level::Info, at(SECS, 0), b"inner");
    });
    assert_eq!((received(&a), received(&a)), ("inner\n".into(), "words\n".into()));
    // Where others of the process have longer lines, the message is cut by the target's own length.
    logger.within(1_024).send(Level::Info, at(SECS, 0), "p".repeat(200).as_bytes());
    assert_eq!(received(&a), format!("{}\n", "p".repeat(100)));
}

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lb-log-{}-{name}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        Self(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_unix_syslog_that_restarts_is_found_again_and_a_full_one_does_not_block() {
    let place = Place::new("devlog");
    let sinks = LogSinks::new();
    let target = raw(LogAddress::Unix(UnixAddress::Path(place.0.clone())));
    let logger = Logger::new(&[target], &identity(1), &sinks).expect("opens without a receiver");
    let send = |text: &str| logger.send(Level::Info, at(SECS, 0), text.as_bytes());
    let receive = |socket: &UnixDatagram| {
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        let mut buf = [0; 100];
        let n = socket.recv(&mut buf).expect("a line");
        String::from_utf8_lossy(&buf[..n]).into_owned()
    };
    send("nobody there");
    assert_eq!(sinks.dropped(), 1);
    let first = UnixDatagram::bind(&place.0).expect("binds");
    send("one");
    assert_eq!(receive(&first), "one\n");
    drop(first);
    send("gone, the path remains");
    assert_eq!(sinks.dropped(), 2);
    std::fs::remove_file(&place.0).expect("there");
    let second = UnixDatagram::bind(&place.0).expect("binds again");
    send("two");
    assert_eq!(receive(&second), "two\n");
    // Nobody reads: the queue fills (net.unix.max_dgram_qlen or the send buffer), the rest is dropped at once.
    for _ in 0..5_000 {
        send("three");
    }
    assert!(sinks.dropped() > 2, "a queue of 5,000 lines and more would be news");
    assert_eq!(receive(&second), "three\n");
}

#[test]
fn descriptors_get_whole_lines_in_order() {
    let sinks = LogSinks::new();
    let (mut reader, writer) = UnixStream::pair().expect("a pair");
    let target = raw(LogAddress::Fd(writer.as_raw_fd()));
    let logger = Logger::new(&[target], &identity(1), &sinks).expect("opens");
    drop(writer);
    let mut expected = String::new();
    for n in 0..500 {
        let line = format!("line {n} {}", "x".repeat(n % 97));
        logger.send(Level::Info, at(SECS, 0), line.as_bytes());
        expected.push_str(&line);
        expected.push('\n');
    }
    // The last owner writes what is queued, then closes.
    drop((logger, sinks));
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("all of it");
    assert_eq!(text, expected);
}

#[test]
fn a_descriptor_that_nobody_reads_blocks_nobody() {
    let sinks = LogSinks::new();
    let (reader, writer) = UnixStream::pair().expect("a pair");
    let logger = Logger::new(&[raw(LogAddress::Fd(writer.as_raw_fd()))], &identity(1), &sinks).expect("opens");
    drop(writer);
    let line = [b'x'; 1_000];
    // Far more than socket buffer and queue hold.
    for _ in 0..20_000 {
        logger.send(Level::Info, at(SECS, 0), &line);
    }
    assert!(sinks.dropped() > 0);
    let before = sinks.dropped();
    drop(reader);
    // The writing thread now fails at once and counts what it had.
    let mut tries = 0;
    while sinks.dropped() == before && tries < 500 {
        std::thread::sleep(Duration::from_millis(10));
        tries += 1;
    }
    assert!(sinks.dropped() > before);
}

#[test]
fn equal_addresses_share_a_sink_until_nobody_uses_it() {
    let sinks = LogSinks::new();
    let (_socket, address) = udp();
    let one = Logger::new(&[raw(address.clone()), raw(address.clone())], &identity(1), &sinks).expect("opens");
    let sink = sinks.get(&address).expect("open");
    assert_eq!(std::sync::Arc::strong_count(&sink), 4);
    sinks.close_unused();
    assert_eq!(std::sync::Arc::strong_count(&sink), 4);
    drop(one);
    drop(sink);
    sinks.close_unused();
    let again = sinks.get(&address).expect("opens again");
    assert_eq!(std::sync::Arc::strong_count(&again), 2);
    let error = Logger::new(&[raw(LogAddress::Fd(99_999))], &identity(1), &sinks).expect_err("not open");
    assert!(error.to_string().starts_with("cannot log to fd@99999: "));
}

#[test]
fn many_threads_share_a_logger() {
    let sinks = LogSinks::new();
    let (mut reader, writer) = UnixStream::pair().expect("a pair");
    let logger = Logger::new(&[raw(LogAddress::Fd(writer.as_raw_fd()))], &identity(1), &sinks).expect("opens");
    drop(writer);
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("all of it");
        text
    });
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let logger = &logger;
            scope.spawn(move || {
                for n in 0..250 {
                    logger.send(Level::Info, at(SECS, 0), format!("{thread}:{n}").as_bytes());
                }
            });
        }
    });
    drop(logger);
    drop(sinks);
    let text = reading.join().expect("reads");
    let mut next = [0; 4];
    for line in text.lines() {
        let (thread, n) = line.split_once(':').expect("whole lines");
        let thread: usize = thread.parse().expect("a number");
        assert_eq!(n.parse(), Ok(next[thread]));
        next[thread] += 1;
    }
    assert_eq!(next, [250; 4]);
}

/// As haproxy 2.6.12 has it: structured data stands in its place as a whole, or the line ends before it.
#[test]
fn structured_data() {
    let line = |format, structured: &str, message: &str, max_len| {
        let mut line = Vec::new();
        let prefix = Prefix::new(format, facility("local0"), Cut::Datagram, &LogIdentity { tag: "tag".into(), ..identity(27_086) });
        let content = Content { message: message.as_bytes(), structured: structured.as_bytes() };
        prefix.frame(Level::Info, at(SECS, 481_709), &mut Dates::default(), content, max_len, &mut line);
        String::from_utf8(line).expect("ASCII")
    };
    let start = "<134>1 2026-11-21T03:55:41.481709+00:00 - tag 27086 - ";
    let message = "m12345678901234567890 --";
    let rfc5424 = LogTransportFormat::Rfc5424;
    assert_eq!(line(rfc5424, "[x a=\"GET\"]", message, 1_024), format!("{start}[x a=\"GET\"] {message}\n"));
    assert_eq!(line(rfc5424, "[x a=\"GET\"]", message, 80), format!("{start}[x a=\"GET\"] m1234567890123\n"));
    assert_eq!(line(rfc5424, "", message, 1_024), format!("{start}- {message}\n"));
    // Spaces at its end are no part of it.
    assert_eq!(line(rfc5424, "[x]  ", message, 1_024), format!("{start}[x] {message}\n"));
    assert_eq!(line(rfc5424, "  ", message, 1_024), format!("{start}- {message}\n"));
    assert_eq!(line(rfc5424, &"y".repeat(1_100), message, 1_024), format!("{start}\n"));
    assert_eq!(line(LogTransportFormat::Raw, "[x]", message, 1_024), format!("{message}\n"));
}

#[test]
fn a_full_disk_is_told_once_and_counted() {
    let sinks = LogSinks::new();
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let hears = told.clone();
    sinks.on_first_loss(move |text| hears.lock().expect("no panic").push(text.to_owned()));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    let logger = Logger::new(&[raw(LogAddress::Fd(full.as_raw_fd()))], &identity(1), &sinks).expect("opens");
    for n in 0..10 {
        logger.send(Level::Info, at(SECS, 0), b"line");
        let counted = (0..10_000).any(|_| {
            std::thread::sleep(Duration::from_millis(1));
            sinks.dropped() > n
        });
        assert!(counted, "{} lines are counted", sinks.dropped());
    }
    let told = told.lock().expect("no panic");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with(&format!("a log line could not be sent to fd@{}: No space left", full.as_raw_fd())), "{told:?}");
}

/// What a chroot does: the path of a socket that was found at the start leads nowhere.
#[test]
fn a_unix_syslog_is_held_on_to_when_its_path_is_out_of_reach() {
    let place = Place::new("held");
    let moved = Place::new("held-elsewhere");
    let daemon = UnixDatagram::bind(&place.0).expect("binds");
    daemon.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let sinks = LogSinks::new();
    let logger = Logger::new(&[raw(LogAddress::Unix(UnixAddress::Path(place.0.clone())))], &identity(1), &sinks).expect("opens");
    std::fs::rename(&place.0, &moved.0).expect("renames");
    logger.send(Level::Info, at(SECS, 0), b"one");
    let mut buf = [0; 100];
    assert_eq!(daemon.recv(&mut buf).map(|n| buf[..n].to_vec()).expect("a line"), b"one\n");
    assert_eq!(sinks.dropped(), 0);
}
