//! `lb fmt`: a configuration file in consistent layout, or in today's spelling.
//!
//! Holds: with `--in-place` a file is replaced as a whole or not at all, and never by one that means something else.

use crate::args::FmtArgs;
use crate::load;
use crate::messages::{print_bytes, say};
use lb_config::{indented, upgrade};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;
use std::process::ExitCode;

/// Writes all files; one that fails does not keep the others.
pub fn run(args: &FmtArgs) -> ExitCode {
    let mut good = true;
    for name in &args.files {
        if let Err(text) = file(args, name) {
            say(&format!("{name}: {text}\n"));
            good = false;
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn file(args: &FmtArgs, name: &str) -> Result<(), String> {
    let bytes = fs::read(name).map_err(|e| e.to_string())?;
    let text = if args.upgrade {
        let upgraded = upgrade(&bytes);
        for note in &upgraded.notes {
            say(&format!("{name}:{}: left as it is: {}\n", note.line, note.message));
        }
        upgraded.text
    } else {
        indented(&bytes)
    };
    let same = load::meaning(name, &bytes) == load::meaning(name, &text);
    if !args.in_place {
        print_bytes(&text);
    }
    if !same {
        return Err("the new text means something else than the old; look at what differs before you use it".into());
    }
    if args.in_place && text != bytes {
        replace(Path::new(name), &text).map_err(|e| format!("cannot be replaced: {e}"))?;
    }
    Ok(())
}

/// Puts other bytes in the place of a file's in one step. Owner and mode stay; a link stays a link.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return Err(io::ErrorKind::InvalidInput.into()) };
    let temporary = directory.join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let old = fs::metadata(&path)?;
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
        file.set_permissions(old.permissions())?;
        file.sync_all()?;
        fs::rename(&temporary, &path)
    })();
    if written.is_err() {
        // It may not even be there.
        let _ = fs::remove_file(&temporary);
    }
    written
}
