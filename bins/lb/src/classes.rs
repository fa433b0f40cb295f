//! `-dK`: the keywords that this version reads, by class, line by line in the form of haproxy's lists: for tools that look for what is
//! new. A class without keywords has its title alone, as haproxy's has when it was built without them.

use lb_config::{Context, Keyword, Sections, State, keywords};
use std::collections::BTreeSet;
use std::fmt::Write as _;

struct Class {
    name: &'static str,
    title: &'static str,
    /// What its list is called, where that is not its title.
    list: &'static str,
    show: fn(&mut String),
}

const CLASSES: &[Class] = &[
    Class { name: "acl", title: "ACL keywords", list: "ACL keywords", show: criteria },
    Class { name: "cfg", title: "configuration keywords", list: "configuration keywords", show: configuration },
    Class { name: "cli", title: "CLI keywords", list: "CLI keywords", show: commands },
    Class { name: "cnv", title: "sample converter keywords", list: "sample converter functions", show: converters },
    Class { name: "flt", title: "filter names", list: "filter names", show: |out| names(out, Context::Filter) },
    Class { name: "smp", title: "sample fetch functions", list: "sample fetch functions", show: samples },
    Class { name: "svc", title: "service names", list: "service names", show: |out| names(out, Context::Service) },
];

/// The classes of a list; names that are none give nothing.
pub fn show(list: &str) -> String {
    let mut out = String::new();
    for name in list.split(',') {
        if name == "help" {
            out.push_str("# List of supported keyword classes:\nall: list all keywords\n");
            for class in CLASSES {
                let _ = writeln!(out, "{}: {}", class.name, class.title);
            }
        }
        for class in CLASSES.iter().filter(|class| name == "all" || name == class.name) {
            let _ = writeln!(out, "# List of registered {}:", class.list);
            (class.show)(&mut out);
        }
    }
    out
}

/// Keywords of a context that are read, by name.
fn read(context: Context) -> Vec<&'static Keyword> {
    let here = |keyword: &&Keyword| keyword.context == context && !matches!(keyword.state, State::Refused(_));
    let mut list: Vec<&Keyword> = keywords().filter(here).collect();
    list.sort_by_key(|keyword| keyword.name);
    list
}

/// First words of the lines of a context, each once.
fn first_words(out: &mut String, lines: &[&Keyword]) {
    let words: BTreeSet<&str> =
        lines.iter().filter_map(|keyword| keyword.name.split(' ').next()).filter(|word| *word != "option").collect();
    for word in words {
        let _ = writeln!(out, "\t{word}");
    }
}

fn configuration(out: &mut String) {
    out.push_str("global\n");
    first_words(out, &read(Context::Global));
    out.push_str("listen\n");
    let lines = read(Context::Proxy);
    first_words(out, &lines);
    for (context, before) in [(Context::Bind, "bind <addr>"), (Context::Server, "server <name> <addr>")] {
        for keyword in read(context) {
            let _ = writeln!(out, "\t{before} {}{}", keyword.name, count(keyword.args));
        }
    }
    for option in lines.iter().filter(|keyword| keyword.name.starts_with("option ")) {
        let _ = writeln!(out, "\t{} [{} ]", option.name, capabilities(option));
    }
    for section in read(Context::Section) {
        let lines = read(Context::In(section.name));
        if !lines.is_empty() {
            let _ = writeln!(out, "{}", section.name);
            first_words(out, &lines);
        }
    }
}

/// How many words a parameter takes: ` +1`; ` +-1` for some.
fn count(args: &str) -> &'static str {
    match args {
        "" => "",
        _ if args.contains(" [") => " +-1",
        _ => " +1",
    }
}

/// ` FE BE HTTP`: sides of a proxy on which an option has a meaning, and whether it is HTTP's alone.
fn capabilities(option: &Keyword) -> String {
    let side = |section: Sections, word: &'static str| if option.sections.contains(section) { word } else { "" };
    let http = if option.needs_http { " HTTP" } else { "" };
    format!("{}{}{http}", side(Sections::FRONTEND, " FE"), side(Sections::BACKEND, " BE"))
}

/// `hdr_beg = req.hdr -m beg`
fn criteria(out: &mut String) {
    for keyword in read(Context::Acl) {
        let _ = writeln!(out, "{} = {}", keyword.name, keyword.doc);
    }
}

/// Who reads them: `[MASTER] [WORKER]`.
fn commands(out: &mut String) {
    for keyword in read(Context::Runtime) {
        let master = MASTER.contains(&keyword.name);
        let both = BOTH.contains(&keyword.name);
        let who = if master {
            "[MASTER]"
        } else if both {
            "[MASTER] [WORKER]"
        } else {
            "[WORKER]"
        };
        let _ = writeln!(out, "{} {who} ", keyword.name);
    }
}

/// Commands that only the master's socket has.
const MASTER: &[&str] = &["@!<pid>", "@<relative pid>", "@master", "hard-reload", "mcli-debug-mode", "reload", "show proc"];

/// Commands that both sockets have.
const BOTH: &[&str] = &["help", "operator", "prompt", "quit", "show cli level", "show cli sockets", "show version", "user"];

/// `lower: str => str`: what comes out, what goes in.
fn converters(out: &mut String) {
    for keyword in read(Context::Converter) {
        let (to, from) = keyword.doc.split_once(" from ").unwrap_or((keyword.doc, "any"));
        let _ = writeln!(out, "{}{}: {} => {}", keyword.name, arguments(keyword), short(to), short(from));
    }
}

fn samples(out: &mut String) {
    for keyword in read(Context::Sample) {
        let _ = writeln!(out, "{}{}: {}", keyword.name, arguments(keyword), short(keyword.doc));
    }
}

/// `(<name>,[<n>])` as `(name,[n])`.
fn arguments(keyword: &Keyword) -> String {
    keyword.args.replace(['<', '>'], "")
}

/// A type as haproxy writes it here.
fn short(kind: &str) -> &str {
    match kind {
        "integer" => "sint",
        "string" => "str",
        "binary" => "bin",
        "boolean" => "bool",
        "method" => "meth",
        other => other,
    }
}

fn names(out: &mut String, context: Context) {
    for keyword in read(context) {
        let _ = writeln!(out, "{}", keyword.name);
    }
}

#[cfg(test)]
mod tests {
    use super::show;

    #[test]
    fn classes() {
        assert!(show("help").contains("\ncfg: configuration keywords\ncli: "));
        let all = show("all");
        assert_eq!(all.matches("# List of registered").count(), 7);
        // Each of these lines stands in haproxy's list too.
        for line in [
            "# List of registered sample converter functions:",
            "global",
            "\tnbthread",
            "listen",
            "\ttimeout",
            "\tbind <addr> accept-proxy",
            "\tbind <addr> backlog +1",
            "\tserver <name> <addr> backup",
            "\tserver <name> <addr> weight +1",
            "\toption clitcpka [ FE ]",
            "\toption http-buffer-request [ FE BE HTTP ]",
            "\toption allbackups [ BE ]",
            "disable server [WORKER] ",
            "help [MASTER] [WORKER] ",
        ] {
            assert!(all.lines().any(|one| one == line), "{line:?} in\n{all}");
        }
        assert_eq!(show("nope"), "");
        assert_eq!(show("flt,svc"), "# List of registered filter names:\n# List of registered service names:\n");
        assert!(!show("cfg,flt").contains("CLI"));
    }
}
