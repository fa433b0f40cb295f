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

/// The number at the beginning of a file, within what a number of 32 bits can be.
pub fn value(path: &Path) -> i64 {
    match head(path) {
        Some(text) if text.is_empty() => {
            std::thread::sleep(WRITING);
            head(path).map_or(0, |text| number(&text))
        }
        text => text.map_or(0, |text| number(&text)),
    }
}

pub(super) fn head(path: &Path) -> Option<String> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let mut text = Vec::new();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).ok()?;
    file.take(HEAD).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// As `strtol(3)` reads it, from -2^31 to 2^31 - 1.
fn number(text: &str) -> i64 {
    let text = text.trim_start();
    let end =
        text.char_indices().find(|(at, c)| !(c.is_ascii_digit() || (*at == 0 && matches!(c, '+' | '-')))).map_or(text.len(), |(at, _)| at);
    let digits = &text[..end];
    let limit = if digits.starts_with('-') { i64::from(i32::MIN) } else { i64::from(i32::MAX) };
    match digits.parse::<i64>() {
        Ok(number) => number.clamp(i32::MIN.into(), i32::MAX.into()),
        // Nothing but a sign is none; too many digits are too great a number.
        Err(_) if digits.len() > 1 => limit,
        Err(_) => 0,
    }
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
    let found = value(&path);
    let (tracker, leash) = Tracker::new(id, Object::File(conf.name.clone()), Status::Value(found), found)?;
    let mut last = found;
    let work = move || {
        let watch = watch(&path);
        loop {
            let fds: Vec<BorrowedFd<'_>> = watch.iter().map(AsFd::as_fd).collect();
            match leash.wait(&fds, LOOK) {
                Woken::Stop => return,
                Woken::Ready => drain(watch.as_ref()),
                Woken::Time => {}
            }
            let found = value(&path);
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
            ("99999999999999999999", 2_147_483_647),
            ("-3000000000", -2_147_483_648),
            ("1-2", 1),
        ];
        for (text, want) in table {
            assert_eq!(number(text), want, "{text:?}");
        }
    }
}
