//! Session state at disconnection: the two letters of `%ts` and the four of `%tsc`.
//!
//! Source: manual section 8.5. Each enum's discriminant is its letter, so writing one is a byte copy.

/// First letter: the first event that ended the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Cause {
    /// `-`: normal completion, nothing left in the buffers.
    #[default]
    Normal = b'-',
    /// `C`: the client aborted the connection unexpectedly.
    ClientAbort = b'C',
    /// `S`: the server aborted the connection or refused it.
    ServerAbort = b'S',
    /// `P`: the proxy ended it: a limit, a deny rule, an invalid message.
    Proxy = b'P',
    /// `L`: answered locally and never passed to a server (redirect, statistics).
    Local = b'L',
    /// `R`: a resource of the proxy ran out (memory, sockets, source ports).
    Resource = b'R',
    /// `I`: an internal check failed: a bug of the proxy.
    Internal = b'I',
    /// `D`: killed because its server went down (`on-marked-down shutdown-sessions`).
    ServerDown = b'D',
    /// `U`: killed on a backup server because an active one came up (`on-marked-up shutdown-backup-sessions`).
    ServerUp = b'U',
    /// `K`: killed by an operator.
    Killed = b'K',
    /// `c`: the client-side timeout struck.
    ClientTimeout = b'c',
    /// `s`: the server-side timeout struck.
    ServerTimeout = b's',
}

/// Second letter: what the session was doing when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Phase {
    /// `-`: completed after the end of the transfer.
    #[default]
    Done = b'-',
    /// `R`: waiting for a complete, valid request (mode http only).
    Request = b'R',
    /// `Q`: waiting in a queue for a connection slot.
    Queue = b'Q',
    /// `C`: waiting for the connection to the server.
    Connect = b'C',
    /// `H`: waiting for complete, valid response headers (mode http only).
    Headers = b'H',
    /// `D`: transferring data.
    Data = b'D',
    /// `L`: sending the last data to the client after the server had finished.
    Last = b'L',
    /// `T`: the request was held in a tarpit.
    Tarpit = b'T',
}

/// Third letter: the persistence cookie that the client sent (mode http only).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum RequestCookie {
    /// `-`: no cookie configured.
    #[default]
    NotApplicable = b'-',
    /// `N`: the client sent none.
    None = b'N',
    /// `I`: it names no known server.
    Invalid = b'I',
    /// `D`: it names a server that is down.
    Down = b'D',
    /// `V`: valid, and the request went to its server.
    Valid = b'V',
    /// `E`: valid but idle for longer than `maxidle`.
    Expired = b'E',
    /// `O`: valid but older than `maxlife`.
    Old = b'O',
    /// `U`: present, but another mechanism chose the server.
    Unused = b'U',
}

/// Fourth letter: what was done with the persistence cookie of the response (mode http only).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum ResponseCookie {
    /// `-`: no cookie configured.
    #[default]
    NotApplicable = b'-',
    /// `N`: the server sent none and none was inserted.
    None = b'N',
    /// `I`: the proxy inserted one.
    Inserted = b'I',
    /// `U`: the proxy refreshed the date in the client's cookie.
    Updated = b'U',
    /// `P`: the server's passed as it was.
    Provided = b'P',
    /// `R`: the server's was rewritten.
    Rewritten = b'R',
    /// `D`: the server's was deleted.
    Deleted = b'D',
}

/// How and when a session ended: `%ts` shows the first two letters, `%tsc` all four.
///
/// ```
/// use lb_expr::{Cause, Phase, Termination};
/// let end = Termination::new(Cause::ServerTimeout, Phase::Headers);
/// assert_eq!(&end.letters(), b"sH--");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Termination {
    /// What ended the session.
    pub cause: Cause,
    /// What it was doing then.
    pub phase: Phase,
    /// The client's persistence cookie.
    pub request_cookie: RequestCookie,
    /// The response's persistence cookie.
    pub response_cookie: ResponseCookie,
}

impl Termination {
    /// A normal end: `----`.
    pub const NORMAL: Self = Self::new(Cause::Normal, Phase::Done);

    /// Cause and phase, no cookie configured.
    pub const fn new(cause: Cause, phase: Phase) -> Self {
        Self { cause, phase, request_cookie: RequestCookie::NotApplicable, response_cookie: ResponseCookie::NotApplicable }
    }

    /// The four letters of `%tsc`, of which the first two are `%ts`.
    pub const fn letters(self) -> [u8; 4] {
        [self.cause as u8, self.phase as u8, self.request_cookie as u8, self.response_cookie as u8]
    }

    /// True when nothing went wrong: what `option dontlog-normal` and `option log-separate-errors` look at, before
    /// retries and status.
    pub fn is_normal(self) -> bool {
        matches!(self.cause, Cause::Normal | Cause::Local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_the_manuals() {
        assert_eq!(&Termination::NORMAL.letters(), b"----");
        let t = Termination {
            cause: Cause::ClientAbort,
            phase: Phase::Data,
            request_cookie: RequestCookie::Valid,
            response_cookie: ResponseCookie::None,
        };
        assert_eq!(&t.letters(), b"CDVN");
        assert!(!t.is_normal());
        assert!(Termination::new(Cause::Local, Phase::Request).is_normal());
    }
}
