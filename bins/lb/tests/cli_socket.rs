//! The run-time socket: who may ask what and how, on real sockets. `LB_BIN=/usr/sbin/haproxy` runs most of it against haproxy, which
//! is where the expected bytes come from.

mod common;

use common::{io, start};
use lb_testkit::runtime::{Runtime, ask, ask_and_close};
use lb_testkit::wait::{Deadline, must};
use std::path::PathBuf;
use std::time::Duration;

/// A proxy with sockets of every level and a backend, and nothing else.
const SITE: &str = "\
global
    stats socket {dir}/admin level admin mode 600
    stats socket {dir}/operator
global
    stats socket {dir}/user level user severity-output number
    stats timeout 5s
    stats maxconn 3
backend be
    timeout connect 1s
    timeout server 1s
    server s1 127.0.0.1:1 weight 7
";

struct Site {
    lb: common::Lb,
}

impl Site {
    fn new() -> Site {
        let lb = start(SITE, &[]);
        let site = Site { lb };
        must("the socket is there", || site.path("user").exists());
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.lb.process.dir().join(name)
    }

    #[track_caller]
    fn ask(&self, commands: &str) -> String {
        io(ask(&self.path("admin"), commands))
    }

    #[track_caller]
    fn talk(&self) -> Runtime {
        io(Runtime::open(&self.path("admin")))
    }
}

const BACKENDS: &str = "# name\nbe\n\n";

/// The variables that haproxy sets for its configuration and its children.
#[test]
fn the_process_sets_its_variables() {
    let site = Site::new();
    assert!(site.ask("show env HAPROXY_CFGFILES").starts_with("HAPROXY_CFGFILES=/"));
    assert!(site.ask("show env HAPROXY_LOCALPEER").len() > "HAPROXY_LOCALPEER=\n\n".len());
}

#[test]
fn one_line_one_answer_and_the_end() {
    let site = Site::new();
    assert_eq!(site.ask("show backend"), BACKENDS);
    assert_eq!(site.ask("  show\tbackend \r"), BACKENDS);
    assert_eq!(site.ask("show backend;show cli level"), format!("{BACKENDS}admin\n\n"));
    assert_eq!(site.ask(r"show back\end"), BACKENDS);
    assert_eq!(site.ask("show backend;quit;show backend"), BACKENDS);
    assert_eq!(site.ask("show backend\nshow backend"), BACKENDS.repeat(2));
    assert_eq!(site.ask("quit"), "");
    // A payload that nobody wants.
    assert_eq!(site.ask("show backend <<\na\nb\n"), BACKENDS);
}

#[test]
fn a_client_that_has_closed_its_side_gets_its_answer_soon() {
    let site = Site::new();
    let times = (0..20).map(|_| {
        let (answer, time) = io(ask_and_close(&site.path("admin"), "show backend;show backend"));
        assert_eq!(answer, BACKENDS.repeat(2));
        time
    });
    // No timer is waited for; the best of many, since a busy machine may be slow at any of them.
    let best = times.min().unwrap();
    assert!(best < Duration::from_millis(200), "{best:?}");
    // A line without its end is no line.
    let mut talk = site.talk();
    io(talk.send(b"show backend"));
    io(talk.finish());
    assert_eq!(io(talk.rest()), "");
}

#[test]
fn a_conversation() {
    let site = Site::new();
    let mut talk = site.talk();
    let mut say = |line: &str| {
        io(talk.send(format!("{line}\n").as_bytes()));
        io(talk.until_prompt())
    };
    assert_eq!(say("prompt"), "\n");
    assert_eq!(say("show backend"), BACKENDS);
    assert_eq!(say("set timeout cli 20"), "\n");
    assert_eq!(say("operator"), "\n");
    assert_eq!(say("show cli level"), "operator\n\n");
    assert_eq!(say("show backend <<\nx\n"), format!("+ + {BACKENDS}"));
    io(talk.send(b"show backend;prompt\n"));
    assert_eq!(io(talk.rest()), format!("{BACKENDS}> \n"));
    let mut talk = site.talk();
    io(talk.send(b"prompt;show backend\nquit\nshow backend\n"));
    assert_eq!(io(talk.rest()), format!("\n> {BACKENDS}> "));
}

#[test]
fn levels() {
    let site = Site::new();
    for (socket, level) in [("admin", "admin"), ("operator", "operator"), ("user", "[6]: user")] {
        assert_eq!(io(ask(&site.path(socket), "show cli level")), format!("{level}\n\n"));
    }
    assert_eq!(io(ask(&site.path("user"), "show env")), "[3]: Permission denied\n\n");
    assert_eq!(io(ask(&site.path("user"), "operator")), "[3]: Permission denied\n\n");
    assert_eq!(site.ask("user;show env;operator"), "\nPermission denied\n\nPermission denied\n\n");
    assert_eq!(site.ask("operator;show env HOME;show cli level"), format!("\nHOME={}\n\noperator\n\n", std::env::var("HOME").unwrap()));
    assert_eq!(site.ask("show env NO_SUCH_VARIABLE"), "Variable not found\n\n");
    let dir = site.lb.process.dir().display().to_string();
    assert_eq!(
        site.ask("show cli sockets"),
        format!("# socket lvl processes\nunix@{dir}/admin admin all\nunix@{dir}/operator operator all\nunix@{dir}/user user all\n\n")
    );
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(site.path("admin")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn severities() {
    let site = Site::new();
    assert_eq!(site.ask("set severity-output number;show cli level;show env NO_SUCH"), "\n[6]: admin\n\n[3]: Variable not found\n\n");
    assert_eq!(site.ask("set severity-output string;show cli level;show env NO_SUCH"), "\n[info]: admin\n\n[err]: Variable not found\n\n");
    assert_eq!(site.ask("set severity-output loud"), "one of 'none', 'number', 'string' is a required argument\n\n");
    assert_eq!(site.ask("set timeout"), "'set timeout' only supports 'cli'.\n\n");
    assert_eq!(site.ask("set timeout cli"), "Expects an integer value.\n\n");
    assert_eq!(site.ask("set timeout cli x"), "Invalid timeout value.\n\n");
}

#[test]
fn unknown_commands() {
    let site = Site::new();
    const NEAR: &str = "Unknown command, but maybe one of the following ones is a better match:\n";
    let text = site.ask("show cli");
    assert!(text.starts_with(NEAR) && text.ends_with("\n\n"), "{text}");
    let names: Vec<&str> = text.lines().skip(1).filter_map(|l| l.split_once(':')).map(|(n, _)| n.trim_end()).collect();
    assert_eq!(names, ["  show cli level", "  show cli sockets", "  help [<command>]", "  prompt", "  quit"]);
    assert!(site.ask("").starts_with("Unknown command. Please enter one of the following commands only:\n"));
    assert!(site.ask("SHOW backend").starts_with(NEAR));
    assert!(site.ask("show backends").contains("  show backend "));
    let help = site.ask("help show cli");
    assert!(help.starts_with("The following commands are valid at this level:\n  show cli level "), "{help}");
    assert!(site.ask("help").contains("  show env "));
}

#[test]
fn bad_input_ends_its_own_connection_alone() {
    let mut site = Site::new();
    let mut spaces = vec![b' '; 16383 - 13];
    spaces.splice(..0, *b"show backend");
    spaces.push(b'\n');
    for (bytes, answered) in [
        (spaces.clone(), true),
        ([&b" "[..], &spaces].concat(), false),
        (vec![b'a'; 16384], false),
        (b"show backend <<\n".iter().copied().chain(vec![b'x'; 16384]).collect(), false),
    ] {
        let mut talk = site.talk();
        // It may be closed while this is still being sent.
        let _ = talk.send(&bytes);
        assert_eq!(io(talk.rest()), if answered { BACKENDS } else { "" }, "{} bytes", bytes.len());
    }
    let binary: Vec<u8> = (0..=255u8).filter(|b| *b != b'\n').collect();
    let mut talk = site.talk();
    io(talk.send(&[&binary[..], b"\n"].concat()));
    assert!(io(talk.rest()).starts_with("Unknown command"));
    assert_eq!(site.ask(&"show backend;".repeat(1000)).matches("# name\nbe\n").count(), 1000);
    assert_eq!(site.ask(&format!("show backend {}", "x ".repeat(200))), BACKENDS);
    assert!(site.lb.alive());
}

#[test]
fn silence_and_readers_that_stop_end_after_the_timeout() {
    let site = Site::new();
    let mut silent = site.talk();
    io(silent.send(b"prompt\nset timeout cli 1\n"));
    assert_eq!(io(silent.rest()), "\n> \n> ");
    let mut deaf = site.talk();
    io(deaf.send(b"prompt\nset timeout cli 1\n"));
    // Answers that fill the kernel's buffers, from a client that does not read them.
    while deaf.send(&b"show env\n".repeat(500)).is_ok() {}
    assert_eq!(site.ask("show backend"), BACKENDS);
}

#[test]
fn no_more_clients_at_once_than_asked_for() {
    let site = Site::new();
    let mut three: Vec<Runtime> = (0..3).map(|_| site.talk()).collect();
    for talk in &mut three {
        io(talk.send(b"prompt\n"));
        assert_eq!(io(talk.until_prompt()), "\n");
    }
    let mut fourth = site.talk();
    io(fourth.send(b"show backend\n"));
    assert!(io(fourth.is_silent(Duration::from_millis(200))), "it has to wait");
    three.pop();
    assert_eq!(io(fourth.rest()), BACKENDS);
}

#[test]
fn socat() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let site = Site::new();
    for command in ["show backend\n", "show backend;quit\n", "show info\n"] {
        let mut socat = Command::new(common::tool("socat"))
            .args(["stdio", &format!("UNIX-CONNECT:{}", site.path("admin").display())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Half closed as soon as it has sent this: for so long and no longer it waits for the answer.
        socat.stdin.take().unwrap().write_all(command.as_bytes()).unwrap();
        let out = socat.wait_with_output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        assert!(out.status.success() && text.ends_with('\n'), "{command}{text}");
        assert!(if command.contains("info") { text.contains("\nVersion: 2.6.12\n") } else { text == BACKENDS }, "{command}{text}");
    }
}

/// hatop on a terminal of its own: it shows the servers, and runs a command that is typed.
#[test]
fn hatop() {
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};
    let site = Site::new();
    let inner = format!("stty rows 40 cols 120; exec {} -i 1 -s {}", common::tool("hatop").display(), site.path("admin").display());
    let mut terminal = Command::new(common::tool("script"))
        .args(["-qec", &inner, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut screen = terminal.stdout.take().unwrap();
    let mut keys = terminal.stdin.take().unwrap();
    let (sender, shown) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(n @ 1..) = screen.read(&mut bytes) {
            if sender.send(bytes[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    let mut all = String::new();
    let mut wait_for = |what: &str| {
        // What it draws comes in pieces, and what has not changed is not drawn again.
        let deadline = Deadline::patient();
        while !all.contains(what) {
            let more = deadline.left().and_then(|left| shown.recv_timeout(left).ok());
            all.push_str(&String::from_utf8_lossy(&more.unwrap_or_else(|| panic!("no '{what}' in {all:?}"))));
        }
    };
    wait_for("HAProxy Version: 2.6.12");
    wait_for("BACKEND");
    // The screen of commands.
    keys.write_all(b"5").unwrap();
    wait_for("Welcome");
    keys.write_all(b"set weight be/s1 3\r").unwrap();
    must("the command has run", || site.ask("get weight be/s1") == "3 (initial 7)\n\n");
    // Its terminal goes away.
    terminal.kill().unwrap();
    terminal.wait().unwrap();
    reader.join().unwrap();
}

/// What a file of nothing but `global` is enough for.
#[test]
fn every_kind_of_socket() {
    use std::io::{Read, Write};
    let port = lb_testkit::ports::free_tcp();
    let name = format!("lb-test-{}-{port}", std::process::id());
    let text = format!(
        "global\n stats socket {{dir}}/admin level admin\n stats socket 127.0.0.1:{port} level user\n stats socket abns@{name} level operator\n \
         stats socket {{dir}}/second,{{dir}}/third level user\n"
    );
    let lb = start(&text, &[]);
    let site = Site { lb };
    must("the sockets are there", || site.path("third").exists());
    for path in ["second", "third"] {
        assert_eq!(io(ask(&site.path(path), "show cli level")), "user\n\n");
    }
    let mut tcp = io(std::net::TcpStream::connect(("127.0.0.1", port)));
    io(tcp.write_all(b"show cli level\n"));
    let mut text = String::new();
    io(tcp.read_to_string(&mut text));
    assert_eq!(text, "user\n\n");
    let list = site.ask("show cli sockets");
    let expected = [format!("\nipv4@127.0.0.1:{port} user all\n"), format!("\nabns@{name} operator all\n")];
    assert!(expected.iter().all(|line| list.contains(line.as_str())), "{list}");
    assert!(site.ask("show stat").lines().count() == 2, "names and nothing else");
    // A socket whose path is taken by another program belongs to that one from then on, and the process serves the others.
    io(std::fs::remove_file(site.path("second")));
    let _other = io(std::os::unix::net::UnixListener::bind(site.path("second")));
    assert_eq!(site.ask("show cli level"), "admin\n\n");
}
