//! Images of containers, read without a daemon: what one runs, and its files in a folder.
//!
//! | part | pure | does |
//! | --- | --- | --- |
//! | [`reference`] | yes | tells a path from a name |
//! | [`manifest`] | yes | finds an image in an archive or a layout, by digests |
//! | [`config`] | yes | what the image runs, with what `docker run` may override |
//! | [`passwd`] | yes | the numbers of its user |
//! | [`entry`] | yes | what an entry of a layer asks for |
//! | [`tarball`], [`bundle`] | | entries of an archive, blobs of a layout |
//! | [`layer`], [`tree`] | | unpacks layers to a folder |
//! | [`store`] | | asks Docker's or Podman's client for an archive |
//! | [`scratch`] | | the folder, which goes away whatever happens |
//!
//! An image is hostile. Every size is bounded ([`Limits`]). Each blob must have the digest by which it was found. Paths
//! are resolved by the kernel below the folder (`openat2` with `RESOLVE_IN_ROOT`). Device nodes are not made, and no
//! file gets a setuid or setgid bit.

mod bundle;
pub mod config;
mod entry;
mod hashing;
mod layer;
mod manifest;
mod passwd;
mod reference;
pub mod scratch;
mod store;
mod tarball;
#[cfg(test)]
mod tests;
mod tree;

use std::{io, path::Path, path::PathBuf};

use thiserror::Error;

use crate::{files::shown, text::escape};
use bundle::Bundle;
use config::{Config, Overrides, Run};
use layer::Budget;
use manifest::Digest;
use passwd::Account;
use reference::Source;
use scratch::Scratch;
use tree::Tree;

/// How much of an image is read and unpacked.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of an archive, and of all layers together when unpacked.
    pub bytes: u64,
    /// Files of all layers together.
    pub entries: u64,
    /// Number of layers.
    pub layers: usize,
    /// Bytes of a manifest or configuration.
    pub json: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 16 << 30, entries: 2_000_000, layers: 512, json: 4 << 20 }
    }
}

/// Why an image cannot be used. What comes from the image is escaped.
#[derive(Debug, Error)]
pub enum ImageError {
    /// A file cannot be read or written.
    #[error("{what}: {why}")]
    Io {
        /// What was done.
        what: String,
        /// Why that failed.
        why: io::Error,
    },
    /// No client has such an image.
    #[error("no image {name}: {why}")]
    NotFound {
        /// The name as it was given.
        name: String,
        /// What each client said.
        why: String,
    },
    /// It is not an image, or not one that can run here.
    #[error("{0}")]
    Invalid(String),
    /// The content does not have the digest by which it is known.
    #[error("{what} has the digest {found}, not {expected}: the image is corrupt or was tampered with")]
    Digest {
        /// Which part.
        what: String,
        /// What was asked for.
        expected: String,
        /// What it has.
        found: String,
    },
    /// It exceeds a limit.
    #[error("the image is too large: {0}")]
    TooLarge(String),
}

impl ImageError {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |why| Self::Io { what, why }
    }

    fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid(why.into())
    }
}

/// Bytes from an image, for people.
fn foreign(bytes: &[u8]) -> String {
    escape::text(bytes).into_owned()
}

/// An unpacked image, and how it is run. The folder is removed when this is dropped.
#[derive(Debug)]
pub struct Unpacked {
    /// Where it came from, for people.
    pub origin: String,
    /// What is run, and how.
    pub run: Run,
    /// The user, with numbers.
    pub user: Account,
    /// Entries of the layers that were not made: devices and pipes.
    pub skipped: u64,
    root: PathBuf,
    _scratch: Scratch,
}

impl Unpacked {
    /// The folder of its files.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Its environment: what a runtime sets, then what the image and the overrides say.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut all = vec![
            ("PATH".to_owned(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
            ("HOSTNAME".to_owned(), HOSTNAME.to_owned()),
            ("HOME".to_owned(), self.user.home.clone()),
        ];
        for (name, value) in &self.run.environment {
            match all.iter_mut().find(|(known, _)| known == name) {
                Some((_, old)) => old.clone_from(value),
                None => all.push((name.clone(), value.clone())),
            }
        }
        all
    }
}

/// Unpacks an image: an archive, a layout, or one that a client on this machine has.
///
/// # Errors
/// See [`ImageError`].
pub fn unpack(reference: &str, overrides: &Overrides, limits: Limits) -> Result<Unpacked, ImageError> {
    let scratch = Scratch::new().map_err(ImageError::io("cannot make a temporary folder"))?;
    let (bundle, origin) = match reference::parse(reference, |path| Path::new(path).exists())? {
        Source::Path(path) => {
            let path = PathBuf::from(path);
            let shown = shown(&path);
            (Bundle::at(&path, scratch.path(), limits)?, shown)
        }
        Source::Name(name) => {
            let (archive, client) = store::save(&name, scratch.path(), limits)?;
            (Bundle::archive(archive, limits)?, format!("{} ({client})", foreign(name.as_bytes())))
        }
    };
    let found = bundle.image(limits)?;
    let config = Config::parse(&found.config)?;
    config.check_platform()?;
    let diffs = config.diff_ids(found.layers.len())?;
    let run = config.run(overrides)?;
    let root = scratch.path().join("root");
    let mut tree = Tree::create(&root).map_err(ImageError::io("cannot make a temporary folder"))?;
    let mut budget = Budget::new(limits);
    if found.layers.len() > limits.layers {
        return Err(ImageError::TooLarge(format!("more than {} layers", limits.layers)));
    }
    for (layer, diff) in found.layers.iter().zip(&diffs) {
        layer::unpack(&bundle, layer, diff, &mut tree, &mut budget)?;
    }
    let user = prepare(&mut tree, &run)?;
    Ok(Unpacked { origin, run, user, skipped: budget.skipped, root, _scratch: scratch })
}

/// What a runtime adds to the files of an image, and whom it finds there.
fn prepare(tree: &mut Tree, run: &Run) -> Result<Account, ImageError> {
    let accounts = |path: &str| tree.read(path, 1 << 20).map(Option::unwrap_or_default);
    let (passwd, group) = (accounts("etc/passwd")?, accounts("etc/group")?);
    let user = passwd::resolve(&run.user, &passwd, &group).map_err(ImageError::Invalid)?;
    tree.directory(run.workdir.as_bytes())?;
    for (path, text) in [
        ("etc/hosts", format!("127.0.0.1\tlocalhost {HOSTNAME}\n::1\tlocalhost ip6-localhost ip6-loopback\n")),
        ("etc/hostname", format!("{HOSTNAME}\n")),
        ("etc/resolv.conf", String::new()),
    ] {
        tree.write(path, text.as_bytes(), 0o644)?;
    }
    if run.init {
        let init = store::init()?;
        tree.write(config::INIT.trim_start_matches('/'), &init, 0o755)?;
    }
    Ok(user)
}

/// The name of the machine, as the image sees it in its environment.
const HOSTNAME: &str = "init-check";

/// What a layer is called by, in an archive or a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LayerAt {
    /// Its path below the bundle.
    path: String,
    /// The digest of the file as it is, if that is known.
    digest: Option<Digest>,
    /// Its size, if that is known.
    size: Option<u64>,
}
