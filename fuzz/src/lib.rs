//! Fuzz targets. Each is a plain function that panics when a promise is broken, so that the tests replay its corpus and a
//! seeded mutator on stable, and libFuzzer runs it where a nightly is: `cargo +nightly fuzz run <target>`.
//!
//! To add one: a function here (a module per crate under test), a file in `fuzz_targets/` and a `[[bin]]` that calls it, some
//! inputs in `corpus/<target>/`, a line in [`TARGETS`].

pub mod checks;
pub mod config;
pub mod expressions;
pub mod http;
pub mod keepalived;
pub mod language;
pub mod lines;
pub mod mutate;
pub mod patterns;
pub mod runtime;
pub mod samples;
pub mod syslog;
pub mod vrrp_packets;

/// A target: its name is that of its corpus directory; pieces that its inputs are made of.
pub type Target = (&'static str, fn(&[u8]), &'static [&'static [u8]]);

/// All targets.
pub const TARGETS: &[Target] = &[
    ("h1_head", http::h1_head, http::WORDS),
    ("h1_chunked", http::h1_chunked, http::WORDS),
    ("proxy_header", http::proxy_header, http::WORDS),
    ("netscaler_header", http::netscaler_header, http::WORDS),
    ("config", config::config, language::WORDS),
    ("tokenizer", language::tokenizer, language::WORDS),
    ("conditions", language::conditions, language::WORDS),
    ("converters", expressions::converters, expressions::WORDS),
    ("expression", expressions::expression, expressions::WORDS),
    ("samples", samples::samples, samples::WORDS),
    ("old_lines", lines::old_lines, lines::WORDS),
    ("cli_input", runtime::cli_input, runtime::WORDS),
    ("acl_lines", patterns::acl_lines, patterns::WORDS),
    ("pattern_file", patterns::pattern_file, patterns::WORDS),
    ("syslog", syslog::syslog, syslog::WORDS),
    ("checks", checks::checks, checks::WORDS),
    ("keepalived_conf", keepalived::keepalived_conf, keepalived::WORDS),
    ("vrrp_packet", vrrp_packets::vrrp_packet, vrrp_packets::WORDS),
];

/// Runs `target` on every file named on the command line: for a crash that libFuzzer left.
pub fn run_files(target: fn(&[u8])) {
    for path in std::env::args_os().skip(1) {
        match std::fs::read(&path) {
            Ok(data) => target(&data),
            Err(e) => {
                eprintln!("{}: {e}", path.display());
                std::process::exit(1);
            }
        }
    }
}
