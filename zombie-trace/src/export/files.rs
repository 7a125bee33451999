//! The files of a table: complete or absent.
//!
//! A file is written under a name that begins with a dot, which Spark, DuckDB and the catalogues ignore, and is renamed
//! when it is complete and on disk. It is readable only by its owner, as a recording is, because it contains the
//! arguments of processes. Nothing is written through a symbolic link.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::files::{
    shown,
    write::{self, Access, Existing, WriteError},
};

/// Why a file could not be made.
#[derive(Debug, Error)]
pub(super) enum FileError {
    /// A file exists that is to be kept, or something other than a file.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The folder of a table is a symbolic link.
    #[error("refusing to write to {}: it is a symbolic link", shown(.0))]
    Link(PathBuf),
    /// A table of another format.
    #[error("{} has files of another format ({}); give another folder", shown(.folder), shown(.other))]
    Mixed {
        /// The folder.
        folder: PathBuf,
        /// One of them.
        other: PathBuf,
    },
    /// It cannot be written.
    #[error("{} cannot be written: {source}", shown(.path))]
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

/// All files in a table's folder must have one format.
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

/// An unfinished file; deleted unless published.
#[derive(Debug)]
pub(super) struct Draft(write::Draft);

impl Draft {
    /// Begins `folder/table/name`.
    pub(super) fn begin(folder: &Path, table: &str, name: &str, overwrite: bool) -> Result<Self, FileError> {
        let folder = folder.join(table);
        fs::create_dir_all(&folder).map_err(FileError::io(&folder))?;
        if !fs::symlink_metadata(&folder).map_err(FileError::io(&folder))?.is_dir() {
            return Err(FileError::Link(folder));
        }
        let path = folder.join(name);
        one_format(&folder, &path)?;
        if fs::symlink_metadata(&path).is_ok_and(|there| !there.is_file()) {
            return Err(WriteError::Refused { path, what: "not a regular file" }.into());
        }
        let existing = if overwrite { Existing::Replace } else { Existing::Keep };
        Ok(Self(write::Draft::begin(&path, Access::Private, existing)?))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// A handle for writing.
    pub(super) fn writer(&self) -> Result<File, FileError> {
        self.0.writer().map_err(FileError::io(self.path()))
    }

    /// Syncs it to disk.
    pub(super) fn sync(&self) -> Result<(), FileError> {
        Ok(self.0.sync()?)
    }

    /// Syncs it to disk, and gives it its name. A file that appeared there meanwhile is not replaced, unless requested.
    pub(super) fn publish(self) -> Result<(), FileError> {
        Ok(self.0.complete()?)
    }
}
