//! Samples of what peers send.

use lb_expr::acl::Sets;
use lb_expr::sample::{
    ArgKind, Bump, Bytes, Compiler, Context, Cursor, Cx, Eval, Expr, Fact, Loader, OwnedValue, Reference, Registry, Scope, Side, Value,
    Variable,
};
use lb_expr::{Field, LogSource, LogValue, Timestamp};
use lb_http::Head;
use lb_http::h1::{Decoded, Decoder, Limits};
use std::sync::OnceLock;

/// Pieces that messages, and hellos are made of.
pub const WORDS: &[&[u8]] = &[
    b"GET /",
    b" HTTP/1.1\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"\r\nCookie: ",
    b"\r\nSet-Cookie: ",
    b"\r\nx: ",
    b"\r\nHost: ",
    b"\r\nAuthorization: Basic ",
    b"\r\nContent-Length: 9\r\n\r\n",
    b"a=",
    b"; ",
    b",",
    b"\"",
    b"\\",
    b"&",
    b"?",
    b"=",
    b"://",
    b"1.2.3.4:",
    b"\x16\x03\x01",
    b"\x01\0\0",
    b"\0\x10",
    b"\0\x00",
    b"\0\x33",
    b"\x80\x2e\x01\x03",
    b"\xff\xff",
    b"\x03\0\0\x2b\x26\xe0\0\0\0\0\0Cookie: mstshash=",
    b"ARGV00000002",
    b"DOTIffffffff",
];

/// Over the bytes of a connection.
const BUFFER: &[&str] = &[
    "payload(0,3)",
    "req.payload(2,0)",
    "req.payload_lv(0,1)",
    "req.payload_lv(1,2,+1)",
    "req.payload_lv(0,9,-3)",
    "req.payload_lv(0,3,3)",
    "req.len",
    "req.rdp_cookie",
    "req.rdp_cookie(mstshash)",
    "req.rdp_cookie_cnt",
    "distcc_param(ARGV,2)",
    "distcc_body(ARGV)",
    "distcc_body(DOTI)",
    "req.ssl_hello_type",
    "req.ssl_sni",
    "req.ssl_ver",
    "req.ssl_alpn",
    "req.ssl_ec_ext",
    "req.ssl_st_ext",
    "req.ssl_cipherlist(1)",
    "req.ssl_supported_groups",
    "req.ssl_sigalgs",
    "req.ssl_keyshare_groups",
];

/// Over a request.
const REQUEST: &[&str] = &[
    "req.hdr(x)",
    "req.hdr(x,2)",
    "req.hdr(x,-2)",
    "req.fhdr(x,-1)",
    "req.hdr()",
    "req.hdr_cnt",
    "req.hdr_val(x)",
    "req.hdr_ip(x)",
    "req.hdr_names",
    "req.hdrs",
    "req.hdrs_bin",
    "req.cook(a)",
    "req.cook",
    "req.cook_cnt",
    "req.cook_val(a)",
    "req.cook_names",
    "url",
    "path",
    "pathq",
    "query",
    "base",
    "baseq",
    "base32",
    "url32",
    "url_ip",
    "url_port",
    "urlp",
    "urlp(a)",
    "urlp(a,;)",
    "urlp(A,?,i)",
    "urlp_val(a)",
    "req.ver",
    "method",
    "req.body",
    "req.body_param",
    "req.body_param(a)",
    "req.body_size",
    "req.len",
    "http_auth_user",
    "http_auth_pass",
    "http_auth_type",
    "http_auth_bearer",
    "http_auth_bearer(x)",
];

/// Over a response.
const RESPONSE: &[&str] = &[
    "res.hdr(x)",
    "res.hdr(x,-3)",
    "res.cook(a)",
    "res.cook",
    "res.cook_cnt(a)",
    "res.cook_names",
    "res.hdrs",
    "res.ver",
    "status",
    "res.hdr_ip(x)",
];

#[derive(Default)]
struct World<'b> {
    request: Option<Head>,
    response: Option<Head>,
    bytes: &'b [u8],
    whole: bool,
}

impl LogSource for World<'_> {
    fn value(&self, _: Field) -> LogValue<'_> {
        LogValue::Missing
    }
}

impl Context for World<'_> {
    fn head(&self, side: Side) -> Option<&Head> {
        if side == Side::Request { self.request.as_ref() } else { self.response.as_ref() }
    }

    fn body(&self, _: Side) -> Bytes<'_> {
        Bytes { bytes: self.bytes, whole: self.whole, announced: None }
    }

    fn buffer(&self, side: Side) -> Bytes<'_> {
        self.body(side)
    }

    fn fact<'a>(&'a self, _: Fact, _: &'a Bump) -> Option<Value<'a>> {
        None
    }

    fn variable<'a>(&self, _: Variable, _: &'a Bump) -> Option<Value<'a>> {
        None
    }

    fn set_variable(&self, _: Variable, _: Option<OwnedValue>) -> bool {
        true
    }

    fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    fn random(&self) -> u64 {
        7
    }
}

struct Names;

impl Loader for Names {
    fn variable(&mut self, scope: Scope, name: &str) -> Variable {
        Variable { scope, id: name.len() as u32 }
    }

    fn reference(&mut self, _: ArgKind, _: &str) -> Result<Reference, String> {
        Ok(Reference(0))
    }

    fn read(&mut self, _: &str) -> Result<Vec<u8>, String> {
        Ok(b"a 1\nb 2\n".to_vec())
    }

    fn environment(&self, name: &str) -> Option<String> {
        (name.len() % 2 == 0).then(|| name.to_owned())
    }
}

fn compile(text: &str) -> Option<Expr> {
    let (registry, sets) = (registry(), Sets::new());
    let mut at = 0;
    Expr::parse(&[text], &mut at, &mut Compiler { registry, loader: &mut Names, sets: &sets }).ok()
}

fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(Registry::standard)
}

fn compiled(all: &'static [&'static str], once: &'static OnceLock<Vec<Expr>>) -> &'static [Expr] {
    once.get_or_init(|| all.iter().map(|text| compile(text).unwrap_or_else(|| panic!("{text}"))).collect())
}

/// The value, and whether more bytes may change it.
fn eval<'a>(expr: &'a Expr, world: &'a World<'a>, scratch: &'a Bump, last: bool) -> (Eval<'a>, bool) {
    let mut cursor = Cursor::default();
    let value = expr.next(Cx { source: world, scratch, side: Side::Request, last }, &mut cursor);
    (value, cursor.partial)
}

/// All values, one after the other: the walk comes to an end.
fn walk(expr: &Expr, world: &World<'_>, scratch: &Bump, limit: usize) {
    let mut cursor = Cursor::each();
    for _ in 0..=limit {
        let found = expr.next(Cx { source: world, scratch, side: Side::Request, last: true }, &mut cursor);
        assert_ne!(found, Eval::NeedMore, "{expr:?}");
        if !cursor.more {
            return;
        }
    }
    panic!("{expr:?} has no end");
}

/// Any bytes as the beginning of a connection, as a request and as a response. What is said of a beginning stays true when more has come,
/// unless it was said to be open.
pub fn samples(data: &[u8]) {
    static OF_BUFFER: OnceLock<Vec<Expr>> = OnceLock::new();
    static OF_REQUEST: OnceLock<Vec<Expr>> = OnceLock::new();
    static OF_RESPONSE: OnceLock<Vec<Expr>> = OnceLock::new();
    let scratch = Bump::new();
    let begun = World { bytes: &data[..data.len() / 2], ..World::default() };
    let open = World { bytes: data, ..World::default() };
    let whole = World { bytes: data, whole: true, ..World::default() };
    for expr in compiled(BUFFER, &OF_BUFFER) {
        let (first, partial) = eval(expr, &begun, &scratch, false);
        let (second, _) = eval(expr, &open, &scratch, false);
        if first != Eval::NeedMore && !partial {
            assert_eq!(first, second, "{expr:?}");
        }
        let (end, _) = eval(expr, &whole, &scratch, false);
        assert_ne!(end, Eval::NeedMore, "{expr:?}");
        assert_ne!(eval(expr, &open, &scratch, true).0, Eval::NeedMore, "{expr:?}");
        walk(expr, &whole, &scratch, data.len());
    }
    let mut head = Head::new();
    if let Ok(Decoded::Complete { consumed, .. }) = Decoder::new().decode_request(data, &Limits::default(), &mut head) {
        let world = World { request: Some(head.clone()), bytes: &data[consumed..], whole: true, ..World::default() };
        compiled(REQUEST, &OF_REQUEST).iter().for_each(|expr| walk(expr, &world, &scratch, data.len()));
    }
    let end = data.windows(4).position(|w| w == b"\r\n\r\n").map_or(data.len(), |at| at + 4);
    head.start_response(lb_http::Version::Http11, 200, b"OK");
    for line in data[..end].split(|b| *b == b'\n').skip(1) {
        if let Some(colon) = line.iter().position(|b| *b == b':') {
            head.append(&line[..colon], line[colon + 1..].trim_ascii());
        }
    }
    let world = World { response: Some(head), bytes: &data[end..], whole: true, ..World::default() };
    compiled(RESPONSE, &OF_RESPONSE).iter().for_each(|expr| walk(expr, &world, &scratch, data.len()));
}
