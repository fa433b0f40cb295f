//! The founding configurations, as they stand in the tutorials that the project started from: addresses moved to
//! loopback, lines for `stats` and `cookie` taken out.

use lb_check::{Message, Rule, Send};
use lb_config::{
    Balance, BindAddress, CheckKind, Config, HashKey, HttpConnectionMode, LogAddress, LogFormatKind, Mode, ProxyKind, Redispatch,
    ServerAddress, ServerPort, Severity, Source, parse, render,
};
use std::time::Duration;

const T3_BASIC: &str = "\
global
   log 127.0.0.1 local3 info
   chroot /var/lib/haproxy
   user haproxy
   group haproxy
   daemon
defaults
   log global
   mode http
   option httplog
   option dontlognull
   timeout connect 5000
   timeout client 50000
   timeout server 50000
frontend http_front
   bind *:8080
   default_backend http_back
backend http_back
   balance roundrobin
   server linux-node1 127.0.0.1:9001 check
   server linux-node2 127.0.0.1:9002 check
";

const T2: &str = "\
global
    log         127.0.0.1 local2
    chroot      /var/lib/haproxy
    pidfile     /var/run/haproxy.pid
    maxconn     4000
    user        haproxy
    group       haproxy
    daemon
defaults
    mode                    http
    log                     global
    option                  httplog
    option                  dontlognull
    option http-server-close
    option forwardfor       except 127.0.0.0/8
    option                  redispatch
    retries                 3
    timeout http-request    10s
    timeout queue           1m
    timeout connect         10s
    timeout client          1m
    timeout server          1m
    timeout http-keep-alive 10s
    timeout check           10s
    maxconn                 3000
    timeout connect 5000
    timeout client 50000
    timeout server 50000
frontend http-in
    bind *:8080
    mode http
    option httplog
    log global
    default_backend htmlpool
backend htmlpool
    balance roundrobin
    server web1 127.0.0.1:9001 check inter 2000 rise 2 fall 3
    server web2 127.0.0.1:9002 check inter 2000 rise 2 fall 3
";

const T3_CHECKED: &str = "\
global
maxconn 100000
chroot /usr/local/haproxy
uid 99
gid 99
daemon
nbproc 1
pidfile /usr/local/haproxy/logs/haproxy.pid
log 127.0.0.1 local3 info

defaults
option http-keep-alive
maxconn 100000
mode http
timeout connect 5000ms
timeout client  50000ms
timeout server 50000ms

listen stats
mode http
bind 0.0.0.0:8888

frontend frontend_www_example_com
bind 127.0.0.1:8081
mode http
option httplog
log global
default_backend backend_www_example_com

backend backend_www_example_com
option forwardfor header X-REAL-IP
option httpchk HEAD / HTTP/1.0
balance source
server web-node1  127.0.0.1:9001 check inter 2000 rise 30 fall 15
server web-node2 127.0.0.1:9002 check inter 2000 rise 30 fall 15
";

/// The configuration and its warnings; errors fail the test.
fn read(text: &str) -> (Config, Vec<String>) {
    let (config, diagnostics) = parse(&Source::new().file("haproxy.cfg", text.as_bytes()));
    let errors = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    assert!(!errors, "{}", render(&diagnostics));
    (config, diagnostics.into_iter().map(|diagnostic| format!("{}: {}", diagnostic.span.line, diagnostic.message)).collect())
}

#[test]
fn t3_basic() {
    let (config, warnings) = read(T3_BASIC);
    assert_eq!(warnings, Vec::<String>::new());
    assert!(config.global.daemon);
    let [front, back] = &config.proxies[..] else { panic!("two proxies") };
    assert_eq!((front.kind, front.mode, front.id), (ProxyKind::Frontend, Mode::Http, 1));
    assert_eq!(front.binds[0].addresses, [BindAddress::Tcp("0.0.0.0:8080".parse().expect("address"))]);
    assert_eq!(front.default_backend, config.backend("http_back"));
    assert_eq!(front.timeouts.client, Some(Duration::from_secs(50)));
    assert_eq!(front.log_format.kind, LogFormatKind::Http);
    assert!(front.options.dontlognull);
    assert_eq!(front.logs.len(), 1);
    assert_eq!(front.logs[0].address, LogAddress::Udp("127.0.0.1:514".parse().expect("address")));
    assert_eq!(front.logs[0].facility.name(), "local3");
    assert_eq!(back.timeouts.connect, Some(Duration::from_secs(5)));
    assert_eq!(back.timeouts.client, None);
    assert_eq!(back.servers.len(), 2);
    let server = &back.servers[1];
    assert_eq!((server.name.as_str(), server.id, server.weight), ("linux-node2", 2, 1));
    assert_eq!(server.address, ServerAddress::Ip { ip: [127, 0, 0, 1].into(), port: ServerPort::Fixed(9002) });
    let check = server.check.as_ref().expect("checked");
    assert_eq!((check.inter, check.rise, check.fall), (Duration::from_secs(2), 2, 3));
}

#[test]
fn t2() {
    let (config, warnings) = read(T2);
    assert_eq!(
        warnings,
        [
            "26: 'timeout connect' was already given in this section; this one counts",
            "27: 'timeout client' was already given in this section; this one counts",
            "28: 'timeout server' was already given in this section; this one counts"
        ]
    );
    assert_eq!(config.global.maxconn, Some(4000));
    let front = config.proxy(config.frontend("http-in").expect("there"));
    assert_eq!(front.maxconn, Some(3000));
    assert_eq!(front.logs.len(), 1, "'log global' of the defaults and of the section are one");
    assert_eq!(front.timeouts.client, Some(Duration::from_secs(50)));
    assert_eq!(front.timeouts.http_request, Some(Duration::from_secs(10)));
    assert_eq!(front.options.http_mode, HttpConnectionMode::ServerClose);
    let forwardfor = front.options.forwardfor.as_ref().expect("set");
    assert!(forwardfor.except.is_some_and(|net| net.contains([127, 9, 9, 9].into()) && !net.contains([128, 0, 0, 1].into())));
    let back = config.proxy(config.backend("htmlpool").expect("there"));
    assert_eq!((back.retries, back.redispatch), (3, Some(Redispatch::BeforeLast(1))));
    assert_eq!(back.timeouts.queue, Some(Duration::from_secs(60)));
    assert_eq!(config.fullconn(config.backend("htmlpool").expect("there"), 4000), 300);
}

#[test]
fn t3_checked() {
    let (config, warnings) = read(T3_CHECKED);
    assert_eq!(warnings, ["7: 'nbproc 1' is an old spelling"]);
    let back = config.proxy(config.backend("backend_www_example_com").expect("there"));
    assert_eq!(back.balance, Balance::Hash(HashKey::Source));
    let CheckKind::Script(script) = &back.check else { panic!("a check of its own") };
    let request = script.rules().find_map(|rule| match rule {
        Rule::Send(Send { what: Message::Http(request), .. }) => Some(request.to_bytes()),
        _ => None,
    });
    assert_eq!(request.as_deref(), Some(&b"HEAD / HTTP/1.0\r\n\r\n"[..]));
    assert_eq!(back.options.forwardfor.as_ref().map(|forwardfor| forwardfor.header.as_str()), Some("X-REAL-IP"));
    assert_eq!(back.servers[0].check.as_ref().map(|check| (check.rise, check.fall)), Some((30, 15)));
}

/// What is not there yet in the whole files is refused by name, each line once.
#[test]
fn the_lines_taken_out_are_refused_by_name() {
    let text = T2.replace("option dontlognull", "stats uri /hadmin").replace("127.0.0.1:9001 check", "127.0.0.1:9001 cookie 1 check");
    let text = text.replace("    option                  dontlognull\n", "    stats uri /hadmin\n    stats auth niem:niem\n");
    let (_, diagnostics) = parse(&Source::new().file("haproxy.cfg", text.as_bytes()));
    let errors: Vec<&str> = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .map(|diagnostic| diagnostic.message.as_str())
        .collect();
    assert_eq!(
        errors,
        [
            "'stats uri' is known but not there yet in this version (the statistics page)",
            "'stats auth' is known but not there yet in this version (the statistics page)",
            "'cookie' is known but not there yet in this version (cookie persistence)",
        ]
    );
}
