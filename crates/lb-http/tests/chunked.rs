//! Chunked bodies, sound and hostile, whole and one byte at a time.

use lb_http::chunk::{self, ChunkError, Decoder, Event};

struct Body {
    data: Vec<u8>,
    trailers: String,
    /// Bytes of the input that belong to the body.
    used: usize,
}

/// Decodes `input` that comes in pieces of `step` bytes; `None` when it ends too soon.
fn decode_in(mut decoder: Decoder, input: &[u8], step: usize) -> Result<Option<Body>, ChunkError> {
    let (mut buf, mut fed, mut used, mut data) = (Vec::new(), 0, 0, Vec::new());
    loop {
        let got = decoder.decode(&buf)?;
        buf.drain(..got.consumed);
        used += got.consumed;
        match got.event {
            Event::End => {
                let trailers = String::from_utf8_lossy(decoder.trailer_lines()).into_owned();
                return Ok(Some(Body { data, trailers, used }));
            }
            Event::Data(n) => {
                assert!(n > 0 && n <= buf.len() && n as u64 <= decoder.remaining());
                // Takes a part only, as a full pipe would.
                let n = n.div_ceil(2);
                data.extend(buf.drain(..n));
                used += n;
                decoder.advance_data(n as u64)?;
            }
            Event::NeedMore => {
                assert!(buf.is_empty(), "framing is consumed as it comes");
                if fed == input.len() {
                    return Ok(None);
                }
                let next = input.len().min(fed + step);
                buf.extend_from_slice(&input[fed..next]);
                fed = next;
            }
        }
    }
}

/// What of `input`, in pieces of `step` bytes, goes on to the next one: with [`Decoder::pass`] or without it. The second number counts what
/// has passed.
fn forward(input: &[u8], step: usize, passes: bool) -> (Vec<u8>, usize) {
    let (mut decoder, mut buf, mut out, mut passed) = (Decoder::new(8192, 100), Vec::new(), Vec::new(), 0);
    for piece in input.chunks(step) {
        buf.extend_from_slice(piece);
        while !buf.is_empty() {
            let starts = decoder.remaining() == 0;
            let Ok(got) = decoder.decode(&buf) else { return (out, passed) };
            buf.drain(..got.consumed);
            if starts && decoder.remaining() != 0 {
                chunk::write_size(decoder.remaining(), &mut out);
            }
            match got.event {
                Event::End => {
                    chunk::write_last(decoder.trailer_lines(), &mut out);
                    return (out, passed);
                }
                Event::Data(n) => {
                    let (plain, data) = if passes { decoder.pass(&buf) } else { (0, 0) };
                    assert!(data <= plain && plain <= buf.len());
                    passed += plain;
                    out.extend(buf.drain(..plain));
                    if plain != 0 {
                        continue;
                    }
                    let ends = n as u64 == decoder.remaining();
                    out.extend(buf.drain(..n));
                    decoder.advance_data(n as u64).unwrap();
                    if ends {
                        chunk::write_chunk_end(&mut out);
                    }
                }
                Event::NeedMore => {}
            }
        }
    }
    (out, passed)
}

/// The same outcome for several fragmentations, whether what is plain passes as it stands or not.
#[track_caller]
fn decode(input: &[u8]) -> Result<Option<Body>, ChunkError> {
    for step in [1, 2, 3, 7, 100, input.len().max(1)] {
        let [plain, copied] = [true, false].map(|passes| forward(input, step, passes).0);
        assert_eq!(plain.escape_ascii().to_string(), copied.escape_ascii().to_string(), "in steps of {step}");
    }
    let whole = decode_in(Decoder::new(8192, 100), input, usize::MAX / 2);
    for step in [1, 2, 3, 7] {
        let parts = decode_in(Decoder::new(8192, 100), input, step);
        match (&whole, &parts) {
            (Ok(Some(a)), Ok(Some(b))) => assert_eq!((&a.data, &a.trailers, a.used), (&b.data, &b.trailers, b.used)),
            (Ok(None), Ok(None)) => {}
            (Err(a), Err(b)) => assert_eq!(a, b),
            _ => panic!("{:?} differs in steps of {step}", String::from_utf8_lossy(input)),
        }
    }
    whole
}

#[test]
fn sound_bodies() {
    for (input, data, trailers) in [
        ("0\r\n\r\n", "", ""),
        ("3\r\nabc\r\n0\r\n\r\n", "abc", ""),
        ("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde", ""),
        ("A\r\n0123456789\r\n00\r\n\r\n", "0123456789", ""),
        ("a\r\n0123456789\r\n0\r\n\r\n", "0123456789", ""),
        ("000000000000000000003\r\nabc\r\n0\r\n\r\n", "abc", ""),
        ("3;a\r\nabc\r\n0;b=\"c\"\r\n\r\n", "abc", ""),
        ("3 ;a = b\r\nabc\r\n0\r\n\r\n", "abc", ""),
        ("3\t;a\r\nabc\r\n0\r\n\r\n", "abc", ""),
        ("0\r\nX-T: 1\r\n\r\n", "", "x-t: 1\r\n"),
        ("0\r\nX-T:   a\tb c \t\r\nY:\r\n\r\n", "", "x-t: a\tb c\r\ny: \r\n"),
        // What would frame, route or steer does not go on.
        ("0\r\nContent-Length: 4\r\nX: 1\r\nTransfer-Encoding: chunked\r\nHost: b\r\nConnection: close\r\n\r\n", "", "x: 1\r\n"),
    ] {
        let behind = format!("{input}GET / HTTP/1.1");
        let body = decode(behind.as_bytes()).unwrap_or_else(|e| panic!("{input:?}: {e}")).unwrap_or_else(|| panic!("{input:?}"));
        assert_eq!((body.data.as_slice(), body.trailers.as_str(), body.used), (data.as_bytes(), trailers, input.len()), "{input:?}");
    }
    for cut in
        ["", "3", "3\r", "3\r\n", "3\r\nab", "3\r\nabc", "3\r\nabc\r", "0\r\n", "0\r\n\r", "0\r\nX: 1\r\n", "7fffffffffffffff\r\nabc"]
    {
        assert!(decode(cut.as_bytes()).unwrap().is_none(), "{cut:?}");
    }
}

#[test]
fn hostile_bodies() {
    for (input, error) in [
        ("3\nabc\r\n0\r\n\r\n", ChunkError::LineEnd),
        ("3;a\nabc\r\n0\r\n\r\n", ChunkError::LineEnd),
        ("3\r\nabc\n0\r\n\r\n", ChunkError::ChunkEnd),
        ("3\r\nabc\r\n0\n\n", ChunkError::LineEnd),
        ("3\r\nabc\r\n0\r\n\n", ChunkError::LineEnd),
        ("3\r\r\nabc", ChunkError::LineEnd),
        ("3;a\rb\r\nabc", ChunkError::LineEnd),
        ("3 \r\nabc", ChunkError::Size),
        ("3\t\r\nabc", ChunkError::Size),
        (" 3\r\nabc", ChunkError::Size),
        ("+3\r\nabc", ChunkError::Size),
        ("-3\r\nabc", ChunkError::Size),
        ("0x3\r\nabc", ChunkError::Size),
        ("3 a\r\nabc", ChunkError::Size),
        ("3_0\r\n", ChunkError::Size),
        ("g\r\n", ChunkError::Size),
        ("\r\n", ChunkError::Size),
        (";a\r\n", ChunkError::Size),
        ("8000000000000000\r\n", ChunkError::TooLarge),
        ("10000000000000003\r\nabc", ChunkError::TooLarge),
        ("fffffffffffffffff3\r\nabc", ChunkError::TooLarge),
        ("3;\x01\r\nabc", ChunkError::Extension),
        ("3;\0\r\nabc", ChunkError::Extension),
        ("3\r\nabcd\r\n0\r\n\r\n", ChunkError::ChunkEnd),
        ("3\r\nabc0\r\n\r\n", ChunkError::ChunkEnd),
        ("3\r\nabc\rx", ChunkError::ChunkEnd),
        ("0\r\nX : 1\r\n\r\n", ChunkError::Trailer),
        ("0\r\n: 1\r\n\r\n", ChunkError::Trailer),
        ("0\r\n X: 1\r\n\r\n", ChunkError::Trailer),
        ("0\r\nnocolon\r\n\r\n", ChunkError::Trailer),
        ("0\r\nX: a\0\r\n\r\n", ChunkError::Trailer),
        ("0\r\nX: a\x01\r\n\r\n", ChunkError::Trailer),
        ("0\r\nX: a\nY: b\r\n\r\n", ChunkError::LineEnd),
        ("0\r\nX: a\r\n b\r\n\r\n", ChunkError::Trailer),
    ] {
        assert_eq!(decode(input.as_bytes()).err(), Some(error), "{input:?}");
    }
}

#[test]
fn everything_has_a_limit() {
    let extension = |n: usize| format!("3;{}\r\nabc\r\n0\r\n\r\n", "a".repeat(n));
    let most = chunk::MAX_SIZE_LINE as usize - 3;
    assert_eq!(decode(extension(most).as_bytes()).unwrap().unwrap().data, b"abc");
    assert_eq!(decode(extension(most + 1).as_bytes()).err(), Some(ChunkError::Extension));
    // The limit is per line.
    let many = "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n".repeat(1000) + "0\r\n\r\n";
    assert_eq!(decode(many.as_bytes()).unwrap().unwrap().data.len(), 1000);
    assert_eq!(decode(format!("{}3\r\nabc", "0".repeat(5000)).as_bytes()).err(), Some(ChunkError::Extension));
    let lines = |n: usize| format!("0\r\n{}\r\n", "X: a\r\n".repeat(n));
    assert!(decode(lines(100).as_bytes()).unwrap().is_some());
    assert_eq!(decode(lines(101).as_bytes()).err(), Some(ChunkError::Trailer));
    let long = |n: usize| format!("0\r\nX: {}\r\n\r\n", "a".repeat(n));
    assert!(decode(long(8000).as_bytes()).unwrap().is_some());
    assert_eq!(decode(long(8200).as_bytes()).err(), Some(ChunkError::Trailer));
    let name = |n: usize| format!("0\r\n{}: 1\r\n\r\n", "x".repeat(n));
    assert!(decode(name(255).as_bytes()).unwrap().is_some());
    assert_eq!(decode(name(256).as_bytes()).err(), Some(ChunkError::Trailer));
}

#[test]
fn a_server_may_pad_its_sizes() {
    for input in ["3  \r\nabc\r\n0\r\n\r\n", "3\t\r\nabc\r\n0 \r\n\r\n"] {
        let body = decode_in(Decoder::new(8192, 100).allow_padding(), input.as_bytes(), 1).unwrap().unwrap();
        assert_eq!((body.data.as_slice(), body.used), (&b"abc"[..], input.len()));
    }
    for input in [" 3\r\nabc", "3 a\r\nabc", "3 3\r\n", "3 \nabc"] {
        assert!(decode_in(Decoder::new(8192, 100).allow_padding(), input.as_bytes(), 1).is_err(), "{input:?}");
    }
}

#[test]
fn data_may_be_moved_past_the_decoder() {
    let mut decoder = Decoder::new(0, 0);
    let step = decoder.decode(b"100000\r\n").unwrap();
    assert_eq!((step.consumed, step.event, decoder.remaining()), (8, Event::NeedMore, 0x100000));
    decoder.advance_data(0xfffff).unwrap();
    assert_eq!(decoder.advance_data(2), Err(ChunkError::Overrun));
    assert_eq!(decoder.remaining(), 1);
    decoder.advance_data(1).unwrap();
    assert_eq!(decoder.advance_data(1), Err(ChunkError::Overrun));
    let step = decoder.decode(b"\r\n0\r\n\r\nx").unwrap();
    assert_eq!((step.consumed, step.event, decoder.is_done()), (7, Event::End, true));
    assert_eq!(decoder.decode(b"x").unwrap().consumed, 0);
}

/// Only what is written as we write it; never the end of a chunk without the next one's size, nor the end of the body.
#[test]
fn what_is_plain_passes() {
    let passed = |input: &[u8]| forward(input, input.len(), true).1;
    // The first size line is read; its data and what follows it passes, but for the last chunk.
    assert_eq!(passed(b"3\r\nabc\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n"), b"abc\r\n2\r\nde\r\n1\r\n".len());
    assert_eq!(passed(b"3\r\nabc\r\n1f\r\nde"), b"abc\r\n1f\r\nde".len());
    for other in ["02", "2;x=y", "2 ", "1F", "0", "", "123456789abcdef0", "-2", "g"] {
        assert_eq!(passed(format!("3\r\nabc\r\n{other}\r\n").as_bytes()), 0, "{other}");
    }
    for cut in ["\r", "\r\n", "\r\n2", "\r\n2\r", "\n2\r\n", "\r\n2\n", "\r2\r\n", "x"] {
        assert_eq!(passed(format!("3\r\nabc{cut}").as_bytes()), 0, "{cut:?}");
    }
}

#[test]
fn what_is_written_is_read() {
    for size in [1u64, 9, 10, 15, 16, 255, 256, 0xabcdef, u64::from(u32::MAX), i64::MAX as u64] {
        let mut out = Vec::new();
        chunk::write_size(size, &mut out);
        assert_eq!(out, format!("{size:x}\r\n").into_bytes());
        let mut decoder = Decoder::new(0, 0);
        decoder.decode(&out).unwrap();
        assert_eq!(decoder.remaining(), size);
    }
    let mut out = Vec::new();
    chunk::write_size(2, &mut out);
    out.extend_from_slice(b"hi");
    chunk::write_chunk_end(&mut out);
    chunk::write_last(b"x: 1\r\n", &mut out);
    assert_eq!(out, b"2\r\nhi\r\n0\r\nx: 1\r\n\r\n");
    let body = decode(&out).unwrap().unwrap();
    assert_eq!((body.data.as_slice(), body.trailers.as_str()), (&b"hi"[..], "x: 1\r\n"));
}
