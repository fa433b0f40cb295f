//! Checks that speak a protocol: `option redis-check`, `smtpchk`, `mysql-check` and their like, as scripts, and what in their answers no
//! pattern can say. Manual 4.2.
//!
//! Holds: the bytes that are sent, the statuses and the texts are those of HAProxy 2.6.12, as observed; nothing behind the end of a
//! message is looked at.

mod database;
mod directory;
mod spop;

use crate::script::{Connect, Expect, Match, Message, Rule, Script, Send, Text};
use crate::status::Status;

/// An answer that is judged by its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is an answer of the protocol that its name says
pub enum Protocol {
    RedisPong,
    /// Three digits at all.
    SmtpBanner,
    /// A banner of 2xx.
    SmtpReady,
    SmtpHello,
    SmtpQuit,
    /// No error.
    PgsqlError,
    PgsqlAuthentication,
    LdapBind,
    MysqlHandshake,
    /// The answer behind the handshake.
    MysqlLogin,
    TlsHello,
    SpopHello,
}

/// What an answer amounts to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// More bytes are needed.
    Wait,
    /// Good; info and code where they say something.
    Passed { code: u32, info: Option<Vec<u8>> },
    /// Not good. `status`: where it is not that of the rule.
    Failed { status: Option<Status>, code: u32, info: Vec<u8> },
}

impl Judged {
    fn ok(info: &str) -> Judged {
        Judged::Passed { code: 0, info: Some(info.into()) }
    }

    fn failed(code: u32, info: impl Into<Vec<u8>>) -> Judged {
        Judged::Failed { status: None, code, info: info.into() }
    }
}

impl Protocol {
    /// `last`: nothing more comes.
    pub(crate) fn judge(self, bytes: &[u8], last: bool) -> Judged {
        let least = match self {
            Protocol::SmtpBanner | Protocol::SmtpReady => 4,
            Protocol::SmtpHello | Protocol::SmtpQuit | Protocol::PgsqlError | Protocol::TlsHello => 5,
            Protocol::PgsqlAuthentication => 9,
            _ => 0,
        };
        if bytes.len() < least && !last {
            return Judged::Wait;
        }
        match self {
            Protocol::RedisPong => {
                if memchr::memmem::find(bytes, b"+PONG\r\n").is_some() {
                    Judged::ok("Redis server is ok")
                } else if last {
                    Judged::failed(0, first_line(bytes))
                } else {
                    Judged::Wait
                }
            }
            Protocol::SmtpBanner if reply(bytes, b" \r").is_some() => Judged::Passed { code: 0, info: None },
            Protocol::SmtpBanner => Judged::failed(0, first_line(bytes)),
            Protocol::SmtpReady => smtp(bytes, reply(bytes, b" \r").is_some_and(is_good)),
            Protocol::SmtpHello => {
                let good = last_reply(bytes).and_then(|line| reply(line, b" \r")).is_some_and(is_good);
                if good || last { smtp(bytes, good) } else { Judged::Wait }
            }
            Protocol::SmtpQuit => smtp(bytes, reply(bytes, b"- \r").is_some_and(is_good)),
            Protocol::PgsqlError => match bytes {
                [b'E', ..] => Judged::failed(0, bytes.get(6..).unwrap_or_default()),
                _ => Judged::Passed { code: 0, info: None },
            },
            Protocol::PgsqlAuthentication => match bytes {
                [b'R', 0, 0, 0, _, 0, 0, 0, 0 | 2..=7 | 9 | 10, ..] => Judged::ok("PostgreSQL server is ok"),
                _ => Judged::failed(0, "PostgreSQL unknown error"),
            },
            Protocol::TlsHello => match bytes {
                // A handshake or an alert.
                [0x15 | 0x16, ..] => Judged::Passed { code: 0, info: None },
                _ => Judged::failed(0, ""),
            },
            Protocol::LdapBind => directory::bind(bytes, last),
            Protocol::MysqlHandshake => database::handshake(bytes, last),
            Protocol::MysqlLogin => database::login(bytes, last),
            Protocol::SpopHello => spop::hello(bytes, last),
        }
    }
}

fn first_line(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|b| matches!(b, b'\r' | b'\n')).unwrap_or(bytes.len());
    &bytes[..end]
}

/// The code of an SMTP reply that has one of these bytes behind it.
fn reply(bytes: &[u8], behind: &[u8]) -> Option<u32> {
    match bytes {
        [a, b, c, next, ..] if [a, b, c].iter().all(|d| d.is_ascii_digit()) && behind.contains(next) => Some(number(&bytes[..3])),
        _ => None,
    }
}

fn number(digits: &[u8]) -> u32 {
    digits.iter().take_while(|d| d.is_ascii_digit()).fold(0, |n, d| n * 10 + u32::from(d - b'0'))
}

fn is_good(code: u32) -> bool {
    (200..300).contains(&code)
}

/// What stands behind the continued lines (`250-`) of a reply.
fn last_reply(mut bytes: &[u8]) -> Option<&[u8]> {
    while reply(bytes, b"-").is_some_and(is_good) {
        let end = memchr::memchr(b'\r', bytes)?;
        bytes = bytes[end..].strip_prefix(b"\r\n")?;
    }
    Some(bytes)
}

fn smtp(bytes: &[u8], good: bool) -> Judged {
    let code = number(bytes.get(..3).unwrap_or(bytes));
    let text = first_line(bytes.get(4..).unwrap_or_default());
    let text = text.trim_ascii_start().to_vec();
    if good { Judged::Passed { code, info: Some(text) } } else { Judged::failed(code, text) }
}

fn send(bytes: impl AsRef<[u8]>) -> Rule {
    Rule::Send(Send { what: Message::Bytes(Text::plain(bytes)), comment: None })
}

fn expect(what: Protocol) -> Rule {
    expect_or(what, Status::L7Rsp)
}

fn expect_or(what: Protocol, error: Status) -> Rule {
    Rule::Expect(Box::new(Expect { error: Some(error), ..Expect::new(Match::Protocol(what)) }))
}

/// A connection that is closed cleanly: a reset is an error in the logs of such servers.
fn lingering() -> Rule {
    Rule::Connect(Connect { own: true, linger: true, ..Connect::default() })
}

/// The form of a MySQL login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MysqlClient {
    /// `post-41`: the protocol since 4.1.
    Post41,
    /// `pre-41`: the one before.
    Pre41,
}

impl Script {
    /// `option redis-check`
    pub fn redis() -> Script {
        Script::protocol(vec![send("*1\r\n$4\r\nPING\r\n"), expect_or(Protocol::RedisPong, Status::L7Sts)])
    }

    /// `option smtpchk [<hello> <domain>]`: `EHLO` or `HELO`, and the name to say.
    pub fn smtp(hello: &str, domain: &str) -> Script {
        Script::protocol(vec![
            lingering(),
            expect(Protocol::SmtpBanner),
            expect_or(Protocol::SmtpReady, Status::L7Sts),
            send(format!("{hello} {domain}\r\n")),
            expect_or(Protocol::SmtpHello, Status::L7Sts),
            send("QUIT\r\n"),
            expect_or(Protocol::SmtpQuit, Status::L7Sts),
        ])
    }

    /// `option pgsql-check user <name>`
    pub fn pgsql(user: &str) -> Script {
        Script::protocol(vec![
            lingering(),
            send(database::startup(user)),
            expect(Protocol::PgsqlError),
            expect_or(Protocol::PgsqlAuthentication, Status::L7Sts),
        ])
    }

    /// `option mysql-check`; with a user who has no password, a login and `QUIT`.
    pub fn mysql(login: Option<(&str, MysqlClient)>) -> Script {
        let mut rules = vec![lingering()];
        if let Some((user, client)) = login {
            rules.push(send(database::login_and_quit(user, client)));
        }
        rules.push(expect(Protocol::MysqlHandshake));
        if login.is_some() {
            rules.push(expect(Protocol::MysqlLogin));
        }
        Script::protocol(rules)
    }

    /// `option ldap-check`
    pub fn ldap() -> Script {
        Script::protocol(vec![send(directory::BIND), expect(Protocol::LdapBind)])
    }

    /// `option ssl-hello-chk`
    pub fn ssl_hello() -> Script {
        let answer = Expect {
            ok: Status::L6Ok,
            error: Some(Status::L6Rsp),
            timeout: Status::L6Tout,
            ..Expect::new(Match::Protocol(Protocol::TlsHello))
        };
        Script::protocol(vec![Rule::Send(Send { what: Message::ClientHello, comment: None }), Rule::Expect(Box::new(answer))])
    }

    /// `option spop-check`
    pub fn spop() -> Script {
        Script::protocol(vec![send(spop::hello_of_proxy()), expect(Protocol::SpopHello)])
    }
}

/// The hello of `ssl-hello-chk` as of a time in seconds: version 3.0, and all the ciphers of its day.
pub(crate) fn client_hello(unix_secs: i64) -> Vec<u8> {
    const RANDOM: &[u8; 28] = b"HAPROXYSSLCHK\nHAPROXYSSLCHK\n";
    let ciphers: Vec<u8> = (0x01..=0x1b).chain(0x2f..=0x3a).flat_map(|cipher| [0, cipher]).collect();
    // Version, time, random, empty session, ciphers, one way not to compress.
    let body = 2 + 4 + RANDOM.len() + 1 + 2 + ciphers.len() + 2;
    let mut bytes = vec![0x16, 3, 0, 0, (body + 4) as u8, 1, 0, 0, body as u8, 3, 0];
    bytes.extend_from_slice(&(unix_secs as u32).to_be_bytes());
    bytes.extend_from_slice(RANDOM);
    bytes.extend_from_slice(&[0, 0, ciphers.len() as u8]);
    bytes.extend_from_slice(&ciphers);
    bytes.extend_from_slice(&[1, 0]);
    bytes
}
