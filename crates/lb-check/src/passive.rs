//! What a server's own traffic tells of its health: `observe`, `error-limit`, `on-error` (manual 5.2).
//!
//! Whoever moves the traffic gives [`Observe::judge`] a [`Sign`] of each connection and answer, counts errors in a row, and passes
//! [`errors_verdict`] to [`crate::Health::apply_errors`] when there are `error-limit` of them. Holds: verdicts and words as HAProxy 2.6
//! was seen to have them.

use crate::status::{Status, Verdict};
use std::time::Duration;

/// `observe`: which signs count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Observe {
    /// Connections that stand, and those that do not.
    Layer4,
    /// Answers, too.
    Layer7,
}

/// `on-error`: what too many errors do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnError {
    /// The next check comes after `fastinter`; so it does with the others.
    Fastinter,
    /// They count as a failed check.
    #[default]
    FailCheck,
    /// As that, and one more failure brings the server down.
    SuddenDeath,
    /// The server is down.
    MarkDown,
}

/// Something that a server's traffic shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sign {
    /// A connection stands.
    Connected,
    /// A connection was refused, or took too long.
    NotConnected,
    /// An answer that is in order.
    Answered,
    /// An answer whose status tells of a server in trouble.
    BadStatus,
    /// A head that breaks the protocol.
    BadHead,
    /// The connection broke before the answer.
    ReadError,
    /// No answer came in time.
    ReadTimeout,
    /// The server closed before the answer was complete.
    Closed,
}

impl Sign {
    /// What an answer with this status is a sign of. 501 and 505 are the client's doing.
    pub const fn of_status(status: u16) -> Sign {
        match status {
            100..=499 | 501 | 505 => Sign::Answered,
            _ => Sign::BadStatus,
        }
    }

    /// In the words of the log.
    pub const fn words(self) -> &'static str {
        match self {
            Sign::Connected => "L4 successful connection",
            Sign::NotConnected => "L4 unsuccessful connection",
            Sign::Answered => "Correct http response",
            Sign::BadStatus => "Wrong http response",
            Sign::BadHead => "Invalid http response (headers)",
            Sign::ReadError => "Read error (http)",
            Sign::ReadTimeout => "Read timeout (http)",
            Sign::Closed => "Close from server (http)",
        }
    }
}

impl Observe {
    /// Whether a sign is an error; `None`: it says nothing.
    pub const fn judge(self, sign: Sign) -> Option<bool> {
        match (self, sign) {
            (_, Sign::NotConnected) => Some(true),
            (Observe::Layer4, Sign::Connected) | (Observe::Layer7, Sign::Answered) => Some(false),
            (Observe::Layer4, _) | (Observe::Layer7, Sign::Connected) => None,
            (Observe::Layer7, _) => Some(true),
        }
    }
}

/// What `count` errors in a row, the last of them `sign`, come to. Nothing was measured: the duration is not shown.
pub fn errors_verdict(count: u32, sign: Sign) -> Verdict {
    let info = format!("Detected {count} consecutive errors, last one was: {}", sign.words());
    Verdict { status: Status::Hana, code: None, info: info.into_bytes().into(), duration: Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The manual's ranges of statuses, and what each layer listens to.
    #[test]
    fn signs() {
        assert_eq!([100, 499, 501, 505].map(Sign::of_status), [Sign::Answered; 4]);
        assert_eq!([99, 500, 502, 599, 600].map(Sign::of_status), [Sign::BadStatus; 5]);
        let of = |observe: Observe| {
            [Sign::Connected, Sign::NotConnected, Sign::Answered, Sign::BadStatus, Sign::ReadTimeout].map(|sign| observe.judge(sign))
        };
        assert_eq!(of(Observe::Layer4), [Some(false), Some(true), None, None, None]);
        assert_eq!(of(Observe::Layer7), [None, Some(true), Some(false), Some(true), Some(true)]);
    }

    #[test]
    fn words() {
        let verdict = errors_verdict(3, Sign::BadStatus);
        assert_eq!(&*verdict.info, b"Detected 3 consecutive errors, last one was: Wrong http response");
    }
}
