//! Docker: `/var/lib/docker/containers/ID/config.v2.json`.

use std::path::Path;

use serde::Deserialize;

use super::{Labels, is_entry, json};

#[derive(Deserialize)]
struct Config {
    /// With a leading slash, as in the API.
    #[serde(rename = "Name")]
    name: String,
}

pub(super) fn labels(root: &Path, id: &str) -> Option<Labels> {
    let folder = is_entry(id).then(|| root.join("var/lib/docker/containers").join(id))?;
    let config: Config = json(&folder.join("config.v2.json"))?;
    Labels::name(config.name.trim_start_matches('/'))
}
