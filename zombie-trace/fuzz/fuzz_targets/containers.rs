//! Whatever a cgroup is called, and whatever stands in the files of runtimes and in the kubelet's folders, a container
//! is found or not.
//!
//! The input is a cgroup path, the content of a state file and the name of a log, each in a line of its own.
#![no_main]

use std::{fs, path::Path, time::Duration};

use libfuzzer_sys::fuzz_target;
use zombie_trace::container::{Lookup, from_proc_cgroup, identify};

fuzz_target!(|text: &str| {
    let mut parts = text.splitn(3, '\n');
    let path = parts.next().unwrap_or_default();
    let state = parts.next().unwrap_or_default();
    let log = parts.next().unwrap_or_default();
    if let Some(container) = identify(path).as_ref().and_then(|identity| identity.container()) {
        assert!(!container.id.is_empty(), "{path}");
        assert_ne!(container.inner.as_ref().map(|inner| &inner.id), Some(&String::new()), "{path}");
    }
    let _ = from_proc_cgroup(text);

    let root = tempfile::TempDir::new_in("/dev/shm").expect("a folder in memory");
    for file in [
        "run/runc/c1/state.json",
        "run/crun/c1/status",
        "run/containerd/io.containerd.runtime.v2.task/zt/c1/config.json",
        "var/lib/containers/storage/vfs-containers/containers.json",
    ] {
        let file = root.path().join(file);
        fs::create_dir_all(file.parent().unwrap_or(Path::new("/"))).expect("there is room");
        fs::write(file, state).expect("there is room");
    }
    for folder in ["var/log/pods", "var/log/containers"] {
        let folder = root.path().join(folder);
        fs::create_dir_all(&folder).expect("there is room");
        // Not every text is a name.
        let _ = fs::write(folder.join(log.replace(['/', '\0'], "")), "");
    }
    let mut lookup = Lookup::new(root.path());
    let _ = lookup.container(path, Duration::ZERO);
    let _ = lookup.container("/zt/c1", Duration::ZERO);
});
