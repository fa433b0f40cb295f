//! Edits of requests: fields, the request line.

use super::*;

const FIELDS: &str =
    "GET /a/b?c=d HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nx-two: a, b ,c;d\r\nX-Two: b\r\nX-Empty:\r\nX-Three: \"a,b\", b\r\n\r\n";

pub(in super::super) fn cases() -> Vec<Case> {
    let mut out = fields();
    out.extend(lines());
    out.extend(normalizers());
    out.extend(places());
    out.extend(strictness());
    out
}

fn edit(name: &'static str, line: &str) -> Case {
    asks(front(name, &[&format!("http-request {line}")]), &[FIELDS])
}

fn fields() -> Vec<Case> {
    vec![
        edit("rule-field/add", "add-header X-One two"),
        edit("rule-field/add-format", "add-header X-Line \"%HM %HU %HP %HQ %HV %ci\""),
        edit("rule-field/add-spaces", "add-header X-S \"  a  b  \""),
        edit("rule-field/add-empty", "add-header X-S %[var(txn.none)]"),
        edit("rule-field/add-quoted", "add-header X-S \"%{+Q}[method]\""),
        edit("rule-field/add-percent", "add-header X-S 100%%"),
        edit("rule-field/set", "set-header x-two two"),
        edit("rule-field/set-new", "set-header X-New \"%[method,lower]\""),
        edit("rule-field/set-empty", "set-header X-One \"%[var(txn.none)]\""),
        edit("rule-field/set-host", "set-header Host b.example"),
        edit("rule-field/set-connection", "set-header Connection close"),
        edit("rule-field/set-length", "set-header Content-Length 5"),
        edit("rule-field/set-te", "set-header Transfer-Encoding chunked"),
        edit("rule-field/set-from-itself", "set-header X-Req \"%r\""),
        edit("rule-field/del", "del-header x-TWO"),
        edit("rule-field/del-host", "del-header host"),
        edit("rule-field/del-none", "del-header nothing"),
        edit("rule-field/del-str", "del-header x-one -m str"),
        edit("rule-field/del-beg", "del-header x-t -m beg"),
        edit("rule-field/del-beg-case", "del-header X-T -m beg"),
        edit("rule-field/del-end", "del-header o -m end"),
        edit("rule-field/del-sub", "del-header -t -m sub"),
        edit("rule-field/del-reg", "del-header ^x-.*o$ -m reg"),
        edit("rule-field/del-reg-case", "del-header ^X-O -m reg"),
        edit("rule-field/replace", "replace-header X-Two ^(.)(.*)$ \\2-\\1"),
        edit("rule-field/replace-part", "replace-header X-Two b x"),
        edit("rule-field/replace-nothing", "replace-header X-Two ^z$ x"),
        edit("rule-field/replace-empty", "replace-header X-One .* \"%[var(txn.none)]\""),
        edit("rule-field/replace-format", "replace-header X-One (.*) \"%HM:\\1:%[method]\""),
        edit("rule-field/replace-group-0", "replace-header X-One .* <\\0>"),
        edit("rule-field/replace-no-group", "replace-header X-One . <\\7>"),
        edit("rule-field/replace-escapes", "replace-header X-One . \\\\a\\x41\\t"),
        edit("rule-field/replace-value", "replace-value X-Two ^b$ x"),
        edit("rule-field/replace-value-all", "replace-value X-Two ^(.*)$ <\\1>"),
        edit("rule-field/replace-value-quoted", "replace-value X-Three ^b$ x"),
        edit("rule-field/replace-value-quoted-whole", "replace-value X-Three a,b x"),
        edit("rule-field/replace-value-empty", "replace-value X-Empty ^$ x"),
        edit("rule-field/replace-value-first-char", "replace-value X-Two ^. x"),
        asks(
            front(
                "rule-field/several",
                &[
                    "http-request add-header X-A 1",
                    "http-request add-header X-A 2 if { method GET }",
                    "http-request set-header X-B 1 unless { method GET }",
                    "http-request replace-header X-A ^1$ 3",
                    "http-request del-header x-one if { method POST } or { method GET }",
                ],
            ),
            &[FIELDS, "POST / HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nContent-Length: 2\r\n\r\nab"],
        ),
        asks(
            front("rule-field/framing-of-body", &["http-request del-header content-length", "http-request set-header X-A 1"]),
            &["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab", GET],
        ),
        asks(
            front("rule-field/framing-of-chunks", &["http-request del-header transfer-encoding"]),
            &["POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", GET],
        ),
        asks(front("rule-field/1.0", &["http-request set-header X-V %HV"]).be("option httpclose"), &["GET / HTTP/1.0\r\n\r\n"]),
        asks(front("rule-field/forwardfor", &["http-request set-header X-Forwarded-For 9.9.9.9", "option forwardfor"]), &[GET]),
        asks(front("rule-field/head", &["http-request set-header X-A 1"]), &["HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", GET]),
    ]
}

fn lines() -> Vec<Case> {
    let absolute = "GET http://a:80/x/y?z=1 HTTP/1.1\r\nHost: a:80\r\n\r\n";
    let each = |name, line: &str| {
        let line = format!("http-request {line}");
        asks(front(name, &[&line]), &[&request("GET", "/a/b/c?q=1&r=2"), absolute, &request("GET", "/"), &request("POST", "/x?")])
    };
    vec![
        each("rule-line/set-method", "set-method PUT"),
        each("rule-line/set-method-format", "set-method X%[method]"),
        each("rule-line/set-method-head", "set-method HEAD if { method POST }"),
        each("rule-line/set-path", "set-path /new"),
        each("rule-line/set-path-format", "set-path /%HM%HP"),
        each("rule-line/set-path-no-slash", "set-path new"),
        each("rule-line/set-path-query", "set-path /n?e=w"),
        each("rule-line/set-pathq", "set-pathq /new?x=y"),
        each("rule-line/set-pathq-format", "set-pathq /p%HPO%HQ"),
        each("rule-line/set-query", "set-query x=y"),
        each("rule-line/set-query-mark", "set-query ?x=y"),
        each("rule-line/set-query-empty", "set-query \"%[var(txn.none)]\""),
        each("rule-line/set-uri", "set-uri /new?x=y"),
        each("rule-line/set-uri-absolute", "set-uri http://other.example/x"),
        each("rule-line/set-uri-star", "set-uri *"),
        each("rule-line/replace-path", "replace-path ^/(.*)/(.)$ /\\2/\\1"),
        each("rule-line/replace-path-all", "replace-path (.*) /pre\\1"),
        each("rule-line/replace-path-empty", "replace-path .* \"%[var(txn.none)]\""),
        each("rule-line/replace-pathq", "replace-pathq ([^?]*)(\\?(.*))? \\1/end\\2"),
        each("rule-line/replace-pathq-query", "replace-pathq q= Q="),
        each("rule-line/replace-uri", "replace-uri ^(http://)?(.*) /x\\2"),
        each("rule-line/replace-uri-format", "replace-uri ^/a(.*) /%HM\\1"),
        asks(
            front("rule-line/several", &["http-request set-path /1%HP", "http-request set-query p=%HP", "http-request set-path /2%HP"]),
            &[&request("GET", "/a?b"), "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"],
        ),
        asks(
            front("rule-line/what-the-log-shows", &["http-request set-method PUT", "http-request set-uri /changed"]),
            &[&request("GET", "/asked")],
        ),
        asks(
            front("rule-line/fields-of-the-log", &["log-format \"%HM %HP %HU %HQ %HV|%[method]\"", "http-request set-method PUT"]),
            &[&request("GET", "/asked?x")],
        ),
        asks(
            front("rule-line/no-log", &["no log", "http-request set-header X-R \"%r|%HU|%HM\""]).loose("log", "there is none"),
            &[&request("GET", "/asked?x")],
        ),
        each("rule-line/bad-path", "set-path \"/a b\""),
        each("rule-line/bad-method", "set-method \"A B\""),
    ]
}

fn normalizers() -> Vec<Case> {
    let targets = [
        "/a/./b/../c//d///e/..",
        "/../../x/./",
        "/%7euser/%41%2f%zz/%2e%2E/",
        "/p?b=2&a=1&c&b=1&=3",
        "/p?b&a&",
        "/p?&&",
        "/p#frag?x=#y",
        "/..",
        "/.",
        "//",
        "/a/%2e%2e/b",
        "http://a/x/../y//z?b&a",
        "*",
    ];
    let each = |name, line: &str| {
        let line = format!("http-request normalize-uri {line}");
        let case = targets.iter().fold(front(name, &[&line]).global("expose-experimental-directives"), |case, target| {
            let method = if *target == "*" { "OPTIONS" } else { "GET" };
            case.client(vec![send(format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n")), RESP])
        });
        case.logs(targets.len()).build()
    };
    vec![
        each("rule-normalize/fragment-encode", "fragment-encode"),
        each("rule-normalize/fragment-strip", "fragment-strip"),
        each("rule-normalize/merge-slashes", "path-merge-slashes"),
        each("rule-normalize/strip-dot", "path-strip-dot"),
        each("rule-normalize/strip-dotdot", "path-strip-dotdot"),
        each("rule-normalize/strip-dotdot-full", "path-strip-dotdot full"),
        each("rule-normalize/decode", "percent-decode-unreserved"),
        each("rule-normalize/decode-strict", "percent-decode-unreserved strict"),
        each("rule-normalize/uppercase", "percent-to-uppercase"),
        each("rule-normalize/uppercase-strict", "percent-to-uppercase strict"),
        each("rule-normalize/sort-query", "query-sort-by-name"),
    ]
}

fn places() -> Vec<Case> {
    let lines = [
        "acl get method GET",
        "acl change method POST PUT",
        "http-request set-header X-If 1 if get",
        "http-request set-header X-Unless 1 unless get",
        "http-request set-path /changed if change",
        "http-request allow if { method POST }",
        "http-request add-header X-Behind 1",
    ];
    let requests = [&*request("GET", "/"), &request("POST", "/"), &request("PUT", "/x?y"), "GET / HTTP/1.0\r\n\r\n"];
    let three = &requests[..3];
    vec![
        asks(front("rule-place/frontend", &lines), three),
        asks(back("rule-place/backend", &lines), three),
        asks(listen("rule-place/listen", &lines), three),
        asks(defaults("rule-place/defaults", &lines), three),
        to_the_end(listen("rule-place/1.0", &lines), &requests[3..]).build(),
        asks(
            front("rule-place/frontend-then-backend", &["http-request add-header X-A f", "http-request allow if { method POST }", "http-request add-header X-A f2"])
                .be("http-request add-header X-A b"),
            three,
        ),
        asks(
            http("rule-place/defaults-then-own").origin(serve(OK)).config(
                "defaults named\n    mode http\n    log global\n    option httplog\n    timeout connect 3s\n    timeout client 3s\n    timeout server 3s\n    \
                 http-request add-header X-A d if { method GET }\n    http-response add-header X-R d\n\
                 frontend fe from named\n    bind 127.0.0.1:{fe}\n    http-request add-header X-A own\n    http-response add-header X-R own\n    \
                 default_backend be\n\
                 defaults other\n    mode http\n    timeout connect 3s\n    timeout server 3s\nbackend be from other\n    server s1 127.0.0.1:{o1}\n",
            ),
            three,
        ),
        asks(front("rule-place/acl-of-two-lines", &["acl x method GET", "acl x method PUT", "http-request add-header X-A 1 if x", "http-request add-header X-B 1 if !x"]), three),
        asks(front("rule-place/and-or-not", &["http-request add-header X-A 1 if !{ method GET } { method POST } || { method PUT }", "http-request add-header X-B 1 unless { method GET } or { method POST }"]), three),
        asks(front("rule-place/predefined", &["http-request add-header X-A 1 if METH_GET", "http-request add-header X-B 1 if METH_POST or !TRUE", "http-request add-header X-C 1 if FALSE"]), three),
    ]
}

fn strictness() -> Vec<Case> {
    let bad = "http-request set-header X-A \"%[var(txn.bad)]\"";
    let fill = "http-request set-var(txn.bad) str(\"a\\nb\")";
    vec![
        asks(
            front("rule-strict/method-that-is-none", &["http-request set-method \"%[var(txn.none)]\"", "http-request add-header X-B 1"]),
            &[GET],
        ),
        asks(
            front(
                "rule-strict/off",
                &["http-request strict-mode off", "http-request set-method \"%[var(txn.none)]\"", "http-request add-header X-B 1"],
            ),
            &[GET],
        ),
        asks(
            front(
                "rule-strict/off-and-on",
                &["http-request strict-mode off", "http-request strict-mode on", "http-request set-method \"%[var(txn.none)]\""],
            ),
            &[GET],
        ),
        asks(front("rule-strict/line-feed", &[fill, bad]), &[GET]),
        asks(
            front("rule-strict/too-long", &["http-request set-header X-A \"%[str(a)]\"", "http-request set-path /%[var(txn.none)]"]),
            &[GET],
        ),
        asks(
            front("rule-strict/normalize", &["http-request normalize-uri percent-to-uppercase strict"])
                .global("expose-experimental-directives"),
            &[&request("GET", "/%zz")],
        ),
        asks(
            front("rule-strict/normalize-off", &["http-request strict-mode off", "http-request normalize-uri percent-to-uppercase strict"])
                .global("expose-experimental-directives"),
            &[&request("GET", "/%zz")],
        ),
    ]
}
