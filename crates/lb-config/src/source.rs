//! What the parser is given: the bytes of the files, and the three things of the outside world that a configuration
//! may refer to. The crate itself touches none of them.

use crate::diag::Severity;
use crate::extend::Extensions;
use std::net::IpAddr;

/// Environment variables (manual 2.3).
pub trait Environment {
    /// The value of a variable; `None` when it is not set.
    fn variable(&self, name: &str) -> Option<String>;

    /// Whether there is a user of this name. A world that knows no users takes every name.
    fn has_user(&self, name: &str) -> bool {
        let _ = name;
        true
    }

    /// Whether there is a group of this name, likewise.
    fn has_group(&self, name: &str) -> bool {
        let _ = name;
        true
    }
}

/// Files that a configuration names (`errorfile`, `include`).
pub trait Loader {
    /// The bytes of a file. The error says why not.
    fn load(&self, path: &str) -> Result<Vec<u8>, LoadError>;

    /// The names of the files in a directory, without a path and in any order: for `include` with a wildcard.
    fn list(&self, directory: &str) -> Result<Vec<String>, LoadError> {
        let _ = directory;
        Err(LoadError::NotFound)
    }
}

/// Why a file could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// There is no such file.
    #[error("no such file")]
    NotFound,
    /// It may not be read.
    #[error("permission denied")]
    Denied,
    /// It is larger than the caller allows.
    #[error("the file is too large")]
    TooLarge,
    /// Anything else.
    #[error("the file cannot be read")]
    Other,
}

/// Host names, resolved once while the configuration is read.
pub trait Resolver {
    /// The addresses of a name, best first; empty when there is none.
    fn resolve(&self, host: &str) -> Vec<IpAddr>;
}

/// An empty world: no variables, no files, no names.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Environment for Nothing {
    fn variable(&self, _name: &str) -> Option<String> {
        None
    }
}

impl Loader for Nothing {
    fn load(&self, _path: &str) -> Result<Vec<u8>, LoadError> {
        Err(LoadError::NotFound)
    }
}

impl Resolver for Nothing {
    fn resolve(&self, _host: &str) -> Vec<IpAddr> {
        Vec::new()
    }
}

/// What was said on the command line and matters to the reading of the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    /// `-dD`: diagnostics too ([`Severity::Diag`](crate::Severity::Diag)): `.diag`, and what looks suspicious without being wrong.
    pub diagnostics: bool,
    /// `-dp`: no poll(2).
    pub no_poll: bool,
    /// `-de`: no epoll(7).
    pub no_epoll: bool,
    /// `-dS`: no splice(2).
    pub no_splice: bool,
    /// `-dG`: no getaddrinfo(3).
    pub no_getaddrinfo: bool,
    /// `-dR`: no SO_REUSEPORT.
    pub no_reuseport: bool,
    /// `-dF`: no fast forwarding.
    pub no_fast_forward: bool,
    /// `-dV`: certificates of servers are not verified.
    pub no_server_verify: bool,
    /// `-L`: the name of the local peer is given, `localpeer` does not change it.
    pub local_peer: bool,
    /// `-W`, `-Ws`: a master starts the process, and may start programs.
    pub master_worker: bool,
    /// `-dr`: a server whose name has no address starts without one.
    pub ignore_unresolved: bool,
}

impl Switches {
    /// Whether a runtime option is on, by the name that `enabled()` knows it by; `None`: there is no such option.
    pub(crate) fn enabled(&self, option: &str) -> Option<bool> {
        Some(match option {
            "POLL" => !self.no_poll,
            "EPOLL" => !self.no_epoll,
            // Other systems have these.
            "KQUEUE" | "EVPORTS" => false,
            "SPLICE" => !self.no_splice,
            "GETADDRINFO" => !self.no_getaddrinfo,
            "REUSEPORT" => !self.no_reuseport,
            "FAST-FORWARD" => !self.no_fast_forward,
            "SERVER-SSL-VERIFY-NONE" => self.no_server_verify,
            _ => return None,
        })
    }

    /// Applies a line of `global` that says the same as a switch.
    pub(crate) fn apply(&mut self, keyword: &str, value: Option<&str>) {
        match (keyword, value) {
            ("nopoll", _) => self.no_poll = true,
            ("noepoll", _) => self.no_epoll = true,
            ("nosplice", _) => self.no_splice = true,
            ("nogetaddrinfo", _) => self.no_getaddrinfo = true,
            ("noreuseport", _) => self.no_reuseport = true,
            ("tune.disable-fast-forward", _) => self.no_fast_forward = true,
            ("ssl-server-verify", Some(value)) => self.no_server_verify = value == "none",
            _ => {}
        }
    }
}

/// Files and world for one run of the parser.
pub struct Source<'a> {
    pub(crate) files: Vec<(String, &'a [u8])>,
    pub(crate) environment: &'a dyn Environment,
    pub(crate) loader: &'a dyn Loader,
    pub(crate) resolver: &'a dyn Resolver,
    pub(crate) switches: Switches,
    pub(crate) remarks: Vec<Severity>,
    pub(crate) extensions: Option<&'a Extensions>,
}

impl<'a> Source<'a> {
    /// No files yet, and an empty world.
    pub fn new() -> Self {
        Self {
            files: Vec::new(),
            environment: &Nothing,
            loader: &Nothing,
            resolver: &Nothing,
            switches: Switches::default(),
            remarks: Vec::new(),
            extensions: None,
        }
    }

    /// Adds a file. Its name is used in messages, and files that it includes are looked for from there. Files are read in the
    /// order given, each starts a section anew.
    #[must_use]
    pub fn file(mut self, name: impl Into<String>, bytes: &'a [u8]) -> Self {
        self.files.push((name.into(), bytes));
        self
    }

    /// Asks for remarks of a severity that is not told otherwise: [`Severity::Info`], [`Severity::Lint`].
    #[must_use]
    pub fn remark(mut self, severity: Severity) -> Self {
        self.remarks.push(severity);
        self
    }

    /// Severities of all remarks that are asked for.
    pub(crate) fn wanted(&self) -> Vec<Severity> {
        let diagnostics = self.switches.diagnostics.then_some(Severity::Diag);
        self.remarks.iter().copied().chain(diagnostics).collect()
    }

    /// Sets where variables come from.
    #[must_use]
    pub fn environment(mut self, environment: &'a dyn Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Sets where files come from.
    #[must_use]
    pub fn loader(mut self, loader: &'a dyn Loader) -> Self {
        self.loader = loader;
        self
    }

    /// Sets what was said on the command line.
    #[must_use]
    pub fn switches(mut self, switches: Switches) -> Self {
        self.switches = switches;
        self
    }

    /// Adds what the embedding program brings to the language.
    #[must_use]
    pub fn extensions(mut self, extensions: &'a Extensions) -> Self {
        self.extensions = Some(extensions);
        self
    }

    /// Sets where addresses of host names come from.
    #[must_use]
    pub fn resolver(mut self, resolver: &'a dyn Resolver) -> Self {
        self.resolver = resolver;
        self
    }
}

impl Default for Source<'_> {
    fn default() -> Self {
        Self::new()
    }
}
