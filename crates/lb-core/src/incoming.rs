//! The headers of balancers before us, which stand before the bytes of a connection: NetScaler's, then that of the PROXY protocol.
//! Called by session.rs and by log-forward.
//!
//! Holds: they take no longer than the limit given and no more than one buffer; what stands behind them stays in it.

use crate::record::Fault;
use lb_http::proxy::{Decoded, Endpoints, Netscaler, NetscalerError, ProxyError, Tlvs, decode_netscaler};
use lb_rt::{Buffer, Rt, Socket};
use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

/// Time for all headers where `timeout client` is not set.
const HEADERS: Duration = Duration::from_secs(10);

/// Which headers a `bind` line asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// `accept-netscaler-cip`: the magic number.
    pub netscaler_cip: Option<u32>,
    /// `accept-proxy`
    pub proxy: bool,
}

impl Wanted {
    /// True when there is a header to wait for.
    pub fn any(self) -> bool {
        self.proxy || self.netscaler_cip.is_some()
    }
}

/// What one header says.
pub struct Said<'a> {
    /// The ends of the connection; `None`: the real ones count.
    pub ends: Option<Endpoints>,
    /// Of the PROXY protocol: what it says beside that.
    pub extensions: Option<Tlvs<'a>>,
}

/// Reads the headers, in their order, into `input` and out of it again; `believe` is given what each of them says.
///
/// # Errors
/// What is wrong with one, in the words that haproxy logs.
pub async fn headers(
    rt: &Rt,
    socket: &Socket,
    input: &mut Buffer,
    limit: Option<Duration>,
    wanted: Wanted,
    mut believe: impl FnMut(Said<'_>),
) -> Result<(), Fault> {
    let deadline = rt.now() + limit.unwrap_or(HEADERS);
    let netscaler = wanted.netscaler_cip.map(Expected::Netscaler);
    let proxy = wanted.proxy.then_some(Expected::Proxy);
    for expected in [netscaler, proxy].into_iter().flatten() {
        header(rt, socket, input, deadline, &expected, &mut believe).await?;
    }
    Ok(())
}

/// A header that stands before the bytes of a connection.
enum Expected {
    Proxy,
    /// With its magic number.
    Netscaler(u32),
}

/// What is wrong when a header does not come, in the words that haproxy logs.
struct Missing {
    timeout: Fault,
    closed: Fault,
    truncated: Fault,
}

impl Expected {
    fn missing(&self) -> Missing {
        match self {
            Expected::Proxy => Missing {
                timeout: fault(13, "Timeout while waiting for PROXY protocol header"),
                closed: fault(11, "Connection closed while waiting for PROXY protocol header"),
                truncated: fault(14, "Truncated PROXY protocol header received"),
            },
            Expected::Netscaler(_) => Missing {
                timeout: fault(20, "Timeout while waiting for a NetScaler Client IP header"),
                closed: fault(18, "Connection closed while waiting for NetScaler Client IP header"),
                truncated: NETSCALER_TRUNCATED,
            },
        }
    }

    /// What the header says and its length; `None`: it is not complete.
    fn decode<'a>(&self, bytes: &'a [u8]) -> Result<Option<(Said<'a>, usize)>, Fault> {
        match self {
            Expected::Proxy => match lb_http::proxy::decode(bytes) {
                Ok(Decoded::Complete { header, consumed }) => {
                    Ok(Some((Said { ends: header.endpoints, extensions: Some(header.tlvs) }, consumed)))
                }
                Ok(Decoded::NeedMore) => Ok(None),
                Err(e) => Err(fault_text(e, bytes)),
            },
            Expected::Netscaler(magic) => match decode_netscaler(*magic, bytes) {
                Ok(Netscaler::Complete { src, dst, consumed }) => {
                    Ok(Some((Said { ends: Some(Endpoints::Inet { src, dst }), extensions: None }, consumed)))
                }
                Ok(Netscaler::NeedMore) => Ok(None),
                Err(NetscalerError::Magic) => Err(fault(22, "Received an invalid NetScaler Client IP magic number")),
                Err(NetscalerError::Protocol) => Err(fault(23, "Received an unhandled protocol in the NetScaler Client IP header")),
                Err(NetscalerError::Length) => Err(NETSCALER_TRUNCATED),
            },
        }
    }
}

const fn fault(code: u8, text: &'static str) -> Fault {
    Fault { code, text }
}

const NETSCALER_TRUNCATED: Fault = fault(21, "Truncated NetScaler Client IP header received");

/// Reads one header off the front of the connection, into `input` and out of it again.
async fn header(
    rt: &Rt,
    socket: &Socket,
    input: &mut Buffer,
    deadline: Instant,
    expected: &Expected,
    believe: &mut impl FnMut(Said<'_>),
) -> Result<(), Fault> {
    let missing = expected.missing();
    loop {
        if !input.is_empty()
            && let Some((said, consumed)) = expected.decode(input.filled())?
        {
            believe(said);
            input.consume(consumed);
            return Ok(());
        }
        if input.spare().is_empty() {
            input.compact();
        }
        if input.spare().is_empty() {
            return Err(fault(16, "Received an invalid PROXY protocol header"));
        }
        let read = poll_fn(|_| match socket.poll_read(input.spare()) {
            Poll::Ready(read) => Poll::Ready(Some(read)),
            Poll::Pending => rt.poll_deadline(Some(deadline)).map(|()| None),
        });
        match read.await {
            None if input.is_empty() => return Err(missing.timeout),
            Some(Ok(0)) | Some(Err(_)) if input.is_empty() => return Err(missing.closed),
            None | Some(Ok(0)) | Some(Err(_)) => return Err(missing.truncated),
            Some(Ok(n)) => input.commit(n),
        }
    }
}

/// A refused header in the words that haproxy logs.
fn fault_text(e: ProxyError, bytes: &[u8]) -> Fault {
    const FOREIGN: Fault = fault(15, "Received something which does not look like a PROXY protocol header");
    const VERSION_2: usize = 12;
    match e {
        ProxyError::NotProxy => FOREIGN,
        ProxyError::Command if bytes.get(VERSION_2).is_some_and(|b| b >> 4 != 2) => FOREIGN,
        ProxyError::MalformedV1 if !matches!(bytes.get(6..10), Some(b"TCP4" | b"TCP6" | b"UNKN")) && bytes.len() > 9 => {
            fault(17, "Received an unhandled protocol in the PROXY protocol header")
        }
        _ => fault(16, "Received an invalid PROXY protocol header"),
    }
}
