//! The command line: haproxy's switches as management.txt section 3 has them, as far as they are there, and our own commands.
//! An unknown switch is an error with the usage, never skipped.

use lb_config::Switches;
use std::net::{IpAddr, SocketAddr};

/// What the program is to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// `-v`: the version; `-vv`: with build details.
    Version { full: bool },
    /// Run (or, with `check`, only read) configuration files.
    Run(Box<RunArgs>),
    /// `check`: all that there is to say about configuration files.
    Check(CheckArgs),
    /// `-cc`: is a condition of `.if` true?
    Condition {
        /// Its text.
        text: String,
        /// `-q`: nothing is said of what is wrong with it.
        quiet: bool,
    },
    /// `-dMhelp`: what there is to say of memory pools.
    MemoryHelp,
    /// `fmt`: files in consistent layout or today's spelling.
    Fmt(FmtArgs),
    /// `explain`: why a request would be sent where.
    Explain(ExplainArgs),
    /// `demo`: a show with its own origins.
    Demo(DemoArgs),
    /// Say how to call the program, and why it was called wrongly.
    Usage(Option<String>),
}

/// Switches of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RunArgs {
    /// `-f`, and what follows `--`.
    pub files: Vec<String>,
    /// `-c`: read the configuration and exit.
    pub check: bool,
    /// `-d`: debug; stays in the foreground.
    pub debug: bool,
    /// `-db`: stays in the foreground.
    pub foreground: bool,
    /// `-q`: no messages.
    pub quiet: bool,
    /// `-V`: messages in spite of `quiet`.
    pub verbose: bool,
    /// `-n`: connections of the process.
    pub maxconn: Option<u32>,
    /// `-N`: connections of a proxy that does not say.
    pub proxy_maxconn: Option<u32>,
    /// `-dS`, `-dR`, `-dD` and others that a configuration can ask about.
    pub switches: Switches,
    /// `-dW`: warnings are fatal.
    pub zero_warning: bool,
    /// `-C`: the directory that file names are read from.
    pub directory: Option<String>,
    /// `-D`: goes into the background.
    pub daemon: bool,
    /// `-W`, `-Ws`: a master and a worker.
    pub master: bool,
    /// `-Ws`: systemd is told when the worker serves.
    pub notify: bool,
    /// `-p`: the file that gets the process's number.
    pub pidfile: Option<String>,
    /// `-L`: name of this peer.
    pub local_peer: Option<String>,
    /// `-m`: megabytes of memory at most.
    pub megabytes: Option<u64>,
    /// `-x`: the run-time socket of an old process that gives its listening sockets.
    pub sockets_from: Option<String>,
    /// `-S`: address and parameters of the master's socket.
    pub master_socket: Option<String>,
    /// `-sf`, `-st`: old processes.
    pub old: Vec<u32>,
    /// `-st`: they are to end at once, not when they are done.
    pub terminate_old: bool,
    /// `-dI`: the process may start others.
    pub may_fork: bool,
    /// `-dL`: shows the object files of the process.
    pub objects: bool,
    /// `-dK`: classes of keywords to show.
    pub keywords: Option<String>,
    /// `-dC`: shows the configuration as it was read.
    pub dump: Option<Dump>,
}

/// `-dC[<key>][,line]`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dump {
    /// Names and addresses are replaced by what the key makes of them; 0 and none leave them.
    pub key: Option<u32>,
    /// Each line begins with its number.
    pub lines: bool,
}

/// Switches of `check`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CheckArgs {
    /// `-f`, and what stands alone.
    pub files: Vec<String>,
    /// `--lint`: tells what is sound and perhaps not meant.
    pub lint: bool,
    /// `--json`: for editors and machines.
    pub json: bool,
    /// `-dW`: warnings count as errors.
    pub zero_warning: bool,
}

/// Switches of `fmt`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FmtArgs {
    /// What stands alone.
    pub files: Vec<String>,
    /// `--upgrade`: today's spelling; the layout stays.
    pub upgrade: bool,
    /// `-i`, `--in-place`: replaces the file.
    pub in_place: bool,
}

/// Switches of `explain`.
#[derive(Debug, PartialEq, Eq)]
pub struct ExplainArgs {
    /// `-f`.
    pub files: Vec<String>,
    /// `--request`: the request line.
    pub request: String,
    /// `-H`: fields, `name: value`.
    pub fields: Vec<String>,
    /// `--src`: who sends it, an address with or without port.
    pub client: SocketAddr,
    /// `--frontend`: where it comes in.
    pub frontend: Option<String>,
    /// `--json`: for machines.
    pub json: bool,
}

/// Switches of the demo.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct DemoArgs {
    /// `--for`: seconds until it ends by itself.
    pub seconds: Option<u32>,
}

/// The usage text.
pub const USAGE: &str = "\
Usage: lb [-f <cfgfile>]* [-c] [-dDqvVW] [-C <dir>] [-p <pidfile>] [-n <maxconn>] [-N <maxconn>] [-m <megabytes>] [-L <name>]
          [-S <socket>] [-x <socket>] [-sf|-st <pid>*] [-- <cfgfile>*]
       lb -cc <condition>
       lb check [--lint] [--json] [-dW] [-f] <cfgfile>*
       lb explain -f <cfgfile> --request '<method> <target> [HTTP/1.1]' [-H '<name>: <value>']* [--src <ip>] [--frontend <name>] [--json]
       lb fmt [--upgrade] [-i] <cfgfile>*
       lb demo [--for <seconds>]
        -f <file>   read this configuration; may be given several times
        -c          check the configuration and exit: 0 it is good, 1 it has errors, 2 nothing would listen
        -cc <cond>  evaluate a condition of .if and exit: 0 true, 1 false, 2 it is none
        -C <dir>    change to this directory before anything is read
        -n <n>      connections of the process at once
        -N <n>      connections at once of a proxy that does not set maxconn
        -D          go into the background when everything is open
        -W          a master that starts and replaces the process that serves; SIGUSR2 reloads
        -Ws         the same, and systemd is told when it serves
        -S <address>[,<parameter>]*  socket of the master
        -p <file>   file that gets the number of the process in the background, or of the master
        -sf <pid>*  old processes that are to finish what they do and go, when everything is open
        -st <pid>*  old processes that are to go at once, likewise
        -x <socket> take the listening sockets of the process that has this run-time socket (expose-fd listeners)
        -L <name>   name of this peer
        -m <n>      megabytes of memory at most
        -d, -db     stay in the foreground although the configuration says daemon
        -dC[<key>][,line]  show the lines of the configuration, cut into words; with a key, names and addresses are hidden
        -dD         tell what is suspicious, too
        -dK<class>[,<class>]  show the known keywords; -dKhelp lists the classes
        -de, -dp, -dF, -dG, -dV  change what enabled() says in conditions and nothing else
        -dI         allow the process to start others
        -dL         show the object files that are loaded
        -dM, -dZ, -dk  accepted: there is no memory pool, no zero-copy layer and no kqueue to change
        -dr         start servers whose names have no address without one
        -dR         do not use SO_REUSEPORT
        -dS         do not use splice(2)
        -dW         refuse to start when there are warnings
        -q          no messages
        -V          messages even when the configuration says quiet
        -v, -vv     version; with build details
        --          configuration files follow
        check       all about the configuration: errors, warnings, words without effect
          --lint    and what is sound but perhaps not meant
          --json    for editors and machines
        explain     ask the rules about a request that nobody sent: what each says, where the request would go, and why
          --request, -H, --src, --frontend  the request, its fields, its client, where it comes in
          --json    for machines
        fmt         print the configuration with consistent indentation
          --upgrade instead in today's spelling, layout and comments kept; what cannot be said today is told
          -i, --in-place  replace the file
        demo        start origins, a TCP and an HTTP front, and show what happens
";

/// The answer to `-dMhelp`.
pub const MEMORY_HELP: &str = "\
-dM with a byte and options of haproxy is accepted and changes nothing: there are no memory pools to poison, merge or check.
";

/// Reads the arguments (without the program's name).
pub fn parse(args: impl IntoIterator<Item = String>) -> Command {
    let mut run = RunArgs::default();
    let mut args = args.into_iter().peekable();
    let mut first = true;
    let mut condition = None;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "demo" if first => return demo(args),
            "check" if first => return check(args),
            "explain" if first => return explain(args),
            "fmt" if first => return fmt(args),
            "-cc" => match args.next() {
                Some(text) => condition = Some(text),
                None => return Command::Usage(Some("-cc wants a condition".into())),
            },
            "-v" => return Command::Version { full: false },
            "-vv" => return Command::Version { full: true },
            "-h" | "--help" | "help" => return Command::Usage(None),
            "-c" => run.check = true,
            "-d" => run.debug = true,
            "-db" => run.foreground = true,
            "-dS" => run.switches.no_splice = true,
            "-dR" => run.switches.no_reuseport = true,
            "-dr" => run.switches.ignore_unresolved = true,
            "-de" => run.switches.no_epoll = true,
            "-dp" => run.switches.no_poll = true,
            "-dG" => run.switches.no_getaddrinfo = true,
            "-dF" => run.switches.no_fast_forward = true,
            "-dV" => run.switches.no_server_verify = true,
            "-dW" => run.zero_warning = true,
            "-dD" => run.switches.diagnostics = true,
            "-q" => run.quiet = true,
            "-V" => run.verbose = true,
            "-D" => run.daemon = true,
            "-W" | "-Ws" => {
                (run.master, run.switches.master_worker) = (true, true);
                run.notify |= arg == "-Ws";
            }
            "-dI" => run.may_fork = true,
            "-dL" => run.objects = true,
            "-dZ" | "-dk" => {}
            "-p" | "-L" | "-x" | "-S" => match args.next().filter(|value| !value.is_empty()) {
                Some(value) => match arg.as_str() {
                    "-p" => run.pidfile = Some(value),
                    "-L" => (run.local_peer, run.switches.local_peer) = (Some(value), true),
                    "-x" => run.sockets_from = Some(value),
                    _ => run.master_socket = Some(value),
                },
                None => return Command::Usage(Some(format!("{arg} wants a value"))),
            },
            "-m" => match args.next().as_deref().map(str::parse::<u64>) {
                Some(Ok(n)) => run.megabytes = Some(n).filter(|n| *n != 0),
                _ => return Command::Usage(Some("-m wants a number of megabytes".into())),
            },
            "-sf" | "-st" => {
                run.terminate_old = arg == "-st";
                while let Some(pid) = args.next_if(|next| !next.starts_with('-')) {
                    match pid.parse::<u32>() {
                        Ok(pid) if pid > 0 => run.old.push(pid),
                        _ => return Command::Usage(Some(format!("{arg} takes numbers of processes, and '{pid}' is none"))),
                    }
                }
            }
            "-f" => match args.next() {
                Some(file) => run.files.push(file),
                None => return Command::Usage(Some("-f wants the name of a configuration file".into())),
            },
            "-C" => match args.next() {
                Some(directory) => run.directory = Some(directory),
                None => return Command::Usage(Some("-C wants a directory".into())),
            },
            "-n" | "-N" => match args.next().as_deref().map(str::parse::<u32>) {
                Some(Ok(n)) if arg == "-n" => run.maxconn = Some(n).filter(|n| *n != 0),
                Some(Ok(n)) => run.proxy_maxconn = Some(n).filter(|n| *n != 0),
                _ => return Command::Usage(Some(format!("{arg} wants a number of connections"))),
            },
            "--" => run.files.extend(args.by_ref()),
            other if other.starts_with("-dK") => run.keywords = Some(other[3..].to_owned()),
            other if other.starts_with("-dC") => match dump(&other[3..]) {
                Some(dump) => run.dump = Some(dump),
                None => return Command::Usage(Some(format!("'{other}': write -dC, -dC<number> or -dC<number>,line"))),
            },
            other if other.starts_with("-dM") => {
                if let Some(wrong) = unknown_memory_option(&other[3..]) {
                    return Command::Usage(Some(format!("-dM does not take '{wrong}'")));
                }
                if other[3..].split(',').any(|word| word == "help") {
                    return Command::MemoryHelp;
                }
            }
            other if other.starts_with("-dt") => {
                return Command::Usage(Some(format!(
                    "'{other}': there are no traces to start; logs and the run-time socket tell what happens"
                )));
            }
            other => return Command::Usage(Some(format!("unknown argument '{other}'"))),
        }
        first = false;
    }
    if let Some(text) = condition {
        return Command::Condition { text, quiet: run.quiet && !run.verbose };
    }
    if run.files.is_empty() {
        return Command::Usage(Some("no configuration file: give one with -f".into()));
    }
    Command::Run(Box::new(run))
}

/// What stands behind `-dM`: a byte, and options of memory pools. There are none; what haproxy does not know either is an error.
fn unknown_memory_option(text: &str) -> Option<&str> {
    const KNOWN: [&str; 10] = ["fail", "merge", "cold-first", "integrity", "global", "cache", "caller", "tag", "poison", "backup"];
    let is_byte =
        |word: &str| word.strip_prefix("0x").map_or_else(|| word.parse::<u8>().is_ok(), |hex| u8::from_str_radix(hex, 16).is_ok());
    let is_known = |word: &str| {
        matches!(word, "" | "help" | "hot-first" | "uaf" | "no-uaf") || KNOWN.contains(&word.strip_prefix("no-").unwrap_or(word))
    };
    text.split(',').enumerate().find(|(at, word)| !(is_known(word) || *at == 0 && is_byte(word))).map(|(_, word)| word)
}

/// What stands behind `-dC`.
fn dump(text: &str) -> Option<Dump> {
    let (key, lines) = match text.split_once(',') {
        Some((key, "line")) => (key, true),
        Some(_) => return None,
        None => (text, false),
    };
    let key = if key.is_empty() { None } else { Some(key.parse::<u32>().ok()?) };
    Some(Dump { key: key.filter(|key| *key != 0), lines })
}

fn check(mut args: impl Iterator<Item = String>) -> Command {
    let mut check = CheckArgs::default();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--lint" => check.lint = true,
            "--json" => check.json = true,
            "-dW" => check.zero_warning = true,
            "-f" => match args.next() {
                Some(file) => check.files.push(file),
                None => return Command::Usage(Some("-f wants the name of a configuration file".into())),
            },
            "--" => check.files.extend(args.by_ref()),
            "-h" | "--help" => return Command::Usage(None),
            other if other.starts_with('-') => return Command::Usage(Some(format!("unknown argument '{other}' of check"))),
            file => check.files.push(file.to_owned()),
        }
    }
    if check.files.is_empty() {
        return Command::Usage(Some("no configuration file to check".into()));
    }
    Command::Check(check)
}

fn explain(mut args: impl Iterator<Item = String>) -> Command {
    let client = SocketAddr::from(([127, 0, 0, 1], 40_000));
    let mut asked = ExplainArgs { files: Vec::new(), request: String::new(), fields: Vec::new(), client, frontend: None, json: false };
    while let Some(arg) = args.next() {
        if arg == "--json" {
            asked.json = true;
            continue;
        }
        if arg == "-h" || arg == "--help" {
            return Command::Usage(None);
        }
        if !["-f", "--request", "-H", "--src", "--frontend"].contains(&arg.as_str()) {
            return Command::Usage(Some(format!("unknown argument '{arg}' of explain")));
        }
        let Some(value) = args.next() else { return Command::Usage(Some(format!("{arg} wants a value"))) };
        match arg.as_str() {
            "-f" => asked.files.push(value),
            "-H" => asked.fields.push(value),
            "--frontend" => asked.frontend = Some(value),
            "--src" => {
                match value.parse::<SocketAddr>().or_else(|_| value.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, client.port()))) {
                    Ok(client) => asked.client = client,
                    Err(_) => return Command::Usage(Some(format!("'{value}' is no address"))),
                }
            }
            _ => {
                let version = if value.split(' ').count() > 2 { "" } else { " HTTP/1.1" };
                asked.request = format!("{value}{version}");
            }
        }
    }
    match (asked.files.is_empty(), asked.request.is_empty()) {
        (true, _) => Command::Usage(Some("no configuration file: give one with -f".into())),
        (_, true) => Command::Usage(Some("no request: give one with --request 'GET /'".into())),
        _ => Command::Explain(asked),
    }
}

fn fmt(mut args: impl Iterator<Item = String>) -> Command {
    let mut fmt = FmtArgs::default();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--upgrade" => fmt.upgrade = true,
            "-i" | "--in-place" => fmt.in_place = true,
            "--" => fmt.files.extend(args.by_ref()),
            "-h" | "--help" => return Command::Usage(None),
            other if other.starts_with('-') => return Command::Usage(Some(format!("unknown argument '{other}' of fmt"))),
            file => fmt.files.push(file.to_owned()),
        }
    }
    match fmt.files.len() {
        0 => Command::Usage(Some("no configuration file to write".into())),
        1 => Command::Fmt(fmt),
        _ if fmt.in_place => Command::Fmt(fmt),
        _ => Command::Usage(Some("several files can be written with --in-place only".into())),
    }
}

fn demo(mut args: impl Iterator<Item = String>) -> Command {
    let mut demo = DemoArgs::default();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--for" => match args.next().as_deref().map(str::parse::<u32>) {
                Some(Ok(seconds)) if seconds != 0 => demo.seconds = Some(seconds),
                _ => return Command::Usage(Some("--for wants a number of seconds".into())),
            },
            "-h" | "--help" => return Command::Usage(None),
            other => return Command::Usage(Some(format!("unknown argument '{other}' of demo"))),
        }
    }
    Command::Demo(demo)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Command {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn switches() {
        let Command::Run(run) = of("-db -f a.cfg -n 100 -q -- b.cfg c.cfg") else { panic!() };
        assert_eq!(run.files, ["a.cfg", "b.cfg", "c.cfg"]);
        assert!(run.foreground && run.quiet && !run.check);
        assert_eq!(run.maxconn, Some(100));
        assert_eq!(of("-vv"), Command::Version { full: true });
        let fmt = |files: &[&str], upgrade, in_place| {
            Command::Fmt(FmtArgs { files: files.iter().map(|name| name.to_string()).collect(), upgrade, in_place })
        };
        assert_eq!(of("fmt a.cfg"), fmt(&["a.cfg"], false, false));
        assert_eq!(of("fmt --upgrade -i a.cfg b.cfg"), fmt(&["a.cfg", "b.cfg"], true, true));
        assert!(matches!(of("fmt a.cfg b.cfg"), Command::Usage(Some(_))));
        assert!(matches!(of("fmt -x a.cfg"), Command::Usage(Some(_))));
        assert!(matches!(of("fmt"), Command::Usage(Some(_))));
        assert_eq!(of("demo"), Command::Demo(DemoArgs { seconds: None }));
        assert_eq!(of("demo --for 3"), Command::Demo(DemoArgs { seconds: Some(3) }));
        assert!(matches!(of("demo --for 0"), Command::Usage(Some(_))));
        assert!(matches!(of("demo --ports"), Command::Usage(Some(_))));
        assert!(matches!(of("-c demo"), Command::Usage(Some(_))));
        assert!(matches!(of("-c"), Command::Usage(Some(_))));
        assert!(matches!(of("-f a -Z"), Command::Usage(Some(e)) if e.contains("-Z")));
        assert!(matches!(of("-f a -dt"), Command::Usage(Some(e)) if e.contains("no traces")));
        assert!(matches!(of("-f a -n x"), Command::Usage(Some(_))));
    }

    #[test]
    fn switches_of_the_process() {
        let Command::Run(run) = of("-Ws -D -p a.pid -L me -x /s -S /m,mode,600 -m 100 -sf 1 22 -dM0 -dM0x50,no-merge,fail -dI -f a -st")
        else {
            panic!()
        };
        assert!(run.master && run.notify && run.daemon && run.may_fork && run.switches.local_peer && run.terminate_old);
        assert_eq!((run.old, run.megabytes, run.pidfile.as_deref()), (vec![1, 22], Some(100), Some("a.pid")));
        assert_eq!((run.sockets_from.as_deref(), run.master_socket.as_deref()), (Some("/s"), Some("/m,mode,600")));
        for wrong in ["-f a -sf 1 x", "-f a -sf 0", "-f a -m x", "-f a -p", "-f a -x", "-f a -Wx", "-f a -dMfoo", "-f a -dM0x100"] {
            assert!(matches!(of(wrong), Command::Usage(Some(_))), "{wrong}");
        }
    }

    #[test]
    fn switches_of_checking() {
        let Command::Run(run) = of("-c -C d -dD -dKcfg,smp -dC12,line -f a") else { panic!() };
        let Command::Run(conditions) = of("-f a -dr -dF -de") else { panic!() };
        let switches = Switches { ignore_unresolved: true, no_fast_forward: true, no_epoll: true, ..Switches::default() };
        assert_eq!(conditions.switches, switches);
        assert!(run.switches.diagnostics && run.keywords.as_deref() == Some("cfg,smp"));
        assert_eq!((run.dump, run.directory.as_deref()), (Some(Dump { key: Some(12), lines: true }), Some("d")));
        let dump = |line: &str| if let Command::Run(run) = of(line) { run.dump } else { None };
        assert_eq!(dump("-dC -f a"), Some(Dump::default()));
        assert_eq!(dump("-dC0,line -f a"), Some(Dump { key: None, lines: true }));
        assert!(matches!(of("-dCx -f a"), Command::Usage(Some(_))));
        let files = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(of("check a --lint -f b"), Command::Check(CheckArgs { files, lint: true, ..CheckArgs::default() }));
        assert!(matches!(of("check --json"), Command::Usage(Some(_))));
        assert!(matches!(of("check --jsn a"), Command::Usage(Some(_))));
        assert_eq!(of("-cc defined(A)"), Command::Condition { text: "defined(A)".into(), quiet: false });
        assert_eq!(of("-cc 1 -q"), Command::Condition { text: "1".into(), quiet: true });
        assert!(matches!(of("-cc 1 more"), Command::Usage(Some(_))));
        assert_eq!(of("-dM0,help"), Command::MemoryHelp);
    }
}
