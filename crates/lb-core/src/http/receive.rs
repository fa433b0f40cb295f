//! The head of a request: reads until it is there, or says why it never will be.

use super::{Conn, PooledHead};
use crate::record::{Record, log_connect};
use crate::timers::Step;
use lb_http::h1::{Decoded, Decoder, ErrorKind, H1Error};
use lb_http::{Body, FieldId, RequestFraming, chunk};
use std::future::poll_fn;
use std::task::Poll;

/// Why there is no request.
pub enum NoRequest {
    /// Nothing came before the client closed, or before its time was over.
    Nothing {
        /// The time was over.
        timeout: bool,
    },
    /// The head did not come to its end before the client closed.
    Closed,
    /// The head did not come to its end in time.
    Timeout,
    /// It is malformed.
    Bad(H1Error),
}

/// Reads one request head into `head`.
pub async fn request(conn: &mut Conn, record: &mut Record, head: &mut PooledHead) -> Result<RequestFraming, NoRequest> {
    let client = conn.client.clone();
    let rt = &client.worker().rt;
    let frontend = client.frontend();
    let mut decoder = Decoder::new();
    let mut deadline = conn.patience();
    let mut begun = false;
    loop {
        if let Some(input) = conn.input.as_mut().filter(|b| !b.is_empty()) {
            if !begun {
                begun = true;
                record.mark(Step::FirstByte);
                if conn.served == 0 {
                    log_connect(&client);
                }
                // On a kept-alive connection the head has its own time, from its first byte.
                if conn.served != 0 {
                    deadline = frontend.settings.timeouts.effective_http_request().map(|d| rt.now() + d);
                }
            }
            match decoder.decode_request(input.filled(), &frontend.limits, head) {
                Ok(Decoded::Complete { consumed, framing }) => {
                    input.consume(consumed);
                    if let Err(e) = check(input.filled(), head, &framing) {
                        return Err(NoRequest::Bad(e));
                    }
                    if input.is_empty() {
                        conn.input = None;
                    }
                    record.mark(Step::Request);
                    return Ok(framing);
                }
                Ok(Decoded::Partial) => {}
                Err(e) => return Err(NoRequest::Bad(e)),
            }
        }
        let input = conn.input.get_or_insert_with(|| rt.buffers().take());
        if input.spare().is_empty() {
            input.compact();
        }
        let read = poll_fn(|_| match conn.socket.poll_read(input.spare()) {
            Poll::Ready(read) => Poll::Ready(Some(read)),
            Poll::Pending => rt.poll_deadline(deadline).map(|()| None),
        })
        .await;
        match read {
            Some(Ok(n)) if n != 0 => input.commit(n),
            None if begun => return Err(NoRequest::Timeout),
            None => return Err(NoRequest::Nothing { timeout: true }),
            Some(_) if begun => return Err(NoRequest::Closed),
            Some(_) => return Err(NoRequest::Nothing { timeout: false }),
        }
    }
}

/// What can be seen to be wrong before anything is done: chunks that are there already, a WebSocket without its key.
fn check(rest: &[u8], head: &PooledHead, framing: &RequestFraming) -> Result<(), H1Error> {
    if framing.body == Body::Chunked && chunks(rest) == Chunks::Bad {
        return Err(H1Error { kind: ErrorKind::TransferEncoding, offset: 0 });
    }
    let websocket = framing.upgrade && head.get_id(FieldId::Upgrade).is_some_and(|v| v.eq_ignore_ascii_case(b"websocket"));
    if websocket && head.get(b"sec-websocket-key").is_none() {
        return Err(H1Error { kind: ErrorKind::Value, offset: 0 });
    }
    Ok(())
}

/// What the first bytes of a chunked body show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chunks {
    /// It goes on.
    Part,
    /// All of it is there; that many bytes.
    Whole(usize),
    /// It is malformed.
    Bad,
}

/// Looks at the beginning of a chunked body.
pub fn chunks(bytes: &[u8]) -> Chunks {
    let mut decoder = chunk::Decoder::new(bytes.len(), usize::from(u16::MAX));
    let mut rest = bytes;
    loop {
        let Ok(step) = decoder.decode(rest) else { return Chunks::Bad };
        rest = &rest[step.consumed..];
        match step.event {
            chunk::Event::End => return Chunks::Whole(bytes.len() - rest.len()),
            chunk::Event::NeedMore => return Chunks::Part,
            chunk::Event::Data(n) => {
                rest = &rest[n..];
                if decoder.advance_data(n as u64).is_err() {
                    return Chunks::Bad;
                }
            }
        }
    }
}
