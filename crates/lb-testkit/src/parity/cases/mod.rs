//! The table. One module per topic, each a plain list.

mod balance;
mod basic;
mod bodies;
mod connection;
mod destination;
mod formats;
mod headers;
mod hostile;
mod limits;
mod netscaler;
mod options;
mod pages;
mod proxies;
mod queue;
mod responses;
mod retries;
mod rings;
mod rules;
mod tcp;
mod timeouts;

use super::case::{Builder, Case, EOF, REQ, RESP, http, send};
use super::known;
use crate::script::Step;

/// All cases.
pub fn all() -> Vec<Case> {
    let mut all = Vec::new();
    all.extend(basic::cases());
    all.extend(bodies::cases());
    all.extend(connection::cases());
    all.extend(destination::cases());
    all.extend(formats::cases());
    all.extend(headers::cases());
    all.extend(options::cases());
    all.extend(netscaler::cases());
    all.extend(pages::cases());
    all.extend(responses::cases());
    all.extend(timeouts::cases());
    all.extend(retries::cases());
    all.extend(rings::cases());
    all.extend(rules::cases());
    all.extend(queue::cases());
    all.extend(balance::cases());
    all.extend(tcp::cases());
    all.extend(proxies::cases());
    all.extend(hostile::cases());
    all.extend(limits::cases());
    for case in &mut all {
        case.differs.extend(known::of(case.name));
    }
    all
}

/// The answer most servers give.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
/// The request most clients send.
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Answers every request on a connection with the same bytes.
fn serve(answer: impl AsRef<[u8]>) -> Vec<Step> {
    vec![Step::Serve(answer.as_ref().to_vec())]
}

/// Answers one request.
fn answer(bytes: impl AsRef<[u8]>) -> Vec<Step> {
    vec![REQ, send(bytes)]
}

/// Answers one request and closes.
fn answer_close(bytes: impl AsRef<[u8]>) -> Vec<Step> {
    vec![REQ, send(bytes), Step::Close]
}

/// One request, one answer with a length, the client reads that.
fn exchange(name: &'static str, request: impl AsRef<[u8]>, response: impl AsRef<[u8]>) -> Builder {
    http(name).origin(answer(response)).client(vec![send(request), RESP])
}

/// One request to a server that would answer; the client reads until the proxy closes.
fn to_close(name: &'static str, request: impl AsRef<[u8]>) -> Builder {
    http(name).origin(serve(OK)).client(vec![send(request), EOF])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_explanations_are_given() {
        let mut seen = HashSet::new();
        for case in all() {
            assert!(seen.insert(case.name), "{} twice", case.name);
            assert!(!case.clients.is_empty(), "{}: no client", case.name);
            for (facet, why) in case.differs.iter().chain(&case.loose) {
                assert!(!facet.is_empty() && why.len() > 10, "{}: explain {facet}", case.name);
            }
        }
    }
}
