//! What `show stat` and `show info` tell: rows of values made from counters and state ([`rows`], [`info`]), written as CSV, typed
//! lines or JSON. Nothing here changes anything.

mod columns;
mod info;
pub(crate) mod rates;
pub(crate) mod rows;

pub(crate) use info::{Facts, Item, ThreadInfo, info};
pub(crate) use rates::{Rates, SECOND};
pub(crate) use rows::{Scope, address, parts, row, tell_servers};

use columns::{COLUMNS, FIXED};
use std::fmt::Write as _;

/// A value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    Int(i64),
    Str(String),
}

impl From<u64> for Value {
    fn from(n: u64) -> Value {
        Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value {
    fn from(n: u32) -> Value {
        Value::Int(n.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Str(text.to_owned())
    }
}

/// What a row is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Frontend,
    Backend,
    Server,
}

impl Kind {
    /// The number in the column `type`.
    fn number(self) -> u32 {
        match self {
            Kind::Frontend => 0,
            Kind::Backend => 1,
            Kind::Server => 2,
        }
    }

    fn letter(self) -> char {
        match self {
            Kind::Frontend => 'F',
            Kind::Backend => 'B',
            Kind::Server => 'S',
        }
    }

    fn word(self) -> &'static str {
        match self {
            Kind::Frontend => "Frontend",
            Kind::Backend => "Backend",
            Kind::Server => "Server",
        }
    }
}

/// One line of statistics.
pub(crate) struct Row {
    kind: Kind,
    proxy: u32,
    id: u32,
    values: Vec<Option<Value>>,
}

impl Row {
    fn new(kind: Kind, proxy: u32, id: u32) -> Row {
        Row { kind, proxy, id, values: vec![None; COLUMNS.len()] }
    }

    fn set(&mut self, column: usize, value: impl Into<Value>) {
        self.values[column] = Some(value.into());
    }

    /// The cells that have a value: column, tags, type, value.
    fn cells(&self) -> impl Iterator<Item = (usize, &'static str, &'static str, &Value)> {
        self.values.iter().enumerate().filter_map(|(n, value)| {
            let value = value.as_ref()?;
            Some((n, self.tags(n), COLUMNS[n].kind, value))
        })
    }

    /// As a column's, but for what a backend has of its servers.
    fn tags(&self, column: usize) -> &'static str {
        use columns::at::{ACT, BCK, RATE, RATE_MAX};
        if self.kind == Kind::Backend && [ACT, BCK, RATE, RATE_MAX].contains(&column) { "MGP" } else { COLUMNS[column].tags }
    }
}

/// How statistics are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    /// CSV for `show stat`, names and values for `show info`.
    Plain,
    Typed,
    Json,
}

/// The names of the columns.
pub(crate) fn header(out: &mut String) {
    out.push_str("# ");
    for (n, column) in COLUMNS.iter().enumerate() {
        if n == FIXED {
            out.push_str("-,");
        }
        out.push_str(column.name);
        out.push(',');
    }
    out.push('\n');
}

/// Appends a row.
pub(crate) fn write_row(out: &mut String, row: &Row, format: Format) {
    match format {
        Format::Plain => {
            for (n, value) in row.values.iter().enumerate() {
                if n == FIXED {
                    out.push_str("-,");
                }
                match value {
                    Some(Value::Int(n)) => drop(write!(out, "{n}")),
                    Some(Value::Str(text)) => push_csv(out, text),
                    None => {}
                }
                out.push(',');
            }
            out.push('\n');
        }
        Format::Typed => {
            for (n, tags, kind, value) in row.cells() {
                let _ = write!(out, "{}.{}.{}.{n}.{}.1:{tags}:{kind}:", row.kind.letter(), row.proxy, row.id, COLUMNS[n].name);
                push_value(out, value);
                out.push('\n');
            }
        }
        Format::Json => {
            out.push('[');
            for (at, (n, tags, kind, value)) in row.cells().enumerate() {
                let comma = if at == 0 { "" } else { "," };
                let _ = write!(
                    out,
                    "{comma}{{\"objType\":\"{}\",\"proxyId\":{},\"id\":{},\"field\":{{\"pos\":{n},\"name\":\"{}\"}},",
                    row.kind.word(),
                    row.proxy,
                    row.id,
                    COLUMNS[n].name
                );
                push_json(out, tags, kind, value);
            }
            out.push(']');
        }
    }
}

/// Appends one item of `show info`, number `n` in its list.
pub(crate) fn write_item(out: &mut String, item: &Item, format: Format) {
    let Item { number, name, tags, kind, value } = item;
    match format {
        Format::Plain => {
            let _ = write!(out, "{name}: ");
            push_value(out, value);
            out.push('\n');
        }
        Format::Typed => {
            let _ = write!(out, "{number}.{name}.1:{tags}:{kind}:");
            push_value(out, value);
            out.push('\n');
        }
        Format::Json => {
            let _ = write!(out, "{{\"field\":{{\"pos\":{number},\"name\":\"{name}\"}},");
            push_json(out, tags, kind, value);
        }
    }
}

fn push_value(out: &mut String, value: &Value) {
    match value {
        Value::Int(n) => drop(write!(out, "{n}")),
        Value::Str(text) => out.push_str(text),
    }
}

/// The rest of a JSON object, from the number of the process on.
fn push_json(out: &mut String, tags: &str, kind: &str, value: &Value) {
    let mut tags = tags.chars();
    let (origin, nature, scope) = (origin(tags.next()), nature(tags.next()), scope(tags.next()));
    let _ = write!(
        out,
        "\"processNum\":1,\"tags\":{{\"origin\":\"{origin}\",\"nature\":\"{nature}\",\"scope\":\"{scope}\"}},\"value\":{{\"type\":\"{kind}\",\"value\":"
    );
    match value {
        Value::Int(n) => drop(write!(out, "{n}")),
        Value::Str(text) => push_json_text(out, text),
    }
    out.push_str("}}");
}

fn origin(letter: Option<char>) -> &'static str {
    match letter {
        Some('M') => "Metric",
        Some('S') => "Status",
        Some('K') => "Key",
        Some('C') => "Config",
        _ => "Product",
    }
}

fn nature(letter: Option<char>) -> &'static str {
    match letter {
        Some('A') => "Age",
        Some('a') => "Avg",
        Some('C') => "Counter",
        Some('D') => "Duration",
        Some('G') => "Gauge",
        Some('L') => "Limit",
        Some('M') => "Max",
        Some('m') => "Min",
        Some('N') => "Name",
        Some('R') => "Rate",
        _ => "Output",
    }
}

fn scope(letter: Option<char>) -> &'static str {
    match letter {
        Some('C') => "Cluster",
        Some('S') => "Service",
        _ => "Process",
    }
}

fn push_json_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => drop(write!(out, "\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A field of CSV: in quotes where it could be misread.
fn push_csv(out: &mut String, text: &str) {
    if !text.contains(['"', ',', '\n', '\r']) {
        return out.push_str(text);
    }
    out.push('"');
    // One line is one row, whatever a server said.
    out.push_str(&text.replace('"', "\"\"").replace(['\n', '\r'], " "));
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_in_every_form() {
        let mut row = Row::new(Kind::Backend, 4, 0);
        row.set(columns::at::PXNAME, "be");
        row.set(columns::at::ACT, 2u32);
        row.set(columns::at::LAST_CHK, "a \"b\", c");
        row.values[columns::at::LASTSESS] = Some(Value::Int(-1));
        let write = |format| {
            let mut out = String::new();
            write_row(&mut out, &row, format);
            out
        };
        let csv = write(Format::Plain);
        assert!(csv.starts_with("be,,,,,,,,,,,,,,,,,,,2,,") && csv.contains(",-1,\"a \"\"b\"\", c\",") && csv.ends_with(",\n"), "{csv}");
        let mut names = String::new();
        header(&mut names);
        assert_eq!(names.matches(',').count(), 128);
        assert_eq!(csv.matches(',').count(), 128 + 1, "as many as there are columns, and one in a text");
        assert_eq!(
            write(Format::Typed),
            "B.4.0.0.pxname.1:KNS:str:be\nB.4.0.19.act.1:MGP:u32:2\nB.4.0.55.lastsess.1:MAP:s32:-1\nB.4.0.56.last_chk.1:MOP:str:a \"b\", c\n"
        );
        let json = write(Format::Json);
        assert!(
            json.starts_with(
                "[{\"objType\":\"Backend\",\"proxyId\":4,\"id\":0,\"field\":{\"pos\":0,\"name\":\"pxname\"},\"processNum\":1,\
                 \"tags\":{\"origin\":\"Key\",\"nature\":\"Name\",\"scope\":\"Service\"},\"value\":{\"type\":\"str\",\"value\":\"be\"}},"
            ),
            "{json}"
        );
        assert!(json.ends_with("\"value\":\"a \\\"b\\\", c\"}}]"), "{json}");
    }
}
