//! `cargo xtask test` and `cargo xtask ci`: sets up what the tests need, then checks everything.
//!
//! Holds: a step that fails does not hide the next one; the task fails when any step did.

use crate::sh::{self, Result, failure};
use crate::{apt, parity, tidy};
use std::process::Command;

/// Real peers of the tests: program and Debian package.
const PEERS: &[(&str, &str)] = &[
    ("cc", "gcc"),
    ("haproxy", "haproxy"),
    ("nginx", "nginx-light"),
    ("wrk", "wrk"),
    ("curl", "curl"),
    ("python3", "python3-minimal"),
    ("ip", "iproute2"),
    ("keepalived", "keepalived"),
    ("socat", "socat"),
    ("hatop", "hatop"),
    ("nft", "nftables"),
    ("aiosmtpd", "python3-aiosmtpd"),
    // The server is in the package of the tools, under this name.
    ("redis-check-rdb", "redis-tools"),
    ("mariadbd", "mariadb-server-core"),
    ("my_print_defaults", "mariadb-client-core"),
    ("pg_ctlcluster", "postgresql"),
    ("slapd", "slapd"),
];

/// A step: its name, and what it does.
type Step = (&'static str, fn() -> Result<()>);

const STEPS: &[Step] = &[
    ("fmt", fmt),
    ("clippy", clippy),
    ("tidy", || tidy::task(&[])),
    ("tests", tests),
    ("fuzz corpus", fuzz_corpus),
    ("parity", || parity::task(&[])),
];

/// All steps.
pub fn task(args: &[String]) -> Result<()> {
    if !args.is_empty() {
        return failure("cargo xtask test takes no arguments; for a part of the tests use cargo test -p CRATE");
    }
    apt::ensure(PEERS)?;
    components()?;
    let mut failed = Vec::new();
    for (name, step) in STEPS {
        println!("== {name}");
        if let Err(e) = step() {
            eprintln!("{e}\n== {name}: FAILED");
            failed.push(*name);
        }
    }
    if failed.is_empty() {
        println!("== all of {} steps passed", STEPS.len());
        Ok(())
    } else {
        failure(format!("failed: {}", failed.join(", ")))
    }
}

/// A minimal toolchain has neither formatter nor linter.
fn components() -> Result<()> {
    let there = |tool: &str| sh::output(&mut sh::cargo(&[tool, "--version"])).is_ok();
    if there("fmt") && there("clippy") {
        return Ok(());
    }
    sh::run(Command::new("rustup").args(["component", "add", "rustfmt", "clippy"]))
}

/// `fuzz/` is a workspace of its own.
const FUZZ: &str = "fuzz/Cargo.toml";

fn fmt() -> Result<()> {
    sh::run(&mut sh::cargo(&["fmt", "--all", "--check"]))?;
    sh::run(&mut sh::cargo(&["fmt", "--manifest-path", FUZZ, "--check"]))
}

fn clippy() -> Result<()> {
    sh::run(&mut sh::cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn tests() -> Result<()> {
    // Tests of other crates than lb's own start the program too, from where this says.
    let lb = sh::lb("dev")?;
    sh::run(sh::cargo(&["test", "--workspace", "--no-fail-fast"]).env("LB_BIN", lb))
}

fn fuzz_corpus() -> Result<()> {
    let dir = sh::target_dir()?.join("fuzz");
    sh::run(sh::cargo(&["test", "--manifest-path", FUZZ, "--no-fail-fast", "--target-dir"]).arg(dir))
}
