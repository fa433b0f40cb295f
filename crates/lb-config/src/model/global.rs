//! Process-wide settings. Source: manual 3.

use super::{Account, Bind, ExternalChecks, LogTarget, ProcessSettings, Span, UnixBindOptions};
use lb_http::Spellings;
use std::path::PathBuf;
use std::time::Duration;

/// The `global` section. `Default` is an empty one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Global {
    /// `maxconn`: connections of the process at once; `None`: derived from the fd limit.
    pub maxconn: Option<u32>,
    /// Where `maxconn` was set, for the warning when the fd limit does not allow it.
    pub maxconn_span: Span,
    /// `maxconnrate`: connections of the process per second; `None`: no limit.
    pub maxconnrate: Option<u32>,
    /// `maxsessrate`: sessions of the process per second; `None`: no limit.
    pub maxsessrate: Option<u32>,
    /// `nbthread`; `None`: the cores that the process may use.
    pub nbthread: Option<u16>,
    /// `ulimit-n`: file descriptors to ask for; `None`: what maxconn needs.
    pub ulimit_n: Option<u64>,
    /// `fd-hard-limit`: upper end of the fd limit.
    pub fd_hard_limit: Option<u64>,
    /// `no strict-limits`: a limit that cannot be had is a warning; else it is an error.
    pub lenient_limits: bool,
    /// `daemon`
    pub daemon: bool,
    /// `quiet`: no messages at start.
    pub quiet: bool,
    /// `zero-warning`: warnings prevent the start.
    pub zero_warning: bool,
    /// `user`, `uid`
    pub user: Option<Account>,
    /// `group`, `gid`
    pub group: Option<Account>,
    /// `chroot`
    pub chroot: Option<PathBuf>,
    /// `pidfile`
    pub pidfile: Option<PathBuf>,
    /// `hard-stop-after`: end of a soft stop; `None`: waits for the last session.
    pub hard_stop_after: Option<Duration>,
    /// `grace`: time between a soft stop and the end of listening; `None`: at once.
    pub grace: Option<Duration>,
    /// `node`: name in statistics and logs; `None`: the host name.
    pub node: Option<String>,
    /// `description`
    pub description: Option<String>,
    /// `log` targets.
    pub logs: Vec<LogTarget>,
    /// `log-tag`; `None`: the program's name.
    pub log_tag: Option<String>,
    /// `log-send-hostname`: `None`: no host name is sent; `Some(None)`: the system's; `Some(Some)`: this one.
    pub log_send_hostname: Option<Option<String>>,
    /// `spread-checks`: percent by which check intervals vary, 0 to 50.
    pub spread_checks: u8,
    /// `max-spread-checks`: upper end of the time over which the first checks are spread; `None`: no limit.
    pub max_spread_checks: Option<Duration>,
    /// `maxpipes`: pipes for splicing; `None`: a quarter of maxconn.
    pub maxpipes: Option<u32>,
    /// `nosplice`: never use splice(2).
    pub nosplice: bool,
    /// `noreuseport`: never set SO_REUSEPORT.
    pub noreuseport: bool,
    /// `busy-polling`
    pub busy_polling: bool,
    /// `unix-bind`: prefix of UNIX socket paths of `bind` (already applied to them).
    pub unix_bind_prefix: Option<String>,
    /// `unix-bind`: ownership of UNIX sockets of `bind` (already applied to them).
    pub unix_bind: UnixBindOptions,
    /// `h1-accept-payload-with-any-method`
    pub h1_accept_payload_with_any_method: bool,
    /// `h1-do-not-close-on-insecure-transfer-encoding`
    pub h1_do_not_close_on_insecure_transfer_encoding: bool,
    /// `harden.reject-privileged-ports.tcp`: connections from ports below 1024 are closed at once.
    pub reject_privileged_ports: bool,
    /// `h1-case-adjust`
    pub h1_case_adjust: Spellings,
    /// `h1-case-adjust-file`
    pub h1_case_adjust_file: Spellings,
    /// `stats socket` lines of all `global` sections.
    pub stats_sockets: Vec<Bind>,
    /// `stats timeout`: silence of a client of the run-time socket; `None`: [`Global::STATS_TIMEOUT`].
    pub stats_timeout: Option<Duration>,
    /// `stats maxconn`: clients of the run-time sockets at once; `None`: [`Global::STATS_MAXCONN`].
    pub stats_maxconn: Option<u32>,
    /// How the process runs.
    pub process: ProcessSettings,
    /// `external-check`
    pub external_checks: ExternalChecks,
    /// All `tune.*` values.
    pub tune: Tune,
    /// `set-var`, `set-var-fmt`: set one after the other before anything is served.
    pub variables: Vec<lb_expr::sample::SetVar>,
}

impl Global {
    /// `stats timeout` where it is not set.
    pub const STATS_TIMEOUT: Duration = Duration::from_secs(10);
    /// `stats maxconn` where it is not set.
    pub const STATS_MAXCONN: u32 = 10;

    /// Spellings of field names for peers that look at the case of letters, of lines and file together.
    pub fn spellings(&self) -> Spellings {
        let mut all = self.h1_case_adjust_file.clone();
        // The parser has refused names that are in both.
        let _ = all.merge(&self.h1_case_adjust);
        all
    }
}

/// `tune.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tune {
    /// `tune.bufsize` in bytes: a request or response head must fit in it less `maxrewrite`.
    pub bufsize: usize,
    /// `tune.maxrewrite` in bytes: room kept for added header fields; at most half of `bufsize`.
    pub maxrewrite: usize,
    /// `tune.http.maxhdr`: header fields of a message, 1 to 32767.
    pub http_maxhdr: usize,
    /// `tune.http.logurilen`: bytes of a request line that are logged.
    pub http_logurilen: usize,
    /// `tune.http.cookielen`: bytes of a captured cookie.
    pub http_cookielen: usize,
    /// `tune.pipesize` in bytes; `None`: as large as allowed.
    pub pipesize: Option<usize>,
    /// `tune.maxaccept`: connections taken in one go; `None`: no limit of its own (written -1).
    pub maxaccept: Option<u32>,
    /// `tune.rcvbuf.client` in bytes; `None`: the system's.
    pub rcvbuf_client: Option<u32>,
    /// `tune.rcvbuf.server` in bytes; `None`: the system's.
    pub rcvbuf_server: Option<u32>,
    /// `tune.sndbuf.client` in bytes; `None`: the system's.
    pub sndbuf_client: Option<u32>,
    /// `tune.sndbuf.server` in bytes; `None`: the system's.
    pub sndbuf_server: Option<u32>,
    /// `tune.idletimer`: idle time after which a stream counts as idle; zero turns it off.
    pub idletimer: Duration,
    /// `tune.idle-pool.shared`: threads may take each other's idle connections.
    pub idle_pool_shared: bool,
    /// `tune.pool-high-fd-ratio`: percent of all fds above which idle connections are closed, not kept.
    pub pool_high_fd_ratio: u8,
    /// `tune.pool-low-fd-ratio`: percent of all fds above which idle connections of other threads are taken first.
    pub pool_low_fd_ratio: u8,
    /// `tune.maxpollevents`: events taken from the kernel in one go; `None`: the loop's own choice.
    pub maxpollevents: Option<u32>,
    /// `tune.runqueue-depth`: tasks run between two polls; `None`: the loop's own choice.
    pub runqueue_depth: Option<u32>,
    /// `tune.vars.*-max-size`
    pub variables: VariableLimits,
}

/// `tune.vars.*-max-size`: how much memory variables may take, in bytes; 0: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VariableLimits {
    /// `tune.vars.global-max-size`: all of them together.
    pub global: u64,
    /// `tune.vars.proc-max-size`: those of the process.
    pub process: u64,
    /// `tune.vars.sess-max-size`: those of a session with those of its present transaction.
    pub session: u64,
    /// `tune.vars.txn-max-size`: those of a transaction with those of its request and response.
    pub transaction: u64,
    /// `tune.vars.reqres-max-size`: those of a request or response.
    pub message: u64,
    /// `tune.vars.check-max-size`: those of a health check.
    pub check: u64,
}

impl VariableLimits {
    /// Whether there is a limit at all.
    pub fn any(&self) -> bool {
        self.global | self.process | self.session | self.transaction | self.message | self.check != 0
    }
}

impl Default for Tune {
    fn default() -> Self {
        Self {
            bufsize: 16384,
            maxrewrite: 1024,
            http_maxhdr: 101,
            http_logurilen: 1024,
            http_cookielen: 63,
            pipesize: None,
            maxaccept: Some(4),
            rcvbuf_client: None,
            rcvbuf_server: None,
            sndbuf_client: None,
            sndbuf_server: None,
            idletimer: Duration::from_secs(1),
            idle_pool_shared: true,
            pool_high_fd_ratio: 25,
            pool_low_fd_ratio: 20,
            maxpollevents: None,
            runqueue_depth: None,
            variables: VariableLimits::default(),
        }
    }
}
