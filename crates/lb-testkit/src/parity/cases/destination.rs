//! Backends without the choice of a server: `dispatch`.

use super::super::case::*;
use super::{GET, OK, serve};
use crate::script::Step;

/// A backend in mode `mode` with the lines `lines`.
fn backend(name: &'static str, mode: &str, lines: &[&str]) -> Builder {
    let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    let text = format!(
        "    mode {mode}\n    log-format \"%b/%s %si:%sp %ac/%fc/%bc/%sc/%rc %sq/%bq %ts %B\"\nfrontend fe\n    bind 127.0.0.1:{{fe}}\n\
         \x20   default_backend be\nbackend be\n{lines}"
    );
    let builder = if mode == "http" { http(name) } else { tcp(name) };
    builder.config(&text)
}

pub(super) fn cases() -> Vec<Case> {
    const TO: &str = "dispatch 127.0.0.1:{o1}";
    let get = || vec![send(GET), RESP];
    vec![
        backend("dispatch/http", "http", &[TO]).origin(serve(OK)).client(vec![send(GET), RESP, send(GET), RESP]).logs(2).build(),
        backend("dispatch/tcp", "tcp", &[TO]).origin(vec![until("x"), send("y"), CLOSE]).client(vec![send("x"), EOF]).build(),
        backend("dispatch/servers-are-not-asked", "http", &[TO, "server s 127.0.0.1:{o2}"])
            .origin(serve(OK))
            .origin(serve("HTTP/1.1 200 Two\r\nContent-Length: 0\r\n\r\n"))
            .client(get())
            .build(),
        backend("dispatch/before-transparent", "http", &["option transparent", TO]).origin(serve(OK)).client(get()).build(),
        backend("dispatch/with-balance", "http", &[TO, "balance roundrobin"]).origin(serve(OK)).client(get()).build(),
        backend("dispatch/with-balance-and-server", "http", &[TO, "balance roundrobin", "server s 127.0.0.1:{o2}"])
            .origin(serve(OK))
            .origin(serve("HTTP/1.1 200 Two\r\nContent-Length: 0\r\n\r\n"))
            .client(get())
            .build(),
        backend("dispatch/refused", "http", &[TO]).server(Server::Refused).client(get()).build(),
        backend("dispatch/refused-redispatch", "http", &[TO, "option redispatch"]).server(Server::Refused).client(get()).build(),
        backend("dispatch/timeout", "http", &[TO, "timeout connect 200ms", "retries 0"]).server(Server::BlackHole).client(get()).build(),
        backend("dispatch/name-header", "http", &[TO, "http-send-name-header X-Server"]).origin(serve(OK)).client(get()).build(),
        backend("dispatch/two-clients", "http", &[TO, "http-reuse always"])
            .origin(serve(OK))
            .client(get())
            .client(vec![Step::Logs(1), send(GET), RESP])
            .logs(2)
            .build(),
    ]
}
