//! The files of a table: there as a whole or not at all.
//!
//! A file is written under a name that begins with a dot, which Spark, DuckDB and the catalogues pass over, and gets
//! its own when everything is in it and on the disk. Readable by its owner alone, as a recording is: it tells the
//! arguments of processes. Nothing is written through a symbolic link.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use tempfile::{NamedTempFile, PersistError};
use thiserror::Error;

/// Why a file could not be made.
#[derive(Debug, Error)]
pub(super) enum FileError {
    /// It is there.
    #[error("{} exists already; give another folder, or --overwrite", .0.display())]
    Exists(PathBuf),
    /// Something else is there.
    #[error("{} is not written to: it is {what}", .path.display())]
    Foreign {
        /// The file or folder.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A table of another format.
    #[error("{} has files of another format ({}); give another folder", .folder.display(), .other.display())]
    Mixed {
        /// The folder.
        folder: PathBuf,
        /// One of them.
        other: PathBuf,
    },
    /// It cannot be written.
    #[error("{} cannot be written: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl FileError {
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

/// A folder is a table only while all its files are of one format.
fn one_format(folder: &Path, path: &Path) -> Result<(), FileError> {
    for entry in fs::read_dir(folder).map_err(FileError::io(folder))? {
        let other = entry.map_err(FileError::io(folder))?.path();
        let is_ours = other.extension().is_some_and(|it| it == "parquet" || it == "csv");
        if is_ours && other.extension() != path.extension() {
            return Err(FileError::Mixed { folder: folder.to_owned(), other });
        }
    }
    Ok(())
}

/// A file in the making; it is gone if it is not published.
#[derive(Debug)]
pub(super) struct Draft {
    path: PathBuf,
    overwrite: bool,
    file: NamedTempFile,
}

impl Draft {
    /// Begins `folder/table/name`.
    pub(super) fn begin(folder: &Path, table: &str, name: &str, overwrite: bool) -> Result<Self, FileError> {
        let folder = folder.join(table);
        fs::create_dir_all(&folder).map_err(FileError::io(&folder))?;
        if !fs::symlink_metadata(&folder).map_err(FileError::io(&folder))?.is_dir() {
            return Err(FileError::Foreign { path: folder, what: "a symbolic link" });
        }
        let path = folder.join(name);
        one_format(&folder, &path)?;
        match fs::symlink_metadata(&path) {
            Ok(there) if !there.is_file() => {
                return Err(FileError::Foreign { path, what: "not a regular file" });
            }
            Ok(_) if !overwrite => return Err(FileError::Exists(path)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(FileError::io(&path)(error)),
        }
        let file = tempfile::Builder::new()
            .prefix(".")
            .suffix(".partial")
            .tempfile_in(&folder)
            .map_err(FileError::io(&folder))?;
        Ok(Self { path, overwrite, file })
    }

    /// What it will be called.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// To write with.
    pub(super) fn writer(&self) -> Result<File, FileError> {
        self.file.as_file().try_clone().map_err(FileError::io(&self.path))
    }

    /// Has the disk hold what is in it.
    pub(super) fn sync(&self) -> Result<(), FileError> {
        self.file.as_file().sync_all().map_err(FileError::io(&self.path))
    }

    /// Gives it its name. What has appeared there meanwhile is not replaced, unless that was asked for.
    pub(super) fn publish(self) -> Result<(), FileError> {
        let Self { path, overwrite, file } = self;
        let named = if overwrite { file.persist(&path) } else { file.persist_noclobber(&path) };
        match named {
            Ok(_) => Ok(()),
            Err(PersistError { error, .. }) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(FileError::Exists(path))
            }
            Err(PersistError { error, .. }) => Err(FileError::io(&path)(error)),
        }
    }
}
