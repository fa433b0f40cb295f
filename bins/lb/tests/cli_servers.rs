//! What operators change by the run-time socket, seen on traffic; and the same commands beside haproxy, where that is installed:
//! every word of the answers is its.

mod common;

use common::{OK, io, start};
use lb_testkit::fixture::{TempDir, fill};
use lb_testkit::http::{Connection, get};
use lb_testkit::origin::Origin;
use lb_testkit::ports;
use lb_testkit::process::{HAPROXY, Process};
use lb_testkit::runtime::ask;
use lb_testkit::script::Step;
use lb_testkit::wait::{Deadline, must};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;

const SITE: &str = "\
global
    stats socket {dir}/admin level admin
    log 127.0.0.1:{log} local0
    log-tag test
    maxconn 500
    node here
defaults
    log global
    mode http
    timeout connect 3s
    timeout client 60s
    timeout server 10s
frontend fe
    option httplog
    bind 127.0.0.1:{fe}
    maxconn 100
    monitor-uri /alive
    default_backend be
frontend ft
    mode tcp
    option tcplog
    bind 127.0.0.1:{fe2}
    default_backend bt
backend be
    balance roundrobin
    server s1 127.0.0.1:{o1} weight 10
    server s2 127.0.0.1:{o2} weight 20
    server s3 127.0.0.1:{o1} backup disabled
backend bt
    mode tcp
    balance leastconn
    server t1 127.0.0.1:{o1} maxconn 10 maxqueue 5
backend st
    balance source
    server l1 127.0.0.1:{o1}
backend ck
    server c1 127.0.0.1:{o1} check inter 100
    server c2 127.0.0.1:{dead} check inter 100
";

struct Site {
    lb: common::Lb,
    origins: [Origin; 2],
}

impl Site {
    fn new() -> Site {
        let origins = [common::serve(OK), common::serve(&OK.replace("hello", "other"))];
        let lb = start(SITE, &[("o1", origins[0].port()), ("o2", origins[1].port()), ("dead", ports::free_tcp())]);
        must("the socket is there", || lb.process.dir().join("admin").exists());
        Site { lb, origins }
    }

    #[track_caller]
    fn ask(&self, commands: &str) -> String {
        io(ask(&self.lb.process.dir().join("admin"), commands))
    }

    /// Asks what answers nothing when it is done.
    #[track_caller]
    fn tell(&self, command: &str) {
        assert_eq!(self.ask(command), "\n", "{command}");
    }

    /// The first five bytes that the next requests get, each on a connection of its own.
    #[track_caller]
    fn answers(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| String::from_utf8_lossy(&io(get(self.lb.addr(), "/")).body).into_owned()).collect()
    }

    #[track_caller]
    fn wait_for_line(&self, text: &str) -> String {
        self.lb.log.wait_for(text, Deadline::patient()).unwrap_or_else(|| panic!("no line with '{text}' in {:?}", self.lb.log.text()))
    }

    /// A value of `show stat`.
    #[track_caller]
    fn stat(&self, proxy: &str, service: &str, column: &str) -> String {
        stat(&self.ask("show stat"), proxy, service, column)
    }
}

#[track_caller]
fn stat(csv: &str, proxy: &str, service: &str, column: &str) -> String {
    let mut lines = csv.lines();
    let names = lines.next().unwrap().trim_start_matches("# ").split(',').collect::<Vec<_>>();
    let column = names.iter().position(|n| *n == column).unwrap_or_else(|| panic!("no column {column}"));
    let line = lines.map(|l| l.split(',').collect::<Vec<_>>()).find(|v| v[0] == proxy && v.get(1) == Some(&service));
    line.unwrap_or_else(|| panic!("no line {proxy}/{service} in {csv}"))[column].to_owned()
}

#[test]
fn weights_change_the_share() {
    let site = Site::new();
    site.tell("set weight be/s1 0");
    assert_eq!(site.answers(6), ["other"; 6]);
    site.tell("set server be/s1 weight 100%");
    site.tell("set weight be/s2 50%");
    assert_eq!(site.ask("get weight be/s2"), "10 (initial 20)\n\n");
    assert_eq!(site.answers(8).iter().filter(|a| *a == "hello").count(), 4, "equal shares");
    assert_eq!(site.stat("be", "s2", "weight"), "10");
    assert_eq!(site.stat("be", "BACKEND", "weight"), "20");
}

#[test]
fn drain_and_maintenance_take_a_server_out() {
    let site = Site::new();
    site.tell("set server be/s1 state drain");
    let line = site.wait_for_line("drain state");
    assert!(
        line.ends_with("Server be/s1 enters drain state. 1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue."),
        "{line}"
    );
    assert_eq!(site.answers(4), ["other"; 4]);
    assert_eq!(site.stat("be", "s1", "status"), "DRAIN");
    must("the clients are gone", || site.stat("be", "s2", "scur") == "0");
    site.tell("disable server be/s2");
    let line = site.wait_for_line("maintenance");
    assert!(
        line.ends_with(
            "Server be/s2 is going DOWN for maintenance. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue."
        ),
        "{line}"
    );
    site.wait_for_line("backend be has no server available!");
    assert_eq!(io(get(site.lb.addr(), "/")).status, 503);
    assert_eq!(site.stat("be", "BACKEND", "status"), "DOWN");
    assert_eq!(stat(&site.ask("show stat be 2 -1 no-maint"), "be", "BACKEND", "status"), "DOWN (1/3)");
    site.tell("enable server be/s3");
    assert_eq!(site.answers(2), ["hello"; 2], "the backup serves");
    site.tell("set server be/s2 state ready");
    assert_eq!(site.answers(2), ["other"; 2]);
    site.wait_for_line("Server be/s2 is UP/READY (leaving forced maintenance).");
    assert_eq!(site.stat("be", "s2", "status"), "no check");
}

#[test]
fn maintenance_stops_checks() {
    let site = Site::new();
    must("the first checks", || site.stat("ck", "c1", "status") == "UP" && site.stat("ck", "c2", "status") == "DOWN");
    site.tell("set server ck/c1 state maint");
    assert_eq!(site.stat("ck", "c1", "status"), "MAINT");
    assert_eq!(site.stat("ck", "c1", "check_status"), "");
    must("a check that was under way has ended", || {
        let before = site.origins[0].accepted();
        std::thread::sleep(std::time::Duration::from_millis(300));
        site.origins[0].accepted() == before
    });
    site.tell("set server ck/c1 state ready");
    must("it is checked again", || site.stat("ck", "c1", "check_status").ends_with("L4OK"));
    // A check at another port.
    site.tell(&format!("set server ck/c2 check-port {}", site.origins[1].port()));
    must("it is found up there", || site.stat("ck", "c2", "status") == "UP");
    site.tell("disable health ck/c2");
    assert_eq!(site.stat("ck", "c2", "check_status"), "");
    site.tell("set server ck/c2 health down");
    assert_eq!(site.stat("ck", "c2", "status"), "DOWN");
    site.wait_for_line("Server ck/c2 is DOWN, changed from CLI.");
}

#[test]
fn another_address() {
    let site = Site::new();
    site.tell("set server be/s2 state maint");
    let mut connection = io(Connection::open(site.lb.addr()));
    let mut body = || String::from_utf8_lossy(&io(connection.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n")).body).into_owned();
    assert_eq!([body(), body()], ["hello", "hello"]);
    let (old, new) = (site.origins[0].port(), site.origins[1].port());
    let told = site.ask(&format!("set server be/s1 addr 127.0.0.1 port {new}"));
    assert_eq!(told, format!("no need to change the addr, port changed from '{old}' to '{new}' by 'stats socket command'\n\n"));
    assert_eq!(body(), "other", "although a connection to the old place was idle");
    assert_eq!(site.stat("be", "s1", "addr"), format!("127.0.0.1:{new}"));
}

#[test]
fn limits_of_connections() {
    let site = Site::new();
    site.tell("set maxconn frontend fe 0");
    let mut waits = TcpStream::connect(site.lb.addr()).unwrap();
    waits.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    waits.set_read_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
    assert!(waits.read(&mut [0]).is_err(), "nobody is accepted");
    site.tell("set maxconn frontend fe 5");
    waits.set_read_timeout(Some(lb_testkit::wait::patience())).unwrap();
    assert_eq!(waits.read(&mut [0]).unwrap(), 1);
    assert_eq!(site.stat("fe", "FRONTEND", "slim"), "5");
    site.tell("set maxconn server bt/t1 3");
    assert_eq!(site.stat("bt", "t1", "slim"), "3");
    site.tell("set maxconn global 50");
    assert!(site.ask("show info").contains("\nMaxconn: 50\nHard_maxconn: 500\n"));
    site.tell("set rate-limit connections global 7");
    site.tell("set rate-limit sessions global 9");
    let info = site.ask("show info");
    assert!(info.contains("\nConnRateLimit: 7\n") && info.contains("\nSessRateLimit: 9\n"), "{info}");
}

#[test]
fn frontends_pause_and_end() {
    let site = Site::new();
    let connects = |expected: bool| {
        let came = lb_testkit::wait::until(lb_testkit::wait::patience(), || TcpStream::connect(site.lb.addr()).is_ok() == expected);
        assert!(came, "connects: {expected}");
    };
    let mut kept = io(Connection::open(site.lb.addr()));
    assert_eq!(io(kept.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n")).status, 200);
    site.tell("disable frontend fe");
    site.wait_for_line("Paused frontend fe.");
    assert_eq!(site.stat("fe", "FRONTEND", "status"), "PAUSED");
    connects(false);
    assert_eq!(io(kept.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n")).status, 200, "what is there goes on");
    site.tell("enable frontend fe");
    site.wait_for_line("Resumed frontend fe.");
    connects(true);
    assert_eq!(site.answers(1).len(), 1);
    // Shut down while it is paused, and its clients with their next answer.
    site.tell("disable frontend fe");
    site.tell("shutdown frontend fe");
    let line = site.wait_for_line("Proxy fe stopped");
    assert!(line.contains("Proxy fe stopped (cumulated conns: FE: ") && line.ends_with(", BE: 0)."), "{line}");
    assert_eq!(site.stat("fe", "FRONTEND", "status"), "STOP");
    connects(false);
    let last = io(kept.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!((last.status, last.header("connection")), (200, Some("close".to_owned())));
    // Others do not know of it.
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, site.lb.fe2)).is_ok());
}

/// Connects and sends a request that is answered in part.
fn begun(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap();
    stream.set_read_timeout(Some(lb_testkit::wait::patience())).unwrap();
    stream.write_all(b"GET /begun HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut byte = [0];
    let mut seen = Vec::new();
    while !seen.ends_with(b"part") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{:?}", String::from_utf8_lossy(&seen));
        seen.push(byte[0]);
    }
    stream
}

#[test]
fn streams_are_shown_and_ended() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\npart";
    let begin = || vec![Step::Request, Step::Send(head.into()), Step::Eof];
    let slow = Origin::start(vec![begin()], common::world()).unwrap();
    let lb = start(SITE, &[("o1", slow.port()), ("o2", slow.port()), ("dead", ports::free_tcp())]);
    let site = Site { lb, origins: [slow, common::serve(OK)] };
    let (mut http, mut tcp) = (begun(site.lb.fe), begun(site.lb.fe2));
    let list = site.ask("show sess");
    assert_eq!(list.lines().filter(|l| l.contains("proto=tcpv4")).count(), 2, "{list}");
    let number =
        |place: &str| list.lines().find(|l| l.contains(place)).unwrap_or_else(|| panic!("no {place} in {list}")).split(':').next().unwrap();
    let (of_http, of_tcp) = (number(" fe=fe be=be srv=s"), number(" fe=ft be=bt srv=t1 "));
    assert!(site.ask(&format!("show sess {of_tcp}")).contains("  backend=bt (id="));
    assert_eq!(site.ask("show sess 0xffffff"), "Session not found.\n\n");
    site.tell(&format!("shutdown session {of_http}"));
    assert_eq!(http.read(&mut [0]).unwrap(), 0, "the client sees the end");
    let line = site.wait_for_line("/begun");
    assert!(line.contains(" 200 54 - - KD-- "), "{line}");
    assert_eq!(site.ask(&format!("shutdown session {of_http}")), "No such session (use 'show sess').\n\n");
    site.tell("shutdown sessions server bt/t1");
    assert_eq!(tcp.read(&mut [0]).unwrap(), 0);
    let line = site.wait_for_line(" ft bt/t1 ");
    assert!(line.contains(" K- "), "{line}");
    assert_eq!(site.ask("show sess"), "\n");
    // Nothing is counted any more.
    assert_eq!(site.stat("bt", "t1", "scur"), "0");
    assert_eq!(site.stat("be", "BACKEND", "scur"), "0");
}

#[test]
fn counters_are_cleared() {
    let site = Site::new();
    site.answers(3);
    // A client may come before the last one's end has been seen.
    must("the clients are gone", || site.stat("fe", "FRONTEND", "scur") == "0");
    assert_eq!(site.stat("fe", "FRONTEND", "req_tot"), "3");
    assert_ne!(site.stat("fe", "FRONTEND", "smax"), "0");
    site.tell("clear counters");
    assert_eq!([site.stat("fe", "FRONTEND", "req_tot"), site.stat("fe", "FRONTEND", "smax")], ["3", "0"]);
    site.tell("clear counters all");
    for (service, column) in [("FRONTEND", "req_tot"), ("FRONTEND", "bin"), ("FRONTEND", "hrsp_2xx")] {
        assert_eq!(site.stat("fe", service, column), "0", "{column}");
    }
    for column in ["stot", "lbtot", "bin", "ttime_max", "connect"] {
        assert_eq!(site.stat("be", "BACKEND", column), "0", "{column}");
    }
    assert_eq!(site.stat("be", "BACKEND", "lastsess"), "-1");
}

/// The same site in haproxy; `None`: it is not installed.
fn reference(site: &Site) -> Option<(Process, [u16; 2])> {
    if !Path::new(HAPROXY).exists() || common::is_other() {
        return None;
    }
    for _ in 0..5 {
        let dir = TempDir::new("reference").unwrap();
        let (fe, fe2) = (ports::free_tcp(), ports::free_tcp());
        let values = [
            ("fe", fe.to_string()),
            ("fe2", fe2.to_string()),
            ("log", site.lb.log2.port().to_string()),
            ("dir", dir.path().display().to_string()),
            ("o1", site.origins[0].port().to_string()),
            ("o2", site.origins[1].port().to_string()),
            ("dead", ports::free_tcp().to_string()),
        ];
        let values = values.map(|(name, value)| (name.to_owned(), value));
        match Process::proxy(dir, Path::new(HAPROXY), &fill(SITE, &values), &[fe, fe2]) {
            Ok(process) => {
                must("the socket is there", || process.dir().join("admin").exists());
                return Some((process, [fe, fe2]));
            }
            Err(e) if e.is_port_clash() => continue,
            Err(e) => panic!("{e}"),
        }
    }
    panic!("no free port in five tries");
}

#[test]
fn answers_word_for_word_as_haproxy() {
    let site = Site::new();
    let Some((reference, _)) = reference(&site) else { return };
    let socket = reference.dir().join("admin");
    // Each line is a connection; the order matters.
    let commands = "\
get weight
get weight be
get weight x/y
get weight be/zz
get weight be/s1
set weight be/s1
set weight be/s1 abc
set weight be/s1 -1
set weight be/s1 257
set weight be/s1 5x
set weight be/s1 -5%
set weight be/s1 %
set weight be/s1 300%;get weight be/s1
set weight be/s1 99999%;get weight be/s1
set weight st/l1 5
set weight st/l1 0;get weight st/l1
set weight st/l1 100%;get weight st/l1
set weight st/l1 50%
disable server
disable server be/s1;disable server be/s1;enable server be/s1;enable server be/zz
set server
set server be/s1
set server be/s1 bogus x
set server be/s1 state
set server be/s1 state foo
set server be/s1 weight
set server be/s1 health
set server be/s1 health foo
set server be/s1 agent up
set server be/s1 agent-send x
set server be/s1 agent-addr
set server be/s1 agent-addr 1.2.3.4
set server be/s1 agent-port 80
set server be/s1 addr
set server be/s1 addr foo
set server be/s1 addr 127.0.0.1:80
set server be/s1 addr 127.0.0.2
set server be/s1 addr 127.0.0.1 foo
set server be/s1 addr 127.0.0.1 port
set server be/s1 addr 127.0.0.1 port x
set server be/s1 addr ::1
set server be/s1 addr 127.0.0.1
set server ck/c1 addr 127.0.0.1 port +1
set server be/s1 check-port 80
set server ck/c1 check-port
set server ck/c1 check-port x
set server ck/c1 check-port 70000
set server ck/c1 check-addr
set server ck/c1 check-addr foo
set server be/s1 check-addr 127.0.0.1
set server be/s1 fqdn
set server be/s1 fqdn foo
set server be/s1 ssl on
disable agent be/s1
enable agent be/s1
disable health be/s1
set maxconn global
set maxconn global x
set maxconn global 501
set maxconn global 500
set maxconn frontend
set maxconn frontend zz 10
set maxconn frontend fe
set maxconn frontend fe 100
set maxconn frontend be 100
set maxconn frontend fe -7
disable frontend
disable frontend be
disable frontend ft;disable frontend ft;enable frontend ft;enable frontend ft
shutdown frontend
shutdown frontend zz
set maxconn server
set maxconn server bt/t1
set maxconn server bt/t1 x
set maxconn server bt/t1 7x
set maxconn server bt/t1 10
set rate-limit connections global
set rate-limit connections global x
set rate-limit sessions global 0
shutdown session
shutdown session foo
shutdown session 0x12345678
shutdown sessions server
shutdown sessions server be/zz
shutdown sessions server be/s1
clear counters
clear counters foo
show servers state zz
show servers conn zz
show stat zz 1 -1
show stat domain foo
show sess 0x1
show backend
show version foo
user;set weight be/s1 1;clear counters;show sess;set server be/s1 state maint;show servers conn zz;disable frontend ft
operator;set weight be/s1 1;clear counters all;shutdown session 1;set maxconn global 1
set severity-output number;disable frontend ft;disable frontend ft;enable frontend ft;enable frontend ft;get weight be/zz;set server be/s1 addr 127.0.0.1;set server ck/c1 check-port x;show stat zz 1 1;show sess 0x1
shutdown frontend ft;shutdown frontend ft;enable frontend ft;set maxconn frontend ft 5
set severity-output number;shutdown frontend ft;disable frontend ft;enable frontend ft";
    for command in commands.lines() {
        let expected = io(ask(&socket, command)).replace(reference_version(), OWN_VERSION);
        assert_eq!(site.ask(command), expected, "{command}");
    }
    // Their states are the same after all that.
    let states = |text: String| {
        let fields = |l: &str| l.split(' ').map(str::to_owned).collect::<Vec<_>>();
        // Without the time since the last change, ports, and checks that may be under way.
        let kept = |f: Vec<String>| [&f[..9], &f[10..12], &f[15..18]].concat().join(" ");
        text.lines().skip(2).filter(|l| !l.is_empty()).map(|l| kept(fields(l))).collect::<Vec<_>>()
    };
    let both = || (states(site.ask("show servers state")), states(io(ask(&socket, "show servers state"))));
    // Checks come to their results in their own time.
    lb_testkit::wait::until(lb_testkit::wait::patience(), || {
        let (ours, theirs) = both();
        ours == theirs
    });
    let (ours, theirs) = both();
    assert_eq!(ours, theirs);
}

const OWN_VERSION: &str = "2.6.12\n";

fn reference_version() -> &'static str {
    // Debian's says where it was built.
    "2.6.12-1+deb12u3\n"
}

/// Columns whose values depend on nothing but the traffic.
const STABLE: &[&str] = &[
    "qcur",
    "qmax",
    "scur",
    "slim",
    "stot",
    "bin",
    "bout",
    "dreq",
    "dresp",
    "ereq",
    "econ",
    "eresp",
    "wretr",
    "wredis",
    "status",
    "weight",
    "act",
    "bck",
    "qlimit",
    "pid",
    "iid",
    "sid",
    "lbtot",
    "type",
    "rate_lim",
    "hrsp_1xx",
    "hrsp_2xx",
    "hrsp_3xx",
    "hrsp_4xx",
    "hrsp_5xx",
    "hrsp_other",
    "req_tot",
    "cli_abrt",
    "srv_abrt",
    "comp_in",
    "comp_rsp",
    "check_status",
    "check_desc",
    "check_rise",
    "check_fall",
    "check_health",
    "addr",
    "cookie",
    "mode",
    "algo",
    "conn_tot",
    "intercepted",
    "dcon",
    "dses",
    "wrew",
    "connect",
    "reuse",
    "eint",
    "uweight",
    "ssl_sess",
    "h2_total_connections",
    "h1_open_streams",
    "h1_bytes_in",
    "h1_bytes_out",
    "h1_spliced_bytes_in",
    "h1_spliced_bytes_out",
];

#[test]
fn statistics_beside_haproxy() {
    let site = Site::new();
    let Some((reference, fronts)) = reference(&site) else { return };
    let socket = reference.dir().join("admin");
    for front in [[site.lb.fe, site.lb.fe2], fronts] {
        traffic(front);
    }
    let settled = |csv: &str| stat(csv, "ck", "c1", "status") == "UP" && stat(csv, "ck", "c2", "status") == "DOWN";
    must("all is counted and checked", || {
        let both = [site.ask("show stat"), io(ask(&socket, "show stat"))];
        both.iter().all(|csv| settled(csv) && stat(csv, "fe", "FRONTEND", "scur") == "0" && stat(csv, "ft", "FRONTEND", "scur") == "0")
    });
    let (ours, theirs) = (site.ask("show stat"), io(ask(&socket, "show stat")));
    assert_eq!(ours.lines().next(), theirs.lines().next(), "the names of the columns");
    let rows = |csv: &str| {
        let rows = csv.lines().skip(1).filter(|l| !l.is_empty()).map(|l| l.split(',').take(2).map(str::to_owned).collect::<Vec<_>>());
        rows.collect::<Vec<_>>()
    };
    assert_eq!(rows(&ours), rows(&theirs));
    for row in rows(&ours) {
        for column in STABLE {
            let value = |csv: &str| stat(csv, &row[0], &row[1], column).replace("* ", "");
            if row[1] == "c2" && *column == "addr" {
                continue;
            }
            assert_eq!(value(&ours), value(&theirs), "{column} of {row:?}");
        }
    }
    // Which values there are, by name, type and tag; not what they are.
    let shape = |text: &str| {
        let line = |l: &str| l.splitn(4, ':').take(3).map(str::to_owned).collect::<Vec<_>>();
        text.lines().filter(|l| !l.is_empty()).map(line).collect::<Vec<_>>()
    };
    let counted = |shape: Vec<Vec<String>>| {
        // With and without an answer of a check, some are there or not.
        let steady = |l: &Vec<String>| !["check_duration", "check_code", "last_chk"].iter().any(|n| l[0].contains(n));
        shape.into_iter().filter(steady).collect::<Vec<_>>()
    };
    same(counted(shape(&site.ask("show stat typed"))), counted(shape(&io(ask(&socket, "show stat typed")))));
    let info = |text: String| shape(&text).into_iter().map(|l| l.join(":")).collect::<Vec<_>>();
    same(info(site.ask("show info typed")), info(io(ask(&socket, "show info typed"))));
    // JSON differs in values only: what is between its quotes and colons is the same.
    let skeleton = |text: String| {
        let quoted = text.split('"').enumerate().filter(|(n, _)| n % 2 == 1).map(|(_, t)| t.to_owned());
        let values = [String::from("2.6.12-1+deb12u3"), "2.6.12".into()];
        quoted.filter(|t| !values.contains(t)).take(400).collect::<Vec<_>>()
    };
    let named = |all: Vec<String>| {
        all.into_iter().filter(|t| !t.starts_with("2025/") && !t.starts_with("2023/") && !t.contains("0d ")).collect::<Vec<_>>()
    };
    same(named(skeleton(site.ask("show info json"))), named(skeleton(io(ask(&socket, "show info json")))));
    same(named(skeleton(site.ask("show stat json"))), named(skeleton(io(ask(&socket, "show stat json")))));
}

/// A server's idle connection counts by how often it was used; what goes over the wires and streams that are under way are told while they are.
#[test]
fn connections_beside_haproxy() {
    let site = Site::new();
    let own = (site.lb.fe, site.lb.process.dir().join("admin"));
    let reference = reference(&site);
    let peer = reference.as_ref().map(|(process, fronts)| (fronts[0], process.dir().join("admin")));
    for (port, socket) in [Some(own), peer].into_iter().flatten() {
        assert_eq!(io(ask(&socket, "set weight be/s2 0")), "\n");
        let values = || {
            let csv = io(ask(&socket, "show stat"));
            let of = |service, columns: [&str; 3]| columns.map(|column| stat(&csv, "be", service, column)).join(" ");
            let front =
                ["h1_open_connections", "h1_open_streams", "h1_bytes_in"].map(|column| stat(&csv, "fe", "FRONTEND", column)).join(" ");
            let wire = ["h1_bytes_in", "h1_bytes_out", "h1_open_streams"];
            [front, of("s1", ["srv_icur", "idle_conn_cur", "safe_conn_cur"]), of("BACKEND", wire)]
        };
        let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut client = io(Connection::open((Ipv4Addr::LOCALHOST, port)));
        for (count, idle) in [(1, "1 1 0"), (2, "1 0 1"), (3, "1 0 1")] {
            io(client.exchange(request));
            let wanted =
                [format!("1 0 {}", count * request.len()), idle.into(), format!("{} {} 0", count * OK.len(), count * request.len())];
            must("connection and bytes are counted", || values() == wanted);
        }
        // Of a body that is under way, what has come.
        let upload = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234";
        io(client.send(upload));
        let length = 3 * request.len() + upload.len();
        must("bytes count as they come", || {
            values()[0] == format!("1 1 {length}") && values()[2] == format!("{} {length} 1", 3 * OK.len())
        });
    }
}

/// Lists that are the same; else the first difference is told, not all of both.
#[track_caller]
fn same<T: PartialEq + std::fmt::Debug>(ours: Vec<T>, theirs: Vec<T>) {
    if let Some((ours, theirs)) = ours.iter().zip(&theirs).find(|(a, b)| a != b) {
        panic!("ours {ours:?}, theirs {theirs:?}");
    }
    assert_eq!(ours.len(), theirs.len());
}

/// Requests of many kinds.
fn traffic([http, tcp]: [u16; 2]) {
    let send = |port: u16, bytes: &str| {
        let mut stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap();
        stream.set_read_timeout(Some(lb_testkit::wait::patience())).unwrap();
        stream.write_all(bytes.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.is_empty(), "{bytes}");
    };
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /again HTTP/1.0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 10\r\n\r\n0123456789",
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "GET /alive HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GARBAGE\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:",
    ] {
        send(http, request);
    }
    send(tcp, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    send(tcp, "GET / HTTP/1.0\r\n\r\n");
}
