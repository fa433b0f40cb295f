//! The head of a request, and its body where that is waited for: reads until it is there, or says why it never will be.

use super::exchange::Request;
use super::{Conn, PooledHead, answer, patience};
use crate::record::Record;
use crate::timers::Step;
use lb_http::h1::{Decoded, Decoder, ErrorKind, H1Error};
use lb_http::{Body, FieldId, Head, RequestFraming, Version, chunk};
use std::future::poll_fn;
use std::task::Poll;
use std::time::Instant;

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
    // On a kept-alive connection the head has its own time, from its first byte.
    let (served, since) = (conn.served, conn.since);
    let deadline = |begun: Option<Instant>| match begun {
        Some(at) if served != 0 => frontend.settings.timeouts.effective_http_request().map(|d| at + d),
        _ => patience(frontend, served, since),
    };
    let mut begun: Option<Instant> = None;
    loop {
        if let Some(input) = conn.input.as_mut().filter(|b| !b.is_empty()) {
            if begun.is_none() {
                begun = Some(rt.now());
                record.mark_for_line(Step::FirstByte);
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
            Poll::Pending => rt.poll_deadline(deadline(begun)).map(|()| None),
        })
        .await;
        match read {
            Some(Ok(n)) if n != 0 => input.commit(n),
            None if begun.is_some() => return Err(NoRequest::Timeout),
            None => return Err(NoRequest::Nothing { timeout: true }),
            Some(_) if begun.is_some() => return Err(NoRequest::Closed),
            Some(_) => return Err(NoRequest::Nothing { timeout: false }),
        }
    }
}

/// Why a body did not come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoBody {
    /// The time was over.
    Timeout,
    /// The client left.
    Gone,
}

/// Waits until a request's body is here: all of it, or `at_least` so many bytes where that is not 0, or as much as the buffer holds.
pub async fn body(
    conn: &mut Conn,
    record: &mut Record,
    head: &mut Head,
    request: &mut Request,
    deadline: Option<Instant>,
    at_least: u64,
) -> Result<(), NoBody> {
    let rt = conn.client.worker().rt.clone();
    if request.framing.expect_continue {
        // We are the ones who wait for the body, so the word that lets it come is ours.
        request.framing.expect_continue = false;
        head.remove_id(FieldId::Expect);
        let mut go_on = conn.client.worker().heads.take();
        go_on.start_response(Version::Http11, 100, b"Continue");
        if conn.input.as_ref().is_none_or(|input| input.is_empty()) && !answer::interim(conn, record, &go_on).await {
            return Err(NoBody::Gone);
        }
    }
    let mut chunks = ChunkScan::new(rt.buffers().size());
    loop {
        let input = conn.input.get_or_insert_with(|| rt.buffers().take());
        let here = input.len() as u64;
        let whole = match request.framing.body {
            Body::Length(n) => here >= n,
            _ => chunks.go_on(input.filled()) != Chunks::Part,
        };
        input.compact();
        if whole || (at_least != 0 && here >= at_least) || input.spare().is_empty() {
            return Ok(());
        }
        let read = poll_fn(|_| match conn.socket.poll_read(input.spare()) {
            Poll::Ready(read) => Poll::Ready(Some(read.unwrap_or(0))),
            Poll::Pending => rt.poll_deadline(deadline).map(|()| None),
        });
        match read.await {
            None => return Err(NoBody::Timeout),
            Some(0) => return Err(NoBody::Gone),
            Some(n) => input.commit(n),
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

/// Follows a chunked body that stays in its buffer, and keeps its place there: each byte is looked at once.
pub struct ChunkScan {
    decoder: chunk::Decoder,
    seen: usize,
    state: Chunks,
}

impl ChunkScan {
    /// At the beginning of a body that is looked at as far as a buffer of `room` bytes holds it.
    pub fn new(room: usize) -> ChunkScan {
        ChunkScan { decoder: chunk::Decoder::new(room, usize::from(u16::MAX)), seen: 0, state: Chunks::Part }
    }

    /// Goes on to the end of `body`: what there is of it now, from its first byte.
    pub fn go_on(&mut self, body: &[u8]) -> Chunks {
        while self.state == Chunks::Part {
            let Ok(step) = self.decoder.decode(&body[self.seen..]) else {
                self.state = Chunks::Bad;
                break;
            };
            self.seen += step.consumed;
            match step.event {
                chunk::Event::End => self.state = Chunks::Whole(self.seen),
                chunk::Event::NeedMore => break,
                chunk::Event::Data(n) => {
                    self.seen += n;
                    if self.decoder.advance_data(n as u64).is_err() {
                        self.state = Chunks::Bad;
                    }
                }
            }
        }
        self.state
    }
}

/// The data at the beginning of a chunked body, as far as it has come, and whether that is all of it.
pub fn chunk_data(bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut decoder = chunk::Decoder::new(bytes.len(), usize::from(u16::MAX));
    let (mut body, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Ok(step) = decoder.decode(&bytes[at..]) {
        at += step.consumed;
        match step.event {
            chunk::Event::End => return (body, true),
            chunk::Event::NeedMore => break,
            chunk::Event::Data(n) => {
                body.extend_from_slice(&bytes[at..at + n]);
                at += n;
                if decoder.advance_data(n as u64).is_err() {
                    break;
                }
            }
        }
    }
    (body, false)
}

/// Looks at the beginning of a chunked body.
pub fn chunks(bytes: &[u8]) -> Chunks {
    ChunkScan::new(bytes.len()).go_on(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_of_chunks() {
        let whole = b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\nGET";
        assert_eq!(chunk_data(whole).0, b"abc0123456789");
        assert_eq!(chunk_data(&whole[..17]).0, b"abc01");
        assert_eq!(chunk_data(b"3\r\nabcX").0, b"abc");
        assert_eq!(chunk_data(b"").0, b"");
    }

    /// Whatever the pieces, the answer is that of a look at all of it, and what was seen is not looked at again.
    #[test]
    fn a_scan_keeps_its_place() {
        let whole = &b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n"[..];
        for (body, last) in [
            ([whole, b"GET / HTTP/1.1"].concat(), Chunks::Whole(whole.len())),
            (whole[..whole.len() - 1].to_vec(), Chunks::Part),
            (b"3\r\nabc\r\n5\r\nhelloX".to_vec(), Chunks::Bad),
            (b"3\r\nabc\n".to_vec(), Chunks::Bad),
        ] {
            for piece in [1, 2, 3, 7, body.len()] {
                let mut scan = ChunkScan::new(body.len());
                let mut state = Chunks::Part;
                for end in (piece..body.len()).step_by(piece).chain([body.len()]) {
                    state = scan.go_on(&body[..end]);
                    assert_eq!(state, chunks(&body[..end]), "{end} bytes in pieces of {piece}");
                    assert!(state != Chunks::Part || scan.seen == end, "it would look at the same bytes again");
                }
                assert_eq!(state, last, "in pieces of {piece}");
            }
        }
    }
}
