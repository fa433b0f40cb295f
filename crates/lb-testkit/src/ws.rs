//! Just enough websocket (RFC 6455) for an echo test: frames as a client and a server write them. The handshake's accept key is
//! fixed text here, since a proxy does not look at it.

/// A client's handshake request for `path`.
pub fn upgrade_request(path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}

/// A server's answer to [`upgrade_request`].
pub fn upgrade_response() -> Vec<u8> {
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        .to_vec()
}

/// A final binary frame with `payload`; `mask` as clients must (section 5.3), none as servers must.
pub fn frame(payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut out = vec![0x82];
    let masked = if mask.is_some() { 0x80 } else { 0 };
    match payload.len() {
        n @ 0..126 => out.push(masked | u8::try_from(n).expect("below 126")),
        n @ 126..65536 => {
            out.push(masked | 126);
            out.extend(u16::try_from(n).expect("below 65536").to_be_bytes());
        }
        n => {
            out.push(masked | 127);
            out.extend((n as u64).to_be_bytes());
        }
    }
    match mask {
        Some(key) => {
            out.extend(key);
            out.extend(payload.iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k));
        }
        None => out.extend(payload),
    }
    out
}

/// The payload of the frame at the front of `buf` and the frame's length, `None` while it is incomplete.
pub fn parse(buf: &[u8]) -> Option<(Vec<u8>, usize)> {
    let second = *buf.get(1)?;
    let (len, mut at) = match second & 0x7f {
        126 => (usize::from(u16::from_be_bytes(*buf.get(2..)?.first_chunk()?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(*buf.get(2..)?.first_chunk()?)).ok()?, 10),
        n => (usize::from(n), 2),
    };
    let mut key = [0; 4];
    if second & 0x80 != 0 {
        key = *buf.get(at..)?.first_chunk()?;
        at += 4;
    }
    let payload = buf.get(at..at.checked_add(len)?)?;
    Some((payload.iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k).collect(), at + len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_round_trip() {
        for len in [0, 5, 125, 126, 65535, 65536] {
            let payload = crate::fixture::pattern(7, len);
            for mask in [None, Some([1, 2, 3, 4])] {
                let bytes = frame(&payload, mask);
                assert_eq!(parse(&bytes), Some((payload.clone(), bytes.len())));
                assert_eq!(parse(&bytes[..bytes.len() - 1]), None);
            }
        }
    }
}
