//! Mode http.

use crate::client::Client;
use lb_rt::{Buffer, Socket};
use std::rc::Rc;

/// Heads for reuse.
#[derive(Default)]
pub struct HeadPool;

/// Starts a session in mode http.
pub fn spawn(_client: Rc<Client>, _socket: Socket, _input: Option<Buffer>) {}
