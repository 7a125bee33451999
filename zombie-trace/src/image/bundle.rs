//! An archive or the folder of a layout: blobs by name.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    os::{fd::OwnedFd, unix::fs::FileExt},
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags, open, openat2},
    io::Errno,
};

use super::{
    ImageError, LayerAt, Limits, foreign,
    hashing::{Hashing, plain},
    manifest::{self, Descriptor, Digest, Document, Kind, Saved},
    scratch, tarball,
};

/// Names in an archive.
const MAX_NAMES: usize = 100_000;
/// How deep indexes are nested.
const MAX_INDEXES: usize = 4;
/// How many links lead to a blob.
const MAX_LINKS: usize = 8;

/// Where blobs are.
#[derive(Debug)]
pub(super) enum Bundle {
    /// A layout.
    Folder(OwnedFd),
    /// An archive, with the places of its files.
    Archive(File, HashMap<String, Place>),
}

#[derive(Debug)]
pub(super) enum Place {
    File { position: u64, size: u64 },
    Link(String),
}

/// An image in it: its configuration, and where its layers are.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) config: Vec<u8>,
    pub(super) layers: Vec<LayerAt>,
}

impl Bundle {
    /// What is at a path. A compressed archive is decompressed to the scratch folder.
    pub(super) fn at(path: &Path, scratch: &Path, limits: Limits) -> Result<Self, ImageError> {
        let failed = |error: io::Error| ImageError::io(crate::files::shown(path))(error);
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = open(path, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
        let mut file = File::from(opened);
        let kind = file.metadata().map_err(failed)?.file_type();
        if kind.is_dir() {
            return Ok(Self::Folder(file.into()));
        }
        if !kind.is_file() {
            return Err(ImageError::invalid(format!("{} is neither a file nor a folder", crate::files::shown(path))));
        }
        let mut first = [0; 4];
        let count = file.read_at(&mut first, 0).map_err(failed)?;
        let is_compressed = matches!(first[..count], [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd]);
        if is_compressed {
            file = scratch::spool(plain(file).map_err(failed)?, scratch, limits)?;
        }
        Self::archive(file, limits)
    }

    /// An archive, from its beginning.
    pub(super) fn archive(file: File, limits: Limits) -> Result<Self, ImageError> {
        let size = file.metadata().map_err(ImageError::io("the archive"))?.len();
        if size > limits.bytes {
            return Err(ImageError::TooLarge(format!("an archive of more than {} bytes", limits.bytes)));
        }
        let mut places = HashMap::new();
        // Content is passed over by reading it; it is in the page cache when the layers are read.
        tarball::each(Section { file: &file, position: 0, end: size }, |entry, _| {
            let name = String::from_utf8_lossy(&entry.name).into_owned();
            let place = match entry.kind {
                tarball::Kind::File => Place::File { position: entry.position, size: entry.size },
                tarball::Kind::Symlink(target) => Place::Link(beside(&name, &String::from_utf8_lossy(&target))),
                tarball::Kind::Hardlink(target) => Place::Link(normal(&String::from_utf8_lossy(&target))),
                tarball::Kind::Directory | tarball::Kind::Special => return Ok(()),
            };
            if places.len() == MAX_NAMES {
                return Err(ImageError::TooLarge(format!("an archive of more than {MAX_NAMES} files")));
            }
            places.insert(normal(&name), place);
            Ok(())
        })?;
        Ok(Self::Archive(file, places))
    }

    /// Opens a blob.
    pub(super) fn open(&self, name: &str) -> Result<Box<dyn Read + '_>, ImageError> {
        let shown = foreign(name.as_bytes());
        match self.find(name)? {
            Some(reader) => Ok(reader),
            None => {
                Err(ImageError::invalid(format!("{shown} is missing: it is not an image, or not the whole of one")))
            }
        }
    }

    fn find(&self, name: &str) -> Result<Option<Box<dyn Read + '_>>, ImageError> {
        match self {
            Self::Folder(folder) => {
                let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
                let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
                let file = match openat2(folder, name, flags, Mode::empty(), inside) {
                    Ok(file) => File::from(file),
                    Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
                    Err(error) => return Err(ImageError::io(foreign(name.as_bytes()))(error.into())),
                };
                let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
                if is_file { Ok(Some(Box::new(file))) } else { Ok(None) }
            }
            Self::Archive(file, places) => {
                let mut name = normal(name);
                for _ in 0..MAX_LINKS {
                    match places.get(&name) {
                        None => return Ok(None),
                        Some(Place::Link(target)) => name.clone_from(target),
                        Some(&Place::File { position, size }) => {
                            let end = position.saturating_add(size);
                            return Ok(Some(Box::new(Section { file, position, end })));
                        }
                    }
                }
                Err(ImageError::invalid("a link in the archive leads to itself"))
            }
        }
    }

    /// A document, if it is there.
    fn document(&self, name: &str, limits: Limits) -> Result<Option<Vec<u8>>, ImageError> {
        let Some(reader) = self.find(name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        reader.take(limits.json + 1).read_to_end(&mut bytes).map_err(ImageError::io(foreign(name.as_bytes())))?;
        if bytes.len() as u64 > limits.json {
            return Err(ImageError::TooLarge(format!("a document of more than {} bytes", limits.json)));
        }
        Ok(Some(bytes))
    }

    /// The document that a descriptor points to, with the digest that it says.
    fn blob(&self, descriptor: &Descriptor, limits: Limits) -> Result<Vec<u8>, ImageError> {
        let digest = Digest::parse(&descriptor.digest)?;
        let missing = || ImageError::invalid(format!("the blob {digest} is missing"));
        let bytes = self.document(&digest.path(), limits)?.ok_or_else(missing)?;
        check(&bytes, digest, &format!("the blob {digest}"))?;
        Ok(bytes)
    }

    /// The one image.
    pub(super) fn image(&self, limits: Limits) -> Result<Found, ImageError> {
        // `docker save` writes both; this one has the names.
        if let Some(bytes) = self.document("manifest.json", limits)? {
            return self.saved(&bytes, limits);
        }
        let missing = "it has neither manifest.json nor index.json: it is not an image";
        let mut bytes = self.document("index.json", limits)?.ok_or_else(|| ImageError::invalid(missing))?;
        for _ in 0..MAX_INDEXES {
            match manifest::parse::<Document>(&bytes, "a manifest")?.kind()? {
                Kind::Index(descriptors) => bytes = self.blob(&manifest::choose(descriptors)?, limits)?,
                Kind::Image(config, layers) => {
                    if config.media_type.contains("artifact") || config.media_type.contains("empty") {
                        return Err(ImageError::invalid("it is an artifact, not an image that can be run"));
                    }
                    let layers = layers.iter().map(|layer| {
                        let digest = Digest::parse(&layer.digest)?;
                        Ok(LayerAt { path: digest.path(), digest: Some(digest), size: Some(layer.size) })
                    });
                    let layers = layers.collect::<Result<_, ImageError>>()?;
                    return Ok(Found { config: self.blob(&config, limits)?, layers });
                }
            }
        }
        Err(ImageError::invalid("its indexes are nested too deep"))
    }

    fn saved(&self, bytes: &[u8], limits: Limits) -> Result<Found, ImageError> {
        let all: Vec<Saved> = manifest::parse(bytes, "manifest.json")?;
        let [image] = &all[..] else {
            let names = |image: &Saved| image.repo_tags.iter().flatten().next().cloned().unwrap_or_default();
            let names: Vec<String> = all.iter().map(|image| foreign(names(image).as_bytes())).collect();
            return Err(manifest::several(&names));
        };
        let digest =
            image.digest().ok_or_else(|| ImageError::invalid("the configuration is not named by its digest"))?;
        let missing = || ImageError::invalid("the image's configuration is missing");
        let config = self.document(&image.config, limits)?.ok_or_else(missing)?;
        check(&config, digest, "the image's configuration")?;
        // The configuration has the digests of their content.
        let layers = image.layers.iter().map(|path| LayerAt { path: path.clone(), digest: None, size: None });
        Ok(Found { config, layers: layers.collect() })
    }
}

fn check(bytes: &[u8], digest: Digest, what: &str) -> Result<(), ImageError> {
    let (found, _) = Hashing::new(bytes, u64::MAX).finish().map_err(ImageError::io(what))?;
    found.must_be(digest, what)
}

/// A path of an archive, without dots. One that leads out is no name of anything.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The target of a symbolic link.
fn beside(link: &str, target: &str) -> String {
    let folder = link.rsplit_once('/').map_or("", |(folder, _)| folder);
    if target.starts_with('/') { normal(target) } else { normal(&format!("{folder}/{target}")) }
}

/// Part of a file, read without moving the file's own offset.
struct Section<'a> {
    file: &'a File,
    position: u64,
    end: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let count = self.file.read_at(&mut buffer[..wanted], self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}
