//! The words of a log format, one table. Source: manual section 8.2.6.

use super::Field;

/// How a word is written, and from which field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// Decimal.
    Int(Field),
    /// Decimal, or four hexadecimal digits and more under `X`.
    HexInt(Field),
    /// An address, or its bytes in hexadecimal under `X`.
    Ip(Field),
    /// A port, as `HexInt`, with `-` when missing.
    Port(Field),
    /// Configuration or cookie text, shown as it is.
    Text(Field),
    /// Like `Text`, with another word than `-` when missing.
    Server,
    /// `%ft`.
    FrontendTransport,
    /// A part of the request line, escaped.
    Request(RequestPart),
    /// Captures between braces.
    Braces(Field),
    /// Captures as a list of fields.
    List(Field),
    /// Local date with milliseconds.
    DateMillis(Field),
    /// UTC date.
    DateGmt(Field),
    /// Local date with offset.
    DateLocal(Field),
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds of the accept date.
    Millis,
    /// Letters of the termination state.
    Termination(usize),
    /// A sample whose value is a number or text of the session, shown as text.
    Sample(Field),
    /// A sample that has no value without TLS.
    Nothing,
    /// A sample that is 0 without TLS.
    Zero,
    /// A sample, by its index among those of the format.
    Expr(u16),
}

/// The pieces of the request line that a word can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestPart {
    Line,
    Method,
    /// Target without query string.
    Path,
    /// Path of the target: no scheme, host or query string.
    PathOnly,
    /// Query string with its `?`.
    Query,
    Target,
    Version,
}

/// An index into [`TABLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Alias(u8);

struct Entry {
    name: &'static str,
    http_only: bool,
    show: Show,
}

const fn any(name: &'static str, show: Show) -> Entry {
    Entry { name, http_only: false, show }
}

const fn http(name: &'static str, show: Show) -> Entry {
    Entry { name, http_only: true, show }
}

/// Every word but `%o`, which has no output.
const TABLE: &[Entry] = &[
    any("B", Show::Int(Field::BytesRead)),
    http("CC", Show::Text(Field::RequestCookie)),
    http("CS", Show::Text(Field::ResponseCookie)),
    any("H", Show::Text(Field::Hostname)),
    http("HM", Show::Request(RequestPart::Method)),
    http("HP", Show::Request(RequestPart::Path)),
    http("HPO", Show::Request(RequestPart::PathOnly)),
    http("HQ", Show::Request(RequestPart::Query)),
    http("HU", Show::Request(RequestPart::Target)),
    http("HV", Show::Request(RequestPart::Version)),
    any("ID", Show::Text(Field::UniqueId)),
    any("OG", Show::Text(Field::LogOrigin)),
    any("ST", Show::Int(Field::Status)),
    any("T", Show::DateGmt(Field::AcceptDate)),
    http("Ta", Show::Int(Field::TimeActive)),
    any("Tc", Show::Int(Field::TimeConnect)),
    any("Td", Show::Int(Field::TimeData)),
    any("Tl", Show::DateLocal(Field::AcceptDate)),
    any("Th", Show::Int(Field::TimeHandshake)),
    http("Ti", Show::Int(Field::TimeIdle)),
    http("Tq", Show::Int(Field::TimeQuery)),
    http("TR", Show::Int(Field::TimeRequest)),
    http("Tr", Show::Int(Field::TimeResponse)),
    any("Ts", Show::Seconds),
    any("Tt", Show::Int(Field::TimeTotal)),
    any("Tu", Show::Int(Field::TimeUser)),
    any("Tw", Show::Int(Field::TimeQueue)),
    any("U", Show::Int(Field::BytesUploaded)),
    any("ac", Show::Int(Field::ActConn)),
    any("b", Show::Text(Field::BackendName)),
    any("bc", Show::Int(Field::BackendConn)),
    any("bi", Show::Ip(Field::BackendSourceIp)),
    any("bp", Show::Port(Field::BackendSourcePort)),
    any("bq", Show::Int(Field::BackendQueue)),
    any("ci", Show::Ip(Field::ClientIp)),
    any("cp", Show::Port(Field::ClientPort)),
    any("f", Show::Text(Field::FrontendName)),
    any("fc", Show::Int(Field::FrontendConn)),
    any("fi", Show::Ip(Field::FrontendIp)),
    any("fp", Show::Port(Field::FrontendPort)),
    any("ft", Show::FrontendTransport),
    any("hr", Show::Braces(Field::RequestCaptures)),
    any("hrl", Show::List(Field::RequestCaptures)),
    any("hs", Show::Braces(Field::ResponseCaptures)),
    any("hsl", Show::List(Field::ResponseCaptures)),
    any("lc", Show::HexInt(Field::LogCounter)),
    any("ms", Show::Millis),
    any("pid", Show::HexInt(Field::Pid)),
    http("r", Show::Request(RequestPart::Line)),
    any("rc", Show::Int(Field::Retries)),
    any("rt", Show::HexInt(Field::RequestCounter)),
    any("s", Show::Server),
    any("sc", Show::Int(Field::ServerConn)),
    any("si", Show::Ip(Field::ServerIp)),
    any("sp", Show::Port(Field::ServerPort)),
    any("sq", Show::Int(Field::ServerQueue)),
    any("sslc", Show::Text(Field::TlsCipher)),
    any("sslv", Show::Text(Field::TlsVersion)),
    any("t", Show::DateMillis(Field::AcceptDate)),
    http("tr", Show::DateMillis(Field::RequestDate)),
    http("trg", Show::DateGmt(Field::RequestDate)),
    http("trl", Show::DateLocal(Field::RequestDate)),
    any("ts", Show::Termination(2)),
    http("tsc", Show::Termination(4)),
];

/// Samples of `option httpslog` and `error-log-format`, in the spelling of `%[...]`. There is no TLS yet, so that those of
/// it have the value that they have on a plain connection.
const SAMPLES: &[(&str, Show)] = &[
    ("fc_err", Show::Sample(Field::ConnectionError)),
    ("fc_err_str", Show::Sample(Field::ConnectionErrorText)),
    ("ssl_fc_err,hex", Show::Nothing),
    ("ssl_c_err", Show::Nothing),
    ("ssl_c_ca_err", Show::Nothing),
    ("ssl_fc_is_resumed", Show::Zero),
    ("ssl_fc_sni", Show::Nothing),
];

/// What the sample of that spelling shows.
pub(crate) fn sample(text: &str) -> Option<Show> {
    SAMPLES.iter().find(|(name, _)| *name == text).map(|(_, show)| *show)
}

impl Alias {
    /// The word of that name, case-sensitive.
    pub(crate) fn find(name: &str) -> Option<Self> {
        TABLE.iter().position(|entry| entry.name == name).map(|at| Self(at as u8))
    }

    fn entry(self) -> &'static Entry {
        &TABLE[usize::from(self.0)]
    }

    pub(crate) fn name(self) -> &'static str {
        self.entry().name
    }

    pub(crate) fn http_only(self) -> bool {
        self.entry().http_only
    }

    pub(crate) fn show(self) -> Show {
        self.entry().show
    }

    /// Whether the value is known only when the session has ended. Observed on haproxy 2.6.12: these words, and no
    /// others, make it wait (`%ts` does, `%tsc` does not).
    pub(crate) fn late(self) -> bool {
        match self.show() {
            Show::Int(field) => field != Field::Status,
            Show::Text(field) => field == Field::UniqueId,
            Show::Termination(letters) => letters == 2,
            _ => false,
        }
    }

    /// Bit set of the fields that writing this word asks for.
    pub(crate) fn fields(self) -> u64 {
        self.show().fields()
    }
}

impl Show {
    /// Bit set of the fields that it asks for.
    pub(crate) fn fields(self) -> u64 {
        let bit = |field: Field| 1u64 << field as u8;
        match self {
            Show::Int(f)
            | Show::HexInt(f)
            | Show::Ip(f)
            | Show::Port(f)
            | Show::Text(f)
            | Show::Braces(f)
            | Show::List(f)
            | Show::DateMillis(f)
            | Show::DateGmt(f)
            | Show::DateLocal(f)
            | Show::Sample(f) => bit(f),
            Show::Nothing | Show::Zero | Show::Expr(_) => 0,
            Show::Server => bit(Field::ServerName),
            Show::FrontendTransport => bit(Field::FrontendName) | bit(Field::FrontendTls),
            Show::Request(_) => bit(Field::RequestLine),
            Show::Seconds | Show::Millis => bit(Field::AcceptDate),
            Show::Termination(_) => bit(Field::Termination),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_by_its_name() {
        for (at, entry) in TABLE.iter().enumerate() {
            let alias = Alias::find(entry.name).expect("in the table");
            assert_eq!(usize::from(alias.0), at, "{} stands twice", entry.name);
            assert_ne!(alias.fields(), 0);
        }
        assert!(Alias::find("o").is_none() && Alias::find("").is_none());
    }
}
