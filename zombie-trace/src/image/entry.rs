//! What an entry of a layer asks for, by its name: a file, or that something of the layers below is gone.
//!
//! <https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts>

use super::{ImageError, foreign};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// What AUFS keeps for itself.
const AUFS: &[u8] = b".wh..wh.";

/// The most folders above each other.
pub(super) const MAX_DEPTH: usize = 256;

/// A path below the root: no part is empty, `.` or `..`, or has a slash in it. Empty for the root itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Below(Vec<Vec<u8>>);

impl Below {
    /// Reads a name from a layer.
    pub(super) fn parse(name: &[u8]) -> Result<Self, ImageError> {
        let parts = name.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".");
        let parts: Vec<Vec<u8>> = parts.map(<[u8]>::to_vec).collect();
        let wrong = |why: &str| Err(ImageError::invalid(format!("a layer names {}, {why}", foreign(name))));
        if parts.iter().any(|part| part == b"..") {
            return wrong("which leads out of the image");
        }
        if name.contains(&0) {
            return wrong("which has a zero byte in it");
        }
        if parts.len() > MAX_DEPTH {
            return wrong("which is too deep");
        }
        Ok(Self(parts))
    }

    /// The folder, and the name in it; `None` for the root.
    pub(super) fn split(&self) -> Option<(Self, &[u8])> {
        let (name, folder) = self.0.split_last()?;
        Some((Self(folder.to_vec()), name))
    }

    /// Something in this folder.
    pub(super) fn join(&self, name: &[u8]) -> Self {
        Self(self.0.iter().cloned().chain([name.to_vec()]).collect())
    }

    /// The first parts, as many as asked for.
    pub(super) fn first(&self, count: usize) -> Self {
        Self(self.0[..count].to_vec())
    }

    pub(super) fn depth(&self) -> usize {
        self.0.len()
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        if self.0.is_empty() { b".".to_vec() } else { self.0.join(&b'/') }
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// There is something at this path.
    Put(Below),
    /// What the layers below have at this path is gone.
    Remove(Below),
    /// What the layers below have in this folder is gone.
    Empty(Below),
    /// Nothing.
    Ignore,
}

/// What an entry of this name asks for.
pub(super) fn change(name: &[u8]) -> Result<Change, ImageError> {
    let path = Below::parse(name)?;
    let Some((folder, last)) = path.split() else { return Ok(Change::Put(path)) };
    if last == OPAQUE {
        return Ok(Change::Empty(folder));
    }
    if last.starts_with(AUFS) {
        return Ok(Change::Ignore);
    }
    match last.strip_prefix(WHITEOUT) {
        None => Ok(Change::Put(path)),
        // The rest would be the folder itself, or its parent.
        Some(b"" | b"." | b"..") => {
            Err(ImageError::invalid(format!("a layer removes {}, which is no name", foreign(name))))
        }
        Some(rest) => Ok(Change::Remove(folder.join(rest))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn below(path: &str) -> Below {
        Below::parse(path.as_bytes()).unwrap()
    }

    #[test]
    fn whiteouts_remove_one_or_empty_a_folder() {
        assert_eq!(change(b"./a/b").unwrap(), Change::Put(below("a/b")));
        assert_eq!(change(b"a/.wh.b").unwrap(), Change::Remove(below("a/b")));
        assert_eq!(change(b"/a/.wh..wh..opq").unwrap(), Change::Empty(below("a")));
        assert_eq!(change(b".wh..wh..opq").unwrap(), Change::Empty(below("")));
        assert_eq!(change(b".wh..wh.plnk").unwrap(), Change::Ignore);
        assert_eq!(change(b"./").unwrap(), Change::Put(below("")));
    }

    #[test]
    fn no_name_leads_out() {
        for name in ["../x", "a/../../x", "a/..", "..", "a/.wh...", "a/.wh..", "a/.wh.", ".wh.../x/..", "a\0b"] {
            assert!(change(name.as_bytes()).is_err(), "{name:?}");
        }
        assert!(change("a/".repeat(MAX_DEPTH + 1).as_bytes()).is_err());
    }
}
