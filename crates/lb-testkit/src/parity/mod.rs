//! Parity: the same configuration and traffic through `lb` and Debian's haproxy, compared byte by byte.
//!
//! [`run`] takes the cases of [`cases`], runs each through both programs, and fails on a difference that the case does not
//! explain. `docs/parity.md` has the explanations in prose.

pub mod case;
pub mod cases;
pub mod compare;
pub mod known;
mod normal;
mod run;
mod spread;

pub use run::{Outcome, Seen};

use crate::process;
use case::Case;
use compare::Difference;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const HELP: &str = "\
usage: parity [options] [part of a name ...]
  --lb FILE        the program under test (default: LB_BIN, else target/release/lb)
  --reference FILE what it is compared with (default: /usr/sbin/haproxy)
  --jobs N         cases at once (default 12)
  --tries N        runs until a difference counts (default 3; the later ones run alone and at leisure)
  --keys N         keys for each way to hash (default 150; 10000 take some minutes)
  --newer FILE     a haproxy of 3.0 for the ways that the reference does not know
  --record FILE    append which servers the reference chose, for the tests of lb-balance
  --show           print what was seen through the reference
  --show-lb        print what was seen through the program under test
  --slowest N      print the N slowest cases
  --markdown       print the table of known differences and end
  --list           print the names and end
";

#[derive(Debug)]
struct Options {
    lb: PathBuf,
    reference: PathBuf,
    jobs: usize,
    tries: usize,
    show: bool,
    show_lb: bool,
    list: bool,
    markdown: bool,
    slowest: usize,
    keys: usize,
    newer: Option<PathBuf>,
    record: Option<PathBuf>,
    parts: Vec<String>,
}

impl Options {
    fn parse(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Options {
            lb: process::under_test("target/release/lb"),
            reference: PathBuf::from(process::HAPROXY),
            jobs: 12,
            tries: 3,
            show: false,
            show_lb: false,
            list: false,
            markdown: false,
            slowest: 0,
            keys: 150,
            newer: None,
            record: None,
            parts: Vec::new(),
        };
        let mut args = args;
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--lb" => options.lb = value()?.into(),
                "--reference" => options.reference = value()?.into(),
                "--jobs" => options.jobs = value()?.parse().map_err(|_| "--jobs needs a number".to_owned())?,
                "--tries" => options.tries = value()?.parse().map_err(|_| "--tries needs a number".to_owned())?,
                "--show" => options.show = true,
                "--show-lb" => options.show_lb = true,
                "--slowest" => options.slowest = value()?.parse().map_err(|_| "--slowest needs a number".to_owned())?,
                "--keys" => options.keys = value()?.parse().map_err(|_| "--keys needs a number".to_owned())?,
                "--newer" => options.newer = Some(value()?.into()),
                "--record" => options.record = Some(value()?.into()),
                "--markdown" => options.markdown = true,
                "--list" => options.list = true,
                part if !part.starts_with('-') => options.parts.push(part.to_owned()),
                other => return Err(format!("unknown option {other}")),
            }
        }
        Ok(options)
    }

    fn wants(&self, name: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|p| name.contains(p.as_str()))
    }
}

/// One case after both runs.
#[derive(Debug)]
struct Verdict {
    name: &'static str,
    /// What differs without an explanation.
    bad: Vec<Difference>,
    /// What differs as explained: facet and reason.
    known: Vec<(Difference, &'static str)>,
    /// Explanations of which nothing was seen.
    stale: Vec<(&'static str, &'static str)>,
    /// How many runs it took until the two agreed.
    tries: usize,
    /// What differed in the run before the last.
    before: Vec<Difference>,
    seconds: f32,
    log_lines: usize,
    shown: String,
}

/// Runs the parity table; `args` as [`HELP`] says. Success means that each difference is explained.
pub fn run(args: impl IntoIterator<Item = String>) -> ExitCode {
    let options = match Options::parse(args.into_iter()) {
        Ok(options) => options,
        Err(why) => {
            eprint!("parity: {why}\n{HELP}");
            return ExitCode::from(2);
        }
    };
    let cases: Vec<Case> = cases::all().into_iter().filter(|c| options.wants(c.name)).collect();
    if options.markdown {
        print!("{}", known::markdown());
        return ExitCode::SUCCESS;
    }
    if options.list {
        for case in &cases {
            println!("{}", case.name);
        }
        return ExitCode::SUCCESS;
    }
    for program in [&options.lb, &options.reference] {
        if !program.exists() {
            eprintln!("parity: {} is not there", program.display());
            return ExitCode::from(2);
        }
    }
    let start = Instant::now();
    let verdicts = run_all(&cases, &options);
    let spread = spread::run(&options);
    print!("{}", spread.text);
    let ok = report(&verdicts, &options) && !spread.failed;
    let lines: usize = verdicts.iter().map(|v| v.log_lines).sum();
    println!("{} cases, {lines} log lines, {:.1} s", verdicts.len(), start.elapsed().as_secs_f32());
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_all(cases: &[Case], options: &Options) -> Vec<Verdict> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begun = Instant::now();
                    let mut verdict = judge(case, options, 1);
                    verdict.seconds = begun.elapsed().as_secs_f32();
                    done.lock().expect("no panic under the lock").push(verdict);
                }
            });
        }
    });
    let mut verdicts = done.into_inner().expect("no panic under the lock");
    // What differs is tried again, alone: a loaded machine must not make a difference out of a delay.
    for tries in 2..=options.tries {
        for verdict in verdicts.iter_mut().filter(|v| v.bad.iter().any(|d| d.facet != "case")) {
            if let Some(case) = cases.iter().find(|c| c.name == verdict.name) {
                let before = std::mem::take(&mut verdict.bad);
                *verdict = judge(case, options, tries);
                verdict.before = before;
            }
        }
    }
    verdicts.sort_by_key(|v| v.name);
    verdicts
}

fn judge(case: &Case, options: &Options, tries: usize) -> Verdict {
    // What still differs then is no matter of speed.
    let leisure = [1, 3, 10][tries.clamp(1, 3) - 1];
    let (ours, reference) = std::thread::scope(|scope| {
        let ours = scope.spawn(|| run::run(case, &options.lb, leisure));
        let reference = run::run(case, &options.reference, leisure);
        (ours.join().expect("a run does not panic"), reference)
    });
    let mut verdict = Verdict {
        name: case.name,
        bad: Vec::new(),
        known: Vec::new(),
        stale: Vec::new(),
        tries,
        before: Vec::new(),
        seconds: 0.0,
        log_lines: 0,
        shown: String::new(),
    };
    let reference = match reference {
        Ok(outcome) => outcome,
        Err(why) => {
            verdict.bad.push(Difference::new("reference", why, String::new()));
            return verdict;
        }
    };
    verdict.log_lines = reference.logs.len();
    if options.show {
        verdict.shown = compare::show(case, &reference);
    }
    verdict.bad.extend(compare::sane(case, &reference));
    let ours = match ours {
        Ok(outcome) => outcome,
        Err(why) => {
            verdict.bad.push(Difference::new("start", String::new(), why));
            return verdict;
        }
    };
    if options.show_lb {
        verdict.shown += &compare::show(case, &ours);
    }
    let explained = |facet: &str| case.differs.iter().find(|(f, _)| facet.starts_with(f));
    for difference in compare::differences(case, &reference, &ours, leisure) {
        match explained(&difference.facet) {
            Some((_, why)) => verdict.known.push((difference, why)),
            None => verdict.bad.push(difference),
        }
    }
    let seen = |facet: &str| verdict.known.iter().any(|(d, _)| d.facet.starts_with(facet));
    verdict.stale = case.differs.iter().filter(|(f, _)| !seen(f)).copied().collect();
    verdict
}

fn report(verdicts: &[Verdict], options: &Options) -> bool {
    let mut slowest: Vec<_> = verdicts.iter().collect();
    slowest.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    for verdict in slowest.iter().take(options.slowest) {
        println!("{:6.2} s {}", verdict.seconds, verdict.name);
    }
    for verdict in verdicts {
        print!("{}", verdict.shown);
    }
    let mut by_reason: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for verdict in verdicts {
        for (_, why) in &verdict.known {
            by_reason.entry(why).or_default().insert(verdict.name);
        }
    }
    for (why, names) in by_reason {
        println!("known  {why}\n         {}", names.into_iter().collect::<Vec<_>>().join(" "));
    }
    for verdict in verdicts {
        if !verdict.stale.is_empty() && verdict.known.is_empty() {
            println!("stale  {}: no difference was seen", verdict.name);
        }
        if verdict.bad.is_empty() && verdict.tries > 1 {
            println!("shaky  {}: equal at try {}, before that:", verdict.name, verdict.tries);
            for d in &verdict.before {
                println!("         {}: {} | {}", d.facet, d.reference, d.ours);
            }
        }
    }
    let bad: Vec<_> = verdicts.iter().filter(|v| !v.bad.is_empty()).collect();
    for verdict in &bad {
        println!("DIFFERS {}", verdict.name);
        for d in &verdict.bad {
            println!("  {}\n    reference: {}\n    {}: {}", d.facet, d.reference, name_of(&options.lb), d.ours);
        }
    }
    let known = verdicts.iter().filter(|v| v.bad.is_empty() && !v.known.is_empty()).count();
    println!("{} agree, {known} differ as explained, {} differ", verdicts.len() - known - bad.len(), bad.len());
    bad.is_empty()
}

fn name_of(program: &Path) -> String {
    program.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
}
