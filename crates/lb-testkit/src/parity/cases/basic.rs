//! Methods, versions, bodies, and where a connection is kept or closed.

use super::super::case::{self, *};

pub(super) fn cases() -> Vec<Case> {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    vec![http("basic/get").origin(vec![Step_serve(ok)]).client(vec![send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), RESP]).build()]
}

#[allow(non_snake_case)]
fn Step_serve(answer: &str) -> crate::script::Step {
    crate::script::Step::Serve(answer.into())
}
