//! The parity table as a program: `cargo run -p lb-testkit --bin parity -- --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lb_testkit::parity::run(std::env::args().skip(1))
}
