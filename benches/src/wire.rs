//! What a client sends and how it knows that the answer is complete and right. No sockets.
//!
//! Holds: an exchange is `Done` exactly when its answer's last byte was fed; bytes after it are an error (no answer comes unasked).

/// What the bytes fed so far amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    /// The answer goes on.
    More,
    /// The answer is complete.
    Done,
    /// The answer is wrong: bad framing, status other than 200, or bytes behind its end.
    Wrong,
}

/// Progress of one answer.
#[derive(Debug, Default)]
pub struct Answer {
    partial: Vec<u8>,
    body: Body,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Body {
    #[default]
    Head,
    /// Bytes to go to the end of the answer.
    Length(u64),
    /// Bytes of chunk data (with their CRLF) to go to the next size line.
    Chunk(u64),
}

/// The longest answer that is compared as a whole with the last one.
const MAX_TEMPLATE: usize = 4096;
/// An answer head or a chunk line may be this long.
const MAX_PARTIAL: usize = 16 * 1024;
/// Chunks from this size on are dropped in the kernel.
const LARGE: u64 = 16 * 1024;

/// One kind of exchange.
#[derive(Debug)]
pub struct Wire {
    /// What is sent.
    pub request: Vec<u8>,
    http: bool,
    /// The last right answer, if short: the usual case is the same bytes again. For echo: the answer.
    template: Vec<u8>,
    /// The last chunk seen was large.
    large: bool,
}

impl Wire {
    /// `GET path` as a browser sends it, with 800 bytes of fields, for the host `h99.example.org`.
    #[must_use]
    pub fn browser(path: &str) -> Self {
        let fields = [
            ("Host", "h99.example.org"),
            ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"),
            ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"),
            ("Accept-Language", "en-GB,en;q=0.9,de;q=0.8,fr;q=0.7"),
            ("Accept-Encoding", "gzip, deflate, br, zstd"),
            ("Referer", "https://www.example.org/catalogue/section-7/page-12?sort=price&order=asc"),
            ("Sec-Ch-Ua", "\"Not/A)Brand\";v=\"8\", \"Chromium\";v=\"126\", \"Google Chrome\";v=\"126\""),
            ("Sec-Ch-Ua-Mobile", "?0"),
            ("Sec-Ch-Ua-Platform", "\"Linux\""),
            ("Sec-Fetch-Dest", "document"),
            ("Sec-Fetch-Mode", "navigate"),
            ("Cookie", "session=5f2a7c1d9b3e4860a1c2d3e4f5061728; theme=dark; consent=1; _ga=GA1.2.1234567890.1700000000"),
        ];
        let mut request = format!("GET {path} HTTP/1.1\r\n");
        for (name, value) in fields {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        Self { request: request.into_bytes(), http: true, template: Vec::new(), large: false }
    }

    /// `GET path` with the headers of a plain client.
    #[must_use]
    pub fn http(path: &str, close: bool) -> Self {
        let close = if close { "Connection: close\r\n" } else { "" };
        let request = format!("GET {path} HTTP/1.1\r\nHost: bench.local\r\nUser-Agent: lb-load\r\nAccept: */*\r\n{close}\r\n").into_bytes();
        Self { request, http: true, template: Vec::new(), large: false }
    }

    /// A message of `size` bytes, answered by as many.
    #[must_use]
    pub fn echo(size: usize) -> Self {
        Self { request: vec![b'x'; size], http: false, template: vec![b'x'; size], large: false }
    }

    /// How many of the next bytes may be dropped unread; tell them to [`Wire::skipped`].
    #[must_use]
    pub fn skip(&self, answer: &Answer) -> u64 {
        match answer.body {
            Body::Length(n) if n >= LARGE => n,
            Body::Chunk(n) if n >= LARGE => n,
            _ => 0,
        }
    }

    /// `n` bytes were dropped, at most what [`Wire::skip`] allowed.
    pub fn skipped(&self, answer: &mut Answer, n: u64) -> Feed {
        match &mut answer.body {
            Body::Length(left) => {
                *left -= n;
                if *left == 0 {
                    *answer = Answer::default();
                    return Feed::Done;
                }
            }
            Body::Chunk(left) => *left -= n,
            Body::Head => {}
        }
        Feed::More
    }

    /// How many bytes to read at most: between large chunks little, since what is read is copied.
    #[must_use]
    pub fn read_size(&self, answer: &Answer) -> usize {
        if self.large && answer.body != Body::Head { 64 } else { usize::MAX }
    }

    /// Takes the next bytes of the answer.
    pub fn feed(&mut self, answer: &mut Answer, data: &[u8]) -> Feed {
        if answer.partial.is_empty() && answer.body == Body::Head && data == self.template {
            return Feed::Done;
        }
        if !self.http {
            return self.feed_echo(answer, data);
        }
        self.feed_http(answer, data)
    }

    fn feed_echo(&self, answer: &mut Answer, data: &[u8]) -> Feed {
        answer.partial.extend_from_slice(data);
        if !self.template.starts_with(&answer.partial) {
            return Feed::Wrong;
        }
        if answer.partial.len() < self.template.len() {
            return Feed::More;
        }
        answer.partial.clear();
        Feed::Done
    }

    fn feed_http(&mut self, answer: &mut Answer, mut data: &[u8]) -> Feed {
        if answer.body == Body::Head {
            answer.partial.extend_from_slice(data);
            let Some(end) = memchr::memmem::find(&answer.partial, b"\r\n\r\n") else {
                return if answer.partial.len() > MAX_PARTIAL { Feed::Wrong } else { Feed::More };
            };
            let partial = std::mem::take(&mut answer.partial);
            let (head, rest) = partial.split_at(end + 4);
            let Some(body) = framing(head) else { return Feed::Wrong };
            answer.body = body;
            let feed = self.feed_body(answer, rest);
            if feed == Feed::Done && partial.len() <= MAX_TEMPLATE {
                self.template = partial;
            }
            return feed;
        }
        if !answer.partial.is_empty() {
            answer.partial.extend_from_slice(data);
            let partial = std::mem::take(&mut answer.partial);
            return self.feed_body(answer, &partial);
        }
        self.feed_body(answer, std::mem::take(&mut data))
    }

    fn feed_body(&mut self, answer: &mut Answer, mut data: &[u8]) -> Feed {
        loop {
            match &mut answer.body {
                Body::Head => return Feed::Wrong,
                Body::Length(left) => {
                    if data.len() as u64 > *left {
                        return Feed::Wrong;
                    }
                    *left -= data.len() as u64;
                    if *left > 0 {
                        return Feed::More;
                    }
                    answer.body = Body::Head;
                    return Feed::Done;
                }
                Body::Chunk(left) => {
                    let n = (*left).min(data.len() as u64);
                    *left -= n;
                    data = &data[n as usize..];
                    if *left > 0 {
                        return Feed::More;
                    }
                    let Some(eol) = memchr::memchr(b'\n', data) else {
                        answer.partial.extend_from_slice(data);
                        return if data.len() > MAX_PARTIAL { Feed::Wrong } else { Feed::More };
                    };
                    let size = std::str::from_utf8(&data[..eol]).ok().and_then(|s| u64::from_str_radix(s.trim_end_matches('\r'), 16).ok());
                    let Some(size) = size.filter(|n| *n < 1 << 40) else { return Feed::Wrong };
                    if size == 0 {
                        // No trailers are ever sent: the last chunk is followed by one empty line.
                        if data.len() < eol + 3 {
                            answer.partial.extend_from_slice(data);
                            return Feed::More;
                        }
                        if &data[eol + 1..] != b"\r\n" {
                            return Feed::Wrong;
                        }
                        answer.body = Body::Head;
                        return Feed::Done;
                    }
                    self.large = size >= LARGE;
                    data = &data[eol + 1..];
                    *left = size + 2;
                }
            }
        }
    }
}

/// The framing that an answer's head announces; `None` unless it is a 200 with a length or chunks.
fn framing(head: &[u8]) -> Option<Body> {
    let text = std::str::from_utf8(head).ok()?.to_ascii_lowercase();
    let mut lines = text.split("\r\n");
    let status = lines.next()?;
    if !(status.starts_with("http/1.1 200") || status.starts_with("http/1.0 200")) {
        return None;
    }
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        match name {
            "content-length" => return value.trim().parse().ok().map(Body::Length),
            "transfer-encoding" if value.trim() == "chunked" => return Some(Body::Chunk(0)),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed_in_steps(bytes: &[u8], step: usize) -> Feed {
        let (mut wire, mut answer) = (Wire::http("/", false), Answer::default());
        let mut last = Feed::More;
        for piece in bytes.chunks(step) {
            assert_eq!(last, Feed::More, "ended before the last piece");
            last = wire.feed(&mut answer, piece);
            if last == Feed::Wrong {
                return last;
            }
        }
        last
    }

    #[test]
    fn ends_exactly_at_the_last_byte() {
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n";
        let length = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        for bytes in [&chunked[..], &length[..]] {
            for step in 1..=bytes.len() {
                assert_eq!(feed_in_steps(bytes, step), Feed::Done, "step {step}");
                assert_eq!(feed_in_steps(&bytes[..bytes.len() - 1], step), Feed::More, "step {step}");
            }
        }
    }

    #[test]
    fn wrong_answers_are_seen() {
        for bytes in [
            &b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK",
        ] {
            assert_eq!(feed_in_steps(bytes, bytes.len()), Feed::Wrong, "{}", String::from_utf8_lossy(bytes));
        }
        let (mut wire, mut answer) = (Wire::echo(4), Answer::default());
        assert_eq!(wire.feed(&mut answer, b"xx"), Feed::More);
        assert_eq!(wire.feed(&mut answer, b"xxx"), Feed::Wrong);
    }

    #[test]
    fn skipping_counts_like_reading() {
        let (mut wire, mut answer) = (Wire::http("/", false), Answer::default());
        assert_eq!(wire.feed(&mut answer, b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"), Feed::More);
        assert_eq!(wire.skip(&answer), 100_000);
        assert_eq!(wire.skipped(&mut answer, 99_999), Feed::More);
        assert_eq!(wire.skip(&answer), 0);
        assert_eq!(wire.feed(&mut answer, b"x"), Feed::Done);
        assert_eq!(wire.feed(&mut answer, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10000\r\nab"), Feed::More);
        assert_eq!(wire.skip(&answer), 0x10000);
        assert_eq!(wire.skipped(&mut answer, 0x10000), Feed::More);
        assert_eq!(wire.read_size(&answer), 64);
        assert_eq!(wire.feed(&mut answer, b"0\r\n\r\n"), Feed::Done);
    }
}
