//! `include FILE|GLOB`: other files in the place of a line, for those who keep one file per site. haproxy has no such word.
//!
//! Holds: files come from the [`Loader`](crate::Loader) alone; a name is relative to the file that it stands in; a wildcard gives
//! its files in the order of their names' bytes, hidden ones left out, and none is no error; whatever the files say, at most
//! [`MAX_FILES`] are read, [`MAX_DEPTH`] deep.

use crate::source::Loader;

/// Files in files.
pub(super) const MAX_DEPTH: usize = 16;

/// Files that are included in one run.
pub(super) const MAX_FILES: usize = 4096;

/// Bytes of all files that are included in one run.
pub(super) const MAX_BYTES: usize = 256 << 20;

/// Longest name that a file can have.
const MAX_NAME: usize = 255;

/// The files that a line in the file `from` asks for.
///
/// # Errors
/// What is wrong, and what to write instead.
pub(super) fn files(from: &str, wanted: &str, loader: &dyn Loader) -> Result<Vec<String>, (String, &'static str)> {
    let path = resolved(from, wanted);
    let (directory, name) = path.rsplit_once('/').map_or((None, path.as_str()), |(directory, name)| (Some(directory), name));
    if directory.is_some_and(is_pattern) {
        return Err(("a wildcard stands in the last part of a path only".into(), "write one 'include' for each directory"));
    }
    if !is_pattern(name) {
        return Ok(vec![path]);
    }
    let listed = match directory {
        None => ".",
        Some("") => "/",
        Some(directory) => directory,
    };
    let mut names = loader.list(listed).map_err(|error| {
        (format!("the directory '{}' cannot be read: {error}", super::shown(listed)), "see that it exists and may be read")
    })?;
    names.retain(|found| matches(name, found));
    names.sort_unstable();
    Ok(names.into_iter().map(|found| directory.map_or_else(|| found.clone(), |directory| format!("{directory}/{found}"))).collect())
}

/// The path as seen from where `from` is seen from.
fn resolved(from: &str, wanted: &str) -> String {
    let joined = match from.rsplit_once('/') {
        Some((directory, _)) if !wanted.starts_with('/') => format!("{directory}/{wanted}"),
        _ => wanted.to_owned(),
    };
    // So that a file has one name, whatever stands before it: a cycle shows by it.
    let parts: Vec<&str> = joined.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    format!("{}{}", if joined.starts_with('/') { "/" } else { "" }, parts.join("/"))
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// `*` stands for any bytes, `?` for one character; a dot in front must be written.
fn matches(pattern: &str, name: &str) -> bool {
    if pattern.len() > MAX_NAME || name.len() > MAX_NAME || name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last star stands, and what it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match &mut star {
                Some((at, taken)) => {
                    *taken += 1;
                    (p, n) = (*at + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::LoadError;

    #[test]
    fn wildcards() {
        for (pattern, name, expected) in [
            ("*.cfg", "a.cfg", true),
            ("*.cfg", ".a.cfg", false),
            (".*", ".a.cfg", true),
            ("*.cfg", "a.cfg.old", false),
            ("a?c*", "abc", true),
            ("a?c*", "ac", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "xxaxxbx", false),
            ("?", "\u{e9}", true),
            ("**", "x", true),
            ("a", "b", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        assert!(!matches(&"*a".repeat(100), &"b".repeat(255)));
    }

    struct Directory;

    impl Loader for Directory {
        fn load(&self, _path: &str) -> Result<Vec<u8>, LoadError> {
            Err(LoadError::Other)
        }

        fn list(&self, directory: &str) -> Result<Vec<String>, LoadError> {
            match directory {
                "/etc/lb/sites" | "sites" | "." => {
                    Ok(["b.cfg", "A.cfg", ".x.cfg", "a.cfg", "10.cfg", "9.cfg", "c.txt"].map(str::to_owned).to_vec())
                }
                _ => Err(LoadError::NotFound),
            }
        }
    }

    #[test]
    fn paths() {
        let list = |from: &str, wanted: &str| files(from, wanted, &Directory);
        assert_eq!(list("/etc/lb/main.cfg", "x.cfg"), Ok(vec!["/etc/lb/x.cfg".into()]));
        assert_eq!(list("/etc/lb/main.cfg", "/x.cfg"), Ok(vec!["/x.cfg".into()]));
        assert_eq!(list("main.cfg", "./a//x.cfg"), Ok(vec!["a/x.cfg".into()]));
        assert_eq!(list("./main.cfg", "main.cfg"), Ok(vec!["main.cfg".into()]));
        assert_eq!(list("/etc/lb/main.cfg", "../x.cfg"), Ok(vec!["/etc/lb/../x.cfg".into()]));
        let sites = ["10.cfg", "9.cfg", "A.cfg", "a.cfg", "b.cfg"];
        assert_eq!(list("/etc/lb/main.cfg", "sites/*.cfg"), Ok(sites.map(|name| format!("/etc/lb/sites/{name}")).to_vec()));
        assert_eq!(list("main.cfg", "sites/?.cfg"), Ok(["9", "A", "a", "b"].map(|name| format!("sites/{name}.cfg")).to_vec()));
        assert_eq!(list("main.cfg", "*.txt"), Ok(vec!["c.txt".into()]));
        assert_eq!(list("main.cfg", "*.none"), Ok(vec![]));
        assert!(list("main.cfg", "s*/x.cfg").is_err());
        assert!(list("main.cfg", "none/*.cfg").is_err_and(|error| error.0.contains("no such file")));
    }
}
