//! Where in the life of a session a sample is asked for, and what is there at that moment. Decided when the configuration is read:
//! a sample that can never be there is an error, not an absent value.
//!
//! Source: manual 7.3.3 to 7.3.6; the table as observed on haproxy 2.6.12.

/// A place of the configuration where samples are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Point {
    /// `tcp-request connection`.
    Connection,
    /// `tcp-request session`.
    Session,
    /// `tcp-request content` of a frontend.
    FrontContent,
    /// `http-request` and the like of a frontend.
    FrontRequest,
    /// The same, behind a rule that waits for the body.
    FrontBody,
    /// `use_backend`.
    SetBackend,
    /// `tcp-request content` of a backend.
    BackContent,
    /// `http-request` and the like of a backend.
    BackRequest,
    /// The same, with the body.
    BackBody,
    /// `use-server`, `balance`, `stick`.
    SetServer,
    /// What a server's connection is made with: `source`, `sni`.
    Connect,
    /// `tcp-response content`.
    BackAnswer,
    /// `http-response` of a backend.
    BackResponse,
    /// The same, with the body.
    BackResponseBody,
    /// `stick store-response`.
    Store,
    /// `tcp-response content` of a frontend, which no line says yet.
    FrontAnswer,
    /// `http-response` and `http-after-response` of a frontend.
    FrontResponse,
    /// The same, with the body.
    FrontResponseBody,
    /// Log lines.
    Log,
    /// Rules of health checks.
    Check,
    /// While the configuration is read: `global` lines.
    Load,
    /// On the run-time socket.
    Runtime,
}

/// A set of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Points(u32);

impl Points {
    /// One place.
    pub const fn of(point: Point) -> Self {
        Self(1 << point as u8)
    }

    /// All from one place to another, in the order of [`Point`].
    const fn range(from: Point, to: Point) -> Self {
        Self((u32::MAX >> (31 - to as u8)) & (u32::MAX << from as u8))
    }

    /// Both.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// In both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `point` is one of them.
    pub const fn contains(self, point: Point) -> bool {
        self.0 & (1 << point as u8) != 0
    }
}

/// What a sample takes its value from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Need {
    /// Nothing that could be missing.
    Constant,
    /// The state of the process.
    Internal,
    /// The listener.
    Listener,
    /// The frontend.
    Frontend,
    /// The client's address.
    ClientAddress,
    /// The client's connection: TLS, PROXY protocol.
    ClientConnection,
    /// Counters that a rule tracks.
    Tracked,
    /// Bytes of the request.
    RequestBuffer,
    /// The request's head while it is there.
    RequestHead,
    /// What is kept of the request after it was sent.
    Request,
    /// The request's body.
    RequestBody,
    /// The backend.
    Backend,
    /// The server.
    Server,
    /// The server's address.
    ServerAddress,
    /// The server's connection.
    ServerConnection,
    /// Bytes of the response.
    ResponseBuffer,
    /// The response's head while it is there.
    ResponseHead,
    /// What is kept of the response.
    Response,
    /// The response's body.
    ResponseBody,
    /// What is known at the end only.
    End,
}

impl Need {
    /// Where it is there.
    pub const fn points(self) -> Points {
        use Point as P;
        let all = Points::range(P::Connection, P::Runtime);
        let session = Points::range(P::Connection, P::Log);
        let request = Points::range(P::FrontContent, P::SetServer);
        let response = Points::range(P::BackAnswer, P::FrontResponseBody);
        let check = Points::of(P::Check);
        let log = Points::of(P::Log);
        match self {
            Self::Constant | Self::Internal => all,
            Self::Listener | Self::Frontend | Self::ClientAddress | Self::Tracked => session,
            Self::ClientConnection => session.without(Points::of(P::Connection)),
            Self::RequestBuffer | Self::RequestHead => request,
            Self::Request => Points::range(P::FrontContent, P::Log),
            Self::RequestBody => Points::range(P::FrontBody, P::SetServer),
            Self::Backend => Points::range(P::BackContent, P::Log).or(check),
            Self::Server | Self::ServerAddress | Self::ServerConnection => Points::range(P::Connect, P::Log).or(check),
            Self::ResponseBuffer | Self::ResponseHead => response.or(check),
            Self::Response => response.or(check).or(log),
            Self::ResponseBody => Points::range(P::BackResponseBody, P::FrontResponseBody).or(check),
            Self::End => log,
        }
    }

    /// Haproxy's words for it, as its messages have them.
    pub fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Internal => "internal state",
            Self::Listener => "listener",
            Self::Frontend => "frontend",
            Self::ClientAddress => "client address",
            Self::ClientConnection => "client-side connection",
            Self::Tracked => "track counters",
            Self::RequestBuffer => "request buffer",
            Self::RequestHead => "HTTP request headers",
            Self::Request => "HTTP request",
            Self::RequestBody => "HTTP request body",
            Self::Backend => "backend",
            Self::Server => "server",
            Self::ServerAddress => "server address",
            Self::ServerConnection => "server-side connection",
            Self::ResponseBuffer => "response buffer",
            Self::ResponseHead => "HTTP response headers",
            Self::Response => "HTTP response",
            Self::ResponseBody => "HTTP response body",
            Self::End => "session statistics",
        }
    }

    /// Whether the sample has a meaning in mode http only.
    pub const fn is_http(self) -> bool {
        matches!(self, Self::RequestHead | Self::Request | Self::RequestBody | Self::ResponseHead | Self::Response | Self::ResponseBody)
    }
}
