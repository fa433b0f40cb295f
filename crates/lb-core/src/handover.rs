//! Listening sockets that go from one process to the next, so that a connection that waits in one of them is lost to nobody: what
//! an old process has open ([`Old`]) serves the addresses of a new configuration that it fits, and [`give`] sends what this one has
//! open to whoever asks on a run-time socket, in the form that haproxy has for it.
//!
//! Holds: a socket serves one address; one that no address wants is closed.

use crate::worker::{Process, Worker};
use lb_config::{Bind, BindAddress, DgramBind, V6Mode};
use lb_rt::Socket;
use lb_sys::Addr;
use lb_sys::socket::{self, Kind, Listening, listening};
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

/// Descriptors that one message carries, as haproxy has it.
pub const FDS_PER_MESSAGE: usize = 252;

/// What the receiver of sockets sends to ask for them, on a line of its own.
pub const WORD: &str = "_getsocks";

/// Behind [`WORD`]: all sockets of each address are wanted. haproxy, which does not look at it, takes as many as its `shards` says and closes
/// the others, so it is given no more than that.
pub const ALL: &str = "all";

/// How long a handshake that has begun may take until its connection waits in a socket: from then on nothing arrives there any more.
const HANDSHAKES: Duration = Duration::from_secs(1);

/// How often the kernel is told meanwhile where new connections are to go.
const STEER_AGAIN: Duration = Duration::from_millis(20);

/// Bytes that stand for a socket in a message: lengths of the names of its name space and interface, and options.
pub const ENTRY: usize = 6;

/// How long a receiver may take over each message.
const PATIENCE: Duration = Duration::from_secs(5);

/// Listening sockets of the process before.
#[derive(Debug, Default)]
pub struct Old(Vec<(Listening, OwnedFd)>);

impl Old {
    /// Sorts out what listens; other descriptors are closed.
    pub fn new(fds: impl IntoIterator<Item = OwnedFd>) -> Old {
        Old(fds.into_iter().filter_map(|fd| Some((listening(fd.as_fd())?, fd))).collect())
    }

    /// Sockets that nobody has taken yet.
    pub fn left(&self) -> usize {
        self.0.len()
    }

    /// Takes all sockets that listen where a `bind` line wants to.
    pub(crate) fn take(&mut self, bind: &Bind, address: &BindAddress) -> Vec<OwnedFd> {
        let Some(wanted) = wanted(bind, address) else { return Vec::new() };
        self.matching(&wanted)
    }

    /// Takes all sockets that a `dgram-bind` address stands for: messages that wait in them are not lost.
    pub(crate) fn take_datagrams(&mut self, bind: &DgramBind) -> Vec<OwnedFd> {
        let addr = Addr::Ip(bind.address);
        self.matching(&Listening { addr, v6only: false, device: bind.interface.clone(), kind: Kind::Datagram })
    }

    fn matching(&mut self, wanted: &Listening) -> Vec<OwnedFd> {
        // A socket whose file is gone, or was replaced by one of a process that has ended since, can be reached by nobody any more.
        if let Addr::Unix(path) = &wanted.addr
            && !lb_sys::socket::is_bound(path)
        {
            return Vec::new();
        }
        let (fit, others) = std::mem::take(&mut self.0).into_iter().partition(|(listening, _)| fits(listening, wanted));
        self.0 = others;
        fit.into_iter().map(|(_, fd)| fd).collect()
    }
}

/// What a socket of an address listens on; `None`: no other one can stand for it.
fn wanted(bind: &Bind, address: &BindAddress) -> Option<Listening> {
    let addr = crate::proxy::bind_addr(address).filter(|addr| addr.ip().is_none_or(|ip| ip.port() != 0))?;
    let v6only = addr.ip().is_some_and(|ip| ip.is_ipv6()) && bind.family == V6Mode::V6Only;
    Some(Listening { addr, v6only, device: bind.interface.clone(), kind: Kind::Stream })
}

/// Whether a socket that is open listens where one is wanted.
fn fits(open: &Listening, wanted: &Listening) -> bool {
    let same = match (&open.addr, &wanted.addr) {
        (Addr::Unix(open), Addr::Unix(wanted)) => made_as(open) == **wanted,
        (Addr::Abstract(open), Addr::Abstract(wanted)) => trimmed(open) == trimmed(wanted),
        (Addr::Ip(open), Addr::Ip(wanted)) => open == wanted,
        _ => false,
    };
    let wildcard = wanted.addr.ip().is_some_and(|ip| ip.is_ipv6() && ip.ip().is_unspecified());
    same && open.kind == wanted.kind && open.device == wanted.device && (!wildcard || open.v6only == wanted.v6only)
}

/// The path of a socket that was made beside its place, as `<path>.<pid>.tmp`, and then moved there.
pub(crate) fn made_as(path: &Path) -> PathBuf {
    let text = path.as_os_str().to_str().unwrap_or_default();
    let plain = text.strip_suffix(".tmp").and_then(|text| text.rsplit_once('.'));
    match plain {
        Some((plain, pid)) if !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()) => plain.into(),
        _ => path.to_owned(),
    }
}

/// Names are often filled up with zero bytes.
fn trimmed(name: &[u8]) -> &[u8] {
    &name[..name.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1)]
}

/// What asks for the listening sockets; tells whether for all of each address.
pub(crate) fn asked(words: &[impl AsRef<str>]) -> Option<bool> {
    let mut words = words.iter().map(AsRef::as_ref);
    (words.next() == Some(WORD)).then(|| words.next() == Some(ALL))
}

/// Sends the listening sockets of the process, `all` of each address or as many as haproxy keeps: their number, then messages of
/// [`FDS_PER_MESSAGE`] at most, each followed by a word of the receiver.
///
/// # Errors
/// The peer has gone or is too slow, or the socket is none that carries descriptors.
pub(crate) async fn give(worker: &Worker, socket: &Socket, all: bool) -> io::Result<()> {
    // A copy: the lock is not held while the peer reads.
    let fds = {
        let exposed = worker.process.exposed();
        let wanted = exposed.iter().filter(|exposed| all || !exposed.spare);
        wanted.map(|exposed| exposed.fd.try_clone()).collect::<io::Result<Vec<_>>>()?
    };
    // The last one that asks is the one that stays.
    worker.process.spares_stay.store(!all, Ordering::Relaxed);
    let count = u32::try_from(fds.len()).unwrap_or(u32::MAX);
    timely(worker, || socket.poll_write(&count.to_ne_bytes(), false)).await?;
    let mut batches = fds.chunks(FDS_PER_MESSAGE).peekable();
    while let Some(batch) = batches.next() {
        let borrowed: Vec<BorrowedFd<'_>> = batch.iter().map(AsFd::as_fd).collect();
        let entries = entries(batch);
        // UNIX sockets take a message of this size whole or not at all.
        let sent = timely(worker, || socket.poll_send_fds(&entries, &borrowed)).await?;
        if sent < entries.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        if batches.peek().is_some() {
            let mut word = [0; 4];
            if timely(worker, || socket.poll_read(&mut word)).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
    Ok(())
}

/// Closes the duplicates for other processes. Who has come to a run-time socket of this process before may be the one that follows, since the process
/// that serves now may wait at the same socket: it is given the time to ask.
pub(crate) async fn let_go(worker: Rc<Worker>) {
    let (process, rt) = (&worker.process, &worker.rt);
    let deadline = Some(rt.now() + PATIENCE);
    poll_fn(|_| {
        rt.progress();
        if process.askers.is_empty_or_wait(rt.remote(), rt.current()) { Poll::Ready(()) } else { rt.poll_deadline(deadline) }
    })
    .await;
    process.exposed().clear();
}

/// Begins a soft stop ([`Process::stop_softly`]). Where the process after this one has not taken all sockets, what would arrive in the others is
/// seen to first: new connections are sent to the one that is kept, and this process goes on until those that were under way are here.
pub async fn stop_softly(worker: &Worker) {
    let (process, rt) = (&worker.process, &worker.rt);
    let steered = if process.spares_stay.load(Ordering::Relaxed) { firsts(process) } else { Vec::new() };
    if steered.is_empty() {
        return process.stop_softly();
    }
    let until = rt.now() + HANDSHAKES;
    while rt.now() < until {
        // Time and again: where processes follow each other faster than this, the end of one that steers ends it for all.
        for fd in &steered {
            let _ = socket::steer_to_first(fd.as_fd());
        }
        rt.progress();
        rt.sleep(STEER_AGAIN).await;
    }
    process.stop_softly();
    poll_fn(|_| {
        rt.progress();
        if process.accepts_nothing(rt) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    for fd in steered {
        let _ = socket::steer_no_more(fd.as_fd());
    }
}

/// A socket that is kept of each address of which others are not.
fn firsts(process: &Process) -> Vec<OwnedFd> {
    let exposed = process.exposed();
    let firsts = exposed.windows(2).filter(|pair| !pair[0].spare && pair[1].spare);
    // One that cannot be duplicated is as if nobody had tried.
    firsts.filter_map(|pair| pair[0].fd.try_clone().ok()).collect()
}

/// What stands beside the descriptors: for each the name of its name space, of its interface, and options (which a receiver finds
/// out by itself).
fn entries(fds: &[OwnedFd]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(fds.len() * ENTRY);
    for fd in fds {
        let device = listening(fd.as_fd()).and_then(|l| l.device).unwrap_or_default();
        bytes.push(0);
        bytes.push(u8::try_from(device.len()).unwrap_or(0));
        bytes.extend_from_slice(device.as_bytes());
        bytes.extend_from_slice(&[0; 4]);
    }
    bytes
}

async fn timely<T>(worker: &Worker, mut poll: impl FnMut() -> Poll<io::Result<T>>) -> io::Result<T> {
    let deadline = Some(worker.rt.now() + PATIENCE);
    poll_fn(|_| match poll() {
        Poll::Pending => worker.rt.poll_deadline(deadline).map(|()| Err(io::ErrorKind::TimedOut.into())),
        ready => ready,
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(text: &str) -> Listening {
        Listening { addr: Addr::Ip(text.parse().unwrap()), v6only: false, device: None, kind: Kind::Stream }
    }

    fn unix(path: &str) -> Listening {
        Listening { addr: Addr::unix(path), v6only: false, device: None, kind: Kind::Stream }
    }

    #[test]
    fn what_fits() {
        assert!(fits(&tcp("127.0.0.1:80"), &tcp("127.0.0.1:80")));
        assert!(!fits(&tcp("127.0.0.1:80"), &tcp("127.0.0.1:81")));
        let udp = Listening { kind: Kind::Datagram, ..tcp("127.0.0.1:80") };
        assert!(!fits(&tcp("127.0.0.1:80"), &udp) && !fits(&udp, &tcp("127.0.0.1:80")) && fits(&udp, &udp.clone()));
        assert!(!fits(&tcp("0.0.0.0:80"), &tcp("[::]:80")));
        let only = Listening { v6only: true, ..tcp("[::]:80") };
        assert!(!fits(&only, &tcp("[::]:80")) && fits(&only, &only.clone()));
        // Of a single address the option says nothing.
        assert!(fits(&Listening { v6only: true, ..tcp("[::1]:80") }, &tcp("[::1]:80")));
        let lo = Listening { device: Some("lo".into()), ..tcp("127.0.0.1:80") };
        assert!(!fits(&lo, &tcp("127.0.0.1:80")) && fits(&lo, &lo.clone()));
        assert!(fits(&unix("/run/a.sock.123.tmp"), &unix("/run/a.sock")));
        assert!(fits(&unix("/run/a.sock"), &unix("/run/a.sock")));
        assert!(!fits(&unix("/run/a.sock.x.tmp"), &unix("/run/a.sock")));
        let name = |bytes: &[u8]| Listening { addr: Addr::Abstract(bytes.into()), v6only: false, device: None, kind: Kind::Stream };
        assert!(fits(&name(b"x\0\0"), &name(b"x")) && !fits(&name(b"xy"), &name(b"x")));
    }

    #[test]
    fn sockets_are_sorted_out() {
        let any = Addr::Ip("127.0.0.1:0".parse().unwrap());
        let bind = lb_rt::Bind { options: vec![lb_sys::socket::SockOpt::ReusePort(true)], backlog: 1 };
        let first = bind.open(&any).unwrap();
        let addr = lb_sys::socket::local_addr(first.as_fd()).unwrap();
        let fds = [first, bind.open(&addr).unwrap(), bind.open(&any).unwrap(), std::fs::File::open("/dev/null").unwrap().into()];
        let mut old = Old::new(fds);
        assert_eq!(old.left(), 3);
        let address = BindAddress::Tcp(addr.ip().unwrap());
        assert_eq!(old.take(&Bind::default(), &address).len(), 2);
        assert_eq!(old.take(&Bind::default(), &address).len(), 0);
        assert_eq!(old.take(&Bind::default(), &BindAddress::Tcp("127.0.0.1:0".parse().unwrap())).len(), 0);
        assert_eq!(old.left(), 1);
    }
}
