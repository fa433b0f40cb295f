//! A file on its way into force: read and checked away from the thread of the elections, compared with what is in force.
//!
//! Holds: what is refused changes nothing. A file is refused when it could not be started with, and when it says something wrong that the
//! one in force did not say: at the start there is nothing to lose, and keepalived's way (leave the word out and go on) is followed; while
//! it runs, a mistyped word would take addresses away from hosts that use them.

use crate::conf::diag::{Code, Diagnostic, Level};
use crate::conf::model::{Command, Conf, InstanceConf, User};
use crate::conf::text::{Disk, MAX_EXPANDED, Surroundings};
use crate::conf::{Loaded, load};
use crate::scripts::{self, Identity};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// Where the configuration comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// `-f`.
    pub file: PathBuf,
    /// `-i`, or the first part of the host's name.
    pub id: String,
    /// `-e`: a file that is missing is an error.
    pub all_files: bool,
}

impl Origin {
    /// Reads it, whatever this host has of what it names.
    pub fn load(&self) -> Loaded {
        let seed = u64::from(std::process::id());
        let surroundings = Surroundings { id: self.id.clone(), seed, most: MAX_EXPANDED, all_files: self.all_files };
        load(&Disk, &self.file, &surroundings)
    }

    /// Reads it, with all that is to be said about it.
    pub fn read(&self) -> Loaded {
        let mut loaded = self.load();
        loaded.check_interfaces(|name| lb_sys::packet::interface_index(name).is_some());
        loaded.check_script_user(|conf| Identity::of_user(conf, None).err());
        loaded.check_scripts(scripts::problem, |conf, command| Identity::of(conf, command).is_ok_and(Identity::is_root));
        loaded.refuse_unsupported();
        loaded
    }
}

/// Who runs each command of a configuration.
#[derive(Debug, Clone, Default)]
pub struct Users(HashMap<(Vec<String>, Option<User>), Identity>);

impl Users {
    /// # Errors
    /// The line of a command whose user does not exist, and what is wrong.
    pub fn of(conf: &Conf) -> Result<Users, String> {
        let mut users = HashMap::new();
        for command in conf.commands() {
            let identity = Identity::of(conf, command).map_err(|text| format!("{} {text}", command.place))?;
            users.insert((command.words.clone(), command.user.clone()), identity);
        }
        Ok(Users(users))
    }

    /// Takes over from `old` who runs these, where the file says nothing of them any more.
    pub fn keep<'a>(&mut self, old: &Users, commands: impl Iterator<Item = &'a Command>) {
        for command in commands {
            if let Some(who) = old.runs(command) {
                self.0.entry((command.words.clone(), command.user.clone())).or_insert(who);
            }
        }
    }

    /// Who runs it.
    pub fn runs(&self, command: &Command) -> Option<Identity> {
        self.0.get(&(command.words.clone(), command.user.clone())).copied()
    }
}

/// A configuration that can be put in force.
#[derive(Debug)]
pub struct Prepared {
    /// What it says.
    pub conf: Conf,
    /// Who runs its commands.
    pub users: Users,
    /// What is wrong with it and was left out, without the places.
    pub complaints: HashSet<String>,
    /// All that was said of it.
    pub lines: Vec<String>,
}

/// Makes a configuration ready, if it can be.
///
/// # Errors
/// All that is wrong with it. `in_force` are the complaints about the configuration that it would replace; without, it is the first.
pub fn prepare(loaded: Loaded, in_force: Option<&HashSet<String>>) -> Result<Prepared, Vec<String>> {
    let Loaded { conf, diagnostics } = loaded;
    let mut lines: Vec<String> = diagnostics.all().iter().map(ToString::to_string).collect();
    if diagnostics.beyond() > 0 {
        lines.push(format!("{} messages more", diagnostics.beyond()));
    }
    // Root's scripts that others may change run all the same.
    let is_complaint = |d: &&Diagnostic| d.level > Level::Note && d.code != Code::Insecure;
    let complaints: HashSet<String> = diagnostics.all().iter().filter(is_complaint).map(|d| d.text.clone()).collect();
    let new = in_force.is_some_and(|old| complaints.iter().any(|text| !old.contains(text)));
    let empty = conf.instances.is_empty();
    if empty {
        lines.push("Warning - there is no vrrp_instance in the file".into());
    }
    // Nothing may be started with, as keepalived does it, but it is no successor: a file that is being written looks like that.
    if !diagnostics.is_startable() || !diagnostics.is_there() || new || (empty && in_force.is_some()) {
        return Err(lines);
    }
    match Users::of(&conf) {
        Ok(users) => Ok(Prepared { conf, users, complaints, lines }),
        Err(text) => {
            lines.push(text);
            Err(lines)
        }
    }
}

/// What becomes of instances in a reload.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// For each instance of the new configuration the one of the old that goes on as this one.
    pub from: Vec<Option<usize>>,
    /// Those of the old that are no longer there.
    pub gone: Vec<usize>,
}

/// Compares two configurations; of the old one the first `live` instances count. An instance goes on if it is the same virtual router: by
/// name, or, renamed, by what it is on the wire.
pub fn plan(old: &Conf, live: usize, new: &Conf) -> Plan {
    let key = |it: &InstanceConf| (it.interface.clone(), it.vrid, it.family());
    let before = &old.instances[..live];
    let mut by_name: HashMap<&str, usize> = before.iter().enumerate().map(|(at, it)| (it.name.as_str(), at)).collect();
    let mut from: Vec<Option<usize>> = Vec::with_capacity(new.instances.len());
    for it in &new.instances {
        let same = by_name.get(it.name.as_str()).copied().filter(|at| key(&before[*at]) == key(it));
        if same.is_some() {
            by_name.remove(it.name.as_str());
        }
        from.push(same);
    }
    let mut taken: HashSet<usize> = from.iter().flatten().copied().collect();
    let mut by_key: HashMap<_, usize> =
        before.iter().enumerate().filter(|(at, _)| !taken.contains(at)).map(|(at, it)| (key(it), at)).collect();
    for (slot, it) in from.iter_mut().zip(&new.instances).filter(|(slot, _)| slot.is_none()) {
        *slot = by_key.remove(&key(it));
        taken.extend(*slot);
    }
    Plan { from, gone: (0..live).filter(|at| !taken.contains(at)).collect() }
}
