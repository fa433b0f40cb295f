//! Converters beside the installed haproxy: values of the expressions in `parity/converters.txt`, messages of those in
//! `parity/refused.txt`; and beside what a newer one gave, `parity/newer.txt`.
//!
//! Needs `haproxy` in the path (`cargo xtask test` installs it); loopback and a temporary directory only.

mod support;

use lb_testkit::ports::free_tcp;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lb_expr::acl::Sets;
use lb_expr::sample::{Compiler, Expr, Registry};
use lb_expr::{LogFormat, Purpose};
use support::{Names, request};

const CONVERTERS: &str = include_str!("parity/converters.txt");
const REFUSED: &str = include_str!("parity/refused.txt");
const NEWER: &str = include_str!("parity/newer.txt");

/// Where the public keys of the table are.
fn keys() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/parity/keys")
}

fn lines(table: &str) -> Vec<String> {
    let keys = keys().display().to_string();
    table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| line.replace("@keys@", &keys)).collect()
}

fn names() -> Names {
    let mut names = Names::default();
    for entry in std::fs::read_dir(keys()).expect("a directory") {
        let path = entry.expect("a file").path();
        names.files.insert(path.display().to_string(), std::fs::read(&path).expect("reads"));
    }
    names
}

/// What a format with the expression gives here.
fn ours(expression: &str) -> Result<Vec<u8>, String> {
    let registry = Registry::standard();
    let mut names = names();
    let mut compiler = Compiler { registry: &registry, loader: &mut names, sets: &Sets::new() };
    let format = LogFormat::compile_with(&format!("<%[{expression}]>"), Purpose::Http, &mut compiler).map_err(|e| e.message)?;
    let mut out = Vec::new();
    format.write(&request("GET /", &[]), 65_536, &mut out);
    Ok(out)
}

/// Why an expression does not load here.
fn compile(expression: &str) -> Result<Expr, String> {
    let registry = Registry::standard();
    let mut names = names();
    let mut compiler = Compiler { registry: &registry, loader: &mut names, sets: &Sets::new() };
    Expr::parse(&[expression], &mut 0, &mut compiler).map_err(|e| e.message)
}

struct Haproxy {
    child: Child,
    dir: PathBuf,
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn directory(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("lb-expr-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir(&dir).expect("a directory of our own");
    dir
}

/// In single quotes, where the configuration leaves everything as it is.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn start(expressions: &[String]) -> (Haproxy, u16) {
    let dir = directory("converters");
    let port = free_tcp();
    let mut config = format!(
        "global\n nbthread 1\ndefaults\n mode http\n timeout client 60s\n timeout server 5s\n timeout connect 5s\nfrontend f\n bind 127.0.0.1:{port}\n"
    );
    for (n, expression) in expressions.iter().enumerate() {
        let format = quoted(&format!("<%[{expression}]>"));
        config.push_str(&format!(" http-request return status 200 content-type text/plain lf-string {format} if {{ path /{n} }}\n"));
    }
    let file = dir.join("haproxy.cfg");
    std::fs::write(&file, config).expect("writes");
    let child = Command::new("haproxy").args(["-db", "-f"]).arg(&file).env("TZ", "UTC").stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    (Haproxy { child: child.expect("haproxy is installed: cargo xtask test sets it up"), dir }, port)
}

fn connect(port: u16) -> TcpStream {
    for _ in 0..600 {
        if let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
            return stream;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("haproxy does not listen: one of the expressions does not load there");
}

/// The body of the answer.
fn ask(stream: &mut TcpStream, n: usize) -> Vec<u8> {
    stream.write_all(format!("GET /{n} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).expect("sends");
    let (mut seen, mut buffer) = (Vec::new(), [0; 65_536]);
    loop {
        let read = stream.read(&mut buffer).expect("an answer");
        assert_ne!(read, 0, "expression {n}: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..read]);
        let Some(head) = seen.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&seen[..head]).to_ascii_lowercase();
        let len: usize = text.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length").parse().expect("a number");
        if seen.len() >= head + 4 + len {
            return seen.split_off(head + 4);
        }
    }
}

#[test]
fn values() {
    let expressions: Vec<(String, Option<String>)> = lines(CONVERTERS)
        .into_iter()
        .map(|line| match line.split_once(" #! ") {
            Some((expression, why)) => (expression.to_owned(), Some(why.to_owned())),
            None => (line, None),
        })
        .collect();
    assert!(expressions.len() >= 300);
    let (_haproxy, port) = start(&expressions.iter().map(|(expression, _)| expression.clone()).collect::<Vec<_>>());
    let mut stream = connect(port);
    let mut differ = Vec::new();
    for (n, (expression, why)) in expressions.iter().enumerate() {
        let theirs = ask(&mut stream, n);
        let ours = ours(expression).unwrap_or_else(|e| e.into_bytes());
        if (ours == theirs) == why.is_some() {
            differ.push(format!("{expression}\n  ours    {}\n  haproxy {}", ours.escape_ascii(), theirs.escape_ascii()));
        }
    }
    assert!(differ.is_empty(), "{} of {}:\n{}", differ.len(), expressions.len(), differ.join("\n"));
}

/// As many lines as haproxy complains of before it gives up.
const ERRORS: usize = 50;

/// What haproxy says of each expression.
fn complaints(expressions: &[String]) -> Vec<String> {
    let dir = directory("refused");
    let mut said = Vec::new();
    for chunk in expressions.chunks(ERRORS - 1) {
        let mut config = "defaults\n mode http\nfrontend f\n bind 127.0.0.1:1\nbackend be\n".to_owned();
        let first = config.lines().count() + 1;
        for (n, line) in chunk.iter().enumerate() {
            config.push_str(&format!(" acl a{n} {} -m found\n", quoted(line.trim_start_matches('~'))));
        }
        std::fs::write(dir.join("haproxy.cfg"), config).expect("writes");
        let output = Command::new("haproxy").args(["-c", "-f"]).arg(dir.join("haproxy.cfg")).output();
        let output = String::from_utf8_lossy(&output.expect("haproxy is installed: cargo xtask test sets it up").stderr).into_owned();
        said.extend((0..chunk.len()).map(|n| {
            let place = format!("haproxy.cfg:{}]", first + n);
            output.lines().find(|line| line.contains(&place)).unwrap_or("loads").to_owned()
        }));
    }
    let _ = std::fs::remove_dir_all(&dir);
    said
}

#[test]
fn messages() {
    let expressions = lines(REFUSED);
    let mut differ = Vec::new();
    for (line, theirs) in expressions.iter().zip(complaints(&expressions)) {
        let (other_words, expression) = line.strip_prefix('~').map_or((false, line.as_str()), |rest| (true, rest));
        match compile(expression) {
            Err(ours) if other_words || theirs.contains(&ours) => {}
            ours => differ.push(format!("{expression}\n  ours    {}\n  haproxy {theirs}", ours.err().unwrap_or_else(|| "loads".into()))),
        }
    }
    assert!(differ.is_empty(), "{} of {}:\n{}", differ.len(), expressions.len(), differ.join("\n"));
}

#[test]
fn newer() {
    let mut differ = Vec::new();
    for line in lines(NEWER) {
        let (expression, value) = line.split_once(" => ").expect("an expression and its value");
        let ours = ours(expression).map_or_else(|e| e, |ours| ours.escape_ascii().to_string());
        if ours != format!("<{value}>") {
            differ.push(format!("{expression}\n  ours    {ours}\n  haproxy <{value}>"));
        }
    }
    assert!(differ.is_empty(), "{}:\n{}", differ.len(), differ.join("\n"));
}

/// What does not fit in haproxy's buffers, which `req.hdr(x)` brings as far as they go: lengths that haproxy 2.6.12 gave for values of
/// 8,190, 8,192 and 12,287 times the same byte. `None`: absent.
#[test]
fn too_long() {
    for (call, byte, lengths) in [
        ("hex", "a", [Some(16_380), Some(16_384), Some(16_384)]),
        ("base64", "a", [Some(10_920), Some(10_924), None]),
        ("ub64enc", "a", [Some(10_920), Some(10_923), None]),
        ("url_enc", "a", [Some(8_190), Some(8_192), Some(12_287)]),
        ("url_enc", "!", [Some(16_380), Some(16_380), Some(16_380)]),
        ("json", "/", [Some(16_380), Some(16_384), None]),
        ("regsub(a,bb,g)", "a", [Some(16_380), Some(16_384), Some(16_384)]),
        ("be2hex(:,1)", "a", [Some(16_382), Some(16_382), Some(16_382)]),
        ("be2dec(:,1)", "a", [Some(16_382), Some(16_382), Some(16_382)]),
        ("concat(a,,b)", "a", [Some(8_192), Some(8_194), Some(12_289)]),
    ] {
        for (len, wanted) in [8_190, 8_192, 12_287].into_iter().zip(lengths) {
            let length = support::text(&format!("req.hdr(x),{call},length"), &request("GET /", &[("x", &byte.repeat(len))]));
            assert_eq!(length, wanted.map(|n: usize| n.to_string()), "{call} of {len} times {byte}");
        }
    }
}
