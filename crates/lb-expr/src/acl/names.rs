//! Names of ACLs: those of old that say a fetch and a matching method at once, and those that need no definition.
//!
//! Source: manual 7.3.6 (ACL derivatives) and 7.4; `haproxy -dKacl` of 2.6.12.

use super::Matching;

/// Fetches whose name takes a method behind it (`hdr_beg`): the name for ACLs, and the fetch.
const STEMS: &[(&str, &str)] = &[
    ("base", "base"),
    ("cook", "req.cook"),
    ("hdr", "req.hdr"),
    ("path", "path"),
    ("scook", "res.cook"),
    ("shdr", "res.hdr"),
    ("url", "url"),
    ("urlp", "urlp"),
];

const ENDINGS: &[(&str, Matching)] = &[
    ("_beg", Matching::Beg),
    ("_dir", Matching::Dir),
    ("_dom", Matching::Dom),
    ("_end", Matching::End),
    ("_len", Matching::Len),
    ("_reg", Matching::Reg),
    ("_sub", Matching::Sub),
];

/// Names with a fetch and a method of their own.
const OTHERS: &[(&str, &str, Matching)] = &[
    ("http_auth_group", "http_auth_group", Matching::Str),
    ("method", "method", Matching::Method),
    ("payload", "req.payload", Matching::Bin),
    ("payload_lv", "req.payload_lv", Matching::Bin),
    ("req.ssl_ver", "req.ssl_ver", Matching::Version),
    ("req_rdp_cookie", "req.rdp_cookie", Matching::Str),
    ("req_rdp_cookie_cnt", "req.rdp_cookie_cnt", Matching::Int),
    ("req_ssl_sni", "req.ssl_sni", Matching::Str),
    ("req_ssl_ver", "req.ssl_ver", Matching::Version),
    ("req_ver", "req.ver", Matching::Str),
    ("resp_ver", "res.ver", Matching::Str),
    ("ssl_fc_sni_end", "ssl_fc_sni", Matching::End),
    ("ssl_fc_sni_reg", "ssl_fc_sni", Matching::Reg),
];

/// What a name of an ACL stands for: a fetch, and how its values are matched.
pub fn derived(name: &str) -> Option<(&'static str, Matching)> {
    if let Some((_, fetch, matching)) = OTHERS.iter().find(|(own, ..)| *own == name) {
        return Some((fetch, *matching));
    }
    STEMS.iter().find_map(|(stem, fetch)| {
        let ending = name.strip_prefix(stem)?;
        if ending.is_empty() {
            return Some((*fetch, Matching::Str));
        }
        ENDINGS.iter().find(|(end, _)| *end == ending).map(|(_, matching)| (*fetch, *matching))
    })
}

/// All names that [`derived`] knows.
pub fn all_derived() -> impl Iterator<Item = String> {
    let endings = || std::iter::once("").chain(ENDINGS.iter().map(|(end, _)| *end));
    let stems = STEMS.iter().flat_map(move |(stem, _)| endings().map(move |end| format!("{stem}{end}")));
    stems.chain(OTHERS.iter().map(|(name, ..)| (*name).to_owned()))
}

/// The test behind a name of manual 7.4, as the words of a line.
pub(super) fn predefined(name: &str) -> Option<&'static [&'static str]> {
    PREDEFINED.iter().find(|(own, _)| *own == name).map(|(_, words)| *words)
}

/// Names of manual 7.4 and their tests.
const PREDEFINED: &[(&str, &[&str])] = &[
    ("FALSE", &["always_false"]),
    ("HTTP", &["req.proto_http"]),
    ("HTTP_1.0", &["req.ver", "1.0"]),
    ("HTTP_1.1", &["req.ver", "1.1"]),
    ("HTTP_2.0", &["req.ver", "2.0"]),
    ("HTTP_3.0", &["req.ver", "3.0"]),
    ("HTTP_CONTENT", &["req.hdr_val(content-length)", "gt", "0"]),
    ("HTTP_URL_ABS", &["url_reg", "^[^/:]*://"]),
    ("HTTP_URL_SLASH", &["url_beg", "/"]),
    ("HTTP_URL_STAR", &["url", "*"]),
    ("LOCALHOST", &["src", "127.0.0.1/8", "::1"]),
    ("METH_CONNECT", &["method", "CONNECT"]),
    ("METH_DELETE", &["method", "DELETE"]),
    ("METH_GET", &["method", "GET", "HEAD"]),
    ("METH_HEAD", &["method", "HEAD"]),
    ("METH_OPTIONS", &["method", "OPTIONS"]),
    ("METH_POST", &["method", "POST"]),
    ("METH_PUT", &["method", "PUT"]),
    ("METH_TRACE", &["method", "TRACE"]),
    ("RDP_COOKIE", &["req.rdp_cookie_cnt", "gt", "0"]),
    ("REQ_CONTENT", &["req.len", "gt", "0"]),
    ("TRUE", &["always_true"]),
    ("WAIT_END", &["wait_end"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(derived("hdr"), Some(("req.hdr", Matching::Str)));
        assert_eq!(derived("scook_dom"), Some(("res.cook", Matching::Dom)));
        assert_eq!(derived("url_ip"), None);
        assert_eq!(derived("req.hdr_beg"), None);
        for name in all_derived() {
            assert!(derived(&name).is_some(), "{name}");
        }
        assert_eq!(all_derived().count(), 8 * 8 + 13);
        assert_eq!(predefined("METH_GET"), Some(&["method", "GET", "HEAD"][..]));
    }
}
