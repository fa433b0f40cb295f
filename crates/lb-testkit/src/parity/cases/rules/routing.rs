//! Where requests go: use_backend, use-server, monitor fail, maps and lists that rules change.

use super::*;

const OTHER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother";

/// A frontend with these lines, backends be and two, each with a server.
fn two(name: &'static str, lines: &[&str]) -> Builder {
    let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    let text = format!(
        "    mode http\n    option httplog\nfrontend fe\n    bind 127.0.0.1:{{fe}}\n{lines}    default_backend be\n\
         backend be\n    server s1 127.0.0.1:{{o1}}\nbackend two\n    server s2 127.0.0.1:{{o2}}\nbackend b_POST\n    server s3 127.0.0.1:{{o2}}\n"
    );
    http(name).config(&text).origin(serve(OK)).origin(serve(OTHER))
}

fn servers(name: &'static str, lines: &[&str]) -> Builder {
    back(name, lines).origin(serve(OTHER)).be("balance static-rr")
}

pub(in super::super) fn cases() -> Vec<Case> {
    let (get, post, put) = (request("GET", "/"), request("POST", "/"), request("PUT", "/"));
    let all = [&*get, &post, &put, &get];
    vec![
        asks(two("rule-backend/if", &["use_backend two if { method POST }"]), &all),
        asks(two("rule-backend/unless", &["use_backend two unless { method POST }"]), &all),
        asks(two("rule-backend/always", &["use_backend two"]), &all),
        asks(two("rule-backend/first-wins", &["use_backend two if { method POST }", "use_backend b_POST if { method POST }", "use_backend two if { method PUT }"]), &all),
        asks(two("rule-backend/computed", &["use_backend b_%[method]"]), &all),
        asks(two("rule-backend/computed-word", &["use_backend b_%HM if { method POST }"]), &all),
        asks(two("rule-backend/computed-none-then-rule", &["use_backend b_%[method]", "use_backend two"]), &all),
        asks(two("rule-backend/computed-condition", &["use_backend %[var(txn.b)] if { var(txn.b) -m found }", "http-request set-var(txn.b) str(two) if { method PUT }"]), &all),
        asks(two("rule-backend/variable-of-rules", &["http-request set-var(txn.b) str(b_POST) if { method POST }", "use_backend %[var(txn.b)]"]), &all),
        asks(two("rule-backend/method-changed-before", &["http-request set-method POST if { method PUT }", "use_backend two if { method POST }"]), &all),
        asks(two("rule-backend/deny-comes-first", &["use_backend two if { method POST }", "http-request deny if { method POST }"]), &all),
        asks(servers("rule-server/if", &["use-server s2 if { method POST }", "use-server s1 unless { method POST }"]), &all),
        asks(servers("rule-server/computed", &["http-request set-var(txn.s) str(s2)", "use-server %[var(txn.s)] if TRUE"]), &all),
        asks(servers("rule-server/computed-none", &["use-server %[str(nobody)] if TRUE"]), &all),
        servers("rule-server/down", &["use-server s2 if { method GET }"]).srv("disabled").client(vec![send(GET), RESP]).build(),
        servers("rule-server/weight-0", &["use-server s2 if { method GET }"]).srv("weight 0").client(vec![send(GET), RESP, send(&post), RESP]).logs(2).build(),
        tcp("rule-backend/tcp")
            .fe("use_backend two if TRUE")
            .config(
                "    mode tcp\n    option tcplog\nfrontend fe\n    bind 127.0.0.1:{fe}\n    use_backend two if TRUE\n    default_backend be\n\
                 backend be\n    server s1 127.0.0.1:{o1}\nbackend two\n    server s2 127.0.0.1:{o2}\n",
            )
            .origin(vec![until("ping"), send("one"), CLOSE])
            .origin(vec![until("ping"), send("two"), CLOSE])
            .client(vec![send("ping"), EOF])
            .build(),
        front("rule-monitor/fail", &["monitor-uri /m", "monitor fail if { method POST }", "monitor fail if { method PUT }"])
            .client(vec![send(request("GET", "/m")), RESP, send(request("POST", "/m")), RESP, send(request("PUT", "/m")), RESP, send(request("PUT", "/")), RESP])
            .logs(1)
            .build(),
        front("rule-monitor/unless", &["monitor-uri /m", "monitor fail unless { method GET }"])
            .client(vec![send(request("GET", "/m")), RESP, send(request("POST", "/m")), RESP])
            .loose("log", "there is none")
            .build(),
        front("rule-monitor/page", &["monitor-uri /m", "monitor fail if TRUE", "errorfile 503 {dir}/page.http", "http-request deny"])
            .file("page.http", "HTTP/1.1 503 Down\r\nContent-Length: 4\r\n\r\ndown")
            .client(vec![send(request("GET", "/m")), RESP, send(GET), RESP])
            .build(),
        front("rule-monitor/1.0", &["monitor-uri /m", "monitor fail if TRUE"])
            .client(vec![send("GET /m HTTP/1.0\r\n\r\n"), EOF])
            .loose("log", "there is none")
            .build(),
        asks(
            front(
                "rule-set/acl",
                &[
                    "acl known var(txn.m) -m str -f {dir}/list",
                    "http-request set-var(txn.m) method",
                    "http-request set-header X-Known 1 if known",
                    "http-request add-acl({dir}/list) %[method] if { method POST }",
                    "http-request del-acl({dir}/list) GET if { method PUT }",
                ],
            )
            .file("list", "GET\n"),
            &[&get, &post, &post, &put, &get],
        ),
        asks(
            front(
                "rule-set/map",
                &[
                    "http-request set-header X-Value %[method,map({dir}/list,none)]",
                    "http-request set-map({dir}/list) %[method] new-%HM if { method POST }",
                    "http-request del-map({dir}/list) GET if { method PUT }",
                ],
            )
            .file("list", "GET first\nPUT put\n"),
            &[&get, &post, &post, &put, &get],
        ),
        asks(
            front("rule-set/response", &["http-request set-var(txn.m) method", "http-request set-header X-Value %[method,map({dir}/list,none)]", "http-response set-map({dir}/list) %[var(txn.m)] %[status]"]).file("list", "# nothing\n"),
            &[&get, &get, &post, &post],
        ),
        asks(
            front("rule-errors/section", &["errorfiles mine", "http-request deny if { method GET }", "http-request deny deny_status 404 if { method POST }", "http-request deny deny_status 429 if { method PUT }"])
                .file("403.http", "HTTP/1.1 403 Mine\r\nContent-Length: 4\r\n\r\nmine")
                .file("404.http", "HTTP/1.1 404 Mine\r\nContent-Length: 4\r\n\r\nnone")
                .defaults("retries 2\nhttp-errors mine\n    errorfile 403 {dir}/403.http\n    errorfile 404 {dir}/404.http"),
            &all[..3],
        ),
        asks(
            front("rule-errors/some", &["errorfiles mine 404", "http-request deny if { method GET }", "http-request deny deny_status 404"])
                .file("403.http", "HTTP/1.1 403 Mine\r\nContent-Length: 4\r\n\r\nmine")
                .file("404.http", "HTTP/1.1 404 Mine\r\nContent-Length: 4\r\n\r\nnone")
                .defaults("retries 2\nhttp-errors mine\n    errorfile 403 {dir}/403.http\n    errorfile 404 {dir}/404.http"),
            &all[..3],
        ),
        asks(
            front("rule-errors/in-replies", &["http-request deny errorfiles mine if { method GET }", "http-request return status 404 errorfiles mine if { method POST }", "http-request deny deny_status 429 errorfiles mine"])
                .file("403.http", "HTTP/1.1 403 Mine\r\nContent-Length: 4\r\n\r\nmine")
                .file("404.http", "HTTP/1.1 404 Mine\r\nContent-Length: 4\r\n\r\nnone")
                .defaults("retries 2\nhttp-errors mine\n    errorfile 403 {dir}/403.http\n    errorfile 404 {dir}/404.http"),
            &all[..3],
        ),
        asks(front("rule-errors/http-error", &["http-error status 403 content-type text/plain string mine", "http-error status 404 content-type text/plain lf-string \"%HM %ci\" hdr X-A %[method]", "http-request deny if { method GET }", "http-request deny deny_status 404"]), &all[..3]),
        asks(front("rule-errors/http-error-file", &["http-error status 403 errorfile {dir}/page.http", "http-request deny"]).file("page.http", "HTTP/1.1 404 Page\r\nContent-Length: 4\r\n\r\npage"), &[&get]),
        asks(back("rule-errors/http-error-backend", &["http-error status 503 content-type a/b string down", "http-request deny deny_status 503"]), &[&get]),
        asks(defaults("rule-errors/http-error-defaults", &["http-error status 403 content-type a/b string no hdr X-A b", "http-request deny"]), &[&get]),
        http("rule-errors/http-error-refused")
            .be("retries 0")
            .be("http-error status 503 content-type text/plain lf-string \"%b %s\"")
            .server(Server::Refused)
            .client(vec![send(GET), RESP])
            .build(),
    ]
}
