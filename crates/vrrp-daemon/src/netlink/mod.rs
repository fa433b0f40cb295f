//! Interfaces and addresses, asked of the kernel and changed by netlink.

mod address;
mod link;

use crate::conf::model::AddressConf;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteScope, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

/// Groups of the kernel's announcements: links, addresses of either family.
const GROUPS: [u32; 3] = [1, 5, 9];

/// A route, as it is put in place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Route {
    /// The network.
    pub to: IpAddr,
    /// Its prefix.
    pub prefix: u8,
    /// The router.
    pub via: Option<IpAddr>,
    /// The index of the interface.
    pub interface: Option<u32>,
    /// The address that connections of our own come from.
    pub src: Option<IpAddr>,
    /// The table.
    pub table: u32,
    /// The metric.
    pub metric: Option<u32>,
    /// As the kernel numbers scopes.
    pub scope: u8,
}

/// Who has made a route, in the kernel's numbers: keepalived.
const ROUTE_PROTOCOL: u8 = 18;

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
    sequence: u32,
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
        Ok(Netlink { announcements, commands, sequence: 0 })
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
        let mut changes = Vec::new();
        loop {
            match self.announcements.recv_from_full() {
                Ok((bytes, _)) => drop(messages(&bytes, |payload| changes.extend(change(payload)))),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Some(changes),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
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

    /// Puts a route in place.
    ///
    /// # Errors
    /// The kernel's: `ENETUNREACH` when its router is not in reach.
    pub fn add_route(&mut self, route: &Route) -> io::Result<()> {
        self.ask(RouteNetlinkMessage::NewRoute(route_message(route)), NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE).map(drop)
    }

    /// Takes a route away; one that is not there is no error.
    ///
    /// # Errors
    /// The kernel's.
    pub fn remove_route(&mut self, route: &Route) -> io::Result<()> {
        match self.ask(RouteNetlinkMessage::DelRoute(route_message(route)), NLM_F_ACK) {
            // ESRCH, ENODEV: it went with its address or interface.
            Err(e) if matches!(e.raw_os_error(), Some(3 | 19)) => Ok(()),
            other => other.map(drop),
        }
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
            messages(&bytes, |payload| match payload {
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

/// Each message of a datagram.
fn messages(bytes: &[u8], mut each: impl FnMut(NetlinkPayload<RouteNetlinkMessage>)) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = rest.first_chunk::<4>().map_or(0, |l| u32::from_ne_bytes(*l) as usize);
        let message = rest.get(..length).filter(|m| m.len() >= 16).ok_or(io::ErrorKind::InvalidData)?;
        // What this library cannot read (kinds of interfaces it does not know) is nothing that matters here.
        if let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(message) {
            each(message.payload);
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
        _ => None,
    }
}

fn route_message(route: &Route) -> RouteMessage {
    let address = |ip| match ip {
        IpAddr::V4(v4) => RouteAddress::Inet(v4),
        IpAddr::V6(v6) => RouteAddress::Inet6(v6),
    };
    let mut message = RouteMessage::default();
    message.header.address_family = if route.to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.destination_prefix_length = route.prefix;
    message.header.table = u8::try_from(route.table).unwrap_or(0);
    message.header.protocol = ROUTE_PROTOCOL.into();
    message.header.scope = RouteScope::from(route.scope);
    message.header.kind = RouteType::Unicast;
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Table(route.table));
    if route.prefix > 0 {
        attributes.push(RouteAttribute::Destination(address(route.to)));
    }
    attributes.extend(route.via.map(|via| RouteAttribute::Gateway(address(via))));
    attributes.extend(route.src.map(|src| RouteAttribute::PrefSource(address(src))));
    attributes.extend(route.interface.map(RouteAttribute::Oif));
    attributes.extend(route.metric.map(RouteAttribute::Priority));
    message
}
