//! What origins and clients of the demo need of the network: ports that stay ours, reading up to a mark, a time limit.

use lb_rt::{Rt, Socket};
use lb_sys::Addr;
use lb_sys::socket::{self, Kind, SockOpt};
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// Longest line or head that is taken, in bytes.
const MAX_UNIT: usize = 16 << 10;

/// A TCP port of the loopback address that nobody else gets while this lives.
pub struct Port {
    number: u16,
    // Bound and not listening: connections are refused, and others with SO_REUSEADDR may listen on the port.
    _held: OwnedFd,
}

impl Port {
    /// Takes any free port.
    ///
    /// # Errors
    /// No port or descriptor is free.
    pub fn reserve() -> io::Result<Port> {
        let any = Addr::Ip(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let held = socket::open(&any, Kind::Stream)?;
        socket::apply(held.as_fd(), &SockOpt::ReuseAddr(true))?;
        socket::bind(held.as_fd(), &any)?;
        let number = socket::local_addr(held.as_fd())?.ip().map_or(0, |a| a.port());
        Ok(Port { number, _held: held })
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// With the loopback address.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }
}

/// Reads until `mark` has come and gives what stands before it, mark included; `None`: the peer has ended first. What follows
/// the mark stays in `input`.
///
/// # Errors
/// Those of reading; `InvalidData` when the mark does not come within 16 KiB.
pub async fn read_until(socket: &Socket, input: &mut Vec<u8>, mark: &[u8]) -> io::Result<Option<Vec<u8>>> {
    loop {
        if let Some(at) = input.windows(mark.len()).position(|w| w == mark) {
            let rest = input.split_off(at + mark.len());
            return Ok(Some(std::mem::replace(input, rest)));
        }
        if input.len() > MAX_UNIT {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if !read_more(socket, input).await? {
            return Ok(None);
        }
    }
}

/// Reads `n` bytes and throws them away.
///
/// # Errors
/// Those of reading; `UnexpectedEof`.
pub async fn skip(socket: &Socket, input: &mut Vec<u8>, mut n: usize) -> io::Result<()> {
    loop {
        let here = n.min(input.len());
        input.drain(..here);
        n -= here;
        if n == 0 {
            return Ok(());
        }
        if !read_more(socket, input).await? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn read_more(socket: &Socket, input: &mut Vec<u8>) -> io::Result<bool> {
    let mut buf = [0; 2048];
    let n = socket.read(&mut buf).await?;
    input.extend_from_slice(&buf[..n]);
    Ok(n != 0)
}

/// `future`, or `TimedOut` after `limit`.
///
/// # Errors
/// Those of `future`, and `TimedOut`.
pub async fn within<T>(rt: &Rt, limit: Duration, future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let until = rt.now() + limit;
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Pending => rt.poll_deadline(Some(until)).map(|()| Err(io::ErrorKind::TimedOut.into())),
        ready => ready,
    })
    .await
}
