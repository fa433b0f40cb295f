//! What a proxy answers by itself: built-in pages, `errorfile` contents, `errorloc` redirects.
//!
//! Byte for byte what haproxy 2.6 sends. It sends its pages in two dresses: through a stream, with names in lower case
//! and a `connection` field that fits the client; and straight from the connection when there is no stream yet (a head
//! that does not parse, `timeout http-request`), with names and order as written in [`Page::write_early`].

use crate::h1::{Decoded, Decoder, Limits, ResponseTo};
use crate::head::{Head, Version};
use crate::hop::{self, Wanted};
use crate::name::FieldId;
use std::io::Write;

/// A built-in page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The status.
    pub status: u16,
    /// The reason phrase.
    pub reason: &'static str,
    /// The whole body.
    pub body: &'static str,
}

macro_rules! pages {
    ($($status:literal $reason:literal $text:literal)*) => {
        /// Every built-in page, by status.
        pub const PAGES: &[Page] = &[$(Page {
            status: $status,
            reason: $reason,
            body: concat!("<html><body><h1>", $status, " ", $reason, "</h1>\n", $text, "\n</body></html>\n"),
        }),*];
    };
}

pages! {
    200 "OK" "Service ready."
    400 "Bad request" "Your browser sent an invalid request."
    401 "Unauthorized" "You need a valid user and password to access this content."
    403 "Forbidden" "Request forbidden by administrative rules."
    404 "Not Found" "The resource could not be found."
    405 "Method Not Allowed" "A request was made of a resource using a request method not supported by that resource"
    407 "Unauthorized" "You need a valid user and password to access this content."
    408 "Request Time-out" "Your browser didn't send a complete request in time."
    410 "Gone" "The resource is no longer available and will not be available again."
    413 "Payload Too Large" "The request entity exceeds the maximum allowed."
    421 "Misdirected Request" "Request sent to a non-authoritative server."
    422 "Unprocessable Content" "The server cannot process the contained instructions."
    425 "Too Early" "Your browser sent early data."
    429 "Too Many Requests" "You have sent too many requests in a given amount of time."
    500 "Internal Server Error" "An internal server error occurred."
    501 "Not Implemented" ".The server does not support the functionality required to fulfill the request."
    502 "Bad Gateway" "The server returned an invalid or incomplete response."
    503 "Service Unavailable" "No server is available to handle this request."
    504 "Gateway Time-out" "The server didn't respond in time."
}

/// The built-in page for `status`.
#[must_use]
pub fn page(status: u16) -> Option<&'static Page> {
    PAGES.iter().find(|p| p.status == status)
}

impl Page {
    /// True when the connection is closed after this page whatever the client asked for (400 and 408).
    #[must_use]
    pub fn closes(&self) -> bool {
        matches!(self.status, 400 | 408)
    }

    /// Fills `head` with the page's head, without a `connection` field: for rules to change before it is sent.
    pub fn to_head(&self, head: &mut Head) {
        head.start_response(Version::Http11, self.status, self.reason.as_bytes());
        head.append(b"content-length", self.body.len().to_string().as_bytes());
        head.append(b"cache-control", b"no-cache");
        head.append(b"content-type", b"text/html");
    }

    /// Appends the page as a stream sends it. `keep_alive`: the client's connection lives on; ignored when
    /// [`Page::closes`]. `without_body`: the request was HEAD.
    pub fn write(&self, client: Version, keep_alive: bool, without_body: bool, out: &mut Vec<u8>) {
        let connection = match (keep_alive && !self.closes(), client) {
            (false, _) => "connection: close\r\n",
            (true, Version::Http10) => "connection: keep-alive\r\n",
            (true, Version::Http11) => "",
        };
        let (status, reason, len) = (self.status, self.reason, self.body.len());
        let body = if without_body { "" } else { self.body };
        write!(
            out,
            "HTTP/1.1 {status} {reason}\r\ncontent-length: {len}\r\ncache-control: no-cache\r\ncontent-type: text/html\r\n{connection}\r\n{body}"
        )
        .expect("writing to a Vec does not fail");
    }

    /// Appends the page as haproxy sends it when a request's head could not be read; the connection is closed after it.
    pub fn write_early(&self, out: &mut Vec<u8>) {
        let connection = if self.closes() { "Connection: close\r\n" } else { "" };
        let (status, reason, len, body) = (self.status, self.reason, self.body.len(), self.body);
        write!(
            out,
            "HTTP/1.1 {status} {reason}\r\nContent-length: {len}\r\nCache-Control: no-cache\r\n{connection}Content-Type: text/html\r\n\r\n{body}"
        )
        .expect("writing to a Vec does not fail");
    }
}

/// What an `errorfile` holds.
#[derive(Clone, Debug)]
pub enum ErrorFile {
    /// An empty file (`/dev/null`): the connection is closed without an answer.
    Silent,
    /// A response.
    Response(Box<Custom>),
}

/// A response that an operator wrote.
#[derive(Clone, Debug)]
pub struct Custom {
    /// Status line and fields, hop-by-hop fields taken out.
    pub head: Head,
    /// All bytes after the empty line.
    pub body: Vec<u8>,
    /// The file says `Connection: close`, or has no `Content-Length`: the connection cannot live on.
    pub close: bool,
}

/// Why an `errorfile` cannot be used. The texts are those of haproxy's alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrorFileError {
    /// No complete response head.
    #[error("unable to parse headers (error offset: {0})")]
    Head(i64),
    /// 1xx.
    #[error("invalid http status code for an error message ({0})")]
    Status(u16),
    /// `Transfer-Encoding`.
    #[error("chunk-encoded payload not supported")]
    Chunked,
    /// `Content-Length` is not the length of the body.
    #[error("payload size does not match the announced content-length ({body} != {announced})")]
    Length {
        /// Bytes there are.
        body: u64,
        /// Bytes announced.
        announced: u64,
    },
}

impl ErrorFile {
    /// Reads the content of an `errorfile`.
    ///
    /// # Errors
    /// See [`ErrorFileError`].
    pub fn parse(content: &[u8]) -> Result<ErrorFile, ErrorFileError> {
        if content.is_empty() {
            return Ok(ErrorFile::Silent);
        }
        let mut head = Head::new();
        let limits = Limits { max_head: content.len() + 1, ..Limits::default() };
        let to = ResponseTo { upgrade: true, ..ResponseTo::default() };
        let (consumed, framing) = match Decoder::new().decode_response(content, &limits, to, &mut head) {
            Ok(Decoded::Complete { consumed, framing }) => (consumed, framing),
            Ok(Decoded::Partial) => return Err(ErrorFileError::Head(-2)),
            Err(e) => return Err(ErrorFileError::Head(i64::try_from(e.offset).unwrap_or(i64::MAX))),
        };
        if head.status() < 200 {
            return Err(ErrorFileError::Status(head.status()));
        }
        if head.has(FieldId::TransferEncoding) {
            return Err(ErrorFileError::Chunked);
        }
        let body = content[consumed..].to_vec();
        let announced = head.get_id(FieldId::ContentLength).and_then(|v| std::str::from_utf8(v).ok()?.parse().ok());
        if let Some(announced) = announced.filter(|&n: &u64| n != body.len() as u64) {
            return Err(ErrorFileError::Length { body: body.len() as u64, announced });
        }
        Ok(ErrorFile::Response(Box::new(Custom { close: framing.close || announced.is_none(), head, body })))
    }
}

impl Custom {
    /// Appends the response. `keep_alive` and `without_body` as in [`Page::write`].
    pub fn write(&self, client: Version, keep_alive: bool, without_body: bool, out: &mut Vec<u8>) {
        let mut head = self.head.clone();
        let wanted = if keep_alive && !self.close { Wanted::KeepAlive } else { Wanted::Close };
        hop::set_response_connection(&mut head, wanted, client);
        crate::h1::Encoder::new().encode_response(&head, out);
        if !without_body {
            out.extend_from_slice(&self.body);
        }
    }
}

/// Fills `head` with what `errorloc302` (also `errorloc`) and `errorloc303` answer; the body is empty. `status` is 302
/// or 303.
pub fn errorloc(head: &mut Head, status: u16, location: &[u8]) {
    head.start_response(Version::Http11, status, if status == 303 { b"See Other" } else { b"Found" });
    head.append(b"cache-control", b"no-cache");
    head.append(b"content-length", b"0");
    head.append(b"location", location);
}

/// The reason phrase haproxy gives a status that a rule returns (`http-request return status N`); built-in pages have
/// their own, see [`Page::reason`].
#[must_use]
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        210 => "Content Different",
        226 => "IM Used",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        310 => "Too many Redirects",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Time-out",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Requested range unsatisfiable",
        417 => "Expectation failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Method failure",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        449 => "Retry With",
        450 => "Blocked by Windows Parental Controls",
        451 => "Unavailable For Legal Reasons",
        456 => "Unrecoverable Error",
        499 => "client has closed connection",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway or Proxy Error",
        503 => "Service Unavailable",
        504 => "Gateway Time-out",
        505 => "HTTP Version not supported",
        506 => "Variant also negotiate",
        507 => "Insufficient storage",
        508 => "Loop detected",
        509 => "Bandwidth Limit Exceeded",
        510 => "Not extended",
        511 => "Network authentication required",
        520 => "Web server is returning an unknown error",
        s if s / 100 == 2 => "Success",
        s if s / 100 == 3 => "Redirection",
        s if s / 100 == 4 => "Client Error",
        s if s / 100 == 5 => "Server Error",
        _ => "",
    }
}
