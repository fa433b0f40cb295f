//! Files of haproxy 1.3 to 2.0, as they were written in those years: today's haproxy refuses them, here they start and
//! serve. `lb fmt --upgrade` makes files of them that haproxy takes and that mean the same.

mod common;

use common::{OK, io, is_other, program, serve, start};
use lb_config::{Config, Severity, Source, parse, render, upgrade};
use lb_testkit::fixture::{TempDir, fill};
use lb_testkit::http::Connection;
use lb_testkit::process::run;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

macro_rules! old {
    ($name:literal) => {
        ($name, include_str!(concat!("old/", $name)))
    };
}

/// Files that run as they stand, and how many old words each has: as many warnings.
const RUN: &[(&str, &str, usize)] = &[
    with(old!("1.3-webfarm.cfg"), 8),
    with(old!("1.4-tunnel.cfg"), 10),
    with(old!("1.4-close.cfg"), 3),
    with(old!("1.5-windows.cfg"), 2),
    with(old!("1.6-processes.cfg"), 7),
    with(old!("1.8-twins.cfg"), 4),
    with(old!("2.0-htx.cfg"), 5),
    with(RULES, 10),
];

const fn with((name, text): (&'static str, &'static str), warnings: usize) -> (&'static str, &'static str, usize) {
    (name, text, warnings)
}

/// Rules of those years.
const RULES: (&str, &str) = old!("rules-1.5.cfg");
const LEFT: (&str, &str) = old!("left-1.5.cfg");

/// The file with ports that nobody uses.
fn filled(text: &str) -> String {
    let values = [("log", "1514"), ("fe", "18001"), ("fe2", "18002"), ("o1", "18003"), ("o2", "18004")];
    fill(text, &values.map(|(name, value)| (name.to_owned(), value.to_owned())))
}

/// What the file means, and its warnings.
fn read(name: &str, text: &[u8]) -> (Config, Vec<String>) {
    let (config, diagnostics) = parse(&Source::new().file(name, text));
    assert!(!diagnostics.iter().any(|one| one.severity == Severity::Error), "{}", render(&diagnostics));
    let warnings = diagnostics.into_iter().filter(|one| one.severity == Severity::Warning);
    (config.without_places(), warnings.map(|one| format!("{}: {}", one.span.line, one.message)).collect())
}

/// What Debian's haproxy says to a file: `None` where it is not installed.
fn haproxy(text: &[u8]) -> Option<(bool, String)> {
    let version = Command::new("haproxy").arg("-v").output();
    if !version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("version 2.6.")) {
        eprintln!("haproxy 2.6 is not installed: what it would say is not looked at");
        return None;
    }
    let dir = TempDir::new("old").expect("a directory");
    let file = dir.write("haproxy.cfg", text).expect("a file");
    let output = Command::new("haproxy").args(["-c", "-f"]).arg(file).output().expect("haproxy");
    Some((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
}

#[test]
fn each_old_word_is_told_once() {
    for (name, text, expected) in RUN {
        let (_, warnings) = read(name, filled(text).as_bytes());
        assert_eq!(warnings.len(), *expected, "{name}: {warnings:#?}");
    }
}

#[test]
fn the_upgraded_file_means_the_same_and_is_of_today() {
    for (name, text, _) in RUN {
        let old = filled(text);
        let new = upgrade(old.as_bytes());
        assert_eq!(new.notes, [], "{name}");
        let ((before, _), (after, warnings)) = (read(name, old.as_bytes()), read(name, &new.text));
        assert_eq!(before, after, "{name}");
        assert_eq!(warnings, Vec::<String>::new(), "{name}");
        assert_eq!(upgrade(&new.text).text, new.text, "{name}: the second time changes nothing");
        let comments = |text: &[u8]| -> Vec<String> {
            String::from_utf8_lossy(text).lines().filter_map(|line| line.find('#').map(|at| line[at..].to_owned())).collect()
        };
        assert_eq!(comments(old.as_bytes()), comments(&new.text), "{name}");
        if let Some((taken, said)) = haproxy(old.as_bytes()) {
            assert!(!taken, "{name}: haproxy takes it as it is, so it is not old\n{said}");
        }
        if let Some((taken, said)) = haproxy(&new.text) {
            assert!(taken, "{name}: {said}\n{}", String::from_utf8_lossy(&new.text));
        }
    }
}

#[test]
fn rules_become_rules_of_today() {
    let old = filled(RULES.1);
    let new = upgrade(old.as_bytes());
    assert_eq!(new.notes, []);
    let text = String::from_utf8(new.text).expect("text");
    for line in [
        "    bind 127.0.0.1:18001\n",
        "    http-request deny if { path_beg /admin } !internal\n",
        "    http-request del-header X-Forwarded-For\n",
        "    http-request replace-header Host (?i)^www.(.*) \\1      # without www\n",
        "    http-request replace-uri ^/static/(.*) /files/\\1\n",
        "    http-request add-header X-Forwarded-Proto https if secure\n",
        "    http-request add-header X-Load 100%%\n",
        "    http-response del-header Server\n",
        "    http-response replace-header Location (?i)^http://(.*) https://\\1 if secure\n",
        "    http-response add-header Strict-Transport-Security max-age=31536000;\\ includeSubDomains if secure\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    if let Some((taken, said)) = haproxy(text.as_bytes()) {
        assert!(taken, "{said}\n{text}");
    }
}

#[test]
fn what_cannot_be_said_today_stays_and_is_told() {
    let old = filled(LEFT.1);
    let new = upgrade(old.as_bytes());
    let lines: Vec<&str> = new.notes.iter().map(|note| old.lines().nth(note.line as usize - 1).unwrap_or("").trim()).collect();
    assert_eq!(
        lines.iter().map(|line| line.split(' ').next().unwrap_or("")).collect::<Vec<_>>(),
        ["monitor-net", "reqideny", "rspdel", "appsession", "mode"]
    );
    let text = String::from_utf8(new.text).expect("text");
    assert!(lines.iter().all(|line| text.contains(line)), "{text}");
}

/// Both servers of the file serve what comes to `port`; they have two names even where the file has one.
#[test]
fn old_files_and_their_upgrades_serve() {
    if is_other() {
        return;
    }
    for (name, text, _) in RUN {
        let new = String::from_utf8(upgrade(text.as_bytes()).text).expect("text");
        for text in [text, new.as_str()] {
            let (a, b) = (serve(&OK.replace("hello", "from1")), serve(&OK.replace("hello", "from2")));
            let lb = start(text, &[("o1", a.port()), ("o2", b.port())]);
            let mut bodies: Vec<String> = (0..4).map(|_| served(lb.fe)).collect();
            bodies.sort();
            bodies.dedup();
            let all = if ["1.4-close.cfg", RULES.0].contains(name) { 1 } else { 2 };
            assert_eq!(bodies.len(), all, "{name}: {bodies:?}\n{text}");
            if text.contains("{fe2}") {
                served(lb.fe2);
            }
        }
    }
}

#[track_caller]
fn served(port: u16) -> String {
    let mut connection = io(Connection::open(("127.0.0.1", port)));
    let answer = io(connection.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    assert_eq!(answer.status, 200);
    String::from_utf8_lossy(&answer.body).into_owned()
}

fn fmt(args: &[&str], file: &Path) -> (Option<i32>, String, String) {
    let (status, out, err) = run(&program(), &[&["fmt"], args, &[file.to_str().expect("UTF-8")]].concat()).expect("the program");
    (status.and_then(|status| status.code()), out, err)
}

#[test]
fn the_command() {
    if is_other() {
        return;
    }
    let dir = TempDir::new("fmt").expect("a directory");
    let old = "# mine\nlisten a :18001\n\tcontimeout 5s\n\tmonitor-net 10.0.0.0/8";
    let new = "# mine\nlisten a\n\tbind :18001\n\ttimeout connect 5s\n\tmonitor-net 10.0.0.0/8\n";
    let file = dir.write("a.cfg", old).expect("a file");
    let (code, out, err) = fmt(&["--upgrade"], &file);
    assert_eq!((code, out.as_str()), (Some(0), new));
    assert!(err.contains("a.cfg:4: left as it is: 'monitor-net' is old: 'http-request return"), "{err}");
    assert_eq!(fmt(&[], &file).1, "# mine\nlisten a :18001\n    contimeout 5s\n    monitor-net 10.0.0.0/8\n");

    // In place: through a link, with the mode kept, and nothing beside it left over.
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).expect("mode");
    let link = dir.path().join("link.cfg");
    std::os::unix::fs::symlink(&file, &link).expect("link");
    assert_eq!(fmt(&["--upgrade", "--in-place"], &link).0, Some(0));
    assert_eq!(std::fs::read_to_string(&file).expect("there"), new);
    assert!(link.is_symlink());
    assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o640);
    assert_eq!(std::fs::read_dir(dir.path()).expect("there").count(), 2);

    // A text that would mean something else is not put in the place of a file: 'forceclose' once was a mode of its own.
    let both = "listen a\n bind :18001\n option forceclose\n no option httpclose\n";
    let file = dir.write("b.cfg", both).expect("a file");
    let (code, _, err) = fmt(&["--upgrade", "-i"], &file);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("means something else"), "{err}");
    assert_eq!(std::fs::read_to_string(&file).expect("there"), both);
    assert_eq!(fmt(&["--upgrade"], &dir.path().join("none.cfg")).0, Some(1));
}
