//! `track_file`: a number in a file, read again whenever the file changes.
//!
//! Each file has a thread that waits for the kernel's word about the file's folder, and looks once a second in any case: a folder that is
//! made later, or one on another machine, sends no word. A file that is not there or has no number in it counts as 0, as in keepalived.

use super::{Object, Office, Tracker, Woken};
use crate::conf::tracking::FileConf;
use crate::inbox::Letter;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use vrrp::Status;

/// How often a file is looked at without the kernel's word.
pub const LOOK: Duration = Duration::from_secs(1);
/// Who writes a file empties it first: one that is found empty is looked at once more after this.
const WRITING: Duration = Duration::from_millis(50);
/// What is read of a file: a number is at its beginning.
const HEAD: u64 = 64;

/// The number at the beginning of a file.
///
/// # Errors
/// What stands there is beyond 32 bits.
pub fn value(path: &Path) -> Result<i64, String> {
    let text = match head(path) {
        Some(text) if text.is_empty() => {
            std::thread::sleep(WRITING);
            head(path)
        }
        text => text,
    };
    let text = text.unwrap_or_default();
    number(&text).ok_or_else(|| format!("Invalid number {} read from {} - ignoring", text.trim(), path.display()))
}

pub(super) fn head(path: &Path) -> Option<String> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let mut text = Vec::new();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).ok()?;
    file.take(HEAD).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// As `strtol(3)` reads it with base 0: `0x` is before hexadecimal numbers, `0` before octal ones, and what is none is 0. Nothing beyond 32
/// bits: keepalived minds no such number.
fn number(text: &str) -> Option<i64> {
    let text = text.trim_start();
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let hexadecimal = text.strip_prefix("0x").or(text.strip_prefix("0X")).filter(|rest| rest.starts_with(|c: char| c.is_ascii_hexdigit()));
    let (radix, digits) = match hexadecimal {
        Some(rest) => (16, rest),
        None if text.starts_with('0') => (8, text),
        None => (10, text),
    };
    let values = digits.chars().map_while(|c| c.to_digit(radix));
    let value = values.fold(0i64, |number, digit| number.saturating_mul(radix.into()).saturating_add(digit.into()));
    Some(sign * value).filter(|value| i32::try_from(*value).is_ok())
}

/// `init_file`: writes the first value, unless a file is there that is to stay.
fn init(conf: &FileConf) -> io::Result<()> {
    let Some((value, overwrite)) = conf.init else { return Ok(()) };
    let mut options = OpenOptions::new();
    options.write(true).mode(0o644);
    match overwrite {
        true => options.create(true).truncate(true),
        false => options.create_new(true),
    };
    match options.open(&conf.path) {
        Ok(mut file) => writeln!(file, "{value}"),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
}

/// Starts the thread of a file.
///
/// # Errors
/// When no thread or pipe can be had.
pub fn start(id: u64, conf: &FileConf, first: bool, office: Office) -> io::Result<Tracker> {
    let path = PathBuf::from(&conf.path);
    if first && let Err(e) = init(conf) {
        office.line(format!("Track file {}: {} cannot be written: {e}", conf.name, conf.path));
    }
    let found = value(&path).unwrap_or(0);
    let (tracker, leash) = Tracker::new(id, Object::File(conf.name.clone()), Status::Value(found), found)?;
    let (mut last, mut complaint) = (found, None);
    let work = move || {
        let watch = watch(&path);
        loop {
            let fds: Vec<BorrowedFd<'_>> = watch.iter().map(AsFd::as_fd).collect();
            match leash.wait(&fds, LOOK) {
                Woken::Stop => return,
                Woken::Ready => drain(watch.as_ref()),
                Woken::Time => {}
            }
            let found = match value(&path) {
                Ok(found) => found,
                Err(text) => {
                    if complaint.as_ref() != Some(&text) {
                        office.line(text.clone());
                        complaint = Some(text);
                    }
                    last
                }
            };
            if found != last {
                last = found;
                if !office.send(Letter::Tracked { tracker: id, status: Status::Value(found), count: found }) {
                    return;
                }
            }
        }
    };
    std::thread::Builder::new().name(format!("file {}", conf.name)).spawn(work)?;
    Ok(tracker)
}

/// The kernel's word about what happens in the folder of a file.
pub(super) fn watch(path: &Path) -> Option<File> {
    let folder = path.parent()?;
    let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
    let events = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::MOVED_FROM | WatchFlags::DELETE;
    inotify::add_watch(&watch, folder, events).ok()?;
    Some(watch.into())
}

pub(super) fn drain(watch: Option<&File>) {
    let mut buffer = [0; 4096];
    while watch.is_some_and(|mut file| file.read(&mut buffer).is_ok_and(|n| n > 0)) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let table = [
            ("", 0),
            ("5", 5),
            ("5\n", 5),
            (" -12 x", -12),
            ("+7", 7),
            ("x", 0),
            ("-", 0),
            ("1-2", 1),
            ("0x10", 16),
            ("-0XfF", -255),
            ("0xg", 0),
            ("010", 8),
            ("08", 0),
            ("2147483647", 2_147_483_647),
            ("-2147483648", -2_147_483_648),
        ];
        for (text, want) in table {
            assert_eq!(number(text), Some(want), "{text:?}");
        }
        for text in ["99999999999999999999", "-3000000000", "2147483648", "0xffffffffffffffffff"] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }
}
