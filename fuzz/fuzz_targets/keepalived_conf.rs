#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| lb_fuzz::keepalived::keepalived_conf(data));

/// Without libFuzzer: runs the files given as arguments.
#[cfg(not(fuzzing))]
fn main() {
    lb_fuzz::run_files(lb_fuzz::keepalived::keepalived_conf);
}
