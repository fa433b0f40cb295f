//! What is different in every run gets a name: ports, directories, dates, pids; timers are taken out of log lines and compared
//! with a tolerance.

use crate::proxyproto::describe_v2;
use std::path::Path;

/// Names for the ports and the directory of one run.
#[derive(Debug, Default)]
pub struct Names {
    texts: Vec<(String, String)>,
    ports: Vec<(String, String)>,
}

impl Names {
    /// Names a port.
    pub fn port(&mut self, port: u16, name: &str) {
        if port != 0 {
            self.ports.push((port.to_string(), format!("<{name}>")));
        }
    }

    /// Names the run's directory.
    pub fn dir(&mut self, dir: &Path) {
        self.texts.push((dir.display().to_string(), "<dir>".to_owned()));
    }
}

/// Replaces a PROXY v2 header at the start by its description, then all named ports and directories.
pub fn normalise(bytes: &[u8], names: &Names) -> Vec<u8> {
    let mut out = match describe_v2(bytes) {
        Some((text, rest)) => [text.as_bytes(), rest].concat(),
        None => bytes.to_vec(),
    };
    for (text, name) in &names.texts {
        out = replace(&out, text.as_bytes(), name.as_bytes(), false);
    }
    for (port, name) in &names.ports {
        out = replace(&out, port.as_bytes(), name.as_bytes(), true);
    }
    out
}

/// Replaces all `from` by `to`; as a `number`, only where no further digit stands beside it.
fn replace(bytes: &[u8], from: &[u8], to: &[u8], number: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let alone = !number
            || (!at.checked_sub(1).is_some_and(|i| bytes[i].is_ascii_digit()) && !rest.get(from.len()).is_some_and(u8::is_ascii_digit));
        if alone && rest.starts_with(from) {
            out.extend(to);
            at += from.len();
        } else {
            out.push(rest[0]);
            at += 1;
        }
    }
    out
}

/// A log line without what differs between runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// The text with `<date>`, `<pid>` and `<timers>`.
    pub text: String,
    /// The timers in milliseconds, -1 as it stands.
    pub timers: Vec<i64>,
}

/// Takes date, pid and timers out of a syslog datagram.
pub fn parse_log(line: &[u8]) -> LogLine {
    let line = String::from_utf8_lossy(line);
    let line = line.strip_suffix('\n').map_or_else(|| format!("{line}<no LF>"), str::to_owned);
    let mut text = line.as_str();
    let mut out = String::new();
    // "<134>Nov 21 04:00:00 tag[pid]: "
    if let Some((pri, rest)) = text.split_once('>')
        && rest.is_char_boundary(15)
        && rest.as_bytes()[..rest.len().min(15)].iter().filter(|&&b| b == b':').count() == 2
        && let Some((tag, message)) = rest[15..].split_once(": ")
    {
        let tag = match tag.split_once('[') {
            Some((name, pid)) if pid.trim_end_matches(']').bytes().all(|b| b.is_ascii_digit()) => format!("{name}[<pid>]"),
            _ => tag.to_owned(),
        };
        out = format!("{pri}><date>{tag}: ");
        text = message;
    }
    let text = cut(text, line.len());
    let text = &without_millis(text);
    let mut timers = Vec::new();
    for (i, word) in text.split(' ').enumerate() {
        if i > 0 {
            out.push(' ');
        }
        if timers.is_empty()
            && let Some(found) = parse_timers(word)
        {
            timers = found;
            out.push_str("<timers>");
        } else if is_date(word) {
            out.push_str("[<date>]");
        } else {
            out.push_str(word);
        }
    }
    LogLine { text: out, timers }
}

/// `option httplog clf` shows its date to the second, the milliseconds behind the client's port, and timers with spaces.
fn without_millis(text: &str) -> String {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    if let Some(at) = words.windows(3).position(|w| w[0] == "\"\"" && w[1] == w[0] && w[2].starts_with('<'))
        && words.len() > at + 12
    {
        words[3] = "[<date>".into();
        words[at + 3] = "<ms>".into();
        let timers = words.splice(at + 7..at + 12, [String::new()]).collect::<Vec<_>>().join("/");
        words[at + 7] = timers;
    }
    words.join(" ")
}

/// A line of the greatest length is cut where the digits of pid, ports and timers before it let it end: what repeats at its end is
/// taken as one.
fn cut(text: &str, length: usize) -> &str {
    match text.chars().next_back() {
        Some(last) if length > 1000 => text.trim_end_matches(last),
        _ => text,
    }
}

/// `[21/Nov/2026:03:41:10.123]`, perhaps with what follows it directly.
fn is_date(word: &str) -> bool {
    let digits: Vec<u8> = word
        .bytes()
        .map(|b| {
            if b.is_ascii_digit() {
                b'0'
            } else if b.is_ascii_alphabetic() {
                b'a'
            } else {
                b
            }
        })
        .collect();
    digits == b"[00/aaa/0000:00:00:00.000]"
}

/// The timers of a line are its first word of at least three numbers with slashes between.
fn parse_timers(word: &str) -> Option<Vec<i64>> {
    let found: Option<Vec<i64>> = word.split('/').map(|n| n.parse().ok()).collect();
    found.filter(|list| list.len() >= 3)
}

/// Whether two lists of timers say the same: -1 at the same places, the rest within `slack` milliseconds.
pub fn same_timers(a: &[i64], b: &[i64], slack: i64) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| a == b || (a >= 0 && b >= 0 && (a - b).abs() <= slack))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_named_where_they_stand_alone() {
        let mut names = Names::default();
        names.port(1234, "fe");
        assert_eq!(normalise(b"1234 :1234, 12345 91234", &names), b"<fe> :<fe>, 12345 91234");
    }

    #[test]
    fn a_line_loses_what_differs() {
        let line =
            parse_log(b"<134>Nov 21 04:00:00 parity[17]: 127.0.0.1:<c0> [21/Nov/2026:03:41:10.123] fe be/s1 0/-1/10 55 -- 1/1/0/0/0 0/0\n");
        assert_eq!(line.text, "<134><date> parity[<pid>]: 127.0.0.1:<c0> [<date>] fe be/s1 <timers> 55 -- 1/1/0/0/0 0/0");
        assert_eq!(line.timers, [0, -1, 10]);
        assert!(same_timers(&line.timers, &[5, -1, 12], 10));
        assert!(!same_timers(&line.timers, &[5, 0, 12], 10));
        assert!(!same_timers(&line.timers, &[0, -1], 10));
    }
}
