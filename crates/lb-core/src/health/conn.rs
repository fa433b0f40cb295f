//! One check's connection, from the first action to the verdict. Called by the watch of each server.
//!
//! Holds: a check has one descriptor at most and, while there are bytes to read, one buffer; when the run ends, it has none.

use super::Checked;
use lb_check::{Action, Check, Destination, Event, SystemError, Verdict, World};
use lb_config::SendProxy;
use lb_http::proxy::{self, Endpoints};
use lb_rt::{Meter, Rt, Socket};
use lb_sys::Addr;
use lb_sys::socket::SockOpt;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

/// What says what happens over a connection.
pub(super) trait Machine {
    fn handle(&mut self, now: Instant, event: Event<'_>, out: &mut Vec<Action>);
    fn deadline(&self) -> Option<Instant>;
}

/// A script, and whom it asks for what it does not know.
pub(super) struct Scripted<'a> {
    pub check: &'a mut Check,
    pub world: &'a dyn World,
}

impl Machine for Scripted<'_> {
    fn handle(&mut self, now: Instant, event: Event<'_>, out: &mut Vec<Action>) {
        self.check.handle(now, event, self.world, out);
    }

    fn deadline(&self) -> Option<Instant> {
        self.check.deadline()
    }
}

/// One check from start to end. `wire` counts what goes over its connections.
pub(super) async fn run(rt: &Rt, machine: &mut dyn Machine, checked: &Checked, wire: Option<&Arc<Meter>>) -> Verdict {
    let mut actions = Vec::new();
    let mut conn = Conn::default();
    machine.handle(rt.now(), Event::Start, &mut actions);
    loop {
        let mut failed = None;
        for action in std::mem::take(&mut actions) {
            match action {
                Action::Connect(to) => failed = conn.open(rt, checked, &to, wire).err(),
                Action::Send(bytes) => {
                    conn.unsent.extend_from_slice(&bytes);
                    conn.sending = true;
                }
                Action::Done(verdict) => return verdict,
                Action::Close { cleanly } => conn.close(cleanly),
                // An action of a later version of lb-check: the check then ends at its deadline.
                _ => {}
            }
        }
        if let Some(e) = failed {
            let error = SystemError::from(&e);
            let event = match checked.from {
                Some(_) if e.kind() == io::ErrorKind::AddrNotAvailable => Event::CannotBind(error),
                _ => Event::CannotConnect(error),
            };
            machine.handle(rt.now(), event, &mut actions);
            continue;
        }
        poll_fn(|_| conn.poll(rt, machine, &mut actions)).await;
    }
}

/// A check's connection.
#[derive(Default)]
struct Conn {
    socket: Option<Socket>,
    to: Option<Addr>,
    /// The PROXY header that comes first.
    greeting: Option<SendProxy>,
    stage: Stage,
    unsent: Vec<u8>,
    /// The machine wants to know when all is sent.
    sending: bool,
    /// The other side has closed, and the machine knows.
    ended: bool,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Connecting,
    /// The PROXY header goes out; for the check the connection does not stand yet.
    Greeting,
    Standing,
}

impl Conn {
    fn open(&mut self, rt: &Rt, checked: &Checked, destination: &Destination, wire: Option<&Arc<Meter>>) -> io::Result<()> {
        if destination.tls.is_some() {
            // Refused when the configuration is read.
            return Err(io::ErrorKind::Unsupported.into());
        }
        let to = redirected(checked.target(), destination);
        let server = &checked.server().settings;
        let greeting = match (destination.own, destination.send_proxy) {
            (_, true) => Some(server.send_proxy.clone().unwrap_or(SendProxy::V1)),
            (true, false) => checked.greeting.clone(),
            (false, false) => None,
        };
        // Who speaks first is told at once that the connection stands.
        let options: Vec<SockOpt>;
        let options = if destination.speaks_first {
            options = checked.options.iter().filter(|option| !matches!(option, SockOpt::QuickAck(_))).cloned().collect();
            &options
        } else {
            &checked.options
        };
        let mut socket = Socket::connect(rt, &to, checked.from.as_ref(), options)?;
        if let Some(wire) = wire {
            socket.set_meter(wire);
        }
        *self = Conn { socket: Some(socket), to: Some(to), greeting, ..Conn::default() };
        Ok(())
    }

    fn close(&mut self, cleanly: bool) {
        if let Some(socket) = self.socket.take()
            && !cleanly
            && !socket.hung_up()
        {
            socket.reset_on_close();
        }
    }

    /// Tells the machine the next thing that happens.
    fn poll(&mut self, rt: &Rt, machine: &mut dyn Machine, actions: &mut Vec<Action>) -> Poll<()> {
        let now = rt.now();
        match self.poll_event(rt, machine, actions) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => rt.poll_deadline(machine.deadline()).map(|()| machine.handle(now, Event::Timeout, actions)),
        }
    }

    fn poll_event(&mut self, rt: &Rt, machine: &mut dyn Machine, actions: &mut Vec<Action>) -> Poll<()> {
        let now = rt.now();
        let Some(socket) = &self.socket else { return Poll::Pending };
        if self.stage == Stage::Connecting {
            match socket.poll_connected() {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(e)) => {
                    machine.handle(now, Event::ConnectFailed(SystemError::from(&e)), actions);
                    return Poll::Ready(());
                }
                Poll::Ready(Ok(())) => {}
            }
            self.stage = Stage::Greeting;
            if let (Some(kind), Some(to)) = (&self.greeting, &self.to) {
                write_greeting(kind, socket, to, &mut self.unsent);
            }
        }
        while !self.unsent.is_empty() {
            match socket.poll_write(&self.unsent, false) {
                Poll::Pending => break,
                Poll::Ready(Ok(n)) => drop(self.unsent.drain(..n)),
                Poll::Ready(Err(e)) => {
                    machine.handle(now, Event::Failed(SystemError::from(&e)), actions);
                    return Poll::Ready(());
                }
            }
        }
        if self.stage == Stage::Greeting {
            if !self.unsent.is_empty() {
                return Poll::Pending;
            }
            self.stage = Stage::Standing;
            machine.handle(now, Event::Connected, actions);
            return Poll::Ready(());
        }
        if self.sending && self.unsent.is_empty() {
            self.sending = false;
            machine.handle(now, Event::Sent, actions);
            return Poll::Ready(());
        }
        if self.ended {
            // What is not sent yet may still be; else the deadline comes.
            return Poll::Pending;
        }
        match socket.poll_readable() {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(e)) => {
                machine.handle(now, Event::Failed(SystemError::from(&e)), actions);
                return Poll::Ready(());
            }
        }
        let mut buffer = rt.buffers().take();
        match socket.poll_read(buffer.spare()) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(0)) => {
                self.ended = true;
                machine.handle(now, Event::Eof, actions);
            }
            Poll::Ready(Ok(n)) => {
                buffer.commit(n);
                machine.handle(now, Event::Data(buffer.filled()), actions);
            }
            Poll::Ready(Err(e)) => machine.handle(now, Event::Failed(SystemError::from(&e)), actions),
        }
        Poll::Ready(())
    }
}

/// The same address with what a rule says of it.
fn redirected(to: Addr, destination: &Destination) -> Addr {
    match (to, destination.address, destination.port) {
        (Addr::Ip(ip), address, port) => Addr::Ip((address.unwrap_or(ip.ip()), port.unwrap_or(ip.port())).into()),
        (_, Some(address), port) => Addr::Ip((address, port.unwrap_or(0)).into()),
        (to, None, _) => to,
    }
}

/// As observed: version 1 names the ends of the check's own connection (a UNIX socket has none to name), version 2 says LOCAL.
fn write_greeting(kind: &SendProxy, socket: &Socket, to: &Addr, out: &mut Vec<u8>) {
    match kind {
        SendProxy::V1 => {
            let ends = match (socket.local_addr(), to) {
                (Ok(Addr::Ip(src)), Addr::Ip(dst)) if src.is_ipv4() == dst.is_ipv4() => Some(Endpoints::Inet { src, dst: *dst }),
                _ => None,
            };
            proxy::encode_v1(ends.as_ref(), out);
        }
        SendProxy::V2(options) => proxy::encode_v2(None, &[], options.crc32c, out),
    }
}
