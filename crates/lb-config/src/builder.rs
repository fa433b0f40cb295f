//! Configurations without text, for programs that embed the proxy.
//!
//! Holds: what [`ConfigBuilder::build`] gives meets the same promises as what the parser gives: names are unique, every
//! index points at something, ids are set.

use crate::model::{Bind, BindAddress, Config, Global, Mode, Proxy, ProxyIndex, ProxyKind, Server, ServerAddress};
use std::collections::{HashMap, HashSet};

/// Why a configuration cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Two proxies that share a side have the same name.
    #[error("two proxies are named '{0}'")]
    DuplicateProxy(String),
    /// Two servers of a backend have the same name.
    #[error("the backend '{proxy}' has two servers named '{server}'")]
    DuplicateServer {
        /// The backend.
        proxy: String,
        /// The server.
        server: String,
    },
    /// A name is empty.
    #[error("a proxy or server has no name")]
    NoName,
    /// A frontend leads to a backend that does not exist.
    #[error("the frontend '{frontend}' leads to '{backend}', which does not exist")]
    NoBackend {
        /// The frontend.
        frontend: String,
        /// The missing backend.
        backend: String,
    },
    /// A frontend of mode http leads to a backend of mode tcp.
    #[error("the frontend '{frontend}' is in mode http, its backend '{backend}' in mode tcp")]
    Mode {
        /// The frontend.
        frontend: String,
        /// The backend.
        backend: String,
    },
    /// A bind has no address.
    #[error("a bind of '{0}' has no address")]
    NoAddress(String),
    /// Two proxies, servers or binds have the same id.
    #[error("the id {id} is taken twice in '{proxy}'")]
    DuplicateId {
        /// The proxy; empty for the ids of proxies.
        proxy: String,
        /// The id.
        id: u32,
    },
}

/// Collects proxies; made by [`Config::builder`].
#[derive(Clone, Debug, Default)]
pub struct ConfigBuilder {
    global: Global,
    proxies: Vec<(Proxy, Option<String>)>,
}

impl Config {
    /// Starts a configuration in code.
    ///
    /// ```
    /// use lb_config::{Config, Mode, ProxyBuilder};
    /// use std::net::SocketAddr;
    ///
    /// let listen: SocketAddr = "127.0.0.1:8080".parse()?;
    /// let origin: SocketAddr = "127.0.0.1:9000".parse()?;
    /// let config = Config::builder()
    ///     .proxy(ProxyBuilder::frontend("www").mode(Mode::Http).bind(listen).default_backend("app"))
    ///     .proxy(ProxyBuilder::backend("app").mode(Mode::Http).server("s1", origin))
    ///     .build()?;
    /// assert_eq!(config.proxies[0].default_backend, config.backend("app"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }
}

impl ConfigBuilder {
    /// Changes process-wide settings.
    #[must_use]
    pub fn global(mut self, change: impl FnOnce(&mut Global)) -> Self {
        change(&mut self.global);
        self
    }

    /// Adds a proxy.
    #[must_use]
    pub fn proxy(mut self, proxy: ProxyBuilder) -> Self {
        self.proxies.push((proxy.proxy, proxy.default_backend));
        self
    }

    /// Checks everything and gives the configuration. An id that is 0 gets the next free number.
    ///
    /// # Errors
    /// The first thing that does not fit together.
    pub fn build(self) -> Result<Config, BuildError> {
        let mut backends: HashMap<String, (ProxyIndex, Mode)> = HashMap::new();
        let mut frontends: HashSet<String> = HashSet::new();
        for (index, (proxy, _)) in (0u32..).zip(&self.proxies) {
            if proxy.name.is_empty() || proxy.servers.iter().any(|server| server.name.is_empty()) {
                return Err(BuildError::NoName);
            }
            let doubled = (proxy.kind.is_frontend() && !frontends.insert(proxy.name.clone()))
                | (proxy.kind.is_backend() && backends.insert(proxy.name.clone(), (ProxyIndex(index), proxy.mode)).is_some());
            if doubled {
                return Err(BuildError::DuplicateProxy(proxy.name.clone()));
            }
            let mut servers = HashSet::new();
            if let Some(server) = proxy.servers.iter().find(|server| !servers.insert(server.name.as_str())) {
                return Err(BuildError::DuplicateServer { proxy: proxy.name.clone(), server: server.name.clone() });
            }
            if proxy.binds.iter().any(|bind| bind.addresses.is_empty()) {
                return Err(BuildError::NoAddress(proxy.name.clone()));
            }
        }
        let mut proxies = Vec::with_capacity(self.proxies.len());
        for (index, (mut proxy, default_backend)) in (0u32..).zip(self.proxies) {
            let own = ProxyIndex(index);
            proxy.default_backend = match default_backend.filter(|_| proxy.kind.is_frontend()) {
                None => (proxy.kind == ProxyKind::Listen).then_some(own),
                Some(name) => match backends.get(&name) {
                    Some((_, Mode::Tcp)) if proxy.mode == Mode::Http => {
                        return Err(BuildError::Mode { frontend: proxy.name, backend: name });
                    }
                    Some((target, _)) => Some(*target),
                    None => return Err(BuildError::NoBackend { frontend: proxy.name, backend: name }),
                },
            };
            let name = proxy.name.clone();
            number(&name, proxy.servers.iter_mut().map(|server| &mut server.id))?;
            number(&name, proxy.binds.iter_mut().map(|bind| &mut bind.id))?;
            proxies.push(proxy);
        }
        number("", proxies.iter_mut().map(|proxy| &mut proxy.id))?;
        let mut global = self.global;
        global.tune.maxrewrite = global.tune.maxrewrite.min(global.tune.bufsize / 2);
        Ok(Config { global, proxies, ..Config::default() })
    }
}

/// Gives each id that is 0 the next free number.
fn number<'a>(proxy: &str, ids: impl Iterator<Item = &'a mut u32>) -> Result<(), BuildError> {
    let ids: Vec<&mut u32> = ids.collect();
    let mut taken = HashSet::new();
    for id in ids.iter().map(|id| **id).filter(|id| *id > 0) {
        if !taken.insert(id) {
            return Err(BuildError::DuplicateId { proxy: proxy.to_owned(), id });
        }
    }
    let mut free = (1..=u32::MAX).filter(|id| !taken.contains(id));
    for id in ids {
        if *id == 0 {
            *id = free.next().unwrap_or(u32::MAX);
        }
    }
    Ok(())
}

/// One proxy in the making.
#[derive(Clone, Debug)]
pub struct ProxyBuilder {
    proxy: Proxy,
    default_backend: Option<String>,
}

impl ProxyBuilder {
    /// A frontend.
    pub fn frontend(name: impl Into<String>) -> Self {
        Self { proxy: Proxy::new(name, ProxyKind::Frontend), default_backend: None }
    }

    /// A backend.
    pub fn backend(name: impl Into<String>) -> Self {
        Self { proxy: Proxy::new(name, ProxyKind::Backend), default_backend: None }
    }

    /// Both in one.
    pub fn listen(name: impl Into<String>) -> Self {
        Self { proxy: Proxy::new(name, ProxyKind::Listen), default_backend: None }
    }

    /// Bytes or requests; bytes where it is not said.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.proxy.mode = mode;
        self
    }

    /// Listens on a TCP address.
    #[must_use]
    pub fn bind(self, address: std::net::SocketAddr) -> Self {
        self.bind_with(Bind { addresses: vec![BindAddress::Tcp(address)], ..Bind::default() })
    }

    /// Listens as a whole `bind` line says.
    #[must_use]
    pub fn bind_with(mut self, bind: Bind) -> Self {
        self.proxy.binds.push(bind);
        self
    }

    /// Where traffic goes; the backend may be added later.
    #[must_use]
    pub fn default_backend(mut self, name: impl Into<String>) -> Self {
        self.default_backend = Some(name.into());
        self
    }

    /// Adds a server with the settings of a plain `server` line.
    #[must_use]
    pub fn server(self, name: impl Into<String>, address: impl Into<ServerAddress>) -> Self {
        self.server_with(Server::new(name, address.into()))
    }

    /// Adds a server as a whole `server` line says.
    #[must_use]
    pub fn server_with(mut self, server: Server) -> Self {
        self.proxy.servers.push(server);
        self
    }

    /// Changes any other setting. Name and default backend have functions of their own.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Proxy)) -> Self {
        change(&mut self.proxy);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn addr() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 80))
    }

    #[test]
    fn ids_and_indices() {
        let config = Config::builder()
            .proxy(ProxyBuilder::frontend("f").bind(addr()).default_backend("b"))
            .proxy(ProxyBuilder::backend("b").server("x", addr()).server_with(Server { id: 1, ..Server::new("y", addr().into()) }))
            .proxy(ProxyBuilder::listen("l").bind(addr()).with(|proxy| proxy.id = 1))
            .build()
            .expect("sound");
        assert_eq!(config.proxies.iter().map(|proxy| proxy.id).collect::<Vec<_>>(), [2, 3, 1]);
        assert_eq!(config.proxies[1].servers.iter().map(|server| server.id).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(config.proxies[0].default_backend, Some(ProxyIndex(1)));
        assert_eq!(config.proxies[2].default_backend, Some(ProxyIndex(2)));
        assert_eq!(config.proxies[0].binds[0].id, 1);
    }

    #[test]
    fn what_does_not_fit() {
        let frontend = || ProxyBuilder::frontend("f").default_backend("b");
        let error = |builder: ConfigBuilder| builder.build().expect_err("must fail");
        assert!(matches!(error(Config::builder().proxy(frontend())), BuildError::NoBackend { .. }));
        let http = Config::builder().proxy(frontend().mode(Mode::Http)).proxy(ProxyBuilder::backend("b"));
        assert!(matches!(error(http), BuildError::Mode { .. }));
        let twice = Config::builder().proxy(ProxyBuilder::backend("b")).proxy(ProxyBuilder::listen("b"));
        assert_eq!(error(twice), BuildError::DuplicateProxy("b".into()));
        let servers = Config::builder().proxy(ProxyBuilder::backend("b").server("s", addr()).server("s", addr()));
        assert!(matches!(error(servers), BuildError::DuplicateServer { .. }));
        let bind = Config::builder().proxy(ProxyBuilder::frontend("f").bind_with(Bind::default()));
        assert_eq!(error(bind), BuildError::NoAddress("f".into()));
        assert_eq!(error(Config::builder().proxy(ProxyBuilder::backend(""))), BuildError::NoName);
        let ids =
            Config::builder().proxy(ProxyBuilder::backend("a").with(|p| p.id = 7)).proxy(ProxyBuilder::backend("b").with(|p| p.id = 7));
        assert!(matches!(error(ids), BuildError::DuplicateId { id: 7, .. }));
    }
}
