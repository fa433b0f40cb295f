//! The lines that are no log format: a connection at its accept when the frontend names no format, and a connection that
//! failed before it had a stream. Source: manual sections 8.2.1 and 8.2.5.

use crate::log_format::{Field, LogSource, LogValue, Writer};

/// Appends `Connect from 10.0.1.2:33312 to 10.0.3.31:8012 (www/HTTP)`, at most `limit` bytes, no newline. Asks for the
/// client's and the frontend's addresses and the frontend's name; `mode_http` tells which mode's name stands at the end.
/// haproxy writes it when the connection is accepted. For a client on a UNIX socket (an address that is text) the line is
/// `Connect to unix:1 (www/HTTP)`.
pub fn write_connect<S: LogSource + ?Sized>(source: &S, mode_http: bool, limit: usize, out: &mut Vec<u8>) {
    let mut w = Writer::new(std::mem::take(out), limit);
    // Full: what fits is there.
    let _ = w.connect(source, mode_http);
    *out = w.finish();
}

/// Appends `10.0.1.2:56059 [03/Dec/2012:17:35:10.380] frt/f1: Connection error during SSL handshake`, at most `limit`
/// bytes, no newline. Asks for the client's address, the accept date, the frontend's and the listener's name; `message`
/// is what went wrong, in haproxy's words.
pub fn write_connection_error<S: LogSource + ?Sized>(source: &S, message: &str, limit: usize, out: &mut Vec<u8>) {
    let mut w = Writer::new(std::mem::take(out), limit);
    let _ = w.connection_error(source, message);
    *out = w.finish();
}

impl Writer {
    fn port(&mut self, value: LogValue<'_>) -> Result<(), crate::log_format::Full> {
        if let LogValue::Int(port) = value { self.decimal(port) } else { self.whole(b"-") }
    }

    fn connect<S: LogSource + ?Sized>(&mut self, source: &S, mode_http: bool) -> Result<(), crate::log_format::Full> {
        let client = source.value(Field::ClientIp);
        if let LogValue::Text(_) = client {
            self.cut(b"Connect to ")?;
            self.ip(client, Default::default())?;
            self.whole(b":")?;
            self.port(source.value(Field::ClientPort))?;
        } else {
            self.cut(b"Connect from ")?;
            self.ip(client, Default::default())?;
            self.whole(b":")?;
            self.port(source.value(Field::ClientPort))?;
            self.cut(b" to ")?;
            self.ip(source.value(Field::FrontendIp), Default::default())?;
            self.whole(b":")?;
            self.port(source.value(Field::FrontendPort))?;
        }
        self.cut(b" (")?;
        self.cut(crate::log_format::text_of(source.value(Field::FrontendName)))?;
        self.cut(if mode_http { b"/HTTP)" } else { b"/TCP)" })
    }

    fn connection_error<S: LogSource + ?Sized>(&mut self, source: &S, message: &str) -> Result<(), crate::log_format::Full> {
        self.ip(source.value(Field::ClientIp), Default::default())?;
        self.whole(b":")?;
        self.port(source.value(Field::ClientPort))?;
        self.cut(b" [")?;
        self.whole(&crate::log_format::time_of(source.value(Field::AcceptDate)).log_millis())?;
        self.cut(b"] ")?;
        self.cut(crate::log_format::text_of(source.value(Field::FrontendName)))?;
        self.cut(b"/")?;
        self.cut(crate::log_format::text_of(source.value(Field::ListenerName)))?;
        self.cut(b": ")?;
        self.cut(message.as_bytes())
    }
}
