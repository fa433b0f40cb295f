//! Notices a loop that is stuck: a task that does not come back. The tasks of a thread take turns by returning, so one that computes
//! without end holds up everything else in its thread, and nothing in the thread can tell: the timer of the thread's own processor
//! time interrupts it and looks where it is.
//!
//! Holds: what runs in the interruption only looks. It takes no lock, allocates nothing, and gives up where what it wants to see is
//! being changed.

use crate::TaskKey;
use lb_sys::watchdog::Watchdog;
use std::cell::Cell;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

/// What a loop is stuck in.
#[derive(Clone, Copy, Debug)]
pub struct Stuck {
    /// How many periods in a row it has been found in the same place, from 1.
    pub times: u32,
    /// The type of the task's future; `None`: the loop is between tasks, or it cannot be told now.
    pub task: Option<&'static str>,
    /// The turn of the loop.
    pub turn: u64,
}

/// Is told, in the thread that is stuck. It may interrupt anything: it must not allocate, not lock, not panic.
pub type Tell = fn(Stuck);

/// The process has one.
static TELL: OnceLock<Tell> = OnceLock::new();

/// Where the loop was last found, and how often in a row.
#[derive(Clone, Copy)]
struct Found {
    turn: u64,
    task: TaskKey,
    times: u32,
}

thread_local! {
    static FOUND: Cell<Found> = const { Cell::new(Found { turn: u64::MAX, task: TaskKey::NONE, times: 0 }) };
}

/// Watches the calling thread for as long as the result lives: tells `tell` when its loop has been in the same poll of the same task
/// over two looks, `every` of processor time apart, and again at each further look. The first `tell` of the process holds for all
/// threads.
///
/// # Errors
/// No timer is to be had.
pub fn watch(every: Duration, tell: Tell) -> io::Result<Watchdog> {
    TELL.get_or_init(|| tell);
    Watchdog::start(every, look)
}

fn look() {
    let Some((turn, task, name)) = crate::executor::glance() else { return };
    let _ = FOUND.try_with(|found| {
        let last = found.get();
        let same = last.turn == turn && last.task == task;
        let times = if same { last.times.saturating_add(1) } else { 0 };
        found.set(Found { turn, task, times });
        if times > 0
            && let Some(tell) = TELL.get()
        {
            tell(Stuck { times, task: name, turn });
        }
    });
}
