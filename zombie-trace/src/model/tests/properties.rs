//! The model over random histories that are true: with nothing lost it knows the truth, and with losses it is not
//! wrong.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::reader::{Reader, shuffle, steps, traits};
use super::simulator::{INIT, Kernel, Step, TrueEnd, followed, of_followed};
use super::story::{MS, ms, seed};
use crate::diagnosis::{self, Cause};
use crate::event::{Event, Fact, NsPid, ProcessKey, What};
use crate::model::{Begin, Ended, ModelEvent, Precision};

/// Emitting one event takes the simulated kernel less time than this, ns.
const STEP_NS: u64 = 1_000;
const NOBODY: NsPid = NsPid { nr: 0, inum: 0 };

fn reader_of_init(min_age_ns: u64) -> Reader {
    let mut reader = Reader::new(min_age_ns);
    reader.read(&Event { time: ms(0), what: What::Fact(Fact::Seed(Box::new(seed(INIT, 0)))) });
    reader.read(&Event { time: ms(0), what: What::Fact(Fact::SeedDone { began: ms(0) }) });
    reader
}

fn ended(news: &[ModelEvent]) -> impl Iterator<Item = &Ended> {
    news.iter().filter_map(|outcome| if let ModelEvent::Ended(ended) = outcome { Some(&**ended) } else { None })
}

fn check_end(reader: &Reader, ended: &Ended, end: &TrueEnd, has_fentry: bool) -> Result<(), TestCaseError> {
    match ended.precision {
        Precision::Exact if !end.was_told_early => {
            prop_assert!(ended.zombie_ns.abs_diff(end.zombie_ns) <= STEP_NS, "{} {:?}", ended.zombie_ns, end);
            let reaper = if has_fentry { end.reaper } else { end.seen_reaper };
            prop_assert_eq!(ended.reaper, reaper.map(|it| reader.known(it)), "{:?}", end);
            let stints: Vec<(ProcessKey, u64)> = ended
                .stints
                .iter()
                .flat_map(super::super::stints::Stints::iter)
                .map(|it| (it.process, it.since))
                .collect();
            let is_same = |((waiter, since), (true_waiter, true_since)): (&(ProcessKey, u64), &(ProcessKey, u64))| {
                *waiter == reader.known(*true_waiter) && since.abs_diff(*true_since) <= STEP_NS
            };
            let are_same = stints.len() == end.stints.len() && stints.iter().zip(&end.stints).all(is_same);
            prop_assert!(are_same, "{:?} {:?}", stints, end.stints);
        }
        Precision::Exact | Precision::UpperBound => prop_assert!(ended.zombie_ns + STEP_NS >= end.zombie_ns),
        Precision::LowerBound => prop_assert!(false, "nothing was there before"),
    }
    Ok(())
}

/// Which probe in the order of their attaching tells of this.
fn place_of_probe(event: &Event) -> Option<usize> {
    match &event.what {
        What::Free(_) => Some(0),
        What::Release(_) => Some(1),
        What::Wait(_) => Some(2),
        What::ChildSignal(_) => Some(3),
        What::Exit(_) => Some(4),
        What::Exec(_) | What::Fork(_) => Some(5),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn without_losses_the_model_knows_the_truth(
        steps in steps(),
        swaps in proptest::collection::vec(any::<bool>(), 300),
        traits in traits(),
    ) {
        let kernel = Kernel::run(&steps, traits);
        let mut events = kernel.events();
        shuffle(&mut events, &swaps);
        let mut reader = reader_of_init(0);
        reader.read_all(&events);
        reader.check()?;
        let truth = kernel.zombies();
        let Some(last) = kernel.chapters.last() else { return Ok(()) };
        reader.check_believed(&kernel, last)?;
        for (zombie, true_zombie) in &truth {
            let known = reader.model.process(*zombie).and_then(|it| it.zombie());
            prop_assert!(known.is_some(), "{:?} is not known", zombie);
            let is_exact = known.is_some_and(|it| it.begin == Begin::Exact);
            prop_assert_eq!(is_exact, true_zombie.was_told);
            if is_exact && !true_zombie.was_told_early {
                prop_assert_eq!(known.map(|it| it.since), Some(true_zombie.since));
            }
        }
        for ended in ended(&reader.news) {
            let Some(end) = kernel.ends.get(&ended.process) else {
                return Err(TestCaseError::fail(format!("{:?} did not end", ended.process)));
            };
            check_end(&reader, ended, end, traits.has_fentry)?;
            if end.seen_reaper.is_some() {
                prop_assert_eq!(ended.precision == Precision::Exact, end.was_told, "{:?} {:?}", ended, end);
            }
        }
        let totals = reader.model.totals();
        prop_assert_eq!(totals.exits, kernel.exits);
        let zombies = (truth.len() + kernel.ends.len()) as u64;
        prop_assert!((zombies..=zombies + last.told_early.len() as u64).contains(&totals.zombies));
        prop_assert!(totals.auto_reaped <= kernel.auto_reaped);
    }

    #[test]
    fn at_every_moment_the_waiter_is_who_can_reap(steps in steps(), traits in traits()) {
        let kernel = Kernel::run(&steps, traits);
        let mut reader = reader_of_init(0);
        for chapter in &kernel.chapters {
            reader.read_all(&chapter.events);
            reader.check()?;
            reader.check_believed(&kernel, chapter)?;
            let believed = reader.zombies();
            for zombie in chapter.zombies.keys() {
                prop_assert!(believed.contains_key(zombie), "{:?} is not known", zombie);
            }
        }
    }

    #[test]
    fn when_all_are_gone_nothing_is_remembered(steps in steps(), traits in traits()) {
        let mut kernel = Kernel::run(&steps, traits);
        kernel.wind_up();
        let mut reader = Reader::new(20 * MS);
        reader.read_all(&kernel.events());
        reader.conclude();
        reader.check()?;
        reader.check_empty(&BTreeSet::new())?;
        let totals = reader.model.totals();
        prop_assert_eq!(totals.auto_reaped, kernel.auto_reaped);
        let of_parents = reader.model.processes().filter_map(|it| it.parenting.as_ref()).map(|it| it.auto_reaped);
        prop_assert_eq!(of_parents.sum::<u64>(), totals.auto_reaped);
        prop_assert_eq!(totals.reaped, kernel.ends.len() as u64);
    }

    #[test]
    fn what_is_reaped_in_time_never_comes_of_age(steps in steps(), traits in traits()) {
        let min_age = 20 * MS;
        let mut kernel = Kernel::run(&steps, traits);
        kernel.wind_up();
        let mut reader = Reader::new(min_age);
        reader.read_all(&kernel.events());
        for event in &reader.news {
            let ModelEvent::Aged(key) = event else { continue };
            let end = kernel.ends.get(key);
            // Of what was reaped unseen the end is known only from the free, but where the reaping itself is probed.
            let is_unseen = |end: &TrueEnd| end.seen_reaper.is_none() && !traits.has_fentry;
            prop_assert!(
                end.is_some_and(|it| it.zombie_ns >= min_age - 10_000 || is_unseen(it) || it.was_told_early),
                "{:?}", key
            );
        }
    }

    #[test]
    fn under_a_filter_the_followed_are_known_as_without_one(
        steps in steps(),
        traits in traits(),
        pick in any::<prop::sample::Index>(),
    ) {
        let mut kernel = Kernel::run(&steps, traits);
        let born = |event: &Event| if let What::Fork(fork) = &event.what { Some(fork.child) } else { None };
        let children: Vec<ProcessKey> = kernel.events().iter().filter_map(born).collect();
        if children.is_empty() {
            return Ok(());
        }
        let followed = followed(&kernel.events(), *pick.get(&children));
        let is_followed = |key: &ProcessKey| followed.contains(key);
        kernel.wind_up();
        let mut reader = Reader::new(0);
        let all = of_followed(&kernel.events(), &followed);
        let mut unread = all.as_slice();
        for chapter in &kernel.chapters {
            let until = chapter.seeds.first().map_or(kernel.now, |it| it.time);
            let (now, later) = unread.split_at(unread.partition_point(|event| event.time <= until));
            unread = later;
            reader.read_all(now);
            reader.check()?;
            let believed = reader.zombies();
            for (zombie, waiter) in believed.iter().filter(|(_, waiter)| is_followed(waiter)) {
                match chapter.zombies.get(zombie) {
                    Some(truth) if is_followed(&truth.waiter) => prop_assert_eq!(*waiter, truth.waiter),
                    Some(_) => {}
                    None => {
                        let is_unseen = |end: &TrueEnd| end.seen_reaper.is_none_or(|reaper| !is_followed(&reaper));
                        let is_known = chapter.told_early.contains(zombie) || kernel.ends.get(zombie).is_some_and(is_unseen);
                        prop_assert!(is_known, "{:?} is no zombie", zombie);
                    }
                }
            }
            for (zombie, truth) in &chapter.zombies {
                if is_followed(zombie) && is_followed(&truth.waiter) {
                    prop_assert!(believed.contains_key(zombie), "{:?} is not known", zombie);
                }
            }
        }
        let strangers: BTreeSet<ProcessKey> =
            children.iter().chain([&INIT]).filter(|key| !is_followed(key)).copied().collect();
        reader.conclude();
        reader.check_empty(&strangers)?;
    }

    /// The probes are attached one after the other while all this happens, and then the first scan is made.
    #[test]
    fn a_tracer_that_begins_in_the_midst_believes_in_no_false_zombie(
        steps in steps(),
        begin in (0usize..60, proptest::collection::vec(0usize..3, 6), 0usize..4),
        traits in traits(),
    ) {
        // Without tracers, as below.
        let steps: Vec<Step> = steps.into_iter().filter(|step| !step.attaches()).collect();
        let kernel = Kernel::run(&steps, traits);
        let chapters = &kernel.chapters;
        let (first, gaps, lag) = begin;
        let attached: Vec<usize> = gaps.iter().scan(first, |at, gap| { *at += gap; Some(*at) }).collect();
        let last = attached[attached.len() - 1].min(chapters.len());
        let scanned = (last + lag).min(chapters.len());
        let mut reader = Reader::new(0);
        for (index, chapter) in chapters[..last].iter().enumerate() {
            let is_seen = |event: &&Event| place_of_probe(event).is_none_or(|place| attached[place] <= index);
            chapter.events.iter().filter(is_seen).for_each(|event| reader.read(event));
        }
        let Some(chapter) = chapters.get(scanned.wrapping_sub(1)) else { return Ok(()) };
        let began = chapter.seeds.first().map_or(0, |it| it.time);
        reader.read_all(&chapter.seeds);
        reader.read(&Event { time: began, what: What::Fact(Fact::SeedDone { began }) });
        let mut now = last;
        for chapter in &chapters[last..] {
            reader.read_all(&chapter.events);
            now += 1;
            if now >= scanned {
                reader.check()?;
                for zombie in reader.zombies().keys() {
                    let mut there = chapter.zombies.keys().chain(&chapter.told_early);
                    let mut ends = kernel.ends.iter();
                    let unseen = ends.any(|(&key, end)| reader.known(key) == *zombie && end.seen_reaper.is_none());
                    // A zombie and its waiter that both hide their namespace: its free will show.
                    let is_nameless = reader.model.process(*zombie).is_some_and(|it| it.life.numbers() == [NOBODY; 4]);
                    let is_there = there.any(|&key| reader.known(key) == *zombie);
                    prop_assert!(unseen || is_nameless || is_there, "{:?} is no zombie", zombie);
                }
            }
        }
    }

    #[test]
    fn after_losses_and_a_scan_no_zombie_is_false(
        steps in steps(),
        windows in proptest::collection::vec((0usize..40, 1usize..30, any::<u64>(), 0usize..4), 1..4),
        traits in traits(),
    ) {
        // Without tracers: what is lost of a hand-over, only its end tells.
        let steps: Vec<Step> = steps.into_iter().filter(|step| !step.attaches()).collect();
        let kernel = Kernel::run(&steps, traits);
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
        let Some(last) = chapters.last() else { return Ok(()) };
        let known = |key: ProcessKey| reader.known(key);
        let truth: BTreeMap<ProcessKey, _> = kernel.zombies().into_iter().map(|(key, it)| (known(key), (key, it))).collect();
        let believed = reader.zombies();
        for zombie in believed.keys() {
            // What was reaped unseen is one to the model until its memory is freed.
            let mut ends = kernel.ends.iter();
            let unseen = ends.any(|(&key, end)| known(key) == *zombie && end.seen_reaper.is_none());
            let told_early = last.told_early.iter().any(|&key| known(key) == *zombie);
            prop_assert!(unseen || told_early || truth.contains_key(zombie), "{:?} is no zombie", zombie);
        }
        for (zombie, (_, true_zombie)) in &truth {
            prop_assert!(believed.contains_key(zombie), "{:?} is a zombie", zombie);
            prop_assert_eq!(believed[zombie], known(true_zombie.waiter), "waiter of {:?}", zombie);
            let Some(process) = reader.model.process(*zombie) else { continue };
            let cause = diagnosis::judge(&reader.model, process).map(|it| it.cause);
            if last_loss >= true_zombie.since {
                let certain = [Cause::NeverWaits, Cause::InitDoesNotReap, Cause::SubreaperDoesNotReap];
                prop_assert!(cause.is_none_or(|cause| !certain.contains(&cause)), "{:?} of {:?}", cause, zombie);
            }
        }
    }
}
