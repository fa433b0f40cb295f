//! Whether an interface has a link, asked of its driver. A call may wait for hardware: some milliseconds where the answer comes over MDIO.

use crate::once;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const SIOCETHTOOL: u32 = 0x8946;
const SIOCGMIIPHY: u32 = 0x8947;
const SIOCGMIIREG: u32 = 0x8948;
/// `struct ethtool_value` with the link in it.
const ETHTOOL_GLINK: u32 = 0x0a;
/// The status register of a PHY, and its bit for the link (IEEE 802.3 §22.2.4.2).
const BMSR: u16 = 1;
const BMSR_LINK: u16 = 4;
/// The length of `struct ifreq`, of which the kernel copies all in and out.
const REQUEST: usize = 40;

/// Asks about interfaces of the network namespace in which it was opened.
#[derive(Debug)]
pub struct Probe(OwnedFd);

/// `struct ifreq` as these calls use it.
#[repr(C, align(8))]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    value: [u8; REQUEST - libc::IFNAMSIZ],
}

impl Request {
    fn new(name: &str) -> io::Result<Request> {
        let mut request = Request { name: [0; libc::IFNAMSIZ], value: [0; REQUEST - libc::IFNAMSIZ] };
        // The kernel wants a zero at the end.
        let room = request.name.get_mut(..name.len()).filter(|room| (1..libc::IFNAMSIZ).contains(&room.len()));
        room.ok_or(io::ErrorKind::InvalidInput)?.copy_from_slice(name.as_bytes());
        Ok(request)
    }

    fn word(&self, at: usize) -> u16 {
        u16::from_ne_bytes([self.value[at], self.value[at + 1]])
    }
}

impl Probe {
    /// # Errors
    /// `EMFILE`.
    pub fn open() -> io::Result<Probe> {
        // SAFETY: the descriptor is new and nobody else's.
        unsafe { Ok(Probe(OwnedFd::from_raw_fd(once(libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0))?))) }
    }

    fn ask(&self, what: u32, request: &mut Request) -> io::Result<()> {
        // SAFETY: each of these calls reads and writes one `struct ifreq`, which `request` is; what a pointer in it points to is the
        // caller's part.
        once(unsafe { libc::ioctl(self.0.as_raw_fd(), what.into(), std::ptr::from_mut(request)) }).map(drop)
    }

    /// By the status register of the PHY (`SIOCGMIIPHY`, `SIOCGMIIREG`).
    ///
    /// # Errors
    /// `EOPNOTSUPP` when the driver has no such thing, `ENODEV` when there is no such interface.
    pub fn mii(&self, name: &str) -> io::Result<bool> {
        let mut request = Request::new(name)?;
        self.ask(SIOCGMIIPHY, &mut request)?;
        request.value[2..4].copy_from_slice(&BMSR.to_ne_bytes());
        // A loss is kept until it has been read: the second answer is about the present.
        self.ask(SIOCGMIIREG, &mut request)?;
        self.ask(SIOCGMIIREG, &mut request)?;
        Ok(request.word(6) & BMSR_LINK != 0)
    }

    /// By `ETHTOOL_GLINK`.
    ///
    /// # Errors
    /// As [`Probe::mii`].
    pub fn ethtool(&self, name: &str) -> io::Result<bool> {
        let mut request = Request::new(name)?;
        let mut value = [ETHTOOL_GLINK, 0];
        let pointer = value.as_mut_ptr().expose_provenance();
        request.value[..size_of::<usize>()].copy_from_slice(&pointer.to_ne_bytes());
        // The kernel reads and writes two integers of 32 bits there: `value`, which outlives the call.
        self.ask(SIOCETHTOOL, &mut request)?;
        // SAFETY: the kernel may have written it; it is ours, aligned and whole.
        Ok(unsafe { std::ptr::read_volatile(value.as_ptr().add(1)) } != 0)
    }

    /// By the flags that `ip link` shows: up and running (`SIOCGIFFLAGS`).
    ///
    /// # Errors
    /// `ENODEV`.
    pub fn running(&self, name: &str) -> io::Result<bool> {
        let mut request = Request::new(name)?;
        self.ask(libc::SIOCGIFFLAGS as u32, &mut request)?;
        let both = (libc::IFF_UP | libc::IFF_RUNNING) as u16;
        Ok(request.word(0) & both == both)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback() {
        let probe = Probe::open().expect("a socket");
        let up = probe.running("lo").expect("it is there");
        assert_eq!(probe.ethtool("lo").expect("any driver may be asked"), up, "it has a link when it is up");
        // It has no PHY.
        assert_eq!(probe.mii("lo").map_err(|e| e.raw_os_error()), Err(Some(libc::EOPNOTSUPP)));
        for name in ["", "no-such-name", "a-name-that-is-too-long"] {
            assert!(probe.mii(name).is_err() && probe.ethtool(name).is_err() && probe.running(name).is_err(), "{name}");
        }
    }
}
