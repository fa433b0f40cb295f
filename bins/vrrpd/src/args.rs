//! keepalived's switches. Those that it does not know here are refused by name.

use std::path::PathBuf;

pub const USAGE: &str = "\
vrrpd: VRRP as keepalived.conf describes it

  -f, --use-file FILE     the configuration (/etc/keepalived/keepalived.conf)
  -t, --config-test[=FILE]  check it: exit code 0 if there is nothing to say, 5 if something is wrong
                          (2: a value is missing; 6: scripts run as root without enable_script_security)
  -i, --config-id ID      what @ID lines are compared with (the first part of the host's name)
  -v, --version
  -h, --help";

/// What the command line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    pub file: PathBuf,
    pub id: Option<String>,
    pub test: bool,
    pub version: bool,
    pub help: bool,
}

/// # Errors
/// The first word that is not understood.
pub fn parse(words: impl Iterator<Item = String>) -> Result<Args, String> {
    let mut args = Args { file: "/etc/keepalived/keepalived.conf".into(), id: None, test: false, version: false, help: false };
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        // --name=value, --name value, -nvalue, -n value
        let (name, mut value) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name.to_string(), Some(value.to_string())),
            _ if word.starts_with('-') && !word.starts_with("--") && word.is_char_boundary(2) && word.len() > 2 => {
                (word[..2].into(), Some(word[2..].into()))
            }
            _ => (word.clone(), None),
        };
        let mut needed = |value: Option<String>| value.or_else(|| words.next()).ok_or_else(|| format!("{name} needs a value"));
        match name.as_str() {
            "-f" | "--use-file" => args.file = needed(value.take())?.into(),
            "-i" | "--config-id" => args.id = Some(needed(value.take())?),
            "-t" | "--config-test" => {
                args.test = true;
                if let Some(file) = value.take() {
                    args.file = file.into();
                }
            }
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
        assert_eq!(args(&["-f"]), Err("-f needs a value".into()));
        assert_eq!(args(&["--frob"]), Err("vrrpd does not know '--frob'".into()));
        assert_eq!(args(&["-v=1"]), Err("-v takes no value".into()));
    }
}
