//! Numbers with units: times (manual 2.5), sizes, plain integers with a range.

use std::time::Duration;

/// Longest time that haproxy takes, 2^31 - 1 ms or about 24.8 days.
pub const MAX_TIME: Duration = Duration::from_millis(i32::MAX as u64);

/// Why a number was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// No digit at the start.
    #[error("is not a number")]
    NotANumber,
    /// A unit that does not exist.
    #[error("has an unknown unit")]
    Unit,
    /// Too large.
    #[error("is too large")]
    TooLarge,
}

/// A time; without a unit it is in `default` (milliseconds nearly everywhere, seconds in old places).
///
/// Times below one millisecond round up to it, as haproxy rounds them, so that 1us is not "no limit".
///
/// # Errors
/// No number, an unknown unit, or more than 24.8 days.
pub fn time(text: &str, default: Duration) -> Result<Duration, UnitError> {
    let (number, unit) = number(text)?;
    let micros = match unit {
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60 * 1_000_000,
        "h" => 3_600 * 1_000_000,
        "d" => 86_400 * 1_000_000,
        "" => u64::try_from(default.as_micros()).unwrap_or(u64::MAX),
        _ => return Err(UnitError::Unit),
    };
    let micros = number.checked_mul(micros).ok_or(UnitError::TooLarge)?;
    let value = Duration::from_millis(micros.div_ceil(1000));
    if value > MAX_TIME { Err(UnitError::TooLarge) } else { Ok(value) }
}

/// A size in bytes, with `k`, `m` or `g` for powers of 1024.
pub(crate) fn size(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = number(text)?;
    let factor = match unit {
        "" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return Err(UnitError::Unit),
    };
    number.checked_mul(factor).ok_or(UnitError::TooLarge)
}

/// A whole number, perhaps with a sign.
pub(crate) fn integer(text: &str) -> Result<i64, UnitError> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UnitError::NotANumber);
    }
    text.parse().map_err(|_| UnitError::TooLarge)
}

/// Splits digits from a unit.
fn number(text: &str) -> Result<(u64, &str), UnitError> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    if end == 0 {
        return Err(UnitError::NotANumber);
    }
    let number = text[..end].parse().map_err(|_| UnitError::TooLarge)?;
    Ok((number, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn times() {
        assert_eq!(time("5000", MS), Ok(Duration::from_secs(5)));
        assert_eq!(time("10s", MS), Ok(Duration::from_secs(10)));
        assert_eq!(time("1m", MS), Ok(Duration::from_secs(60)));
        assert_eq!(time("2h", MS), Ok(Duration::from_secs(7200)));
        assert_eq!(time("24d", MS), Ok(Duration::from_secs(24 * 86400)));
        assert_eq!(time("1us", MS), Ok(MS));
        assert_eq!(time("0", MS), Ok(Duration::ZERO));
        assert_eq!(time("30", Duration::from_secs(1)), Ok(Duration::from_secs(30)));
        assert_eq!(time("25d", MS), Err(UnitError::TooLarge));
        assert_eq!(time("99999999999999999999", MS), Err(UnitError::TooLarge));
        assert_eq!(time("18446744073709551615d", MS), Err(UnitError::TooLarge));
        assert_eq!(time("10x", MS), Err(UnitError::Unit));
        assert_eq!(time("1.5s", MS), Err(UnitError::Unit));
        assert_eq!(time("-1", MS), Err(UnitError::NotANumber));
        assert_eq!(time("", MS), Err(UnitError::NotANumber));
    }

    #[test]
    fn sizes_and_integers() {
        assert_eq!(size("16k"), Ok(16384));
        assert_eq!(size("1g"), Ok(1 << 30));
        assert_eq!(size("18446744073709551615g"), Err(UnitError::TooLarge));
        assert_eq!(size("1t"), Err(UnitError::Unit));
        assert_eq!(integer("-3"), Ok(-3));
        assert_eq!(integer("+3"), Ok(3));
        assert_eq!(integer("10k"), Err(UnitError::NotANumber));
        assert_eq!(integer("-"), Err(UnitError::NotANumber));
        assert_eq!(integer("99999999999999999999"), Err(UnitError::TooLarge));
    }
}
