//! Evidence that could not be read.

use super::{case::Case, words::duration};
use crate::event::{Gap, GapReason, Part, Unread};

/// A sentence for each part of the waiter's evidence that was not read, or only partly.
pub(super) fn sentences(case: &Case<'_>) -> Vec<String> {
    let Some((_, evidence)) = case.evidence() else { return Vec::new() };
    let name = format!("{} (pid {})", case.waiter_name(), evidence.process.pid);
    evidence.gaps.iter().map(|gap| sentence(&name, *gap)).collect()
}

/// A sentence on the time in which the machine did not run, so nobody could reap the zombie.
pub(super) fn pause(case: &Case<'_>) -> Option<String> {
    let paused = case.model.paused_ns(case.since, case.now);
    (paused > 0).then(|| {
        format!(
            "nothing was seen to run for {} of this time: the machine was suspended or paused, or the tracer stopped",
            duration(paused)
        )
    })
}

fn sentence(name: &str, Gap { part, reason }: Gap) -> String {
    let what = match part {
        Part::Process => name.to_owned(),
        Part::CommandLine => format!("the command line of {name}"),
        Part::Executable => format!("the executable of {name}"),
        Part::Image => format!("the root directory of {name}"),
        Part::Descriptors => format!("all open files of {name}"),
        Part::Threads => format!("all threads of {name}"),
        Part::Cgroups => format!("all cgroups above {name}"),
    };
    match reason {
        GapReason::Unread(Unread::TimedOut) => format!("{what} could not be read within 100 ms"),
        GapReason::Unread(Unread::Busy) => format!("{what} was not read: too much was to be read at once"),
        GapReason::Unread(Unread::NoReader) => {
            format!("{what} was not read: all readers are stuck in the kernel, or none could be started")
        }
        GapReason::Remote => format!("{what} was not opened: it is on a FUSE or network file system"),
        GapReason::UnknownFileSystem => {
            format!("{what} was not opened: its file system is not known, and may be one that never answers")
        }
        GapReason::Only(count) => format!("{what} were not read, only the first {count}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_says_what_is_missing_and_why() {
        let timed_out = Gap::unread(Part::Process, Unread::TimedOut);
        assert_eq!(sentence("app (pid 7)", timed_out), "app (pid 7) could not be read within 100 ms");
        let remote = Gap { part: Part::Executable, reason: GapReason::Remote };
        assert_eq!(
            sentence("app (pid 7)", remote),
            "the executable of app (pid 7) was not opened: it is on a FUSE or network file system"
        );
        let cut = Gap::only(Part::Descriptors, 5);
        assert_eq!(sentence("app (pid 7)", cut), "all open files of app (pid 7) were not read, only the first 5");
    }
}
