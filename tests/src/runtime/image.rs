//! The content of the containers: busybox, and an init for runtimes without one.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::{Shared, run, sandbox};
use crate::{Skip, require};

static SHARED: Shared<Image> = Shared::new();

/// The name of the image that runs any command.
pub(super) const APP: &str = "docker.io/library/zt-app:1";
/// The name of the image of a pod's own container.
pub(super) const PAUSE: &str = "docker.io/library/zt-pause:1";

/// The init in it.
pub(super) const INIT: &str = "/sbin/catatonit";

#[derive(Debug)]
pub(super) struct Image {
    /// The root file system.
    pub(super) root: PathBuf,
    /// The same as an archive.
    pub(super) layer: PathBuf,
    folder: PathBuf,
}

/// The image, made on first use.
pub(super) fn shared() -> Result<std::sync::Arc<Image>, Skip> {
    sandbox::entered()?;
    let busybox = require::program("busybox")?;
    let catatonit = require::program("catatonit")?;
    SHARED.get(|| Ok(Image::make(&busybox, &catatonit)))
}

impl Image {
    fn make(busybox: &Path, catatonit: &Path) -> Self {
        let folder = sandbox::folder("image");
        let (root, layer) = (folder.join("root"), folder.join("layer.tar"));
        for name in ["bin", "sbin", "proc", "sys", "dev", "etc", "run", "tmp"] {
            fs::create_dir_all(root.join(name)).expect("the sandbox's own folder");
        }
        fs::copy(busybox, root.join("bin/busybox")).expect("busybox is copied");
        for applet in ["sh", "sleep", "true", "echo"] {
            symlink("busybox", root.join("bin").join(applet)).expect("an applet");
        }
        fs::copy(catatonit, root.join(INIT.trim_start_matches('/'))).expect("catatonit is copied");
        run(Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&layer).arg("."));
        Self { root, layer, folder }
    }

    /// Both images as an archive of the OCI image layout.
    pub(super) fn archive(&self) -> PathBuf {
        let layout = self.folder.join("layout");
        fs::create_dir_all(layout.join("blobs/sha256")).expect("the sandbox's own folder");
        let layer = blob(&layout, &fs::read(&self.layer).expect("the layer was made"), "image.layer.v1.tar");
        let manifests: Vec<Value> = [(APP, json!(["sleep", "600"])), (PAUSE, json!([INIT, "-P"]))]
            .into_iter()
            .map(|(name, command)| {
                let config = json!({
                    "architecture": architecture(), "os": "linux",
                    "config": {"Env": ["PATH=/bin:/sbin"], "Cmd": command},
                    "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
                });
                let config = blob(&layout, config.to_string().as_bytes(), "image.config.v1+json");
                let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
                let mut manifest = blob(&layout, manifest.to_string().as_bytes(), "image.manifest.v1+json");
                manifest["annotations"] = json!({"io.containerd.image.name": name});
                manifest
            })
            .collect();
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        fs::write(layout.join("index.json"), index.to_string()).expect("the index");
        fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("the layout's version");
        let archive = self.folder.join("oci.tar");
        run(Command::new("tar").arg("-C").arg(&layout).arg("-cf").arg(&archive).arg("."));
        archive
    }
}

/// Stores a blob under its digest and returns its descriptor.
fn blob(layout: &Path, content: &[u8], kind: &str) -> Value {
    let new = layout.join("blobs/new");
    fs::write(&new, content).expect("a blob");
    let digest = run(Command::new("sha256sum").arg(&new));
    let digest = digest.split_whitespace().next().expect("sha256sum prints the sum first");
    fs::rename(&new, layout.join("blobs/sha256").join(digest)).expect("a blob");
    json!({
        "mediaType": format!("application/vnd.oci.{kind}"),
        "digest": format!("sha256:{digest}"),
        "size": content.len(),
    })
}

/// As Go names it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
