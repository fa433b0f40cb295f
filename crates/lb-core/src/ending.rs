//! Ends streams for a reason that is none of theirs: an operator's word, or the state of their server. Called by cli/sess.rs and health/.

use crate::client::Client;
use crate::worker::{Process, Worker};
use lb_balance::ServerId;
use lb_expr::Cause;
use std::rc::Rc;

/// Ends a stream: one in mode tcp at once, one in mode http where it waits next, so that its client gets an answer.
pub(crate) fn end(worker: &Rc<Worker>, client: &Rc<Client>, cause: Cause) {
    client.killed.set(Some(cause));
    let Some(task) = worker.clients.task(client) else { return };
    if client.serves_http() {
        worker.rt.wake(task);
    } else {
        worker.rt.kill(task);
    }
}

/// Ends all streams of this thread.
pub(crate) fn end_all(worker: &Rc<Worker>, cause: Cause) {
    worker.clients.all().iter().filter(|client| client.stream.get() != 0).for_each(|client| end(worker, client, cause));
}

/// Ends all streams of this thread that a server has; `backend`: by its index.
pub(crate) fn end_at(worker: &Rc<Worker>, backend: usize, server: ServerId, cause: Cause) {
    let at_it = |c: &&Rc<Client>| c.stream.get() != 0 && c.place_of_stream() == (Some(backend), Some(server.0));
    worker.clients.all().iter().filter(at_it).for_each(|client| end(worker, client, cause));
}

/// Ends all streams that some servers of a backend have, in all threads.
pub(crate) fn end_everywhere(process: &Process, backend: usize, servers: impl IntoIterator<Item = ServerId>, cause: Cause) {
    let servers: Vec<ServerId> = servers.into_iter().collect();
    if !servers.is_empty() {
        process.everywhere(move |worker| servers.iter().for_each(|server| end_at(worker, backend, *server, cause)));
    }
}
