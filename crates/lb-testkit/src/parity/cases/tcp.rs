//! Mode tcp: relay, half-close, resets, timeouts, retries.

use super::super::case::*;
use crate::fixture::pattern;
use crate::script::Step;

/// Sends back what it waits for, once.
fn echo(text: &str) -> Vec<Step> {
    vec![until(text), send(text), EOF]
}

pub(super) fn cases() -> Vec<Case> {
    let big = pattern(3, 1_000_000);
    vec![
        tcp("tcp/echo").origin(echo("ping")).client(vec![send("ping"), until("ping"), FIN, EOF]).build(),
        tcp("tcp/server-speaks-first").origin(vec![send("220 hi\r\n"), until("QUIT"), CLOSE]).client(vec![until("hi\r\n"), send("QUIT"), EOF]).build(),
        tcp("tcp/server-closes").origin(vec![until("x"), send("bye"), CLOSE]).client(vec![send("x"), EOF]).build(),
        tcp("tcp/server-closes-at-once").origin(vec![CLOSE]).client(vec![EOF]).build(),
        tcp("tcp/client-closes-at-once").origin(vec![EOF]).client(vec![FIN, EOF]).build(),
        tcp("tcp/half-close-client-then-answer")
            .origin(vec![until("end"), EOF, send("answer"), CLOSE])
            .client(vec![send("end"), FIN, EOF])
            .build(),
        tcp("tcp/half-close-server-then-more")
            .origin(vec![send("head"), FIN, until("tail"), EOF])
            .client(vec![until("head"), EOF, send("tail"), FIN])
            .build(),
        tcp("tcp/half-close-with-data-following")
            .origin(vec![EOF, drip("abcdefgh", 1, 20), CLOSE])
            .client(vec![send("x"), FIN, EOF])
            .build(),
        tcp("tcp/client-reset").origin(vec![until("x"), Step::Signal("got"), EOF]).client(vec![send("x"), Step::Wait("got"), RST]).build(),
        tcp("tcp/server-reset").origin(vec![until("x"), RST]).client(vec![send("x"), EOF]).build(),
        tcp("tcp/server-reset-after-data").origin(vec![until("x"), send("abc"), pause(60), RST]).client(vec![send("x"), until("abc"), EOF]).build(),
        tcp("tcp/upload").origin(vec![Step::Count(big.len()), send("done"), CLOSE]).client(vec![send(&big), EOF]).build(),
        tcp("tcp/download").origin(vec![until("go"), send(&big), CLOSE]).client(vec![send("go"), EOF]).build(),
        tcp("tcp/both-ways")
            .origin(vec![Step::Count(big.len()), send(&big), CLOSE])
            .client(vec![send(&big), EOF])
            .build(),
        tcp("tcp/download-splice")
            .defaults("option splice-auto")
            .origin(vec![until("go"), send(&big), CLOSE])
            .client(vec![send("go"), EOF])
            .build(),
        tcp("tcp/upload-splice")
            .defaults("option splice-request")
            .origin(vec![Step::Count(big.len()), send("done"), CLOSE])
            .client(vec![send(&big), EOF])
            .build(),
        tcp("tcp/nolinger-backend").be("option nolinger").origin(vec![until("x"), EOF]).client(vec![send("x"), pause(50), FIN, EOF]).build(),
        tcp("tcp/nolinger-frontend").fe("option nolinger").origin(vec![until("x"), send("bye"), CLOSE]).client(vec![send("x"), EOF]).build(),
        tcp("tcp/tcpka").defaults("option tcpka").origin(echo("ping")).client(vec![send("ping"), until("ping"), FIN, EOF]).build(),
        tcp("tcp/refused").server(Server::Refused).client(vec![EOF]).build(),
        tcp("tcp/refused-with-data").server(Server::Refused).client(vec![send("hello"), EOF]).build(),
        tcp("tcp/refused-redispatch")
            .be("option redispatch")
            .server(Server::Refused)
            .origin(vec![send("two"), CLOSE])
            .client(vec![EOF])
            .build(),
        tcp("tcp/refused-0-retries").defaults("retries 0").server(Server::Refused).client(vec![EOF]).build(),
        tcp("tcp/connect-timeout").be("timeout connect 200ms").defaults("retries 0").server(Server::BlackHole).client(vec![EOF]).build(),
        tcp("tcp/connect-timeout-client-leaves")
            .be("timeout connect 400ms")
            .defaults("retries 0")
            .server(Server::BlackHole)
            .client(vec![pause(50), FIN, EOF])
            .build(),
        tcp("tcp/connect-timeout-client-leaves-abortonclose")
            .be("timeout connect 800ms")
            .be("option abortonclose")
            .defaults("retries 0")
            .server(Server::BlackHole)
            .client(vec![pause(50), FIN, EOF])
            .build(),
        tcp("tcp/no-server").client(vec![EOF]).build(),
        tcp("tcp/all-disabled").srv("disabled").origin(echo("x")).client(vec![EOF]).build(),
        tcp("tcp/timeout-client").fe("timeout client 300ms").origin(vec![EOF]).client(vec![EOF]).build(),
        tcp("tcp/timeout-client-server-stays")
            .fe("timeout client 300ms")
            .be("timeout server 900ms")
            .origin(vec![EOF, Step::Wait("over")])
            .client(vec![EOF, Step::Logs(1), Step::Signal("over")])
            .build(),
        tcp("tcp/timeout-server-client-stays")
            .fe("timeout client 900ms")
            .be("timeout server 300ms")
            .origin(vec![EOF])
            .client(vec![EOF, Step::Logs(1)])
            .build(),
        tcp("tcp/timeout-server").be("timeout server 300ms").origin(vec![EOF]).client(vec![EOF]).build(),
        tcp("tcp/timeout-client-after-data")
            .fe("timeout client 300ms")
            .origin(echo("ping"))
            .client(vec![send("ping"), until("ping"), EOF])
            .build(),
        tcp("tcp/timeout-server-after-data")
            .be("timeout server 300ms")
            .origin(echo("ping"))
            .client(vec![send("ping"), until("ping"), EOF])
            .build(),
        tcp("tcp/timeout-tunnel").be("timeout tunnel 300ms").origin(echo("ping")).client(vec![send("ping"), until("ping"), EOF]).build(),
        tcp("tcp/timeout-tunnel-wins-over-short-others")
            .fe("timeout client 200ms")
            .be("timeout server 200ms")
            .be("timeout tunnel 600ms")
            .origin(echo("ping"))
            .client(vec![send("ping"), until("ping"), EOF])
            .build(),
        tcp("tcp/timeout-client-fin")
            .fe("timeout client-fin 300ms")
            .origin(vec![send("bye"), FIN, EOF])
            .client(vec![until("bye"), EOF, quiet_end()])
            .build(),
        tcp("tcp/timeout-server-fin")
            .be("timeout server-fin 300ms")
            .origin(vec![until("x"), EOF, Step::Wait("over")])
            .client(vec![send("x"), FIN, EOF, Step::Signal("over")])
            .build(),
        tcp("tcp/activity-defers-timeout")
            .fe("timeout client 300ms")
            .be("timeout server 300ms")
            .origin(vec![drip("abcdefgh", 1, 100), CLOSE])
            .client(vec![EOF])
            .build(),
        tcp("tcp/dontlognull-nothing").fe("option dontlognull").origin(vec![EOF]).client(vec![FIN, EOF]).logs(0).build(),
        tcp("tcp/dontlognull-server-data").fe("option dontlognull").origin(vec![send("hi"), EOF]).client(vec![until("hi"), FIN, EOF]).logs(0).build(),
        tcp("tcp/dontlognull-client-data").fe("option dontlognull").origin(vec![until("x"), EOF]).client(vec![send("x"), FIN, EOF]).build(),
        tcp("tcp/logasap-absent-bytes").origin(vec![until("x"), send("12345"), CLOSE]).client(vec![send("x"), EOF]).build(),
        tcp("tcp/listen-section")
            .config("listen both\n    mode tcp\n    option tcplog\n    bind 127.0.0.1:{fe}\n    server s1 127.0.0.1:{o1}\n")
            .origin(vec![send("hi"), CLOSE])
            .client(vec![EOF])
            .build(),
        tcp("tcp/port-offset")
            .config("listen both\n    mode tcp\n    option tcplog\n    bind 127.0.0.1:{fe}\n    server s1 127.0.0.1:{o1} weight 3\n    server s2 127.0.0.1:+1 disabled\n")
            .origin(vec![send("hi"), CLOSE])
            .client(vec![EOF])
            .build(),
        tcp("tcp/unix-server").server(Server::Unix(vec![vec![until("x"), send("y"), CLOSE]])).client(vec![send("x"), EOF]).build(),
        tcp("tcp/default-log")
            .config("listen both\n    mode tcp\n    bind 127.0.0.1:{fe}\n    server s1 127.0.0.1:{o1}\n")
            .origin(vec![send("hi"), CLOSE])
            .client(vec![EOF])
            .build(),
        http("tcp/http-default-log")
            .config("listen both\n    mode http\n    bind 127.0.0.1:{fe}\n    server s1 127.0.0.1:{o1}\n")
            .origin(super::serve(super::OK))
            .client(vec![send(super::GET), RESP])
            .build(),
    ]
}

/// After the other side's FIN our own direction is left open: nothing more to see, the timeout must end it.
fn quiet_end() -> Step {
    Step::Logs(1)
}
