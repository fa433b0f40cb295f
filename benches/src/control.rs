//! How `cargo xtask bench` drives these processes: lines on stdin, one answer line each on stdout.
//!
//! `run COUNT SECONDS` does COUNT exchanges, or fewer when SECONDS have passed, and answers with a [`Report`]. End of input ends the process.

use std::io::{BufRead, Write};
use std::time::Duration;

/// One order of the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Exchanges to do.
    pub count: u64,
    /// Longest time to take.
    pub limit: Duration,
}

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Exchanges whose answer was complete and right.
    pub done: u64,
    /// Exchanges that failed: refused, reset, cut short, wrong bytes, or not over when the time was.
    pub errors: u64,
    /// Bytes received.
    pub bytes: u64,
    /// Wall time in nanoseconds.
    pub nanos: u64,
}

/// Reads `run COUNT SECONDS`; anything else is `None`.
#[must_use]
pub fn parse(line: &str) -> Option<Run> {
    let mut words = line.split_ascii_whitespace();
    if words.next()? != "run" {
        return None;
    }
    let count = words.next()?.parse().ok()?;
    let seconds: u64 = words.next()?.parse().ok()?;
    Some(Run { count, limit: Duration::from_secs(seconds) })
}

/// Calls `run` for each order on stdin until it ends, and prints each report.
///
/// # Errors
/// When stdin or stdout fail, or on a line that is not an order.
pub fn serve(mut run: impl FnMut(Run) -> std::io::Result<Report>) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "ready")?;
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let order = parse(&line).ok_or_else(|| std::io::Error::other(format!("not an order: {line:?}")))?;
        let report = run(order)?;
        writeln!(out, "done={} errors={} bytes={} nanos={}", report.done, report.errors, report.bytes, report.nanos)?;
        out.flush()?;
    }
    Ok(())
}

/// Ends the process when stdin ends, so that no origin outlives its driver.
pub fn exit_with_stdin() {
    std::thread::spawn(|| {
        let mut sink = String::new();
        while matches!(std::io::stdin().lock().read_line(&mut sink), Ok(n) if n > 0) {
            sink.clear();
        }
        std::process::exit(0);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders() {
        assert_eq!(parse("run 10 3\n"), Some(Run { count: 10, limit: Duration::from_secs(3) }));
        assert_eq!(parse("run 10"), None);
        assert_eq!(parse("walk 10 3"), None);
        assert_eq!(parse(""), None);
    }
}
