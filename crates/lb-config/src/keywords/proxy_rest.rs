//! Keywords of proxies that are read without effect, or known and not there yet. Source: manual 4.1, and the words of
//! newer versions.

use super::{Context, Keyword, Parser, Sections, State};

const fn accepted(name: &'static str, sections: Sections, args: &'static str, doc: &'static str, why: &'static str) -> Keyword {
    Keyword::new(Context::Proxy, name, args, doc, State::Accepted(why), Parser::Proxy(|_, line| super::usage::check(line)))
        .sections(sections)
}

const fn refused(name: &'static str, sections: Sections, args: &'static str, doc: &'static str, what: &'static str) -> Keyword {
    Keyword::new(Context::Proxy, name, args, doc, State::Refused(what), Parser::None).sections(sections)
}

const D_F_L_B: Sections = Sections::D_F_L_B;
const D_F_L: Sections = Sections::D_F_L;
const D_L_B: Sections = Sections::D_L_B;
const F_L_B: Sections = Sections::F_L_B;
const F_L: Sections = Sections::F_L;
const L_B: Sections = Sections::L_B;

const RULES: &str = "ACLs and rules";
const STICK: &str = "stick tables";
const STATS: &str = "the statistics page";
const COOKIE: &str = "cookie persistence";
const STATE_FILE: &str = "server state files";
const FILTERS: &str = "filters";

pub(super) const KEYWORDS: &[Keyword] = &[
    accepted("option disable-h2-upgrade", D_F_L, "", "no HTTP/2 on a plain connection", "HTTP/2 is not spoken").negatable().http(),
    accepted("option persist", D_L_B, "", "a cookie's server is used even when it is down", "there is no cookie persistence").negatable(),
    accepted("option use-small-buffers", D_F_L_B, "[<what> ...]", "small buffers where they do", "concerns memory only").negatable(),
    accepted(
        "max-session-srv-conns",
        D_F_L,
        "<number>",
        "idle server connections that are kept for one client",
        "how many are kept, not what is exchanged on them",
    ),
    // Known, not there yet.
    refused("be-unpublished", D_L_B, "", "the backend is not chosen", "publishing of backends"),
    refused("compression", D_F_L_B, "...", "compresses responses", "compression"),
    refused("cookie", D_L_B, "<name> ...", "persistence by cookie", COOKIE),
    refused("crt", F_L, "<file>", "certificate", "TLS"),
    refused("filter", F_L_B, "<name> ...", "a filter", FILTERS),
    refused("filter-sequence", F_L_B, "...", "order of filters", FILTERS),
    refused("force-be-switch", F_L, "{if|unless} <condition>", "goes to a backend that is not published", RULES),
    refused("load-server-state-from-file", D_L_B, "global|local|none", "states of servers from a file", STATE_FILE),
    refused("option checkcache", D_L_B, "", "refuses responses that caches could leak", "checks of cacheability"),
    refused("persist rdp-cookie", D_L_B, "[(<name>)]", "persistence by RDP cookie", COOKIE),
    refused("quic-initial", D_F_L, "<action> ...", "rules for QUIC", "QUIC"),
    refused("server-state-file-name", D_L_B, "[<file>]", "file with states of servers", STATE_FILE),
    refused("stats admin", F_L_B, "{if|unless} <condition>", "actions on the page", STATS),
    refused("stats auth", D_F_L_B, "<user>:<password>", "users of the page", STATS),
    refused("stats enable", D_F_L_B, "", "the page", STATS),
    refused("stats hide-version", D_F_L_B, "", "no version on the page", STATS),
    refused("stats http-request", F_L_B, "<action> ...", "who may see the page", STATS),
    refused("stats realm", D_F_L_B, "<text>", "realm of the page", STATS),
    refused("stats refresh", D_F_L_B, "<time>", "the page refreshes", STATS),
    refused("stats scope", D_F_L_B, "<proxy>", "proxies on the page", STATS),
    refused("stats show-desc", D_F_L_B, "[<text>]", "description on the page", STATS),
    refused("stats show-legends", D_F_L_B, "", "legends on the page", STATS),
    refused("stats show-modules", D_F_L_B, "", "modules on the page", STATS),
    refused("stats show-node", D_F_L_B, "[<name>]", "node on the page", STATS),
    refused("stats show-version", D_F_L_B, "", "version on the page", STATS),
    refused("stats uri", D_F_L_B, "<prefix>", "URI of the page", STATS),
    refused("stick match", L_B, "<key> ...", "looks a server up", STICK),
    refused("stick on", L_B, "<key> ...", "looks a server up and stores it", STICK),
    refused("stick store-request", L_B, "<key> ...", "stores a server", STICK),
    refused("stick store-response", L_B, "<key> ...", "stores a server", STICK),
    refused("stick-table", F_L_B, "type <type> size <n> ...", "a table of keys", STICK),
    refused("timeout client-hs", D_F_L, "<time>", "time for handshakes of clients", "timeouts of handshakes"),
    refused("use-fcgi-app", L_B, "<name>", "FastCGI application", "FastCGI"),
];
