//! Log formats of the operator's own, ids, captures, and when the line of a format is written.

use super::super::case::*;
use super::{GET, OK, answer, exchange, serve, to_close};
use crate::script::Step;

pub(super) fn cases() -> Vec<Case> {
    let mut out = Vec::new();
    out.extend(formats());
    out.extend(errors());
    out.extend(structured());
    out.extend(ids());
    out.extend(captures());
    out.extend(moments());
    out
}

/// A format of its own in mode http.
fn custom(name: &'static str, format: &str) -> Builder {
    exchange(name, GET, OK).fe(&format!("log-format \"{format}\""))
}

fn formats() -> Vec<Case> {
    vec![
        exchange("format/httpslog", GET, OK).fe("option httpslog").build(),
        to_close("format/httpslog-bad-request", "nonsense\r\n\r\n").fe("option httpslog").build(),
        exchange("format/clf", GET, OK).fe("option httplog clf").build(),
        to_close("format/clf-bad-request", "nonsense\r\n\r\n").fe("option httplog clf").build(),
        custom("format/names", "%ci:%cp %fi:%fp %bi:%bp %si:%sp %f %ft %b %s %H %{+Q}s").build(),
        custom("format/source-hex", "%{+X}bi:%{-X}bp").build(),
        http("format/source-reused")
            .fe("log-format %bi:%bp")
            .fe("log-format \"%bi %si:%sp %ts\"")
            .origin(serve(OK))
            .client(vec![send(GET), RESP, send(GET), RESP])
            .logs(2)
            .build(),
        http("format/source-refused")
            .fe("log-format \"%bi %si:%sp %ts\"")
            .be("retries 0")
            .server(Server::Refused)
            .client(vec![send(GET), EOF])
            .build(),
        tcp("format/source-tcp")
            .fe("log-format \"%bi %si:%sp %U %B %ts\"")
            .origin(vec![until("x"), send("12345"), CLOSE])
            .client(vec![send("x"), EOF])
            .build(),
        custom("format/request", "%{+Q}r|%HM|%HU|%HP|%HPO|%HQ|%HV|%ST|%ts|%tsc").build(),
        http("format/counters")
            .fe("log-format \"%rt/%lc/%rc %ac:%fc:%bc:%sc:%sq:%bq %U %B\"")
            .origin(serve(OK))
            .client(vec![send(GET), RESP, send(GET), RESP, send("nonsense\r\n\r\n"), EOF])
            .logs(3)
            .build(),
        custom("format/samples", "%[fc_err] %[fc_err_str] %{+Q}[ssl_fc_sni] %[ssl_fc_is_resumed] %ts").build(),
        custom("format/flags-with-words-before-signs", "%{ +Q}ci %{+Q+E}HU %{-Q+Q}HM %{+-Q}ci %{x+Q}ci %{+QE}ci %ts").build(),
        to_close(
            "format/parts-of-a-line-that-is-cut",
            format!("GET /{}?q HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "u".repeat(1_100)),
        )
        .fe("log-format \"%HM %HV %HQ %ts\"")
        .build(),
        custom("format/kernel", "%[fc_retrans] %[fc_lost] %[fc_sacked] %[fc_reordering] %ts").build(),
        custom("format/destination", "%[dst]:%[dst_port] %ts").build(),
        exchange("format/captured-line", "GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n", OK)
            .fe("log-format \"%[capture.req.uri] %[capture.req.ver] %[capture.res.ver] %ts\"")
            .build(),
        exchange("format/captured-line-without-path", "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", OK)
            .fe("log-format \"%[capture.req.uri] %[capture.res.ver] %ts\"")
            .build(),
        http("format/says-nothing")
            .fe("log-format \"%hr \"")
            .fe("error-log-format \"lines before: %lc %ts\"")
            .origin(serve(OK))
            .client(vec![send(GET), RESP, send("nonsense\r\n\r\n"), EOF])
            .build(),
        // The longest line of the process decides how much of a message is made.
        exchange("format/cut-for-a-short-line", GET, OK)
            .fe("no log")
            .fe("log 127.0.0.1:{log} len 80 format raw local0")
            .fe(&format!("log-format \"%{{+Q}}ts {} %ci %ts\"", "x".repeat(69)))
            .build(),
    ]
}

/// What never became a stream has a number, too, which the next one shows.
fn numbers(name: &'static str, line: &str) -> Case {
    let quiet = line.contains("error-log-format");
    http(name)
        .fe("log-format \"%rt %ts\"")
        .fe(line)
        .origin(serve(OK))
        .client(vec![send("nonsense\r\n\r\n"), EOF])
        .client(vec![send(GET), RESP])
        .logs(if quiet { 1 } else { 2 })
        .build()
}

/// `error-log-format` is for what never became a stream.
fn errors() -> Vec<Case> {
    let with = |b: Builder| b.fe("error-log-format \"E %ts %ST %rc %B %ID %{+Q}r %[fc_err] %[fc_err_str] %hr %ft\"");
    let proxied = |name, sent: &str| {
        with(http(name)).bind("accept-proxy").fe("timeout client 300ms").origin(serve(OK)).client(vec![send(sent), EOF]).build()
    };
    vec![
        with(exchange("error-format/good", GET, OK)).build(),
        to_close("error-format/samples-of-streams", "nonsense\r\n\r\n")
            .fe("error-log-format \"%[fe_name] %[be_id] %[be_name] %[prio_class] %[http_first_req] %[capture.res.ver] %ts\"")
            .build(),
        numbers("error-format/numbers", ""),
        numbers("error-format/numbers-with-structured-data", "log-format-sd x"),
        numbers("error-format/numbers-without-a-line", "error-log-format %hr"),
        with(exchange("error-format/500", GET, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")).build(),
        with(to_close("error-format/bad-request", "nonsense\r\n\r\n")).fe("capture request header Host len 5").build(),
        with(to_close("error-format/timeout", "GET / HTTP/1.1\r\n")).fe("timeout http-request 200ms").build(),
        with(http("error-format/refused")).be("retries 0").server(Server::Refused).client(vec![send(GET), EOF]).build(),
        proxied("proxy-bad/error-format-bad", "nonsense which is no header\r\n"),
        proxied("proxy-bad/error-format-truncated", "PROXY TC"),
        proxied("proxy-bad/error-format-protocol", "PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n"),
        with(http("proxy-bad/error-format-values"))
            .bind("accept-proxy")
            .fe("error-log-format \"%ci %fi:%fp %f %b %s %Tt/%Th/%Ti/%Ta/%TR/%Tw/%Tq/%Tu %U %ac %fc %bc %tsc %HM %lc %rt\"")
            .origin(serve(OK))
            .client(vec![send("nonsense which is no header\r\n"), EOF])
            .build(),
        http("proxy-bad/error-without-format")
            .bind("accept-proxy")
            .config(&without_format("    unique-id-format x\n").replace("{fe}", "{fe} accept-proxy"))
            .origin(serve(OK))
            .client(vec![send("nonsense which is no header\r\n"), EOF])
            .build(),
        http("proxy-bad/error-that-is-not-counted")
            .bind("accept-proxy")
            .fe("log-format \"lines before: %lc %ts\"")
            .origin(serve(OK))
            .client(vec![send("nonsense which is no header\r\n"), EOF])
            .client(vec![send(format!("PROXY TCP4 192.0.2.1 192.0.2.2 1000 80\r\n{GET}")), RESP])
            .logs(2)
            .build(),
        http("error-format/without-format")
            .config(&without_format("    error-log-format \"E %ts %ST\"\n"))
            .origin(serve(OK))
            .client(vec![send("nonsense\r\n\r\n"), EOF])
            .build(),
        http("no-format/two-requests")
            .config(&without_format(""))
            .origin(serve(OK))
            .client(vec![send(GET), RESP, send(GET), RESP])
            .logs(2)
            .build(),
        http("no-format/bad-request")
            .config(&without_format(""))
            .origin(serve(OK))
            .client(vec![send("nonsense\r\n\r\n"), EOF])
            .logs(0)
            .build(),
        http("no-format/dontlognull")
            .config(&without_format("    option dontlognull\n"))
            .origin(serve(OK))
            .client(vec![send(GET), RESP])
            .build(),
    ]
}

fn without_format(lines: &str) -> String {
    format!(
        "    mode http\nfrontend fe\n    bind 127.0.0.1:{{fe}}\n{lines}    default_backend be\nbackend be\n    server s1 127.0.0.1:{{o1}}\n"
    )
}

/// `log-format-sd`, which only lines in the format rfc5424 show. Their dates are not compared.
fn structured() -> Vec<Case> {
    let case = |name, sd: &str, target: &str| {
        custom(name, "m %ST %ts")
            .global("log-send-hostname h.x")
            .fe(&format!("log-format-sd \"{sd}\""))
            .fe("no log")
            .fe(&format!("log 127.0.0.1:{{log}} {target} local1"))
    };
    vec![
        case("sd/priority", "[x a=%r]", "format priority").build(),
        case("sd/rfc3164", "[x a=%r]", "format rfc3164").build(),
        case("sd/rfc5424", "%{+Q,+E}o [x@1 line=%r server=%s] %hr", "format rfc5424")
            .loose("log0.text", "the date stands in the text")
            .build(),
    ]
}

fn ids() -> Vec<Case> {
    let with = |b: Builder| b.fe("unique-id-format \"%{+X}o %ci_%fi_%rt_%{-X}b_%s_%ST_%tsc\"").fe("log-format \"%ID %{+Q}ID %ts\"");
    let header = |b: Builder| with(b).fe("unique-id-header X-Unique");
    vec![
        header(exchange("unique-id/header", "GET / HTTP/1.1\r\nHost: a\r\nX-Unique: mine\r\nZ: z\r\n\r\n", OK)).build(),
        header(exchange("unique-id/before-forwardfor", GET, OK)).fe("option forwardfor").fe("option originalto").build(),
        header(http("unique-id/each")).origin(serve(OK)).client(vec![send(GET), RESP, send(GET), RESP]).logs(2).build(),
        with(exchange("unique-id/no-header", GET, OK)).build(),
        exchange("unique-id/escaped", "GET / HTTP/1.1\r\nHost: a\r\nX: a\"b]c\\d\r\n\r\n", OK)
            .fe("unique-id-header X-Unique")
            .fe("unique-id-format %{+E}[req.hdr(x)]|%{+Q}[req.hdr(x)]")
            .fe("http-request set-header Y %{+Q,+E}[req.hdr(x)]")
            .fe("log-format \"%ID %ts\"")
            .build(),
        with(to_close("unique-id/sample-of-no-stream", "nonsense\r\n\r\n")).fe("error-log-format \"%[unique-id] %ID %ts\"").build(),
        with(to_close("unique-id/bad-request", "nonsense\r\n\r\n")).build(),
        with(http("unique-id/refused")).be("retries 0").server(Server::Refused).client(vec![send(GET), EOF]).build(),
        exchange("unique-id/header-alone", GET, OK).fe("unique-id-header X-Unique").fe("log-format \"%ID %ts\"").build(),
        exchange("unique-id/empty", GET, OK)
            .fe("unique-id-header X-Unique")
            .fe("unique-id-format %hr")
            .fe("log-format \"%ID %ts\"")
            .build(),
        exchange("unique-id/long", GET, OK)
            .fe("unique-id-header X-Unique")
            .fe(&format!("unique-id-format {}", "x".repeat(200)))
            .fe("log-format \"%ID %ts\"")
            .build(),
        with(exchange("unique-id/proxy-v2", GET, OK)).srv("send-proxy-v2 proxy-v2-options unique-id").build(),
        exchange("unique-id/proxy-v2-none", GET, OK).srv("send-proxy-v2 proxy-v2-options unique-id").build(),
        tcp("unique-id/tcp")
            .fe("unique-id-format %{+X}ci_%s_%ts")
            .fe("log-format \"%ID %ts\"")
            .origin(vec![until("x"), CLOSE])
            .client(vec![send("x"), EOF])
            .build(),
        tcp("unique-id/tcp-proxy-v2")
            .fe("unique-id-format %{+X}ci_%b_%ts")
            .srv("send-proxy-v2 proxy-v2-options unique-id")
            .origin(vec![until("x"), CLOSE])
            .client(vec![send("x"), EOF])
            .build(),
    ]
}

fn captures() -> Vec<Case> {
    let with = |b: Builder| {
        b.fe("capture request header Host len 4")
            .fe("capture request header X len 30")
            .fe("declare capture request len 9")
            .fe("capture response header Server len 12")
            .fe("capture response header Via len 12")
            .fe("declare capture response len 9")
            .fe("capture cookie sess len 9")
    };
    let request = "GET / HTTP/1.1\r\nHost: a.example\r\nX: 1\r\nx:  q\"{v|}\\]# \r\nCookie: a=b; sessid=1234567890; sess=z\r\n\r\n";
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: a b c d e f g\r\nVia: x\r\nSet-Cookie: a=b; sess=q\r\nSet-Cookie: sess=\"a;b\";path=/\r\n\r\nhello";
    vec![
        with(exchange("capture/httplog", request, response)).build(),
        with(exchange("capture/clf", request, response)).fe("option httplog clf").build(),
        with(exchange("capture/lists", request, response))
            .fe("log-format \"%hr %hrl %hs %hsl %{+Q}hrl %{+Q,+E}hsl %CC %CS %{+Q}CC %ts\"")
            .build(),
        with(exchange("capture/absent", GET, OK)).build(),
        with(http("capture/each")).origin(serve(response)).client(vec![send(request), RESP, send(GET), RESP]).logs(2).build(),
        with(to_close("capture/bad-request", "nonsense\r\n\r\n")).build(),
        with(http("capture/refused")).be("retries 0").server(Server::Refused).client(vec![send(request), EOF]).build(),
        with(http("capture/interim"))
            .origin(answer("HTTP/1.1 103 Early\r\nServer: no\r\n\r\nHTTP/1.1 200 OK\r\nServer: yes\r\nContent-Length: 0\r\n\r\n"))
            .client(vec![send(request), RESP, RESP])
            .build(),
        exchange("capture/no-length", request, response).fe("capture request header X len 0").build(),
        exchange(
            "capture/transfer-encoding",
            "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        )
        .fe("capture request header Connection len 30")
        .fe("capture response header Transfer-Encoding len 30")
        .build(),
        tcp("capture/tcp")
            .fe("capture request header X len 5")
            .fe("declare capture response len 5")
            .fe("log-format \"%hr|%hrl|%hs|%hsl|%ts\"")
            .origin(vec![until("x"), CLOSE])
            .client(vec![send("x"), EOF])
            .build(),
    ]
}

/// A format that shows nothing of the end is written when the response begins, or in mode tcp the connection to the server.
fn moments() -> Vec<Case> {
    let early = |name, format: &str| {
        http(name)
            .fe(&format!("log-format \"{format}\""))
            .origin(vec![REQ, send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), Step::Wait("over"), send("hello")])
            .client(vec![send(GET), until("\r\n\r\n"), Step::Logs(1), Step::Signal("over"), until("hello")])
    };
    let refused = |name, format: &str| {
        http(name).fe(&format!("log-format \"{format}\"")).be("retries 0").server(Server::Refused).client(vec![send(GET), EOF])
    };
    vec![
        early("moment/status", "%ci %ST %b %s %si %tsc").build(),
        early("moment/request", "%r %ST").build(),
        early("moment/request-alone", "%r %rt").logs(2).build(),
        refused("moment/refused", "%ci %ST %b %s").build(),
        to_close("moment/bad-request", "nonsense\r\n\r\n").fe("log-format \"%ci %ST %b %s\"").build(),
        tcp("moment/tcp")
            .fe("log-format \"%ci %b %s %si\"")
            .origin(vec![until("x"), send("12345"), Step::Wait("over"), CLOSE])
            .client(vec![send("x"), until("12345"), Step::Logs(1), Step::Signal("over"), EOF])
            .build(),
        tcp("moment/tcp-refused").fe("log-format \"%ci %b %s\"").be("retries 0").server(Server::Refused).client(vec![EOF]).build(),
        http("moment/answered-here")
            .fe("log-format \"%ci %b %s %ST\"")
            .fe("monitor-uri /m")
            .origin(answer(OK))
            .client(vec![send("GET /m HTTP/1.1\r\nHost: a\r\n\r\n"), RESP])
            .logs(0)
            .build(),
    ]
}
