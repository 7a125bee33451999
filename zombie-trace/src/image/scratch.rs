//! A temporary folder that goes away whatever happens.
//!
//! A process of its own removes it once this one has gone: the tracer gives up the privilege to remove other users'
//! files, and may be killed. The process waits on a pipe that only this one holds.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::PermissionsExt,
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::{ImageError, Limits};

/// The hidden subcommand that removes the folder.
pub const KEEPER: &str = "image-scratch-keeper";

/// The folder, for root alone.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    keeper: Child,
}

impl Scratch {
    pub(super) fn new() -> io::Result<Self> {
        // The keeper makes the folder, so that there is never one that nobody would remove. Its group is its own:
        // Ctrl-C is for the tool.
        let mut keeper = keeper().process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut path = Vec::new();
        if let Some(mut out) = keeper.stdout.take() {
            out.read_to_end(&mut path)?;
        }
        let path = PathBuf::from(OsString::from_vec(path));
        if !path.is_absolute() {
            keeper.wait()?;
            return Err(io::Error::other("no folder was made"));
        }
        Ok(Self { path, keeper })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        match self.keeper.wait() {
            Ok(status) if status.success() => {}
            result => log::warn!("{} could not be removed: {result:?}", self.path.display()),
        }
    }
}

#[cfg(not(test))]
fn keeper() -> Command {
    let mut keeper = Command::new("/proc/self/exe");
    keeper.arg(KEEPER);
    keeper
}

/// Unit tests are another program than the tool.
#[cfg(test)]
fn keeper() -> Command {
    let mut keeper = Command::new("sh");
    let script = "d=$(mktemp -d) && printf %s \"$d\" && exec >&- && read -r line; rm -rf \"$d\"";
    keeper.args(["-c", script]);
    keeper
}

/// What the keeper does: makes a folder, says where, waits until who started it has gone, and removes the folder.
///
/// # Errors
/// It cannot be made or removed.
pub fn keep() -> io::Result<()> {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT] {
        // SAFETY: a system call on numbers. It ends when the pipe is closed, whatever it is asked.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    let folder = tempfile::Builder::new()
        .prefix("zombie-trace-image-")
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir()?;
    let path = fs::canonicalize(folder.path())?;
    // Who has gone by now does not read; the folder goes all the same.
    let _ = io::stdout().write_all(path.as_os_str().as_bytes()).and_then(|()| io::stdout().flush());
    // The reader waits for the end of the path.
    let null = File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&null)?;
    io::stdin().read_to_end(&mut Vec::new())?;
    folder.close()
}

/// Writes a stream to a file without a name, up to the limit.
pub(super) fn spool(reader: impl Read, folder: &Path, limits: Limits) -> Result<File, ImageError> {
    let failed = || ImageError::io("the archive cannot be copied to a temporary folder");
    let mut file = tempfile::tempfile_in(folder).map_err(failed())?;
    let copied = io::copy(&mut reader.take(limits.bytes.saturating_add(1)), &mut file).map_err(failed())?;
    if copied > limits.bytes {
        return Err(ImageError::TooLarge(format!("an archive of more than {} bytes", limits.bytes)));
    }
    Ok(file)
}
