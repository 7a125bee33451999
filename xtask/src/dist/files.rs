//! Files to ship, and the archives of them: the same files give the same bytes.

use std::{
    collections::BTreeMap,
    fs::{self, File as OpenFile, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

/// Mode and content of each file by its path, which has no leading slash.
#[derive(Clone, Debug, Default)]
pub(super) struct Files(BTreeMap<String, (u32, Vec<u8>)>);

impl Files {
    pub(super) fn add(&mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.0.insert(path.into(), (0o644, content.into()));
    }

    pub(super) fn add_program(&mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.0.insert(path.into(), (0o755, content.into()));
    }

    /// Their paths, sorted.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn size(&self) -> u64 {
        self.0.values().map(|(_, content)| content.len() as u64).sum()
    }

    /// The folders that they lie in, each after the one that it lies in.
    pub(super) fn folders(&self) -> Vec<&str> {
        let mut folders: Vec<_> =
            self.paths().flat_map(|path| path.match_indices('/').map(move |(at, _)| &path[..at])).collect();
        folders.sort_unstable();
        folders.dedup();
        folders
    }

    /// A tar archive: sorted, owned by root, of one time.
    pub(super) fn tar(&self, epoch: u64) -> Result<Vec<u8>> {
        let mut builder = Builder::new(Vec::new());
        let mut append = |kind: EntryType, path: &str, mode: u32, content: &[u8]| {
            let mut header = Header::new_ustar();
            header.set_entry_type(kind);
            header.set_path(path)?;
            header.set_mode(mode);
            header.set_mtime(epoch);
            header.set_uid(0);
            header.set_gid(0);
            header.set_username("root")?;
            header.set_groupname("root")?;
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, content).with_context(|| path.to_owned())
        };
        for folder in self.folders() {
            append(EntryType::Directory, &format!("{folder}/"), 0o755, &[])?;
        }
        for (path, (mode, content)) in &self.0 {
            append(EntryType::Regular, path, *mode, content)?;
        }
        Ok(builder.into_inner()?)
    }

    /// Writes them below a folder, with the modes and times that they are to have when installed.
    pub(super) fn write(&self, below: &Path, epoch: u64) -> Result<()> {
        let context = |path: &Path| path.display().to_string();
        fs::create_dir_all(below).with_context(|| context(below))?;
        for folder in self.folders() {
            let folder = below.join(folder);
            fs::create_dir(&folder).with_context(|| context(&folder))?;
        }
        let set = |path: &Path, mode: u32| {
            // The process's umask has no say in it.
            fs::set_permissions(path, Permissions::from_mode(mode))?;
            OpenFile::open(path)?.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(epoch))
        };
        for (path, (mode, content)) in &self.0 {
            let path = below.join(path);
            fs::write(&path, content).with_context(|| context(&path))?;
            set(&path, *mode).with_context(|| context(&path))?;
        }
        for folder in self.folders().into_iter().rev().map(|folder| below.join(folder)).chain([below.to_owned()]) {
            set(&folder, 0o755).with_context(|| context(&folder))?;
        }
        Ok(())
    }
}

/// Compressed by a library of a version that the lock file names, not by the machine's gzip.
pub(super) fn gzip(content: &[u8]) -> Result<Vec<u8>> {
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    gzip.write_all(content)?;
    Ok(gzip.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Files {
        let mut files = Files::default();
        files.add("b/c/text", "t");
        files.add_program("a", "p");
        files
    }

    #[test]
    fn a_folder_comes_before_what_is_in_it() {
        assert_eq!(files().folders(), ["b", "b/c"]);
        let archive = files().tar(7).unwrap();
        let mut archive = tar::Archive::new(&archive[..]);
        let entries: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let header = entry.unwrap().header().clone();
                assert_eq!((header.mtime().unwrap(), header.uid().unwrap(), header.gid().unwrap()), (7, 0, 0));
                (header.path().unwrap().display().to_string(), header.mode().unwrap())
            })
            .collect();
        let expected = [("b/", 0o755), ("b/c/", 0o755), ("a", 0o755), ("b/c/text", 0o644)];
        assert_eq!(entries, expected.map(|(path, mode)| (path.to_owned(), mode)));
    }

    #[test]
    fn the_order_of_adding_changes_no_byte() {
        let mut other = Files::default();
        other.add_program("a", "p");
        other.add("b/c/text", "t");
        let compressed = |files: &Files| gzip(&files.tar(7).unwrap()).unwrap();
        assert_eq!(compressed(&files()), compressed(&other));
        assert_ne!(files().tar(7).unwrap(), files().tar(8).unwrap());
    }
}
