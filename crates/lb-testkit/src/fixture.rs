//! Temporary directories and texts with placeholders.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory below the system's temporary one, removed with all its content on drop.
#[derive(Debug)]
pub struct TempDir(PathBuf);

impl TempDir {
    /// Makes a new one; `label` becomes part of its name. It is open to everybody, since tests start daemons that change user.
    pub fn new(label: &str) -> io::Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let n = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("lb-{label}-{}-{n}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => {
                    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
                    return Ok(TempDir(path));
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(e) => return Err(e),
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file into it and returns the file's path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        std::fs::write(&path, content)?;
        Ok(path)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Replaces each `{name}` of `values` in `text`; other braces stay as they are.
pub fn fill(text: &str, values: &[(String, String)]) -> String {
    let mut out = text.to_owned();
    for (name, value) in values {
        out = out.replace(&format!("{{{name}}}"), value);
    }
    out
}

/// `count` bytes of a fixed, non-repeating-looking pattern that depends on `seed` (for integrity checks).
pub fn pattern(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut out = Vec::with_capacity(count + 8);
    while out.len() < count {
        // xorshift64: any generator would do, the two ends only have to agree.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend(state.to_le_bytes());
    }
    out.truncate(count);
    out
}

/// A 64-bit FNV-1a digest that is fed piece by piece, for streams too large to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    hash: u64,
    /// Bytes fed so far.
    pub bytes: u64,
}

impl Default for Digest {
    fn default() -> Self {
        Digest { hash: 0xcbf2_9ce4_8422_2325, bytes: 0 }
    }
}

impl Digest {
    /// Adds `data`.
    pub fn feed(&mut self, data: &[u8]) {
        for &byte in data {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        self.bytes += data.len() as u64;
    }

    /// The digest of one slice.
    pub fn of(data: &[u8]) -> Self {
        let mut digest = Self::default();
        digest.feed(data);
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_goes_away() {
        let dir = TempDir::new("self").unwrap();
        let path = dir.path().to_owned();
        dir.write("x", "y").unwrap();
        assert_eq!(std::fs::read(path.join("x")).unwrap(), b"y");
        drop(dir);
        assert!(!path.exists());
    }

    #[test]
    fn fill_and_pattern() {
        assert_eq!(fill("bind :{fe} if { x }", &[("fe".into(), "80".into())]), "bind :80 if { x }");
        assert_eq!(pattern(1, 100), pattern(1, 100));
        assert_ne!(pattern(1, 100), pattern(2, 100));
        let mut digest = Digest::default();
        digest.feed(b"ab");
        digest.feed(b"c");
        assert_eq!(digest, Digest::of(b"abc"));
    }
}
