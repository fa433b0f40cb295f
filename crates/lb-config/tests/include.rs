//! `include`: files in files, through the loader alone.

use lb_config::{Config, LoadError, Loader, Severity, Source, parse, render, tree};
use std::collections::BTreeMap;

/// A tree of files in memory.
struct Files(BTreeMap<&'static str, String>);

impl Loader for Files {
    fn load(&self, path: &str) -> Result<Vec<u8>, LoadError> {
        let mut parts: Vec<&str> = Vec::new();
        for part in path.split('/') {
            if part == ".." {
                parts.pop();
            } else {
                parts.push(part);
            }
        }
        self.0.get(parts.join("/").as_str()).map(|text| text.as_bytes().to_vec()).ok_or(LoadError::NotFound)
    }

    fn list(&self, directory: &str) -> Result<Vec<String>, LoadError> {
        let inside = |path: &str| path.strip_prefix(directory)?.strip_prefix('/').filter(|name| !name.contains('/')).map(str::to_owned);
        let list: Vec<String> = self.0.keys().rev().filter_map(|path| inside(path)).collect();
        if list.is_empty() { Err(LoadError::NotFound) } else { Ok(list) }
    }
}

fn read(main: &str, others: &[(&'static str, &str)]) -> (Config, String) {
    let files = Files(others.iter().map(|(name, text)| (*name, (*text).to_owned())).collect());
    let (config, diagnostics) = parse(&Source::new().file("/etc/lb/main.cfg", main.as_bytes()).loader(&files));
    let told: Vec<_> = diagnostics.into_iter().filter(|one| one.severity >= Severity::Warning).collect();
    (config, render(&told))
}

const DEFAULTS: &str = "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n";

#[test]
fn one_file_per_site() {
    let (config, told) = read(
        &format!("{DEFAULTS}include sites/*.cfg\nbackend last\n server s 127.0.0.1:1\n"),
        &[
            ("/etc/lb/sites/b.cfg", "frontend b\n bind :82\n default_backend last\n"),
            ("/etc/lb/sites/a.cfg", "include /common.cfg\nfrontend a\n bind :81\n default_backend last\n"),
            ("/etc/lb/sites/.off.cfg", "nonsense\n"),
            ("/etc/lb/sites/c.cfg.old", "nonsense\n"),
            ("/common.cfg", "frontend common\n bind :80\n default_backend last\n"),
        ],
    );
    assert_eq!(told, "");
    assert_eq!(config.proxies.iter().map(|proxy| proxy.name.as_str()).collect::<Vec<_>>(), ["common", "a", "b", "last"]);
    assert_eq!(config.files, ["/etc/lb/main.cfg", "/etc/lb/sites/a.cfg", "/common.cfg", "/etc/lb/sites/b.cfg"]);
    assert_eq!(config.place(config.proxies[0].span), "/common.cfg:1");
    // Defaults of the including file hold in the included one, and the other way round.
    assert!(config.proxies.iter().all(|proxy| proxy.timeouts.client.is_some() || !proxy.kind.is_frontend()));
    let (config, _) = read("include d.cfg\nlisten a\n bind :80\n", &[("/etc/lb/d.cfg", "defaults\n mode http\n maxconn 7\n")]);
    assert_eq!(config.proxies[0].maxconn, Some(7));
}

#[test]
fn findings_name_the_file() {
    let (_, told) =
        read("global\n maxconn 5\ninclude a.cfg\n", &[("/etc/lb/a.cfg", "listen a\n bind :80\n balanc x\n timeout client 1s\n")]);
    assert!(told.contains("/etc/lb/a.cfg:3:2: unknown keyword 'balanc'"), "{told}");
    assert!(told.contains("   |  balanc x\n   |  ^^^^^^\n"), "{told}");
}

#[test]
fn sections_end_at_the_border_of_a_file() {
    let (config, told) = read(
        "listen a\n bind :80\ninclude b.cfg\n maxconn 5\n.if 0\ninclude none.cfg\n.endif\n",
        &[("/etc/lb/b.cfg", " mode http\nlisten b\n bind :81\n.if 1\n")],
    );
    assert_eq!(config.proxies.len(), 2);
    assert!(told.contains("main.cfg:4:2: 'maxconn' stands outside of any section"), "{told}");
    assert!(told.contains("b.cfg:1:2: 'mode' stands outside of any section"), "{told}");
    assert!(told.contains("b.cfg:4:1: this '.if' is never closed"), "{told}");
    assert!(!told.contains("none.cfg"), "a block that is not taken reads nothing: {told}");
}

#[test]
fn what_cannot_be_included() {
    let files: &[(&str, &str)] = &[
        ("/etc/lb/a.cfg", "include b.cfg\n"),
        ("/etc/lb/b.cfg", "include ./a.cfg\n"),
        ("/etc/lb/self.cfg", "include s*f.cfg\n"),
        ("/etc/lb/back.cfg", "include main.cfg\n"),
        ("/etc/lb/sub/deep.cfg", "include ../sub/deep.cfg\n"),
    ];
    for (line, message) in [
        ("include\n", "main.cfg:1:1: 'include' wants a file"),
        ("include a b\n", "main.cfg:1:11: unexpected 'b' behind the file of 'include'"),
        ("include none.cfg\n", "main.cfg:1:9: '/etc/lb/none.cfg' cannot be included: no such file"),
        ("include none/*.cfg\n", "the directory '/etc/lb/none' cannot be read: no such file"),
        ("include */x.cfg\n", "a wildcard stands in the last part of a path only"),
        ("include a.cfg\n", "b.cfg:1:9: the file includes itself: /etc/lb/a.cfg -> /etc/lb/b.cfg -> /etc/lb/a.cfg"),
        ("include self.cfg\n", "the file includes itself: /etc/lb/self.cfg -> /etc/lb/self.cfg"),
        ("include back.cfg\n", "the file includes itself: /etc/lb/main.cfg -> /etc/lb/back.cfg -> /etc/lb/main.cfg"),
        ("include sub/deep.cfg\n", "files include files too deeply: /etc/lb/main.cfg -> /etc/lb/sub/deep.cfg -> "),
    ] {
        let (_, told) = read(line, files);
        assert!(told.contains(message), "{line}{told}");
    }
    // A file may be included twice, one after the other; then its names are there twice.
    let (config, told) = read("include c.cfg\ninclude c.cfg\n", &[("/etc/lb/c.cfg", "backend c\n server s 127.0.0.1:1\n")]);
    assert_eq!(config.proxies.len(), 2);
    assert!(told.contains("has the same name"), "{told}");
    // Each file includes two of the next: without a limit 2^15 files would be read.
    let levels: Vec<(String, String)> = (1..16).map(|n| (format!("/etc/lb/{n}"), format!("include {0}\ninclude {0}\n", n + 1))).collect();
    let mut levels: Vec<(&'static str, &str)> = levels.iter().map(|(name, text)| (&*name.clone().leak(), text.as_str())).collect();
    levels.push(("/etc/lb/16", "\n"));
    let (config, told) = read("include 1\n", &levels);
    assert!(told.contains("too many files are included"));
    assert!(config.files.len() <= 4097);
}

#[test]
fn the_lines_of_all_files() {
    let files = Files([("b.cfg", "listen b\n bind :80\n".to_owned())].into());
    let source = Source::new().file("a.cfg", b"global\n maxconn 1\ninclude b.cfg\n").loader(&files);
    let (sections, _) = tree::sections(&source);
    assert_eq!(sections.len(), 2);
    assert_eq!(sections[1].lines[0].words[1].text, ":80");
    // Shown is what the file itself says.
    assert_eq!(tree::dump(&source, None, false).0, "global \n\tmaxconn 1 \ninclude b.cfg \n");
}
