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

impl Point {
    /// Haproxy's words for it, as its messages have them.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connection => "frontend tcp-request connection rule",
            Self::Session => "frontend tcp-request session rule",
            Self::FrontContent => "frontend tcp-request content rule",
            Self::FrontRequest => "frontend http-request header rule",
            Self::FrontBody => "frontend http-request body rule",
            Self::SetBackend => "frontend use-backend rule",
            Self::BackContent => "backend tcp-request content rule",
            Self::BackRequest => "backend http-request header rule",
            Self::BackBody => "backend http-request body rule",
            Self::SetServer => "backend use-server, balance or stick-match rule",
            Self::Connect => "server source selection",
            Self::BackAnswer => "backend tcp-response content rule",
            Self::BackResponse => "backend http-response header rule",
            Self::BackResponseBody => "backend http-response body rule",
            Self::Store => "backend stick-store rule",
            Self::FrontAnswer => "frontend tcp-response content rule",
            Self::FrontResponse => "frontend http-response header rule",
            Self::FrontResponseBody => "frontend http-response body rule",
            Self::Log => "logs",
            Self::Check => "backend tcp-check rule",
            Self::Load => "configuration parsing",
            Self::Runtime => "CLI",
        }
    }
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

    /// Whether the place with this number, in the order of [`Point`], is one of them.
    pub const fn has(self, number: u8) -> bool {
        number < 32 && self.0 & (1 << number) != 0
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
    /// The client's connection: TLS.
    ClientConnection,
    /// Counters that a rule tracks.
    Tracked,
    /// Bytes of the request.
    RequestBuffer,
    /// Bytes of the request or of the response, by where it stands.
    EitherBuffer,
    /// The request's head while it is there, and the body that has come with it.
    RequestHead,
    /// The head of the request or of the response, by where it stands.
    EitherHead,
    /// What is kept of the request after it was sent.
    Request,
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
    /// The response's head while it is there, and the body that has come with it.
    ResponseHead,
    /// What is kept of the response.
    Response,
    /// What is known at the end only.
    End,
}

impl Need {
    /// Where it is there.
    pub const fn points(self) -> Points {
        use Point as P;
        match self {
            Self::Constant => Points::range(P::Connection, P::Runtime),
            Self::Internal | Self::Tracked => Points::range(P::Connection, P::Runtime).without(Points::of(P::Load)),
            Self::Listener | Self::Frontend => Points::range(P::Connection, P::Log),
            Self::ClientAddress => Points::range(P::Connection, P::Check),
            Self::ClientConnection => Points::range(P::Session, P::Log),
            Self::RequestBuffer | Self::RequestHead => Points::range(P::FrontContent, P::Connect),
            Self::EitherBuffer | Self::EitherHead => Points::range(P::FrontContent, P::FrontResponseBody).or(Points::of(P::Check)),
            Self::Request => Points::range(P::FrontContent, P::Log),
            Self::Backend => Points::range(P::BackContent, P::Check),
            Self::Server => Points::range(P::Connect, P::Check),
            Self::ServerAddress | Self::ServerConnection | Self::Response => Points::range(P::BackAnswer, P::Check),
            Self::ResponseBuffer | Self::ResponseHead => Points::range(P::BackAnswer, P::FrontResponseBody).or(Points::of(P::Check)),
            Self::End => Points::of(P::Log),
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
            Self::EitherBuffer => "request buffer,response buffer",
            Self::RequestHead => "HTTP request headers",
            Self::EitherHead => "HTTP request headers,HTTP response headers",
            Self::Request => "HTTP request",
            Self::Backend => "backend",
            Self::Server => "server",
            Self::ServerAddress => "server address",
            Self::ServerConnection => "server-side connection",
            Self::ResponseBuffer => "response buffer",
            Self::ResponseHead => "HTTP response headers",
            Self::Response => "HTTP response",
            Self::End => "session statistics",
        }
    }

    /// Whether the sample is made of bytes as they came in, and so has no meaning in mode http.
    pub const fn is_bytes(self) -> bool {
        matches!(self, Self::RequestBuffer | Self::EitherBuffer | Self::ResponseBuffer)
    }

    /// Whether the sample has a meaning in mode http only.
    pub const fn is_http(self) -> bool {
        matches!(self, Self::RequestHead | Self::EitherHead | Self::Request | Self::ResponseHead | Self::Response)
    }
}
