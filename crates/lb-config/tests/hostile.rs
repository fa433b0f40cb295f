//! Files that nobody wrote on purpose: mutated, huge, damaged. Nothing panics, everything is bounded.

// One function for these tests and for the fuzz target.
#[path = "../../lb-testkit/src/cpu.rs"]
mod cpu;
#[path = "../../../fuzz/src/config.rs"]
mod fuzz;

use fuzz::config as any_bytes;
use lb_config::{Severity, Source, indented, parse, render, upgrade};
use std::fmt::Write as _;

/// xorshift64*: the same files on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
    }
}

/// All texts of the comparison with haproxy, as one seed corpus.
fn corpus() -> Vec<Vec<u8>> {
    include_str!("cases/lines.txt")
        .lines()
        .filter_map(|line| line.split('\t').nth(3))
        .map(|text| {
            let text = text.replace("\\n", "\n").replace("\\\\", "\\");
            format!("global\n maxconn 10\ndefaults d\n mode http\n timeout client 5s\nlisten a\n bind :80\n {text}\nbackend b from d\n server s 127.0.0.1:1 check\n")
                .into_bytes()
        })
        .collect()
}

#[test]
fn mutated_files() {
    let corpus = corpus();
    let mut random = Random(0x5eed);
    let tokens: Vec<&[u8]> = vec![
        b"\"",
        b"'",
        b"\\",
        b"${",
        b"}",
        b"#",
        b"\n",
        b"\r\n",
        b"\0",
        b".if ",
        b".endif\n",
        b"\ninclude ",
        b"no ",
        b" from ",
        b"-",
        b"99999999999",
        b"@",
        b":",
        b",",
        b"\xff",
        b"[*]",
    ];
    for round in 0..6_000 {
        let mut data = corpus[random.below(corpus.len())].clone();
        for _ in 0..=random.below(6) {
            if data.is_empty() {
                data.push(b' ');
            }
            let at = random.below(data.len());
            match random.below(6) {
                0 => data[at] = random.below(256) as u8,
                1 => {
                    data.remove(at);
                }
                2 => {
                    let token = tokens[random.below(tokens.len())];
                    data.splice(at..at, token.iter().copied());
                }
                3 => {
                    let other = &corpus[random.below(corpus.len())];
                    let from = random.below(other.len());
                    let to = (from + random.below(40)).min(other.len());
                    data.splice(at..at, other[from..to].iter().copied());
                }
                4 => data.truncate(at.max(1)),
                _ => {
                    let end = (at + random.below(30)).min(data.len());
                    let piece = data[at..end].to_vec();
                    data.splice(at..at, piece);
                }
            }
        }
        let copy = data.clone();
        let outcome = std::panic::catch_unwind(move || any_bytes(&copy));
        assert!(outcome.is_ok(), "round {round}: {:?}", String::from_utf8_lossy(&data));
    }
}

#[test]
fn huge_and_damaged() {
    for data in [
        vec![b'x'; 1 << 20],
        b"listen ".iter().copied().chain(std::iter::repeat_n(b'a', 60_000)).collect(),
        b"\n".repeat(1 << 17),
        b".if 1\n".repeat(20_000),
        b".endif\n".repeat(20_000),
        b"listen a\n frobnicate\n".repeat(5_000),
        b"defaults\n".repeat(20_000),
        b"listen a\n bind :1-65535,:1-65535\n".to_vec(),
        b"listen a\n bind :1-65535\n".to_vec(),
        vec![0; 100_000],
        vec![0xff; 100_000],
        b"listen a\n option \"${".to_vec(),
        b"\xef\xbb\xbfglobal\n maxconn 1\n".to_vec(),
        [b"global\n description ".as_slice(), &vec![b'x'; 1 << 20], b"\n"].concat(),
        [b"global\n description ".as_slice(), &b"x ".repeat(1 << 19), b"\n"].concat(),
        [b".if ".as_slice(), &b"0||".repeat(1 << 18), b"1\n.endif\n"].concat(),
        [b".if ".as_slice(), &b"!(".repeat(1 << 18), b"\n.endif\n"].concat(),
    ] {
        any_bytes(&data);
    }
}

/// Short lines that ask for much, or that are compared with all others: with work that grows with the square of the lines, or with
/// what they ask for, each of these would take minutes or the whole memory.
#[test]
fn what_could_grow_with_the_square() {
    let many = |one: &dyn Fn(usize) -> String| (0..20_000).map(one).collect::<String>();
    for text in [
        format!("defaults\n{}{}", " log 127.0.0.1 local0\n".repeat(20_000), many(&|n| format!("backend b{n}\n"))),
        format!("global\n{}listen a\n{}", " log 127.0.0.1 local0\n".repeat(20_000), " no log\n log global\n".repeat(20_000)),
        many(&|n| format!("defaults d{n}\nfrontend f{n} from x{n}\n")),
        many(&|n| format!("frontend f{n}\n default_backend x{n}\nbackend b{n}\n")),
        format!("listen a\n{}", " bind :1-65535\n".repeat(20_000)),
        format!("listen a\n{}", " server-template s 100000 127.0.0.1:1\n".repeat(20_000)),
        format!("global\n setenv A x\n{}", " setenv A \"$A$A\"\n".repeat(20_000)),
        format!("global\n{}{}", many(&|n| format!(" setenv A{n} x\n")), " resetenv\n".repeat(20_000)),
        format!("listen a\n{}", many(&|n| format!(" server s{n} 127.0.0.1:1 frobnicate{n} guid g{n}\n bind :1 frobnicate\n"))),
        format!("listen a\n{}", " server s 127.0.0.1:1\n".repeat(20_000)),
    ] {
        let (_, diagnostics) = parse(&Source::new().file("x", text.as_bytes()));
        assert!(diagnostics.len() <= lb_config::MAX_DIAGNOSTICS + 1);
    }
}

#[test]
fn a_mark_at_the_start_is_no_word() {
    let (_, diagnostics) = parse(&Source::new().file("x", b"\xef\xbb\xbfglobal\n maxconn 1\n"));
    assert!(diagnostics.iter().all(|diagnostic| diagnostic.severity == Severity::Notice), "{}", render(&diagnostics));
}

/// 100,000 lines; the limit is a hundred times what it takes, and far below what quadratic work would take.
#[test]
fn large_files_are_linear() {
    let mut text = String::from("defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\n");
    for backend in 0..5_000 {
        let _ = writeln!(
            text,
            "frontend f{backend}\n bind 127.0.0.1:{}\n default_backend b{backend}\nbackend b{backend}\n balance leastconn",
            1 + backend
        );
        for server in 0..13 {
            let _ =
                writeln!(text, " server s{server} 10.0.{}.{server}:80 check inter 2s rise 2 fall 3 weight 10 maxconn 100", backend % 250);
        }
        let _ = writeln!(text, " option httpchk GET /\n # a comment");
    }
    let _ = writeln!(text, "backend large");
    for server in 0..10_000 {
        let _ = writeln!(text, " server s{server} 10.{}.{}.1:80", server / 250, server % 250);
    }
    let lines = text.lines().count();
    assert!(lines > 100_000);
    let mut outcome = None;
    let taken = cpu::spent(|| outcome = Some(parse(&Source::new().file("large.cfg", text.as_bytes()))));
    let (config, diagnostics) = outcome.expect("set above");
    assert_eq!(config.proxies.len(), 10_001);
    assert!(diagnostics.is_empty(), "{}", render(&diagnostics));
    assert!(taken < std::time::Duration::from_secs(20), "{lines} lines took {taken:?}");
    eprintln!("{lines} lines in {taken:?}");
}

/// Files that would take for ever if anything in rewriting them were quadratic; the limit is far above what they take.
#[test]
fn rewriting_is_linear() {
    let many = |line: &str, count: usize| line.repeat(count).into_bytes();
    let header = |text: &str, rest: Vec<u8>| [text.as_bytes(), &rest].concat();
    for (name, text) in [
        ("servers of one name", header("backend b\n", many(" server a 127.0.0.1:1\n", 100_000))),
        ("proxies of one name", many("listen a :80\n", 50_000)),
        ("branches", header("backend b\n.if 0\n", many(".elif 0\n server a 127.0.0.1:1\n", 50_000))),
        ("nested", [many(".if 1\n", 90), many("backend b\n server a x\n", 20_000), many(".endif\n", 90)].concat()),
        ("rules", header("listen a\n", many(" http-request deny\n reqadd A:\\ b\n block\n", 30_000))),
        ("a long line", header("listen a\n", many("a \\ \"b\" # ", 100_000))),
        ("a long word", header("listen a\n reqirep ^a:\\ ", many("(a|b)", 100_000))),
        ("comments", many("# a\n", 200_000)),
    ] {
        let taken = cpu::spent(|| {
            let (new, layout) = (upgrade(&text), indented(&text));
            assert!(new.text.len() + layout.len() > text.len(), "{name}");
        });
        assert!(taken < std::time::Duration::from_secs(20), "{name} took {taken:?}");
        eprintln!("{name}: {} bytes in {taken:?}", text.len());
    }
}
