//! keepalived's switches, also several letters behind one dash (`-nlD`). Those that it does not know here are refused by name.

use std::path::PathBuf;

pub const USAGE: &str = "\
vrrpd: VRRP as keepalived.conf describes it

  -f, --use-file FILE     the configuration (/etc/keepalived/keepalived.conf)
  -t, --config-test[=FILE]  check it: exit code 0 if there is nothing to say, 5 if something is wrong
                          (2: a value is missing; 6: scripts run as root without enable_script_security)
  -i, --config-id ID      what @ID lines are compared with (the first part of the host's name)
  -n, --dont-fork         stay in the foreground
  -l, --log-console       log to standard error, not to syslog
  -p, --pid FILE          the file with the process's number (/run/vrrpd.pid)
  -D, --log-detail, -P, --vrrp, -R, --dont-respawn, -B, --no_bfd: as it is in any case
  -v, --version
  -h, --help";

/// What the command line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    pub file: PathBuf,
    pub id: Option<String>,
    pub pidfile: PathBuf,
    pub foreground: bool,
    pub console: bool,
    pub test: bool,
    pub version: bool,
    pub help: bool,
}

/// # Errors
/// The first word that is not understood.
pub fn parse(words: impl Iterator<Item = String>) -> Result<Args, String> {
    let mut args = Args {
        file: "/etc/keepalived/keepalived.conf".into(),
        id: None,
        pidfile: "/run/vrrpd.pid".into(),
        foreground: false,
        console: false,
        test: false,
        version: false,
        help: false,
    };
    let mut words: Vec<String> = words.collect();
    while !words.is_empty() {
        let word = words.remove(0);
        // --name=value, --name value, -nvalue, -n value
        let (name, mut value) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name.to_string(), Some(value.to_string())),
            // Letters without a value may stand together; what is behind one with a value is that value.
            _ if word.starts_with('-') && !word.starts_with("--") && word.is_char_boundary(2) && word.len() > 2 => {
                let rest = &word[2..];
                if ["-f", "-i", "-p"].contains(&&word[..2]) {
                    (word[..2].into(), Some(rest.into()))
                } else {
                    words.insert(0, format!("-{rest}"));
                    (word[..2].into(), None)
                }
            }
            _ => (word.clone(), None),
        };
        let mut needed = |value: Option<String>| {
            value.or_else(|| (!words.is_empty()).then(|| words.remove(0))).ok_or_else(|| format!("{name} needs a value"))
        };
        match name.as_str() {
            "-f" | "--use-file" => args.file = needed(value.take())?.into(),
            "-i" | "--config-id" => args.id = Some(needed(value.take())?),
            "-t" | "--config-test" => {
                args.test = true;
                if let Some(file) = value.take() {
                    args.file = file.into();
                }
            }
            "-p" | "--pid" => args.pidfile = needed(value.take())?.into(),
            "-n" | "--dont-fork" => args.foreground = true,
            "-l" | "--log-console" => args.console = true,
            "-D" | "--log-detail" | "-P" | "--vrrp" | "-R" | "--dont-respawn" | "-B" | "--no_bfd" => {}
            "-v" | "--version" => args.version = true,
            "-h" | "--help" => args.help = true,
            _ => return Err(format!("vrrpd does not know '{word}'")),
        }
        if value.is_some() {
            return Err(format!("{name} takes no value"));
        }
    }
    Ok(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Result<Args, String> {
        parse(words.iter().map(|w| w.to_string()))
    }

    #[test]
    fn switches() {
        let all = args(&["-f", "a", "-i", "x", "-t"]).expect("sound");
        assert_eq!((all.file.to_str(), all.id.as_deref(), all.test), (Some("a"), Some("x"), true));
        let all = args(&["--use-file=a", "-ix", "--config-test=b"]).expect("sound");
        assert_eq!((all.file.to_str(), all.id.as_deref(), all.test), (Some("b"), Some("x"), true));
        let all = args(&["-nlDt", "-p/run/x"]).expect("sound");
        assert!(all.foreground && all.console && all.test && all.pidfile.to_str() == Some("/run/x"));
        assert_eq!(args(&["-nX"]), Err("vrrpd does not know '-X'".into()));
        assert_eq!(args(&["-f"]), Err("-f needs a value".into()));
        assert_eq!(args(&["--frob"]), Err("vrrpd does not know '--frob'".into()));
        assert_eq!(args(&["--version=1"]), Err("--version takes no value".into()));
    }
}
