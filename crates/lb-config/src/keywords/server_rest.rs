//! Parameters of `server` that are read without effect, or known and not there yet. Source: manual 5.2, and the words of
//! newer versions.

use super::{Context, Keyword, Parser, State};
use crate::model::LogProto;
use crate::tree::shown;

/// Takes no value and has no effect.
const fn idle(name: &'static str, doc: &'static str, why: &'static str) -> Keyword {
    Keyword::new(Context::Server, name, "", doc, State::Accepted(why), Parser::Server(|_, _| Ok(())))
}

/// Takes a value and has no effect.
const fn skipped(name: &'static str, args: &'static str, doc: &'static str, why: &'static str) -> Keyword {
    Keyword::new(Context::Server, name, args, doc, State::Accepted(why), Parser::Server(|_, params| params.value().map(drop)))
}

const fn refused(name: &'static str, args: &'static str, doc: &'static str, what: &'static str) -> Keyword {
    Keyword::new(Context::Server, name, args, doc, State::Refused(what), Parser::None)
}

const SO: &str = "says what is so while the rest of it is not there";
const OWN_CONNECTION: &str = "a check has a connection of its own: the server is asked the same, and traffic keeps its connections";
const WITHOUT_TLS: &str = "says what is so without TLS";
const TLS: &str = "TLS";
const RESOLVERS: &str = "name resolution at run time";

pub(super) const KEYWORDS: &[Keyword] = &[
    idle("no-ssl", "takes 'ssl' back", WITHOUT_TLS),
    idle("no-check-ssl", "takes 'check-ssl' back", WITHOUT_TLS),
    idle("no-send-proxy-v2-ssl", "takes 'send-proxy-v2-ssl' back", WITHOUT_TLS),
    idle("no-send-proxy-v2-ssl-cn", "takes 'send-proxy-v2-ssl-cn' back", WITHOUT_TLS),
    idle("no-ssl-reuse", "no reuse of sessions", WITHOUT_TLS),
    idle("no-sslv3", "no SSLv3", WITHOUT_TLS),
    idle("no-tls-tickets", "no session tickets", WITHOUT_TLS),
    idle("no-tlsv10", "no TLS 1.0", WITHOUT_TLS),
    idle("no-tlsv11", "no TLS 1.1", WITHOUT_TLS),
    idle("no-tlsv12", "no TLS 1.2", WITHOUT_TLS),
    idle("no-tlsv13", "no TLS 1.3", WITHOUT_TLS),
    idle("no-verifyhost", "takes 'verifyhost' back", WITHOUT_TLS),
    idle("no-renegotiate", "takes 'renegotiate' back", WITHOUT_TLS),
    idle("no-sni-auto", "takes 'sni-auto' back", WITHOUT_TLS),
    idle("no-check-sni-auto", "takes 'check-sni-auto' back", WITHOUT_TLS),
    idle("check-via-socks4", "checks through the server's SOCKS4 proxy", "has a meaning with 'socks4' only, which is refused by name"),
    idle("check-reuse-pool", "checks take idle connections", OWN_CONNECTION),
    skipped("check-pool-conn-name", "<name>", "idle connections that checks may take", OWN_CONNECTION),
    idle("no-check-reuse-pool", "takes 'check-reuse-pool' back", SO),
    idle("no-tfo", "takes 'tfo' back", SO),
    idle("stick", "takes 'non-stick' back", "there are no stick tables"),
    idle("non-stick", "the server is not stored in stick tables", "there are no stick tables"),
    skipped("resolve-opts", "<options>", "options of name resolution at run time", "has a meaning with 'resolvers' only"),
    skipped("resolve-prefer", "ipv4|ipv6", "family that name resolution at run time prefers", "has a meaning with 'resolvers' only"),
    skipped("resolve-net", "<nets>", "networks that name resolution at run time prefers", "has a meaning with 'resolvers' only"),
    skipped("ws", "auto|h1|h2", "HTTP version of websockets", "connections are HTTP/1 whatever it says"),
    Keyword::new(
        Context::Server,
        "log-proto",
        "legacy|octet-count",
        "how a server of a ring tells lines apart",
        State::Works,
        Parser::Server(|cx, params| {
            cx.server.server.log_proto = match params.value()? {
                "legacy" => LogProto::Legacy,
                "octet-count" => LogProto::OctetCount,
                other => {
                    let problem = params.problem(format!("'log-proto' does not take '{}'", shown(other)));
                    return Err(problem.help("'log-proto' takes 'legacy' and 'octet-count'"));
                }
            };
            Ok(())
        }),
    ),
    skipped("log-bufsize", "<size>", "buffer towards a log server", "has a meaning for log backends only"),
    skipped("shard", "<number>", "share of a peer", "has a meaning for peers only"),
    // Known, not there yet.
    refused("cc", "<algorithm>", "congestion control", "choice of congestion control"),
    refused("check-sni-auto", "", "name in checks with TLS", TLS),
    refused("check-alpn", "<protocols>", "protocols of checks with TLS", TLS),
    refused("check-sni", "<name>", "name in checks with TLS", TLS),
    refused("check-ssl", "", "checks with TLS", TLS),
    refused("cookie", "<value>", "the server's value in the persistence cookie", "cookie persistence"),
    refused("idle-ping", "<time>", "probes of idle HTTP/2 connections", "HTTP/2"),
    refused("namespace", "<name>", "network namespace", "network namespaces"),
    refused("pool-conn-name", "<expression>", "which idle connections match", "named connection pools"),
    refused("quic-cc-algo", "<algorithm>", "congestion control of QUIC", "QUIC"),
    refused("redir", "<prefix>", "GET and HEAD are redirected to the server", "redirection to servers"),
    refused("resolvers", "<name>", "name servers", RESOLVERS),
    refused("send-proxy-v2-ssl", "", "PROXY v2 with what TLS knows", TLS),
    refused("send-proxy-v2-ssl-cn", "", "PROXY v2 with the client certificate's name", TLS),
    refused("set-proxy-v2-tlv-fmt", "<format>", "PROXY v2 with values of its own", "formatted PROXY TLVs"),
    refused("socks4", "<address>", "connects through a SOCKS4 proxy", "SOCKS4"),
    refused("strict-maxconn", "", "connections, not streams, are limited", "strict maxconn"),
    refused("tcp-md5sig", "<password>", "TCP MD5 signatures", "TCP MD5 signatures"),
    refused("tfo", "", "TCP fast open", "TCP fast open towards servers"),
    refused("allow-0rtt", "", "early data", TLS),
    refused("alpn", "<protocols>", "protocols to negotiate", TLS),
    refused("ca-file", "<file>", "authorities of the server's certificate", TLS),
    refused("ciphers", "<list>", "ciphers up to TLS 1.2", TLS),
    refused("ciphersuites", "<list>", "ciphers of TLS 1.3", TLS),
    refused("client-sigalgs", "<list>", "signature algorithms of clients", TLS),
    refused("crl-file", "<file>", "revoked certificates", TLS),
    refused("crt", "<file>", "certificate for the server", TLS),
    refused("curves", "<list>", "elliptic curves", TLS),
    refused("force-sslv3", "", "SSLv3 alone", TLS),
    refused("force-tlsv10", "", "TLS 1.0 alone", TLS),
    refused("force-tlsv11", "", "TLS 1.1 alone", TLS),
    refused("force-tlsv12", "", "TLS 1.2 alone", TLS),
    refused("force-tlsv13", "", "TLS 1.3 alone", TLS),
    refused("ktls", "<on|off>", "TLS in the kernel", TLS),
    refused("npn", "<protocols>", "protocols to negotiate", TLS),
    refused("renegotiate", "", "renegotiation", TLS),
    refused("sigalgs", "<list>", "signature algorithms", TLS),
    refused("sni", "<expression>", "name sent to the server", TLS),
    refused("sni-auto", "", "name sent to the server", TLS),
    refused("ssl", "", "TLS to the server", TLS),
    refused("ssl-max-ver", "<version>", "newest version", TLS),
    refused("ssl-min-ver", "<version>", "oldest version", TLS),
    refused("ssl-reuse", "", "reuse of sessions", TLS),
    refused("tls-tickets", "", "session tickets", TLS),
    refused("verify", "<mode>", "check of the server's certificate", TLS),
    refused("verifyhost", "<name>", "name in the server's certificate", TLS),
];
