//! The items of `show info`, in haproxy's order. Source: management guide 9.3; names, numbers and tags were seen in haproxy 2.6.

use super::Value;
use super::rates::Rates;
use crate::worker::{Process, Worker};
use lb_config::LANGUAGE_VERSION;
use std::time::Instant;
use std::time::UNIX_EPOCH;

/// One item.
pub(crate) struct Item {
    pub number: u32,
    pub name: &'static str,
    pub tags: &'static str,
    pub kind: &'static str,
    pub value: Value,
}

/// When the configuration language and the version that are spoken were current.
const RELEASE_DATE: &str = "2023/03/28";

/// What only each thread can tell of itself.
#[derive(Clone, Copy, Default)]
pub(crate) struct ThreadInfo {
    tasks: usize,
    spliced: u64,
    idle_pipes: usize,
}

impl ThreadInfo {
    /// Of this thread.
    pub fn new(worker: &Worker) -> ThreadInfo {
        ThreadInfo { tasks: worker.rt.live_tasks(), spliced: worker.moved_bytes().0, idle_pipes: worker.rt.pipes().idle() }
    }
}

/// What the configuration and the run-time sockets add.
pub(crate) struct Facts<'a> {
    pub node: Option<&'a str>,
    pub description: Option<&'a str>,
    pub sockets: usize,
    pub dropped_logs: u64,
}

/// All items.
pub(crate) fn info(process: &Process, rates: &mut Rates, threads: &[ThreadInfo], facts: &Facts<'_>, now: Instant) -> Vec<Item> {
    let mut items = Vec::new();
    let mut number = 0;
    let mut push = |name, tags, kind, value: Option<Value>| {
        items.extend(value.map(|value| Item { number, name, tags, kind, value }));
        number += 1;
    };
    let int = |n: u64| Some(Value::from(n));
    let text = |text: &str| Some(Value::from(text));
    let zero = int(0);
    let age = process.age(now);
    let files = lb_sys::process::fd_limit().map_or(0, |(soft, _)| soft);
    let totals = totals(process);
    let [connections, sessions, bytes] = rates.process(totals, now);
    push("Name", "POS", "str", text("HAProxy"));
    push("Version", "POS", "str", text(LANGUAGE_VERSION));
    push("Release_date", "POS", "str", text(RELEASE_DATE));
    push("Nbthread", "CGS", "u32", int(process.counters.len() as u64));
    push("Nbproc", "CGS", "u32", int(1));
    push("Process_num", "KGP", "u32", int(1));
    push("Pid", "SGP", "u32", int(std::process::id().into()));
    let uptime = format!("{}d {}h{:02}m{:02}s", age / 86_400, age % 86_400 / 3600, age % 3600 / 60, age % 60);
    push("Uptime", "MDP", "str", text(&uptime));
    push("Uptime_sec", "MDP", "u32", int(age));
    // Memory comes from the system's allocator, in no pools of a size.
    push("Memmax_MB", "CLP", "u32", zero.clone());
    push("PoolAlloc_MB", "MGP", "u32", zero.clone());
    push("PoolUsed_MB", "MGP", "u32", zero.clone());
    push("PoolFailed", "MCP", "u32", zero.clone());
    push("Ulimit-n", "CLP", "u32", int(files));
    push("Maxsock", "CLP", "u32", int(files));
    push("Maxconn", "CLP", "u32", int(process.gate.max().into()));
    push("Hard_maxconn", "CLP", "u32", int(process.hard_maxconn.into()));
    push("CurrConns", "MGP", "u32", int(process.gate.current().into()));
    push("CumConns", "MCP", "u32", int(totals[0]));
    push("CumReq", "MCP", "u32", int(process.streams.load(std::sync::atomic::Ordering::Relaxed)));
    push("MaxSslConns", "MMP", "u32", zero.clone());
    push("CurrSslConns", "MGP", "u32", zero.clone());
    push("CumSslConns", "MCP", "u32", zero.clone());
    let idle = threads.iter().map(|t| t.idle_pipes).sum::<usize>();
    push("Maxpipes", "CLP", "u32", int(process.pipe_limits.max() as u64));
    push("PipesUsed", "MGP", "u32", int(process.pipe_limits.open().saturating_sub(idle) as u64));
    push("PipesFree", "MGP", "u32", int(idle as u64));
    push("ConnRate", "MRP", "u32", int(connections.now));
    push("ConnRateLimit", "CLP", "u32", int(process.connection_rate.limit().into()));
    push("MaxConnRate", "MMP", "u32", int(connections.max));
    push("SessRate", "MRP", "u32", int(sessions.now));
    push("SessRateLimit", "CLP", "u32", int(process.session_rate.limit().into()));
    push("MaxSessRate", "MRP", "u32", int(sessions.max));
    for name in ["SslRate", "SslRateLimit", "MaxSslRate", "SslFrontendKeyRate", "SslFrontendMaxKeyRate", "SslFrontendSessionReuse_pct"] {
        let tags = match name {
            "SslRate" => "MRP",
            "SslRateLimit" => "CLP",
            "MaxSslRate" | "SslFrontendMaxKeyRate" => "MMP",
            _ => "MGP",
        };
        push(name, tags, "u32", zero.clone());
    }
    push("SslBackendKeyRate", "MRP", "u32", zero.clone());
    push("SslBackendMaxKeyRate", "MMP", "u32", zero.clone());
    push("SslCacheLookups", "MCP", "u32", zero.clone());
    push("SslCacheMisses", "MCP", "u32", zero.clone());
    push("CompressBpsIn", "MRP", "u32", zero.clone());
    push("CompressBpsOut", "MRP", "u32", zero.clone());
    push("CompressBpsRateLim", "CLP", "u32", zero.clone());
    // Of a compression library that haproxy may be built with.
    push("ZlibMemUsage", "MGP", "u32", None);
    push("MaxZlibMemUsage", "CLP", "u32", None);
    push("Tasks", "MGP", "u32", int(threads.iter().map(|t| t.tasks as u64).sum()));
    push("Run_queue", "MGP", "u32", zero.clone());
    push("Idle_pct", "MaP", "u32", int(rates.idle_percent()));
    push("node", "COS", "str", text(facts.node.unwrap_or(&process.host_name)));
    push("description", "COS", "str", facts.description.and_then(text));
    push("Stopping", "MGP", "u32", int(process.will_stop().into()));
    let listeners = process.topology.frontends.iter().flat_map(|f| &f.settings.binds).map(|b| b.addresses.len()).sum::<usize>();
    let listeners = (listeners + facts.sockets) as u64;
    push("Jobs", "MGP", "u32", int(u64::from(process.gate.current()) + listeners));
    push("Unstoppable Jobs", "MGP", "u32", zero.clone());
    push("Listeners", "MGP", "u32", int(listeners));
    push("ActivePeers", "MGP", "u32", zero.clone());
    push("ConnectedPeers", "MGP", "u32", zero.clone());
    push("DroppedLogs", "MGP", "u32", int(facts.dropped_logs));
    push("BusyPolling", "MGP", "u32", zero.clone());
    push("FailedResolutions", "MGP", "u32", zero.clone());
    push("TotalBytesOut", "MGP", "u64", int(totals[2]));
    push("TotalSplicdedBytesOut", "MGP", "u64", int(threads.iter().map(|t| t.spliced).sum()));
    push("BytesOutRate", "MRP", "u64", int(bytes.now));
    push("DebugCommandsIssued", "MGP", "u32", zero.clone());
    push("CumRecvLogs", "MCP", "u32", zero.clone());
    push("Build info", "POS", "str", text(concat!("lb ", env!("CARGO_PKG_VERSION"))));
    push("Memmax_bytes", "CLP", "u32", zero.clone());
    push("PoolAlloc_bytes", "MGP", "u64", zero.clone());
    push("PoolUsed_bytes", "MGP", "u64", zero);
    let started = process.started.get().and_then(|(_, wall)| wall.duration_since(UNIX_EPOCH).ok());
    push("Start_time_sec", "MDP", "u32", started.map(|d| d.as_secs().into()));
    push("Tainted", "SGP", "str", text("0"));
    items
}

/// Connections, sessions, and bytes to clients since the start.
fn totals(process: &Process) -> [u64; 3] {
    let mut totals = [0; 3];
    for front in process.topology.frontends.iter().flat_map(|f| process.counters.iter().map(|c| c.front(f))) {
        totals[0] += front.connections.get();
        totals[1] += front.sessions.get();
        totals[2] += front.bytes_out.get();
    }
    totals
}
