//! Health checks: every kind of script over any answer, in any pieces.

use lb_check::{Action, Check, CheckSpec, Event, HttpRequest, MysqlClient, NoWorld, Script, SystemError};
use lb_config::{CheckKind, Source, parse};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Pieces of answers.
pub const WORDS: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.0 404 Not Found\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"X-A: b, c\r\n",
    b" folded\r\n",
    b"\r\n",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"+PONG\r\n",
    b"+OK",
    b"220 ",
    b"250-",
    b"221 bye\r\n",
    b"R\0\0\0\x08\0\0\0\0",
    b"E\0\0\0\x08SFATAL\0",
    b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0",
    b"\x30\x84\xff\xff\xff\xff",
    b"\x05\0\0\0\x0aabc\0",
    b"\x03\0\0\0\xff\x6a\x04",
    b"\0\0\0\x2f\x65\0\0\0\x01\0\0\x07version\x08\x032.0\x0emax-frame-size\x03\xf8\x2f",
    b"\0\0\0\x17\x66\0\0\0\x01\0\0\x0bstatus-code\x03\x03",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x16\x03\x01\0\x2a",
];

/// Rules with everything that looks at an answer.
const RULES: &[&str] = &[
    "option tcp-check\n tcp-check connect\n tcp-check expect min-recv 3 on-error %[res.payload(0,4),hex] rstring ^(.+OK|22)\n tcp-check connect linger\n \
     tcp-check expect ! binary 2d455252",
    "option tcp-check\n tcp-check expect rbinary ^2B(4F|50)\n tcp-check set-var(check.x) res.payload(0,8)\n tcp-check send-lf %[var(check.x)]\n \
     tcp-check expect status-code res.payload(0,3) on-success %[res.payload(1,0)] string-lf %[var(check.x)]",
    "option tcp-check\n tcp-check send-binary-lf 0%[rand(10)]\n tcp-check expect binary-lf %[str(+OK),hex]",
    "option httpchk\n http-check disable-on-404\n http-check expect hdr name -m sub a value -m end c on-success %[res.hdr(x-a),lower]",
    "option httpchk\n http-check expect fhdr name x-a value -m reg b.*c\n http-check expect ! rstatus ^5\n http-check expect string hello \
     on-error %[res.body,hex]",
    "option httpchk HEAD /\n http-check expect status 200,404 status-code res.hdr(content-length)",
    "option httpchk\n http-check connect\n http-check send uri /\n http-check expect ! rstring h.l\n http-check set-var(check.x) res.body\n \
     http-check connect\n http-check send uri-lf %[var(check.x)] hdr y %[var(check.x)] body-lf %[var(check.x)]",
];

fn scripts() -> &'static [Arc<CheckSpec>] {
    static SCRIPTS: OnceLock<Vec<Arc<CheckSpec>>> = OnceLock::new();
    SCRIPTS.get_or_init(|| {
        let mut scripts = vec![
            Script::connect(),
            Script::http(HttpRequest::default()),
            Script::redis(),
            Script::smtp("EHLO", "a"),
            Script::pgsql("u"),
            Script::mysql(None),
            Script::mysql(Some(("u", MysqlClient::Post41))),
            Script::ldap(),
            Script::ssl_hello(),
            Script::spop(),
        ];
        for rules in RULES {
            let text = format!("defaults\n timeout connect 1s\n timeout server 1s\nbackend b\n {rules}\n server s 127.0.0.1:80 check\n");
            let (config, diagnostics) = parse(&Source::new().file("checks.cfg", text.as_bytes()));
            let CheckKind::Script(script) = &config.proxies[0].check else { panic!("{text}: {}", lb_config::render(&diagnostics)) };
            scripts.push((**script).clone());
        }
        scripts.into_iter().map(|script| CheckSpec::new(script, Duration::from_secs(1)).into()).collect()
    })
}

/// Whatever a server answers: the check ends once, closes what it opened, and keeps what it says of it short.
pub fn checks(data: &[u8]) {
    let [kind, end, size, answer @ ..] = data else { return };
    let scripts = scripts();
    let spec = scripts[usize::from(*kind) % scripts.len()].clone();
    // The machine compares moments and reads no clock.
    #[allow(clippy::disallowed_methods)]
    let start = Instant::now();
    let mut check = Check::new(spec);
    let mut out = Vec::new();
    let mut seen = Seen::default();
    check.handle(start, Event::Start, &NoWorld, &mut out);
    seen.act(&mut check, start, &mut out);
    for piece in answer.chunks(usize::from(*size).max(1)) {
        check.handle(start, Event::Data(piece), &NoWorld, &mut out);
        seen.act(&mut check, start, &mut out);
    }
    if end % 4 == 3 {
        let ran = check.is_running();
        check.abort(&mut out);
        seen.act(&mut check, start, &mut out);
        assert_eq!(seen.done, u32::from(!ran));
    }
    // A script may have as many connections as it likes; each ends.
    let late = start + Duration::from_secs(1);
    for _ in 0..8 {
        let event = match end % 3 {
            0 => Event::Eof,
            1 => Event::Failed(SystemError(104)),
            _ => Event::Timeout,
        };
        check.handle(late, event, &NoWorld, &mut out);
        seen.act(&mut check, late, &mut out);
    }
    assert!(!check.is_running());
    assert_eq!(check.deadline(), None);
    assert_eq!(seen.opened, seen.closed);
    assert!(seen.done == 1 || end % 4 == 3);
}

#[derive(Default)]
struct Seen {
    opened: u32,
    closed: u32,
    done: u32,
}

impl Seen {
    fn act(&mut self, check: &mut Check, now: Instant, out: &mut Vec<Action>) {
        while !out.is_empty() {
            for action in std::mem::take(out) {
                match action {
                    Action::Connect(_) => {
                        self.opened += 1;
                        assert_eq!(self.opened, self.closed + 1, "one connection at a time");
                        check.handle(now, Event::Connected, &NoWorld, out);
                    }
                    Action::Send(bytes) => {
                        assert!(!bytes.is_empty() && bytes.len() <= 4 * lb_check::MAX_ANSWER);
                        check.handle(now, Event::Sent, &NoWorld, out);
                    }
                    Action::Close { .. } => self.closed += 1,
                    Action::Done(verdict) => {
                        self.done += 1;
                        assert!(verdict.info.len() <= 127 && !verdict.info.contains(&0));
                        assert_eq!(verdict.code.is_some(), matches!(verdict.status.code(), "L7OK" | "L7OKC" | "L7STS"));
                    }
                    _ => {}
                }
            }
        }
    }
}
