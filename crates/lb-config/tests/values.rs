//! What lines become: inheritance, negation, expansion, defaults, places.

use lb_config::{
    Account, BindAddress, Config, Diagnostic, Environment, ErrorReplyKind, HttpConnectionMode, HttpReuse, Level, LoadError, Loader,
    LogAddress, LogTransportFormat, Mode, Proxy, RetryOn, SendProxy, ServerAddress, ServerPort, Severity, Shards, Source, UnixAddress,
    V6Mode, parse, render,
};
use std::time::Duration;

const T: &str = " timeout client 1s\n timeout server 1s\n timeout connect 1s\n";

struct World;

impl Environment for World {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "ADDR" => Some("127.0.0.1:8000".into()),
            "PORT" => Some("8000".into()),
            _ => None,
        }
    }
}

impl Loader for World {
    fn load(&self, path: &str) -> Result<Vec<u8>, LoadError> {
        match path {
            "503.http" => Ok(b"HTTP/1.0 503 Busy\r\nContent-Length: 4\r\n\r\nbusy".to_vec()),
            "bad.http" => Ok(b"busy".to_vec()),
            _ => Err(LoadError::NotFound),
        }
    }
}

fn all(text: &str) -> (Config, Vec<Diagnostic>) {
    parse(&Source::new().file("t.cfg", text.as_bytes()).environment(&World).loader(&World))
}

fn read(text: &str) -> Config {
    let (config, diagnostics) = all(text);
    assert!(diagnostics.iter().all(|diagnostic| diagnostic.severity != Severity::Error), "{}", render(&diagnostics));
    config
}

/// The proxy of a listen section with these lines.
fn listen(lines: &str) -> Proxy {
    read(&format!("listen a\n mode http\n bind 127.0.0.1:8000\n{T}{lines}")).proxies.remove(0)
}

/// haproxy writes an alert and goes on; what counts was seen there (`show info`).
#[test]
fn what_is_given_twice_in_global_counts_once() {
    let (config, diagnostics) =
        all("global\n maxconn 10\n pidfile /x\nglobal\n maxconn 20\n pidfile /y\n maxconnrate 0\n maxconnrate 5\n maxconnrate x\n");
    assert_eq!((config.global.maxconn, config.global.maxconnrate), (Some(10), Some(5)));
    assert_eq!(config.global.pidfile.as_deref(), Some("/x".as_ref()));
    let told: Vec<_> = diagnostics.iter().filter(|d| d.message.contains("twice")).map(|d| (d.severity, d.span.line)).collect();
    assert_eq!(told, [(Severity::Notice, 5), (Severity::Notice, 6), (Severity::Notice, 9)]);
}

#[test]
fn defaults_are_inherited_and_overridden() {
    let config = read(&format!(
        "defaults one\n mode http\n retries 7\n option httpclose\n option splice-auto\n default-server check inter 5s weight 10\n{T}\
         defaults two from one\n no option httpclose\n timeout server 9s\n\
         defaults\n mode tcp\n{T}\
         backend a from two\n server s 127.0.0.1:1 weight 3\n no option splice-auto\n default-server inter 1s\n server t 127.0.0.1:2\n\
         backend b from one\n server s 127.0.0.1:1\n\
         backend c\n server s 127.0.0.1:1\n"
    ));
    let [a, b, c] = &config.proxies[..] else { panic!("three") };
    assert_eq!((a.mode, a.retries, a.options.http_mode), (Mode::Http, 7, HttpConnectionMode::KeepAlive));
    assert_eq!(a.timeouts.server, Some(Duration::from_secs(9)));
    assert!(!a.options.splice_auto);
    let inter = |proxy: &Proxy, n: usize| proxy.servers[n].check.as_ref().map(|check| check.inter.as_secs());
    assert_eq!((a.servers[0].weight, inter(a, 0)), (3, Some(5)));
    assert_eq!((a.servers[1].weight, inter(a, 1)), (10, Some(1)));
    assert_eq!((b.options.http_mode, b.options.splice_auto), (HttpConnectionMode::Close, true));
    assert_eq!((c.mode, c.retries, inter(c, 0)), (Mode::Tcp, 3, None));
}

#[test]
fn a_negated_connection_mode_takes_back_only_itself() {
    assert_eq!(listen(" option httpclose\n no option http-server-close\n").options.http_mode, HttpConnectionMode::Close);
    assert_eq!(listen(" option httpclose\n no option httpclose\n").options.http_mode, HttpConnectionMode::KeepAlive);
    assert_eq!(listen(" option httpclose\n option http-keep-alive\n").options.http_mode, HttpConnectionMode::KeepAlive);
}

#[test]
fn addresses_of_binds() {
    let tcp = |text: &str| BindAddress::Tcp(text.parse().expect("address"));
    let proxy = listen(
        " bind :8001-8003,[::1]:9000 name x maxconn 5\n bind /tmp/x.sock,abns@y,fd@3 mode 660 user root gid 5 accept-proxy\n bind :::8004 v6only shards by-thread backlog 9\n",
    );
    assert_eq!(proxy.binds[1].addresses, [tcp("0.0.0.0:8001"), tcp("0.0.0.0:8002"), tcp("0.0.0.0:8003"), tcp("[::1]:9000")]);
    assert_eq!((proxy.binds[1].name.as_deref(), proxy.binds[1].maxconn), (Some("x"), Some(5)));
    assert_eq!(
        proxy.binds[2].addresses,
        [
            BindAddress::Unix(UnixAddress::Path("/tmp/x.sock".into())),
            BindAddress::Unix(UnixAddress::Abstract([b"y".as_slice(), &[0; 106]].concat())),
            BindAddress::Fd(3)
        ]
    );
    assert_eq!(proxy.binds[2].unix.mode, Some(0o660));
    assert_eq!((&proxy.binds[2].unix.user, &proxy.binds[2].unix.group), (&Some(Account::Name("root".into())), &Some(Account::Id(5))));
    assert!(proxy.binds[2].accept_proxy && !proxy.binds[1].accept_proxy);
    assert_eq!((proxy.binds[3].family, proxy.binds[3].shards, proxy.binds[3].backlog), (V6Mode::V6Only, Shards::ByThread, Some(9)));
    // One number for each address.
    assert_eq!(proxy.binds.iter().map(|bind| bind.id).collect::<Vec<_>>(), [1, 2, 6, 9]);
}

#[test]
fn unix_bind_of_global() {
    let config =
        read(&format!("global\n unix-bind prefix /tmp/x mode 600 group wheel\nlisten a\n bind /y.sock\n bind unix@/z mode 666\n{T}"));
    let binds = &config.proxies[0].binds;
    assert_eq!(binds[0].addresses, [BindAddress::Unix(UnixAddress::Path("/tmp/x/y.sock".into()))]);
    assert_eq!((binds[0].unix.mode, binds[1].unix.mode), (Some(0o600), Some(0o666)));
    assert_eq!(binds[1].unix.group, Some(Account::Name("wheel".into())));
}

#[test]
fn servers() {
    let proxy = listen(
        " server a 127.0.0.1:+10 maxconn 10 minconn 2 backup\n server b 127.0.0.1 minconn 5 disabled\n server c /tmp/s check send-proxy-v2 proxy-v2-options crc32c\n \
         server d 127.0.0.1:80 send-proxy check port 81 pool-max-conn 0 max-reuse 3 id 9\n server e 127.0.0.1:-1 maxconn 0 weight 256\n",
    );
    let port = |n: usize| match proxy.servers[n].address {
        ServerAddress::Ip { port, .. } => Some(port),
        ServerAddress::Unix(_) | ServerAddress::Pair(_) => None,
    };
    assert_eq!((port(0), port(1), port(2)), (Some(ServerPort::Offset(10)), Some(ServerPort::Offset(0)), None));
    assert_eq!((proxy.servers[0].maxconn, proxy.servers[0].minconn, proxy.servers[0].backup), (Some(10), Some(2), true));
    assert_eq!((proxy.servers[1].maxconn, proxy.servers[1].minconn, proxy.servers[1].disabled), (Some(5), None, true));
    assert!(matches!(&proxy.servers[2].send_proxy, Some(SendProxy::V2(options)) if options.crc32c && !options.unique_id));
    assert!(proxy.servers[2].check.as_ref().is_some_and(|check| check.send_proxy));
    // A check port of its own: no PROXY header in checks.
    assert!(proxy.servers[3].check.as_ref().is_some_and(|check| !check.send_proxy && check.port == Some(81)));
    assert_eq!((proxy.servers[3].pool.max_conn, proxy.servers[3].max_reuse, proxy.servers[3].id), (Some(0), Some(3), 9));
    assert_eq!((proxy.servers[4].maxconn, proxy.servers[4].weight), (None, 256));
    assert_eq!(proxy.servers.iter().map(|server| server.id).collect::<Vec<_>>(), [1, 2, 3, 9, 5]);
    assert_eq!(proxy.servers[0].address.socket_addr(65530).map(|address| address.port()), Some(4));
}

#[test]
fn logs() {
    let config = read(&format!(
        "global\n log 127.0.0.1 local0\n log /dev/log daemon err crit\ndefaults\n mode http\n log global\n option httplog\n{T}\
         frontend a\n bind :1\n log stdout format raw len 200 sample 1,3-4:10 local7\n log global\n\
         frontend b\n bind :2\n no log\n log udp@[::1]:999 user\n log-tag b\n"
    ));
    let [a, b] = &config.proxies[..] else { panic!("two") };
    assert_eq!(a.logs.len(), 3);
    assert_eq!((a.logs[1].facility.code(), a.logs[1].level, a.logs[1].min_level), (3, Level::Err, Level::Crit));
    assert_eq!(a.logs[2].address, LogAddress::Stdout);
    assert_eq!(a.logs[2].max_len, 200);
    assert_eq!(a.logs[2].sample.as_ref().map(|sample| (sample.ranges.clone(), sample.size)), Some((vec![1..=1, 3..=4], 10)));
    assert_eq!(b.logs.iter().map(|log| log.address.clone()).collect::<Vec<_>>(), [LogAddress::Udp("[::1]:999".parse().expect("address"))]);
    assert_eq!(b.log_tag.as_deref(), Some("b"));
}

/// Observed: no format and no host name to send is `local`; with one it is `rfc3164`.
#[test]
fn the_format_of_a_log_follows_the_host_name() {
    let formats = |global: &str| -> Vec<LogTransportFormat> {
        let text =
            format!("global\n log 127.0.0.1 local0\n log 127.0.0.1 format local local0\n{global}listen a\n bind :1\n{T} log global\n");
        read(&text).proxies[0].logs.iter().map(|log| log.format).collect()
    };
    assert_eq!(formats(""), [LogTransportFormat::Local; 2]);
    assert_eq!(formats(" log-send-hostname x\n"), [LogTransportFormat::Rfc3164, LogTransportFormat::Local]);
}

#[test]
fn replies_and_retries() {
    let proxy = listen(
        " errorfile 503 503.http\n errorfile 400 /dev/null\n errorloc303 502 http://x/\n errorloc 503 /y\n retry-on conn-failure 404 response-timeout\n http-reuse always\n",
    );
    assert!(matches!(proxy.error_reply(400).map(|reply| &reply.kind), Some(ErrorReplyKind::File(bytes)) if bytes.is_empty()));
    assert!(matches!(proxy.error_reply(503).map(|reply| &reply.kind), Some(ErrorReplyKind::Location { status: 302, url }) if url == "/y"));
    assert!(matches!(proxy.error_reply(502).map(|reply| &reply.kind), Some(ErrorReplyKind::Location { status: 303, .. })));
    assert!(proxy.retry_on.contains_status(404) && !proxy.retry_on.contains_status(500));
    assert!(proxy.retry_on.contains(RetryOn::RESPONSE_TIMEOUT) && proxy.retry_on.needs_request());
    assert_eq!(proxy.http_reuse, HttpReuse::Always);
    let (_, diagnostics) = all("listen a\n errorfile 503 bad.http\n errorfile 503 none.http\n");
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).map(|d| d.span.line).collect::<Vec<_>>();
    assert_eq!(errors, [2, 3]);
}

#[test]
fn variables_and_pseudo_variables() {
    let config = read(&format!(
        "global\n setenv NAME web\n presetenv NAME other\n setenv LIST \"check backup\"\nlisten \"${{NAME}}\"\n bind \"$ADDR\"\n bind 127.0.0.2:${{PORT}}\n{T} \
         server \"s${{.LINE}}\" 127.0.0.1:1 \"${{LIST[*]}}\"\n description \"${{.SECTION}} ${{.FILE}} ${{NOPE-x}}\"\n"
    ));
    let proxy = &config.proxies[0];
    assert_eq!(proxy.name, "web");
    assert_eq!(proxy.binds.len(), 2);
    assert_eq!(proxy.servers[0].name, "s11");
    assert!(proxy.servers[0].backup && proxy.servers[0].check.is_some());
    assert_eq!(proxy.description.as_deref(), Some("web t.cfg x"));
}

#[test]
fn several_files_are_one_configuration() {
    let first = format!("defaults\n mode http\n{T}");
    let second = "listen a\n bind :1\n balanc x\n";
    let third = " maxconn 3\n";
    let source = Source::new().file("1.cfg", first.as_bytes()).file("2.cfg", second.as_bytes()).file("3.cfg", third.as_bytes());
    let (config, diagnostics) = parse(&source);
    assert_eq!(config.proxies[0].mode, Mode::Http);
    assert_eq!(config.place(config.proxies[0].span), "2.cfg:1");
    let errors: Vec<(&str, u32, u32)> = diagnostics.iter().map(|d| (d.file.as_str(), d.span.line, d.span.column)).collect();
    // A file ends its section: the line of the third one stands outside.
    assert_eq!(errors, [("2.cfg", 3, 2), ("3.cfg", 1, 2)]);
}

#[test]
fn all_errors_in_one_go() {
    let text = "global\n maxcon 3\n nbthread 99\nfrontend f\n bind 80\n timeout clien 3\n default_backend bakc\nbackend back\n server s 127.0.0.1:1 chekc weigth 3 weight 999\n server s 127.0.0.1:70000\n";
    let (_, diagnostics) = all(text);
    let found: Vec<(u32, u32, Option<&str>)> = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .map(|diagnostic| (diagnostic.span.line, diagnostic.span.column, diagnostic.help.as_deref()))
        .collect();
    assert_eq!(found[0], (2, 2, Some("did you mean 'maxconn'?")));
    assert_eq!(found[1].0, 3);
    assert_eq!(found[2], (5, 7, Some("write ':80'")));
    assert_eq!(found[3], (6, 10, Some("did you mean 'timeout client'?")));
    assert_eq!((found[4].0, found[4].2), (7, Some("did you mean 'back'?")));
    assert_eq!(found[5], (9, 23, Some("did you mean 'check'?")));
    assert_eq!(found[6], (9, 29, Some("did you mean 'weight'?")));
    // The 3 behind the misspelt word, the weight out of range, and the next line's port.
    assert_eq!(found.iter().map(|place| place.0).collect::<Vec<_>>(), [2, 3, 5, 6, 7, 9, 9, 9, 9, 10]);
}

#[test]
fn rendered_as_documented() {
    let (_, diagnostics) = all("backend b\n\tbalanc roundrobin\n");
    assert_eq!(
        render(&diagnostics),
        "[ALERT]   t.cfg:2:2: unknown keyword 'balanc' in section 'backend'\n   |  balanc roundrobin\n   |  ^^^^^^\n   = did you mean 'balance'?\n"
    );
}
