//! Docker: `/var/lib/docker/containers/ID/config.v2.json`.

use std::{collections::HashMap, path::Path};

use serde::Deserialize;

use super::{Compose, Labels, is_entry, json};

#[derive(Deserialize)]
struct Config {
    /// With a leading slash, as in the API.
    #[serde(rename = "Name")]
    name: String,
    #[serde(default, rename = "Config")]
    config: Asked,
}

/// What it was asked for with.
#[derive(Default, Deserialize)]
struct Asked {
    #[serde(default, rename = "Image")]
    image: String,
    #[serde(default, rename = "Labels", deserialize_with = "maybe")]
    labels: HashMap<String, String>,
}

/// Null where there are none.
fn maybe<'de, D: serde::Deserializer<'de>>(value: D) -> Result<HashMap<String, String>, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

pub(super) fn labels(root: &Path, id: &str) -> Option<Labels> {
    let folder = is_entry(id).then(|| root.join("var/lib/docker/containers").join(id))?;
    let Config { name, config } = json(&folder.join("config.v2.json"))?;
    let mut labels = config.labels;
    let mut take = |key: &str| labels.remove(&format!("com.docker.compose.{key}"));
    let compose = take("project").zip(take("service"));
    Some(Labels {
        image: (!config.image.is_empty()).then_some(config.image),
        compose: compose.map(|(project, service)| Box::new(Compose { project, service })),
        ..Labels::name(name.trim_start_matches('/'))?
    })
}
