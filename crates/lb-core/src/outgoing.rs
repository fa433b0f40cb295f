//! The PROXY header that a server gets before anything else (`send-proxy`, `send-proxy-v2`).

use crate::record::Record;
use lb_config::SendProxy;
use lb_http::proxy::{self, Endpoints};
use lb_sys::Addr;
use std::os::unix::ffi::OsStrExt;

fn path_of(addr: &Addr) -> Vec<u8> {
    match addr {
        Addr::Unix(path) => path.as_os_str().as_bytes().to_vec(),
        _ => Vec::new(),
    }
}

/// The ends of the client's connection, as rules have them; `None` when they do not fit one family.
fn endpoints(record: &Record) -> Option<Endpoints> {
    match (&*record.peer(), &*record.local()?) {
        (Addr::Ip(src), Addr::Ip(dst)) if src.is_ipv4() == dst.is_ipv4() => Some(Endpoints::Inet { src: *src, dst: *dst }),
        (src, dst) if src.is_unix() && dst.is_unix() => Some(Endpoints::Unix { src: path_of(src), dst: path_of(dst) }),
        _ => None,
    }
}

/// Appends the header that the server wants for a connection made for the stream of `record`.
pub fn write_proxy_header(kind: &SendProxy, record: &mut Record, out: &mut Vec<u8>) {
    let endpoints = endpoints(record);
    match kind {
        SendProxy::V1 => proxy::encode_v1(endpoints.as_ref(), out),
        SendProxy::V2(options) => {
            // Without unique-id-format the id is empty, and is sent so.
            let id = options.unique_id.then(|| proxy::Tlv::UniqueId(record.unique_id()));
            proxy::encode_v2(endpoints.as_ref(), id.as_slice(), options.crc32c, out);
        }
    }
}
