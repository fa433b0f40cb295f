//! Lines of sections other than `global` and the proxies. Source: manual 3.4 to 3.10, 5.3.2, 6.2.1, 10.1.1; 3.12 of newer
//! ones, and the sections after that.

use super::{CACHE, FCGI, STICK, TLS, word};
use crate::keywords::{Context, Keyword, State};

const fn line(section: &'static str, name: &'static str, args: &'static str, doc: &'static str, what: &'static str) -> Keyword {
    word(Context::In(section), name, args, doc, State::Refused(what))
}

const RESOLVE: &str = "name resolution at run time";

pub(in crate::keywords) const KEYWORDS: &[Keyword] = &[
    line("peers", "bind", "<address>:<port> [<parameter> ...]", "where peers connect", STICK),
    line("peers", "default-bind", "<parameter> ...", "parameters of 'bind'", STICK),
    line("peers", "default-server", "<parameter> ...", "parameters of 'server'", STICK),
    line("peers", "disabled", "", "no exchange", STICK),
    line("peers", "enabled", "", "takes 'disabled' back", STICK),
    line("peers", "log", "<target> ...", "logs of the exchange", STICK),
    line("peers", "peer", "<name> <address>:<port> [<parameter> ...]", "a peer", STICK),
    line("peers", "server", "<name> [<address>:<port>] [<parameter> ...]", "a peer", STICK),
    line("peers", "shards", "<number>", "shares of the keys", STICK),
    line("peers", "table", "<name> type <type> size <size> ...", "a table of keys", STICK),
    line("resolvers", "accepted_payload_size", "<bytes>", "longest answer", RESOLVE),
    line("resolvers", "hold", "<status> <time>", "how long an answer counts", RESOLVE),
    line("resolvers", "nameserver", "<name> <address>:<port> [<parameter> ...]", "a name server", RESOLVE),
    line("resolvers", "parse-resolv-conf", "", "name servers of /etc/resolv.conf", RESOLVE),
    line("resolvers", "resolve_retries", "<number>", "questions until giving up", RESOLVE),
    line("resolvers", "timeout resolve", "<time>", "time between questions", RESOLVE),
    line("resolvers", "timeout retry", "<time>", "time until a question is repeated", RESOLVE),
    line("cache", "max-age", "<seconds>", "longest life of an object", CACHE),
    line("cache", "max-object-size", "<bytes>", "largest object", CACHE),
    line("cache", "max-secondary-entries", "<number>", "variants of an object", CACHE),
    line("cache", "process-vary", "on|off", "responses with Vary", CACHE),
    line("cache", "total-max-size", "<megabytes>", "size of the cache", CACHE),
    line("fcgi-app", "acl", "<name> <criterion> ...", "names a condition", FCGI),
    line("fcgi-app", "docroot", "<path>", "directory of the scripts", FCGI),
    line("fcgi-app", "index", "<name>", "script of a directory", FCGI),
    line("fcgi-app", "log-stderr", "global | <target> ...", "where messages of the application go", FCGI),
    line("fcgi-app", "option get-values", "", "asks the application for its limits", FCGI),
    line("fcgi-app", "option keep-conn", "", "connections stay open", FCGI),
    line("fcgi-app", "option max-reqs", "<number>", "requests at once on a connection", FCGI),
    line("fcgi-app", "option mpxs-conns", "", "several requests on a connection", FCGI),
    line("fcgi-app", "pass-header", "<name>", "passes a field on", FCGI),
    line("fcgi-app", "path-info", "<regex>", "splits a path into script and rest", FCGI),
    line("fcgi-app", "set-param", "<name> <format>", "sets a parameter", FCGI),
    line("crt-store", "crt-base", "<directory>", "where certificates are", TLS),
    line("crt-store", "key-base", "<directory>", "where keys are", TLS),
    line("crt-store", "load", "[crt <file>] [alias <name>] [key <file>] [ocsp <file>] ...", "a certificate and what belongs to it", TLS),
    line("traces", "trace", "<source> ...", "what is traced", "traces"),
    line("acme", "account-key", "<file>", "key of the account", TLS),
    line("acme", "bits", "<number>", "size of keys", TLS),
    line("acme", "challenge", "<kind>", "how a name is proved", TLS),
    line("acme", "contact", "<mail>", "address of the account", TLS),
    line("acme", "curves", "<curve>", "curve of keys", TLS),
    line("acme", "directory", "<url>", "where the authority is", TLS),
    line("acme", "keytype", "<type>", "kind of keys", TLS),
    line("acme", "map", "<map>", "map with the tokens", TLS),
];
