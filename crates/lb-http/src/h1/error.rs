//! Why a head was refused, and what to answer.

/// What is wrong with a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ErrorKind {
    /// The connection preface of HTTP/2 on a port that speaks HTTP/1.
    #[error("HTTP/2 connection preface")]
    H2Preface,
    /// A byte that cannot stand in a method.
    #[error("invalid byte in method")]
    Method,
    /// A control byte, `#` or other byte that cannot stand in a target, or a target of no known form.
    #[error("invalid request target")]
    Target,
    /// Not `HTTP/1.x`.
    #[error("invalid protocol version")]
    Version,
    /// A request line without a version.
    #[error("HTTP/0.9 request")]
    Http09,
    /// A status that is not three digits from 100 to 999.
    #[error("invalid status")]
    Status,
    /// A byte in the reason that cannot stand there.
    #[error("invalid byte in reason phrase")]
    Reason,
    /// CR without LF.
    #[error("bare CR")]
    BareCr,
    /// A field name that is empty or has a byte that is no token byte (a space before the colon, too).
    #[error("invalid field name")]
    Name,
    /// A field name over [`super::MAX_NAME`] bytes.
    #[error("field name too long")]
    NameTooLong,
    /// NUL or another byte that cannot stand in a value.
    #[error("invalid byte in field value")]
    Value,
    /// More field lines than [`super::Limits::max_headers`].
    #[error("too many header fields")]
    TooManyFields,
    /// The head does not fit [`super::Limits::max_head`].
    #[error("message head too large")]
    TooLarge,
    /// Not a decimal number, over 2^63 - 1, or two that differ.
    #[error("invalid content-length")]
    ContentLength,
    /// Chunked is not last, comes twice, or the coding is not known.
    #[error("invalid transfer-encoding")]
    TransferEncoding,
    /// A transfer coding that is not implemented stands before chunked.
    #[error("unsupported transfer-encoding")]
    UnsupportedCoding,
    /// A body where HTTP/1.0 servers may not look for one: with GET, HEAD or DELETE.
    #[error("HTTP/1.0 request with an unexpected body")]
    UnexpectedBody,
    /// `Host` is missing, repeated, malformed or differs from the target's authority.
    #[error("invalid host")]
    Host,
    /// 101 that nobody asked for.
    #[error("unexpected 101")]
    UnexpectedUpgrade,
}

/// A head that was refused. The decoder that returned it must be reset before it is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct H1Error {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Where, counted from the first byte of the message.
    pub offset: usize,
}

impl H1Error {
    /// The status to answer a client with when its request had this error.
    ///
    /// Any error in a server's response is answered with 502 instead.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self.kind {
            ErrorKind::UnexpectedBody => 413,
            ErrorKind::UnsupportedCoding => 422,
            _ => 400,
        }
    }
}
