//! The kernel's announcements of processes (`NETLINK_CONNECTOR`, cn_proc): which begin, become another program, end, on the whole host.
//!
//! The kernel gives them to root of the first namespaces of users, processes and the network, and to nobody else; so a container does
//! without.

use netlink_sys::protocols::NETLINK_CONNECTOR;
use netlink_sys::{Socket, SocketAddr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Datagrams that are read before others are looked at.
const BUDGET: usize = 256;
/// The group of these announcements, which is their connector's number as well (`CN_IDX_PROC`, `CN_VAL_PROC`).
const GROUP: u32 = 1;
/// `PROC_CN_MCAST_LISTEN`.
const LISTEN: u32 = 1;
/// Lengths of `struct nlmsghdr` and `struct cn_msg`, and of `struct proc_event` up to what differs by kind.
const NETLINK_HEADER: usize = 16;
const CONNECTOR_HEADER: usize = 20;
const EVENT_HEADER: usize = 16;
/// `NLMSG_DONE`, as the connector has it of its messages.
const DONE: u16 = 3;

/// What happened to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// We are heard.
    Listening,
    /// One has forked: the other's number, and the new one's.
    Begun(i32, i32),
    /// It runs another program, or has given itself another name.
    Changed(i32),
    /// It has ended.
    Ended(i32),
}

/// Announcements were lost: everything is to be looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

/// Where announcements arrive.
pub struct Connector(Socket);

impl Connector {
    /// Listens. The calling thread is in the first network namespace afterwards, if it may go there.
    ///
    /// # Errors
    /// This process gets none: `ECONNREFUSED` in another network namespace, `EPERM`, or an answer that does not come.
    pub fn open() -> io::Result<Connector> {
        if let Ok(first) = File::open("/proc/1/ns/net") {
            let _ = rustix::thread::move_into_link_name_space(first.as_fd(), Some(rustix::thread::LinkNameSpaceType::Network));
        }
        let mut socket = Socket::new(NETLINK_CONNECTOR)?;
        socket.bind(&SocketAddr::new(0, GROUP))?;
        socket.set_non_blocking(true)?;
        socket.send(&listen(), 0)?;
        let connector = Connector(socket);
        // The kernel answers before it comes back from the call, among announcements that may have come already.
        for _ in 0..BUDGET {
            match connector.0.recv_from_full() {
                Ok((bytes, _)) if event(&bytes) == Some(Event::Listening) => return Ok(connector),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "the kernel does not answer"))
    }

    /// Turns readable when something has happened.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// What has happened.
    ///
    /// # Errors
    /// [`Lost`]: more than the kernel could keep.
    pub fn take(&self) -> Result<Vec<Event>, Lost> {
        let mut all = Vec::new();
        for _ in 0..BUDGET {
            match self.0.recv_from_full() {
                // Of who is not the kernel nothing is believed.
                Ok((bytes, from)) if from.port_number() == 0 => all.extend(event(&bytes)),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return Err(Lost),
            }
        }
        Ok(all)
    }
}

/// The request to be told.
fn listen() -> Vec<u8> {
    let length = (NETLINK_HEADER + CONNECTOR_HEADER + 4) as u32;
    let mut bytes = Vec::new();
    bytes.extend(length.to_ne_bytes());
    bytes.extend(DONE.to_ne_bytes());
    bytes.extend([0; 10]);
    for word in [GROUP, GROUP, 0, 0] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend(4u16.to_ne_bytes());
    bytes.extend([0; 2]);
    bytes.extend(LISTEN.to_ne_bytes());
    bytes
}

/// What a datagram says; nothing of what threads do among themselves, and of users and sessions.
fn event(bytes: &[u8]) -> Option<Event> {
    let bytes = bytes.get(NETLINK_HEADER + CONNECTOR_HEADER..)?;
    let word = |at: usize| bytes.get(at..at + 4)?.try_into().map(u32::from_ne_bytes).ok();
    let number = |at: usize| word(EVENT_HEADER + at).and_then(|n| i32::try_from(n).ok());
    match word(0)? {
        0 => Some(Event::Listening),
        1 => {
            let (parent, thread, process) = (number(4)?, number(8)?, number(12)?);
            (thread == process).then_some(Event::Begun(parent, process))
        }
        2 => Some(Event::Changed(number(4)?)),
        // Of a name, which threads have of their own.
        0x200 => (number(0)? == number(4)?).then_some(Event::Changed(number(4)?)),
        0x8000_0000 => (number(0)? == number(4)?).then_some(Event::Ended(number(4)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(what: u32, numbers: [u32; 4]) -> Vec<u8> {
        let mut bytes = vec![0; NETLINK_HEADER + CONNECTOR_HEADER];
        bytes.extend(what.to_ne_bytes());
        bytes.extend([0; 12]);
        numbers.iter().for_each(|n| bytes.extend(n.to_ne_bytes()));
        bytes
    }

    #[test]
    fn datagrams() {
        assert_eq!(event(&datagram(1, [9, 8, 10, 10])), Some(Event::Begun(8, 10)));
        assert_eq!(event(&datagram(1, [9, 8, 11, 10])), None, "a thread");
        assert_eq!(event(&datagram(2, [11, 10, 0, 0])), Some(Event::Changed(10)));
        assert_eq!(event(&datagram(0x200, [10, 10, 0, 0])), Some(Event::Changed(10)));
        assert_eq!(event(&datagram(0x200, [11, 10, 0, 0])), None);
        assert_eq!(event(&datagram(0x8000_0000, [10, 10, 0, 17])), Some(Event::Ended(10)));
        assert_eq!(event(&datagram(0x8000_0000, [11, 10, 0, 17])), None);
        assert_eq!(event(&datagram(4, [1, 1, 0, 0])), None);
        let whole = datagram(1, [9, 8, 10, 10]);
        (0..whole.len()).for_each(|length| assert!(matches!(event(&whole[..length]), None | Some(Event::Listening)), "{length}"));
        assert_eq!(event(&datagram(2, [u32::MAX; 4])), None);
    }

    /// Where the kernel announces at all.
    #[test]
    fn a_process_of_ours() {
        // It is a thread of its own that goes to another namespace.
        let listen = std::thread::spawn(|| {
            let Ok(connector) = Connector::open() else { return eprintln!("not run: no announcements of processes here") };
            let mut child = std::process::Command::new("/bin/true").spawn().expect("true");
            let pid = i32::try_from(child.id()).expect("a number");
            child.wait().expect("a child");
            let mut seen = Vec::new();
            // All of it has happened, so it is there unless it was lost.
            loop {
                match connector.take() {
                    Ok(events) if events.is_empty() => break,
                    Ok(events) => seen.extend(events),
                    Err(Lost) => return eprintln!("not run: too much happens here"),
                }
            }
            let ours = seen.iter().filter(|e| matches!(e, Event::Begun(_, p) | Event::Changed(p) | Event::Ended(p) if *p == pid));
            let kinds: Vec<_> = ours.map(std::mem::discriminant).collect();
            for kind in [Event::Begun(0, 0), Event::Changed(0), Event::Ended(0)] {
                assert!(kinds.contains(&std::mem::discriminant(&kind)), "{kind:?} of {pid} in {seen:?}");
            }
        });
        listen.join().expect("no panic");
    }
}
