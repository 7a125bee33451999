//! How many lines each subject gets: a parent with ten thousand zombies must not fill the screen.

use rustc_hash::FxHashMap;

/// Maximum number of subjects that are remembered. One that is forgotten gets its first lines once more.
const MAX_SUBJECTS: usize = 4_096;

/// What lines are about: a kind of line, a process by pid and start, and a number of the kind's own.
pub(super) type Subject = (&'static str, u32, u64, u32);

/// What the lines that were not printed would have been about, for one of them and for several.
#[derive(Clone, Debug)]
pub(super) struct Label {
    one: String,
    many: String,
}

impl Label {
    pub(super) fn new(one: &str, many: &str, rest: &str) -> Self {
        Self { one: format!("{one}{rest}"), many: format!("{many}{rest}") }
    }
}

/// The lines of one subject.
#[derive(Debug)]
struct LineLimit {
    printed: u64,
    /// Lines not printed since the last time that their number was.
    suppressed: u64,
    /// When it last had a line, in lines.
    last: u64,
    label: Option<Label>,
}

/// The subjects that had lines lately.
#[derive(Debug, Default)]
pub(super) struct LineLimits {
    subjects: FxHashMap<Subject, LineLimit>,
    /// Those that have suppressed lines, in the order in which they got the first.
    waiting: Vec<Subject>,
    lines: u64,
}

impl LineLimits {
    /// Whether to print a line about this subject, which gets at most `limit` of them; if not, it is counted.
    pub(super) fn should_print(&mut self, subject: Subject, limit: u64, label: impl FnOnce() -> Label) -> bool {
        self.lines += 1;
        if self.subjects.len() >= MAX_SUBJECTS && !self.subjects.contains_key(&subject) {
            self.forget_oldest();
        }
        let lines = self.subjects.entry(subject).or_insert(LineLimit {
            printed: 0,
            suppressed: 0,
            last: self.lines,
            label: None,
        });
        lines.last = self.lines;
        if lines.printed < limit {
            lines.printed += 1;
            return true;
        }
        if lines.suppressed == 0 {
            self.waiting.push(subject);
            lines.label = Some(label());
        }
        lines.suppressed += 1;
        false
    }

    /// What to print instead of the lines that were suppressed since the last time: `2 more zombies of app (7)`.
    pub(super) fn take_suppressed(&mut self) -> Vec<String> {
        let subjects = &mut self.subjects;
        let take = |subject: Subject| {
            let lines = subjects.get_mut(&subject)?;
            let (count, label) = (std::mem::take(&mut lines.suppressed), lines.label.take()?);
            Some(format!("{count} more {}", if count == 1 { label.one } else { label.many }))
        };
        self.waiting.drain(..).filter_map(take).collect()
    }

    /// Makes room: half of the subjects go, those that had no line for longest. What is yet to be printed stays.
    fn forget_oldest(&mut self) {
        let mut ages: Vec<u64> = self.subjects.values().map(|lines| lines.last).collect();
        let half = ages.len() / 2;
        let (_, &mut middle, _) = ages.select_nth_unstable(half);
        self.subjects.retain(|_, lines| lines.last >= middle || lines.suppressed > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label() -> Label {
        Label::new("zombie", "zombies", " of app")
    }

    #[test]
    fn lines_beyond_the_limit_are_counted_and_their_number_is_printed_once() {
        let mut limits = LineLimits::default();
        let printed = (0..5).filter(|_| limits.should_print(("zombie", 7, 1, 0), 3, label)).count();
        assert_eq!(printed, 3);
        assert_eq!(limits.take_suppressed(), ["2 more zombies of app"]);
        assert!(limits.take_suppressed().is_empty());
        assert!(!limits.should_print(("zombie", 7, 1, 0), 3, label));
        assert_eq!(limits.take_suppressed(), ["1 more zombie of app"]);
    }

    #[test]
    fn memory_does_not_grow_with_the_number_of_parents() {
        let mut limits = LineLimits::default();
        for pid in 0..100_000 {
            for _ in 0..2 {
                limits.should_print(("zombie", pid, 1, 0), 1, label);
            }
            // As a run does about ten times a second.
            if pid % 1_000 == 0 {
                assert!(!limits.take_suppressed().is_empty());
            }
            assert!(limits.subjects.len() <= MAX_SUBJECTS && limits.waiting.len() <= limits.subjects.len());
        }
        let kept = limits.subjects.capacity();
        assert!(kept <= 4 * MAX_SUBJECTS, "{kept}");
    }

    #[test]
    fn a_subject_with_new_lines_is_not_forgotten() {
        let mut limits = LineLimits::default();
        let busy = ("zombie", 1, 1, 0);
        let printed = (0..50_000)
            .filter(|&pid| {
                limits.should_print(("zombie", 2 + pid, 1, 0), 3, label);
                limits.should_print(busy, 3, label)
            })
            .count();
        assert_eq!(printed, 3);
    }
}
