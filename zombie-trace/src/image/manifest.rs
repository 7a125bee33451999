//! What an archive or a layout says of the images in it: the documents of the OCI image layout and of `docker save`.

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{ImageError, foreign};

/// A SHA-256, which is what every tool writes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    /// Of all that a hasher has seen.
    pub(super) fn of(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }

    /// Reads `sha256:` and 64 hexadecimal digits.
    pub(super) fn parse(text: &str) -> Result<Self, ImageError> {
        let wrong = || ImageError::invalid(format!("{} is not a SHA-256 digest", foreign(text.as_bytes())));
        Self::hex(text.strip_prefix("sha256:").ok_or_else(wrong)?).ok_or_else(wrong)
    }

    fn hex(digits: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if digits.len() != 64 || !digits.bytes().all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it)) {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// Where a layout keeps it.
    pub(super) fn path(self) -> String {
        format!("blobs/sha256/{self}")
    }

    /// Fails unless this is what was asked for.
    pub(super) fn must_be(self, expected: Self, what: &str) -> Result<(), ImageError> {
        if self == expected {
            return Ok(());
        }
        Err(ImageError::Digest { what: what.to_owned(), expected: expected.to_string(), found: self.to_string() })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

/// An image in the `manifest.json` of `docker save`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Saved {
    /// Path of its configuration.
    pub(super) config: String,
    /// Its names.
    pub(super) repo_tags: Option<Vec<String>>,
    /// Paths of its layers, the lowest first.
    pub(super) layers: Vec<String>,
}

impl Saved {
    /// The digest in the name of its configuration: `HEX.json`, or `blobs/sha256/HEX`.
    pub(super) fn digest(&self) -> Option<Digest> {
        let name = self.config.rsplit('/').next()?;
        Digest::hex(name.strip_suffix(".json").unwrap_or(name))
    }
}

/// What a descriptor points to.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    platform: Option<Platform>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Debug, Deserialize)]
struct Platform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
}

/// A manifest, or an index of them.
#[derive(Debug, Deserialize)]
pub(super) struct Document {
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
}

/// What a document is.
#[derive(Debug)]
pub(super) enum Kind {
    /// Other documents are to be read.
    Index(Vec<Descriptor>),
    /// The manifest of an image: its configuration and its layers.
    Image(Descriptor, Vec<Descriptor>),
}

impl Document {
    pub(super) fn kind(self) -> Result<Kind, ImageError> {
        match self {
            Self { manifests: Some(manifests), .. } => Ok(Kind::Index(manifests)),
            Self { config: Some(config), layers: Some(layers), .. } => Ok(Kind::Image(config, layers)),
            _ => Err(ImageError::invalid("a manifest has neither images nor layers")),
        }
    }
}

/// Reads a document. Its text is not quoted in errors, because it may be anything.
pub(super) fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8], what: &str) -> Result<T, ImageError> {
    serde_json::from_slice(bytes).map_err(|error| {
        ImageError::invalid(format!("{what} is not as it should be: line {}, column {}", error.line(), error.column()))
    })
}

/// The one image of this machine's kind.
pub(super) fn choose(descriptors: Vec<Descriptor>) -> Result<Descriptor, ImageError> {
    let mut fitting: Vec<Descriptor> = Vec::new();
    for descriptor in descriptors {
        let fits = descriptor.platform.as_ref().is_none_or(|it| it.os == "linux" && it.architecture == architecture());
        // An attestation says of itself that it runs nowhere.
        if fits && !descriptor.is_attestation() && fitting.iter().all(|it| it.digest != descriptor.digest) {
            fitting.push(descriptor);
        }
    }
    let names: Vec<String> = fitting.iter().map(Descriptor::name).collect();
    let mut fitting = fitting.into_iter();
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Ok(one),
        // Variants of one processor: the first is the most general by convention.
        (Some(one), Some(_)) if one.platform.is_some() => Ok(one),
        (Some(_), Some(_)) => Err(several(&names)),
        (None, _) => Err(ImageError::invalid(format!("there is no image for linux/{}", architecture()))),
    }
}

impl Descriptor {
    fn is_attestation(&self) -> bool {
        let kind = self.annotations.as_ref().and_then(|it| it.get("vnd.docker.reference.type"));
        kind.is_some_and(|kind| kind == "attestation-manifest")
    }

    fn name(&self) -> String {
        let annotation = |key: &str| self.annotations.as_ref().and_then(|it| it.get(key));
        let name = annotation("io.containerd.image.name").or_else(|| annotation("org.opencontainers.image.ref.name"));
        foreign(name.unwrap_or(&self.digest).as_bytes())
    }
}

/// More than one image, and nobody said which.
pub(super) fn several(names: &[String]) -> ImageError {
    ImageError::invalid(format!("there are several images in it ({}): save the one to grade alone", names.join(", ")))
}

/// This machine's processor, as Go names it.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn hex(digit: char) -> String {
        std::iter::repeat_n(digit, 64).collect()
    }

    fn descriptor(digit: char, platform: Option<&str>, more: Value) -> Value {
        let mut all = json!({"digest": format!("sha256:{}", hex(digit)), "size": 1, "annotations": more});
        if let Some(architecture) = platform {
            all["platform"] = json!({"os": "linux", "architecture": architecture});
        }
        all
    }

    fn chosen(descriptors: Value) -> Result<String, String> {
        let all: Vec<Descriptor> = serde_json::from_value(descriptors).unwrap();
        choose(all).map(|it| it.digest).map_err(|error| error.to_string())
    }

    #[test]
    fn the_image_for_this_machine_is_chosen() {
        let none = json!({});
        let other = if architecture() == "arm64" { "amd64" } else { "arm64" };
        let unknown = json!({"vnd.docker.reference.type": "attestation-manifest"});
        let all = json!([
            descriptor('a', Some(other), none.clone()),
            descriptor('b', Some(architecture()), none.clone()),
            descriptor('c', Some("unknown"), unknown.clone()),
            descriptor('d', None, unknown),
        ]);
        assert_eq!(chosen(all), Ok(format!("sha256:{}", hex('b'))));
        assert!(chosen(json!([descriptor('a', Some(other), none)])).unwrap_err().contains("no image for linux"));
    }

    #[test]
    fn of_several_images_none_is_taken_unasked() {
        let named = |name: &str| json!({"org.opencontainers.image.ref.name": name});
        let all = json!([descriptor('a', None, named("one")), descriptor('b', None, named("two\u{1b}"))]);
        assert_eq!(
            chosen(all).unwrap_err(),
            "there are several images in it (one, two\\x1b): save the one to grade alone"
        );
        // The same one by two names.
        let all = json!([descriptor('a', None, named("one")), descriptor('a', None, named("two"))]);
        assert!(chosen(all).is_ok());
    }

    #[test]
    fn a_digest_is_never_a_path() {
        assert!(Digest::parse(&format!("sha256:{}", hex('a'))).is_ok());
        for wrong in ["sha256:../../etc/passwd", "sha512:00", "", &hex('a'), &format!("sha256:{}", hex('A'))] {
            assert!(Digest::parse(wrong).is_err(), "{wrong}");
        }
    }
}
