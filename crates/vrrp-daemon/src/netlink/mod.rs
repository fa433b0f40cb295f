//! Interfaces and addresses, asked of the kernel and changed by netlink.

mod address;
mod link;
mod route;
mod rule;

use crate::conf::model::{AddressConf, RouteConf, RuleConf};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

/// Groups of the kernel's announcements: links, addresses of either family.
const GROUPS: [u32; 3] = [1, 5, 9];

/// The same of routes and rules.
const ROUTE_GROUPS: [u32; 4] = [7, 8, 11, 19];

/// What the kernel announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An interface is there, with this name, state and hardware address.
    Link {
        /// Its index.
        index: u32,
        /// Its name.
        name: String,
        /// Up, and with carrier.
        up: bool,
        /// Its hardware address, of six bytes if it is Ethernet.
        hardware: Vec<u8>,
        /// The interface below it, if it is a macvlan.
        macvlan_of: Option<u32>,
    },
    /// An interface is gone.
    LinkGone {
        /// Its index.
        index: u32,
    },
    /// An address is there.
    Address {
        /// The interface's index.
        index: u32,
        /// The address.
        address: IpAddr,
        /// Not the first of its network.
        secondary: bool,
        /// Of IPv6: somebody else may have it, so that nothing can be sent from it.
        tentative: bool,
    },
    /// A route that keepalived or we have made was taken away by somebody else.
    RouteGone {
        /// The network.
        to: IpAddr,
        /// Its prefix.
        prefix: u8,
        /// The table.
        table: u32,
        /// The metric.
        metric: u32,
    },
    /// The same of a rule.
    RuleGone {
        /// Of IPv6.
        ipv6: bool,
        /// Its preference.
        preference: u32,
    },
    /// An address is gone.
    AddressGone {
        /// The interface's index.
        index: u32,
        /// The address.
        address: IpAddr,
    },
}

/// One socket for announcements, one for commands.
pub struct Netlink {
    announcements: Socket,
    commands: Socket,
    /// The port of the latter.
    own: u32,
    sequence: u32,
}

impl Change {
    /// Routes and rules that we have taken away ourselves are nobody's loss.
    fn is_ours(&self, by_us: bool) -> bool {
        by_us && matches!(self, Change::RouteGone { .. } | Change::RuleGone { .. })
    }
}

impl Netlink {
    /// Opens both.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open() -> io::Result<Netlink> {
        let open = || {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            io::Result::Ok(socket)
        };
        let (announcements, commands) = (open()?, open()?);
        GROUPS.iter().try_for_each(|group| announcements.add_membership(*group))?;
        announcements.set_non_blocking(true)?;
        let mut own = SocketAddr::new(0, 0);
        commands.get_address(&mut own)?;
        Ok(Netlink { announcements, commands, own: own.port_number(), sequence: 0 })
    }

    /// Turns readable when there is something to [`Netlink::take`].
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.announcements.as_fd()
    }

    /// All interfaces and addresses.
    ///
    /// # Errors
    /// The kernel's.
    pub fn all(&mut self) -> io::Result<Vec<Change>> {
        let mut all = self.ask(RouteNetlinkMessage::GetLink(LinkMessage::default()), NLM_F_DUMP)?;
        all.extend(self.ask(RouteNetlinkMessage::GetAddress(AddressMessage::default()), NLM_F_DUMP)?);
        Ok(all)
    }

    /// What has been announced, until nothing more is there. Nothing when announcements were lost: then ask for [`Netlink::all`].
    pub fn take(&mut self) -> Option<Vec<Change>> {
        let (mut changes, mut lost) = (Vec::new(), false);
        loop {
            match self.announcements.recv_from_full() {
                Ok((bytes, _)) => {
                    let _ = messages(&bytes, |payload, by| changes.extend(change(payload).filter(|c| !c.is_ours(by == self.own))));
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return (!lost).then_some(changes),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // ENOBUFS. What was announced before the loss is old by the time that everything has been asked for.
                Err(e) if e.raw_os_error() == Some(105) => lost = true,
                Err(_) => return None,
            }
        }
    }

    /// Puts an address in place; one that is there already stays.
    ///
    /// # Errors
    /// The kernel's.
    pub fn add(&mut self, interface: u32, address: &AddressConf) -> io::Result<()> {
        self.ask(RouteNetlinkMessage::NewAddress(address::message(interface, address)), NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE).map(drop)
    }

    /// Takes an address away; one that is not there is no error.
    ///
    /// # Errors
    /// The kernel's.
    pub fn remove(&mut self, interface: u32, address: &AddressConf) -> io::Result<()> {
        match self.ask(RouteNetlinkMessage::DelAddress(address::message(interface, address)), NLM_F_ACK) {
            // EADDRNOTAVAIL, ENODEV: it is not there, which is what was asked for.
            Err(e) if matches!(e.raw_os_error(), Some(99 | 19)) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Makes a macvlan on top of an interface. It is down.
    ///
    /// # Errors
    /// The kernel's: `EOPNOTSUPP` when it has no macvlan, `EEXIST`.
    pub fn add_macvlan(&mut self, name: &str, base: u32, mac: [u8; 6]) -> io::Result<()> {
        let message = RouteNetlinkMessage::NewLink(link::macvlan(name, base, mac));
        self.ask(message, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL).map(drop)
    }

    /// Sets an interface up.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_up(&mut self, index: u32) -> io::Result<()> {
        self.ask(RouteNetlinkMessage::SetLink(link::up(index)), NLM_F_ACK).map(drop)
    }

    /// Removes an interface; one that is not there is no error.
    ///
    /// # Errors
    /// The kernel's.
    pub fn remove_link(&mut self, index: u32) -> io::Result<()> {
        match self.ask(RouteNetlinkMessage::DelLink(link::numbered(index)), NLM_F_ACK) {
            Err(e) if e.raw_os_error() == Some(19) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Puts a route in place, before others to the same network; one that is there already is no error. `names`: interfaces.
    ///
    /// # Errors
    /// The kernel's: `ENETUNREACH` when its router is not in reach. `NotFound` for an interface that there is not.
    pub fn add_route(&mut self, route: &RouteConf, names: &HashMap<String, u32>) -> io::Result<()> {
        let flags = NLM_F_ACK | NLM_F_CREATE | if route.append { NLM_F_APPEND } else { 0 };
        there_already(self.ask(RouteNetlinkMessage::NewRoute(route::message(route, names)?), flags))
    }

    /// Takes a route away; one that is not there is no error.
    ///
    /// # Errors
    /// The kernel's.
    pub fn remove_route(&mut self, route: &RouteConf, names: &HashMap<String, u32>) -> io::Result<()> {
        // It went with its interface.
        let Ok(message) = route::message(route, names) else { return Ok(()) };
        match self.ask(RouteNetlinkMessage::DelRoute(message), NLM_F_ACK) {
            // ESRCH, ENODEV: it went with its address or interface.
            Err(e) if matches!(e.raw_os_error(), Some(3 | 19)) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Puts a rule in place; one that is there already is no error.
    ///
    /// # Errors
    /// The kernel's.
    pub fn add_rule(&mut self, rule: &RuleConf) -> io::Result<()> {
        there_already(self.ask(RouteNetlinkMessage::NewRule(rule::message(rule)), NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL))
    }

    /// Takes a rule away; one that is not there is no error.
    ///
    /// # Errors
    /// The kernel's.
    pub fn remove_rule(&mut self, rule: &RuleConf) -> io::Result<()> {
        match self.ask(RouteNetlinkMessage::DelRule(rule::message(rule)), NLM_F_ACK) {
            // ENOENT.
            Err(e) if e.raw_os_error() == Some(2) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Has routes and rules announced that others take away.
    ///
    /// # Errors
    /// The kernel's.
    pub fn watch_routes(&mut self) -> io::Result<()> {
        ROUTE_GROUPS.iter().try_for_each(|group| self.announcements.add_membership(*group))
    }

    /// A request and its answers. The kernel answers within the call.
    fn ask(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<Change>> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::from(message));
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.commands.send(&bytes, 0)?;
        let mut all = Vec::new();
        loop {
            let (bytes, _) = self.commands.recv_from_full()?;
            let mut end = None;
            messages(&bytes, |payload, _| match payload {
                NetlinkPayload::Done(_) => end = Some(Ok(())),
                NetlinkPayload::Error(e) => end = Some(if e.code.is_some() { Err(e.to_io()) } else { Ok(()) }),
                other => all.extend(change(other)),
            })?;
            if let Some(end) = end {
                return end.map(|()| all);
            }
        }
    }
}

/// `EEXIST` is what was asked for.
fn there_already<T>(result: io::Result<T>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map(drop),
    }
}

/// Each message of a datagram, with the port of the socket that has caused it.
fn messages(bytes: &[u8], mut each: impl FnMut(NetlinkPayload<RouteNetlinkMessage>, u32)) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = rest.first_chunk::<4>().map_or(0, |l| u32::from_ne_bytes(*l) as usize);
        let message = rest.get(..length).filter(|m| m.len() >= 16).ok_or(io::ErrorKind::InvalidData)?;
        // What this library cannot read (kinds of interfaces it does not know) is nothing that matters here.
        if let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(message) {
            each(message.payload, message.header.port_number);
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(())
}

fn change(payload: NetlinkPayload<RouteNetlinkMessage>) -> Option<Change> {
    let NetlinkPayload::InnerMessage(message) = payload else { return None };
    match message {
        RouteNetlinkMessage::NewLink(message) => Some(link::change(message)),
        RouteNetlinkMessage::DelLink(message) => Some(Change::LinkGone { index: message.header.index }),
        RouteNetlinkMessage::NewAddress(m) => address::change(&m, false),
        RouteNetlinkMessage::DelAddress(m) => address::change(&m, true),
        RouteNetlinkMessage::DelRoute(m) => route::gone(&m),
        RouteNetlinkMessage::DelRule(m) => rule::gone(&m),
        _ => None,
    }
}

/// The index of an interface.
fn device(names: &HashMap<String, u32>, name: &str) -> io::Result<u32> {
    names.get(name).copied().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("there is no interface {name}")))
}
