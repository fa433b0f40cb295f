//! JSON: text as a JSON string, and values out of JSON. Manual 7.3.1.
//!
//! Holds: a query is one pass over its input; what is nested deeper than [`MAX_DEPTH`] is not found.

use super::Out;
use crate::sample::{Arg, ArgKind, Args, Converter, Cx, Loader, Type, Value};

pub(super) const TABLE: &[Converter] = &[
    Converter::new("json", &[ArgKind::Str], 0, Type::Str, Type::Str, json).checked(input_code),
    Converter::new("json_query", &[ArgKind::Str, ArgKind::Str], 1, Type::Str, Type::Any, |args, value, cx| {
        query(args.made::<Query>(0)?, value.bytes()?, cx)
    })
    .checked(json_query),
];

/// Most arrays and objects within each other.
const MAX_DEPTH: usize = 20;

/// Numbers beyond, in either direction, are no integers: what a double holds exactly.
const MAX_INT: i64 = (1 << 53) - 1;

/// How `json` reads its input.
#[derive(Clone, Copy)]
struct Code {
    utf8: bool,
    /// Takes what is written with more bytes than it needs.
    permissive: bool,
    /// Leaves out what is wrong, instead of failing.
    silent: bool,
}

fn input_code(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    let code = |utf8, permissive, silent| Arg::made(Code { utf8, permissive, silent });
    let arg = match args.first().map_or("", Arg::text) {
        "" | "ascii" => code(false, false, false),
        "utf8" => code(true, false, false),
        "utf8s" => code(true, false, true),
        "utf8p" => code(true, true, false),
        "utf8ps" => code(true, true, true),
        _ => return Err("Unexpected input code type. Allowed value are 'ascii', 'utf8', 'utf8s', 'utf8p' and 'utf8ps'".into()),
    };
    *args = vec![arg];
    Ok(())
}

fn json<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let text = value.bytes()?;
    let code = args.made::<Code>(0)?;
    let mut out = Out::new(cx, text.len() + 16);
    let mut rest = text;
    while let [first, ..] = rest {
        let (len, read) = if code.utf8 { decode(rest, code.permissive) } else { (1, Some(u32::from(*first))) };
        rest = &rest[len..];
        // Four hexadecimal digits are all that an escape has.
        match read.filter(|c| *c <= 0xffff) {
            Some(c) => escape(c, &mut out)?,
            None if code.silent => {}
            None => return None,
        }
    }
    Some(Value::Str(out.done()))
}

fn escape(c: u32, out: &mut Out<'_>) -> Option<()> {
    let letter = match c {
        0x22 | 0x2f | 0x5c => c as u8,
        8 => b'b',
        9 => b't',
        10 => b'n',
        12 => b'f',
        13 => b'r',
        0x20..0x7f => return out.put(&[c as u8]),
        _ => {
            let digit = |shift: u32| b"0123456789abcdef"[(c >> shift & 15) as usize];
            return out.put(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
        }
    };
    out.put(&[b'\\', letter])
}

/// One character of UTF-8: how many bytes it takes, and which it is.
fn decode(text: &[u8], permissive: bool) -> (usize, Option<u32>) {
    let Some(&first) = text.first() else { return (0, None) };
    let (len, bits) = match first {
        0..0x80 => return (1, Some(first.into())),
        0xc0..0xe0 => (2, first & 0x1f),
        0xe0..0xf0 => (3, first & 0x0f),
        0xf0..0xf8 => (4, first & 0x07),
        0xf8..0xfc => (5, first & 0x03),
        0xfc..0xfe => (6, first & 0x01),
        _ => return (1, None),
    };
    let mut c = u32::from(bits);
    for n in 1..len {
        match text.get(n) {
            Some(byte @ 0x80..0xc0) => c = c << 6 | u32::from(byte & 0x3f),
            _ => return (n, None),
        }
    }
    let least = [0, 0, 0x80, 0x800, 0x1_0000, 0x20_0000, 0x400_0000][len];
    let overlong = c < least && !permissive;
    let valid = !overlong && !(0xd800..0xe000).contains(&c) && !matches!(c, 0xfffe | 0xffff);
    (len, valid.then_some(c))
}

/// Where in a document, and whether the result has to be an integer.
pub(super) struct Query {
    path: Option<Box<[Place]>>,
    int: bool,
}

enum Place {
    Key(Box<[u8]>),
    Index(u64),
}

fn json_query(args: &mut Vec<Arg>, loader: &mut dyn Loader) -> Result<(), String> {
    if args.first().map_or("", Arg::text).is_empty() {
        return Err("json_path must not be empty".into());
    }
    queried(args, loader)
}

/// Reads path and type.
pub(super) fn queried(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    let int = match args.get(1).map_or("", Arg::text) {
        "" => false,
        "int" => true,
        _ => return Err("output_type only supports \"int\" as argument".into()),
    };
    if let Some(Arg::Str(path)) = args.first().filter(|arg| !arg.text().is_empty()) {
        let path = path_of(path.as_bytes());
        *args = vec![Arg::made(Query { path, int })];
    }
    Ok(())
}

/// `$.a.b[3]`; a backslash takes a dot or a bracket as part of a key. A path that is none finds nothing.
fn path_of(text: &[u8]) -> Option<Box<[Place]>> {
    let mut path = Vec::new();
    let mut rest = text.strip_prefix(b"$")?;
    while let Some((kind, behind)) = rest.split_first() {
        rest = behind;
        match kind {
            b'.' => {
                let mut key = Vec::new();
                while let Some((byte, behind)) = rest.split_first().filter(|(b, _)| !matches!(b, b'.' | b'[')) {
                    rest = behind;
                    match (byte, rest.split_first()) {
                        (b'\\', Some((next, behind))) => {
                            rest = behind;
                            key.push(*next);
                        }
                        _ => key.push(*byte),
                    }
                }
                path.push(Place::Key(key.into()));
            }
            b'[' => {
                let end = memchr::memchr(b']', rest)?;
                path.push(Place::Index(std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?));
                rest = &rest[end + 1..];
            }
            _ => return None,
        }
    }
    Some(path.into())
}

/// The value that a query finds in a document.
pub(super) fn query<'a>(query: &Query, text: &'a [u8], cx: Cx<'a>) -> Option<Value<'a>> {
    let mut reader = Reader { rest: text, depth: 0 };
    for place in query.path.as_deref()? {
        match place {
            Place::Key(key) => reader.enter_object(key)?,
            Place::Index(index) => reader.enter_array(*index)?,
        }
    }
    match reader.token()? {
        Token::True => Some(Value::Bool(true)),
        Token::False => Some(Value::Bool(false)),
        Token::Number(text) if query.int => {
            Some(crate::sample::leading_int(text)).filter(|n| (-MAX_INT..=MAX_INT).contains(n)).map(Value::Int)
        }
        Token::Number(text) => Some(Value::Str(cx.keep(general(std::str::from_utf8(text).ok()?.parse().ok()?).as_bytes()))),
        Token::Text(text) => unescaped(text, cx).map(Value::Str),
        Token::Open(b'[') => {
            // The text of the whole array.
            let from = text.len() - reader.rest.len() - 1;
            reader.skip(Token::Open(b'['))?;
            Some(Value::Str(&text[from..text.len() - reader.rest.len()]))
        }
        Token::Null | Token::Open(_) | Token::Close | Token::Comma | Token::Colon => None,
    }
}

/// `%g` of C: six significant digits.
fn general(n: f64) -> String {
    if n == 0.0 {
        return if n.is_sign_negative() { "-0".into() } else { "0".into() };
    }
    if !n.is_finite() {
        return if n > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let text = format!("{n:.5e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let short = |text: &str| if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() };
    if (-4..6).contains(&exponent) {
        return short(&format!("{n:.*}", (5 - exponent) as usize));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", short(digits), exponent.abs())
}

enum Token<'t> {
    True,
    False,
    Null,
    Number(&'t [u8]),
    /// Without its quotes, as it is written.
    Text(&'t [u8]),
    Open(u8),
    Close,
    Comma,
    Colon,
}

#[derive(Clone, Copy)]
struct Reader<'t> {
    rest: &'t [u8],
    /// Arrays and objects that it is in.
    depth: usize,
}

impl<'t> Reader<'t> {
    fn take(&mut self, len: usize) -> &'t [u8] {
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        taken
    }

    fn token(&mut self) -> Option<Token<'t>> {
        self.rest = self.rest.trim_ascii_start();
        let word = |word: &[u8]| self.rest.starts_with(word);
        let (len, token) = match self.rest.first()? {
            b't' if word(b"true") => (4, Token::True),
            b'f' if word(b"false") => (5, Token::False),
            b'n' if word(b"null") => (4, Token::Null),
            byte @ (b'{' | b'[') => (1, Token::Open(*byte)),
            b'}' | b']' => (1, Token::Close),
            b',' => (1, Token::Comma),
            b':' => (1, Token::Colon),
            b'"' => {
                let mut len = 1;
                loop {
                    match self.rest.get(len)? {
                        b'"' => break,
                        b'\\' => len += 2,
                        0..0x20 => return None,
                        _ => len += 1,
                    }
                }
                let text = self.rest.get(1..len)?;
                (len + 1, Token::Text(text))
            }
            b'-' | b'0'..=b'9' => {
                let len = number_len(self.rest);
                (len, Token::Number(self.rest.get(..len).filter(|text| text.last().is_some_and(u8::is_ascii_digit))?))
            }
            _ => return None,
        };
        self.take(len);
        Some(token)
    }

    /// The rest of a value whose first token has been read.
    fn skip(&mut self, first: Token<'t>) -> Option<()> {
        let outside = self.depth;
        let mut token = first;
        loop {
            match token {
                Token::Open(_) if self.depth >= MAX_DEPTH => return None,
                Token::Open(_) => self.depth += 1,
                Token::Close if self.depth == outside => return None,
                Token::Close => self.depth -= 1,
                _ => {}
            }
            if self.depth == outside {
                return Some(());
            }
            token = self.token()?;
        }
    }

    fn enter_object(&mut self, wanted: &[u8]) -> Option<()> {
        let Token::Open(b'{') = self.token()? else { return None };
        self.depth += 1;
        loop {
            let Token::Text(key) = self.token()? else { return None };
            let Token::Colon = self.token()? else { return None };
            if key == wanted {
                return Some(());
            }
            let first = self.value()?;
            self.skip(first)?;
            let Token::Comma = self.token()? else { return None };
        }
    }

    fn enter_array(&mut self, index: u64) -> Option<()> {
        let Token::Open(b'[') = self.token()? else { return None };
        self.depth += 1;
        for _ in 0..index {
            let first = self.value()?;
            self.skip(first)?;
            let Token::Comma = self.token()? else { return None };
        }
        Some(())
    }

    fn value(&mut self) -> Option<Token<'t>> {
        self.token().filter(|token| !matches!(token, Token::Close | Token::Comma | Token::Colon))
    }
}

/// How long the number is that stands at the beginning.
fn number_len(text: &[u8]) -> usize {
    let digits = |from: usize| text.iter().skip(from).take_while(|b| b.is_ascii_digit()).count();
    let mut len = usize::from(text.first() == Some(&b'-'));
    len += digits(len);
    if text.get(len) == Some(&b'.') && digits(len + 1) > 0 {
        len += 1 + digits(len + 1);
    }
    if matches!(text.get(len), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(len + 1), Some(b'+' | b'-')));
        let more = digits(len + 1 + sign);
        if more > 0 {
            len += 1 + sign + more;
        }
    }
    len
}

/// The escapes that haproxy knows: `\u` for one byte only, and no `\/`. Text with another one is absent.
fn unescaped<'a>(text: &'a [u8], cx: Cx<'a>) -> Option<&'a [u8]> {
    if memchr::memchr(b'\\', text).is_none() {
        return Some(text);
    }
    let mut out = Out::new(cx, text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        let made = match byte {
            b'\\' => match bytes.next()? {
                b'b' => 8,
                b'f' => 12,
                b'n' => 10,
                b'r' => 13,
                b't' => 9,
                b'u' => {
                    let mut digit = || char::from(*bytes.next()?).to_digit(16);
                    u8::try_from(digit()? << 12 | digit()? << 8 | digit()? << 4 | digit()?).ok()?
                }
                same @ (b'"' | b'\\') => *same,
                _ => return None,
            },
            byte => *byte,
        };
        out.put(&[made])?;
    }
    Some(out.done())
}
