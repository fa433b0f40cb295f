//! `mailers` sections and `email-alert`: what they come to, and what is refused.

use lb_config::{Config, Level, Severity};

fn read(text: &str) -> (Config, Vec<String>) {
    let (config, diagnostics) = lb_config::parse(&lb_config::Source::new().file("t.cfg", text.as_bytes()));
    let told = diagnostics.iter().filter(|d| d.severity >= Severity::Warning).map(|d| format!("{}: {}", d.span.line, d.message));
    (config, told.collect())
}

const REST: &str = "defaults\n timeout connect 1s\n timeout server 1s\n";

#[test]
fn alerts_go_to_their_mailers() {
    let alert = "email-alert from a@b\n email-alert to c@d\n email-alert mailers m\n";
    // The section may stand behind.
    let text = format!(
        "{REST} {alert} email-alert level info\nbackend b\n server s 127.0.0.1:80\nbackend c\n email-alert myhostname h\n email-alert level notice\n\
         mailers m\n mailer one 127.0.0.1:25\n mailer two [::1]:587\n timeout mail 20s\n"
    );
    let (config, told) = read(&text);
    assert_eq!(told, [""; 0]);
    let of = |n: usize| config.proxies[n].email_alert.as_deref().unwrap();
    assert_eq!(
        (of(0).level, of(0).hostname.as_deref(), of(1).level, of(1).hostname.as_deref()),
        (Level::Info, None, Level::Notice, Some("h"))
    );
    let mailers = &of(1).mailers;
    assert_eq!(mailers.mailers.iter().map(|m| m.address.to_string()).collect::<Vec<_>>(), ["127.0.0.1:25", "[::1]:587"]);
    assert_eq!(mailers.timeout.as_secs(), 20);
    let (config, _) = read(&format!("{REST}backend b\n {alert}mailers m\n mailer one 127.0.0.1:25\n"));
    let alert = config.proxies[0].email_alert.as_deref().unwrap();
    assert_eq!((alert.level, alert.mailers.timeout.as_secs()), (Level::Alert, 10));
}

#[test]
fn what_is_refused() {
    for (lines, told) in [
        ("mailers m\n mailer a 127.0.0.1\n", "2: a mailer is an IP address or a name, and a port"),
        ("mailers m\n mailer b\n", "2: 'mailer' wants"),
        ("mailers m\n timeout mail x\n", "2: "),
        ("mailers m\n foo\n", "2: unknown keyword 'foo'"),
        ("mailers\n", "1: "),
        ("mailers m\nmailers m\n", "2: "),
        ("backend b\n email-alert level foo\n", "2: 'email-alert level' does not take 'foo'"),
        ("backend b\n email-alert from a\n email-alert to b\n email-alert mailers nope\n", "4: there are no mailers 'nope'"),
        ("backend b\n email-alert to b\n", "2: 'email-alert' is ignored in 'b': it takes 'from', 'to' and 'mailers'"),
        ("backend b\n email-alert to \"b\\x0d\\x0aBcc: c\"\n", "2: this goes into a mail as it is"),
    ] {
        let all = read(lines).1;
        assert!(all.iter().any(|line| line.starts_with(told)), "{lines}: {all:?}");
    }
}
