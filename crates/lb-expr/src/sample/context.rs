//! What an evaluation asks its caller for. Implemented by lb-core for sessions and streams, by tests and tools with plain values.

use super::{OwnedValue, Value};
use crate::{LogSource, Timestamp};
use bumpalo::Bump;
use lb_http::Head;

/// Request or response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// From the client.
    Request,
    /// From the server.
    Response,
}

/// The result of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eval<'a> {
    /// There is a value.
    Value(Value<'a>),
    /// There is none, and none will come.
    Absent,
    /// There is none yet; more bytes may bring one.
    NeedMore,
}

impl<'a> From<Option<Value<'a>>> for Eval<'a> {
    fn from(value: Option<Value<'a>>) -> Self {
        value.map_or(Self::Absent, Self::Value)
    }
}

impl<'a> Eval<'a> {
    /// The value, if there is one.
    pub fn value(self) -> Option<Value<'a>> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }
}

/// Bytes that have come so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bytes<'a> {
    /// The bytes; of a body without its framing.
    pub bytes: &'a [u8],
    /// Nothing more will come, or there is no room for more.
    pub whole: bool,
    /// Length of the whole as its sender announced it.
    pub announced: Option<u64>,
}

/// A proxy or server that an expression names: the index of its name in the list that the [`Loader`](super::Loader) made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reference(pub u32);

/// How long a variable lives. Manual 2.8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// As long as the process, for all.
    Process,
    /// As long as the client's connection.
    Session,
    /// Request and response.
    Transaction,
    /// While the request is processed.
    Request,
    /// While the response is processed.
    Response,
    /// One health check.
    Check,
}

/// A variable: its scope, and the number that its name got when the configuration was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Variable {
    /// How long it lives.
    pub scope: Scope,
    /// Which one; the same name in another scope has another number.
    pub id: u32,
}

/// What only the proxy knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the sample of the same name, manual 7.3.2 and 7.3.3
pub enum Fact {
    /// The client's address, as rules may have changed it.
    Src,
    SrcPort,
    SrcIsLocal,
    /// The address that the client connected to, as rules may have changed it.
    Dst,
    DstPort,
    DstIsLocal,
    DstConn,
    /// Addresses of the client's connection, which rules for requests do not change.
    FcSrc,
    FcSrcPort,
    FcSrcIsLocal,
    FcDst,
    FcDstPort,
    FcDstIsLocal,
    /// Own address and port towards the server.
    BcSrc,
    BcSrcPort,
    /// The server's address and port.
    BcDst,
    BcDstPort,
    BcErr,
    BcErrStr,
    BcErrName,
    BcNbStreams,
    BcHttpMajor,
    FcErr,
    FcErrStr,
    /// The headers that the client's connection began with, the first time that they are asked for.
    FcSavedSyn,
    FcErrName,
    FcNbStreams,
    FcHttpMajor,
    FcRcvdProxy,
    FcPpAuthority,
    FcPpUniqueId,
    /// The value of one kind of PROXY protocol extension.
    FcPpTlv(u8),
    /// What the kernel knows of the client's connection.
    FcTcp(TcpFact),
    /// What the kernel knows of the server's connection.
    BcTcp(TcpFact),
    FeId,
    FeName,
    FeConn(Reference),
    FeReqRate(Reference),
    FeSessRate(Reference),
    FeClientTimeout,
    FeDefbe,
    BeId,
    BeName,
    BeConn(Reference),
    BeConnFree(Reference),
    BeSessRate(Reference),
    BeServerTimeout,
    BeTunnelTimeout,
    BeConnectTimeout,
    BeQueueTimeout,
    BeTarpitTimeout,
    FeTarpitTimeout,
    BeMaxRetries,
    CurMaxRetries,
    CurServerTimeout,
    CurTunnelTimeout,
    CurClientTimeout,
    SoId,
    SoName,
    SrvId,
    SrvName,
    SrvConn(Reference),
    SrvConnFree(Reference),
    SrvIsUp(Reference),
    SrvQueue(Reference),
    SrvSessRate(Reference),
    SrvWeight(Reference),
    SrvIweight(Reference),
    SrvUweight(Reference),
    NbSrv(Reference),
    AvgQueue(Reference),
    Queue(Reference),
    Connslots(Reference),
    ActConn,
    Nbproc,
    Proc,
    Nbthread,
    Thread,
    Pid,
    Hostname,
    Uptime,
    /// Calls of what serves the stream.
    CpuCalls,
    /// Nanoseconds that were spent in those calls, or between a wake-up and its call: known while tasks are profiled.
    CallNanoseconds,
    Stopping,
    PrioClass,
    PrioOffset,
    LastRuleFile,
    LastRuleLine,
    UniqueId,
    /// Status that went to the client.
    Status,
    /// Status that the server sent.
    ServerStatus,
    /// Version that the server has answered with, `HTTP/1.1`.
    ServerVersion,
    HttpFirstReq,
}

/// What a kernel tells of a TCP connection (`TCP_INFO`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the sample of the same name, manual 7.3.3
pub enum TcpFact {
    /// In microseconds.
    Rtt,
    /// In microseconds.
    RttVar,
    Unacked,
    Sacked,
    Lost,
    Retrans,
    Fackets,
    Reordering,
}

/// One stream, or one connection, as expressions see it. What has no messages (a check, the start of a process) says nothing of them.
pub trait Context: LogSource {
    /// The head of a message. `None`: there is none (yet), or it is no HTTP.
    fn head(&self, side: Side) -> Option<&Head> {
        let _ = side;
        None
    }

    /// What has come of a message's body.
    fn body(&self, side: Side) -> Bytes<'_> {
        let _ = side;
        Bytes::default()
    }

    /// What has come of a stream in mode tcp, or before its head was read.
    fn buffer(&self, side: Side) -> Bytes<'_> {
        let _ = side;
        Bytes::default()
    }

    /// What only the proxy knows.
    fn fact<'a>(&'a self, fact: Fact, scratch: &'a Bump) -> Option<Value<'a>>;

    /// A variable of the environment as it is now; `None`: as it was when the configuration was read.
    fn environment<'a>(&self, name: &str, scratch: &'a Bump) -> Option<Value<'a>> {
        let _ = (name, scratch);
        None
    }

    /// The value of a variable.
    fn variable<'a>(&self, variable: Variable, scratch: &'a Bump) -> Option<Value<'a>>;

    /// Gives a variable a value, or takes it away. False when it may not grow so large (`tune.vars.*-max-size`).
    fn set_variable(&self, variable: Variable, value: Option<OwnedValue>) -> bool;

    /// Whether a `userlist` knows this user by this password.
    fn knows_user(&self, list: Reference, user: &[u8], password: &[u8]) -> bool {
        let _ = (list, user, password);
        false
    }

    /// The group number `n`, from 0, of a user of a `userlist`; `None`: there is none of that number.
    fn group_of(&self, list: Reference, user: &[u8], n: usize) -> Option<&[u8]> {
        let _ = (list, user, n);
        None
    }

    /// Wall-clock time.
    fn now(&self) -> Timestamp;

    /// A random number.
    fn random(&self) -> u64;

    /// Seconds east of UTC of local time at a moment, as far as the system knows; by default what is in force now.
    fn local_offset(&self, unix_secs: i64) -> i32 {
        let _ = unix_secs;
        self.now().utc_offset_secs
    }

    /// Name of local time's zone at a moment, `CET`.
    fn local_zone<'a>(&self, unix_secs: i64, scratch: &'a Bump) -> &'a str {
        let _ = (unix_secs, scratch);
        "UTC"
    }

    /// Whether the client is asked for its password as by a proxy (`option http-use-proxy-header`).
    fn authenticates_as_proxy(&self) -> bool {
        false
    }

    /// What is known of a backend or a server that a value names.
    fn lookup(&self, what: Lookup<'_>) -> Option<i64> {
        let _ = what;
        None
    }

    /// Keeps a value in a slot for captured fields, and says whether there is such a slot.
    fn set_capture(&self, side: Side, slot: u32, value: &[u8]) -> bool {
        let _ = (side, slot, value);
        false
    }

    /// A line for those who look for faults: `debug`. `sink` is `stdout`, `stderr` or the name of a ring.
    fn debug(&self, sink: &str, line: &[u8]) {
        let _ = (sink, line);
    }

    /// Whether a condition of the converter `when` holds.
    fn is(&self, condition: Condition) -> bool {
        let _ = condition;
        false
    }
}

/// What a value names, and what is asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup<'n> {
    /// How many servers of this backend can be used.
    UsableServers(&'n [u8]),
    /// How many streams wait for this server, `backend/server` or `server` of the same backend.
    ServerQueue(&'n [u8]),
    /// Whether the server `backend/server` is up, as 1 or 0.
    ServerIsUp(&'n [u8]),
    /// Whether there is a frontend of this name, as 1 or 0.
    FrontendExists(&'n [u8]),
}

/// Conditions of the converter `when`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Something went wrong with this request or stream, as `option dontlog-normal` sees it.
    Error,
    /// It went to a server.
    Forwarded,
    /// The process answers it itself.
    ToApplet,
    /// The process is stopping.
    Stopping,
}

/// All that a fetch or a converter works with.
#[derive(Clone, Copy)]
pub struct Cx<'a> {
    /// The stream.
    pub source: &'a dyn Context,
    /// Memory for what has to be made. It is the caller's to reset it when no value is used any more.
    pub scratch: &'a Bump,
    /// The direction in which the rule stands; what has no direction of its own (`payload`) takes this one.
    pub side: Side,
    /// What is not there now will not come: the last chance to decide.
    pub last: bool,
}

impl<'a> Cx<'a> {
    /// The head of one side.
    pub fn head(&self, side: Side) -> Option<&'a Head> {
        self.source.head(side)
    }

    /// Nothing, or nothing yet.
    pub fn missing(&self, whole: bool) -> Eval<'a> {
        if whole || self.last { Eval::Absent } else { Eval::NeedMore }
    }

    /// Copies bytes to the scratch memory.
    pub fn keep(&self, bytes: &[u8]) -> &'a [u8] {
        self.scratch.alloc_slice_copy(bytes)
    }
}

/// Where a fetch that has several values stands. An ACL asks for one after the other; others take the one that the fetch has
/// without a cursor.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    /// The caller wants all values; a fetch that has but one ignores it.
    pub each: bool,
    /// Another value may follow.
    pub more: bool,
    /// Set by the fetch: more bytes may still change the value that it gave (`req.len`, `payload(0,0)`). An ACL that such a value does
    /// not match waits.
    pub partial: bool,
    /// For the fetch: which field.
    pub field: u32,
    /// For the fetch: where in it.
    pub offset: u32,
}

impl Cursor {
    /// For all values.
    pub fn each() -> Self {
        Self { each: true, ..Self::default() }
    }
}
