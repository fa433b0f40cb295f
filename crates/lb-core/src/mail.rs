//! Mails about the states of servers (`email-alert`): a queue for each mail server of a backend, and a task that empties it. Written by
//! health/effects.rs, driven by the first thread.
//!
//! Holds: nobody waits for a mail. A queue has at most [`QUEUE`] of them, what comes beyond is lost and told once; each mail is tried once,
//! within `timeout mail`, as haproxy does. They go on through a soft stop.

use crate::health::lock;
use crate::worker::{Process, Worker};
use lb_check::mail::{Dialogue, Mail, Step};
use lb_config::{EmailAlert, Level};
use lb_expr::Timestamp;
use lb_rt::{Remote, Rt, Socket, TaskKey};
use lb_sys::Addr;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Poll;
use std::time::Instant;

/// Mails that wait for one server of a backend at most.
pub(crate) const QUEUE: usize = 1000;

/// The mails of a backend.
pub(crate) struct Alerts {
    settings: EmailAlert,
    mailers: Vec<Arc<Mailer>>,
}

/// One mail server of a backend.
struct Mailer {
    /// Section and name.
    name: String,
    to: Addr,
    queue: Mutex<VecDeque<Mail>>,
    sender: OnceLock<(Remote, TaskKey)>,
    /// The last mail did not get through, or was lost; it has been told.
    fails: AtomicBool,
}

impl Alerts {
    pub fn new(settings: &EmailAlert) -> Alerts {
        let mailer = |mailer: &lb_config::Mailer| {
            Arc::new(Mailer {
                name: format!("{}/{}", settings.mailers.name, mailer.name),
                to: Addr::Ip(mailer.address),
                queue: Mutex::default(),
                sender: OnceLock::new(),
                fails: AtomicBool::new(false),
            })
        };
        Alerts { settings: settings.clone(), mailers: settings.mailers.mailers.iter().map(mailer).collect() }
    }

    /// Sends a line, if it matters enough.
    pub fn send(&self, process: &Process, level: Level, at: Timestamp, text: &str) {
        if level > self.settings.level {
            return;
        }
        let mail = Mail {
            from: self.settings.from.clone(),
            to: self.settings.to.clone(),
            date: lb_sys::localtime::written(at.unix_secs, c"%a, %d %b %Y %T %z (%Z)"),
            text: text.to_owned(),
        };
        for mailer in &self.mailers {
            let mut queue = lock(&mailer.queue);
            if queue.len() >= QUEUE {
                drop(queue);
                mailer.failed(process, &format!("{QUEUE} mails wait already, further ones are lost"));
                continue;
            }
            queue.push_back(mail.clone());
            drop(queue);
            if let Some((remote, task)) = mailer.sender.get() {
                remote.wake(*task);
            }
        }
    }
}

impl Mailer {
    /// Told when it begins only: there may be many mails.
    fn failed(&self, process: &Process, why: &str) {
        if !self.fails.swap(true, Ordering::Relaxed) {
            process.report(&format!("mailer {}: alerts do not get through: {why}.", self.name));
        }
    }
}

/// Begins to send what backends have to say; in the first thread.
pub(crate) fn start(worker: &Rc<Worker>) {
    for backend in &worker.process.topology.backends {
        let Some(alerts) = &backend.alerts else { continue };
        let hello: Rc<str> = alerts.settings.hostname.as_deref().unwrap_or(&worker.process.host_name).into();
        for mailer in &alerts.mailers {
            worker.rt.spawn(deliver(worker.clone(), mailer.clone(), hello.clone(), alerts.settings.mailers.timeout));
        }
    }
}

/// Empties one queue, for ever.
async fn deliver(worker: Rc<Worker>, mailer: Arc<Mailer>, hello: Rc<str>, timeout: std::time::Duration) {
    let rt = &worker.rt;
    let _ = mailer.sender.set((rt.remote().clone(), rt.current()));
    loop {
        let mail = poll_fn(|_| lock(&mailer.queue).pop_front().map_or(Poll::Pending, Poll::Ready)).await;
        rt.progress();
        match exchange(rt, &mailer.to, Dialogue::new(&hello, &mail), rt.now() + timeout).await {
            Ok(()) => mailer.fails.store(false, Ordering::Relaxed),
            Err(e) => mailer.failed(&worker.process, &e.to_string()),
        }
        rt.progress();
    }
}

/// One mail over a connection of its own.
async fn exchange(rt: &Rt, to: &Addr, mut dialogue: Dialogue, deadline: Instant) -> io::Result<()> {
    let socket = Socket::connect(rt, to, None, &[])?;
    let late = || rt.poll_deadline(Some(deadline)).map(|()| Err(io::ErrorKind::TimedOut.into()));
    poll_fn(|_| match socket.poll_connected() {
        Poll::Pending => late(),
        connected => connected,
    })
    .await?;
    let mut unsent: Vec<u8> = Vec::new();
    poll_fn(|_| {
        loop {
            while !unsent.is_empty() {
                match socket.poll_write(&unsent, false) {
                    Poll::Pending => return late(),
                    Poll::Ready(Ok(n)) => drop(unsent.drain(..n)),
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                }
            }
            let mut buffer = rt.buffers().take();
            let step = match socket.poll_read(buffer.spare()) {
                Poll::Pending => return late(),
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Poll::Ready(Ok(n)) => {
                    buffer.commit(n);
                    dialogue.data(buffer.filled())
                }
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
            };
            match step {
                Step::Wait => {}
                Step::Send(text) => unsent.extend_from_slice(text.as_bytes()),
                Step::Done => return Poll::Ready(Ok(())),
                Step::Refused(words) => return Poll::Ready(Err(io::Error::other(format!("the server says '{words}'")))),
            }
        }
    })
    .await
}
