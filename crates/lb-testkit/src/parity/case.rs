//! A parity case as data: configuration text, scripts of clients and servers, what to compare. Holds no behaviour.

use crate::script::Step;
use std::time::Duration;

/// Where a server of a case is, and what it does.
#[derive(Clone, Debug)]
pub enum Server {
    /// Plays a script per connection (the last one again for further connections).
    Scripts(Vec<Vec<Step>>),
    /// As `Scripts`, on a UNIX socket in the case's directory, named `o1`, `o2`, ...
    Unix(Vec<Vec<Step>>),
    /// Refuses connects.
    Refused,
    /// Never completes a connect.
    BlackHole,
}

/// A client of a case.
#[derive(Clone, Debug)]
pub struct Client {
    /// The placeholder whose port it connects to, usually `fe`.
    pub to: &'static str,
    /// What it does.
    pub steps: Vec<Step>,
    /// Whether it starts at once beside the others. Those without are run one after another.
    pub beside: bool,
}

/// One configuration with its traffic, run through both programs.
#[derive(Clone, Debug)]
pub struct Case {
    /// `topic/name`, unique.
    pub name: &'static str,
    /// The configuration with `{fe}`, `{fe2}`, `{o1}`, `{o2}`, `{log}`, `{dir}` as placeholders.
    pub config: String,
    /// The clients.
    pub clients: Vec<Client>,
    /// The servers: `{o1}` is the first.
    pub servers: Vec<Server>,
    /// Files written to `{dir}` before the start.
    pub files: Vec<(&'static str, &'static str)>,
    /// How many log lines the reference writes.
    pub logs: usize,
    /// How much the timers of the logs may differ, plus what a loaded machine adds.
    pub slack: Duration,
    /// Facets that differ and why (a facet names itself and all that start with it), from [`super::known`].
    pub differs: Vec<(&'static str, &'static str)>,
    /// Facets that are not compared since the reference itself is not deterministic there, and why.
    pub loose: Vec<(&'static str, &'static str)>,
}

/// The start of every configuration: logs to the case's receiver, one thread, timeouts that are long beside the traffic.
pub const PREAMBLE: &str = "\
global
    log 127.0.0.1:{log} local0
    log-tag parity
    nbthread 1
    maxconn 200
defaults
    log global
    timeout connect 3s
    timeout client 3s
    timeout server 3s
    retries 1
";

/// The settings of a case that go into the usual configuration.
#[derive(Clone, Debug)]
pub struct Builder {
    case: Case,
    mode: &'static str,
    global: String,
    defaults: String,
    bind: String,
    frontend: String,
    backend: String,
    server: String,
    config: Option<String>,
}

/// A case in mode http with `option httplog`: frontend `fe` on `{fe}`, backend `be` with a server `s1` to `sN` per server given.
pub fn http(name: &'static str) -> Builder {
    Builder::new(name, "http")
}

/// A case in mode tcp with `option tcplog`.
pub fn tcp(name: &'static str) -> Builder {
    Builder::new(name, "tcp")
}

impl Builder {
    fn new(name: &'static str, mode: &'static str) -> Self {
        let case = Case {
            name,
            config: String::new(),
            clients: Vec::new(),
            servers: Vec::new(),
            files: Vec::new(),
            logs: 1,
            slack: Duration::from_millis(250),
            differs: Vec::new(),
            loose: Vec::new(),
        };
        let none = String::new;
        Builder {
            case,
            mode,
            global: none(),
            defaults: none(),
            bind: none(),
            frontend: none(),
            backend: none(),
            server: none(),
            config: None,
        }
    }

    /// Adds a line to `global`.
    pub fn global(mut self, line: &str) -> Self {
        push_line(&mut self.global, line.trim());
        self
    }

    /// Adds a line to `defaults`.
    pub fn defaults(mut self, line: &str) -> Self {
        push_line(&mut self.defaults, line);
        self
    }

    /// Adds words to the `bind` line.
    pub fn bind(mut self, words: &str) -> Self {
        self.bind = format!(" {words}");
        self
    }

    /// Adds a line to the frontend.
    pub fn fe(mut self, line: &str) -> Self {
        push_line(&mut self.frontend, line);
        self
    }

    /// Adds a line to the backend.
    pub fn be(mut self, line: &str) -> Self {
        push_line(&mut self.backend, line);
        self
    }

    /// Adds words to each `server` line.
    pub fn srv(mut self, words: &str) -> Self {
        self.server = format!(" {words}");
        self
    }

    /// Gives the whole configuration behind [`PREAMBLE`].
    pub fn config(mut self, text: &str) -> Self {
        self.config = Some(text.to_owned());
        self
    }

    /// Adds a server that plays one script, the same for each connection.
    pub fn origin(self, steps: Vec<Step>) -> Self {
        self.origins(vec![steps])
    }

    /// Adds a server with a script per connection.
    pub fn origins(mut self, scripts: Vec<Vec<Step>>) -> Self {
        self.case.servers.push(Server::Scripts(scripts));
        self
    }

    /// Adds a server of another kind.
    pub fn server(mut self, server: Server) -> Self {
        self.case.servers.push(server);
        self
    }

    /// Adds a client that runs when the one before has finished.
    pub fn client(self, steps: Vec<Step>) -> Self {
        self.client_to("fe", steps)
    }

    /// As [`Builder::client`] to another port.
    pub fn client_to(mut self, to: &'static str, steps: Vec<Step>) -> Self {
        self.case.clients.push(Client { to, steps, beside: false });
        self
    }

    /// Adds a client that starts at once, beside the others.
    pub fn beside(mut self, steps: Vec<Step>) -> Self {
        self.case.clients.push(Client { to: "fe", steps, beside: true });
        self
    }

    /// Sets the number of log lines (default 1).
    pub fn logs(mut self, count: usize) -> Self {
        self.case.logs = count;
        self
    }

    /// Writes a file into `{dir}`.
    pub fn file(mut self, name: &'static str, content: &'static str) -> Self {
        self.case.files.push((name, content));
        self
    }

    /// Does not compare `facet`, and says why.
    pub fn loose(mut self, facet: &'static str, why: &'static str) -> Self {
        self.case.loose.push((facet, why));
        self
    }

    /// The finished case.
    pub fn build(self) -> Case {
        let Builder { mut case, mode, global, defaults, bind, frontend, backend, server, config } = self;
        // A second `maxconn` line would be ignored.
        let preamble = if global.contains("    maxconn ") { PREAMBLE.replacen("    maxconn 200\n", "", 1) } else { PREAMBLE.to_owned() };
        let preamble = preamble.replacen("defaults\n", &format!("{global}defaults\n"), 1);
        case.config = match config {
            Some(text) => preamble + &defaults + &text,
            None => {
                let mut text = preamble;
                text += &format!("    mode {mode}\n    option {mode}log\n{defaults}");
                text += &format!("frontend fe\n    bind 127.0.0.1:{{fe}}{bind}\n{frontend}    default_backend be\n");
                text += &format!("backend be\n{backend}");
                for (i, kind) in case.servers.iter().enumerate() {
                    let n = i + 1;
                    let at = match kind {
                        Server::Unix(_) => format!("unix@{{dir}}/o{n}"),
                        _ => format!("127.0.0.1:{{o{n}}}"),
                    };
                    text += &format!("    server s{n} {at}{server}\n");
                }
                text
            }
        };
        case
    }
}

fn push_line(text: &mut String, line: &str) {
    text.push_str("    ");
    text.push_str(line);
    text.push('\n');
}

// Steps in few words, for the tables.

/// Sends.
pub fn send(bytes: impl AsRef<[u8]>) -> Step {
    Step::Send(bytes.as_ref().to_vec())
}

/// Sends in pieces of `size`, `ms` milliseconds apart.
pub fn drip(bytes: impl AsRef<[u8]>, size: usize, ms: u64) -> Step {
    Step::Drip { bytes: bytes.as_ref().to_vec(), size, pause: Duration::from_millis(ms) }
}

/// Reads until a pattern.
pub fn until(pattern: impl AsRef<[u8]>) -> Step {
    Step::Until(pattern.as_ref().to_vec())
}

/// Waits some milliseconds.
pub fn pause(ms: u64) -> Step {
    Step::Pause(Duration::from_millis(ms))
}

/// Says that nothing ends the connection for some milliseconds.
pub fn quiet(ms: u64) -> Step {
    Step::Quiet(Duration::from_millis(ms))
}

/// Reads one request.
pub const REQ: Step = Step::Request;
/// Reads one response.
pub const RESP: Step = Step::Response;
/// Reads the head that answers HEAD.
pub const RESP_HEAD: Step = Step::ResponseToHead;
/// Reads until the other side closes.
pub const EOF: Step = Step::Eof;
/// Closes our direction.
pub const FIN: Step = Step::HalfClose;
/// Closes.
pub const CLOSE: Step = Step::Close;
/// Resets.
pub const RST: Step = Step::Reset;
