//! Reads the entries of a tar archive, with bounds.
//!
//! The `tar` crate would read the extensions of a name whole, however long they say they are. So entries are read raw,
//! and the few extensions that matter here: long names of GNU tar, and the records of PAX.

use std::{borrow::Cow, io::Read};

use tar::{Archive, EntryType, PaxExtensions};

use super::{ImageError, foreign};

/// Bytes of the extensions of an entry: a path has at most 4,096.
const MAX_EXTENSION: u64 = 1 << 20;

/// The kinds of entries that matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    /// To this target.
    Symlink(Vec<u8>),
    /// To this path of the archive.
    Hardlink(Vec<u8>),
    /// A device or a pipe.
    Special,
}

/// An entry without its content.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: u64,
    pub(super) size: u64,
    /// Where the content begins.
    pub(super) position: u64,
}

/// What precedes an entry.
#[derive(Debug, Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<u64>,
    size: Option<u64>,
}

/// Calls `act` for each entry, with its content.
pub(super) fn each<R: Read>(
    reader: R,
    mut act: impl FnMut(Entry, &mut dyn Read) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    let mut archive = Archive::new(reader);
    let mut before = Extensions::default();
    for raw in archive.entries().map_err(damaged)?.raw(true) {
        let mut raw = raw.map_err(damaged)?;
        let kind = raw.header().entry_type();
        match kind {
            EntryType::GNULongName => before.path = Some(name(extension(&mut raw)?)),
            EntryType::GNULongLink => before.link = Some(name(extension(&mut raw)?)),
            EntryType::XHeader => before.read(&extension(&mut raw)?)?,
            // It would hold for all that follows; nobody writes one that matters.
            EntryType::XGlobalHeader => drop(extension(&mut raw)?),
            _ => {
                let entry = std::mem::take(&mut before).apply(&raw)?;
                act(entry, &mut raw)?;
            }
        }
    }
    Ok(())
}

fn damaged(source: std::io::Error) -> ImageError {
    ImageError::Io { what: "an archive of the image cannot be read".to_owned(), why: source }
}

fn extension(raw: &mut tar::Entry<'_, impl Read>) -> Result<Vec<u8>, ImageError> {
    if raw.size() > MAX_EXTENSION {
        return Err(ImageError::TooLarge("the name of an entry".to_owned()));
    }
    let mut bytes = Vec::new();
    raw.take(MAX_EXTENSION).read_to_end(&mut bytes).map_err(damaged)?;
    Ok(bytes)
}

/// A name up to its zero byte.
fn name(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}

impl Extensions {
    fn read(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        for record in PaxExtensions::new(bytes) {
            let record = record.map_err(damaged)?;
            let value = record.value_bytes();
            let number = || {
                let text = std::str::from_utf8(value).ok()?;
                // Times have a fraction, and may lie before 1970.
                text.split('.').next()?.parse::<u64>().ok()
            };
            match record.key_bytes() {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"uid" => self.uid = number(),
                b"gid" => self.gid = number(),
                b"mtime" => self.mtime = number(),
                b"size" => self.size = number(),
                key if key.starts_with(b"GNU.sparse") => return Err(sparse()),
                _ => {}
            }
        }
        Ok(())
    }

    fn apply(self, raw: &tar::Entry<'_, impl Read>) -> Result<Entry, ImageError> {
        let header = raw.header();
        let name = self.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let wrong = |why: &str| ImageError::invalid(format!("the archive's entry {} {why}", foreign(&name)));
        let link = || {
            let target = self.link.clone().or_else(|| header.link_name_bytes().map(Cow::into_owned));
            target.filter(|target| !target.is_empty()).ok_or_else(|| wrong("is a link to nothing"))
        };
        let kind = match header.entry_type() {
            // Before POSIX, a slash made a folder of it.
            EntryType::Regular if name.ends_with(b"/") => Kind::Directory,
            EntryType::Regular | EntryType::Continuous => Kind::File,
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Symlink(link()?),
            EntryType::Link => Kind::Hardlink(link()?),
            EntryType::Char | EntryType::Block | EntryType::Fifo => Kind::Special,
            EntryType::GNUSparse => return Err(sparse()),
            _ => return Err(wrong("is of an unknown kind")),
        };
        // The content is read by the size in the header.
        if self.size.is_some_and(|size| size != raw.size()) {
            return Err(wrong("has two sizes"));
        }
        // An empty field means 0, as GNU tar reads it.
        let id = |from: Option<u64>, header: std::io::Result<u64>| {
            let id = from.or(header.ok()).unwrap_or(0);
            u32::try_from(id).map_err(|_| wrong("has an owner that is no number of a user"))
        };
        Ok(Entry {
            mode: header.mode().unwrap_or(0o644),
            uid: id(self.uid, header.uid())?,
            gid: id(self.gid, header.gid())?,
            mtime: self.mtime.or_else(|| header.mtime().ok()).unwrap_or(0),
            size: raw.size(),
            position: raw.raw_file_position(),
            kind,
            name: name.clone(),
        })
    }
}

fn sparse() -> ImageError {
    ImageError::invalid("a layer has a sparse file, which no tool for images writes")
}
