//! Lines that haproxy 2.6.12 (Debian 12) wrote, each with the values that it had: the writer must give the same bytes.
//! Ports, dates and times are those of the recorded run. `haproxy_live.rs` asks the installed haproxy again.

mod common;

use common::Session;
use lb_expr::{
    Cause, Field, LogFormat, LogSource, LogValue, Phase, RequestCookie, ResponseCookie, Termination, formats, write_connect,
    write_connection_error,
};

#[track_caller]
fn shows(format: &str, session: &impl LogSource, line: &str) {
    shows_cut(format, 4_095, session, line);
}

/// `limit` as `len - 1` of the logger.
#[track_caller]
fn shows_cut(format: &str, limit: usize, session: &impl LogSource, line: &str) {
    let compiled = LogFormat::compile(format).expect("compiles");
    let mut out = b"before".to_vec();
    compiled.write(session, limit, &mut out);
    assert_eq!(String::from_utf8_lossy(&out[6..]), line, "{format} at {limit}");
    assert!(out.starts_with(b"before") && out.len() - 6 <= limit);
}

/// `len 80`: 79 bytes; `n` times `p`, then the format; expected is what follows the `p`s.
#[track_caller]
fn cut(n: usize, rest: &str, session: &impl LogSource, line: &str) {
    let fill = "p".repeat(n);
    shows_cut(&format!("{fill}{rest}"), 79, session, &format!("{fill}{line}"));
}

#[test]
fn built_in_formats() {
    let s = Session::http();
    shows(
        formats::HTTP,
        &s,
        r#"127.0.0.1:56506 [21/Nov/2026:03:48:50.780] fe0 be/s1 0/0/0/0/0 200 95 sess=xyz sess=abc ---- 1/1/0/0/0 0/0 {h|q#22#7Bv#7C#7D\#80z|} {a#22b#7Bc#7D#7C\#01d#23e} "GET /a?b=c HTTP/1.1""#,
    );
    let clf = Session::http().with(Field::ClientPort, LogValue::Int(48012)).at(1_795_232_931, 56_000);
    shows(
        formats::CLF,
        &clf,
        r#"127.0.0.1 - - [21/Nov/2026:03:48:51 +0000] "GET /a?b=c HTTP/1.1" 200 95 "" "" 48012 056 "fe0" "be" "s1" 0 0 0 0 0 ---- 1 1 0 0 0 0 0 "sess=xyz" "sess=abc" "h" "q#22#7Bv#7C#7D\#80z" "" "a#22b#7Bc#7D#7C\#01d#23e""#,
    );
    let tcp = Session::http()
        .with(Field::ClientPort, LogValue::Int(48622))
        .with(Field::TimeQueue, LogValue::Int(1))
        .with(Field::TimeTotal, LogValue::Int(20))
        .with(Field::BytesRead, LogValue::Int(92))
        .at(1_795_232_931, 329_000);
    shows(formats::TCP, &tcp, "127.0.0.1:48622 [21/Nov/2026:03:48:51.329] fe0 be/s1 1/0/20 92 -- 1/1/0/0/0 0/0");
    // No `capture` line: neither braces nor their spaces.
    let plain = Session::http()
        .with(Field::ClientPort, LogValue::Int(41468))
        .without(Field::RequestCookie)
        .without(Field::ResponseCookie)
        .captures(&[], &[])
        .at(1_795_232_931, 604_000);
    shows(
        formats::HTTP,
        &plain,
        r#"127.0.0.1:41468 [21/Nov/2026:03:48:51.604] fe0 be/s1 0/0/0/0/0 200 95 - - ---- 1/1/0/0/0 0/0 "GET /a?b=c HTTP/1.1""#,
    );
}

#[test]
fn every_word_under_every_flag() {
    let s = Session::http();
    for (word, plain, quoted, hex) in [
        ("B", "95", "95", "95"),
        ("CC", "sess=xyz", "\"sess=xyz\"", "sess=xyz"),
        ("CS", "sess=abc", "\"sess=abc\"", "sess=abc"),
        ("H", "vm", "\"vm\"", "vm"),
        ("HM", "GET", "\"GET\"", "GET"),
        ("HP", "/a", "\"/a\"", "/a"),
        ("HPO", "/a", "\"/a\"", "/a"),
        ("HQ", "?b=c", "\"?b=c\"", "?b=c"),
        ("HU", "/a?b=c", "\"/a?b=c\"", "/a?b=c"),
        ("HV", "HTTP/1.1", "\"HTTP/1.1\"", "HTTP/1.1"),
        ("ID", "-", "\"\"", "-"),
        ("ST", "200", "200", "200"),
        ("T", "21/Nov/2026:03:48:50 +0000", "21/Nov/2026:03:48:50 +0000", "21/Nov/2026:03:48:50 +0000"),
        ("Tt", "0", "0", "0"),
        ("Ts", "1795232930", "1795232930", "6B0114A2"),
        ("U", "67", "67", "67"),
        ("b", "be", "\"be\"", "be"),
        ("bi", "127.0.0.1", "\"127.0.0.1\"", "7F000001"),
        ("bp", "44744", "44744", "AEC8"),
        ("ci", "127.0.0.1", "\"127.0.0.1\"", "7F000001"),
        ("cp", "56506", "56506", "DCBA"),
        ("f", "fe0", "\"fe0\"", "fe0"),
        ("fi", "127.0.0.1", "\"127.0.0.1\"", "7F000001"),
        ("fp", "59661", "59661", "E90D"),
        ("ft", "fe0", "\"fe0\"", "fe0"),
        ("lc", "0", "0", "0000"),
        ("hr", r"{h|q#22#7Bv#7C#7D\#80z|}", r#""{h|q#22#7Bv#7C#7D\#80z|}""#, r"{h|q#22#7Bv#7C#7D\#80z|}"),
        ("hrl", r"h q#22#7Bv#7C#7D\#80z -", r#""h" "q#22#7Bv#7C#7D\#80z" """#, r"h q#22#7Bv#7C#7D\#80z -"),
        ("hs", r"{a#22b#7Bc#7D#7C\#01d#23e}", r#""{a#22b#7Bc#7D#7C\#01d#23e}""#, r"{a#22b#7Bc#7D#7C\#01d#23e}"),
        ("ms", "780", "780", "30C"),
        ("pid", "6055", "6055", "17A7"),
        ("r", "GET /a?b=c HTTP/1.1", "\"GET /a?b=c HTTP/1.1\"", "GET /a?b=c HTTP/1.1"),
        ("rt", "49", "49", "0031"),
        ("s", "s1", "\"s1\"", "s1"),
        ("si", "127.0.0.1", "\"127.0.0.1\"", "7F000001"),
        ("sp", "35117", "35117", "892D"),
        ("sslc", "-", "\"\"", "-"),
        ("sslv", "-", "\"\"", "-"),
        ("t", "21/Nov/2026:03:48:50.780", "21/Nov/2026:03:48:50.780", "21/Nov/2026:03:48:50.780"),
        ("trl", "21/Nov/2026:03:48:50 +0000", "21/Nov/2026:03:48:50 +0000", "21/Nov/2026:03:48:50 +0000"),
        ("ts", "--", "--", "--"),
        ("tsc", "----", "----", "----"),
    ] {
        shows(&format!("<%{word}> <%{{+Q}}{word}> <%{{+X}}{word}>"), &s, &format!("<{plain}> <{quoted}> <{hex}>"));
        // Unknown flags change nothing.
        shows(&format!("%{{+M}}{word}"), &s, plain);
    }
    let ms = Session::http().at(1_795_232_930, 25_000);
    shows("%ms %{+X}ms", &ms, "025 19");
}

#[test]
fn escape_flag() {
    let s = Session::http();
    shows("%{+E}hr", &s, r"{h|q#22#7Bv#7C#7D\\#80z|}");
    shows("%{+Q,+E}hrl", &s, r#""h" "q#22#7Bv#7C#7D\\#80z" """#);
    let s = Session::http().with(Field::RequestLine, LogValue::from("GET /a\\b]c HTTP/1.1"));
    shows(
        "%r %{+E}r %{+Q}r %{+Q,+E}r %HP %{+E}HP",
        &s,
        r#"GET /a\b]c HTTP/1.1 GET /a\\b\]c HTTP/1.1 "GET /a\b]c HTTP/1.1" "GET /a\\b\]c HTTP/1.1" /a\b]c /a\\b\]c"#,
    );
    let s = Session::http().with(Field::RequestLine, LogValue::from("GET /a\"b HTTP/1.1"));
    shows("%r %{+E}r %{+Q,+E}r", &s, r#"GET /a#22b HTTP/1.1 GET /a#22b HTTP/1.1 "GET /a#22b HTTP/1.1""#);
    let s = Session::http().with(Field::RequestLine, LogValue::from("GET /{|} HTTP/1.1"));
    shows("%r %HP", &s, "GET /{|} HTTP/1.1 /{|}");
    // Cookies are not encoded at all.
    let s = Session::http().with(Field::RequestCookie, LogValue::Text(b"sess=a{|}#\\]b\x01z"));
    shows("%CC %{+E}CC %{+Q,+E}CC", &s, "sess=a{|}#\\]b\u{1}z sess=a{|}#\\\\\\]b\u{1}z \"sess=a{|}#\\\\\\]b\u{1}z\"");
    let s = Session::http().with(Field::RequestCookie, LogValue::from("sess=\"a\""));
    shows("%CC %{+E}CC %{+Q,+E}CC", &s, r#"sess="a" sess=\"a\" "sess=\"a\"""#);
    let s = Session::http().captures(&[Some(b"h"), Some(b"a\\b]c\"d#e{f|g}h\xc3\xa9\x7f\ti"), None], &[]);
    shows(
        "%hr %{+E}hr %hrl %{+Q,+E}hrl",
        &s,
        r#"{h|a\b]c#22d#23e#7Bf#7Cg#7Dh#C3#A9#7F#09i|} {h|a\\b\]c#22d#23e#7Bf#7Cg#7Dh#C3#A9#7F#09i|} h a\b]c#22d#23e#7Bf#7Cg#7Dh#C3#A9#7F#09i - "h" "a\\b\]c#22d#23e#7Bf#7Cg#7Dh#C3#A9#7F#09i" """#,
    );
}

#[test]
fn flags_spaces_and_odd_percents() {
    let s = Session::http().with(Field::ClientPort, LogValue::Int(50312));
    for (format, line) in [
        ("%{+Q}o %ci %{-Q}s %cp %{Q}s %s", r#""127.0.0.1" s1 50312 "s1" "s1""#),
        ("%{+Q,+X}ci %{+X,+Q}ci %{+X,-X}ci", "7F000001 7F000001 127.0.0.1"),
        ("%{}ci %{+Q}o%ci%s", r#"127.0.0.1 "127.0.0.1""s1""#),
        ("%{+Q}o %{}ci %{Q}ci %{-X}ci %{X}ci %ST", r#""127.0.0.1" "127.0.0.1" "127.0.0.1" "127.0.0.1" 200"#),
        ("%{Q}s %{-X,Q}s %{+X,Q}ci %{+E,Q}s %{QX}ci %{+QX}ci %{+Qfoo}ci", "s1 s1 7F000001 s1 127.0.0.1 127.0.0.1 127.0.0.1"),
        ("%{+Q}o %ci %{-Q}o %ci %ID", r#""127.0.0.1" 127.0.0.1 -"#),
        ("%{+Q}o %{+E}ci %{-E}r", r#""127.0.0.1" "GET /a?b=c HTTP/1.1""#),
        ("%%%ci%%", "%127.0.0.1%"),
        ("a%%%%b", "a%%b"),
        ("[%-]", "[-]"),
        ("[%(foo-ci]", "[(foo-ci]"),
        ("[%(foo", "[(foo"),
        ("%_x %.y %$z %\\\\w %-q", "_x .y $z \\\\w -q"),
        ("%ci_foo", "127.0.0.1_foo"),
        ("a  b", "a b"),
        ("a\tb", "a\tb"),
        ("  a %CC  ", "a sess=xyz "),
        ("%s  %s %%  %s", "s1 s1 % s1"),
        ("%o x", "x"),
        (" x", "x"),
        ("x ", "x "),
        ("%{+X}o %Tt %ST %B %U %ac %lc %rt %rc %sq %bq %ms", "0 200 95 67 1 0000 0031 0 0 0 30C"),
    ] {
        shows(format, &s, line);
    }
    // An empty query string still parts the spaces around it; missing captures do not.
    let s = Session::http().with(Field::RequestLine, LogValue::from("GET /a HTTP/1.1")).captures(&[], &[]);
    shows("%ci %HQ %s|%ci %hr %s", &s, "127.0.0.1  s1|127.0.0.1 s1");
    shows("%HQ x", &s, " x");
    shows("%ci %{+Q}s %hr%hs %s", &s, r#"127.0.0.1 "s1" s1"#);
    shows("%ci %hr x %hs y", &s, "127.0.0.1 x y");
    shows("a%hr%hrl%hsl", &s, "a");
    shows("%{+Q}HQ", &s, "\"\"");
}

#[test]
fn request_targets() {
    for (line, parts) in [
        ("OPTIONS * HTTP/1.1", "OPTIONS|*|||*|HTTP/1.1"),
        ("GET /?a?b HTTP/1.1", "GET|/|/|?a?b|/?a?b|HTTP/1.1"),
        ("GET http://h.x HTTP/1.1", "GET|http://h.x|||http://h.x|HTTP/1.1"),
        ("CONNECT h:80 HTTP/1.1", "CONNECT|h:80|||h:80|HTTP/1.1"),
        ("GET //a;b=c HTTP/1.1", "GET|//a;b=c|//a;b=c||//a;b=c|HTTP/1.1"),
    ] {
        let s = Session::http().with(Field::RequestLine, LogValue::from(line));
        shows("%r|%HM|%HP|%HPO|%HQ|%HU|%HV", &s, &format!("{line}|{parts}"));
    }
}

#[test]
fn what_is_missing() {
    let bad = Session::bad_request();
    shows(
        "%r|%{+Q}r|%HM|%HP|%HPO|%HQ|%HU|%HV|%ST|%B|%s|%b|%tsc|%TR/%Tw/%Tc/%Tr/%Ta %Tq %Ti %Th %Td %Tt %Tu|%CC|%CS|%hr|%hs|%bi|%bp|%si|%sp|%ci|%cp|%ID|%U|%{+X}bi|%{+X}bp|%{+X,+Q}si %{+X}sp",
        &bad,
        r#"<BADREQ>|"<BADREQ>"|<BADREQ>|<BADREQ>|<BADREQ>|<BADREQ>|<BADREQ>|<BADREQ>|400|0|<NOSRV>|fe0|PR--|-1/-1/-1/-1/0 -1 0 0 -1 0 0|-|-|||-|-|-|-|127.0.0.1|56502|-|0|-|-|"" -"#,
    );
    let unix = Session::http()
        .with(Field::ClientIp, LogValue::from("unix"))
        .with(Field::ClientPort, LogValue::Int(1))
        .with(Field::FrontendIp, LogValue::from("unix"))
        .with(Field::FrontendPort, LogValue::Int(1));
    shows("%ci %cp %fi %fp %{+X}ci %{+X}cp %{+Q}ci", &unix, "unix 1 unix 1 ");
}

#[test]
fn ipv6_tls_and_more() {
    let v6 = Session::http().with(Field::ClientIp, LogValue::Ip("::1".parse().unwrap())).with(Field::ClientPort, LogValue::Int(54476));
    shows("%ci %cp %{+X}ci %{+Q}ci", &v6, r#"::1 54476 00000000000000000000000000000001 "::1""#);
    let tls = Session::http()
        .with(Field::FrontendName, LogValue::from("fe"))
        .with(Field::FrontendTls, LogValue::Flag(true))
        .with(Field::TlsVersion, LogValue::from("TLSv1.3"))
        .with(Field::TlsCipher, LogValue::from("TLS_AES_256_GCM_SHA384"));
    shows("%ft %{+Q}ft %sslv %sslc %{+Q}sslv", &tls, r#"fe~ "fe~" TLSv1.3 TLS_AES_256_GCM_SHA384 "TLSv1.3""#);
    let asap = Session::http()
        .with(Field::TimeActive, LogValue::AtLeast(0))
        .with(Field::TimeTotal, LogValue::AtLeast(0))
        .with(Field::TimeUser, LogValue::AtLeast(0))
        .with(Field::BytesRead, LogValue::AtLeast(95))
        .with(Field::BytesUploaded, LogValue::Int(0));
    shows("%TR/%Tw/%Tc/%Tr/%Ta %Td %Tt %Tu %Tq %ST %B %U %tsc", &asap, "0/0/0/0/+0 0 +0 +0 0 200 +95 0 ----");
    shows("%{+X,+Q}o %Ta %B", &asap, "+0 +95");
    for (n, line) in [(74, "+95."), (75, "+95."), (76, "+95"), (77, "+"), (78, "+")] {
        cut(n, "%B.", &asap, line);
    }
    let ended = Session::http().with(
        Field::Termination,
        LogValue::Termination(Termination {
            cause: Cause::ClientTimeout,
            phase: Phase::Request,
            request_cookie: RequestCookie::None,
            response_cookie: ResponseCookie::Inserted,
        }),
    );
    shows("%ts %tsc", &ended, "cR cRNI");
    let local = Session::http().zone(1_795_233_382, 71_000, 19_800);
    shows("%t %T %Tl %Ts", &local, "21/Nov/2026:09:26:22.071 21/Nov/2026:03:56:22 +0000 21/Nov/2026:09:26:22 +0530 1795233382");
}

#[test]
fn connection_lines() {
    let write = |session: &Session, http: bool| {
        let mut out = Vec::new();
        write_connect(session, http, 1_023, &mut out);
        String::from_utf8(out).unwrap()
    };
    let s = Session::http().with(Field::ClientPort, LogValue::Int(46074)).with(Field::FrontendPort, LogValue::Int(47445));
    assert_eq!(write(&s, true), "Connect from 127.0.0.1:46074 to 127.0.0.1:47445 (fe0/HTTP)");
    assert_eq!(write(&s, false), "Connect from 127.0.0.1:46074 to 127.0.0.1:47445 (fe0/TCP)");
    let ip6 = LogValue::Ip("::1".parse().unwrap());
    let s = s.with(Field::ClientIp, ip6).with(Field::FrontendIp, ip6);
    assert_eq!(write(&s, true), "Connect from ::1:46074 to ::1:47445 (fe0/HTTP)");
    let unix = Session::http().with(Field::ClientIp, LogValue::from("unix")).with(Field::ClientPort, LogValue::Int(1));
    assert_eq!(write(&unix.with(Field::FrontendName, LogValue::from("fe")), true), "Connect to unix:1 (fe/HTTP)");

    let s = Session::http()
        .with(Field::ClientPort, LogValue::Int(55148))
        .with(Field::FrontendName, LogValue::from("fe"))
        .with(Field::ListenerName, LogValue::from("foo"))
        .at(1_795_233_216, 189_000);
    let mut out = Vec::new();
    write_connection_error(&s, "Truncated PROXY protocol header received", 1_023, &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "127.0.0.1:55148 [21/Nov/2026:03:53:36.189] fe/foo: Truncated PROXY protocol header received"
    );
}

#[test]
fn what_does_not_fit() {
    let long = Session::http()
        .with(Field::RequestLine, LogValue::from("GET /012345678901234567890123456789 HTTP/1.1"))
        .with(Field::RequestCookie, LogValue::from("sess=123456789012345"))
        .captures(&[Some(b"h"), Some(b"A\x01B\x01C\x01D\x01E\x01F"), None], &[])
        .at(1_795_232_777, 947_000);
    for (n, rest, line) in [
        (60, " %r", " GET /0123456789012"),
        (60, " %{+Q}r", " \"GET /012345678901"),
        (70, "%ci%cp", "127.0.0.1"),
        (71, "%ci%cp", "127.0.0."),
        (74, "%ci%cp", "127.0"),
        (78, "%ci%cp", "1"),
        (74, " %ts %tsc %%x", " -- -"),
        (77, " %ts %tsc %%x", " -"),
        (78, " %ts %tsc %%x", " "),
        (76, "%ts.", "--."),
        (78, "%ts.", "-"),
        (75, "%tsc.", "----"),
        (76, "%tsc.", "---"),
        (75, "%ST.", "200."),
        (76, "%ST.", "200"),
        (77, "%ST.", ""),
        (78, "%B.", ""),
        (76, "%ms.", "947"),
        (77, "%ms.", ""),
        (74, "%cp.", "56506"),
        (75, "%cp.", ""),
        (75, "%{+X}cp.", "DCBA"),
        (76, "%{+X}cp.", "DCB"),
        (77, "%{+X}cp.", ""),
        (71, "%{+X}ci.", "7F000001"),
        (72, "%{+X}ci.", "7F00000"),
        (73, "%{+X}ci.", ""),
        (75, "%{+X}rt.", "0031"),
        (76, "%{+X}rt.", "003"),
        (77, "%{+X}rt.", ""),
        (74, "%HU.", "/0123"),
        (70, "%CC.", "sess=1234"),
        (54, "%{+Q}CC.", "\"sess=123456789012345\"."),
        (70, "%{+Q}CC.", ""),
        (74, "%{+Q}s.", "\"s1\"."),
        (75, "%{+Q}s.", "\"s1\""),
        (76, "%{+Q}s.", ""),
        (76, "%{+Q}ID.", "\"\"."),
        (78, "%{+Q}ID.", ""),
        (78, "%ID.", "-"),
        (74, "%{+Q}ft.", "\"fe0\""),
        (75, "%{+Q}ft.", "\"fe0"),
        (76, "%{+Q}ft.", "\"fe"),
        (78, "%{+Q}ft.", "\""),
        (75, "%{+Q}HM.", "\"GET"),
        (74, "%{+Q}HV.", "\"HTTP"),
        (74, "%{+Q}ci.", ""),
        (78, "%ft.", "f"),
        (54, "%t.", "21/Nov/2026:03:46:17.947."),
        (55, "%t.", "21/Nov/2026:03:46:17.947"),
        (56, "%t.", ""),
        (53, "%T.", "21/Nov/2026:03:46:17 +0000"),
        (54, "%trg.", ""),
        (69, "%Ts.", "1795232777"),
        (70, "%Ts.", ""),
        (76, "%ac/%fc.", "1/1"),
        (77, "%ac/%fc.", "1/"),
        (70, "%hr", "{h|A#01B|"),
        (71, "%hr", "{h|A#01B"),
        (72, "%hr", "{h|A|}"),
        (74, "%hr", "{h|A|"),
        (66, "%{+Q}hr.", "\"{h|A#01B#01C"),
        (67, "%{+Q}hr.", "\"{h|A#01B|}\""),
        (68, "%{+Q}hr.", "\"{h|A#01B|}"),
        (71, "%{+Q}hr.", "\"{h|A|}\""),
        (76, "%{+Q}hr.", "\"{h"),
        (70, "%hrl.", "h A#01B -"),
        (71, "%hrl.", "h A#01B "),
        (73, "%hrl.", "h A -."),
        (76, "%hrl.", "h A"),
        (66, "%{+Q}hrl.", "\"h\" \"A#01B\" \""),
        (69, "%{+Q}hrl.", "\"h\" \"A#01B"),
        (71, "%{+Q}hrl.", "\"h\" \"A\" "),
        (74, "%{+Q}hrl.", "\"h\" \""),
    ] {
        cut(n, rest, &long, line);
    }
    shows_cut(&"p".repeat(100), 79, &long, &"p".repeat(79));
    let escaped = Session::http().with(Field::RequestCookie, LogValue::from("sess=a]]b"));
    for (n, rest, line) in [
        (76, "%{+E}s.", "s1."),
        (77, "%{+E}s.", "s."),
        (78, "%{+E}s.", "."),
        (79, "%{+E}s.", ""),
        (67, "%{+E}CC.", "sess=a\\]\\]b."),
        (68, "%{+E}CC.", "sess=a\\]."),
        (69, "%{+E}CC.", "sess=a\\]."),
        (70, "%{+E}CC.", "sess=a."),
        (73, "%{+E}CC.", "sess=."),
        (66, "%{+Q,+E}CC.", "\"sess=a\\]\\]b\""),
        (67, "%{+Q,+E}CC.", "\"sess=a\\]\"."),
        (69, "%{+Q,+E}CC.", "\"sess=a\"."),
        (72, "%{+Q,+E}CC.", "\"sess=\""),
        (77, "%{+Q,+E}CC.", "\"\""),
        (78, "%{+Q,+E}CC.", ""),
        (78, "%{+E}ID.", "-"),
    ] {
        cut(n, rest, &escaped, line);
    }
    let encoded = Session::http().with(Field::RequestLine, LogValue::from("GET /a]\"b HTTP/1.1"));
    for (n, rest, line) in [
        (66, "%{+E}r.", "GET /a\\]#22b "),
        (67, "%{+E}r.", "GET /a\\]#22b"),
        (68, "%{+E}r.", "GET /a\\]."),
        (70, "%{+E}r.", "GET /a\\]."),
        (71, "%{+E}r.", "GET /a."),
        (73, "%{+E}r.", "GET /a"),
    ] {
        cut(n, rest, &encoded, line);
    }
    let quote = Session::http().with(Field::RequestLine, LogValue::from("GET /a\"b HTTP/1.1"));
    for (n, line) in [(72, "/a#22b."), (73, "/a#22b"), (74, "/a."), (76, "/a.")] {
        cut(n, "%HU.%ST %s", &quote, line);
    }
}

#[test]
fn what_is_refused() {
    // haproxy's words; it ends each with a full stop of its own.
    for (format, message) in [
        ("%", "truncated line after '%'"),
        ("a%", "truncated line after '%'"),
        ("%ci%", "truncated line after '%'"),
        ("%%%", "truncated line after '%'"),
        ("%xx", "no such format variable 'xx'. If you wanted to emit the '%' character verbatim, you need to use '%%'"),
        ("%cifoo", "no such format variable 'cifoo'. If you wanted to emit the '%' character verbatim, you need to use '%%'"),
        ("%oo", "no such format variable 'oo'. If you wanted to emit the '%' character verbatim, you need to use '%%'"),
        ("%B1", "no such format variable 'B1'. If you wanted to emit the '%' character verbatim, you need to use '%%'"),
        ("%{+Q", "truncated line after '+Q'"),
        ("%{+Q}", "parse argument modifier without variable name near '%{+Q}'"),
        ("%{+Q}%", "parse argument modifier without variable name near '%{+Q}'"),
        ("%{+Q}%%", "parse argument modifier without variable name near '%{+Q}'"),
        ("%{+Q}(foo)ci", "parse argument modifier without variable name near '%{+Q}'"),
        ("%{+Q}-", "parse argument modifier without variable name near '%{+Q}'"),
        (
            "% ci",
            "unexpected variable name near ' ' at position 1 line : '% ci'. Maybe you want to write a single '%', use the syntax '%%'",
        ),
        ("%[src", "missing ']' after 'src'"),
    ] {
        assert_eq!(LogFormat::compile(format).expect_err(format).message, message, "{format}");
    }
    assert_eq!(LogFormat::compile("ab %ci %xx").unwrap_err().offset, 7);
    // Not haproxy's: samples come later and are refused by name.
    assert!(LogFormat::compile("%{+Q}[src,hex]").unwrap_err().message.contains("%[src,hex]"));
    for (format, word) in [("%ci %r %CC", "r"), ("%tr", "tr"), ("%Ta", "Ta"), ("%HM", "HM")] {
        let error = LogFormat::compile(format).unwrap().check_mode_tcp().unwrap_err();
        assert_eq!(error.message, format!("format variable '{word}' is reserved for HTTP mode"));
    }
    for format in ["%hr %sslv %ST", formats::TCP] {
        LogFormat::compile(format).unwrap().check_mode_tcp().unwrap();
    }
}

#[test]
fn what_a_format_asks_for() {
    let format = LogFormat::compile("%ft %HP").unwrap();
    for field in [Field::FrontendName, Field::FrontendTls, Field::RequestLine] {
        assert!(format.uses(field));
    }
    assert!(!format.uses(Field::RequestCaptures) && !format.uses(Field::AcceptDate));
    // Recorded: one frontend per word, and when its line came.
    for early in ["%tsc", "%ST", "%CC %hr %r", "%s %si", "%t %lc %rt", "x"] {
        assert!(!LogFormat::compile(early).unwrap().waits_for_end(), "{early}");
    }
    for late in ["%ts", "%B", "%Th", "%ac", "%ID", "%rc", "%U", formats::TCP, formats::HTTP, formats::CLF] {
        assert!(LogFormat::compile(late).unwrap().waits_for_end(), "{late}");
    }
}
