//! Answers that the proxy gives itself: built-in pages, `errorfile`, `errorloc`.

use crate::rules::replies::Own;
use lb_config::{ErrorReplyKind, Proxy, Reply};
use lb_http::errors::{self, ErrorFile};
use lb_http::{Head, Version, h1};
use std::sync::Arc;

/// The replies of a proxy that differ from the built-in ones.
#[derive(Default)]
pub struct ErrorPages(Vec<(u16, Custom)>);

enum Custom {
    File(ErrorFile),
    Location { status: u16, url: String },
    Made(Arc<Reply>),
}

/// How the client's connection stands when an answer is written.
#[derive(Clone, Copy, Debug)]
pub struct ReplyTo {
    /// Its version.
    pub version: Version,
    /// It may live on.
    pub keep_alive: bool,
    /// The request was HEAD.
    pub head: bool,
    /// The request's head could not be read: the connection answers, not a stream.
    pub early: bool,
}

/// What was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Written {
    /// Status for the log.
    pub status: u16,
    /// The connection is to be closed after it.
    pub close: bool,
    /// What `%B` counts for it; 0 when no stream answered.
    pub counted: u64,
}

/// [`crate::record::counted_size`] of a written response, without the `connection` field that is added on the way out.
fn counted(response: &[u8]) -> u64 {
    let mut lines = response.split(|b| *b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l));
    // The two spaces of the status line.
    let mut size = 20 + lines.next().map_or(0, |l| l.len().saturating_sub(2)) + 1;
    let mut head = 0;
    for line in lines.take_while(|l| !l.is_empty()) {
        head += line.len() + 2;
        if !line.starts_with(b"connection:") {
            size += line.len().saturating_sub(2);
        }
    }
    let first = response.iter().position(|b| *b == b'\n').map_or(0, |at| at + 1);
    (size + response.len().saturating_sub(first + head + 2)) as u64
}

impl ErrorPages {
    /// Those that the section names. Files that cannot be used were refused when the configuration was read.
    pub fn new(proxy: &Proxy) -> ErrorPages {
        let pages = proxy.error_replies.iter().filter_map(|reply| {
            let custom = match &reply.kind {
                ErrorReplyKind::File(bytes) => Custom::File(ErrorFile::parse(bytes).ok()?),
                ErrorReplyKind::Location { status, url } => Custom::Location { status: *status, url: url.clone() },
                ErrorReplyKind::Made(reply) => Custom::Made(reply.clone()),
            };
            Some((reply.status, custom))
        });
        ErrorPages(pages.collect())
    }

    /// Whether the answer for a status has to be made by its format when it is sent.
    pub fn makes(&self, status: u16) -> Option<bool> {
        self.find(status).map(|custom| matches!(custom, Custom::Made(_)))
    }

    fn find(&self, status: u16) -> Option<&Custom> {
        self.0.iter().find(|(s, _)| *s == status).map(|(_, c)| c)
    }
}

/// The answer for `status` from the first of `pages` that has one, else the built-in one, as head and body.
pub fn own<'a>(pages: impl IntoIterator<Item = &'a ErrorPages>, status: u16) -> Own {
    match pages.into_iter().find_map(|p| p.find(status)) {
        Some(Custom::File(ErrorFile::Silent)) => Own { silent: true, close: true, ..Own::default() },
        Some(Custom::File(ErrorFile::Response(response))) => {
            Own { head: response.head.clone(), body: response.body.clone(), close: response.close, ..Own::default() }
        }
        Some(Custom::Location { status, url }) => {
            let mut own = Own::default();
            errors::errorloc(&mut own.head, *status, url.as_bytes());
            own
        }
        Some(Custom::Made(reply)) => {
            let mut own = Own { made_by: Some(reply.clone()), ..Own::default() };
            own.head.start_response(Version::Http11, status, errors::reason(status).as_bytes());
            own
        }
        None => {
            let mut own = Own::default();
            if let Some(page) = errors::page(status).or_else(|| errors::page(500)) {
                page.to_head(&mut own.head);
                own.body.extend_from_slice(page.body.as_bytes());
                own.close = page.closes();
            }
            own
        }
    }
}

/// Appends the answer for `status` from the first of `pages` that has one, else the built-in one.
pub fn write<'a>(pages: impl IntoIterator<Item = &'a ErrorPages>, status: u16, to: ReplyTo, out: &mut Vec<u8>) -> Written {
    let mut written = write_bytes(pages, status, to, out);
    if !to.early {
        // The pages that always close say so themselves, not on the way out.
        let own_close = if errors::page(written.status).is_some_and(|p| p.closes()) { "connectionclose".len() as u64 } else { 0 };
        written.counted = counted(out) + own_close;
    }
    written
}

fn write_bytes<'a>(pages: impl IntoIterator<Item = &'a ErrorPages>, status: u16, to: ReplyTo, out: &mut Vec<u8>) -> Written {
    // A request that cannot be read gets the built-in page, or nothing, as with haproxy.
    let custom = pages
        .into_iter()
        .find_map(|p| p.find(status))
        .filter(|c| !matches!(c, Custom::Made(_)))
        .filter(|c| !to.early || status == 408 || matches!(c, Custom::File(ErrorFile::Silent)));
    match custom {
        Some(Custom::File(ErrorFile::Silent)) => Written { status, close: true, counted: 0 },
        Some(Custom::File(ErrorFile::Response(response))) => {
            let keep_alive = to.keep_alive && !response.close;
            response.write(to.version, keep_alive, to.head, out);
            Written { status: response.head.status(), close: !keep_alive, counted: 0 }
        }
        Some(Custom::Location { status: redirect, url }) => {
            let mut head = Head::new();
            errors::errorloc(&mut head, *redirect, url.as_bytes());
            let wanted = if to.keep_alive { lb_http::hop::Wanted::KeepAlive } else { lb_http::hop::Wanted::Close };
            lb_http::hop::set_response_connection(&mut head, wanted, to.version);
            h1::Encoder::new().encode_response(&head, out);
            Written { status, close: !to.keep_alive, counted: 0 }
        }
        // What a format makes goes another way; here is only what cannot.
        Some(Custom::Made(_)) | None => {
            let Some(page) = errors::page(status).or_else(|| errors::page(500)) else {
                return Written { status, close: true, counted: 0 };
            };
            if to.early {
                page.write_early(out);
            } else {
                page.write(to.version, to.keep_alive, to.head, out);
            }
            Written { status, close: to.early || page.closes() || !to.keep_alive, counted: 0 }
        }
    }
}
