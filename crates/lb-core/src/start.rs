//! From a configuration to running threads: opens the listeners, all before any thread starts, then runs.

use crate::cli::{OpenSocket, Sockets};
use crate::gate::Gate;
use crate::handover::Old;
use crate::health::Plan;
use crate::incoming::Wanted;
use crate::log::forward::{Forwarder, Settings, Stream};
use crate::log::{deliver, forward};
use crate::loggers::Loggers;
use crate::proxy::{Topology, bind_addr, channel};
use crate::socket_file::{Files, set_owner};
use crate::worker::{Exposed, OpenListener, Process, Report, Worker, run_thread};
use lb_config::{Bind, BindAddress, Config, Shards, V6Mode};
use lb_sys::Addr;
use lb_sys::socket::SockOpt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// Why a proxy cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listening address.
    #[error("{place}: cannot bind {address} for {section}: {source}")]
    Bind {
        /// File and line.
        place: String,
        /// What was to be bound.
        address: String,
        /// The proxy.
        section: String,
        /// What the system says.
        source: io::Error,
    },
    /// The file of a UNIX socket.
    #[error("cannot put the socket {} in its place: {source}", path.display())]
    Place {
        /// Where it was to be.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The channel of a `sockpair@`.
    #[error("{place}: cannot use the descriptor of server {name}: {source}")]
    Server {
        /// File and line.
        place: String,
        /// Backend and server.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// A log target.
    #[error("cannot open a log target: {0}")]
    Log(#[from] crate::log::SinkError),
}

/// A proxy with open listeners.
pub struct Proxy {
    process: Arc<Process>,
    listeners: Vec<OpenListener>,
    sockets: Sockets,
    threads: usize,
    prepare: Prepare,
    // Keeps the writer threads of stdout and stderr targets.
    loggers: Loggers,
    forwarders: Vec<Forwarder>,
}

/// Called first in each thread, with its number from 0.
type Prepare = Arc<dyn Fn(usize) + Send + Sync>;

/// Numbers that the process decides, not the file.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Loops to run, at least 1.
    pub threads: usize,
    /// Connections at once.
    pub maxconn: u32,
}

impl Proxy {
    /// Opens everything that the configuration names; `report` takes messages for the operator.
    ///
    /// # Errors
    /// All addresses that cannot be bound, all log targets that cannot be opened.
    pub fn open(config: &Config, sizes: Sizes, report: Report) -> Result<Proxy, Vec<StartError>> {
        Proxy::take_over(config, sizes, Old::default(), report)
    }

    /// As [`Proxy::open`], with the sockets of an old process where they fit: what waits in them is not lost when that one goes.
    ///
    /// # Errors
    /// As [`Proxy::open`].
    pub fn take_over(config: &Config, sizes: Sizes, mut old: Old, report: Report) -> Result<Proxy, Vec<StartError>> {
        let mut loggers = Loggers::new(config);
        let topology = Topology::new(config, &mut loggers, sizes.maxconn);
        let mut errors: Vec<StartError> = loggers.take_errors().into_iter().map(StartError::from).collect();
        let mut listeners = Vec::new();
        let files = Files::default();
        for (frontend, f) in topology.frontends.iter().enumerate() {
            let options = f.listener_options(&config.global.tune);
            let backlog = f.settings.backlog.or(f.settings.maxconn).unwrap_or(sizes.maxconn);
            for (index, bind) in f.settings.binds.iter().enumerate() {
                for (n, address) in (0u32..).zip(&bind.addresses) {
                    // One without a limit counts, if somebody asks.
                    let counts = topology.uses.listeners.then_some(u32::MAX);
                    let gate = bind.maxconn.or(counts).map(Gate::new);
                    let threads = shards(address, sizes.threads, config.global.noreuseport);
                    let reuseport = threads > 1 || !config.global.noreuseport;
                    let receives = matches!(address, BindAddress::Pair(_));
                    let how = How { bind, options: &options, backlog: bind.backlog.unwrap_or(backlog), reuseport, files: &files };
                    match open_all(&how, address, threads, old.take(bind, address)) {
                        Ok(sockets) => {
                            let id = bind.id + n;
                            let alone = sockets.len() < sizes.threads;
                            for (at, (fd, local)) in sockets.into_iter().enumerate() {
                                let (gate, thread) = (gate.clone(), at % sizes.threads.max(1));
                                listeners.push(OpenListener { fd, frontend, bind: index, id, gate, local, thread, alone, receives });
                            }
                        }
                        Err(source) => errors.push(StartError::Bind {
                            place: config.place(bind.span),
                            address: describe(address),
                            section: format!("{} {}", f.settings.kind.name(), f.name()),
                            source,
                        }),
                    }
                }
            }
        }
        for backend in &topology.backends {
            for server in backend.servers() {
                errors.extend(channel(&server.settings.address).err().map(|source| StartError::Server {
                    place: config.place(server.settings.span),
                    name: format!("{}/{}", backend.name(), server.name()),
                    source,
                }));
            }
        }
        let forwarders = open_forwarders(config, &mut loggers, &mut old, &files, &mut errors);
        let sockets = open_sockets(config, &loggers, &mut old, &files, &mut errors);
        let threads = sizes.threads.max(1);
        if errors.is_empty() {
            errors.extend(files.place().into_iter().map(|(path, source)| StartError::Place { path, source }));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let checks = Plan::new(config, &topology, threads);
        let process = Process::new(config, topology, sizes.maxconn, checks, report);
        let told = Arc::downgrade(&process);
        loggers.sinks().on_first_loss(move |text| told.upgrade().iter().for_each(|process| process.report(text)));
        Ok(Proxy { process, listeners, sockets, threads, prepare: Arc::new(|_| {}), loggers, forwarders })
    }

    /// Where it listens: frontend and address for each `bind` address, in the order of the configuration. A port that the
    /// system chose (port 0) is the real one here. A descriptor whose address cannot be told is left out.
    pub fn addresses(&self) -> Vec<(String, Addr)> {
        let mut all = Vec::new();
        // Sockets of one address stand together.
        let address = |l: &OpenListener| (l.frontend, l.bind, l.id);
        for of_one in self.listeners.chunk_by(|a, b| address(a) == address(b)) {
            let listener = &of_one[0];
            let frontend = self.process.topology.frontends[listener.frontend].name();
            // A UNIX socket was made under another name, so the system's answer is the second choice.
            let addr = listener.local.clone().or_else(|| lb_sys::socket::local_addr(listener.fd.as_fd()).ok());
            all.extend(addr.map(|addr| (frontend.to_owned(), addr)));
        }
        all
    }

    /// Calls `prepare` first in each thread, with its number from 0: for what the program wants of its threads.
    pub fn prepare_threads(&mut self, prepare: impl Fn(usize) + Send + Sync + 'static) {
        self.prepare = Arc::new(prepare);
    }

    /// Serves the master of this process through `fd`, as a client of the run-time socket that may do everything; its connections come
    /// over it as descriptors. `gone` is called in the first thread when the master has gone.
    pub fn attach_master(&mut self, fd: OwnedFd, gone: impl FnOnce(&Rc<Worker>) + Send + 'static) {
        self.sockets.attach_master(fd, gone);
    }

    /// Keeps duplicates of the listening sockets, for a process after this one that asks for them ([`crate::handover::give`]).
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn expose_listeners(&self) -> io::Result<()> {
        // Another process has its own channels.
        let own = self.listeners.iter().filter(|listener| !listener.receives);
        let (mut address, mut place) = (None, 0);
        let listeners = own.map(|listener| {
            // Sockets of one address stand together.
            let this = (listener.frontend, listener.bind, listener.id);
            place = if address.replace(this) == Some(this) { place + 1 } else { 0 };
            let spare = match self.process.topology.frontends[listener.frontend].settings.binds[listener.bind].shards {
                Shards::Count(count) => place >= count.max(1),
                Shards::ByThread => false,
            };
            (&listener.fd, Some(listener.frontend), spare)
        });
        let streams = self.forwarders.iter().flat_map(|forwarder| forwarder.streams.iter().map(|stream| &stream.fd));
        let forwarders = streams.chain(self.forwarders.iter().flat_map(|forwarder| &forwarder.datagrams));
        let all = listeners.chain(self.sockets.fds().chain(forwarders).map(|fd| (fd, None, false)));
        let exposed =
            all.map(|(fd, frontend, spare)| fd.try_clone().map(|fd| Exposed { fd, frontend, spare })).collect::<io::Result<_>>()?;
        *self.process.exposed() = exposed;
        Ok(())
    }

    /// What all threads share: counts, and the way to stop.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Runs all threads; `main` runs in the calling one, first of all. Returns when [`Process::end`] was called.
    ///
    /// # Errors
    /// A thread or its loop cannot be made.
    pub fn run(self, main: impl FnOnce(&Rc<Worker>) + 'static) -> io::Result<()> {
        let mut per_thread: Vec<Vec<OpenListener>> = (0..self.threads).map(|_| Vec::new()).collect();
        for listener in self.listeners {
            per_thread[listener.thread % self.threads].push(listener);
        }
        let own = per_thread.remove(0);
        let mut joins = Vec::new();
        for (index, listeners) in (1..).zip(per_thread) {
            let process = self.process.clone();
            let prepare = self.prepare.clone();
            let run = move || {
                prepare(index);
                run_thread(&process, index, listeners, |_| {})
            };
            joins.push(std::thread::Builder::new().name(format!("lb-{index}")).spawn(run)?);
        }
        let sockets = self.sockets;
        let main = move |worker: &Rc<Worker>| {
            sockets.start(worker);
            main(worker);
        };
        let (rings, forwarders) = (self.loggers.rings().to_vec(), self.forwarders);
        let main = move |worker: &Rc<Worker>| {
            deliver::start(worker, &rings);
            forward::start(worker, forwarders);
            main(worker);
        };
        (self.prepare)(0);
        let result = run_thread(&self.process, 0, own, main);
        self.process.end();
        for join in joins {
            match join.join() {
                Ok(ended) => ended?,
                Err(_) => return Err(io::Error::other("a thread of the proxy has panicked")),
            }
        }
        // The lines of streams that the end took along are in them by now.
        self.loggers.rings().iter().for_each(|ring| ring.flush());
        result
    }
}

/// Connections that the system queues for a run-time socket.
const SOCKET_BACKLOG: u32 = 128;

/// Opens the run-time sockets.
fn open_sockets(config: &Config, loggers: &Loggers, old: &mut Old, files: &Files, errors: &mut Vec<StartError>) -> Sockets {
    let mut open = Vec::new();
    for bind in &config.global.stats_sockets {
        for address in &bind.addresses {
            let backlog = bind.backlog.unwrap_or(SOCKET_BACKLOG);
            let how = How { bind, options: &[], backlog, reuseport: !config.global.noreuseport, files };
            match open_all(&how, address, 1, old.take(bind, address)).map(|mut all| all.remove(0).0) {
                Ok(fd) => open.push(OpenSocket {
                    fd,
                    level: bind.level,
                    severity: bind.severity,
                    expose_listeners: bind.expose_listeners,
                    maxconn: bind.maxconn,
                }),
                Err(source) => errors.push(StartError::Bind {
                    place: config.place(bind.span),
                    address: describe(address),
                    section: "stats socket".into(),
                    source,
                }),
            }
        }
    }
    Sockets::new(open, &config.global, loggers.sinks().dropped_later())
}

/// The sockets of all `log-forward` sections.
fn open_forwarders(config: &Config, loggers: &mut Loggers, old: &mut Old, files: &Files, errors: &mut Vec<StartError>) -> Vec<Forwarder> {
    let mut all = Vec::new();
    for section in &config.log_forwards {
        let mut fault = |span, address: String, source| {
            let section = format!("log-forward {}", section.name);
            errors.push(StartError::Bind { place: config.place(span), address, section, source });
        };
        let (mut streams, mut datagrams) = (Vec::new(), Vec::new());
        let backlog = section.backlog.unwrap_or(section.maxconn);
        for bind in &section.binds {
            let headers = Wanted { netscaler_cip: bind.accept_netscaler_cip, proxy: bind.accept_proxy };
            for address in &bind.addresses {
                let backlog = bind.backlog.unwrap_or(backlog);
                let how = How { bind, options: &[], backlog, reuseport: !config.global.noreuseport, files };
                match open_all(&how, address, 1, old.take(bind, address)) {
                    Ok(all) => streams.extend(all.into_iter().map(|(fd, _)| Stream { fd, headers })),
                    Err(e) => fault(bind.span, describe(address), e),
                }
            }
        }
        for bind in &section.dgram_binds {
            let taken = old.take_datagrams(bind);
            if !taken.is_empty() {
                datagrams.extend(taken);
                continue;
            }
            match open_datagrams(bind) {
                Ok(fd) => datagrams.push(fd),
                Err(e) => fault(bind.span, bind.address.to_string(), e),
            }
        }
        let logger = loggers.forwarder(config, section);
        let gate = Gate::new(section.maxconn);
        let (timeout_client, host) = (section.timeout_client, section.host);
        let settings = Settings { timeout_client, host, parses: section.parses, line_feeds: section.line_feeds };
        all.push(Forwarder { logger, streams, datagrams, gate, settings });
    }
    errors.extend(loggers.take_errors().into_iter().map(StartError::from));
    all
}

fn open_datagrams(bind: &lb_config::DgramBind) -> io::Result<OwnedFd> {
    let addr = Addr::Ip(bind.address);
    let fd = lb_sys::socket::open(&addr, lb_sys::socket::Kind::Datagram)?;
    let device = bind.interface.clone().map(SockOpt::Device);
    for option in [SockOpt::ReuseAddr(true), SockOpt::ReusePort(true)].into_iter().chain(device) {
        lb_sys::socket::apply(fd.as_fd(), &option)?;
    }
    lb_sys::socket::bind(fd.as_fd(), &addr)?;
    Ok(fd)
}

/// Sockets to open for an address: one per thread where the kernel can spread connections over them.
fn shards(address: &BindAddress, threads: usize, noreuseport: bool) -> usize {
    match address {
        BindAddress::Tcp(_) if !noreuseport => threads,
        _ => 1,
    }
}

/// A port that the system has chosen for the first socket of an address holds for the others too.
fn settle(address: &mut BindAddress, fd: &OwnedFd) {
    if let BindAddress::Tcp(a) = address
        && a.port() == 0
        && let Ok(Addr::Ip(chosen)) = lb_sys::socket::local_addr(fd.as_fd())
    {
        a.set_port(chosen.port());
    }
}

fn describe(address: &BindAddress) -> String {
    match address {
        BindAddress::Fd(fd) => format!("fd@{fd}"),
        BindAddress::Pair(fd) => format!("sockpair@{fd}"),
        other => bind_addr(other).map_or_else(String::new, |a| a.to_string()),
    }
}

/// Opens the listening socket of an address that operators use.
///
/// # Errors
/// Those of `bind(2)`.
pub fn open_control(bind: &Bind, address: &BindAddress) -> io::Result<OwnedFd> {
    let files = Files::default();
    let (fd, _) = open_listener(bind, address, &[], bind.backlog.unwrap_or(SOCKET_BACKLOG), true, &files)?;
    files.place().pop().map_or(Ok(fd), |(_, e)| Err(e))
}

/// How the sockets of an address are opened.
struct How<'a> {
    bind: &'a Bind,
    options: &'a [SockOpt],
    backlog: u32,
    reuseport: bool,
    files: &'a Files,
}

/// The sockets of an address: those of an old process, and new ones up to `count`. Where an old one stands in the way of new ones,
/// it serves alone.
fn open_all(how: &How<'_>, address: &BindAddress, count: usize, old: Vec<OwnedFd>) -> io::Result<Vec<(OwnedFd, Option<Addr>)>> {
    let mut all = old.into_iter().map(|fd| adopt(how, address, fd)).collect::<io::Result<Vec<_>>>()?;
    let mut at = address.clone();
    while all.len() < count {
        match open_listener(how.bind, &at, how.options, how.backlog, how.reuseport, how.files) {
            Ok((fd, local)) => {
                settle(&mut at, &fd);
                all.push((fd, local));
            }
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && !all.is_empty() => break,
            Err(e) => return Err(e),
        }
    }
    Ok(all)
}

/// A socket that listens already, with the options of its `bind` line.
fn adopt(how: &How<'_>, address: &BindAddress, fd: OwnedFd) -> io::Result<(OwnedFd, Option<Addr>)> {
    let addr = bind_addr(address).ok_or(io::ErrorKind::InvalidInput)?;
    lb_sys::socket::listen(fd.as_fd(), how.backlog)?;
    match &addr {
        Addr::Ip(ip) => {
            // A process that ended before its time may have left it behind.
            let _ = lb_sys::socket::steer_no_more(fd.as_fd());
            // What the line does not say any more; then what it says. Buffers and segments that cannot be changed stay.
            let reset = [SockOpt::DeferAccept(0), SockOpt::UserTimeout(std::time::Duration::ZERO), SockOpt::SaveSyn(0)];
            for option in reset.iter().chain(&tcp_options(how.bind, &addr, how.options, how.backlog)?) {
                let _ = lb_sys::socket::apply(fd.as_fd(), option);
            }
            let known = !ip.ip().is_unspecified();
            Ok((fd, known.then_some(addr)))
        }
        Addr::Unix(path) => {
            set_owner(&how.bind.unix, path)?;
            Ok((fd, Some(addr)))
        }
        _ => Ok((fd, Some(addr))),
    }
}

/// Options of a listening socket that may be set at any time.
fn tcp_options(bind: &Bind, addr: &Addr, options: &[SockOpt], backlog: u32) -> io::Result<Vec<SockOpt>> {
    let mut all = options.to_vec();
    all.extend(bind.mss.map(|mss| segment(addr, mss)).transpose()?.map(SockOpt::MaxSeg));
    all.extend(bind.tcp_user_timeout.map(SockOpt::UserTimeout));
    if bind.save_syn != 0 {
        all.push(SockOpt::SaveSyn(bind.save_syn));
    }
    if bind.defer_accept {
        all.push(SockOpt::DeferAccept(1));
    }
    if bind.tfo {
        all.push(SockOpt::FastOpen(backlog));
    }
    Ok(all)
}

fn open_listener(
    bind: &Bind,
    address: &BindAddress,
    options: &[SockOpt],
    backlog: u32,
    reuseport: bool,
    files: &Files,
) -> io::Result<(OwnedFd, Option<Addr>)> {
    let addr = match address {
        BindAddress::Fd(fd) => return Ok((lb_sys::process::inherited(*fd)?, None)),
        BindAddress::Pair(fd) => return Ok((lb_sys::process::inherited(*fd)?, Some(Addr::Unnamed))),
        other => bind_addr(other).ok_or(io::ErrorKind::InvalidInput)?,
    };
    let ip = match &addr {
        Addr::Ip(ip) => ip,
        Addr::Unix(path) => return files.open(&bind.unix, path, backlog).map(|fd| (fd, Some(addr))),
        _ => return lb_rt::Bind { options: Vec::new(), backlog }.open(&addr).map(|fd| (fd, Some(addr))),
    };
    let mut all = vec![SockOpt::ReuseAddr(true)];
    if reuseport {
        all.push(SockOpt::ReusePort(true));
    }
    if ip.is_ipv6() {
        all.push(SockOpt::V6Only(bind.family == V6Mode::V6Only));
    }
    all.extend(bind.interface.clone().map(SockOpt::Device));
    all.extend(tcp_options(bind, &addr, options, backlog)?);
    let fd = lb_rt::Bind { options: all, backlog }.open(&addr)?;
    let unspecified = ip.ip().is_unspecified();
    let known = if ip.port() == 0 { lb_sys::socket::local_addr(fd.as_fd()).ok() } else { Some(addr) };
    let known = known.filter(|_| !unspecified);
    Ok((fd, known))
}

/// `mss`: as given, or so much less than the system's.
fn segment(addr: &Addr, mss: i32) -> io::Result<u32> {
    if let Ok(mss) = u32::try_from(mss) {
        return Ok(mss);
    }
    let probe = lb_sys::socket::open(addr, lb_sys::socket::Kind::Stream)?;
    let system = lb_sys::socket::max_segment(std::os::fd::AsFd::as_fd(&probe))?;
    Ok(system.saturating_sub(mss.unsigned_abs()).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_config::ProxyBuilder;
    use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

    #[test]
    fn a_port_that_the_system_chooses_is_one_for_all_threads() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let origin = TcpListener::bind(any).unwrap();
        let server = origin.local_addr().unwrap();
        let config = Config::builder()
            .proxy(ProxyBuilder::listen("a").bind(any).server("s", server))
            .proxy(ProxyBuilder::listen("b").bind(any).bind(any).server("s", server))
            .build()
            .unwrap();
        let proxy = Proxy::open(&config, Sizes { threads: 3, maxconn: 10 }, Box::new(|_, _| {})).unwrap();
        assert_eq!(proxy.listeners.len(), 9);
        let addresses = proxy.addresses();
        assert_eq!(addresses.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b", "b"]);
        let mut all: Vec<Addr> = proxy.listeners.iter().map(|l| lb_sys::socket::local_addr(l.fd.as_fd()).unwrap()).collect();
        assert!(proxy.listeners.iter().zip(&all).all(|(l, addr)| l.local.as_ref() == Some(addr)), "as logs tell it");
        all.dedup();
        assert_eq!(all, addresses.iter().map(|(_, addr)| addr.clone()).collect::<Vec<_>>());

        let process = proxy.process().clone();
        let running = std::thread::spawn(move || proxy.run(|_| {}));
        for (_, addr) in addresses {
            let _client = TcpStream::connect(addr.ip().unwrap()).unwrap();
            origin.accept().expect("what is accepted is passed on");
        }
        process.end();
        running.join().unwrap().unwrap();
    }
}
