//! The installed haproxy against this crate: both write the same sessions in the same formats, line for line.
//!
//! Each line of haproxy is the format under test, a mark, and then the plain values of the session; the session is rebuilt
//! from those values and from what the client is known to have sent, and written again here. Needs `haproxy` in the path
//! (`cargo xtask test` installs it); loopback and a temporary directory only.

mod common;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use common::Session;
use lb_expr::{Cause, Field, LogFormat, LogValue, Phase, Termination, Timestamp, formats};
use lb_testkit::origin::Origin;
use lb_testkit::ports::free_tcp;
use lb_testkit::script::{Plain, Step};

/// Between the format under test and the values.
const MARK: &str = "@@@";

/// The values, in the order of [`rebuild`], none of them with a flag of the format before them.
const VALUES: &str = "%{-Q,-X,-E}o%ci|%cp|%Ts|%ms|%t|%tr|%TR|%Tw|%Tc|%Tr|%Ta|%Tt|%Th|%Ti|%Tq|%Td|%Tu|%ST|%B|%U|%ac|%fc|%bc|%sc|%rc|%sq|%bq|\
                      %lc|%rt|%pid|%bi|%bp|%fi|%fp|%si|%sp|%tsc|%s|%b|%f|%H|";

const FORMATS: &[&str] = &[
    formats::HTTP,
    formats::CLF,
    formats::TCP,
    formats::HTTPS,
    "%[fc_err]/%{+Q}[fc_err_str] %{+Q}[ssl_fc_sni]|%{+Q}[ssl_fc_err,hex]|%{+Q}[ssl_fc_is_resumed]|%{+X}[fc_err]",
    "%{+Q}o %r %HM %HP %HPO %HQ %HU %HV %hr %hs %hrl %hsl %CC %CS %ID %b %s %f %ft %ci %si %bi %fi %H",
    "%{+X}o %ci %cp %Ts %ms %lc %rt %pid %bi %bp %fi %fp %si %sp %B %ST %Tt",
    "%{+E}o %r %HP %HQ %hr %hs %hrl %hsl %CC %CS %s",
    "%{+Q,+E}o %r %HU %hr %hs %hrl %hsl %CC %CS %{-Q}s",
    "%t %T %Tl %tr %trg %trl %Ts %ms  %%  %tsc/%ts %{Q}s %{+Q}s%{+M}s %sslv%{+Q}sslc",
    "a%hr b %HQ c%hs d[%-][%(x]%ci_%cp  ",
    "%Th/%Ti/%TR/%Tq/%Tw/%Tc/%Tr/%Td/%Ta/%Tt/%Tu %U %B %ac %fc %bc %sc %rc %sq %bq",
];

struct Haproxy {
    child: Child,
    dir: PathBuf,
    _origin: Origin,
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// What every request on every connection gets.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nServer: a\"b{c}|\\\x01d#e\xff\r\nSet-Cookie: sess=abc;path=/\r\n\r\nxyz";

/// Quoted for haproxy's configuration.
fn quoted(format: &str) -> String {
    format!("\"{}\"", format.replace('\\', "\\\\").replace('"', "\\\""))
}

/// One haproxy with a frontend per format; gives it, the frontends' ports and the syslog socket.
fn start(zone: &str) -> (Haproxy, Vec<u16>, UnixDatagram) {
    let dir = std::env::temp_dir().join(format!("lb-expr-live-{}-{}", std::process::id(), zone.len()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir(&dir).expect("a directory of our own");
    let syslog = UnixDatagram::bind(dir.join("log")).expect("binds");
    syslog.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let origin = Origin::start(vec![vec![Step::Serve(ANSWER.to_vec())]], Arc::new(Plain::default())).expect("an origin");
    let mut config = format!(
        "global\n maxconn 100\n nbthread 1\ndefaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 1s\n retries 0\n\
         backend be\n server s1 127.0.0.1:{}\nbackend none\n server s2 127.0.0.1:{}\n",
        origin.port(),
        free_tcp()
    );
    let mut ports = Vec::new();
    for (i, format) in FORMATS.iter().enumerate() {
        let port = free_tcp();
        ports.push(port);
        config.push_str(&format!(
            "frontend fe{i}\n bind 127.0.0.1:{port}\n log {} len 65535 format raw local0\n use_backend none if {{ path /none }}\n default_backend be\n \
             capture request header Host len 10\n capture request header X len 30\n capture request header Nope len 30\n \
             capture response header Server len 30\n capture cookie sess= len 20\n log-format {}\n",
            dir.join("log").display(),
            quoted(&format!("{format}{MARK}{VALUES}")),
        ));
    }
    let file = dir.join("haproxy.cfg");
    std::fs::write(&file, config).expect("writes");
    let child = Command::new("haproxy")
        .args(["-db", "-f"])
        .arg(&file)
        .env("TZ", zone)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("haproxy is needed here: cargo xtask test installs it");
    let haproxy = Haproxy { child, dir, _origin: origin };
    for _ in 0..500 {
        // A probe's own line, of a request that never came, before the next probe: the socket's queue is short.
        let answers = |p: &u16| TcpStream::connect((Ipv4Addr::LOCALHOST, *p)).map(drop).is_ok() && syslog.recv(&mut [0; 65_536]).is_ok();
        if ports.iter().all(answers) {
            while syslog.set_read_timeout(Some(Duration::from_millis(300))).is_ok() && syslog.recv(&mut [0; 65_536]).is_ok() {}
            syslog.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
            return (haproxy, ports, syslog);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("haproxy did not start");
}

/// What a client sends, and what of it can be in a log line.
struct Case {
    request: &'static [u8],
    line: Option<&'static str>,
    captures: &'static [Option<&'static [u8]>],
    cookie: Option<&'static str>,
    /// The server answered.
    answered: bool,
}

const CASES: &[Case] = &[
    Case {
        request: b"GET /a?b=c HTTP/1.1\r\nHost: example.org\r\nX: q\"{v|}\\]\x80z#\x7f\r\nCookie: a=b; sess=x\"y\\]z\r\n\r\n",
        line: Some("GET /a?b=c HTTP/1.1"),
        captures: &[Some(b"example.or"), Some(b"q\"{v|}\\]\x80z#\x7f"), None],
        cookie: Some("sess=x\"y\\]z"),
        answered: true,
    },
    Case {
        request: b"GET /p{|}\"\\]'?q=\"1\"?2 HTTP/1.1\r\nHost: h\r\n\r\n",
        line: Some("GET /p{|}\"\\]'?q=\"1\"?2 HTTP/1.1"),
        captures: &[Some(b"h"), None, None],
        cookie: None,
        answered: true,
    },
    Case {
        request: b"OPTIONS * HTTP/1.1\r\nHost: h\r\nX: \xc3\xa9 caf\xc3\xa9\r\n\r\n",
        line: Some("OPTIONS * HTTP/1.1"),
        captures: &[Some(b"h"), Some(b"\xc3\xa9 caf\xc3\xa9"), None],
        cookie: None,
        answered: true,
    },
    Case {
        request: b"GET http://h.x/z/?k HTTP/1.1\r\nHost: h.x\r\nX: 0123456789012345678901234567890123456789\r\n\r\n",
        line: Some("GET http://h.x/z/?k HTTP/1.1"),
        captures: &[Some(b"h.x"), Some(b"012345678901234567890123456789"), None],
        cookie: None,
        answered: true,
    },
    Case {
        request: b"GET /none HTTP/1.1\r\nHost: h\r\n\r\n",
        line: Some("GET /none HTTP/1.1"),
        captures: &[Some(b"h"), None, None],
        cookie: None,
        answered: false,
    },
    Case { request: b"GE\x01T / HTTP/1.1\r\n\r\n", line: None, captures: &[], cookie: None, answered: false },
    Case { request: b"GET / HT", line: None, captures: &[], cookie: None, answered: false },
];

/// `21/Nov/2026:03:44:50.168` as milliseconds of its hour: enough to tell two dates of one session apart.
fn millis_of_hour(date: &str) -> i64 {
    let clock: Vec<&str> = date.split([':', '.']).collect();
    let number = |i: usize| clock[i].parse::<i64>().expect("digits");
    (number(2) * 60 + number(3)) * 1_000 + number(4)
}

/// The session whose plain values are `dump`.
fn rebuild(case: &Case, dump: &str, offset: i32) -> Session {
    let v: Vec<&str> = dump.split('|').collect();
    let secs: i64 = v[2].parse().expect("seconds");
    let ms: i64 = v[3].parse().expect("milliseconds");
    let time = |ms: i64| {
        LogValue::Time(Timestamp { unix_secs: ms.div_euclid(1_000), micros: ms.rem_euclid(1_000) as u32 * 1_000, utc_offset_secs: offset })
    };
    let accepted = secs * 1_000 + ms;
    // The request came at most an hour after the accept.
    let later = (millis_of_hour(v[5]) - millis_of_hour(v[4])).rem_euclid(3_600_000);
    let mut s = Session::new()
        .with(Field::ConnectionError, LogValue::Int(0))
        .text(Field::ConnectionErrorText, b"Success")
        .with(Field::AcceptDate, time(accepted))
        .with(Field::RequestDate, time(accepted + later));
    let ints = [
        Field::TimeRequest,
        Field::TimeQueue,
        Field::TimeConnect,
        Field::TimeResponse,
        Field::TimeActive,
        Field::TimeTotal,
        Field::TimeHandshake,
        Field::TimeIdle,
        Field::TimeQuery,
        Field::TimeData,
        Field::TimeUser,
        Field::Status,
        Field::BytesRead,
        Field::BytesUploaded,
        Field::ActConn,
        Field::FrontendConn,
        Field::BackendConn,
        Field::ServerConn,
        Field::Retries,
        Field::ServerQueue,
        Field::BackendQueue,
        Field::LogCounter,
        Field::RequestCounter,
        Field::Pid,
    ];
    for (field, text) in ints.into_iter().zip(&v[6..30]) {
        s = s.with(field, LogValue::Int(text.parse().expect("a number")));
    }
    for (field, text) in
        [(Field::ClientPort, v[1]), (Field::BackendSourcePort, v[31]), (Field::FrontendPort, v[33]), (Field::ServerPort, v[35])]
    {
        if text != "-" {
            s = s.with(field, LogValue::Int(text.parse().expect("a port")));
        }
    }
    for (field, text) in [(Field::ClientIp, v[0]), (Field::BackendSourceIp, v[30]), (Field::FrontendIp, v[32]), (Field::ServerIp, v[34])] {
        if text != "-" {
            s = s.with(field, LogValue::Ip(text.parse().expect("an address")));
        }
    }
    for (field, text) in [(Field::BackendName, v[38]), (Field::FrontendName, v[39]), (Field::Hostname, v[40])] {
        s = s.text(field, text.as_bytes());
    }
    if v[37] != "<NOSRV>" {
        s = s.text(Field::ServerName, v[37].as_bytes());
    }
    let cause = [Cause::Normal, Cause::ServerAbort, Cause::Proxy, Cause::ClientTimeout, Cause::ClientAbort];
    let phase = [Phase::Done, Phase::Request, Phase::Connect];
    let letters = v[36].as_bytes();
    let cause = cause.into_iter().find(|c| *c as u8 == letters[0]).expect("a cause of these cases");
    let phase = phase.into_iter().find(|p| *p as u8 == letters[1]).expect("a phase of these cases");
    s = s.with(Field::Termination, LogValue::Termination(Termination::new(cause, phase)));
    if let Some(line) = case.line {
        s = s.text(Field::RequestLine, line.as_bytes());
    }
    if let Some(cookie) = case.cookie {
        s = s.text(Field::RequestCookie, cookie.as_bytes());
    }
    let server: &[Option<&[u8]>] = match (case.answered, case.line) {
        (true, _) => &[Some(b"a\"b{c}|\\\x01d#e\xff")],
        (false, Some(_)) => &[None],
        // Without a request there are no captures at all.
        (false, None) => &[],
    };
    if case.answered {
        s = s.with(Field::ResponseCookie, LogValue::from("sess=abc"));
    }
    s.captures(case.captures, server)
}

fn compare(zone: &str, offset: i32) {
    let (_haproxy, ports, syslog) = start(zone);
    let mut buf = vec![0; 65_536];
    for case in CASES {
        for (format, port) in FORMATS.iter().zip(&ports) {
            let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).expect("connects");
            client.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
            client.write_all(case.request).expect("sends");
            if !case.request.ends_with(b"\r\n\r\n") {
                client.shutdown(std::net::Shutdown::Write).expect("open");
            }
            // The answer's first bytes, then the end.
            let _ = client.read(&mut [0; 4_096]);
            drop(client);
            let n = syslog.recv(&mut buf).expect("a line");
            let line = String::from_utf8(buf[..n].to_vec()).expect("logs are ASCII here");
            let (theirs, dump) = line.trim_end_matches('\n').split_once(MARK).expect("the mark");
            let session = rebuild(case, dump, offset);
            let mut ours = Vec::new();
            LogFormat::compile(format).expect("compiles").write(&session, 65_534, &mut ours);
            assert_eq!(String::from_utf8_lossy(&ours), theirs, "{format}\nvalues {dump}");
        }
    }
}

// One after the other: two haproxies that were given the same free port would share it.
#[test]
fn haproxy_writes_the_same_lines() {
    compare("UTC", 0);
    compare("IST-5:30", 19_800);
}
