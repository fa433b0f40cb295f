//! A client of the run-time socket (`stats socket`).

use crate::wait::patience;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// A connection to a run-time socket.
#[derive(Debug)]
pub struct Runtime(UnixStream);

impl Runtime {
    /// Connects.
    pub fn open(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(patience()))?;
        stream.set_write_timeout(Some(patience()))?;
        Ok(Self(stream))
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Closes the sending side.
    pub fn finish(&self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }

    /// Everything up to the end of the connection.
    pub fn rest(&mut self) -> io::Result<String> {
        let mut bytes = Vec::new();
        match self.0.read_to_end(&mut bytes) {
            // The end all the same, of one who has not read all that was sent.
            Err(e) if e.kind() != io::ErrorKind::ConnectionReset => return Err(e),
            _ => {}
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Everything up to the next prompt, which is taken off.
    pub fn until_prompt(&mut self) -> io::Result<String> {
        let mut bytes = Vec::new();
        let mut one = [0];
        while !bytes.ends_with(b"\n> ") {
            self.0.read_exact(&mut one)?;
            bytes.push(one[0]);
        }
        bytes.truncate(bytes.len() - 2);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// True when nothing comes for `time`.
    pub fn is_silent(&mut self, time: Duration) -> io::Result<bool> {
        self.0.set_read_timeout(Some(time))?;
        let silent = matches!(self.0.read(&mut [0]), Err(e) if e.kind() == io::ErrorKind::WouldBlock);
        self.0.set_read_timeout(Some(patience()))?;
        Ok(silent)
    }
}

/// Asks `commands` on a connection of their own and gives the whole answer.
pub fn ask(path: &Path, commands: &str) -> io::Result<String> {
    let mut runtime = Runtime::open(path)?;
    runtime.send(format!("{commands}\n").as_bytes())?;
    runtime.rest()
}

/// As [`ask`] for a client that closes its side at once, with the time from there to the end.
pub fn ask_and_close(path: &Path, commands: &str) -> io::Result<(String, Duration)> {
    let mut runtime = Runtime::open(path)?;
    runtime.send(format!("{commands}\n").as_bytes())?;
    runtime.finish()?;
    let since = Instant::now();
    let answer = runtime.rest()?;
    Ok((answer, since.elapsed()))
}
