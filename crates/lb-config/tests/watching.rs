//! Parameters of servers about their health beside checks: what they come to, and what is refused.

use lb_config::{Config, Initial, Observe, OnError, Severity};

fn read(text: &str) -> (Config, Vec<String>) {
    let (config, diagnostics) = lb_config::parse(&lb_config::Source::new().file("t.cfg", text.as_bytes()));
    let told = diagnostics.iter().filter(|d| d.severity >= Severity::Warning).map(|d| format!("{}: {}", d.span.line, d.message));
    (config, told.collect())
}

/// What is said of a backend `b` of these lines.
fn refused(lines: &str) -> Vec<String> {
    read(&format!("defaults\n mode http\n timeout connect 1s\n timeout server 1s\nbackend b\n {}\n", lines.replace('|', "\n "))).1
}

#[test]
fn words_come_to_values() {
    let text = "defaults\n mode http\n timeout connect 1s\n timeout server 1s\n\
        backend b\n default-server check observe layer7 error-limit 3 on-error mark-down on-marked-down shutdown-sessions\n\
        server s 127.0.0.1:80 on-marked-up shutdown-backup-sessions init-state fully-down agent-check agent-port 9 agent-inter 7s agent-send \"hi\\n\" agent-addr 127.0.0.2\n\
        server t 127.0.0.1:80 observe none\n server u 127.0.0.1:80 no-check track b/s\n server v 127.0.0.1:80 no-check track u\n";
    let (config, told) = read(text);
    assert_eq!(told, [""; 0]);
    let servers = &config.proxies[0].servers;
    let s = servers[0].watching.as_deref().unwrap();
    assert_eq!((s.observe, s.error_limit, s.on_error, s.initial), (Some(Observe::Layer7), 3, OnError::MarkDown, Initial::FullyDown));
    assert!(s.shutdown_sessions && s.shutdown_backup_sessions);
    let agent = servers[0].agent().unwrap();
    assert_eq!((agent.port, agent.inter.as_secs(), agent.send.as_slice()), (9, 7, &b"hi\n"[..]));
    assert_eq!(agent.address.unwrap().to_string(), "127.0.0.2");
    let t = servers[1].watching.as_deref().unwrap();
    assert!(t.observe.is_none() && t.shutdown_sessions && !t.shutdown_backup_sessions && servers[1].agent().is_none());
    let tracks = |n: usize| servers[n].track().and_then(|track| track.target).map(|(proxy, place)| (proxy.0, place));
    assert_eq!((tracks(2), tracks(3)), (Some((0, 0)), Some((0, 2))));
    assert!(read("backend b\n server s 127.0.0.1:80\n").0.proxies[0].servers[0].watching.is_none());
}

#[test]
fn tracking_that_leads_nowhere() {
    for (lines, told) in [
        ("server s 127.0.0.1:80 track t", "6: 'server b/s': unable to find the server 't' for tracking"),
        ("server s 127.0.0.1:80 track nope/t", "6: 'server b/s': unable to find the proxy 'nope' for tracking"),
        (
            "server s 127.0.0.1:80 track b/t|server t 127.0.0.1:80",
            "6: 'server b/s': unable to use b/t for tracking as it does not have any check nor agent enabled",
        ),
        (
            "server s 127.0.0.1:80 track b/t|server t 127.0.0.1:80 track s",
            "7: 'server b/t': unable to track b/s as it belongs to a tracking chain looping back to b/t",
        ),
        ("server s 127.0.0.1:80 track s", "6: 'server b/s': unable to track b/s as it belongs to a tracking chain looping back to b/s"),
        (
            "server s 127.0.0.1:80 track b/t check|server t 127.0.0.1:80 check",
            "6: 'server b/s': unable to enable checks and tracking at the same time",
        ),
    ] {
        assert_eq!(refused(lines), [told], "{lines}");
    }
    assert_eq!(refused("server s 127.0.0.1:80 track b/t|server t 127.0.0.1:80 agent-check agent-port 3"), [""; 0]);
    // A long chain is followed once.
    let mut chain = String::from("server s0 127.0.0.1:80 check");
    (1..20_000).for_each(|n| chain.push_str(&format!("|server s{n} 127.0.0.1:80 track s{}", n - 1)));
    assert_eq!(refused(&chain), [""; 0]);
}

#[test]
fn values_that_are_none() {
    for (words, told) in [
        ("observe x", "'observe' does not take 'x'"),
        ("check on-error x", "'on-error' does not take 'x'"),
        ("check error-limit 0", "0 is out of range"),
        ("on-marked-down x", "'on-marked-down' does not take 'x'"),
        ("on-marked-up x", "'on-marked-up' does not take 'x'"),
        ("init-state none", "'init-state' does not take 'none'"),
        ("agent-check", "the server 's' does not have an agent port"),
        ("agent-inter 0", "an agent cannot be asked without any time between"),
        ("agent-addr /tmp/x", "'agent-addr' does not take '/tmp/x'"),
    ] {
        let all = refused(&format!("server s 127.0.0.1:80 {words}"));
        assert!(all.len() == 1 && all[0].contains(told), "{words}: {all:?}");
    }
    let told = refused("mode tcp|server s 127.0.0.1:80 check observe layer7");
    assert_eq!(told, ["7: 'observe layer7' has an effect in mode http only; nothing is observed"]);
}
