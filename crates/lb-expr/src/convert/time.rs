//! Dates as text: `http_date`, `utime`, `ltime` and their finer forms. Manual 7.3.1; formats as strftime(3) of the GNU C library has them
//! in the locale C.

use super::Out;
use crate::sample::{Arg, ArgKind, Args, Converter, Cx, Type, Value};

const INT: ArgKind = ArgKind::Int;
const STR: ArgKind = ArgKind::Str;

pub(super) const TABLE: &[Converter] = &[
    Converter::new("http_date", &[INT, STR], 0, Type::Int, Type::Str, http_date).checked(|args, _| {
        let unit = match args.get(1) {
            Some(Arg::Str(unit)) => match &**unit {
                "s" => 1,
                "ms" => 1_000,
                "us" => 1_000_000,
                other => return Err(format!("expects 's', 'ms' or 'us', got '{other}'")),
            },
            _ => return Ok(()),
        };
        args[1] = Arg::Int(unit);
        Ok(())
    }),
    Converter::new("utime", &[STR, INT], 1, Type::Int, Type::Str, |args, value, cx| date(args, value, cx, 1, false)),
    Converter::new("ltime", &[STR, INT], 1, Type::Int, Type::Str, |args, value, cx| date(args, value, cx, 1, true)),
    Converter::new("ms_utime", &[STR, INT], 1, Type::Int, Type::Str, |args, value, cx| date(args, value, cx, 1_000, false)),
    Converter::new("ms_ltime", &[STR, INT], 1, Type::Int, Type::Str, |args, value, cx| date(args, value, cx, 1_000, true)),
    Converter::new("us_utime", &[STR, INT], 1, Type::Int, Type::Str, |args, value, cx| date(args, value, cx, 1_000_000, false)),
    Converter::new("us_ltime", &[STR, INT], 1, Type::Int, Type::Str, |args, value, cx| date(args, value, cx, 1_000_000, true)),
];

/// The bits of a number of seconds that count, so that a year always fits in 31.
const SECONDS: i64 = 0x007f_ffff_ffff_ffff;

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

/// A moment in one zone.
struct Moment<'z> {
    year: i64,
    /// From 0.
    month: usize,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    /// From Sunday, which is 0.
    weekday: i64,
    /// From 0.
    yearday: i64,
    unix: i64,
    nanos: i64,
    offset: i32,
    zone: &'z str,
}

fn leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

impl<'z> Moment<'z> {
    /// Proleptic Gregorian calendar; days counted in eras of 400 years that begin on 1 March.
    fn new(unix: i64, nanos: i64, offset: i32, zone: &'z str) -> Self {
        let local = unix.saturating_add(offset.into());
        let (days, rest) = (local.div_euclid(86_400), local.rem_euclid(86_400));
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let month = if mp < 10 { mp + 2 } else { mp - 10 };
        let year = yoe + era * 400 + i64::from(month <= 1);
        // Days from 1 March of the year before to 1 January: 306.
        let yearday = if month <= 1 { doy - 306 } else { doy + 59 + i64::from(leap(year)) };
        Self {
            year,
            month: month as usize,
            day: doy - (153 * mp + 2) / 5 + 1,
            hour: rest / 3_600,
            minute: rest / 60 % 60,
            second: rest % 60,
            weekday: (days + 4).rem_euclid(7),
            yearday,
            unix,
            nanos,
            offset,
            zone,
        }
    }

    /// ISO 8601: the year that the week belongs to, and the week.
    fn week(&self) -> (i64, i64) {
        let monday_based = (self.weekday + 6) % 7;
        let week = (self.yearday - monday_based + 10).div_euclid(7);
        let long = |year: i64| {
            let day = |y: i64| (y + y / 4 - y / 100 + y / 400).rem_euclid(7);
            if day(year) == 4 || day(year - 1) == 3 { 53 } else { 52 }
        };
        if week < 1 {
            (self.year - 1, long(self.year - 1))
        } else if week > long(self.year) {
            (self.year + 1, 1)
        } else {
            (self.year, week)
        }
    }

    fn hour12(&self) -> i64 {
        (self.hour + 11) % 12 + 1
    }
}

/// Whole seconds, towards 1970, and nanoseconds.
fn split(n: i64, unit: i64) -> (i64, i64) {
    (n / unit, (n % unit).max(0) * (1_000_000_000 / unit))
}

fn http_date<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let Value::Int(n) = value else { return None };
    let unit = args.int(1).unwrap_or(1);
    let n = if unit == 1 { n & SECONDS } else { n };
    let (unix, nanos) = split(n.saturating_add(args.int(0).unwrap_or(0)), unit);
    let moment = Moment::new(unix.clamp(-SECONDS, SECONDS), nanos, 0, "GMT");
    let mut out = Out::new(cx, 40);
    let fraction = match unit {
        1_000 => ".%3N",
        1_000_000 => ".%6N",
        _ => "",
    };
    for part in ["%a, %d %b ", "%Y", " %H:%M:%S", fraction, " GMT"] {
        // Four digits of a year, as HTTP has it, as long as it has no more.
        if part == "%Y" { put_number(&mut out, moment.year, 4, b'0')? } else { write(part.as_bytes(), &moment, true, &mut out)? }
    }
    Some(Value::Str(out.done()))
}

/// The offset is in seconds, whatever the unit of the value is.
fn date<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>, unit: i64, local: bool) -> Option<Value<'a>> {
    let Value::Int(n) = value else { return None };
    let (unix, nanos) = split(n, unit);
    let unix = if unit == 1 { unix & SECONDS } else { unix };
    let unix = unix.saturating_add(args.int(1).unwrap_or(0)).clamp(-SECONDS, SECONDS);
    let (offset, zone) = if local { (cx.source.local_offset(unix), cx.source.local_zone(unix, cx.scratch)) } else { (0, "GMT") };
    let mut out = Out::new(cx, 64);
    write(args.get(0).text().as_bytes(), &Moment::new(unix, nanos, offset, zone), unit != 1, &mut out)?;
    Some(Value::Str(out.done()))
}

fn put_number(out: &mut Out<'_>, n: i64, width: usize, pad: u8) -> Option<()> {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(n.unsigned_abs());
    let len = text.len() + usize::from(n < 0);
    let padding = width.saturating_sub(len);
    if n < 0 && pad == b'0' {
        out.put(b"-")?;
    }
    (0..padding).try_for_each(|_| out.put(&[pad]))?;
    if n < 0 && pad != b'0' {
        out.put(b"-")?;
    }
    out.put(text.as_bytes())
}

/// What stands between the percent sign and the letter.
#[derive(Clone, Copy, Default)]
struct Flags {
    /// `-`, `_` or `0`: nothing, spaces or zeros before a number.
    pad: Option<u8>,
    upper: bool,
    swap: bool,
    width: Option<usize>,
}

/// Widest field, beyond which a format would be longer than a buffer anyway.
const MAX_WIDTH: usize = super::MAX_LEN;

fn write(format: &[u8], moment: &Moment<'_>, fractions: bool, out: &mut Out<'_>) -> Option<()> {
    let mut rest = format;
    while let Some(at) = memchr::memchr(b'%', rest) {
        out.put(&rest[..at])?;
        let spec = &rest[at..];
        let mut flags = Flags::default();
        let mut len = 1;
        while let Some(flag @ (b'-' | b'_' | b'0' | b'^' | b'#')) = spec.get(len) {
            match flag {
                b'^' => flags.upper = true,
                b'#' => flags.swap = true,
                pad => flags.pad = Some(*pad),
            }
            len += 1;
        }
        while let Some(digit @ b'0'..=b'9') = spec.get(len) {
            let width = flags.width.unwrap_or(0) * 10 + usize::from(digit - b'0');
            flags.width = Some(width.min(MAX_WIDTH));
            len += 1;
        }
        if let Some(b'E' | b'O') = spec.get(len) {
            len += 1;
        }
        let letter = spec.get(len).copied();
        let known = letter.is_some_and(|letter| letter != b'N' || fractions);
        match letter.filter(|_| known) {
            Some(letter) if conversion(letter, flags, moment, out)? => len += 1,
            // Not one: it stays as it is.
            letter => {
                len = (len + usize::from(letter.is_some())).min(spec.len());
                out.put(&spec[..len])?;
            }
        }
        rest = &spec[len..];
    }
    out.put(rest)
}

/// Writes one conversion; false when there is none of this letter.
fn conversion(letter: u8, flags: Flags, m: &Moment<'_>, out: &mut Out<'_>) -> Option<bool> {
    let number = |out: &mut Out<'_>, n: i64, width: usize, pad: u8| {
        let (width, pad) = match flags.pad {
            Some(b'-') => (flags.width.unwrap_or(0), b'0'),
            Some(b'_') => (flags.width.unwrap_or(width), b' '),
            Some(_) => (flags.width.unwrap_or(width), b'0'),
            None => (flags.width.unwrap_or(width), pad),
        };
        put_number(out, n, width, pad)
    };
    let text = |out: &mut Out<'_>, text: &[u8]| {
        let pad = if flags.pad == Some(b'0') { b'0' } else { b' ' };
        (text.len()..flags.width.unwrap_or(0)).try_for_each(|_| out.put(&[pad]))?;
        out.put(text)
    };
    let name = |out: &mut Out<'_>, name: &str| {
        if flags.upper || flags.swap { text(out, name.to_ascii_uppercase().as_bytes()) } else { text(out, name.as_bytes()) }
    };
    // A format that is made of others, padded as a whole.
    let composed = |out: &mut Out<'_>, format: &[u8]| {
        let from = out.bytes.len();
        write(format, m, false, out)?;
        if flags.upper {
            out.bytes[from..].make_ascii_uppercase();
        }
        let missing = flags.width.unwrap_or(0).saturating_sub(out.bytes.len() - from);
        if missing > 0 {
            let pad = if flags.pad == Some(b'0') { b'0' } else { b' ' };
            (0..missing).try_for_each(|_| out.put(&[pad]))?;
            out.bytes[from..].rotate_right(missing);
        }
        Some(())
    };
    match letter {
        b'a' => name(out, &DAYS[m.weekday as usize % 7][..3])?,
        b'A' => name(out, DAYS[m.weekday as usize % 7])?,
        b'b' | b'h' => name(out, &MONTHS[m.month % 12][..3])?,
        b'B' => name(out, MONTHS[m.month % 12])?,
        b'c' => composed(out, b"%a %b %e %H:%M:%S %Y")?,
        b'C' => number(out, m.year.div_euclid(100), 2, b'0')?,
        b'd' => number(out, m.day, 2, b'0')?,
        b'D' | b'x' => composed(out, b"%m/%d/%y")?,
        b'e' => number(out, m.day, 2, b' ')?,
        b'F' => composed(out, b"%Y-%m-%d")?,
        b'g' => number(out, m.week().0.rem_euclid(100), 2, b'0')?,
        b'G' => number(out, m.week().0, 1, b'0')?,
        b'H' => number(out, m.hour, 2, b'0')?,
        b'I' => number(out, m.hour12(), 2, b'0')?,
        b'j' => number(out, m.yearday + 1, 3, b'0')?,
        b'k' => number(out, m.hour, 2, b' ')?,
        b'l' => number(out, m.hour12(), 2, b' ')?,
        b'm' => number(out, m.month as i64 + 1, 2, b'0')?,
        b'M' => number(out, m.minute, 2, b'0')?,
        b'n' => text(out, b"\n")?,
        b'N' => {
            let digits: [u8; 9] = std::array::from_fn(|n| b'0' + (m.nanos / 10i64.pow(8 - n as u32) % 10) as u8);
            out.put(&digits[..flags.width.unwrap_or(9).clamp(1, 9)])?;
        }
        b'p' => {
            let (upper, lower) = if m.hour < 12 { (b"AM", b"am") } else { (b"PM", b"pm") };
            text(out, if flags.swap { lower } else { upper })?;
        }
        b'P' => text(out, if m.hour < 12 { b"am" } else { b"pm" })?,
        b'r' => composed(out, b"%I:%M:%S %p")?,
        b'R' => composed(out, b"%H:%M")?,
        b's' => number(out, m.unix, 1, b'0')?,
        b'S' => number(out, m.second, 2, b'0')?,
        b't' => text(out, b"\t")?,
        b'T' | b'X' => composed(out, b"%H:%M:%S")?,
        b'u' => number(out, (m.weekday + 6) % 7 + 1, 1, b'0')?,
        b'U' => number(out, (m.yearday - m.weekday + 7) / 7, 2, b'0')?,
        b'V' => number(out, m.week().1, 2, b'0')?,
        b'w' => number(out, m.weekday, 1, b'0')?,
        b'W' => number(out, (m.yearday - (m.weekday + 6) % 7 + 7) / 7, 2, b'0')?,
        b'y' => number(out, m.year.rem_euclid(100), 2, b'0')?,
        b'Y' => number(out, m.year, 1, b'0')?,
        b'z' => {
            let minutes = i64::from(m.offset.unsigned_abs() / 60);
            out.put(if m.offset < 0 { b"-" } else { b"+" })?;
            number(out, minutes / 60 * 100 + minutes % 60, 4, b'0')?;
        }
        b'Z' if flags.swap => text(out, m.zone.to_ascii_lowercase().as_bytes())?,
        b'Z' => name(out, m.zone)?,
        b'%' => text(out, b"%")?,
        _ => return Some(false),
    }
    Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let mut before = Moment::new(0, 0, 0, "");
        for day in 1..146_097i64 {
            let now = Moment::new(day * 86_400, 0, 0, "");
            assert_eq!(now.weekday, (before.weekday + 1) % 7);
            if now.year == before.year {
                assert_eq!(now.yearday, before.yearday + 1);
            } else {
                assert_eq!((now.yearday, now.month, now.day), (0, 0, 1));
                assert_eq!(before.yearday, 364 + i64::from(leap(before.year)));
            }
            let (week, last) = (now.week(), before.week());
            assert!(if now.weekday == 1 { week.1 == last.1 + 1 || week == (last.0 + 1, 1) } else { week == last }, "{day}");
            before = now;
        }
    }
}
