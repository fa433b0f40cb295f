//! Answers that rules give: pages, files, contents, redirects, requests for a password. Made as head and body, so that
//! `http-after-response` can change them before they go out.

use super::Stage;
use super::target::parts;
use crate::reply::{self, ErrorPages, ReplyTo, Written};
use lb_config::{Action, Redirect, RedirectTo, Reply, ReplyBody, ReplyContent};
use lb_expr::sample::Context as _;
use lb_http::errors::{self, ErrorFile};
use lb_http::h1::Encoder;
use lb_http::{FieldId, Head, Version, hop, is_field_value};
use std::sync::Arc;

/// A response of the proxy's own before it is written.
#[derive(Default)]
pub struct Own {
    /// Status line and fields, without `connection`.
    pub head: Head,
    /// All of its body.
    pub body: Vec<u8>,
    /// Nothing is sent at all.
    pub silent: bool,
    /// The connection is closed after it.
    pub close: bool,
    /// The connection is closed after it, and it does not say so.
    pub hangs_up: bool,
    /// It is closed after a request with a body, too.
    pub redirects: bool,
    /// What it is to be made of yet.
    pub made_by: Option<Arc<Reply>>,
    /// Status for the log where that of the head is another one.
    pub logged: Option<u16>,
}

impl Own {
    /// The page of a status, as the first of `pages` has it.
    pub fn page<'p>(pages: impl IntoIterator<Item = &'p ErrorPages>, status: u16) -> Own {
        reply::own(pages, status)
    }

    /// The response of an `errorfile`.
    pub fn file(bytes: &[u8], status: u16) -> Own {
        match ErrorFile::parse(bytes) {
            Ok(ErrorFile::Response(custom)) => {
                Own { head: custom.head.clone(), body: custom.body.clone(), close: custom.close, ..Own::default() }
            }
            // It was read once already when the configuration was.
            _ => Own { silent: true, close: true, head: status_line(status), ..Own::default() },
        }
    }

    /// Appends it as it goes to the client.
    pub fn write(mut self, to: ReplyTo, out: &mut Vec<u8>) -> Written {
        let status = self.head.status();
        if self.silent {
            return Written { status, close: true, counted: 0 };
        }
        let keep_alive = to.keep_alive && !self.close;
        // An answer that always closes says so itself, not on the way out.
        let says_close = if self.close { "connectionclose".len() } else { 0 };
        let body = if to.head { 0 } else { self.body.len() };
        let counted = crate::record::counted_size(&self.head) + (says_close + body) as u64;
        // Counted, as haproxy has it, and not sent (RFC 9110 §8.6).
        if status == 204 {
            self.head.remove_id(FieldId::ContentLength);
        }
        hop::set_response_connection(&mut self.head, if keep_alive { hop::Wanted::KeepAlive } else { hop::Wanted::Close }, to.version);
        Encoder::new().encode_response(&self.head, out);
        if !to.head {
            out.extend_from_slice(&self.body);
        }
        Written { status, close: !keep_alive || self.hangs_up, counted }
    }
}

fn status_line(status: u16) -> Head {
    let mut head = Head::new();
    head.start_response(Version::Http11, status, errors::reason(status).as_bytes());
    head
}

/// What an action that ends a message answers; `None`: it answers nothing.
pub fn made<'p>(action: &Action, stage: &Stage<'_>, pages: impl IntoIterator<Item = &'p ErrorPages>) -> Option<Own> {
    let backend = stage.record.as_deref().and_then(|record| record.backend.as_ref());
    match action {
        Action::Deny(reply) | Action::Tarpit(reply) | Action::Return(reply) => Some(content(reply, stage, pages)),
        Action::Redirect(redirect) => Some(redirection(redirect, stage).unwrap_or_else(|| Own::page(pages, 500))),
        Action::Auth { realm } => {
            let proxy = backend.map_or(stage.client.frontend().name(), |backend| backend.name());
            let text = realm.as_deref().unwrap_or(proxy);
            let (status, name) =
                if stage.view().authenticates_as_proxy() { (407, "proxy-authenticate") } else { (401, "www-authenticate") };
            let mut own = page(status, stage, pages);
            // A page may ask in another way, and an answer asks in one.
            own.head.remove(name.as_bytes());
            let value = [b"Basic realm=\"", text.as_bytes(), b"\""].concat();
            if is_field_value(&value) {
                own.head.append(name.as_bytes(), &value);
            }
            Some(own)
        }
        Action::Custom(_) => {
            let reply = stage.record.as_deref()?.rules().reply.as_deref()?;
            Some(content(reply, stage, pages))
        }
        _ => None,
    }
}

/// The page of a status, made if it has to be.
pub fn page<'p>(status: u16, stage: &Stage<'_>, pages: impl IntoIterator<Item = &'p ErrorPages>) -> Own {
    let mut own = Own::page(pages, status);
    if let Some(reply) = own.made_by.take() {
        own = content(&reply, stage, []);
    }
    Own { logged: Some(status), ..own }
}

/// What an `http-error` line makes.
pub fn of_format(reply: &Reply, stage: &Stage<'_>) -> Own {
    Own { logged: Some(reply.status), ..content(reply, stage, []) }
}

fn content<'p>(reply: &Reply, stage: &Stage<'_>, pages: impl IntoIterator<Item = &'p ErrorPages>) -> Own {
    match &reply.content {
        ReplyContent::Page => page(reply.status, stage, pages),
        ReplyContent::Set(set) => match set.get(reply.status) {
            Some(bytes) => Own { logged: Some(reply.status), ..Own::file(bytes, reply.status) },
            None => {
                let mut own = Own { head: status_line(reply.status), ..Own::default() };
                own.head.append(b"content-length", b"0");
                own
            }
        },
        ReplyContent::File(bytes) => Own { logged: Some(reply.status), ..Own::file(bytes, reply.status) },
        ReplyContent::Own { content_type, fields, body } => {
            let mut own = Own { head: status_line(reply.status), ..Own::default() };
            match body {
                ReplyBody::Empty => {}
                ReplyBody::Bytes(bytes) => own.body.extend_from_slice(bytes),
                ReplyBody::Format(format) => stage.format(format, &mut own.body),
            }
            let mut values = Vec::new();
            for (name, format) in fields {
                values.clear();
                stage.format(format, &mut values);
                let value = values.trim_ascii();
                // An empty field would say nothing.
                if !value.is_empty() && is_field_value(value) {
                    own.head.append(name.as_bytes(), value);
                }
            }
            if reply.status == 204 || reply.status == 304 {
                own.body.clear();
            }
            own.head.append(b"content-length", itoa::Buffer::new().format(own.body.len()).as_bytes());
            if let Some(content_type) = content_type.as_ref().filter(|_| !own.body.is_empty()) {
                own.head.append(b"content-type", content_type.as_bytes());
            }
            own
        }
    }
}

/// Whether a location comes out empty.
pub fn is_empty(redirect: &Redirect, stage: &Stage<'_>) -> bool {
    let (RedirectTo::Location(format) | RedirectTo::Prefix(format) | RedirectTo::Scheme(format)) = &redirect.to;
    let mut text = Vec::new();
    stage.format(format, &mut text);
    text.is_empty()
}

/// `None`: what came out cannot be sent.
fn redirection(redirect: &Redirect, stage: &Stage<'_>) -> Option<Own> {
    let request = stage.request.as_deref().or(stage.sent_request)?;
    let mut location = Vec::new();
    match &redirect.to {
        RedirectTo::Location(format) => stage.format(format, &mut location),
        RedirectTo::Prefix(format) => {
            stage.format(format, &mut location);
            // A prefix that is nothing but a slash adds none.
            if location == b"/" {
                location.clear();
            }
            append_path(redirect, request, &mut location);
        }
        RedirectTo::Scheme(format) => {
            stage.format(format, &mut location);
            location.extend_from_slice(b"://");
            location.extend_from_slice(request.get_id(FieldId::Host).unwrap_or_default());
            append_path(redirect, request, &mut location);
        }
    }
    if !is_field_value(&location) {
        return None;
    }
    let reason = match redirect.code {
        301 => "Moved Permanently",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        _ => "Found",
    };
    let mut own = Own::default();
    own.head.start_response(Version::Http11, redirect.code, reason.as_bytes());
    own.head.append(b"content-length", b"0");
    own.head.append(b"location", &location);
    if matches!(redirect.code, 302 | 303 | 307) {
        own.head.append(b"cache-control", b"no-cache");
    }
    if let Some(cookie) = &redirect.cookie {
        own.head.append(b"set-cookie", cookie.as_bytes());
    }
    if let Some(format) = &redirect.cookie_format {
        let mut cookie = Vec::new();
        stage.format(format, &mut cookie);
        if is_field_value(&cookie) {
            own.head.append(b"set-cookie", &cookie);
        }
    }
    own.redirects = true;
    Some(own)
}

/// Path and query of the request as the redirect's options have them.
fn append_path(redirect: &Redirect, request: &Head, location: &mut Vec<u8>) {
    let p = parts(request.target());
    let path: &[u8] = if p.path.is_empty() { b"/" } else { p.path };
    location.extend_from_slice(path);
    if !redirect.drop_query {
        location.extend_from_slice(p.query);
    }
    // Behind the query, where that stays (observed).
    if redirect.append_slash && location.last() != Some(&b'/') {
        location.push(b'/');
    }
}

/// Goes through the rules for responses of the proxy's own; edits only, as nothing else is allowed there.
pub fn after_response(lists: &[&[Arc<lb_config::Rule>]], stage: &mut Stage<'_>) {
    for list in lists {
        // An edit that fails leaves the response as far as it came: there is nobody left to answer.
        let _ = super::run(list, 0, stage);
    }
}
