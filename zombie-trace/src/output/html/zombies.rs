//! The zombies and marks of one report, gathered while it is replayed, within bounds.

use std::sync::Arc;

use super::super::{
    time::nanoseconds,
    timeline::{self, Interned, Row, Waiting},
};
use crate::report::{Moment, Notice, ProcessRecord, WaiterRecord, ZombieRecord};

/// So many zombies are drawn: those that waited longest. With what is gathered beyond, about 40 MiB.
pub(super) const MAX_ZOMBIES: usize = 250_000;
/// So many marks are drawn: the first.
pub(super) const MAX_MARKS: usize = 20_000;

/// A zombie, from its beginning to its end or to that of the report.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Zombie {
    /// Since 1970, ns.
    pub(super) since: i64,
    pub(super) length_ns: u64,
    pub(super) row: Arc<Row>,
    pub(super) pid: u32,
    pub(super) name: Arc<str>,
    /// How it had ended, in words; empty if that was not seen.
    pub(super) exit: Arc<str>,
    /// A stable id; empty if none was found out.
    pub(super) cause: &'static str,
    /// As in the records, `still-there`, or `passed-on` for the time with one who had it before the last.
    pub(super) precision: &'static str,
    /// How it was reaped; empty if it was not.
    pub(super) via: &'static str,
    /// Who reaped it, if not its parent, or to whom it passed on; empty otherwise.
    pub(super) reaper: Arc<str>,
}

/// Something that happened at one time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mark {
    /// Since 1970, ns.
    pub(super) at: i64,
    pub(super) row: Arc<Row>,
    pub(super) kind: MarkKind,
    pub(super) text: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum MarkKind {
    SignalDropped,
    StopFailed,
    ForkFailed,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Zombies {
    max_zombies: usize,
    zombies: Vec<Zombie>,
    zombies_left_out: u64,
    pub(super) marks: Vec<Mark>,
    pub(super) marks_left_out: u64,
    /// When events were lost, and how many.
    pub(super) losses: Vec<(i64, u64)>,
    waiting: Waiting,
    interned: Interned,
}

impl Zombies {
    pub(super) fn new(max_zombies: usize) -> Self {
        Self {
            max_zombies,
            zombies: Vec::new(),
            zombies_left_out: 0,
            marks: Vec::new(),
            marks_left_out: 0,
            losses: Vec::new(),
            waiting: Waiting::default(),
            interned: Interned::default(),
        }
    }

    pub(super) fn take(&mut self, notice: &Notice) {
        match notice {
            Notice::Zombie(zombie) => {
                let row = self.interned.row_of_child(&zombie.process, zombie.parent.as_ref());
                self.waiting.insert(zombie, row);
            }
            Notice::Reaped { time, process, exit, zombie_ns, precision, parent, reaper, via, waiters, .. } => {
                let open = self.waiting.remove(process);
                let row = match (&open, parent) {
                    // The parent may be gone by now.
                    (Some(open), None) => Arc::clone(&open.row),
                    _ => self.interned.row_of_child(process, parent.as_ref()),
                };
                let began = nanoseconds(*time).saturating_sub_unsigned(*zombie_ns);
                let exit = self.interned.text(&exit.as_ref().map(ToString::to_string).unwrap_or_default());
                let since = self.former(process, &exit, waiters).unwrap_or(began);
                let its_parent = |reaper: &&ProcessRecord| parent.as_ref().is_some_and(|it| it.pid == reaper.pid);
                let reaper = reaper.as_ref().filter(|reaper| !its_parent(reaper));
                let zombie = Zombie {
                    since,
                    length_ns: nanoseconds(*time).saturating_sub(since).unsigned_abs(),
                    row,
                    pid: process.pid,
                    name: self.interned.text(&process.comm),
                    exit,
                    cause: open.map_or("", |open| open.cause.id()),
                    precision: precision.id(),
                    via: via.id(),
                    reaper: self.interned.text(&reaper.map(named).unwrap_or_default()),
                };
                self.push(zombie);
            }
            Notice::SignalDropped { time, signal, target, reason, sender, relation, .. } => {
                let from = sender.as_ref().map_or_else(|| "the kernel".to_owned(), named);
                self.mark(
                    *time,
                    target,
                    MarkKind::SignalDropped,
                    &format!("{signal} dropped ({}), from {from}, {}", reason.id(), relation.id()),
                );
            }
            Notice::StopFailed { time, target, signal, killed_after_ns, killed_by, .. } => {
                let after = crate::text::duration(*killed_after_ns);
                let by = killed_by.as_ref().map(|it| format!(" by {}", named(it))).unwrap_or_default();
                self.mark(*time, target, MarkKind::StopFailed, &format!("killed{by} {after} after {signal}"));
            }
            Notice::ForkFailed { time, process, errno, limit, .. } => {
                self.mark(*time, process, MarkKind::ForkFailed, &format!("fork failed: {errno}, limit {}", limit.id()));
            }
            Notice::Loss { time, events } => {
                if self.losses.len() < MAX_MARKS {
                    self.losses.push((nanoseconds(*time), *events));
                } else {
                    self.marks_left_out += 1;
                }
            }
            // Told in the report's own lists.
            Notice::AutoReaped { .. } | Notice::StatusStolen { .. } | Notice::Stuck(_) | Notice::Ended(_) => {}
        }
    }

    /// One that is still there at the end.
    pub(super) fn still_there(&mut self, zombie: &ZombieRecord) {
        let row = self.interned.row_of_child(&zombie.process, zombie.parent.as_ref());
        let exit = self.interned.text(&zombie.exit.as_ref().map(ToString::to_string).unwrap_or_default());
        let began = nanoseconds(zombie.since);
        let since = self.former(&zombie.process, &exit, &zombie.waiters).unwrap_or(began);
        let zombie = Zombie {
            since,
            length_ns: zombie.age_ns.saturating_sub(since.saturating_sub(began).unsigned_abs()),
            row,
            pid: zombie.process.pid,
            name: self.interned.text(&zombie.process.comm),
            exit,
            cause: zombie.cause.id(),
            precision: "still-there",
            via: "",
            reaper: self.interned.text(""),
        };
        self.push(zombie);
    }

    /// A bar for each who had the zombie before the last, in the row of that one. Returns since when the last has it.
    fn former(&mut self, process: &ProcessRecord, exit: &Arc<str>, waiters: &[WaiterRecord]) -> Option<i64> {
        let (last, former) = waiters.split_last()?;
        for (waiter, next) in former.iter().zip(waiters.iter().skip(1)) {
            let (since, until) = (nanoseconds(waiter.since), nanoseconds(next.since));
            let bar = Zombie {
                since,
                length_ns: until.saturating_sub(since).unsigned_abs(),
                row: self.interned.row_of_child(process, waiter.process.as_ref()),
                pid: process.pid,
                name: self.interned.text(&process.comm),
                exit: Arc::clone(exit),
                cause: waiter.cause.map_or("", |cause| cause.id()),
                precision: "passed-on",
                via: "",
                reaper: self.interned.text(&next.process.as_ref().map(named).unwrap_or_default()),
            };
            self.push(bar);
        }
        Some(nanoseconds(last.since))
    }

    /// The zombies that are drawn, in the order of their beginnings, and how many are not.
    pub(super) fn into_sorted(mut self) -> (Vec<Zombie>, u64) {
        self.keep_longest();
        self.zombies.sort_by_key(|zombie| (zombie.since, zombie.pid));
        (self.zombies, self.zombies_left_out)
    }

    fn mark(&mut self, time: Moment, process: &ProcessRecord, kind: MarkKind, text: &str) {
        if self.marks.len() >= MAX_MARKS {
            self.marks_left_out += 1;
            return;
        }
        let (row, text) = (self.interned.row_of(process), self.interned.text(text));
        self.marks.push(Mark { at: nanoseconds(time), row, kind, text });
    }

    fn push(&mut self, zombie: Zombie) {
        self.zombies.push(zombie);
        // Rarely, so that each is looked at only a few times.
        if self.zombies.len() >= self.max_zombies + (self.max_zombies / 4).max(16) {
            self.keep_longest();
            self.interned.tidy();
        }
    }

    fn keep_longest(&mut self) {
        let Some(beyond) = self.zombies.len().checked_sub(self.max_zombies).filter(|&beyond| beyond > 0) else {
            return;
        };
        self.zombies.select_nth_unstable_by_key(self.max_zombies, |zombie| {
            (std::cmp::Reverse(zombie.length_ns), zombie.since, zombie.pid)
        });
        self.zombies.truncate(self.max_zombies);
        self.zombies_left_out += beyond as u64;
    }
}

fn named(process: &ProcessRecord) -> String {
    let parent = process.parent.as_ref().map(|it| format!(", parent {} {}", it.comm, it.pid)).unwrap_or_default();
    format!("{} ({}{parent})", process.comm, process.pid)
}

pub(super) fn container_label(row: &Row) -> Option<String> {
    row.container.as_ref().map(timeline::container_label)
}
