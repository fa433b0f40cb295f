//! The head of a request: reads until it is there, or says why it never will be.

use super::{Conn, PooledHead};
use crate::record::Record;
use crate::timers::Step;
use lb_http::RequestFraming;
use lb_http::h1::{Decoded, Decoder, H1Error};
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
                // On a kept-alive connection the head has its own time, from its first byte.
                if conn.served != 0 {
                    deadline = frontend.settings.timeouts.effective_http_request().map(|d| rt.now() + d);
                }
            }
            match decoder.decode_request(input.filled(), &frontend.limits, head) {
                Ok(Decoded::Complete { consumed, framing }) => {
                    input.consume(consumed);
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
            None if decoder.has_begun() => return Err(NoRequest::Timeout),
            None => return Err(NoRequest::Nothing { timeout: true }),
            Some(_) if decoder.has_begun() => return Err(NoRequest::Closed),
            Some(_) => return Err(NoRequest::Nothing { timeout: false }),
        }
    }
}
