//! What the origin answers, prepared once per path: a head, a block written so and so often, a tail.
//!
//! | path | answer |
//! |---|---|
//! | `/` and anything else | 200 with a body of 100 bytes |
//! | `/len/BYTES` | 200 with that `Content-Length` |
//! | `/chunk/BYTES/CHUNK` | 200, chunked, in chunks of CHUNK bytes |

/// Bodies are written in pieces of at least this size, so that small chunks cost the origin no more than large ones.
const BLOCK: u64 = 256 * 1024;
/// The largest object or chunk that a path may ask for.
const MAX: u64 = 1 << 34;

/// One answer as a sequence of byte slices.
#[derive(Debug)]
pub struct Plan {
    head: Vec<u8>,
    block: Vec<u8>,
    repeat: u64,
    tail: Vec<u8>,
}

/// Where an answer stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cursor {
    /// 0 is the head, 1 to `repeat` the blocks, then the tail.
    piece: u64,
    offset: usize,
}

impl Plan {
    /// A fixed answer.
    #[must_use]
    pub fn fixed(bytes: Vec<u8>) -> Self {
        Self { head: bytes, block: Vec::new(), repeat: 0, tail: Vec::new() }
    }

    /// The answer for a request path.
    #[must_use]
    pub fn for_path(path: &str, close: bool) -> Self {
        let words: Vec<&str> = path.split('/').skip(1).collect();
        let number = |i: usize| words.get(i).and_then(|w| w.parse::<u64>().ok()).filter(|n| (1..=MAX).contains(n));
        match (words.first().copied(), number(1), number(2)) {
            (Some("len"), Some(size), None) => Self::with_length(size, close),
            (Some("chunk"), Some(size), Some(chunk)) => Self::chunked(size, chunk, close),
            _ => Self::with_length(100, close),
        }
    }

    fn with_length(size: u64, close: bool) -> Self {
        let head = head(&format!("Content-Length: {size}"), close);
        let block = vec![b'x'; size.min(BLOCK) as usize];
        let repeat = size / block.len() as u64;
        let tail = vec![b'x'; (size % block.len() as u64) as usize];
        if repeat == 1 && tail.is_empty() {
            // One write for a small object.
            let mut bytes = head;
            bytes.extend_from_slice(&block);
            return Self::fixed(bytes);
        }
        Self { head, block, repeat, tail }
    }

    fn chunked(size: u64, chunk: u64, close: bool) -> Self {
        let whole = size / chunk;
        let mut unit = Vec::new();
        put_chunk(&mut unit, chunk);
        // As many chunks per block as reach BLOCK bytes; what is left over goes into the tail.
        let per_block = (BLOCK / chunk).clamp(1, whole.max(1));
        let repeat = whole / per_block;
        let mut tail = unit.repeat((whole % per_block) as usize);
        if !size.is_multiple_of(chunk) {
            put_chunk(&mut tail, size % chunk);
        }
        tail.extend_from_slice(b"0\r\n\r\n");
        Self { head: head("Transfer-Encoding: chunked", close), block: unit.repeat(per_block as usize), repeat, tail }
    }

    /// The bytes to write next; `None` at the end.
    #[must_use]
    pub fn rest(&self, at: Cursor) -> Option<&[u8]> {
        let piece = self.piece(at.piece)?;
        let rest = &piece[at.offset..];
        if rest.is_empty() { self.rest(Cursor { piece: at.piece + 1, offset: 0 }) } else { Some(rest) }
    }

    /// Moves `at` on by `n` written bytes, at most what [`Plan::rest`] gave.
    #[must_use]
    pub fn advance(&self, mut at: Cursor, n: usize) -> Cursor {
        while self.piece(at.piece).is_some_and(|p| p.len() == at.offset) {
            at = Cursor { piece: at.piece + 1, offset: 0 };
        }
        at.offset += n;
        at
    }

    fn piece(&self, index: u64) -> Option<&[u8]> {
        match index {
            0 => Some(&self.head),
            i if i <= self.repeat => Some(&self.block),
            i if i == self.repeat + 1 => Some(&self.tail),
            _ => None,
        }
    }
}

fn head(framing: &str, close: bool) -> Vec<u8> {
    let close = if close { "Connection: close\r\n" } else { "" };
    format!("HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: text/plain\r\n{framing}\r\n{close}\r\n").into_bytes()
}

fn put_chunk(out: &mut Vec<u8>, size: u64) {
    out.extend_from_slice(format!("{size:x}\r\n").as_bytes());
    out.resize(out.len() + size as usize, b'x');
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(plan: &Plan, step: usize) -> Vec<u8> {
        let (mut at, mut out) = (Cursor::default(), Vec::new());
        while let Some(rest) = plan.rest(at) {
            let n = rest.len().min(step);
            out.extend_from_slice(&rest[..n]);
            at = plan.advance(at, n);
        }
        out
    }

    fn body(bytes: &[u8]) -> &[u8] {
        let end = memchr::memmem::find(bytes, b"\r\n\r\n").expect("a head");
        &bytes[end + 4..]
    }

    #[test]
    fn lengths() {
        for size in [1, 100, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7] {
            let plan = Plan::for_path(&format!("/len/{size}"), false);
            for step in [1000, usize::MAX] {
                assert_eq!(body(&written(&plan, step)).len() as u64, size);
            }
        }
        assert_eq!(body(&written(&Plan::for_path("/", false), 7)).len(), 100);
    }

    #[test]
    fn chunks_add_up() {
        for (size, chunk) in [(10, 3), (4096 * 200, 4096), (BLOCK * 4, BLOCK), (BLOCK * 3 + 5, BLOCK), (3, 10)] {
            let bytes = written(&Plan::for_path(&format!("/chunk/{size}/{chunk}"), false), 999);
            let (mut rest, mut total) = (body(&bytes), 0u64);
            loop {
                let eol = memchr::memmem::find(rest, b"\r\n").expect("a size line");
                let n = u64::from_str_radix(std::str::from_utf8(&rest[..eol]).expect("hex"), 16).expect("hex");
                rest = &rest[eol + 2..];
                if n == 0 {
                    assert_eq!(rest, b"\r\n");
                    break;
                }
                total += n;
                assert_eq!(&rest[n as usize..n as usize + 2], b"\r\n");
                rest = &rest[n as usize + 2..];
            }
            assert_eq!(total, size, "{size} in chunks of {chunk}");
        }
    }
}
