//! log-forward: what senders of log messages send, told apart on a connection and taken apart.

use lb_core::log::forward::framing::{Frame, next};
use lb_core::log::forward::{Message, Time};

/// Pieces of messages.
pub const WORDS: &[&[u8]] = &[
    b"<13>",
    b"<999>",
    b"<",
    b">",
    b"1 ",
    b"- ",
    b"2026-11-28T07:26:31Z ",
    b"2026-11-28T07:26:31.123456-05:00 ",
    b"2026-00-00T99:99:99.Z ",
    b"Nov  8 07:26:31 ",
    b"Nov 28 07:26:31 ",
    b"host ",
    b"app[123]: ",
    b"app: ",
    b"[id a=\"b\"]",
    b"[id a=\"\\\"\\]\\\\\"][x] ",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b"\n",
    b"\r\n",
    b"5 hello",
    b"99999999999999999999 ",
    b"\0",
    b"\xff",
];

/// Whatever comes in whatever pieces: the same messages are found, and each is taken apart into parts of itself.
pub fn syslog(data: &[u8]) {
    for line_feeds in [false, true] {
        for max in [40, 16_384] {
            let mut rest = data;
            while let Frame::Message { skip, len, next: used } = next(rest, max, line_feeds) {
                assert!(skip + len <= used && used <= rest.len() && used > 0);
                assert!(line_feeds || len <= max || memchr_free(&rest[..used - 1]));
                assert_eq!(next(&rest[..used], max, line_feeds), Frame::Message { skip, len, next: used }, "no byte behind it changes it");
                assert_ne!(next(&rest[..used - 1], max, line_feeds), Frame::Message { skip, len, next: used });
                message(&rest[skip..skip + len]);
                rest = &rest[used..];
            }
            if next(rest, max, line_feeds) == Frame::Part {
                assert!(rest.len() < max, "a message that is too long is not waited for");
            }
        }
    }
    message(data);
}

/// A line without its feed.
fn memchr_free(bytes: &[u8]) -> bool {
    !bytes.contains(&b'\n')
}

fn message(bytes: &[u8]) {
    let m = Message::parse(bytes);
    let end = bytes.iter().rposition(|b| !matches!(b, b'\n' | 0)).map_or(0, |at| at + 1);
    let all = &bytes[..end];
    assert!(all.ends_with(m.text));
    assert_eq!(Message::unparsed(bytes).text, all);
    assert!(m.priority.is_none_or(|priority| priority <= 999));
    let time = match m.time {
        None => &b""[..],
        Some(Time::Rfc3164(date)) => date,
        Some(Time::Iso(iso)) => iso,
    };
    let mut taken = m.text.len();
    for part in [time, m.host, m.app, m.pid, m.id, m.structured] {
        assert!(part.is_empty() || all.windows(part.len()).any(|window| window == part));
        taken += part.len();
    }
    assert!(taken <= all.len(), "no byte twice");
    assert!(m.rfc5424 || (m.id.is_empty() && m.structured.is_empty()));
    assert!(![m.host, m.pid, m.id].iter().any(|part| part.contains(&b' ')));
    if let Some(time) = m.time {
        let mut room = [0; 25];
        assert!(time.iso(b"2026", &mut room).len() >= 20);
        time.rfc3164();
    }
}
