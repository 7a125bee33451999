//! The architectures that zombie-trace is built for, and the machines that QEMU emulates for them.

use std::env;

use anyhow::{Context as _, Result};

/// One line of the table of architectures, with the name that each project gives it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Architecture {
    /// Rust's name.
    pub(crate) rust: &'static str,
    /// Rust's name of Debian on it.
    pub(crate) triple: &'static str,
    /// Debian's name.
    pub(crate) debian: &'static str,
    /// The name by which GNU's tools for it begin where they are cross tools.
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
    /// What makes a serial line of the character device `results`; the console is the board's own line.
    pub(crate) results: &'static str,
    /// How the kernel calls the console.
    pub(crate) console: &'static str,
    /// How the kernel calls the line for results.
    pub(crate) results_line: &'static str,
}

// KVM is not everywhere, and slower deadlines that hold everywhere are better than two sorts of runs. So everything is
// emulated, with one thread for all processors: kernels that patch their own text crash QEMU 7.2's multi-threaded
// emulation.

const X86_64: Architecture = Architecture {
    rust: "x86_64",
    triple: "x86_64-unknown-linux-gnu",
    debian: "amd64",
    gnu: "x86_64-linux-gnu",
    elf: 62,
    emulator: Emulator {
        program: "qemu-system-x86_64",
        // Without cmpxchg16b, which QEMU 7.2 emulates so that a kernel may find its flags destroyed: 6.12's allocator
        // died of it. Without fast strings: a kernel that has them clears and copies byte by byte, in QEMU's eyes.
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
        // Pointers are signed with QEMU's own cipher: the one of real processors takes most of the time of emulation.
        machine: &["-machine", "virt", "-cpu", "max,pauth-impdef=on"],
        // The board has but one line of its own.
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
