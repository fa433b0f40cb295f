//! The local time zone, as the C library knows it (`TZ`, `/etc/localtime`).

use std::mem;

/// Seconds east of UTC of local time at the given Unix time; 0 when the moment is beyond what the C library can tell.
///
/// The zone's data is read at the first call of the process, which may open files: see [`load`].
pub fn utc_offset(unix_secs: i64) -> i32 {
    let time: libc::time_t = unix_secs;
    // SAFETY: `tm` is plain data, for which all zero is a value (no zone name).
    let mut tm: libc::tm = unsafe { mem::zeroed() };
    // SAFETY: both pointers are valid for the call; localtime_r keeps neither. glibc guards its zone data with a lock,
    // reads it at the first call, and Rust's std takes no part in it (nothing in the workspace changes TZ at run time).
    let ok = unsafe { !libc::localtime_r(&time, &mut tm).is_null() };
    if ok { i32::try_from(tm.tm_gmtoff).unwrap_or(0) } else { 0 }
}

/// Name of local time's zone at the given Unix time, `CET`; empty when the moment is beyond what the C library can tell.
pub fn zone_name(unix_secs: i64) -> String {
    let time: libc::time_t = unix_secs;
    // SAFETY: as in `utc_offset`.
    let mut tm: libc::tm = unsafe { mem::zeroed() };
    // SAFETY: as in `utc_offset`.
    let ok = unsafe { !libc::localtime_r(&time, &mut tm).is_null() };
    if !ok || tm.tm_zone.is_null() {
        return String::new();
    }
    // SAFETY: `tm_zone` points to a string of the zone's data, ended by a zero, which the C library keeps.
    let name = unsafe { std::ffi::CStr::from_ptr(tm.tm_zone) };
    name.to_string_lossy().into_owned()
}

/// Room for a moment that is written out; what does not fit is empty.
const WRITTEN: usize = 128;

/// A moment of local time as `strftime(3)` writes it, in English: `%a %b %e %H:%M:%S %Y`. Empty when it is beyond what the C library can
/// tell, or longer than 127 bytes.
pub fn written(unix_secs: i64, format: &std::ffi::CStr) -> String {
    let time: libc::time_t = unix_secs;
    // SAFETY: as in `utc_offset`.
    let mut tm: libc::tm = unsafe { mem::zeroed() };
    // SAFETY: as in `utc_offset`.
    if unsafe { libc::localtime_r(&time, &mut tm) }.is_null() {
        return String::new();
    }
    let mut buffer = [0u8; WRITTEN];
    // SAFETY: pointer and length are those of `buffer`, the format ends with a zero, `tm` has been filled by the C library.
    let length = unsafe { libc::strftime(buffer.as_mut_ptr().cast(), buffer.len(), format.as_ptr(), &tm) };
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

/// Unix time of year, month (from 1), day, hour, minute and second, in local time or in UTC. A day beyond its month is one of the next; an
/// hour that does not exist in local time, or exists twice, is what `mktime(3)` makes of it. None for a moment beyond what the C library
/// can tell.
pub fn moment([year, month, day, hour, minute, second]: [i32; 6], utc: bool) -> Option<i64> {
    // SAFETY: as in `utc_offset`.
    let mut tm: libc::tm = unsafe { mem::zeroed() };
    tm.tm_year = year.checked_sub(1900)?;
    tm.tm_mon = month.checked_sub(1)?;
    (tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec) = (day, hour, minute, second);
    // Whether it is summer time is to be found out.
    tm.tm_isdst = -1;
    // SAFETY: the pointer is valid for the call, which keeps nothing of it; of the zone's data see `utc_offset`.
    let at = unsafe { if utc { libc::timegm(&mut tm) } else { libc::mktime(&mut tm) } };
    // -1 is also the last second of 1969, which nobody means.
    Some(at).filter(|at| *at != -1)
}

/// Year, month (from 1) and day of a Unix time, in local time or in UTC; none beyond what the C library can tell.
pub fn date(unix_secs: i64, utc: bool) -> Option<[i32; 3]> {
    let time: libc::time_t = unix_secs;
    // SAFETY: as in `utc_offset`.
    let mut tm: libc::tm = unsafe { mem::zeroed() };
    // SAFETY: as in `utc_offset`, of either function.
    let ok = unsafe { !(if utc { libc::gmtime_r(&time, &mut tm) } else { libc::localtime_r(&time, &mut tm) }).is_null() };
    tm.tm_year.checked_add(1900).filter(|_| ok).map(|year| [year, tm.tm_mon + 1, tm.tm_mday])
}

/// Reads the zone's data, so that [`utc_offset`] needs no file any more: to be called before a chroot.
pub fn load() {
    utc_offset(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn moments() {
        // 2026-11-28 16:23:45 UTC, and the day after the last of February.
        assert_eq!(moment([2026, 11, 28, 16, 23, 45], true), Some(1_795_883_025));
        assert_eq!(moment([2026, 2, 29, 0, 0, 0], true), moment([2026, 3, 1, 0, 0, 0], true));
        assert_eq!(date(1_795_883_025, true), Some([2026, 11, 28]));
        let local = moment([2026, 7, 1, 12, 0, 0], false).expect("a moment");
        assert_eq!(local + i64::from(utc_offset(local)), moment([2026, 7, 1, 12, 0, 0], true).expect("a moment"));
        assert_eq!(date(local, false), Some([2026, 7, 1]));
        assert_eq!((moment([i32::MIN; 6], false), date(i64::MAX, true)), (None, None));
    }

    #[test]
    fn agrees_with_date() {
        for secs in [0i64, 951_782_400, 1_795_232_690, 1_783_000_000] {
            let out = Command::new("date").args([format!("-d@{secs}"), "+%z".into()]).output().unwrap();
            let text = String::from_utf8(out.stdout).unwrap();
            let number: i32 = text.trim().parse().unwrap();
            assert_eq!(utc_offset(secs), (number / 100) * 3_600 + (number % 100) * 60, "{secs}");
        }
    }

    #[test]
    fn the_zones_name_is_that_of_date() {
        let out = Command::new("date").args(["-d@1795232690", "+%Z"]).output().unwrap();
        assert_eq!(zone_name(1_795_232_690), String::from_utf8(out.stdout).unwrap().trim());
    }

    #[test]
    fn written_as_date_writes_it() {
        let out = Command::new("date").args(["-d@1795232690", "+%a %b %e %H:%M:%S %Y"]).env("LC_ALL", "C").output().unwrap();
        assert_eq!(written(1_795_232_690, c"%a %b %e %H:%M:%S %Y"), String::from_utf8(out.stdout).unwrap().trim());
        assert_eq!(written(0, c""), "");
        assert_eq!(written(i64::MAX, c"%Y"), "");
    }

    #[test]
    fn other_zones() {
        // The zone of a process is fixed at its start: a child with another one asks itself.
        if let Ok(secs) = std::env::var("LB_SYS_OFFSET_AT") {
            println!("offset={}", utc_offset(secs.parse().unwrap()));
            return;
        }
        let ask = |zone: &str, secs: i64| {
            let out = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "localtime::tests::other_zones", "--nocapture"])
                .env("TZ", zone)
                .env("LB_SYS_OFFSET_AT", secs.to_string())
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            let at = text.find("offset=").expect("the child prints it");
            text[at + 7..].lines().next().unwrap().parse::<i32>().unwrap()
        };
        // POSIX zones need no data files.
        assert_eq!(ask("IST-5:30", 1_795_232_690), 19_800);
        assert_eq!(ask("EST5EDT,M3.2.0,M11.1.0", 1_795_232_690), -18_000);
        assert_eq!(ask("EST5EDT,M3.2.0,M11.1.0", 1_783_000_000), -14_400);
    }

    /// As in a chroot: the zone's file is out of reach, and both halves of the year are right all the same.
    #[test]
    fn a_zone_that_is_loaded_needs_no_file() {
        const FILE: &str = "LB_SYS_ZONE_FILE";
        if let Ok(file) = std::env::var(FILE) {
            load();
            std::fs::remove_file(file).unwrap();
            println!("winter={} summer={}", utc_offset(1_795_232_690), utc_offset(1_783_000_000));
            return;
        }
        let zone = std::path::Path::new("/usr/share/zoneinfo/Europe/Berlin");
        let Ok(data) = std::fs::read(zone) else { return };
        let file = std::env::temp_dir().join(format!("lb-sys-zone-{}", std::process::id()));
        std::fs::write(&file, data).unwrap();
        let out = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "localtime::tests::a_zone_that_is_loaded_needs_no_file", "--nocapture"])
            .env("TZ", format!(":{}", file.display()))
            .env(FILE, &file)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(text.contains("winter=3600 summer=7200"), "{text}");
    }

    #[test]
    fn absurd_times_have_no_offset() {
        assert_eq!(utc_offset(i64::MAX), 0);
        assert_eq!(utc_offset(i64::MIN), 0);
    }
}
