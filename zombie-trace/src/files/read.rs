//! Reads a whole file from others: a policy, a baseline, a container runtime's state.
//!
//! Symbolic links are followed, because Kubernetes mounts configuration that way; the target must be a regular file of
//! bounded size, so that `/dev/zero` uses no memory and a FIFO does not hang. A link to a file that only root can read
//! is still read, so parsers must not quote the text in errors.

use std::{fs::File, io::Read, os::unix::fs::FileTypeExt, path::Path};

use rustix::fs::{Mode, OFlags, open};
use thiserror::Error;

/// Maximum size of a settings file, bytes.
pub const MAX_SETTINGS: u64 = 1 << 20;

/// Why a file was not read. The caller, which knows the purpose of the file, adds the path.
#[derive(Debug, Error)]
pub enum ReadError {
    /// It cannot be opened or read.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// It is not a regular file.
    #[error("is {0}, not a regular file")]
    NotRegular(&'static str),
    /// It has more than this many bytes.
    #[error("is larger than {0} bytes")]
    TooLarge(u64),
    /// It is not UTF-8.
    #[error("is not UTF-8 text")]
    NotText,
}

/// The content of a regular file of at most `limit` bytes.
///
/// # Errors
/// See [`ReadError`].
pub fn bytes(path: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
    // Without NONBLOCK, opening a FIFO waits for a writer; NOCTTY prevents a terminal from becoming ours.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty()).map_err(std::io::Error::from)?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(ReadError::NotRegular(kind(metadata.file_type())));
    }
    if metadata.len() > limit {
        return Err(ReadError::TooLarge(limit));
    }
    // It may grow meanwhile, and files in /proc have no size.
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(ReadError::TooLarge(limit));
    }
    Ok(bytes)
}

/// The same as text.
///
/// # Errors
/// See [`ReadError`].
pub fn text(path: &Path, limit: u64) -> Result<String, ReadError> {
    String::from_utf8(bytes(path, limit)?).map_err(|_| ReadError::NotText)
}

/// What kind of non-regular file something is.
pub(super) fn kind(kind: std::fs::FileType) -> &'static str {
    match () {
        () if kind.is_symlink() => "a symbolic link",
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_socket() => "a socket",
        () if kind.is_block_device() || kind.is_char_device() => "a device",
        () => "something unknown",
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, mknodat};

    use super::*;

    #[test]
    fn a_regular_file_is_read_up_to_its_limit_and_also_behind_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "four").unwrap();
        symlink(&file, &link).unwrap();
        assert_eq!(text(&file, 4).unwrap(), "four");
        assert_eq!(text(&link, 4).unwrap(), "four");
        assert!(matches!(text(&file, 3), Err(ReadError::TooLarge(3))));
        std::fs::write(&file, b"\xff").unwrap();
        assert!(matches!(text(&file, 4), Err(ReadError::NotText)));
        assert!(matches!(text(&folder.path().join("none"), 4), Err(ReadError::Io(_))));
    }

    #[test]
    fn what_has_no_size_is_bounded_while_it_is_read() {
        assert!(matches!(bytes(Path::new("/proc/self/maps"), 10), Err(ReadError::TooLarge(10))));
    }

    #[test]
    fn what_would_hang_or_never_end_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (fifo, zero) = (folder.path().join("fifo"), folder.path().join("zero"));
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        symlink("/dev/zero", &zero).unwrap();
        assert!(matches!(bytes(&fifo, 10), Err(ReadError::NotRegular("a pipe"))));
        assert!(matches!(bytes(&zero, 10), Err(ReadError::NotRegular("a device"))));
        assert!(matches!(bytes(folder.path(), 10), Err(ReadError::NotRegular("a directory"))));
    }
}
