//! Listening sockets from an old process, before this one opens its own: over its run-time socket (`-x`), or, when only its number
//! is known (`-sf`, `-st`), by taking them out of it. Closing one of several sockets of an address resets what waits in it, so the
//! very same sockets have to be passed on.

use lb_config::CliLevel;
use lb_core::handover::{ALL, ENTRY, FDS_PER_MESSAGE, Old, WORD};
use lb_sys::fds::{self, ProcessFd};
use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long an old process may take over each step.
const PATIENCE: Duration = Duration::from_secs(2);

/// Sockets that an old process may pass on at most.
const MAX_SOCKETS: usize = 1 << 20;

/// `sockpair@<n>`: descriptor `n` is one end of a pair whose other end a worker has.
const PAIR: &str = "sockpair@";

/// Sockets of the process behind a run-time socket.
fn ask(mut stream: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{WORD} {ALL}\n").as_bytes())?;
    let mut count = [0; 4];
    stream.read_exact(&mut count)?;
    let count = u32::from_ne_bytes(count) as usize;
    // What does not expose its listeners answers with a text.
    if count > MAX_SOCKETS {
        return Err(io::Error::new(ErrorKind::InvalidData, "it does not pass on its listeners ('expose-fd listeners')"));
    }
    let mut all = Vec::new();
    // Names of interfaces and name spaces stand beside them, up to 255 bytes each.
    let mut text = vec![0; FDS_PER_MESSAGE * (ENTRY + 2 * 255)];
    while all.len() < count {
        let (n, fds) = fds::receive(stream.as_fd(), &mut text)?;
        if n == 0 || fds.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        all.extend(fds);
        // The last word finds nobody any more.
        let _ = stream.write_all(&[0; 4]);
    }
    Ok(all)
}

/// As [`ask`], of the process behind an address. One that is on its way out may still wait at the same socket as its successor: it goes
/// without an answer, or has nothing to give any more, and who asks again finds the other one.
fn ask_patiently(address: &str) -> io::Result<Vec<OwnedFd>> {
    let mut tries = 0;
    loop {
        let asked = connect(address).and_then(|stream| ask(&stream));
        let again = match &asked {
            Ok(fds) => fds.is_empty(),
            Err(e) => matches!(e.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        };
        if !again || tries == TRIES {
            return asked;
        }
        tries += 1;
        std::thread::sleep(PAUSE);
    }
}

/// How often, and after which pause, a process is asked that seems to be on its way out.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// A path, `unix@`, `abns@`, `sockpair@<descriptor>`.
fn connect(address: &str) -> io::Result<UnixStream> {
    if let Some(number) = address.strip_prefix(PAIR) {
        let number = number.parse().map_err(|_| ErrorKind::InvalidInput)?;
        return open_in_worker(lb_sys::process::inherited(number)?.as_fd(), CliLevel::Admin);
    }
    if let Some(name) = address.strip_prefix("abns@") {
        use std::os::linux::net::SocketAddrExt as _;
        return UnixStream::connect_addr(&std::os::unix::net::SocketAddr::from_abstract_name(name)?);
    }
    UnixStream::connect(address.strip_prefix("unix@").unwrap_or(address))
}

/// A connection to the run-time socket that a worker has for its master alone: the worker gets the other end.
///
/// # Errors
/// The worker has gone.
pub fn open_in_worker(worker: BorrowedFd<'_>, level: CliLevel) -> io::Result<UnixStream> {
    let (near, far) = fds::pair()?;
    // haproxy sends two zeros; the first one here is how far the rights are lowered.
    fds::send(worker, &[CliLevel::Admin as u8 - level as u8, 0], &[far.as_fd()])?;
    Ok(UnixStream::from(near))
}

/// Listening sockets taken out of a process: needs the right to trace it, which root has.
///
/// # Errors
/// There is no such process, or no such right.
pub fn take_from(pid: u32) -> io::Result<Vec<OwnedFd>> {
    let process = ProcessFd::open(pid)?;
    let (mut all, mut seen) = (Vec::new(), HashSet::new());
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let path = entry?.path();
        let number = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        // One that has been closed meanwhile is none of those looked for.
        let target = fs::read_link(&path).ok().filter(|target| target.as_os_str().as_encoded_bytes().starts_with(b"socket:"));
        let Some((number, socket)) = number.zip(target) else { continue };
        // A process that passes its sockets on has duplicates of them.
        if !seen.insert(socket) {
            continue;
        }
        match process.take(number) {
            Ok(fd) if lb_sys::socket::listening(fd.as_fd()).is_some() => all.push(fd),
            Ok(_) => {}
            Err(e) if e.raw_os_error() == Some(BAD_DESCRIPTOR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(all)
}

const BAD_DESCRIPTOR: i32 = 9;

/// Who has listening sockets to give.
#[derive(Debug, Default)]
pub enum From<'a> {
    /// Nobody is named.
    #[default]
    Nobody,
    /// The process with this run-time socket.
    Address(&'a str),
    /// The worker at the other end of a master's socket.
    Worker(OwnedFd),
}

/// Sockets for this run: of the process that `from` names, else of the processes `old`.
///
/// # Errors
/// An address was named and gives nothing.
pub fn gather(from: &From<'_>, old: &[u32]) -> Result<Old, String> {
    let given = match from {
        // haproxy's way to say that there is none.
        From::Nobody | From::Address("/dev/null") => None,
        From::Address(address) => {
            let asked = ask_patiently(address);
            Some(asked.map_err(|e| format!("cannot get the listening sockets of the old process from '{address}': {e}"))?)
        }
        // The sockets of one that has died meanwhile went with it.
        From::Worker(worker) => open_in_worker(worker.as_fd(), CliLevel::Admin).and_then(|stream| ask(&stream)).ok(),
    };
    if let Some(fds) = given {
        return Ok(Old::new(fds));
    }
    // Without the right to do it new sockets are opened beside the old ones.
    Ok(Old::new(old.iter().flat_map(|pid| take_from(*pid).unwrap_or_default())))
}
