//! One check's connection, from the first action to the verdict. Called by the watch of each server.
//!
//! Holds: a check has one descriptor at most and, while there are bytes to read, one buffer; when the run ends, it has none.

use super::{Checked, target};
use lb_check::{Action, Check, Event, SystemError, Verdict};
use lb_config::SendProxy;
use lb_http::proxy::{self, Endpoints};
use lb_rt::{Rt, Socket};
use lb_sys::Addr;
use std::future::poll_fn;
use std::io;
use std::task::Poll;

/// One check from start to end.
pub(super) async fn run(rt: &Rt, check: &mut Check, checked: &Checked) -> Verdict {
    let mut actions = Vec::new();
    let mut conn = Conn::default();
    check.handle(rt.now(), Event::Start, &mut actions);
    loop {
        let mut failed = None;
        for action in std::mem::take(&mut actions) {
            match action {
                Action::Connect => failed = conn.open(rt, checked).err(),
                Action::Send(bytes) => conn.unsent.extend_from_slice(&bytes),
                Action::Done(verdict) => return verdict,
                Action::Close => conn.close(),
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
            check.handle(rt.now(), event, &mut actions);
            continue;
        }
        poll_fn(|_| conn.poll(rt, check, checked, &mut actions)).await;
    }
}

/// A check's connection.
#[derive(Default)]
struct Conn {
    socket: Option<Socket>,
    to: Option<Addr>,
    stage: Stage,
    unsent: Vec<u8>,
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
    fn open(&mut self, rt: &Rt, checked: &Checked) -> io::Result<()> {
        let to = target(checked.server());
        let socket = Socket::connect(rt, &to, checked.from.as_ref(), &checked.options)?;
        *self = Conn { socket: Some(socket), to: Some(to), ..Conn::default() };
        Ok(())
    }

    fn close(&mut self) {
        if let Some(socket) = self.socket.take()
            && !socket.hung_up()
        {
            socket.reset_on_close();
        }
    }

    /// Tells `check` the next thing that happens.
    fn poll(&mut self, rt: &Rt, check: &mut Check, checked: &Checked, actions: &mut Vec<Action>) -> Poll<()> {
        let now = rt.now();
        match self.poll_event(rt, check, checked, actions) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => rt.poll_deadline(check.deadline()).map(|()| check.handle(now, Event::Timeout, actions)),
        }
    }

    fn poll_event(&mut self, rt: &Rt, check: &mut Check, checked: &Checked, actions: &mut Vec<Action>) -> Poll<()> {
        let now = rt.now();
        let Some(socket) = &self.socket else { return Poll::Pending };
        if self.stage == Stage::Connecting {
            match socket.poll_connected() {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(e)) => {
                    check.handle(now, Event::ConnectFailed(SystemError::from(&e)), actions);
                    return Poll::Ready(());
                }
                Poll::Ready(Ok(())) => {}
            }
            self.stage = Stage::Greeting;
            if let (Some(kind), Some(to)) = (&checked.greeting, &self.to) {
                write_greeting(kind, socket, to, &mut self.unsent);
            }
        }
        while !self.unsent.is_empty() {
            match socket.poll_write(&self.unsent, false) {
                Poll::Pending => break,
                Poll::Ready(Ok(n)) => drop(self.unsent.drain(..n)),
                Poll::Ready(Err(e)) => {
                    check.handle(now, Event::Failed(SystemError::from(&e)), actions);
                    return Poll::Ready(());
                }
            }
        }
        if self.stage == Stage::Greeting {
            if !self.unsent.is_empty() {
                return Poll::Pending;
            }
            self.stage = Stage::Standing;
            check.handle(now, Event::Connected, actions);
            return Poll::Ready(());
        }
        match socket.poll_readable() {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(e)) => {
                check.handle(now, Event::Failed(SystemError::from(&e)), actions);
                return Poll::Ready(());
            }
        }
        let mut buffer = rt.buffers().take();
        match socket.poll_read(buffer.spare()) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(0)) => check.handle(now, Event::Eof, actions),
            Poll::Ready(Ok(n)) => {
                buffer.commit(n);
                check.handle(now, Event::Data(buffer.filled()), actions);
            }
            Poll::Ready(Err(e)) => check.handle(now, Event::Failed(SystemError::from(&e)), actions),
        }
        Poll::Ready(())
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
