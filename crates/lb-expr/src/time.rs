//! Dates of log lines, computed from a wall-clock time that the caller read.
//!
//! Holds: pure arithmetic; the local offset is the caller's, since time zone data is the operating system's.

/// A wall-clock moment with the local offset that was in force then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Timestamp {
    /// Seconds since 1970-01-01 00:00:00 UTC.
    pub unix_secs: i64,
    /// Microseconds within the second, 0..=999_999; a larger value is taken as 999_999.
    pub micros: u32,
    /// Seconds east of UTC of local time; 0 is UTC.
    pub utc_offset_secs: i32,
}

/// English month names as log lines abbreviate them.
const MONTHS: [&[u8; 3]; 12] = [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// `00` to `99`, so that two digits are one copy.
const PAIRS: [[u8; 2]; 100] = {
    let mut t = [[b'0'; 2]; 100];
    let mut i = 0;
    while i < 100 {
        t[i] = [b'0' + (i / 10) as u8, b'0' + (i % 10) as u8];
        i += 1;
    }
    t
};

/// Years outside this range are shown as its ends, so that every date has the same width.
const YEARS: (i64, i64) = (0, 9999);

/// A moment broken down into calendar fields of one zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Civil {
    year: u32,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
}

impl Civil {
    /// Proleptic Gregorian calendar; days counted in eras of 400 years that begin on 1 March.
    fn new(secs: i64) -> Self {
        // ± 10^14 seconds is three million years: beyond any clock, and far from overflow.
        let secs = secs.clamp(-100_000_000_000_000, 100_000_000_000_000);
        let days = secs.div_euclid(86_400);
        let rest = secs.rem_euclid(86_400) as u32;
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097) as u32;
        let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = (doy - (153 * mp + 2) / 5 + 1) as u8;
        let month = if mp < 10 { mp + 3 } else { mp - 9 } as u8;
        let year = i64::from(yoe) + era * 400 + i64::from(month <= 2);
        Self {
            year: year.clamp(YEARS.0, YEARS.1) as u32,
            month,
            day,
            hour: (rest / 3_600) as u8,
            minute: (rest / 60 % 60) as u8,
            second: (rest % 60) as u8,
        }
    }

    fn month_name(&self) -> &'static [u8; 3] {
        MONTHS[usize::from(self.month.wrapping_sub(1)) % 12]
    }
}

/// Two digits of `n % 100`.
pub(crate) fn pair(n: u32) -> [u8; 2] {
    PAIRS[(n % 100) as usize]
}

fn put<const N: usize>(out: &mut [u8], at: usize, bytes: [u8; N]) {
    out[at..at + N].copy_from_slice(&bytes);
}

impl Timestamp {
    /// Milliseconds within the second, 0..=999.
    pub fn millis(&self) -> u32 {
        self.micros.min(999_999) / 1_000
    }

    fn local(&self) -> Civil {
        Civil::new(self.unix_secs.saturating_add(i64::from(self.utc_offset_secs)))
    }

    /// `21/Nov/2026:03:44:50` in 20 bytes, the common start of the dates below.
    fn stem(civil: &Civil, out: &mut [u8]) {
        put(out, 0, pair(u32::from(civil.day)));
        out[2] = b'/';
        put(out, 3, *civil.month_name());
        out[6] = b'/';
        put(out, 7, pair(civil.year / 100));
        put(out, 9, pair(civil.year % 100));
        out[11] = b':';
        put(out, 12, pair(u32::from(civil.hour)));
        out[14] = b':';
        put(out, 15, pair(u32::from(civil.minute)));
        out[17] = b':';
        put(out, 18, pair(u32::from(civil.second)));
    }

    /// `+hhmm` or `-hhmm`; `colon` puts one between hours and minutes.
    fn zone(offset: i32, colon: bool, out: &mut [u8]) {
        let minutes = offset.unsigned_abs() / 60;
        out[0] = if offset < 0 { b'-' } else { b'+' };
        put(out, 1, pair(minutes / 60));
        let at = if colon {
            out[3] = b':';
            4
        } else {
            3
        };
        put(out, at, pair(minutes % 60));
    }

    /// Local time with milliseconds, `%t` and `%tr`: `21/Nov/2026:03:44:50.168`.
    pub fn log_millis(&self) -> [u8; 24] {
        let mut out = [b' '; 24];
        Self::stem(&self.local(), &mut out);
        let ms = self.millis();
        out[20] = b'.';
        out[21] = b'0' + (ms / 100) as u8;
        put(&mut out, 22, pair(ms % 100));
        out
    }

    /// UTC, `%T` and `%trg`: `21/Nov/2026:03:44:50 +0000`.
    pub fn log_gmt(&self) -> [u8; 26] {
        let mut out = [b' '; 26];
        Self::stem(&Civil::new(self.unix_secs), &mut out);
        Self::zone(0, false, &mut out[21..]);
        out
    }

    /// Local time with its offset, `%Tl` and `%trl`: `21/Nov/2026:05:44:50 +0200`.
    pub fn log_local(&self) -> [u8; 26] {
        let mut out = [b' '; 26];
        Self::stem(&self.local(), &mut out);
        Self::zone(self.utc_offset_secs, false, &mut out[21..]);
        out
    }

    /// Local time as RFC 3164 section 4.1.2 writes it, the day padded with a space: `Nov  1 03:44:50`.
    pub fn rfc3164(&self) -> [u8; 15] {
        let civil = self.local();
        let mut out = [b' '; 15];
        put(&mut out, 0, *civil.month_name());
        let day = pair(u32::from(civil.day));
        put(&mut out, 4, if day[0] == b'0' { [b' ', day[1]] } else { day });
        put(&mut out, 7, pair(u32::from(civil.hour)));
        out[9] = b':';
        put(&mut out, 10, pair(u32::from(civil.minute)));
        out[12] = b':';
        put(&mut out, 13, pair(u32::from(civil.second)));
        out
    }

    /// Local time with microseconds and offset, as RFC 3339 and RFC 5424 write it: `2026-11-21T03:44:50.168123+00:00`.
    pub fn iso_micros(&self) -> [u8; 32] {
        let civil = self.local();
        let mut out = [b'-'; 32];
        put(&mut out, 0, pair(civil.year / 100));
        put(&mut out, 2, pair(civil.year % 100));
        put(&mut out, 5, pair(u32::from(civil.month)));
        put(&mut out, 8, pair(u32::from(civil.day)));
        out[10] = b'T';
        put(&mut out, 11, pair(u32::from(civil.hour)));
        out[13] = b':';
        put(&mut out, 14, pair(u32::from(civil.minute)));
        out[16] = b':';
        put(&mut out, 17, pair(u32::from(civil.second)));
        out[19] = b'.';
        let micros = self.micros.min(999_999);
        put(&mut out, 20, pair(micros / 10_000));
        put(&mut out, 22, pair(micros / 100));
        put(&mut out, 24, pair(micros));
        Self::zone(self.utc_offset_secs, true, &mut out[26..]);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(unix_secs: i64, micros: u32, utc_offset_secs: i32) -> Timestamp {
        Timestamp { unix_secs, micros, utc_offset_secs }
    }

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).expect("dates are ASCII")
    }

    #[test]
    fn dates_of_known_moments() {
        let t = at(1_795_232_690, 168_123, 0);
        assert_eq!(text(&t.log_millis()), "21/Nov/2026:03:44:50.168");
        assert_eq!(text(&t.log_gmt()), "21/Nov/2026:03:44:50 +0000");
        assert_eq!(text(&t.rfc3164()), "Nov 21 03:44:50");
        assert_eq!(text(&t.iso_micros()), "2026-11-21T03:44:50.168123+00:00");
        assert_eq!(text(&at(0, 0, 0).log_gmt()), "01/Jan/1970:00:00:00 +0000");
        assert_eq!(text(&at(951_782_400, 0, 0).log_gmt()), "29/Feb/2000:00:00:00 +0000");
        assert_eq!(text(&at(-1, 0, 0).log_gmt()), "31/Dec/1969:23:59:59 +0000");
    }

    #[test]
    fn offsets_move_the_date() {
        let west = at(1_795_232_690, 0, -(9 * 3_600 + 1_800));
        assert_eq!(text(&west.log_local()), "20/Nov/2026:18:14:50 -0930");
        assert_eq!(text(&west.iso_micros()), "2026-11-20T18:14:50.000000-09:30");
        assert_eq!(text(&at(1_793_500_000, 0, 7_200).rfc3164()), "Nov  1 04:26:40");
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let month_len = |y: u32, m: u8| match m {
            4 | 6 | 9 | 11 => 30,
            2 if y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400)) => 29,
            2 => 28,
            _ => 31,
        };
        let mut before = Civil::new(0);
        for day in 1..146_097 * 2 {
            let now = Civil::new(day * 86_400);
            let expected = if before.day < month_len(before.year, before.month) {
                (before.year, before.month, before.day + 1)
            } else if before.month < 12 {
                (before.year, before.month + 1, 1)
            } else {
                (before.year + 1, 1, 1)
            };
            assert_eq!((now.year, now.month, now.day), expected);
            before = now;
        }
    }

    #[test]
    fn absurd_clocks_do_not_panic() {
        for secs in [i64::MIN, i64::MAX, 253_402_300_800, -62_167_219_201] {
            for offset in [i32::MIN, 0, i32::MAX] {
                let t = at(secs, u32::MAX, offset);
                assert_eq!(t.log_millis().len() + t.log_local().len() + t.iso_micros().len() + t.rfc3164().len(), 97);
            }
        }
    }
}
