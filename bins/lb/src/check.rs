//! What there is to say about configuration files: before a run and for `-c` in haproxy's form and with its exit codes, for
//! `lb check` in short or as JSON.

use crate::args::{CheckArgs, RunArgs};
use crate::classes;
use crate::environment;
use crate::load::{self, Loaded};
use crate::messages::{alert, print, say, warning};
use lb_config::{Diagnostic, Severity, Switches, render, report};
use serde_json::{Value, json};
use std::process::ExitCode;

/// The configuration is good, and nothing would listen.
const NO_LISTENER: u8 = 2;

/// True when there are to be no messages but errors.
pub fn is_quiet(args: &RunArgs, loaded: &Loaded) -> bool {
    (args.quiet || loaded.config.global.quiet) && !args.verbose
}

/// Reads the files of a run and tells what is wrong with them.
///
/// # Errors
/// The exit code, when there is nothing to run.
pub fn read(args: &RunArgs) -> Result<Loaded, ExitCode> {
    // haproxy says nothing at all under `-q`, not even why it ends.
    let silent = args.quiet && !args.verbose;
    let complain = |text: &str| {
        if !silent {
            alert(text);
        }
    };
    if let Some(directory) = &args.directory
        && let Err(error) = std::env::set_current_dir(directory)
    {
        complain(&format!("Could not change to directory {directory} : {}", load::reason(&error)));
        return Err(ExitCode::FAILURE);
    }
    let cannot_open = |text: String| {
        complain(&text);
        ExitCode::FAILURE
    };
    if let Some(dump) = args.dump {
        let (text, diagnostics) = load::dump(&args.files, dump).map_err(cannot_open)?;
        print(&text);
        // Nothing is looked at but the words, unless `-c` asks for more.
        if !args.check {
            say(&report(&diagnostics, std::process::id()));
            return Err(if diagnostics.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
    }
    let loaded = load::load(&args.files, args.switches, &[]).map_err(cannot_open)?;
    let quiet = is_quiet(args, &loaded);
    let failed = loaded.has(Severity::Error);
    if !quiet || (failed && !silent) {
        say(&report(&loaded.diagnostics, std::process::id()));
    }
    if failed {
        for file in files_with_errors(&loaded.diagnostics) {
            complain(&format!("config : Error(s) found in configuration file : {file}"));
        }
        complain("config : Fatal errors found in configuration.");
        return Err(ExitCode::FAILURE);
    }
    let mut warnings = loaded.has(Severity::Warning);
    if let Some(socket) = &args.master_socket {
        if !args.master && loaded.config.global.process.master_worker.is_none() {
            warnings = true;
            if !quiet {
                warning("config : a socket of the master is given (-S) and no master: start with -W, or write 'master-worker' in 'global'");
            }
        } else if let Err(text) = crate::master::check_socket(socket) {
            complain(&format!("config : {text}"));
            return Err(ExitCode::FAILURE);
        }
    }
    if warnings && (args.zero_warning || loaded.config.global.zero_warning) {
        complain("config : Some warnings were found and 'zero-warning' is set. Aborting.");
        return Err(ExitCode::FAILURE);
    }
    if let Some(names) = &args.keywords {
        print(&classes::show(names));
    }
    if args.objects {
        print(&environment::objects());
    }
    let tell = |text: &str| {
        if !quiet {
            print(text);
        }
    };
    match (loaded.config.listens(), args.check) {
        (false, true) => {
            tell("Configuration file has no error but will not start (no listener) => exit(2).\n");
            Err(ExitCode::from(NO_LISTENER))
        }
        (true, true) => {
            if warnings {
                tell("Warnings were found.\n");
            }
            tell("Configuration file is valid\n");
            Err(ExitCode::SUCCESS)
        }
        (false, false) => {
            complain("No enabled listener found (check for 'bind' directives) ! Exiting.");
            Err(ExitCode::FAILURE)
        }
        (true, false) => Ok(loaded),
    }
}

/// Each file once, in order.
fn files_with_errors(diagnostics: &[Diagnostic]) -> Vec<&str> {
    let mut files: Vec<&str> =
        diagnostics.iter().filter(|one| one.severity == Severity::Error && !one.file.is_empty()).map(|one| one.file.as_str()).collect();
    files.dedup();
    files
}

/// `lb -cc`: 0 true, 1 false, 2 no condition, as haproxy.
pub fn condition(text: &str, quiet: bool) -> ExitCode {
    match load::condition(text) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            if !quiet {
                alert(&format!("config : Failed to evaluate condition: {error}"));
            }
            ExitCode::from(2)
        }
    }
}

/// `lb check`: everything, words without effect included. The exit code is that of `-c`.
pub fn run(args: &CheckArgs) -> ExitCode {
    // How it will be started is not known here.
    let switches = Switches { diagnostics: true, master_worker: true, ..Switches::default() };
    let remarks: &[Severity] = if args.lint { &[Severity::Info, Severity::Lint] } else { &[Severity::Info] };
    let loaded = match load::load(&args.files, switches, remarks) {
        Ok(loaded) => loaded,
        Err(text) if args.json => {
            let message = text.trim_start_matches("config : ");
            let one = json!({ "severity": severity(Severity::Error), "message": message });
            print(&format!("{:#}\n", json!({ "errors": 1, "warnings": 0, "diagnostics": [one], "listens": false })));
            return ExitCode::FAILURE;
        }
        Err(text) => {
            alert(&text);
            return ExitCode::FAILURE;
        }
    };
    let list = &loaded.diagnostics;
    let count = |severity: Severity| list.iter().filter(|one| one.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let remarks = list.len() - errors - warnings;
    if args.json {
        let mut value = json(list, errors, warnings);
        value["listens"] = loaded.config.listens().into();
        print(&format!("{value:#}\n"));
    } else {
        let listener = if loaded.config.listens() { "" } else { ", no listener" };
        print(&format!("{}errors: {errors}, warnings: {warnings}, remarks: {remarks}{listener}\n", render(list)));
    }
    match () {
        () if errors > 0 || (warnings > 0 && (args.zero_warning || loaded.config.global.zero_warning)) => ExitCode::FAILURE,
        () if !loaded.config.listens() => ExitCode::from(NO_LISTENER),
        () => ExitCode::SUCCESS,
    }
}

/// One object. Lines and columns count from 1, columns in bytes; `end` is the column behind what is meant. What concerns no
/// place has no `line`, what concerns a whole line no `column`.
fn json(list: &[Diagnostic], errors: usize, warnings: usize) -> Value {
    let one = |diagnostic: &Diagnostic| {
        let mut value = json!({ "severity": severity(diagnostic.severity), "message": diagnostic.message });
        let mut set = |name: &str, field: Value| value[name] = field;
        if !diagnostic.span.is_none() {
            set("file", diagnostic.file.as_str().into());
            set("line", diagnostic.span.line.into());
        }
        if diagnostic.span.column > 0 {
            set("column", diagnostic.span.column.into());
            set("end", (diagnostic.span.column + diagnostic.length).into());
        }
        if let Some(help) = &diagnostic.help {
            set("help", help.as_str().into());
        }
        value
    };
    json!({ "errors": errors, "warnings": warnings, "diagnostics": list.iter().map(one).collect::<Vec<_>>() })
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "information",
        Severity::Lint => "lint",
        Severity::Diag => "diagnostic",
        Severity::Notice => "notice",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}
