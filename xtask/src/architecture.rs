//! The architectures that zombie-trace is built for, and the machines that QEMU emulates for them.

use std::env;

use anyhow::{Context as _, Result};

/// One line of the table of architectures, with the name in each project.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Architecture {
    /// Rust's name.
    pub(crate) rust: &'static str,
    /// Rust's target triple.
    pub(crate) triple: &'static str,
    /// Debian's name.
    pub(crate) debian: &'static str,
    /// Prefix of GNU's cross tools.
    pub(crate) gnu: &'static str,
    /// The `e_machine` of its ELF files.
    pub(crate) elf: u16,
    pub(crate) emulator: Emulator,
}

/// A machine as QEMU emulates it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Emulator {
    pub(crate) program: &'static str,
    /// Accelerator, board and processor.
    pub(crate) machine: &'static [&'static str],
    /// The device that makes the character device `results` a serial line; the console is the board's own line.
    pub(crate) results: &'static str,
    /// The kernel's name for the console.
    pub(crate) console: &'static str,
    /// The kernel's name for the results line.
    pub(crate) results_line: &'static str,
}

// KVM is not available everywhere, and longer deadlines for all are better than two kinds of runs. So everything is
// emulated, with one thread for all CPUs: kernels that patch their own text crash QEMU 7.2's multi-threaded emulation.

const X86_64: Architecture = Architecture {
    rust: "x86_64",
    triple: "x86_64-unknown-linux-gnu",
    debian: "amd64",
    gnu: "x86_64-linux-gnu",
    elf: 62,
    emulator: Emulator {
        program: "qemu-system-x86_64",
        // Without cmpxchg16b, because QEMU 7.2's emulation may corrupt flags: 6.12's allocator died of it. Without fast
        // strings, which QEMU emulates byte by byte.
        machine: &["-cpu", "max,cx16=off,erms=off"],
        results: "isa-serial,chardev=results",
        console: "ttyS0",
        results_line: "/dev/ttyS1",
    },
};

const AARCH64: Architecture = Architecture {
    rust: "aarch64",
    triple: "aarch64-unknown-linux-gnu",
    debian: "arm64",
    gnu: "aarch64-linux-gnu",
    elf: 183,
    emulator: Emulator {
        program: "qemu-system-aarch64",
        // Pointers are signed with QEMU's own cipher: emulating that of real CPUs takes most of the time.
        machine: &["-machine", "virt", "-cpu", "max,pauth-impdef=on"],
        // The board has only one serial line.
        results: "pci-serial,chardev=results",
        console: "ttyAMA0",
        results_line: "/dev/ttyS0",
    },
};

/// All of them.
pub(crate) const ARCHITECTURES: &[Architecture] = &[X86_64, AARCH64];

impl Architecture {
    /// This machine's.
    pub(crate) fn native() -> Result<&'static Self> {
        Self::by(|it| it.rust, env::consts::ARCH).with_context(|| format!("no eBPF programs for {}", env::consts::ARCH))
    }

    /// The one with this triple.
    pub(crate) fn of_triple(triple: &str) -> Result<&'static Self> {
        let known = || ARCHITECTURES.iter().map(|it| it.triple).collect::<Vec<_>>().join(" and ");
        Self::by(|it| it.triple, triple).with_context(|| format!("no build for {triple}: supported are {}", known()))
    }

    /// The one with this name of Debian's.
    pub(crate) fn of_debian(name: &str) -> Option<&'static Self> {
        Self::by(|it| it.debian, name)
    }

    fn by(name: fn(&Self) -> &'static str, wanted: &str) -> Option<&'static Self> {
        ARCHITECTURES.iter().find(|it| name(it) == wanted)
    }

    pub(crate) fn is_native(&self) -> bool {
        self.rust == env::consts::ARCH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_architecture_is_found_by_each_of_its_names() {
        let arm = Architecture::of_triple("aarch64-unknown-linux-gnu").unwrap();
        assert_eq!(arm.rust, "aarch64");
        assert_eq!(Architecture::of_debian("arm64"), Some(arm));
        assert!(Architecture::native().unwrap().is_native());
        assert_eq!(ARCHITECTURES.iter().filter(|it| it.is_native()).count(), 1);
    }

    #[test]
    fn an_architecture_without_a_build_is_told_with_those_that_have_one() {
        let error = Architecture::of_triple("riscv64gc-unknown-linux-gnu").unwrap_err().to_string();
        assert!(error.contains("riscv64gc-unknown-linux-gnu"), "{error}");
        assert!(error.contains("x86_64-unknown-linux-gnu and aarch64-unknown-linux-gnu"), "{error}");
    }
}
