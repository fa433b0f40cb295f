//! The tables of words that work elsewhere, against the code that makes them work; and refused words named exactly.

use lb_config::{Context, Keyword, Severity, Source, State, keywords, parse, render};

fn of(context: Context) -> impl Iterator<Item = &'static Keyword> {
    keywords().filter(move |keyword| keyword.context == context)
}

/// The errors of a text.
fn errors(text: &str) -> Vec<String> {
    let (_, diagnostics) = parse(&Source::new().file("t.cfg", text.as_bytes()));
    diagnostics.into_iter().filter(|diagnostic| diagnostic.severity == Severity::Error).map(|diagnostic| diagnostic.message).collect()
}

#[test]
fn words_of_log_formats_are_those_that_compile() {
    for keyword in of(Context::LogWord) {
        let refused = matches!(keyword.state, State::Refused(_));
        let format = keyword.name.replace("...", "src");
        let text = format!("listen a\n mode http\n bind :1\n log-format {format}\n");
        assert_eq!(!errors(&text).is_empty(), refused, "{}", keyword.name);
    }
}

#[test]
fn prefixes_of_addresses_are_those_that_are_read() {
    let mut wrong = Vec::new();
    for keyword in of(Context::Address) {
        let value = match keyword.args {
            "<path>" => "/tmp/x",
            "<name>" | "<server>" => "x",
            "<n>" => "9",
            "<family>@<address>" => "ipv4@127.0.0.1:1",
            _ if keyword.name.contains('6') => "[::1]:1",
            _ => "127.0.0.1:1",
        };
        let places = [
            format!("listen a\n bind {}{value}\n", keyword.name),
            format!("backend a\n server s {}{value}\n", keyword.name),
            format!("ring x\nglobal\n log {}{value} local0\n", keyword.name),
        ];
        let read = places.iter().any(|text| errors(text).is_empty());
        if read == matches!(keyword.state, State::Refused(_)) {
            wrong.push(keyword.name);
        }
    }
    assert!(wrong.is_empty(), "other states than in the table: {wrong:?}");
}

#[test]
fn refused_lines_name_the_word_that_matters() {
    for (line, message) in [
        ("http-request track-sc0 src", "'http-request track-sc0' is known but not there yet in this version (stick tables)"),
        ("http-request lua.x", "'http-request lua.*' is known but not there yet in this version (Lua)"),
        ("tcp-request content acept", "unknown action 'acept' of 'tcp-request content'"),
        ("filter compresion", "unknown filter 'compresion' of 'filter'"),
        ("acl x pathbeg /a", "error detected while parsing ACL 'x' : unknown fetch method 'pathbeg' in ACL expression 'pathbeg'"),
        ("stick on src,ipmask(24)", "'stick on' is known but not there yet in this version (stick tables)"),
        ("log-format %{+Q}[ssl_fc_cipher]", "'%[ssl_fc_cipher]': 'ssl_fc_cipher' is known but not there yet in this version (TLS)"),
        ("log-format %[req.hdr(host),lowre]", "unknown converter 'lowre' in '%[req.hdr(host),lowre]'"),
    ] {
        let text = format!("listen a\n mode http\n bind :1\n {line}\n");
        assert_eq!(errors(&text), [message], "{line}");
    }
}

/// One error for the section, none for its lines.
#[test]
fn lines_of_a_refused_section_are_not_told() {
    let text = "resolvers r\n nameserver a 127.0.0.1:53\n frobnicate\nlisten a\n bind :1\n";
    let (_, diagnostics) = parse(&Source::new().file("t.cfg", text.as_bytes()));
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    assert_eq!(errors, 1, "{}", render(&diagnostics));
}

/// Converters that work are those that lb-expr has, and the other way round.
#[test]
fn converters_are_those_that_are_registered() {
    let registry = lb_expr::sample::Registry::standard();
    let wrong: Vec<_> = of(Context::Converter)
        .filter(|keyword| registry.converter(keyword.name).is_some() != matches!(keyword.state, State::Works))
        .map(|keyword| keyword.name)
        .collect();
    assert!(wrong.is_empty(), "other states than in the table: {wrong:?}");
    let unknown: Vec<_> = registry.converter_names().filter(|name| !of(Context::Converter).any(|keyword| keyword.name == *name)).collect();
    assert!(unknown.is_empty(), "not in the table: {unknown:?}");
}
