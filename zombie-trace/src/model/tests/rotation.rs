//! A model that starts from another one's snapshot says the same as that one.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::reader::{Reader, steps, traits};
use super::simulator::{INIT, Kernel, TICK};
use super::story::{MS, ms, seed};
use crate::diagnosis::{self, Cause};
use crate::event::{BootNs, Event, Fact, KnownSource, ProcessKey, SigchldAtExec, What};
use crate::model::{Ancestor, Begin, Ended, Heritage, Latency, ModelEvent, Precision, ReapPattern, Via, ZombieGrowth};

const MIN_AGE: u64 = 20 * MS;

/// What is said of a zombie: since when it is one, who has it since when, and why.
#[derive(Debug, PartialEq)]
struct Said {
    since: BootNs,
    begin: Begin,
    numbers: usize,
    forker: Option<u32>,
    /// Those before it by birth, the nearest first, and whether they are gone.
    ancestors: Vec<(u32, bool)>,
    waiter_is_subreaper: Option<bool>,
    waiters: Vec<(ProcessKey, BootNs)>,
    /// The cause and what contributes, once it is old.
    causes: Option<(Cause, Vec<Cause>)>,
    /// When its waiter was last looked at.
    looked_at: Option<BootNs>,
}

fn ancestors(reader: &Reader, mut next: Option<ProcessKey>) -> Vec<(u32, bool)> {
    let mut ancestors = Vec::new();
    while let Some(ancestor) = next.and_then(|key| reader.model.ancestor(key)) {
        let (pid, is_dead, origin) = match ancestor {
            Ancestor::Alive(process) => (process.key.pid, false, process.origin),
            Ancestor::Dead(remains) => (remains.key.pid, true, remains.origin),
        };
        ancestors.push((pid, is_dead));
        next = origin;
    }
    ancestors
}

/// By the starts that `/proc` shows.
fn said(reader: &Reader) -> BTreeMap<ProcessKey, Said> {
    let process = |key: ProcessKey| ProcessKey { start_ns: key.start_ns / TICK * TICK, ..key };
    let zombie = |it: &crate::model::Process| {
        let zombie = it.zombie()?;
        let waiter = reader.model.process(zombie.waiter());
        let looked_at = waiter.and_then(|it| it.parenting.as_ref()?.evidence.as_ref()).map(|(at, _)| *at);
        let said = Said {
            since: zombie.since,
            begin: zombie.begin,
            numbers: it.life.numbers().iter().filter(|number| number.nr != 0).count(),
            forker: it.forker.map(|forker| forker.pid),
            ancestors: ancestors(reader, it.origin),
            waiter_is_subreaper: waiter.map(|it| it.is_subreaper),
            waiters: zombie.stints.iter().map(|it| (process(it.process), it.since)).collect(),
            causes: diagnosis::judge(&reader.model, it)
                .filter(|_| zombie.is_aged())
                .map(|it| (it.cause, it.contributing)),
            looked_at,
        };
        Some((process(it.key), said))
    };
    reader.model.table.iter().filter_map(zombie).collect()
}

/// What the two say; causes if they rest on the same look. A replay looks at other times, because it learns about old
/// zombies again.
fn both(file: &Reader, live: &Reader) -> [BTreeMap<ProcessKey, Said>; 2] {
    let [mut file, mut live] = [said(file), said(live)];
    for (key, in_file) in &mut file {
        if let Some(in_live) = live.get_mut(key)
            && in_file.looked_at != in_live.looked_at
        {
            for it in [in_file, in_live] {
                (it.causes, it.looked_at) = (None, None);
            }
        }
    }
    [file, live]
}

type End = (u32, u64, Precision, Via, Option<u32>, u32);

fn ends(news: &[ModelEvent]) -> Vec<End> {
    let end = |ended: &Ended| {
        let reaper = ended.reaper.map(|reaper| reaper.pid);
        (ended.process.pid, ended.zombie_ns, ended.precision, ended.via, reaper, ended.waiter().pid)
    };
    let ended = |event: &ModelEvent| if let ModelEvent::Ended(ended) = event { Some(end(ended)) } else { None };
    news.iter().filter_map(ended).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_model_that_begins_with_a_snapshot_says_what_one_says_that_saw_all(
        steps in steps(),
        traits in traits(),
        cut in any::<prop::sample::Index>(),
    ) {
        // Without tracers: of a thread that one holds, `/proc` says less.
        let steps: Vec<_> = steps.into_iter().filter(|step| !step.attaches()).collect();
        let mut kernel = Kernel::run(&steps, traits);
        if kernel.chapters.is_empty() {
            return Ok(());
        }
        let cut = cut.index(kernel.chapters.len()) + 1;
        kernel.wind_up();
        let (before, after) = kernel.chapters.split_at(cut);
        let mut live = Reader::new(MIN_AGE);
        live.read(&Event { time: ms(0), what: What::Fact(Fact::Seed(Box::new(seed(INIT, 0)))) });
        live.read(&Event { time: ms(0), what: What::Fact(Fact::SeedDone { began: ms(0) }) });
        before.iter().for_each(|chapter| live.read_all(&chapter.events));
        // Whose memory is freed has ended in the file before.
        live.conclude();
        let scan = &before[before.len() - 1].seeds;
        let began = scan.first().map_or(0, |it| it.time);
        let mut file = Reader::new(MIN_AGE);
        file.model.begin_window(began);
        let done = Event { time: began, what: Fact::SeedDone { began }.into() };
        for reader in [&mut live, &mut file] {
            reader.read_all(scan);
            reader.read(&done);
        }
        // As in a recorder, which also takes in what it writes.
        for fact in live.model.snapshot() {
            let event = Event { time: began, what: fact.into() };
            file.read(&event);
            live.read(&event);
        }
        let tick = Event { time: began, what: What::Tick };
        live.model.query_all_parents();
        live.read(&tick);
        file.read_recorded(&tick, &live.answers);
        live.news.clear();
        file.news.clear();
        let [in_file, in_live] = both(&file, &live);
        prop_assert_eq!(in_file, in_live, "at the cut");
        for chapter in after {
            for event in &chapter.events {
                live.read(event);
                file.read_recorded(event, &live.answers);
            }
            file.check()?;
            let [in_file, in_live] = both(&file, &live);
            prop_assert_eq!(in_file, in_live);
        }
        file.conclude();
        live.conclude();
        prop_assert_eq!(ends(&file.news), ends(&live.news));
        let totals = |reader: &Reader| reader.model.totals().zombies_now;
        prop_assert_eq!(totals(&file), totals(&live));
        file.check_empty(&BTreeSet::new())?;
    }

    #[test]
    fn what_a_parent_did_is_recalled_as_it_was(
        waits in proptest::collection::vec((1_000_000u64..90_000_000_000, any::<bool>()), 0..400),
    ) {
        let (mut latency, mut rhythm, mut growth) = (Latency::default(), ReapPattern::default(), ZombieGrowth::default());
        let mut now = ms(0);
        for (count, &(wait, is_fork)) in waits.iter().enumerate() {
            now += wait;
            latency.record(wait);
            if is_fork { rhythm.forked(now) } else { rhythm.reaped(now) }
            growth.note(now, count as u64);
        }
        let again = Latency::recall(&latency.known());
        prop_assert_eq!(again.known(), latency.known());
        prop_assert_eq!((again.max(), again.count(), again.quantile(0.5)), (latency.max(), latency.count(), latency.quantile(0.5)));
        prop_assert_eq!(ReapPattern::recall(&rhythm.known()).known(), rhythm.known());
        let mut recalled = ZombieGrowth::default();
        recalled.recall(&growth.known());
        prop_assert_eq!(recalled, growth);
    }
}

#[test]
fn durations_that_cannot_have_been_are_not_recalled() {
    let mut latency = Latency::default();
    (0..100).for_each(|it| latency.record(it * MS));
    let known = latency.known();
    let spoiled = [
        crate::event::KnownLatency { bits: 60, ..known.clone() },
        crate::event::KnownLatency { steps: vec![(u16::MAX, 1)], ..known.clone() },
        crate::event::KnownLatency { steps: vec![(9, 1), (9, 1)], ..known.clone() },
        crate::event::KnownLatency { steps: vec![(9, u64::MAX)], ..known.clone() },
        crate::event::KnownLatency { few: vec![1; 1_000], ..crate::event::KnownLatency::default() },
    ];
    for it in spoiled {
        assert_eq!(Latency::recall(&it).count(), 0, "{it:?}");
    }
    assert_eq!(Latency::recall(&known).count(), 100);
}

#[test]
fn heritage_is_recalled_as_it_was() {
    let comm = super::story::comm("sh");
    let known = crate::event::KnownHeritage {
        former: vec![(5, comm)],
        forked_as: Some(comm),
        sigchld: Some(SigchldAtExec { ignored: true, blocked: false }),
        ignored_as: Some(comm),
        blocked_as: None,
        sources: [Some(KnownSource::Ancestor(INIT, comm)), Some(KnownSource::Unseen)],
    };
    assert_eq!(Heritage::recall(&known).known(), known);
}
