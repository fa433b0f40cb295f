//! Signals of the process that serves. Source: management guide 4.

use lb_config::{Level, ProxyKind};
use lb_core::handover;
use lb_core::proxy::{Backend, Frontend, Server};
use lb_core::worker::{Process, Severity, Worker};
use lb_rt::Signals;
use lb_sys::signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, Signal, SignalFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::task::Poll;
use std::time::Duration;

/// All that mean something, or nothing in place of the end.
pub const ALL: [Signal; 8] = [SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTTOU, SIGTTIN];

/// How a soft stop goes.
#[derive(Clone, Copy, Debug)]
pub struct SoftStop {
    /// `grace`
    pub grace: Option<Duration>,
    /// `hard-stop-after`
    pub hard_stop_after: Option<Duration>,
}

/// Acts on signals until the process ends; which one ended it is left in `ended_by`.
pub async fn watch(worker: Rc<Worker>, signals: SignalFd, stop: SoftStop, ended_by: Arc<AtomicI32>) {
    let process = worker.process.clone();
    let Ok(signals) = Signals::new(&worker.rt, signals) else {
        process.report("cannot watch signals: ending");
        return process.end();
    };
    let mut paused = false;
    loop {
        match signals.next().await {
            Ok(SIGUSR1) => begin_soft_stop(&worker, stop),
            Ok(SIGUSR2) => {}
            Ok(SIGTTOU) => {
                if !std::mem::replace(&mut paused, true) {
                    process.pause();
                    tell_frontends(&worker, "Paused");
                }
            }
            Ok(SIGTTIN) => {
                if std::mem::take(&mut paused) {
                    process.resume();
                    tell_frontends(&worker, "Resumed");
                }
            }
            Ok(SIGHUP) => tell_states(&worker),
            Ok(SIGQUIT) => {
                lb_sys::process::trim_memory();
                process.report("SIGQUIT received: unused memory is given back.");
            }
            ended => {
                ended_by.store(ended.unwrap_or(0), Ordering::Relaxed);
                return process.end();
            }
        }
    }
}

/// Begins a soft stop, unless one is under way.
pub fn begin_soft_stop(worker: &Rc<Worker>, stop: SoftStop) {
    let process = worker.process.clone();
    if process.announce_stop() {
        worker.rt.spawn(soft_stop(worker.clone(), stop));
    }
}

/// Waits for the grace to pass and the last connection to end, then ends.
async fn soft_stop(worker: Rc<Worker>, stop: SoftStop) {
    let (rt, process) = (&worker.rt, &worker.process);
    if let Some(grace) = stop.grace {
        process.tell(Severity::Notice, &format!("Scheduling a soft-stop in {} ms.", grace.as_millis()));
        rt.sleep(grace).await;
        process.tell(Severity::Notice, "Grace period expired, proceeding with soft-stop now.");
    }
    handover::stop_softly(&worker).await;
    tell_stopped(&worker);
    if !is_drained_within(&worker, stop.hard_stop_after).await {
        stop_hard(&worker);
        if !is_drained_within(&worker, Some(HARD_STOP)).await {
            process.report("Some tasks resisted to hard-stop, exiting now.");
        }
    }
    process.end();
}

/// Waits for the last connection to end; false: there are some after so much time.
async fn is_drained_within(worker: &Worker, time: Option<Duration>) -> bool {
    let (rt, process) = (&worker.rt, &worker.process);
    let until = time.map(|time| rt.now() + time);
    std::future::poll_fn(|_| {
        rt.progress();
        if process.is_drained(rt) {
            return Poll::Ready(true);
        }
        rt.poll_deadline(until).map(|()| false)
    })
    .await
}

/// Time that streams have for their last words when a hard stop ends them, as in haproxy, whose words these are.
const HARD_STOP: Duration = Duration::from_secs(1);

/// Ends all streams, with an answer where one can still be given.
fn stop_hard(worker: &Worker) {
    let process = &worker.process;
    process.report("soft-stop running for too long, performing a hard-stop.");
    for frontend in process.topology.frontends.iter().filter(|frontend| frontend.gate.current() > 0) {
        let left = frontend.gate.current();
        worker.announce(frontend, &format!("Proxy {} hard-stopped ({left} remaining conns will be closed).", frontend.name()));
    }
    process.end_streams();
}

/// As haproxy tells it when a soft stop begins, a `listen` as the one proxy that it is.
fn tell_stopped(worker: &Worker) {
    let topology = &worker.process.topology;
    for frontend in topology.frontends.iter().filter(|frontend| !frontend.is_shut()) {
        worker.announce_end(Some(frontend), topology.listen_of(frontend).map(Arc::as_ref));
    }
    for backend in topology.backends.iter().filter(|backend| backend.settings.kind != ProxyKind::Listen) {
        worker.announce_end(None, Some(backend));
    }
}

/// Says of all frontends what has become of them; not of those that an operator has taken out.
fn tell_frontends(worker: &Worker, what: &str) {
    let accepts = |frontend: &&Arc<Frontend>| !frontend.is_shut() && !frontend.is_paused();
    for frontend in worker.process.topology.frontends.iter().filter(accepts) {
        worker.announce(frontend, &frontend.became(what));
    }
}

/// SIGHUP: what there is to say of servers and proxies, a `listen` being one proxy; to the operator and to their logs, in haproxy's words.
fn tell_states(worker: &Worker) {
    let process = &worker.process;
    let topology = &process.topology;
    process.report("SIGHUP received, dumping servers states.");
    let both = topology.frontends.iter().map(|frontend| (frontend.order, Some(frontend), topology.listen_of(frontend)));
    let alone = topology.backends.iter().filter(|backend| backend.settings.kind != ProxyKind::Listen);
    let mut all: Vec<_> = both.chain(alone.map(|backend| (backend.order, None, Some(backend)))).collect();
    all.sort_by_key(|(order, ..)| *order);
    for (_, frontend, backend) in all {
        let (frontend, backend) = (frontend.map(Arc::as_ref), backend.map(Arc::as_ref));
        let name = frontend.map(Frontend::name).or(backend.map(Backend::name)).unwrap_or_default();
        worker.log(frontend, backend, Level::Notice, &format!("SIGHUP received, dumping servers states for proxy {name}."));
        let servers = backend.into_iter().flat_map(|backend| backend.servers()).filter(|server| !server.implicit);
        for text in servers.map(|server| state_of(process, name, server)).chain([state_of_proxy(process, name, frontend, backend)]) {
            process.report(&text);
            worker.log(frontend, backend, Level::Notice, &text);
        }
    }
}

fn state_of(process: &Process, backend: &str, server: &Server) -> String {
    format!(
        "SIGHUP: Server {backend}/{} is {}. Conn: {} act, {} pend, {} tot.",
        server.name(),
        if server.usable() { "UP" } else { "DOWN" },
        server.served.load(Ordering::Relaxed),
        server.queued.load(Ordering::Relaxed),
        process.chosen(server),
    )
}

fn state_of_proxy(process: &Process, name: &str, frontend: Option<&Frontend>, backend: Option<&Backend>) -> String {
    let servers = match backend.filter(|backend| backend.servers().iter().any(|server| !server.implicit)).map(Backend::usable) {
        None => "has no servers.".to_owned(),
        Some((0, 0)) => "has no server available !".to_owned(),
        Some((0, _)) => "is running on backup servers !".to_owned(),
        Some((active, backups)) => format!("has {active} active servers and {backups} backup servers available."),
    };
    let (front, front_total) = frontend.map_or((0, 0), |frontend| (frontend.gate.current(), process.connections(frontend)));
    let back = backend.map_or(0, |backend| backend.current.load(Ordering::Relaxed));
    let (waiting, unassigned) = backend.map_or((0, 0), |backend| (backend.queue.waiting(), backend.queue.backend_waiting()));
    let back_total = backend.map_or(0, |backend| process.streams(backend));
    format!(
        "SIGHUP: Proxy {name} {servers} Conn: act(FE+BE): {front}+{back}, {waiting} pend ({unassigned} unass), \
         tot(FE+BE): {front_total}+{back_total}."
    )
}
