//! The scripted origin: a listener that plays one script per connection and keeps a transcript of each.
//! Holds: all its threads and sockets are gone after drop.

use crate::ports::RefusedPort;
use crate::script::{Live, Player, Socket, Step, Transcript, World};
use crate::wait::{Deadline, patience};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

#[derive(Debug, Default)]
struct Inner {
    live: Vec<Arc<Live>>,
    /// Second handles, to cut the connections with; `None` once the script has closed its own.
    sockets: Vec<Option<Socket>>,
    players: Vec<JoinHandle<()>>,
    stopped: bool,
}

#[derive(Debug, Default)]
struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
    /// Dropping this end tells the accept loop to close the listener.
    running: Mutex<Option<UnixStream>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop_listening(&self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// A listener that plays scripts.
#[derive(Debug)]
pub struct Origin {
    shared: Arc<Shared>,
    port: u16,
    accept: Option<JoinHandle<()>>,
}

impl Origin {
    /// Listens on a free port of 127.0.0.1. Connection n plays `scripts[n]`, later ones the last script (none: read until EOF).
    pub fn start(scripts: Vec<Vec<Step>>, world: Arc<dyn World>) -> io::Result<Self> {
        Self::on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, scripts, world)
    }

    /// As [`Origin::start`] on a listener that is there already.
    pub fn on(listener: TcpListener, scripts: Vec<Vec<Step>>, world: Arc<dyn World>) -> io::Result<Self> {
        let port = listener.local_addr()?.port();
        listener.set_nonblocking(true)?;
        Self::launch(Listener::Tcp(listener), port, scripts, world)
    }

    /// Listens on a UNIX socket at `path`.
    pub fn unix(path: &Path, scripts: Vec<Vec<Step>>, world: Arc<dyn World>) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Self::launch(Listener::Unix(listener), 0, scripts, world)
    }

    fn launch(listener: Listener, port: u16, scripts: Vec<Vec<Step>>, world: Arc<dyn World>) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let shared = Arc::new(Shared { running: Mutex::new(Some(ours)), ..Shared::default() });
        let state = Arc::clone(&shared);
        let accept =
            std::thread::Builder::new().name("origin".into()).spawn(move || accept_loop(&listener, &theirs, &state, &scripts, &world))?;
        Ok(Origin { shared, port, accept: Some(accept) })
    }

    /// The port (0 for a UNIX socket).
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The transcripts so far, in order of accept.
    pub fn transcripts(&self) -> Vec<Transcript> {
        self.shared.lock().live.iter().map(|l| l.get()).collect()
    }

    /// How many connections were accepted so far.
    pub fn accepted(&self) -> usize {
        self.shared.lock().live.len()
    }

    /// Waits until connection `index` is there and `condition` holds for it; false when the deadline passed first.
    pub fn wait(&self, index: usize, deadline: Deadline, condition: impl Fn(&Transcript) -> bool) -> bool {
        let live = {
            let mut inner = self.shared.lock();
            while inner.live.len() <= index {
                let Some(left) = deadline.left() else { return false };
                inner = self.shared.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
            }
            Arc::clone(&inner.live[index])
        };
        live.wait(deadline, condition)
    }

    /// Waits until each connection's script is over or its other side has closed, at most `limit`; then gives the transcripts.
    pub fn settle(&self, limit: Duration) -> Vec<Transcript> {
        let deadline = Deadline::after(limit);
        let all: Vec<_> = self.shared.lock().live.clone();
        for live in all {
            live.wait(deadline, |t| t.end != crate::script::End::Open);
        }
        self.transcripts()
    }

    /// Closes the listener: new connects are refused, the connections go on.
    pub fn stop_listening(&mut self) {
        self.shared.stop_listening();
        if let Some(accept) = self.accept.take() {
            let _ = accept.join();
        }
    }

    /// Closes the listener and cuts all connections, as when a server dies.
    pub fn kill(&mut self) {
        self.stop_listening();
        let players = {
            let mut inner = self.shared.lock();
            inner.stopped = true;
            for socket in inner.sockets.iter().flatten() {
                socket.shutdown(Shutdown::Both);
            }
            inner.sockets.clear();
            std::mem::take(&mut inner.players)
        };
        drop(players);
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.kill();
    }
}

fn accept_loop(listener: &Listener, stop: &UnixStream, shared: &Arc<Shared>, scripts: &[Vec<Step>], world: &Arc<dyn World>) {
    let minute = Timespec { tv_sec: 60, tv_nsec: 0 };
    loop {
        let stopped = {
            let mut fds = match listener {
                Listener::Tcp(l) => [PollFd::new(l, PollFlags::IN), PollFd::new(stop, PollFlags::IN)],
                Listener::Unix(l) => [PollFd::new(l, PollFlags::IN), PollFd::new(stop, PollFlags::IN)],
            };
            let _ = poll(&mut fds, Some(&minute));
            !fds[1].revents().is_empty()
        };
        if stopped {
            return;
        }
        let socket = match listener {
            Listener::Tcp(l) => l.accept().map(|(s, _)| Socket::Tcp(s)),
            Listener::Unix(l) => l.accept().map(|(s, _)| Socket::Unix(s)),
        };
        let Ok(socket) = socket else { continue };
        let _ = match &socket {
            Socket::Tcp(s) => s.set_nonblocking(false),
            Socket::Unix(s) => s.set_nonblocking(false),
        };
        let Ok(handle) = socket.try_clone() else { continue };
        let Ok(mut player) = Player::new(socket) else { continue };
        let mut inner = shared.lock();
        let steps = scripts.get(inner.live.len()).or(scripts.last()).cloned().unwrap_or_default();
        inner.live.push(player.live());
        let index = inner.sockets.len();
        inner.sockets.push(Some(handle));
        shared.changed.notify_all();
        let (world, state) = (Arc::clone(world), Arc::clone(shared));
        let thread = std::thread::Builder::new().name("origin connection".into()).spawn(move || {
            player.play(&steps, &*world, &|| state.stop_listening());
            if player.is_open() {
                player.finish(patience() * 3);
            }
            // The second handle would keep the connection open.
            if let Some(socket) = state.lock().sockets.get_mut(index) {
                *socket = None;
            }
        });
        if let Ok(thread) = thread {
            inner.players.push(thread);
        }
    }
}

/// A port that never answers a connect: its accept queue is full, so the kernel drops every SYN.
#[derive(Debug)]
pub struct BlackHole {
    port: u16,
    _listener: rustix::fd::OwnedFd,
    _fillers: Vec<TcpStream>,
}

impl BlackHole {
    /// Makes one on a free port of 127.0.0.1.
    pub fn new() -> io::Result<Self> {
        use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};
        let fd = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        bind(&fd, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        listen(&fd, 0)?;
        let addr: std::net::SocketAddr = getsockname(&fd)?.try_into()?;
        let mut fillers = Vec::new();
        // Linux takes backlog + 1; the first connect that does not come through shows that it is full.
        for _ in 0..8 {
            match TcpStream::connect_timeout(&addr, Duration::from_millis(150)) {
                Ok(stream) => fillers.push(stream),
                Err(_) => break,
            }
        }
        Ok(BlackHole { port: addr.port(), _listener: fd, _fillers: fillers })
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Where a server of a test may be: a scripted origin, a port that refuses, or one that never answers.
#[derive(Debug)]
pub enum Target {
    /// A scripted origin.
    Origin(Origin),
    /// Connects are refused.
    Refused(RefusedPort),
    /// Connects never complete.
    BlackHole(BlackHole),
}

impl Target {
    /// The port.
    pub fn port(&self) -> u16 {
        match self {
            Target::Origin(o) => o.port(),
            Target::Refused(r) => r.port(),
            Target::BlackHole(b) => b.port(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{End, Plain};
    use crate::{client, http};

    fn world() -> Arc<Plain> {
        Arc::new(Plain::default())
    }

    #[test]
    fn plays_scripts_and_records() {
        let world = world();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
        let origin =
            Origin::start(vec![vec![Step::Serve(answer.clone())], vec![Step::Request, Step::Send(answer), Step::Reset]], world.clone())
                .unwrap();
        let addr = ([127, 0, 0, 1], origin.port()).into();
        let request = b"GET / HTTP/1.1\r\n\r\n".to_vec();
        let steps = [Step::Send(request.clone()), Step::Response, Step::Send(request), Step::Response, Step::Close];
        let seen = client::run(addr, &steps, &*world, Duration::ZERO).unwrap();
        assert_eq!(seen.failure, None);
        assert!(origin.wait(0, Deadline::patient(), |t| t.end == End::Fin && t.received.len() == 36));
        let steps = [Step::Send(b"GET / HTTP/1.1\r\n\r\n".to_vec()), Step::Eof];
        let seen = client::run(addr, &steps, &*world, Duration::ZERO).unwrap();
        assert_eq!((seen.end, http::status_of(&seen.received)), (End::Rst, 200));
    }

    #[test]
    fn a_failed_step_is_named() {
        let world = world();
        let origin = Origin::start(vec![vec![Step::Send(b"abc".to_vec()), Step::Close]], world.clone()).unwrap();
        let seen = client::run(([127, 0, 0, 1], origin.port()).into(), &[Step::Until(b"x".to_vec())], &*world, Duration::ZERO).unwrap();
        assert!(seen.failure.unwrap().contains("the connection ended first"));
        assert_eq!(seen.received, b"abc");
    }

    #[test]
    fn a_black_hole_swallows() {
        let hole = BlackHole::new().unwrap();
        let connect = TcpStream::connect_timeout(&([127, 0, 0, 1], hole.port()).into(), Duration::from_millis(100));
        assert_eq!(connect.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
