//! Configuration files from the disk, with the environment, the files and the names that they refer to.

use crate::args::Dump;
use lb_config::{Config, Diagnostic, Environment, LoadError, Loader, Resolver, Severity, Source, Switches};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{IpAddr, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Largest configuration file, in bytes.
const MAX_CONFIG: u64 = 256 << 20;

/// Largest file that a configuration may refer to, in bytes.
const MAX_FILE: u64 = 256 << 20;

/// The world that the process lives in.
#[derive(Default)]
struct System {
    /// Names that were looked up: many servers have the same one.
    names: RefCell<HashMap<String, Vec<IpAddr>>>,
    /// Names of the configuration files.
    files: String,
}

impl System {
    fn of(contents: &[(String, Vec<u8>)]) -> System {
        let names: Vec<&str> = contents.iter().map(|(name, _)| name.as_str()).collect();
        System { files: names.join(";"), ..System::default() }
    }
}

impl Environment for System {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            // Set by haproxy itself at its start (manual 2.3).
            "HAPROXY_LOCALPEER" => Some(own(name).unwrap_or_else(lb_sys::process::host_name)),
            "HAPROXY_CFGFILES" => Some(self.files.clone()).filter(|files| !files.is_empty()).or_else(|| own(name)),
            _ => own(name),
        }
    }

    fn has_user(&self, name: &str) -> bool {
        lb_sys::account::user_id(name).is_some()
    }

    fn has_group(&self, name: &str) -> bool {
        lb_sys::account::group_id(name).is_some()
    }
}

/// A variable of this process.
fn own(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

impl Loader for System {
    fn load(&self, path: &str) -> Result<Vec<u8>, LoadError> {
        read(Path::new(path), MAX_FILE).map_err(|e| load_error(&e))?.ok_or(LoadError::TooLarge)
    }

    fn list(&self, directory: &str) -> Result<Vec<String>, LoadError> {
        let mut names = Vec::new();
        for entry in fs::read_dir(directory).map_err(|e| load_error(&e))? {
            let entry = entry.map_err(|e| load_error(&e))?;
            // Through links; one that leads nowhere is told when it is loaded.
            if fs::metadata(entry.path()).is_ok_and(|data| data.is_dir()) {
                continue;
            }
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    }
}

fn load_error(error: &io::Error) -> LoadError {
    match error.kind() {
        io::ErrorKind::NotFound => LoadError::NotFound,
        io::ErrorKind::PermissionDenied => LoadError::Denied,
        _ => LoadError::Other,
    }
}

impl Resolver for System {
    fn resolve(&self, host: &str) -> Vec<IpAddr> {
        if let Some(known) = self.names.borrow().get(host) {
            return known.clone();
        }
        let list: Vec<IpAddr> = (host, 0).to_socket_addrs().map(|list| list.map(|a| a.ip()).collect()).unwrap_or_default();
        self.names.borrow_mut().insert(host.to_owned(), list.clone());
        list
    }
}

/// The bytes of a file, as many as there are while it is read; `None` when there are more than `limit`, as in a device that never
/// ends.
fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= limit))
}

/// A configuration that may run, or what is wrong with it, ready to print.
pub struct Loaded {
    /// The configuration; of use only without errors.
    pub config: Config,
    /// Everything found.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// True when something prevents the start.
    pub fn has(&self, severity: Severity) -> bool {
        self.diagnostics.iter().any(|d| d.severity == severity)
    }
}

/// Reads files and directories in order; also tells remarks of the given severities.
///
/// # Errors
/// A file that cannot be read, with its name.
pub fn load(names: &[String], switches: Switches, remarks: &[Severity]) -> Result<Loaded, String> {
    let contents = contents(names)?;
    let system = System::of(&contents);
    let source = remarks.iter().fold(source(&contents, &system).switches(switches), |s, severity| s.remark(*severity));
    let (config, diagnostics) = lb_config::parse(&source);
    Ok(Loaded { config, diagnostics })
}

/// What the text of one file means by itself, as far as it can be read.
pub fn meaning(name: &str, text: &[u8]) -> Config {
    let contents = [(name.to_owned(), text.to_vec())];
    lb_config::parse(&source(&contents, &System::of(&contents))).0.without_places()
}

/// The lines as they are read, and what cannot be read.
///
/// # Errors
/// As [`load`].
pub fn dump(names: &[String], dump: Dump) -> Result<(String, Vec<Diagnostic>), String> {
    let contents = contents(names)?;
    let system = System::of(&contents);
    Ok(lb_config::tree::dump(&source(&contents, &system), dump.key, dump.lines))
}

/// Whether a condition of `.if` is true.
///
/// # Errors
/// What is wrong with it.
pub fn condition(text: &str) -> Result<bool, String> {
    lb_config::condition(text, &Source::new().environment(&System::default())).map_err(|e| e.to_string())
}

fn contents(names: &[String]) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut contents = Vec::new();
    for path in files(names)? {
        let name = path.to_string_lossy().into_owned();
        let bytes = read(&path, MAX_CONFIG).map_err(|e| cannot_open(&path, &e))?;
        let bytes =
            bytes.ok_or_else(|| format!("config : configuration file {name} is too large: at most {} MiB are read", MAX_CONFIG >> 20))?;
        contents.push((name, bytes));
    }
    Ok(contents)
}

fn source<'a>(contents: &'a [(String, Vec<u8>)], system: &'a System) -> Source<'a> {
    let source = contents.iter().fold(Source::new(), |s, (name, bytes)| s.file(name, bytes));
    source.environment(system).loader(system).resolver(system)
}

/// What `-f` and `--` name: a directory stands for its files that end in `.cfg`, by their bytes in order, hidden ones left out.
fn files(names: &[String]) -> Result<Vec<PathBuf>, String> {
    let mut list = Vec::new();
    for name in names.iter().map(Path::new) {
        if fs::metadata(name).map_err(|e| cannot_open(name, &e))?.is_dir() {
            list.extend(directory(name)?);
        } else {
            list.push(name.to_owned());
        }
    }
    if list.is_empty() {
        return Err(format!("config : no configuration file: '{}' has no file whose name ends in .cfg", names.join("' and '")));
    }
    Ok(list)
}

fn directory(path: &Path) -> Result<Vec<PathBuf>, String> {
    let mut list = Vec::new();
    for entry in fs::read_dir(path).map_err(|e| cannot_open(path, &e))? {
        let name = entry.map_err(|e| cannot_open(path, &e))?.file_name();
        let bytes = name.as_bytes();
        if bytes.starts_with(b".") || !bytes.ends_with(b".cfg") {
            continue;
        }
        let file = path.join(&name);
        // Through links: one that leads nowhere is an error, as in haproxy.
        if fs::metadata(&file).map_err(|e| cannot_open(&file, &e))?.is_file() {
            list.push(file);
        }
    }
    list.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    Ok(list)
}

fn cannot_open(path: &Path, error: &io::Error) -> String {
    format!("config : Cannot open configuration file {} : {}", path.display(), reason(error))
}

/// As haproxy says it: without the number that the library adds.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_testkit::fixture::TempDir;

    fn names(list: &[&str]) -> Result<Vec<String>, String> {
        let list: Vec<String> = list.iter().map(|&name| name.to_owned()).collect();
        Ok(files(&list)?.iter().filter_map(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned()).collect())
    }

    #[test]
    fn a_directory_is_its_files() {
        let dir = TempDir::new("load").unwrap();
        let path = dir.path().to_str().unwrap();
        assert!(names(&[path]).is_err_and(|text| text.contains("no configuration file")));
        for name in ["b.cfg", "a.cfg", "A.cfg", "10.cfg", "9.cfg", ".hidden.cfg", ".cfg", "x.txt", "y.CFG", "cfg"] {
            dir.write(name, "").unwrap();
        }
        fs::create_dir(dir.path().join("sub.cfg")).unwrap();
        std::os::unix::fs::symlink("a.cfg", dir.path().join("link.cfg")).unwrap();
        assert_eq!(names(&[path]).unwrap(), ["10.cfg", "9.cfg", "A.cfg", "a.cfg", "b.cfg", "link.cfg"]);
        let one = dir.path().join("x.txt");
        assert_eq!(names(&[one.to_str().unwrap(), path, one.to_str().unwrap()]).unwrap().len(), 8);
        std::os::unix::fs::symlink("nowhere", dir.path().join("z.cfg")).unwrap();
        assert!(names(&[path]).is_err_and(|text| text.contains("z.cfg")));
    }

    #[test]
    fn what_cannot_be_read() {
        let dir = TempDir::new("load").unwrap();
        let gone = dir.path().join("gone.cfg");
        assert!(load(&[gone.to_str().unwrap().to_owned()], Switches::default(), &[]).is_err_and(|text| text.contains("gone.cfg")));
        assert!(matches!(read(Path::new("/dev/zero"), 1000), Ok(None)));
        assert_eq!(System::default().load("/nonexistent"), Err(LoadError::NotFound));
        assert_eq!(System::default().load("/dev/zero"), Err(LoadError::TooLarge));
    }

    #[test]
    fn included_files() {
        let dir = TempDir::new("load").unwrap();
        for (name, text) in [("main.cfg", "include sites/*.cfg\n"), ("sites/b.cfg", "listen b\n"), ("sites/a.cfg", "listen a\n")] {
            fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
            dir.write(name, text).unwrap();
        }
        fs::create_dir(dir.path().join("sites/dir.cfg")).unwrap();
        let load = || load(&[dir.path().join("main.cfg").to_str().unwrap().to_owned()], Switches::default(), &[]).unwrap();
        let names: Vec<String> = load().config.proxies.into_iter().map(|proxy| proxy.name).collect();
        assert_eq!(names, ["a", "b"]);
        std::os::unix::fs::symlink("nowhere", dir.path().join("sites/c.cfg")).unwrap();
        assert!(load().diagnostics.iter().any(|one| one.message.contains("sites/c.cfg' cannot be included: no such file")));
    }
}
