//! What a tracer's programs cost in the kernel, by the kernel's own statistics.

use std::{fs, path::PathBuf, process::Child};

use anyhow::{Context as _, Result};

const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// Has the kernel measure all programs, which adds some 60 ns to each run, until it is dropped.
pub(super) struct Statistics {
    before: String,
}

impl Statistics {
    pub(super) fn begin() -> Result<Self> {
        let before = fs::read_to_string(SWITCH).with_context(|| SWITCH.to_owned())?;
        fs::write(SWITCH, "1").with_context(|| SWITCH.to_owned())?;
        Ok(Self { before })
    }
}

impl Drop for Statistics {
    fn drop(&mut self) {
        if let Err(error) = fs::write(SWITCH, &self.before) {
            eprintln!("{SWITCH}: {error}");
        }
    }
}

/// Of all programs of a process so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Spent {
    pub(super) ns: f64,
    pub(super) runs: f64,
}

impl Spent {
    pub(super) fn by(tracer: &Child) -> Result<Self> {
        let folder = PathBuf::from(format!("/proc/{}/fdinfo", tracer.id()));
        let mut spent = Self::default();
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            // A descriptor may be closed meanwhile.
            let text = entry.ok().and_then(|entry| fs::read_to_string(entry.path()).ok()).unwrap_or_default();
            spent.add(&text);
        }
        Ok(spent)
    }

    /// Adds those of a descriptor, if it is a program's.
    fn add(&mut self, fdinfo: &str) {
        let number = |name: &str| {
            let line = fdinfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|value| value.trim().parse::<f64>().ok()).unwrap_or(0.0)
        };
        self.ns += number("run_time_ns");
        self.runs += number("run_cnt");
    }

    /// What was spent since `before`, per cycle.
    pub(super) fn since(self, before: Self, cycles: u32) -> Self {
        let each = |now: f64, then: f64| (now - then) / f64::from(cycles);
        Self { ns: each(self.ns, before.ns), runs: each(self.runs, before.runs) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_added_up_and_other_descriptors_are_not() {
        let mut spent = Spent::default();
        spent.add("pos:\t0\nprog_type:\t26\nrun_time_ns:\t1200\nrun_cnt:\t4\nrecursion_misses:\t0\n");
        spent.add("pos:\t0\nflags:\t02\n");
        spent.add("prog_type:\t5\nrun_time_ns:\t300\nrun_cnt:\t1\n");
        assert_eq!(spent, Spent { ns: 1500.0, runs: 5.0 });
        let before = Spent { ns: 500.0, runs: 1.0 };
        assert_eq!(spent.since(before, 10), Spent { ns: 100.0, runs: 0.4 });
    }
}
