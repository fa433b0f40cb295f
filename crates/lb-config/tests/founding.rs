//! The founding configurations whole, as they stand in the tutorials that the project started from (haproxy 1.4 to 1.6): old
//! spellings give one warning each, nothing else is wrong, and what is not there yet is refused by name.

use lb_config::{Severity, Source, parse, render, upgrade};
use std::process::Command;

macro_rules! founding {
    ($name:literal) => {
        ($name, include_str!(concat!("founding/", $name)))
    };
}

/// Name and text; lines with a warning for an old spelling; whether haproxy 2.6 takes the upgraded file.
const FILES: &[((&str, &str), &[u32], bool)] = &[
    (founding!("t0-transparent-bridge.cfg"), &[2], true),
    // `appsession` has no exact word today.
    (founding!("t1-stats-socket.cfg"), &[], false),
    (founding!("t2-haproxy.cfg"), &[], true),
    (founding!("t3-basic.cfg"), &[], true),
    (founding!("t3-checked.cfg"), &[7], true),
    (founding!("t3-keywords.cfg"), &[8, 21, 22, 23, 52, 87], true),
    (founding!("t4-haproxy.cfg"), &[28, 40], true),
];

fn is_old(message: &str) -> bool {
    ["is an old", "on a line of its own today", "is already there on line"].iter().any(|text| message.contains(text))
}

#[test]
fn old_spellings_are_told_and_the_rest_is_good_or_not_there_yet() {
    for ((name, text), old, _) in FILES {
        let (_, diagnostics) = parse(&Source::new().file(*name, text.as_bytes()));
        let wrong: Vec<_> = diagnostics
            .iter()
            .filter(|one| one.severity == Severity::Error && !one.message.contains("not there yet in this version"))
            .cloned()
            .collect();
        assert!(wrong.is_empty(), "{name}\n{}", render(&wrong));
        let lines: Vec<u32> = diagnostics.iter().filter(|one| is_old(&one.message)).map(|one| one.span.line).collect();
        assert_eq!(lines, *old, "{name}\n{}", render(&diagnostics));
    }
}

#[test]
fn the_upgraded_files_mean_the_same() {
    let mean = |text: &[u8]| parse(&Source::new().file("x", text)).0.without_places();
    for ((name, text), old, _) in FILES {
        let new = upgrade(text.as_bytes());
        assert_eq!(mean(text.as_bytes()), mean(&new.text), "{name}");
        assert_eq!(old.is_empty(), new.text == text.as_bytes() || *name == "t1-stats-socket.cfg", "{name}");
        let (_, diagnostics) = parse(&Source::new().file(*name, &new.text));
        assert!(!diagnostics.iter().any(|one| is_old(&one.message)), "{name}\n{}", render(&diagnostics));
    }
}

#[test]
fn haproxy_takes_the_upgraded_files() {
    let version = Command::new("haproxy").arg("-v").output();
    if !version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("version 2.6.")) {
        eprintln!("haproxy 2.6 is not installed: what it would say is not looked at");
        return;
    }
    let directory = std::env::temp_dir().join(format!("lb-config-founding-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory for the files");
    for ((name, text), _, taken) in FILES {
        let path = directory.join(name);
        std::fs::write(&path, upgrade(text.as_bytes()).text).expect("write");
        let output = Command::new("haproxy").args(["-c", "-f"]).arg(&path).output().expect("haproxy runs");
        assert_eq!(output.status.success(), *taken, "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    std::fs::remove_dir_all(&directory).expect("remove");
}
