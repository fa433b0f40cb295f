//! `reload_time_file`: the configuration is read again at the moment that a file names.
//!
//! A thread waits for that file to be made, changed or removed, and for the moment. The moment is one of the wall clock, which is looked at
//! once a second in any case: it may be set.

use super::file::{LOOK, drain, head, watch};
use super::{Hold, Office, Woken, leash};
use crate::inbox::Letter;
use lb_sys::localtime;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

/// The thread that waits for the moment. It ends when this is dropped.
#[derive(Debug)]
pub struct Timer {
    /// What its letters are signed with.
    pub id: u64,
    /// `reload_time_file`, and `reload_repeat`.
    pub conf: (String, bool),
    _hold: Hold,
}

/// Starts the thread.
///
/// # Errors
/// When no thread or pipe can be had.
pub fn start(id: u64, conf: (String, bool), office: Office) -> io::Result<Timer> {
    let (hold, leash) = leash()?;
    let (path, repeat) = (PathBuf::from(&conf.0), conf.1);
    let work = move || {
        let watch = watch(&path);
        let (mut seen, mut due) = (None, None);
        loop {
            let now = seconds();
            // Who writes it empties it first.
            let found = head(&path).filter(|text| !text.is_empty());
            if found != seen {
                let before = due;
                due = found.as_deref().and_then(|text| match moment(text.lines().next().unwrap_or_default(), now) {
                    Ok(at) => Some(at),
                    Err(why) => {
                        office.line(why);
                        None
                    }
                });
                match (before, due) {
                    (_, Some(at)) => office.line(format!("Scheduling reload for {}", written(at))),
                    (Some(at), None) => office.line(format!("Cancelling reload scheduled for {}", written(at))),
                    (None, None) => {}
                }
                seen = found;
            }
            if due.is_some_and(|at| at <= now) {
                due = None;
                if !repeat {
                    // One that stays would be for tomorrow.
                    if let Err(e) = std::fs::remove_file(&path) {
                        office.line(format!("{} cannot be removed: {e}", path.display()));
                    }
                }
                seen = None;
                if !office.send(Letter::ReloadDue(id)) {
                    return;
                }
                continue;
            }
            let rest = due.map_or(LOOK, |at| Duration::from_secs(u64::try_from(at - now).unwrap_or_default()));
            let fds: Vec<BorrowedFd<'_>> = watch.iter().map(AsFd::as_fd).collect();
            match leash.wait(&fds, rest.min(LOOK)) {
                Woken::Stop => return,
                Woken::Ready => drain(watch.as_ref()),
                Woken::Time => {}
            }
        }
    };
    std::thread::Builder::new().name("reload time".into()).spawn(work)?;
    Ok(Timer { id, conf, _hold: hold })
}

/// Unix time.
fn seconds() -> i64 {
    lb_rt::clock::wall().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

fn written(at: i64) -> String {
    localtime::written(at, c"%F %T")
}

/// `HH:MM:SS` (the next one), `YY-MM-DD HH:MM:SS` or `YYYY-MM-DD HH:MM:SS`, of local time, or of UTC with a `Z` behind it; in Unix time.
fn moment(text: &str, now: i64) -> Result<i64, String> {
    let wrong = || format!("Invalid reload time '{text}' specified - ignoring; write [[YY]YY-MM-DD ]HH:MM:SS[Z]");
    let (plain, utc) = text.strip_suffix('Z').map_or((text, false), |plain| (plain, true));
    let (date, time) = plain.split_once(' ').map_or((None, plain), |(date, time)| (Some(date), time));
    let [hour, minute, second] = numbers(time, ':', 2).filter(|[h, m, s]| *h < 24 && *m < 60 && *s < 60).ok_or_else(wrong)?;
    let of = |year, month, day| localtime::moment([year, month, day, hour, minute, second], utc).ok_or_else(wrong);
    match date {
        Some(date) => {
            let [year, month, day] = numbers(date, '-', 4).or_else(|| numbers(date, '-', 2)).ok_or_else(wrong)?;
            let year = if year < 100 { year + 2000 } else { year };
            if !(1..=12).contains(&month) || !(1..=days(year, month)).contains(&day) {
                return Err(wrong());
            }
            let at = of(year, month, day)?;
            if at > now { Ok(at) } else { Err("Reload date/time is in the past - ignoring".into()) }
        }
        None => {
            let [year, month, day] = localtime::date(now, utc).ok_or_else(wrong)?;
            match of(year, month, day)? {
                at if at > now => Ok(at),
                _ => of(year, month, day + 1),
            }
        }
    }
}

/// Three numbers of two digits each; the first has `first` of them.
fn numbers(text: &str, separator: char, first: usize) -> Option<[i32; 3]> {
    let mut parts = text.split(separator);
    let mut number = |length| parts.next().filter(|p| p.len() == length && p.bytes().all(|b| b.is_ascii_digit()))?.parse().ok();
    let all = [number(first)?, number(2)?, number(2)?];
    parts.next().is_none().then_some(all)
}

fn days(year: i32, month: i32) -> i32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        // 2026-11-28 16:23:45 UTC.
        let now = 1_795_883_025;
        assert_eq!(moment("16:23:46Z", now), Ok(now + 1));
        assert_eq!(moment("16:23:45Z", now), Ok(now + 86_400), "the next one");
        assert_eq!(moment("2026-11-28 16:23:46Z", now), Ok(now + 1));
        assert_eq!(moment("26-12-01 00:00:00Z", now), Ok(now - now % 86_400 + 3 * 86_400));
        assert_eq!(moment("28-02-29 00:00:00Z", now).map(|at| at % 86_400), Ok(0));
        let past = moment("2026-11-28 16:23:45Z", now);
        assert!(past.is_err_and(|e| e.contains("in the past")));
        let local = moment("2026-11-29 12:00:00", now).expect("sound");
        assert_eq!(written(local), "2026-11-29 12:00:00");
        let next = moment("12:00:00", now).expect("sound");
        assert!(next > now && next <= now + 90_000 && written(next).ends_with(" 12:00:00"), "{next}");
        for text in [
            "",
            "1:02:03",
            "24:00:00",
            "12:60:00",
            "12:00:60",
            "12:00",
            "12:00:00 ",
            " 12:00:00",
            "12:00:00z",
            "26-02-29 12:00:00",
            "26-13-01 12:00:00",
            "26-00-01 12:00:00",
            "26-1-01 12:00:00",
            "26-01-01  12:00:00",
            "026-01-01 12:00:00",
            "-1:00:00",
            "+1:00:00",
        ] {
            assert!(moment(text, now).is_err_and(|e| e.contains("Invalid reload time")), "{text:?}");
        }
    }
}
