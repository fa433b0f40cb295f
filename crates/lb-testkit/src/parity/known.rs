//! The known differences: cases, the facets in which they differ, and why. What is not listed here must be equal.
//!
//! The order of precedence behind them: a message never has two meanings; then the RFC's MUST; then what haproxy does.

/// Some cases that differ for one reason.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Names of cases; one that ends with `/` stands for all below it.
    pub cases: &'static [&'static str],
    /// The facets that may differ (a facet stands for all that start with it).
    pub facets: &'static [&'static str],
    /// What haproxy does, what lb does, and why.
    pub why: &'static str,
}

/// All of them.
pub const KNOWN: &[Known] = &[
    Known {
        cases: &["version/h2-preface"],
        facets: &["client0", "log"],
        why: "haproxy speaks HTTP/2 on a plain port; lb answers 400 and logs it until it does, too",
    },
    Known {
        cases: &["bad-length/2^64", "response-length/too-large"],
        facets: &["client0", "server1", "log"],
        why: "haproxy 2.6 reads a Content-Length of 2^64 as 0 (its check misses that one value) and forwards it; lb answers 400 or 502",
    },
    Known {
        cases: &[
            "host/comma",
            "host/slash",
            "host/question",
            "host/userinfo",
            "host/space",
            "host/hash",
            "host/backslash",
            "host/bad-port",
            "host/absolute-userinfo",
            "host/absolute-no-host-part",
        ],
        facets: &["client0", "server1", "log"],
        why: "a Host or authority that is none: haproxy forwards it; lb answers 400 (RFC 9112 section 3.2, MUST), since two readers would \
              route it differently",
    },
    Known {
        cases: &["host/absolute-differs-in-case"],
        facets: &["server1"],
        why: "absolute target: haproxy forwards the client's spelling of Host; lb writes the target's authority (RFC 9112 section 3.2.2, MUST)",
    },
    Known {
        cases: &["target/star-get", "bad-line/no-slash"],
        facets: &["client0", "server1", "log"],
        why: "a target without a slash (`GET a`, `GET *`): haproxy forwards it; lb answers 400 (RFC 9112 section 3.2 has no such form)",
    },
    Known {
        cases: &["target/high-bytes"],
        facets: &["client0", "server1", "log"],
        why: "bytes from 0x80 in the target: Debian's haproxy answers 400; lb lets them pass, as other versions do",
    },
    Known {
        cases: &["bad-value/nul", "response-head/nul-in-value"],
        facets: &["client0", "server1", "log"],
        why: "NUL in a value: haproxy forwards it; lb answers 400 or 502 (RFC 9110 section 5.5)",
    },
    Known {
        cases: &["accept-invalid/"],
        facets: &["client0", "server1", "log"],
        why: "with option accept-invalid-http-* haproxy forwards names that are none, NUL, HTTP/0.9 and foreign versions; lb drops such \
              a field or answers 400: two readers would read them differently",
    },
    Known {
        cases: &["length/leading-zeros", "response-length/leading-zeros"],
        facets: &["server1.0.bytes", "client0.bytes", "log0.text"],
        why: "Content-Length with leading zeros: haproxy forwards the digits as they are; lb writes the number, so nobody reads octal",
    },
    Known {
        cases: &["te/comma-after", "te/comma-before"],
        facets: &["client0", "server1", "log"],
        why: "an empty transfer coding: haproxy forwards `chunked,` and answers 422 to `,chunked`; lb answers 400 to both",
    },
    Known {
        cases: &[
            "bad-chunk/lf-after-size",
            "bad-chunk/lf-after-data",
            "bad-chunk/lf-after-extension",
            "bad-chunk/lf-all",
            "bad-chunk/lf-in-trailer",
            "bad-chunk/nul-in-extension",
            "bad-chunk/trailer-nul",
            "bad-chunk/trailing-space",
            "bad-chunk/trailing-tab",
            "response-chunk/lf-only",
        ],
        facets: &["client0", "server1", "log"],
        why: "bare LF, padding and control bytes in chunk framing: haproxy accepts them; lb refuses (RFC 9112 section 7.1): readers that \
              differ here are what smuggling is made of",
    },
    Known {
        cases: &["chunked/trailers-forbidden"],
        facets: &["client0", "server1", "log"],
        why: "framing fields as trailers: haproxy answers 400; lb drops them (RFC 9110 section 6.5.1)",
    },
    Known {
        cases: &[
            "chunked/several",
            "chunked/hex-case",
            "chunked/in-pieces",
            "client/half-close-in-chunk",
            "timeout/buffer-request-chunked",
            "timeout/client-in-chunk",
        ],
        facets: &["server1.0.bytes"],
        why: "haproxy writes one chunk per piece that it has in its buffer; lb keeps the sender's chunks: same content, other framing",
    },
    Known {
        cases: &["response/chunked-many", "response/in-pieces", "broken/close-in-chunk", "timeout/server-in-chunk"],
        facets: &["client0.bytes"],
        why: "haproxy writes one chunk per piece that it has in its buffer; lb keeps the sender's chunks: same content, other framing",
    },
    Known {
        cases: &["response/chunked-to-1.0", "response/chunked-to-1.0-keep-alive"],
        facets: &["client0", "log"],
        why: "chunks for an HTTP/1.0 client: haproxy sends them; lb takes the framing off and closes (RFC 9112 section 6.1, MUST NOT)",
    },
    Known {
        cases: &["interim/to-1.0"],
        facets: &["client0.bytes", "log"],
        why: "1xx for an HTTP/1.0 client: haproxy sends it; lb drops it (RFC 9110 section 15.2, MUST NOT)",
    },
    Known {
        cases: &["response-te/1.0-chunked"],
        facets: &["client0.bytes", "log"],
        why: "an HTTP/1.0 response with chunks: haproxy forwards that contradiction; lb writes HTTP/1.1",
    },
    Known {
        cases: &["response-te/empty"],
        facets: &["client0", "log"],
        why: "an empty Transfer-Encoding in a response: haproxy forwards it, read to the end of the connection; lb answers 502: two meanings",
    },
    Known {
        cases: &["status/000", "status/099", "status/two-digits", "status/four-digits", "status/rtsp", "status/tab"],
        facets: &["client0", "log", "server1"],
        why: "a status that is not three digits from 100 on, or another protocol: haproxy forwards it; lb answers 502 (RFC 9112 section 4)",
    },
    Known {
        cases: &["connect/"],
        facets: &["server1.0.bytes"],
        why: "CONNECT: haproxy takes a default port off the Host field, though not off the target; lb leaves them the same \
              (RFC 9110 section 7.2)",
    },
    Known {
        cases: &["bad-chunk/endless-extension"],
        facets: &["client0", "log", "server1"],
        why: "a chunk extension without end: lb refuses it from 4,096 bytes on, as what does not parse; haproxy when its buffer is full",
    },
    Known {
        cases: &["client/reset-in-response-that-goes-on"],
        facets: &["log0.text"],
        why: "the byte count of an answer that a reset cut off: haproxy learns of the reset when it has written once more",
    },
    Known {
        cases: &["tcp/server-reset", "tcp/server-reset-after-data", "tcp/nolinger-frontend", "broken/reset-to-eof-body"],
        facets: &["client0.end"],
        why: "a server's reset (and option nolinger): haproxy sends the client a FIN first; lb a reset, so that a stream that broke does not \
              look like one that is complete",
    },
    Known {
        cases: &[
            "proxy-out/v1",
            "rule-address/proxy-header",
            "proxy-out/v2",
            "proxy-out/v2-crc",
            "proxy-out/v2-unique-id-absent",
            "unique-id/proxy-v2",
            "unique-id/proxy-v2-none",
            "proxy-out/not-shared-between-clients",
            "upgrade/websocket-without-accept",
        ],
        facets: &["server1"],
        why: "a server connection that nobody else can use (it began with a PROXY header, or its answer was refused): how long it is kept \
              and how it is closed; clients see no difference",
    },
    Known {
        cases: &["connect/200-with-length", "connect/200-chunked"],
        facets: &["client0.bytes", "log"],
        why: "2xx to CONNECT with a length or coding: haproxy forwards the field; lb drops it (RFC 9110 section 9.3.6, MUST NOT)",
    },
    Known {
        cases: &[
            "token/named-header",
            "token/keep-alive-and-named",
            "token/close-and-named",
            "token/spaces-and-commas",
            "token/two-connection-headers",
            "token/te",
            "token/unknown",
            "token/response-named",
            "token/response-close-and-named",
            "token/response-unknown",
            "upgrade/h2c",
            "upgrade/without-connection-token",
            "upgrade/token-without-header",
        ],
        facets: &["server1.0.bytes", "client0.bytes", "log0.text", "log1.text"],
        why: "Connection and what it names: haproxy forwards both; lb keeps them to their hop (RFC 9110 section 7.6.1, MUST), and an \
              Upgrade that no token asks for, too",
    },
    Known {
        cases: &["proxy-in/v1-in-pieces", "proxy-in/v2-in-pieces"],
        facets: &["client0", "server1", "log"],
        why: "a PROXY header in several segments: haproxy 2.6 takes the first for the whole and closes; lb waits for the rest",
    },
    Known {
        cases: &["proxy-bad/address", "proxy-bad/port-too-large", "proxy-bad/port-leading-zeros"],
        facets: &["client0", "server1", "log"],
        why: "numbers out of range or with leading zeros in a PROXY header: haproxy wraps them; lb refuses: not the protocol",
    },
    Known {
        cases: &["proxy-in/v1-unknown-with-rest", "proxy-in/v2-unix"],
        facets: &["client0", "server1", "log"],
        why: "PROXY UNKNOWN with more words, and UNIX addresses: haproxy refuses them; lb accepts them as the specification asks",
    },
    Known {
        cases: &[
            "proxy-bad/",
            "rule-expect/proxy-bad",
            "netscaler-bad/",
            "proxy-in/v2-udp",
            "proxy-in/v2-unspec",
            "proxy-in/v2-unspec-with-bytes",
            "proxy-in/timeout-client-covers-header",
        ],
        facets: &["client0.end"],
        why: "a refused PROXY or NetScaler header: haproxy leaves its bytes unread, so its close is a reset; lb has read them and sends FIN",
    },
    Known {
        cases: &["netscaler-bad/half-a-tcp-header", "netscaler-bad/inner-length-beyond", "netscaler-bad/inner-length-none"],
        facets: &["client0", "server1", "log"],
        why: "a NetScaler header whose inner headers do not fit the length that it gives: haproxy takes the ports from whatever stands \
              there; lb refuses",
    },
    Known {
        cases: &["retry-on/reused-connection-dies", "retry-on/reused-connection-dies-reset"],
        facets: &["client0", "server1", "log"],
        why: "a kept server connection dies under a client's second request: haproxy closes the client without a word or a log line; lb \
              repeats the request on a new connection when that is safe",
    },
    Known {
        cases: &["client/reset-while-waiting", "client/reset-in-response"],
        facets: &["log", "server1"],
        why: "a client that resets while the server thinks, or is silent in the middle of its answer: haproxy learns of it when it \
              writes; lb at once",
    },
    Known {
        cases: &["client/abortonclose-backend-only"],
        facets: &["client0", "log", "server1"],
        why: "option abortonclose in the backend alone: haproxy 2.6 does nothing with it; lb does what the manual says",
    },
    Known {
        cases: &["balance/prefer-last-server-on-one-connection"],
        facets: &["client0", "log", "server1", "server2"],
        why: "option prefer-last-server: haproxy looks only at connections that nobody else may use (http-reuse never); lb at all, as the \
              manual says",
    },
    Known {
        cases: &[
            "upgrade/101-before-body-ended",
            "upgrade/101-not-asked-for",
            "upgrade/101-without-upgrade-header",
            "upgrade/post-with-body",
        ],
        facets: &["log0.text"],
        why: "a 101 that nobody may answer with: haproxy counts the refused head in the bytes of its 502; lb counts what it sends",
    },
    Known {
        cases: &["early/body-never-ends"],
        facets: &["client0", "server1", "log"],
        why: "an answer before a body that never ends: haproxy 2.6 waits for good; lb ends it after timeout client",
    },
    Known {
        cases: &["upload/stops-after-answer-began", "upload/stops-no-server-timeout"],
        facets: &["server1.0.end"],
        why: "an upload that is broken off: haproxy sends the server a FIN; lb a reset, so that nobody takes a part for the whole",
    },
    Known {
        cases: &["tcp/timeout-client-server-stays", "tcp/timeout-server-client-stays"],
        facets: &["log0.timers"],
        why: "after a timeout both send FIN to both sides; haproxy then waits for a side that does not close until that side's timeout, \
              lb is done",
    },
    Known {
        cases: &["mode/max-reuse"],
        facets: &["server1"],
        why: "max-reuse: haproxy respects it on HTTP/2 connections alone; lb on those of HTTP/1 too, as the manual says",
    },
    Known {
        cases: &[
            "keep/second-client-first-request",
            "keep/second-client-reuses-on-second-request",
            "mode/reuse-safe",
            "mode/http-keep-alive",
            "mode/prefer-last-server",
            "backup/",
            "balance/leastconn-busy-server",
            "queue/waits-for-slot",
            "queue/bind-maxconn",
            "queue/frontend-maxconn",
            "queue/global-maxconn",
            "retry-on/401",
            "retry-on/403",
            "retry-on/404",
            "retry-on/408",
            "retry-on/425",
            "retry-on/500",
            "retry-on/501",
            "retry-on/503",
            "retry-on/504",
            "retry-on/several",
            "retry-on/exhausted-503",
        ],
        facets: &["server1", "server2", "server3"],
        why: "which idle server connection is used next, and how many are kept, is each pool's own estimate; clients see no difference",
    },
    Known {
        cases: &["response/204-with-length", "broken/204-with-body", "broken/chunked-204", "interim/with-length"],
        facets: &["log0.text"],
        why: "%B: haproxy counts the framing fields of a response that has no body although it does not send them; lb drops them first",
    },
    Known {
        cases: &["proxy-bad/v2-tlv-past-end", "proxy-bad/v2-tlv-truncated", "proxy-bad/v2-length-counts-request"],
        facets: &["log0.text"],
        why: "haproxy logs the address of a PROXY header whose TLVs it then refuses; lb believes nothing of a refused header",
    },
    Known {
        cases: &["proxy-bad/v2-huge-length"],
        facets: &["log0.text"],
        why: "a PROXY header longer than any buffer: haproxy waits and calls it truncated; lb calls it invalid at once",
    },
    Known {
        cases: &["moment/request-alone"],
        facets: &["log"],
        why: "a format that shows nothing but the request (`%r`, `%HM` and the like): haproxy writes each line twice, when the request is there \
              and when the response begins; lb writes the second one",
    },
    Known {
        cases: &["version/1.2", "version/2.0"],
        facets: &["log0.text"],
        why: "the log line's request: haproxy shows the version as it was sent; lb shows the one that it is read as",
    },
    Known {
        cases: &[
            "rule-after/length",
            "rule-field/framing-of-body",
            "rule-field/set-te",
            "rule-response/set-length",
            "rule-response/del-length",
            "rule-response/set-te",
        ],
        facets: &["client0", "server1", "log"],
        why: "rules that give a message a framing which its body has not: haproxy re-frames it, or breaks the connection when lengths do not \
              fit; lb keeps the framing that was received: a message never has two meanings",
    },
    Known {
        cases: &[
            "rule-line/bad-method",
            "rule-line/bad-path",
            "rule-line/replace-path-empty",
            "rule-strict/method-that-is-none",
            "rule-strict/off",
            "rule-strict/off-and-on",
        ],
        facets: &["client0", "server1", "log"],
        why: "rules that make a request line of more or fewer than three words: haproxy sends it; lb takes it for a failed rewrite (500, or no \
              effect with strict-mode off): two readers would read it differently",
    },
    Known {
        cases: &["rule-backend/method-changed-before"],
        facets: &["client0", "server1", "server2", "log"],
        why: "`method` behind `set-method`: haproxy goes on with the one that was received; lb with the one that the request has, as in `%[...]` \
              of every other part of it",
    },
    Known {
        cases: &["rule-response/return-format"],
        facets: &["client0", "client1", "client2", "log"],
        why: "`%[status]` in the content of an http-response return: haproxy leaves it out there, though not in its fields; lb shows it in both",
    },
    Known {
        cases: &["rule-response/200-for-204", "rule-response/200-for-304", "rule-response/200-for-304-with-length"],
        facets: &["client0"],
        why: "a status with a body for a response that came without one: haproxy writes chunks without content, or the length of what does not \
              come, and closes; lb writes the length 0",
    },
    Known {
        cases: &["rule-answer/http-reject", "rule-answer/reject", "rule-answer/close"],
        facets: &["server1"],
        why: "a server whose answer goes nowhere because of a rule: how its connection ends; clients see no difference",
    },
    Known {
        cases: &["rule-answer/http-close"],
        facets: &["client0.end", "client0.script", "server1"],
        why: "`close` of a server's answer in mode http: both answer 502 and close; haproxy has asked the server for the next request first",
    },
    Known {
        cases: &["rule-answer/silent-drop"],
        facets: &["client0.script", "client0.end", "server1"],
        why: "silent-drop of a server's answer in mode tcp: haproxy lets the request go to the server first; lb is done with both at once",
    },
];

/// What is known of a case: facet and reason.
pub fn of(name: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    KNOWN
        .iter()
        .filter(move |k| k.cases.iter().any(|c| *c == name || (c.ends_with('/') && name.starts_with(c))))
        .flat_map(|k| k.facets.iter().map(|f| (*f, k.why)))
}

/// The table of reasons as Markdown, for docs/parity.md.
pub fn markdown() -> String {
    let mut out = String::from("| cases | difference and reason |\n|---|---|\n");
    for known in KNOWN {
        let cases: Vec<_> = known.cases.iter().map(|c| format!("`{c}`")).collect();
        out += &format!("| {} | {} |\n", cases.join(" "), known.why);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_named_cases_exist() {
        let names: Vec<_> = super::super::cases::all().iter().map(|c| c.name).collect();
        for case in KNOWN.iter().flat_map(|k| k.cases) {
            assert!(names.iter().any(|n| n == case || (case.ends_with('/') && n.starts_with(case))), "{case} is no case");
        }
    }

    #[test]
    fn the_document_has_the_table() {
        let document = include_str!("../../../../docs/parity.md");
        assert!(document.contains(&markdown()), "docs/parity.md is old: put the output of `parity --markdown` into it");
    }
}
