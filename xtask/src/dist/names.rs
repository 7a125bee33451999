//! The names of what is shipped. `cargo binstall` builds the archive's name from `[package.metadata.binstall]`.

use crate::architecture::Architecture;

pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The list of digests.
pub(super) const DIGESTS: &str = "SHA256SUMS";

/// The name that everything for one architecture begins with, and the one folder in its archive.
pub(super) fn base(architecture: &Architecture) -> String {
    format!("zombie-trace-{VERSION}-{}", architecture.triple)
}

pub(super) fn archive(architecture: &Architecture) -> String {
    base(architecture) + ".tar.gz"
}

/// The folder in the archive of debug information.
pub(super) fn debug_base(architecture: &Architecture) -> String {
    base(architecture) + "-debug"
}

pub(super) fn debug_archive(architecture: &Architecture) -> String {
    debug_base(architecture) + ".tar.gz"
}

pub(super) fn sbom(architecture: &Architecture) -> String {
    base(architecture) + ".cdx.json"
}

pub(super) fn deb(architecture: &Architecture) -> String {
    format!("zombie-trace_{}_{}.deb", packaged_version(VERSION), architecture.debian)
}

/// The release that an rpm has beside its version.
pub(super) const RPM_RELEASE: &str = "1";

pub(super) fn rpm(architecture: &Architecture) -> String {
    format!("zombie-trace-{}-{RPM_RELEASE}.{}.rpm", packaged_version(VERSION), architecture.rust)
}

/// One image for all architectures.
pub(super) fn image() -> String {
    format!("zombie-trace-{VERSION}-oci.tar")
}

/// A version as dpkg and rpm sort it: `1.0.0-rc.1` comes before `1.0.0` only with a tilde.
pub(super) fn packaged_version(version: &str) -> String {
    version.replacen('-', "~", 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{architecture::ARCHITECTURES, system};

    #[test]
    fn names_say_version_and_architecture_as_each_format_writes_it() {
        let arm = Architecture::of_debian("arm64").unwrap();
        assert_eq!(archive(arm), format!("zombie-trace-{VERSION}-aarch64-unknown-linux-gnu.tar.gz"));
        assert_eq!(deb(arm), format!("zombie-trace_{VERSION}_arm64.deb"));
        assert_eq!(rpm(arm), format!("zombie-trace-{VERSION}-1.aarch64.rpm"));
    }

    #[test]
    fn a_release_candidate_is_older_than_the_release() {
        assert_eq!(packaged_version("1.0.0-rc.1"), "1.0.0~rc.1");
        assert_eq!(packaged_version("1.0.0"), "1.0.0");
    }

    #[test]
    fn binstall_looks_for_the_archives_that_are_made() {
        let manifest = std::fs::read_to_string(system::workspace().join("zombie-trace/Cargo.toml")).unwrap();
        let value = |key: &str| {
            let line = manifest.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
            line.unwrap_or_else(|| panic!("no {key}")).trim_matches('"').to_owned()
        };
        for architecture in ARCHITECTURES {
            let fill = |text: &str| {
                text.replace("{ name }", "zombie-trace")
                    .replace("{ version }", VERSION)
                    .replace("{ target }", architecture.triple)
                    .replace("{ bin }{ binary-ext }", "zombie-trace")
            };
            assert!(fill(&value("pkg-url")).ends_with(&format!("/{}", archive(architecture))));
            assert_eq!(fill(&value("bin-dir")), format!("{}/zombie-trace", base(architecture)));
        }
    }
}
