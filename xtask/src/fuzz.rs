//! `cargo xtask fuzz`: libFuzzer over the targets of `fuzz/`, for a bounded time each. `cargo xtask test` replays the corpus without it.

use crate::sh::{self, Failure, Result, failure};
use std::process::Command;

const USAGE: &str = "\
cargo xtask fuzz [TARGET…] [--seconds N]

  all targets of fuzz/fuzz_targets, or those named; N seconds each (default 60). Needs a nightly toolchain.
  New inputs go below the target directory; one that shows something new about the code belongs into fuzz/corpus.";

/// Runs the targets one after the other; a crash ends the task.
pub fn task(args: &[String]) -> Result<()> {
    let known = targets()?;
    let (mut chosen, mut seconds) = (Vec::new(), 60u64);
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => seconds = words.next().ok_or(Failure(USAGE.into()))?.parse()?,
            name if known.iter().any(|k| k == name) => chosen.push(name.to_string()),
            _ => return failure(format!("{USAGE}\n\ntargets: {}", known.join(" "))),
        }
    }
    if chosen.is_empty() {
        chosen = known;
    }
    if sh::which("cargo-fuzz").is_none() {
        sh::run(&mut sh::cargo(&["install", "--locked", "cargo-fuzz"]))?;
    }
    let found = sh::target_dir()?.join("fuzz-corpus");
    for name in chosen {
        let new = found.join(&name);
        std::fs::create_dir_all(&new)?;
        println!("== {name}");
        // Through rustup: the cargo that runs this task is a stable one.
        let mut command = Command::new("cargo");
        command.current_dir(sh::root()).env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO");
        command.args(["+nightly", "fuzz", "run", &name]).arg(&new).arg(sh::root().join("fuzz/corpus").join(&name));
        sh::run(command.args(["--", &format!("-max_total_time={seconds}"), "-print_final_stats=1"]))?;
    }
    Ok(())
}

fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(sh::root().join("fuzz/fuzz_targets"))? {
        if let Some(name) = entry?.path().file_stem() {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
