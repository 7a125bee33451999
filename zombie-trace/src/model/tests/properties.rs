//! Invariants of the model over random histories: true ones, such with losses, and pure nonsense.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::simulator::{INIT, Kernel, Step, TrueEnd};
use super::story::{MS, child_signal, exit, fork, ms, process, seed, signal, wait, zombie_seed};
use crate::diagnosis::{self, Cause};
use crate::event::{Deliver, Event, Evidence, Exec, Exit, Fact, ProcessKey, Release, Signal, WaitActivity, What};
use crate::model::{Begin, Config, Inquiry, Model, Outcome, Precision};

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (any::<u8>(), any::<u16>(), any::<u8>(), prop_oneof![0u32..3, 0u32..30_000])
        .prop_map(|(kind, pick, how, gap_us)| Step { kind, pick, how, gap_us });
    proptest::collection::vec(step, 1..150)
}

/// Applies events as the live loop does: whatever is asked is answered.
struct Reader {
    model: Model,
    outcomes: Vec<Outcome>,
    inquiries: usize,
}

impl Reader {
    fn new(min_age_ns: u64) -> Self {
        let model = Model::new(Config { min_age_ns, started: ms(0), ..Config::default() });
        Self { model, outcomes: Vec::new(), inquiries: 0 }
    }

    fn read(&mut self, event: &Event) {
        self.model.apply(event);
        while let Some(inquiry) = self.model.next_inquiry() {
            if let Inquiry::Process(process) = inquiry {
                self.inquiries += 1;
                let waits = Some(WaitActivity { recent_complete: true, ..WaitActivity::default() });
                let evidence = Evidence { process, observed_since: ms(0), waits, proc: None, gaps: Vec::new() };
                let time = self.model.now() + 1;
                self.model.apply(&Event { time, what: What::Fact(Fact::Evidence(Box::new(evidence))) });
            }
        }
        self.outcomes.extend(std::iter::from_fn(|| self.model.next_outcome()));
    }

    fn read_all(&mut self, events: &[Event]) {
        for event in events {
            self.read(event);
        }
    }

    fn zombies(&self) -> BTreeMap<ProcessKey, ProcessKey> {
        let zombie = |process: &crate::model::Process| Some((process.key, process.zombie()?.waiter()));
        self.model.processes().filter_map(zombie).collect()
    }

    /// What must hold at any time.
    fn check(&self) -> Result<(), TestCaseError> {
        let zombies = self.zombies();
        let totals = self.model.totals();
        prop_assert_eq!(totals.zombies, totals.reaped + totals.zombies_now);
        prop_assert_eq!(totals.zombies_now, zombies.len() as u64);
        for process in self.model.table.iter() {
            let counted = process.parenting.as_ref().map_or(0, |it| it.zombies_now);
            let there = zombies.values().filter(|&&waiter| waiter == process.key).count() as u64;
            prop_assert_eq!(counted, there, "zombies of {:?}", process.key);
        }
        prop_assert!(self.model.awaiting.is_empty());
        Ok(())
    }

    fn check_empty(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.model.table.len(), 0, "{:?}", self.model.table);
        prop_assert!(self.model.by_number.is_empty());
        prop_assert!(self.model.awaiting.is_empty() && self.model.awaiting_signals.is_empty());
        prop_assert!(self.model.unlinked.is_empty() && self.model.timers.is_empty());
        Ok(())
    }
}

/// Whom an event is about: what has none in common may be seen in either order.
fn pids(event: &Event) -> BTreeSet<u32> {
    match &event.what {
        What::Exit(it) => [it.process.pid, it.parent.pid].into(),
        What::ChildSignal(it) => [it.current.pid, it.target.pid].into(),
        What::Wait(it) => [it.reaper.pid].into(),
        What::Free(it) => [it.pid].into(),
        What::Release(it) => [it.process.pid, it.reaper.pid].into(),
        What::Fork(it) => [it.forker.pid, it.child.pid].into(),
        _ => BTreeSet::new(),
    }
}

/// Swaps neighbours that happened on two CPUs at nearly the same time and have nothing to do with each other. Waits
/// and what is told by others name a child by a number only; they stay where they are, and so do forks, which may take
/// up the pid of another.
fn shuffle(events: &mut [Event], swaps: &[bool]) {
    let movable = |event: &Event| {
        matches!(&event.what, What::Exit(_) | What::Free(_))
            || matches!(&event.what, What::ChildSignal(it) if it.child_is_current)
    };
    for (index, _) in swaps.iter().enumerate().filter(|(_, swap)| **swap) {
        let Some([first, second]) = events.get_mut(index..index + 2) else { return };
        let close = first.time.abs_diff(second.time) < 5_000;
        if close && movable(first) && movable(second) && pids(first).is_disjoint(&pids(second)) {
            std::mem::swap(first, second);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn without_losses_the_model_knows_the_truth(
        steps in steps(),
        swaps in proptest::collection::vec(any::<bool>(), 300),
        has_fentry: bool,
    ) {
        let kernel = Kernel::run(&steps, has_fentry);
        let mut events = kernel.events();
        shuffle(&mut events, &swaps);
        let mut reader = Reader::new(0);
        reader.read(&Event { time: ms(0), what: What::Fact(Fact::Seed(Box::new(seed(INIT, 0)))) });
        reader.read(&Event { time: ms(0), what: What::Fact(Fact::SeedDone { began: ms(0) }) });
        reader.read_all(&events);
        reader.check()?;
        let canonical = |key: ProcessKey| reader.model.table.canonical(key);

        // What was reaped unseen is a zombie to the model until its memory is freed; nothing else is.
        let truth = kernel.zombies();
        let believed = reader.zombies();
        for (zombie, waiter) in &believed {
            match truth.get(zombie) {
                Some(true_zombie) => prop_assert_eq!(*waiter, canonical(true_zombie.parent)),
                None => prop_assert!(kernel.ends.get(zombie).is_some_and(|it| it.seen_reaper.is_none()), "{:?}", zombie),
            }
        }
        for (zombie, true_zombie) in &truth {
            let since = reader.model.process(*zombie).and_then(|it| Some(it.zombie()?.since));
            prop_assert!(since.is_some(), "{:?} is not known", zombie);
            if true_zombie.was_told && reader.model.process(*zombie).is_some_and(|it| it.zombie().is_some_and(|it| it.begin == Begin::Exact)) {
                prop_assert_eq!(since, Some(true_zombie.since));
            }
        }
        for outcome in &reader.outcomes {
            let Outcome::Ended(ended) = outcome else { continue };
            let Some(end) = kernel.ends.get(&ended.process) else {
                return Err(TestCaseError::fail(format!("{:?} did not end", ended.process)));
            };
            match ended.precision {
                Precision::Exact => {
                    prop_assert_eq!(ended.zombie_ns, end.zombie_ns);
                    let reaper = if has_fentry { end.reaper } else { end.seen_reaper };
                    prop_assert_eq!(ended.reaper, reaper.map(canonical));
                }
                Precision::UpperBound => prop_assert!(ended.zombie_ns >= end.zombie_ns),
                Precision::LowerBound => prop_assert!(false, "nothing was there before"),
            }
        }
        let totals = reader.model.totals();
        prop_assert_eq!(totals.exits, kernel.exits);
        prop_assert_eq!(totals.zombies, (truth.len() + kernel.ends.len()) as u64);
        prop_assert!(totals.auto_reaped <= kernel.auto_reaped);
    }

    #[test]
    fn when_all_are_gone_nothing_is_remembered(steps in steps(), has_fentry: bool) {
        let mut kernel = Kernel::run(&steps, has_fentry);
        kernel.wind_up();
        let mut reader = Reader::new(20 * MS);
        reader.read_all(&kernel.events());
        reader.check()?;
        reader.check_empty()?;
        let totals = reader.model.totals();
        prop_assert_eq!(totals.auto_reaped, kernel.auto_reaped);
        prop_assert_eq!(totals.reaped, kernel.ends.len() as u64);
    }

    #[test]
    fn what_is_reaped_in_time_never_comes_of_age(steps in steps(), has_fentry: bool) {
        let min_age = 20 * MS;
        let mut kernel = Kernel::run(&steps, has_fentry);
        kernel.wind_up();
        let mut reader = Reader::new(min_age);
        reader.read_all(&kernel.events());
        for outcome in &reader.outcomes {
            let Outcome::Aged(key) = outcome else { continue };
            let end = kernel.ends.get(key);
            // Of what was reaped unseen the end is known only from the free, but where the reaping itself is probed.
            let is_unseen = |end: &TrueEnd| end.seen_reaper.is_none() && !has_fentry;
            prop_assert!(end.is_some_and(|it| it.zombie_ns >= min_age - 10_000 || is_unseen(it)), "{:?}", key);
        }
        // At most one question for each that came of age, which may be reaped by the very event that made it so.
        let told = reader.outcomes.iter().filter(|it| matches!(it, Outcome::Aged(_) | Outcome::Ended(_))).count();
        prop_assert!(reader.inquiries <= told, "{} questions about {} zombies", reader.inquiries, told);
    }

    #[test]
    fn after_losses_and_a_scan_no_zombie_is_false(
        steps in steps(),
        windows in proptest::collection::vec((0usize..40, 1usize..30, any::<u64>(), 0usize..4), 1..4),
        has_fentry: bool,
    ) {
        let kernel = Kernel::run(&steps, has_fentry);
        let chapters = &kernel.chapters;
        let mut reader = Reader::new(0);
        let mut last_loss = 0;
        let mut read = 0;
        for (skip, length, mask, lag) in windows {
            let from = (read + skip).min(chapters.len());
            let to = (from + length).min(chapters.len());
            for chapter in &chapters[read..from] {
                reader.read_all(&chapter.events);
            }
            let mut lost = 0;
            for (index, event) in chapters[from..to].iter().flat_map(|it| &it.events).enumerate() {
                if mask >> (index % 64) & 1 == 1 {
                    lost += 1;
                    last_loss = event.time;
                } else {
                    reader.read(event);
                }
            }
            read = to;
            if lost > 0 {
                let time = reader.model.now().max(last_loss);
                reader.read(&Event { time, what: What::Loss { events: lost } });
                // The scan may be ahead of what is read from the ring after it.
                let Some(chapter) = chapters.get((to + lag).min(chapters.len()).wrapping_sub(1)) else { continue };
                let began = chapter.seeds.first().map_or(0, |it| it.time);
                reader.read_all(&chapter.seeds);
                reader.read(&Event { time: began, what: What::Fact(Fact::SeedDone { began }) });
                reader.check()?;
            }
        }
        for chapter in &chapters[read..] {
            reader.read_all(&chapter.events);
        }
        reader.check()?;
        let known = |key: ProcessKey| reader.model.table.canonical(key);
        let truth: BTreeMap<ProcessKey, _> = kernel.zombies().into_iter().map(|(key, it)| (known(key), (key, it))).collect();
        let believed = reader.zombies();
        for zombie in believed.keys() {
            // What was reaped unseen is one to the model until its memory is freed.
            let mut ends = kernel.ends.iter();
            let unseen = ends.any(|(&key, end)| known(key) == *zombie && end.seen_reaper.is_none());
            prop_assert!(unseen || truth.contains_key(zombie), "{:?} is no zombie", zombie);
        }
        for (zombie, (_, true_zombie)) in &truth {
            prop_assert!(believed.contains_key(zombie), "{:?} is a zombie", zombie);
            prop_assert_eq!(believed[zombie], known(true_zombie.parent), "waiter of {:?}", zombie);
            let Some(process) = reader.model.process(*zombie) else { continue };
            let cause = diagnosis::judge(&reader.model, process).map(|it| it.cause);
            if last_loss >= true_zombie.since {
                let certain = [Cause::NeverWaits, Cause::InitDoesNotReap, Cause::SubreaperDoesNotReap];
                prop_assert!(cause.is_none_or(|cause| !certain.contains(&cause)), "{:?} of {:?}", cause, zombie);
            }
        }
    }
}

fn any_key() -> impl Strategy<Value = ProcessKey> {
    let start = prop_oneof![3 => 0u64..4, 1 => any::<u64>()];
    (prop_oneof![9 => 0u32..6, 1 => any::<u32>()], start).prop_map(|(pid, start_ns)| ProcessKey { pid, start_ns })
}

fn any_what() -> impl Strategy<Value = What> {
    (0u8..14, any_key(), any_key(), any_key(), any::<u32>(), any::<bool>()).prop_map(|(kind, a, b, c, number, flag)| {
        let tracer = flag.then_some(c.pid);
        match kind {
            0 => What::Exit(Exit {
                tracer,
                group_dead: number % 4 != 0,
                exit_signal: (number % 18).cast_signed(),
                ..exit(a, b)
            }),
            1 => What::ChildSignal(crate::event::ChildSignal {
                child_is_current: flag,
                nocldwait: number % 5 == 0,
                current: c,
                ..child_signal(a, b)
            }),
            2 => What::Wait(crate::event::Wait { options: flag.then_some(number), ..wait(a, b) }),
            3 => What::Free(a),
            4 => What::Fork(crate::event::Fork { parent_pid: c.pid, cgroup: u64::from(number % 3), ..fork(a, b) }),
            5 => What::Exec(Exec { process: a, old_thread: b.pid, uid: 0, cgroup: 0, comm: [0; 16] }),
            6 => What::Fact(Fact::Seed(Box::new(crate::event::Seed {
                process: a,
                tick_ns: u64::from(number % 3),
                tracer,
                threads: number % 3,
                ns_pids: vec![a.pid; c.pid as usize % 7],
                ..if flag { zombie_seed(a, b.pid) } else { seed(a, b.pid) }
            }))),
            7 => What::Fact(Fact::SeedDone { began: a.start_ns }),
            8 => What::Signal(Signal {
                target: a,
                sender: b,
                blocked: flag,
                outcome: if number % 2 == 0 {
                    crate::event::SignalOutcome::Delivered
                } else {
                    crate::event::SignalOutcome::AlreadyPending
                },
                ..signal(number % 70)
            }),
            9 => What::Deliver(Deliver { target: a, signal: number, code: 0, traced: flag }),
            10 => What::Fact(Fact::Evidence(Box::new(Evidence {
                process: a,
                observed_since: b.start_ns,
                waits: flag.then(WaitActivity::default),
                proc: flag.then(crate::event::ProcFacts::default),
                gaps: Vec::new(),
            }))),
            12 => {
                What::Release(Release { process: a, reaper: b, reaper_exiting: flag, reaper_is_init: number % 2 == 0 })
            }
            11 => What::Loss { events: number.into() },
            _ => What::Tick,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_events_makes_it_panic(
        events in proptest::collection::vec((prop_oneof![3 => 0u64..5_000, 1 => any::<u64>()], any_what()), 0..200),
        max_processes in prop_oneof![Just(0usize), Just(3), Just(1 << 20)],
        min_age_ns in prop_oneof![Just(0), Just(1_000), any::<u64>()],
    ) {
        let mut model = Model::new(Config { min_age_ns, started: 100, max_processes });
        for (time, what) in events {
            model.apply(&Event { time, what });
            while model.next_outcome().is_some() {}
            let totals = model.totals();
            prop_assert_eq!(totals.zombies, totals.reaped + totals.zombies_now);
            prop_assert!(model.table.len() <= 2 * max_processes.max(1));
        }
        for process in model.processes() {
            let _ = diagnosis::judge(&model, process);
        }
    }
}

#[test]
fn the_queue_of_ages_is_in_proportion_to_the_zombies() {
    let mut model = Model::new(Config { min_age_ns: u64::MAX, ..Config::default() });
    for number in 0..100_000 {
        let child = process(100 + number);
        for what in [What::Exit(exit(child, INIT)), What::ChildSignal(child_signal(child, INIT)), What::Free(child)] {
            model.apply(&Event { time: ms(u64::from(number)), what });
        }
    }
    assert!(model.ageing.len() < 5_000, "{}", model.ageing.len());
}
