//! Answers of the proxy itself: error pages, redirects in their place, monitor, probes.

use super::super::case::*;
use super::{GET, OK, exchange, serve, to_close};

const PAGE: &str = "HTTP/1.0 503 Custom\r\nCache-Control: no-cache\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\ncustom\n";
const PAGE_400: &str = "HTTP/1.1 400 Nope\r\nX-Page: yes\r\nContent-Length: 5\r\n\r\nnope\n";

pub(super) fn cases() -> Vec<Case> {
    let bad = "GET / HTTP/1.1\r\nbad header\r\n\r\n";
    let mut out = vec![
        http("page/503-refused").server(Server::Refused).client(vec![send(GET), RESP]).build(),
        http("page/503-head").server(Server::Refused).client(vec![send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"), RESP_HEAD]).build(),
        http("page/503-1.0").server(Server::Refused).client(vec![send("GET / HTTP/1.0\r\n\r\n"), EOF]).build(),
        http("page/503-close")
            .server(Server::Refused)
            .client(vec![send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), EOF])
            .build(),
        http("page/503-then-next").server(Server::Refused).client(vec![send(GET), RESP, send(GET), RESP]).logs(2).build(),
        http("page/503-post")
            .server(Server::Refused)
            .client(vec![send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"), RESP])
            .build(),
        http("page/503-no-server").client(vec![send(GET), RESP]).build(),
        http("page/503-all-disabled").srv("disabled").origin(serve(OK)).client(vec![send(GET), RESP]).build(),
        http("page/503-weight-0").srv("weight 0").origin(serve(OK)).client(vec![send(GET), RESP]).build(),
        http("page/503-no-backend")
            .config("    mode http\n    option httplog\nfrontend fe\n    bind 127.0.0.1:{fe}\n")
            .client(vec![send(GET), RESP])
            .build(),
        http("page/errorfile-503")
            .be("errorfile 503 {dir}/503.http")
            .file("503.http", PAGE)
            .server(Server::Refused)
            .client(vec![send(GET), RESP])
            .build(),
        http("page/errorfile-503-head")
            .be("errorfile 503 {dir}/503.http")
            .file("503.http", PAGE)
            .server(Server::Refused)
            .client(vec![send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"), RESP_HEAD])
            .build(),
        http("page/errorfile-503-frontend-only")
            .fe("errorfile 503 {dir}/503.http")
            .file("503.http", PAGE)
            .server(Server::Refused)
            .client(vec![send(GET), RESP])
            .build(),
        http("page/errorfile-400")
            .fe("errorfile 400 {dir}/400.http")
            .file("400.http", PAGE_400)
            .origin(serve(OK))
            .client(vec![send(bad), EOF])
            .build(),
        http("page/errorfile-dev-null").fe("errorfile 400 /dev/null").origin(serve(OK)).client(vec![send(bad), EOF]).build(),
        http("page/errorfile-defaults")
            .defaults("errorfile 503 {dir}/503.http")
            .file("503.http", PAGE)
            .server(Server::Refused)
            .client(vec![send(GET), RESP])
            .build(),
        to_close("page/400", bad).build(),
    ];
    for (name, line) in [
        ("page/errorloc", "errorloc 503 http://sorry.example/x"),
        ("page/errorloc302", "errorloc302 503 /sorry"),
        ("page/errorloc303", "errorloc303 503 http://sorry.example/?a=b"),
    ] {
        out.push(http(name).be(line).server(Server::Refused).client(vec![send(GET), RESP]).build());
    }
    out.push(http("page/errorloc-400").fe("errorloc 400 /bad").origin(serve(OK)).client(vec![send(bad), EOF]).build());
    for (name, request) in [
        ("monitor/get", "GET /alive HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("monitor/post", "POST /alive HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
        ("monitor/1.0", "GET /alive HTTP/1.0\r\n\r\n"),
        ("monitor/absolute", "GET http://a/alive HTTP/1.1\r\nHost: a\r\n\r\n"),
    ] {
        out.push(http(name).fe("monitor-uri /alive").origin(serve(OK)).client(vec![send(request), RESP]).logs(0).build());
    }
    out.push(
        http("monitor/head")
            .fe("monitor-uri /alive")
            .origin(serve(OK))
            .client(vec![send("HEAD /alive HTTP/1.1\r\nHost: a\r\n\r\n"), RESP_HEAD])
            .logs(0)
            .build(),
    );
    for (name, path) in [("monitor/query", "/alive?x"), ("monitor/longer", "/alive2"), ("monitor/case", "/Alive")] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        out.push(exchange(name, request, OK).fe("monitor-uri /alive").build());
    }
    out.push(
        http("monitor/kept-connection")
            .fe("monitor-uri /alive")
            .origin(serve(OK))
            .client(vec![send("GET /alive HTTP/1.1\r\nHost: a\r\n\r\n"), RESP, send(GET), RESP])
            .build(),
    );
    for (name, line, steps) in [
        ("probe/dontlognull-close", "option dontlognull", vec![pause(20), FIN, EOF]),
        ("probe/dontlognull-reset", "option dontlognull", vec![pause(20), RST]),
        ("probe/ignore-close", "option http-ignore-probes", vec![pause(20), FIN, EOF]),
        ("probe/ignore-reset", "option http-ignore-probes", vec![pause(20), RST]),
    ] {
        out.push(http(name).fe(line).origin(serve(OK)).client(steps).logs(0).build());
    }
    for (name, line, steps) in [
        ("probe/dontlognull-one-byte", "option dontlognull", vec![send("G"), pause(20), FIN, EOF]),
        ("probe/dontlognull-bad", "option dontlognull", vec![send("nonsense\r\n\r\n"), EOF]),
        ("probe/ignore-one-byte", "option http-ignore-probes", vec![send("G"), pause(20), FIN, EOF]),
    ] {
        out.push(http(name).fe(line).origin(serve(OK)).client(steps).build());
    }
    out
}
