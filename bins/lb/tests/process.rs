//! The process itself: one, with as many threads as asked for, and silent when told so.
#![allow(clippy::disallowed_methods)] // How soon it listens is about time.

mod common;

use common::program;
use common::{OK, PREAMBLE, start, start_with};
use lb_testkit::fixture::TempDir;
use lb_testkit::http::get;
use lb_testkit::ports::free_tcp;
use lb_testkit::process::Process;
use lb_testkit::wait::must;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SITE: &str = "frontend fe\n    bind 127.0.0.1:{fe}\n    default_backend be\nbackend be\n    server s1 127.0.0.1:{o1}\n";

fn entries(path: &str) -> usize {
    std::fs::read_dir(path).map_or(0, Iterator::count)
}

#[test]
fn threads_as_asked_for() {
    let origin = common::serve(OK);
    let cores = std::thread::available_parallelism().unwrap().get();
    for (line, threads) in [("nbthread 1", 1), ("nbthread 3", 3), ("", cores)] {
        let lb = start(&(PREAMBLE.replace("maxconn 500", &format!("maxconn 500\n    {line}")) + SITE), &[("o1", origin.port())]);
        let tasks = format!("/proc/{}/task", lb.process.pid());
        must(&format!("{line:?}: {threads} threads"), || entries(&tasks) == threads);
        assert_eq!(get(lb.addr(), "/").unwrap().status, 200);
        // In the foreground it is one process, and the one that was started.
        let children = std::fs::read_to_string(format!("{tasks}/{}/children", lb.process.pid())).unwrap_or_default();
        assert_eq!(children, "");
    }
}

/// In the foreground it listens at once. The measure is the same program that only says its version, the best of several runs of each:
/// a slow or busy machine is slow for both.
#[test]
fn listens_within_tens_of_milliseconds() {
    let best = |run: &dyn Fn() -> Duration| (0..7).map(|_| run()).min().unwrap();
    let version = best(&|| {
        let begun = Instant::now();
        assert!(Command::new(program()).arg("-v").stdout(Stdio::null()).status().unwrap().success());
        begun.elapsed()
    });
    for arg in ["-db", "-d"] {
        let listening = best(&|| {
            let (dir, port) = (TempDir::new("quick").unwrap(), free_tcp());
            let site = SITE.replace("{fe}", &port.to_string()).replace("{o1}", "9");
            let file = dir.write("lb.cfg", PREAMBLE.replace("{log}", "9") + &site).unwrap();
            let mut command = Command::new(program());
            command.arg(arg).arg("-f").arg(file);
            let begun = Instant::now();
            let process = Process::spawn_command(dir, command).unwrap();
            must("it listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
            let took = begun.elapsed();
            drop(process);
            took
        });
        assert!(listening < version * 10 + Duration::from_millis(100), "{arg}: {listening:?} to listen, {version:?} to say the version");
    }
}

#[test]
fn quiet_and_verbose() {
    // A proxy without timeouts is worth a warning.
    let text = "global\n    LINE\nlisten fe\n    mode tcp\n    bind 127.0.0.1:{fe}\n    server s1 127.0.0.1:9\n";
    for (line, args, silent) in [
        ("nbthread 1", &[][..], false),
        ("nbthread 1", &["-q"], true),
        ("quiet", &[], true),
        ("quiet", &["-V"], false),
        ("nbthread 1", &["-d"], false),
    ] {
        let lb = start_with(args, None, &text.replace("LINE", line), &[]);
        let out = lb.process.output();
        assert_eq!(out.is_empty(), silent, "{line}, {args:?}: {out}");
        assert!(silent || out.contains("timeout"), "{out}");
    }
}
