//! `option external-check`: a program says whether a server is well. Manual 4.2, `external-check command` for arguments and environment.
//!
//! Holds: the loop never waits for the program; it is ended when its time is over, with all that it has started; a check that is given up
//! leaves nothing behind.

use super::Checked;
use crate::proxy::{Backend, Server};
use crate::worker::Worker;
use lb_check::{Status, Verdict};
use lb_config::{BindAddress, ExternalCheck, ServerAddress, ServerPort, UnixAddress};
use lb_rt::Program as Running;
use lb_sys::process::Ended;
use lb_sys::spawn::Program;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What haproxy has in the place of what there is not.
const NOT_USED: &str = "NOT_USED";
/// Code of a program that cannot be run, as haproxy's child has it.
const CANNOT_RUN: u32 = 255;

/// An address and a port as the program gets them.
struct Place {
    address: String,
    /// `None`: it has none.
    port: Option<String>,
}

/// One check by the program.
pub(super) async fn run(worker: &Worker, check: &ExternalCheck, checked: &Checked, preserve: bool) -> Verdict {
    let rt = &worker.rt;
    let started = rt.now();
    let ended =
        |status, code| Verdict { status, code: Some(code), info: Box::default(), duration: rt.now().saturating_duration_since(started) };
    let (args, environment) = words(check, &checked.backend, checked.server(), preserve);
    let file = found(check);
    let program = Program { file: file.as_os_str(), args: &args, environment: &environment };
    let running = match Running::start(rt, &program) {
        Ok(running) => running,
        Err(e) => {
            let (backend, server) = (checked.backend.name(), checked.server().name());
            worker.process.report(&format!("cannot run '{}' to check {backend}/{server}: {e}.", check.command));
            return ended(Status::ProcErr, CANNOT_RUN);
        }
    };
    match running.wait(started + time(checked)).await {
        Ok(Some(Ended::Code(0))) => ended(Status::ProcOk, 0),
        Ok(Some(Ended::Code(code))) => ended(Status::ProcErr, code.cast_unsigned()),
        // In haproxy's words.
        Ok(Some(Ended::Signal(_))) => ended(Status::ProcErr, u32::MAX),
        Ok(None) => ended(Status::ProcTout, 0),
        Err(_) => ended(Status::ProcErr, CANNOT_RUN),
    }
}

/// The program's file: a name without a directory is looked up as a shell does, in the PATH that it will have.
fn found(check: &ExternalCheck) -> PathBuf {
    let name = Path::new(&check.command);
    if check.command.contains('/') {
        return name.into();
    }
    let places = std::env::split_paths(&check.path).map(|place| place.join(name));
    places.into_iter().find(|file| file.is_file()).unwrap_or_else(|| name.into())
}

/// As of a check over a connection that does not come to stand.
fn time(checked: &Checked) -> Duration {
    let spec = &checked.spec;
    match (spec.timeout_check, spec.timeout_connect) {
        (Some(_), Some(connect)) => connect.min(spec.inter),
        _ => spec.inter,
    }
}

/// Arguments, and the environment.
fn words(check: &ExternalCheck, backend: &Backend, server: &Server, preserve: bool) -> (Vec<String>, Vec<String>) {
    let proxy = backend.settings.binds.iter().flat_map(|bind| &bind.addresses).find_map(listens);
    let target = serves(&server.destination());
    let address = |place: Option<&Place>| place.map(|place| place.address.clone());
    let port = |place: Option<&Place>| place.and_then(|place| place.port.clone());
    let places = [address(proxy.as_ref()), port(proxy.as_ref()), address(Some(&target)), port(Some(&target))];
    let arguments = places.iter().map(|word| word.clone().unwrap_or_else(|| NOT_USED.into()));
    let args = std::iter::once(check.command.clone()).chain(arguments).collect();
    let [proxy_addr, proxy_port, server_addr, server_port] = places.map(Option::unwrap_or_default);
    let own = [
        ("PATH", check.path.clone()),
        ("HAPROXY_PROXY_NAME", backend.name().to_owned()),
        ("HAPROXY_PROXY_ID", backend.settings.id.to_string()),
        ("HAPROXY_PROXY_ADDR", proxy_addr),
        ("HAPROXY_PROXY_PORT", proxy_port),
        ("HAPROXY_SERVER_NAME", server.name().to_owned()),
        ("HAPROXY_SERVER_ID", server.settings.id.to_string()),
        ("HAPROXY_SERVER_ADDR", server_addr),
        ("HAPROXY_SERVER_PORT", server_port),
        ("HAPROXY_SERVER_MAXCONN", server.maxconn().unwrap_or(0).to_string()),
        ("HAPROXY_SERVER_CURCONN", server.served.load(Ordering::Relaxed).to_string()),
        ("HAPROXY_SERVER_SSL", "0".to_owned()),
        ("HAPROXY_SERVER_PROTO", if backend.is_http() { "h1" } else { "tcp" }.to_owned()),
    ];
    let inherited = preserve.then(std::env::vars_os).into_iter().flatten();
    let inherited = inherited.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let inherited = inherited.filter(|(name, _)| !own.iter().any(|(own, _)| own == name)).map(|(name, value)| format!("{name}={value}"));
    let environment = inherited.collect::<Vec<_>>().into_iter().chain(own.iter().map(|(name, value)| format!("{name}={value}")));
    (args, environment.collect())
}

fn unix(address: &UnixAddress) -> String {
    match address {
        UnixAddress::Path(path) => path.display().to_string(),
        UnixAddress::Abstract(name) => format!("abns@{}", String::from_utf8_lossy(name)),
    }
}

fn listens(address: &BindAddress) -> Option<Place> {
    match address {
        BindAddress::Tcp(address) => Some(Place { address: address.ip().to_string(), port: Some(address.port().to_string()) }),
        BindAddress::Unix(address) => Some(Place { address: unix(address), port: None }),
        BindAddress::Fd(_) | BindAddress::Pair(_) => None,
    }
}

fn serves(address: &ServerAddress) -> Place {
    match address {
        ServerAddress::Ip { ip, port } => {
            let port = match port {
                ServerPort::Fixed(port) => *port,
                ServerPort::Offset(_) => 0,
            };
            Place { address: ip.to_string(), port: Some(port.to_string()) }
        }
        ServerAddress::Unix(address) => Place { address: unix(address), port: None },
        ServerAddress::Pair(_) => Place { address: NOT_USED.into(), port: None },
    }
}
