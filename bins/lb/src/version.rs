//! `-v` and `-vv`, in the form that scripts read: "HAProxy version X.Y.Z", then lines of what is built in.
//!
//! The version is that of the haproxy whose behaviour this is ([`LANGUAGE_VERSION`]): scripts ask for it to learn which words a file
//! may have. The program's own version stands beside it.

use lb_config::{FEATURES, LANGUAGE_DATE, LANGUAGE_VERSION};
use lb_sys::process;
use std::fmt::Write as _;
use std::path::Path;

/// What the program is called by: under haproxy's name it answers as haproxy does.
fn is_called_haproxy() -> bool {
    std::env::args_os().next().is_some_and(|name| Path::new(&name).file_name().is_some_and(|name| name == "haproxy"))
}

/// The text; `full`: of `-vv`.
pub fn text(full: bool) -> String {
    let own = env!("CARGO_PKG_VERSION");
    let mut text = if is_called_haproxy() {
        format!("HAProxy version {LANGUAGE_VERSION} {LANGUAGE_DATE} - as lb {own} speaks it\n")
    } else {
        format!("lb version {own} - speaks the configuration of HAProxy version {LANGUAGE_VERSION} {LANGUAGE_DATE}\n")
    };
    if full {
        let options: Vec<String> = FEATURES.iter().map(|name| format!("USE_{name}=1")).collect();
        let list: Vec<String> = FEATURES.iter().map(|name| format!("+{name}")).collect();
        let _ = write!(
            text,
            "Build options :\n  TARGET  = linux-{}\n  CPU     = {}\n  OPTIONS = {}\n\nFeature list : {}\n\n\
             Default settings :\n  bufsize = 16384, maxrewrite = 1024, maxpollevents = 200\n\n\
             Built with multi-threading support (MAX_THREADS=64, default={}).\n\n\
             Available polling systems :\n      epoll : pref=300,  test result OK\nTotal: 1 (1 usable), will use epoll.\n\n\
             Available multiplexer protocols :\n  <default> : mode=HTTP  side=FE|BE  mux=H1    flags=\n\
             \x20 <default> : mode=TCP   side=FE|BE  mux=PASS  flags=\n\nAvailable services : none\n\nAvailable filters : none\n",
            if cfg!(target_env = "musl") { "musl" } else { "glibc" },
            std::env::consts::ARCH,
            options.join(" "),
            list.join(" "),
            process::cores(),
        );
    }
    text
}
