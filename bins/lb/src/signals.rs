//! Signals of the process that serves. Source: management guide 4.

use lb_config::ProxyKind;
use lb_core::handover;
use lb_core::proxy::ServerState;
use lb_core::worker::{Process, Worker};
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
    loop {
        match signals.next().await {
            Ok(SIGUSR1) => begin_soft_stop(&worker, stop),
            Ok(SIGUSR2) => {}
            Ok(SIGTTOU) => {
                process.pause();
                tell_frontends(&worker, "Paused");
            }
            Ok(SIGTTIN) => {
                process.resume();
                tell_frontends(&worker, "Resumed");
            }
            Ok(SIGHUP) => tell_states(&process),
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
        rt.sleep(grace).await;
    }
    handover::stop_softly(&worker).await;
    tell_stopped(&worker);
    let until = stop.hard_stop_after.map(|d| rt.now() + d);
    std::future::poll_fn(|_| {
        rt.progress();
        if process.is_drained(rt) {
            return Poll::Ready(());
        }
        // In haproxy's words.
        rt.poll_deadline(until).map(|()| process.report("soft-stop running for too long, performing a hard-stop."))
    })
    .await;
    process.end();
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

fn tell_frontends(worker: &Worker, what: &str) {
    for frontend in worker.process.topology.frontends.iter().filter(|frontend| !frontend.is_shut()) {
        worker.announce(frontend, &frontend.became(what));
    }
}

/// SIGHUP: what there is to say of servers and proxies.
fn tell_states(process: &Process) {
    process.report("SIGHUP received, dumping servers states.");
    for backend in &process.topology.backends {
        let name = backend.name();
        for server in backend.servers().iter().filter(|server| !server.implicit) {
            let state = server.state();
            let up = matches!(state, ServerState::Up | ServerState::Drain);
            process.report(&format!(
                "SIGHUP: Server {name}/{} is {}. Conn: {} act, {} pend, {} tot.",
                server.settings.name,
                if up { "UP" } else { "DOWN" },
                server.served.load(Ordering::Relaxed),
                server.queued.load(Ordering::Relaxed),
                process.chosen(server),
            ));
        }
        let (active, backups) = backend.usable();
        let servers = match active + backups {
            0 => "has no server available".to_owned(),
            _ => format!("has {active} active servers and {backups} backup servers available"),
        };
        let waiting = backend.queue.backend_waiting();
        process.report(&format!(
            "SIGHUP: Proxy {name} {servers}. Conn: act(BE): {}, {waiting} pend.",
            backend.current.load(Ordering::Relaxed)
        ));
    }
    for frontend in &process.topology.frontends {
        let (act, total) = (frontend.gate.current(), process.connections(frontend));
        process.report(&format!("SIGHUP: Proxy {} accepts connections. Conn: act(FE): {act}, tot(FE): {total}.", frontend.name()));
    }
}
