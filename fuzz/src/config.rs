//! haproxy.cfg: any bytes. Also used by the tests of `lb-config`, which run their own mutator over it.

use lb_config::syntax::{Document, Line, TokenKind};
use lb_config::{
    Environment, LoadError, Loader, MAX_DIAGNOSTICS, MAX_EXCERPT, ProxyKind, Resolver, Severity, Source, indented, parse, render, upgrade,
};
use std::net::{IpAddr, Ipv4Addr};

struct World;

impl Environment for World {
    fn variable(&self, name: &str) -> Option<String> {
        (name.len().is_multiple_of(2)).then(|| "a b  c".repeat(name.len() % 5))
    }
}

impl Loader for World {
    fn load(&self, path: &str) -> Result<Vec<u8>, LoadError> {
        if path.len().is_multiple_of(2) { Ok(path.as_bytes().to_vec()) } else { Err(LoadError::Other) }
    }

    fn list(&self, directory: &str) -> Result<Vec<String>, LoadError> {
        Ok(vec!["global".to_owned(), "\tinclude *".to_owned(), directory.chars().take(40).collect()])
    }
}

impl Resolver for World {
    fn resolve(&self, host: &str) -> Vec<IpAddr> {
        if host.len().is_multiple_of(3) { vec![Ipv4Addr::LOCALHOST.into()] } else { Vec::new() }
    }
}

/// Parses any bytes and checks what must hold whatever they are: no panic, bounded messages, indices that point at
/// something, no value that a run could stumble over.
pub fn config(data: &[u8]) {
    syntax(data);
    // Half of the time goes to the keyword table, which each run builds anew: one file of eight is enough.
    if data.len().is_multiple_of(8) {
        rewrite(data);
    }
    let (config, diagnostics) = parse(&Source::new().file("fuzz.cfg", data).environment(&World).loader(&World).resolver(&World));
    let lines = data.split(|byte| *byte == b'\n').count();
    assert!(diagnostics.len() <= MAX_DIAGNOSTICS + 1);
    for diagnostic in &diagnostics {
        assert!(diagnostic.span.line as usize <= lines || diagnostic.span.file > 0);
        assert!(diagnostic.excerpt.chars().count() <= MAX_EXCERPT);
        assert!(diagnostic.message.len() < 2000, "{}", diagnostic.message.len());
    }
    assert!(diagnostics.is_empty() == render(&diagnostics).is_empty());
    let count = u32::try_from(config.proxies.len()).expect("few");
    for proxy in &config.proxies {
        if let Some(index) = proxy.default_backend {
            assert!(index.0 < count);
            assert!(config.proxy(index).kind.is_backend());
        }
        assert!(proxy.id > 0);
        assert!(proxy.kind != ProxyKind::Frontend || proxy.servers.is_empty());
        assert!(proxy.kind != ProxyKind::Backend || proxy.binds.is_empty());
        assert!(proxy.servers.iter().all(|server| server.id > 0 && server.weight <= 256));
        if !diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
            assert!(proxy.binds.iter().all(|bind| !bind.addresses.is_empty()));
            assert!(!proxy.name.is_empty());
        }
    }
}

/// What rewrites files: nothing more to do the second time, and no other meaning for a new layout.
fn rewrite(data: &[u8]) {
    let mean = |text: &[u8]| parse(&Source::new().file("fuzz.cfg", text)).0.without_places();
    let layout = indented(data);
    assert_eq!(indented(&layout), layout);
    assert_eq!(mean(&layout), mean(data));
    let new = upgrade(data);
    assert_eq!(upgrade(&new.text).text, new.text);
}

/// Any bytes come back from the syntax tree, and its words are those that the reader of configurations cuts.
fn syntax(data: &[u8]) {
    let document = Document::parse(data);
    assert_eq!(document.to_bytes(), data);
    for line in &document.lines {
        let mut text = Vec::new();
        let tokens = line.tokens.iter().filter(|token| token.kind != TokenKind::Mark);
        for token in tokens.clone() {
            let whole: Vec<u8> = token.parts().flat_map(|part| token.text[part.range].to_vec()).collect();
            assert!(token.kind == TokenKind::End || whole == *token.text);
            text.extend_from_slice(&token.text);
        }
        assert_eq!(Line::parse(&text).tokens.iter().collect::<Vec<_>>(), tokens.collect::<Vec<_>>());
    }
}
