//! Configurations, and what haproxy 2.6 and this project say of them: single lines in `lines.txt`, whole files in `whole/`.

/// The complete section that a case of form '+' adds a line to.
const LISTEN: &str = "listen a\n mode http\n bind 127.0.0.1:8000\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Ok,
    Warning,
    Error,
}

impl Verdict {
    fn read(word: &str) -> Self {
        match word {
            "ok" => Self::Ok,
            "warning" => Self::Warning,
            "error" => Self::Error,
            other => panic!("no verdict: {other}"),
        }
    }
}

pub struct Case {
    /// What haproxy 2.6 says.
    pub haproxy: Verdict,
    /// What is said here.
    pub here: Verdict,
    /// The file.
    pub text: Vec<u8>,
    /// How it stands in its table, or its name.
    pub source: String,
    /// Why the verdicts differ.
    pub reason: String,
}

/// All of them.
pub fn cases() -> Vec<Case> {
    let lines = include_str!("lines.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(case);
    lines.chain(whole()).collect()
}

/// Files of their own; the first line says `# haproxy: <verdict>  here: <verdict>  because: <reason>`.
fn whole() -> Vec<Case> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/lb-config/tests/cases/whole");
    let files = std::fs::read_dir(directory).expect("the directory of whole files");
    let mut list: Vec<Case> = files
        .map(|entry| {
            let path = entry.expect("entry").path();
            let text = std::fs::read(&path).expect("readable");
            let head = String::from_utf8_lossy(text.split(|byte| *byte == b'\n').next().unwrap_or_default()).into_owned();
            let (_, verdicts) = head.split_once("haproxy: ").expect("a first line with verdicts");
            let (haproxy, rest) = verdicts.split_once("  here: ").expect("two verdicts");
            let (here, reason) = rest.split_once("  because: ").unwrap_or((rest, ""));
            let source = path.file_name().expect("name").to_string_lossy().into_owned();
            Case { haproxy: Verdict::read(haproxy), here: Verdict::read(here), text, source, reason: reason.to_owned() }
        })
        .collect();
    list.sort_by(|a, b| a.source.cmp(&b.source));
    list
}

fn case(line: &str) -> Case {
    let columns: Vec<&str> = line.split('\t').collect();
    let body = unescape(columns.get(3).unwrap_or(&""));
    let text = match columns[2] {
        "+" => [LISTEN.as_bytes(), b" ", &body, b"\n"].concat(),
        "=" => body,
        other => panic!("form {other}"),
    };
    let reason = columns.get(4).unwrap_or(&"").to_string();
    Case {
        haproxy: Verdict::read(columns[0]),
        here: Verdict::read(columns[1]),
        text,
        source: columns.get(3).unwrap_or(&"").to_string(),
        reason,
    }
}

/// `\n`, `\r`, `\t`, `\\`, `\xNN`.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next().expect("escape") {
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'x' => {
                let digits: String = bytes.by_ref().take(2).map(char::from).collect();
                out.push(u8::from_str_radix(&digits, 16).expect("hex"));
            }
            other => out.push(other),
        }
    }
    out
}
