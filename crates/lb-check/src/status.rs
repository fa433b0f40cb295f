//! What a check found out: the status codes, their descriptions (management manual 9.1, field check_status), and a verdict.

use std::fmt;
use std::io;
use std::time::Duration;

/// The status of a check, as statistics and logs show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Status {
    /// Nothing is known.
    Unknown,
    /// No check has ended yet.
    #[default]
    Initial,
    /// An agent has answered, and said nothing of the state.
    Checked,
    /// Too many errors in a row in the traffic (`observe`).
    Hana,
    /// The socket failed, locally or by a reset during the exchange.
    SockErr,
    /// The connection was made, and nothing more was asked for.
    L4Ok,
    /// The connection was not made in time.
    L4Tout,
    /// The connection was refused, or there is no way to the server.
    L4Con,
    /// The TLS layer is in order.
    L6Ok,
    /// The TLS layer did not answer in time.
    L6Tout,
    /// The TLS layer broke the protocol.
    L6Rsp,
    /// The application answered well.
    L7Ok,
    /// The application answered well enough to finish what it has, for example 404 with `http-check disable-on-404`.
    L7OkC,
    /// The application did not answer in time.
    L7Tout,
    /// The answer was not understood.
    L7Rsp,
    /// The application answered that it is not well.
    L7Sts,
    /// The program of `external-check` says no, or could not be run.
    ProcErr,
    /// The program did not end in time.
    ProcTout,
    /// The program says yes.
    ProcOk,
}

/// What a status means for the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// No statement.
    Neutral,
    /// One more failure.
    Failed,
    /// One more success.
    Passed,
    /// A success, but the server wants no new work.
    Conditional,
}

impl Status {
    /// The short code: `L7OK`.
    pub const fn code(self) -> &'static str {
        self.facts().0
    }

    /// The description: `Layer7 check passed`.
    pub const fn description(self) -> &'static str {
        self.facts().1
    }

    /// What it means for the server.
    pub const fn outcome(self) -> Outcome {
        self.facts().2
    }

    const fn facts(self) -> (&'static str, &'static str, Outcome) {
        use Outcome::{Conditional, Failed, Neutral, Passed};
        match self {
            Status::Unknown => ("UNK", "Unknown", Neutral),
            Status::Initial => ("INI", "Initializing", Neutral),
            Status::Checked => ("CHECKED", "No status change", Neutral),
            Status::Hana => ("HANA", "Health analyze", Failed),
            Status::SockErr => ("SOCKERR", "Socket error", Failed),
            Status::L4Ok => ("L4OK", "Layer4 check passed", Passed),
            Status::L4Tout => ("L4TOUT", "Layer4 timeout", Failed),
            Status::L4Con => ("L4CON", "Layer4 connection problem", Failed),
            Status::L6Ok => ("L6OK", "Layer6 check passed", Passed),
            Status::L6Tout => ("L6TOUT", "Layer6 timeout", Failed),
            Status::L6Rsp => ("L6RSP", "Layer6 invalid response", Failed),
            Status::L7Ok => ("L7OK", "Layer7 check passed", Passed),
            Status::L7OkC => ("L7OKC", "Layer7 check conditionally passed", Conditional),
            Status::L7Tout => ("L7TOUT", "Layer7 timeout", Failed),
            Status::L7Rsp => ("L7RSP", "Layer7 invalid response", Failed),
            Status::L7Sts => ("L7STS", "Layer7 wrong status", Failed),
            Status::ProcErr => ("PROCERR", "External check error", Failed),
            Status::ProcTout => ("PROCTOUT", "External check timeout", Failed),
            Status::ProcOk => ("PROCOK", "External check passed", Passed),
        }
    }
}

/// The end of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What was found out.
    pub status: Status,
    /// The code in the application's answer (HTTP status), if it got that far.
    pub code: Option<u32>,
    /// The words beside it (reason phrase, or the text of a system error), at most 127 bytes from a peer, raw: they may hold any
    /// byte. Empty when there are none.
    pub info: Box<[u8]>,
    /// From start to end. Shown in whole milliseconds.
    pub duration: Duration,
}

impl Verdict {
    /// Whether it counts as a success.
    pub fn passed(&self) -> bool {
        matches!(self.status.outcome(), Outcome::Passed | Outcome::Conditional)
    }
}

/// An error of the operating system, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SystemError(pub i32);

impl From<&io::Error> for SystemError {
    /// An error without a number (one that did not come from the system) becomes EIO.
    fn from(error: &io::Error) -> Self {
        const EIO: i32 = 5;
        SystemError(error.raw_os_error().unwrap_or(EIO))
    }
}

impl fmt::Display for SystemError {
    /// The system's own words: `Connection refused`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = io::Error::from_raw_os_error(self.0).to_string();
        // The standard library appends the number to the system's text.
        f.write_str(text.strip_suffix(&format!(" (os error {})", self.0)).unwrap_or(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_system() {
        assert_eq!(SystemError::from(&io::Error::from_raw_os_error(111)).to_string(), "Connection refused");
        assert_eq!(SystemError(104).to_string(), "Connection reset by peer");
        assert_eq!(SystemError::from(&io::Error::other("x")).to_string(), "Input/output error");
        assert_eq!(SystemError(99_999).to_string(), "Unknown error 99999");
    }
}
