//! Words to the service manager (sd_notify(3)): one datagram to the socket that `NOTIFY_SOCKET` names.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Tells the service manager, if one wants to know; nothing depends on whether it hears.
pub fn notify(text: &str) {
    let Some(name) = std::env::var("NOTIFY_SOCKET").ok().filter(|name| !name.is_empty()) else { return };
    let Ok(socket) = UnixDatagram::unbound() else { return };
    let _ = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name).and_then(|addr| socket.send_to_addr(text.as_bytes(), &addr)),
        None => socket.send_to(text.as_bytes(), name),
    };
}
