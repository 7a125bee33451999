//! Dead threads that a tracer holds when it exits itself: the simulated kernel tells what the real one does, and the
//! model understands it.

use std::collections::{BTreeMap, BTreeSet};

use super::reader::Reader;
use super::simulator::{INIT, Kernel, Step, Traits};
use crate::event::{ProcessKey, What};

const FORK: u8 = 0;
const DIE: u8 = 6;
const SET_SIGCHLD: u8 = 12;
const START_THREAD: u8 = 16;
const ATTACH: u8 = 18;
/// What `how` of [`SET_SIGCHLD`] means.
const IGNORE: u8 = 0;
const NO_CHILD_WAIT: u8 = 1;

fn every_kernel() -> impl Iterator<Item = (u8, Traits)> {
    let traits = [(false, false), (false, true), (true, false), (true, true)]
        .map(|(has_fentry, repeats_exits)| Traits { has_fentry, repeats_exits });
    [IGNORE, NO_CHILD_WAIT].into_iter().flat_map(move |sigchld| traits.map(|traits| (sigchld, traits)))
}

fn run(steps: &[(u8, u16, u8)], traits: Traits) -> (Kernel, Reader) {
    let steps: Vec<Step> = steps.iter().map(|&(kind, pick, how)| Step { kind, pick, how, gap_us: 0 }).collect();
    let kernel = Kernel::run(&steps, traits);
    let mut reader = Reader::new(0);
    for chapter in &kernel.chapters {
        reader.read_all(&chapter.events);
        reader.check().expect("the model agrees with itself");
        reader.check_believed(&kernel, chapter).expect("the model believes what is true");
    }
    (kernel, reader)
}

fn child(kernel: &Kernel, pid: u32) -> ProcessKey {
    let born = |it: &crate::event::Event| if let What::Fork(fork) = &it.what { Some(fork.child) } else { None };
    kernel.events().iter().filter_map(born).find(|it| it.pid == pid).expect("it was forked")
}

/// Everything ends, and the model has counted it right.
fn assert_winds_up(mut kernel: Kernel, mut reader: Reader) {
    let read = kernel.events().len();
    kernel.wind_up();
    reader.read_all(&kernel.events()[read..]);
    reader.conclude();
    reader.check_empty(&BTreeSet::new()).expect("nothing is remembered");
    let totals = reader.model.totals();
    assert_eq!((totals.auto_reaped, totals.reaped), (kernel.auto_reaped, kernel.ends.len() as u64));
}

#[test]
fn of_a_child_whose_thread_a_dying_parent_held_its_adopter_is_told() {
    for (sigchld, traits) in every_kernel() {
        // The parent does not want its children, but holds the main thread of one, and another one of it.
        let steps = [
            (FORK, 0, 1),
            (SET_SIGCHLD, 1, sigchld),
            (FORK, 1, 1),
            (START_THREAD, 2, 0),
            (ATTACH, 2, 1),
            (ATTACH, 5, 1),
            (DIE, 2, 1),
            (DIE, 1, 1),
        ];
        let (kernel, reader) = run(&steps, traits);
        let (parent, child) = (child(&kernel, 2), child(&kernel, 3));
        let told = |it: &crate::event::Event| matches!(&it.what, What::ChildSignal(it) if it.current == parent && it.child_nr == 3 && it.target == INIT);
        assert_eq!(kernel.events().iter().filter(|it| told(it)).count(), 1, "{traits:?}");
        assert_eq!(kernel.zombies()[&child].waiter, INIT, "{traits:?}");
        assert_eq!(reader.zombies(), BTreeMap::from([(child, INIT), (parent, INIT)]), "{traits:?}");
        assert_winds_up(kernel, reader);
    }
}

#[test]
fn a_child_that_a_dying_tracer_held_and_its_parent_discards_ends_as_the_zombie_it_passed_for() {
    for (sigchld, traits) in every_kernel() {
        // The tracer, a stranger, holds the main thread and another one.
        let steps = [
            (FORK, 0, 1),
            (SET_SIGCHLD, 1, sigchld),
            (FORK, 1, 1),
            (FORK, 0, 1),
            (START_THREAD, 2, 0),
            (START_THREAD, 2, 0),
            (ATTACH, 6, 3),
            (ATTACH, 10, 3),
            (DIE, 2, 1),
            (DIE, 2, 1),
        ];
        let (kernel, reader) = run(&steps, traits);
        let (child, tracer) = (child(&kernel, 3), child(&kernel, 4));
        assert_eq!(kernel.zombies().into_keys().collect::<Vec<_>>(), [tracer], "{traits:?}");
        assert!(kernel.ends.get(&child).is_some_and(|end| end.reaper.is_none() && end.was_told_early), "{traits:?}");
        assert_winds_up(kernel, reader);
    }
}
