//! maxconn of servers, their queues, and the limits of frontends.

use super::super::case::*;
use super::{GET, OK, serve};
use crate::script::Step;

/// Holds the one slot of the server until `free`.
fn holder() -> Vec<Step> {
    vec![send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"), RESP]
}

/// Serves `/hold` when `free` is raised, everything after at once.
fn slow_first() -> Vec<Vec<Step>> {
    vec![vec![REQ, Step::Signal("held"), Step::Wait("free"), send(OK), Step::Serve(OK.into())], serve(OK)]
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        http("queue/waits-for-slot")
            .srv("maxconn 1")
            .origins(slow_first())
            .beside(holder())
            .client(vec![Step::Wait("held"), send(GET), pause(150), Step::Signal("free"), RESP])
            .logs(2)
            .build(),
        http("queue/timeout-503")
            .srv("maxconn 1")
            .be("timeout queue 300ms")
            .origins(slow_first())
            .beside(holder())
            .client(vec![Step::Wait("held"), send(GET), RESP, Step::Signal("free")])
            .logs(2)
            .build(),
        http("queue/timeout-503-by-connect-timeout")
            .srv("maxconn 1")
            .be("timeout connect 300ms")
            .origins(slow_first())
            .beside(holder())
            .client(vec![Step::Wait("held"), send(GET), RESP, Step::Signal("free")])
            .logs(2)
            .build(),
        http("queue/maxqueue-goes-elsewhere")
            .config(
                "    mode http\n    option httplog\nfrontend fe\n    bind 127.0.0.1:{fe}\n    default_backend be\nbackend be\n    balance roundrobin\n\
                 \x20   timeout queue 300ms\n    server s1 127.0.0.1:{o1} maxconn 1 maxqueue 1 weight 200\n    server s2 127.0.0.1:{o2} weight 1\n",
            )
            .origins(slow_first())
            .origin(serve("HTTP/1.1 200 Two\r\nContent-Length: 3\r\n\r\ntwo"))
            .beside(holder())
            .client(vec![Step::Wait("held"), send(GET), RESP, Step::Signal("free")])
            .logs(2)
            .build(),
        http("queue/client-leaves-abortonclose")
            .srv("maxconn 1")
            .defaults("option abortonclose")
            .be("timeout queue 1s")
            .origins(slow_first())
            .beside(holder())
            .client(vec![Step::Wait("held"), send(GET), pause(80), FIN, EOF, Step::Signal("free")])
            .logs(2)
            .build(),
        http("queue/client-leaves")
            .srv("maxconn 1")
            .be("timeout queue 400ms")
            .origins(slow_first())
            .beside(holder())
            .client(vec![Step::Wait("held"), send(GET), pause(80), FIN, EOF, Step::Signal("free")])
            .logs(2)
            .build(),
        http("queue/three-in-order")
            .srv("maxconn 1")
            .be("http-reuse never")
            .origins(vec![vec![REQ, Step::Signal("held"), Step::Wait("free"), send(OK), EOF], serve(OK)])
            .beside(holder())
            .beside(vec![Step::Wait("held"), send("GET /first HTTP/1.1\r\nHost: a\r\n\r\n"), pause(60), Step::Signal("one"), RESP])
            .client(vec![Step::Wait("one"), send("GET /second HTTP/1.1\r\nHost: a\r\n\r\n"), pause(60), Step::Signal("free"), RESP])
            .logs(3)
            .loose("server1", "which of the origin's connections comes first is decided by the kernel's accept order")
            .build(),
        http("queue/frontend-maxconn")
            .fe("maxconn 1")
            .origins(slow_first())
            .beside(vec![send("GET /hold HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), RESP, EOF])
            .client(vec![Step::Wait("held"), send(GET), pause(100), Step::Signal("free"), RESP])
            .logs(2)
            .build(),
        http("queue/bind-maxconn")
            .bind("maxconn 1")
            .origins(slow_first())
            .beside(vec![send("GET /hold HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), RESP, EOF])
            .client(vec![Step::Wait("held"), send(GET), pause(100), Step::Signal("free"), RESP])
            .logs(2)
            .build(),
        http("queue/global-maxconn")
            .global("    maxconn 1\n")
            .origins(slow_first())
            .beside(vec![send("GET /hold HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), RESP, EOF])
            .client(vec![Step::Wait("held"), send(GET), pause(100), Step::Signal("free"), RESP])
            .logs(2)
            .build(),
        tcp("queue/tcp-waits-for-slot")
            .srv("maxconn 1")
            .origins(vec![vec![until("hold"), Step::Signal("held"), Step::Wait("free"), send("a"), CLOSE], vec![until("x"), send("b"), CLOSE]])
            .beside(vec![send("hold"), EOF])
            .client(vec![Step::Wait("held"), send("x"), pause(120), Step::Signal("free"), EOF])
            .logs(2)
            .build(),
        tcp("queue/tcp-timeout")
            .srv("maxconn 1")
            .be("timeout queue 300ms")
            .origins(vec![vec![until("hold"), Step::Signal("held"), Step::Wait("free"), send("a"), CLOSE], vec![until("x"), send("b"), CLOSE]])
            .beside(vec![send("hold"), EOF])
            .client(vec![Step::Wait("held"), send("x"), EOF, Step::Signal("free")])
            .logs(2)
            .build(),
    ]
}
