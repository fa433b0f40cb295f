//! Syslog messages of others, taken apart: RFC 3164, RFC 5424, and whatever else comes. Pure; what cannot be read as the one or the
//! other is text.
//!
//! Source: RFC 3164 §4.1, RFC 5424 §6, and what haproxy 2.6.12 was observed to make of messages.

/// A message that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Message<'a> {
    /// Facility and level, `facility * 8 + level`; `None`: it has none.
    pub priority: Option<u16>,
    /// It has the form of RFC 5424.
    pub rfc5424: bool,
    /// When it was written, by its sender.
    pub time: Option<Time<'a>>,
    /// Host name; empty: none.
    pub host: &'a [u8],
    /// Name of the program; empty: none.
    pub app: &'a [u8],
    /// Its number; empty: none.
    pub pid: &'a [u8],
    /// Kind of the message; empty: none.
    pub id: &'a [u8],
    /// Structured data; empty: none.
    pub structured: &'a [u8],
    /// What it says.
    pub text: &'a [u8],
}

/// A sender's date, as it wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time<'a> {
    /// `Nov  8 07:26:31`
    Rfc3164(&'a [u8; 15]),
    /// `2026-11-28T07:26:31.123Z`, of at least 20 bytes.
    Iso(&'a [u8]),
}

const MONTHS: [&[u8; 3]; 12] = [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// What a number that is no priority is taken for, as haproxy has it: the last facility, the lowest level.
const ANY: u16 = 191;

impl<'a> Message<'a> {
    /// A message as it stands, the line feeds and zero bytes at its end left out.
    pub fn unparsed(bytes: &'a [u8]) -> Self {
        let end = bytes.iter().rposition(|b| !matches!(b, b'\n' | 0)).map_or(0, |at| at + 1);
        Message { text: &bytes[..end], ..Message::default() }
    }

    /// Takes a message apart, line feeds and zero bytes at its end left out.
    pub fn parse(bytes: &'a [u8]) -> Self {
        let all = Self::unparsed(bytes);
        let Some((priority, rest)) = priority(all.text) else { return all };
        let priority = Some(priority);
        let header = rfc5424(rest).or_else(|| rfc3164(rest)).unwrap_or(Message { text: rest, ..Message::default() });
        Message { priority, ..header }
    }
}

/// `<134>`
fn priority(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let inside = bytes.strip_prefix(b"<")?;
    let len = inside.iter().take_while(|b| b.is_ascii_digit()).count();
    let rest = inside[len..].strip_prefix(b">")?;
    let value = inside[..len].iter().fold(0u32, |n, digit| n.saturating_mul(10).saturating_add(u32::from(digit - b'0')));
    Some((u16::try_from(value).ok().filter(|n| *n <= 999).unwrap_or(ANY), rest))
}

/// The bytes before the next space, and those behind it.
fn word(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b' ', bytes)?;
    (at > 0).then(|| (&bytes[..at], &bytes[at + 1..]))
}

/// `1 TIME HOST APP PID ID STRUCTURED TEXT`
fn rfc5424(bytes: &[u8]) -> Option<Message<'_>> {
    let rest = bytes.strip_prefix(b"1 ")?;
    let (time, rest) = word(rest)?;
    let time = match time {
        b"-" => None,
        iso if is_iso(iso) => Some(Time::Iso(iso)),
        _ => return None,
    };
    let nil = |word: &'_ [u8]| word == b"-";
    let field = |word| if nil(word) { &b""[..] } else { word };
    let (host, rest) = word(rest)?;
    let (app, rest) = word(rest)?;
    let (pid, rest) = word(rest)?;
    let (id, rest) = word(rest)?;
    let len = if rest.starts_with(b"-") { 1 } else { structured(rest)? };
    let text = rest[len..].strip_prefix(b" ")?;
    let data = field(&rest[..len]);
    Some(Message {
        priority: None,
        rfc5424: true,
        time,
        host: field(host),
        app: field(app),
        pid: field(pid),
        id: field(id),
        structured: data,
        text,
    })
}

/// Length of `[ID NAME="VALUE" ...][...]`. As observed, an element may be empty, and a backslash counts outside of quotes, too.
fn structured(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while bytes.get(at) == Some(&b'[') {
        at += 1;
        let mut quoted = false;
        loop {
            match bytes.get(at)? {
                b'\\' => at += 1,
                b'"' => quoted = !quoted,
                b']' if quoted => return None,
                b']' => break,
                _ => {}
            }
            at += 1;
        }
        at += 1;
    }
    (at > 0).then_some(at)
}

/// `2026-11-28T07:26:31`, a fraction, and `Z` or an offset.
fn is_iso(bytes: &[u8]) -> bool {
    let Some((date, rest)) = bytes.split_at_checked(19) else { return false };
    let rest = match rest.strip_prefix(b".") {
        Some(fraction) => &fraction[fraction.iter().take_while(|b| b.is_ascii_digit()).count()..],
        None => rest,
    };
    shaped(date, b"0000-00-00T00:00:00") && (rest == b"Z" || shaped(rest, b"+00:00") || shaped(rest, b"-00:00"))
}

/// True when every `0` of `shape` is a digit, and the rest is as it stands.
fn shaped(bytes: &[u8], shape: &[u8]) -> bool {
    bytes.len() == shape.len() && bytes.iter().zip(shape).all(|(b, s)| if *s == b'0' { b.is_ascii_digit() } else { b == s })
}

/// `Nov  8 07:26:31 HOST APP[PID]: TEXT`
fn rfc3164(bytes: &[u8]) -> Option<Message<'_>> {
    let date: &[u8; 15] = bytes.first_chunk()?;
    let month = MONTHS.iter().any(|month| date.starts_with(*month));
    let day = shaped(&date[3..6], b" 00") || shaped(&date[3..6], b"  0");
    if !month || !day || !shaped(&date[6..], b" 00:00:00") {
        return None;
    }
    let rest = bytes[15..].strip_prefix(b" ")?;
    let (host, rest) = word(rest)?;
    let (app, pid, text) = tag(rest).unwrap_or((b"", b"", rest));
    Some(Message { time: Some(Time::Rfc3164(date)), host, app, pid, text, ..Message::default() })
}

/// `APP[PID]: ` or `APP: `
fn tag(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let len = bytes.iter().position(|b| matches!(b, b'[' | b':' | b' '))?;
    let (app, rest) = bytes.split_at(len);
    let (pid, rest) = match rest.strip_prefix(b"[") {
        Some(inside) => {
            let len = inside.iter().position(|b| matches!(b, b']' | b' '))?;
            (&inside[..len], inside[len..].strip_prefix(b"]")?)
        }
        None => (&b""[..], rest),
    };
    Some((app, pid, rest.strip_prefix(b": ")?))
}

impl Time<'_> {
    /// `Nov  8 07:26:31`; `None` when its month is none.
    pub fn rfc3164(&self) -> Option<[u8; 15]> {
        let iso = match self {
            Time::Rfc3164(date) => return Some(**date),
            Time::Iso(iso) => iso,
        };
        let number = |at: usize| usize::from(iso[at] - b'0') * 10 + usize::from(iso[at + 1] - b'0');
        let month = MONTHS.get(number(5).checked_sub(1)?)?;
        let mut date = [b' '; 15];
        date[..3].copy_from_slice(*month);
        date[4] = if iso[8] == b'0' { b' ' } else { iso[8] };
        date[5] = iso[9];
        date[7..].copy_from_slice(&iso[11..19]);
        Some(date)
    }

    /// `2026-11-28T07:26:31Z`. A date without its year is one of the year given (four digits), and without its zone.
    pub fn iso<'t>(&'t self, year: &[u8; 4], room: &'t mut [u8; 25]) -> &'t [u8] {
        let date = match self {
            Time::Rfc3164(date) => date,
            Time::Iso(iso) => return iso,
        };
        let month = MONTHS.iter().zip(1u8..).find(|(name, _)| date.starts_with(**name)).map_or(1, |(_, number)| number);
        *room = *b"0000-00-00T00:00:00-00:00";
        room[..4].copy_from_slice(year);
        room[5..7].copy_from_slice(&[b'0' + month / 10, b'0' + month % 10]);
        room[8] = if date[4] == b' ' { b'0' } else { date[4] };
        room[9] = date[5];
        room[11..19].copy_from_slice(&date[7..]);
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).expect("ASCII")
    }

    /// Priority, form, host, app, pid, id, structured data, text.
    fn parts(line: &str) -> String {
        let m = Message::parse(line.as_bytes());
        let form = match (m.rfc5424, m.time) {
            (true, _) => "5424",
            (false, Some(_)) => "3164",
            (false, None) => "-",
        };
        let priority = m.priority.map_or("-".to_owned(), |p| p.to_string());
        format!("{priority}|{form}|{}|{}|{}|{}|{}|{}", text(m.host), text(m.app), text(m.pid), text(m.id), text(m.structured), text(m.text))
    }

    /// Each as haproxy 2.6.12 reads it, seen in what it forwards.
    #[test]
    fn messages_as_observed() {
        for (line, read) in [
            ("<134>Nov  8 07:26:31 host1 app[123]: hello world\n", "134|3164|host1|app|123|||hello world"),
            ("<134>Nov  8 07:26:31 host1 app: hello", "134|3164|host1|app||||hello"),
            ("<134>Nov 08 07:26:31 h a: m", "134|3164|h|a||||m"),
            ("<134>Nov  8 07:26:31 host1 hello no tag", "134|3164|host1|||||hello no tag"),
            ("<134>Nov  8 07:26:31 app: hello no host", "134|3164|app:|||||hello no host"),
            ("<134>Nov  8 07:26:31 h ", "134|3164|h|||||"),
            ("<134>Nov  8 07:26:31 h app[12]:", "134|3164|h|||||app[12]:"),
            ("<134>Nov  8 07:26:31 h app[12 x]: y", "134|3164|h|||||app[12 x]: y"),
            ("<134>Nov  8 07:26:31 h a[]: m", "134|3164|h|a||||m"),
            ("<134>Nov  8 07:26:31 h : m", "134|3164|h|||||m"),
            ("<134>Nov  8 07:26:31 h a:m", "134|3164|h|||||a:m"),
            ("<134>Nov  8 07:26:31 h a:  m", "134|3164|h|a|||| m"),
            ("<134>Nov  8 07:26:31 h a[1] : m", "134|3164|h|||||a[1] : m"),
            ("<134>Nov  8 07:26:31", "134|-||||||Nov  8 07:26:31"),
            ("<134>Nov  8 07:26:31 h", "134|-||||||Nov  8 07:26:31 h"),
            ("<134>Nov  8 07:26:31  h a: m", "134|-||||||Nov  8 07:26:31  h a: m"),
            ("<13>Foo  8 07:26:31 h a: m", "13|-||||||Foo  8 07:26:31 h a: m"),
            ("<13>Nov  8 7:26:31 h a: m", "13|-||||||Nov  8 7:26:31 h a: m"),
            ("<134>1 2026-11-28T07:26:31Z h a p m - the message", "134|5424|h|a|p|m||the message"),
            ("<134>1 2026-11-28T07:26:31.123456-05:00 h a p m [a][b c=\"d\"] x", "134|5424|h|a|p|m|[a][b c=\"d\"]|x"),
            ("<134>1 2026-11-28T07:26:31Z h a p m [x a=\"b\\\"c\\\\\"] m", "134|5424|h|a|p|m|[x a=\"b\\\"c\\\\\"]|m"),
            ("<134>1 2026-11-28T07:26:31Z h a p m - ", "134|5424|h|a|p|m||"),
            ("<13>1 - - - - - - msg", "13|5424||||||msg"),
            ("<13>1 - h a p m [] msg", "13|5424|h|a|p|m|[]|msg"),
            ("<13>1 - h a p m [x][] ", "13|5424|h|a|p|m|[x][]|"),
            ("<13>1 - h a p m [a\\]b c=\"d\"] msg", "13|5424|h|a|p|m|[a\\]b c=\"d\"]|msg"),
            ("<13>msg\0\n\0", "13|-||||||msg"),
            ("msg\r\n", "-|-||||||msg\r"),
            ("<34>hello only pri", "34|-||||||hello only pri"),
            ("no pri at all", "-|-||||||no pri at all"),
            ("<1x>y", "-|-||||||<1x>y"),
            ("<>x", "0|-||||||x"),
            ("<012>x", "12|-||||||x"),
            ("<999>x", "999|-||||||x"),
            ("<99999999999>x", "191|-||||||x"),
            ("<5>", "5|-||||||"),
            ("", "-|-||||||"),
            ("a\nb\n\n", "-|-||||||a\nb"),
        ] {
            assert_eq!(parts(line), read, "{line}");
        }
    }

    /// Where haproxy gives up on the header it drops the last two bytes of the message; here they stay.
    #[test]
    fn what_is_no_header_is_text() {
        for text in [
            "1 garbage h a p m - msg",
            "1 2026-11-28T07:26:31 h a p m - msg",
            "1 2026-11-28T07:26:31Z h a p m [x a=\"b]c\"] msg",
            "1 2026-11-28T07:26:31Z h a p m []",
            "1 2026-11-28T07:26:31Z h a p m [x]msg",
            "1 2026-11-28T07:26:31Z h a p m -msg",
            "1 2026-11-28T07:26:31Z h a p m [a x",
            "1  2026-11-28T07:26:31Z h a p m - msg",
            "1 2026-11-28T07:26:31Z h a",
            "1 - - - - - -",
            "2 2026-11-28T07:26:31Z h a p m - v2",
        ] {
            assert_eq!(parts(&format!("<134>{text}")), format!("134|-||||||{text}"));
        }
    }

    #[test]
    fn dates_in_the_other_form() {
        let time = |line: &'static str| Message::parse(line.as_bytes()).time.expect("a date");
        let old = time("<1>Nov  8 07:26:31 h m");
        assert_eq!(text(old.iso(b"2026", &mut [0; 25])), "2026-11-08T07:26:31-00:00");
        assert_eq!(old.rfc3164().as_ref(), Some(b"Nov  8 07:26:31"));
        let new = time("<1>1 2026-01-05T07:26:31.5+05:00 h a p m - x");
        assert_eq!(new.rfc3164().as_ref(), Some(b"Jan  5 07:26:31"));
        assert_eq!(text(new.iso(b"2027", &mut [0; 25])), "2026-01-05T07:26:31.5+05:00");
        assert_eq!(time("<1>1 2026-13-45T99:99:99Z h a p m - x").rfc3164(), None);
        assert_eq!(time("<1>1 2026-00-45T99:99:99Z h a p m - x").rfc3164(), None);
    }

    #[test]
    fn any_bytes_are_read() {
        let line = b"<134>1 2026-11-28T07:26:31.9Z h\xff a[3]: p [m n=\"\\\"]\"] x";
        for start in 0..line.len() {
            for end in start..line.len() {
                let m = Message::parse(&line[start..end]);
                assert!(m.text.len() <= end - start);
            }
        }
    }
}
