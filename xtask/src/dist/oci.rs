//! The image, as an archive of the OCI image layout with one image for each architecture.
//!
//! It is written by hand, because it is three kinds of JSON documents and two archives; tools that would do it (buildah,
//! umoci) need a storage or a user namespace, and put the time of day into it.

use anyhow::Result;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    files::{Files, gzip},
    names::VERSION,
};
use crate::architecture::Architecture;

/// The image's full name, by which it is run once it is loaded.
pub(super) fn name() -> String {
    format!("localhost/zombie-trace:{VERSION}")
}

/// Where the program lies in it.
pub(super) const PROGRAM: &str = "usr/bin/zombie-trace";

/// The content of the image of one architecture.
pub(super) struct Platform<'a> {
    pub(super) architecture: &'a Architecture,
    pub(super) files: &'a Files,
}

/// Makes the archive. `created` is the time of the sources, in RFC 3339.
pub(super) fn archive(platforms: &[Platform<'_>], epoch: u64, created: &str) -> Result<Vec<u8>> {
    let mut layout = Files::default();
    let manifests = platforms.iter().map(|platform| manifest(&mut layout, platform, epoch, created));
    let manifests = manifests.collect::<Result<Vec<_>>>()?;
    let index = json!({"schemaVersion": 2, "mediaType": kind("image.index.v1+json"), "manifests": manifests});
    let mut index = blob(&mut layout, &kind("image.index.v1+json"), to_bytes(&index));
    // containerd takes the full name from the first, Podman and Docker from the second.
    index["annotations"] =
        json!({"io.containerd.image.name": name(), "org.opencontainers.image.ref.name": name(), CREATED: created});
    // One entry only: a reader without an option for the platform takes it, and chooses below it.
    let top = json!({"schemaVersion": 2, "mediaType": kind("image.index.v1+json"), "manifests": [index]});
    layout.add("index.json", to_bytes(&top));
    layout.add("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    layout.tar(epoch)
}

const CREATED: &str = "org.opencontainers.image.created";

fn manifest(layout: &mut Files, platform: &Platform<'_>, epoch: u64, created: &str) -> Result<Value> {
    let tar = platform.files.tar(epoch)?;
    let config = json!({
        "created": created,
        "architecture": go_name(platform.architecture),
        "os": "linux",
        "config": {
            "Entrypoint": [format!("/{PROGRAM}")],
            "Cmd": ["--help"],
            "Env": ["PATH=/usr/bin"],
            "WorkingDir": "/",
            "Labels": labels(created),
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(&tar)]},
        "history": [{"created": created, "created_by": "cargo xtask dist"}],
    });
    let config = blob(layout, &kind("image.config.v1+json"), to_bytes(&config));
    let layer = blob(layout, &kind("image.layer.v1.tar+gzip"), gzip(&tar)?);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": kind("image.manifest.v1+json"),
        "config": config,
        "layers": [layer],
        "annotations": labels(created),
    });
    let mut manifest = blob(layout, &kind("image.manifest.v1+json"), to_bytes(&manifest));
    manifest["platform"] = json!({"architecture": go_name(platform.architecture), "os": "linux"});
    Ok(manifest)
}

fn labels(created: &str) -> Value {
    json!({
        CREATED: created,
        "org.opencontainers.image.licenses": "MIT OR Apache-2.0",
        "org.opencontainers.image.title": "zombie-trace",
        "org.opencontainers.image.version": VERSION,
    })
}

/// Stores a blob under its digest and returns its descriptor.
fn blob(layout: &mut Files, kind: &str, content: Vec<u8>) -> Value {
    let digest = digest(&content);
    let descriptor = json!({"mediaType": kind, "digest": digest, "size": content.len()});
    layout.add(format!("blobs/{}", digest.replace(':', "/")), content);
    descriptor
}

fn digest(content: &[u8]) -> String {
    format!("sha256:{}", hex(content))
}

/// The SHA-256 of some bytes, in hexadecimal digits.
pub(super) fn hex(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn kind(name: &str) -> String {
    format!("application/vnd.oci.{name}")
}

fn to_bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// As Go names it, and so the OCI. Debian's names are the same for what we build.
fn go_name(architecture: &Architecture) -> &'static str {
    architecture.debian
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io::Read as _};

    use super::*;
    use crate::architecture::ARCHITECTURES;

    fn layout() -> BTreeMap<String, Vec<u8>> {
        let mut files = Files::default();
        files.add_program(PROGRAM, "program");
        let platforms: Vec<_> =
            ARCHITECTURES.iter().map(|architecture| Platform { architecture, files: &files }).collect();
        let archive = archive(&platforms, 7, "1970-01-01T00:00:07Z").unwrap();
        let mut found = BTreeMap::new();
        for entry in tar::Archive::new(&archive[..]).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            found.insert(entry.path().unwrap().display().to_string(), content);
        }
        found
    }

    fn get(layout: &BTreeMap<String, Vec<u8>>, descriptor: &Value) -> Value {
        let digest = descriptor["digest"].as_str().unwrap();
        let content = &layout[&format!("blobs/{}", digest.replace(':', "/"))];
        assert_eq!(format!("sha256:{}", hex(content)), digest);
        assert_eq!(content.len() as u64, descriptor["size"]);
        serde_json::from_slice(content).unwrap()
    }

    #[test]
    fn one_index_leads_to_both_platforms() {
        let layout = layout();
        let top: Value = serde_json::from_slice(&layout["index.json"]).unwrap();
        assert_eq!(top["manifests"].as_array().unwrap().len(), 1);
        let index = get(&layout, &top["manifests"][0]);
        let platforms: Vec<_> = index["manifests"].as_array().unwrap().iter().map(|it| &it["platform"]).collect();
        assert_eq!(platforms[0], &json!({"architecture": "amd64", "os": "linux"}));
        assert_eq!(platforms[1], &json!({"architecture": "arm64", "os": "linux"}));
        for descriptor in index["manifests"].as_array().unwrap() {
            let manifest = get(&layout, descriptor);
            let config = get(&layout, &manifest["config"]);
            assert_eq!(config["architecture"], descriptor["platform"]["architecture"]);
            assert_eq!(config["config"]["Entrypoint"], json!(["/usr/bin/zombie-trace"]));
        }
    }

    #[test]
    fn the_configuration_has_the_digest_of_the_unpacked_layer() {
        let layout = layout();
        let top: Value = serde_json::from_slice(&layout["index.json"]).unwrap();
        let manifest = get(&layout, &get(&layout, &top["manifests"][0])["manifests"][0]);
        let layer = manifest["layers"][0]["digest"].as_str().unwrap().replace(':', "/");
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&layout[&format!("blobs/{layer}")][..]).read_to_end(&mut unpacked).unwrap();
        let config = get(&layout, &manifest["config"]);
        assert_eq!(config["rootfs"]["diff_ids"], json!([digest(&unpacked)]));
    }
}
