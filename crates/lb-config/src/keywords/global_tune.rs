//! `tune.*` of `global` that are read. Source: manual 3.2.

use super::{Context, Keyword, Parser, State};
use crate::diag::Problem;
use crate::parse::{GlobalCx, Line};
use std::time::Duration;

type Outcome = Result<(), Problem>;

const fn works(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    parser: fn(&mut GlobalCx<'_, '_>, &Line<'_>) -> Outcome,
) -> Keyword {
    Keyword::new(Context::Global, name, args, doc, State::Works, Parser::Global(parser))
}

const fn accepted(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    why: &'static str,
    parser: fn(&mut GlobalCx<'_, '_>, &Line<'_>) -> Outcome,
) -> Keyword {
    Keyword::new(Context::Global, name, args, doc, State::Accepted(why), Parser::Global(parser))
}

pub(super) const KEYWORDS: &[Keyword] = &[
    works("tune.bufsize", "<size>", "bytes of a buffer; a message head must fit less maxrewrite", bufsize),
    works("tune.maxrewrite", "<size>", "bytes of a buffer that are kept for added fields", maxrewrite),
    works("tune.http.maxhdr", "<1..32767>", "header fields of a message", http_maxhdr),
    works("tune.http.logurilen", "<bytes>", "bytes of a request line that are logged", http_logurilen),
    works("tune.http.cookielen", "<bytes>", "bytes of a captured cookie", http_cookielen),
    works("tune.pipesize", "<size>", "bytes of a pipe for splicing", pipesize),
    works("tune.maxaccept", "<number>", "connections taken in one go; -1 for no limit", maxaccept),
    works("tune.rcvbuf.client", "<size>", "SO_RCVBUF towards clients", rcvbuf_client),
    works("tune.rcvbuf.server", "<size>", "SO_RCVBUF towards servers", rcvbuf_server),
    works("tune.sndbuf.client", "<size>", "SO_SNDBUF towards clients", sndbuf_client),
    works("tune.sndbuf.server", "<size>", "SO_SNDBUF towards servers", sndbuf_server),
    accepted(
        "tune.idletimer",
        "<time>",
        "idle time after which a stream counts as idle, at most 65535 ms",
        "the size of reads, not what is read",
        idletimer,
    ),
    works("tune.idle-pool.shared", "on|off", "threads may take each other's idle connections", idle_pool_shared),
    accepted(
        "tune.pool-high-fd-ratio",
        "<0..100>",
        "percent of all fds above which no idle connection is kept",
        "how many idle connections are kept, not what traffic gets",
        pool_high,
    ),
    accepted(
        "tune.pool-low-fd-ratio",
        "<0..100>",
        "percent of all fds above which other threads' idle connections are closed first",
        "how many idle connections are kept, not what traffic gets",
        pool_low,
    ),
    accepted(
        "tune.maxpollevents",
        "<number>",
        "events taken from the kernel in one go",
        "order of work inside, not what traffic gets",
        maxpollevents,
    ),
    accepted(
        "tune.runqueue-depth",
        "<number>",
        "tasks run between two polls",
        "order of work inside, not what traffic gets",
        runqueue_depth,
    ),
    works("tune.vars.global-max-size", "<bytes>", "memory of all variables", vars_global),
    works("tune.vars.proc-max-size", "<bytes>", "memory of variables of the process", vars_process),
    works("tune.vars.sess-max-size", "<bytes>", "memory of variables of a session and its transaction", vars_session),
    works("tune.vars.txn-max-size", "<bytes>", "memory of variables of a transaction", vars_transaction),
    works("tune.vars.reqres-max-size", "<bytes>", "memory of variables of a request or response", vars_message),
    works("tune.vars.check-max-size", "<bytes>", "memory of variables of a check", vars_check),
];

/// Largest size of a buffer; more is certainly a mistake.
const MAX_BUFFER: u64 = 256 << 20;

fn bytes(line: &Line<'_>, low: u64, high: u64) -> Result<usize, Problem> {
    let value = line.size(0, low..=high)?;
    line.end(1)?;
    Ok(usize::try_from(value).unwrap_or(usize::MAX))
}

fn bufsize(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    // Rounded up to 16, as haproxy does. Below 1 KiB not even the smallest of heads and replies fits.
    cx.global.tune.bufsize = bytes(line, 1024, MAX_BUFFER)?.next_multiple_of(16);
    Ok(())
}

fn maxrewrite(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    // Brought down to half of bufsize once both are known.
    cx.global.tune.maxrewrite = bytes(line, 0, MAX_BUFFER)?;
    Ok(())
}

fn http_maxhdr(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.tune.http_maxhdr = line.number(0, 1..=32767)? as usize;
    line.end(1)
}

fn http_logurilen(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.tune.http_logurilen = bytes(line, 1, 1 << 20)?;
    Ok(())
}

fn http_cookielen(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.tune.http_cookielen = bytes(line, 1, 1 << 16)?;
    Ok(())
}

fn pipesize(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.tune.pipesize = Some(bytes(line, 0, 1 << 30)?).filter(|size| *size > 0);
    Ok(())
}

fn maxaccept(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let value = line.number(0, -1..=i64::from(i32::MAX))?;
    // 0 asks for the default, -1 for no limit.
    cx.global.tune.maxaccept = match value {
        -1 => None,
        0 => crate::model::Tune::default().maxaccept,
        value => u32::try_from(value).ok(),
    };
    line.end(1)
}

/// 0 leaves the system's value.
fn socket_buffer(line: &Line<'_>) -> Result<Option<u32>, Problem> {
    let value = line.size(0, 0..=i32::MAX as u64)?;
    line.end(1)?;
    Ok(u32::try_from(value).ok().filter(|value| *value > 0))
}

fn rcvbuf_client(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.tune.rcvbuf_client = socket_buffer(line)?;
    Ok(())
}

fn rcvbuf_server(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.tune.rcvbuf_server = socket_buffer(line)?;
    Ok(())
}

fn sndbuf_client(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.tune.sndbuf_client = socket_buffer(line)?;
    Ok(())
}

fn sndbuf_server(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.tune.sndbuf_server = socket_buffer(line)?;
    Ok(())
}

fn idletimer(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let value = line.time(0, Duration::from_millis(1))?;
    if value > Duration::from_millis(65535) {
        return Err(line.problem(0, "the time is out of range").help("'tune.idletimer' takes 0 to 65535 ms"));
    }
    cx.global.tune.idletimer = value;
    line.end(1)
}

fn idle_pool_shared(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.tune.idle_pool_shared = line.choice(0, &[("on", true), ("off", false)])?;
    line.end(1)
}

fn pool_high(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.tune.pool_high_fd_ratio = line.number(0, 0..=100)? as u8;
    line.end(1)
}

fn pool_low(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.tune.pool_low_fd_ratio = line.number(0, 0..=100)? as u8;
    line.end(1)
}

fn maxpollevents(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.tune.maxpollevents = Some(line.count(0, 1)?);
    line.end(1)
}

fn runqueue_depth(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.tune.runqueue_depth = Some(line.count(0, 1)?);
    line.end(1)
}

/// A plain number, as haproxy has it; a negative one is no limit.
fn limit(line: &Line<'_>) -> Result<u64, Problem> {
    let value = line.number(0, i64::MIN..=i64::MAX)?;
    line.end(1)?;
    Ok(u64::try_from(value).unwrap_or(0))
}

fn vars_global(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.tune.variables.global = limit(line)?;
    Ok(())
}

fn vars_process(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.tune.variables.process = limit(line)?;
    Ok(())
}

fn vars_session(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.tune.variables.session = limit(line)?;
    Ok(())
}

fn vars_transaction(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.tune.variables.transaction = limit(line)?;
    Ok(())
}

fn vars_message(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.tune.variables.message = limit(line)?;
    Ok(())
}

fn vars_check(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.tune.variables.check = limit(line)?;
    Ok(())
}
