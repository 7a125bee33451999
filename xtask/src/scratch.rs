//! Folders for a while.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// A folder outside the workspace, removed on drop.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes it; `purpose` is in its name.
    pub(crate) fn new(purpose: &str) -> Result<Self> {
        let folder = env::temp_dir().join(format!("zombie-trace-{purpose}-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
        Ok(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
