//! Podman: `containers.json` of the storage, one for each storage driver that was ever used.

use std::{fs, path::Path};

use serde::Deserialize;

use super::{Labels, json};

/// Maximum number of entries of the storage's folder looked at; there are a dozen.
const MAX_ENTRIES: usize = 64;

#[derive(Deserialize)]
struct Stored {
    id: String,
    #[serde(default)]
    names: Vec<String>,
    /// JSON in a text.
    #[serde(default)]
    metadata: String,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default, rename = "image-name")]
    image: String,
}

pub(super) fn labels(root: &Path, id: &str) -> Option<Labels> {
    let entries = fs::read_dir(root.join("var/lib/containers/storage")).ok()?.take(MAX_ENTRIES).flatten();
    let mut drivers = entries.filter(|entry| entry.file_name().to_string_lossy().ends_with("-containers"));
    drivers.find_map(|driver| {
        let stored: Vec<Stored> = json(&driver.path().join("containers.json"))?;
        let container = stored.into_iter().find(|stored| stored.id == id)?;
        let metadata: Metadata = serde_json::from_str(&container.metadata).unwrap_or_default();
        let image = (!metadata.image.is_empty()).then_some(metadata.image);
        Some(Labels { image, ..Labels::name(container.names.first()?)? })
    })
}
