//! The one who cleans up: a process of its own that outlives a test that was killed.

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

const PREFIX: &str = "lanner-bed.";
/// Holds the guard's process id.
const GUARD: &str = "guard";

/// Cleans the bed when dropped, or when this process dies.
#[derive(Debug)]
pub(crate) struct Guard {
    process: Child,
}

impl Guard {
    pub(crate) fn over(bed: &Path) -> Result<Guard> {
        let mut process = Command::new("sh")
            .args(["-c", include_str!("guard.sh"), "lanner-bed-guard"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Out of reach of the Ctrl-C that ends the test.
            .process_group(0)
            .spawn()
            .context("can't start the shell that cleans up")?;
        let stdin = process.stdin.as_mut().context("the guard has no standard input")?;
        writeln!(stdin, "{}", bed.display())?;
        fs::write(bed.join(GUARD), process.id().to_string())?;
        Ok(Guard { process })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// A new folder for a bed, named after this process; those whose process and guard are dead are cleaned first.
pub(crate) fn new_folder(parent: &Path) -> Result<PathBuf> {
    for stale in fs::read_dir(parent)?.flatten().map(|entry| entry.path()).filter(|path| is_stale(path)) {
        drop(Guard::over(&stale)?);
    }
    let folder =
        tempfile::Builder::new().prefix(&format!("{PREFIX}{}.", std::process::id())).tempdir_in(parent)?;
    Ok(folder.keep())
}

fn is_stale(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some(owner) = name.strip_prefix(PREFIX).and_then(|rest| rest.split('.').next()) else { return false };
    let guard = fs::read_to_string(path.join(GUARD)).unwrap_or_default();
    owner.parse::<u32>().is_ok() && is_dead(owner) && is_dead(&guard)
}

fn is_dead(process: &str) -> bool {
    process.is_empty() || !Path::new("/proc").join(process).exists()
}
