//! `date`: a date of an HTTP field as seconds since 1970. Manual 7.3.1 of 3.4; RFC 9110 §5.6.7.
//!
//! Holds: the three forms of the RFC and nothing else; a day that the month has not, or an hour that the day has not, is no date.

use crate::sample::{Args, Converter, Cx, Type, Value};

pub(super) const TABLE: &[Converter] = &[Converter::new("date", &[], 0, Type::Str, Type::Int, |_: &Args, value, cx: Cx<'_>| {
    let text = std::str::from_utf8(value.bytes()?).ok()?;
    seconds(text, cx.source.now().unix_secs).map(Value::Int)
})];

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT` or `Sun Nov  6 08:49:37 1994`.
fn seconds(text: &str, now: i64) -> Option<i64> {
    let named = |name: &str, long: bool| DAYS.iter().any(|day| name == if long { day } else { &day[..3] });
    if let Some((day, rest)) = text.split_once(", ") {
        let rest = rest.strip_suffix(" GMT")?;
        let (date, time) = rest.rsplit_once(' ')?;
        if date.contains('-') {
            let mut parts = date.splitn(3, '-');
            let (of_month, month, year) = (number(parts.next()?, 2)?, month(parts.next()?)?, number(parts.next()?, 2)?);
            // One that seems to be more than 50 years ahead is of the century before.
            let this = year_of(now);
            let year = this - this % 100 + year;
            let year = if year > this + 50 { year - 100 } else { year };
            return moment(year, month, of_month, time).filter(|_| named(day, true));
        }
        let mut parts = date.splitn(3, ' ');
        let (of_month, month, year) = (number(parts.next()?, 2)?, month(parts.next()?)?, number(parts.next()?, 4)?);
        return moment(year, month, of_month, time).filter(|_| named(day, false));
    }
    let (day, rest) = text.split_once(' ')?;
    let (name, rest) = rest.split_once(' ')?;
    let (of_month, rest) = match rest.strip_prefix(' ') {
        Some(rest) => (number(rest.get(..1)?, 1)?, rest.get(1..)?),
        None => (number(rest.get(..2)?, 2)?, rest.get(2..)?),
    };
    let (time, year) = rest.strip_prefix(' ')?.split_once(' ')?;
    moment(number(year, 4)?, month(name)?, of_month, time).filter(|_| named(day, false))
}

/// A number of so many digits.
fn number(text: &str, digits: usize) -> Option<i64> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// From 1.
fn month(name: &str) -> Option<i64> {
    MONTHS.iter().position(|month| *month == name).map(|at| at as i64 + 1)
}

fn moment(year: i64, month: i64, day: i64, time: &str) -> Option<i64> {
    let mut parts = time.splitn(3, ':');
    let mut part = |most: i64| number(parts.next()?, 2).filter(|n| *n <= most);
    // 60: a leap second.
    let (hour, minute, second) = (part(23)?, part(59)?, part(60)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    Some(days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Days since 1970 in the Gregorian calendar, counted in eras of 400 years that begin on 1 March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn year_of(unix: i64) -> i64 {
    // Close enough to tell centuries apart, and exact but for the days around New Year.
    1970 + unix.div_euclid(31_556_952)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    #[test]
    fn three_forms() {
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(seconds(text, NOW), Some(784_111_777), "{text}");
        }
        assert_eq!(seconds("Thu, 01 Jan 1970 00:00:00 GMT", NOW), Some(0));
        assert_eq!(seconds("Wed, 31 Dec 1969 23:59:59 GMT", NOW), Some(-1));
        assert_eq!(seconds("Tue, 29 Feb 2000 12:00:00 GMT", NOW), Some(951_825_600));
        assert_eq!(seconds("Fri, 31 Dec 9999 23:59:60 GMT", NOW), Some(253_402_300_800));
        assert_eq!(seconds("Thu Nov 16 08:49:37 2023", NOW), Some(1_700_124_577));
    }

    #[test]
    fn two_digits_are_of_the_nearer_century() {
        assert_eq!(seconds("Friday, 01-Jan-73 00:00:00 GMT", NOW), Some(3_250_454_400), "2073");
        assert_eq!(seconds("Friday, 01-Jan-74 00:00:00 GMT", NOW), Some(126_230_400), "1974");
    }

    #[test]
    fn no_dates() {
        for text in [
            "",
            "0",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Son, 06 Nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Wed, 29 Feb 1900 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:60:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 1994 +8:49:37 GMT",
            "Sun, 06-Nov-94 08:49:37 GMT",
            "Sun Nov 6 08:49:37 1994",
            "Sun Nov  6 08:49:37 94",
            "Sun Nov  é 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37:00 GMT",
        ] {
            assert_eq!(seconds(text, NOW), None, "{text}");
        }
    }
}
