//! Rules: what is done to connections, requests and responses, and under which conditions. Source: manual 4.2, 7.1.
//!
//! Formats and expressions are compiled when the file is read; running a rule looks at no text.

use super::{Level, ProxyIndex, Span};
use lb_expr::LogFormat;
use lb_expr::acl::{Condition, Sets};
use lb_expr::regex::{Regex, Replacement};
use lb_expr::sample::{Expr, Reference, SetVar, Variable};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Rules of one kind, in the order in which they are gone through.
pub type RuleList = Vec<Arc<Rule>>;

/// All rules of a proxy.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// `tcp-request connection`: before anything is read.
    pub connection: RuleList,
    /// `tcp-request session`: once the handshakes are done.
    pub session: RuleList,
    /// `tcp-request content`
    pub content: RuleList,
    /// `tcp-request inspect-delay`: how long contents are waited for.
    pub inspect_delay: Option<Duration>,
    /// `tcp-response content`
    pub answer: RuleList,
    /// `tcp-response inspect-delay`
    pub answer_delay: Option<Duration>,
    /// `block`, of old: gone through before `http-request`.
    pub block: RuleList,
    /// `http-request`
    pub request: RuleList,
    /// `reqrep` and its family, of old: behind `http-request`.
    pub request_lines: RuleList,
    /// `reqadd`, of old: behind those.
    pub request_adds: RuleList,
    /// `redirect`: gone through behind all of these.
    pub redirect: RuleList,
    /// `http-response`
    pub response: RuleList,
    /// `rsprep` and its family, of old: behind `http-response`.
    pub response_lines: RuleList,
    /// `rspadd`, of old: behind those.
    pub response_adds: RuleList,
    /// `http-after-response`: for responses of the proxy's own, too.
    pub after_response: RuleList,
    /// `use_backend`
    pub use_backend: Vec<UseBackend>,
    /// Backends that `reqsetbe` lines name; [`LineAction::SetBackend`] has the place.
    pub line_backends: Vec<UseBackend>,
    /// `use-server`
    pub use_server: Vec<UseServer>,
    /// `monitor fail`
    pub monitor_fail: Vec<When>,
    /// `force-persist` (true) and `ignore-persist`.
    pub persist: Vec<(bool, When)>,
}

impl Rules {
    /// Every list with the place where its rules are evaluated, in the order in which they are gone through.
    pub fn lists(&self) -> [(RuleSet, &RuleList); 13] {
        [
            (RuleSet::Connection, &self.connection),
            (RuleSet::Session, &self.session),
            (RuleSet::Content, &self.content),
            (RuleSet::Answer, &self.answer),
            (RuleSet::Block, &self.block),
            (RuleSet::Request, &self.request),
            (RuleSet::RequestLines, &self.request_lines),
            (RuleSet::RequestAdds, &self.request_adds),
            (RuleSet::Redirect, &self.redirect),
            (RuleSet::Response, &self.response),
            (RuleSet::ResponseLines, &self.response_lines),
            (RuleSet::ResponseAdds, &self.response_adds),
            (RuleSet::AfterResponse, &self.after_response),
        ]
    }

    /// All lines that may choose a backend.
    pub fn backends(&self) -> impl Iterator<Item = &UseBackend> {
        self.use_backend.iter().chain(&self.line_backends)
    }

    /// The lists that a request goes through once its head is there.
    pub fn of_requests(&self) -> [&RuleList; 6] {
        [&self.content, &self.block, &self.request, &self.request_lines, &self.request_adds, &self.redirect]
    }

    /// The lists that a response goes through, but for those that come to all responses.
    pub fn of_responses(&self) -> [&RuleList; 4] {
        [&self.answer, &self.response, &self.response_lines, &self.response_adds]
    }
}

impl PartialEq for Rules {
    /// Lists that are gone through one behind the other count as one: an old rule is the same as what it is written as today.
    fn eq(&self, other: &Self) -> bool {
        fn rules<const N: usize>(lists: [&RuleList; N]) -> impl Iterator<Item = &Arc<Rule>> {
            lists.into_iter().flatten()
        }
        self.connection == other.connection
            && self.session == other.session
            && (self.inspect_delay, self.answer_delay) == (other.inspect_delay, other.answer_delay)
            && rules(self.of_requests()).eq(rules(other.of_requests()))
            && rules(self.of_responses()).eq(rules(other.of_responses()))
            && self.after_response == other.after_response
            && self.use_backend == other.use_backend
            && self.use_server == other.use_server
            && self.monitor_fail == other.monitor_fail
            && self.persist == other.persist
    }
}

/// A condition by itself.
#[derive(Clone, Debug)]
pub struct When {
    /// What is asked.
    pub condition: Condition,
    /// As it was read.
    pub text: Box<str>,
}

impl PartialEq for When {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// Which list a rule stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuleSet {
    /// `tcp-request connection`
    Connection,
    /// `tcp-request session`
    Session,
    /// `tcp-request content`
    Content,
    /// `tcp-response content`
    Answer,
    /// `block`
    Block,
    /// `http-request`
    Request,
    /// `reqrep` and its family
    RequestLines,
    /// `reqadd`
    RequestAdds,
    /// `redirect`
    Redirect,
    /// `http-response`
    Response,
    /// `rsprep` and its family
    ResponseLines,
    /// `rspadd`
    ResponseAdds,
    /// `http-after-response`
    AfterResponse,
}

impl RuleSet {
    /// The words of its lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connection => "tcp-request connection",
            Self::Session => "tcp-request session",
            Self::Content => "tcp-request content",
            Self::Answer => "tcp-response content",
            Self::Block => "block",
            Self::Request => "http-request",
            Self::RequestLines => "reqrep",
            Self::RequestAdds => "reqadd",
            Self::Redirect => "redirect",
            Self::Response => "http-response",
            Self::ResponseLines => "rsprep",
            Self::ResponseAdds => "rspadd",
            Self::AfterResponse => "http-after-response",
        }
    }
}

/// One rule.
pub struct Rule {
    /// What it does.
    pub action: Action,
    /// When; `None`: always.
    pub condition: Option<Condition>,
    /// The line as it was read; two rules of one text are the same.
    pub text: Box<str>,
    /// An old line as it is written today, where that is exactly the same.
    pub today: Option<Box<str>>,
    /// Where it stands.
    pub span: Span,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.meaning() == other.meaning()
    }
}

impl Rule {
    fn meaning(&self) -> &str {
        self.today.as_deref().unwrap_or(&self.text)
    }
}

/// What a rule does.
pub enum Action {
    /// `accept`, `allow`: ends the rules of this kind.
    Accept,
    /// `reject`: closes the connection without a word.
    Reject,
    /// `close`: closes the connection to the server, whose answer counts as none.
    Close,
    /// `silent-drop`: the client is not told that its connection is gone; TTL of the reset that only the next router gets.
    SilentDrop {
        /// `rst-ttl`
        ttl: Option<u8>,
    },
    /// `deny`: the answer to a request, or in place of a response.
    Deny(Reply),
    /// `tarpit`: the same after `timeout tarpit`.
    Tarpit(Reply),
    /// `return`
    Return(Reply),
    /// `redirect`
    Redirect(Box<Redirect>),
    /// `auth`: 401, or 407 to a client that speaks to a proxy.
    Auth {
        /// `realm`; `None`: the proxy's name.
        realm: Option<Box<str>>,
    },
    /// `early-hint`: 103 with a field.
    EarlyHint {
        /// Name of the field.
        name: Box<str>,
        /// Its value.
        value: LogFormat,
    },
    /// Edits of the message's fields.
    Field(FieldEdit),
    /// Edits of the request line.
    Line(LineEdit),
    /// `reqrep` and its family, of old: the head as lines of text.
    Lines(Box<LineRule>),
    /// `reqadd`, `rspadd`, of old: fields that come behind the others.
    AddLines(AddedFields),
    /// `set-status`
    SetStatus {
        /// 100 to 999.
        status: u16,
        /// `reason`; `None`: the usual one.
        reason: Option<Box<str>>,
    },
    /// `set-var`, `set-var-fmt`
    SetVar(SetVar),
    /// `unset-var`
    UnsetVar(Variable),
    /// `capture`
    Capture {
        /// What is kept.
        value: Expr,
        /// In which slot of this direction.
        slot: CaptureSlot,
    },
    /// `set-log-level`; `None`: silent.
    SetLogLevel(Option<Level>),
    /// `set-tos`, `set-fc-tos` (true: towards the client), `set-bc-tos`.
    SetTos {
        /// Towards the client.
        client: bool,
        /// 0 to 255; another value is none.
        tos: NumberValue,
    },
    /// `set-mark`, `set-fc-mark`, `set-bc-mark`.
    SetMark {
        /// Towards the client.
        client: bool,
        /// The mark, 32 bits.
        mark: NumberValue,
    },
    /// `set-src`, `set-src-port`, `set-dst`, `set-dst-port`.
    SetAddress {
        /// Which part.
        part: AddressPart,
        /// Where it comes from.
        value: Expr,
    },
    /// `set-timeout`
    SetTimeout {
        /// Which.
        which: StreamTimeout,
        /// How long.
        value: TimeValue,
    },
    /// `strict-mode`: whether an edit that fails is an error.
    StrictMode(bool),
    /// `wait-for-body`
    WaitForBody {
        /// How long at most.
        time: Duration,
        /// Bytes that are enough; 0: all of it, or a full buffer.
        at_least: u64,
    },
    /// What changes nothing: `wait-for-handshake` without TLS, `set-nice`.
    Nothing,
    /// `pause`
    Pause(TimeValue),
    /// `disable-l7-retry`
    DisableRetry,
    /// `set-retries`
    SetRetries(NumberValue),
    /// `set-priority-class`
    SetPriorityClass(Expr),
    /// `set-priority-offset`
    SetPriorityOffset(Expr),
    /// `do-log`
    DoLog(super::LogStep),
    /// `explain`: what the rules behind it do goes to the log when the stream ends. Not haproxy's.
    Explain {
        /// As JSON and not as text.
        json: bool,
    },
    /// `expect-proxy`: a PROXY header comes before anything else.
    ExpectProxy,
    /// `expect-netscaler-cip`
    ExpectNetscaler,
    /// `add-acl`, `del-acl`, `set-map`, `del-map`.
    Update {
        /// What is done.
        what: SetUpdate,
        /// Name of the file.
        file: Box<str>,
        /// Key.
        key: LogFormat,
        /// Value of `set-map`.
        value: Option<LogFormat>,
    },
    /// An embedder's own.
    Custom(Arc<dyn super::CustomAction>),
}

/// Names and values of fields.
pub type AddedFields = Box<[(Box<[u8]>, Box<[u8]>)]>;

/// A rule of haproxy 1.3 to 2.0 that looks at the lines of a head. Source: manual of 1.5, 4.2 and 6.
pub struct LineRule {
    /// Looks for lines: the first one, and each field as `Name: value`.
    pub regex: Regex,
    /// What is done where there are such lines.
    pub what: LineAction,
}

/// What is done where lines are found.
pub enum LineAction {
    /// `reqrep`: the line becomes this; no fields where it is the first one.
    Replace(Replacement),
    /// `reqdel`: fields go.
    Remove,
    /// `reqallow`: nothing that follows denies, tarpits or passes any more.
    Allow,
    /// `reqpass`: the rules that follow are left out.
    Pass,
    /// `reqdeny`, `reqtarpit`
    End(Box<Action>),
    /// `reqsetbe`: the backend at this place of [`Rules::line_backends`], unless one is set.
    SetBackend(usize),
}

impl Action {
    /// What ends a message's way, where this does: itself, or what an old rule does by lines.
    pub fn last(&self) -> &Action {
        match self {
            Self::Lines(rule) => match &rule.what {
                LineAction::End(action) => action,
                _ => self,
            },
            _ => self,
        }
    }
}

/// An answer that a rule gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Status; what it is without one depends on the action.
    pub status: u16,
    /// What it consists of.
    pub content: ReplyContent,
}

/// What an answer consists of.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplyContent {
    /// The page of that status, as the proxy has it.
    Page,
    /// `errorfile`: a response as it goes over the wire.
    File(super::FileBytes),
    /// `errorfiles`: the page of that status in a section of that name; without one, nothing but the status.
    Set(Arc<super::ErrorSet>),
    /// `content-type`, `hdr` and a body.
    Own {
        /// `content-type`; there is none without a body.
        content_type: Option<Box<str>>,
        /// `hdr`
        fields: Box<[(Box<str>, LogFormat)]>,
        /// `file`, `string`, `lf-file`, `lf-string`
        body: ReplyBody,
    },
}

/// Body of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplyBody {
    /// None.
    Empty,
    /// The same each time.
    Bytes(super::FileBytes),
    /// A format.
    Format(LogFormat),
}

/// `redirect`
#[derive(Clone, Debug, PartialEq)]
pub struct Redirect {
    /// Where to.
    pub to: RedirectTo,
    /// 301, 302, 303, 307, 308.
    pub code: u16,
    /// `drop-query`
    pub drop_query: bool,
    /// `append-slash`
    pub append_slash: bool,
    /// `ignore-empty`: a location that is empty is no redirect.
    pub ignore_empty: bool,
    /// `set-cookie`, `clear-cookie`: value of the `set-cookie` field.
    pub cookie: Option<Box<str>>,
    /// `set-cookie-fmt`
    pub cookie_format: Option<LogFormat>,
    /// `keep-query` of newer versions.
    pub keep_query: bool,
}

/// Where a redirect leads.
#[derive(Clone, Debug, PartialEq)]
pub enum RedirectTo {
    /// `location`
    Location(LogFormat),
    /// `prefix`, in front of the request's path and query.
    Prefix(LogFormat),
    /// `scheme`, in front of the request's host, path and query.
    Scheme(LogFormat),
}

/// Edits of fields.
pub enum FieldEdit {
    /// `add-header`
    Add(Box<str>, LogFormat),
    /// `set-header`
    Set(Box<str>, LogFormat),
    /// `del-header`, `-m`
    Delete(NameMatch),
    /// `replace-header`: each field as a whole.
    Replace(Box<str>, Regex, LogFormat),
    /// `replace-value`: each part of a list.
    ReplaceValue(Box<str>, Regex, LogFormat),
    /// `add-headers-bin`, and `set-headers-bin` (`alone`), whose fields take the place of others of their names.
    Packed {
        /// Names and values, as [`lb_expr::packed::fields`] reads them.
        fields: Expr,
        /// Only fields whose names begin so.
        prefix: Box<str>,
        /// In place of others of their names.
        alone: bool,
    },
    /// `del-headers-bin`
    DeletePacked {
        /// Names, as [`lb_expr::packed::names`] reads them.
        names: Expr,
        /// What makes one of them a name that is meant.
        how: NamePart,
    },
}

/// What of a field's name is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamePart {
    /// All of it.
    Whole,
    /// `-m beg`
    Begin,
    /// `-m end`
    End,
    /// `-m sub`
    Any,
}

/// Which names `del-header` means.
pub enum NameMatch {
    /// This one.
    Name(Box<str>),
    /// `-m beg`
    Begin(Box<str>),
    /// `-m end`
    End(Box<str>),
    /// `-m sub`
    Contains(Box<str>),
    /// `-m reg`
    Regex(Regex),
}

/// Edits of the request line.
pub enum LineEdit {
    /// `set-method`
    Method(LogFormat),
    /// `set-path`
    Path(LogFormat),
    /// `set-pathq`
    PathQuery(LogFormat),
    /// `set-query`
    Query(LogFormat),
    /// `set-uri`
    Uri(LogFormat),
    /// `replace-path`
    ReplacePath(Regex, LogFormat),
    /// `replace-pathq`
    ReplacePathQuery(Regex, LogFormat),
    /// `replace-uri`
    ReplaceUri(Regex, LogFormat),
    /// `normalize-uri`
    Normalize(Normalizer),
}

/// What `normalize-uri` does. Manual 4.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalizer {
    /// `fragment-encode`
    FragmentEncode,
    /// `fragment-strip`
    FragmentStrip,
    /// `path-merge-slashes`
    MergeSlashes,
    /// `path-strip-dot`
    StripDot,
    /// `path-strip-dotdot`, `full`
    StripDotDot {
        /// `full`: also those at the beginning.
        full: bool,
    },
    /// `percent-decode-unreserved`, `strict`
    DecodeUnreserved {
        /// `strict`: a bad escape is an error.
        strict: bool,
    },
    /// `percent-to-uppercase`, `strict`
    UppercaseEscapes {
        /// `strict`: a bad escape is an error.
        strict: bool,
    },
    /// `query-sort-by-name`
    SortQuery,
}

/// Where `capture` keeps its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureSlot {
    /// The slot of that number in the frontend, `id` or one made for it (`len`).
    Number(usize),
}

/// Which part of an address is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the action of the same name
pub enum AddressPart {
    Source,
    SourcePort,
    Destination,
    DestinationPort,
}

/// Timeouts that `set-timeout` changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the word of the same name
pub enum StreamTimeout {
    Server,
    Tunnel,
    Client,
}

/// A duration, or an expression that gives milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub enum TimeValue {
    /// As written.
    Fixed(Duration),
    /// Milliseconds.
    Expr(Expr),
}

/// A number, or an expression that gives one.
#[derive(Clone, Debug, PartialEq)]
pub enum NumberValue {
    /// As written.
    Fixed(i64),
    /// A number.
    Expr(Expr),
}

/// What a rule does to a pattern set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the action of the same name
pub enum SetUpdate {
    AddAcl,
    DelAcl,
    SetMap,
    DelMap,
}

/// `use_backend`
#[derive(Clone, Debug)]
pub struct UseBackend {
    /// Where traffic goes.
    pub target: BackendTarget,
    /// When; `None`: always.
    pub condition: Option<Condition>,
    /// The line as it was read.
    pub text: Box<str>,
    /// Where it stands.
    pub span: Span,
}

impl PartialEq for UseBackend {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.target == other.target
    }
}

/// Which backend a rule means.
#[derive(Clone, Debug, PartialEq)]
pub enum BackendTarget {
    /// By name, as long as the names are not resolved.
    Name(Box<str>),
    /// This one.
    Fixed(ProxyIndex),
    /// The one whose name comes out; when there is none of that name, the rule does not count.
    Computed(LogFormat),
}

/// `use-server`
#[derive(Clone, Debug)]
pub struct UseServer {
    /// Which server.
    pub target: ServerTarget,
    /// When; `None`: always.
    pub condition: Option<Condition>,
    /// The line as it was read.
    pub text: Box<str>,
    /// Where it stands.
    pub span: Span,
}

impl PartialEq for UseServer {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.target == other.target
    }
}

/// Which server a rule means.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerTarget {
    /// By name, as long as the names are not resolved.
    Name(Box<str>),
    /// The one at this place in the backend.
    Fixed(usize),
    /// The one whose name comes out.
    Computed(LogFormat),
}

/// What a name in an expression stands for; at the place of its [`Reference`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Referent {
    /// A frontend.
    Frontend(ProxyIndex),
    /// A backend.
    Backend(ProxyIndex),
    /// A server of a proxy, by its place.
    Server(ProxyIndex, usize),
    /// A `userlist`, by its place.
    Userlist(usize),
    /// The name is in a section that is disabled, or was refused: nothing.
    Nothing,
}

/// What expressions name, by the numbers that they have for it.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// By [`Reference`].
    pub referents: Vec<Referent>,
    /// Names of variables by their number, with scope as written: `txn.x`.
    pub variables: Vec<String>,
    /// The fetches that expressions use.
    pub fetches: BTreeSet<&'static str>,
    /// Some format has words of log lines, `%r`, beside its samples; the built-in ones do not count.
    pub words: bool,
    /// An embedding program has brought fetches of its own, which may ask for anything.
    pub extended: bool,
    /// Pattern sets: those of files are shared by all who name the file.
    pub sets: Arc<Sets>,
}

impl PartialEq for Named {
    /// What is in a set changes while it runs.
    fn eq(&self, other: &Self) -> bool {
        self.referents == other.referents && self.variables == other.variables
    }
}

impl Named {
    /// What a name stands for.
    pub fn get(&self, reference: Reference) -> Referent {
        self.referents.get(reference.0 as usize).copied().unwrap_or(Referent::Nothing)
    }
}
