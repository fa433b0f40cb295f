//! Sections, templates, identifiers, addresses and switches: what the language makes of them. Each was seen with haproxy 2.6,
//! the newer words with 3.0.

use lb_config::{
    BindAddress, Config, Diagnostic, Environment, Proxy, Resolver, ServerAddress, ServerPort, Severity, Source, Switches, UnixAddress,
    parse, render,
};
use std::net::{IpAddr, Ipv4Addr};

const T: &str = " timeout client 1s\n timeout server 1s\n timeout connect 1s\n";

struct World;

impl Environment for World {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "HOST" => Some("192.0.2.7".into()),
            "BYTES" => Some("\u{fffd}".into()),
            _ => None,
        }
    }
}

impl Resolver for World {
    fn resolve(&self, host: &str) -> Vec<IpAddr> {
        if host == "localhost" { vec![Ipv4Addr::LOCALHOST.into()] } else { Vec::new() }
    }
}

fn with(text: &str, switches: Switches) -> (Config, Vec<Diagnostic>) {
    parse(&Source::new().file("t.cfg", text.as_bytes()).environment(&World).resolver(&World).switches(switches))
}

fn read(text: &str) -> Config {
    let (config, diagnostics) = with(text, Switches::default());
    assert!(diagnostics.iter().all(|diagnostic| diagnostic.severity < Severity::Warning), "{}", render(&diagnostics));
    config
}

fn listen(lines: &str) -> Proxy {
    read(&format!("listen a\n bind 127.0.0.1:8000\n{T}{lines}")).proxies.remove(0)
}

/// Messages at least as bad as a warning: line and text.
fn told(text: &str) -> Vec<(u32, String)> {
    let (_, diagnostics) = with(text, Switches::default());
    diagnostics.into_iter().filter(|one| one.severity >= Severity::Warning).map(|one| (one.span.line, one.message)).collect()
}

/// The one error of a listen section with these lines.
fn error(lines: &str) -> String {
    let text = format!("listen a\n bind 127.0.0.1:8000\n{T}{lines}");
    let list = told(&text);
    assert_eq!(list.len(), 1, "{text}: {list:?}");
    list[0].1.clone()
}

#[test]
fn templates() {
    let proxy = listen(
        " default-server weight 7\n server-template web 3 localhost:80 check inter 9s\n server-template x 0-1 127.0.0.2:81 id 9 backup\n",
    );
    assert_eq!(proxy.servers.iter().map(|server| server.name.as_str()).collect::<Vec<_>>(), ["web1", "web2", "web3", "x0", "x1"]);
    assert_eq!(proxy.servers.iter().map(|server| server.id).collect::<Vec<_>>(), [1, 2, 3, 9, 5]);
    for server in &proxy.servers[..3] {
        assert_eq!(server.address, ServerAddress::Ip { ip: Ipv4Addr::LOCALHOST.into(), port: ServerPort::Fixed(80) });
        assert_eq!((server.weight, server.hostname.as_deref(), server.backup), (7, Some("localhost"), false));
        assert_eq!(server.check.as_ref().map(|check| check.inter.as_secs()), Some(9));
    }
    assert!(proxy.servers[4].backup);
    for numbers in ["0", "3-1", "-1", "x", "3x", "1-x", "1-", "-3", "1-3-5", "1,3", "+3", "2147483648", "99999999999"] {
        assert!(error(&format!(" server-template s {numbers} localhost:80\n")).contains("neither a number of servers nor a range"));
    }
    assert!(error(" server-template s 3\n").contains("'server-template' wants"));
    assert!(error(" server-template s! 3 localhost:80\n").contains("cannot hold '!'"));
    assert!(error(" server-template s 3 nohost.invalid:80\n").contains("has no address"));
    assert!(error(" server-template s 60000 localhost:80\n server-template t 60000 localhost:80\n").contains("too many servers"));
    assert!(error(" server-template s 2147483647 localhost:80\n").contains("too many servers"));
    assert!(
        told(&format!("defaults\n server-template s 3 localhost:80\nlisten a\n bind :1\n{T}"))[0].1.contains("not allowed in 'defaults'")
    );
}

#[test]
fn identifiers() {
    let text = " guid a.b:c-d_E1\n server s 127.0.0.1:1 guid x\n bind :8001-8002 guid-prefix p\n bind :8003 guid-prefix q\n";
    assert_eq!(listen(text).servers.len(), 1);
    assert_eq!(error(" guid x\n server s 127.0.0.1:1 guid x\n"), "the identifier 'x' is already taken on line 6");
    assert!(error(" guid p-1\n bind :8001-8002 guid-prefix p\n").contains("'p-1' is already taken"));
    assert!(error(" bind :8001 guid-prefix p\n bind :8002 guid-prefix p\n").contains("'p-0' is already taken"));
    assert!(error(" guid a/b\n").contains("cannot hold '/'"));
    assert!(error(" bind :8001 guid-prefix a/b\n").contains("cannot hold '/'"));
    assert!(error(&format!(" guid {}\n", "x".repeat(128))).contains("at most 127 bytes"));
    assert!(error(&format!(" bind :8001 guid-prefix {}\n", "x".repeat(126))).contains("at most 127 bytes"));
    assert_eq!(listen(&format!(" guid {}\n bind :8001 guid-prefix {}\n", "x".repeat(127), "y".repeat(125))).binds.len(), 2);
    assert!(error(" default-server guid x\n").contains("its own guid"));
}

#[test]
fn defaults_by_name_and_by_place() {
    let named = |from: &str| told(&format!("defaults a\n{T}defaults a\n{T}defaults odd!\n{T}listen x from {from}\n bind :8000\n"));
    assert_eq!(named("a")[0].1, "there are several defaults sections named 'a'");
    assert!(named("odd!")[0].1.contains("cannot hold '!'"));
    assert!(named("b")[0].1.contains("no defaults section named 'b' before this line"));
    for text in ["defaults a from b\ndefaults b\n", "defaults a from a\n", "defaults a from b\ndefaults b from a\n", "defaults from b\n"] {
        let list = told(text);
        assert_eq!(list[0].0, 1, "{text}");
        assert!(list[0].1.contains("no defaults section named"), "{text}: {list:?}");
    }
    // A section may be named before another one takes its name.
    let config = read(&format!("defaults a\n{T} retries 1\nlisten x from a\n bind :1\ndefaults a\n{T} retries 2\nlisten y\n bind :2\n"));
    assert_eq!(config.proxies.iter().map(|proxy| proxy.retries).collect::<Vec<_>>(), [1, 2]);
    let config = read(
        &format!("defaults a\n{T} retries 1\ndefaults a from a\n retries 2\ndefaults from a\nlisten y\n bind :2\n")
            .replace("defaults from a\n", ""),
    );
    assert_eq!(config.proxies[0].retries, 2);
    assert_eq!(read(&format!("defaults from\n{T} retries 4\nlisten y from from\n bind :2\n")).proxies[0].retries, 4);
    // Taken by name and by place.
    let mixed = |rest: &str| told(&format!("defaults a\n{T}{rest}")).iter().map(|one| one.0).collect::<Vec<_>>();
    assert_eq!(mixed("listen x from a\n bind :1\nlisten y\n bind :2\n"), [7]);
    assert_eq!(mixed("listen y\n bind :2\nlisten x from a\n bind :1\nlisten z\n bind :3\n"), [7, 9]);
    assert_eq!(mixed("listen y\n bind :2\ndefaults b from a\n"), [7]);
    assert_eq!(mixed("defaults b from a\nlisten x from a\n bind :1\nlisten y\n bind :2\n"), []);
}

#[test]
fn global_stands_in_several_places() {
    let text = format!(
        "global\n maxconn 10\nlisten a\n bind :1\n{T}global\n spread-checks 3\n log 127.0.0.1 local0\nlisten b\n bind :2\n{T} log global\n"
    );
    let config = read(&text);
    assert_eq!((config.global.maxconn, config.global.spread_checks, config.global.logs.len()), (Some(10), 3, 1));
    assert_eq!(config.proxies[1].logs.len(), 1);
}

/// What a variable holds counts where the line stands, in addresses too.
#[test]
fn variables_change_between_lines() {
    let config = read(&format!(
        "global\n setenv P 8001\nlisten a\n bind :${{P}}\n{T}global\n setenv P 8002\n presetenv P 1\nlisten b\n bind ${{HOST}}:$P\n{T}\
         global\n unsetenv P\n presetenv P 8003\nlisten c\n bind \":${{P}}\"\n{T}global\n resetenv P\n presetenv HOST 192.0.2.9\nlisten d\n bind ${{HOST}}:$P\n{T}"
    ));
    let bound: Vec<String> = config.proxies.iter().map(|proxy| format!("{:?}", proxy.binds[0].addresses[0])).collect();
    assert_eq!(bound, ["Tcp(0.0.0.0:8001)", "Tcp(192.0.2.7:8002)", "Tcp(0.0.0.0:8003)", "Tcp(192.0.2.9:8003)"]);
    for (lines, message) in [
        (" setenv A\n", "'setenv' wants"),
        (" setenv A \"\"\n", "'setenv' wants"),
        (" setenv \"\" b\n", "'setenv' wants"),
        (" setenv A b c\n", "unexpected 'c'"),
        (" setenv A=B c\n", "cannot hold '='"),
        (" unsetenv\n", "'unsetenv' wants"),
        (" no setenv A b\n", "cannot stand in front of"),
    ] {
        let list = told(&format!("global\n{lines}"));
        assert!(list.len() == 1 && list[0].1.contains(message), "{lines}: {list:?}");
    }
    assert!(error(" description \"$BYTES\" ok\n server \"$BYTES\" 127.0.0.1:1\n").contains("not valid UTF-8"));
}

#[test]
fn names_that_haproxy_sets_itself() {
    let proxy = listen(" description \"$HAPROXY_BRANCH ${HAPROXY_STARTUP_VERSION}\"\n");
    assert_eq!(proxy.description, Some(format!("2.6 {}", lb_config::LANGUAGE_VERSION)));
    let proxy = listen(" log 127.0.0.1 local0\n log-format \"${HAPROXY_TCP_LOG_FMT} x\"\n");
    assert!(proxy.log_format.text.ends_with("%sq/%bq x"));
}

#[test]
fn abstract_names_are_filled_up_or_not() {
    let proxy = listen(" bind abns@x,abnsz@x\n server s abns@y\n");
    let padded = |name: &str| UnixAddress::Abstract([name.as_bytes(), &vec![0; 107 - name.len()]].concat());
    assert_eq!(proxy.binds[1].addresses, [BindAddress::Unix(padded("x")), BindAddress::Unix(UnixAddress::Abstract(b"x".to_vec()))]);
    assert_eq!(proxy.servers[0].address, ServerAddress::Unix(padded("y")));
    assert_eq!((padded("x").to_string(), UnixAddress::Abstract(b"x".to_vec()).to_string()), ("abns@x".into(), "abnsz@x".into()));
}

#[test]
fn addresses_say_what_is_wrong_with_them() {
    for (lines, message) in [
        (" bind udp@127.0.0.1:1\n", "is for datagrams"),
        (" bind dgram+ipv4@127.0.0.1:1\n", "is for datagrams"),
        (" bind quic4@127.0.0.1:1\n", "(QUIC)"),
        (" bind sockpair@x\n", "'x' is not a file descriptor"),
        (" bind 127.0.0.1:1,,127.0.0.1:2\n", "the address is empty"),
        (" bind ,\n", "the address is empty"),
        (" bind 8001\n", "is a port without an address"),
        (" server s 8001\n", "is a port without an address"),
        (" server s udp@127.0.0.1:1\n", "is for datagrams"),
        (" server s fd@3\n", "not a file descriptor"),
        (" log ring@x local0\n", "there is no ring named 'x'"),
        (" log stream+fd@3 local0\n", "not to a descriptor as a stream"),
    ] {
        let text = error(lines);
        assert!(text.contains(message), "{lines}: {text}");
    }
    assert_eq!(listen(" bind 127.0.0.1:1,\n bind stream+unix@/x,tcp@:2\n log udp@127.0.0.1 local0\n log uxdg@/x local0\n").binds.len(), 3);
    // Before all of them are held: a short line can ask for many.
    let lines = " bind :1-65535\n".repeat(20);
    assert!(told(&format!("listen a\n{lines}{T}"))[0].1.contains("too many addresses to listen on in all"));
}

#[test]
fn switches_of_the_command_line() {
    let text = format!(
        "global\n.if enabled(SPLICE)\n.diag on\n.else\n.diag off\n.endif\n nosplice\n.if enabled(SPLICE)\n.diag on\n.else\n.diag off\n.endif\nlisten a\n bind :1\n{T} server s nohost.invalid:1\n"
    );
    let texts = |switches: Switches| {
        with(&text, switches).1.into_iter().map(|one| format!("{} {}", one.severity.label(), one.message)).collect::<Vec<_>>()
    };
    let all = texts(Switches { diagnostics: true, ..Switches::default() });
    assert_eq!(&all[..2], ["DIAG 'on'", "DIAG 'off'"]);
    assert!(all[2].starts_with("ALERT the name 'nohost.invalid'"), "{all:?}");
    let all = texts(Switches { diagnostics: true, no_splice: true, ..Switches::default() });
    assert_eq!(&all[..2], ["DIAG 'off'", "DIAG 'off'"]);
    let all = texts(Switches { ignore_unresolved: true, ..Switches::default() });
    assert!(all.len() == 1 && all[0].starts_with("WARNING the name 'nohost.invalid' has no address; the server is disabled"), "{all:?}");
}
