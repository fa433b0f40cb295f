//! `option external-check`: what it takes, and what it comes to.

use lb_config::{CheckKind, ExternalChecks, Severity};

const REST: &str = "defaults\n timeout connect 1s\n timeout server 1s\n";

fn told(text: &str) -> Vec<String> {
    let (_, diagnostics) = lb_config::parse(&lb_config::Source::new().file("t.cfg", text.as_bytes()));
    diagnostics.iter().filter(|d| d.severity >= Severity::Warning).map(|d| format!("{}: {}", d.span.line, d.message)).collect()
}

#[test]
fn a_program_and_its_path() {
    let text = format!(
        "global\n external-check preserve-env\n insecure-fork-wanted\n{REST} option external-check\n external-check path /bin\n\
         backend a\n external-check command /bin/true\n server s 127.0.0.1:1 check\nbackend b\n option tcp-check\n server s 127.0.0.1:1 check\n"
    );
    assert_eq!(told(&text), [""; 0]);
    let (config, _) = lb_config::parse(&lb_config::Source::new().file("t.cfg", text.as_bytes()));
    assert_eq!(config.global.external_checks, ExternalChecks::WithEnvironment);
    let CheckKind::External(check) = &config.proxies[0].check else { panic!() };
    assert_eq!((check.command.as_str(), check.path.as_str()), ("/bin/true", "/bin"));
    assert!(matches!(config.proxies[1].check, CheckKind::Script(_)), "the last option counts");
}

#[test]
fn what_is_missing() {
    let all = "option external-check\n external-check command /bin/true";
    for (global, lines, expected) in [
        ("insecure-fork-wanted", all, "'b': 'option external-check' takes 'external-check' in 'global'"),
        ("external-check", all, "'b': 'option external-check' will likely fail without 'insecure-fork-wanted' in 'global'"),
        ("external-check\n insecure-fork-wanted", "option external-check", "'b': 'option external-check' takes 'external-check command'"),
        (
            "external-check\n insecure-fork-wanted",
            "external-check command /bin/true",
            "'external-check command' will be ignored for backend 'b' (requires 'option external-check')",
        ),
        ("external-check foo", "server t 127.0.0.1:1", "'external-check' does not take 'foo'"),
        ("external-check", "external-check command /bin/true x", "unexpected 'x' behind 'external-check command'"),
    ] {
        let said = told(&format!("global\n {global}\n{REST}backend b\n {lines}\n server s 127.0.0.1:1 check\n"));
        assert!(said.iter().any(|line| line.contains(expected)), "{global} {lines}: {said:?}");
    }
}
