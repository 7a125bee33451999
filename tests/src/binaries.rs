//! Where the programs under test are.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The `zombie-trace` binary: the one that `ZOMBIE_TRACE_BIN` names, as in the VMs, or else the one of the profile that
/// the running test was built with. Under cargo it is rebuilt first, once per test binary, because a stale tool would
/// give wrong results.
pub fn zombie_trace() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        if let Some(path) = std::env::var_os("ZOMBIE_TRACE_BIN") {
            return path.into();
        }
        let path = beside_the_tests("zombie-trace");
        if let Some(cargo) = std::env::var_os("CARGO") {
            let mut build = Command::new(cargo);
            build.args(["build", "--quiet", "--package", "zombie-trace", "--bin", "zombie-trace"]);
            if profile_folder().ends_with("release") {
                build.arg("--release");
            }
            build.current_dir(env!("CARGO_MANIFEST_DIR"));
            let status = build.status().expect("cargo, which runs this test, can be started");
            assert!(status.success(), "{build:?} failed: {status}");
        }
        assert!(path.exists(), "{} is missing: build it, or name it in ZOMBIE_TRACE_BIN", path.display());
        path
    })
}

/// The `zt-actor` binary. Cargo builds it before the tests of this package; in the VMs `ZT_ACTOR_BIN` names it.
pub fn actor() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| std::env::var_os("ZT_ACTOR_BIN").map_or_else(|| beside_the_tests("zt-actor"), PathBuf::from))
}

/// Where the tests may keep downloads.
pub fn cache() -> PathBuf {
    profile_folder().join("zt-cache")
}

fn beside_the_tests(name: &str) -> PathBuf {
    profile_folder().join(name)
}

/// `target/<profile>`: test binaries lie in its `deps`.
fn profile_folder() -> PathBuf {
    let test = std::env::current_exe().expect("the kernel names the running program");
    let folder = test.parent().expect("a program lies in a folder");
    if folder.ends_with("deps") { folder.parent().unwrap_or(folder).to_owned() } else { folder.to_owned() }
}

/// A copy of a program that any user may run: the build folder may be closed to others.
#[derive(Debug)]
pub struct PublicCopy(PathBuf);

impl PublicCopy {
    /// Makes a copy, removed on drop.
    ///
    /// # Panics
    /// If the temporary folder cannot be written.
    pub fn of(program: &Path) -> Self {
        static COPIES: AtomicU32 = AtomicU32::new(0);
        let copy = COPIES.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("zombie-trace-test-{}-{copy}", std::process::id()));
        // By another program: if the copy were open for writing here, another test's fork would keep it open, and it
        // could not be started.
        let copied = Command::new("cp").arg(program).arg(&path).status().expect("cp can be started");
        assert!(copied.success(), "the temporary folder can be written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("the copy is ours");
        Self(path)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PublicCopy {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
