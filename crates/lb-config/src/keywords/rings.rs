//! Lines of `ring` sections. Source: manual 3.9.

use super::{Context, Keyword, Parser, State};
use crate::diag::Problem;
use crate::model::{LogTransportFormat, Ring};
use crate::parse::{Line, ProxyCx, RingCx};
use std::time::Duration;

type Outcome = Result<(), Problem>;
type Function = fn(&mut RingCx<'_, '_>, &Line<'_>) -> Outcome;

const fn works(name: &'static str, args: &'static str, doc: &'static str, parser: Function) -> Keyword {
    Keyword::new(Context::In("ring"), name, args, doc, State::Works, Parser::Ring(parser))
}

pub(super) const KEYWORDS: &[Keyword] = &[
    works("backing-file", "<file>", "file that has the newest lines, too", |cx, line| {
        cx.ring.ring.backing_file = Some(line.need(0)?.into());
        line.end(1)
    }),
    works("description", "<text>", "text that describes the ring", |cx, line| {
        line.need(0)?;
        cx.ring.ring.description = Some(super::proxy::rest_of_line(line));
        Ok(())
    }),
    works("format", "<format>", "header of the lines, whatever their 'log' line says", |cx, line| {
        cx.ring.ring.format = line.choice(0, &LogTransportFormat::ALL)?;
        line.end(1)
    }),
    works("maxlen", "<bytes>", "longest line", |cx, line| {
        cx.ring.ring.max_len = line.size(0, 1..=Ring::MAX_SIZE as u64)? as usize;
        line.end(1)
    }),
    works("size", "<bytes>", "bytes that wait for the servers, at least 16384", |cx, line| {
        cx.ring.ring.size = line.size(0, Ring::DEFAULT_SIZE as u64..=Ring::MAX_SIZE as u64)? as usize;
        line.end(1)
    }),
    works("server", "<name> <address>:<port> [<parameter> ...]", "log server that gets the lines", |cx, line| {
        super::server::server(&mut ProxyCx { draft: &mut cx.ring.draft, world: cx.world }, line)
    }),
    works("timeout connect", "<time>", "time for a connection to a log server", |cx, line| {
        cx.ring.ring.timeout_connect = timeout(line)?;
        Ok(())
    }),
    works("timeout server", "<time>", "time for a log server to take lines", |cx, line| {
        cx.ring.ring.timeout_server = timeout(line)?;
        Ok(())
    }),
];

fn timeout(line: &Line<'_>) -> Result<Option<Duration>, Problem> {
    let time = line.time(0, Duration::from_millis(1))?;
    line.end(1)?;
    Ok(Some(time).filter(|time| !time.is_zero()))
}
