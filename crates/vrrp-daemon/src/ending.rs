//! What threads have to finish before the program may end.

use std::convert::Infallible;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// Held by a thread for as long as it has something to finish; clones count like the first.
#[derive(Clone)]
pub struct Unfinished {
    /// Nothing is ever sent: that all have gone is the word.
    _held: Sender<Infallible>,
}

/// Waits for those who hold an [`Unfinished`].
pub struct Ending(Receiver<Infallible>);

/// What is held, and what waits for it.
pub fn ending() -> (Unfinished, Ending) {
    let (_held, gone) = channel();
    (Unfinished { _held }, Ending(gone))
}

impl Ending {
    /// Comes back when nobody holds any more, or after `patience`.
    pub fn wait(self, patience: Duration) {
        let _ = self.0.recv_timeout(patience);
    }
}
