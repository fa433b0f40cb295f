//! Keywords of `global` that are read: process, limits, logs. Source: manual 3.1, 3.2.

use super::{Context, Keyword, Parser, State, Today};
use crate::diag::Problem;
use crate::model::{Account, UnixBindOptions};
use crate::parse::{GlobalCx, Line, Negation};
use crate::tree::shown;
use crate::variables::MAX_VALUE;
use std::time::Duration;

pub(super) type Outcome = Result<(), Problem>;
pub(super) type Function = fn(&mut GlobalCx<'_, '_>, &Line<'_>) -> Outcome;

pub(super) const fn works(name: &'static str, args: &'static str, doc: &'static str, parser: Function) -> Keyword {
    Keyword::new(Context::Global, name, args, doc, State::Works, Parser::Global(parser))
}

const fn accepted(name: &'static str, args: &'static str, doc: &'static str, why: &'static str, parser: Function) -> Keyword {
    Keyword::new(Context::Global, name, args, doc, State::Accepted(why), Parser::Global(parser))
}

pub(super) const KEYWORDS: &[Keyword] = &[
    works("maxconn", "<number>", "connections of the process at once; derived from the fd limit when absent", maxconn),
    works("maxconnrate", "<number>", "connections of the process per second; 0 for no limit", |cx, line| {
        if let Some(value) = number_once(cx, line)? {
            cx.global.maxconnrate = Some(value).filter(|value| *value > 0);
        }
        Ok(())
    }),
    works("maxsessrate", "<number>", "sessions of the process per second; 0 for no limit", |cx, line| {
        if let Some(value) = number_once(cx, line)? {
            cx.global.maxsessrate = Some(value).filter(|value| *value > 0);
        }
        Ok(())
    }),
    works("h1-accept-payload-with-any-method", "", "HTTP/1.0 GET, HEAD and DELETE may have a body", |cx, line| {
        cx.global.h1_accept_payload_with_any_method = true;
        line.end(0)
    }),
    works("h1-do-not-close-on-insecure-transfer-encoding", "", "the connection of a message with both lengths may live on", |cx, line| {
        cx.global.h1_do_not_close_on_insecure_transfer_encoding = true;
        line.end(0)
    }),
    works("harden.reject-privileged-ports.tcp", "on|off", "closes connections from ports below 1024", |cx, line| {
        cx.global.reject_privileged_ports = line.choice(0, &[("on", true), ("off", false)])?;
        line.end(1)
    }),
    works("nbthread", "<number>", "threads, 1 to 64; the usable cores when absent", nbthread),
    works("ulimit-n", "<number>", "file descriptors to ask the system for", ulimit_n),
    works("fd-hard-limit", "<number>", "upper end of a derived number of file descriptors", fd_hard_limit),
    works(
        "strict-limits",
        "",
        "a limit that cannot be had prevents the start, with or without the word; with 'no' there is a warning",
        strict_limits,
    )
    .negatable(),
    works("zero-warning", "", "warnings prevent the start", zero_warning),
    works("quiet", "", "no messages at the start", quiet),
    works("hard-stop-after", "<time>", "end of a soft stop, whatever still runs", hard_stop_after),
    works("node", "<name>", "name of this node", node),
    works("description", "<text>", "text that describes this node", description),
    works(
        "log",
        "<target> [len <n>] [format <f>] [sample <s>] [profile <p>] <facility> [<level> [<minlevel>]]",
        "where 'log global' sends lines",
        log,
    )
    .negatable(),
    works("log-tag", "<text>", "name of the program in log lines", log_tag),
    works("log-send-hostname", "[<name>]", "puts the host name into log lines", log_send_hostname),
    works("spread-checks", "<0..50>", "percent by which check intervals vary", spread_checks),
    works("max-spread-checks", "<time>", "time over which the first checks are spread at most", max_spread_checks),
    works("maxpipes", "<number>", "pipes for splicing; a quarter of maxconn when absent", maxpipes),
    works("nosplice", "", "never uses splice(2)", nosplice),
    works("noreuseport", "", "never sets SO_REUSEPORT", noreuseport),
    works(
        "unix-bind",
        "[prefix <p>] [mode <m>] [user <u>] [uid <n>] [group <g>] [gid <n>]",
        "ownership and prefix of UNIX sockets of 'bind'",
        unix_bind,
    ),
    works(
        "stats socket",
        "<address> [<parameter> ...]",
        "a run-time socket; the parameters are those of 'bind'",
        super::bind::stats_socket,
    ),
    works("stats timeout", "<time>", "silence that ends a connection to the run-time socket; 10s when absent", |cx, line| {
        let time = line.time(0, Duration::from_millis(1))?;
        if time.is_zero() {
            return Err(line.problem(0, "'stats timeout' cannot be 0").help("write for example 'stats timeout 30s'"));
        }
        cx.global.stats_timeout = Some(time);
        extra(cx, line);
        Ok(())
    }),
    works("stats maxconn", "<number>", "connections to the run-time sockets at once; 10 when absent", |cx, line| {
        cx.global.stats_maxconn = Some(line.count(0, 1)?);
        extra(cx, line);
        Ok(())
    }),
    works("setenv", "<name> <value>", "sets a variable for the lines after it", environment),
    works("presetenv", "<name> <value>", "sets a variable that is not set yet", environment),
    works("unsetenv", "<name> ...", "removes variables", environment),
    works("resetenv", "[<name> ...]", "removes all variables but these", environment),
    accepted("busy-polling", "", "never sleeps while waiting for events", "costs CPU and changes no byte", busy_polling).negatable(),
    Keyword::new(
        Context::Global,
        "nbproc",
        "<number>",
        "processes; there is one, with threads",
        State::Old("nbthread <value>"),
        Parser::Global(nbproc),
    )
    .written(|line| match line.value(0).and_then(|text| text.parse::<u32>().ok()) {
        Some(1) => Today::Nothing,
        Some(count) if count > MAX_THREADS => Today::Line(format!("nbthread {MAX_THREADS}")),
        _ => Today::Keyword("nbthread"),
    }),
];

/// True when a keyword that may be given once was given before, which is told: the first value counts, and the line is not looked at
/// further, as in haproxy. There it is an alert that stops nothing, not even with `-dW`.
pub(super) fn again(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> bool {
    let Some(first) = cx.seen.get(line.keyword.name) else {
        cx.seen.insert(line.keyword.name, line.span());
        return false;
    };
    let message = format!("'{}' is given twice; the first one counts", line.keyword.name);
    let help = format!("remove this line, or the one on line {}", first.line);
    cx.world.notice(line.span(), message, Some(help));
    true
}

/// A number that may be given once, where 0 is as good as not given; `None`: it was given before.
fn number_once(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Result<Option<u32>, Problem> {
    if again(cx, line) {
        return Ok(None);
    }
    let value = line.count(0, 0)?;
    if value == 0 {
        cx.seen.remove(line.keyword.name);
    }
    line.end(1)?;
    Ok(Some(value))
}

/// Words behind the value that haproxy drops in silence.
fn extra(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) {
    if let Some(extra) = line.arg(1) {
        let message = format!("unexpected '{}' behind '{}'", shown(extra), line.keyword.name);
        cx.world.notice(line.span(), message, Some("remove it".into()));
    }
}

fn maxconn(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    if let Some(value) = number_once(cx, line)? {
        // 0 asks for the derived value, as in haproxy.
        cx.global.maxconn = Some(value).filter(|value| *value > 0);
        cx.global.maxconn_span = line.span();
    }
    Ok(())
}

/// As many as haproxy 2.6 takes.
pub(super) const MAX_THREADS: u32 = 64;

fn nbthread(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.nbthread = Some(line.number(0, 1..=i64::from(MAX_THREADS))? as u16);
    line.end(1)
}

/// There is one process; the number asked for is a hint at the threads that are wanted, unless it is 1.
fn nbproc(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let value = line.number(0, 1..=i64::from(i32::MAX))?;
    line.end(1)?;
    if cx.global.nbthread.is_none() && value > 1 {
        cx.global.nbthread = Some(value.min(i64::from(MAX_THREADS)) as u16);
    }
    Ok(())
}

fn ulimit_n(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.ulimit_n = Some(u64::from(line.count(0, 1)?));
    line.end(1)
}

fn fd_hard_limit(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.fd_hard_limit = Some(u64::from(line.count(0, 0)?)).filter(|value| *value > 0);
    line.end(1)
}

fn strict_limits(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.lenient_limits = line.negation == Negation::No;
    line.end(0)
}

fn zero_warning(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.zero_warning = true;
    line.end(0)
}

fn quiet(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.quiet = true;
    line.end(0)
}

fn busy_polling(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.busy_polling = line.negation.value();
    line.end(0)
}

fn nosplice(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.nosplice = true;
    line.end(0)
}

fn noreuseport(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.noreuseport = true;
    line.end(0)
}

fn hard_stop_after(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.hard_stop_after = Some(line.time(0, Duration::from_millis(1))?);
    line.end(1)
}

fn node(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let name = line.need(0)?;
    if let Some(c) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))) {
        return Err(line.problem(0, format!("a node's name cannot hold {c:?}")).help("it is made of letters, digits, '-', '_' and '.'"));
    }
    cx.global.node = Some(name.to_owned());
    line.end(1)
}

fn description(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    line.need(0)?;
    cx.global.description = Some(super::proxy::rest_of_line(line));
    Ok(())
}

fn log(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    if line.negation == Negation::No {
        line.end(0)?;
        cx.world.logs.clear();
        return Ok(());
    }
    if line.arg(0) == Some("global") {
        return Err(line
            .problem(0, "'log global' has no meaning in 'global'")
            .help("write a target, for example 'log 127.0.0.1:514 local0'"));
    }
    let target = super::logs::log_target(cx.world, line)?;
    super::logs::few_logs(cx.world.logs.len() + 1)?;
    cx.world.logs.push(target);
    Ok(())
}

fn log_tag(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.log_tag = Some(line.need(0)?.to_owned());
    line.end(1)
}

fn log_send_hostname(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.log_send_hostname = Some(line.arg(0).map(str::to_owned));
    line.end(1)
}

fn spread_checks(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    if again(cx, line) {
        return Ok(());
    }
    cx.global.spread_checks = line.number(0, 0..=50)? as u8;
    if cx.global.spread_checks == 0 {
        cx.seen.remove(line.keyword.name);
    }
    line.end(1)
}

fn max_spread_checks(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.max_spread_checks = Some(line.time(0, Duration::from_millis(1))?);
    line.end(1)
}

fn maxpipes(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.maxpipes = Some(line.count(0, 0)?);
    line.end(1)
}

fn unix_bind(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    line.need(0)?;
    let mut options = UnixBindOptions::default();
    let mut at = 0;
    while let Some(name) = line.arg(at) {
        let value = line.need(at + 1)?;
        match name {
            "prefix" => cx.global.unix_bind_prefix = Some(value.to_owned()),
            "mode" => {
                let mode = u32::from_str_radix(value, 8).ok().filter(|mode| *mode <= 0o7777);
                options.mode = Some(
                    mode.ok_or_else(|| line.problem(at + 1, format!("'{}' is not an octal mode", shown(value))).help("for example 660"))?,
                );
            }
            "user" => options.user = Some(Account::Name(value.to_owned())),
            "group" => options.group = Some(Account::Name(value.to_owned())),
            "uid" => options.user = Some(Account::Id(line.count(at + 1, 0)?)),
            "gid" => options.group = Some(Account::Id(line.count(at + 1, 0)?)),
            other => {
                return Err(line
                    .problem(at, format!("'unix-bind' does not take '{}'", shown(other)))
                    .help("it takes prefix, mode, user, uid, group, gid"));
            }
        }
        at += 2;
    }
    cx.world.unix_prefix.clone_from(&cx.global.unix_bind_prefix);
    cx.world.unix_bind = options.clone();
    cx.global.unix_bind = options;
    Ok(())
}

/// The reader has applied these lines already, since they matter to the words after them.
fn environment(_cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    if line.keyword.name == "resetenv" {
        return Ok(());
    }
    let name = line.need(0)?;
    if line.keyword.name == "unsetenv" {
        return Ok(());
    }
    if line.need(1)?.len() > MAX_VALUE {
        return Err(line.problem(1, "the value is too long").help("a variable holds at most 128 KiB"));
    }
    if name.contains('=') {
        return Err(line.problem(0, "a variable's name cannot hold '='").help(format!("write '{} <name> <value>'", line.keyword.name)));
    }
    line.end(2)
}
