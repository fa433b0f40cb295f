//! `backing-file`: the newest lines of a ring in a file, for whoever looks when the process has gone, however it went. Source: manual
//! of 3.0, 3.9; the form of the file is our own.
//!
//! Holds: it is text, a line each, of at most the ring's size; behind the newest line stands [`END`], then what is left of the oldest.
//! Its mode is 0600, and one that was there and not empty has been moved to `<path>.bak`.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Stands behind the newest line.
pub(super) const END: &[u8] = b"--- the newest line is above, the oldest below ---\n";

/// The open file.
#[derive(Debug)]
pub(super) struct Backing {
    file: File,
    /// Where the next line goes.
    at: usize,
    size: usize,
    /// One line and what stands behind it.
    text: Vec<u8>,
}

impl Backing {
    /// Opens the file anew.
    ///
    /// # Errors
    /// Those of `open(2)`. That the old one cannot be moved is none: then it is overwritten.
    pub fn open(path: &Path, size: usize) -> io::Result<Self> {
        if fs::metadata(path).is_ok_and(|data| data.is_file() && data.len() > 0) {
            let mut old = path.as_os_str().to_owned();
            old.push(".bak");
            let _ = fs::rename(path, old);
        }
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        Ok(Self { file, at: 0, size, text: Vec::new() })
    }

    /// Writes a line. One that is longer than the file is left out.
    ///
    /// # Errors
    /// Those of `write(2)`.
    pub fn push(&mut self, line: &[u8]) -> io::Result<()> {
        let need = line.len() + 1 + END.len();
        if need > self.size {
            return Ok(());
        }
        if self.at + need > self.size {
            // Blank lines up to the end; the next round begins at the front.
            self.file.write_all_at(&vec![b'\n'; self.size - self.at], self.at as u64)?;
            self.at = 0;
        }
        self.text.clear();
        self.text.extend_from_slice(line);
        self.text.push(b'\n');
        self.text.extend_from_slice(END);
        self.file.write_all_at(&self.text, self.at as u64)?;
        self.at += line.len() + 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_testkit::fixture::TempDir;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_newest_lines_are_there() {
        let dir = TempDir::new("backing").unwrap();
        let path = dir.path().join("ring");
        let mut backing = Backing::open(&path, 200).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = || fs::read_to_string(&path).unwrap();
        for n in 0..30 {
            backing.push(format!("line number {n}").as_bytes()).unwrap();
            let text = read();
            assert!(text.len() <= 200, "{text}");
            let (newest, _) = text.split_once(std::str::from_utf8(END).unwrap()).expect("the mark");
            assert!(newest.ends_with(&format!("line number {n}\n")), "{text}");
            assert!(n < 10 || text.matches("line number ").count() > 4, "{text}");
        }
        backing.push(&[b'x'; 200]).unwrap();
        assert!(!read().contains('x'), "too long for it");
        // The next process leaves it where it can be found.
        let text = read();
        let mut next = Backing::open(&path, 200).unwrap();
        assert_eq!((read().as_str(), fs::read_to_string(dir.path().join("ring.bak")).unwrap()), ("", text));
        // One that says nothing takes nothing away.
        drop(Backing::open(&path, 200).unwrap());
        assert!(!fs::read_to_string(dir.path().join("ring.bak")).unwrap().is_empty());
        next.push(b"gone").unwrap();
        assert!(Backing::open(&dir.path().join("no/where"), 200).is_err());
    }
}
