//! What the `log` lines of proxies become: for a frontend its targets with its formats ([`FrontendLog`]), for a backend the
//! targets of messages about its servers ([`ProxyLog`]). Built once per configuration by [`Loggers`].

use crate::log::{LogIdentity, LogSinks, Logger, Ring, SinkError};
use lb_config::{Config, Level, LogFormatKind, LogFormatText, LogForward, LogStep, LogSteps, LogTarget, Mode};
use lb_expr::{Field, LogFormat, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How a frontend logs.
pub struct FrontendLog {
    pub(crate) logger: Logger,
    /// `None`: the short line, written when a stream begins.
    pub(crate) format: Option<LogFormat>,
    /// `error-log-format`: of lines about what never became a stream.
    pub(crate) error_format: Option<LogFormat>,
    /// `log-format-sd`, where a target shows it.
    pub(crate) structured: Option<LogFormat>,
    pub(crate) dontlognull: bool,
    pub(crate) dontlog_normal: bool,
    pub(crate) separate_errors: bool,
    pub(crate) asap: bool,
    /// The line is written when the response begins: `option logasap`, or a format that shows nothing of the end.
    pub(crate) early: bool,
    /// `log-steps`
    pub(crate) steps: LogSteps,
    /// Connections that fail before there is a stream are told. Observed: where something is said of what lines show.
    pub(crate) tells_errors: bool,
    /// Lines show samples.
    pub(crate) has_samples: bool,
    /// Lines show the own address towards the server.
    pub(crate) wants_source: bool,
    /// Lines show the bytes of requests, or whether there were any.
    pub(crate) wants_uploaded: bool,
    /// Lines so far: `%lc`.
    pub(crate) lines: AtomicU64,
}

impl FrontendLog {
    /// Sends a line about the frontend itself.
    pub(crate) fn announce(&self, level: Level, at: Timestamp, text: &str) {
        self.logger.send(level, at, text.as_bytes());
    }

    /// Counts a line, if one was written.
    pub(crate) fn count(&self, said: bool) {
        if said {
            self.lines.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether the line of a stream is written at its end.
    pub(crate) fn ends(&self) -> bool {
        self.steps.is_empty() || self.steps.contains(LogStep::Close)
    }

    fn formats(&self) -> impl Iterator<Item = &LogFormat> {
        [&self.format, &self.error_format, &self.structured].into_iter().flatten().chain(self.logger.formats())
    }

    fn uses(&self, field: Field) -> bool {
        self.formats().any(|format| format.uses(field))
    }

    /// Whether its lines show samples.
    pub fn has_samples(&self) -> bool {
        self.has_samples
    }

    /// True when its lines show where the client connected to.
    pub fn wants_local(&self) -> bool {
        self.format.is_none() || self.uses(Field::FrontendIp) || self.uses(Field::FrontendPort)
    }
}

/// Where messages about a proxy's servers go.
pub struct ProxyLog {
    logger: Logger,
}

impl ProxyLog {
    /// Sends one message.
    pub fn send(&self, level: Level, at: Timestamp, text: &str) {
        self.logger.send(level, at, text.as_bytes());
    }
}

/// Makes loggers; targets that several proxies name share their sockets.
pub struct Loggers {
    sinks: LogSinks,
    errors: Vec<SinkError>,
    rings: Vec<Arc<Ring>>,
}

/// Compiles a format of a configuration.
pub fn compiled(format: &LogFormatText) -> LogFormat {
    match &format.compiled {
        Some(compiled) => (**compiled).clone(),
        None => LogFormat::compile(&format.text).expect("a built-in format"),
    }
}

impl Loggers {
    /// No loggers yet, but the rings that they may send to. Reads the time zone, which a chroot may put out of reach.
    pub fn new(config: &Config) -> Loggers {
        lb_sys::localtime::load();
        let sinks = LogSinks::new();
        let (mut rings, mut errors) = (Vec::new(), Vec::new());
        for ring in &config.rings {
            match sinks.add_ring(ring) {
                Ok(ring) => rings.push(ring),
                Err(e) => errors.push(e),
            }
        }
        Loggers { sinks, rings, errors }
    }

    /// All rings.
    pub fn rings(&self) -> &[Arc<Ring>] {
        &self.rings
    }

    /// Targets that could not be opened.
    pub fn take_errors(&mut self) -> Vec<SinkError> {
        std::mem::take(&mut self.errors)
    }

    /// The sockets and queues of all loggers.
    pub fn sinks(&self) -> &LogSinks {
        &self.sinks
    }

    fn logger(&mut self, config: &Config, proxy: &lb_config::Proxy) -> Option<Logger> {
        if proxy.logs.is_empty() {
            return None;
        }
        self.open(config, proxy.log_tag.as_deref(), &proxy.logs)
    }

    fn open(&mut self, config: &Config, tag: Option<&str>, targets: &[LogTarget]) -> Option<Logger> {
        let hostname = match &config.global.log_send_hostname {
            None => None,
            Some(None) => Some(lb_sys::process::host_name()),
            Some(Some(name)) => Some(name.clone()),
        };
        let tag = tag.or(config.global.log_tag.as_deref()).unwrap_or("haproxy").to_owned();
        let identity = LogIdentity { tag, pid: std::process::id(), hostname };
        match Logger::with_profiles(targets, &identity, &self.sinks, &config.log_profiles) {
            Ok(logger) => Some(logger.within(config.longest_log)),
            Err(e) => {
                self.errors.push(e);
                None
            }
        }
    }

    /// What a `log-forward` section needs.
    pub fn forwarder(&mut self, config: &Config, section: &LogForward) -> Logger {
        self.open(config, None, &section.logs).unwrap_or_else(Logger::none)
    }

    /// What a frontend needs; `None` without `log` lines.
    pub fn frontend(&mut self, config: &Config, proxy: &lb_config::Proxy) -> Option<FrontendLog> {
        let logger = self.logger(config, proxy)?;
        let format = (proxy.log_format.kind != LogFormatKind::Default).then(|| compiled(&proxy.log_format));
        let structured = proxy.log_format_sd.as_ref().filter(|_| logger.shows_structured_data()).map(compiled);
        let asap = proxy.options.logasap;
        let captures = &proxy.captures;
        let captures = captures.cookie.is_some() || captures.request.iter().chain(&captures.response).any(|slot| slot.name.is_some());
        let at_once = format.as_ref().is_some_and(|f| !f.waits_for_end()) && logger.formats().all(|f| !f.waits_for_end());
        let mut log = FrontendLog {
            // With steps a line is written at each of them and at no other moment.
            early: proxy.log_steps.is_empty() && (asap || at_once),
            steps: proxy.log_steps,
            logger,
            format,
            error_format: proxy.error_log_format.as_ref().map(compiled),
            structured,
            dontlognull: proxy.options.dontlognull,
            dontlog_normal: proxy.options.dontlog_normal,
            separate_errors: proxy.options.log_separate_errors,
            asap,
            tells_errors: captures
                || proxy.log_format.kind != LogFormatKind::Default
                || proxy.log_format_sd.is_some()
                || proxy.unique_id_format.is_some(),
            wants_source: false,
            wants_uploaded: false,
            has_samples: false,
            lines: AtomicU64::new(0),
        };
        let has_samples = log.logger.has_profiles() || log.formats().any(|format| !format.samples().is_empty());
        log.has_samples = has_samples;
        log.wants_source = log.uses(Field::BackendSourceIp) || log.uses(Field::BackendSourcePort);
        log.wants_uploaded = log.uses(Field::BytesUploaded) || (log.dontlognull && proxy.mode == Mode::Tcp);
        Some(log)
    }

    /// What a backend needs; `None` without `log` lines.
    pub fn proxy(&mut self, config: &Config, proxy: &lb_config::Proxy) -> Option<ProxyLog> {
        Some(ProxyLog { logger: self.logger(config, proxy)? })
    }
}
