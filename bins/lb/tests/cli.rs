//! The command line: versions, checks of files, errors all in one go, listeners that cannot be had.

mod common;

use common::{is_other, program, start};
use lb_testkit::fixture::TempDir;
use lb_testkit::http::get;
use lb_testkit::process::run;
use std::net::TcpListener;

/// Checks a file with `-c` and more; gives the exit code and all that was written.
fn check(config: &str, more: &[&str]) -> (Option<i32>, String) {
    let dir = TempDir::new("cli").unwrap();
    let file = dir.write("test.cfg", config).unwrap();
    let mut args = vec!["-c", "-f", file.to_str().unwrap()];
    args.extend(more);
    let (status, out, err) = run(&program(), &args).unwrap();
    (status.unwrap().code(), out + &err)
}

const GOOD: &str = "\
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend fe
    bind 127.0.0.1:18080
    default_backend be
backend be
    server s1 127.0.0.1:18081
";

#[test]
fn version() {
    let (status, out, _) = run(&program(), &["-v"]).unwrap();
    assert!(status.unwrap().success());
    assert!(out.to_lowercase().contains("version"), "{out}");
    let (status, long, _) = run(&program(), &["-vv"]).unwrap();
    assert!(status.unwrap().success());
    assert!(long.len() > out.len(), "-vv says more than -v");
    if !is_other() {
        assert!(out.contains(env!("CARGO_PKG_VERSION")), "{out}");
    }
}

#[test]
fn a_good_file() {
    let (code, text) = check(GOOD, &["-V"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("Configuration file is valid"), "{text}");
    let (code, text) = check(GOOD, &["-q"]);
    assert_eq!((code, text.as_str()), (Some(0), ""));
}

#[test]
fn no_last_newline_and_crlf_are_read() {
    if !is_other() {
        assert_eq!(check(GOOD.trim_end(), &[]).0, Some(0));
    }
    assert_eq!(check(&GOOD.replace('\n', "\r\n"), &[]).0, Some(0));
    assert_eq!(check(&format!("# grüße \u{1F600}\n{GOOD}"), &[]).0, Some(0));
}

#[test]
fn all_errors_in_one_go() {
    let config = GOOD
        .replace("timeout client 1s", "timeout cleint 1s")
        .replace("default_backend be", "default_backend nowhere\n    mod http")
        .replace("server s1 127.0.0.1:18081", "server s1 127.0.0.1:99999 chekc");
    let (code, text) = check(&config, &[]);
    assert_eq!(code, Some(1), "{text}");
    for line in [":4", ":9", ":11"] {
        assert!(text.contains(line), "an error for line {line} is missing:\n{text}");
    }
    if !is_other() {
        assert!(text.contains("cleint") && text.contains("client"), "no suggestion:\n{text}");
        assert!(text.contains("nowhere"), "{text}");
    }
}

#[test]
fn hostile_files_end_with_an_error_or_are_read() {
    let long = format!("{GOOD}    # {}\n", "x".repeat(1_000_000));
    for (name, config) in [
        ("unknown brace", GOOD.replace("mode http", "mode {http").as_str()),
        ("NUL", GOOD.replace("mode http", "mode ht\0tp").as_str()),
        ("missing argument", GOOD.replace("timeout connect 1s", "timeout connect").as_str()),
        ("unbalanced quote", GOOD.replace("mode http", "mode \"http").as_str()),
        ("unbalanced variable", GOOD.replace("mode http", "mode \"${HTTP\"").as_str()),
        ("keyword before a section", format!("bind :80\n{GOOD}").as_str()),
    ] {
        let (code, text) = check(config, &[]);
        assert_eq!(code, Some(1), "{name}:\n{text}");
        assert!(!text.contains("panicked"), "{name}:\n{text}");
    }
    let (code, text) = check(&long, &[]);
    assert!(code.is_some() && !text.contains("panicked"), "1 MB line: {code:?}\n{}", &text[..text.len().min(500)]);
    let (code, _) = check("", &[]);
    assert!(code.is_some(), "an empty file");
}

#[test]
fn wrong_arguments() {
    for args in [&["-f"][..], &["--no-such-switch"], &[], &["-c", "-f", "/nonexistent/file.cfg"], &["-f", "/", "-c"]] {
        let (status, out, err) = run(&program(), args).unwrap();
        assert_eq!(status.unwrap().code(), Some(1), "{args:?}");
        assert!(!(out + &err).is_empty(), "{args:?}: silent");
    }
}

#[test]
fn several_files_make_one() {
    let dir = TempDir::new("cli").unwrap();
    let (head, tail) = GOOD.split_at(GOOD.find("backend be\n    server").unwrap());
    let first = dir.write("1.cfg", head).unwrap();
    let second = dir.write("2.cfg", tail).unwrap();
    let (first, second) = (first.to_str().unwrap(), second.to_str().unwrap());
    let (status, _, err) = run(&program(), &["-c", "-f", first, "-f", second]).unwrap();
    assert!(status.unwrap().success(), "{err}");
    let (status, _, err) = run(&program(), &["-c", "--", first, second]).unwrap();
    assert!(status.unwrap().success(), "{err}");
}

#[test]
fn an_address_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let dir = TempDir::new("cli").unwrap();
    let file = dir.write("test.cfg", GOOD.replace("18080", &port.to_string())).unwrap();
    let (status, out, err) = run(&program(), &["-db", "-f", file.to_str().unwrap()]).unwrap();
    assert_eq!(status.unwrap().code(), Some(1));
    assert!((out + &err).contains(&port.to_string()), "the message names the address");
}

#[test]
fn directives_of_the_process_are_accepted_in_the_foreground() {
    let origin = common::serve(common::OK);
    let config = common::PREAMBLE.replace("maxconn 500", "maxconn 500\n    daemon\n    pidfile {dir}/pid\n    nbthread 2")
        + "frontend fe\n    bind 127.0.0.1:{fe}\n    default_backend be\nbackend be\n    server s1 127.0.0.1:{o1}\n";
    let mut lb = start(&config, &[("o1", origin.port())]);
    assert_eq!(get(lb.addr(), "/").unwrap().body, b"hello");
    assert!(lb.alive(), "-db keeps it in the foreground in spite of daemon");
}

/// Output and exit codes of `-c` as haproxy's, on the same files; columns: name, file, code.
#[test]
fn exit_codes_of_a_check() {
    let warned = GOOD.replace("    timeout client 1s\n", "");
    let nothing = "backend b\n    server s1 127.0.0.1:18081\n    timeout connect 1s\n    timeout server 1s\n";
    for (name, config, more, code, said) in [
        ("good", GOOD, &[][..], 0, "Configuration file is valid"),
        ("name of the peer given twice", &format!("global\n    localpeer a\n{GOOD}"), &["-L", "b", "-dW"], 1, "'localpeer'"),
        ("name of the peer", &format!("global\n    localpeer a\n{GOOD}"), &["-dW"], 0, "Configuration file is valid"),
        ("good, warnings fatal", GOOD, &["-dW"], 0, "Configuration file is valid"),
        ("warning", &warned, &[], 0, "Warnings were found.\nConfiguration file is valid"),
        ("warning, warnings fatal", &warned, &["-dW"], 1, "Some warnings were found and 'zero-warning' is set. Aborting."),
        ("warning, quiet", &warned, &["-q"], 0, ""),
        ("no listener", nothing, &[], 2, "Configuration file has no error but will not start (no listener) => exit(2)."),
        ("no listener, quiet", nothing, &["-q"], 2, ""),
        ("error", "frobnicate\n", &[], 1, "Fatal errors found in configuration."),
        ("error, quiet", "frobnicate\n", &["-q"], 1, ""),
        ("error, quiet and verbose", "frobnicate\n", &["-q", "-V"], 1, "Fatal errors found in configuration."),
        ("zero-warning", &format!("global\n    zero-warning\n{warned}"), &[], 1, "'zero-warning' is set"),
        ("diagnostic", &format!(".diag hm\n{GOOD}"), &["-dD", "-dW"], 0, "[DIAG]     ("),
        ("notice", &format!(".notice hm\n{GOOD}"), &["-dW"], 0, "[NOTICE]   ("),
    ] {
        let (found, text) = check(config, more);
        assert_eq!(found, Some(code), "{name}:\n{text}");
        assert!(text.contains(said) && said.is_empty() == text.is_empty(), "{name}:\n{text}");
    }
}

/// What watches haproxy's messages finds them in their form.
#[test]
fn messages_have_haproxys_form() {
    let dir = TempDir::new("cli").unwrap();
    let file = dir.write("test.cfg", GOOD.replace("mode http", "mode htp")).unwrap();
    let file = file.to_str().unwrap();
    let (status, out, err) = run(&program(), &["-c", "-f", file]).unwrap();
    assert_eq!((status.unwrap().code(), out.as_str()), (Some(1), ""), "messages go to standard error");
    let line = err.lines().find(|line| line.contains(&format!("parsing [{file}:2] : "))).unwrap_or_else(|| panic!("{err}"));
    let pid = line.strip_prefix("[ALERT]    (").and_then(|rest| rest.split_once(") : config : parsing ["));
    assert!(pid.is_some_and(|(pid, _)| pid.parse::<u32>().is_ok()), "{line}");
    assert!(err.contains(&format!(" : config : Error(s) found in configuration file : {file}\n")), "{err}");
    if !is_other() {
        assert!(err.contains("\n   |  mode htp\n   |       ^^^\n   = "), "the word is underlined:\n{err}");
    }
}

#[test]
fn check_for_people_and_machines() {
    if is_other() {
        return;
    }
    let config = GOOD.replace("    default_backend be\n", "    default_backend bee\n") + "global\n    noepoll\nbackend unused\n";
    let dir = TempDir::new("cli").unwrap();
    let file = dir.write("test.cfg", config).unwrap();
    let file = file.to_str().unwrap();
    let (status, out, _) = run(&program(), &["check", file]).unwrap();
    assert_eq!(status.unwrap().code(), Some(1), "{out}");
    for said in [":8:21: there is no backend named 'bee'", "[INFO] ", "'noepoll' has no effect", "[DIAG] ", "errors: 1, warnings: "] {
        assert!(out.contains(said), "no {said} in\n{out}");
    }
    assert!(!out.contains("[LINT]"), "{out}");
    let (_, out, _) = run(&program(), &["check", "--lint", "-f", file]).unwrap();
    assert!(out.contains(":13:1: nothing leads to the backend 'unused'\n"), "{out}");
    let (_, out, _) = run(&program(), &["check", "--json", "-f", file]).unwrap();
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    let list = value["diagnostics"].as_array().unwrap();
    let error = list.iter().find(|one| one["severity"] == "error").unwrap();
    assert_eq!((&error["file"], &error["line"], &error["column"], &error["end"]), (&file.into(), &8.into(), &21.into(), &24.into()));
    assert_eq!(error["help"], "did you mean 'be'?");
    assert!(list.iter().any(|one| one["severity"] == "information" && one["line"] == 12));
    assert_eq!((&value["errors"], &value["listens"]), (&1.into(), &true.into()));
    // A machine reads JSON also where there is no file to say anything of.
    let (status, out, _) = run(&program(), &["check", "--json", "-f", "/nonexistent.cfg"]).unwrap();
    assert_eq!(status.unwrap().code(), Some(1));
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["diagnostics"][0]["message"], "Cannot open configuration file /nonexistent.cfg : No such file or directory");
    assert_eq!((&value["errors"], &value["listens"]), (&1.into(), &false.into()));
}

#[test]
fn another_directory() {
    let dir = TempDir::new("cli").unwrap();
    dir.write("test.cfg", GOOD).unwrap();
    let path = dir.path().to_str().unwrap();
    let (status, _, err) = run(&program(), &["-C", path, "-c", "-f", "test.cfg"]).unwrap();
    assert!(status.unwrap().success(), "{err}");
    let (status, _, err) = run(&program(), &["-C", "/nonexistent", "-c", "-f", "test.cfg"]).unwrap();
    assert_eq!(status.unwrap().code(), Some(1));
    assert!(err.contains("/nonexistent"), "{err}");
}

#[test]
fn conditions_of_the_command_line() {
    for (condition, code) in [("1", 0), ("0", 1), ("version_atleast(2.4) && !defined(NO_SUCH_NAME)", 0), ("frobnicate(1)", 2)] {
        let (status, ..) = run(&program(), &["-cc", condition]).unwrap();
        assert_eq!(status.unwrap().code(), Some(code), "{condition}");
    }
}

#[test]
fn the_configuration_and_the_keywords_are_shown() {
    if is_other() {
        return;
    }
    let (code, text) = check(GOOD, &["-dC", "-dKcfg", "-q"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("frontend fe \n\tbind 127.0.0.1:18080 \n") && text.contains("\tserver <name> <addr> weight +1\n"), "{text}");
    let (_, text) = check(GOOD, &["-dC77", "-q"]);
    assert!(!text.contains("fe\n") && text.contains(":18080\n"), "{text}");
}
