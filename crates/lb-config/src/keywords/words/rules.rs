//! Actions of rules, and the words of conditions: flags, matches, criteria, predefined ACLs. Source: manual 4.2, 7.1 and
//! 7.4; 4.3 and 4.4 of newer ones.

use super::{CACHE, H2, STICK, word};
use crate::keywords::{Context, Keyword, State};

const fn action(name: &'static str, args: &'static str, doc: &'static str, what: &'static str) -> Keyword {
    word(Context::Action, name, args, doc, State::Refused(what))
}

const fn flag(name: &'static str, args: &'static str, doc: &'static str) -> Keyword {
    word(Context::Flag, name, args, doc, State::Works)
}

const fn method(name: &'static str, doc: &'static str) -> Keyword {
    word(Context::Match, name, "", doc, State::Works)
}

/// A criterion that is a sample and a way to match it, and a predefined ACL.
const fn criterion(name: &'static str, meaning: &'static str) -> Keyword {
    word(Context::Acl, name, "", meaning, State::Works)
}

const SPOE: &str = "stream processing agents";
const LIMITS: &str = "bandwidth limits";
const RESOLVE: &str = "name resolution at run time";

pub(in crate::keywords) const ACTIONS: &[Keyword] = &[
    action("attach-srv", "<server> [name <expression>]", "the connection becomes one to a server", "reverse connections"),
    action("cache-store", "<name>", "stores the response", CACHE),
    action("cache-use", "<name>", "answers from the cache", CACHE),
    action("dgram-drop", "", "drops the datagram", "QUIC"),
    action("do-resolve", "(<variable>,<resolvers>,[ipv4,ipv6]) <expression>", "looks a name up", RESOLVE),
    action("ot-group", "<id> <group>", "traces with OpenTracing", "tracing"),
    action("sc-add-gpc", "(<index>,<sc>) <number>|<expression>", "adds to a counter", STICK),
    action("sc-inc-gpc", "(<index>,<sc>)", "counts up", STICK),
    action("sc-inc-gpc0", "(<sc>)", "counts up", STICK),
    action("sc-inc-gpc1", "(<sc>)", "counts up", STICK),
    action("sc-set-gpt", "(<index>,<sc>) <number>|<expression>", "sets a tag", STICK),
    action("sc-set-gpt0", "(<sc>) <number>|<expression>", "sets a tag", STICK),
    action("send-retry", "", "asks for address validation", "QUIC"),
    action("send-spoe-group", "<engine> <group>", "asks an agent", SPOE),
    action("set-bandwidth-limit", "<name> [limit <expression>] [period <expression>]", "limits the rate", LIMITS),
    action("switch-mode", "http [proto <name>]", "mode http from here on", H2),
    action("track-sc0", "<key> [table <table>]", "counts by a key", STICK),
    action("track-sc1", "<key> [table <table>]", "counts by a key", STICK),
    action("track-sc2", "<key> [table <table>]", "counts by a key", STICK),
    action("use-service", "<name>", "a built-in service answers", "services"),
    action("lua.*", "", "a function in Lua", "Lua"),
];

pub(in crate::keywords) const CONDITIONS: &[Keyword] = &[
    flag("-i", "", "case does not matter"),
    flag("-f", "<file>", "patterns of a file"),
    flag("-m", "<match>", "how to match"),
    flag("-n", "", "no names are looked up"),
    flag("-M", "", "the file is a map"),
    flag("-u", "<id>", "number of the ACL"),
    flag("--", "", "end of the flags"),
    method("found", "there is a value"),
    method("bool", "true or false"),
    method("int", "numbers and ranges: eq, ge, gt, le, lt"),
    method("ip", "addresses and networks"),
    method("bin", "bytes in hexadecimal"),
    method("len", "the length as a number"),
    method("str", "the whole string"),
    method("sub", "a part of the string"),
    method("reg", "a regular expression"),
    method("beg", "how it begins"),
    method("end", "how it ends"),
    method("dir", "a part between slashes"),
    method("dom", "a part between dots"),
    // Samples with a way to match them in one word.
    criterion("base_beg", "base -m beg"),
    criterion("base_dir", "base -m dir"),
    criterion("base_dom", "base -m dom"),
    criterion("base_end", "base -m end"),
    criterion("base_len", "base -m len"),
    criterion("base_reg", "base -m reg"),
    criterion("base_sub", "base -m sub"),
    criterion("cook_beg", "req.cook -m beg"),
    criterion("cook_dir", "req.cook -m dir"),
    criterion("cook_dom", "req.cook -m dom"),
    criterion("cook_end", "req.cook -m end"),
    criterion("cook_len", "req.cook -m len"),
    criterion("cook_reg", "req.cook -m reg"),
    criterion("cook_sub", "req.cook -m sub"),
    criterion("hdr_beg", "req.hdr -m beg"),
    criterion("hdr_dir", "req.hdr -m dir"),
    criterion("hdr_dom", "req.hdr -m dom"),
    criterion("hdr_end", "req.hdr -m end"),
    criterion("hdr_len", "req.hdr -m len"),
    criterion("hdr_reg", "req.hdr -m reg"),
    criterion("hdr_sub", "req.hdr -m sub"),
    criterion("path_beg", "path -m beg"),
    criterion("path_dir", "path -m dir"),
    criterion("path_dom", "path -m dom"),
    criterion("path_end", "path -m end"),
    criterion("path_len", "path -m len"),
    criterion("path_reg", "path -m reg"),
    criterion("path_sub", "path -m sub"),
    criterion("req_rdp_cookie", "req.rdp_cookie -m str"),
    criterion("req_rdp_cookie_cnt", "req.rdp_cookie_cnt -m int"),
    criterion("scook_beg", "res.cook -m beg"),
    criterion("scook_dir", "res.cook -m dir"),
    criterion("scook_dom", "res.cook -m dom"),
    criterion("scook_end", "res.cook -m end"),
    criterion("scook_len", "res.cook -m len"),
    criterion("scook_reg", "res.cook -m reg"),
    criterion("scook_sub", "res.cook -m sub"),
    criterion("shdr_beg", "res.hdr -m beg"),
    criterion("shdr_dir", "res.hdr -m dir"),
    criterion("shdr_dom", "res.hdr -m dom"),
    criterion("shdr_end", "res.hdr -m end"),
    criterion("shdr_len", "res.hdr -m len"),
    criterion("shdr_reg", "res.hdr -m reg"),
    criterion("shdr_sub", "res.hdr -m sub"),
    criterion("ssl_fc_sni_end", "ssl_fc_sni -m end"),
    criterion("ssl_fc_sni_reg", "ssl_fc_sni -m reg"),
    criterion("url_beg", "url -m beg"),
    criterion("url_dir", "url -m dir"),
    criterion("url_dom", "url -m dom"),
    criterion("url_end", "url -m end"),
    criterion("url_len", "url -m len"),
    criterion("url_reg", "url -m reg"),
    criterion("url_sub", "url -m sub"),
    criterion("urlp_beg", "urlp -m beg"),
    criterion("urlp_dir", "urlp -m dir"),
    criterion("urlp_dom", "urlp -m dom"),
    criterion("urlp_end", "urlp -m end"),
    criterion("urlp_len", "urlp -m len"),
    criterion("urlp_reg", "urlp -m reg"),
    criterion("urlp_sub", "urlp -m sub"),
    // Predefined (7.4).
    criterion("FALSE", "always_false"),
    criterion("HTTP", "req.proto_http"),
    criterion("HTTP_1.0", "req.ver 1.0"),
    criterion("HTTP_1.1", "req.ver 1.1"),
    criterion("HTTP_2.0", "req.ver 2.0"),
    criterion("HTTP_CONTENT", "req.hdr_val(content-length) gt 0"),
    criterion("HTTP_URL_ABS", "url_reg ^[^/:]*://"),
    criterion("HTTP_URL_SLASH", "url_beg /"),
    criterion("HTTP_URL_STAR", "url *"),
    criterion("LOCALHOST", "src 127.0.0.1/8 ::1"),
    criterion("METH_CONNECT", "method CONNECT"),
    criterion("METH_DELETE", "method DELETE"),
    criterion("METH_GET", "method GET HEAD"),
    criterion("METH_HEAD", "method HEAD"),
    criterion("METH_OPTIONS", "method OPTIONS"),
    criterion("METH_POST", "method POST"),
    criterion("METH_PUT", "method PUT"),
    criterion("METH_TRACE", "method TRACE"),
    criterion("RDP_COOKIE", "req.rdp_cookie_cnt gt 0"),
    criterion("REQ_CONTENT", "req.len gt 0"),
    criterion("TRUE", "always_true"),
    criterion("WAIT_END", "wait_end"),
];
