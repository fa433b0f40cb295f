//! Eyes and hands on the wire between the hosts.
#![allow(clippy::disallowed_methods)] // What passes within a time, and when.
#![allow(dead_code, reason = "each test file uses a part")]

use super::Net;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockAddr, Socket, Type};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Where adverts go.
pub const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

fn patient(socket: Socket) -> Socket {
    socket.set_recv_buffer_size(16 << 20).expect("a buffer");
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a time");
    socket
}

fn read(socket: &Socket, time: Duration, mut each: impl FnMut(&[u8])) {
    let end = Instant::now() + time;
    let mut buffer = [0; 2048];
    while Instant::now() < end {
        if let Ok(length) = { socket }.read(&mut buffer) {
            each(&buffer[..length]);
        }
    }
}

/// Hears adverts of IPv4 on the first bridge.
pub struct Ear(Socket);

impl Ear {
    pub fn of(net: &Net) -> Ear {
        let index = net.says("s", "cat /sys/class/net/br0/ifindex").trim().parse().expect("a number");
        Ear(net.within("s", move || {
            let socket = Socket::new_raw(Domain::IPV4, Type::RAW, Some(Protocol::from(112))).expect("a raw socket");
            let on = InterfaceIndexOrAddress::Index(index);
            socket.join_multicast_v4_n(&GROUP, &on).expect("a group");
            patient(socket)
        }))
    }

    /// The adverts that pass for so long: the last byte of the sender, id, priority.
    pub fn listen(&self, time: Duration, mut each: impl FnMut(u8, u8, u8)) {
        read(&self.0, time, |bytes| {
            if bytes.len() >= 28 {
                each(bytes[15], bytes[21], bytes[22]);
            }
        });
    }
}

/// How often a frame is seen: at the port that it comes in at, at the bridge, at the port that it goes out at.
pub const SIGHTS: usize = 3;

/// Sees gratuitous ARP on the bridges.
pub struct Eye(Socket);

impl Eye {
    pub fn of(net: &Net) -> Eye {
        Eye(net.within("s", || {
            let protocol = Protocol::from(i32::from(0x0806u16.to_be()));
            patient(Socket::new_raw(Domain::PACKET, Type::RAW, Some(protocol)).expect("a packet socket"))
        }))
    }

    /// How many announcements of an address pass for so long; each counts [`SIGHTS`] times at most.
    pub fn watch(&self, time: Duration, address: [u8; 4]) -> usize {
        let mut count = 0;
        read(&self.0, time, |frame| count += usize::from(frame.len() >= 42 && frame[28..32] == address && frame[38..42] == address));
        count
    }
}

/// A raw socket for whole IPv4 datagrams on an interface of a host.
pub fn hand(net: &Net, host: &str, interface: &'static str) -> Socket {
    net.within(host, move || {
        let socket = Socket::new_raw(Domain::IPV4, Type::RAW, Some(Protocol::from(112))).expect("a raw socket");
        socket.bind_device(Some(interface.as_bytes())).expect("an interface");
        socket.set_header_included_v4(true).expect("own headers");
        socket
    })
}

/// Sends a datagram to the group.
pub fn send(socket: &Socket, datagram: &[u8]) {
    let to = SockAddr::from(SocketAddrV4::new(GROUP, 0));
    // The kernel refuses some of what hostile hosts send; then it is not sent.
    let _ = socket.send_to(datagram, &to);
}

/// A client that asks an address again and again: when it was answered.
pub struct Client {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Instant>>,
}

impl Client {
    /// In the network of the bridges, which has 10.9.0.9.
    pub fn of(net: &Net, address: &str) -> Client {
        let stop = Arc::new(AtomicBool::new(false));
        let (ended, to) = (stop.clone(), format!("{address}:9"));
        let socket = net.within("s", move || {
            let socket = UdpSocket::bind("10.9.0.9:0").expect("a socket");
            socket.connect(to).expect("a route");
            socket.set_read_timeout(Some(Duration::from_millis(5))).expect("a time");
            socket
        });
        let thread = std::thread::spawn(move || {
            let mut answers = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                // Nobody listens there: a host that has the address refuses.
                let refused = |r: std::io::Result<usize>| r.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionRefused);
                if refused(socket.send(b"x")) || refused(socket.recv(&mut [0])) {
                    answers.push(Instant::now());
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            answers
        });
        Client { stop, thread }
    }

    /// The longest time between two answers.
    pub fn longest_gap(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        let answers = self.thread.join().expect("it does not panic");
        assert!(answers.len() > 10, "it was answered");
        answers.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }
}
