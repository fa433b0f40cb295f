//! keepalived's switches, long and short, also several letters behind one dash (`-nlD`) and long ones cut short (`--log-con`), and those
//! of our own. Each is used, accepted with a reason, or refused with one; what keepalived only complains about is a complaint here too.

use std::net::SocketAddr;
use std::path::PathBuf;
use vrrp_daemon::explain::Question;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    Run,
    /// `-t`, with the file that the messages go to, if not standard error.
    Test(Option<PathBuf>),
    /// `--signum`.
    SignalNumber(String),
    /// A question to a running daemon.
    Ask(&'static str),
    Explain,
    Version,
    Help,
}

/// What the command line says.
#[derive(Debug, Clone)]
pub struct Args {
    pub task: Task,
    pub file: PathBuf,
    pub id: Option<String>,
    pub all_files: bool,
    pub pidfile: Option<PathBuf>,
    pub vrrp_pidfile: Option<PathBuf>,
    pub namespace: Option<String>,
    pub foreground: bool,
    pub console: bool,
    pub facility: u8,
    pub log_file: Option<PathBuf>,
    pub no_syslog: bool,
    pub keep_addresses: bool,
    pub log_addresses: bool,
    pub dump: bool,
    pub core: bool,
    pub umask: Option<u32>,
    pub socket: Option<PathBuf>,
    pub metrics: Option<SocketAddr>,
    pub dumps: PathBuf,
    pub question: Question,
    /// What is wrong and no reason not to start.
    pub complaints: Vec<String>,
    /// Words that are no switches; keepalived says so and goes on.
    pub extra: Vec<String>,
}

impl Args {
    fn new() -> Args {
        Args {
            task: Task::Run,
            file: "/etc/keepalived/keepalived.conf".into(),
            id: None,
            all_files: false,
            pidfile: None,
            vrrp_pidfile: None,
            namespace: None,
            foreground: false,
            console: false,
            facility: vrrp_daemon::log::DAEMON,
            log_file: None,
            no_syslog: false,
            keep_addresses: false,
            log_addresses: false,
            dump: false,
            core: false,
            umask: None,
            socket: None,
            metrics: None,
            dumps: "/tmp".into(),
            question: Question::default(),
            complaints: Vec::new(),
            extra: Vec::new(),
        }
    }
}

/// Reads a value into the arguments, or says what would be one.
type Read = fn(&mut Args, &str) -> Result<(), String>;

enum Does {
    Flag(fn(&mut Args)),
    Value(&'static str, Read),
    /// A value that may be left out; it stands right behind, or behind `=`.
    Maybe(&'static str, fn(&mut Args, Option<&str>)),
    /// It changes nothing; whether it has a value, and why.
    Nothing(Option<&'static str>, &'static str),
    /// The same, and somebody may miss it: that is said.
    Missed(Option<&'static str>, &'static str),
    Refused(&'static str),
}

use Does::{Flag, Maybe, Missed, Nothing, Refused, Value};

/// Those that keepalived does not have: they are written in full, so that they make none of its own ambiguous.
const OURS: &[&str] = &["socket", "metrics", "dump-dir"];

/// Letter (or none), long name, what it does, help.
type Switch = (Option<char>, &'static str, Does, &'static str);

const NO_SNMP: &str = "there is no SNMP here; --metrics and vrrpd status have the figures";
const NO_CHECKERS: &str = "there are no health checkers and no BFD here: no process of theirs";

const SWITCHES: &[Switch] = &[
    (Some('f'), "use-file", Value("FILE", |a, v| put(&mut a.file, v)), "the configuration (/etc/keepalived/keepalived.conf)"),
    (
        Some('t'),
        "config-test",
        Maybe("LOG", |a, v| a.task = Task::Test(v.map(Into::into))),
        "check it: 0 if there is nothing to say, 5 if something is wrong (2: a value is missing; 6: scripts run as root without \
         enable_script_security)",
    ),
    (
        Some('i'),
        "config-id",
        Value("ID", |a, v| put(a.id.get_or_insert_default(), v)),
        "what @ID lines are compared with (the host's name)",
    ),
    (Some('e'), "all-config", Flag(|a| a.all_files = true), "a file that is missing is an error"),
    (Some('n'), "dont-fork", Flag(|a| a.foreground = true), "stay in the foreground"),
    (Some('l'), "log-console", Flag(|a| a.console = true), "log to standard error too"),
    (Some('S'), "log-facility", Value("0-7|local0-7|user|daemon", facility), "facility of syslog (daemon)"),
    (
        Some('g'),
        "log-file",
        Value("FILE", |a, v| put(a.log_file.get_or_insert_default(), v)),
        "log to FILE too; _vrrp stands before its last dot",
    ),
    (Some('G'), "no-syslog", Flag(|a| a.no_syslog = true), "do not log to syslog"),
    (
        Some('p'),
        "pid",
        Value("FILE", |a, v| put(a.pidfile.get_or_insert_default(), v)),
        "the file with the process's number (/run/vrrpd.pid)",
    ),
    (
        Some('r'),
        "vrrp_pid",
        Value("FILE", |a, v| put(a.vrrp_pidfile.get_or_insert_default(), v)),
        "the same number once more: keepalived has a process for VRRP",
    ),
    (Some('s'), "namespace", Value("NAME", |a, v| put(a.namespace.get_or_insert_default(), v)), "run in this network namespace"),
    (Some('V'), "dont-release-vrrp", Flag(|a| a.keep_addresses = true), "leave the addresses in place at the end"),
    (Some('a'), "address-monitoring", Flag(|a| a.log_addresses = true), "log all addresses that come and go"),
    (Some('d'), "dump-conf", Flag(|a| a.dump = true), "log configuration and state at the start"),
    (Some('u'), "umask", Value("MASK", umask), "of the files that it makes"),
    (Some('m'), "core-dump", Flag(|a| a.core = true), "allow core files of any size"),
    (
        Some('M'),
        "core-dump-pattern",
        Maybe("PATTERN", |a, _| a.core = true),
        "the same; their names are the whole system's matter (sysctl kernel.core_pattern) and stay",
    ),
    (
        None,
        "signum",
        Value("NAME", |a, v| {
            a.task = Task::SignalNumber(v.into());
            Ok(())
        }),
        "number of the signal for STOP, RELOAD, DATA, STATS, STATS_CLEAR or JSON",
    ),
    (Some('v'), "version", Flag(|a| a.task = Task::Version), "the version"),
    (Some('h'), "help", Flag(|a| a.task = Task::Help), "this"),
    (None, "socket", Value("PATH", |a, v| put(a.socket.get_or_insert_default(), v)), "where vrrpd status asks (/run/vrrpd.sock)"),
    (None, "metrics", Value("ADDRESS:PORT", metrics), "answer GET /metrics there, for Prometheus"),
    (None, "dump-dir", Value("DIR", |a, v| put(&mut a.dumps, v)), "where SIGUSR1, SIGUSR2 and the JSON signal write (/tmp)"),
    (Some('D'), "log-detail", Nothing(None, "the log has all of it in any case"), ""),
    (Some('P'), "vrrp", Nothing(None, "there is nothing but VRRP"), ""),
    (Some('B'), "no_bfd", Nothing(None, NO_CHECKERS), ""),
    (None, "all", Nothing(None, "there is one process for all of it"), ""),
    (Some('R'), "dont-respawn", Nothing(None, "there is one process, and systemd restarts it"), ""),
    (Some('I'), "dont-release-ipvs", Nothing(None, "IPVS is not touched"), ""),
    (Some('X'), "release-vips", Nothing(None, "addresses are given up at the end in any case"), ""),
    (Some('c'), "checkers_pid", Nothing(Some("FILE"), NO_CHECKERS), ""),
    (Some('b'), "bfd_pid", Nothing(Some("FILE"), NO_CHECKERS), ""),
    (None, "flush-log-file", Nothing(None, "each line is written at once"), ""),
    (None, "no-mem-check", Nothing(None, "there is no such check to turn off"), ""),
    (Some('C'), "check", Refused("it asks for health checkers of IPVS without VRRP, and there are none here"), ""),
    (Some('x'), "snmp", Missed(None, NO_SNMP), ""),
    (Some('A'), "snmp-agent-socket", Nothing(Some("FILE"), NO_SNMP), ""),
    (Some('T'), "genhash", Refused("there is no such tool here; keepalived's own has it"), ""),
    (None, "perf", Refused("use perf record -p"), ""),
    (None, "debug", Refused("the log and vrrpd status say what it does"), ""),
];

fn put<T: From<String>>(slot: &mut T, value: &str) -> Result<(), String> {
    *slot = value.to_string().into();
    Ok(())
}

fn facility(args: &mut Args, value: &str) -> Result<(), String> {
    let number = value.strip_prefix("local").unwrap_or(value).parse::<u8>().ok().filter(|n| *n < 8);
    args.facility = match (value, number) {
        ("user", _) => 1,
        ("daemon", _) => vrrp_daemon::log::DAEMON,
        (_, Some(number)) => 16 + number,
        _ => {
            args.complaints.push(format!("Invalid log facility '{value}'; there are 0 to 7, local0 to local7, user and daemon"));
            args.facility
        }
    };
    Ok(())
}

fn umask(args: &mut Args, value: &str) -> Result<(), String> {
    args.umask = vrrp_daemon::conf::parse_umask(value);
    if args.umask.is_none() {
        args.complaints.push(format!("Invalid --umask option {value}; it is a number up to 0777"));
    }
    Ok(())
}

fn metrics(args: &mut Args, value: &str) -> Result<(), String> {
    args.metrics = value.parse().ok();
    args.metrics.map(drop).ok_or_else(|| format!("'{value}' is no ADDRESS:PORT like 127.0.0.1:9650"))
}

/// Help about all switches.
pub fn usage() -> String {
    let mut out = String::from(
        "vrrpd: VRRP as keepalived.conf describes it

  vrrpd [SWITCHES]                   run
  vrrpd status [--json] [--socket PATH]   who is master, and why it is not us
  vrrpd metrics [--socket PATH]      the figures, as Prometheus reads them
  vrrpd explain [-f FILE] [INSTANCE ...] [--peer ADDRESS=PRIORITY] [--down NAME] [--value FILE=NUMBER]
                                     an election on these priorities; what is tracked is up if it is not said to be down

",
    );
    for (letter, name, does, help) in SWITCHES {
        let letter = letter.map_or("   ".into(), |c| format!("-{c},"));
        let (value, help) = match does {
            Flag(_) => (String::new(), (*help).to_string()),
            Value(what, _) => (format!("={what}"), (*help).to_string()),
            Maybe(what, _) => (format!("[={what}]"), (*help).to_string()),
            Nothing(what, why) | Missed(what, why) => (what.map(|w| format!("={w}")).unwrap_or_default(), format!("no effect: {why}")),
            Refused(why) => (String::new(), format!("refused: {why}")),
        };
        let left = format!("  {letter} --{name}{value}");
        out.push_str(&if left.len() < 34 { format!("{left:<34} {help}\n") } else { format!("{left}\n{:35}{help}\n", "") });
    }
    out
}

/// # Errors
/// The first word that is not understood, or that is refused.
pub fn parse(words: impl Iterator<Item = String>) -> Result<Args, String> {
    let mut args = Args::new();
    let mut words = words.peekable();
    let mut switches = true;
    match words.peek().map(String::as_str) {
        Some("status") => args.task = Task::Ask("status"),
        Some("metrics") => args.task = Task::Ask("metrics"),
        Some("explain") => args.task = Task::Explain,
        _ => {}
    }
    if args.task != Task::Run {
        words.next();
    } else if let Some(word) = words.peek().filter(|word| !word.starts_with('-')) {
        return Err(format!("vrrpd does not know what to do with '{word}'; it has the questions status, metrics and explain"));
    }
    while let Some(word) = words.next() {
        if word == "--" {
            switches = false;
        } else if let Some(long) = word.strip_prefix("--").filter(|_| switches) {
            let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value.to_string())));
            if !ours(&mut args, name, value.as_deref(), &mut words)? {
                let switch = named(name).ok_or_else(|| format!("vrrpd does not know '{word}'"))?;
                apply(&mut args, switch, value, &mut words)?;
            }
        } else if let Some(letters) = word.strip_prefix('-').filter(|l| switches && !l.is_empty()) {
            short(&mut args, letters, &mut words)?;
        } else if args.task == Task::Explain {
            args.question.instances.push(word);
        } else if !matches!(args.task, Task::Ask(_)) {
            args.extra.push(word);
        } else {
            return Err(format!("vrrpd does not know what to do with '{word}'"));
        }
    }
    Ok(args)
}

/// The switch of this name, or the only one of keepalived's that begins so.
fn named(name: &str) -> Option<&'static Switch> {
    let mut begin = SWITCHES.iter().filter(|s| s.1.starts_with(name) && !OURS.contains(&s.1));
    let only = begin.next().filter(|_| begin.next().is_none());
    SWITCHES.iter().find(|s| s.1 == name).or(only.filter(|_| !name.is_empty()))
}

/// Words of `status` and `explain`.
fn ours(args: &mut Args, name: &str, value: Option<&str>, words: &mut impl Iterator<Item = String>) -> Result<bool, String> {
    let explain = args.task == Task::Explain;
    match name {
        "json" if args.task == Task::Ask("status") && value.is_none() => args.task = Task::Ask("status json"),
        "peer" | "down" | "value" if explain => {
            let given = value.map(str::to_string).or_else(|| words.next()).ok_or_else(|| format!("--{name} needs a value"))?;
            let pair = given.rsplit_once('=');
            match name {
                "down" => args.question.down.push(given),
                "peer" => {
                    let peer =
                        pair.and_then(|(address, priority)| Some((address.parse().ok()?, priority.parse().ok().filter(|p| *p > 0)?)));
                    args.question.peers.push(peer.ok_or_else(|| format!("'{given}' is no ADDRESS=PRIORITY like 192.0.2.2=100"))?);
                }
                _ => {
                    let file = pair.and_then(|(file, number)| Some((file.to_string(), number.parse().ok()?)));
                    args.question.values.push(file.ok_or_else(|| format!("'{given}' is no FILE=NUMBER"))?);
                }
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Letters behind one dash. What is behind one with a value is that value.
fn short(args: &mut Args, letters: &str, words: &mut impl Iterator<Item = String>) -> Result<(), String> {
    let mut rest = letters;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        let switch = SWITCHES.iter().find(|s| s.0 == Some(letter)).ok_or_else(|| format!("vrrpd does not know '-{letter}'"))?;
        let takes = matches!(switch.2, Value(..) | Maybe(..) | Nothing(Some(_), _) | Missed(Some(_), _));
        let value = (takes && !rest.is_empty()).then(|| std::mem::take(&mut rest).to_string());
        apply(args, switch, value, words)?;
    }
    Ok(())
}

fn apply(args: &mut Args, switch: &Switch, value: Option<String>, words: &mut impl Iterator<Item = String>) -> Result<(), String> {
    let name = switch.1;
    let mut needed = |value: Option<String>| value.or_else(|| words.next()).ok_or_else(|| format!("--{name} needs a value"));
    match (&switch.2, value) {
        (Flag(_) | Nothing(None, _) | Missed(None, _), Some(_)) => return Err(format!("--{name} takes no value")),
        (Flag(set), None) => set(args),
        (Value(_, set), value) => set(args, &needed(value)?)?,
        (Maybe(_, set), value) => set(args, value.as_deref()),
        (Nothing(Some(_), _) | Missed(Some(_), _), value) => drop(needed(value)?),
        (Nothing(None, _) | Missed(None, _), None) => {}
        (Refused(why), _) => return Err(format!("--{name} is refused: {why}")),
    }
    if let Missed(_, why) = &switch.2 {
        args.complaints.push(format!("--{name} has no effect: {why}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Result<Args, String> {
        parse(words.iter().map(|w| w.to_string()))
    }

    fn says(words: &[&str]) -> String {
        args(words).map_or_else(|e| e, |a| format!("{:?}", a.task))
    }

    #[test]
    fn switches() {
        let all = args(&["-f", "a", "-i", "x", "-t"]).expect("sound");
        assert_eq!((all.file.to_str(), all.id.as_deref(), all.task), (Some("a"), Some("x"), Task::Test(None)));
        // What stands behind it is where messages go, and not the configuration.
        let all = args(&["--use-file=a", "-ix", "--config-test=b"]).expect("sound");
        assert_eq!((all.file.to_str(), all.id.as_deref(), all.task), (Some("a"), Some("x"), Task::Test(Some("b".into()))));
        let all = args(&["-nlDV", "-p/run/x", "-r", "/run/y", "-S", "local3", "-u0022"]).expect("sound");
        assert!(all.foreground && all.console && all.keep_addresses);
        assert_eq!((all.pidfile, all.vrrp_pidfile), (Some("/run/x".into()), Some("/run/y".into())));
        assert_eq!((all.facility, all.umask), (19, Some(0o22)));
        assert_eq!(args(&["-S", "user"]).map(|a| a.facility), Ok(1));
        assert_eq!(says(&["-nN"]), "vrrpd does not know '-N'");
        assert_eq!(says(&["-f"]), "--use-file needs a value");
        assert_eq!(says(&["--frob"]), "vrrpd does not know '--frob'");
        assert_eq!(says(&["--version=1"]), "--version takes no value");
        assert!(says(&["extra"]).starts_with("vrrpd does not know what to do with 'extra'"));
        assert_eq!(says(&["status", "extra"]), "vrrpd does not know what to do with 'extra'");
        assert!(says(&["-C"]).starts_with("--check is refused: "));
        // keepalived complains, and starts.
        let all = args(&["-x", "-S", "9", "-u", "999", "-n", "a", "-", "--", "-l"]).expect("sound");
        assert_eq!(
            (all.extra.as_slice(), all.console, all.facility, all.umask),
            (["a", "-", "-l"].map(String::from).as_slice(), false, 3, None)
        );
        assert!(all.complaints.len() == 3 && all.complaints[1].starts_with("Invalid log facility '9'"), "{:?}", all.complaints);
        // Cut short, as getopt_long takes it; ours are not there for it.
        assert_eq!(args(&["--use", "x", "--log-d", "--dump", "--config-t"]).map(|a| (a.dump, a.task)), Ok((true, Task::Test(None))));
        assert_eq!(says(&["--log"]), "vrrpd does not know '--log'");
        assert_eq!(says(&["--sock"]), "vrrpd does not know '--sock'");
        assert_eq!(says(&["-c", "/run/c.pid", "-b/run/b.pid", "--all"]), "Run");
        assert_eq!(says(&["--signum=JSON"]), "SignalNumber(\"JSON\")");
        assert_eq!(says(&["-é"]), "vrrpd does not know '-é'");
    }

    #[test]
    fn questions() {
        assert_eq!(says(&["status"]), "Ask(\"status\")");
        assert_eq!(says(&["status", "--json", "--socket", "/x"]), "Ask(\"status json\")");
        let all = args(&["explain", "V1", "-f", "a", "--peer", "10.0.0.2=100", "--down=s", "--value", "f=-5"]).expect("sound");
        assert_eq!(all.question.peers, [("10.0.0.2".parse().expect("an address"), 100)]);
        assert_eq!((all.question.instances, all.question.down), (vec!["V1".into()], vec!["s".into()]));
        assert_eq!(all.question.values, [("f".into(), -5)]);
        assert!(says(&["explain", "--peer", "x"]).contains("is no ADDRESS=PRIORITY"));
        assert_eq!(says(&["--peer", "x"]), "vrrpd does not know '--peer'");
    }

    /// Every switch that keepalived 2.2.7's manual and help have.
    #[test]
    fn all_of_keepaliveds_are_known() {
        let long = "use-file vrrp check no_bfd all log-console log-detail log-facility log-file flush-log-file no-syslog release-vips \
                    dont-release-vrrp dont-release-ipvs dont-respawn dont-fork dump-conf pid vrrp_pid genhash checkers_pid \
                    address-monitoring bfd_pid namespace all-config config-id snmp snmp-agent-socket umask core-dump core-dump-pattern \
                    signum config-test perf debug no-mem-check version help";
        let missing: Vec<&str> = long.split_whitespace().filter(|name| !SWITCHES.iter().any(|s| s.1 == *name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
        let letters = "fPCBlDSgGXVIRndprTcabseixAumMtvh";
        assert!(letters.chars().all(|c| SWITCHES.iter().any(|s| s.0 == Some(c))));
        assert!(SWITCHES.iter().all(|s| usage().contains(&format!("--{}", s.1))));
    }
}
