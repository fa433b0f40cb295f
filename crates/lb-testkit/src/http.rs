//! Just enough HTTP/1 for test peers: where a message ends, and a small client. Not a validating parser: the programs under
//! test are what judges messages.

use crate::wait::patience;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};

/// Where the message at the front of a buffer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// More bytes are needed to tell, or to complete it.
    Incomplete,
    /// It takes this many bytes.
    Bytes(usize),
    /// It ends with the connection.
    ToEof,
}

/// Finds `needle` in `haystack`.
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return Some(0);
    }
    haystack.windows(needle.len()).position(|w| w == needle)
}

/// The length of the head at the front of `buf`, with its empty line.
pub fn head_len(buf: &[u8]) -> Option<usize> {
    find(buf, b"\r\n\r\n").map(|at| at + 4)
}

/// The value of the first header `name` (any case) of a head.
pub fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    head.split(|&b| b == b'\n').skip(1).find_map(|line| {
        let colon = line.iter().position(|&b| b == b':')?;
        line[..colon].eq_ignore_ascii_case(name.as_bytes()).then(|| line[colon + 1..].trim_ascii())
    })
}

fn body_len(buf: &[u8], head: usize, otherwise: Length) -> Length {
    let headers = &buf[..head];
    if header(headers, "transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().ends_with(b"chunked")) {
        return chunked_len(&buf[head..]).map_or(Length::Incomplete, |n| Length::Bytes(head + n));
    }
    let declared = header(headers, "content-length").and_then(|v| std::str::from_utf8(v).ok()?.parse::<usize>().ok());
    match declared {
        Some(n) if buf.len() >= head + n => Length::Bytes(head + n),
        Some(_) => Length::Incomplete,
        None => otherwise,
    }
}

/// The length of the request at the front of `buf`.
pub fn request_len(buf: &[u8]) -> Length {
    head_len(buf).map_or(Length::Incomplete, |head| body_len(buf, head, Length::Bytes(head)))
}

/// The length of the response at the front of `buf`; `to_head` when it answers a HEAD request.
pub fn response_len(buf: &[u8], to_head: bool) -> Length {
    let Some(head) = head_len(buf) else { return Length::Incomplete };
    let status = status_of(buf);
    if to_head || matches!(status, 100..200 | 204 | 304) {
        return Length::Bytes(head);
    }
    body_len(buf, head, Length::ToEof)
}

/// The status code of a response, 0 when there is none.
pub fn status_of(head: &[u8]) -> u16 {
    head.split(|&b| b == b' ').nth(1).and_then(|w| std::str::from_utf8(w.get(..3)?).ok()?.parse().ok()).unwrap_or(0)
}

/// The length of a chunked body with its trailer section, `None` when it is not complete.
fn chunked_len(buf: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = find(&buf[at..], b"\r\n")?;
        let digits: Vec<u8> = buf[at..at + line].iter().copied().take_while(u8::is_ascii_hexdigit).collect();
        let size = usize::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?;
        at += line + 2;
        if size == 0 {
            loop {
                let line = find(&buf[at..], b"\r\n")?;
                at += line + 2;
                if line == 0 {
                    return Some(at);
                }
            }
        }
        at = at.checked_add(size)?.checked_add(2)?;
        if at > buf.len() {
            return None;
        }
    }
}

/// The content of a chunked body.
pub fn dechunk(buf: &[u8]) -> Vec<u8> {
    let (mut at, mut out) = (0, Vec::new());
    while let Some(line) = buf.get(at..).and_then(|rest| find(rest, b"\r\n")) {
        let digits: String = buf[at..at + line].iter().map(|&b| char::from(b)).take_while(char::is_ascii_hexdigit).collect();
        let Ok(size @ 1..) = usize::from_str_radix(&digits, 16) else { break };
        at += line + 2;
        out.extend(buf.get(at..(at + size).min(buf.len())).unwrap_or_default());
        at += size + 2;
    }
    out
}

/// A response as the mini client got it.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Status line and headers, with the empty line.
    pub head: Vec<u8>,
    /// The body, chunking removed.
    pub body: Vec<u8>,
    /// Whether the body ended with the connection.
    pub closed: bool,
}

impl Response {
    /// The value of the first header `name`.
    pub fn header(&self, name: &str) -> Option<String> {
        header(&self.head, name).map(|v| String::from_utf8_lossy(v).into_owned())
    }
}

/// A client connection that sends what it is told and reads whole responses.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buf: Vec<u8>,
}

impl Connection {
    /// Connects; reads and writes get the usual patience as their limit.
    pub fn open(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience()))?;
        stream.set_write_timeout(Some(patience()))?;
        Ok(Connection { stream, buf: Vec::new() })
    }

    /// The socket itself.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Closes our direction.
    pub fn half_close(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Reads one response (interim ones count as one each).
    pub fn response(&mut self, to_head: bool) -> io::Result<Response> {
        let mut eof = false;
        let len = loop {
            match response_len(&self.buf, to_head) {
                Length::Bytes(n) => break n,
                Length::ToEof if eof => break self.buf.len(),
                _ if eof => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended within a response")),
                _ => eof = self.read_some()? == 0,
            }
        };
        let message: Vec<u8> = self.buf.drain(..len).collect();
        let head = head_len(&message).unwrap_or(len);
        let chunked = header(&message[..head], "transfer-encoding").is_some();
        let body = if chunked { dechunk(&message[head..]) } else { message[head..].to_vec() };
        Ok(Response { status: status_of(&message), head: message[..head].to_vec(), body, closed: eof })
    }

    /// Reads until the other side closes and gives all that came.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.read_some()? > 0 {}
        Ok(std::mem::take(&mut self.buf))
    }

    /// Whether the other side has closed (waits for it up to the read timeout; false when data came instead).
    pub fn at_eof(&mut self) -> bool {
        self.buf.is_empty()
            && match self.read_some() {
                Ok(n) => n == 0,
                Err(e) => e.kind() == io::ErrorKind::ConnectionReset,
            }
    }

    fn read_some(&mut self) -> io::Result<usize> {
        let mut piece = [0; 16384];
        let n = self.stream.read(&mut piece)?;
        self.buf.extend(&piece[..n]);
        Ok(n)
    }

    /// Sends a request and reads its answer.
    pub fn exchange(&mut self, request: impl AsRef<[u8]>) -> io::Result<Response> {
        let to_head = request.as_ref().starts_with(b"HEAD ");
        self.send(request)?;
        self.response(to_head)
    }
}

/// One GET on a connection of its own.
pub fn get(addr: impl ToSocketAddrs, path: &str) -> io::Result<Response> {
    Connection::open(addr)?.exchange(format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        assert_eq!(request_len(b"GET / HTTP/1.1\r\n"), Length::Incomplete);
        assert_eq!(request_len(b"GET / HTTP/1.1\r\n\r\nGET"), Length::Bytes(18));
        assert_eq!(request_len(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab"), Length::Incomplete);
        assert_eq!(request_len(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcd"), Length::Bytes(41));
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nt: 1\r\n\r\n";
        assert_eq!(response_len(chunked, false), Length::Bytes(chunked.len()));
        assert_eq!(response_len(&chunked[..chunked.len() - 1], false), Length::Incomplete);
        assert_eq!(response_len(b"HTTP/1.0 200 OK\r\n\r\n", false), Length::ToEof);
        assert_eq!(response_len(b"HTTP/1.0 304 NM\r\n\r\n", false), Length::Bytes(19));
    }

    #[test]
    fn dechunks() {
        assert_eq!(dechunk(b"3;x\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), b"abcde");
    }
}
