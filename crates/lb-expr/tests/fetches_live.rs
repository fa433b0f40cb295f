//! The fetches against the installed haproxy: the same requests, the same expressions, value for value. Needs `haproxy` in the path
//! (`cargo xtask test` installs it); loopback and a temporary directory only.

mod support;

use bumpalo::Bump;
use lb_expr::sample::{ArgKind, Cx, Eval, Fact, OwnedValue, Registry, Side, Type, hex};
use lb_http::Head;
use lb_http::h1::{Decoded, Decoder, Limits};
use lb_testkit::ports::free_tcp;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::{Names, Plain, compile};

struct Haproxy {
    child: Child,
    dir: PathBuf,
    port: u16,
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn directory(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("lb-expr-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir(&dir).expect("a directory of our own");
    dir
}

/// Starts haproxy and waits until it accepts.
fn start(dir: PathBuf, port: u16, config: &str) -> Haproxy {
    let file = dir.join("haproxy.cfg");
    std::fs::write(&file, config).expect("writes");
    let checked = Command::new("haproxy").arg("-c").arg("-f").arg(&file).output().expect("haproxy runs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let child = Command::new("haproxy").arg("-db").arg("-f").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let haproxy = Haproxy { child: child.expect("haproxy starts"), dir, port };
    let accepts = |_| {
        let accepts = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        if !accepts {
            std::thread::sleep(Duration::from_millis(5));
        }
        accepts
    };
    assert!((0..4_000).any(accepts), "haproxy does not accept");
    haproxy
}

/// In a word of a configuration.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Expressions over requests. What may have other bytes than text ends with `,hex`.
const REQUEST: &[&str] = &[
    "req.hdr(x)",
    "req.hdr(x,1)",
    "req.hdr(x,0)",
    "req.hdr(x,2)",
    "req.hdr(x,-1)",
    "req.hdr(x,-2)",
    "req.hdr(x,-9)",
    "req.hdr(X-Other)",
    "req.hdr(HOST)",
    "req.hdr()",
    "req.hdr(,2)",
    "hdr(x)",
    "hdr(host)",
    "hdr(connection)",
    "req.fhdr(connection)",
    "req.hdr_cnt(connection)",
    "req.fhdr(x)",
    "req.fhdr(x,1)",
    "req.fhdr(x,-2)",
    "req.hdr_cnt(x)",
    "req.hdr_cnt",
    "hdr_cnt(x)",
    "req.fhdr_cnt(x)",
    "req.fhdr_cnt",
    "req.hdr_val(x)",
    "req.hdr_val(x,1)",
    "hdr_val(x,-2)",
    "req.hdr_ip(x)",
    "hdr_ip(x,1)",
    "req.hdr_names",
    "req.hdr_names(-+)",
    "req.hdrs,hex",
    "req.hdrs_bin,hex",
    "req.cook(a)",
    "req.cook",
    "cook(b)",
    "cookie(a)",
    "req.cook(A)",
    "req.cook_cnt(a)",
    "cook_cnt",
    "req.cook_val(a)",
    "cook_val",
    "url",
    "path",
    "pathq",
    "query",
    "base",
    "baseq",
    "base32",
    "base32+src,hex",
    "url32",
    "url32+src,hex",
    "url_ip",
    "url_port",
    "urlp",
    "urlp(a)",
    "urlp(b)",
    "url_param(a,;)",
    "urlp(a,?)",
    "urlp(a,x)",
    "urlp(a,&)",
    "urlp_val(a)",
    "urlp_val(b,;)",
    "req.ver",
    "req_ver",
    "capture.req.ver",
    "req.body,hex",
    "req.body_len",
    "req.body_size",
    "req.body_param(a),hex",
    "req.body_param,hex",
    "req.len",
    "req_len",
    "req.payload(0,3)",
    "payload(0,0)",
    "req.payload_lv(0,1)",
    "req.proto_http",
    "req.ssl_sni",
    "req.ssl_ver",
    "req.rdp_cookie",
    "wait_end",
    "http_auth_type",
    "http_auth_user",
    "http_auth_pass",
    "http_auth_bearer",
    "http_auth_bearer(x)",
    "http_auth(ul)",
    "http_auth_group(ul)",
    "http_first_req",
    "src",
    "dst",
    "fe_name",
    "fe_id",
    "so_name",
    "so_id",
    "nbproc",
    "proc",
    "rand(1)",
    "bool(true)",
    "bool(0)",
    "bin(0aff),hex",
    "ipv4(1.2.3.4)",
    "ipv6(::ffff:1.2.3.4)",
    "int(-5)",
    "int(99999999999999999999)",
    "str('a,b) c')",
    "str(\"q\")",
    r"str(a\ b\\c\'d\e\r),hex",
    r"str(a\)",
    "str('a'\\''b\\n')",
    "str()",
    "always_true",
    "always_false",
    "env(LB_EXPR_TEST)",
    "env(LB_EXPR_NONE)",
    "var(txn.none)",
    "var(txn.none,else)",
];

/// Requests; each ends where its client stops sending.
const REQUESTS: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /p/q?a=1&b=2;a=3 HTTP/1.1\r\nHost: h:80\r\nX: a, b ,\"c,d\" , \r\n\r\n",
    "GET http://1.2.3.4:81/x?a=%20 HTTP/1.1\r\nHost: 1.2.3.4:81\r\nX: a\r\nx:  b,,c\r\nConnection: close\r\n\r\n",
    "GET http://1.2.3.4 HTTP/1.1\r\nHost: 1.2.3.4\r\nX:\r\nConnection: keep-alive, Upgrade\r\nUpgrade: x\r\n\r\n",
    "GET https://1.2.3.4/? HTTP/1.1\r\nHost: 1.2.3.4\r\nX: 12abc, 1.2.3.4:80\r\nConnection: Upgrade,close\r\nUpgrade: x, y\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\nX: ,\r\nX: [::1]:90\r\n\r\n",
    "CONNECT h:444 HTTP/1.1\r\nHost: h:444\r\nX: 1.2.3.4:99999\r\nX: -5, ::1\r\n\r\n",
    "GET /?x HTTP/1.1\r\nHost: a:80\r\nX: 99999999999, +7\r\nX-Other: \"a\\\",b\", c\r\n\r\n",
    "GET /;a=1;b=2?a=5 HTTP/1.1\r\nX: 1,2,3,4,5,6,7,8,9,10,11,12\r\n\r\n",
    "GET http://[::1]:8/?aa=1&a=2&a HTTP/1.1\r\nHost: [::1]:8\r\nX: 1.2.3.4:080\r\n\r\n",
    "GET /?&a=&b=1 HTTP/1.1\r\nHost:\r\nX: 01.2.3.4 \t\r\n\r\n",
    "GET //x//y?a?a=b HTTP/1.0\r\nX-Other: ,a\r\nX: 1.2.3.4:65536\r\n\r\n",
    "GET /?=1&a==2 HTTP/1.1\r\nHost: h\r\nX: ::ffff:1.2.3.4\r\n\r\n",
    "GET /?a=1?b=2 HTTP/1.1\r\nHost: h\r\nX: 5-\r\n\r\n",
    "GET foo://h/p?a=12x HTTP/1.1\r\nHost: h\r\nX: --7\r\n\r\n",
    "GET /xa=1xa=2 HTTP/1.1\r\nHost: h\r\nX: 2147483648, -2147483649\r\n\r\n",
    "GET /&a=4&b?b;b=3 HTTP/1.1\r\nHost: h\r\nConnection: Close\r\nConnection: Keep-Alive\r\n\r\n",
    "GET /?a=%3d&b=x?y HTTP/1.1\r\nHost: H\r\nUser-Agent: Mozilla/5.0 (X11, U)\r\n\r\n",
    "GET /%41/../b HTTP/1.1\r\nHost: a.b.c:8080\r\nX: a;b,c\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1; b=2; a=3\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nCookie: a=x,y; b=\"q;r\"; a=\"z;w\" ; c\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nCookie: $Version=1; a=5\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nCookie: a = 7 8 ; b=\r\ncookie: a=9;a=10;\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nCookie: a\r\ncookie: a=\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nCookie: a=\r\ncookie: =b; a=,b=1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nCookie: aa=1;xa=2; a=3=4\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nCookie: b=2;a=\",\"x; a=\\\"y;z\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nCookie: ;;a=1;; b = \"x\\\"; y\" z ; ,a=2\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic am9lOnNlY3JldA==\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic am9lOnNlY3Jld\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: basic am9lOnNlY3JldA==\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic am9l\r\nX: Bearer  zz y\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer abc.def\r\nX: bearer foo\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Digest foo\r\nX: Bearer\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic\r\nX: Basic am9l\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic  am9lOng6eQ==\r\nX: Bearer a, Bearer b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer  a b\r\nX: Bearer\ttab\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic Og==\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic am9lOnNlY3JldA== \r\nAuthorization: Bearer x\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\na=1&b=2&a=34",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nc;a=z;a=\u{e9}",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na=z\r\n2\r\n&b\r\n0\r\n\r\n",
    "POST /?a=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
];

/// A request as the fetches see it: its head decoded as the proxy does, its body without framing.
fn request(text: &str) -> Plain {
    let bytes = text.as_bytes();
    let mut head = Head::new();
    let Ok(Decoded::Complete { consumed: len, framing }) = Decoder::new().decode_request(bytes, &Limits::default(), &mut head) else {
        panic!("{text:?} is no request")
    };
    let body = match framing.body {
        lb_http::Body::Chunked => dechunked(&bytes[len..]),
        _ => bytes[len..].to_vec(),
    };
    let facts = vec![
        (Fact::Src, OwnedValue::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST))),
        (Fact::Dst, OwnedValue::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST))),
        (Fact::FeName, OwnedValue::Str((*b"fe").into())),
        (Fact::FeId, OwnedValue::Int(1)),
        (Fact::SoName, OwnedValue::Str((*b"name").into())),
        (Fact::SoId, OwnedValue::Int(1)),
        (Fact::HttpFirstReq, OwnedValue::Bool(true)),
    ];
    Plain { request: Some(head), request_body: body, whole: true, facts, users: vec![("joe", "secret")], ..Plain::default() }
}

fn dechunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|w| w == b"\r\n").expect("a size");
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).expect("digits"), 16).expect("digits");
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
}

/// Length and text of a value, as the configurations below show them; `:` when there is none.
fn ours(expr: &str, plain: &Plain) -> String {
    let (expr, as_hex) = expr.strip_suffix(",hex").map_or((expr, false), |expr| (expr, true));
    let mut names = Names::default();
    names.environment.insert("LB_EXPR_TEST".into(), "from outside".into());
    let compiled = compile_word(expr, &mut names);
    let scratch = Bump::new();
    let cx = Cx { source: plain, scratch: &scratch, side: Side::Request, last: true };
    let Eval::Value(value) = compiled.eval(cx) else { return ":".into() };
    let text = match value.bytes() {
        Some(bytes) if as_hex => hex(bytes, &scratch),
        _ => value.to_text(&scratch),
    };
    format!("{}:{}", text.len(), String::from_utf8_lossy(text))
}

/// One expression in one word, spaces included.
fn compile_word(text: &str, names: &mut Names) -> lb_expr::sample::Expr {
    let (registry, sets) = (Registry::standard(), lb_expr::acl::Sets::new());
    let mut compiler = lb_expr::sample::Compiler { registry: &registry, loader: names, sets: &sets };
    lb_expr::sample::Expr::parse(&[text], &mut 0, &mut compiler).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn exchange(port: u16, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connects");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream.write_all(bytes).expect("sends");
    stream.shutdown(Shutdown::Write).expect("half-closes");
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(e) => assert_eq!(e.kind(), ErrorKind::ConnectionReset),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn requests() {
    let (dir, port) = (directory("requests"), free_tcp());
    let mut config = format!(
        "global\n setenv LB_EXPR_TEST \"from outside\"\n tune.bufsize 65536\ndefaults\n mode http\n timeout client 5s\n timeout server 5s\n \
         timeout connect 5s\nuserlist ul\n user joe insecure-password secret\nfrontend fe\n bind 127.0.0.1:{port} name name\n option http-buffer-request\n"
    );
    let mut body = String::new();
    for (n, expr) in REQUEST.iter().enumerate() {
        config.push_str(&format!(" http-request set-var(txn.v{n}) {}\n", quoted(expr)));
        body.push_str(&format!("%[var(txn.v{n}),length]:%[var(txn.v{n})]|~"));
    }
    config.push_str(&format!(" http-request return status 200 content-type text/plain lf-string {}\n", quoted(&body)));
    let haproxy = start(dir, port, &config);
    let mut wrong = String::new();
    for text in REQUESTS {
        let answer = exchange(haproxy.port, text.as_bytes());
        let values = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?} got {answer:?}")).1;
        let values: Vec<&str> = values.split("|~").collect();
        assert_eq!(values.len(), REQUEST.len() + 1, "{text:?} got {answer:?}");
        let plain = request(text);
        for (expr, theirs) in REQUEST.iter().zip(values) {
            let ours = ours(expr, &plain);
            if ours != theirs {
                wrong.push_str(&format!("{expr} of {text:?}: {ours}, haproxy {theirs}\n"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// What an ACL finds among several values.
#[test]
fn each_value() {
    let exprs =
        ["req.hdr(x)", "req.hdr(x,1)", "req.fhdr(x)", "req.cook(a)", "req.cook", "urlp(a)", "urlp", "urlp(a,;)", "req.hdr", "req.hdr()"];
    let candidates = ["a", "b", "1", "2", "3", "5", "x", "c,d", "b,,c", "z", "12", "h"];
    let (dir, port) = (directory("each"), free_tcp());
    let mut config =
        format!("defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\nfrontend fe\n bind 127.0.0.1:{port}\n");
    let mut body = String::new();
    for (n, (expr, candidate)) in exprs.iter().flat_map(|e| candidates.iter().map(move |c| (e, c))).enumerate() {
        config.push_str(&format!(" http-request set-var(txn.v{n}) int(1) if {{ {expr} -m str {candidate} }}\n"));
        body.push_str(&format!("%[var(txn.v{n})]|"));
    }
    config.push_str(&format!(" http-request return status 200 content-type text/plain lf-string {}\n", quoted(&body)));
    let haproxy = start(dir, port, &config);
    for text in REQUESTS {
        let answer = exchange(haproxy.port, text.as_bytes());
        let theirs = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?} got {answer:?}")).1;
        let plain = request(text);
        let mut ours = String::new();
        for expr in exprs {
            let each = support::each(expr, &plain);
            for candidate in candidates {
                ours.push_str(if each.iter().any(|value| value == candidate) { "1|" } else { "|" });
            }
        }
        assert_eq!(ours, theirs, "{text:?}");
    }
}

/// Expressions over bytes.
const BUFFER: &[&str] = &[
    "req.len",
    "req.payload(0,2),hex",
    "req.payload(2,0),hex",
    "payload(1,3),hex",
    "req.payload(0,100000),hex",
    "req.payload_lv(0,1),hex",
    "req.payload_lv(0,1,+1),hex",
    "req.payload_lv(0,1,-1),hex",
    "req.payload_lv(0,1,2),hex",
    "req.payload_lv(1,2,0),hex",
    "payload_lv(2,2),hex",
    "req.payload_lv(0,5),hex",
    "req.ssl_sni",
    "req_ssl_sni",
    "req.ssl_ver",
    "req.ssl_hello_type",
    "req.ssl_alpn",
    "req.ssl_ec_ext",
    "req.ssl_st_ext",
    "req.rdp_cookie",
    "req.rdp_cookie(mstshash)",
    "rdp_cookie(MSTSHASH)",
    "rdp_cookie(x)",
    "req.rdp_cookie_cnt",
    "rdp_cookie_cnt(mstshash)",
    "distcc_param(DIST)",
    "distcc_param(ARGC)",
    "distcc_param(ARGV,2)",
    "distcc_param(ARGV,-1)",
    "distcc_body(ARGV,2)",
    "distcc_body(ARGV)",
    "distcc_body(ARGC)",
    "distcc_param(DOTI)",
    "distcc_body(DOTI)",
    "wait_end",
    "src",
    "fe_name",
];

/// A client's hello with these extensions.
fn hello(record_version: u16, version: u16, extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let mut list = Vec::new();
    for (kind, body) in extensions {
        list.extend_from_slice(&kind.to_be_bytes());
        list.extend_from_slice(&(body.len() as u16).to_be_bytes());
        list.extend_from_slice(body);
    }
    let mut hello = version.to_be_bytes().to_vec();
    hello.extend_from_slice(&[7; 32]);
    hello.push(4);
    hello.extend_from_slice(b"sess");
    hello.extend_from_slice(&[0, 4, 0x13, 0x01, 0x13, 0x02, 1, 0]);
    hello.extend_from_slice(&(list.len() as u16).to_be_bytes());
    hello.extend_from_slice(&list);
    let mut record = vec![22];
    record.extend_from_slice(&record_version.to_be_bytes());
    record.extend_from_slice(&(hello.len() as u16 + 4).to_be_bytes());
    record.extend_from_slice(&[1, 0]);
    record.extend_from_slice(&(hello.len() as u16).to_be_bytes());
    record.extend_from_slice(&hello);
    record
}

fn buffers() -> Vec<Vec<u8>> {
    let sni: &[u8] = b"\0\x12\0\0\x0fwww.example.org";
    let full = hello(0x301, 0x303, &[(0, sni), (10, b"\0\x02\0\x1d"), (35, b"ticket"), (16, b"\0\x0c\x02h2\x08http/1.1")]);
    let rdp = b"\x03\0\0\x2b\x26\xe0\0\0\0\0\0Cookie: mstshash=admin\r\n\x01\0\x08\0\0\0\0\0".to_vec();
    let distcc = b"DIST00000001ARGC00000002ARGV00000002ccARGV00000003-ccDOTI00000005hello".to_vec();
    let mut all = vec![
        b"\x02abcdef".to_vec(),
        b"\x00\x01\x00\x02ab".to_vec(),
        full.clone(),
        hello(0x301, 0x303, &[]),
        hello(0x303, 0x303, &[(35, b"")]),
        hello(0x303, 0x303, &[(16, b"\0\x03\x02h2"), (0, b"\0\x04\x01\0\x01x")]),
        hello(0x300, 0x300, &[(0, sni)]),
        hello(0x303, 0x303, &[(0, b"")]),
        hello(0x303, 0x303, &[(16, b"\0\x03\x09h2"), (0, sni)]),
        b"\x16\x03\x01\0\x05abcde".to_vec(),
        b"\x15\x03\x03\0\x02\x01\0xxxxxxxxx".to_vec(),
        b"\x16\x02\x01\0\x50\x01xxxxxxxxxxxxxxxx".to_vec(),
        b"\x80\x2e\x01\x03\x01\0\x15\0\0\0\x10xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx".to_vec(),
        b"\x80\x2f\x01\x03\x01\0\x15\0\0\0\x10xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx".to_vec(),
        b"\x00\x2e\x02\x01\x03\x01\0\x15\0\0\0\x10xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx".to_vec(),
        rdp.clone(),
        rdp[..20].to_vec(),
        b"\x03\0\0\x2b\x26\xe0\0\0\0\0\0Cookie: foo=admin\r\n\x01\0\x08\0\0\0\0\0xxxxx".to_vec(),
        b"\x03\0\0\x2b\x26\xe0\0\0\0\0\0cookie:mstshash=a b\r\n\x01\0\x08\0\0\0\0\0xxxxxxxxx".to_vec(),
        b"\x03\0\0\x2b\x26\xe0\0\0\0\0\0Cookie: mstshash\r\n\x01\0\x08\0\0\0\0\0xxxxxxxxxxxx".to_vec(),
        b"\x03\0\0\x0e\x09\xd0\0\0\0\0\0Cookie: mstshash=admin\r\n".to_vec(),
        b"\x02\0\0\x2b\x26\xe0\0\0\0\0\0Cookie: mstshash=admin\r\nxxxxxxxxxxxxx".to_vec(),
        distcc.clone(),
        b"DIST0000000".to_vec(),
        b"DIST0000000gARGC00000001".to_vec(),
        b"XXXX00000004abcdARGC00000007".to_vec(),
    ];
    // Cut, and with one byte changed after the other.
    for end in [5, 9, 40, 60, full.len() - 5] {
        all.push(full[..end].to_vec());
    }
    for at in (0..60).step_by(3) {
        let mut odd = full.clone();
        odd[at] ^= 0x41;
        all.push(odd);
    }
    for at in (0..rdp.len()).step_by(4) {
        let mut odd = rdp.clone();
        odd[at] ^= 0x11;
        all.push(odd);
    }
    all
}

#[test]
fn bytes_of_a_connection() {
    const MARK: &str = "@@@";
    let (dir, port) = (directory("buffers"), free_tcp());
    let syslog = UnixDatagram::bind(dir.join("log")).expect("binds");
    syslog.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let mut config = format!(
        "defaults\n mode tcp\n timeout client 5s\n timeout server 5s\n timeout connect 5s\nfrontend fe\n bind 127.0.0.1:{port}\n \
         log {} len 65535 format raw local0\n option dontlognull\n tcp-request inspect-delay 10s\n tcp-request content accept if !WAIT_END {{ req.len lt 0 }}\n",
        dir.join("log").display()
    );
    let mut format = MARK.to_owned();
    for (n, expr) in BUFFER.iter().enumerate() {
        config.push_str(&format!(" tcp-request content set-var(sess.v{n}) {}\n", quoted(expr)));
        format.push_str(&format!("%[var(sess.v{n}),length]:%[var(sess.v{n})]|"));
    }
    config.push_str(&format!(" tcp-request content reject\n log-format {}\n", quoted(&format)));
    let haproxy = start(dir, port, &config);
    let mut wrong = String::new();
    for bytes in buffers() {
        // The end of the client's bytes is the end of waiting.
        exchange(haproxy.port, &bytes);
        let mut line = vec![0; 65_535];
        let len = syslog.recv(&mut line).unwrap_or_else(|e| panic!("no line for {}: {e}", bytes.escape_ascii()));
        let line = String::from_utf8_lossy(&line[..len]).into_owned();
        let values: Vec<&str> = line.trim_end().split_once(MARK).expect("values").1.split('|').collect();
        assert_eq!(values.len(), BUFFER.len() + 1, "{line}");
        let facts = vec![(Fact::Src, OwnedValue::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST))), (Fact::FeName, OwnedValue::Str((*b"fe").into()))];
        let plain = Plain { buffer: bytes.clone(), whole: true, facts, ..Plain::default() };
        for (expr, theirs) in BUFFER.iter().zip(values) {
            // In a log line, what is not there or empty is a hyphen.
            let ours = match ours(expr, &plain) {
                absent if absent == ":" => "-:-".to_owned(),
                empty if empty == "0:" => "0:-".to_owned(),
                value => value,
            };
            if ours != theirs {
                wrong.push_str(&format!("{expr} of {}: {ours}, haproxy {theirs}\n", bytes.escape_ascii()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// haproxy's own list of its fetches: arguments, type, and where each can be used.
#[test]
fn table_of_haproxy() {
    let list = Command::new("haproxy").args(["-dKsmp", "-c", "-f", "/dev/null"]).output().expect("haproxy runs");
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    let registry = Registry::standard();
    let (mut seen, mut wrong) = (0, String::new());
    for line in list.lines().filter_map(|line| line.strip_prefix('[')) {
        let (points, rest) = line.split_once(']').expect("points");
        let (call, kind) = rest.trim().rsplit_once(": ").expect("a type");
        let (name, args) = call.split_once('(').map_or((call, ""), |(name, args)| (name, args.trim_end_matches(')')));
        let Some(fetch) = registry.fetch(name) else { continue };
        seen += 1;
        let theirs: String = points.split_whitespace().collect();
        let all = (0..22).map(|n| if fetch.need.points().has(n) { 'Y' } else { '.' });
        let own: String = all.collect();
        if own != theirs {
            wrong.push_str(&format!("{name}: {own}, haproxy {theirs}\n"));
        }
        let kinds: Vec<&str> = args.split([',', '[', ']']).filter(|kind| !kind.is_empty()).collect();
        let own: Vec<&str> = fetch.args.iter().map(|kind| if *kind == ArgKind::Variable { "string" } else { kind.name() }).collect();
        // Words that came later take more.
        if !own.starts_with(&kinds) || (own.len() > kinds.len() && !matches!(name, "urlp" | "url_param" | "urlp_val" | "req.body_param")) {
            wrong.push_str(&format!("{name} takes {own:?}, haproxy {kinds:?}\n"));
        }
        let own = match fetch.out {
            Type::Bool => "bool",
            Type::Int => "sint",
            // Of either family; named after one of them, or not at all.
            Type::Addr if matches!(kind, "ipv4" | "sint") => kind,
            Type::Addr => "addr",
            Type::Ipv4 => "ipv4",
            Type::Ipv6 => "ipv6",
            Type::Str => "str",
            Type::Bin => "bin",
            Type::Method => "meth",
            Type::Any | Type::Same => "any",
        };
        if own != kind {
            wrong.push_str(&format!("{name} is {own}, haproxy {kind}\n"));
        }
    }
    assert!(seen > 190, "{seen} fetches of haproxy are there");
    assert!(wrong.is_empty(), "{wrong}");
}

/// What haproxy says to calls that cannot be.
#[test]
fn refused_calls() {
    let calls = [
        "date(1,x)",
        "date(x)",
        "bool(x)",
        "bin(a)",
        "bin(zz)",
        "uuid(3)",
        "uuid(x)",
        "ipv4(x)",
        "ipv4()",
        "int()",
        "int",
        "req.hdr(x,-11)",
        "req.hdr(x,y)",
        "req.hdr(x,1,2)",
        "fc_rtt(x)",
        "req.payload(0)",
        "req.payload(x,1)",
        "req.payload_lv(0,0)",
        "req.payload_lv(-1,1)",
        "req.payload_lv(0,1,x)",
        "req.payload_lv(0,1,-2)",
        "capture.req.hdr",
        "distcc_param(ABC)",
        "cook(a,b)",
        "nothing",
        "nothing(",
        "req.hdr(x",
        "path(a)",
        "hdr_ip(x,-11)",
        "hdr_cnt(x,1)",
        "so_name(x)",
        "bool(yes)",
        "base32+src(1)",
        "nbsrv(be,1)",
    ];
    let dir = directory("refused");
    for call in calls {
        let config = format!(
            "defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\nfrontend fe\n bind 127.0.0.1:1\n \
             http-request set-var(txn.q) {call}\nbackend be\n server s 127.0.0.1:1\n"
        );
        std::fs::write(dir.join("c.cfg"), config).expect("writes");
        let said = Command::new("haproxy").args(["-c", "-f"]).arg(dir.join("c.cfg")).output().expect("haproxy runs");
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        let theirs = said.split("rule : ").nth(1).and_then(|text| text.lines().next()).unwrap_or_else(|| panic!("{call}: {said}"));
        let ours = compile(call, &mut Names::default()).expect_err(call);
        assert_eq!(format!("{ours}."), theirs, "{call}");
    }
    let _ = std::fs::remove_dir_all(dir);
}
