//! Loopback ports: free ones, held ones, and a look at what listens.

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};
use std::collections::HashSet;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixSocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

/// What [`free_tcp`] has given out in this process: a socket for each port whose name no other test program can have meanwhile.
/// Two programs that share a port (`SO_REUSEPORT`) would not fail but take each other's connections.
static GIVEN: Mutex<Vec<UnixDatagram>> = Mutex::new(Vec::new());

/// A TCP port of 127.0.0.1 that was free a moment ago, and that no other test of this machine gets. It lies below the range from
/// which the kernel takes ports for `bind(0)` and outgoing connections, so nothing takes it by chance until the caller does. What
/// is no test still may: whoever starts a process on it repeats with a new port when the bind fails ([`crate::process`] reports
/// that).
pub fn free_tcp() -> u16 {
    loop {
        let port = candidate();
        let name = UnixSocketAddr::from_abstract_name(format!("lb-test-port-{port}"));
        if let Ok(held) = name.and_then(|name| UnixDatagram::bind_addr(&name))
            && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
        {
            GIVEN.lock().unwrap_or_else(PoisonError::into_inner).push(held);
            return port;
        }
    }
}

/// The next port to try: a walk through 10000..32000 from a start that differs per process and moment.
fn candidate() -> u16 {
    const FIRST: u32 = 10_000;
    const SPAN: u32 = 22_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    static START: OnceLock<u32> = OnceLock::new();
    let start = *START.get_or_init(|| {
        let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.subsec_nanos());
        (nanos / 1000).wrapping_add(std::process::id().wrapping_mul(977))
    });
    // 7 and the span have no common divisor: all ports come up before one comes again.
    let step = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(7);
    u16::try_from(FIRST + start.wrapping_add(step) % SPAN).expect("below 65536")
}

/// A UDP port of 127.0.0.1 that was free a moment ago.
pub fn free_udp() -> u16 {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports").local_addr().expect("bound").port()
}

/// A port on which connects are refused for as long as this lives: bound, never listening.
#[derive(Debug)]
pub struct RefusedPort {
    _held: OwnedFd,
    port: u16,
}

impl RefusedPort {
    /// Binds one.
    pub fn new() -> io::Result<Self> {
        let fd = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        bind(&fd, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        let addr: SocketAddr = getsockname(&fd)?.try_into()?;
        Ok(RefusedPort { _held: fd, port: addr.port() })
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Local ports of all TCP sockets in state LISTEN (IPv4 and IPv6), from /proc/net. No connection is made for this.
pub fn listening() -> io::Result<HashSet<u16>> {
    let mut ports = HashSet::new();
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let Ok(file) = std::fs::File::open(file) else { continue };
        for line in BufReader::new(file).lines().skip(1) {
            let line = line?;
            let mut words = line.split_ascii_whitespace().skip(1);
            let (Some(local), Some(_), Some(state)) = (words.next(), words.next(), words.next()) else { continue };
            // The kernel lists the listeners first.
            if state != "0A" {
                break;
            }
            if let Some(port) = local.rsplit(':').next().and_then(|p| u16::from_str_radix(p, 16).ok()) {
                ports.insert(port);
            }
        }
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn a_held_port_refuses_and_a_listener_is_seen() {
        let held = RefusedPort::new().unwrap();
        let refused = TcpStream::connect(("127.0.0.1", held.port())).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = listening().unwrap();
        assert!(seen.contains(&port) && !seen.contains(&held.port()));
    }

    #[test]
    fn free_ports_differ() {
        assert_ne!(free_tcp(), free_tcp());
        assert_ne!(free_udp(), 0);
    }
}
