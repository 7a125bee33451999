//! Unpacks a layer, and checks it by both of its digests: of the file, and of what is in it.

use std::io;

use super::{
    ImageError, LayerAt, Limits,
    bundle::Bundle,
    entry::{self, Change},
    hashing::{Hashing, plain},
    manifest::Digest,
    tarball::{self, Kind},
    tree::Tree,
};

/// How much more may be read and unpacked.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: u64,
    entries: u64,
    limits: Limits,
    /// Entries that were not made.
    pub(super) skipped: u64,
}

impl Budget {
    pub(super) fn new(limits: Limits) -> Self {
        Self { bytes: limits.bytes, entries: limits.entries, limits, skipped: 0 }
    }

    fn take_entry(&mut self) -> Result<(), ImageError> {
        let too_many = || ImageError::TooLarge(format!("more than {} files", self.limits.entries));
        self.entries = self.entries.checked_sub(1).ok_or_else(too_many)?;
        Ok(())
    }
}

/// Unpacks a layer above those that the tree already has.
pub(super) fn unpack(
    bundle: &Bundle,
    layer: &LayerAt,
    diff: &Digest,
    tree: &mut Tree,
    budget: &mut Budget,
) -> Result<(), ImageError> {
    let what = format!("the layer {}", super::foreign(layer.path.as_bytes()));
    let limits = budget.limits;
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::FileTooLarge => ImageError::TooLarge(format!("more than {} bytes", limits.bytes)),
        _ => ImageError::Io { what: format!("{what} cannot be read"), why: source },
    };
    let mut raw = Hashing::new(bundle.open(&layer.path)?, limits.bytes);
    let mut content = Hashing::new(plain(&mut raw).map_err(failed)?, budget.bytes);
    tree.begin_layer();
    let unpacked = tarball::each(&mut content, |entry, reader| {
        budget.take_entry()?;
        match entry::change(&entry.name)? {
            Change::Ignore => Ok(()),
            Change::Remove(path) => tree.remove(&path),
            Change::Empty(folder) => tree.empty(&folder),
            Change::Put(_) if entry.kind == Kind::Special => {
                budget.skipped += 1;
                Ok(())
            }
            Change::Put(path) => tree.put(&path, &entry, reader),
        }
    });
    unpacked.map_err(|error| match error {
        ImageError::Io { why, .. } if why.kind() == io::ErrorKind::FileTooLarge => failed(why),
        other => other,
    })?;
    let (found, size) = content.finish().map_err(failed)?;
    found.must_be(*diff, &format!("{what}, unpacked,"))?;
    budget.bytes = budget.bytes.saturating_sub(size);
    let (found, size) = raw.finish().map_err(failed)?;
    if let Some(expected) = layer.digest {
        found.must_be(expected, &what)?;
    }
    match layer.size {
        Some(expected) if expected != size => {
            Err(ImageError::invalid(format!("{what} has {size} bytes instead of {expected}")))
        }
        _ => Ok(()),
    }
}
