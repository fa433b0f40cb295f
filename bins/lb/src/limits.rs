//! Limits of the process: descriptors, connections, memory.

use lb_config::Config;
use lb_sys::process;

/// Descriptors that are needed beside two per connection: loops, logs, standard streams, checks.
const SPARE_FDS: u64 = 64;

/// Threads of a run.
pub fn threads(config: &Config) -> usize {
    config.global.nbthread.map_or_else(process::cores, usize::from)
}

/// `-m`: no more memory than so many megabytes.
///
/// # Errors
/// What the system says.
pub fn memory(megabytes: Option<u64>) -> Result<(), String> {
    let Some(megabytes) = megabytes else { return Ok(()) };
    process::limit_memory(megabytes.saturating_mul(1 << 20)).map_err(|e| format!("cannot limit the memory to {megabytes} MB: {e}"))
}

/// The process's `maxconn`: what the file or `-n` says as far as the limit of descriptors allows, else what that limit allows.
///
/// # Errors
/// The file asks for more than there is, without `no strict-limits`.
pub fn connections(config: &Config, switch: Option<u32>, warn: &dyn Fn(&str)) -> Result<u32, String> {
    let wanted = switch.or(config.global.maxconn);
    let listeners: u64 = config.proxies.iter().flat_map(|p| &p.binds).map(|b| b.addresses.len() as u64).sum();
    let servers: u64 = config.proxies.iter().map(|p| p.servers.iter().filter(|s| s.check.is_some()).count() as u64).sum();
    let threads = threads(config) as u64;
    // Listening sockets count twice: they may be kept for the process after this one.
    let fixed = SPARE_FDS + 2 * listeners * threads + servers + 4 * threads;
    let (soft, hard) = process::fd_limit().unwrap_or((1024, 1024));
    let most = config.global.fd_hard_limit.unwrap_or(u64::MAX);
    let ceiling = hard.min(most);
    let needed = config.global.ulimit_n.or(wanted.map(|n| u64::from(n) * 2 + fixed)).unwrap_or(ceiling).min(most);
    let mut limit = soft.min(most);
    if needed > soft {
        // Above the hard limit only a privileged process may go.
        if process::set_fd_limit(needed, hard.max(needed)).is_ok() {
            limit = needed;
        } else if process::set_fd_limit(ceiling, hard).is_ok() {
            limit = ceiling;
        }
    }
    let missing = |text: String, is_much: bool| {
        if is_much && !config.global.lenient_limits {
            return Err(text + " With 'no strict-limits' in 'global' this is a warning.");
        }
        warn(&text);
        Ok(())
    };
    if let Some(n) = config.global.ulimit_n.filter(|n| *n > limit) {
        missing(format!("ulimit-n {n} cannot be had, the limit is {limit}. Raise it (ulimit -H -n) or lower ulimit-n."), true)?;
    }
    let possible = u32::try_from(limit.saturating_sub(fixed) / 2).unwrap_or(u32::MAX).max(1);
    let Some(wanted) = wanted else { return Ok(possible) };
    if wanted > possible {
        let files = u64::from(wanted) * 2 + fixed;
        // Where haproxy, which needs fewer beside its connections, could start, this is no reason not to.
        let is_much = u64::from(wanted) * 2 + listeners > limit;
        let text = format!(
            "maxconn {wanted} needs {files} file descriptors and the limit is {limit}: running with maxconn {possible}. Raise the limit (ulimit -n) or lower maxconn."
        );
        missing(text, is_much)?;
    }
    Ok(wanted.min(possible))
}
