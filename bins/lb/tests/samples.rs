//! Samples of streams that run: the same configuration and traffic through haproxy and `lb`, value for value. What messages say is
//! compared in `lb-expr`; here it is addresses, proxies, servers, times, and what is kept of a request.

mod common;

use lb_testkit::fixture::TempDir;
use lb_testkit::http::Connection;
use lb_testkit::origin::Origin;
use lb_testkit::ports::free_tcp;
use lb_testkit::process::Process;
use lb_testkit::script::Step;
use std::net::Ipv4Addr;
use std::path::Path;

/// In `http-request` of the frontend.
const REQUEST: &[&str] = &[
    "src",
    "dst",
    "dst_port",
    "src_is_local",
    "dst_is_local",
    "fc_src",
    "fc_dst",
    "fc_dst_port",
    "fc_src_is_local",
    "fc_dst_is_local",
    "dst_conn",
    "fe_conn",
    "fe_conn(fe)",
    "fe_id",
    "fe_name",
    "fe_defbe",
    "fe_client_timeout",
    "so_id",
    "so_name",
    "be_conn(be)",
    "be_conn_free(be)",
    "be_conn_free(be2)",
    "connslots(be)",
    "connslots(be2)",
    "nbsrv(be)",
    "nbsrv(be2)",
    "queue(be)",
    "avg_queue(be)",
    "srv_conn(be/s1)",
    "srv_conn_free(be/s1)",
    "srv_conn_free(be2/s1)",
    "srv_is_up(be/s1)",
    "srv_is_up(be/s3)",
    "srv_queue(be/s1)",
    "srv_weight(be/s2)",
    "srv_iweight(be/s2)",
    "srv_uweight(be/s2)",
    "be_sess_rate(be2)",
    "srv_sess_rate(be2/s1)",
    "fe_req_rate(unused)",
    "fe_sess_rate(unused)",
    "stopping",
    "prio_class",
    "prio_offset",
    "thread",
    "nbproc",
    "proc",
    "hostname",
    "unique-id",
    "fc_http_major",
    "fc_rcvd_proxy",
    "fc_err",
    "fc_err_str",
    "fc_reordering",
    "fc_lost",
    "fc_retrans",
    "fc_sacked",
    "fc_fackets",
    "fc_pp_authority",
    "fc_pp_unique_id",
    "http_first_req",
    "capture.req.hdr(0)",
    "capture.req.hdr(1)",
    "capture.req.hdr(2)",
    "capture.req.method",
    "capture.req.uri",
    "capture.req.ver",
    "req.proto_http",
    "last_rule_line",
    "last_rule_file",
    "cpu_calls",
    "cpu_ns_avg",
    "cpu_ns_tot",
    "lat_ns_avg",
    "lat_ns_tot",
];

/// In `http-response` of the backend.
const RESPONSE: &[&str] = &[
    "bc_dst",
    "bc_src",
    "bc_http_major",
    "bc_err",
    "bc_err_str",
    "be_id",
    "be_name",
    "be_server_timeout",
    "be_tunnel_timeout",
    "cur_server_timeout",
    "cur_tunnel_timeout",
    "srv_id",
    "srv_name",
    "nbsrv",
    "be_conn",
    "be_conn_free",
    "connslots",
    "queue",
    "avg_queue",
    "srv_conn(s1)",
    "status",
    "res.ver",
    "res.hdr(x)",
    "res.hdr(x,1)",
    "res.hdr(x,-2)",
    "res.fhdr(x)",
    "shdr(x,2)",
    "res.fhdr(x,1)",
    "res.hdr_cnt",
    "res.hdr_cnt(x)",
    "res.fhdr_cnt(x)",
    "shdr_cnt(x)",
    "res.hdr_names",
    "res.hdr_ip(y)",
    "shdr_ip(y)",
    "res.hdr_val(y)",
    "shdr_val(y)",
    "res.cook(a)",
    "res.cook",
    "res.cook(b)",
    "scook(c)",
    "res.cook_cnt",
    "scook_cnt(b)",
    "res.cook_val(b)",
    "scook_val",
    "cookie(a)",
    "hdr(x)",
    "res.body_size",
    "capture.res.hdr(0)",
    "capture.req.hdr(0)",
    "capture.res.ver",
    "capture.req.ver",
    "capture.req.method",
    "capture.req.uri",
    "method",
    "unique-id",
    "src",
    "dst",
    "fe_name",
    "fe_id",
    "so_name",
    "http_first_req",
    "prio_class",
    "cur_server_timeout",
];

const ANSWER: &[u8] = b"HTTP/1.1 201 Made\r\nContent-Length: 3\r\nX: a, b\r\nX: c,d\r\nY: 1.2.3.4:5\r\n\
    Set-Cookie: a=1; path=/; b=2\r\nSet-Cookie: b = 7 ; x,a=3\r\nSet-Cookie: c=\"q;r\"\r\n\r\nxyz";

/// Gives everybody the same answer.
fn origin() -> Origin {
    common::origin(vec![Step::Serve(ANSWER.to_vec())])
}

fn config(ports: [u16; 2], origin: u16) -> String {
    let mut config = format!(
        "global\n nbthread 1\ndefaults\n mode http\n timeout client 5s\n timeout server 6s\n timeout connect 7s\n timeout tunnel 8s\n \
         log 127.0.0.1:9 local0\n option httplog\n unique-id-format id-%ci\n\
         frontend unused\n bind 127.0.0.1:{}\n\
         frontend fe\n bind 127.0.0.1:{} name bnd\n declare capture request len 5\n capture request header X-Cap len 10\n \
         capture response header X len 4\n http-request capture req.hdr(host) id 0\n default_backend be\n",
        ports[1], ports[0]
    );
    let mut body = String::new();
    for (n, expr) in REQUEST.iter().enumerate() {
        config.push_str(&format!(" http-request set-var(txn.v{n}) {expr}\n"));
        body.push_str(&format!("%[var(txn.v{n})]|"));
    }
    config.push_str(&format!(
        " http-request return status 200 content-type text/plain lf-string \"{body}\" if {{ path /q }}\n\
         backend be\n server s1 127.0.0.1:{origin} maxconn 5 maxqueue 3\n server s2 127.0.0.1:{origin} weight 7 maxconn 6 maxqueue 4 disabled\n \
         server s3 127.0.0.1:{origin} disabled\n http-request set-timeout server 9s\n"
    ));
    for (n, expr) in RESPONSE.iter().enumerate() {
        config.push_str(&format!(" http-response set-header r{n} \"{expr}=%[{expr}].\"\n"));
    }
    config.push_str(&format!("backend be2\n server s1 127.0.0.1:{origin}\n server s2 127.0.0.1:{origin} backup\n"));
    config
}

/// What both kinds of rules see, each value with its expression.
fn values(program: &Path, origin: u16) -> Vec<String> {
    let ports = [free_tcp(), free_tcp()];
    let dir = TempDir::new("samples").expect("a directory");
    let _proxy = Process::proxy(dir, program, &config(ports, origin), &ports).unwrap_or_else(|e| panic!("{}: {e:?}", program.display()));
    let ask = |path: &str| {
        let mut connection = Connection::open((Ipv4Addr::LOCALHOST, ports[0])).expect("connects");
        let request = format!("GET {path} HTTP/1.1\r\nHost: www.example.org\r\nX-Cap: captured-value\r\nConnection: close\r\n\r\n");
        connection.exchange(request).expect("an answer")
    };
    let port = ports[0].to_string();
    let own = |text: String| text.replace(&port, "PORT");
    let answer = ask("/q?a=1");
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    let mut all: Vec<String> = REQUEST.iter().zip(body.split('|')).map(|(expr, value)| own(format!("{expr}={value}."))).collect();
    assert_eq!(all.len(), REQUEST.len(), "{body}");
    let answer = ask("/p");
    // An empty value takes the field away in neither.
    all.extend((0..RESPONSE.len()).map(|n| own(answer.header(&format!("r{n}")).unwrap_or_default())));
    all
}

#[test]
fn of_a_stream_as_haproxy() {
    let origin = origin();
    let ours = values(Path::new(env!("CARGO_BIN_EXE_lb")), origin.port());
    let theirs = values(Path::new("/usr/sbin/haproxy"), origin.port());
    let differ: Vec<_> = ours.iter().zip(&theirs).filter(|(a, b)| a != b).collect();
    assert!(differ.is_empty(), "lb and haproxy: {differ:#?}");
    assert!(ours.iter().filter(|value| value.ends_with("=.")).count() < 12, "most have a value: {ours:#?}");
}

/// An id of samples: in a rule, which is the first to ask for it, and in the field that the server gets.
#[test]
fn ids_of_requests_as_haproxy() {
    let served = origin();
    let origin = served.port();
    let ids = |program: &Path| {
        let port = free_tcp();
        let config = format!(
            "defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\n\
             frontend fe\n bind 127.0.0.1:{port}\n unique-id-format %[req.hdr(x-a)]-%[path]-%[src]-%ci%[req.hdr(none)]\n unique-id-header X-Id\n \
             http-request return status 200 content-type text/plain lf-string %[unique-id]/%ID if {{ path /rule }}\n \
             http-response set-header X-Seen %[unique-id]\n default_backend be\nbackend be\n server s1 127.0.0.1:{origin}\n"
        );
        let dir = TempDir::new("ids").expect("a directory");
        let _proxy = Process::proxy(dir, program, &config, &[port]).unwrap_or_else(|e| panic!("{}: {e:?}", program.display()));
        let ask = |path: &str| {
            let mut connection = Connection::open((Ipv4Addr::LOCALHOST, port)).expect("connects");
            let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nX-A: 1 2\r\nConnection: close\r\n\r\n");
            connection.exchange(request).expect("an answer")
        };
        let by_rule = String::from_utf8_lossy(&ask("/rule").body).into_owned();
        (by_rule, ask("/served").header("x-seen"))
    };
    let ours = ids(Path::new(env!("CARGO_BIN_EXE_lb")));
    assert_eq!(ours, ids(Path::new("/usr/sbin/haproxy")));
    assert_eq!(ours.1.as_deref(), Some("1 2-/served-127.0.0.1-127.0.0.1"));
}
