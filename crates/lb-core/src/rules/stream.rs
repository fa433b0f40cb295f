//! Rules of connections, sessions and of streams in mode tcp. Called by session.rs and tcp.rs.

use super::{SessionState, Stage, Step, run, vanish};
use crate::admit::Refused;
use crate::client::Client;
use crate::proxy::{Backend, Frontend};
use crate::record::Record;
use lb_config::{Action, Rule};
use lb_expr::sample::{Bytes, Side};
use lb_rt::{Buffer, Rt, Socket};
use lb_sys::Addr;
use std::cell::OnceCell;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// Goes through `tcp-request connection`; `None`: the connection is refused.
pub fn connection(client: &mut Client, socket: &Socket) -> Option<SessionState> {
    let frontend = client.frontend().clone();
    let list = frontend.settings.rules.as_deref().map_or(&[][..], |rules| &rules.connection);
    if list.is_empty() {
        return Some(SessionState::default());
    }
    let state = decide(list, client, socket);
    if state.is_none() {
        client.worker().counters.front(&frontend).denied_connections.add(1);
    }
    state
}

/// Goes through `tcp-request session`; false: the session is refused.
pub fn session(client: &mut Client, socket: &Socket) -> bool {
    let frontend = client.frontend().clone();
    let list = frontend.settings.rules.as_deref().map_or(&[][..], |rules| &rules.session);
    if list.is_empty() {
        return true;
    }
    let accepted = decide(list, client, socket).is_some();
    if !accepted {
        client.worker().counters.front(&frontend).denied_sessions.add(1);
    }
    accepted
}

/// What a list makes of a connection; the addresses that it sets are those of the connection from here on.
fn decide(list: &[Arc<Rule>], client: &mut Client, socket: &Socket) -> Option<SessionState> {
    let mut stage = Stage::new(client, socket, Side::Request);
    let passes = passes(list, &mut stage, socket);
    let state = stage.session;
    if let Some(source) = state.source {
        client.peer = Addr::Ip(source);
    }
    if let Some(destination) = state.destination {
        client.local = OnceCell::from(Addr::Ip(destination));
    }
    passes.then_some(state)
}

fn passes(list: &[Arc<Rule>], stage: &mut Stage<'_>, socket: &Socket) -> bool {
    match run(list, 0, stage) {
        Step::End(n) => {
            match &list[n].action {
                Action::SilentDrop { ttl } => vanish(socket, *ttl),
                _ => socket.reset_on_close(),
            }
            false
        }
        // Nothing comes here that could be waited for.
        Step::Pass { .. } | Step::NeedMore(_) | Step::Wait(_) | Step::Failed | Step::Unreadable => true,
    }
}

/// Why contents did not pass.
pub enum Stopped {
    /// A rule refuses the stream.
    Refused,
    /// The client left.
    Gone,
}

/// Goes through `tcp-request content` of a proxy; what the client has sent meanwhile is in `input`.
pub async fn contents(
    record: &mut Record,
    socket: &Socket,
    input: &mut Option<Buffer>,
    list: &[Arc<Rule>],
    delay: Option<Duration>,
) -> Result<(), Stopped> {
    let client = record.client.clone();
    let rt = client.worker().rt.clone();
    let until = delay.map(|delay| rt.now() + delay);
    let mut ended = false;
    let mut at = 0;
    while at < list.len() {
        let full = input.as_ref().is_some_and(|input| input.len() == rt.buffers().size());
        let last = ended || full || until.is_none_or(|until| rt.now() >= until);
        let step = with_contents(record, socket, input.as_ref(), last, |stage| run(list, at, stage));
        match step {
            Step::Pass { .. } => return Ok(()),
            Step::Failed | Step::Unreadable => at = list.len(),
            Step::End(n) => {
                if let Action::SilentDrop { ttl } = &list[n].action {
                    vanish(socket, *ttl);
                }
                return Err(Stopped::Refused);
            }
            Step::Wait(n) => at = n + 1,
            Step::NeedMore(n) => {
                at = n;
                ended = !more(&rt, socket, input, until).await?;
            }
        }
    }
    Ok(())
}

/// Calls `work` with the stage of a stream's contents.
pub fn with_contents<T>(
    record: &mut Record,
    socket: &Socket,
    input: Option<&Buffer>,
    last: bool,
    work: impl FnOnce(&mut Stage<'_>) -> T,
) -> T {
    let client = record.client.clone();
    let bytes = input.map(Buffer::filled).unwrap_or_default();
    let mut stage = Stage {
        record: Some(record),
        from_client: Bytes { bytes, whole: last, announced: None },
        last,
        ..Stage::new(&client, socket, Side::Request)
    };
    work(&mut stage)
}

/// Reads on until something comes, or `until`; false when the client sends no more.
async fn more(rt: &Rt, socket: &Socket, input: &mut Option<Buffer>, until: Option<std::time::Instant>) -> Result<bool, Stopped> {
    let buffer = input.get_or_insert_with(|| rt.buffers().take());
    buffer.compact();
    let read = poll_fn(|_| match socket.poll_read(buffer.spare()) {
        Poll::Ready(read) => Poll::Ready(Some(read)),
        Poll::Pending => rt.poll_deadline(until).map(|()| None),
    })
    .await;
    match read {
        None => Ok(true),
        Some(Ok(0)) => Ok(false),
        Some(Ok(n)) => {
            buffer.commit(n);
            Ok(true)
        }
        Some(Err(_)) => Err(Stopped::Gone),
    }
}

/// Whether a stream has to be looked at before it gets a server.
pub fn looks_at_contents(frontend: &Frontend) -> bool {
    frontend.settings.rules.as_deref().is_some_and(|rules| !rules.content.is_empty() || !rules.use_backend.is_empty())
}

/// Goes through `tcp-response content` with what the server has sent; `None`: more may decide.
pub fn answer(
    record: &mut Record,
    (socket, server): (&Socket, &Socket),
    backend: &Backend,
    input: &[u8],
    last: bool,
) -> Option<Result<(), Refused>> {
    let Some(rules) = backend.settings.rules.as_deref() else { return Some(Ok(())) };
    let client = record.client.clone();
    let mut stage = Stage {
        record: Some(record),
        from_server: Bytes { bytes: input, whole: last, announced: None },
        last,
        ..Stage::new(&client, socket, Side::Response)
    };
    match run(&rules.answer, 0, &mut stage) {
        Step::NeedMore(_) => None,
        Step::End(n) => {
            match &rules.answer[n].action {
                Action::SilentDrop { ttl } => {
                    vanish(socket, *ttl);
                    return Some(Err(Refused::ByRule));
                }
                Action::Close => {
                    server.reset_on_close();
                    return Some(Err(Refused::AnswerClosed));
                }
                _ => {}
            }
            record.downloaded = input.len() as u64;
            Some(Err(Refused::AnswerByRule))
        }
        _ => Some(Ok(())),
    }
}
