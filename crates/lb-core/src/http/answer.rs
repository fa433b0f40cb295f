//! Answers of the proxy's own to a client in mode http.

use super::{Conn, rules};
use crate::record::{Record, counted_size};
use crate::reply::{self, ReplyTo};
use crate::rules::replies::Own;
use lb_expr::Termination;
use lb_http::FieldId;
use lb_http::Head;
use lb_http::h1::Encoder;
use lb_rt::{Rt, Socket};
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

/// How long a client may take to stop sending after an answer that it had not waited for.
const LINGER: Duration = Duration::from_secs(1);
/// Bytes that are read and thrown away meanwhile, at most.
const LINGER_BYTES: usize = 256 << 10;

/// Sends the answer for `status`; false when the connection is to be closed.
pub async fn send(conn: &Conn, record: &mut Record, status: u16, to: ReplyTo, end: Termination) -> bool {
    let worker = conn.client.worker().clone();
    let backend = record.backend.clone();
    let mut pages = backend.iter().map(|b| &b.errors).chain([&conn.client.frontend().errors]);
    let made = !to.early && pages.find_map(|pages| pages.makes(status)) == Some(true);
    if made || (!to.early && !rules::after_lists(conn.client.frontend(), backend.as_deref()).is_empty()) {
        let own = Own::page(backend.iter().map(|b| &b.errors).chain([&conn.client.frontend().errors]), status);
        return Box::pin(send_own(conn, record, own, to, end)).await;
    }
    let mut out = worker.outs.take();
    let pages = backend.iter().map(|b| &b.errors).chain([&conn.client.frontend().errors]);
    let written = reply::write(pages, status, to, out.bytes());
    if !to.early {
        conn.client.frontend().spelling.apply(out.bytes());
    }
    record.status = written.status;
    let sent = write_all(conn, out.rest()).await;
    record.downloaded += written.counted;
    record.note_client(&conn.socket);
    record.finish(end);
    sent && !written.close
}

/// Sends an answer that a rule made.
pub async fn send_own(conn: &Conn, record: &mut Record, mut own: Own, to: ReplyTo, end: Termination) -> bool {
    let worker = conn.client.worker().clone();
    if let Some(reply) = own.made_by.take() {
        own = rules::make(conn, record, &reply);
    }
    let made = own.head.status();
    rules::after_own(conn, record, &mut own.head);
    let changed = Some(own.head.status()).filter(|status| *status != made);
    if own.head.has_token(FieldId::Connection, b"close") {
        own.head.remove_id(FieldId::Connection);
        own.close = true;
    }
    let logged = changed.or(own.logged);
    let mut out = worker.outs.take();
    let written = own.write(to, out.bytes());
    conn.client.frontend().spelling.apply(out.bytes());
    record.status = logged.unwrap_or(written.status);
    let sent = write_all(conn, out.rest()).await;
    record.downloaded += written.counted;
    record.note_client(&conn.socket);
    record.finish(end);
    sent && !written.close
}

/// Sends an interim response; false when the client does not take it.
pub async fn interim(conn: &Conn, record: &mut Record, head: &Head) -> bool {
    let mut out = conn.client.worker().outs.take();
    record.downloaded += counted_size(head);
    Encoder::new().encode_response(head, out.bytes());
    conn.client.frontend().spelling.apply(out.bytes());
    write_all(conn, out.rest()).await
}

/// Writes within `timeout client`; false when the client does not take it.
async fn write_all(conn: &Conn, mut bytes: &[u8]) -> bool {
    let rt = &conn.client.worker().rt;
    let limit = conn.client.frontend().settings.timeouts.client;
    let mut deadline = limit.map(|d| rt.now() + d);
    while !bytes.is_empty() {
        let wrote = poll_fn(|_| match conn.socket.poll_write(bytes, false) {
            Poll::Ready(wrote) => Poll::Ready(wrote.ok()),
            Poll::Pending => rt.poll_deadline(deadline).map(|()| None),
        });
        match wrote.await {
            Some(n) => bytes = &bytes[n..],
            None => return false,
        }
        deadline = limit.map(|d| rt.now() + d);
    }
    true
}

/// Closes so that the client can read what it was sent last: unread data at a close would reset the connection and take the
/// answer with it.
pub async fn close_gently(rt: &Rt, socket: &Socket) {
    if socket.shutdown_write().is_err() {
        return;
    }
    let until = rt.now() + LINGER;
    let mut left = LINGER_BYTES;
    let mut buffer = rt.buffers().take();
    while left != 0 {
        let read = poll_fn(|_| match socket.poll_read(buffer.spare()) {
            Poll::Ready(read) => Poll::Ready(read.unwrap_or(0)),
            Poll::Pending => rt.poll_deadline(Some(until)).map(|()| 0),
        });
        match read.await {
            0 => return,
            n => left = left.saturating_sub(n),
        }
    }
}
