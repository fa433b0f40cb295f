//! Receivers for syslog datagrams, on UDP or a UNIX datagram socket. Holds: every datagram is kept, in order of arrival.

use crate::wait::Deadline;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Bytes that wait in the kernel at most.
const BUFFER: usize = 32 << 20;

#[derive(Debug, Default)]
struct Shared {
    lines: Mutex<(Vec<Vec<u8>>, bool)>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, (Vec<Vec<u8>>, bool)> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

/// A syslog receiver with a thread of its own; both end on drop.
#[derive(Debug)]
pub struct Syslog {
    shared: Arc<Shared>,
    port: u16,
    path: Option<PathBuf>,
    thread: Option<JoinHandle<()>>,
}

impl Syslog {
    /// Receives on a free UDP port of 127.0.0.1.
    pub fn udp() -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        // On a busy machine thousands of lines may come before the thread has its turn. Root may go beyond what is usual.
        let _ = set_socket_recv_buffer_size(&socket, BUFFER).and_then(|()| set_socket_recv_buffer_size_force(&socket, BUFFER));
        let port = socket.local_addr()?.port();
        Self::start(Socket::Udp(socket), port, None)
    }

    /// Receives on a UNIX datagram socket at `path`, which must not exist yet.
    pub fn unix(path: &Path) -> io::Result<Self> {
        Self::start(Socket::Unix(UnixDatagram::bind(path)?), 0, Some(path.to_owned()))
    }

    fn start(socket: Socket, port: u16, path: Option<PathBuf>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let turn = Some(Duration::from_millis(500));
        match &socket {
            Socket::Udp(s) => s.set_read_timeout(turn)?,
            Socket::Unix(s) => s.set_read_timeout(turn)?,
        }
        let thread = std::thread::Builder::new().name("syslog".into()).spawn(move || {
            let mut buf = vec![0; 65536];
            loop {
                let got = match &socket {
                    Socket::Udp(s) => s.recv(&mut buf),
                    Socket::Unix(s) => s.recv(&mut buf),
                };
                let mut lines = theirs.lock();
                if lines.1 {
                    return;
                }
                if let Ok(n) = got
                    && n > 0
                {
                    lines.0.push(buf[..n].to_vec());
                    theirs.changed.notify_all();
                }
            }
        })?;
        Ok(Syslog { shared, port, path, thread: Some(thread) })
    }

    /// The UDP port (0 for a UNIX socket).
    pub fn port(&self) -> u16 {
        self.port
    }

    /// All datagrams so far.
    pub fn lines(&self) -> Vec<Vec<u8>> {
        self.shared.lock().0.clone()
    }

    /// All datagrams so far as text.
    pub fn text(&self) -> Vec<String> {
        self.lines().iter().map(|l| String::from_utf8_lossy(l).trim_end().to_owned()).collect()
    }

    /// Waits until at least `count` datagrams are there; false when the deadline passed first.
    pub fn wait_count(&self, count: usize, deadline: Deadline) -> bool {
        self.wait(deadline, |lines| lines.len() >= count)
    }

    /// Waits until one datagram contains `needle`; gives that line, or `None` when the deadline passed first.
    pub fn wait_for(&self, needle: &str, deadline: Deadline) -> Option<String> {
        // Each line is looked at once: a load test writes a hundred thousand of them.
        let mut seen = 0;
        let mut lines = self.shared.lock();
        loop {
            if let Some(line) = lines.0[seen..].iter().find(|l| crate::http::find(l, needle.as_bytes()).is_some()) {
                return Some(String::from_utf8_lossy(line).trim_end().to_owned());
            }
            seen = lines.0.len();
            lines = self.shared.changed.wait_timeout(lines, deadline.left()?).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn wait(&self, deadline: Deadline, done: impl Fn(&[Vec<u8>]) -> bool) -> bool {
        let mut lines = self.shared.lock();
        while !done(&lines.0) {
            let Some(left) = deadline.left() else { return false };
            lines = self.shared.changed.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Drop for Syslog {
    fn drop(&mut self) {
        self.shared.lock().1 = true;
        // A datagram of our own ends the receive at once; should it get lost, the read timeout does.
        match &self.path {
            Some(path) => {
                let _ = UnixDatagram::unbound().and_then(|s| s.send_to(b"end", path));
            }
            None => {
                let _ = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|s| s.send_to(b"end", (Ipv4Addr::LOCALHOST, self.port)));
            }
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::TempDir;

    #[test]
    fn receives_on_both_kinds() {
        let udp = Syslog::udp().unwrap();
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"<134>one", ("127.0.0.1", udp.port())).unwrap();
        assert_eq!(udp.wait_for("one", Deadline::patient()).as_deref(), Some("<134>one"));
        let dir = TempDir::new("syslog").unwrap();
        let path = dir.path().join("log");
        let unix = Syslog::unix(&path).unwrap();
        UnixDatagram::unbound().unwrap().send_to(b"two", &path).unwrap();
        assert!(unix.wait_count(1, Deadline::patient()));
        assert!(unix.wait_for("three", Deadline::after(Duration::from_millis(1))).is_none());
    }
}
