//! Scripts: which program, who runs it, and whether it is safe to do so.

use crate::conf::model::{Command, Conf, User};
use lb_rt::clock::now;
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

/// What a script that takes too long has between SIGTERM and SIGKILL.
pub const GRACE: Duration = Duration::from_secs(1);
/// How often a child is looked at while its end is waited for.
const GLANCE: Duration = Duration::from_millis(20);

/// Who runs scripts if the file names nobody and there is such a user.
const DEFAULT_USER: &str = "keepalived_script";

/// Who runs a script; root by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Identity {
    uid: u32,
    gid: u32,
}

impl Identity {
    /// The user of a command: its own, `script_user`, `keepalived_script` if there is such a user, or ourselves.
    ///
    /// # Errors
    /// The name that nobody has.
    pub fn of(conf: &Conf, command: &Command) -> Result<Identity, String> {
        Identity::of_user(conf, command.user.as_ref())
    }

    fn named(user: &User) -> Result<Identity, String> {
        let (uid, own) = lb_sys::account::user(&user.user).ok_or_else(|| format!("there is no user {}", user.user))?;
        let gid = match &user.group {
            Some(group) => lb_sys::account::group_id(group).ok_or_else(|| format!("there is no group {group}"))?,
            None => own,
        };
        Ok(Identity { uid, gid })
    }

    /// Numbers of user and group.
    pub fn ids(self) -> (u32, u32) {
        (self.uid, self.gid)
    }

    /// The user of something other than a command: as for one without a name of its own, or the one that is named.
    ///
    /// # Errors
    /// As [`Identity::of`].
    pub fn of_user(conf: &Conf, user: Option<&User>) -> Result<Identity, String> {
        let ourselves = Identity { uid: lb_sys::account::effective_user(), gid: lb_sys::account::effective_group() };
        match user.or(conf.global.script_user.as_ref()) {
            Some(user) => Identity::named(user),
            None => {
                let script = User { user: DEFAULT_USER.into(), group: None };
                Ok(Identity::named(&script).unwrap_or(ourselves))
            }
        }
    }

    /// Whether a file's mode lets it run that; as keepalived looks at it, without its other groups.
    fn may_run(self, file: &Metadata) -> bool {
        let mode = file.mode();
        match self.uid {
            0 => mode & 0o111 != 0,
            uid if uid == file.uid() => mode & 0o100 != 0,
            _ if self.gid == file.gid() => mode & 0o010 != 0,
            _ => mode & 0o001 != 0,
        }
    }

    /// Whether it may do anything.
    pub fn is_root(self) -> bool {
        self.uid == 0
    }
}

/// The name of the user that this process runs as.
pub fn own_name() -> Option<String> {
    let uid = lb_sys::account::effective_user().to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = passwd.lines().find(|line| line.split(':').nth(2) == Some(&uid))?;
    line.split(':').next().map(str::to_string)
}

/// Where a command's program is: a path, or found in `PATH` as keepalived finds it.
pub fn program(command: &Command) -> Option<PathBuf> {
    let name = Path::new(command.words.first()?);
    if name.components().count() > 1 {
        return name.is_file().then(|| name.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".into());
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// The first part of a path that others than root could change: then whoever can may run anything as root. In a directory with the
/// sticky bit, like /tmp, others cannot touch what is root's.
pub fn unsafe_part(path: &Path) -> Option<PathBuf> {
    let real = path.canonicalize().unwrap_or_else(|_| path.into());
    let parts: Vec<&Path> = real.ancestors().collect();
    let others_write = |m: &Metadata| m.mode() & 0o002 != 0 || (m.mode() & 0o020 != 0 && m.gid() != 0);
    let guarded = |m: &Metadata| m.is_dir() && m.mode() & 0o1000 != 0;
    let bad = |part: &&&Path| part.metadata().is_ok_and(|m| m.uid() != 0 || (others_write(&m) && !guarded(&m)));
    parts.iter().rev().find(bad).map(|part| part.to_path_buf())
}

/// What is wrong with a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// It is not to be run.
    pub disables: bool,
    /// In keepalived's words, as far as it has some, and what is behind it.
    pub text: String,
}

/// There is no such program, or nobody to run it, or not this one; or root would run what others can change: with
/// `enable_script_security` that is not done, without it is only said.
pub fn problem(conf: &Conf, command: &Command) -> Option<Problem> {
    let name = &command.words[0];
    let disables = |text: String| Some(Problem { disables: true, text: format!("Disabling script {name}: {text}") });
    if conf.global.script_security && conf.user_of(command).is_none() && lb_sys::account::user_id(DEFAULT_USER).is_none() {
        return disables(format!(
            "with enable_script_security its user is {DEFAULT_USER}, which does not exist; make it, or write script_user"
        ));
    }
    let who = match Identity::of(conf, command) {
        Ok(who) => who,
        Err(text) => return disables(text),
    };
    let Some(file) = program(command) else { return disables("not found/accessible".into()) };
    if file.metadata().is_ok_and(|m| !who.may_run(&m)) {
        let text = format!("WARNING - script '{name}' is not executable for uid:gid {}:{} - disabling.", who.uid, who.gid);
        return Some(Problem { disables: true, text });
    }
    let part = unsafe_part(&file).filter(|_| who.is_root())?;
    let disables = conf.global.script_security;
    let outcome = if disables { " - disabling" } else { "" };
    let why = if part == file { "it".into() } else { part.display().to_string() };
    let text = format!("Unsafe permissions found for script '{name}'{outcome}: others than root can change {why}");
    Some(Problem { disables, text })
}

/// A command that can be started: as its user, in a process group of its own, no signal blocked, its output thrown away.
pub fn prepared(command: &Command, who: Identity, more: &[String]) -> std::process::Command {
    let mut process = std::process::Command::new(&command.words[0]);
    process.args(&command.words[1..]).args(more);
    process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    lb_sys::signal::start_unblocked(&mut process);
    if lb_sys::account::effective_user() == 0 {
        process.uid(who.uid).gid(who.gid);
    }
    process
}

/// Runs a command and waits for its end, but not longer than `timeout`: then it is ended with all that it has started.
///
/// # Errors
/// What kept it from being started, or that it took too long or failed.
pub fn run_once(command: &Command, who: Identity, timeout: Duration) -> Result<(), String> {
    let mut child = prepared(command, who, &[]).spawn().map_err(|e| format!("cannot be run: {e}"))?;
    let until = now() + timeout;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("failed: {status}")),
            Ok(None) if now() < until => std::thread::sleep(GLANCE),
            _ => {
                end_group(&mut child);
                return Err(format!("was ended after {} s", timeout.as_secs()));
            }
        }
    }
}

/// Ends a script and everything in its process group: SIGTERM, and after [`GRACE`] SIGKILL.
pub fn end_group(child: &mut Child) {
    let group = Pid::from_child(child);
    let _ = kill_process_group(group, Signal::TERM);
    let until = now() + GRACE;
    while now() < until && matches!(child.try_wait(), Ok(None)) {
        std::thread::sleep(GLANCE);
    }
    // Also when the script itself has gone: what it has started may not have.
    let _ = kill_process_group(group, Signal::KILL);
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// What keepalived 2.2.7 runs as root and what it does not.
    #[test]
    fn what_others_could_change() {
        let dir = std::env::temp_dir().join(format!("vts{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let dir = dir.canonicalize().expect("it is there");
        let file = dir.join("x");
        std::fs::write(&file, "").expect("a file");
        let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
        if file.metadata().expect("a file").uid() == 0 && unsafe_part(&dir).is_none() {
            for (of_dir, of_file, bad) in [
                (0o755, 0o755, None),
                (0o777, 0o755, Some(&dir)),
                (0o1777, 0o755, None),
                (0o755, 0o757, Some(&file)),
                (0o1777, 0o1757, Some(&file)),
            ] {
                mode(&dir, of_dir);
                mode(&file, of_file);
                assert_eq!(unsafe_part(&file).as_ref(), bad, "{of_dir:o} {of_file:o}");
            }
        }
        let _ = std::fs::remove_dir_all(dir);
    }
}
