//! `-dK`: the keywords that this version reads, by class, line by line in the form of haproxy's lists: for tools that look for what is
//! new. A class without keywords has its title alone, as haproxy's has when it was built without them.

use lb_config::{Context, Keyword, Point, Registry, RuleSet, Sections, State, keywords};
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
    for set in RULES {
        for action in read(Context::Action).iter().filter(|keyword| keyword.is_action_of(*set)) {
            // More stands behind such a name, in parentheses.
            let star = if action.args.starts_with('(') { "*" } else { "" };
            let _ = writeln!(out, "\t{} {}{star}", set.name(), action.name);
        }
    }
    for section in read(Context::Section) {
        let lines = read(Context::In(section.name));
        if !lines.is_empty() {
            let _ = writeln!(out, "{}", section.name);
            first_words(out, &lines);
        }
    }
}

/// Lists of rules in haproxy's order.
const RULES: &[RuleSet] = &[
    RuleSet::Connection,
    RuleSet::Session,
    RuleSet::Content,
    RuleSet::Answer,
    RuleSet::Request,
    RuleSet::Response,
    RuleSet::AfterResponse,
];

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
    // Predefined ACLs are no keywords.
    for keyword in read(Context::Acl).iter().filter(|keyword| keyword.doc.contains(" -m ")) {
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

/// `[ Y . Y ] src: addr`: where it may be asked for, and its type, below a legend of the places.
fn samples(out: &mut String) {
    let count = POINTS.len();
    for (n, point) in POINTS.iter().enumerate() {
        let _ = writeln!(out, "#{}{}_.{} {}", " ".repeat(count + 1 - n), "/ ".repeat(n), "-".repeat(count - n), point.name());
    }
    let _ = writeln!(out, "# {} \n# {}", "/ ".repeat(count), "| ".repeat(count));
    let registry = Registry::standard();
    for keyword in read(Context::Sample) {
        let Some(fetch) = registry.fetch(keyword.name) else { continue };
        let points = fetch.need.points();
        let places: String = POINTS.iter().map(|point| if points.contains(*point) { "Y " } else { ". " }).collect();
        let _ = writeln!(out, "[ {places}] {}{}: {}", keyword.name, arguments(keyword), short(keyword.doc));
    }
}

/// Where samples may be asked for, in haproxy's order.
const POINTS: &[Point] = &[
    Point::Connection,
    Point::Session,
    Point::FrontContent,
    Point::FrontRequest,
    Point::FrontBody,
    Point::SetBackend,
    Point::BackContent,
    Point::BackRequest,
    Point::BackBody,
    Point::SetServer,
    Point::Connect,
    Point::BackAnswer,
    Point::BackResponse,
    Point::BackResponseBody,
    Point::Store,
    Point::FrontAnswer,
    Point::FrontResponse,
    Point::FrontResponseBody,
    Point::Log,
    Point::Check,
    Point::Load,
    Point::Runtime,
];

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
        "ip" => "addr",
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
            "hdr_beg = req.hdr -m beg",
            "\ttcp-request connection set-var*",
            "\thttp-request add-header",
            "\thttp-after-response set-status",
            "lower: str => str",
            "#                       _.---------------------- frontend tcp-request connection rule",
            "#             / / / / / / / / / / _.------------ server source selection",
            "[ . . Y Y Y Y Y Y Y Y Y . . . . . . . . . . . ] path: str",
            "[ Y Y Y Y Y Y Y Y Y Y Y Y Y Y Y Y Y Y Y Y Y Y ] always_true: bool",
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
