//! Which compilers are accepted, and what is hidden from the nested build.

use super::{environment::belongs_to_outer_build, *};

const DEBIAN: Facts = Facts { rust: (1, 96), llvm: 22, has_core: true, has_source: false };

#[test]
fn a_built_core_is_preferred_to_its_sources() {
    assert_eq!(assess(&DEBIAN), Ok(Core::Prebuilt));
    assert_eq!(assess(&Facts { has_source: true, ..DEBIAN }), Ok(Core::Prebuilt));
    assert_eq!(assess(&Facts { has_core: false, has_source: true, ..DEBIAN }), Ok(Core::Source));
}

#[test]
fn a_compiler_that_cannot_build_for_bpf_is_rejected_with_its_reason() {
    assert_eq!(assess(&Facts { has_core: false, ..DEBIAN }), Err(Rejection::NoCore));
    assert_eq!(assess(&Facts { rust: (1, 87), ..DEBIAN }), Err(Rejection::TooOld((1, 87))));
    assert_eq!(assess(&Facts { llvm: 23, ..DEBIAN }), Err(Rejection::LlvmTooNew(23)));
    assert_eq!(assess(&Facts { llvm: 21, ..DEBIAN }), Ok(Core::Prebuilt));
}

#[test]
fn the_minimum_is_the_workspace_s_rust_version() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let manifest = fs::read_to_string(manifest).unwrap();
    assert!(manifest.contains(&format!("rust-version = \"{}.{}\"", MIN_RUST.0, MIN_RUST.1)));
}

#[test]
fn versions_are_read_from_stable_and_nightly() {
    let nightly = "rustc 1.97.0-nightly (e50aa6fba 2026-05-19)\nbinary: rustc\nrelease: 1.97.0-nightly\n\
                   LLVM version: 22.1.4\n";
    assert_eq!(parse_verbose_version(nightly), Some(((1, 97), 22)));
    let debian = "rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)\nrelease: 1.96.0\n\
                  LLVM version: 22.1.8\n";
    assert_eq!(parse_verbose_version(debian), Some(((1, 96), 22)));
    assert_eq!(parse_verbose_version("hello"), None);
    assert_eq!(parse_verbose_version(""), None);
}

#[test]
fn a_missing_override_is_named() {
    let error = examine(Path::new("/nonexistent/rustc")).unwrap_err();
    let text = Error::BadOverride("BPF_RUSTC", "/nonexistent/rustc".into(), error.to_string()).to_string();
    assert!(text.starts_with("BPF_RUSTC=/nonexistent/rustc cannot be used: it does not run"), "{text}");
}

#[test]
fn messages_say_what_was_tried_and_what_to_do() {
    let text = Error::NoCompiler(vec![("/opt/rustc".into(), Rejection::NoCore)]).to_string();
    assert!(text.contains("/opt/rustc: has no `core`"), "{text}");
    assert!(text.contains("cargo xtask setup"), "{text}");
    let text = Error::NoLinker(vec![("/opt/bpf-linker".into(), "is version 0.9.0".to_owned())]).to_string();
    assert!(text.contains("/opt/bpf-linker: is version 0.9.0"), "{text}");
    assert!(text.contains("cargo xtask setup"), "{text}");
}

#[test]
fn the_outer_build_does_not_leak_into_the_nested_one() {
    for name in [
        "RUSTFLAGS",
        "RUSTC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_TARGET_DIR",
        "CARGO_CFG_TARGET_ARCH",
        "CARGO_PKG_NAME",
        "RUSTUP_TOOLCHAIN",
        "CLIPPY_ARGS",
        "OUT_DIR",
    ] {
        assert!(belongs_to_outer_build(name), "{name}");
    }
    for name in ["PATH", "HOME", "CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_REGISTRIES_X_INDEX", "HTTPS_PROXY"] {
        assert!(!belongs_to_outer_build(name), "{name}");
    }
}

#[test]
fn flags_are_separated_so_that_paths_may_have_spaces() {
    let job = Job { workspace: Path::new("/a b"), target_dir: Path::new("/t"), arch: "aarch64" };
    let flags = job.rustflags(Path::new("/c d/bpf-linker"), Action::Build).into_string().unwrap();
    let flags: Vec<_> = flags.split('\x1f').collect();
    assert_eq!(flags[0], "-Clinker=/c d/bpf-linker");
    assert!(flags.contains(&"--cfg=bpf_target_arch=\"aarch64\""), "{flags:?}");
    assert!(flags.contains(&"--remap-path-prefix=/a b=."), "{flags:?}");
    assert!(!flags.contains(&"-Dwarnings"), "{flags:?}");
}

#[test]
fn an_architecture_without_programs_is_refused_before_anything_runs() {
    let compiler = Compiler { rustc: "r".into(), core: Core::Prebuilt, rust: (1, 96), sysroot: "/".into() };
    let toolchain = Toolchain { compiler, linker: "l".into() };
    let job = Job { workspace: Path::new("/w"), target_dir: Path::new("/t"), arch: "riscv64" };
    assert!(matches!(job.run(&toolchain, Action::Build), Err(Error::Architecture(arch)) if arch == "riscv64"));
}

#[test]
fn every_input_of_the_object_exists() {
    for path in inputs(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")) {
        assert!(path.exists(), "{}", path.display());
    }
}
