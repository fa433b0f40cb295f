//! The scripted client: connects and plays steps.

use crate::script::{Player, Socket, Step, Transcript, World};
use crate::wait::{Deadline, patience};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Connects to a TCP address within the usual patience.
pub fn connect(addr: SocketAddr) -> io::Result<Player> {
    Player::new(Socket::Tcp(TcpStream::connect_timeout(&addr, patience())?))
}

/// Connects to a UNIX stream socket.
pub fn connect_unix(path: &Path) -> io::Result<Player> {
    Player::new(Socket::Unix(UnixStream::connect(path)?))
}

/// Connects, plays `steps`, then watches for at most `settle` whether the other side closes, and closes. Signals that the first
/// steps wait for are awaited before it connects.
pub fn run(addr: SocketAddr, steps: &[Step], world: &dyn World, settle: Duration) -> io::Result<Transcript> {
    let mut steps = steps;
    while let [Step::Wait(name), rest @ ..] = steps {
        if !world.signals().wait(name, Deadline::patient()) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("the signal {name} never came")));
        }
        steps = rest;
    }
    let mut player = connect(addr)?;
    player.play(steps, world, &|| {});
    Ok(player.finish(settle))
}
