//! A file that is there as a whole or not at all.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use tempfile::NamedTempFile;

use crate::text::escape;

/// A new file that takes its name when it is complete. Until then a former one of that name stays; if nothing comes of
/// it, nothing is left. Readable by its owner alone, since it tells the arguments of processes.
///
/// What has the name is replaced, not written to, so no link leads anywhere else; what is no regular file is refused.
#[derive(Debug)]
pub(super) struct Replacement {
    path: PathBuf,
    file: NamedTempFile,
}

impl Replacement {
    pub(super) fn begin(path: &Path) -> anyhow::Result<Self> {
        let shown = || escape::text(path.as_os_str().as_encoded_bytes()).into_owned();
        let Some(name) = path.file_name() else { bail!("{} names no file", shown()) };
        match fs::symlink_metadata(path) {
            Ok(there) if there.file_type().is_symlink() => bail!("{} is a symbolic link, and is not followed", shown()),
            Ok(there) if !there.is_file() => bail!("{} is not a regular file", shown()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("{} cannot be looked at", shown())),
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut prefix = std::ffi::OsString::from(".");
        prefix.push(name);
        let file = tempfile::Builder::new()
            .prefix(&prefix)
            .tempfile_in(folder)
            .with_context(|| format!("{} cannot be written", shown()))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// To write with.
    pub(super) fn writer(&self) -> io::Result<fs::File> {
        self.file.as_file().try_clone()
    }

    /// Gives the file its name.
    pub(super) fn complete(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(&self.path).map(drop).map_err(|error| error.error)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        os::unix::fs::{MetadataExt, symlink},
    };

    use super::*;

    #[test]
    fn a_file_is_there_as_a_whole_or_not_at_all() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("report.html");
        fs::write(&path, "former").expect("the folder is ours");
        let abandoned = Replacement::begin(&path).expect("a regular file");
        abandoned.writer().expect("it is open").write_all(b"half").expect("there is room");
        drop(abandoned);
        assert_eq!(fs::read(&path).expect("it is there"), b"former");
        let new = Replacement::begin(&path).expect("a regular file");
        new.writer().expect("it is open").write_all(b"whole").expect("there is room");
        new.complete().expect("the folder is ours");
        assert_eq!(fs::read(&path).expect("it is there"), b"whole");
        assert_eq!(fs::metadata(&path).expect("it is there").mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).expect("the folder is ours").count(), 1);
    }

    #[test]
    fn links_and_devices_are_refused() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "precious").expect("the folder is ours");
        symlink(&target, &link).expect("the folder is ours");
        for refused in [link.as_path(), Path::new("/dev/null"), Path::new("/"), folder.path()] {
            assert!(Replacement::begin(refused).is_err(), "{}", refused.display());
        }
        assert_eq!(fs::read(&target).expect("it is there"), b"precious");
    }
}
