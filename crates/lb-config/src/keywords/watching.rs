//! Parameters of `server` about its health beside its checks: what its traffic tells, whom it tracks, its agent, and what becomes of
//! sessions. Source: manual 5.2; `init-state`: manual of 3.1.

use super::{Context, Keyword, Parser, State};
use crate::diag::Problem;
use crate::model::{Initial, Observe, OnError, Track, Watching};
use crate::parse::{Params, ServerCx, address, resolve_host};
use crate::tree::shown;

type Outcome = Result<(), Problem>;
type Function = fn(&mut ServerCx<'_, '_>, &mut Params<'_, '_>) -> Outcome;

const fn works(name: &'static str, args: &'static str, doc: &'static str, parser: Function) -> Keyword {
    Keyword::new(Context::Server, name, args, doc, State::Works, Parser::Server(parser))
}

pub(super) const KEYWORDS: &[Keyword] = &[
    works("agent-addr", "<address>", "address of the agent", agent_addr),
    works("agent-check", "", "asks an agent for share, limit and state of the server", |cx, _| agent_on(cx, true)),
    works("no-agent-check", "", "takes 'agent-check' back", |cx, _| agent_on(cx, false)),
    works("agent-inter", "<time>", "time between questions to the agent, and for an answer", |cx, params| {
        let value = params.time()?;
        if value.is_zero() {
            return Err(params.problem("an agent cannot be asked without any time between").help("write a time from 1ms"));
        }
        watching(cx).agent.inter = value;
        Ok(())
    }),
    works("agent-port", "<port>", "port of the agent", |cx, params| {
        watching(cx).agent.port = params.number(0..=65535)? as u16;
        Ok(())
    }),
    works("agent-send", "<text>", "what is sent to the agent", |cx, params| {
        watching(cx).agent.send = params.value()?.into();
        Ok(())
    }),
    works("error-limit", "<count>", "errors in a row until 'on-error' acts", |cx, params| {
        watching(cx).error_limit = params.count(1)?;
        Ok(())
    }),
    works("init-state", "fully-up|up|down|fully-down", "what is believed of a server at the start and after maintenance", |cx, params| {
        let choices = [("fully-up", Initial::FullyUp), ("up", Initial::Up), ("down", Initial::Down), ("fully-down", Initial::FullyDown)];
        watching(cx).initial = params.choice(&choices)?;
        Ok(())
    }),
    works("observe", "none|layer4|layer7", "errors of traffic count for the server's health", |cx, params| {
        let choices = [("none", None), ("layer4", Some(Observe::Layer4)), ("layer7", Some(Observe::Layer7))];
        watching(cx).observe = params.choice(&choices)?;
        Ok(())
    }),
    works("on-error", "fastinter|fail-check|sudden-death|mark-down", "what too many errors in traffic do", |cx, params| {
        let choices = [
            ("fastinter", OnError::Fastinter),
            ("fail-check", OnError::FailCheck),
            ("sudden-death", OnError::SuddenDeath),
            ("mark-down", OnError::MarkDown),
        ];
        watching(cx).on_error = params.choice(&choices)?;
        Ok(())
    }),
    works("on-marked-down", "shutdown-sessions", "sessions of the server end when it goes down", |cx, params| {
        params.choice(&[("shutdown-sessions", ())])?;
        watching(cx).shutdown_sessions = true;
        Ok(())
    }),
    works("on-marked-up", "shutdown-backup-sessions", "sessions of backups end when the server comes up", |cx, params| {
        params.choice(&[("shutdown-backup-sessions", ())])?;
        watching(cx).shutdown_backup_sessions = true;
        Ok(())
    }),
    works("track", "[<backend>/]<server>", "the state is that of another server", |cx, params| {
        let text = params.value()?;
        let (backend, server) = match text.split_once('/') {
            Some((backend, server)) => (Some(backend.to_owned()), server.to_owned()),
            None => (None, text.to_owned()),
        };
        let span = params.span();
        watching(cx).track = Some(Track { backend, server, target: None, span });
        Ok(())
    }),
];

fn watching<'a>(cx: &'a mut ServerCx<'_, '_>) -> &'a mut Watching {
    cx.server.server.watching.get_or_insert_default()
}

fn agent_on(cx: &mut ServerCx<'_, '_>, on: bool) -> Outcome {
    watching(cx).agent.on = on;
    Ok(())
}

fn agent_addr(cx: &mut ServerCx<'_, '_>, params: &mut Params<'_, '_>) -> Outcome {
    let text = params.value()?;
    let word = params.at - 1;
    match address(text, word, &cx.world.variables)? {
        crate::address::Address::Inet { host, port: crate::address::Port::None } => {
            watching(cx).agent.address = Some(resolve_host(&host, word, cx.world.source)?);
            Ok(())
        }
        _ => {
            let problem = params.problem(format!("'agent-addr' does not take '{}'", shown(text)));
            Err(problem.help("write an IP address or a name; the port is that of 'agent-port'"))
        }
    }
}
