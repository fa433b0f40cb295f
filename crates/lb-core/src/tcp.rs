//! Mode tcp: one connection to a server for each of a client's, from the accept to the log line.

use crate::admit::{self, Attempts, ClientWatch, Preferred, Refused};
use crate::client::Client;
use crate::http::rules::{choose_backend, choose_server};
use crate::outgoing::write_proxy_header;
use crate::proxy::{AsksFor, Backend};
use crate::pump::{Flow, Framing, SpliceMode};
use crate::queue::Slot;
use crate::record::Record;
use crate::relay::{Relay, TunnelTimeouts};
use crate::rules::stream::{Stopped, answer as rules_of_answer, contents, looks_at_contents, with_contents};
use crate::timers::{Step, Timers};
use lb_balance::Key;
use lb_config::HashKey;
use lb_expr::{Cause, Phase, Termination, rdp};
use lb_rt::{Buffer, Socket};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

/// Counts a stream against its backend.
pub struct InBackend(Arc<Backend>);

impl InBackend {
    /// The stream goes to `backend`, and counts there.
    pub fn enter(record: &mut Record, backend: Arc<Backend>) -> InBackend {
        let current = backend.current.fetch_add(1, Ordering::Relaxed) + 1;
        record.enters(&backend, current);
        record.backend = Some(backend.clone());
        InBackend(backend)
    }
}

impl Drop for InBackend {
    fn drop(&mut self) {
        self.0.current.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream that has its server.
struct Connected {
    socket: Socket,
    _slot: Slot,
    _counted: InBackend,
    relay: Relay,
}

/// A stream that relays. However it ends, its record has what was moved, and who remained when it left.
struct Running<'a> {
    record: &'a mut Record,
    connected: Box<Connected>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let relay = &self.connected.relay;
        self.record.uploaded = relay.up.sent;
        self.record.downloaded = relay.down.sent;
        self.record.client.worker().count_bytes(&relay.up, &relay.down);
        self.record.note_release();
    }
}

/// Serves one client. `input`: what it has sent already.
pub async fn serve(client: Rc<Client>, socket: Socket, input: Option<Buffer>) {
    let worker = client.worker().clone();
    let mut record = Record::new(client.clone(), Timers::new(client.accepted));
    record.begin();
    // Boxed for the time that it takes, so that the relay, which lives long, is small.
    let connected = match Box::pin(connect(&mut record, &socket, input)).await {
        Ok(connected) => connected,
        Err(refused) => {
            // Unread data would turn the close into a reset.
            worker.rt.buffers().with_scratch(|bytes| drop(socket.poll_read(bytes)));
            drop(socket);
            return record.finish(refused.termination());
        }
    };
    let mut running = Running { record: &mut record, connected };
    running.record.response_began(|| 0);
    let Connected { socket: server, relay, .. } = &mut *running.connected;
    let end = poll_fn(|_| relay.poll(&worker.rt, &worker.outs, &socket, server)).await;
    if end.cause == Cause::ServerAbort || end.cause == Cause::ClientAbort {
        // Who got a part shall not take it for the whole.
        server.reset_on_close();
        socket.reset_on_close();
    }
    running.record.note_client(&socket);
    drop(socket);
    drop(running);
    record.finish(end);
}

async fn connect(record: &mut Record, socket: &Socket, mut input: Option<Buffer>) -> Result<Box<Connected>, Refused> {
    let client = record.client.clone();
    let worker = client.worker();
    let frontend = client.frontend();
    let backend = match frontend.settings.rules.as_deref().filter(|_| looks_at_contents(frontend)) {
        Some(rules) => {
            contents(record, socket, &mut input, &rules.content, rules.inspect_delay).await.map_err(stopped)?;
            with_contents(record, socket, input.as_ref(), true, |stage| {
                choose_backend(rules, stage, frontend, &worker.process.topology).cloned()
            })
        }
        None => frontend.backend.clone(),
    };
    let backend = backend.ok_or(Refused::NoServer)?;
    let counted = InBackend::enter(record, backend.clone());
    let rules = backend.settings.rules.as_deref();
    if let Some(rules) = rules.filter(|rules| !rules.content.is_empty() && frontend.order != backend.order) {
        contents(record, socket, &mut input, &rules.content, rules.inspect_delay).await.map_err(stopped)?;
    }
    let watch = ClientWatch { socket, abort_on_close: backend.settings.options.abortonclose, abort_on_silence: true };
    if backend.needs_client_address.load(Ordering::Relaxed) {
        client.learn_local(socket);
    }
    let mut attempts = Attempts::new(record, &backend);
    if backend.asks_for == AsksFor::Beginning {
        match backend.settings.balance.hash_key() {
            Some(HashKey::Expr(expr)) => {
                with_contents(record, socket, input.as_ref(), true, |stage| stage.hash_by(expr, &mut attempts));
            }
            _ => hash_by_beginning(&mut attempts, &backend, socket, input.as_ref()),
        }
    }
    if let Some(rules) = rules.filter(|rules| !rules.use_server.is_empty()) {
        let server = with_contents(record, socket, input.as_ref(), true, |stage| choose_server(rules, stage, &backend));
        attempts.prefer(server.map(|server| Preferred { server, bound: true }));
    }
    let (server, slot) = admit::open(&worker.rt, record, &mut attempts, watch).await?;
    let splice = |this: bool, either: bool| match worker.process.splice && (this || either || worker.process.splice_by_itself) {
        true => SpliceMode::Auto,
        false => SpliceMode::Off,
    };
    let (front, back) = (&frontend.settings.options, &backend.settings.options);
    let auto = front.splice_auto || back.splice_auto;
    let mut up = Flow::new(Framing::UntilClose, splice(front.splice_request || back.splice_request, auto));
    let down = Flow::new(Framing::UntilClose, splice(front.splice_response || back.splice_response, auto));
    up.set_input(input);
    if let Some(kind) = &slot.server().settings.send_proxy {
        write_proxy_header(kind, record, up.out(&worker.outs));
    }
    let timeouts = TunnelTimeouts::new(&frontend.settings, &backend.settings);
    let relay = Relay::new(up, down, timeouts, worker.rt.now());
    record.mark(Step::Response);
    let mut connected = Box::new(Connected { socket: server, _slot: slot, _counted: counted, relay });
    if let Some(rules) = rules.filter(|rules| !rules.answer.is_empty()) {
        inspect_answer(record, socket, &mut connected, &backend, rules.answer_delay).await?;
    }
    Ok(connected)
}

fn stopped(why: Stopped) -> Refused {
    match why {
        Stopped::Refused => Refused::ByRule,
        Stopped::Gone => Refused::ClientGone(Phase::Request),
    }
}

/// Holds back what the server sends until `tcp-response content` lets it pass; what the client sends goes on.
async fn inspect_answer(
    record: &mut Record,
    socket: &Socket,
    connected: &mut Connected,
    backend: &Backend,
    delay: Option<Duration>,
) -> Result<(), Refused> {
    let client = record.client.clone();
    let worker = client.worker();
    let mut input: Option<Buffer> = None;
    let until = delay.map(|delay| worker.rt.now() + delay);
    let mut ended = false;
    loop {
        let bytes = input.as_ref().map(Buffer::filled).unwrap_or_default();
        let full = bytes.len() == worker.rt.buffers().size();
        let over = until.is_some_and(|until| worker.rt.now() >= until);
        let last = ended || over || full || until.is_none();
        match rules_of_answer(record, (socket, &connected.socket), backend, bytes, last) {
            Some(Ok(())) => break,
            Some(Err(refused)) => return Err(refused),
            None => {}
        }
        let buffer = input.get_or_insert_with(|| worker.rt.buffers().take());
        buffer.compact();
        let Connected { socket: server, relay, .. } = &mut *connected;
        let read = poll_fn(|_| {
            // What breaks here breaks the relay, too, which tells it.
            let _ = relay.up.poll(&worker.rt, &worker.outs, socket, server);
            match server.poll_read(buffer.spare()) {
                Poll::Ready(read) => Poll::Ready(Some(read.unwrap_or(0))),
                Poll::Pending => worker.rt.poll_deadline(until).map(|()| None),
            }
        })
        .await;
        match read {
            None => {}
            Some(0) => ended = true,
            Some(n) => buffer.commit(n),
        }
    }
    connected.relay.down.set_input(input.filter(|input| !input.is_empty()));
    Ok(())
}

/// `balance rdp-cookie`: what the client has sent counts as far as it is here. Nothing waits for more; rules may have done that.
#[cold]
fn hash_by_beginning(attempts: &mut Attempts<'_>, backend: &Backend, socket: &Socket, input: Option<&Buffer>) {
    let Some(HashKey::RdpCookie(name)) = backend.settings.balance.hash_key() else { return };
    let key = |bytes: &[u8], attempts: &mut Attempts<'_>| {
        // An empty value says nothing of a client.
        attempts.hash_by(rdp::value(bytes, name).filter(|value| !value.is_empty()).map_or(Key::None, Key::Bytes));
    };
    match input.filter(|input| !input.is_empty()) {
        Some(input) => key(input.filled(), attempts),
        None => socket.rt().buffers().with_scratch(|bytes| {
            if let Poll::Ready(Ok(n)) = socket.poll_peek(bytes) {
                key(&bytes[..n], attempts);
            }
        }),
    }
}

/// How a stream ends whose frontend leads nowhere.
pub const NO_BACKEND: Termination = Termination::new(Cause::ServerAbort, Phase::Connect);

#[cfg(test)]
mod tests {
    use super::*;

    fn future_size<F>(_: fn(Rc<Client>, Socket, Option<Buffer>) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn memory_budget() {
        // A relay with both sockets, its timers and what its log line needs; places in reactor and executor are beside it.
        let relay = future_size(serve) + size_of::<Connected>() + size_of::<Client>() + 2 * size_of::<usize>();
        assert!(relay <= 1400, "a relay has {relay} bytes");
    }
}
