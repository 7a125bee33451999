//! The table of Debian packages that the set-up installs, and how to check for their content.
//!
//! The file counts, not the package: another distribution may have the same program in another package.

use std::path::Path;

use crate::system;

/// What a package is needed for; decides which command asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// To build bpf-linker, unless one is installed.
    Linker,
    /// To run the kernel tests.
    Tests,
    /// To grade programs as PID 1, beyond those that the tests use.
    Grading,
    /// To run them under other kernels.
    Vms,
    /// To build for another architecture.
    Cross,
    /// To make what is shipped.
    Dist,
}

/// How to check for a package's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// A program on the path.
    Program(&'static str),
    /// A program on the path that needs no libraries, for an initramfs or a container's root.
    StaticProgram(&'static str),
    /// A file.
    File(&'static str),
    /// A module that Python can import.
    PythonModule(&'static str),
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) presence: Presence,
    pub(crate) need: Need,
    /// Its purpose, for the message that it is missing.
    pub(crate) purpose: &'static str,
}

/// The compiler with a `core` for BPF. Not in the table, because a rustup nightly also works.
pub(crate) const COMPILER: &[&str] = &["rustc-web", "libstd-rust-web-dev-bpf"];

/// The clippy of that compiler.
pub(crate) const CLIPPY: &str = "rust-web-clippy";

/// The keys by which apt trusts Debian's archive.
pub(crate) const DEBIAN_KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// What takes debug information out of an eBPF object: GNU's `strip` knows no eBPF.
pub(crate) const LLVM_STRIP: &str = "/usr/lib/llvm-22/bin/llvm-strip";

/// Everything else.
pub(crate) const PACKAGES: &[Package] = {
    use Need::{Cross, Dist, Grading, Linker, Tests, Vms};
    use Presence::{File, Program, PythonModule, StaticProgram};
    const fn row(name: &'static str, presence: Presence, need: Need, purpose: &'static str) -> Package {
        Package { name, presence, need, purpose }
    }
    &[
        row("llvm-22-dev", File("/usr/lib/llvm-22/include/llvm-c/Core.h"), Linker, "LLVM, to build bpf-linker with"),
        row(
            "libpolly-22-dev",
            File("/usr/lib/llvm-22/lib/libPolly.a"),
            Linker,
            "a part of LLVM that its linking needs",
        ),
        row("busybox-static", StaticProgram("busybox"), Tests, "the shell of the tests' containers and VMs"),
        row("tini", Program("tini"), Tests, "an init whose reaping the tests watch"),
        row("dumb-init", Program("dumb-init"), Tests, "an init whose reaping the tests watch"),
        row("catatonit", Program("catatonit"), Tests, "an init whose reaping the tests watch"),
        row("s6", Program("s6-svscan"), Tests, "an init whose reaping the tests watch"),
        row("runit", Program("runsvdir"), Tests, "an init whose reaping the tests watch"),
        row("make", Program("make"), Tests, "a parent of many that does nothing wrong"),
        row("runc", Program("runc"), Tests, "a container runtime whose containers the tests watch"),
        row("crun", Program("crun"), Tests, "a container runtime whose containers the tests watch"),
        row("podman", Program("podman"), Tests, "a container runtime whose containers the tests watch"),
        row("containerd", Program("containerd"), Tests, "a container runtime whose containers the tests watch"),
        row("docker.io", Program("dockerd"), Tests, "a container runtime whose containers the tests watch"),
        row("libcap2-bin", Program("setcap"), Tests, "lets a copy of the tool trace without root"),
        row("dash", Program("dash"), Tests, "a shell that is graded as PID 1"),
        row("nodejs", Program("node"), Tests, "a runtime that is graded as PID 1"),
        row("redis-server", Program("redis-server"), Tests, "a server whose stop the tests watch"),
        row("postgresql", File("/usr/lib/postgresql"), Tests, "a server whose stop the tests watch"),
        row("gunicorn", Program("gunicorn"), Tests, "a server whose stop the tests watch"),
        row("python3-pip", Program("pip3"), Tests, "fetches the parsers that the tests read the output with"),
        row("nginx-light", Program("nginx"), Tests, "a server whose reaping the tests watch"),
        row("openssh-server", Program("sshd"), Tests, "a server whose reaping the tests watch"),
        row("openssh-client", Program("ssh"), Tests, "opens the sessions of that server"),
        row("cron", Program("cron"), Tests, "a server whose reaping the tests watch"),
        row("golang-go", Program("go"), Tests, "a runtime whose waiting the tests watch"),
        row("python3", Program("python3"), Tests, "a runtime whose waiting the tests watch"),
        row("python3-venv", PythonModule("ensurepip"), Tests, "a place for the Python packages that the tests use"),
        row("chromium", Program("chromium"), Tests, "the browser that the tests look at reports with"),
        row("default-jre-headless", Program("java"), Tests, "Java, for Spark, which reads the exported tables"),
        row("g++", Program("g++"), Tests, "compiles libFuzzer, by which the parsers are fuzzed"),
        row("systemd", Program("systemd-analyze"), Tests, "checks the unit of the flight recorder"),
        row("npm", Program("npm"), Grading, "a script runner that is graded as PID 1"),
        row("yarnpkg", Program("yarnpkg"), Grading, "a script runner that is graded as PID 1"),
        row("supervisor", Program("supervisord"), Grading, "a supervisor that is graded as PID 1"),
        row("ruby", Program("ruby"), Grading, "a runtime that is graded as PID 1"),
        row("apache2", Program("apache2"), Grading, "a server that is graded as PID 1"),
        row("qemu-system-x86", Program("qemu-system-x86_64"), Vms, "the VMs of the kernels"),
        row("qemu-system-arm", Program("qemu-system-aarch64"), Vms, "the VM of the arm64 kernel"),
        row("cpio", Program("cpio"), Vms, "writes the VMs' initramfs"),
        row("binutils", Program("strip"), Vms, "takes debug information out of what the VMs run"),
        row("debian-archive-keyring", File(DEBIAN_KEYRING), Cross, "the keys of Debian's packages for other machines"),
        row("gcc-aarch64-linux-gnu", Program("aarch64-linux-gnu-gcc"), Cross, "links programs for arm64"),
        row("libc6-dev-arm64-cross", File("/usr/aarch64-linux-gnu/lib/libc.so"), Cross, "the libc of arm64"),
        row("llvm-22", File(LLVM_STRIP), Dist, "takes debug information out of the eBPF objects"),
        row("dpkg", Program("dpkg-deb"), Dist, "writes Debian's package"),
        row("rpm", Program("rpmbuild"), Dist, "writes the rpm"),
        row("debootstrap", Program("debootstrap"), Dist, "makes the roots that the packages are installed in"),
    ]
};

/// The lines of a table that serve one of the needs and whose content is missing.
pub(crate) fn missing<'a>(
    table: &'a [Package],
    needs: &[Need],
    is_there: impl Fn(&Package) -> bool,
) -> Vec<&'a Package> {
    table.iter().filter(|package| needs.contains(&package.need) && !is_there(package)).collect()
}

/// Looks for a package's content on this machine.
pub(crate) fn is_there(package: &Package) -> bool {
    match package.presence {
        Presence::Program(name) => system::find_program(name).is_some(),
        Presence::StaticProgram(name) => system::find_program(name).is_some_and(|path| system::is_static(&path)),
        Presence::File(path) => Path::new(path).exists(),
        Presence::PythonModule(name) => system::python_has(name),
    }
}

/// The command that installs packages, for the user to type.
pub(crate) fn install_command(names: &[&str]) -> String {
    format!("apt-get update && apt-get install -y --no-install-recommends {}", names.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[Need] = &[Need::Linker, Need::Tests, Need::Grading, Need::Vms, Need::Cross, Need::Dist];

    fn names(missing: &[&Package]) -> Vec<&'static str> {
        missing.iter().map(|package| package.name).collect()
    }

    #[test]
    fn a_machine_that_has_everything_lacks_nothing() {
        assert!(missing(PACKAGES, ALL, |_| true).is_empty());
    }

    #[test]
    fn a_fresh_machine_lacks_what_is_needed_and_only_that() {
        assert_eq!(names(&missing(PACKAGES, &[Need::Linker], |_| false)), ["llvm-22-dev", "libpolly-22-dev"]);
        assert_eq!(names(&missing(PACKAGES, ALL, |_| false)).len(), PACKAGES.len());
        assert!(missing(PACKAGES, &[], |_| false).is_empty());
    }

    #[test]
    fn only_what_is_not_there_is_missing() {
        let there = |package: &Package| package.name != "tini";
        assert_eq!(names(&missing(PACKAGES, ALL, there)), ["tini"]);
    }

    #[test]
    fn no_package_is_listed_twice() {
        for (index, package) in PACKAGES.iter().enumerate() {
            assert!(PACKAGES[..index].iter().all(|other| other.name != package.name), "{}", package.name);
        }
    }

    #[test]
    fn what_is_there_is_seen() {
        let shell = Package { name: "", presence: Presence::Program("sh"), need: Need::Tests, purpose: "" };
        assert!(is_there(&shell));
        assert!(!is_there(&Package { presence: Presence::Program("no-such-program"), ..shell }));
        assert!(!is_there(&Package { presence: Presence::StaticProgram("no-such-program"), ..shell }));
        assert!(is_there(&Package { presence: Presence::File("/proc/self/status"), ..shell }));
        assert!(!is_there(&Package { presence: Presence::File("/proc/self/nothing"), ..shell }));
    }

    #[test]
    fn the_install_command_can_be_pasted() {
        assert_eq!(
            install_command(&["tini", "catatonit"]),
            "apt-get update && apt-get install -y --no-install-recommends tini catatonit"
        );
    }
}
