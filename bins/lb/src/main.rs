//! The lb binary: arguments, wiring, exit codes.

fn main() {}
