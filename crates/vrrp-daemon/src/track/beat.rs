//! `linkbeat_interfaces`, `linkbeat_use_polling`: drivers are asked every second whether there is a link, for those that do not tell the
//! kernel by themselves.
//!
//! One thread asks for all interfaces, since an answer may wait for hardware. What the kernel announces counts at once all the same; a
//! driver that is asked can only say that there is no link where the kernel has heard of none missing.

use super::{Hold, Office, Woken, leash};
use crate::conf::links::Way;
use crate::inbox::Letter;
use lb_sys::link::Probe;
use std::collections::HashMap;
use std::io;
use std::time::Duration;

/// How often drivers are asked: as keepalived does.
pub const BEAT: Duration = Duration::from_secs(1);

/// The thread that asks. It ends when this is dropped.
#[derive(Debug)]
pub struct Beat {
    /// What its letters are signed with.
    pub id: u64,
    /// The interfaces, with the way that is preferred.
    pub polled: Vec<(String, Way)>,
    _hold: Hold,
}

/// Starts the thread. The first answers come by letter as all others do.
///
/// # Errors
/// When no thread, pipe or socket can be had.
pub fn start(id: u64, polled: Vec<(String, Way)>, office: Office) -> io::Result<Beat> {
    let (hold, leash) = leash()?;
    let probe = Probe::open()?;
    let names = polled.clone();
    let work = move || {
        // What was said of each interface last, by its index: one that is made anew is another one.
        let mut said: HashMap<u32, bool> = HashMap::new();
        loop {
            let answers = names.iter().filter_map(|(name, way)| {
                let index = lb_sys::packet::interface_index(name)?;
                Some((index, has_link(&probe, name, *way)?))
            });
            let now: HashMap<u32, bool> = answers.collect();
            let news: Vec<(u32, bool)> =
                now.iter().map(|(index, up)| (*index, *up)).filter(|(index, up)| said.get(index) != Some(up)).collect();
            said = now;
            if !news.is_empty() && !office.send(Letter::Linkbeat { id, links: news }) {
                return;
            }
            if leash.wait(&[], BEAT) == Woken::Stop {
                return;
            }
        }
    };
    std::thread::Builder::new().name("linkbeat".into()).spawn(work)?;
    Ok(Beat { id, polled, _hold: hold })
}

/// By the way that is preferred, else by the first that the driver has: PHY, ethtool, flags. Nothing when there is no such interface.
fn has_link(probe: &Probe, name: &str, preferred: Way) -> Option<bool> {
    let ask = |way| match way {
        Way::Mii => probe.mii(name),
        Way::Ethtool => probe.ethtool(name),
        Way::Flags => probe.running(name),
    };
    [preferred, Way::Mii, Way::Ethtool, Way::Flags].into_iter().find_map(|way| ask(way).ok())
}
