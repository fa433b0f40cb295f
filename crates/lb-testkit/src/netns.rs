//! Network namespaces for tests that need hosts of their own: one namespace, joined to ours by a veth pair. Needs root.
//! Holds: namespace and pair are gone after drop.

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

/// A namespace with one end of a veth pair.
#[derive(Debug)]
pub struct Netns {
    name: String,
    outside: String,
    inside: String,
}

impl Netns {
    /// Makes a namespace and a veth pair; `outside_addr` and `inside_addr` ("10.200.1.1/24") are set on its two ends.
    pub fn new(outside_addr: &str, inside_addr: &str) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let id = format!("{:x}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let netns = Netns { name: format!("lb-test-{id}"), outside: format!("vo{id}"), inside: format!("vi{id}") };
        ip(&["netns", "add", &netns.name])?;
        // From here on the guard cleans up behind an error.
        ip(&["link", "add", &netns.outside, "type", "veth", "peer", "name", &netns.inside])?;
        ip(&["link", "set", &netns.inside, "netns", &netns.name])?;
        ip(&["addr", "add", outside_addr, "dev", &netns.outside])?;
        ip(&["link", "set", &netns.outside, "up"])?;
        netns.ip(&["addr", "add", inside_addr, "dev", &netns.inside])?;
        netns.ip(&["link", "set", &netns.inside, "up"])?;
        netns.ip(&["link", "set", "lo", "up"])?;
        Ok(netns)
    }

    /// As [`Netns::new`] with addresses of its own, which no test that runs beside takes: outside, inside, and a second one inside.
    /// `None` without root.
    pub fn anywhere() -> io::Result<Option<(Self, [Ipv4Addr; 3])>> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        // A network of eight addresses out of 10.128.0.0/9.
        let number = std::process::id().wrapping_mul(8).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) & 0xf_ffff;
        let address = |host: u32| Ipv4Addr::from(0x0a80_0000 | number << 3 | host);
        let [outside, inside, second] = [1, 2, 3].map(address);
        let netns = Netns::new(&format!("{outside}/29"), &format!("{inside}/29"))?;
        netns.ip(&["addr", "add", &format!("{second}/29"), "dev", &netns.inside])?;
        Ok(Some((netns, [outside, inside, second])))
    }

    /// Its name, for `ip netns exec`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The interface on our side.
    pub fn outside(&self) -> &str {
        &self.outside
    }

    /// The interface in the namespace.
    pub fn inside(&self) -> &str {
        &self.inside
    }

    /// Runs the `ip` command in the namespace.
    pub fn ip(&self, args: &[&str]) -> io::Result<()> {
        let mut all = vec!["-n", &self.name];
        all.extend(args);
        ip(&all)
    }

    /// A command that will run in the namespace.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs `work` on a new thread that stands in the namespace; sockets that it opens belong there wherever they go.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        let file = File::open(format!("/run/netns/{}", self.name))?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
                Ok(work())
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _ = ip(&["link", "del", &self.outside]);
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(args: &[&str]) -> io::Result<()> {
    let Output { status, stderr, .. } = Command::new("ip").args(args).output()?;
    if status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&stderr).trim())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn two_hosts_talk() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("not root: namespaces cannot be made here");
            return;
        }
        let net = Netns::new("10.254.77.1/30", "10.254.77.2/30").unwrap();
        let listener = net.enter(|| TcpListener::bind("10.254.77.2:0")).unwrap().unwrap();
        let addr = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || listener.accept().unwrap().0.write_all(b"hi").unwrap());
        let mut text = String::new();
        TcpStream::connect_timeout(&addr, crate::wait::patience()).unwrap().read_to_string(&mut text).unwrap();
        server.join().unwrap();
        assert_eq!(text, "hi");
        let name = net.name().to_owned();
        drop(net);
        assert!(!std::path::Path::new("/run/netns").join(name).exists());
    }
}
