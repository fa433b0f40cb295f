//! Keywords of `global` that say how the process runs: background, rights, cores, master and worker. Source: manual 3.1.

use super::Keyword;
use super::global::{MAX_THREADS, Outcome, again, works};
use crate::diag::{Problem, Severity};
use crate::model::{Account, CloseSpread, CpuMap, MasterWorker};
use crate::parse::{GlobalCx, Line, Negation};
use crate::tree::shown;
use std::time::Duration;

pub(super) const KEYWORDS: &[Keyword] = &[
    works("daemon", "", "goes into the background", daemon),
    works("user", "<name>", "user of the process", user),
    works("group", "<name>", "group of the process", group),
    works("uid", "<number>", "user of the process by number", uid),
    works("gid", "<number>", "group of the process by number", gid),
    works("chroot", "<directory>", "root directory of the process", chroot),
    works("pidfile", "<file>", "file that gets the process's number", pidfile),
    works("grace", "<time>", "time between a soft stop and the end of listening", grace),
    works("close-spread-time", "<time>|infinite", "time over which a soft stop closes idle connections", close_spread_time),
    works("set-dumpable", "", "allows core files in spite of changed rights", |cx, line| {
        cx.global.process.dumpable = line.negation != Negation::No;
        line.end(0)
    })
    .negatable(),
    works("insecure-fork-wanted", "", "the process may start others", |cx, line| {
        cx.global.process.may_fork = line.negation != Negation::No;
        line.end(0)
    })
    .negatable(),
    works("insecure-setuid-wanted", "", "started programs may gain rights", |cx, line| {
        cx.global.process.may_setuid = true;
        line.end(0)
    }),
    works("setcap", "<name>[,<name>...]", "capabilities that are kept when the user changes", setcap),
    works("cpu-map", "[auto:]<group>[/<threads>] <cpus> ...", "cores of threads", cpu_map),
    works("master-worker", "[no-exit-on-failure]", "a master process that starts and replaces the one that serves", master_worker),
    works("mworker-max-reloads", "<number>", "reloads that an old worker survives", |cx, line| {
        cx.global.process.max_reloads = Some(line.count(0, 0)?);
        line.end(1)
    }),
    works("localpeer", "<name>", "name of this peer; HAPROXY_LOCALPEER holds it", |cx, line| {
        let name = line.need(0)?.to_owned();
        line.end(1)?;
        if cx.world.source.switches.local_peer {
            let message = "'localpeer' has no effect beside -L".to_owned();
            cx.world.diagnostics.push(Severity::Warning, line.span(), 0, message, Some("remove the line, or the switch".into()));
            return Ok(());
        }
        cx.global.process.local_peer = Some(name);
        Ok(())
    }),
    works("tune.renice.startup", "<-20..19>", "priority while the process starts", |cx, line| {
        cx.global.process.nice_startup = Some(line.number(0, -20..=19)? as i32);
        line.end(1)
    }),
    works("tune.renice.runtime", "<-20..19>", "priority of the process", |cx, line| {
        cx.global.process.nice_runtime = Some(line.number(0, -20..=19)? as i32);
        line.end(1)
    }),
];

fn daemon(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.daemon = true;
    line.end(0)
}

fn grace(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.grace = Some(line.time(0, Duration::from_millis(1))?);
    line.end(1)
}

fn close_spread_time(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    cx.global.process.close_spread = match line.need(0)? {
        "infinite" => CloseSpread::Never,
        _ => CloseSpread::Over(line.time(0, Duration::from_millis(1))?),
    };
    line.end(1)
}

fn id(line: &Line<'_>) -> Result<Account, Problem> {
    let value = line.number(0, 0..=i64::from(u32::MAX) - 1)?;
    line.end(1)?;
    Ok(Account::Id(u32::try_from(value).unwrap_or(u32::MAX)))
}

fn uid(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let account = id(line)?;
    one_account(cx, line, "user");
    cx.global.user = Some(account);
    Ok(())
}

fn gid(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let account = id(line)?;
    one_account(cx, line, "group");
    cx.global.group = Some(account);
    Ok(())
}

fn user(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let name = line.need(0)?;
    line.end(1)?;
    if !cx.world.source.environment.has_user(name) {
        return Err(line.problem(0, format!("there is no user '{}'", shown(name))).help("create it, or name one of /etc/passwd"));
    }
    one_account(cx, line, "user");
    cx.global.user = Some(Account::Name(name.to_owned()));
    Ok(())
}

fn group(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let name = line.need(0)?;
    line.end(1)?;
    if !cx.world.source.environment.has_group(name) {
        return Err(line.problem(0, format!("there is no group '{}'", shown(name))).help("create it, or name one of /etc/group"));
    }
    one_account(cx, line, "group");
    cx.global.group = Some(Account::Name(name.to_owned()));
    Ok(())
}

/// `user` and `uid` (`group` and `gid`) set the same thing: the last one counts, which is worth a word.
fn one_account(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>, what: &'static str) {
    if let Some(first) = cx.seen.insert(what, line.span()) {
        let message = format!("the {what} of the process is given twice; this one counts");
        cx.world.diagnostics.push(Severity::Warning, line.span(), 0, message, Some(format!("remove line {} or this one", first.line)));
    }
}

fn chroot(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    if again(cx, line) {
        return Ok(());
    }
    cx.global.chroot = Some(line.need(0)?.into());
    line.end(1)
}

fn pidfile(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    if again(cx, line) {
        return Ok(());
    }
    cx.global.pidfile = Some(line.need(0)?.into());
    line.end(1)
}

fn master_worker(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let exit_on_failure = line.arg(0).is_none();
    if !exit_on_failure {
        line.choice(0, &[("no-exit-on-failure", ())])?;
    }
    cx.global.process.master_worker = Some(MasterWorker { exit_on_failure });
    line.end(1)
}

/// Capabilities by name, at the place that is their number (capabilities(7)).
const CAPABILITIES: [&str; 41] = [
    "cap_chown",
    "cap_dac_override",
    "cap_dac_read_search",
    "cap_fowner",
    "cap_fsetid",
    "cap_kill",
    "cap_setgid",
    "cap_setuid",
    "cap_setpcap",
    "cap_linux_immutable",
    "cap_net_bind_service",
    "cap_net_broadcast",
    "cap_net_admin",
    "cap_net_raw",
    "cap_ipc_lock",
    "cap_ipc_owner",
    "cap_sys_module",
    "cap_sys_rawio",
    "cap_sys_chroot",
    "cap_sys_ptrace",
    "cap_sys_pacct",
    "cap_sys_admin",
    "cap_sys_boot",
    "cap_sys_nice",
    "cap_sys_resource",
    "cap_sys_time",
    "cap_sys_tty_config",
    "cap_mknod",
    "cap_lease",
    "cap_audit_write",
    "cap_audit_control",
    "cap_setfcap",
    "cap_mac_override",
    "cap_mac_admin",
    "cap_syslog",
    "cap_wake_alarm",
    "cap_block_suspend",
    "cap_audit_read",
    "cap_perfmon",
    "cap_bpf",
    "cap_checkpoint_restore",
];

/// Those that a proxy has a use for; haproxy takes these.
const USEFUL: [&str; 4] = ["cap_net_admin", "cap_net_bind_service", "cap_net_raw", "cap_sys_admin"];

fn setcap(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    for name in line.need(0)?.split(',') {
        let number = USEFUL.contains(&name).then(|| CAPABILITIES.iter().position(|known| *known == name)).flatten();
        let Some(number) = number else {
            return Err(line
                .problem(0, format!("'setcap' does not take '{}'", shown(name)))
                .help(format!("it takes a list of {}", USEFUL.join(", "))));
        };
        cx.global.process.capabilities |= 1 << number;
    }
    line.end(1)
}

/// Largest number of a core.
const MAX_CPU: u16 = 1023;

fn cpu_map(cx: &mut GlobalCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let text = line.need(0)?;
    let (auto, sets) = match text.strip_prefix("auto:") {
        Some(sets) => (true, sets),
        None => (false, text),
    };
    let (group, threads) = match sets.split_once('/') {
        Some((group, threads)) => (group, Some(threads)),
        None => (sets, None),
    };
    let range = |text: &str| {
        numbers(text, 1, MAX_THREADS as u16).ok_or_else(|| {
            line.problem(0, format!("'{}' is no range of threads", shown(text)))
                .help(format!("write a number from 1 to {MAX_THREADS}, a range such as 1-4, all, odd or even"))
        })
    };
    let groups = range(group)?;
    let threads = threads.map(range).transpose()?;
    line.need(1)?;
    let mut cpus: Vec<u16> = Vec::new();
    for at in 1.. {
        let Some(words) = line.arg(at) else { break };
        for word in words.split(',') {
            cpus.extend(numbers(word, 0, MAX_CPU).filter(|_| word.starts_with(|c: char| c.is_ascii_digit())).ok_or_else(|| {
                line.problem(at, format!("'{}' is no core or range of cores", shown(word)))
                    .help(format!("write a number from 0 to {MAX_CPU}, or a range such as 0-3"))
            })?);
        }
    }
    if auto && groups.len() > 1 && threads.as_ref().is_some_and(|threads| threads.len() > 1) {
        return Err(line.problem(0, "'auto:' counts along groups or along threads, not both").help("write 'auto:1/1-4' or 'auto:1-4/1'"));
    }
    let cpus = if auto { cpus } else { set(cpus) };
    // There is one group. Others are for another program or another time, as in haproxy.
    let Some(place) = groups.iter().position(|group| *group == 1) else { return Ok(()) };
    let along_groups = auto && groups.len() > 1;
    let map = &mut cx.global.process.cpu_map;
    match threads {
        // A core for each group, and this is the first one.
        _ if along_groups => match cpus.get(place) {
            Some(cpu) => assign(map, threads.as_deref(), &[*cpu]),
            None => return Ok(()),
        },
        Some(threads) if auto => {
            if threads.len() > cpus.len() {
                let help = "name as many cores as threads";
                let message = format!("{} threads and {} cores: the threads behind run anywhere", threads.len(), cpus.len());
                cx.world.diagnostics.push(Severity::Notice, line.span(), 0, message, Some(help.into()));
            }
            threads.iter().zip(&cpus).for_each(|(thread, cpu)| assign(map, Some(&[*thread]), &[*cpu]));
        }
        threads => assign(map, threads.as_deref(), &cpus),
    }
    Ok(())
}

fn assign(map: &mut CpuMap, threads: Option<&[u16]>, cpus: &[u16]) {
    match threads {
        // All of them is what the process may have.
        Some(threads) if threads.len() < MAX_THREADS as usize => {
            map.threads.extend(threads.iter().map(|thread| (*thread, cpus.to_vec())));
        }
        Some(_) | None => map.process = Some(cpus.to_vec()),
    }
}

fn set(mut cpus: Vec<u16>) -> Vec<u16> {
    cpus.sort_unstable();
    cpus.dedup();
    cpus
}

/// `all`, `odd`, `even`, `3`, `1-4`, `2-` as the numbers from `low` to `high` that they mean.
fn numbers(text: &str, low: u16, high: u16) -> Option<Vec<u16>> {
    let all = low..=high;
    match text {
        "all" => return Some(all.collect()),
        "odd" => return Some(all.filter(|n| n % 2 == 1).collect()),
        "even" => return Some(all.filter(|n| n % 2 == 0).collect()),
        _ => {}
    }
    let one = |text: &str| text.parse::<u16>().ok().filter(|n| all.contains(n));
    let (from, to) = match text.split_once('-') {
        Some((from, "")) => (one(from)?, high),
        Some((from, to)) => (one(from)?, one(to)?),
        None => (one(text)?, one(text)?),
    };
    // Either end may stand first.
    Some((from.min(to)..=from.max(to)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    fn global(lines: &str) -> Result<crate::model::Global, String> {
        let text = format!("global\n{lines}\n");
        let (config, found) = crate::parse(&Source::new().file("x", text.as_bytes()));
        match found.iter().find(|one| one.severity == Severity::Error) {
            Some(error) => Err(error.message.clone()),
            None => Ok(config.global),
        }
    }

    fn cores(lines: &str, thread: u16) -> Option<Vec<u16>> {
        global(lines).unwrap().process.cpu_map.of(thread)
    }

    #[test]
    fn names_have_their_numbers() {
        let number = |name: &str| CAPABILITIES.iter().position(|known| *known == name);
        assert_eq!((number("cap_net_bind_service"), number("cap_net_raw"), number("cap_sys_admin")), (Some(10), Some(13), Some(21)));
        assert_eq!(global("setcap cap_net_raw,cap_net_bind_service").unwrap().process.capabilities, 1 << 13 | 1 << 10);
        assert!(global("setcap cap_chown").is_err() && global("setcap cap_net_raw,").is_err());
    }

    #[test]
    fn maps_of_cores() {
        assert_eq!(cores("cpu-map 1/all 0-3", 7), Some(vec![0, 1, 2, 3]));
        assert_eq!(cores("cpu-map 1 2 0", 1), Some(vec![0, 2]));
        assert_eq!(cores("cpu-map auto:1/1-4 0-1 2-3", 3), Some(vec![2]));
        assert_eq!(cores("cpu-map auto:1/1-4 3 2 1 0", 1), Some(vec![3]));
        assert_eq!(cores("cpu-map auto:1/1-4 0-3", 5), None);
        assert_eq!(cores("cpu-map auto:1/odd 0-31", 3), Some(vec![1]));
        assert_eq!(cores("cpu-map 1/2- 5", 64), Some(vec![5]));
        assert_eq!(cores("cpu-map 2/1 0", 1), None);
        assert_eq!(cores("cpu-map even 0", 1), None);
        assert_eq!(cores("cpu-map auto:1-4 0-3", 1), Some(vec![0]));
        assert_eq!(cores("cpu-map 1/1 0\ncpu-map 1/1-2 1", 1), Some(vec![1]));
        // The process's cores are an upper end; without one in common the thread runs anywhere.
        assert_eq!(cores("cpu-map 1 0-1\ncpu-map 1/1 1-2", 1), Some(vec![1]));
        assert_eq!(cores("cpu-map 1 0-1\ncpu-map 1/1 2", 1), None);
        assert_eq!(cores("cpu-map 1/1 0,2-3", 1), Some(vec![0, 2, 3]));
        for wrong in ["cpu-map", "cpu-map all", "cpu-map foo 0", "cpu-map 1/1-99 0", "cpu-map 1 5000", "cpu-map 1 x", "cpu-map 1 all"] {
            assert!(global(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn values() {
        let process = |lines: &str| global(lines).map(|global| global.process);
        assert_eq!(process("master-worker").unwrap().master_worker, Some(MasterWorker { exit_on_failure: true }));
        assert_eq!(process("master-worker no-exit-on-failure").unwrap().master_worker, Some(MasterWorker { exit_on_failure: false }));
        assert!(process("master-worker foo").is_err());
        assert_eq!(process("close-spread-time infinite").unwrap().close_spread, CloseSpread::Never);
        assert_eq!(process("close-spread-time 2s").unwrap().close_spread, CloseSpread::Over(Duration::from_secs(2)));
        assert_eq!(process("mworker-max-reloads 3").unwrap().max_reloads, Some(3));
        assert_eq!(process("tune.renice.runtime -5").unwrap().nice_runtime, Some(-5));
        assert!(process("tune.renice.runtime 20").is_err());
        let both = process("insecure-fork-wanted\nno insecure-fork-wanted\nset-dumpable").unwrap();
        assert!(!both.may_fork && both.dumpable);
        let environment = process("resetenv B\nsetenv A b\nunsetenv C\npresetenv A x").unwrap().environment;
        assert_eq!(environment.changed, [("A".to_owned(), Some("b".to_owned())), ("C".to_owned(), None)]);
        assert_eq!(environment.kept, Some(vec!["B".to_owned()]));
    }
}
