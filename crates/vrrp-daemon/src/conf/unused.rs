//! Values of words that have no effect here: what keepalived says is wrong with them is said here as well, so that a check of a file finds
//! the same.

use super::arg::Arg;

/// `on`, `off` and the like, or nothing.
pub fn boolean(arg: &mut Arg<'_>) {
    let _ = arg.boolean();
}

/// Any value.
pub fn text(arg: &mut Arg<'_>) {
    let _ = arg.text();
}

/// A priority of a process.
pub fn nice(arg: &mut Arg<'_>) {
    let _ = arg.number(-20..=19);
}

/// A real-time priority.
pub fn realtime(arg: &mut Arg<'_>) {
    let _ = arg.number(1..=99);
}

/// A size or a time that is not nothing.
pub fn positive(arg: &mut Arg<'_>) {
    let _ = arg.number(1..=u32::MAX);
}

/// A number of the kernel's.
pub fn integer(arg: &mut Arg<'_>) {
    let _ = arg.number(i32::MIN..=i32::MAX);
}

/// `debug`.
pub fn level(arg: &mut Arg<'_>) {
    let _ = arg.number(0..=4);
}

/// Numbers of cores.
pub fn cores(arg: &mut Arg<'_>) {
    let numbers = arg.node.words[1..].iter().all(|word| word.text.parse::<u32>().is_ok());
    if !numbers || arg.node.words.len() == 1 {
        arg.warn(format!("{} wants the numbers of cores, as in /proc/cpuinfo", arg.node.name()));
    }
}

/// `vrrp_rx_bufs_policy`.
pub fn buffers(arg: &mut Arg<'_>) {
    if !matches!(arg.node.value(0), Some("MTU" | "ADVERT" | "NO_SEND_RX")) {
        positive(arg);
    }
}

/// `lvs_sync_daemon INTERFACE [[inst] NAME] [id 0-255] ...`.
pub fn sync_daemon(arg: &mut Arg<'_>) {
    if arg.node.value(0).is_none() {
        arg.warn("lvs_sync_daemon requires interface; it has no effect without IPVS");
    }
    let id = arg.node.words.iter().position(|word| word.text == "id").map(|at| arg.node.value(at));
    if id.is_some_and(|id| id.is_none_or(|id| id.parse::<u8>().is_err())) {
        arg.warn("lvs_sync_daemon: an id is a number of 0 to 255; it has no effect without IPVS");
    }
}

/// `lvs_flush_on_stop [VS]`.
pub fn flush(arg: &mut Arg<'_>) {
    if let Some(other) = arg.node.value(0).filter(|word| *word != "VS") {
        arg.warn(format!("Unknown lvs_flush_on_stop type {other}; it has no effect without IPVS"));
    }
}

/// `lvs_timeouts [tcp N] [tcpfin N] [udp N]`.
pub fn timeouts(arg: &mut Arg<'_>) {
    let pairs = arg.node.words[1..].chunks(2);
    let sound = |pair: &[super::words::Word]| match pair {
        [word, time] => ["tcp", "tcpfin", "udp"].contains(&word.text.as_str()) && time.text.parse::<u32>().is_ok(),
        _ => false,
    };
    if arg.node.words.len() == 1 || !pairs.into_iter().all(sound) {
        arg.warn("lvs_timeouts wants tcp, tcpfin, udp and a number of seconds behind each; it has no effect without IPVS");
    }
}
