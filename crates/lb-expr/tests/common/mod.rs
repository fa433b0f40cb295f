//! A session whose values a test sets one by one.
// Each test file uses its own part of it.
#![allow(dead_code)]

use std::collections::BTreeMap;

use lb_expr::{CaptureSide, Cause, Field, LogSource, LogValue, Phase, Termination, Timestamp};

#[derive(Clone, Debug, Default)]
pub struct Session {
    values: BTreeMap<Field, LogValue<'static>>,
    request: Vec<Option<Vec<u8>>>,
    response: Vec<Option<Vec<u8>>>,
}

impl LogSource for Session {
    fn value(&self, field: Field) -> LogValue<'_> {
        match field {
            Field::RequestCaptures => LogValue::Captures(self.request.len()),
            Field::ResponseCaptures => LogValue::Captures(self.response.len()),
            _ => self.values.get(&field).copied().unwrap_or(LogValue::Missing),
        }
    }

    fn capture(&self, side: CaptureSide, slot: usize) -> Option<&[u8]> {
        let slots = if side == CaptureSide::Request { &self.request } else { &self.response };
        slots.get(slot)?.as_deref()
    }
}

impl Session {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn with(mut self, field: Field, value: LogValue<'static>) -> Self {
        self.values.insert(field, value);
        self
    }

    pub fn without(mut self, field: Field) -> Self {
        self.values.remove(&field);
        self
    }

    /// Text that lives as long as the test process.
    pub fn text(self, field: Field, text: &[u8]) -> Self {
        self.with(field, LogValue::Text(text.to_vec().leak()))
    }

    pub fn captures(mut self, request: &[Option<&[u8]>], response: &[Option<&[u8]>]) -> Self {
        let owned = |slots: &[Option<&[u8]>]| slots.iter().map(|s| s.map(<[u8]>::to_vec)).collect();
        self.request = owned(request);
        self.response = owned(response);
        self
    }

    pub fn zone(self, unix_secs: i64, micros: u32, utc_offset_secs: i32) -> Self {
        let time = LogValue::Time(Timestamp { unix_secs, micros, utc_offset_secs });
        self.with(Field::AcceptDate, time).with(Field::RequestDate, time)
    }

    pub fn at(self, unix_secs: i64, micros: u32) -> Self {
        self.zone(unix_secs, micros, 0)
    }

    /// The request of most recorded lines.
    pub fn http() -> Self {
        let local = LogValue::Ip([127, 0, 0, 1].into());
        let mut s = Self::new().at(1_795_232_930, 780_000);
        for (field, value) in [
            (Field::BytesRead, LogValue::Int(95)),
            (Field::BytesUploaded, LogValue::Int(67)),
            (Field::RequestCookie, "sess=xyz".into()),
            (Field::ResponseCookie, "sess=abc".into()),
            (Field::Hostname, "vm".into()),
            (Field::Status, LogValue::Int(200)),
            (Field::ActConn, LogValue::Int(1)),
            (Field::FrontendConn, LogValue::Int(1)),
            (Field::BackendConn, LogValue::Int(0)),
            (Field::ServerConn, LogValue::Int(0)),
            (Field::Retries, LogValue::Int(0)),
            (Field::ServerQueue, LogValue::Int(0)),
            (Field::BackendQueue, LogValue::Int(0)),
            (Field::BackendName, "be".into()),
            (Field::BackendSourceIp, local),
            (Field::BackendSourcePort, LogValue::Int(44744)),
            (Field::ClientIp, local),
            (Field::ClientPort, LogValue::Int(56506)),
            (Field::FrontendName, "fe0".into()),
            (Field::FrontendTls, LogValue::Flag(false)),
            (Field::FrontendIp, local),
            (Field::FrontendPort, LogValue::Int(59661)),
            (Field::LogCounter, LogValue::Int(0)),
            (Field::Pid, LogValue::Int(6055)),
            (Field::RequestLine, "GET /a?b=c HTTP/1.1".into()),
            (Field::RequestCounter, LogValue::Int(49)),
            (Field::ServerName, "s1".into()),
            (Field::ServerIp, local),
            (Field::ServerPort, LogValue::Int(35117)),
            (Field::Termination, LogValue::Termination(Termination::NORMAL)),
        ] {
            s = s.with(field, value);
        }
        for timer in [
            Field::TimeActive,
            Field::TimeConnect,
            Field::TimeData,
            Field::TimeHandshake,
            Field::TimeIdle,
            Field::TimeQuery,
            Field::TimeRequest,
            Field::TimeResponse,
            Field::TimeTotal,
            Field::TimeUser,
            Field::TimeQueue,
        ] {
            s = s.with(timer, LogValue::Int(0));
        }
        s.captures(&[Some(b"h"), Some(b"q\"{v|}\\\x80z"), None], &[Some(b"a\"b{c}|\\\x01d#e")])
    }

    /// A request that was refused before any server was chosen.
    pub fn bad_request() -> Self {
        let mut s = Self::new().captures(&[], &[]).at(1_795_232_690, 0);
        for (field, value) in [
            (Field::ClientIp, LogValue::Ip([127, 0, 0, 1].into())),
            (Field::ClientPort, LogValue::Int(56502)),
            (Field::FrontendName, "fe0".into()),
            (Field::BackendName, "fe0".into()),
            (Field::Status, LogValue::Int(400)),
            (Field::BytesRead, LogValue::Int(0)),
            (Field::BytesUploaded, LogValue::Int(0)),
            (Field::TimeRequest, LogValue::Int(-1)),
            (Field::TimeQueue, LogValue::Int(-1)),
            (Field::TimeConnect, LogValue::Int(-1)),
            (Field::TimeResponse, LogValue::Int(-1)),
            (Field::TimeQuery, LogValue::Int(-1)),
            (Field::TimeData, LogValue::Int(-1)),
            (Field::TimeActive, LogValue::Int(0)),
            (Field::TimeIdle, LogValue::Int(0)),
            (Field::TimeHandshake, LogValue::Int(0)),
            (Field::TimeTotal, LogValue::Int(0)),
            (Field::TimeUser, LogValue::Int(0)),
            (Field::Termination, LogValue::Termination(Termination::new(Cause::Proxy, Phase::Request))),
        ] {
            s = s.with(field, value);
        }
        s
    }
}
