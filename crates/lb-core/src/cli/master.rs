//! The master of this process as a client: its connections come as descriptors, one a message, through a socket that nobody else has.
//! Called by mod.rs.

use super::{Cli, Session, serve as serve_client};
use crate::worker::Worker;
use lb_config::{CliLevel, SeverityOutput};
use lb_rt::Socket;
use lb_sys::process::set_nonblocking;
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// The socket to the master.
pub(super) struct Master {
    pub fd: OwnedFd,
    /// Called when the master has gone.
    pub gone: Gone,
}

/// What is done when the master has gone.
pub(super) type Gone = Box<dyn FnOnce(&Rc<Worker>) + Send>;

/// Serves the master until it has gone.
pub(super) async fn serve(worker: Rc<Worker>, cli: Rc<Cli>, master: Master) {
    if let Err(e) = set_nonblocking(&master.fd) {
        return worker.process.report(&format!("cannot listen to the master: {e}"));
    }
    let socket = Socket::from_fd(&worker.rt, master.fd);
    loop {
        let mut word = [0; 2];
        let Ok((n, fds)) = poll_fn(|_| socket.poll_receive_fds(&mut word)).await else { break };
        for fd in fds {
            if set_nonblocking(&fd).is_ok() {
                // haproxy's masters always send 0.
                let level = match word[0] {
                    0 => CliLevel::Admin,
                    1 => CliLevel::Operator,
                    _ => CliLevel::User,
                };
                let session = Session {
                    level,
                    severity: SeverityOutput::None,
                    exposes: true,
                    asker: worker.process.askers.enter(),
                    interactive: false,
                    timeout: cli.timeout,
                };
                let client = Rc::new(Socket::from_fd(&worker.rt, fd));
                worker.rt.spawn(serve_client(worker.clone(), cli.clone(), client, session, [None, None]));
            }
        }
        if n == 0 {
            break;
        }
    }
    (master.gone)(&worker);
}
