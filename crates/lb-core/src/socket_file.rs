//! The files of UNIX sockets. Called by start.rs. Holds: what clients find at a path stays there until everything that a start needs is open,
//! so that one that fails leaves the sockets of the process that goes on in their place.

use lb_config::{Account, UnixBindOptions};
use lb_sys::Addr;
use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Files that wait to be put in their place. Dropped before, they are removed.
#[derive(Default)]
pub(crate) struct Files(RefCell<Vec<File>>);

struct File {
    temporary: PathBuf,
    path: PathBuf,
}

impl Drop for File {
    fn drop(&mut self) {
        // It is not there any more once it has its place.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

impl Files {
    /// Opens a listening socket under another name beside its place.
    pub fn open(&self, unix: &UnixBindOptions, path: &Path, backlog: u32) -> io::Result<OwnedFd> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let file = File { temporary: name.into(), path: path.to_owned() };
        // One that has died had the same number.
        let _ = std::fs::remove_file(&file.temporary);
        let fd = lb_rt::Bind { options: Vec::new(), backlog }.open(&Addr::unix(&file.temporary))?;
        set_owner(unix, &file.temporary)?;
        self.0.borrow_mut().push(file);
        Ok(fd)
    }

    /// Moves all of them to their places, so that connections never find nothing there. Gives the paths where that failed, and why.
    pub fn place(self) -> Vec<(PathBuf, io::Error)> {
        let files = self.0.into_inner();
        files.iter().filter_map(|file| Some((file.path.clone(), std::fs::rename(&file.temporary, &file.path).err()?))).collect()
    }
}

/// Owner and mode of a socket's file.
pub(crate) fn set_owner(unix: &UnixBindOptions, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let owner = account(unix.user.as_ref(), lb_sys::account::user_id)?;
    let group = account(unix.group.as_ref(), lb_sys::account::group_id)?;
    if owner.is_some() || group.is_some() {
        std::os::unix::fs::chown(path, owner, group)?;
    }
    if let Some(mode) = unix.mode {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// The number behind `user`, `uid`, `group`, `gid` of a `bind` line.
fn account(account: Option<&Account>, number: impl Fn(&str) -> Option<u32>) -> io::Result<Option<u32>> {
    match account {
        None => Ok(None),
        Some(Account::Id(id)) => Ok(Some(*id)),
        Some(Account::Name(name)) => match number(name) {
            Some(id) => Ok(Some(id)),
            None => Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no user or group '{name}'"))),
        },
    }
}
