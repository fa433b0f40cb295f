//! What expressions ask of a live stream, or of a connection that has none yet. Made by rules and log lines for the moment of an
//! evaluation, from what they have in their hands: it borrows all of it and is gone before anything changes.
//!
//! Holds: what costs a system call (addresses, the kernel's view of a connection) is asked for only when an expression wants it.

use crate::client::Client;
use crate::proxy::{Backend, Frontend, Server};
use crate::record::Record;
use crate::rules::SessionState;
use crate::stats::Rates;
use crate::variables::Visible;
use bumpalo::Bump;
use lb_config::{Password, ProxyIndex, Referent, Userlist};

use lb_expr::sample::{Bytes, Condition, Context, Fact, Lookup, OwnedValue, Reference, Side, TcpFact, Value, Variable};
use lb_expr::{CaptureSide, Field, LogSource, LogValue, Timestamp};
use lb_http::Head;
use lb_rt::Socket;
use lb_sys::Addr;
use lb_sys::socket::TcpInfo;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// A proxy or a server that an expression names.
#[derive(Clone)]
pub enum Named {
    /// A frontend.
    Frontend(Arc<Frontend>),
    /// A backend.
    Backend(Arc<Backend>),
    /// A server and its backend.
    Server(Arc<Backend>, Arc<Server>),
    /// A `userlist`.
    Users(Arc<Userlist>),
    /// Something that does not run: a disabled proxy, a name of another kind.
    Nothing,
}

/// All that expressions of a configuration name, by [`Reference`].
#[derive(Clone, Default)]
pub struct Names(Box<[Named]>);

impl Names {
    /// Looks up `referents`, in the order of their numbers.
    pub fn new(frontends: &[Arc<Frontend>], backends: &[Arc<Backend>], userlists: &[Userlist], referents: &[Referent]) -> Names {
        let frontend = |place: ProxyIndex| frontends.iter().find(|f| f.order == place.0);
        let backend = |place: ProxyIndex| backends.iter().find(|b| b.order == place.0);
        let look_up = |referent: &Referent| match *referent {
            Referent::Frontend(place) => frontend(place).map(|f| Named::Frontend(f.clone())),
            Referent::Backend(place) => backend(place).map(|b| Named::Backend(b.clone())),
            Referent::Server(place, server) => {
                backend(place).and_then(|b| Some(Named::Server(b.clone(), b.servers().get(server)?.clone())))
            }
            Referent::Userlist(place) => userlists.get(place).map(|list| Named::Users(Arc::new(list.clone()))),
            Referent::Nothing => None,
        };
        Names(referents.iter().map(|referent| look_up(referent).unwrap_or(Named::Nothing)).collect())
    }

    fn get(&self, reference: Reference) -> &Named {
        self.0.get(reference.0 as usize).unwrap_or(&Named::Nothing)
    }

    fn frontend(&self, reference: Reference) -> Option<&Arc<Frontend>> {
        if let Named::Frontend(frontend) = self.get(reference) { Some(frontend) } else { None }
    }

    fn users(&self, reference: Reference) -> Option<&Userlist> {
        if let Named::Users(list) = self.get(reference) { Some(list) } else { None }
    }

    pub(crate) fn backend(&self, reference: Reference) -> Option<&Arc<Backend>> {
        if let Named::Backend(backend) = self.get(reference) { Some(backend) } else { None }
    }

    pub(crate) fn server(&self, reference: Reference) -> Option<(&Arc<Backend>, &Arc<Server>)> {
        if let Named::Server(backend, server) = self.get(reference) { Some((backend, server)) } else { None }
    }
}

/// What is kept only while some expression asks for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uses {
    /// `dst_conn`: connections of each listener.
    pub listeners: bool,
    /// `bc_src`, `bc_src_port`: own addresses towards servers.
    pub server_source: bool,
    /// `dst` and its like: where clients have connected to.
    pub destination: bool,
    /// `fc_rtt` and its like: what the kernel knows of the client's connection.
    pub client_tcp: bool,
    /// `fe_sess_rate` and its like.
    pub rates: bool,
    /// `last_rule_line`, `last_rule_file`
    pub last_rule: bool,
    /// `fc_pp_tlv` and its like: what the PROXY protocol said beside addresses.
    pub extensions: bool,
    /// Words of log lines in formats that are none, `capture.req.uri`, `req.timer.hdr`: the request line, and when it came.
    pub line: bool,
}

impl Uses {
    /// What a configuration uses.
    pub fn new(named: &lb_config::Named) -> Uses {
        let any = |names: &[&str]| named.extended || names.iter().any(|name| named.fetches.contains(name));
        Uses {
            listeners: any(&["dst_conn"]),
            server_source: any(&["bc_src", "bc_src_port"]),
            destination: any(&["dst", "dst_port", "dst_is_local", "fc_dst", "fc_dst_port", "fc_dst_is_local"]),
            client_tcp: any(&["fc_rtt", "fc_rttvar", "fc_unacked", "fc_sacked", "fc_lost", "fc_retrans", "fc_fackets", "fc_reordering"]),
            rates: any(&["fe_req_rate", "fe_sess_rate", "be_sess_rate", "srv_sess_rate"]),
            last_rule: any(&["last_rule_line", "last_rule_file"]),
            extensions: any(&["fc_pp_authority", "fc_pp_unique_id", "fc_pp_tlv"]),
            line: named.words
                || any(&["method", "request_date"])
                || named.fetches.iter().any(|name| name.starts_with("capture.") || name.contains(".timer.")),
        }
    }
}

/// A connection, and the stream on it if there is one, at the moment of an evaluation.
#[derive(Clone, Copy)]
pub struct View<'s> {
    /// The client's connection.
    pub client: &'s Client,
    /// Its socket, for addresses and for what the kernel knows.
    pub socket: Option<&'s Socket>,
    /// The socket of the server's connection, while there is one.
    pub server_socket: Option<&'s Socket>,
    /// The stream; `None`: `tcp-request connection` and `session`.
    pub record: Option<&'s Record>,
    /// Head of the request.
    pub request: Option<&'s Head>,
    /// Head of the response.
    pub response: Option<&'s Head>,
    /// What is here of the request's body.
    pub request_body: Bytes<'s>,
    /// What is here of the response's body.
    pub response_body: Bytes<'s>,
    /// In mode tcp, or before a head was read: what has come from the client.
    pub from_client: Bytes<'s>,
    /// The same, from the server.
    pub from_server: Bytes<'s>,
    /// Requests that came before on the client's connection.
    pub served: u32,
    /// What rules have made of the connection while there is no stream.
    pub session: SessionState,
}

impl<'s> View<'s> {
    /// A connection without a stream.
    pub fn of_connection(client: &'s Client, socket: Option<&'s Socket>) -> View<'s> {
        View {
            client,
            socket,
            server_socket: None,
            record: None,
            request: None,
            response: None,
            request_body: Bytes::default(),
            response_body: Bytes::default(),
            from_client: Bytes::default(),
            from_server: Bytes::default(),
            served: 0,
            session: SessionState::default(),
        }
    }

    /// A stream of which nothing but its record is at hand, as when its log line is written.
    pub fn of_stream(record: &'s Record) -> View<'s> {
        View { record: Some(record), ..View::of_connection(&record.client, None) }
    }

    fn variables(&self) -> Visible<'s> {
        Visible {
            shared: &self.client.worker().process.variables,
            session: &self.client.variables,
            stream: self.record.map(|record| &record.variables),
        }
    }

    fn frontend(&self) -> &'s Arc<Frontend> {
        self.client.frontend()
    }

    /// The backend, or the frontend in its place while none is chosen, as haproxy has it.
    fn backend(&self) -> Option<&'s Arc<Backend>> {
        self.record?.backend.as_ref()
    }

    fn server(&self) -> Option<&'s Arc<Server>> {
        self.record?.server.as_ref().filter(|server| !server.implicit)
    }

    fn names(&self) -> &'s Names {
        &self.client.worker().process.topology.names
    }

    /// A backend by a name that came with a value.
    fn backend_named(&self, name: &str) -> Option<&'s Arc<Backend>> {
        self.client.worker().process.topology.backend_named(name)
    }

    /// A server by such a name, `backend/server`, or `server` of the backend that serves.
    fn server_named(&self, name: &str) -> Option<&'s Arc<Server>> {
        let (backend, name) = match name.split_once('/') {
            Some((backend, name)) => (self.backend_named(backend)?, name),
            None => (self.backend()?, name),
        };
        backend.servers().iter().find(|server| server.name() == name && !server.implicit)
    }

    /// The client's address, as rules have it.
    pub fn source(&self) -> Option<Addr> {
        let set = self.session.source.or_else(|| self.record?.rules().source);
        Some(set.map_or_else(|| self.client.peer.clone(), Addr::Ip))
    }

    /// The address that the client connected to, as rules have it.
    pub fn destination(&self) -> Option<Addr> {
        let set = self.session.destination.or_else(|| self.record?.rules().destination);
        set.map(Addr::Ip).or_else(|| self.local().cloned())
    }

    fn local(&self) -> Option<&'s Addr> {
        match self.socket {
            Some(socket) => self.client.learn_local(socket),
            None => self.client.local(),
        }
    }

    fn rate<'a>(&self, of: impl FnOnce(&mut Rates, Instant) -> Option<u64>) -> Option<Value<'a>> {
        let worker = self.client.worker();
        let mut rates = worker.process.rates.get()?.lock().unwrap_or_else(PoisonError::into_inner);
        of(&mut rates, worker.rt.now()).map(|rate| Value::Int(i64::try_from(rate).unwrap_or(i64::MAX)))
    }

    /// The record, if it is one of a stream.
    fn stream(&self) -> Option<&'s Record> {
        self.record.filter(|record| record.is_stream())
    }

    fn tcp_info(&self, fact: TcpFact) -> Option<i64> {
        let noted = || self.record?.client_tcp().copied();
        let info = self.socket.and_then(Socket::tcp_info).or_else(noted)?;
        Some(i64::from(of_tcp(&info, fact)))
    }
}

// Kinds of extensions of the PROXY protocol (its specification, section 2.2).
const PP_AUTHORITY: u8 = 2;
const PP_UNIQUE_ID: u8 = 5;

fn extension<'a>(client: &'a Client, kind: u8) -> Option<Value<'a>> {
    let extensions = client.proxied.as_deref()?;
    extensions.iter().find(|(own, _)| *own == kind).map(|(_, value)| Value::Str(value))
}

fn of_tcp(info: &TcpInfo, fact: TcpFact) -> u32 {
    match fact {
        TcpFact::Rtt => info.rtt,
        TcpFact::RttVar => info.rtt_var,
        TcpFact::Unacked => info.unacked,
        TcpFact::Sacked => info.sacked,
        TcpFact::Lost => info.lost,
        TcpFact::Retrans => info.retrans,
        TcpFact::Fackets => info.fackets,
        TcpFact::Reordering => info.reordering,
    }
}

fn ip<'a>(addr: Option<&Addr>) -> Option<Value<'a>> {
    addr?.ip().map(|addr| Value::Ip(addr.ip()))
}

fn port<'a>(addr: Option<&Addr>) -> Option<Value<'a>> {
    addr?.ip().map(|addr| Value::Int(i64::from(addr.port())))
}

/// Whether an address is one of this machine's; those of UNIX sockets are.
fn is_local<'a>(addr: Option<&Addr>) -> Option<Value<'a>> {
    let local = match addr? {
        Addr::Ip(addr) => lb_sys::socket::is_local(addr.ip()),
        _ => true,
    };
    Some(Value::Bool(local))
}

fn count<'a>(n: u32) -> Option<Value<'a>> {
    Some(Value::Int(i64::from(n)))
}

fn text<'a>(text: &'a str) -> Option<Value<'a>> {
    Some(Value::Str(text.as_bytes()))
}

fn milliseconds<'a>(time: Option<Duration>) -> Option<Value<'a>> {
    Some(Value::Int(time.map_or(0, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX))))
}

/// Places that are free at the servers that take work; -1: there is no limit. `queues`: places in queues count, and so do backups.
fn free_places(backend: &Backend, queues: bool) -> i64 {
    let (active, _) = backend.usable();
    let mut free = 0i64;
    for server in backend.servers().iter().filter(|s| !s.implicit && s.usable()) {
        if !queues && server.settings.backup && active != 0 {
            continue;
        }
        let Some(max) = server.maxconn() else { return -1 };
        let here = server.served.load(Ordering::Relaxed);
        free += i64::from(max) - i64::from(here);
        if queues {
            let Some(max) = server.settings.maxqueue.filter(|max| *max != 0) else { return -1 };
            free += i64::from(max) - i64::from(server.queued.load(Ordering::Relaxed));
        }
    }
    free
}

impl LogSource for View<'_> {
    fn value(&self, field: Field) -> LogValue<'_> {
        self.record.map_or(LogValue::Missing, |record| record.value(field))
    }

    fn capture(&self, side: CaptureSide, slot: usize) -> Option<&[u8]> {
        self.record?.capture(side, slot)
    }
}

/// `env`: haproxy looks when it is asked, too, which is later than the start's own variables.
pub(crate) fn environment<'a>(name: &str, scratch: &'a Bump) -> Option<Value<'a>> {
    use std::os::unix::ffi::OsStrExt as _;
    let value = std::env::var_os(name)?;
    Some(Value::Str(scratch.alloc_slice_copy(value.as_bytes())))
}

impl Context for View<'_> {
    fn knows_user(&self, list: Reference, user: &[u8], password: &[u8]) -> bool {
        let Some(user) = self.names().users(list).and_then(|list| list.user(user)) else { return false };
        match &user.password {
            None => false,
            Some(Password::Plain(known)) => known.as_bytes() == password,
            // Takes some milliseconds, as it has to: hashes of passwords are made to be slow.
            Some(Password::Crypt(hash)) => pwhash::unix::verify(password, hash),
        }
    }

    fn group_of(&self, list: Reference, user: &[u8], n: usize) -> Option<&[u8]> {
        let user = self.names().users(list)?.user(user)?;
        user.groups.get(n).map(|group| group.as_bytes())
    }

    fn head(&self, side: Side) -> Option<&Head> {
        match side {
            Side::Request => self.request,
            Side::Response => self.response,
        }
    }

    fn body(&self, side: Side) -> Bytes<'_> {
        match side {
            Side::Request => self.request_body,
            Side::Response => self.response_body,
        }
    }

    fn buffer(&self, side: Side) -> Bytes<'_> {
        match side {
            Side::Request => self.from_client,
            Side::Response => self.from_server,
        }
    }

    fn fact<'a>(&'a self, fact: Fact, scratch: &'a Bump) -> Option<Value<'a>> {
        let process = &self.client.worker().process;
        match fact {
            Fact::Src => ip(self.source().as_ref()),
            Fact::SrcPort => port(self.source().as_ref()),
            Fact::SrcIsLocal => is_local(self.source().as_ref()),
            Fact::Dst => ip(self.destination().as_ref()),
            Fact::DstPort => port(self.destination().as_ref()),
            Fact::DstIsLocal => is_local(self.destination().as_ref()),
            Fact::FcSrc => ip(Some(&self.client.peer)),
            Fact::FcSrcPort => port(Some(&self.client.peer)),
            Fact::FcSrcIsLocal => is_local(Some(&self.client.peer)),
            Fact::FcDst => ip(self.local()),
            Fact::FcDstPort => port(self.local()),
            Fact::FcDstIsLocal => is_local(self.local()),
            Fact::DstConn => count(self.client.passes[2].as_ref()?.open()),
            Fact::FcRcvdProxy => Some(Value::Bool(self.client.proxied.is_some())),
            Fact::FcPpTlv(kind) => extension(self.client, kind),
            Fact::FcPpAuthority => extension(self.client, PP_AUTHORITY),
            Fact::FcPpUniqueId => extension(self.client, PP_UNIQUE_ID),
            Fact::FeId => count(self.frontend().settings.id),
            Fact::FeName => text(self.frontend().name()),
            Fact::FeConn(of) => count(self.names().frontend(of)?.gate.current()),
            Fact::FeClientTimeout => milliseconds(self.frontend().settings.timeouts.client),
            Fact::FeDefbe => text(self.frontend().backend.as_ref()?.name()),
            Fact::SoId => count(self.client.place.listener_id),
            Fact::SoName => text(self.client.place.bind_name()?),
            Fact::FcHttpMajor => Some(Value::Int(1)).filter(|_| self.client.serves_http()),
            Fact::FcTcp(fact) => self.tcp_info(fact).map(Value::Int),
            Fact::FcSavedSyn => self.socket?.saved_syn().map(|syn| Value::Bin(&*scratch.alloc_slice_copy(&syn))),
            // These are of streams, as the backend of what has none is not even the frontend.
            Fact::HttpFirstReq | Fact::BeId | Fact::BeName if self.stream().is_none() => None,
            Fact::HttpFirstReq => Some(Value::Bool(self.served == 0)),
            Fact::BeId => count(self.backend().map_or(self.frontend().settings.id, |b| b.settings.id)),
            Fact::BeName => text(self.backend().map_or(self.frontend().name(), |b| b.name())),
            Fact::BeServerTimeout => milliseconds(self.backend()?.settings.timeouts.server),
            Fact::BeTunnelTimeout => milliseconds(self.backend()?.settings.timeouts.tunnel),
            Fact::BeConnectTimeout => milliseconds(self.backend()?.settings.timeouts.connect),
            Fact::BeQueueTimeout => milliseconds(self.backend()?.settings.timeouts.effective_queue()),
            Fact::BeTarpitTimeout => milliseconds(self.backend()?.settings.timeouts.effective_tarpit()),
            Fact::FeTarpitTimeout => milliseconds(self.frontend().settings.timeouts.effective_tarpit()),
            Fact::BeMaxRetries => count(self.backend()?.settings.retries),
            Fact::CurMaxRetries => count(self.record?.max_retries(self.backend()?)),
            Fact::CurServerTimeout => milliseconds(self.record?.rules().timeout_server.or(self.backend()?.settings.timeouts.server)),
            Fact::CurTunnelTimeout => milliseconds(self.record?.rules().timeout_tunnel.or(self.backend()?.settings.timeouts.tunnel)),
            Fact::CurClientTimeout => {
                let changed = self.record.and_then(|record| record.rules().timeout_client);
                milliseconds(changed.or(self.frontend().settings.timeouts.client))
            }
            Fact::BeConn(of) => count(self.names().backend(of).map_or(0, |b| b.current.load(Ordering::Relaxed))),
            Fact::BeConnFree(of) => Some(Value::Int(self.names().backend(of).map_or(0, |b| free_places(b, false)))),
            Fact::Connslots(of) => Some(Value::Int(self.names().backend(of).map_or(0, |b| free_places(b, true)))),
            Fact::NbSrv(of) => Some(Value::Int(self.names().backend(of).map_or(0, |b| {
                let (active, backups) = b.usable();
                (if active != 0 { active } else { backups }) as i64
            }))),
            Fact::Queue(of) => count(self.names().backend(of).map_or(0, |b| b.queue.waiting())),
            Fact::AvgQueue(of) => Some(Value::Int(self.names().backend(of).map_or(0, |b| {
                let waiting = i64::from(b.queue.waiting());
                let (active, backups) = b.usable();
                let servers = (if active != 0 { active } else { backups }) as i64;
                // As haproxy: rounded up; twice as many while there is nobody to serve them.
                if servers > 0 { (waiting + servers - 1) / servers } else { waiting * 2 }
            }))),
            Fact::SrvId => count(self.server()?.settings.id),
            Fact::SrvName => text(self.server()?.name()),
            Fact::SrvConn(of) => count(self.names().server(of)?.1.served.load(Ordering::Relaxed)),
            Fact::SrvConnFree(of) => {
                let (_, server) = self.names().server(of)?;
                let free = |max: u32| (i64::from(max) - i64::from(server.served.load(Ordering::Relaxed))).max(0);
                Some(Value::Int(server.maxconn().map_or(-1, free)))
            }
            Fact::SrvIsUp(of) => Some(Value::Bool(self.names().server(of)?.1.usable())),
            Fact::SrvQueue(of) => count(self.names().server(of)?.1.queued.load(Ordering::Relaxed)),
            Fact::SrvUweight(of) | Fact::SrvWeight(of) => count(self.names().server(of)?.1.weight.load(Ordering::Relaxed)),
            Fact::SrvIweight(of) => count(u32::from(self.names().server(of)?.1.settings.weight)),
            Fact::BcDst => ip(self.record?.server_addr().as_ref()),
            Fact::BcDstPort => port(self.record?.server_addr().as_ref()),
            Fact::BcSrc => ip(self.record?.source()),
            Fact::BcSrcPort => port(self.record?.source()),
            Fact::BcHttpMajor => Some(Value::Int(1)).filter(|_| self.backend().is_some_and(|b| b.is_http())),
            Fact::ActConn => count(process.gate.current()),
            Fact::Nbproc | Fact::Proc => Some(Value::Int(1)),
            Fact::Nbthread => Some(Value::Int(process.counters.len() as i64)),
            Fact::Thread => Some(Value::Int(self.client.worker().index as i64)),
            Fact::Pid => count(std::process::id()),
            Fact::Hostname => text(&process.host_name),
            Fact::Stopping => Some(Value::Bool(process.will_stop())),
            Fact::Uptime => Some(Value::Int(self.client.worker().age() as i64)),
            Fact::CpuCalls => count(self.record?.calls()?),
            // Tasks are not profiled, as haproxy's are not unless `profiling.tasks on` asks for it.
            Fact::CallNanoseconds => self.record?.calls().map(|_| Value::Int(0)),
            Fact::UniqueId => {
                self.frontend().unique_id.as_ref()?;
                Some(Value::Str(self.stream()?.unique_id_in(self)))
            }
            Fact::Status => count(self.stream().filter(|record| record.status != 0)?.status.into()),
            Fact::FcErr => count(self.record.map_or(0, |r| r.fault().map_or(0, |fault| fault.code.into()))),
            Fact::FcErrName => text(self.record.and_then(Record::fault).map_or("", |fault| fault.name())),
            // A connection of HTTP/1 has one.
            Fact::FcNbStreams => Some(Value::Int(1)).filter(|_| self.client.serves_http()),
            Fact::FcErrStr => text(self.record.and_then(Record::fault).map_or("Success", |fault| fault.text)),
            Fact::PrioClass => Some(Value::Int(i64::from(self.stream()?.rules().priority_class))),
            Fact::PrioOffset => Some(Value::Int(i64::from(self.stream()?.rules().priority_offset))),
            Fact::LastRuleFile => {
                let rule = self.record?.rules().last_rule?;
                text(process.topology.files.get(rule.file as usize)?)
            }
            Fact::LastRuleLine => count(self.record?.rules().last_rule?.line),
            Fact::ServerVersion => Some(Value::Str(self.record?.server_version?.as_bytes())),
            Fact::ServerStatus => count(self.record?.server_status.into()).filter(|_| self.record.is_some_and(|r| r.server_status != 0)),
            Fact::FeReqRate(of) => self.rate(|rates, now| Some(rates.frontend(process, self.names().frontend(of)?, now)[2].now)),
            Fact::FeSessRate(of) => self.rate(|rates, now| Some(rates.frontend(process, self.names().frontend(of)?, now)[1].now)),
            Fact::BeSessRate(of) => self.rate(|rates, now| Some(rates.backend(process, self.names().backend(of)?, now).now)),
            Fact::SrvSessRate(of) => self.rate(|rates, now| Some(rates.server(process, self.names().server(of)?.1, now).now)),
            // A stream that has no connection to a server any more asks nothing of it.
            Fact::BcErr => Some(Value::Int(0)).filter(|_| self.server().is_some()),
            Fact::BcErrName => text("").filter(|_| self.server().is_some()),
            Fact::BcNbStreams => Some(Value::Int(1)).filter(|_| self.server().is_some() && self.backend().is_some_and(|b| b.is_http())),
            Fact::BcErrStr => text("Success").filter(|_| self.server().is_some()),
            Fact::BcTcp(fact) => Some(Value::Int(i64::from(of_tcp(&self.server_socket?.tcp_info()?, fact)))),
        }
    }

    fn environment<'a>(&self, name: &str, scratch: &'a Bump) -> Option<Value<'a>> {
        environment(name, scratch)
    }

    fn variable<'a>(&self, variable: Variable, scratch: &'a Bump) -> Option<Value<'a>> {
        self.variables().get(variable, scratch)
    }

    fn set_variable(&self, variable: Variable, value: Option<OwnedValue>) -> bool {
        self.variables().set(variable, value)
    }

    fn now(&self) -> Timestamp {
        self.client.worker().timestamp()
    }

    fn random(&self) -> u64 {
        self.client.worker().chance()
    }

    fn local_offset(&self, unix_secs: i64) -> i32 {
        lb_sys::localtime::utc_offset(unix_secs)
    }

    fn local_zone<'a>(&self, unix_secs: i64, scratch: &'a Bump) -> &'a str {
        scratch.alloc_str(&lb_sys::localtime::zone_name(unix_secs))
    }

    fn authenticates_as_proxy(&self) -> bool {
        let target = || self.head(Side::Request).map(Head::target);
        self.client.frontend().settings.options.http_use_proxy_header
            && target().is_some_and(|target| !matches!(target.first(), Some(b'/' | b'*')))
    }

    fn lookup(&self, what: Lookup<'_>) -> Option<i64> {
        let name = |bytes| std::str::from_utf8(bytes).ok();
        match what {
            Lookup::UsableServers(backend) => {
                let (active, backups) = self.backend_named(name(backend)?)?.usable();
                i64::try_from(if active != 0 { active } else { backups }).ok()
            }
            Lookup::ServerQueue(server) => Some(self.server_named(name(server)?)?.queued.load(Ordering::Relaxed).into()),
            Lookup::ServerIsUp(server) => Some(self.server_named(name(server)?)?.usable().into()),
            Lookup::FrontendExists(frontend) => {
                let name = name(frontend)?;
                Some(self.client.worker().process.topology.frontends.iter().any(|f| f.name() == name).into())
            }
        }
    }

    fn set_capture(&self, side: Side, slot: u32, value: &[u8]) -> bool {
        let captures = &self.client.frontend().settings.captures;
        let (side, slots) =
            if side == Side::Request { (CaptureSide::Request, &captures.request) } else { (CaptureSide::Response, &captures.response) };
        let there = (slot as usize) < slots.len();
        if there {
            self.client.worker().late_captures.borrow_mut().push((side, slot as usize, value.into()));
        }
        there
    }

    fn debug(&self, sink: &str, line: &[u8]) {
        use std::io::Write as _;
        // Whoever looks for a fault wants the line before whatever comes next; one that cannot be written is nobody's loss.
        let _ = if sink == "stdout" { std::io::stdout().write_all(line) } else { std::io::stderr().write_all(line) };
    }

    fn is(&self, condition: Condition) -> bool {
        match condition {
            Condition::Error => self.record.is_some_and(|record| !record.is_normal()),
            Condition::Forwarded => self.record.is_some_and(|record| record.server.is_some()),
            // Nothing that has a server's place is here yet.
            Condition::ToApplet => false,
            Condition::Stopping => self.client.worker().process.stopping(),
        }
    }
}
