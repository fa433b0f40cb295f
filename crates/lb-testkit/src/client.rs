//! The scripted client: connects and plays steps.

use crate::script::{Player, Socket, Step, Transcript, World};
use crate::wait::patience;
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

/// Connects, plays `steps`, then watches for at most `settle` whether the other side closes, and closes.
pub fn run(addr: SocketAddr, steps: &[Step], world: &dyn World, settle: Duration) -> io::Result<Transcript> {
    let mut player = connect(addr)?;
    player.play(steps, world, &|| {});
    Ok(player.finish(settle))
}
