//! A proxy in a simulated world: real configuration, real workers, simulated kernel. Its log goes to a real UDP socket of the
//! test, since the sinks stand outside of the loop.

use lb_config::Source;
use lb_core::health::Plan;
use lb_core::loggers::Loggers;
use lb_core::proxy::{Topology, bind_addr};
use lb_core::worker::{Process, Worker};
use lb_rt::sim::SimWorld;
use lb_rt::{Bind, Listener, Rt};
use lb_sys::socket::SockOpt;
use std::net::UdpSocket;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub struct SimProxy {
    pub world: SimWorld,
    pub process: Arc<Process>,
    pub threads: Vec<(Rt, Rc<Worker>)>,
    log: UdpSocket,
    listeners: usize,
    told: Arc<Mutex<Vec<String>>>,
    // Owns the sinks.
    _loggers: Loggers,
}

/// The fields of a `tcplog` or `httplog` line that the tests look at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    pub client: String,
    pub server: String,
    /// 0 in mode tcp.
    pub status: i64,
    pub bytes: u64,
    /// Two letters in mode tcp, four in mode http.
    pub end: String,
    /// Retries, with its `+`.
    pub retries: String,
    pub text: String,
}

impl SimProxy {
    /// Starts `threads` workers with `config`, in which `@LOG@` stands for the log's address.
    pub fn start(world: &SimWorld, config: &str, threads: usize) -> SimProxy {
        let log = UdpSocket::bind("127.0.0.1:0").expect("a port");
        log.set_nonblocking(true).expect("a socket");
        let text = config.replace("@LOG@", &log.local_addr().expect("bound").to_string());
        let (config, diagnostics) = lb_config::parse(&Source::new().file("sim.cfg", text.as_bytes()));
        let errors = diagnostics.iter().any(|d| d.severity == lb_config::Severity::Error);
        assert!(!errors, "{}", lb_config::render(&diagnostics));
        let mut loggers = Loggers::new(&config);
        let topology = Topology::new(&config, &mut loggers, 2000);
        assert!(loggers.take_errors().is_empty());
        let checks = Plan::new(&config, &topology, threads);
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let listener = told.clone();
        let report = Box::new(move |_, text: &str| listener.lock().expect("no panic").push(text.to_owned()));
        let process = Process::new(&config, topology, 2000, checks, report);
        let mut listeners = 0;
        let mut workers = Vec::new();
        for index in 0..threads {
            let rt = Rt::simulated(world);
            let worker = Worker::new(rt.clone(), &process, index);
            let mut open = Vec::new();
            for (f, frontend) in process.topology.frontends.iter().enumerate() {
                let mut options = frontend.listener_options(&config.global.tune);
                options.push(SockOpt::ReusePort(true));
                for (b, bind) in frontend.settings.binds.iter().enumerate() {
                    for (n, address) in (0..).zip(&bind.addresses) {
                        let addr = bind_addr(address).expect("an address");
                        let backlog = bind.backlog.unwrap_or(100);
                        let listener = Listener::bind(&rt, &addr, &Bind { options: options.clone(), backlog }).expect("bind");
                        open.push((listener, (f, b, bind.id + n), addr));
                    }
                }
            }
            listeners = open.len();
            let main = worker.clone().live(Vec::new(), move |worker| {
                for (listener, at, addr) in open {
                    worker.accept_from(listener, at, None, Some(addr));
                }
            });
            rt.spawn(main);
            workers.push((rt, worker));
        }
        SimProxy { world: world.clone(), process, threads: workers, log, listeners, told, _loggers: loggers }
    }

    /// All tasks that relay are watched for stalls: for mode tcp, where a task has nothing else to do.
    pub fn must_not_stall(&self) {
        for (rt, _) in &self.threads {
            self.world.must_not_stall(rt);
        }
    }

    /// What the operator was told.
    pub fn told(&self) -> Vec<String> {
        self.told.lock().expect("no panic").clone()
    }

    /// The lines so far that nobody has taken yet.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut buf = vec![0; 65_536];
        while let Ok(n) = self.log.recv(&mut buf) {
            lines.extend(parse(&String::from_utf8_lossy(&buf[..n])));
        }
        lines
    }

    /// Lets everything come to its end and holds that nothing is left of it: no connection, slot, task, buffer, pipe, pass.
    pub fn drain(&self, checks: usize) {
        self.world.settle(Duration::from_secs(2_000));
        for (rt, worker) in &self.threads {
            worker.pools.clear();
            // The main task, one for each listener, the pool's reaper once there was something to keep, the checks.
            let reaper = usize::from(rt.live_tasks() == 1 + self.listeners + checks + 1);
            self.world.assert_drained(rt, self.listeners, 1 + self.listeners + checks + reaper);
        }
        self.assert_nothing_counted();
    }

    /// No pass, slot, queue place or idle connection is counted any more, after idle connections have been closed.
    pub fn assert_nothing_counted(&self) {
        for (_, worker) in &self.threads {
            worker.pools.clear();
        }
        assert_eq!(self.process.gate.current(), 0, "the process's connections");
        for frontend in &self.process.topology.frontends {
            assert_eq!(frontend.gate.current(), 0, "connections of {}", frontend.name());
        }
        for backend in &self.process.topology.backends {
            assert_eq!(backend.current.load(Ordering::SeqCst), 0, "streams of {}", backend.name());
            assert_eq!(backend.queue.backend_waiting(), 0, "queue of {}", backend.name());
            for server in backend.servers() {
                let counts = [&server.served, &server.queued, &server.idle].map(|c| c.load(Ordering::SeqCst));
                assert_eq!(counts, [0; 3], "served, queued, idle of {}", server.name());
            }
        }
    }

    /// Ends the proxy; the world is empty then.
    pub fn end(self) {
        for (_, worker) in &self.threads {
            worker.shut_down();
        }
        self.world.finish();
    }
}

/// `<134>… tag[pid]: client:port [date] frontend backend/server times …`; `None` for what is said about servers.
fn parse(text: &str) -> Option<Line> {
    let at = text.find("]: ").unwrap_or_else(|| panic!("no syslog header in {text}"));
    let text = text[at + 3..].trim_end().to_owned();
    if text.starts_with("Server ") || text.starts_with("backend ") {
        return None;
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    assert!(words.len() >= 9, "a short line: {text}");
    // tcplog: times bytes end conns queues; httplog: times status bytes cookie cookie end conns queues.
    let tcp = words[4].split('/').count() == 3;
    let (status, bytes, end, conns) = if tcp { ("0", words[5], words[6], words[7]) } else { (words[5], words[6], words[9], words[10]) };
    Some(Line {
        client: words[0].to_owned(),
        server: words[3].to_owned(),
        status: status.parse().unwrap_or_else(|_| panic!("no status: {text}")),
        bytes: bytes.parse().unwrap_or_else(|_| panic!("no bytes: {text}")),
        end: end.to_owned(),
        retries: conns.rsplit('/').next().unwrap_or_default().to_owned(),
        text,
    })
}
