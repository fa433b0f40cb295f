//! What the script of a check may ask for beyond its answer: the server, its backend, the process.

use super::{lock, target};
use crate::proxy::{Backend, Server};
use crate::worker::Worker;
use bumpalo::Bump;
use lb_check::World;
use lb_expr::sample::{Context, Fact, Lookup, OwnedValue, Reference, Value, Variable};
use lb_expr::{Field, LogSource, LogValue, Timestamp};
use lb_sys::Addr;
use std::io::Write as _;
use std::net::IpAddr;
use std::sync::atomic::Ordering;

/// The server that is checked, and where.
pub(super) struct Asking<'a> {
    pub worker: &'a Worker,
    pub backend: &'a Backend,
    pub server: &'a Server,
    /// `node`; `None`: the host name.
    pub node: Option<&'a str>,
}

/// The frontend that haproxy's checks have in formats.
const FRONTEND: &str = "CHECKS-FE";

impl Asking<'_> {
    fn at(&self) -> Option<(IpAddr, u16)> {
        match target(self.server) {
            Addr::Ip(addr) => Some((addr.ip(), addr.port())),
            _ => None,
        }
    }

    fn usable(backend: &Backend) -> i64 {
        let (active, backups) = backend.usable();
        (if active != 0 { active } else { backups }) as i64
    }
}

impl World for Asking<'_> {
    fn is_up(&self) -> bool {
        lock(&self.server.health).is_up()
    }

    fn write_state(&self, out: &mut Vec<u8>) {
        let state = lock(&self.server.health).to_string();
        let (address, port) = match self.at() {
            Some((ip, port)) => (ip.to_string(), port.to_string()),
            None => ("unix".to_owned(), "unix".to_owned()),
        };
        let served: u32 = self.backend.servers().iter().map(|server| server.served.load(Ordering::Relaxed)).sum();
        // Writing to memory does not fail.
        let _ = write!(
            out,
            "{state}; address={address}; port={port}; name={}/{}; node={}; weight={}/{}; scur={}/{served}; qcur={}",
            self.backend.name(),
            self.server.name(),
            self.node.unwrap_or(&self.worker.process.host_name),
            self.server.weight.load(Ordering::Relaxed),
            self.backend.total_weight(),
            self.server.served.load(Ordering::Relaxed),
            self.server.queued.load(Ordering::Relaxed),
        );
    }

    fn spell(&self, head: &mut [u8]) {
        self.backend.spelling.apply(head);
    }

    fn variable_limit(&self) -> u64 {
        self.worker.process.variables.check_limit()
    }
}

impl LogSource for Asking<'_> {
    fn value(&self, field: Field) -> LogValue<'_> {
        match field {
            Field::AcceptDate | Field::RequestDate => LogValue::Time(self.worker.timestamp()),
            Field::BackendName => self.backend.name().into(),
            Field::ServerName => self.server.name().into(),
            Field::FrontendName => FRONTEND.into(),
            Field::Hostname => self.worker.process.host_name.as_str().into(),
            Field::ServerIp => self.at().map_or(LogValue::Missing, |(ip, _)| LogValue::Ip(ip)),
            Field::ServerPort => self.at().map_or(LogValue::Missing, |(_, port)| LogValue::Int(port.into())),
            Field::Pid => LogValue::Int(std::process::id().into()),
            Field::Status => LogValue::Int(0),
            _ => LogValue::Missing,
        }
    }
}

impl Context for Asking<'_> {
    fn fact<'a>(&'a self, fact: Fact, _: &'a Bump) -> Option<Value<'a>> {
        let process = &self.worker.process;
        let names = &process.topology.names;
        let int = |n: i64| Some(Value::Int(n));
        let backend = |of: Reference| names.backend(of);
        let server = |of: Reference| names.server(of).map(|(_, server)| server);
        let count = |n: u32| Some(Value::Int(n.into()));
        match fact {
            Fact::SrvId => count(self.server.settings.id),
            Fact::SrvName => Some(Value::Str(self.server.name().as_bytes())),
            Fact::BeId => count(self.backend.settings.id),
            Fact::BeName => Some(Value::Str(self.backend.name().as_bytes())),
            Fact::BcDst => self.at().map(|(ip, _)| Value::Ip(ip)),
            Fact::BcDstPort => self.at().map(|(_, port)| Value::Int(port.into())),
            Fact::Hostname => Some(Value::Str(process.host_name.as_bytes())),
            Fact::Pid => count(std::process::id()),
            Fact::Nbproc | Fact::Proc => int(1),
            Fact::Nbthread => int(process.counters.len() as i64),
            Fact::Thread => int(self.worker.index as i64),
            Fact::Uptime => int(self.worker.age() as i64),
            Fact::Stopping => Some(Value::Bool(process.will_stop())),
            Fact::ActConn => count(process.gate.current()),
            Fact::NbSrv(of) => int(backend(of).map_or(0, |backend| Self::usable(backend))),
            Fact::BeConn(of) => count(backend(of).map_or(0, |backend| backend.current.load(Ordering::Relaxed))),
            Fact::Queue(of) => count(backend(of).map_or(0, |backend| backend.queue.waiting())),
            Fact::SrvIsUp(of) => Some(Value::Bool(server(of)?.usable())),
            Fact::SrvConn(of) => count(server(of)?.served.load(Ordering::Relaxed)),
            Fact::SrvQueue(of) => count(server(of)?.queued.load(Ordering::Relaxed)),
            Fact::SrvWeight(of) | Fact::SrvUweight(of) => count(server(of)?.weight.load(Ordering::Relaxed)),
            Fact::SrvIweight(of) => count(server(of)?.settings.weight.into()),
            _ => None,
        }
    }

    fn environment<'a>(&self, name: &str, scratch: &'a Bump) -> Option<Value<'a>> {
        crate::context::environment(name, scratch)
    }

    fn variable<'a>(&self, variable: Variable, scratch: &'a Bump) -> Option<Value<'a>> {
        self.worker.process.variables.get(variable, scratch)
    }

    fn set_variable(&self, variable: Variable, value: Option<OwnedValue>) -> bool {
        self.worker.process.variables.set(variable, value)
    }

    fn now(&self) -> Timestamp {
        self.worker.timestamp()
    }

    fn random(&self) -> u64 {
        self.worker.chance()
    }

    fn local_offset(&self, unix_secs: i64) -> i32 {
        lb_sys::localtime::utc_offset(unix_secs)
    }

    fn local_zone<'a>(&self, unix_secs: i64, scratch: &'a Bump) -> &'a str {
        scratch.alloc_str(&lb_sys::localtime::zone_name(unix_secs))
    }

    fn lookup(&self, what: Lookup<'_>) -> Option<i64> {
        let topology = &self.worker.process.topology;
        let server = |name: &[u8]| {
            let name = text(name)?;
            let (backend, name) = match name.split_once('/') {
                Some((backend, name)) => (&**topology.backend_named(backend)?, name),
                None => (self.backend, name),
            };
            backend.servers().iter().find(|server| server.name() == name && !server.implicit).cloned()
        };
        match what {
            Lookup::UsableServers(backend) => Some(Self::usable(topology.backend_named(text(backend)?)?)),
            Lookup::ServerQueue(name) => Some(server(name)?.queued.load(Ordering::Relaxed).into()),
            Lookup::ServerIsUp(name) => Some(server(name)?.usable().into()),
            Lookup::FrontendExists(name) => {
                let name = text(name)?;
                Some(topology.frontends.iter().any(|frontend| frontend.name() == name).into())
            }
        }
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}
