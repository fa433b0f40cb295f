//! Commands about the patterns of ACLs and maps: what there is, what a value finds, changes. Source: management guide 9.3; answers as
//! observed on haproxy 2.6.12.
//!
//! Holds: an answer of any length is made row by row, and nobody waits for it; what was a million entries is dropped in a thread of
//! its own.

use super::command::Command;
use super::{Answer, Cx, Message, Outcome, error};
use lb_config::{CliLevel, Level};
use lb_expr::acl::{Garbage, Gives, Got, Set, SetError};
use lb_expr::sample::Value;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

/// Entries that are looked at while the set is locked.
const BATCH: usize = 256;

/// Entries that are dropped on the spot.
const FEW: usize = 1000;

/// Whether a command is about ACLs or about maps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Acl,
    Map,
}
use Of::{Acl, Map};

impl Of {
    fn word(self) -> &'static str {
        if self == Acl { "ACL" } else { "map" }
    }

    /// Whether a set is one of those.
    fn has(self, set: &Set) -> bool {
        if self == Map { set.has_values() } else { set.uses().iter().any(|used| used.is_acl) }
    }
}

const fn command(name: &'static str, args: &'static str, doc: &'static str, run: fn(&mut Cx<'_>) -> Outcome) -> Command {
    // Haproxy leaves them to everybody, and tools rely on it.
    Command { name, args, doc, level: CliLevel::User, run }
}

pub(super) const COMMANDS: &[Command] = &[
    command("show acl", "[[@<ver>] <acl>]", "all ACLs, or the patterns of one", |cx| show(cx, Acl)),
    command("show map", "[[@<ver>] <map>]", "all maps, or the entries of one", |cx| show(cx, Map)),
    command("get acl", "<acl> <value>", "the patterns that a value matches", |cx| get(cx, Acl)),
    command("get map", "<map> <value>", "the keys and values that a value finds", |cx| get(cx, Map)),
    command("add acl", "[@<ver>] <acl> <pattern>", "adds a pattern", |cx| add(cx, Acl)),
    command("add map", "[@<ver>] <map> <key> <val>", "adds an entry, or those of a payload", |cx| add(cx, Map)),
    command("set map", "<map> [<key>|#<ref>] <value>", "changes the value of entries", set_map),
    command("del acl", "<acl> [<key>|#<ref>]", "removes patterns", |cx| delete(cx, Acl)),
    command("del map", "<map> [<key>|#<ref>]", "removes entries", |cx| delete(cx, Map)),
    command("clear acl", "[@<ver>] <acl>", "removes all patterns", |cx| clear(cx, Acl)),
    command("clear map", "[@<ver>] <map>", "removes all entries", |cx| clear(cx, Map)),
    command("prepare acl", "<acl>", "opens a version that is filled beside the current one", |cx| prepare(cx, Acl)),
    command("prepare map", "<map>", "opens a version that is filled beside the current one", |cx| prepare(cx, Map)),
    command("commit acl", "@<ver> <acl>", "makes a version the current one", |cx| commit(cx, Acl)),
    command("commit map", "@<ver> <map>", "makes a version the current one", |cx| commit(cx, Map)),
];

/// The version that the first argument asks for, and the arguments behind it.
fn version<'a>(cx: &Cx<'a>) -> (Option<u32>, &'a [String]) {
    match cx.args.split_first().and_then(|(first, rest)| Some((first.strip_prefix('@')?, rest))) {
        None => (None, cx.args),
        Some((text, rest)) => {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            // As `strtoul` reads it.
            (Some(if digits == 0 { 0 } else { text[..digits].parse().unwrap_or(u32::MAX) }), rest)
        }
    }
}

fn unknown(of: Of) -> Message {
    error(format!("Unknown {} identifier. Please use #<id> or <file>.\n", of.word()))
}

fn find(cx: &Cx<'_>, of: Of, name: &str) -> Result<Arc<Set>, Message> {
    cx.worker.process.topology.patterns.find(name).filter(|set| of.has(set)).ok_or_else(|| unknown(of))
}

fn arg(args: &[String], n: usize) -> &str {
    args.get(n).map_or("", String::as_str)
}

fn wrong(e: &SetError) -> Message {
    error(match e {
        SetError::Pattern(why) => format!("{why}.\n"),
        e => format!("{e}\n"),
    })
}

fn show(cx: &mut Cx<'_>, of: Of) -> Outcome {
    let (version, args) = version(cx);
    if arg(args, 0).is_empty() {
        let sets = cx.worker.process.topology.patterns.list();
        let mut rows = sets.into_iter().filter(move |(_, set)| of.has(set));
        let mut begun = false;
        return Ok(Answer::Rows(Box::new(move |out| {
            if !std::mem::replace(&mut begun, true) {
                out.push_str("# id (file) description\n");
                return true;
            }
            let Some((id, set)) = rows.next() else { return false };
            describe(out, id, &set);
            true
        })));
    }
    let set = find(cx, of, arg(args, 0))?;
    let mut after = 0;
    let mut batch = Vec::new().into_iter();
    Ok(Answer::Rows(Box::new(move |out| {
        if batch.len() == 0 {
            batch = set.list(version, after, BATCH).into_iter();
        }
        let Some(entry) = batch.next() else { return false };
        after = entry.id;
        let _ = write!(out, "{:#x} {}", entry.id, String::from_utf8_lossy(entry.key()));
        if set.has_values() {
            let _ = write!(out, " {}", String::from_utf8_lossy(entry.value()));
        }
        out.push('\n');
        true
    })))
}

/// One set, as `show acl` lists it.
fn describe(out: &mut String, id: u32, set: &Set) {
    let uses = set.uses();
    let place = |place: &Option<(String, u32)>| match place {
        Some((file, line)) => format!("file '{file}' line {line}"),
        None => "file '' line 0".to_owned(),
    };
    let description = match set.file() {
        Some(file) => {
            let used = |used: &lb_expr::acl::Use| format!("by {} at {}", if used.is_map { "map" } else { "acl" }, place(&used.place));
            let uses: Vec<String> = uses.iter().map(used).collect();
            format!("pattern loaded from file '{file}' used {}", uses.join(", "))
        }
        None => uses.first().map(|used| format!("acl '{}' {}", used.keyword, place(&used.place))).unwrap_or_default(),
    };
    let (current, next) = set.versions();
    let (file, count) = (set.file().unwrap_or_default(), set.pattern_count());
    let _ = writeln!(out, "{id} ({file}) {description}. curr_ver={current} next_ver={next} entry_cnt={count}");
}

fn get(cx: &mut Cx<'_>, of: Of) -> Outcome {
    let (name, value) = (cx.arg(0), cx.arg(1));
    if name.is_empty() || value.is_empty() {
        return Err(error(format!("Missing {} identifier and/or key.\n", of.word())));
    }
    let set = find(cx, of, name)?;
    let mut out = String::new();
    for Got { kind, entry, gives } in set.get(value.as_bytes()) {
        let case = if kind.ignore_case { "insensitive" } else { "sensitive" };
        let found = if of == Map { "found" } else { "match" };
        let _ = write!(out, "type={}, case={case}, {found}=", kind.matching.name());
        let Some((entry, structure)) = entry else {
            out.push_str("no\n");
            continue;
        };
        let key = String::from_utf8_lossy(entry.key());
        let _ = write!(out, "yes, idx={structure}, {}=\"{key}\"", if of == Map { "key" } else { "pattern" });
        if of == Map {
            match gives.and_then(|gives| value_type(gives, entry.value())) {
                None => out.push_str(", value=none"),
                Some(name) => {
                    let _ = write!(out, ", value=\"{}\", type=\"{name}\"", String::from_utf8_lossy(entry.value()));
                }
            }
        }
        out.push('\n');
    }
    Ok(Answer::Text(out))
}

/// Haproxy's name for the type of a value.
fn value_type(gives: Gives, text: &[u8]) -> Option<&'static str> {
    Some(match gives.read(text)? {
        Value::Int(_) => "sint",
        Value::Ip(IpAddr::V4(_)) => "ipv4",
        Value::Ip(IpAddr::V6(_)) => "ipv6",
        _ => "str",
    })
}

fn add(cx: &mut Cx<'_>, of: Of) -> Outcome {
    let (version, args) = version(cx);
    let (name, key, value) = (arg(args, 0), arg(args, 1), arg(args, 2));
    let complete = match of {
        Acl => !key.is_empty(),
        Map => cx.payload.is_some() && key.is_empty() || !value.is_empty(),
    };
    if name.is_empty() || !complete {
        return Err(error(match of {
            Acl => "'add acl' expects two parameters: ACL identifier and pattern.\n",
            Map => "'add map' expects three parameters (map identifier, key and value) or one parameter (map identifier) and a payload\n",
        }));
    }
    let set = find(cx, of, name)?;
    if of == Acl && set.has_values() {
        return Err(error("This ACL is shared with a map containing samples. You must use the command 'add map' to add values.\n"));
    }
    if of == Acl || !key.is_empty() {
        return set.add(version, key.as_bytes(), value.as_bytes()).map(|_| Answer::Done).map_err(|e| wrong(&e));
    }
    // What stands before a line that is wrong stays.
    for line in cx.payload.unwrap_or_default().split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
        let (key, value) = (&line[..end], line[end..].trim_ascii_start());
        if value.is_empty() {
            return Err(error(format!("Missing value for key '{}'.\n", String::from_utf8_lossy(key))));
        }
        set.add(version, key, value).map_err(|e| wrong(&e))?;
    }
    Ok(Answer::Done)
}

/// The number of an entry that `#0x...` says; one that is none finds nothing.
fn reference(text: &str) -> Option<u64> {
    let text = text.strip_prefix('#')?;
    Some(u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).unwrap_or(0))
}

fn set_map(cx: &mut Cx<'_>) -> Outcome {
    let (name, key, value) = (cx.arg(0), cx.arg(1), cx.arg(2));
    if name.is_empty() || key.is_empty() || value.is_empty() {
        return Err(error("'set map' expects three parameters: map identifier, key and value.\n"));
    }
    let set = find(cx, Map, name)?;
    let (done, missing) = match reference(key) {
        Some(id) => (set.set_id(id, value.as_bytes()), "key or pattern not found.\n"),
        None => (set.set(key.as_bytes(), value.as_bytes()).map(|_| ()), "entry not found.\n"),
    };
    done.map(|()| Answer::Done).map_err(|e| if e == SetError::NotFound { error(missing) } else { wrong(&e) })
}

fn delete(cx: &mut Cx<'_>, of: Of) -> Outcome {
    let (name, key) = (cx.arg(0), cx.arg(1));
    if name.is_empty() || key.is_empty() {
        return Err(error(format!("This command expects two parameters: {} identifier and key.\n", of.word())));
    }
    let set = find(cx, of, name)?;
    let done = match reference(key) {
        Some(id) => set.remove_id(id),
        None => set.remove(key.as_bytes()).map(|_| ()),
    };
    done.map(|()| Answer::Done).map_err(|e| wrong(&e))
}

/// The set that stands behind a version.
fn versioned(cx: &Cx<'_>, of: Of) -> Result<(Option<u32>, Arc<Set>), Message> {
    let (version, args) = version(cx);
    if arg(args, 0).is_empty() {
        return Err(error(format!("Missing {} identifier.\n", of.word())));
    }
    Ok((version, find(cx, of, arg(args, 0))?))
}

fn clear(cx: &mut Cx<'_>, of: Of) -> Outcome {
    let (version, set) = versioned(cx, of)?;
    discard(set.clear(version));
    Ok(Answer::Done)
}

fn prepare(cx: &mut Cx<'_>, of: Of) -> Outcome {
    let version = find(cx, of, cx.arg(0))?.prepare().map_err(|e| wrong(&e))?;
    Ok(Answer::Message(Message(Level::Info, format!("New version created: {version}\n").into())))
}

fn commit(cx: &mut Cx<'_>, of: Of) -> Outcome {
    if version(cx).0.is_none() {
        return Err(error("Missing version number.\n"));
    }
    let (version, set) = versioned(cx, of)?;
    discard(set.commit(version.unwrap_or_default()).map_err(|e| wrong(&e))?);
    Ok(Answer::Done)
}

/// Drops what was taken away where no traffic waits for it.
fn discard(garbage: Garbage) {
    if garbage.len() > FEW {
        // Without another thread it takes this one's time.
        let _ = std::thread::Builder::new().name("garbage".to_owned()).spawn(move || drop(garbage));
    }
}
