//! `-dK`: the keywords that this version reads, by class, in the form of haproxy's list: for tools that look for what is new.

use lb_config::{Context, Keyword, State, keywords};
use std::fmt::Write as _;

struct Class {
    name: &'static str,
    title: &'static str,
    show: fn(&mut String),
}

const CLASSES: &[Class] = &[
    Class { name: "acl", title: "ACL keywords", show: |out| plain(out, Context::Acl) },
    Class { name: "cfg", title: "configuration keywords", show: configuration },
    Class { name: "cli", title: "CLI keywords", show: |out| plain(out, Context::Runtime) },
    Class { name: "cnv", title: "sample converter keywords", show: |out| plain(out, Context::Converter) },
    Class { name: "flt", title: "filter names", show: |out| plain(out, Context::Filter) },
    Class { name: "smp", title: "sample fetch functions", show: |out| plain(out, Context::Sample) },
    Class { name: "svc", title: "service names", show: |out| plain(out, Context::Service) },
];

/// The classes of a list; names that are none give nothing.
pub fn show(names: &str) -> String {
    let mut out = String::new();
    for name in names.split(',') {
        if name == "help" {
            out.push_str("# List of supported keyword classes:\nall: list all keywords\n");
            for class in CLASSES {
                let _ = writeln!(out, "{}: {}", class.name, class.title);
            }
        }
        for class in CLASSES.iter().filter(|class| name == "all" || name == class.name) {
            let _ = writeln!(out, "# List of registered {}:", class.title);
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

fn plain(out: &mut String, context: Context) {
    for keyword in read(context) {
        let _ = writeln!(out, "{}{}", keyword.name, keyword.args);
    }
}

fn configuration(out: &mut String) {
    out.push_str("global\n");
    lines(out, Context::Global, "");
    out.push_str("listen\n");
    lines(out, Context::Proxy, "");
    lines(out, Context::Bind, "bind <addr> ");
    lines(out, Context::Server, "server <name> <addr> ");
}

fn lines(out: &mut String, context: Context, before: &str) {
    for keyword in read(context) {
        let space = if keyword.args.is_empty() { "" } else { " " };
        let _ = writeln!(out, "\t{before}{}{space}{}", keyword.name, keyword.args);
    }
}

#[cfg(test)]
mod tests {
    use super::show;

    #[test]
    fn classes() {
        assert!(show("help").contains("\ncfg: "));
        let all = show("all");
        assert_eq!(all.matches("# List of registered").count(), 7);
        assert!(all.contains("\n\tserver <name> <addr> weight <0..256>\n") && all.contains("\n\tmaxconn"));
        assert_eq!(show("nope"), "");
        assert!(!show("cfg,flt").contains("CLI"));
    }
}
