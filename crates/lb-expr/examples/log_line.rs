//! Writes one request's line in each of the built-in formats: `cargo run -p lb-expr --example log_line`.

use lb_expr::{CaptureSide, Cause, Field, LogFormat, LogSource, LogValue, Phase, Termination, Timestamp, formats};

/// What a proxy would know at the end of a request.
struct Request {
    line: &'static str,
    host: &'static str,
    accepted: Timestamp,
    status: i64,
    bytes: i64,
}

impl LogSource for Request {
    fn value(&self, field: Field) -> LogValue<'_> {
        match field {
            Field::AcceptDate | Field::RequestDate => LogValue::Time(self.accepted),
            Field::ClientIp => LogValue::Ip([192, 0, 2, 7].into()),
            Field::ClientPort => LogValue::Int(50123),
            Field::FrontendName => "www".into(),
            Field::BackendName => "app".into(),
            Field::ServerName => "app1".into(),
            Field::RequestLine => self.line.into(),
            Field::Status => LogValue::Int(self.status),
            Field::BytesRead => LogValue::Int(self.bytes),
            Field::TimeResponse => LogValue::Int(-1),
            Field::Retries => LogValue::AtLeast(1),
            Field::RequestCaptures => LogValue::Captures(1),
            Field::Termination => LogValue::Termination(Termination::new(Cause::ServerTimeout, Phase::Headers)),
            Field::RequestCookie | Field::ResponseCookie | Field::ResponseCaptures => LogValue::Missing,
            _ => LogValue::Int(0),
        }
    }

    fn capture(&self, side: CaptureSide, slot: usize) -> Option<&[u8]> {
        (side == CaptureSide::Request && slot == 0).then_some(self.host.as_bytes())
    }
}

fn main() -> Result<(), lb_expr::LogFormatError> {
    let request = Request {
        line: "GET /search?q=\"x\" HTTP/1.1",
        host: "www.example.org",
        accepted: Timestamp { unix_secs: 1_795_232_690, micros: 168_000, utc_offset_secs: 3_600 },
        status: 504,
        bytes: 198,
    };
    let mut line = Vec::new();
    for text in [formats::TCP, formats::HTTP, formats::CLF, "%{+Q}o %{-Q}ci %r %tsc took %Ta ms"] {
        let format = LogFormat::compile(text)?;
        line.clear();
        format.write(&request, lb_expr::DEFAULT_LOG_LEN - 1, &mut line);
        println!("{}", String::from_utf8_lossy(&line));
    }
    if let Err(e) = LogFormat::compile("%ci %nonsense") {
        println!("at byte {}: {e}", e.offset);
    }
    Ok(())
}
