//! System calls of a proxy, counted by strace in short runs of their own (strace slows what it watches).

use super::Places;
use super::config::HTTP;
use super::process::{Client, OTHER_CORE, Origin, Process, Proxy, pinned};
use crate::sh::{self, Failure, Result, failure};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

/// Requests of the counted run.
const REQUESTS: u64 = 10_000;

/// Calls per keep-alive request by name, most frequent first, without those that come less than once in 1,000 requests.
pub fn per_request(places: &Places, program: &Path) -> Result<Vec<(String, f64)>> {
    let origin = Origin::start(places, "http", HTTP.servers)?;
    let proxy = Proxy::start(places, program, &[], HTTP, origin.port)?;
    let mut client = Client::start(&places.load, proxy.port, &["--conns", "64"])?;
    client.run(REQUESTS)?;
    let file = places.dir.join("strace");
    let strace = attach(&file, proxy.pid(), &["-c"])?;
    client.run(REQUESTS)?;
    detach(strace)?;
    let mut calls: Vec<(String, f64)> = counts(&std::fs::read_to_string(&file)?)
        .into_iter()
        .map(|(name, n)| (name, n as f64 / REQUESTS as f64))
        .filter(|(_, n)| *n >= 0.001)
        .collect();
    if calls.is_empty() {
        return failure("strace counted nothing");
    }
    calls.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(calls)
}

/// KiB per splice(2) call that moved bytes, while the client fetches a few objects; 0 when there was none.
pub fn splice_kib(places: &Places, pid: u32, client: &mut Client) -> Result<f64> {
    let file = places.dir.join("strace");
    let strace = attach(&file, pid, &["-e", "trace=splice"])?;
    client.run(4)?;
    detach(strace)?;
    let text = std::fs::read_to_string(&file)?;
    let moved: Vec<f64> = text.lines().filter_map(|l| l.rsplit_once("= ")?.1.parse::<f64>().ok()).filter(|n| *n > 0.0).collect();
    Ok(if moved.is_empty() { 0.0 } else { moved.iter().sum::<f64>() / moved.len() as f64 / 1024.0 })
}

fn attach(file: &Path, pid: u32, args: &[&str]) -> Result<Process> {
    let strace = sh::which("strace").ok_or_else(|| Failure("strace is not installed".into()))?;
    let mut command = pinned(OTHER_CORE, &strace);
    command.args(["-f", "-qq"]).args(args).arg("-o").arg(file).args(["-p", &pid.to_string()]);
    let child: Child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let strace = Process(child);
    for _ in 0..1000 {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        if status.lines().any(|l| l.strip_prefix("TracerPid:").is_some_and(|n| n.trim() != "0")) {
            return Ok(strace);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    failure("strace does not attach")
}

fn detach(mut strace: Process) -> Result<()> {
    strace.signal("INT")?;
    strace.wait(Duration::from_secs(20))
}

/// The `calls` column of `strace -c` by name.
fn counts(text: &str) -> BTreeMap<String, u64> {
    let mut out = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        // % time, seconds, usecs/call, calls, [errors,] name
        let [share, _, _, calls, .., name] = words[..] else { continue };
        if let (Ok(_), Ok(calls)) = (share.parse::<f64>(), calls.parse::<u64>())
            && name != "total"
        {
            *out.entry(name.to_string()).or_default() += calls;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn strace_summary() {
        let text = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 52.00    0.100000           5     20000           recvfrom
 40.00    0.080000           4     20000        12 sendto
  8.00    0.010000          10      1000           epoll_wait
------ ----------- ----------- --------- --------- ----------------
100.00    0.190000           4     41000        12 total
";
        let counts = super::counts(text);
        assert_eq!(counts.len(), 3);
        assert_eq!((counts["recvfrom"], counts["sendto"], counts["epoll_wait"]), (20000, 20000, 1000));
    }
}
