//! Rights that the process gives up once everything is open: root directory, user, groups, capabilities. Source: manual 3.1.
//!
//! Holds: what would fail is found out, as far as it can be, before anybody is told that this process serves; afterwards there is no
//! way back.

use lb_config::{Account, Config};
use lb_sys::{account, process};
use std::path::PathBuf;

/// What is left to the process when it serves.
#[derive(Debug)]
pub struct Rights {
    user: Option<u32>,
    group: Option<u32>,
    root: Option<PathBuf>,
    capabilities: u64,
    dumpable: bool,
    may_setuid: bool,
    may_fork: bool,
}

impl Rights {
    /// Of a configuration, and `-dI`: accounts are looked up, since nothing can be any more in another root directory.
    ///
    /// # Errors
    /// An account that does not exist, a directory that is none, or rights that the process lacks itself.
    pub fn new(config: &Config, may_fork: bool) -> Result<Rights, String> {
        let global = &config.global;
        let user = number(global.user.as_ref(), "user", account::user_id)?;
        let group = number(global.group.as_ref(), "group", account::group_id)?;
        let root = global.chroot.clone();
        if let Some(root) = &root {
            let at = root.display();
            if !std::fs::metadata(root).map_err(|e| format!("cannot chroot to {at}: {e}"))?.is_dir() {
                return Err(format!("cannot chroot to {at}: it is no directory"));
            }
            if account::effective_user() != 0 {
                return Err(format!("cannot chroot to {at}: start as root, or remove 'chroot'"));
            }
        }
        Ok(Rights {
            user,
            group,
            root,
            capabilities: global.process.capabilities,
            dumpable: global.process.dumpable,
            may_setuid: global.process.may_setuid,
            may_fork: global.process.may_fork || may_fork,
        })
    }

    /// Gives up the rest. To be called when all files and sockets are open, by the thread that will start the others; `warn` is told
    /// what does not prevent the start.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn drop(&self, warn: &dyn Fn(&str)) -> Result<(), String> {
        if let Some(root) = &self.root {
            account::change_root(root).map_err(|e| format!("cannot chroot to {}: {e}", root.display()))?;
        }
        let changes = self.user.is_some_and(|user| user != account::effective_user());
        if (self.user.is_some() || self.group.is_some())
            && account::supplementary_groups() > 0
            && let Err(e) = account::drop_groups()
        {
            warn(&format!("the supplementary groups of the process stay ({e}): start as root to leave them"));
        }
        if self.capabilities != 0 && changes {
            account::keep_capabilities().map_err(|e| format!("cannot keep capabilities: {e}"))?;
        }
        if let Some(group) = self.group {
            account::set_group(group).map_err(|e| format!("cannot change to group {group}: {e}"))?;
        }
        if let Some(user) = self.user {
            account::set_user(user).map_err(|e| format!("cannot change to user {user}: {e}"))?;
            if user != 0 && account::set_user(0).is_ok() {
                return Err("the change of the user can be undone".into());
            }
        }
        if self.capabilities != 0 && account::effective_user() != 0 {
            account::set_capabilities(self.capabilities)
                .map_err(|e| format!("cannot keep the capabilities of 'setcap': {e}; start as root, or give them to the program's file"))?;
        }
        if self.dumpable {
            let allowed = process::allow_core_files().and_then(|()| account::set_dumpable());
            allowed.unwrap_or_else(|e| warn(&format!("core files may not be written in spite of 'set-dumpable': {e}")));
        }
        if !self.may_setuid
            && let Err(e) = account::no_new_privileges()
        {
            warn(&format!("started programs could gain rights: {e}"));
        }
        Ok(())
    }

    /// Forbids new processes and threads. To be called when all threads run.
    pub fn forbid_processes(&self) {
        if !self.may_fork {
            // One more fence; nothing starts any.
            let _ = process::forbid_processes();
        }
    }
}

fn number(account: Option<&Account>, what: &str, find: impl Fn(&str) -> Option<u32>) -> Result<Option<u32>, String> {
    match account {
        None => Ok(None),
        Some(Account::Id(id)) => Ok(Some(*id)),
        Some(Account::Name(name)) => find(name).map(Some).ok_or_else(|| format!("there is no {what} '{name}'")),
    }
}
