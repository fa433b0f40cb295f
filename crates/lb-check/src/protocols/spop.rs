//! SPOP, the protocol of stream processing agents: HELLO and its answer (haproxy's SPOE document, 3.2).

use super::Judged;

/// Largest frame that we take: a buffer less the frame's own length.
const MAX_FRAME: u64 = 16_380;
/// Smallest one that an agent may take.
const MIN_FRAME: u64 = 256;

const HELLO_OF_PROXY: u8 = 1;
const HELLO_OF_AGENT: u8 = 101;
const DISCONNECT_OF_AGENT: u8 = 102;
const FIN: u8 = 1;

/// Types of values.
const STRING: u8 = 8;
const TRUE: u8 = 0x11;
const UINT32: u8 = 3;

const INVALID: &str = "invalid frame received";

/// What the numbers of a disconnect mean.
const REASONS: [&str; 14] = [
    "normal",
    "I/O error",
    "a timeout occurred",
    "frame is too big",
    INVALID,
    "version value not found",
    "max-frame-size value not found",
    "capabilities value not found",
    "unsupported version",
    "max-frame-size too big or too small",
    "fragmentation not supported",
    "invalid interlaced frames",
    "frame-id not found",
    "resource allocation error",
];

/// The HELLO frame of a health check.
pub(super) fn hello_of_proxy() -> Vec<u8> {
    let mut frame = vec![HELLO_OF_PROXY, 0, 0, 0, FIN, 0, 0];
    let name = |frame: &mut Vec<u8>, name: &str| {
        frame.push(name.len() as u8);
        frame.extend_from_slice(name.as_bytes());
    };
    name(&mut frame, "supported-versions");
    frame.push(STRING);
    name(&mut frame, "2.0");
    name(&mut frame, "max-frame-size");
    frame.push(UINT32);
    write_number(MAX_FRAME, &mut frame);
    name(&mut frame, "capabilities");
    frame.push(STRING);
    name(&mut frame, "");
    name(&mut frame, "healthcheck");
    frame.push(TRUE);
    [&(frame.len() as u32).to_be_bytes()[..], &frame].concat()
}

/// Numbers of the protocol: up to 239 in a byte, else four bits there and seven in each byte that follows.
fn write_number(mut number: u64, out: &mut Vec<u8>) {
    if number < 240 {
        return out.push(number as u8);
    }
    out.push(number as u8 | 0xf0);
    number = (number - 240) >> 4;
    while number >= 128 {
        out.push(number as u8 | 0x80);
        number = (number - 128) >> 7;
    }
    out.push(number as u8);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = u64::from(self.byte()?);
        if number < 240 {
            return Some(number);
        }
        // Ten bytes hold all 64 bits.
        for shift in (4..64).step_by(7) {
            let byte = u64::from(self.byte()?);
            number = number.checked_add(byte.checked_shl(shift)?)?;
            if byte < 128 {
                return Some(number);
            }
        }
        None
    }

    fn bytes(&mut self, len: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(len).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let len = self.number()?;
        self.bytes(len)
    }

    fn value(&mut self) -> Option<Value<'a>> {
        match self.byte()? & 0x0f {
            0 | 1 => Some(Value::Other),
            2..=5 => self.number().map(Value::Number),
            6 => self.bytes(4).map(|_| Value::Other),
            7 => self.bytes(16).map(|_| Value::Other),
            8 => self.string().map(Value::Text),
            9 => self.string().map(|_| Value::Other),
            _ => None,
        }
    }
}

enum Value<'a> {
    Number(u64),
    Text(&'a [u8]),
    Other,
}

pub(super) fn hello(bytes: &[u8], last: bool) -> Judged {
    let frame = match bytes {
        [a, b, c, d, rest @ ..] => rest.get(..u32::from_be_bytes([*a, *b, *c, *d]) as usize),
        _ => None,
    };
    match frame {
        None if !last => Judged::Wait,
        frame => match judge(Reader(frame.unwrap_or_default())) {
            Some(Ok(())) => Judged::ok("SPOA server is ok"),
            Some(Err(why)) => Judged::failed(0, why),
            None => Judged::failed(0, INVALID),
        },
    }
}

/// `None`: the frame is broken.
fn judge(mut frame: Reader<'_>) -> Option<Result<(), &'static str>> {
    let kind = frame.byte()?;
    let flags = frame.bytes(4)?;
    let (stream, number) = (frame.number()?, frame.number()?);
    match kind {
        HELLO_OF_AGENT if flags[3] & FIN == 0 => return Some(Err(REASONS[10])),
        HELLO_OF_AGENT if (stream, number) == (0, 0) => {}
        DISCONNECT_OF_AGENT => return disconnect(frame).map(Err),
        _ => return None,
    }
    let (mut version, mut max_frame) = (None, None);
    while !frame.0.is_empty() {
        match (frame.string()?, frame.value()?) {
            (b"version", Value::Text(text)) => version = Some(text.trim_ascii()),
            (b"max-frame-size", Value::Number(size)) => max_frame = Some(size),
            (b"version" | b"max-frame-size", _) => return None,
            (b"capabilities", Value::Number(_) | Value::Other) => return None,
            _ => {}
        }
    }
    let Some(version) = version else { return Some(Err(REASONS[5])) };
    if version != b"2.0" {
        return Some(Err(REASONS[8]));
    }
    Some(match max_frame {
        None => Err(REASONS[6]),
        Some(MIN_FRAME..=MAX_FRAME) => Ok(()),
        Some(_) => Err(REASONS[9]),
    })
}

fn disconnect(mut frame: Reader<'_>) -> Option<&'static str> {
    let mut code = 0;
    while !frame.0.is_empty() {
        if let (b"status-code", Value::Number(number)) = (frame.string()?, frame.value()?) {
            code = number;
        }
    }
    let known = usize::try_from(code).ok().and_then(|code| REASONS.get(code));
    Some(known.copied().unwrap_or("an unknown error occurred"))
}
