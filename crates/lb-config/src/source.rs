//! What the parser is given: the bytes of the files, and the three things of the outside world that a configuration
//! may refer to. The crate itself touches none of them.

use std::net::IpAddr;

/// Environment variables (manual 2.3).
pub trait Environment {
    /// The value of a variable; `None` when it is not set.
    fn variable(&self, name: &str) -> Option<String>;
}

/// Files that a configuration names (`errorfile`).
pub trait Loader {
    /// The bytes of a file. The error says why not.
    fn load(&self, path: &str) -> Result<Vec<u8>, LoadError>;
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

/// Files and world for one run of the parser.
pub struct Source<'a> {
    pub(crate) files: Vec<(String, &'a [u8])>,
    pub(crate) environment: &'a dyn Environment,
    pub(crate) loader: &'a dyn Loader,
    pub(crate) resolver: &'a dyn Resolver,
}

impl<'a> Source<'a> {
    /// No files yet, and an empty world.
    pub fn new() -> Self {
        Self { files: Vec::new(), environment: &Nothing, loader: &Nothing, resolver: &Nothing }
    }

    /// Adds a file; its name is used in messages only. Files are read in the order given, each starts a section anew.
    #[must_use]
    pub fn file(mut self, name: impl Into<String>, bytes: &'a [u8]) -> Self {
        self.files.push((name.into(), bytes));
        self
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
